"""UDP on a descriptor of our own: survives refusals, says what was cut, waits instead of failing."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from typing import Any, NamedTuple

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionFdescWentAway
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from winsockets.errors import (
    ObjectClosedError,
    OperationAbortedError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, Limits
from winsockets.networking._address import Address
from winsockets.transports._describe import describe_address

__all__ = ["Datagram", "DatagramTransport", "IDatagramReceiver"]

_ENOBUFS = getattr(errno, "ENOBUFS", 105)
_WSAENOBUFS_HRESULT = 0x80072747
_HAS_RECVMSG = hasattr(socket.socket, "recvmsg_into")
_MSG_TRUNC = getattr(socket, "MSG_TRUNC", 0)
_WSAEMSGSIZE = getattr(errno, "WSAEMSGSIZE", -1)
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", None)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", None)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", None)
_ANCILLARY_SIZE = 128
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_REFUSALS_PER_SEND = 8
"""ICMP errors that may stand before one send; each is reported, and the send is tried again."""


class Datagram(NamedTuple):
    """One received datagram.

    Attributes:
        data: the payload, possibly cut.
        source: the sender's socket address, as the socket module gives it.
        destination: the local address it was sent to, where the system tells.
        truncated: whether the payload was longer than the buffer.
    """

    data: bytes
    source: tuple[Any, ...]
    destination: str | None
    truncated: bool


class IDatagramReceiver(Interface):
    """Who hears from a datagram transport."""

    limits: Limits = Attribute("How much to receive in a turn, how large, and how much may wait.")

    def datagram_received(transport: Any, datagram: Datagram) -> None:
        """Take one datagram."""

    def receive_failed(transport: Any, problem: SocketException) -> None:
        """Hear that an earlier datagram found no listener, or that receiving failed otherwise."""


class _Waiting:
    """A datagram that waits for room; one without data is a flush that waits for those before it."""

    __slots__ = ("data", "failure", "operation", "to")

    def __init__(self, operation: AsyncOperation[Any], data: Any, to: tuple[Any, ...] | None) -> None:
        self.operation = operation
        self.data = data
        self.to = to
        self.failure: SocketException | None = None


class DatagramTransport(FileDescriptor):
    """One UDP socket under the reactor.

    Args:
        skt: a bound or connected datagram socket; owned from here on.
        receiver: hears of datagrams and errors.
        reactor: an IReactorFDSet.

    Source: udp(7), ip(7) IP_PKTINFO, RFC 1122 section 4.1.3.3 (errors reach the program).
    """

    def __init__(self, skt: socket.socket, receiver: IDatagramReceiver, reactor: Any) -> None:
        super().__init__(reactor)
        skt.setblocking(False)
        self.socket = skt
        self.fileno = skt.fileno  # type: ignore[method-assign]
        self.family = skt.family
        self.connected = 1
        self.peer: Address | None = None
        self._receiver: IDatagramReceiver | None = receiver
        self._limits: Limits = receiver.limits
        self._buffer = bytearray(self._limits.datagram_size)
        self._waiting: deque[_Waiting] = deque()
        self._ending: Deferred[None] | None = None
        self._strangers = False
        self._ask_for_destination()

    def _ask_for_destination(self) -> None:
        if self.family == socket.AF_INET6 and _IPV6_RECVPKTINFO is not None:
            self.socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif self.family == socket.AF_INET and _IP_PKTINFO is not None:
            self.socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def connect(self, peer: Address) -> None:
        """Fix the peer; datagrams of others that arrived before are dropped.

        Raises:
            OSError: as the system says.
        """
        self.socket.connect(peer.sockaddr)
        self.peer = peer
        self._strangers = True

    # Receiving

    def doRead(self) -> None:
        """Deliver what waits, up to ``limits.datagrams_per_turn``."""
        for _ in range(self._limits.datagrams_per_turn):
            receiver = self._receiver
            if receiver is None:
                return
            try:
                datagram = self._receive()
            except BlockingIOError:
                self._strangers = False
                return
            except OSError as problem:
                receiver.receive_failed(self, translate(problem, self._action("receive"), datagram=True))
            else:
                if not self._strangers or self._is_peer(datagram.source):
                    receiver.datagram_received(self, datagram)

    def _is_peer(self, source: tuple[Any, ...]) -> bool:
        return self.peer is not None and source[:2] == self.peer.sockaddr[:2]

    def _receive(self) -> Datagram:
        if not _HAS_RECVMSG:
            return self._receive_plainly()
        size, ancillary, flags, source = self.socket.recvmsg_into([self._buffer], _ANCILLARY_SIZE)
        data = bytes(memoryview(self._buffer)[:size])
        return Datagram(data, source, _destination(ancillary), bool(flags & _MSG_TRUNC))

    def _receive_plainly(self) -> Datagram:
        try:
            size, source = self.socket.recvfrom_into(self._buffer)
        except OSError as problem:
            if problem.errno != _WSAEMSGSIZE:
                raise
            # Windows fills the buffer, reports the rest as an error and does not name the sender.
            return Datagram(bytes(self._buffer), ("", 0), None, True)
        return Datagram(bytes(memoryview(self._buffer)[:size]), source, None, False)

    def _action(self, verb: str) -> str:
        if self.peer is not None:
            return f"{verb} datagrams from {describe_address(self.peer.host, self.peer.port)}"
        return f"{verb} datagrams on port {self.local[1]}"

    @property
    def local(self) -> tuple[Any, ...]:
        """The local socket address."""
        name: tuple[Any, ...] = self.socket.getsockname()
        return name

    # Sending

    def send(self, data: Any, to: tuple[Any, ...] | None) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram.

        Args:
            data: the payload, a buffer; empty is a datagram too.
            to: the socket address; None on a connected socket.

        Returns:
            An operation that yields the size when the system has it. It waits while the system's buffer
            is full, and fails as the system says: MESSAGE_TOO_LONG, NETWORK_IS_UNREACHABLE ...

        Raises:
            ObjectClosedError: the transport is closed.
            SocketException: WSAENOBUFS, ``limits.datagram_queue`` datagrams wait already.
        """
        if self._receiver is None:
            raise ObjectClosedError(f"{self._where(to)}: the socket is closed")
        if not self._waiting:
            try:
                if self._transmit(data, to):
                    size = memoryview(data).nbytes
                    return AsyncOperationWithProgress.from_result(size)  # type: ignore[return-value]
            except OSError as problem:
                failure = translate(problem, self._where(to))
                return AsyncOperationWithProgress.from_error(failure)  # type: ignore[return-value]
        elif len(self._waiting) >= self._limits.datagram_queue:
            raise SocketException(
                f"{self._where(to)}: {len(self._waiting)} datagrams wait already; await the writes or "
                "flush_async() before writing more",
                hresult=_WSAENOBUFS_HRESULT,
                errno=_ENOBUFS,
            )
        operation: AsyncOperationWithProgress[int, int] = AsyncOperationWithProgress(self._cancel_send)
        self._waiting.append(_Waiting(operation, data, to))
        self.startWriting()
        return operation

    def _where(self, to: tuple[Any, ...] | None) -> str:
        host, port = to[:2] if to is not None else (self.peer.host, self.peer.port) if self.peer else ("?", 0)
        return f"send to {describe_address(host, port)}"

    def _transmit(self, data: Any, to: tuple[Any, ...] | None) -> bool:
        """Send at once; False when the system's buffer is full."""
        for _ in range(_REFUSALS_PER_SEND):
            try:
                if to is None:
                    self.socket.send(data)
                else:
                    self.socket.sendto(data, to)
            except BlockingIOError:
                return False
            except OSError as problem:
                if problem.errno == _ENOBUFS:
                    return False
                # The system tells of an earlier datagram's fate and has not sent this one.
                error = translate(problem, self._action("receive"), datagram=True)
                if error.status is not SocketErrorStatus.CONNECTION_RESET_BY_PEER or self._receiver is None:
                    raise
                self._receiver.receive_failed(self, error)
                if self._receiver is None:
                    raise
            else:
                return True
        return False

    def flush(self) -> AsyncOperation[bool]:
        """Wait until the system has everything that waits now; fails with the first failure of it."""
        if not self._waiting:
            return AsyncOperation.from_result(True)
        operation: AsyncOperation[bool] = AsyncOperation(self._cancel_send)
        self._waiting.append(_Waiting(operation, None, None))
        return operation

    def doWrite(self) -> None:
        """Send what waits, as much as the system takes."""
        while self._waiting:
            first = self._waiting[0]
            if first.data is not None:
                try:
                    if not self._transmit(first.data, first.to):
                        return
                except OSError as problem:
                    first.failure = translate(problem, self._where(first.to))
                if not self._waiting or self._waiting[0] is not first:
                    return  # closed or cancelled by somebody who heard of a refusal just now
            self._waiting.popleft()
            if first.failure is not None:
                for flush in self._waiting:
                    if flush.data is None and flush.failure is None:
                        flush.failure = first.failure
                first.operation.errback(first.failure)
            elif first.data is None:
                first.operation.callback(True)
            else:
                first.operation.callback(memoryview(first.data).nbytes)
        self.stopWriting()

    def _cancel_send(self, operation: Deferred[Any]) -> None:
        for waiting in self._waiting:
            if waiting.operation is operation:
                self._waiting.remove(waiting)
                break
        operation.errback(OperationAbortedError("send a datagram: cancelled before it was sent"))
        if not self._waiting:
            self.stopWriting()

    def cancel_sends(self, reason: str) -> None:
        """End every waiting send."""
        waiting, self._waiting = self._waiting, deque()
        self.stopWriting()
        problem = OperationAbortedError(f"send a datagram: {reason}")
        for entry in waiting:
            entry.operation.errback(problem)

    # Ending

    def readConnectionLost(self, reason: Failure) -> None:
        """Poll-like reactors say so when an ICMP error waits; the socket is as good as before."""
        self._fetch_error(reason)

    def connectionLost(self, reason: Failure) -> None:
        """Like ``readConnectionLost`` for reactors that say it this way, unless the descriptor is gone."""
        if self._receiver is not None and not reason.check(ConnectionFdescWentAway):
            self._fetch_error(reason)
            return
        if self.connected:
            self._receiver = None
            super().connectionLost(reason)
            self.socket.close()
            if self._ending is not None:
                self._ending.callback(None)

    def _fetch_error(self, reason: Failure) -> None:
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.startReading()
        if self._waiting:
            self.startWriting()
        if number and self._receiver is not None:
            problem = OSError(number, os.strerror(number))
            self._receiver.receive_failed(self, translate(problem, self._action("receive"), datagram=True))

    def close(self) -> Deferred[None]:
        """Abort waiting sends and close; returns a Deferred that fires when it is done."""
        ended: Deferred[None] = Deferred()
        if self._receiver is None:
            ended.callback(None)
            return ended
        self._receiver = None
        self.stopReading()
        self.cancel_sends("aborted by close")
        self._ending = ended
        self.reactor.callLater(0, self.connectionLost, Failure(ObjectClosedError("closed")))  # type: ignore[attr-defined]
        return ended

    def logPrefix(self) -> str:
        """Name the transport in logs."""
        return "DatagramTransport"


def _destination(ancillary: list[tuple[int, int, bytes]]) -> str | None:
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO4.size:
            return socket.inet_ntop(socket.AF_INET, _PKTINFO4.unpack_from(data)[2])
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO and len(data) >= _PKTINFO6.size:
            raw, index = _PKTINFO6.unpack_from(data)
            host = socket.inet_ntop(socket.AF_INET6, raw)
            return f"{host}%{index}" if raw[:1] == b"\xfe" and raw[1] & 0xC0 == 0x80 else host
    return None
