"""The sending half of a datagram transport: at once where there is room, else in the order of the calls."""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from winsockets.errors import (
    IllegalMethodCallError,
    ObjectClosedError,
    OperationAbortedError,
    SocketException,
    translate,
)
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, Limits
from winsockets.streams._buffer import byte_view
from winsockets.transports._datagram_queue import Flush, Sending, Waiting
from winsockets.transports._describe import describe_address

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["DatagramSending", "describe_name"]

_NO_ROOM = frozenset({errno.ENOBUFS, getattr(errno, "WSAENOBUFS", errno.ENOBUFS)})
_NO_ROOM_HRESULT = 0x80072747
_ROOM_RETRY = 0.005
"""Seconds until a send is tried again for which a network interface had no room (ENOBUFS): systems that
say so, the BSDs, do not say when there is some."""
_NEWS_PER_SEND = 8
"""How many ICMP errors may stand before one send; with more of them, it waits for a turn."""


class DatagramSending(ABC):
    """Sends on one datagram socket.

    Args:
        skt: the socket, which does not block.
        reactor: an IReactorFDSet and IReactorTime.
        limits: how much may wait.

    Attributes:
        socket: the socket.
        open: whether it has not been closed.
        peer: the socket address it is connected to, or None.
    """

    __slots__ = ("_limits", "_news", "_peers", "_reactor", "_retry", "_waiting", "open", "peer", "socket")

    def __init__(self, skt: socket.socket, reactor: Any, limits: Limits) -> None:
        self.socket = skt
        self.open = True
        self.peer: tuple[Any, ...] | None = None
        self._peers: frozenset[tuple[Any, ...]] = frozenset()
        self._reactor = reactor
        self._limits = limits
        self._waiting: deque[Waiting] = deque()
        # What the system said about earlier datagrams when it was given the first one that waits.
        self._news: list[OSError] = []
        self._retry: IDelayedCall | None = None

    @abstractmethod
    def _tell(self, problem: OSError) -> None:
        """Pass on what the system said about an earlier datagram, if anybody still wants to know."""

    def send(self, data: ReadableBuffer, to: tuple[Any, ...] | None) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram.

        Args:
            data: the payload, any buffer; empty is a datagram too. It must not change before the end.
            to: the socket address; None on a connected socket.

        Returns:
            An operation that yields the size when the system has it. It waits while the system has no
            room, and until what the system just said about earlier datagrams has been told; it fails as
            the system says: MESSAGE_TOO_LONG, NETWORK_IS_UNREACHABLE ... Cancelled, it is taken back.

        Raises:
            IllegalMethodCallError: the transport is connected to somebody else.
            ObjectClosedError: the transport is closed.
            SocketException: WSAENOBUFS, ``limits.datagram_queue`` datagrams wait already.
            TypeError: it is not a buffer.
        """
        if type(data) is not bytes:
            data = byte_view(data)
        if to is not None and self.peer is not None:
            self._check_peer(to)
            to = None
        if self._waiting or not self.open:
            self._check_room(to)
            return self._enqueue([data], to, Sending(self._cancel, 1))
        outcome = self._hand_over(data, to)
        if outcome is None or self._news:
            return self._enqueue([data], to, Sending(self._cancel, 1), outcome)
        if isinstance(outcome, int):
            return AsyncOperationWithProgress.from_result(outcome)
        return AsyncOperationWithProgress.from_error(outcome)

    def send_many(
        self, buffers: Iterable[ReadableBuffer], to: tuple[Any, ...] | None
    ) -> AsyncOperationWithProgress[int, int]:
        """Send several datagrams in order, as one operation.

        Each is sent, whatever becomes of the others. Here is the place for segmented sends.

        Args:
            buffers: the payloads, any buffers. However many there are, they are accepted when fewer than
                ``limits.datagram_queue`` datagrams wait before them.
            to: as for ``send``.

        Returns:
            An operation that yields the size of all when the system has them, or fails with the first
            failure. Cancelled, those that wait are taken back.

        Raises:
            As ``send``; nothing has been sent then.
        """
        payloads = [byte_view(data) for data in buffers]
        if to is not None and self.peer is not None:
            self._check_peer(to)
            to = None
        self._check_room(to)
        operation = Sending(self._cancel, len(payloads))
        for place, data in enumerate(payloads):
            outcome = None if self._waiting else self._hand_over(data, to)
            if outcome is None or self._news:
                return self._enqueue(payloads[place:], to, operation, outcome)
            operation.count(outcome)
        operation.end_if_complete()
        return operation

    def is_peer(self, name: tuple[Any, ...]) -> bool:
        """Whether a socket address is that of the peer, as it was given or as the system has it."""
        return _identity(name) in self._peers

    def _connected(self, *names: tuple[Any, ...]) -> None:
        self.peer = names[0]
        self._peers = frozenset(map(_identity, names))

    def _check_peer(self, to: tuple[Any, ...]) -> None:
        if not self.is_peer(to):
            raise IllegalMethodCallError(
                f"{_sending(to)}: the socket is connected and sends to its peer only"
            )

    def _check_room(self, to: tuple[Any, ...] | None) -> None:
        if not self.open:
            raise ObjectClosedError(f"{_sending(to or self.peer)}: the socket was closed")
        if len(self._waiting) >= self._limits.datagram_queue:
            raise SocketException(
                f"{_sending(to or self.peer)}: {len(self._waiting)} datagrams wait already; await the writes "
                "or flush_async() before writing more",
                hresult=_NO_ROOM_HRESULT,
                errno=errno.ENOBUFS,
            )

    def _enqueue(
        self,
        payloads: Iterable[memoryview | bytes],
        to: tuple[Any, ...] | None,
        operation: Sending,
        first_outcome: int | SocketException | None = None,
    ) -> Sending:
        first = len(self._waiting)
        self._waiting.extend(Waiting(operation, data, to) for data in payloads)
        self._waiting[first].outcome = first_outcome
        if self._retry is None:
            self._reactor.addWriter(self)
        return operation

    def _hand_over(
        self, data: memoryview | bytes, to: tuple[Any, ...] | None
    ) -> int | SocketException | None:
        """Give one datagram to the system.

        On a connected socket the system may answer with what became of an earlier datagram, without having
        taken this one. That is kept in ``_news``.

        Returns:
            The size, or why it cannot be sent; None when the system has no room now.
        """
        for _ in range(_NEWS_PER_SEND):
            try:
                return self.socket.send(data) if to is None else self.socket.sendto(data, to)
            except BlockingIOError:
                return None
            except OSError as problem:
                if problem.errno in _NO_ROOM:
                    self._retry_soon()
                    return None
                repeated = bool(self._news) and self._news[-1].errno == problem.errno
                if to is None and (problem.errno == errno.ECONNREFUSED or not repeated):
                    self._news.append(problem)
                    continue
                if repeated:
                    # The same answer twice was about this datagram both times.
                    self._news.pop()
                return translate(problem, _sending(to or self.peer))
        return None

    def _retry_soon(self) -> None:
        self._reactor.removeWriter(self)
        self._retry = self._reactor.callLater(_ROOM_RETRY, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._reactor.addWriter(self)

    def flush(self) -> AsyncOperation[bool]:
        """Wait until the system has everything that waits now; fails with the first failure of it."""
        if not self._waiting:
            return AsyncOperation.from_result(True)
        operation = Flush(self._cancel)
        self._waiting.append(Waiting(operation))
        return operation

    def doWrite(self) -> None:
        """Send what waits, as much as the system takes, up to ``limits.datagrams_per_turn``."""
        for _ in range(self._limits.datagrams_per_turn):
            if self._news or not self._waiting:
                break
            first = self._waiting[0]
            if first.data is not None:
                first.outcome = self._hand_over(first.data, first.to)
                if self._news or first.outcome is None:
                    break
            self._end_first()
        if self._news:
            self._settle()
        elif not self._waiting:
            self._rest()

    def _settle(self) -> None:
        """Tell the news, then end the operation that came upon it."""
        news, self._news = self._news, []
        for problem in news:
            self._tell(problem)
        if self._waiting and self._waiting[0].outcome is not None:
            self._end_first()

    def _end_first(self) -> None:
        first = self._waiting.popleft()
        if isinstance(first.operation, Flush):
            first.operation.end()
            return
        assert first.outcome is not None
        if not isinstance(first.outcome, int):
            for waiting in self._waiting:
                if isinstance(waiting.operation, Flush) and waiting.operation.failure is None:
                    waiting.operation.failure = first.outcome
        first.operation.count(first.outcome)

    def _cancel(self, operation: Deferred[Any]) -> None:
        mine = [waiting for waiting in self._waiting if waiting.operation is operation]
        self._waiting = deque(waiting for waiting in self._waiting if waiting.operation is not operation)
        self._abort(mine, "cancelled before it was sent")
        if isinstance(operation, Sending):
            # All of it may have left, and that is just being told.
            operation.end_if_complete()
        if not operation.called:
            # One that is being aborted just now, and comes to it.
            operation.errback(_aborted("cancelled before it was sent"))

    def cancel_sends(self, reason: str) -> None:
        """End every waiting send and flush with OperationAbortedError."""
        waiting, self._waiting = self._waiting, deque()
        self._abort(waiting, reason)

    def _abort(self, entries: Iterable[Waiting], reason: str) -> None:
        if not self._waiting and not self._news:
            self._rest()
        problem = _aborted(reason)
        for entry in entries:
            if entry.outcome is not None and isinstance(entry.operation, Sending):
                # It had left; only the end of its operation waited.
                entry.operation.count(entry.outcome)
            if not entry.operation.called:
                entry.operation.errback(problem)

    def _rest(self) -> None:
        """Nothing waits any more."""
        if self.open:
            self._stop_writing()

    def _stop_writing(self) -> None:
        self._reactor.removeWriter(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


def _identity(name: tuple[Any, ...]) -> tuple[Any, ...]:
    """What makes two socket addresses the same: host, port and scope, not the flow label."""
    return (*name[:2], name[3] if len(name) == 4 else 0)


def _aborted(reason: str) -> OperationAbortedError:
    return OperationAbortedError(f"send a datagram: {reason}")


def _sending(to: tuple[Any, ...] | None) -> str:
    return f"send to {describe_name(to)}"


def describe_name(name: tuple[Any, ...] | None) -> str:
    """Say a socket address in words; sockets of other families than the internet's may have none."""
    return describe_address(*name[:2]) if name else "nobody in particular"
