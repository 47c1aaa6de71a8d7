"""A proxy on loopback that does to real connections what faults say."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPullProducer,
    IReactorTime,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.foundation import AsyncOperation
from winsockets.sockets._link import global_reactor
from winsockets.testing._backlog import unacknowledged
from winsockets.testing._faults import NO_FAULTS, Ending, Faults, Lane

__all__ = ["FaultProxy"]

_HELD = 64 * 1024
_RECHECK_SECONDS = 0.005


class FaultProxy:
    """Forwards TCP connections between clients and a server, and breaks them at exact byte counts.

    It listens from the start, on the loopback address of the server's family; clients connect to
    ``host`` and ``port``. Every connection gets the same faults. A reset is a real one, sent to both ends
    (SO_LINGER with a time of 0) once the receiver's system has every byte before it. A reset or an end
    that comes from either end is passed on. When the server cannot be reached the client is reset.

    ``most_at_once`` bounds what is forwarded at a time; the receiver's system may join what it has not
    read. Behind a stall, or a receiver that does not read, the proxy takes 64 KiB and whatever the two
    systems buffer.

    Args:
        host: the server's address, numeric; "127.0.0.1" or "::1" for one under test.
        port: the server's port.
        to_server: what goes wrong on the way to the server.
        to_client: what goes wrong on the way to the client.
        reactor: an IReactorTCP and IReactorTime; the installed reactor when left out.

    Attributes:
        host: the address to connect to.
        port: the port to connect to.

    Use it as an asynchronous context manager, or ``close`` it and await ``wait_closed_async``.
    """

    def __init__(
        self,
        host: str,
        port: int | str,
        *,
        to_server: Faults = NO_FAULTS,
        to_client: Faults = NO_FAULTS,
        reactor: Any = None,
    ) -> None:
        self._reactor = global_reactor(reactor)
        self._server = (host, int(port))
        self._to_server, self._to_client = to_server, to_client
        self._sides: set[_Side] = set()
        self._ending: list[Deferred[None]] = []
        self.host = "::1" if ":" in host else "127.0.0.1"
        factory = ServerFactory.forProtocol(self._accept)
        factory.noisy = False
        self._listening: Any = self._reactor.listenTCP(0, factory, interface=self.host)
        self.port: int = self._listening.getHost().port

    def _accept(self) -> _Side:
        client, server = _Side(self._sides), _Side(self._sides)
        _Forwarding(client, server, self._to_server, self._reactor)
        _Forwarding(server, client, self._to_client, self._reactor)
        server.connector = self._reactor.connectTCP(*self._server, _ServerSide(server, client))
        return client

    def close(self) -> None:
        """Listen no more and reset every connection."""
        if self._listening is None:
            return
        listening, self._listening = self._listening, None
        self._ending.append(maybeDeferred(listening.stopListening))
        for side in list(self._sides):
            self._ending.append(side.gone)
            side.abort()

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the port is free and every connection is gone, after ``close``."""
        ending, self._ending = self._ending, []

        async def gone() -> None:
            for ended in ending:
                await ended

        return AsyncOperation.run(gone())

    async def __aenter__(self) -> Self:
        """Return the proxy itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it and wait until everything is gone."""
        self.close()
        await self.wait_closed_async()


class _ServerSide(ClientFactory):
    """Connects to the server on behalf of a client."""

    noisy = False

    def __init__(self, server: _Side, client: _Side) -> None:
        self._server, self._client = server, client

    def buildProtocol(self, addr: IAddress | None) -> _Side:
        return self._server

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._server.never_made()
        self._client.abort()


@implementer(IHalfCloseableProtocol)
class _Side(Protocol):
    """One of the two connections that make a forwarded one.

    Attributes:
        inbound: forwards what this side receives.
        outbound: forwards to this side.
        connector: makes the connection, if it has to be made.
        gone: fires when the connection has ended.
    """

    inbound: _Forwarding
    outbound: _Forwarding
    connector: Any = None

    def __init__(self, sides: set[_Side]) -> None:
        self._sides = sides
        self.gone: Deferred[None] = Deferred()
        sides.add(self)

    def connectionMade(self) -> None:
        """Begin to forward when this is the second of the two."""
        cast(Any, self.transport).setTcpNoDelay(True)
        other = self.outbound.source
        if other.transport is not None:
            for side in (self, other):
                cast(Any, side.transport).registerProducer(side.outbound, False)

    def dataReceived(self, data: bytes) -> None:
        """Forward it."""
        self.inbound.feed(data)

    def readConnectionLost(self) -> None:
        """Forward the end of one direction."""
        self.inbound.end()

    def writeConnectionLost(self) -> None:
        """Nothing to do: it was shut by the forwarding."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forward how it ended."""
        self._forget()
        self.outbound.stopProducing()
        if reason.check(ConnectionDone):
            self.inbound.end()
        else:
            self.inbound.reset()

    def never_made(self) -> None:
        """Hear that the connection could not be made."""
        self._forget()

    def _forget(self) -> None:
        self._sides.discard(self)
        self.gone.callback(None)

    def abort(self) -> None:
        """Reset the connection, or make it no more."""
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()
        else:
            self.connector.stopConnecting()


@implementer(IPullProducer)
class _Forwarding:
    """One direction of a forwarded connection.

    It is the pull producer of the side that it writes to, because a transport asks such a one for more
    when the system has taken everything so far: then the next bytes, the end or the reset can go.

    Attributes:
        source: the side whose bytes are forwarded.
    """

    def __init__(self, source: _Side, sink: _Side, faults: Faults, reactor: Any) -> None:
        source.inbound = sink.outbound = self
        self.source, self._sink = source, sink
        self._clock: IReactorTime = reactor
        self._lane = Lane(faults, reactor.seconds())
        self._ready = False
        self._paused = False
        self._ended = False
        self._call: IDelayedCall | None = None

    def feed(self, data: bytes) -> None:
        """Forward bytes, as the faults allow."""
        self._lane.feed(data, self._clock.seconds())
        if self._lane.waiting >= _HELD:
            self._paused = True
            cast(Any, self.source.transport).pauseProducing()
        self._run()

    def end(self) -> None:
        """Forward an end."""
        self._lane.end(self._clock.seconds())
        self._run()

    def reset(self) -> None:
        """Forward a reset."""
        self._lane.reset(self._clock.seconds())
        self._run()

    def resumeProducing(self) -> None:
        """Hear that the system has everything that was written so far."""
        self._ready = True
        self._run()

    def stopProducing(self) -> None:
        """Hear that there is nobody to forward to."""
        self._ready = False
        self._cancel()

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _again(self, seconds: float) -> None:
        self._cancel()
        self._call = self._clock.callLater(max(0.0, seconds), self._called)

    def _called(self) -> None:
        self._call = None
        self._run()

    def _run(self) -> None:
        while self._ready:
            now = self._clock.seconds()
            if self._lane.due is None:
                return
            if self._lane.due > now:
                self._again(self._lane.due - now)
                return
            if self._lane.next_is_reset and unacknowledged(cast(Any, self._sink.transport).getHandle()):
                # A reset would throw away what the receiver's system has not taken yet.
                self._again(_RECHECK_SECONDS)
                return
            self._forward(self._lane.take(now, _HELD))

    def _forward(self, item: bytes | Ending | None) -> None:
        transport = cast(Any, self._sink.transport)
        if item is Ending.RESET:
            self._ready = False
            self._sink.abort()
            self.source.abort()
        elif item is Ending.END:
            self._ended = True
            transport.unregisterProducer()
            transport.loseWriteConnection()
            if self._sink.inbound._ended:
                transport.loseConnection()
                cast(Any, self.source.transport).loseConnection()
        else:
            self._ready = False
            transport.write(item)
            if self._paused and self._lane.waiting < _HELD:
                self._paused = False
                cast(Any, self.source.transport).resumeProducing()
