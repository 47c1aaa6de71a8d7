"""StreamSocketListener: binding, handing out what it accepts, and closing."""

from __future__ import annotations

import errno
import gc
import socket
import sys
import warnings
import weakref
from contextlib import ExitStack, contextmanager

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, eventAsText

from tests.networks import network_namespace
from tests.sockets.datagrams import names, pending_names
from tests.sockets.streams import bound
from tests.transports.loopback import (
    HOSTS,
    NEEDS_IPV6,
    NEEDS_LINUX,
    NEEDS_LOOPBACK_NET,
    PATIENCE,
    Timed,
    family_of,
    limits,
    listening,
    received,
    refused_port,
    rest,
    turn,
    until,
)
from winsockets.errors import (
    AddressInUseError,
    AddressNotAvailableError,
    IllegalMethodCallError,
    InvalidArgumentError,
    NameResolutionError,
    ObjectClosedError,
    OperationAbortedError,
    OperationCanceledError,
    SocketErrorStatus,
    SocketException,
    UnknownServiceError,
)
from winsockets.foundation import AsyncStatus, IClosable
from winsockets.sockets import SocketProtectionLevel, StreamSocket, StreamSocketListener

PLAIN = SocketProtectionLevel.PLAIN_SOCKET
Status = SocketErrorStatus


class Handler:
    """A handler that keeps what it was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, sender, args):
        """See ConnectionReceived."""
        self.calls.append((sender, args))

    @property
    def sockets(self):
        """The accepted sockets."""
        return [args.socket for _, args in self.calls]

    async def close(self):
        """Close them."""
        for stream_socket in self.sockets:
            stream_socket.close()
            await stream_socket.wait_closed_async()


def client(listener, host="127.0.0.1"):
    """A plain socket, connected to a listener."""
    return socket.create_connection((host, int(listener.information.local_port)), PATIENCE)


async def greet(sender, args):
    """A handler that says hello and ends."""
    await args.socket.output_stream.write_async(b"hello")


@contextmanager
def logged():
    """The log events of the library meanwhile."""
    found = []
    with capturedLogs() as events:
        yield found
    found += [event for event in events if event["log_namespace"] == "winsockets"]


# Binding


@pytest.mark.parametrize("service", ["", "0", 0])
@pytest_twisted.ensureDeferred
async def test_a_free_port_is_chosen_when_none_is_named(service):
    """And told as text."""
    async with StreamSocketListener() as listener:
        assert listener.information.local_port == ""
        listener.connection_received += greet
        assert await listener.bind_service_name_async(service) is None
        assert 0 < int(listener.information.local_port) < 65_536
        with client(listener) as peer:
            assert await rest(peer) == b"hello"


@NEEDS_IPV6
@pytest.mark.parametrize(
    "bind",
    [
        lambda listener: listener.bind_service_name_async(""),
        lambda listener: listener.bind_service_name_async("", PLAIN),
        lambda listener: listener.bind_endpoint_async(None, ""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_all_interfaces_are_those_of_both_families(bind):
    """On one port."""
    async with StreamSocketListener() as listener:
        listener.connection_received += greet
        await bind(listener)
        for host in ("127.0.0.1", "::1"):
            with client(listener, host) as peer:
                assert await rest(peer) == b"hello"


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_one_address_is_that_one_only(host):
    """Nobody else is let in."""
    async with bound(host, greet) as listener:
        with client(listener, host) as peer:
            assert await rest(peer) == b"hello"
        other = "127.0.0.2" if host == "127.0.0.1" else "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            client(listener, other)


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_name_stands_for_all_its_addresses():
    """On one port."""
    with names(here="127.0.0.2 127.0.0.3"):
        async with bound("here", greet) as listener:
            for host in ("127.0.0.2", "127.0.0.3"):
                with client(listener, host) as peer:
                    assert await rest(peer) == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_named_port_is_that_port():
    """As text or number."""
    for number in (refused_port(), str(refused_port())):
        async with StreamSocketListener() as listener:
            listener.connection_received += greet
            await listener.bind_endpoint_async("127.0.0.1", number)
            assert listener.information.local_port == str(number)


@pytest.mark.parametrize(
    ("bind", "error"),
    [
        (lambda listener: listener.bind_service_name_async("65536"), InvalidArgumentError),
        (lambda listener: listener.bind_service_name_async(-1), InvalidArgumentError),
        (lambda listener: listener.bind_service_name_async("no-such-service"), UnknownServiceError),
        (lambda listener: listener.bind_service_name_async(None), TypeError),
        (
            lambda listener: listener.bind_service_name_async("", SocketProtectionLevel.SSL),
            InvalidArgumentError,
        ),
        (lambda listener: listener.bind_service_name_async("", SocketProtectionLevel.TLS12), SocketException),
        (lambda listener: listener.bind_endpoint_async("", ""), InvalidArgumentError),
        (lambda listener: listener.bind_endpoint_async(7, ""), TypeError),
    ],
)
def test_wrong_arguments_are_refused_at_the_call(bind, error):
    """And leave the listener to be bound."""
    listener = StreamSocketListener()
    listener.connection_received += greet
    with pytest.raises(error):
        bind(listener)
    listener.control.keep_alive = True
    listener.connection_received += greet


def test_a_listener_that_nobody_listens_to_cannot_be_bound():
    """E_ILLEGAL_METHOD_CALL, with advice."""
    with pytest.raises(IllegalMethodCallError, match="attach a handler") as caught:
        StreamSocketListener().bind_service_name_async("")
    assert caught.value.status is Status.UNKNOWN


@pytest_twisted.ensureDeferred
async def test_a_listener_binds_once():
    """Its port does not change; nor does it bind when it was closed."""
    async with bound(handler=greet) as listener:
        port = listener.information.local_port
        with pytest.raises(IllegalMethodCallError, match="it binds once"):
            listener.bind_service_name_async("")
        assert listener.information.local_port == port
        listener.close()
        with pytest.raises(ObjectClosedError):
            listener.bind_service_name_async("")
    fresh = StreamSocketListener()
    fresh.close()
    with pytest.raises(ObjectClosedError):
        fresh.bind_service_name_async("")


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_an_address_in_use_and_can_be_tried_again():
    """ADDRESS_ALREADY_IN_USE, EADDRINUSE, by name; when the other has gone it works."""
    async with StreamSocketListener() as second:
        second.connection_received += greet
        async with bound(handler=greet) as first:
            port = first.information.local_port
            with pytest.raises(AddressInUseError, match=f"port {port}") as caught:
                await second.bind_endpoint_async("127.0.0.1", port)
            assert caught.value.status is Status.ADDRESS_ALREADY_IN_USE
            assert caught.value.errno == errno.EADDRINUSE
            assert second.information.local_port == ""
        await second.bind_endpoint_async("127.0.0.1", port)
        assert second.information.local_port == port


@pytest_twisted.ensureDeferred
async def test_an_address_of_another_machine_cannot_be_bound():
    """CANNOT_ASSIGN_REQUESTED_ADDRESS."""
    with pytest.raises(AddressNotAvailableError) as caught:
        async with bound("198.51.100.1", greet):
            pass
    assert caught.value.status is Status.CANNOT_ASSIGN_REQUESTED_ADDRESS
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest_twisted.ensureDeferred
async def test_an_unknown_name_cannot_be_bound():
    """HOST_NOT_FOUND."""
    with names(), pytest.raises(NameResolutionError) as caught:
        async with bound("nowhere.test", greet):
            pass
    assert caught.value.status is Status.HOST_NOT_FOUND


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_where_there_is_no_ipv6_all_interfaces_are_those_of_ipv4():
    """As on a machine that boots without it."""
    with network_namespace():
        with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
        async with bound(None, greet) as listener:
            with client(listener) as peer:
                assert await rest(peer) == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_bind_can_be_cancelled_and_tried_again():
    """While the name is looked up: CANCELED, and nothing left."""
    clock = Timed()
    async with StreamSocketListener(reactor=clock) as listener:
        listener.connection_received += greet
        with pending_names():
            binding = listener.bind_endpoint_async("slow.test", "")
            with pytest.raises(IllegalMethodCallError):
                listener.connection_received += greet
            binding.cancel()
            with pytest.raises(OperationCanceledError):
                binding.get_results()
        assert not clock.getDelayedCalls()
        listener.control.keep_alive = True
        await listener.bind_endpoint_async("127.0.0.1", "")


@pytest_twisted.ensureDeferred
async def test_closing_aborts_a_pending_bind():
    """ERROR with OPERATION_ABORTED; nothing listens, and nothing can be set any more."""
    clock = Timed()
    listener = StreamSocketListener(reactor=clock)
    listener.connection_received += greet
    with pending_names():
        binding = listener.bind_endpoint_async("slow.test", "")
        listener.close()
        with pytest.raises(OperationAbortedError, match="aborted by close"):
            binding.get_results()
    assert not clock.getDelayedCalls()
    with pytest.raises(IllegalMethodCallError):
        listener.control.keep_alive = True
    await listener.wait_closed_async()


# The event


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_handler_gets_the_listener_and_a_connected_socket(host):
    """Both ways work."""
    handler = Handler()
    async with bound(host, handler) as listener:
        with client(listener, host) as peer:
            await until(lambda: handler.calls)
            ((sender, args),) = handler.calls
            assert sender is listener
            assert isinstance(args.socket, StreamSocket)
            assert args.socket is args.socket
            assert repr(args) == f"<connection {args.socket!r}>"
            peer.sendall(b"ping")
            assert await args.socket.input_stream.read() == b"ping"
            await args.socket.output_stream.write_async(b"pong")
            assert peer.recv(10) == b"pong"
            with pytest.raises(IllegalMethodCallError):
                args.socket.connect_async("127.0.0.1", "9")
        await handler.close()


@pytest_twisted.ensureDeferred
async def test_several_handlers_get_the_same_socket_in_the_order_of_attaching():
    """It belongs to the first."""
    order = []
    first, second = Handler(), Handler()
    async with StreamSocketListener() as listener:
        listener.connection_received += lambda sender, args: order.append("first")
        listener.connection_received += first
        token = listener.add_connection_received(greet)
        listener.connection_received += second
        listener.connection_received += lambda sender, args: order.append("last")
        listener.remove_connection_received(token)
        listener.remove_connection_received(token)
        await listener.bind_endpoint_async("127.0.0.1", "")
        with client(listener):
            await until(lambda: order)
        assert order == ["first", "last"]
        assert first.sockets == second.sockets
        await first.close()


@pytest_twisted.ensureDeferred
async def test_handlers_are_attached_before_binding():
    """Later is E_ILLEGAL_METHOD_CALL, after closing RO_E_CLOSED; removing is possible at any time."""
    handler = Handler()
    async with bound(handler=handler) as listener:
        for attach in (
            lambda: listener.add_connection_received(greet),
            lambda: listener.connection_received.add(greet),
            listener.connections,
        ):
            with pytest.raises(IllegalMethodCallError, match="before binding"):
                attach()
        listener.connection_received -= handler
        listener.close()
        with pytest.raises(ObjectClosedError, match="the listener was closed"):
            listener.add_connection_received(greet)
        listener.connection_received -= handler


def test_what_is_no_handler_is_refused():
    """At once; and an event is no property to be replaced."""
    listener = StreamSocketListener()
    with pytest.raises(TypeError):
        listener.add_connection_received("greet")
    with pytest.raises(TypeError, match="takes \\+= and -="):
        listener.connection_received = greet
    assert not listener.connection_received


def fails(sender, args):
    """A handler that fails at once."""
    raise ValueError("the handler fails")


async def fails_later(sender, args):
    """A handler that fails after it has waited."""
    await args.socket.output_stream.write_async(b"hello")
    await turn(2)
    raise ValueError("the handler fails")


@pytest.mark.parametrize(("handler", "said"), [(fails, b""), (fails_later, b"hello")])
@pytest_twisted.ensureDeferred
async def test_when_a_handler_fails_it_is_logged_and_the_socket_closed(handler, said):
    """With event, peer and traceback; other handlers and connections are not concerned."""
    others = Handler()
    with logged() as events:
        async with StreamSocketListener() as listener:
            listener.connection_received += handler
            listener.connection_received += others
            await listener.bind_endpoint_async("127.0.0.1", "")
            for count in (1, 2):
                with client(listener) as peer:
                    assert await rest(peer) == said
                    host, port = peer.getsockname()
                assert len(others.sockets) == count
            await others.close()
    assert len(events) == 2
    text = eventAsText(events[1], includeTimestamp=False)
    assert "StreamSocketListener.connection_received" in text
    assert f"{host} port {port}" in text
    assert "ValueError: the handler fails" in text
    assert handler.__name__ in text, "the traceback"


@pytest_twisted.ensureDeferred
async def test_a_handler_may_take_its_time():
    """The next connection does not wait for it."""
    waiting = []

    async def wait_for_a_word(sender, args):
        waiting.append(args.socket)
        data = await args.socket.input_stream.read()
        await args.socket.output_stream.write_async(data)

    async with bound(handler=wait_for_a_word) as listener:
        with client(listener) as first, client(listener) as second:
            await until(lambda: len(waiting) == 2)
            waiting.clear()
            second.sendall(b"second")
            assert await rest(second) == b"second"
            first.sendall(b"first")
            assert await rest(first) == b"first"


@pytest_twisted.ensureDeferred
async def test_a_listener_closed_in_its_handler_leaves_the_accepted_socket_alone():
    """Nobody else is let in, and the port is free."""
    handler = Handler()

    async def one_only(sender, args):
        handler(sender, args)
        sender.close()
        data = await args.socket.input_stream.read()
        await args.socket.output_stream.write_async(data)

    async with bound(handler=one_only) as listener:
        port = int(listener.information.local_port)
        with client(listener) as first, client(listener) as second:
            await listener.wait_closed_async()
            with pytest.raises(ConnectionResetError):
                await rest(second)
            first.sendall(b"still here")
            assert await received(first, 10) == b"still here"
            with listening(port=port):
                pass
        assert len(handler.calls) == 1
        await handler.close()


# Limits


@pytest_twisted.ensureDeferred
async def test_at_the_limit_clients_wait_and_none_is_accepted_and_closed():
    """All are served in the end."""
    handler = Handler()
    served = 0
    async with bound(None, handler, max_connections=5) as listener:
        with ExitStack() as stack:
            peers = [stack.enter_context(client(listener)) for _ in range(20)]
            while served < 20:
                await until(lambda done=served: len(handler.sockets) > done)
                await turn(3)
                open_now = [it for it in handler.sockets if not it._link.protocol.lost]
                assert len(open_now) <= 5
                for stream_socket in open_now[:2]:
                    await stream_socket.output_stream.write_async(b"served")
                    stream_socket.close()
                    await stream_socket.wait_closed_async()
                    served += 1
            for peer in peers:
                assert await rest(peer) == b"served"
    assert len(handler.calls) == 20


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_the_limit_counts_the_connections_of_both_families_together():
    """One number for the listener."""
    handler = Handler()
    async with bound(None, handler, max_connections=2) as listener:
        with client(listener), client(listener, "::1"), client(listener), client(listener, "::1"):
            await until(lambda: len(handler.calls) == 2)
            await turn(10)
            assert len(handler.calls) == 2
            await handler.close()
            await until(lambda: len(handler.calls) == 4)
        await handler.close()


@pytest_twisted.ensureDeferred
async def test_a_forgotten_accepted_socket_makes_room():
    """It is closed, and the next one is let in."""
    served = []

    def count(sender, args):
        served.append(args.socket.information.remote_port)

    async with bound(handler=count, max_connections=1) as listener:
        for number in range(1, 4):
            with client(listener) as peer:
                assert await rest(peer) == b""
            assert len(served) == number


@pytest_twisted.ensureDeferred
async def test_limits_of_the_listener_are_those_of_its_connections():
    """``control.limits``."""
    handler = Handler()
    async with bound(handler=handler, limits=limits(read_size=100)) as listener:
        with client(listener) as peer:
            await until(lambda: handler.calls)
            peer.sendall(bytes(500))
            assert len(await handler.sockets[0].input_stream.read()) == 100
            await handler.close()


# Pausing


@pytest_twisted.ensureDeferred
async def test_a_paused_listener_lets_clients_wait_until_it_is_resumed():
    """In the backlog; in a handler it counts from the next connection on. More often does no harm."""
    handler = Handler()

    def take_one(sender, args):
        handler(sender, args)
        sender.pause()
        sender.pause()

    async with bound(handler=take_one) as listener:
        with client(listener), client(listener), client(listener):
            for count in (1, 2, 3):
                await until(lambda count=count: len(handler.calls) == count)
                await turn(5)
                assert len(handler.calls) == count
                listener.resume()
                listener.resume()
        await handler.close()


@pytest_twisted.ensureDeferred
async def test_a_listener_paused_by_program_and_limit_waits_for_both():
    """Neither releases for the other."""
    handler = Handler()
    async with bound(handler=handler, max_connections=1) as listener:
        with client(listener), client(listener):
            await until(lambda: handler.calls)
            listener.pause()
            await handler.close()
            await turn(5)
            assert len(handler.calls) == 1
            listener.resume()
            await until(lambda: len(handler.calls) == 2)
        await handler.close()


@pytest_twisted.ensureDeferred
async def test_pausing_a_listener_that_is_not_bound_does_nothing():
    """Before as after."""
    listener = StreamSocketListener()
    listener.pause()
    listener.resume()
    async with bound(handler=greet) as listener:
        listener.close()
        listener.pause()
        listener.resume()


# Closing


@pytest_twisted.ensureDeferred
async def test_closing_frees_the_port_and_leaves_connections_alone():
    """At once for newcomers; whoever waits for it can bind there again."""
    handler = Handler()
    async with bound(handler=handler) as listener:
        port = int(listener.information.local_port)
        with client(listener) as peer:
            await until(lambda: handler.calls)
            listener.close()
            listener.close()
            await listener.wait_closed_async()
            with pytest.raises(ConnectionRefusedError):
                client(listener)
            async with StreamSocketListener() as again:
                again.connection_received += greet
                await again.bind_endpoint_async("127.0.0.1", port)
                assert again.information.local_port == listener.information.local_port
            peer.sendall(b"ping")
            assert await handler.sockets[0].input_stream.read() == b"ping"
        await handler.close()


@pytest_twisted.ensureDeferred
async def test_waiting_for_the_end_works_any_number_of_times():
    """Before the close, after it, and after the end; cancelling one concerns nobody else, nor the port."""
    async with bound(None, greet) as listener:
        early, given_up = listener.wait_closed_async(), listener.wait_closed_async()
        await turn(3)
        assert early.status is AsyncStatus.STARTED
        listener.close()
        late, given_up_late = listener.wait_closed_async(), listener.wait_closed_async()
        given_up.cancel()
        given_up_late.cancel()
        assert given_up.status is given_up_late.status is AsyncStatus.CANCELED
        await late
        await early
        await listener.wait_closed_async()
        with listening(port=int(listener.information.local_port)):
            pass


@pytest_twisted.ensureDeferred
async def test_without_a_port_there_is_no_end_to_wait_for():
    """Never bound, or in vain."""
    listener = StreamSocketListener()
    assert listener.wait_closed_async().status is AsyncStatus.COMPLETED
    listener.close()
    await listener.wait_closed_async()
    with StreamSocketListener() as listener:
        pass
    assert repr(listener) == "<StreamSocketListener closed>"


@pytest_twisted.ensureDeferred
async def test_closing_after_the_reactor_has_ended_the_port_is_closing():
    """A reactor that stops ends all ports."""
    from twisted.internet.protocol import connectionDone

    async with bound(handler=greet) as listener:
        for port in listener._ports:
            port.connectionLost(connectionDone)


@pytest_twisted.ensureDeferred
async def test_a_listener_has_no_io_of_its_own_to_cancel():
    """cancel_io_async ends at once; after closing it is too late."""
    async with bound(handler=greet) as listener:
        assert listener.cancel_io_async().status is AsyncStatus.COMPLETED
        with client(listener) as peer:
            assert await rest(peer) == b"hello"
        listener.close()
        with pytest.raises(ObjectClosedError):
            listener.cancel_io_async()


@pytest_twisted.ensureDeferred
async def test_a_listener_shows_its_port():
    """In logs."""
    listener = StreamSocketListener()
    assert repr(listener) == "<StreamSocketListener on port none>"
    async with bound(handler=greet) as listener:
        port = listener.information.local_port
        assert repr(listener) == f"<StreamSocketListener on port {port}>"
        listener.close()
        assert repr(listener) == "<StreamSocketListener closed>"
        assert listener.information.local_port == port
        assert IClosable.providedBy(listener)


# Forgotten


@contextmanager
def without_collector():
    """Let only reference counts free what nobody refers to."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def refuses(port):
    """Whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@pytest.mark.parametrize("iterated", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_forgotten_listener_frees_its_port_at_once_with_one_warning(iterated):
    """By the count of its references."""
    listener = StreamSocketListener()
    listener.connection_received += greet
    connections = listener.connections() if iterated else None
    await listener.bind_endpoint_async("127.0.0.1", "")
    port = int(listener.information.local_port)
    with without_collector(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del listener
        if iterated:
            await turn(3)
            assert not refuses(port), "whoever has its connections has it"
            del connections
        await until(lambda: refuses(port))
    assert [(warning.category, str(warning.message)) for warning in caught] == [
        (ResourceWarning, f"<StreamSocketListener on port {port}> was never closed")
    ]


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="from Python 3.12 on the frame of a failed coroutine refers to those who ran it",
)
@pytest_twisted.ensureDeferred
async def test_a_listener_whose_bind_failed_is_forgotten_without_the_collector():
    """By the count of its references: the failure does not refer to who called."""

    def fail(port):
        listener = StreamSocketListener()
        listener.connection_received += greet
        binding = listener.bind_endpoint_async("127.0.0.1", port)
        assert binding.status is AsyncStatus.ERROR
        binding.addErrback(lambda _: None)
        return weakref.ref(listener)

    async with bound(handler=greet) as first:
        with without_collector():
            assert fail(first.information.local_port)() is None


@pytest_twisted.ensureDeferred
async def test_a_connection_that_comes_when_the_listener_is_gone_is_closed():
    """In the turns before its port is."""
    listener = StreamSocketListener()
    listener.connection_received += greet
    listener.itself = listener
    await listener.bind_endpoint_async("127.0.0.1", "")
    with client(listener) as peer, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (port,) = listener._ports
        del listener
        gc.collect()
        port.doRead()
        assert await rest(peer) == b""
        await until(lambda: not port.connected)


@pytest_twisted.ensureDeferred
async def test_a_forgotten_listener_may_be_found_again_and_closed():
    """A warning that somebody keeps has it, for one."""
    listener = StreamSocketListener()
    listener.connection_received += greet
    await listener.bind_endpoint_async("127.0.0.1", "")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del listener
        gc.collect()
        (warning,) = caught
        warning.source.close()
        await warning.source.wait_closed_async()
        await turn(3)


@pytest_twisted.ensureDeferred
async def test_a_forgotten_port_is_freed_although_its_warning_is_an_error(monkeypatch):
    """Python prints what a finalizer raises."""
    raised = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    listener = StreamSocketListener()
    listener.connection_received += greet
    await listener.bind_endpoint_async("127.0.0.1", "")
    port = int(listener.information.local_port)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del listener
        gc.collect()
    await until(lambda: refuses(port))
    assert [type(hook.exc_value) for hook in raised] == [ResourceWarning]


@pytest_twisted.ensureDeferred
async def test_listeners_that_need_not_be_closed_are_forgotten_without_a_word():
    """Never bound, closed, or not even made."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with bound(handler=greet):
            pass
        StreamSocketListener().connection_received += greet
        with pytest.raises(TypeError):
            StreamSocketListener(no_such_argument=True)
        gc.collect()


@pytest_twisted.ensureDeferred
async def test_an_event_that_outlives_its_listener_takes_handlers_that_nobody_calls():
    """It does not hold it."""
    event = StreamSocketListener().connection_received
    gc.collect()
    event += greet
    assert event
    assert family_of("127.0.0.1") == socket.AF_INET
