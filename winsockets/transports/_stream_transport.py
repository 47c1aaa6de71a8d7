"""TCP transports that keep the errno, send at once, and lose no byte when the peer hangs up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import ConnectionAbortError, SocketException, translate
from winsockets.transports._contracts import ISink, IWriteSource
from winsockets.transports._describe import describe_peer
from winsockets.transports._tcp_info import TcpInfo, read_tcp_info

__all__ = ["ServerTransport", "StreamTransport"]

_DONE = connectionDone.value
# POSIX guarantees 16; Linux and macOS take 1,024. Beyond a few dozen buffers a call costs what they cost.
_VECTOR_LIMIT = 256


@implementer(ISink)
class StreamTransport(tcp.Connection):
    """What server and client transports share.

    ``ITCPTransport.write`` works as in any Twisted transport; a protocol that is a sink's source sends
    through ``send`` and ``send_vector`` instead and keeps its own queue.
    """

    source: IWriteSource | None = None
    vector_limit = _VECTOR_LIMIT
    reads_per_turn = 1
    _shouldShutdown = False
    _local_name: tuple[Any, ...] = ("", 0)
    _paused = False
    _sending = False
    _hang_up: SocketException | None = None
    _receiving_rest: IDelayedCall | None = None

    def send(self, data: bytes | memoryview) -> int:
        """Send what fits into the system's buffer now."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as problem:
            raise self._refusal(problem) from problem

    if hasattr(socket.socket, "sendmsg"):

        def send_vector(self, views: Sequence[bytes | memoryview]) -> int:
            """Send what fits of several buffers, in one call."""
            try:
                return self.socket.sendmsg(views)
            except BlockingIOError:
                return 0
            except OSError as problem:
                raise self._refusal(problem) from problem

    else:  # Windows has no sendmsg

        def send_vector(self, views: Sequence[bytes | memoryview]) -> int:
            """Send what fits of several buffers, joined."""
            return self.send(b"".join(views))

    def _refusal(self, problem: OSError) -> SocketException:
        # It stays with the connection, and must not keep those who called.
        return translate(problem.with_traceback(None), f"send to {describe_peer(self)}")

    def doWrite(self) -> Any:
        """Let the source send; without one, send what ``write`` buffered."""
        if self.source is None:
            # Without a connection if the protocol closed it in this turn, when it read.
            return super().doWrite() if self.connected else None
        self._sending = True
        try:
            self.source.write_ready()
        finally:
            self._sending = False
        return _DONE if self.disconnecting else None

    def writeSomeData(self, data: Any) -> Any:
        """Send some of what ``write`` buffered; the reason for an end keeps the system's error."""
        try:
            return self.send(memoryview(data)[: self.SEND_LIMIT])
        except SocketException as problem:
            return problem

    def doRead(self) -> Any:
        """Receive once and deliver; the reason for an end keeps the system's error.

        When the call was full there is probably more. A source that goes on reading gets that at once too,
        but no more than ``limits.reads_per_turn`` times, so that others have their turn.
        """
        left = self.reads_per_turn
        while True:
            try:
                data = self.socket.recv(self.bufferSize)
            except BlockingIOError:
                return None
            except OSError as problem:
                return translate(problem, f"receive from {describe_peer(self)}")
            if not data:
                return _DONE
            self.protocol.dataReceived(data)
            if len(data) < self.bufferSize:
                return None
            left -= 1
            if left <= 0 or self._paused or self.source is None or self.disconnecting:
                return None

    @property
    def local_name(self) -> tuple[Any, ...]:
        """The local socket address, also after the end of the connection."""
        if hasattr(self, "socket"):
            # BSD systems have forgotten it once the peer has reset the connection.
            with suppress(OSError):
                self._local_name = self.socket.getsockname()
        return self._local_name

    @property
    def tcp_info(self) -> TcpInfo | None:
        """What the system measured so far; None when the connection or the system cannot tell."""
        return read_tcp_info(self.socket) if hasattr(self, "socket") else None

    def pauseProducing(self) -> None:
        """Stop receiving."""
        self._paused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """Receive again; after a hang-up, what the system still holds."""
        self._paused = False
        if self._hang_up is None:
            super().resumeProducing()
        else:
            self._receive_rest_soon()

    # The end

    def connectionLost(self, reason: Failure) -> None:
        """End the connection, unless received bytes are still waiting in the system.

        Poll-like reactors report a hang-up of a descriptor that is not being read as a lost connection
        without an errno, though the system may hold bytes that the peer sent before. Those stay readable:
        writes fail at once with the real error, reading goes on when the protocol asks for more.
        """
        source = self.source
        if type(reason.value) is ConnectionLost and hasattr(self, "socket"):
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            problem = self._explain(number)
            if number and source is not None and self._paused and not self.disconnecting:
                # The reactor has taken it out by now.
                self._hang_up = problem
                source.write_failed(problem)
                return
            if number or source is not None:
                reason = Failure(problem)
        self._local_name = self.local_name
        if self._receiving_rest is not None:
            self._receiving_rest.cancel()
            self._receiving_rest = None
        # A source shows its peer what it never read: a close resets the connection then. A shutdown before it
        # hides that, which is what Twisted's transports do, and what other protocols count on.
        self._shouldShutdown = source is None
        super().connectionLost(reason)

    def _explain(self, number: int) -> SocketException:
        action = f"connection with {describe_peer(self)}"
        if number:
            return translate(OSError(number, os.strerror(number)), action)
        # The system sees no error: the reactor ends all connections that there are when it stops.
        problem = ConnectionAbortError(f"{action}: closed because the reactor stops")
        # The program ends: whoever waits is told, the log is not.
        vars(problem)["_reported"] = True
        return problem

    def _receive_rest_soon(self) -> None:
        if self._receiving_rest is None:
            self._receiving_rest = cast(Any, self.reactor).callLater(0, self._receive_rest)

    def _receive_rest(self) -> None:
        self._receiving_rest = None
        if self._paused:
            return
        outcome = self.doRead()
        if outcome is None:
            if self.connected:
                self._receive_rest_soon()
        elif outcome is _DONE:
            # The source has the error, and knows whether the peer had ended its stream before it.
            self.readConnectionLost(Failure(_DONE))
        else:
            self.connectionLost(Failure(outcome))

    def loseWriteConnection(self) -> None:
        """End the sending direction."""
        if self.source is None:
            super().loseWriteConnection()
        else:
            # Nothing is buffered here, and the end goes out after what the system has buffered.
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def loseConnection(self, *args: Any) -> None:
        """Close in good order; the source hears of the end within this call.

        Except within its ``write_ready``, which has to tell first what was written.
        """
        if self.source is None:
            super().loseConnection(*args)
        elif self.connected and not self.disconnecting and not self._aborting:
            # Nothing is buffered here, and the system goes on sending what it has after the close.
            self.disconnecting = True
            if not self._sending:
                self.connectionLost(connectionDone)


class _Later:
    """An attribute that is made when it is first looked at; an idle connection never gets there."""

    def __init__(self, make: Callable[[Any], object]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, transport: Any, owner: type | None = None) -> Any:
        if transport is None:
            return self
        made = self._make(transport)
        setattr(transport, self._name, made)
        return made


def _name(transport: Any) -> str:
    """Name the protocol of a transport, as it says itself; a source is named after its class."""
    protocol = transport.protocol
    name: str = type(protocol).__name__ if transport.source is protocol else transport._getLogPrefix(protocol)
    return name


class ServerTransport(StreamTransport, tcp.Server):
    """An accepted connection.

    Its port hears of the end, because the port limits how many there are.

    Args:
        skt: the connected socket.
        protocol: what to deliver to.
        client: the peer's socket address.
        server: the port that accepted it.

    Source: ``tcp.Server``, whose constructor writes down what only a log or a Twisted protocol asks for.
    """

    _tempDataBuffer = _Later(lambda transport: [])
    _tempDataLen = 0
    hostname = _Later(lambda transport: transport.client[0])
    logstr = _Later(lambda transport: f"{_name(transport)},{transport.sessionno},{transport.client[0]}")
    repstr = _Later(
        lambda transport: (
            f"<{type(transport.protocol).__name__} #{transport.sessionno} on {transport.local_name[1]}>"
        )
    )

    def __init__(self, skt: socket.socket, protocol: IProtocol, client: tuple[Any, ...], server: Any) -> None:
        skt.setblocking(False)
        self.reactor = server.reactor
        self.socket = skt
        self.fileno = skt.fileno
        self.protocol = protocol
        self.server = server
        self.client = client
        self.sessionno = server.sessionno
        if len(client) != 2:
            self._addressType = IPv6Address
        self.startReading()
        self.connected = 1

    @property
    def local_name(self) -> tuple[Any, ...]:
        """The local socket address, also after the end of the connection."""
        name: tuple[Any, ...] | None = cast(Any, self.server).local_name
        return super().local_name if name is None else name

    def connectionLost(self, reason: Failure) -> None:
        """End the connection and make room for another."""
        was_open = self.connected
        try:
            super().connectionLost(reason)
        finally:
            if was_open and not self.connected:
                cast(Any, self.server).connection_ended()
