"""StreamSocket: an awaitable TCP connection."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Self, overload

from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from winsockets.errors import (
    IllegalMethodCallError,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, IClosable, Limits
from winsockets.networking import EndpointPair, HostName, HostNameSortOptions, NetworkAdapter
from winsockets.networking._destination import Destination, destination
from winsockets.networking._endpoint_pair import as_endpoint_pair
from winsockets.networking._hostname import as_host_name
from winsockets.networking._name_servers import NameServers, as_name_servers
from winsockets.networking._pairing import as_sort_options, get_endpoint_pairs
from winsockets.networking._services import as_service_name, local_port
from winsockets.sockets._closing import Closing
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._link import Link, global_reactor
from winsockets.sockets._protection import as_level
from winsockets.sockets._stream_control import StreamSocketControl, stream_options
from winsockets.sockets._stream_information import StreamSocketInformation
from winsockets.sockets._stream_streams import SocketInputStream, SocketOutputStream
from winsockets.sockets._tls_client import client_creator
from winsockets.transports import (
    StreamFactory,
    StreamOptions,
    StreamProtocol,
    TlsClientCreator,
    TlsFactory,
    TlsLayer,
    upgrade_to_tls,
)
from winsockets.transports._adapter_binding import as_adapter
from winsockets.transports._endpoints import connect_through
from winsockets.transports._reaching import reach

__all__ = ["StreamSocket"]


@implementer(IClosable)
class StreamSocket(Closing):
    """A TCP connection, plain or under TLS, that is read and written with ``await``.

    Set ``control``, await one ``connect_async``, use ``input_stream`` and ``output_stream``, ``close``. A
    failed connect leaves the socket as it was, to be tried again. As a context manager it closes at the
    end; ``async with`` also waits until the transport is gone. A socket that nobody refers to any more (nor
    to its streams) is closed in good order, with a ResourceWarning unless a listener made it.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver; the installed reactor
            when left out.

    Source: WinRT StreamSocket.
    """

    # Made when they are first asked for; accepted sockets share their control.
    _control: StreamSocketControl | None = None
    _information: StreamSocketInformation | None = None
    _input_stream: SocketInputStream | None = None
    _output_stream: SocketOutputStream | None = None

    _connecting: AsyncOperation[None] | None = None

    def __init__(self, *, reactor: Any = None) -> None:
        self._reactor = global_reactor(reactor)
        self._link = Link(self._reactor)

    @classmethod
    def _over(cls, protocol: StreamProtocol, reactor: Any, control: StreamSocketControl) -> Self:
        """Make the socket of an accepted connection."""
        self = cls(reactor=reactor)
        self._control = control
        self._link.accepted = True
        self._link.connect(protocol)
        return self

    @classmethod
    def from_endpoint(
        cls, endpoint: Any, *, reactor: Any = None, limits: Limits = DEFAULT_LIMITS
    ) -> AsyncOperation[Self]:
        """Connect through an endpoint of Twisted's (an addition to WinRT).

        Args:
            endpoint: an IStreamClientEndpoint of any kind: TCP, TLS, UNIX, a process ...
            reactor: an IReactorTime and IReactorFromThreads, the endpoint's; the installed reactor when left
                out.
            limits: bounds and deadlines of the connection; those of connecting are the endpoint's.

        Returns:
            An operation that yields a socket, connected. It fails with the endpoint's error, translated.
            Failed or cancelled, it leaves no connection behind.

        Source: IStreamClientEndpoint.
        """
        return AsyncOperation.run(cls._through(endpoint, global_reactor(reactor), limits))

    @classmethod
    async def _through(cls, endpoint: Any, reactor: Any, limits: Limits) -> Self:
        self = cls.from_protocol(await connect_through(endpoint, reactor, limits), reactor=reactor)
        self._link.accepted = False
        self.control._lock("on a connected socket", upgradable=True)
        return self

    @classmethod
    def from_protocol(cls, protocol: StreamProtocol, *, reactor: Any = None) -> Self:
        """Make a socket of a connected protocol (an addition to WinRT).

        With a StreamFactory that calls it, any endpoint of Twisted's that listens gives sockets. Such a
        socket is closed in good order when nobody refers to it any more, as an accepted one is. Its control
        refuses changes; its information has what the transport knows.

        Args:
            protocol: connected; it belongs to the socket from now on.
            reactor: an IReactorTime and IReactorFromThreads, the protocol's; the installed reactor when left
                out.

        Raises:
            IllegalMethodCallError: the protocol has no transport yet.
        """
        if protocol.transport is None:
            raise IllegalMethodCallError("from_protocol: the protocol is not connected; connect it first")
        control = StreamSocketControl()
        control.limits = protocol.limits
        control._lock("on a connected socket")
        self = cls._over(protocol, global_reactor(reactor), control)
        self.information._remember()
        return self

    @property
    def control(self) -> StreamSocketControl:
        """Settings, to be made before connecting."""
        made = self._control
        if made is None:
            made = self._control = StreamSocketControl()
        return made

    @property
    def information(self) -> StreamSocketInformation:
        """Addresses, names, protection and statistics."""
        made = self._information
        if made is None:
            made = self._information = StreamSocketInformation(self._link)
        return made

    @property
    def input_stream(self) -> SocketInputStream:
        """What the peer sends; usable once connected."""
        made = self._input_stream
        if made is None:
            made = self._input_stream = SocketInputStream(self._link)
        return made

    @property
    def output_stream(self) -> SocketOutputStream:
        """What is sent to the peer; usable once connected."""
        made = self._output_stream
        if made is None:
            made = self._output_stream = SocketOutputStream(self._link)
        return made

    @overload
    def connect_async(self, endpoint_pair: EndpointPair, /) -> AsyncOperation[None]: ...

    @overload
    def connect_async(
        self,
        remote_host_name: HostName | str,
        remote_service_name: str | int,
        protection_level: SocketProtectionLevel = SocketProtectionLevel.PLAIN_SOCKET,
        /,
    ) -> AsyncOperation[None]: ...

    @overload
    def connect_async(
        self,
        remote_host_name: HostName | str,
        remote_service_name: str | int,
        protection_level: SocketProtectionLevel,
        adapter: NetworkAdapter,
        /,
    ) -> AsyncOperation[None]: ...

    def connect_async(self, *arguments: Any) -> AsyncOperation[None]:
        """Connect: ``(endpoint_pair)`` or ``(host, service[, protection_level[, adapter]])``.

        All addresses of the host are raced, each attempt 250 ms after the one before or as soon as one
        failed, unless ``control.serialize_connection_attempts``. With a TLS level the operation ends when
        the handshake is done and the server verified: its certificate has to be for the host. The level is
        the highest version, ``control.min_protection_level`` the lowest.

        Args:
            arguments: a HostName (or str) and a service name: a port, as text or int, a name from the
                services file, or else one that SRV records of the host tell about ("xmpp-client"); and the
                NetworkAdapter to connect through. Or an EndpointPair, whose local half says where to connect
                from.

        Returns:
            An operation without a result. It fails with the status of the attempt that tells most:
            CONNECTION_REFUSED, HOST_NOT_FOUND, CONNECTION_TIMED_OUT ...; a handshake with that of the
            certificate, or with CONNECTION_TIMED_OUT after ``limits.handshake_timeout``; an adapter that is
            gone with CANNOT_ASSIGN_REQUESTED_ADDRESS, a zone of the host that is not the adapter's with
            E_INVALIDARG. Failed or cancelled (status CANCELED) it leaves the socket unconnected, ready to be
            tried again; ``information.server_certificate`` and its errors can be read, and ``control`` be
            changed.

        Raises:
            InvalidArgumentError: no host, no service, a port out of range, a level that is not offered or
                below the floor, None for an adapter.
            IllegalMethodCallError: the socket is connecting, or was connected.
            ObjectClosedError: it was closed.
            UnknownServiceError: the services file does not know the service, and the host is an address or
                ``localhost``. (Of a name the operation fails so, when no SRV record knows the service.)

        Source: WinRT StreamSocket.ConnectAsync; RFC 2782; RFC 8305; RFC 8446; RFC 9525.
        """
        if len(arguments) == 1:
            return self._connect_pair(arguments[0], SocketProtectionLevel.PLAIN_SOCKET)
        if not 2 <= len(arguments) <= 4:
            raise TypeError(
                "connect_async takes (endpoint_pair) or (host, service[, protection_level[, adapter]])"
            )
        level = as_level(arguments[2]) if len(arguments) > 2 else SocketProtectionLevel.PLAIN_SOCKET
        adapter = as_adapter(arguments[3]) if len(arguments) > 3 else None
        return self._start(as_host_name(arguments[0]), as_service_name(arguments[1]), level, adapter=adapter)

    def connect_with_endpoint_pair_and_protection_level_async(
        self, endpoint_pair: EndpointPair, protection_level: SocketProtectionLevel, /
    ) -> AsyncOperation[None]:
        """Connect to the remote half of a pair with a protection level; see ``connect_async``.

        Source: WinRT StreamSocket.ConnectAsync.
        """
        return self._connect_pair(endpoint_pair, as_level(protection_level))

    def _connect_pair(
        self, endpoint_pair: EndpointPair, level: SocketProtectionLevel
    ) -> AsyncOperation[None]:
        pair = as_endpoint_pair(endpoint_pair)
        return self._start(
            pair.remote_host_name,
            pair.remote_service_name,
            level,
            local=(pair.local_host_name, pair.local_service_name),
        )

    def _start(
        self,
        host: HostName,
        service: str,
        level: SocketProtectionLevel,
        *,
        local: tuple[HostName | None, str] = (None, ""),
        adapter: NetworkAdapter | None = None,
    ) -> AsyncOperation[None]:
        if self._link.closed:
            raise ObjectClosedError("connect_async: the socket was closed; make a new one")
        if self._connecting is not None:
            raise IllegalMethodCallError("connect_async: the socket is connecting already")
        if self._link.protocol is not None:
            raise IllegalMethodCallError("connect_async: the socket was connected before; make a new one")
        wanted = destination(host, service, "tcp")
        source = (local[0], local_port(local[1], "tcp"))
        creator = None
        if level is not SocketProtectionLevel.PLAIN_SOCKET:
            creator = client_creator(self.control, host, wanted.port or service, level)
        self.control._lock("while the socket is connecting")
        self.information._refused = None
        options = stream_options(self.control, adapter)
        operation = AsyncOperation.run(self._connect(wanted, source=source, options=options, creator=creator))
        if not operation.called:
            self._connecting = operation
        return operation

    async def _connect(
        self,
        wanted: Destination,
        *,
        source: tuple[HostName | None, int],
        options: StreamOptions,
        creator: TlsClientCreator | None,
    ) -> None:
        limits = self.control.limits
        factory: ServerFactory = StreamFactory(self._reactor, limits)
        if creator is not None:
            factory = TlsFactory(
                creator,
                factory,
                server=False,
                reactor=self._reactor,
                limits=limits,
                require_close_notify=self.control.require_close_notify,
            )
        try:
            reaching = reach(
                wanted,
                factory,
                reactor=self._reactor,
                options=options,
                limits=limits,
                serialize=self.control.serialize_connection_attempts,
                local_host=source[0],
                local_port=source[1],
                name_servers=as_name_servers(self.control.name_servers),
            )
            protocol = await (reaching if creator is None else self._secured(reaching))
        except BaseException as problem:
            self._connecting = None
            if self._link.closed:
                raise OperationAbortedError(f"connect to {wanted.host}: aborted by close") from problem
            self.control._unlock()
            raise
        self._connecting = None
        self.control._lock("after the socket was connected", upgradable=creator is None)
        self.information._asked_for = (wanted.host, wanted.service)
        self._link.connect(protocol)

    async def _secured(self, reaching: Coroutine[Any, Any, TlsLayer]) -> StreamProtocol:
        """Wait for the connection and the handshake; what that has found out stays readable."""
        layer = await reaching
        try:
            await layer.when_secured()
            return layer.protocol
        except BaseException:
            self.information._refused = layer.verification
            raise
        finally:
            # Its error stays with it, and this frame with the error.
            del layer

    def upgrade_to_ssl_async(
        self, protection_level: SocketProtectionLevel, validation_host_name: HostName | str, /
    ) -> AsyncOperation[None]:
        """Put TLS on a plain connection, in the role of the client (STARTTLS).

        First read the peer's consent to its end, and let no read or write be pending; a DataReader or
        DataWriter is detached before. Streams stay the same objects. What is to count in the handshake can be
        set on ``control`` until this call.

        Args:
            protection_level: the highest version; ``control.min_protection_level`` is the lowest.
            validation_host_name: whom the server's certificate has to be for, normally the host connected to.

        Returns:
            An operation without a result, which ends when the handshake is done and the server verified. It
            fails as ``connect_async`` does. Failed or cancelled it leaves the connection broken off.

        Raises:
            BusyError: a read or a write is pending. The connection stays.
            IllegalMethodCallError: the socket is not connected, was accepted by a listener, has TLS already,
                or one of its directions has ended or was closed.
            InvalidArgumentError: the level is PLAIN_SOCKET, not offered, or below the floor; no host; or
                bytes that arrived before TLS are unread, which an attacker may have sent. The connection
                stays.
            ObjectClosedError: the socket was closed.

        Source: WinRT StreamSocket.UpgradeToSslAsync; RFC 3207 section 4.2.
        """
        level = as_level(protection_level)
        if level is SocketProtectionLevel.PLAIN_SOCKET:
            raise InvalidArgumentError(
                "protection_level: PLAIN_SOCKET is no upgrade; use TLS12, TLS13 or UNSPECIFIED"
            )
        host = as_host_name(validation_host_name, "validation_host_name")
        protocol = self._link.protocol
        if self._link.closed:
            raise ObjectClosedError("upgrade_to_ssl_async: the socket was closed")
        if protocol is None:
            raise IllegalMethodCallError(
                "upgrade_to_ssl_async: the socket is not connected; await connect_async first"
            )
        if self._link.accepted:
            raise IllegalMethodCallError(
                "upgrade_to_ssl_async: an accepted socket is a server's, and only a client upgrades"
            )
        if self._link.input is None or self._link.output is None:
            raise IllegalMethodCallError("upgrade_to_ssl_async: a stream of the socket was closed")
        creator = client_creator(self.control, host, self.information.remote_port, level)
        layer = upgrade_to_tls(protocol, creator, require_close_notify=self.control.require_close_notify)
        self.control._lock("after the TLS handshake began")
        operation = AsyncOperation.run(self._upgrade(layer))
        if not operation.called:
            self._connecting = operation
        return operation

    async def _upgrade(self, layer: TlsLayer) -> None:
        try:
            await layer.when_secured()
        except BaseException as problem:
            if self._link.closed:
                raise OperationAbortedError("upgrade_to_ssl_async: aborted by close") from problem
            raise
        finally:
            self._connecting = None

    def close(self) -> None:
        """Close the socket.

        A pending connect, upgrade or read ends with OperationAbortedError. Writes that were accepted are
        still sent, for at most ``limits.close_timeout`` seconds. The peer sees the end of the stream, or a
        reset if it sent something that was never read. Once is enough, more often does no harm; it does
        not block: await ``wait_closed_async`` for the end.

        Source: WinRT StreamSocket.Close.
        """
        if self._link.closed:
            return
        if not self._link.accepted:
            self.control._lock("after the socket was closed")
        self._link.close()
        if self._connecting is not None:
            self._connecting.cancel()

    def cancel_io_async(self) -> AsyncOperation[None]:
        """End every pending read and write with OperationAbortedError; the connection stays.

        Returns:
            An operation that has ended: nothing is pending any more. The rest of a write of which some
            bytes have left is still sent.

        Raises:
            ObjectClosedError: the socket was closed.

        Source: WinRT StreamSocket.CancelIOAsync.
        """
        if self._link.closed:
            raise ObjectClosedError("cancel_io_async: the socket was closed")
        if self._link.protocol is not None:
            self._link.protocol.cancel_io()
        return AsyncOperation.from_result(None)

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the transport is gone, after ``close`` or by a reset (an addition to WinRT).

        Returns:
            An operation without a result; without a connection it has ended. Cancelling it only ends the
            waiting.
        """
        protocol = self._link.protocol
        return protocol.when_lost() if protocol is not None else AsyncOperation.from_result(None)

    @staticmethod
    def get_endpoint_pairs_async(
        remote_host_name: HostName | str,
        remote_service_name: str | int,
        sort_options: HostNameSortOptions = HostNameSortOptions.NONE,
        /,
        *,
        name_servers: NameServers = (),
    ) -> AsyncOperation[list[EndpointPair]]:
        """Find the addresses of a service as pairs for ``connect_async``, best first.

        Args:
            remote_host_name: the host.
            remote_service_name: the service, as for ``connect_async``; the pairs have its ports.
            sort_options: OPTIMIZE_FOR_LONG_CONNECTIONS keeps the best addresses together; NONE alternates.
            name_servers: whom to ask (an addition to WinRT); see ``StreamSocketControl.name_servers``.

        Returns:
            One pair for each address, the local half filled in. With SRV records those of the preferred
            target come first.

        Raises:
            InvalidArgumentError: no host or no service, or options that mean nothing.
            UnknownServiceError: as for ``connect_async``.

        Source: WinRT StreamSocket.GetEndpointPairsAsync.
        """
        wanted = destination(as_host_name(remote_host_name), as_service_name(remote_service_name), "tcp")
        order = as_sort_options(sort_options)
        servers = as_name_servers(name_servers)
        return AsyncOperation.run(
            get_endpoint_pairs(wanted, reactor=global_reactor(None), sort_options=order, name_servers=servers)
        )

    def __repr__(self) -> str:
        """Show the peer and the state."""
        protocol = self._link.protocol
        state = ", closed" if self._link.closed else ""
        if protocol is None:
            return f"<StreamSocket not connected{state}>"
        return f"<StreamSocket with {protocol.peer}{state}>"
