"""StreamSocket: closing it, and cancelling what is pending on it."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.sockets.streams import NARROW, accepted, connected, pair
from tests.transports.loopback import HOSTS, limits, pattern, received, reset, rest, turn
from winsockets.errors import (
    ERROR_OPERATION_ABORTED,
    ObjectClosedError,
    OperationAbortedError,
    SocketError,
    SocketErrorStatus,
)
from winsockets.foundation import AsyncStatus
from winsockets.sockets import StreamSocket
from winsockets.streams import Buffer, DataReader, InputStreamOptions

MUCH = 1_000_000
SLOW = {"receive_buffer": NARROW, "outbound_buffer_size_in_bytes": NARROW}
"""A connection that takes little at a time."""


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("make", [connected, accepted])
@pytest_twisted.ensureDeferred
async def test_closing_ends_the_stream_for_the_peer_after_what_was_written(host, make):
    """In good order; closing again does no harm."""
    async with make(host) as (stream_socket, peer):
        await stream_socket.output_stream.write_async(b"last words")
        stream_socket.close()
        stream_socket.close()
        assert await rest(peer) == b"last words"


@pytest.mark.parametrize("make", [connected, accepted])
@pytest_twisted.ensureDeferred
async def test_writes_that_were_accepted_are_sent_although_the_socket_was_closed(make):
    """Their operations end well; nobody need await them."""
    async with make(**SLOW) as (stream_socket, peer):
        writes = [stream_socket.output_stream.write_async(pattern(MUCH)) for _ in range(1)]
        writes.append(stream_socket.output_stream.write_async(b"last"))
        flushing = stream_socket.output_stream.flush_async()
        stream_socket.close()
        assert await rest(peer) == pattern(MUCH) + b"last"
        assert [await write for write in writes] == [MUCH, 4]
        assert await flushing is True


@pytest_twisted.ensureDeferred
async def test_closing_aborts_the_pending_read():
    """ERROR with 0x800703E3, status OPERATION_ABORTED, at once."""
    async with connected() as (stream_socket, _):
        reader = DataReader(stream_socket.input_stream)
        loading = reader.load_async(4)
        stream_socket.close()
        assert loading.status is AsyncStatus.ERROR
        assert loading.error_code == ERROR_OPERATION_ABORTED
        with pytest.raises(OperationAbortedError) as caught:
            await loading
        assert SocketError.get_status(caught.value.winerror) is SocketErrorStatus.OPERATION_ABORTED
        assert await stream_socket.wait_closed_async() is None


@pytest_twisted.ensureDeferred
async def test_closing_with_unread_data_resets_the_connection():
    """Graceful only when nothing that the peer sent is left."""
    async with connected() as (stream_socket, peer):
        peer.sendall(b"hello world")
        assert await stream_socket.input_stream.read(5) == b"hello"
        stream_socket.close()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@pytest_twisted.ensureDeferred
async def test_closing_gives_up_after_the_deadline():
    """``limits.close_timeout``: what still waits fails, and the peer sees a reset."""
    async with connected(limits=limits(close_timeout=0.02), **SLOW) as (stream_socket, peer):
        writing = stream_socket.output_stream.write_async(pattern(MUCH))
        stream_socket.close()
        with pytest.raises(OperationAbortedError, match=r"within 0\.02 s"):
            await writing
        await stream_socket.wait_closed_async()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@pytest_twisted.ensureDeferred
async def test_waiting_for_the_end_works_any_number_of_times():
    """Before the close, after it, and after the end; cancelling one concerns nobody else."""
    async with connected() as (stream_socket, _):
        early, given_up = stream_socket.wait_closed_async(), stream_socket.wait_closed_async()
        await turn(3)
        assert early.status is AsyncStatus.STARTED
        given_up.cancel()
        assert given_up.status is AsyncStatus.CANCELED
        stream_socket.close()
        late = stream_socket.wait_closed_async()
        await early
        await late
        await stream_socket.wait_closed_async()


@pytest_twisted.ensureDeferred
async def test_the_end_comes_by_itself_when_the_peer_resets():
    """Whoever waits for it hears of it; the socket can still be closed."""
    async with connected() as (stream_socket, peer):
        ending = stream_socket.wait_closed_async()
        reset(peer)
        await ending


@pytest_twisted.ensureDeferred
async def test_without_a_connection_there_is_no_end_to_wait_for():
    """Before it and without it."""
    stream_socket = StreamSocket()
    assert stream_socket.wait_closed_async().status is AsyncStatus.COMPLETED
    stream_socket.close()
    await stream_socket.wait_closed_async()
    async with StreamSocket():
        pass


@pytest_twisted.ensureDeferred
async def test_the_pending_operations_of_a_socket_that_is_closed_in_its_handler_all_end():
    """Whoever hears of one may do anything to the others."""
    async with connected(limits=limits(close_timeout=0.02), **SLOW) as (stream_socket, _):
        reading = stream_socket.input_stream.read()
        writing = stream_socket.output_stream.write_async(pattern(MUCH))
        ended = []
        reading.addErrback(lambda _: (ended.append("read"), writing.cancel(), stream_socket.close()))
        writing.addErrback(lambda _: ended.append("write"))
        stream_socket.close()
        await stream_socket.wait_closed_async()
        assert sorted(ended) == ["read", "write"]


# cancel_io_async


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_leaves_the_connection_up():
    """As before handing a socket over: the pending partial load has ended, and the connection is used on."""
    async with pair() as (client, server):
        reader = DataReader(client.input_stream)
        reader.input_stream_options = InputStreamOptions.PARTIAL
        loading = reader.load_async(250)
        completed = []
        loading.completed = lambda operation, status: completed.append(status)
        await client.cancel_io_async()
        assert loading.status is AsyncStatus.ERROR
        assert completed == [AsyncStatus.ERROR]
        assert loading.error_code == ERROR_OPERATION_ABORTED
        await server.output_stream.write_async(b"hi")
        assert await reader.load_async(250) == 2
        assert reader.read_string(2) == "hi"
        await client.output_stream.write_async(b"still here")
        assert await server.input_stream.read() == b"still here"


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_when_nothing_is_pending_ends_at_once():
    """Connected or not."""
    assert StreamSocket().cancel_io_async().status is AsyncStatus.COMPLETED
    async with connected() as (stream_socket, _):
        assert stream_socket.cancel_io_async().status is AsyncStatus.COMPLETED


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_of_a_closed_socket_is_too_late():
    """RO_E_CLOSED."""
    async with connected() as (stream_socket, _):
        stream_socket.close()
        with pytest.raises(ObjectClosedError):
            stream_socket.cancel_io_async()


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_ends_every_write_and_no_hole_is_left_in_the_stream():
    """What has begun is sent to its end; what has not never leaves."""
    async with connected(**SLOW) as (stream_socket, peer):
        output = stream_socket.output_stream
        begun, behind, flushing = (
            output.write_async(pattern(MUCH)),
            output.write_async(b"no"),
            output.flush_async(),
        )
        reading = stream_socket.input_stream.read_async(Buffer(9), 9, InputStreamOptions.NONE)
        peer.sendall(b"abc")
        await turn(5)
        await stream_socket.cancel_io_async()
        for operation in (begun, behind, flushing, reading):
            assert operation.status is AsyncStatus.ERROR
            with pytest.raises(OperationAbortedError):
                operation.get_results()
        assert await stream_socket.input_stream.read() == b"abc"
        after = output.write_async(b"after")
        assert await received(peer, MUCH + 5) == pattern(MUCH) + b"after"
        await after


# Cancelling one operation


@pytest_twisted.ensureDeferred
async def test_cancelling_a_read_leaves_the_connection_up():
    """Unlike in WinRT, where it drops the connection."""
    async with connected() as (stream_socket, peer):
        reading = stream_socket.input_stream.read()
        reading.cancel()
        with pytest.raises(OperationAbortedError):
            reading.get_results()
        peer.sendall(b"kept")
        assert await stream_socket.input_stream.read() == b"kept"


@pytest_twisted.ensureDeferred
async def test_cancelling_a_write_that_has_begun_drops_the_connection():
    """The peer sees a reset; whatever is pending ends, and the socket can be closed."""
    async with connected(**SLOW) as (stream_socket, peer):
        writing = stream_socket.output_stream.write_async(pattern(MUCH))
        reading = stream_socket.input_stream.read()
        writing.cancel()
        assert writing.status is AsyncStatus.ERROR
        with pytest.raises(OperationAbortedError, match="broken off"):
            writing.get_results()
        with pytest.raises(OperationAbortedError):
            await reading
        await stream_socket.wait_closed_async()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@pytest_twisted.ensureDeferred
async def test_cancelling_a_write_that_has_not_begun_takes_it_back_whole():
    """The others are not concerned."""
    async with connected(**SLOW) as (stream_socket, peer):
        output = stream_socket.output_stream
        first, second, third = (
            output.write_async(pattern(MUCH)),
            output.write_async(b"no"),
            output.write_async(b"yes"),
        )
        second.cancel()
        with pytest.raises(OperationAbortedError):
            second.get_results()
        assert await received(peer, MUCH + 3) == pattern(MUCH) + b"yes"
        await first
        await third


@pytest_twisted.ensureDeferred
async def test_a_closing_socket_does_not_read_and_resets_when_something_came():
    """Its writes end well all the same: the system has them."""
    async with connected(**SLOW) as (stream_socket, peer):
        writing = stream_socket.output_stream.write_async(pattern(MUCH))
        stream_socket.close()
        peer.sendall(b"are you there?")
        receiving = ensureDeferred(rest(peer))
        assert await writing == MUCH
        await stream_socket.wait_closed_async()
        with pytest.raises(ConnectionResetError):
            await receiving
