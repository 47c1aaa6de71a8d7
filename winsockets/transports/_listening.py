"""Accepting connections: with a bound, and through times without descriptors."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.errors import AddressInUseError, SocketException, translate
from winsockets.foundation import Limits
from winsockets.transports._describe import describe_address
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._stream_transport import ServerTransport

__all__ = ["ListeningPort", "StreamFactory", "listen_stream"]

_log = Logger(namespace="winsockets")


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_EXHAUSTED = _numbers("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "WSAEMFILE", "WSAENOBUFS")
# accept(2) hands over errors of the one connection that was about to be accepted.
_THAT_CONNECTION = _numbers(
    "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH",
    "EOPNOTSUPP", "ENETUNREACH", "EPERM", "WSAECONNRESET",
)  # fmt: skip
# Linux and the BSDs cut this down to their own maximum; Windows wants its own constant.
_BACKLOG = max(socket.SOMAXCONN, 65_535)
_PORT_TRIES = 16


class StreamFactory(ServerFactory):
    """Builds the protocol of each accepted connection.

    Args:
        reactor: keeps the deadlines.
        limits: the bounds of each connection.
        on_connected: called with each protocol once it is connected.
    """

    noisy = False

    def __init__(self, reactor: Any, limits: Limits, on_connected: Callable[[StreamProtocol], None]) -> None:
        self._reactor = reactor
        self._limits = limits
        self._on_connected = on_connected

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol:
        """Build one."""
        return StreamProtocol(self._reactor, self._limits, self._on_connected)


class ListeningPort(tcp.Port):
    """A port that stops accepting instead of accepting and closing.

    It waits at the connection limit, while the program asks it to, and while there are no descriptors;
    the system's backlog holds the clients meanwhile.

    Args:
        interface: the numeric address to listen on; its family decides the socket's.
        port: 0 lets the system choose.
        factory: builds the protocols.
        options: set on the socket, and by it on the accepted ones.
        limits: how often and how much to accept.
        max_connections: how many may be open at once; None for as many as there are descriptors.
        reactor: an IReactorFDSet and IReactorTime.
    """

    transport = ServerTransport

    def __init__(
        self,
        interface: str,
        port: int,
        *,
        factory: StreamFactory,
        options: StreamOptions,
        limits: Limits,
        max_connections: int | None,
        reactor: Any,
    ) -> None:
        tcp.Port.__init__(self, port, factory, _BACKLOG, interface, reactor)
        self._options = options
        self._limits = limits
        self._max_connections = max_connections
        self._open = 0
        self._holds: set[str] = set()
        self._retry: IDelayedCall | None = None

    def createInternetSocket(self) -> socket.socket:
        """Make the socket: one family only, not to be shared, with the options."""
        skt: socket.socket = super().createInternetSocket()
        try:
            if skt.family == socket.AF_INET6:
                skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                skt.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            self._options.apply(skt)
        except OSError:
            skt.close()
            raise
        return skt

    @property
    def number(self) -> int:
        """The port number, once it listens."""
        return int(self.getHost().port)

    def hold(self, reason: str) -> None:
        """Stop accepting until ``release`` was called for every reason."""
        if not self._holds:
            self.stopReading()
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """Take back a ``hold``."""
        if reason in self._holds:
            self._holds.discard(reason)
            if not self._holds and self.connected and not self.disconnecting:
                self.startReading()

    def connection_ended(self) -> None:
        """Hear from a connection that it is gone."""
        self._open -= 1
        self.release("limit")

    def doRead(self) -> None:
        """Accept what waits, within the bounds."""
        for _ in range(self._limits.accepts_per_turn):
            if self._holds or not self.connected or self.disconnecting:
                return
            try:
                skt, address = self.socket.accept()
            except BlockingIOError:
                # Nobody waits any more: a shortage that comes now is another one.
                self._retry = None
                return
            except OSError as problem:
                if problem.errno in _THAT_CONNECTION:
                    continue
                self._wait_after(problem)
                return
            try:
                self._announce(skt, address)
            except Exception:
                _log.failure("A connection from {peer} could not be set up", peer=address)
                skt.close()

    def _announce(self, skt: socket.socket, address: tuple[Any, ...]) -> None:
        if len(address) == 4 and address[3]:
            # A link-local peer is only reachable with its scope.
            host = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            address = (host, *address[1:])
        if not self._options.inherited:
            self._options.apply(skt)
        protocol = cast(StreamFactory, self.factory).buildProtocol(self._buildAddr(address))
        self.sessionno += 1
        transport = self.transport(skt, protocol, address, self, self.sessionno, self.reactor)
        transport.bufferSize = self._limits.read_size
        self._open += 1
        if self._max_connections is not None and self._open >= self._max_connections:
            self.hold("limit")
        protocol.makeConnection(transport)

    def _wait_after(self, problem: OSError) -> None:
        """Pause; say so once, however long the shortage lasts."""
        if self._retry is None:
            where = describe_address(self.interface, self._realPortNumber or 0)
            _log.error(
                "{problem}; {open} connections are open, clients wait until one ends",
                problem=translate(problem, f"accept on {where}"),
                open=self._open,
            )
        self.hold("system")
        self._retry = cast(Any, self.reactor).callLater(self._limits.accept_retry, self.release, "system")

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket and drop the pending retry."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        super().connectionLost(reason)


def listen_stream(
    build: Callable[[str, int], ListeningPort], interfaces: tuple[str, ...], port: int
) -> list[ListeningPort]:
    """Listen on several addresses with one port number.

    Args:
        build: makes a port for an address and a number.
        interfaces: numeric addresses. Where there are several, one whose family this system does not
            have is left out.
        port: 0 lets the system choose a number that is free on all.

    Returns:
        The listening ports, at least one.

    Raises:
        AddressInUseError: an address is taken.
        SocketException: as the system says.
    """
    for attempt in range(_PORT_TRIES):
        ports: list[ListeningPort] = []
        number = port
        try:
            for interface in interfaces:
                listening = build(interface, number)
                try:
                    listening.startListening()
                except Exception as problem:
                    error = translate(problem, f"listen on {describe_address(interface, number)}")
                    if len(interfaces) > 1 and _is_missing_family(error):
                        last = error
                        continue
                    raise error from problem
                ports.append(listening)
                number = listening.number
        except AddressInUseError:
            for listening in ports:
                listening.loseConnection()
            # The system chose for the first address what is taken on the second: let it choose again.
            if port or not ports or attempt == _PORT_TRIES - 1:
                raise
            continue
        except SocketException:
            for listening in ports:
                listening.loseConnection()
            raise
        if not ports:
            raise last
        return ports
    raise AssertionError("not reached")


def _is_missing_family(error: SocketException) -> bool:
    return error.errno in _numbers("EAFNOSUPPORT", "EADDRNOTAVAIL", "WSAEAFNOSUPPORT")
