"""The sending half of a datagram transport: at once, or many together, always in the order of the calls."""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

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
from winsockets.transports._datagram_queue import Batch, Flush, Sending, finish, owners
from winsockets.transports._datagram_segments import SegmentedSends
from winsockets.transports._describe import describe_address
from winsockets.transports._loopback_source import from_loopback
from winsockets.transports._packet_info import WayOut
from winsockets.transports._reported_errors import reported_errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["DatagramSending", "describe_name"]

_NO_ROOM = frozenset({errno.ENOBUFS, getattr(errno, "WSAENOBUFS", errno.ENOBUFS)})
_NO_ROOM_HRESULT = 0x80072747


class DatagramSending(ABC):
    """Sends on one datagram socket.

    A datagram is handed to the system in the call when nothing waits. The next one, if nobody has awaited the
    first yet, begins a batch: it is held back, with those that follow it to the same destination, until
    somebody awaits one of them or calls ``flush`` or ``send_many``, until something is sent elsewhere, until
    there are ``limits.datagram_batch`` of them, or until the end of the turn, whichever is first. Then all
    leave, those of one size in as few calls as the system allows. What follows the flush of a batch in the
    same turn, before an await, begins the next batch.

    Args:
        skt: the socket, which does not block.
        reactor: an IReactorFDSet and IReactorTime.
        limits: how much may wait.

    Attributes:
        socket: the socket.
        open: whether it has not been closed.
        peer: the socket address it is connected to, or None.
        beside: those whose datagrams are sent in one order with those of this one.
        held: what has been kept from the system so far, for the sake of a batch; nothing waits then.
        most_held: how many datagrams that may become; with the last of them it leaves.
    """

    __slots__ = (
        "_burst",
        "_hears",
        "_limits",
        "_news",
        "_peers",
        "_reactor",
        "_retry",
        "_segments",
        "_single",
        "_turn_end",
        "_untold",
        "_waiting",
        "_waiting_count",
        "_writing",
        "beside",
        "held",
        "most_held",
        "open",
        "peer",
        "socket",
    )

    def __init__(self, skt: socket.socket, reactor: Any, limits: Limits) -> None:
        self.socket = skt
        self.open = True
        self.peer: tuple[Any, ...] | None = None
        self.beside: Sequence[DatagramSending] = ()
        self._peers: frozenset[tuple[Any, ...]] = frozenset()
        # Whether the system keeps what is said of datagrams to the peer.
        self._hears = False
        self._reactor = reactor
        self._limits = limits
        # Whether the newest write has left, or is held back, without anybody having waited for it.
        self._burst = False
        self.held: Batch | None = None
        self.most_held = min(limits.datagram_batch, limits.datagram_queue)
        self._turn_end: IDelayedCall | None = None
        # What waits for room, or for news to be told, and how many datagrams that is.
        self._waiting: deque[Batch | Flush] = deque()
        self._waiting_count = 0
        # What the system said about earlier datagrams when it was given the first one that waits, and those
        # whose datagrams it took or refused then: they are told afterwards.
        self._news: list[OSError] = []
        self._untold: list[Sending] = []
        self._segments = SegmentedSends(skt)
        # So many of the first that wait leave one by one, because the system did not take them together.
        self._single = 0
        # Whether the reactor is to tell when there is room; when to try again where it cannot.
        self._writing = False
        self._retry: IDelayedCall | None = None

    @abstractmethod
    def _tell(self, problem: OSError) -> None:
        """Pass on what the system said about an earlier datagram, if anybody still wants to know."""

    # What is written

    def send(self, data: ReadableBuffer, to: tuple[Any, ...] | None) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram, or hold it back.

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
            SocketException: WSAENOBUFS, ``limits.datagram_queue`` datagrams wait for room already.
            TypeError: it is not a buffer.
        """
        if type(data) is not bytes:
            data = byte_view(data)
        if to is not None and self.peer is not None:
            self._check_peer(to)
            to = None
        held = self.held
        if held is not None:
            if held.to == to:
                return self._add(held, data)
            self.let_go()
        for other in self.beside:
            other.release()
        if self.held is not None or self._waiting or self._untold or not self.open:
            self._check_room(to)
            return self._enqueue([data], to, Sending.of(self))
        if self._burst:
            return self._hold(data, to)
        self._burst = True
        try:
            if to is None:
                self.socket.send(data)
            else:
                self.socket.sendto(data, to)
        except OSError as answer:
            operation = self._enqueue([data], to, Sending.of(self))
            self._push(1, answer)
        else:
            operation = Sending.from_result(len(data))
            operation.holder = self
        return operation

    def send_many(
        self, buffers: Iterable[ReadableBuffer], to: tuple[Any, ...] | None
    ) -> AsyncOperationWithProgress[int, int]:
        """Send several datagrams in order, as one operation, and what is held back before them.

        Each is sent, whatever becomes of the others.

        Args:
            buffers: the payloads, any buffers. However many there are, they are accepted when fewer than
                ``limits.datagram_queue`` datagrams wait for room before them.
            to: as for ``send``, or a WayOut.

        Returns:
            An operation that yields the size of all when the system has them, or fails with the first
            failure. Cancelled, those that wait are taken back.

        Raises:
            As ``send``; nothing has been sent then.
        """
        payloads = [data if type(data) is bytes else byte_view(data) for data in buffers]
        if to is not None and self.peer is not None:
            self._check_peer(to)
            to = None
        for other in self.beside:
            other.release()
        self._check_room(to)
        self._burst = False
        operation = Sending.of(self, len(payloads))
        if not payloads:
            operation.end_if_complete()
        had_room = not self._waiting and not self._untold
        self._enqueue(payloads, to, operation)
        if had_room:
            self._push(self._waiting_count)
        return operation

    def flush(self) -> AsyncOperation[bool]:
        """Wait until the system has everything that was written; fails with the first failure of it.

        Raises:
            SocketException: WSAENOBUFS, ``limits.datagram_queue`` flushes wait already.

        Source: WinRT IOutputStream.FlushAsync.
        """
        held = self.held is not None
        # Whoever flushes a batch is about to write the next one, more often than not.
        self._burst = self.held is not None and len(self.held.payloads) > 1
        if not (held or self._waiting or self._untold):
            return AsyncOperation.from_result(True)
        if not held and self._waiting:
            self._check_flushes()
        self._unhold()
        operation = Flush.of(self)
        if not held:
            for earlier in (*self._untold, *owners(self._waiting)):
                if earlier.failure is not None:
                    operation.failure = earlier.failure
                    break
        self._waiting.append(operation)
        if held:
            self._push(self._waiting_count + 1)
        return operation

    # Holding back

    def _hold(self, data: bytes | memoryview, to: tuple[Any, ...] | None) -> Sending:
        """Begin a batch."""
        if self._turn_end is None:
            # It stays when the batch leaves earlier: there may be many of them in a turn.
            self._turn_end = self._reactor.callLater(0, self._end_turn)
        self.held = Batch(to)
        return self._add(self.held, data)

    def _add(self, held: Batch, data: bytes | memoryview) -> Sending:
        operation = Sending.of(self)
        held.operations.append(operation)
        held.payloads.append(data)
        if len(held.payloads) >= self.most_held:
            self.let_go()
        return operation

    def _end_turn(self) -> None:
        self._turn_end = None
        self.release()

    def release(self) -> None:
        """Hold nothing back any more: somebody waits."""
        self._burst = False
        if self.held is not None:
            self.let_go()

    def let_go(self) -> None:
        """Send what is held back."""
        self._unhold()
        self._push(self._waiting_count)

    def _unhold(self) -> None:
        """Have what is held back wait like everything else."""
        held, self.held = self.held, None
        if held is not None:
            self._waiting.append(held)
            self._waiting_count += len(held.payloads)

    # Whom, and how many

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
        if self._waiting_count >= self._limits.datagram_queue:
            raise _too_many(
                f"{_sending(to or self.peer)}: {self._waiting_count} datagrams wait already; await the "
                "writes or flush_async() before writing more"
            )

    def _check_flushes(self) -> None:
        flushes = sum(isinstance(entry, Flush) for entry in self._waiting)
        if flushes >= self._limits.datagram_queue:
            raise _too_many(f"flush: {flushes} flushes wait already; await one")

    def _enqueue(
        self, payloads: list[bytes | memoryview], to: tuple[Any, ...] | None, operation: Sending
    ) -> Sending:
        self._unhold()
        waiting = self._waiting
        place = 0
        while place < len(payloads):
            last = waiting[-1] if waiting else None
            if not isinstance(last, Batch) or last.to != to or len(last.payloads) >= self.most_held:
                last = Batch(to)
                waiting.append(last)
            part = payloads[place : place + self.most_held - len(last.payloads)]
            last.payloads += part
            last.operations += [operation] * len(part)
            place += len(part)
        self._waiting_count += place
        return operation

    # What leaves

    def _hand_over(
        self,
        payloads: Sequence[bytes | memoryview],
        to: tuple[Any, ...] | None,
        most: int,
        answer: OSError | None = None,
    ) -> tuple[int, SocketException | None]:
        """Give the first datagrams to the system, as many as it takes in one call and ``most`` at most.

        On a connected socket the system may answer with what became of an earlier datagram, without having
        taken this one. That is kept in ``_news``.

        Args:
            payloads: the datagrams, one at least.
            to: where they go; None on a connected socket.
            most: so many at most.
            answer: what the system said when it was given the first one, if it was.

        Returns:
            How many have left; 0 when the system has no room now. Or 1, and why that one cannot be sent.
        """
        alone = self._single or isinstance(to, WayOut)
        count = 1 if alone else self._segments.run_length(payloads, most)
        for _ in range(self._limits.errors_per_send):
            try:
                if answer is not None:
                    raise answer
                self._call(payloads, count, to)
            except BlockingIOError:
                return 0, None
            except OSError as problem:
                answer = None
                number = problem.errno or 0
                if number in _NO_ROOM:
                    self._retry_soon()
                    return 0, None
                refusal = count > 1 and self._segments.is_refusal(number)
                if to is None and not refusal and self._is_news(problem):
                    continue
                if count > 1:
                    self._segments.refused(number, len(payloads[0]))
                    # Each has an answer of its own.
                    self._single, count = count, 1
                    continue
                self._single = max(self._single - 1, 0)
                remote = to or self.peer
                action = _sending(remote)
                found = translate(problem, action)
                if remote is not None:
                    found = from_loopback(found, action, self.socket.getsockname()[0], remote[0])
                return 1, found
            else:
                if self._single:
                    self._single -= 1
                return count, None
        return 0, None

    def _call(self, payloads: Sequence[bytes | memoryview], count: int, to: tuple[Any, ...] | None) -> None:
        if count > 1:
            self._segments.send(payloads[:count], to)
        elif to is None:
            self.socket.send(payloads[0])
        elif isinstance(to, WayOut):
            to.send(self.socket, payloads[0])
        else:
            self.socket.sendto(payloads[0], to)

    def _is_news(self, problem: OSError) -> bool:
        """Tell whether an answer may be about earlier datagrams, and keep what it says of them if so."""
        if self._hears:
            reports = reported_errors(self.socket, self._limits.datagrams_per_turn)
            if reports:
                self._news += reports
                return True
        # There is no queue of what was said, or it was full.
        repeated = bool(self._news) and self._news[-1].errno == problem.errno
        if repeated and problem.errno != errno.ECONNREFUSED:
            # The same answer twice was about this call both times.
            self._news.pop()
            return False
        self._news.append(problem)
        return True

    def _push(self, most: int, answer: OSError | None = None) -> None:
        """Send the first ``most`` of what waits, or as much as the system takes.

        Args:
            most: so many at most.
            answer: what the system said when it was given the first one, if it was.
        """
        while most > 0 and self._waiting and not self._news:
            first = self._waiting[0]
            if isinstance(first, Flush):
                self._waiting.popleft()
                most -= 1
                first.end()
                continue
            count, problem = self._hand_over(first.payloads, first.to, most, answer)
            answer = None
            if not count:
                break
            most -= count
            self._have_left(first, count, problem)
        if self._waiting or self._news:
            self._start_writing()
        else:
            self._rest()

    def _have_left(self, batch: Batch, count: int, problem: SocketException | None) -> None:
        """End the operations of the first ``count`` that waited, or put that off until the news are told."""
        size, last = len(batch.payloads[0]), len(batch.payloads[count - 1])
        operations = batch.take(count)
        if not batch.payloads:
            self._waiting.popleft()
        self._waiting_count -= count
        if problem is not None:
            for entry in self._waiting:
                if isinstance(entry, Flush) and entry.failure is None:
                    entry.failure = problem
        if problem is None and not self._news:
            finish(operations, size, last)
            return
        for operation in operations[:-1]:
            operation.note(size)
        operations[-1].note(last if problem is None else problem)
        if self._news:
            self._untold += operations
        else:
            operations[-1].tell()

    def _start_writing(self) -> None:
        if not self._writing and self._retry is None and self.open:
            self._writing = True
            self._reactor.addWriter(self)

    def _retry_soon(self) -> None:
        if self._writing:
            self._writing = False
            self._reactor.removeWriter(self)
        self._retry = self._reactor.callLater(self._limits.send_retry, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._start_writing()

    def doWrite(self) -> None:
        """Send what waits, as much as the system takes, up to ``limits.datagrams_per_turn``."""
        if not self._news:
            self._push(self._limits.datagrams_per_turn)
        if self._news:
            self._settle()

    def _settle(self) -> None:
        """Tell the news, then end the operations that came upon it."""
        news, self._news = self._news, []
        for problem in news:
            self._tell(problem)
        untold, self._untold = self._untold, []
        for operation in dict.fromkeys(untold):
            operation.tell()

    # What does not leave

    def take_back(self, operation: Sending | Flush) -> None:
        """Cancel an operation: nothing more of it is sent."""
        waiting: deque[Batch | Flush] = deque()
        held, self.held = self.held, None
        if held is not None:
            held.discard(operation)
            if held.payloads:
                self.held = held
        for entry in self._waiting:
            if isinstance(entry, Batch):
                self._waiting_count -= entry.discard(operation)
                if entry.payloads:
                    waiting.append(entry)
            elif entry is not operation:
                waiting.append(entry)
        self._waiting = waiting
        self._rest_if_idle()
        # All of it may have left, and that is just being told.
        operation.end_if_complete()
        if not operation.called:
            operation.errback(_aborted("cancelled before it was sent"))

    def cancel_sends(self, reason: str) -> None:
        """End every waiting send and flush with OperationAbortedError, and what is held back."""
        self._unhold()
        waiting, self._waiting = self._waiting, deque()
        untold, self._untold = self._untold, []
        self._waiting_count = 0
        self._rest_if_idle()
        problem = _aborted(reason)
        for operation in dict.fromkeys(untold):
            # It had left; only its end waited.
            operation.tell()
        for entry in waiting:
            for each in dict.fromkeys(entry.operations) if isinstance(entry, Batch) else (entry,):
                if not each.called:
                    each.errback(problem)

    def _rest_if_idle(self) -> None:
        if not self._waiting and not self._news:
            self._rest()

    def _rest(self) -> None:
        """Nothing waits any more."""
        if self.open:
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._reactor.removeWriter(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


def _identity(name: tuple[Any, ...]) -> tuple[Any, ...]:
    """What makes two socket addresses the same: host, port and scope, not the flow label."""
    return (*name[:2], name[3] if len(name) == 4 else 0)


def _too_many(message: str) -> SocketException:
    return SocketException(message, hresult=_NO_ROOM_HRESULT, errno=errno.ENOBUFS)


def _aborted(reason: str) -> OperationAbortedError:
    return OperationAbortedError(f"send a datagram: {reason}")


def _sending(to: tuple[Any, ...] | None) -> str:
    return f"send to {describe_name(to)}"


def describe_name(name: tuple[Any, ...] | None) -> str:
    """Say a socket address in words; sockets of other families than the internet's may have none."""
    return describe_address(*name[:2]) if name else "nobody in particular"
