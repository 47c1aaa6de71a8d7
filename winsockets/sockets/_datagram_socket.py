"""DatagramSocket: awaitable UDP."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NamedTuple, overload

from zope.interface import implementer

from winsockets.errors import IllegalMethodCallError, NameResolutionError, SocketException
from winsockets.foundation import AsyncOperation, Event, EventRegistrationToken, IClosable
from winsockets.networking import (
    EndpointPair,
    HostName,
    HostNameSortOptions,
    HostNameType,
    NetworkAdapter,
)
from winsockets.networking._address import Address, is_multicast, literal_address
from winsockets.networking._destination import Destination, destination
from winsockets.networking._endpoint_pair import as_endpoint_pair
from winsockets.networking._hostname import as_host_name
from winsockets.networking._locating import locate
from winsockets.networking._name_servers import NameServers, as_name_servers
from winsockets.networking._pairing import as_sort_options, get_endpoint_pairs
from winsockets.networking._services import as_service_name, local_port, remote_port
from winsockets.sockets._closing import Closing
from winsockets.sockets._datagram_binding import WILDCARDS
from winsockets.sockets._datagram_control import DatagramSocketControl
from winsockets.sockets._datagram_groups import DatagramGroups
from winsockets.sockets._datagram_inbox import Inbox, MessageQueue
from winsockets.sockets._datagram_information import DatagramSocketInformation
from winsockets.sockets._datagram_link import DatagramLink
from winsockets.sockets._datagram_message import DatagramSocketMessageReceivedEventArgs
from winsockets.sockets._datagram_streams import BROADCAST, BroadcastOutputStream, DatagramOutputStream
from winsockets.sockets._link import global_reactor
from winsockets.transports._adapter_binding import as_adapter, lookup_through
from winsockets.transports._describe import describe_address
from winsockets.transports._local_addresses import local_addresses

__all__ = ["DatagramSocket"]

_NUMERIC = (HostNameType.IPV4, HostNameType.IPV6)


class _Target(NamedTuple):
    """Where to connect or to send, and where from: a pair as it was when the call was made."""

    wanted: Destination
    local_host: HostName | None
    local_port: int


@implementer(IClosable)
class DatagramSocket(Closing):
    """A UDP socket that is written with ``await`` and hands datagrams to ``message_received``.

    Set ``control``, attach a handler to ``message_received`` (or take ``messages()``), then bind, connect, or
    just write to a stream of ``get_output_stream_async``; ``close``. Datagrams come one at a time, in the
    order of arrival; a handler is a function or a coroutine function of (socket, args). Errors of receiving
    come as events too, whose args raise them: a refusal by a connected peer does not harm the socket.

    As a context manager it closes at the end; ``async with`` also waits until the port is free.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver; the installed reactor
            when left out.

    Source: WinRT DatagramSocket.
    """

    def __init__(self, *, reactor: Any = None) -> None:
        self._reactor = global_reactor(reactor)
        self._link = DatagramLink(self._reactor, Inbox(self))
        self._information = DatagramSocketInformation(
            self._link.transports, self._link.ears, self._link.inbox
        )
        self._output_stream = DatagramOutputStream(self._link, None)
        self._groups = DatagramGroups(self._link)
        self._received: Event[DatagramSocket, DatagramSocketMessageReceivedEventArgs] = Event(
            "DatagramSocket.message_received", self._link.check_attachable
        )

    @property
    def control(self) -> DatagramSocketControl:
        """Settings, to be made before binding or connecting."""
        return self._link.control

    @property
    def information(self) -> DatagramSocketInformation:
        """Addresses and ports."""
        return self._information

    @property
    def output_stream(self) -> DatagramOutputStream:
        """Sends to the connected peer; usable once connected."""
        return self._output_stream

    # The event

    @property
    def message_received(self) -> Event[DatagramSocket, DatagramSocketMessageReceivedEventArgs]:
        """The event of a received datagram, for ``+=`` and ``-=``."""
        return self._received

    @message_received.setter
    def message_received(self, event: Event[DatagramSocket, DatagramSocketMessageReceivedEventArgs]) -> None:
        if event is not self._received:
            raise TypeError("message_received takes += and -=, not an assignment")

    def add_message_received(self, handler: Any, /) -> EventRegistrationToken:
        """Attach a handler of (socket, args) and return the token that removes it.

        Raises:
            IllegalMethodCallError: the socket is bound or connected already.

        Source: WinRT DatagramSocket.MessageReceived.
        """
        return self._received.add(handler)

    def remove_message_received(self, token: EventRegistrationToken, /) -> None:
        """Detach the handler of a token; an unknown token is ignored."""
        self._received.remove(token)

    def messages(self) -> MessageQueue:
        """Return an asynchronous iterator over received datagrams (an addition to WinRT).

        Call it before binding or connecting. At most ``limits.message_queue`` wait in it; the newest is
        dropped and counted in ``information.dropped_messages``. An error of receiving comes as a message
        too. When the socket is closed it gives what waits, and ends.

        Raises:
            IllegalMethodCallError: the socket is bound or connected already.
            ObjectClosedError: the socket was closed.
        """
        self._link.check_unbound("messages")
        queue = MessageQueue(self._link)
        self._link.inbox.add_queue(queue)
        return queue

    # Binding and connecting

    @overload
    def bind_service_name_async(self, local_service_name: str | int, /) -> AsyncOperation[None]: ...

    @overload
    def bind_service_name_async(
        self, local_service_name: str | int, adapter: NetworkAdapter, /
    ) -> AsyncOperation[None]: ...

    def bind_service_name_async(
        self, local_service_name: str | int, /, *adapter: NetworkAdapter
    ) -> AsyncOperation[None]:
        """Bind to a port on all local interfaces or on one, IPv6 and IPv4.

        Args:
            local_service_name: a port, as text or int, or a name from the services file; "" or "0" lets
                the system choose (see ``information.local_port``).
            adapter: the one to send and receive through, also what goes to multicast groups. On Windows what
                comes in through others is received too.

        Returns:
            An operation without a result; it fails with ADDRESS_ALREADY_IN_USE and its like, with
            CANNOT_ASSIGN_REQUESTED_ADDRESS when the adapter is gone, and leaves the socket ready to be bound
            again.

        Raises:
            IllegalMethodCallError: the socket is bound or connected, or is being so.
            InvalidArgumentError: the port is out of range, or the adapter is None.
            UnknownServiceError: the services file does not know the name.
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.BindServiceNameAsync.
        """
        if len(adapter) > 1:
            raise TypeError("bind_service_name_async takes (service[, adapter])")
        chosen = as_adapter(adapter[0]) if adapter else None
        return self._bind(None, as_service_name(local_service_name), chosen)

    def bind_endpoint_async(
        self, local_host_name: HostName | str | None, local_service_name: str | int, /
    ) -> AsyncOperation[None]:
        """Bind to the addresses of one local name.

        Args:
            local_host_name: an address of this machine, or a name whose addresses are; of each family the
                first counts. None for all.
            local_service_name: as for ``bind_service_name_async``.

        Returns:
            As ``bind_service_name_async``; CANNOT_ASSIGN_REQUESTED_ADDRESS for an address of another
            machine.

        Raises:
            SocketException: as ``bind_service_name_async``.

        Source: WinRT DatagramSocket.BindEndpointAsync.
        """
        host = as_host_name(local_host_name) if local_host_name is not None else None
        return self._bind(host, as_service_name(local_service_name))

    def _bind(
        self, host: HostName | None, service: str, adapter: NetworkAdapter | None = None
    ) -> AsyncOperation[None]:
        self._link.check_unbound("bind")
        return self._link.open(self._do_bind(host, local_port(service, "udp"), adapter), "bind")

    async def _do_bind(self, host: HostName | None, port: int, adapter: NetworkAdapter | None) -> None:
        self._link.bind(WILDCARDS if host is None else await self._find(host, port), port, adapter)

    @overload
    def connect_async(self, endpoint_pair: EndpointPair, /) -> AsyncOperation[None]: ...

    @overload
    def connect_async(
        self, remote_host_name: HostName | str, remote_service_name: str | int, /
    ) -> AsyncOperation[None]: ...

    def connect_async(self, *arguments: Any) -> AsyncOperation[None]:
        """Fix the peer: ``(host, service)`` or ``(endpoint_pair)``.

        A service that is neither a port nor in the services file is one that SRV records of the host tell
        about. No packet is sent to the peer: an absent one shows later, as an event that raises
        CONNECTION_RESET_BY_PEER. Of several addresses the peer's is the first that the system has a way to. A
        socket that was bound keeps its port; datagrams of others that it has received but not delivered are
        dropped.

        Returns:
            An operation without a result; it fails with HOST_NOT_FOUND (also for a multicast address),
            NETWORK_IS_UNREACHABLE ..., and leaves the socket ready to be connected again.

        Raises:
            IllegalMethodCallError: the socket is connected, or is being bound or connected, or the pair has a
                local half and the socket is bound, or ``control.multicast_only`` is set.
            InvalidArgumentError: no host, no service, a port out of range.
            ObjectClosedError: the socket was closed.
            UnknownServiceError: the services file does not know the service, and the host is an address or
                ``localhost``.

        Source: WinRT DatagramSocket.ConnectAsync; RFC 2782.
        """
        target = self._target("connect_async", arguments)
        self._link.check_settled("connect_async")
        if self._link.peer is not None:
            raise IllegalMethodCallError("connect_async: the socket is connected already")
        if self._link.control.multicast_only:
            raise IllegalMethodCallError(
                "connect_async: the socket shares its port (control.multicast_only) and has no peer"
            )
        return self._link.open(self._do_connect(target), "connect")

    def _target(self, action: str, arguments: tuple[Any, ...]) -> _Target:
        """Find out what a call is about, and refuse a local half on a bound socket."""
        if len(arguments) == 1:
            pair = as_endpoint_pair(*arguments)
        elif len(arguments) == 2:
            pair = EndpointPair(None, "", *arguments)
        else:
            raise TypeError(f"{action} takes (endpoint_pair) or (host, service)")
        if self._link.transports and (pair.local_host_name is not None or pair.local_service_name):
            raise IllegalMethodCallError(f"{action}: the socket is bound; leave the pair's local half empty")
        return _Target(
            destination(pair.remote_host_name, pair.remote_service_name, "udp"),
            pair.local_host_name,
            local_port(pair.local_service_name, "udp"),
        )

    async def _do_connect(self, target: _Target) -> None:
        addresses = await self._locate(target.wanted)
        if any(is_multicast(address.host) for address in addresses):
            raise NameResolutionError(
                f"connect to {target.wanted.host}: a multicast group is no peer; to send to it use "
                "get_output_stream_async"
            )
        self._link.connect(addresses, await self._find_local(target), target.local_port)

    async def _find_local(self, target: _Target) -> list[Address]:
        if target.local_host is None:
            return []
        return await self._find(target.local_host, target.local_port)

    async def _locate(self, wanted: Destination) -> list[Address]:
        adapter = self._link.adapter
        found = await locate(
            wanted,
            reactor=self._reactor,
            limits=self._link.control.limits,
            name_servers=as_name_servers(self._link.control.name_servers),
            prepare=None if adapter is None else lookup_through(adapter),
        )
        return [address for addresses in found for address in addresses]

    def _find(self, host: HostName, port: int) -> Coroutine[Any, Any, list[Address]]:
        limits = self._link.control.limits
        return local_addresses(host, port, reactor=self._reactor, limits=limits, transport="udp")

    # Sending

    @overload
    def get_output_stream_async(
        self, endpoint_pair: EndpointPair, /
    ) -> AsyncOperation[DatagramOutputStream]: ...

    @overload
    def get_output_stream_async(
        self, remote_host_name: HostName | str, remote_service_name: str | int, /
    ) -> AsyncOperation[DatagramOutputStream]: ...

    def get_output_stream_async(self, *arguments: Any) -> AsyncOperation[DatagramOutputStream]:
        """Get a stream to one destination: ``(host, service)`` or ``(endpoint_pair)``.

        Unicast, multicast and broadcast addresses are destinations, and services as for ``connect_async``.
        Datagrams leave from this socket's port; the first write binds it if nothing else has. The local half
        of a pair binds it at once. A write to 255.255.255.255 leaves through all adapters.

        Returns:
            An operation that yields the stream; it fails with HOST_NOT_FOUND and its like, and with
            E_ILLEGAL_METHOD_CALL on a socket that is connected to somebody else, and for the address of one
            machine with ``control.multicast_only``.

        Raises:
            IllegalMethodCallError: the pair has a local half, and the socket is bound or being bound.
            InvalidArgumentError: no host, no service, a port out of range.
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.GetOutputStreamAsync.
        """
        if len(arguments) == 2 and type(arguments[0]) is HostName and arguments[0].type in _NUMERIC:
            # An echo server comes here for each datagram: what needs no lookup needs no coroutine.
            host, service = arguments
            port = remote_port(as_service_name(service, "remote_service_name"), "udp")
            self._link.check_open("get_output_stream_async")
            return self._stream_at_once(host, port)
        target = self._target("get_output_stream_async", arguments)
        self._link.check_open("get_output_stream_async")
        if target.local_host is not None or target.local_port:
            self._link.check_settled("get_output_stream_async")
            return self._link.open(self._stream_from(target), "get_output_stream_async")
        if target.wanted.host.type in _NUMERIC:
            return self._stream_at_once(target.wanted.host, target.wanted.port)
        return self._link.run(self._stream_to(target), "get_output_stream_async")

    async def _stream_to(self, target: _Target) -> DatagramOutputStream:
        addresses = await self._locate(target.wanted)
        return self._stream(self._link.choose(addresses))

    async def _stream_from(self, target: _Target) -> DatagramOutputStream:
        addresses = await self._locate(target.wanted)
        sources = await self._find_local(target) or WILDCARDS
        destination = self._link.choose(addresses, sources)
        self._link.bind(sources, target.local_port)
        return self._stream(destination)

    def _stream(self, destination: Address | None) -> DatagramOutputStream:
        if destination is not None and destination.host == BROADCAST:
            return BroadcastOutputStream(self._link, destination)
        return DatagramOutputStream(self._link, destination)

    def _stream_at_once(self, host: HostName, port: int) -> AsyncOperation[DatagramOutputStream]:
        try:
            destination = self._link.choose([literal_address(host, port)])
        except SocketException as problem:
            return AsyncOperation.from_error(problem)
        return AsyncOperation.from_result(self._stream(destination))

    @staticmethod
    def get_endpoint_pairs_async(
        remote_host_name: HostName | str,
        remote_service_name: str | int,
        sort_options: HostNameSortOptions = HostNameSortOptions.NONE,
        /,
        *,
        name_servers: NameServers = (),
    ) -> AsyncOperation[list[EndpointPair]]:
        """Find the addresses of a service as pairs, best first; see StreamSocket.get_endpoint_pairs_async.

        Source: WinRT DatagramSocket.GetEndpointPairsAsync.
        """
        wanted = destination(as_host_name(remote_host_name), as_service_name(remote_service_name), "udp")
        order = as_sort_options(sort_options)
        servers = as_name_servers(name_servers)
        return AsyncOperation.run(
            get_endpoint_pairs(wanted, reactor=global_reactor(None), sort_options=order, name_servers=servers)
        )

    # Multicast groups

    def join_multicast_group(
        self,
        group: HostName | str,
        /,
        *,
        source: HostName | str | None = None,
        adapter: NetworkAdapter | None = None,
    ) -> None:
        """Receive what is sent to a multicast group at the port that the socket is bound to.

        Args:
            group: the address of the group, 224.0.0.0 to 239.255.255.255 or one that begins with ff.
            source: hear this sender only (an addition to WinRT). A group can be joined for several.
            adapter: where to join (an addition). Left out, it is the one that the socket is bound to, or that
                of the group's zone ("ff02::1%eth0"), or that has the address that the socket is bound to, or
                the one that the system's routing leads through to the group. To hear several adapters, join
                on each.

        Raises:
            AddressNotAvailableError: the group is joined there already, for all or for this source; or the
                adapter is gone.
            IllegalMethodCallError: the socket is not bound, or is just being bound or connected.
            InvalidArgumentError: it is not the address of a group, the source is not an address of the
                group's family, the adapter is not the one that the socket is bound to, or sources of the
                group were blocked.
            NetworkUnreachableError: no adapter was given, and the routing knows no way to the group.
            ObjectClosedError: the socket was closed.
            SocketException: ADDRESS_FAMILY_NOT_SUPPORTED, the socket has no address of the group's family;
                WSAENOBUFS, the system allows no more groups or sources.

        Source: WinRT DatagramSocket.JoinMulticastGroup; RFC 3678 for sources.
        """
        self._groups.join(group, source, adapter)

    def leave_multicast_group(
        self,
        group: HostName | str,
        /,
        *,
        source: HostName | str | None = None,
        adapter: NetworkAdapter | None = None,
    ) -> None:
        """Take back a ``join_multicast_group`` (an addition to WinRT, where closing the socket does).

        What has arrived is still delivered; where a second system socket heard the group, because this one is
        bound to an address, it is dropped.

        Args:
            group: as it was joined.
            source: hear this one no more, of those that the group was joined for. Left out, all of them.
            adapter: as the group was joined.

        Raises:
            AddressNotAvailableError: the group is not joined for this source.
            InvalidArgumentError: the group is not joined; or it is joined for all sources, and one is to be
                left.
            SocketException: as ``join_multicast_group``.
        """
        self._groups.leave(group, source, adapter)

    def block_multicast_source(
        self, group: HostName | str, source: HostName | str, /, *, adapter: NetworkAdapter | None = None
    ) -> None:
        """Hear one sender no more, of a group that was joined for all (an addition to WinRT).

        Args:
            group: as it was joined.
            source: the address of the sender.
            adapter: as the group was joined.

        Raises:
            AddressNotAvailableError: the source is blocked already.
            InvalidArgumentError: the group is not joined, or is joined for single sources.
            SocketException: as ``join_multicast_group``.
        """
        self._groups.block(group, source, adapter)

    def unblock_multicast_source(
        self, group: HostName | str, source: HostName | str, /, *, adapter: NetworkAdapter | None = None
    ) -> None:
        """Take back a ``block_multicast_source`` (an addition to WinRT).

        Raises:
            AddressNotAvailableError: others of the group are or were blocked, but not this one.
            InvalidArgumentError: the group is not joined, or is joined for single sources, or no source of it
                was ever blocked.
            SocketException: as ``join_multicast_group``.
        """
        self._groups.unblock(group, source, adapter)

    # Ending

    def close(self) -> None:
        """Close the socket and free its port.

        A pending bind or connect and datagrams that wait for room end with OperationAbortedError; no more
        events come. Once is enough, more often does no harm.

        Source: WinRT DatagramSocket.Close.
        """
        self._link.close()
        self._received.clear()

    def cancel_io_async(self) -> AsyncOperation[None]:
        """End every datagram that waits for room with OperationAbortedError; the socket stays.

        Returns:
            An operation that has ended: nothing is pending any more.

        Raises:
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.CancelIOAsync.
        """
        self._link.check_open("cancel_io_async")
        self._link.cancel_sends()
        return AsyncOperation.from_result(None)

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the socket is closed and its port is free (an addition to WinRT)."""
        return self._link.when_closed()

    def __repr__(self) -> str:
        """Show the port and the peer."""
        if self._link.closed:
            return "<DatagramSocket closed>"
        peer = self._link.peer
        connected = f" with {describe_address(*peer[:2])}" if peer is not None else ""
        return f"<DatagramSocket on port {self._information.local_port or 'none'}{connected}>"
