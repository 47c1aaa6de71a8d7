"""Two StreamSockets in memory, without a reactor that runs: time is a clock's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from winsockets import (
    DEFAULT_LIMITS,
    AsyncStatus,
    ConnectionAbortError,
    DataReader,
    DataWriter,
    IllegalMethodCallError,
    InvalidArgumentError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
    StreamReader,
    StreamWriter,
)
from winsockets.testing import Faults, stream_socket_pair


@pytest.fixture
def clock():
    """A clock that has nothing left to do when the test ends."""
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


def close(clock, *sockets):
    """Close sockets and let the end arrive."""
    for socket in sockets:
        socket.close()
    clock.advance(0)


def end_of(operation):
    """The result of an operation, or what it failed with; it must have ended."""
    assert operation.status is not AsyncStatus.STARTED
    try:
        return operation.get_results()
    except Exception as problem:
        return problem


def test_what_one_writes_the_other_reads(clock):
    """Both ways, when the clock is advanced."""
    client, server = stream_socket_pair(clock)
    assert end_of(client.output_stream.write_async(b"ping")) == 4
    reading = server.input_stream.read()
    assert reading.status is AsyncStatus.STARTED
    clock.advance(0)
    assert end_of(reading) == b"ping"
    server.output_stream.write_async(b"pong")
    clock.advance(0)
    assert end_of(client.input_stream.read()) == b"pong"
    close(clock, client, server)


def test_a_coroutine_goes_on_as_the_clock_is_advanced(clock):
    """Code under test awaits as it does over a network."""
    client, server = stream_socket_pair(clock)

    async def echo():
        async with server:
            async for data in server.input_stream:
                await server.output_stream.write_async(data)

    async def ask():
        writer = StreamWriter(client.output_stream.as_stream_for_write())
        reader = StreamReader(client.input_stream.as_stream_for_read())
        await writer.write_line_async("Hello, World!")
        await writer.flush_async()
        answer = await reader.read_line_async()
        client.close()
        return answer

    serving, asking = ensureDeferred(echo()), ensureDeferred(ask())
    clock.advance(0)
    assert asking.result == "Hello, World!"
    assert serving.called


def test_readers_and_writers_work_over_it(clock):
    """It is a stream like any other."""
    client, server = stream_socket_pair(clock)
    writer, reader = DataWriter(client.output_stream), DataReader(server.input_stream)
    writer.write_uint32(writer.measure_string("grüße"))
    writer.write_string("grüße")
    writer.store_async()
    loading = reader.load_async(4)
    clock.advance(0)
    assert end_of(loading) == 4
    size = reader.read_uint32()
    assert end_of(reader.load_async(size)) == size
    assert reader.read_string(size) == "grüße"
    close(clock, client, server)


def test_they_know_where_they_are(clock):
    """Addresses and ports match, and everything is fixed."""
    client, server = stream_socket_pair(clock)
    assert client.information.remote_port == server.information.local_port == "1337"
    assert client.information.local_port == server.information.remote_port == "49152"
    assert str(client.information.remote_address) == "127.0.0.1"
    with pytest.raises(IllegalMethodCallError, match="no_delay"):
        client.control.no_delay = False
    with pytest.raises(IllegalMethodCallError):
        client.connect_async("localhost", "1337")
    close(clock, client, server)


def test_half_a_close_ends_one_direction(clock):
    """The other one goes on."""
    client, server = stream_socket_pair(clock)
    client.output_stream.write_async(b"all")
    client.output_stream.close()
    clock.advance(0)
    assert end_of(server.input_stream.read()) == b"all"
    assert end_of(server.input_stream.read()) == b""
    server.output_stream.write_async(b"still here")
    clock.advance(0)
    assert end_of(client.input_stream.read()) == b"still here"
    close(clock, client, server)


def test_writes_wait_when_the_peer_does_not_read(clock):
    """The pair holds its capacity and what the reading socket keeps; the rest waits, in order."""
    limits = replace(DEFAULT_LIMITS, read_high_water=100, read_low_water=50)
    client, server = stream_socket_pair(clock, capacity=1000, limits=limits)
    first = client.output_stream.write_async(bytes(5000))
    second = client.output_stream.write_async(b"second")
    flushed = client.output_stream.flush_async()
    clock.advance(60)
    assert [operation.status for operation in (first, second, flushed)] == [AsyncStatus.STARTED] * 3
    reading = server.input_stream.read_exactly(5006)
    clock.advance(0)
    assert end_of(reading)[-6:] == b"second"
    assert [end_of(operation) for operation in (first, second, flushed)] == [5000, 6, True]
    close(clock, client, server)


def test_closing_with_unread_bytes_resets_the_peer(clock):
    """As over a real connection."""
    client, server = stream_socket_pair(clock)
    client.output_stream.write_async(b"unread")
    clock.advance(0)
    reading = client.input_stream.read()
    server.close()
    clock.advance(0)
    problem = end_of(reading)
    assert isinstance(problem, ResetByPeerError)
    assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
    close(clock, client)


def test_a_cancelled_write_that_has_begun_resets_the_peer(clock):
    """The peer could not tell what is missing, and is told that something is."""
    client, server = stream_socket_pair(clock, to_server=Faults(most_at_once=4))
    writing = client.output_stream.write_async(b"12345678")
    writing.cancel()
    assert isinstance(end_of(writing), OperationAbortedError)
    clock.advance(0)
    assert end_of(server.input_stream.read()) == b"1234"
    assert isinstance(end_of(server.input_stream.read()), ResetByPeerError)
    close(clock, client, server)


def test_a_deadline_is_the_clock_s(clock):
    """A peer that takes nothing does not hold a closed socket longer than its limit."""
    limits = replace(DEFAULT_LIMITS, close_timeout=5.0)
    client, server = stream_socket_pair(clock, to_server=Faults(stall_at=0), capacity=10, limits=limits)
    writing = client.output_stream.write_async(bytes(100))
    client.close()
    clock.advance(4.9)
    assert writing.status is AsyncStatus.STARTED
    clock.advance(0.2)
    assert isinstance(end_of(writing), OperationAbortedError)
    assert end_of(client.wait_closed_async()) is None
    close(clock, server)


@pytest.mark.parametrize("place", [0, 1, 5, 10])
def test_a_reset_at_a_byte_is_read_after_that_byte(clock, place):
    """Wherever it is, and by both."""
    client, server = stream_socket_pair(clock, to_server=Faults(reset_at=place))
    client.output_stream.write_async(b"0123456789")
    reading = client.input_stream.read()
    clock.advance(0)
    if place:
        assert end_of(server.input_stream.read()) == b"0123456789"[:place]
    assert isinstance(end_of(server.input_stream.read()), ResetByPeerError)
    assert isinstance(end_of(reading), ResetByPeerError)
    writing = client.output_stream.write_async(b"more")
    assert isinstance(end_of(writing), ResetByPeerError | ConnectionAbortError)
    close(clock, client, server)


def test_a_reset_fails_writes_before_everything_is_read(clock):
    """A socket that reads slowly learns at its next write, and still reads what had arrived."""
    limits = replace(DEFAULT_LIMITS, read_high_water=4, read_low_water=2)
    client, server = stream_socket_pair(clock, to_server=Faults(reset_at=8, most_at_once=4), limits=limits)
    client.output_stream.write_async(b"12345678")
    clock.advance(0)
    assert isinstance(end_of(server.output_stream.write_async(b"x")), ResetByPeerError)
    reading = server.input_stream.read_exactly(8)
    clock.advance(0)
    assert end_of(reading) == b"12345678"
    reading = server.input_stream.read()
    clock.advance(0)
    assert isinstance(end_of(reading), ResetByPeerError)
    close(clock, client, server)


def test_a_capacity_of_nothing_is_refused():
    """Nothing would ever arrive."""
    with pytest.raises(InvalidArgumentError, match="capacity"):
        stream_socket_pair(Clock(), capacity=0)


@pytest_twisted.ensureDeferred
async def test_the_installed_reactor_is_the_default():
    """Then everything goes by itself."""
    client, server = stream_socket_pair()
    async with client, server:
        reading = server.input_stream.read_exactly(5)
        await client.output_stream.write_async(b"hello")
        assert await reading == b"hello"
