"""Accepting connections: with a bound, and through times without descriptors."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.errors import AddressInUseError, SocketException, translate
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking import HostName, NetworkAdapter
from winsockets.transports._adapter_binding import addresses_of, confines
from winsockets.transports._admission import Admission
from winsockets.transports._describe import describe_address
from winsockets.transports._local_addresses import local_addresses
from winsockets.transports._socket_options import StreamOptions, set_low_latency
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._stream_transport import ServerTransport

__all__ = ["LARGEST_BACKLOG", "ListeningPort", "StreamFactory", "listen_on", "listen_stream"]

_log = Logger(namespace="winsockets")


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


# accept(2) hands over errors of the one connection that was about to be accepted.
_THAT_CONNECTION = _numbers(
    "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH",
    "EOPNOTSUPP", "ENETUNREACH", "EPERM", "WSAECONNRESET",
)  # fmt: skip
_MISSING_FAMILY = _numbers("EAFNOSUPPORT", "EADDRNOTAVAIL", "WSAEAFNOSUPPORT")
LARGEST_BACKLOG = max(socket.SOMAXCONN, 65_535)
"""Linux and the BSDs cut this down to their own maximum; Windows wants its own constant."""
_ALL_INTERFACES = ("::", "0.0.0.0")
_PORT_TRIES = 16


class StreamFactory(ServerFactory):
    """Builds the protocol of each connection, for any endpoint to listen or connect with.

    Args:
        reactor: keeps the deadlines.
        limits: the bounds of each connection.
        on_connected: called with each protocol once it is connected.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        limits: Limits = DEFAULT_LIMITS,
        on_connected: Callable[[StreamProtocol], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._on_connected = on_connected

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol:
        """Build one."""
        return StreamProtocol(self._reactor, self._limits, self._on_connected)


class ListeningPort(tcp.Port):
    """A port that stops accepting instead of accepting and closing.

    Args:
        interface: the numeric address to listen on; its family decides the socket's.
        port: 0 lets the system choose.
        factory: builds the protocols.
        options: set on the socket, and by it on the accepted ones.
        limits: ``read_size`` and ``accepts_per_turn`` count here.
        admission: decides when it accepts; ports of one listener share one.
        reactor: an IReactorFDSet.
        backlog: how many clients the system holds until they are accepted, within its own maximum.
    """

    transport: Any = ServerTransport
    local_name: tuple[Any, ...] | None = None
    """The local socket address of every connection, unless it listens on all interfaces."""

    def __init__(
        self,
        interface: str,
        port: int,
        *,
        factory: IProtocolFactory,
        options: StreamOptions,
        limits: Limits,
        admission: Admission,
        reactor: Any,
        backlog: int = LARGEST_BACKLOG,
    ) -> None:
        tcp.Port.__init__(self, port, factory, backlog, interface, reactor)
        self._options = options
        self._limits = limits
        self._admission = admission

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

    def startListening(self) -> None:
        """Bind and listen, and accept while the admission says so.

        Unlike Twisted's it says nothing in the log, holds no descriptor in reserve, and leaves no socket open
        when the system refuses to listen.

        Raises:
            CannotListenError: the system refuses.
        """
        try:
            skt = self.createInternetSocket()
            try:
                skt.bind(self._sockaddr())
                skt.listen(self.backlog)
            except OSError:
                skt.close()
                raise
        except OSError as problem:
            raise CannotListenError(self.interface, self.port, problem) from problem
        name = skt.getsockname()
        self._realPortNumber = name[1]
        if name[0] not in _ALL_INTERFACES:
            self.local_name = name
        self.socket = skt
        self.fileno = skt.fileno  # type: ignore[method-assign]  # as Twisted does
        self.connected = True
        cast(IProtocolFactory, self.factory).doStart()
        self.startReading()
        self._admission.add(self)

    def _sockaddr(self) -> Any:
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return socket.getaddrinfo(self.interface, self.port, type=self.socketType, flags=flags)[0][4]

    def _logConnectionLostMsg(self) -> None:
        """Say nothing: who closes it has more to say."""

    @property
    def number(self) -> int:
        """The port number, while it listens."""
        return int(self.getHost().port)

    def open_gate(self) -> None:
        """Accept."""
        if not self.disconnecting:
            self.startReading()

    def close_gate(self) -> None:
        """Do not accept; the system's backlog holds the clients."""
        self.stopReading()

    def connection_ended(self) -> None:
        """Hear from a connection that it is gone."""
        self._admission.left()

    def doRead(self) -> None:
        """Accept what waits, within the bounds."""
        for _ in range(self._limits.accepts_per_turn):
            if not self._admission.accepting or self.disconnecting:
                return
            try:
                number, address = cast(Any, self.socket)._accept()
            except BlockingIOError:
                self._admission.relieved()
                return
            except OSError as problem:
                if problem.errno in _THAT_CONNECTION:
                    continue
                where = describe_address(self.interface, self.number)
                self._admission.shortage(translate(problem, f"accept on {where}"))
                return
            # What socket.accept() does, but asks the listening socket for its family and type each time.
            skt = socket.socket(self.addressFamily, self.socketType, fileno=number)
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
        if sys.platform == "win32":
            # Linux and the BSDs give an accepted socket the options of the listening one.
            self._options.apply(skt)
        elif self._options.low_latency:
            # But Linux not its priority.
            set_low_latency(skt)
        # Our own factory does not look at the address.
        peer = None if type(self.factory) is StreamFactory else self._buildAddr(address)
        protocol = cast(Any, self.factory).buildProtocol(peer)
        if protocol is None:
            skt.close()
            return
        self.sessionno += 1
        transport = self.transport(skt, protocol, address, self)
        transport.bufferSize = self._limits.read_size
        transport.reads_per_turn = self._limits.reads_per_turn
        self._admission.entered()
        try:
            protocol.makeConnection(transport)
        except Exception:
            transport.abortConnection()
            _log.failure("A connection from {peer} could not be announced", peer=address)

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket."""
        self._admission.discard(self)
        super().connectionLost(reason)


async def listen_on(
    host: HostName | None,
    port: int,
    build: Callable[[str, int], ListeningPort],
    *,
    reactor: Any,
    limits: Limits,
    adapter: NetworkAdapter | None = None,
) -> list[ListeningPort]:
    """Listen on the addresses of a local name.

    Args:
        host: an address of this machine, or a name whose addresses are; None is all interfaces, those of both
            families each by a socket of its own.
        port: 0 lets the system choose a number that is free on all.
        build: makes a port for an address and a number.
        reactor: finds the name.
        limits: ``resolve_timeout`` and ``max_addresses`` count here.
        adapter: which one the ports are bound to, if they are; then all interfaces are that one.

    Returns:
        The listening ports, at least one.

    Raises:
        SocketException: as ``local_addresses`` and ``listen_stream`` say; nothing listens.
    """
    interfaces: tuple[str, ...] = _ALL_INTERFACES
    if host is not None:
        addresses = await local_addresses(host, port, reactor=reactor, limits=limits, adapter=adapter)
        interfaces = tuple(address.host for address in addresses)
    elif adapter is not None and not confines(adapter):
        interfaces = tuple(address.host for address in addresses_of(adapter))
    return listen_stream(build, interfaces, port)


def listen_stream(
    build: Callable[[str, int], ListeningPort], interfaces: tuple[str, ...], port: int
) -> list[ListeningPort]:
    """Listen on several addresses with one port number.

    Args:
        build: makes a port for an address and a number.
        interfaces: numeric addresses, at least one. Where there are several, one whose family this system
            does not have is left out.
        port: 0 lets the system choose a number that is free on all.

    Returns:
        The listening ports, at least one.

    Raises:
        AddressInUseError: an address is taken; nothing listens.
        SocketException: as the system says; nothing listens.
    """
    # What the system chooses for the first address may be taken on another one: then it chooses again.
    for _ in range(_PORT_TRIES - 1 if port == 0 and len(interfaces) > 1 else 0):
        with suppress(AddressInUseError):
            return _listen_on_each(build, interfaces, port)
    return _listen_on_each(build, interfaces, port)


def _listen_on_each(
    build: Callable[[str, int], ListeningPort], interfaces: tuple[str, ...], port: int
) -> list[ListeningPort]:
    ports: list[ListeningPort] = []
    missing: SocketException | None = None
    try:
        for interface in interfaces:
            try:
                ports.append(_listen(build, interface, ports[0].number if ports else port))
            except SocketException as problem:
                if problem.errno not in _MISSING_FAMILY:
                    raise
                missing = problem
    except SocketException:
        for listening in ports:
            listening.connectionLost(connectionDone)
        raise
    if not ports and missing is not None:
        try:
            raise missing
        finally:
            del missing  # its traceback refers to this frame
    return ports


def _listen(build: Callable[[str, int], ListeningPort], interface: str, number: int) -> ListeningPort:
    listening = build(interface, number)
    try:
        listening.startListening()
    except Exception as problem:
        raise translate(problem, f"listen on {describe_address(interface, number)}") from problem
    return listening
