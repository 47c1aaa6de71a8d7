"""A TCP connection without a network: two transports back to back."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import InvalidArgumentError, SocketException, translate
from winsockets.sockets._link import global_reactor
from winsockets.testing._faults import NO_FAULTS, Ending, Faults, Lane
from winsockets.transports._contracts import ISink, IWriteSource
from winsockets.transports._describe import describe_peer

__all__ = ["CAPACITY", "CLIENT_ADDRESS", "SERVER_ADDRESS", "MemoryTransport", "connect_protocols"]

CAPACITY = 64 * 1024
"""The bytes that a direction holds when nobody says otherwise."""

CLIENT_ADDRESS = IPv4Address("TCP", "127.0.0.1", 49152)
SERVER_ADDRESS = IPv4Address("TCP", "127.0.0.1", 1337)

_log = Logger(namespace="winsockets")


@implementer(ITCPTransport, ISink)
class MemoryTransport(FileDescriptor):
    """One end of a TCP connection in memory; ``connect_protocols`` makes both.

    To its protocol it is a TCP transport of Twisted's: it half-closes, pauses producers and is paused,
    aborts, and reports a reset with the system's error. What is sent arrives in a later turn of the
    reactor, or when a ``Clock`` is advanced (``clock.advance(0)`` delivers everything that is not
    delayed, and what is sent in answer), never within the call that sends it. Several sends that arrive
    together are joined, as TCP joins them. Closing while received bytes are unread resets the connection,
    as Linux does, and so does sending to an end that was closed.

    While it is open and something is on its way it keeps one delayed call in the reactor.
    """

    source: IWriteSource | None = None
    vector_limit = 64

    def __init__(
        self,
        reactor: Any,
        capacity: int,
        host: IPv4Address | IPv6Address,
        peer: IPv4Address | IPv6Address,
        outgoing: Lane,
    ) -> None:
        super().__init__(reactor)
        self._clock: IReactorTime = reactor
        self._capacity = capacity
        self._host = host
        self._peer_address = peer
        self._outgoing = outgoing
        self._incoming: Lane
        self._peer: MemoryTransport
        self.protocol: IProtocol
        self._reading = False
        self._writing = False
        self._call: IDelayedCall | None = None
        self._step_time: float | None = None
        self._end: BaseException | None = None
        self._broken: SocketException | None = None
        self._options = {"nodelay": True, "keepalive": False}

    def _attach(self, protocol: IProtocol, peer: MemoryTransport) -> None:
        self.protocol = protocol
        self._peer = peer
        self._incoming = peer._outgoing

    def _open(self) -> None:
        self.connected = 1
        self.startReading()
        self.protocol.makeConnection(self)

    # Turns

    def _now(self) -> float:
        # Within a step it is the time that the step was meant for: a clock may have been advanced far
        # beyond it, or fallen short of it by the rounding of a float.
        return float(self._clock.seconds()) if self._step_time is None else self._step_time

    def _next_step(self) -> float | None:
        """When there is something to do; None when only the peer or the protocol can change that."""
        if self._end is not None:
            return self._now()
        if not self.connected:
            return self._incoming.due if self._peer.connected else None
        if self._writing and (self._room() or self._broken is not None or not self._has_bytes()):
            return self._now()
        return self._incoming.due if self._reading else self._unheard_reset()

    def _unheard_reset(self) -> float | None:
        return self._incoming.reset_due if self._broken is None else None

    def _schedule(self) -> None:
        when = self._next_step()
        if self._call is not None:
            if when is not None and self._call.getTime() <= when:
                return
            self._call.cancel()
            self._call = None
        if when is not None:
            delay = max(0.0, when - self._clock.seconds())
            self._call = self._clock.callLater(delay, self._step, when)

    def _step(self, when: float) -> None:
        self._call = None
        self._step_time = when
        try:
            if self._end is not None:
                end, self._end = self._end, None
                self.connectionLost(Failure(end))
            elif self.connected:
                self._hear()
                if self._writing and self.connected and self._end is None:
                    self._finish(self.doWrite())
            else:
                self._refuse()
        except Exception:
            _log.failure("The protocol of an in-memory connection failed; the connection is closed")
            if self.connected:
                self.connectionLost(Failure())
        finally:
            self._schedule()
            self._step_time = None

    # Receiving

    def _hear(self) -> None:
        while self._reading and self.connected and self._end is None:
            item = self._incoming.take(self._now(), self.bufferSize)
            if item is None:
                break
            self._peer._schedule()
            if item is Ending.END:
                self.stopReading()
                self.readConnectionLost(Failure(ConnectionDone()))
            elif item is Ending.RESET:
                self._cut_peer()
                self.connectionLost(Failure(self._reset()))
            else:
                cast(Any, self.protocol).dataReceived(item)
        reset = self._unheard_reset()
        if self.connected and reset is not None and reset <= self._now():
            # The system knows of it before the program has read everything.
            self._broken = self._reset()
            if self.source is not None:
                self.source.write_failed(self._broken)

    def _reset(self) -> SocketException:
        problem = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return self._broken or translate(problem, f"receive from {describe_peer(self)}")

    def _cut_peer(self) -> None:
        """A reset on the way breaks the other end too."""
        self._outgoing.reset(self._now())
        self._peer._schedule()

    def _refuse(self) -> None:
        """Answer bytes for an end that is gone as the system does."""
        while (item := self._incoming.take(self._now(), self.bufferSize)) is not None:
            if isinstance(item, bytes):
                self._cut_peer()

    def readConnectionLost(self, reason: Failure) -> None:
        """End the receiving direction; a protocol that knows no half close loses the connection."""
        protocol: Any = IHalfCloseableProtocol(self.protocol, None)
        if protocol is not None:
            protocol.readConnectionLost()
        else:
            self.connectionLost(reason)

    # Sending

    def _room(self) -> int:
        return max(0, self._capacity - self._outgoing.waiting)

    def _has_bytes(self) -> bool:
        waits = self.source is not None and self.source.pending
        return waits or self._tempDataLen > 0 or len(self.dataBuffer) > self.offset

    def send(self, data: bytes | memoryview) -> int:
        """Take what there is room for (and the faults allow) and return how much.

        Raises:
            SocketException: the connection was reset.
        """
        if self._broken is not None:
            raise self._broken
        count = min(len(data), self._room(), self._outgoing.most_at_once or len(data))
        if count:
            self._outgoing.feed(bytes(data[:count]), self._now())
            self._peer._schedule()
        return count

    def send_vector(self, views: Sequence[bytes | memoryview]) -> int:
        """Take what there is room for of several buffers."""
        return self.send(b"".join(views))

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """See FileDescriptor."""
        try:
            return self.send(data)
        except SocketException as problem:
            return problem

    def doWrite(self) -> Any:
        """Let the source send; without one, send what ``write`` buffered."""
        if self.source is not None and self.source.pending:
            self.source.write_ready()
            return None
        return super().doWrite()

    def _finish(self, outcome: Any) -> None:
        if isinstance(outcome, BaseException):
            self.connectionLost(Failure(outcome))

    def _closeWriteConnection(self) -> None:
        self._outgoing.end(self._now())
        self._peer._schedule()
        protocol: Any = IHalfCloseableProtocol(self.protocol, None)
        if protocol is not None:
            protocol.writeConnectionLost()

    # Ending

    def abortConnection(self) -> None:
        """Break the connection off: the peer gets a reset, after what it has not read yet."""
        if self.connected and self._end is None:
            self.stopReading()
            self.stopWriting()
            self._end = ConnectionAborted()
            self._schedule()

    def connectionLost(self, reason: Failure) -> None:
        """End the connection and tell the protocol why; an orderly end lets the peer see one too."""
        if not self.connected:
            return
        super().connectionLost(reason)
        now = self._now()
        if reason.check(ConnectionDone) and not self._incoming.arrived(now):
            self._outgoing.end(now)
        else:
            self._outgoing.reset(now)
        self._refuse()
        self._peer._schedule()
        self._schedule()
        self.protocol.connectionLost(reason)

    # What the reactor does for a real one

    def startReading(self) -> None:
        """Receive."""
        self._reading = True
        self._schedule()

    def stopReading(self) -> None:
        """Receive no more for now."""
        self._reading = False
        self._schedule()

    def startWriting(self) -> None:
        """Send as soon as there is room."""
        self._writing = True
        self._schedule()

    def stopWriting(self) -> None:
        """Send no more for now."""
        self._writing = False
        self._schedule()

    # Facts

    def getHost(self) -> IPv4Address | IPv6Address:
        """Return this end's address."""
        return self._host

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Return the other end's address."""
        return self._peer_address

    def getTcpNoDelay(self) -> bool:
        """Return what was set, True at first."""
        return self._options["nodelay"]

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Keep the value; it changes nothing."""
        self._options["nodelay"] = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Return what was set, False at first."""
        return self._options["keepalive"]

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Keep the value; it changes nothing."""
        self._options["keepalive"] = bool(enabled)


def connect_protocols(
    client: IProtocol,
    server: IProtocol,
    reactor: Any = None,
    *,
    to_server: Faults = NO_FAULTS,
    to_client: Faults = NO_FAULTS,
    capacity: int = CAPACITY,
    client_address: IPv4Address | IPv6Address = CLIENT_ADDRESS,
    server_address: IPv4Address | IPv6Address = SERVER_ADDRESS,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols of Twisted's as TCP would, in memory.

    Args:
        client: connected second.
        server: connected first.
        reactor: an IReactorTime that delivers, a ``Clock`` for instance; the installed reactor when left out.
        to_server: what goes wrong on the way to the server.
        to_client: what goes wrong on the way to the client.
        capacity: the bytes that may be on the way in each direction, sent and not received, at least 1;
            a sender waits when there are as many.
        client_address: where the client seems to be.
        server_address: where the server seems to be.

    Returns:
        The transports of client and server, connected. Both ends have to be closed, or a delayed call may
        be left in the reactor.

    Raises:
        InvalidArgumentError: the capacity is less than 1.
    """
    if capacity < 1:
        raise InvalidArgumentError(f"capacity: {capacity} is less than 1")
    reactor = global_reactor(reactor)
    now = float(reactor.seconds())
    ends = (
        MemoryTransport(reactor, capacity, client_address, server_address, Lane(to_server, now)),
        MemoryTransport(reactor, capacity, server_address, client_address, Lane(to_client, now)),
    )
    ends[0]._attach(client, ends[1])
    ends[1]._attach(server, ends[0])
    ends[1]._open()
    ends[0]._open()
    return ends
