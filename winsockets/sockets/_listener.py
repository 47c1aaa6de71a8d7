"""StreamSocketListener: accepts TCP connections."""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from types import TracebackType
from typing import Any, Self

from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from winsockets.errors import IllegalMethodCallError, ObjectClosedError, OperationAbortedError
from winsockets.foundation import AsyncOperation, Event, EventRegistrationToken, IClosable
from winsockets.networking import HostName
from winsockets.networking._hostname import as_host_name
from winsockets.networking._resolution import resolve
from winsockets.networking._services import as_service_name, local_port
from winsockets.sockets._kinds import SocketProtectionLevel, check_plain
from winsockets.sockets._link import from_reactor_thread, global_reactor
from winsockets.sockets._stream_control import StreamSocketListenerControl, stream_options
from winsockets.sockets._stream_socket import StreamSocket
from winsockets.transports import StreamFactory, StreamProtocol
from winsockets.transports._listening import ListeningPort, listen_stream

__all__ = [
    "StreamSocketListener",
    "StreamSocketListenerConnectionReceivedEventArgs",
    "StreamSocketListenerInformation",
]

ALL_INTERFACES = ("::", "0.0.0.0")
"""Both families; Linux wants the IPv6 one first when both get the same port."""


class StreamSocketListenerConnectionReceivedEventArgs:
    """One accepted connection. Source: WinRT StreamSocketListenerConnectionReceivedEventArgs."""

    __slots__ = ("_socket",)

    def __init__(self, socket: StreamSocket) -> None:
        self._socket = socket

    @property
    def socket(self) -> StreamSocket:
        """The connected socket; it outlives the listener, and is closed when nobody refers to it."""
        return self._socket

    def __repr__(self) -> str:
        """Show the socket."""
        return f"<connection {self._socket!r}>"


class StreamSocketListenerInformation:
    """What a listener knows. Source: WinRT StreamSocketListenerInformation."""

    def __init__(self) -> None:
        self._port = 0

    @property
    def local_port(self) -> str:
        """The port it listens on; "" before it is bound."""
        return str(self._port) if self._port else ""


@implementer(IClosable)
class StreamSocketListener:
    """Accepts TCP connections and hands them to ``connection_received``.

    Set ``control``, attach a handler to ``connection_received`` (or take ``connections()``), await one
    ``bind_*``, ``close``. A handler is a function or a coroutine function of (listener, args); when it
    fails the failure is logged and the accepted socket closed. Several handlers may be attached; they get
    the same socket.

    At ``control.max_connections``, and while no descriptor is free, accepting pauses and clients wait in
    the system's backlog, which is the largest the system allows.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver; the installed reactor
            when left out.

    Source: WinRT StreamSocketListener.
    """

    def __init__(self, *, reactor: Any = None) -> None:
        self._reactor = global_reactor(reactor)
        self._control = StreamSocketListenerControl()
        self._information = StreamSocketListenerInformation()
        self._received: Event[StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs] = Event(
            "StreamSocketListener.connection_received", self._check_early, _close_socket
        )
        self._ports: list[ListeningPort] = []
        self._binding = False
        self._bound: AsyncOperation[None] | None = None
        self._closed = False
        self._ending: list[Deferred[None]] = []
        self._queues: list[ConnectionQueue] = []

    @property
    def control(self) -> StreamSocketListenerControl:
        """Settings, to be made before binding."""
        return self._control

    @property
    def information(self) -> StreamSocketListenerInformation:
        """The local port."""
        return self._information

    # The event

    def _check_early(self) -> None:
        if self._closed:
            raise ObjectClosedError("connection_received: the listener was closed")
        if self._binding:
            raise IllegalMethodCallError("connection_received: attach handlers before binding")

    @property
    def connection_received(
        self,
    ) -> Event[StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs]:
        """The event of an accepted connection, for ``+=`` and ``-=``."""
        return self._received

    @connection_received.setter
    def connection_received(
        self, event: Event[StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs]
    ) -> None:
        if event is not self._received:
            raise TypeError("connection_received takes += and -=, not an assignment")

    def add_connection_received(self, handler: Any, /) -> EventRegistrationToken:
        """Attach a handler of (listener, args) and return the token that removes it.

        Raises:
            IllegalMethodCallError: the listener is bound already.

        Source: WinRT StreamSocketListener.ConnectionReceived.
        """
        return self._received.add(handler)

    def remove_connection_received(self, token: EventRegistrationToken, /) -> None:
        """Detach the handler of a token; an unknown token is ignored."""
        self._received.remove(token)

    def connections(self) -> ConnectionQueue:
        """Return an asynchronous iterator over accepted sockets (an addition to WinRT).

        Call it before binding: it attaches itself as a handler. At most ``limits.connection_queue``
        sockets wait in it; then accepting pauses. It ends when the listener is closed.

        Raises:
            IllegalMethodCallError: the listener is bound already.
        """
        queue = ConnectionQueue(self)
        self._received.add(queue.put)
        self._queues.append(queue)
        return queue

    # Binding

    def bind_service_name_async(
        self,
        local_service_name: str | int,
        protection_level: SocketProtectionLevel = SocketProtectionLevel.PLAIN_SOCKET,
        /,
    ) -> AsyncOperation[None]:
        """Listen on all local interfaces, IPv6 and IPv4.

        Args:
            local_service_name: a port, as text or int, or a name from the services file; "" or "0" lets
                the system choose (see ``information.local_port``).
            protection_level: PLAIN_SOCKET.

        Returns:
            An operation without a result; it fails with ADDRESS_ALREADY_IN_USE and its like. After a
            failure the listener can be bound again.

        Raises:
            IllegalMethodCallError: no handler is attached, or the listener is bound.
            InvalidArgumentError: the port is out of range, or the level is not PLAIN_SOCKET.
            UnknownServiceError: the services file does not know the name.
            ObjectClosedError: the listener was closed.

        Source: WinRT StreamSocketListener.BindServiceNameAsync.
        """
        check_plain(protection_level)
        return self._bind(None, as_service_name(local_service_name))

    def bind_endpoint_async(
        self, local_host_name: HostName | str | None, local_service_name: str | int, /
    ) -> AsyncOperation[None]:
        """Listen on the addresses of one local name.

        Args:
            local_host_name: an address of this machine, or a name whose addresses are; None for all.
            local_service_name: as for ``bind_service_name_async``.

        Returns:
            As ``bind_service_name_async``; CANNOT_ASSIGN_REQUESTED_ADDRESS for an address of another
            machine.

        Raises:
            As ``bind_service_name_async``.

        Source: WinRT StreamSocketListener.BindEndpointAsync.
        """
        host = as_host_name(local_host_name) if local_host_name is not None else None
        return self._bind(host, as_service_name(local_service_name))

    def _bind(self, host: HostName | None, service: str) -> AsyncOperation[None]:
        if self._closed:
            raise ObjectClosedError("bind: the listener was closed; make a new one")
        if self._binding:
            raise IllegalMethodCallError("bind: the listener is bound already; it binds once")
        port = local_port(service, "tcp")
        if not self._received:
            raise IllegalMethodCallError(
                "bind: attach a handler to connection_received (or take connections()) before binding"
            )
        self._binding = True
        self._control.lock("after the listener was bound")
        self._bound = operation = AsyncOperation.run(self._listen(host, port))
        return operation

    async def _listen(self, host: HostName | None, port: int) -> None:
        limits = self._control.limits
        try:
            interfaces: tuple[str, ...] = ALL_INTERFACES
            if host is not None:
                addresses = await resolve(
                    host,
                    port,
                    reactor=self._reactor,
                    timeout=limits.resolve_timeout,
                    max_addresses=limits.max_addresses,
                )
                interfaces = tuple(address.host for address in addresses)
            self._ports = listen_stream(self._make_port, interfaces, port)
        except BaseException as problem:
            self._binding = False
            self._control.unlock()
            if self._closed:
                raise OperationAbortedError("bind: aborted by close") from problem
            raise
        self._information._port = self._ports[0].number

    def _make_port(self, interface: str, port: int) -> ListeningPort:
        reference = weakref.ref(self)

        def connected(protocol: StreamProtocol) -> None:
            listener = reference()
            if listener is None:
                protocol.close()
            else:
                listener._accepted(protocol)

        control = self._control
        return ListeningPort(
            interface,
            port,
            factory=StreamFactory(self._reactor, control.limits, connected),
            options=stream_options(control),
            limits=control.limits,
            max_connections=control.max_connections,
            reactor=self._reactor,
        )

    def _accepted(self, protocol: StreamProtocol) -> None:
        socket = StreamSocket._over(protocol, self._reactor, self._control.for_accepted())
        self._received.fire(self, StreamSocketListenerConnectionReceivedEventArgs(socket))

    def pause(self) -> None:
        """Accept nobody until ``resume`` (an addition to WinRT): clients wait in the system's backlog.

        May be called inside a handler, and takes effect before the next connection is accepted. Does nothing
        on a listener that is not bound.
        """
        for port in self._ports:
            port.hold("program")

    def resume(self) -> None:
        """Accept again after ``pause``; more often does no harm."""
        for port in self._ports:
            port.release("program")

    def _hold(self) -> None:
        for port in self._ports:
            port.hold("queue")

    def _release(self) -> None:
        for port in self._ports:
            port.release("queue")

    # Ending

    def close(self) -> None:
        """Stop listening and free the port; accepted sockets live on.

        May be called inside a handler. A pending bind ends with OperationAbortedError. Once is enough,
        more often does no harm.

        Source: WinRT StreamSocketListener.Close.
        """
        if self._closed:
            return
        self._closed = True
        if self._bound is not None:
            self._bound.cancel()
        for port in self._ports:
            ended = port.stopListening()
            if ended is not None:
                self._ending.append(ended)
        for queue in self._queues:
            queue.end()

    def cancel_io_async(self) -> AsyncOperation[None]:
        """Return an operation that has ended: a listener has no reads and writes of its own.

        Source: WinRT StreamSocketListener.CancelIOAsync.
        """
        if self._closed:
            raise ObjectClosedError("cancel_io_async: the listener was closed")
        return AsyncOperation.from_result(None)

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the port is free, after ``close`` (an addition to WinRT)."""
        ending, self._ending = self._ending, []

        async def ended() -> None:
            await gatherResults(ending)

        return AsyncOperation.run(ended())

    def __enter__(self) -> Self:
        """Return the listener itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the listener."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the listener itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the listener and wait until its port is free."""
        self.close()
        await self.wait_closed_async()

    def __repr__(self) -> str:
        """Show the port."""
        state = "closed" if self._closed else f"on port {self._information.local_port or 'none'}"
        return f"<StreamSocketListener {state}>"

    def __del__(self) -> None:
        """Free the port of a forgotten listener."""
        ports = getattr(self, "_ports", [])
        if ports and not self._closed:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2, source=self)
            for port in ports:
                from_reactor_thread(self._reactor, port.stopListening)


def _close_socket(args: StreamSocketListenerConnectionReceivedEventArgs) -> None:
    args.socket.close()


class ConnectionQueue:
    """Accepted sockets that wait for ``async for``.

    At its bound it makes the listener pause, and takes up accepting again when the program catches up.
    """

    def __init__(self, listener: StreamSocketListener) -> None:
        self._listener = listener
        self._sockets: deque[StreamSocket] = deque()
        self._bound = listener.control.limits.connection_queue
        self._waiting: AsyncOperation[StreamSocket | None] | None = None
        self._ended = False

    def put(
        self, sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
    ) -> None:
        """Take an accepted socket."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(args.socket)
            return
        self._sockets.append(args.socket)
        if len(self._sockets) >= self._bound:
            sender._hold()

    def end(self) -> None:
        """Give what waits, then end."""
        self._ended = True
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def __aiter__(self) -> Self:
        """Return the iterator itself."""
        return self

    async def __anext__(self) -> StreamSocket:
        """Return the next accepted socket."""
        if self._sockets:
            if len(self._sockets) == self._bound and not self._ended:
                self._listener._release()
            return self._sockets.popleft()
        if self._ended:
            raise StopAsyncIteration
        if self._waiting is not None:
            raise IllegalMethodCallError("connections(): another task waits for the next connection already")
        self._waiting = AsyncOperation(self._forget)
        socket = await self._waiting
        if socket is None:
            raise StopAsyncIteration
        return socket

    def _forget(self, operation: Any) -> None:
        self._waiting = None
