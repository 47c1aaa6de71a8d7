"""Stream sockets that nobody refers to any more."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from contextlib import contextmanager

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from tests.sockets.streams import NARROW, bound
from tests.transports.loopback import PATIENCE, limits, listening, pattern, rest, turn, until
from winsockets.errors import OperationAbortedError
from winsockets.foundation import AsyncStatus
from winsockets.sockets import StreamSocket
from winsockets.sockets._link import Link, from_reactor_thread, global_reactor
from winsockets.streams import Buffer, InputStreamOptions


@contextmanager
def warned(port):
    """Expect exactly one warning meanwhile: about a forgotten connection with that port."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    message = f"a StreamSocket connected to 127.0.0.1 port {port} was never closed"
    assert [(warning.category, str(warning.message)) for warning in caught] == [(ResourceWarning, message)]


class Protocol:
    """What a link holds: notes in which thread and how often it is closed."""

    lost = False
    peer = "127.0.0.1 port 80"

    def __init__(self):
        self.closed_in = []

    def close(self):
        """See StreamProtocol."""
        self.closed_in.append(threading.current_thread())

    def discard_input(self):
        """See StreamProtocol."""

    def shut_output(self):
        """See StreamProtocol."""


@contextmanager
def without_collector():
    """Let only reference counts free what nobody refers to."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def connect(port, **settings):
    """A connected socket."""
    stream_socket = StreamSocket()
    for name, value in settings.items():
        setattr(stream_socket.control, name, value)
    await stream_socket.connect_async("127.0.0.1", port)
    return stream_socket


@pytest_twisted.ensureDeferred
async def test_a_forgotten_socket_is_closed_in_good_order_with_one_warning():
    """At once, by the count of its references."""
    with without_collector(), listening() as (server, port):
        stream_socket = await connect(port)
        await stream_socket.output_stream.write_async(b"last words")
        peer, _ = server.accept()
        with peer, warned(port):
            peer.settimeout(PATIENCE)
            del stream_socket
            assert await rest(peer) == b"last words"


@pytest_twisted.ensureDeferred
async def test_what_a_forgotten_socket_was_given_to_send_is_sent():
    """However slowly the peer takes it."""
    with listening(receive_buffer=NARROW) as (server, port):
        stream_socket = await connect(port, outbound_buffer_size_in_bytes=NARROW)
        writing = stream_socket.output_stream.write_async(pattern(1_000_000))
        peer, _ = server.accept()
        with peer, warned(port):
            peer.settimeout(PATIENCE)
            del stream_socket
            gc.collect()
            assert await rest(peer) == pattern(1_000_000)
            assert await writing == 1_000_000


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.read(10),
        lambda stream: stream.read_exactly(10),
        lambda stream: stream.read_async(Buffer(10), 10, InputStreamOptions.NONE),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_pending_read_does_not_keep_a_forgotten_socket(read):
    """It ends as with a close, also when a part has arrived before or comes meanwhile."""
    with without_collector(), listening() as (server, port):
        stream_socket = await connect(port)
        peer, _ = server.accept()
        with peer, warned(port):
            peer.settimeout(PATIENCE)
            reading = read(stream_socket.input_stream)
            assert reading.status is AsyncStatus.STARTED
            del stream_socket
            with pytest.raises(OperationAbortedError):
                await reading
            assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_a_long_read_that_goes_on_when_its_socket_is_forgotten_ends():
    """Bytes came before the connection was closed; nobody can read them any more."""
    sockets = []
    async with bound(handler=lambda sender, args: sockets.append(args.socket)) as listener:
        with without_collector(), socket.socket() as peer:
            peer.connect(("127.0.0.1", int(listener.information.local_port)))
            await until(lambda: sockets)
            protocol = sockets[0]._link.protocol
            reading = sockets[0].input_stream.read_exactly(10)
            sockets.clear()
            protocol.dataReceived(b"abc")
            with pytest.raises(OperationAbortedError, match="forgotten"):
                await reading
            await protocol.when_lost()


@pytest.mark.parametrize("name", ["input_stream", "output_stream"])
@pytest_twisted.ensureDeferred
async def test_a_stream_keeps_its_connection(name):
    """Readers and writers outlive the socket that they came from."""
    with without_collector(), listening() as (server, port):
        stream_socket = await connect(port)
        stream = getattr(stream_socket, name)
        with server.accept()[0] as peer:
            peer.settimeout(PATIENCE)
            del stream_socket
            await turn(3)
            if name == "input_stream":
                peer.sendall(b"x")
                assert await stream.read() == b"x"
            else:
                await stream.write_async(b"x")
                assert peer.recv(1) == b"x"
            with warned(port):
                del stream
            assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_whoever_waits_for_data_keeps_the_connection():
    """A program may consist of one that waits."""
    with listening() as (server, port):
        got = []

        async def receive():
            stream_socket = await connect(port)
            async with stream_socket:
                got.append(await stream_socket.input_stream.read())

        ensureDeferred(receive())
        peer, _ = await deferToThread(server.accept)
        with peer:
            await turn(5)
            gc.collect()
            await turn(5)
            peer.sendall(b"awake")
            await until(lambda: got)
    assert got == [b"awake"]


@pytest_twisted.ensureDeferred
async def test_a_read_of_a_forgotten_socket_is_aborted():
    """Nobody can give it data any more."""
    with listening() as (server, port):
        stream_socket = await connect(port)
        reading = stream_socket.input_stream.read()
        with server.accept()[0], warned(port):
            del stream_socket
            gc.collect()
            await until(lambda: reading.status is not AsyncStatus.STARTED)
        with pytest.raises(OperationAbortedError):
            reading.get_results()


@pytest_twisted.ensureDeferred
async def test_a_closed_socket_is_forgotten_without_a_word():
    """As is one that was never connected."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with listening() as (server, port):
            stream_socket = await connect(port)
            server.accept()[0].close()
            stream_socket.close()
            await stream_socket.wait_closed_async()
            del stream_socket
            StreamSocket()
            StreamSocket().close()
            gc.collect()


@pytest_twisted.ensureDeferred
async def test_an_accepted_socket_is_forgotten_without_a_warning():
    """A handler that has nothing more to say just ends; the peer sees the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        async def greet(listener, args):
            await args.socket.output_stream.write_async(b"hello")

        async with bound(handler=greet) as listener:
            number = int(listener.information.local_port)
            with without_collector(), socket.create_connection(("127.0.0.1", number), PATIENCE) as peer:
                assert await rest(peer) == b"hello"


@pytest_twisted.ensureDeferred
async def test_an_accepted_socket_that_no_handler_keeps_is_closed():
    """Also by a listener whose handlers are gone."""
    async with bound(handler=print) as listener:
        listener.connection_received -= print
        number = int(listener.information.local_port)
        with socket.create_connection(("127.0.0.1", number), PATIENCE) as peer:
            assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_a_socket_forgotten_in_another_thread_is_closed_in_the_reactors():
    """The garbage collector runs wherever it runs."""
    with listening() as (server, port):
        held = [await connect(port)]
        protocol = held[0]._link.protocol
        closed_in = []
        close = protocol.close
        protocol.close = lambda: (closed_in.append(threading.current_thread()), close())
        with server.accept()[0] as peer, warned(port):
            peer.settimeout(PATIENCE)
            await deferToThread(held.clear)
            assert await rest(peer) == b""
        assert closed_in == [threading.main_thread()]


@pytest_twisted.ensureDeferred
async def test_a_finalizer_does_nothing_by_itself():
    """It may run in the midst of anything, the reactor's own work included."""
    protocol = Protocol()
    link = Link(global_reactor(None))
    link.connect(protocol)
    with warned(80):
        del link
    assert protocol.closed_in == []
    await until(lambda: protocol.closed_in)
    assert protocol.closed_in == [threading.current_thread()]


@pytest_twisted.ensureDeferred
async def test_a_forgotten_connection_is_closed_although_its_warning_is_an_error(monkeypatch):
    """Python prints what a finalizer raises."""
    raised = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    protocol = Protocol()
    link = Link(global_reactor(None))
    link.connect(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del link
    await until(lambda: protocol.closed_in)
    assert [type(hook.exc_value) for hook in raised] == [ResourceWarning]


@pytest.mark.parametrize("state", ["lost", "closed", "unconnected"])
def test_a_link_without_an_open_connection_goes_without_a_word(state):
    """There is nothing to close."""
    protocol = Protocol()
    link = Link(Clock())
    if state != "unconnected":
        link.connect(protocol)
    if state == "lost":
        protocol.lost = True
    elif state == "closed":
        link.close()
        protocol.closed_in.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del link
    assert protocol.closed_in == []


@pytest_twisted.ensureDeferred
async def test_an_action_from_elsewhere_happens_in_a_later_turn():
    """In the reactor's thread."""
    happened = []
    from_reactor_thread(global_reactor(None), lambda: happened.append(threading.current_thread()))
    assert happened == []
    await until(lambda: happened)
    assert happened == [threading.current_thread()]


def test_without_a_reactor_the_installed_one_is_taken():
    """Given one, that one."""
    from twisted.internet import reactor

    given = object()
    assert global_reactor(None) is reactor
    assert global_reactor(given) is given


@pytest_twisted.ensureDeferred
async def test_sockets_in_a_cycle_are_closed_when_the_collector_finds_them():
    """In the midst of whatever the reactor does."""
    with listening() as (server, port):
        cycle = [await connect(port, limits=limits(close_timeout=5.0))]
        cycle.append(cycle)
        with server.accept()[0] as peer, warned(port):
            peer.settimeout(PATIENCE)
            del cycle
            gc.collect()
            assert await rest(peer) == b""
