"""The streams of a stream socket: what they are before, during and after the connection."""

from __future__ import annotations

import errno

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.sockets.streams import NARROW, connected, pair
from tests.transports.loopback import (
    HOSTS,
    PATIENCE,
    limits,
    listening,
    pattern,
    received,
    reset,
    rest,
    sent,
    turn,
    until,
)
from winsockets.errors import (
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    ResetByPeerError,
    SocketError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.sockets import StreamSocket
from winsockets.streams import Buffer, DataReader, DataWriter, InputStreamOptions

MUCH = 1_000_000
NONE, PARTIAL = InputStreamOptions.NONE, InputStreamOptions.PARTIAL
READING = [
    lambda socket: socket.input_stream.read(),
    lambda socket: socket.input_stream.read_exactly(3),
    lambda socket: socket.input_stream.read_async(Buffer(5), 5, NONE),
]
WRITING = [
    lambda socket: socket.output_stream.write_async(b"x"),
    lambda socket: socket.output_stream.write_many_async([b"x", b"y"]),
    lambda socket: socket.output_stream.flush_async(),
]


@pytest.mark.parametrize("act", READING + WRITING)
def test_before_the_connection_it_is_too_early(act):
    """E_ILLEGAL_METHOD_CALL at the call, status UNKNOWN, with advice."""
    with pytest.raises(IllegalMethodCallError, match="await connect_async first") as caught:
        act(StreamSocket())
    assert SocketError.get_status(caught.value.winerror) is SocketErrorStatus.UNKNOWN


@pytest.mark.parametrize("act", READING + WRITING)
@pytest_twisted.ensureDeferred
async def test_after_the_socket_was_closed_it_is_too_late(act):
    """RO_E_CLOSED."""
    async with connected() as (stream_socket, _):
        stream_socket.close()
        with pytest.raises(ObjectClosedError, match="the socket was closed"):
            act(stream_socket)


@pytest.mark.parametrize("act", READING)
@pytest_twisted.ensureDeferred
async def test_after_the_input_stream_was_closed_it_is_too_late_to_read(act):
    """RO_E_CLOSED."""
    async with connected() as (stream_socket, _):
        stream_socket.input_stream.close()
        stream_socket.input_stream.close()
        with pytest.raises(ObjectClosedError, match="the stream was closed"):
            act(stream_socket)


@pytest.mark.parametrize("act", WRITING)
@pytest_twisted.ensureDeferred
async def test_after_the_output_stream_was_closed_it_is_too_late_to_write(act):
    """RO_E_CLOSED."""
    async with connected() as (stream_socket, _):
        stream_socket.output_stream.close()
        stream_socket.output_stream.close()
        with pytest.raises(ObjectClosedError, match="the stream was closed"):
            act(stream_socket)


def test_the_streams_are_always_the_same():
    """Readable at any time."""
    stream_socket = StreamSocket()
    assert stream_socket.input_stream is stream_socket.input_stream
    assert stream_socket.output_stream is stream_socket.output_stream


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_what_one_end_writes_the_other_reads(host):
    """Both ways."""
    async with pair(host) as (client, server):
        assert await client.output_stream.write_async(b"ping") == 4
        assert await server.input_stream.read(100) == b"ping"
        assert await server.output_stream.write_many_async([b"po", b"ng"]) == 4
        assert await server.output_stream.flush_async() is True
        assert await client.input_stream.read_exactly(4) == b"pong"


@pytest_twisted.ensureDeferred
async def test_a_read_of_everything_waits_for_everything():
    """NONE: the whole count, however it arrives; the end of the stream gives what there is, then nothing."""
    async with connected() as (stream_socket, peer):
        buffer = Buffer(6)
        reading = stream_socket.input_stream.read_async(buffer, 6, NONE)
        seen = []
        reading.progress = lambda operation, value: seen.append(value)
        peer.sendall(b"ab")
        await until(lambda: seen)
        peer.sendall(b"cdefgh")
        assert bytes(await reading) == b"abcdef"
        assert seen == [2, 6]
        peer.shutdown(1)
        assert bytes(await stream_socket.input_stream.read_async(Buffer(9), 9, NONE)) == b"gh"
        assert (await stream_socket.input_stream.read_async(Buffer(9), 9, NONE)).length == 0
        assert (await stream_socket.input_stream.read_async(Buffer(9), 9, PARTIAL)).length == 0


@pytest_twisted.ensureDeferred
async def test_a_partial_read_takes_what_there_is():
    """PARTIAL: at least one byte."""
    async with connected() as (stream_socket, peer):
        reading = stream_socket.input_stream.read_async(Buffer(100), 100, PARTIAL)
        peer.sendall(b"some")
        assert bytes(await reading) == b"some"


@pytest_twisted.ensureDeferred
async def test_a_second_read_is_refused():
    """Of any kind, while one of any kind is pending; the first goes on."""
    async with connected() as (stream_socket, peer):
        first = stream_socket.input_stream.read_async(Buffer(4), 4, NONE)
        for act in READING:
            with pytest.raises(BusyError, match="another read is pending"):
                act(stream_socket)
        peer.sendall(b"data")
        assert bytes(await first) == b"data"


@pytest_twisted.ensureDeferred
async def test_a_read_of_less_than_a_byte_is_refused():
    """E_INVALIDARG."""
    async with connected() as (stream_socket, _):
        for count in (0, -1):
            with pytest.raises(InvalidArgumentError, match=f"max_bytes: {count}"):
                stream_socket.input_stream.read(count)


@pytest.mark.parametrize("act", READING)
@pytest_twisted.ensureDeferred
async def test_a_cancelled_read_loses_nothing(act):
    """It ends in ERROR with OPERATION_ABORTED; what it had and what comes later is read next."""
    async with connected() as (stream_socket, peer):
        reading = act(stream_socket)
        if act is not READING[0]:
            peer.sendall(b"a")
            await turn(5)
        reading.cancel()
        assert reading.status is AsyncStatus.ERROR
        with pytest.raises(OperationAbortedError) as caught:
            reading.get_results()
        assert caught.value.status is SocketErrorStatus.OPERATION_ABORTED
        peer.sendall(b"bc" if act is not READING[0] else b"abc")
        assert await stream_socket.input_stream.read_exactly(3) == b"abc"


@pytest_twisted.ensureDeferred
async def test_a_stream_that_ends_too_soon_gives_back_what_came():
    """read_exactly fails, and the bytes stay."""
    async with connected() as (stream_socket, peer):
        peer.sendall(b"ab")
        peer.shutdown(1)
        with pytest.raises(OutOfBoundsError):
            await stream_socket.input_stream.read_exactly(3)
        assert await stream_socket.input_stream.read() == b"ab"


@pytest_twisted.ensureDeferred
async def test_the_chunks_of_a_stream_can_be_gone_through():
    """``async for``, until it ends."""
    async with connected() as (stream_socket, peer):
        data = pattern(300_000)
        sending = ensureDeferred(sent(peer, data))
        sending.addCallback(lambda _: peer.shutdown(1))
        chunks = [chunk async for chunk in stream_socket.input_stream]
        assert b"".join(chunks) == data
        assert all(chunks)


@pytest_twisted.ensureDeferred
async def test_a_reset_in_the_middle_of_a_long_read_keeps_what_came_before_it():
    """The read fails with the reset; then there are the bytes, then the reset again."""
    async with connected() as (stream_socket, peer):
        reading = stream_socket.input_stream.read_async(Buffer(100), 100, NONE)
        arrived = []
        reading.progress = lambda operation, value: arrived.append(value)
        peer.sendall(b"before")
        await until(lambda: arrived)
        reset(peer)
        with pytest.raises(ResetByPeerError) as caught:
            await reading
        assert caught.value.errno == errno.ECONNRESET
        assert await stream_socket.input_stream.read() == b"before"
        with pytest.raises(ResetByPeerError):
            await stream_socket.input_stream.read()


@pytest_twisted.ensureDeferred
async def test_writes_without_awaiting_and_then_a_flush_send_all_in_order():
    """The recipe of the guide for batches."""
    async with connected() as (stream_socket, peer):
        writes = [stream_socket.output_stream.write_async(f"part {n} ".encode()) for n in range(5)]
        assert await stream_socket.output_stream.flush_async() is True
        assert [await write for write in writes] == [7] * 5
        assert await received(peer, 35) == b"part 0 part 1 part 2 part 3 part 4 "


@pytest_twisted.ensureDeferred
async def test_a_program_that_never_awaits_hears_of_the_limit():
    """It is named."""
    bounds = limits(write_queue=10_000)
    settings = {"limits": bounds, "outbound_buffer_size_in_bytes": NARROW}
    async with connected(receive_buffer=NARROW, **settings) as (stream_socket, peer):
        output = stream_socket.output_stream
        data = pattern(MUCH)
        first = output.write_async(data)
        with pytest.raises(SocketException, match=r"limits\.write_queue") as caught:
            output.write_async(b"one too many")
        assert caught.value.errno == errno.ENOBUFS
        assert await received(peer, MUCH) == data
        assert await first == MUCH
        await output.write_async(b"fine")


@pytest_twisted.ensureDeferred
async def test_closing_the_output_stream_ends_it_for_the_peer_after_what_was_written():
    """Half close; the input goes on."""
    async with connected(receive_buffer=NARROW, outbound_buffer_size_in_bytes=NARROW) as (
        stream_socket,
        peer,
    ):
        writing = stream_socket.output_stream.write_async(pattern(MUCH))
        stream_socket.output_stream.close()
        assert await rest(peer) == pattern(MUCH)
        assert await writing == MUCH
        peer.sendall(b"answer")
        assert await stream_socket.input_stream.read() == b"answer"


@pytest_twisted.ensureDeferred
async def test_closing_the_input_stream_throws_away_what_comes_and_the_output_goes_on():
    """The pending read is aborted, the peer never blocks, and the close is in good order."""
    async with connected() as (stream_socket, peer):
        reading = stream_socket.input_stream.read_async(Buffer(10), 10, NONE)
        peer.sendall(b"some")
        await turn(3)
        stream_socket.input_stream.close()
        with pytest.raises(OperationAbortedError):
            reading.get_results()
        await sent(peer, bytes(20_000_000))
        await stream_socket.output_stream.write_async(b"answer")
        assert await received(peer, 6) == b"answer"


@pytest_twisted.ensureDeferred
async def test_streams_closed_before_the_connection_are_closed_in_it():
    """A program that only sends, or only receives, can say so at the beginning."""
    async with StreamSocket() as receiver_only:
        receiver_only.output_stream.close()
        receiver_only.input_stream.close()
        for act in READING + WRITING:
            with pytest.raises(ObjectClosedError):
                act(receiver_only)
        with listening() as (server, port):
            await receiver_only.connect_async("127.0.0.1", port)
            with server.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                assert peer.recv(10) == b""
                await sent(peer, bytes(5_000_000))
                for act in READING + WRITING:
                    with pytest.raises(ObjectClosedError):
                        act(receiver_only)


@pytest_twisted.ensureDeferred
async def test_closing_a_reader_or_writer_closes_the_stream_and_detaching_does_not():
    """As in WinRT: detach first to go on."""
    async with pair() as (client, server):
        writer = DataWriter(client.output_stream)
        writer.write_uint32(5)
        writer.write_string("Hello")
        assert await writer.store_async() == 9
        assert writer.detach_stream() is client.output_stream
        writer.close()
        await client.output_stream.write_async(b"more")

        reader = DataReader(server.input_stream)
        assert await reader.load_async(4) == 4
        assert await reader.load_async(reader.read_uint32()) == 5
        assert reader.read_string(5) == "Hello"
        assert reader.detach_stream() is server.input_stream
        reader.close()
        assert await server.input_stream.read_exactly(4) == b"more"

        DataWriter(client.output_stream).close()
        with pytest.raises(ObjectClosedError):
            client.output_stream.write_async(b"x")
        assert await server.input_stream.read() == b""
        DataReader(server.input_stream).close()
        with pytest.raises(ObjectClosedError):
            server.input_stream.read()
        await server.output_stream.write_async(b"the other way")
        assert await client.input_stream.read() == b"the other way"


@pytest_twisted.ensureDeferred
async def test_what_a_reader_has_loaded_stays_readable_after_a_reset():
    """The rest of the load fails."""
    async with connected() as (stream_socket, peer):
        reader = DataReader(stream_socket.input_stream)
        reader.input_stream_options = PARTIAL
        peer.sendall(b"head")
        assert await reader.load_async(100) == 4
        loading = reader.load_async(100)
        reset(peer)
        with pytest.raises(ResetByPeerError):
            await loading
        assert reader.read_string(4) == "head"


@pytest.mark.parametrize(
    "read", [lambda stream: stream.read_exactly(0), lambda stream: stream.read_async(Buffer(1), 0, NONE)]
)
@pytest_twisted.ensureDeferred
async def test_reading_nothing_needs_a_connection_and_an_open_stream_too(read):
    """As every other read does; between the two it succeeds at once."""
    with pytest.raises(IllegalMethodCallError):
        read(StreamSocket().input_stream)
    async with connected() as (stream_socket, _):
        stream = stream_socket.input_stream
        assert len(read(stream).get_results()) == 0
        stream.close()
        with pytest.raises(ObjectClosedError):
            read(stream)
