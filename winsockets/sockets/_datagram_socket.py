"""DatagramSocket: awaitable UDP."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Coroutine
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self, overload

from zope.interface import implementer

from winsockets.errors import (
    IllegalMethodCallError,
    NameResolutionError,
    OperationAbortedError,
    SocketException,
)
from winsockets.foundation import AsyncOperation, Event, EventRegistrationToken, IClosable
from winsockets.networking import EndpointPair, HostName, HostNameSortOptions
from winsockets.networking._address import Address
from winsockets.networking._hostname import as_host_name
from winsockets.networking._pairing import get_endpoint_pairs
from winsockets.networking._resolution import resolve
from winsockets.networking._services import as_service_name, local_port, remote_port
from winsockets.sockets._datagram_control import DatagramSocketControl
from winsockets.sockets._datagram_link import WILDCARDS, DatagramLink
from winsockets.sockets._datagram_message import DatagramSocketMessageReceivedEventArgs
from winsockets.sockets._datagram_streams import DatagramOutputStream
from winsockets.sockets._link import global_reactor
from winsockets.sockets._stream_information import host_of
from winsockets.transports._datagram_transport import Datagram, DatagramTransport, IDatagramReceiver
from winsockets.transports._socket_options import set_hop_limit

__all__ = ["DatagramSocket", "DatagramSocketInformation"]


class DatagramSocketInformation:
    """What a DatagramSocket knows about its ends.

    Addresses are None and ports "" until they are known; ``local_address`` is None also on a socket that is
    bound to all interfaces. After ``close`` everything is as before binding.

    Source: WinRT DatagramSocketInformation; ``dropped_messages`` is an addition.
    """

    def __init__(self, link: DatagramLink) -> None:
        self._link = link
        self._dropped = 0

    @property
    def local_address(self) -> HostName | None:
        """The local address, where it is one."""
        return host_of(_specific(self._local())) if self._local() else None

    def _local(self) -> tuple[Any, ...]:
        transports = self._link.transports
        return transports[0].local if transports else ()

    @property
    def local_port(self) -> str:
        """The local port."""
        return str(self._local()[1]) if self._local() else ""

    def _peer(self) -> Address | None:
        return self._link.connected.peer if self._link.connected is not None else None

    @property
    def remote_address(self) -> HostName | None:
        """The peer's address, on a connected socket."""
        peer = self._peer()
        return HostName(peer.host) if peer is not None else None

    @property
    def remote_port(self) -> str:
        """The peer's port, on a connected socket."""
        peer = self._peer()
        return str(peer.port) if peer is not None else ""

    @property
    def dropped_messages(self) -> int:
        """Datagrams that ``messages()`` dropped because the program did not keep up."""
        return self._dropped


def _specific(name: tuple[Any, ...]) -> str:
    host = str(name[0])
    if host in ("::", "0.0.0.0"):
        return ""
    return f"{host}%{name[3]}" if len(name) == 4 and name[3] else host


@implementer(IDatagramReceiver)
class _Inbox:
    """Carries what the transports receive to the socket, without keeping it alive."""

    def __init__(self, owner: DatagramSocket) -> None:
        self._owner = weakref.ref(owner)
        self.limits = owner.control.limits

    def datagram_received(self, transport: DatagramTransport, datagram: Datagram) -> None:
        owner = self._owner()
        if owner is not None:
            local = _specific(transport.local) if datagram.destination is None else None
            owner._deliver(DatagramSocketMessageReceivedEventArgs.of(datagram, local))

    def receive_failed(self, transport: DatagramTransport, problem: SocketException) -> None:
        owner = self._owner()
        if owner is not None:
            peer = transport.peer.sockaddr if transport.peer is not None else ("", 0)
            args = DatagramSocketMessageReceivedEventArgs(b"", peer, _specific(transport.local), problem)
            owner._deliver(args)


@implementer(IClosable)
class DatagramSocket:
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
        # The control tells a new hop limit to the link, not to this object, which would be a cycle.
        self._control = DatagramSocketControl(lambda hops: _set_hops(link(), hops))
        self._link = DatagramLink(self._reactor, self._control)
        link = weakref.ref(self._link)
        self._information = DatagramSocketInformation(self._link)
        self._output_stream = DatagramOutputStream(self._link.connection, None)
        self._received: Event[DatagramSocket, DatagramSocketMessageReceivedEventArgs] = Event(
            "DatagramSocket.message_received", self._guard
        )
        self._pending: AsyncOperation[None] | None = None
        self._started = False
        self._queues: list[MessageQueue] = []

    @property
    def control(self) -> DatagramSocketControl:
        """Settings, to be made before binding or connecting."""
        return self._control

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
    def _guard(self) -> Any:
        owner = weakref.ref(self)

        def check() -> None:
            me = owner()
            if me is None:
                return
            me._link.check_open("message_received")
            if me._started:
                raise IllegalMethodCallError("message_received: attach handlers before binding or connecting")

        return check

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

        Call it before binding or connecting: it attaches itself as a handler. At most
        ``limits.message_queue`` wait in it; the newest is dropped and counted in
        ``information.dropped_messages``. An error of receiving comes as a message too. It ends when the
        socket is closed.

        Raises:
            IllegalMethodCallError: the socket is bound or connected already.
        """
        queue = MessageQueue(self._information, self._control.limits.message_queue)
        self._received.add(queue.put)
        self._queues.append(queue)
        return queue

    def _deliver(self, args: DatagramSocketMessageReceivedEventArgs) -> None:
        self._received.fire(self, args)

    # Binding and connecting

    def bind_service_name_async(self, local_service_name: str | int, /) -> AsyncOperation[None]:
        """Bind to a port on all local interfaces, IPv6 and IPv4.

        Args:
            local_service_name: a port, as text or int, or a name from the services file; "" or "0" lets
                the system choose (see ``information.local_port``).

        Returns:
            An operation without a result; it fails with ADDRESS_ALREADY_IN_USE and its like, and leaves
            the socket ready to be bound again.

        Raises:
            IllegalMethodCallError: the socket is bound or connected.
            InvalidArgumentError: the port is out of range.
            UnknownServiceError: the services file does not know the name.
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.BindServiceNameAsync.
        """
        return self._bind(None, as_service_name(local_service_name))

    def bind_endpoint_async(
        self, local_host_name: HostName | str | None, local_service_name: str | int, /
    ) -> AsyncOperation[None]:
        """Bind to the addresses of one local name.

        Args:
            local_host_name: an address of this machine, or a name whose addresses are; None for all.
            local_service_name: as for ``bind_service_name_async``.

        Returns:
            As ``bind_service_name_async``; CANNOT_ASSIGN_REQUESTED_ADDRESS for an address of another
            machine.

        Raises:
            As ``bind_service_name_async``.

        Source: WinRT DatagramSocket.BindEndpointAsync.
        """
        host = as_host_name(local_host_name) if local_host_name is not None else None
        return self._bind(host, as_service_name(local_service_name))

    def _bind(self, host: HostName | None, service: str) -> AsyncOperation[None]:
        self._link.check_open("bind")
        if self._link.bound or self._pending is not None:
            raise IllegalMethodCallError("bind: the socket is bound or connected already; it binds once")
        return self._begin(self._do_bind(host, local_port(service, "udp")), "bound")

    async def _do_bind(self, host: HostName | None, port: int) -> None:
        addresses = list(WILDCARDS) if host is None else await self._find(host, port)
        self._link.bind(addresses, port)

    @overload
    def connect_async(self, endpoint_pair: EndpointPair, /) -> AsyncOperation[None]: ...

    @overload
    def connect_async(
        self, remote_host_name: HostName | str, remote_service_name: str | int, /
    ) -> AsyncOperation[None]: ...

    def connect_async(self, *arguments: Any) -> AsyncOperation[None]:
        """Fix the peer: ``(host, service)`` or ``(endpoint_pair)``.

        No packet is sent: an absent peer shows later, as an event that raises CONNECTION_RESET_BY_PEER. A
        socket that was bound keeps its port.

        Returns:
            An operation without a result; it fails with HOST_NOT_FOUND (also for a multicast address),
            NETWORK_IS_UNREACHABLE ..., and leaves the socket ready to be connected again.

        Raises:
            IllegalMethodCallError: the socket is connected, or the pair has a local host and the socket
                is bound.
            InvalidArgumentError: no host, no service, a port out of range.
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.ConnectAsync.
        """
        pair = _pair_of("connect_async", arguments)
        self._link.check_open("connect_async")
        if self._link.connected is not None or self._pending is not None:
            raise IllegalMethodCallError("connect_async: the socket is connecting or connected already")
        if self._link.bound and pair.local_host_name is not None:
            raise IllegalMethodCallError(
                "connect_async: the socket is bound; leave the pair's local host None"
            )
        port = remote_port(pair.remote_service_name, "udp")
        from_port = local_port(pair.local_service_name, "udp")
        return self._begin(self._do_connect(pair, port, from_port), "connected")

    async def _do_connect(self, pair: EndpointPair, port: int, from_port: int) -> None:
        host = as_host_name(pair.remote_host_name)
        addresses = await self._find(host, port)
        if ip_address(addresses[0].host).is_multicast:
            raise NameResolutionError(
                f"connect to {host}: a multicast group is no peer; use get_output_stream_async to send to it"
            )
        local = None
        if pair.local_host_name is not None:
            local = (await self._find(pair.local_host_name, from_port))[0]
            addresses = [address for address in addresses if address.family == local.family] or addresses
        elif from_port:
            wildcard = next(wild for wild in WILDCARDS if wild.family == addresses[0].family)
            local = Address(wildcard.family, wildcard.host, from_port)
        elif self._link.bound:
            families = {transport.family for transport in self._link.transports}
            addresses = [address for address in addresses if address.family in families] or addresses
        self._link.connect(addresses[0], local)

    def _find(self, host: HostName, port: int) -> Coroutine[Any, Any, list[Address]]:
        limits = self._control.limits
        return resolve(
            host,
            port,
            reactor=self._reactor,
            transport="udp",
            timeout=limits.resolve_timeout,
            max_addresses=limits.max_addresses,
        )

    def _begin(self, steps: Coroutine[Any, Any, None], done: str) -> AsyncOperation[None]:
        """Run the steps of binding or connecting, with the control and the event fixed from here on."""
        was_started = self._started
        self._start()

        async def run() -> None:
            try:
                await steps
            except BaseException as problem:
                self._pending = None
                if not was_started:
                    self._started = False
                    self._control.unlock()
                if self._link.closed:
                    raise OperationAbortedError("aborted by close before the socket was " + done) from problem
                raise
            self._pending = None

        operation = AsyncOperation.run(run())
        if not operation.called:
            self._pending = operation
        return operation

    def _start(self) -> None:
        self._started = True
        self._control.lock("after the socket was bound or connected")
        if self._received and self._link.receiver is None:
            self._link.receiver = _Inbox(self)

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

        Unicast, multicast and broadcast addresses are destinations. Datagrams leave from this socket's
        port; the first write binds it if nothing else has.

        Returns:
            An operation that yields the stream; it fails with HOST_NOT_FOUND and its like.

        Raises:
            IllegalMethodCallError: the pair has a local host and the socket is bound.
            InvalidArgumentError: no host, no service, a port out of range.
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.GetOutputStreamAsync.
        """
        pair = _pair_of("get_output_stream_async", arguments)
        self._link.check_open("get_output_stream_async")
        if self._link.bound and pair.local_host_name is not None:
            raise IllegalMethodCallError(
                "get_output_stream_async: the socket is bound; leave the pair's local host None"
            )
        port = remote_port(pair.remote_service_name, "udp")
        from_port = local_port(pair.local_service_name, "udp")
        return AsyncOperation.run(self._make_stream(pair, port, from_port))

    async def _make_stream(self, pair: EndpointPair, port: int, from_port: int) -> DatagramOutputStream:
        host = as_host_name(pair.remote_host_name)
        addresses = await self._find(host, port)
        if pair.local_host_name is not None and not self._link.bound:
            self._start()
            self._link.bind(await self._find(pair.local_host_name, from_port), from_port)
        elif from_port and not self._link.bound:
            self._start()
            self._link.bind(WILDCARDS, from_port)
        peer = self._link.connected.peer if self._link.connected is not None else None
        if peer is not None:
            if peer not in addresses:
                raise IllegalMethodCallError(
                    f"get_output_stream_async: the socket is connected to {peer} and sends only there"
                )
            return DatagramOutputStream(self._link.connection, None)
        if self._link.bound:
            families = {transport.family for transport in self._link.transports}
            addresses = [address for address in addresses if address.family in families] or addresses
        destination = addresses[0]
        return DatagramOutputStream(lambda: self._towards(destination), destination)

    def _towards(self, destination: Address) -> DatagramTransport:
        if not self._started:
            self._start()
        return self._link.towards(destination)

    @staticmethod
    def get_endpoint_pairs_async(
        remote_host_name: HostName | str,
        remote_service_name: str | int,
        sort_options: HostNameSortOptions = HostNameSortOptions.NONE,
        /,
    ) -> AsyncOperation[list[EndpointPair]]:
        """Find the addresses of a host as pairs, best first; see StreamSocket.get_endpoint_pairs_async.

        Source: WinRT DatagramSocket.GetEndpointPairsAsync.
        """
        host = as_host_name(remote_host_name)
        port = remote_port(as_service_name(remote_service_name), "udp")
        return AsyncOperation.run(
            get_endpoint_pairs(
                host, port, reactor=global_reactor(None), transport="udp", sort_options=sort_options
            )
        )

    # Ending

    def close(self) -> None:
        """Close the socket and free its port.

        A pending bind or connect and datagrams that wait for room end with OperationAbortedError; no more
        events come. Once is enough, more often does no harm.

        Source: WinRT DatagramSocket.Close.
        """
        if self._link.closed:
            return
        self._link.close()
        if self._pending is not None:
            self._pending.cancel()
        self._received.clear()
        for queue in self._queues:
            queue.end()

    def cancel_io_async(self) -> AsyncOperation[None]:
        """End every datagram that waits for room with OperationAbortedError; the socket stays.

        Returns:
            An operation that has ended: nothing is pending any more.

        Raises:
            ObjectClosedError: the socket was closed.

        Source: WinRT DatagramSocket.CancelIOAsync.
        """
        self._link.check_open("cancel_io_async")
        for transport in self._link.transports:
            transport.cancel_sends("cancelled by cancel_io_async()")
        return AsyncOperation.from_result(None)

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the port is free, after ``close`` (an addition to WinRT)."""
        ended = self._link.ended()

        async def gone() -> None:
            await ended

        return AsyncOperation.run(gone())

    def __enter__(self) -> Self:
        """Return the socket itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the socket."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the socket itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the socket and wait until its port is free."""
        self.close()
        await self.wait_closed_async()

    def __repr__(self) -> str:
        """Show the port and the peer."""
        if self._link.closed:
            return "<DatagramSocket closed>"
        port = self._information.local_port or "none"
        peer = self._link.connected.peer if self._link.connected is not None else None
        return f"<DatagramSocket on port {port}{f' with {peer}' if peer is not None else ''}>"


def _set_hops(link: DatagramLink | None, hops: int) -> None:
    for transport in link.transports if link is not None else ():
        set_hop_limit(transport.socket, hops)


def _pair_of(method: str, arguments: tuple[Any, ...]) -> EndpointPair:
    if len(arguments) == 1 and isinstance(arguments[0], EndpointPair):
        return arguments[0]
    if len(arguments) != 2:
        raise TypeError(f"{method} takes (endpoint_pair) or (host, service)")
    return EndpointPair(None, "", as_host_name(arguments[0]), as_service_name(arguments[1]))


class MessageQueue:
    """Received datagrams that wait for ``async for``."""

    def __init__(self, information: DatagramSocketInformation, bound: int) -> None:
        self._information = information
        self._bound = bound
        self._messages: deque[DatagramSocketMessageReceivedEventArgs] = deque()
        self._waiting: AsyncOperation[DatagramSocketMessageReceivedEventArgs | None] | None = None
        self._ended = False

    def put(self, sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        """Take a datagram, or drop it when the program is too far behind."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(args)
        elif len(self._messages) < self._bound:
            self._messages.append(args)
        else:
            self._information._dropped += 1

    def end(self) -> None:
        """Give what waits, then end."""
        self._ended = True
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def __aiter__(self) -> Self:
        """Return the iterator itself."""
        return self

    async def __anext__(self) -> DatagramSocketMessageReceivedEventArgs:
        """Return the next datagram."""
        if self._messages:
            return self._messages.popleft()
        if self._ended:
            raise StopAsyncIteration
        if self._waiting is not None:
            raise IllegalMethodCallError("messages(): another task waits for the next datagram already")
        self._waiting = AsyncOperation(self._forget)
        message = await self._waiting
        if message is None:
            raise StopAsyncIteration
        return message

    def _forget(self, operation: Any) -> None:
        self._waiting = None
