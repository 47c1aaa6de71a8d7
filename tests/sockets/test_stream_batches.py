"""Batched sends of a StreamSocket: how many calls of the system they cost, and what the peer gets."""

from __future__ import annotations

import errno
import gc
import os

import pytest
import pytest_twisted
from twisted.internet.defer import DeferredList, ensureDeferred, gatherResults
from twisted.internet.task import Clock

from tests.sockets.streams import NARROW, connected, system_socket
from tests.transports.loopback import PATIENCE, limits, listening, pattern, received, rest
from winsockets.errors import OperationAbortedError, ResetByPeerError, SocketException
from winsockets.foundation import AsyncStatus
from winsockets.sockets import StreamSocket
from winsockets.streams import DataWriter, StreamReader, StreamWriter
from winsockets.testing import Faults, stream_socket_pair

PACKETS = [bytes([number % 256]) * 100 for number in range(1_000)]
"""What the guide sends: many small ones."""
DATA = b"".join(PACKETS)


def forget(sockets):
    """Let go of them."""
    sockets.clear()
    gc.collect()


class Counting:
    """A socket of the system that counts how often it is asked to send, and how many buffers at a time."""

    def __init__(self, real):
        self._real = real
        self.calls = 0
        self.most_buffers = 0

    def send(self, data):
        """See socket.socket."""
        self.calls += 1
        return self._real.send(data)

    def sendmsg(self, buffers):
        """See socket.socket."""
        self.calls += 1
        self.most_buffers = max(self.most_buffers, len(buffers))
        return self._real.sendmsg(buffers)

    def __getattr__(self, name):
        """Everything else is the socket's."""
        return getattr(self._real, name)


def counting(stream_socket):
    """Count what a connected StreamSocket asks of the system from now on."""
    counter = Counting(system_socket(stream_socket))
    stream_socket._link.protocol.transport.socket = counter
    return counter


async def one_at_a_time(output):
    """Await each."""
    for packet in PACKETS:
        assert await output.write_async(packet) == 100


async def all_together(output):
    """Start all, then wait for all of them."""
    assert await gatherResults([output.write_async(packet) for packet in PACKETS]) == [100] * 1_000


async def list_of_all(output):
    """The same with Twisted's other way."""
    results = await DeferredList([output.write_async(packet) for packet in PACKETS])
    assert results == [(True, 100)] * 1_000


async def one_flush(output):
    """Start all, then flush."""
    pending = [output.write_async(packet) for packet in PACKETS]
    assert await output.flush_async() is True
    assert [operation.get_results() for operation in pending] == [100] * 1_000


async def one_flush_and_nothing_kept(output):
    """As one_flush, without a list of operations."""
    for packet in PACKETS:
        output.write_async(packet)
    assert await output.flush_async() is True


async def await_each_afterwards(output):
    """Start all, then await them one after the other."""
    pending = [output.write_async(packet) for packet in PACKETS]
    assert [await operation for operation in pending] == [100] * 1_000


async def one_call(output):
    """Hand all over together."""
    assert await output.write_many_async(PACKETS) == 100_000


@pytest.mark.parametrize(
    ("send", "most"),
    [
        (one_at_a_time, 1_000),
        (all_together, 10),
        (list_of_all, 10),
        (one_flush, 10),
        (one_flush_and_nothing_kept, 10),
        (await_each_afterwards, 10),
        (one_call, 10),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest_twisted.ensureDeferred
async def test_a_thousand_packets_cost_few_calls_unless_each_is_awaited(send, most):
    """Over a connection of the system; the peer reads meanwhile, and gets them in order."""
    async with connected() as (stream_socket, peer):
        counter = counting(stream_socket)
        reading = received(peer, len(DATA))
        sending = ensureDeferred(send(stream_socket.output_stream))
        assert await reading == DATA
        await sending
        if send is one_at_a_time:
            assert counter.calls >= most
        else:
            assert counter.calls <= most


@pytest_twisted.ensureDeferred
async def test_the_system_is_never_given_more_buffers_than_it_takes():
    """However many large ones wait."""
    pieces = [pattern(5_000 + number) for number in range(600)]
    async with connected(limits=limits(write_queue=10_000_000)) as (stream_socket, peer):
        counter = counting(stream_socket)
        reading = received(peer, sum(map(len, pieces)))
        writing = stream_socket.output_stream.write_many_async(pieces)
        assert await reading == b"".join(pieces)
        assert await writing == sum(map(len, pieces))
        if hasattr(os, "sysconf") and counter.most_buffers:
            assert 1 < counter.most_buffers <= os.sysconf("SC_IOV_MAX")


@pytest_twisted.ensureDeferred
async def test_what_nobody_awaits_leaves_with_the_turn():
    """A program may write and forget."""
    async with connected() as (stream_socket, peer):
        for number in range(5):
            stream_socket.output_stream.write_async(b"%d" % number)
        assert peer.recv(100) == b"0"
        assert await received(peer, 4) == b"1234"


@pytest.mark.parametrize("batch", [1, 10_000, 10_000_000])
@pytest_twisted.ensureDeferred
async def test_a_loop_that_never_awaits_ends_at_the_bound_when_the_peer_never_reads(batch):
    """Also with a bound of the batch beyond that of the queue; what was accepted arrives."""
    settings = {
        "limits": limits(write_queue=50_000, write_batch=batch),
        "outbound_buffer_size_in_bytes": NARROW,
    }
    async with connected(receive_buffer=NARROW, **settings) as (stream_socket, peer):
        output = stream_socket.output_stream
        accepted = 0

        def write_for_ever():
            nonlocal accepted
            while True:
                output.write_async(PACKETS[accepted % 1_000])
                accepted += 1
                assert stream_socket._link.protocol._queue.charge <= 50_000 + 612

        with pytest.raises(SocketException, match=r"limits\.write_queue") as caught:
            write_for_ever()
        assert caught.value.errno == errno.ENOBUFS
        flushing = output.flush_async()
        expected = b"".join(PACKETS[number % 1_000] for number in range(accepted))
        assert await received(peer, len(expected)) == expected
        assert await flushing is True


@pytest.mark.parametrize("end", ["socket", "output stream"])
@pytest_twisted.ensureDeferred
async def test_closing_sends_what_is_held_back_first(end):
    """The peer gets everything, then the end."""
    async with connected() as (stream_socket, peer):
        operations = [stream_socket.output_stream.write_async(packet) for packet in PACKETS[:50]]
        (stream_socket if end == "socket" else stream_socket.output_stream).close()
        assert await rest(peer) == b"".join(PACKETS[:50])
        assert {operation.status for operation in operations} == {AsyncStatus.COMPLETED}


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_takes_back_what_is_held():
    """The connection goes on."""
    async with connected() as (stream_socket, peer):
        operations = [stream_socket.output_stream.write_async(packet) for packet in PACKETS[:5]]
        await stream_socket.cancel_io_async()
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError):
                operation.get_results()
        assert await stream_socket.output_stream.write_async(b"after") == 5
        assert await received(peer, 105) == PACKETS[0] + b"after"


@pytest_twisted.ensureDeferred
async def test_a_forgotten_socket_sends_what_is_held_back():
    """Before it is closed in good order; the operations, which somebody keeps, end well."""
    with listening() as (server, port):
        forgotten = [StreamSocket()]
        await forgotten[0].connect_async("127.0.0.1", port)
        with server.accept()[0] as peer:
            peer.settimeout(PATIENCE)
            operations = [forgotten[0].output_stream.write_async(packet) for packet in PACKETS[:50]]
            with pytest.warns(ResourceWarning, match="never closed"):
                forget(forgotten)
            assert await rest(peer) == b"".join(PACKETS[:50])
            assert {operation.status for operation in operations} == {AsyncStatus.COMPLETED}


# In memory, where time stands still


def linked(**changes):
    """Two sockets connected in memory, and the clock that delivers."""
    clock = Clock()
    client, server = stream_socket_pair(clock, **changes)
    return client, server, clock


def closed(clock, *sockets):
    """Close sockets and see that nothing is left."""
    for stream_socket in sockets:
        stream_socket.close()
    clock.advance(100)
    clock.advance(0)
    assert not clock.getDelayedCalls()


def test_a_store_passes_the_await_on_to_its_write():
    """One that is held back leaves when the store is awaited; no turn is needed."""
    client, server, clock = linked()
    client.output_stream.write_async(b"first ")
    writer = DataWriter(client.output_stream)
    writer.write_string("stored")
    storing = writer.store_async()
    assert storing.status is AsyncStatus.STARTED

    async def wait():
        return await storing

    waiting = ensureDeferred(wait())
    assert waiting.called
    assert storing.get_results() == 6
    clock.advance(0)
    assert server.input_stream.read(100).get_results() == b"first stored"
    closed(clock, client, server)


def test_awaiting_a_store_that_has_ended_lets_go_what_came_after_it():
    """As awaiting the write itself does."""
    client, server, clock = linked()
    writer = DataWriter(client.output_stream)
    writer.write_string("stored")
    storing = writer.store_async()
    assert storing.get_results() == 6
    behind = client.output_stream.write_async(b"behind")
    assert behind.status is AsyncStatus.STARTED

    async def wait():
        return await storing

    ensureDeferred(wait())
    assert behind.get_results() == 6
    closed(clock, client, server)


@pytest.mark.parametrize("size", [5, 70_000], ids=["few", "many"])
def test_lines_leave_when_their_writer_is_awaited(size):
    """A flush, and the write that is enough to be sent."""
    client, server, clock = linked(capacity=1_000_000)
    client.output_stream.write_async(b"first ")

    async def write():
        writer = StreamWriter(client.output_stream)
        await writer.write_line_async("x" * size)
        await writer.flush_async()

    assert ensureDeferred(write()).called
    reading = StreamReader(server.input_stream, limit=100_000).read_line_async()
    for _ in range(10):
        clock.advance(0)
    assert reading.get_results() == "first " + "x" * size
    closed(clock, client, server)


def test_a_peer_that_gets_one_byte_at_a_time_gets_every_byte_once():
    """Each write ends with its last byte."""
    client, server, clock = linked(to_server=Faults(most_at_once=1), capacity=3)
    pieces = [b"one", b"", b"twelve", b"x" * 30]
    operations = [client.output_stream.write_async(piece) for piece in pieces]
    flushing = client.output_stream.flush_async()
    got = bytearray()
    while not flushing.called or len(got) < 39:
        reading = server.input_stream.read(1)
        while not reading.called:
            clock.advance(0)
        got += reading.get_results()
        done = [operation.status is AsyncStatus.COMPLETED for operation in operations]
        assert done == sorted(done, reverse=True)
    assert got == b"".join(pieces)
    assert [operation.get_results() for operation in operations] == [3, 0, 6, 30]
    closed(clock, client, server)


def test_a_reset_in_the_middle_of_a_batch_spares_what_had_left():
    """Those end well, the rest and the flush with the reset; the peer gets a beginning, and no byte twice."""
    client, server, clock = linked(to_server=Faults(reset_at=550), capacity=300)
    operations = [client.output_stream.write_async(packet) for packet in PACKETS[:20]]
    flushing = client.output_stream.flush_async()
    got = bytearray()

    async def read():
        async for chunk in server.input_stream:
            got.extend(chunk)

    reading = ensureDeferred(read())
    while not reading.called:
        clock.advance(0)
    reading.addErrback(lambda failure: failure.trap(ResetByPeerError))
    statuses = [operation.status for operation in operations]
    done = statuses.count(AsyncStatus.COMPLETED)
    assert 5 <= done < 20
    assert statuses == [AsyncStatus.COMPLETED] * done + [AsyncStatus.ERROR] * (20 - done)
    for operation in (*operations[done:], flushing):
        with pytest.raises(ResetByPeerError):
            operation.get_results()
    assert got == b"".join(PACKETS)[:550]
    closed(clock, client, server)


def test_an_idle_connection_has_no_turn_to_end():
    """Awaited writes leave nothing in the reactor."""
    client, server, clock = linked()
    before = len(clock.getDelayedCalls())

    async def write():
        for packet in PACKETS[:10]:
            await client.output_stream.write_async(packet)

    assert ensureDeferred(write()).called
    assert len(clock.getDelayedCalls()) <= before + 1, "the delivery"
    closed(clock, client, server)
