"""What is pending when something else happens to a datagram socket, and what becomes of forgotten ones."""

from __future__ import annotations

import gc
import socket as system
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionLost
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.networks import network_namespace, run
from tests.sockets.datagrams import names, outcome, pending_names, receiver_on, status_of, system_sockets
from tests.transports.datagrams import on_linux, turns, until
from winsockets.errors import (
    IllegalMethodCallError,
    ObjectClosedError,
    OperationAbortedError,
    OperationCanceledError,
    SocketErrorStatus,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncStatus
from winsockets.networking import EndpointPair
from winsockets.sockets import DatagramSocket

OPENING = {
    "bind": lambda socket: socket.bind_endpoint_async("name", ""),
    "connect": lambda socket: socket.connect_async("name", 9),
    "connect from": lambda socket: socket.connect_async(EndpointPair("name", "", "127.0.0.1", 9)),
    "stream from": lambda socket: socket.get_output_stream_async(EndpointPair("name", "", "127.0.0.1", 9)),
}
PENDING = OPENING | {"stream to": lambda socket: socket.get_output_stream_async("name", 9)}


# Pending


@pytest.mark.parametrize("what", PENDING)
@pytest_twisted.ensureDeferred
async def test_closing_aborts_what_is_pending(what):
    """OPERATION_ABORTED, and nothing is bound."""
    with pending_names() as resolver:
        async with DatagramSocket() as socket:
            operation = PENDING[what](socket)
            assert operation.status is AsyncStatus.STARTED
        problem = outcome(operation)
        assert isinstance(problem, OperationAbortedError)
        assert problem.status is SocketErrorStatus.OPERATION_ABORTED
        assert "aborted by close" in str(problem)
        assert resolver.lookups[0].cancelled == 1
        assert socket.information.local_port == ""
        with pytest.raises(IllegalMethodCallError, match="after the socket was closed"):
            socket.control.dont_fragment = True


@pytest.mark.parametrize("what", PENDING)
@pytest_twisted.ensureDeferred
async def test_what_is_pending_can_be_cancelled(what):
    """It ends as CANCELED and leaves the socket as it was."""
    with pending_names() as resolver:
        async with DatagramSocket() as socket:
            operation = PENDING[what](socket)
            operation.cancel()
            assert operation.status is AsyncStatus.CANCELED
            assert isinstance(outcome(operation), OperationCanceledError)
            assert resolver.lookups[0].cancelled == 1
            assert socket.information.local_port == ""
            socket.control.dont_fragment = False
            socket.add_message_received(print)
            await socket.connect_async("127.0.0.1", 9)


@pytest.mark.parametrize("what", OPENING)
@pytest_twisted.ensureDeferred
async def test_while_a_socket_is_being_bound_or_connected_it_takes_no_other_orders(what):
    """E_ILLEGAL_METHOD_CALL, in the call; then the pending one goes on."""
    with pending_names() as resolver:
        async with DatagramSocket() as socket:
            stream = await socket.get_output_stream_async("127.0.0.1", 9)
            operation = OPENING[what](socket)
            for call in (
                lambda: socket.bind_service_name_async(""),
                lambda: socket.connect_async("127.0.0.1", 9),
                lambda: socket.get_output_stream_async(EndpointPair(None, "9", "127.0.0.1", 9)),
                lambda: socket.add_message_received(print),
                socket.messages,
                lambda: stream.write_async(b"x"),
                stream.flush_async,
            ):
                with pytest.raises(
                    IllegalMethodCallError, match="being bound or connected; await that first"
                ):
                    call()
            with pytest.raises(IllegalMethodCallError, match="cannot be set"):
                socket.control.dont_fragment = True
            other = socket.get_output_stream_async("127.0.0.1", 9)
            assert other.status is AsyncStatus.COMPLETED
            resolver.lookups[0].answer("127.0.0.1")
            await operation
            assert socket.information.local_port != ""


@pytest_twisted.ensureDeferred
async def test_a_connect_keeps_what_it_was_asked_whatever_happens_to_the_pair():
    """A pair is mutable."""
    with pending_names() as resolver:
        async with DatagramSocket() as socket:
            pair = EndpointPair(None, "", "name", 9)
            operation = socket.connect_async(pair)
            pair.local_host_name = "192.0.2.1"
            pair.remote_service_name = "10"
            resolver.lookups[0].answer("127.0.0.1")
            await operation
            assert socket.information.remote_port == "9"


@pytest_twisted.ensureDeferred
async def test_a_stream_that_was_looked_up_meanwhile_suits_the_socket_as_it_is():
    """Here it has been connected to somebody else."""
    with pending_names() as resolver:
        async with DatagramSocket() as socket:
            operation = socket.get_output_stream_async("name", 9)
            await socket.connect_async("127.0.0.1", 10)
            resolver.lookups[0].answer("127.0.0.1")
            assert isinstance(outcome(operation), IllegalMethodCallError)


@pytest_twisted.ensureDeferred
async def test_a_name_that_takes_too_long_is_given_up():
    """The limits of the control count."""
    with pending_names():
        async with DatagramSocket() as socket:
            socket.control.limits = replace(DEFAULT_LIMITS, resolve_timeout=0.01)
            operation = socket.connect_async("name", 9)
            await until(lambda: operation.called)
            assert status_of(operation) is SocketErrorStatus.CONNECTION_TIMED_OUT


@pytest_twisted.ensureDeferred
async def test_only_so_many_addresses_of_a_name_are_tried():
    """As the limits of the control say."""
    with network_namespace(), names(peer="192.0.2.1 192.0.2.2 127.0.0.1"):
        async with DatagramSocket() as socket:
            socket.control.limits = replace(DEFAULT_LIMITS, max_addresses=2)
            assert status_of(socket.connect_async("peer", 9)) is SocketErrorStatus.NETWORK_IS_UNREACHABLE
            socket.control.limits = replace(DEFAULT_LIMITS, max_addresses=3)
            await socket.connect_async("peer", 9)


# Forgotten


@contextmanager
def no_collector() -> Iterator[None]:
    """Objects go when the last reference does, or not at all."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["bind", "connect", "send"])
@pytest_twisted.ensureDeferred
async def test_a_forgotten_socket_is_closed_at_once_with_one_warning(way):
    """It is part of no reference cycle, whatever was done with it."""
    from twisted.internet import reactor

    with no_collector():
        socket = DatagramSocket()
        socket.message_received += lambda sender, args: None
        socket.messages()
        if way == "bind":
            await socket.bind_service_name_async("")
        elif way == "connect":
            await socket.connect_async("127.0.0.1", 9)
            await socket.output_stream.write_async(b"to nobody")
        else:
            stream = await socket.get_output_stream_async("127.0.0.1", 9)
            await stream.write_many_async([b"x", b"y"])
            await stream.flush_async()
            del stream
        await turns(3)
        socket.cancel_io_async()
        port = socket.information.local_port
        sockets = system_sockets(socket)
        transports = list(socket._link.transports.values())
        gone = weakref.ref(socket)
        with pytest.warns(
            ResourceWarning, match=f"a DatagramSocket on port {port} was never closed"
        ) as caught:
            del socket
        assert gone() is None
        assert len(caught) == 1
        await until(lambda: {skt.fileno() for skt in sockets} == {-1})
        assert not any(transport in reactor.getReaders() for transport in transports)


@pytest.mark.parametrize("state", ["new", "closed", "never bound"])
@pytest_twisted.ensureDeferred
async def test_a_socket_that_holds_nothing_goes_without_a_warning(state):
    """And at once, too."""
    with no_collector():
        socket = DatagramSocket()
        socket.message_received += lambda sender, args: None
        if state == "closed":
            await socket.bind_service_name_async("")
            await (await socket.get_output_stream_async("127.0.0.1", 9)).write_async(b"x")
            socket.close()
        elif state == "never bound":
            await socket.get_output_stream_async("127.0.0.1", 9)
        gone, link = weakref.ref(socket), weakref.ref(socket._link)
        del socket
        assert gone() is None
        assert link() is None


@pytest_twisted.ensureDeferred
async def test_who_has_only_its_settings_and_addresses_does_not_keep_a_socket():
    """They are as those of a closed socket then."""
    with no_collector():
        socket = DatagramSocket()
        await socket.connect_async("127.0.0.1", 9)
        control, information = socket.control, socket.information
        assert information.local_port != ""
        with pytest.warns(ResourceWarning, match="never closed"):
            del socket
        await until(lambda: information.local_port == "")
        assert information.remote_port == ""
        assert information.remote_address is None
        control.outbound_unicast_hop_limit = 5


@pytest_twisted.ensureDeferred
async def test_a_socket_that_the_reactor_closed_goes_without_a_warning():
    """It does so when it stops."""
    socket = DatagramSocket()
    await socket.bind_service_name_async("")
    stream = await socket.get_output_stream_async("127.0.0.1", 9)
    for transport in list(socket._link.transports.values()):
        transport.connectionLost(Failure(ConnectionLost()))
    with pytest.raises(ObjectClosedError):
        stream.write_async(b"x")
    assert socket.information.local_port == ""
    del socket, stream, transport


@pytest_twisted.ensureDeferred
async def test_a_bound_socket_sends_while_it_is_being_connected():
    """Only its peer's stream has to wait."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        stream = await socket.get_output_stream_async("127.0.0.1", receiver.information.local_port)
        with pending_names() as resolver:
            connecting = socket.connect_async("name", 9)
            await stream.write_async(b"x")
            assert (await anext(messages)).data == b"x"
            with pytest.raises(IllegalMethodCallError, match="not connected"):
                socket.output_stream.write_async(b"x")
            resolver.lookups[0].answer("127.0.0.1")
            await connecting
        assert await socket.output_stream.write_async(b"x") == 1


@pytest_twisted.ensureDeferred
async def test_failures_keep_no_socket_for_ever():
    """An exception knows the frames it came through, and they know the socket: this takes the collector."""
    socket = DatagramSocket()
    outcome(socket.bind_endpoint_async("192.0.2.1", ""))
    outcome(socket.connect_async("224.0.0.1", 9))
    with pending_names():
        operation = socket.bind_endpoint_async("name", "")
        operation.cancel()
        outcome(operation)
        del operation
    gone = weakref.ref(socket)
    del socket
    gc.collect()
    assert gone() is None


@pytest_twisted.ensureDeferred
async def test_a_stream_keeps_the_port_open_without_its_socket():
    """Until it is forgotten too; handlers are not called any more."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver:
        with no_collector():
            socket, handled = DatagramSocket(), []
            socket.message_received += lambda sender, args: handled.append(args)
            await socket.bind_endpoint_async("127.0.0.1", "")
            port = socket.information.local_port
            stream = await socket.get_output_stream_async("127.0.0.1", receiver.information.local_port)
            gone = weakref.ref(socket)
            del socket
            assert gone() is None
            await stream.write_async(b"still there")
            message = await anext(messages)
            assert (message.data, message.remote_port) == (b"still there", port)
            await turns()
            back = await receiver.get_output_stream_async("127.0.0.1", port)
            await back.write_async(b"nobody hears this")
            await turns(2)
            assert handled == []
            with pytest.warns(ResourceWarning, match="never closed"):
                del stream
            await turns()


@pytest_twisted.ensureDeferred
async def test_a_pending_operation_keeps_its_socket():
    """Who waits for a bind wants the socket, and gets it bound."""
    with pending_names() as resolver, no_collector():
        socket = DatagramSocket()
        operation = socket.bind_endpoint_async("name", "")
        gone = weakref.ref(socket)
        del socket
        assert gone() is not None
        with pytest.warns(ResourceWarning, match="never closed"):
            resolver.lookups[0].answer("127.0.0.1")
        assert operation.get_results() is None
        await turns()
        assert gone() is None


@on_linux
@pytest_twisted.ensureDeferred
async def test_what_was_handed_in_is_sent_before_a_forgotten_socket_is_closed():
    """A datagram that waits for a slow network too."""
    with network_namespace():
        run(
            "tc",
            "qdisc",
            "add",
            "dev",
            "lo",
            "root",
            "tbf",
            "rate",
            "8kbit",
            "burst",
            "1600",
            "latency",
            "1000s",
        )
        receiver, messages = await receiver_on("127.0.0.1")
        async with receiver:
            socket = DatagramSocket()
            await socket.connect_async("127.0.0.1", receiver.information.local_port)
            (skt,) = system_sockets(socket)
            skt.setsockopt(system.SOL_SOCKET, system.SO_SNDBUF, 4096)
            last = None
            for number in range(20):
                last = socket.output_stream.write_async(bytes([number]) * (500 + number))
            with pytest.warns(ResourceWarning, match="never closed"):
                del socket
            await turns(2)
            assert last.status is AsyncStatus.STARTED
            assert skt.fileno() >= 0
            run(
                "tc",
                "qdisc",
                "change",
                "dev",
                "lo",
                "root",
                "tbf",
                "rate",
                "1gbit",
                "burst",
                "1mb",
                "latency",
                "1000s",
            )
            for number in range(20):
                assert (await anext(messages)).data == bytes([number]) * (500 + number)
            assert await last == 519
            await until(lambda: skt.fileno() == -1)


@pytest_twisted.ensureDeferred
async def test_a_socket_may_be_forgotten_in_any_thread():
    """The collector runs wherever it is; the reactor is told in its own thread."""
    boxes = [DatagramSocket()]
    await boxes[0].bind_endpoint_async("127.0.0.1", "")
    (skt,) = system_sockets(boxes[0])
    with pytest.warns(ResourceWarning, match="never closed"):
        await deferToThread(boxes.clear)
    await until(lambda: skt.fileno() == -1)


@pytest_twisted.ensureDeferred
async def test_a_warning_that_is_an_error_does_not_keep_a_forgotten_socket_open(monkeypatch):
    """As in this test suite, where the interpreter says that a finalizer failed."""
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    socket = DatagramSocket()
    await socket.bind_endpoint_async("127.0.0.1", "")
    (skt,) = system_sockets(socket)
    del socket
    await until(lambda: skt.fileno() == -1)
    assert [type(entry.exc_value) for entry in unraisable] == [ResourceWarning]
