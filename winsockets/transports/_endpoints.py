"""Twisted's endpoints over the transports of this library, and stream protocols over any endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from winsockets.errors import InvalidArgumentError, SocketException, translate
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, Limits
from winsockets.networking import HostName
from winsockets.networking._destination import destination
from winsockets.networking._hostname import as_host_name
from winsockets.networking._name_servers import NameServers, as_name_servers
from winsockets.networking._services import as_service_name, local_port
from winsockets.transports._admission import Admission
from winsockets.transports._describe import describe_address
from winsockets.transports._listening import LARGEST_BACKLOG, ListeningPort, StreamFactory, listen_on
from winsockets.transports._reaching import reach
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_protocol import StreamProtocol

__all__ = ["StreamClientEndpoint", "StreamServerEndpoint", "connect_through"]

_DEFAULT_OPTIONS = StreamOptions()


def _as_options(value: StreamOptions) -> StreamOptions:
    given: object = value
    if not isinstance(given, StreamOptions):
        raise TypeError(f"options is a StreamOptions, not {type(given).__name__}")
    return value


@implementer(IStreamClientEndpoint)
class StreamClientEndpoint:
    """Connects protocols of any kind to a TCP port, in the way of StreamSocket.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver.
        host: a name or an address.
        port: 1 to 65535, a name from the services file, or the name of a service that SRV records of the
            host tell about.
        bind_address: the local address to connect from, or a name that has it; None leaves it to the system.
        options: what the socket is set to before it connects, and the network adapter it goes through.
        limits: ``resolve_timeout``, ``connect_timeout`` and what else bounds connecting; and ``read_size``.
        name_servers: whom to ask for services and addresses, as for ``StreamSocketControl.name_servers``.

    Raises:
        InvalidArgumentError: no host, or no port, or a name server is none.
        UnknownServiceError: the services file does not know the name, and the host is an address or
            ``localhost``.

    Source: IStreamClientEndpoint; RFC 8305; RFC 2782.
    """

    def __init__(
        self,
        reactor: Any,
        host: HostName | str,
        port: int | str,
        *,
        bind_address: HostName | str | None = None,
        options: StreamOptions = _DEFAULT_OPTIONS,
        limits: Limits = DEFAULT_LIMITS,
        name_servers: NameServers = (),
    ) -> None:
        self._reactor = reactor
        self._wanted = destination(as_host_name(host, "host"), as_service_name(port, "port"), "tcp")
        self._bind_address = as_host_name(bind_address, "bind_address") if bind_address is not None else None
        self._options = _as_options(options)
        self._limits = limits
        self._name_servers = as_name_servers(name_servers)

    def connect(self, protocolFactory: Any) -> AsyncOperation[Any]:
        """Connect a protocol.

        Args:
            protocolFactory: an IProtocolFactory, which builds the protocol once there is a connection.

        Returns:
            An operation that yields the protocol, connected. It fails as ``StreamSocket.connect_async`` does;
            with NoProtocol when the factory builds none; with what the factory or the protocol's
            ``makeConnection`` raised. Cancelled or failed, it leaves nothing behind.
        """
        return AsyncOperation.run(
            reach(
                self._wanted,
                protocolFactory,
                reactor=self._reactor,
                options=self._options,
                limits=self._limits,
                local_host=self._bind_address,
                name_servers=self._name_servers,
            )
        )

    def __repr__(self) -> str:
        """Show where to."""
        return f"<StreamClientEndpoint to {self._wanted}>"


@implementer(IStreamServerEndpoint)
class StreamServerEndpoint:
    """Accepts TCP connections for protocols of any kind, in the way of StreamSocketListener.

    At ``max_connections``, and while no descriptor is free, accepting pauses and clients wait in the
    system's backlog.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver.
        port: 0 to 65535, or a name from the services file; 0 lets the system choose.
        interface: a local address, or a name that has it; None is all interfaces, IPv6 and IPv4.
        backlog: how many clients the system holds until they are accepted, at least 1; it keeps to its own
            maximum.
        max_connections: how many connections of one listening port may be open at once, at least 1; None for
            any number.
        options: what the listening socket and those that it accepts are set to. With a network adapter all
            interfaces are that one.
        limits: ``accepts_per_turn``, ``accept_retry``, ``read_size`` and ``resolve_timeout`` count.

    Raises:
        InvalidArgumentError: a value is out of range.
        UnknownServiceError: the services file does not know the name.

    Source: IStreamServerEndpoint.
    """

    def __init__(
        self,
        reactor: Any,
        port: int | str,
        *,
        interface: HostName | str | None = None,
        backlog: int = LARGEST_BACKLOG,
        max_connections: int | None = None,
        options: StreamOptions = _DEFAULT_OPTIONS,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if backlog < 1:
            raise InvalidArgumentError(f"backlog: {backlog} is less than 1")
        if max_connections is not None and max_connections < 1:
            raise InvalidArgumentError(
                f"max_connections: {max_connections} is less than 1; None is any number"
            )
        self._reactor = reactor
        self._port = local_port(as_service_name(port, "port"), "tcp")
        self._interface = as_host_name(interface, "interface") if interface is not None else None
        self._backlog = backlog
        self._max_connections = max_connections
        self._options = _as_options(options)
        self._limits = limits

    def listen(self, protocolFactory: Any) -> AsyncOperation[Any]:
        """Listen, and build a protocol for each connection.

        Args:
            protocolFactory: an IProtocolFactory, which builds the protocols; a connection for which it builds
                none is closed.

        Returns:
            An operation that yields the IListeningPort, one for all addresses. It fails with
            ADDRESS_ALREADY_IN_USE and its like; failed or cancelled, it leaves nothing behind.
        """
        return AsyncOperation.run(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        admission = Admission(self._reactor, self._limits, self._max_connections)

        def build(interface: str, number: int) -> ListeningPort:
            return ListeningPort(
                interface,
                number,
                factory=factory,
                options=self._options,
                limits=self._limits,
                admission=admission,
                reactor=self._reactor,
                backlog=self._backlog,
            )

        ports = await listen_on(
            self._interface,
            self._port,
            build,
            reactor=self._reactor,
            limits=self._limits,
            adapter=self._options.adapter,
        )
        return ports[0] if len(ports) == 1 else _Ports(ports)

    def __repr__(self) -> str:
        """Show where."""
        interface = str(self._interface) if self._interface is not None else "all interfaces"
        return f"<StreamServerEndpoint on {describe_address(interface, self._port)}>"


@implementer(IListeningPort)
class _Ports:
    """The ports of several addresses, as one."""

    def __init__(self, ports: Sequence[ListeningPort]) -> None:
        self._ports = ports

    def startListening(self) -> None:
        """Listen on all."""
        for port in self._ports:
            port.startListening()

    def stopListening(self) -> Deferred[None]:
        """Listen on none; the Deferred ends when all are closed."""
        stopping = [maybeDeferred(port.stopListening) for port in self._ports]
        return gatherResults(stopping).addCallback(lambda _: None)

    def getHost(self) -> IAddress:
        """Return the address of the first; the port number is that of all."""
        return cast(IAddress, self._ports[0].getHost())


async def connect_through(endpoint: Any, reactor: Any, limits: Limits) -> StreamProtocol:
    """Connect a stream protocol through an endpoint of any kind.

    Args:
        endpoint: an IStreamClientEndpoint.
        reactor: keeps the protocol's deadlines.
        limits: the protocol's bounds.

    Returns:
        The protocol, connected.

    Raises:
        SocketException: the endpoint's error, translated. What was connected before that, or is connected
            after it by an endpoint that cannot be cancelled, is broken off.
    """
    problem: SocketException | None = None
    arrived: list[StreamProtocol] = []

    def connected(protocol: StreamProtocol) -> None:
        if problem is None:
            arrived.append(protocol)
        else:
            protocol.abort(problem)

    connecting: Deferred[Any] = maybeDeferred(endpoint.connect, StreamFactory(reactor, limits, connected))

    def cancel(outcome: Deferred[Any]) -> None:
        # First, because an endpoint may say something else of it, and say it later.
        outcome.errback(CancelledError())
        connecting.cancel()

    def pass_on(result: Any) -> None:
        if not outcome.called:
            outcome.callback(result)

    outcome: Deferred[Any] = Deferred(cancel)
    connecting.addBoth(pass_on)
    try:
        return cast(StreamProtocol, await outcome)
    except Exception as error:
        problem = translate(error, f"connect through {type(endpoint).__name__}")
    for protocol in arrived:
        protocol.abort(problem)
    raise problem
