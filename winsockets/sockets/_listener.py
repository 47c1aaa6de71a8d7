"""StreamSocketListener: accepts TCP connections."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, overload

from twisted.internet.defer import gatherResults
from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from winsockets.errors import IllegalMethodCallError, ObjectClosedError, OperationAbortedError
from winsockets.foundation import AsyncOperation, Event, EventRegistrationToken, IClosable
from winsockets.networking import HostName, NetworkAdapter
from winsockets.networking._hostname import as_host_name
from winsockets.networking._services import as_service_name, local_port
from winsockets.sockets._closing import Closing
from winsockets.sockets._connections import ConnectionQueue, Connections
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._link import from_reactor_thread, global_reactor
from winsockets.sockets._stream_control import (
    StreamSocketControl,
    StreamSocketListenerControl,
    accepted_control,
    stream_options,
)
from winsockets.sockets._stream_socket import StreamSocket
from winsockets.sockets._tls_serving import Handshakes, HandshakingFactory, serving
from winsockets.transports import StreamFactory, StreamOptions, StreamProtocol
from winsockets.transports._adapter_binding import as_adapter
from winsockets.transports._admission import Admission
from winsockets.transports._ending import Ending
from winsockets.transports._listening import ListeningPort, listen_on

__all__ = [
    "StreamSocketListener",
    "StreamSocketListenerConnectionReceivedEventArgs",
    "StreamSocketListenerInformation",
]


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
        self._failed_handshakes = 0

    @property
    def local_port(self) -> str:
        """The port it listens on; "" before it is bound."""
        return str(self._port) if self._port else ""

    @property
    def failed_handshakes(self) -> int:
        """How many clients did not get through the TLS handshake (an addition to WinRT)."""
        return self._failed_handshakes

    def _count_failed(self) -> None:
        self._failed_handshakes += 1


@implementer(IClosable)
class StreamSocketListener(Closing):
    """Accepts TCP connections and hands them to ``connection_received``.

    Set ``control``, attach a handler to ``connection_received`` (or take ``connections()``), await one
    ``bind_*``, ``close``. A handler is a function or a coroutine function of (listener, args); when it
    fails the failure is logged and the accepted socket closed. Several handlers may be attached; they get
    the same socket.

    At ``control.max_connections``, and while no descriptor is free, accepting pauses and clients wait in
    the system's backlog, which is the largest the system allows.

    With ``control.server_certificates`` it speaks TLS (an addition to WinRT): ``connection_received`` comes
    after the handshake. One that fails is logged and counted, and reaches nobody else. At most
    ``limits.handshakes`` are under way at once, each for at most ``limits.handshake_timeout`` seconds.

    Args:
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver; the installed reactor
            when left out.

    Source: WinRT StreamSocketListener.
    """

    # From binding on.
    _admission: Admission
    _accepted_control: StreamSocketControl
    _handshakes: Handshakes | None = None

    def __init__(self, *, reactor: Any = None) -> None:
        self._reactor = global_reactor(reactor)
        self._control = StreamSocketListenerControl()
        self._information = StreamSocketListenerInformation()
        self._received: Event[StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs] = Event(
            "StreamSocketListener.connection_received", _early(weakref.ref(self)), _close_socket
        )
        self._ports: list[ListeningPort] = []
        self._bound = False
        self._binding: AsyncOperation[None] | None = None
        self._closed = False
        self._end = Ending()
        self._queues: list[ConnectionQueue] = []

    @property
    def control(self) -> StreamSocketListenerControl:
        """Settings, to be made before binding."""
        return self._control

    @property
    def information(self) -> StreamSocketListenerInformation:
        """The local port, and how many handshakes failed."""
        return self._information

    # The event

    def _check_early(self) -> None:
        if self._closed:
            raise ObjectClosedError("connection_received: the listener was closed")
        if self._bound:
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

    def connections(self) -> Connections:
        """Return an asynchronous iterator over accepted sockets (an addition to WinRT).

        Call it before binding: it attaches a handler. At most ``limits.connection_queue`` sockets wait in
        it; then accepting pauses. It gives what waits and ends when the listener is closed. A cancelled
        wait loses no connection; a second one at the same time raises BusyError.

        Raises:
            IllegalMethodCallError: the listener is bound already.
            ObjectClosedError: it was closed.
        """
        queue = ConnectionQueue(self._control.limits.connection_queue)
        self._received.add(queue.put)
        self._queues.append(queue)
        return Connections(self, queue)

    # Binding

    @overload
    def bind_service_name_async(
        self, local_service_name: str | int, protection_level: SocketProtectionLevel | None = None, /
    ) -> AsyncOperation[None]: ...

    @overload
    def bind_service_name_async(
        self,
        local_service_name: str | int,
        protection_level: SocketProtectionLevel | None,
        adapter: NetworkAdapter,
        /,
    ) -> AsyncOperation[None]: ...

    def bind_service_name_async(
        self,
        local_service_name: str | int,
        protection_level: SocketProtectionLevel | None = None,
        /,
        *adapter: NetworkAdapter,
    ) -> AsyncOperation[None]:
        """Listen on all local interfaces or on one adapter, IPv6 and IPv4.

        Args:
            local_service_name: a port, as text or int, or a name from the services file; "" or "0" lets
                the system choose (see ``information.local_port``).
            protection_level: the highest version of TLS, for a listener with ``control.server_certificates``;
                left out, the best there is. PLAIN_SOCKET for one without.
            adapter: the NetworkAdapter through which to accept connections, and no other: none from this
                machine's loopback, unless that is the adapter. Where the system cannot confine a socket to it
                (anywhere but on Linux), the listener is bound to the addresses that the adapter has now.

        Returns:
            An operation without a result; it fails with ADDRESS_ALREADY_IN_USE and its like, and for an
            adapter that is gone with CANNOT_ASSIGN_REQUESTED_ADDRESS. After a failure the listener can be
            bound again.

        Raises:
            IllegalMethodCallError: no handler is attached, or the listener is bound.
            InvalidArgumentError: the port is out of range; the level is not offered, is below
                ``control.min_protection_level``, or does not go with the certificates that there are;
                certificates of clients are wanted and none is trusted; OpenSSL does not take one; None for an
                adapter.
            ObjectClosedError: the listener was closed.
            UnknownServiceError: the services file does not know the name.

        Source: WinRT StreamSocketListener.BindServiceNameAsync.
        """
        if len(adapter) > 1:
            raise TypeError("bind_service_name_async takes (service[, protection_level[, adapter]])")
        service = as_service_name(local_service_name)
        return self._bind(None, service, protection_level, as_adapter(adapter[0]) if adapter else None)

    def bind_endpoint_async(
        self,
        local_host_name: HostName | str | None,
        local_service_name: str | int,
        protection_level: SocketProtectionLevel | None = None,
        /,
    ) -> AsyncOperation[None]:
        """Listen on the addresses of one local name.

        Args:
            local_host_name: an address of this machine ("0.0.0.0" for all of IPv4, "::" for all of IPv6), or
                a name whose addresses are, the machine's own for instance; None for all of both families.
            local_service_name: as for ``bind_service_name_async``.
            protection_level: likewise (an addition to WinRT).

        Returns:
            As ``bind_service_name_async``; CANNOT_ASSIGN_REQUESTED_ADDRESS for an address of another
            machine, or of a group; E_INVALIDARG for one without a zone that several adapters have.

        Raises:
            SocketException: as ``bind_service_name_async``.

        Source: WinRT StreamSocketListener.BindEndpointAsync.
        """
        host = as_host_name(local_host_name) if local_host_name is not None else None
        return self._bind(host, as_service_name(local_service_name), protection_level)

    def _bind(
        self,
        host: HostName | None,
        service: str,
        level: SocketProtectionLevel | None,
        adapter: NetworkAdapter | None = None,
    ) -> AsyncOperation[None]:
        if self._closed:
            raise ObjectClosedError("bind: the listener was closed; make a new one")
        if self._bound:
            raise IllegalMethodCallError("bind: the listener is bound already; it binds once")
        port = local_port(service, "tcp")
        if not self._received:
            raise IllegalMethodCallError(
                "bind: attach a handler to connection_received (or take connections()) before binding"
            )
        self._control._serving = serving(self._control, level)
        self._bound = True
        self._control._lock("after the listener was bound")
        operation = AsyncOperation.run(self._listen(host, port, adapter))
        if not operation.called:
            self._binding = operation
        return operation

    async def _listen(self, host: HostName | None, port: int, adapter: NetworkAdapter | None) -> None:
        control = self._control
        limits = control.limits
        try:
            self._admission = Admission(self._reactor, limits, control.max_connections)
            self._accepted_control = accepted_control(control)
            build = self._port_maker(self._admission, stream_options(control, adapter))
            self._ports = await listen_on(
                host, port, build, reactor=self._reactor, limits=limits, adapter=adapter
            )
        except BaseException as problem:
            self._binding = None
            if self._closed:
                raise OperationAbortedError("bind: aborted by close") from problem
            self._bound = False
            control._serving = None
            control._unlock()
            raise
        self._binding = None
        self._information._port = self._ports[0].number

    def _port_maker(
        self, admission: Admission, options: StreamOptions
    ) -> Callable[[str, int], ListeningPort]:
        reactor, limits = self._reactor, self._control.limits
        reception = _Reception(weakref.ref(self), self._queues)
        factory: ServerFactory = StreamFactory(reactor, limits, reception.connected)
        tls = self._control._serving
        if tls is not None:
            handshakes = Handshakes(
                admission, limits, reception.connected, self._information._count_failed, reactor
            )
            factory = HandshakingFactory(
                tls,
                handshakes,
                reactor=reactor,
                limits=limits,
                require_close_notify=self._control.require_close_notify,
            )
            self._handshakes = handshakes

        def make(interface: str, port: int) -> ListeningPort:
            return ListeningPort(
                interface,
                port,
                factory=factory,
                options=options,
                limits=limits,
                admission=admission,
                reactor=reactor,
            )

        return make

    def _accepted(self, protocol: StreamProtocol) -> None:
        socket = StreamSocket._over(protocol, self._reactor, self._accepted_control)
        self._received.fire(self, StreamSocketListenerConnectionReceivedEventArgs(socket))

    def pause(self) -> None:
        """Accept nobody until ``resume`` (an addition to WinRT): clients wait in the system's backlog.

        With it several listeners can keep to one limit. May be called inside a handler, and takes effect
        before the next connection is accepted. Does nothing on a listener that is not bound.
        """
        if self._ports:
            self._pause("program")

    def resume(self) -> None:
        """Accept again after ``pause``; more often does no harm."""
        if self._ports:
            self._resume("program")

    def _pause(self, reason: object) -> None:
        self._admission.hold(reason)

    def _resume(self, reason: object) -> None:
        self._admission.release(reason)

    # Ending

    def close(self) -> None:
        """Stop listening and free the port; accepted sockets live on.

        May be called inside a handler. A pending bind ends with OperationAbortedError, and handshakes that
        are under way are broken off. Once is enough, more often does no harm.

        Source: WinRT StreamSocketListener.Close.
        """
        if self._closed:
            return
        self._closed = True
        self._control._lock("after the listener was closed")
        self._control._serving = None
        if self._handshakes is not None:
            self._handshakes.close()
        if self._binding is not None:
            self._binding.cancel()
        ended = [port.stopListening() for port in self._ports if port.connected]
        gatherResults(ended).addBoth(lambda _: self._end.come())
        for queue in self._queues:
            queue.end()
            self._received -= queue.put
        # Whoever has an iterator has its queue; the connections in the other ones are closed.
        self._queues.clear()

    def cancel_io_async(self) -> AsyncOperation[None]:
        """Return an operation that has ended: a listener has no reads and writes of its own.

        Source: WinRT StreamSocketListener.CancelIOAsync.
        """
        if self._closed:
            raise ObjectClosedError("cancel_io_async: the listener was closed")
        return AsyncOperation.from_result(None)

    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until the port is free, after ``close`` (an addition to WinRT).

        Returns:
            An operation without a result; it has ended where no port was ever taken. Cancelling it only
            ends the waiting.
        """
        return self._end.wait() if self._ports else AsyncOperation.from_result(None)

    def __repr__(self) -> str:
        """Show the port."""
        state = "closed" if self._closed else f"on port {self._information.local_port or 'none'}"
        return f"<StreamSocketListener {state}>"

    def __del__(self) -> None:
        """Free the port of a forgotten listener."""
        # One whose construction failed has no ports.
        if getattr(self, "_ports", ()) and not self._closed:
            from_reactor_thread(self._reactor, self.close)
            # Last, because a warning may be an error.
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2, source=self)


class _Reception:
    """What the ports know of their listener.

    Not the listener itself, so that a forgotten one goes; but the queues, because whoever waits in one
    waits for these ports and holds the listener.
    """

    def __init__(
        self, listener: weakref.ref[StreamSocketListener], queues: Sequence[ConnectionQueue]
    ) -> None:
        self._listener = listener
        self._queues = queues

    def connected(self, protocol: StreamProtocol) -> None:
        """Hand an accepted connection to the listener."""
        listener = self._listener()
        if listener is None:
            protocol.close()
        else:
            listener._accepted(protocol)


def _early(listener: weakref.ref[StreamSocketListener]) -> Callable[[], None]:
    """Make the guard of a listener's event, which the listener holds and which must not hold it."""

    def check() -> None:
        holder = listener()
        if holder is not None:
            holder._check_early()

    return check


def _close_socket(args: StreamSocketListenerConnectionReceivedEventArgs) -> None:
    args.socket.close()
