"""Stream protocols: what is written leaves once, in order, and whole; or its operation says why not."""

from __future__ import annotations

import array
import errno
import gc
import weakref

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.transports.loopback import (
    HOSTS,
    connected_protocol,
    limits,
    pattern,
    received,
    reset,
    rest,
    turn,
    until,
)
from tests.transports.narrow import in_memory, statuses
from winsockets.errors import (
    ConnectionAbortError,
    IllegalMethodCallError,
    InvalidArgumentError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.streams import Buffer
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._write_queue import WRITE_OVERHEAD

NARROW = {"options": StreamOptions(send_buffer=4096), "receive_buffer": 4096}
"""A connection that takes little at a time."""
MUCH = 1_000_000
"""More than a narrow connection holds."""


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_write_that_finds_room_leaves_at_once(host):
    """Before the reactor has turned, and yields its size."""
    async with connected_protocol(host) as (protocol, peer):
        assert protocol.write(b"now").get_results() == 3
        assert peer.recv(100) == b"now"


@pytest.mark.parametrize(
    "buffer",
    [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"memoryview"),
        array.array("H", [1, 2, 3]),
        Buffer.create_copy_from_memory_buffer(b"Buffer"),
        memoryview(b"a slice of it")[2:7],
        memoryview(b"abcdef").cast("B", (2, 3)),
        type("Derived", (bytes,), {})(b"derived"),
    ],
    ids=lambda buffer: type(buffer).__name__,
)
@pytest_twisted.ensureDeferred
async def test_any_contiguous_buffer_can_be_written(buffer):
    """Its bytes, not its items."""
    data = bytes(buffer) if not isinstance(buffer, memoryview) else buffer.tobytes()
    async with connected_protocol() as (protocol, peer):
        assert await protocol.write(buffer) == len(data)
        assert await received(peer, len(data)) == data


@pytest_twisted.ensureDeferred
async def test_what_is_no_buffer_is_refused_and_nothing_of_the_call_is_sent():
    """At the call."""
    async with connected_protocol() as (protocol, peer):
        for wrong in (memoryview(b"abcdef")[::2], "text", 7, object()):
            with pytest.raises(TypeError):
                protocol.write(wrong)
            with pytest.raises(TypeError):
                protocol.write_many([b"before", wrong])
        with pytest.raises(InvalidArgumentError):
            protocol.write(None)
        protocol.close()
        assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_empty_writes_end_at_once_with_nothing_sent():
    """Alone; behind others they wait for their turn."""
    async with connected_protocol() as (protocol, _):
        for empty in (b"", bytearray(), memoryview(b"")):
            assert await protocol.write(empty) == 0
        assert protocol.write_many([]).get_results() == 0
        assert protocol.write_many([b"", b""]).get_results() == 0
    protocol, transport = in_memory()
    before, empty = protocol.write(b"before"), protocol.write(b"")
    assert statuses(before, empty) == "SS"
    transport.take(100)
    assert (before.get_results(), empty.get_results()) == (6, 0)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_writes_that_wait_leave_in_the_order_of_the_calls(host):
    """Over a connection that takes little at a time; each ends with its size."""
    bounds = limits(write_queue=10 * MUCH)
    async with connected_protocol(host, bounds=bounds, **NARROW) as (protocol, peer):
        data = pattern(MUCH)
        pieces = [data[start : start + 70_001] for start in range(0, MUCH, 70_001)]
        operations = [protocol.write(piece) for piece in pieces]
        assert AsyncStatus.STARTED in [operation.status for operation in operations]
        assert await received(peer, MUCH) == data
        assert [await operation for operation in operations] == [len(piece) for piece in pieces]


@pytest_twisted.ensureDeferred
async def test_many_buffers_leave_as_one_operation():
    """More than the system takes in one call, and some of them empty."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        buffers = [pattern(number % 700) for number in range(1_000)]
        operation = protocol.write_many(buffers)
        data = b"".join(buffers)
        assert await received(peer, len(data)) == data
        assert await operation == len(data)


@pytest_twisted.ensureDeferred
async def test_progress_tells_how_many_bytes_have_left():
    """Rising, and the last time all."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        operation = protocol.write(pattern(MUCH))
        seen = []
        operation.progress = lambda sender, value: seen.append((sender, value))
        await received(peer, MUCH)
        assert await operation == MUCH
        assert {sender for sender, _ in seen} == {operation}
        values = [value for _, value in seen]
        assert values == sorted(values)
        assert values[-1] == MUCH
        assert len(values) > 5


@pytest_twisted.ensureDeferred
async def test_a_flush_waits_for_every_write_before_it():
    """And is True; with nothing waiting at once."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        assert protocol.flush().get_results() is True
        writing = protocol.write(pattern(MUCH))
        flushing = protocol.flush()
        assert statuses(writing, flushing) == "SS"
        ended = []
        writing.addCallback(lambda _: ended.append("write"))
        flushing.addCallback(lambda _: ended.append("flush"))
        await received(peer, MUCH)
        await flushing
        assert ended == ["write", "flush"]


def test_a_flush_does_not_wait_for_what_is_written_after_it():
    """Each flush for its own."""
    protocol, transport = in_memory()
    before, flushing, after = protocol.write(b"one"), protocol.flush(), protocol.write(b"two")
    last = protocol.flush()
    transport.take(2)
    assert statuses(before, flushing, after, last) == "SSSS"
    transport.take(2)
    assert statuses(before, flushing, after, last) == "CCSS"
    transport.take(2)
    assert statuses(before, flushing, after, last) == "CCCC"


def test_a_program_that_never_awaits_is_stopped_at_the_bound():
    """WSAENOBUFS, with figures and advice; nothing that was accepted is lost, and it goes on afterwards."""
    protocol, transport = in_memory(write_queue=2_000)
    accepted = []

    def write_for_ever():
        while True:
            accepted.append(protocol.write(b"0123456789"))

    with pytest.raises(SocketException, match="wait already") as caught:
        write_for_ever()
    assert caught.value.errno == errno.ENOBUFS
    assert caught.value.winerror == -2147014841  # 0x80072747
    assert caught.value.status is SocketErrorStatus.UNKNOWN
    assert "write_queue" in str(caught.value)
    assert "2000" in str(caught.value)
    assert len(accepted) == 4, "each costs its 10 bytes and 512 more"
    with pytest.raises(SocketException):
        protocol.write_many([b"x"])
    flushing = protocol.flush()
    transport.take(1_000)
    assert transport.taken == b"0123456789" * 4
    assert statuses(*accepted, flushing) == "CCCCC"
    assert statuses(protocol.write(b"again")) == "C"


def test_the_bound_itself_is_within_bounds():
    """Refused is what comes when more waits than that."""
    protocol, transport = in_memory(write_queue=10 + WRITE_OVERHEAD)
    protocol.write(bytes(10))
    protocol.write(b"x")
    with pytest.raises(SocketException):
        protocol.write(b"x")
    transport.take(100)


def test_one_large_write_is_accepted_whole():
    """The bound is on what waits already."""
    protocol, transport = in_memory(write_queue=1_000)
    operation = protocol.write(bytes(50_000))
    assert statuses(operation) == "S"
    transport.take(50_000)
    assert operation.get_results() == 50_000


def test_a_write_that_has_not_begun_is_cancelled_whole():
    """Its bytes never leave, its neighbours' do."""
    protocol, transport = in_memory()
    first, second, third = protocol.write(b"one"), protocol.write(b"two"), protocol.write(b"three")
    second.cancel()
    assert statuses(first, second, third) == "SES"
    with pytest.raises(OperationAbortedError, match="cancelled before it began"):
        second.get_results()
    transport.take(100)
    assert transport.taken == b"onethree"
    assert statuses(first, third) == "CC"


def test_when_all_that_waits_is_cancelled_the_connection_goes_on():
    """As if it had never been."""
    protocol, transport = in_memory()
    operations = [protocol.write(b"no"), protocol.flush(), protocol.write(b"never")]
    for operation in reversed(operations):
        operation.addErrback(lambda _: None)
        operation.cancel()
    assert statuses(*operations) == "EEE"
    assert not protocol.pending
    transport.take(100)
    assert statuses(protocol.write(b"yes")) == "C"
    assert transport.taken == b"yes"


def test_a_flush_behind_a_cancelled_write_ends():
    """There is nothing left to wait for, once the transport has room."""
    protocol, transport = in_memory()
    writing, flushing = protocol.write(b"no"), protocol.flush()
    writing.addErrback(lambda _: None)
    writing.cancel()
    transport.take(1)
    assert flushing.get_results() is True


@pytest_twisted.ensureDeferred
async def test_cancelling_a_write_that_has_begun_breaks_the_connection_off():
    """It says how much had left; the peer sees a reset, because it could not tell what is missing."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        begun, behind = protocol.write(pattern(MUCH)), protocol.write(b"behind")
        reading = protocol.read(10)
        behind.addErrback(lambda _: None)
        begun.cancel()
        with pytest.raises(OperationAbortedError, match=r"cancelled after \d+ of 1000000 bytes"):
            begun.get_results()
        assert statuses(begun, behind) == "EE"
        await protocol.when_lost()
        with pytest.raises(OperationAbortedError):
            await reading
        with pytest.raises(IllegalMethodCallError):
            protocol.write(b"after")
        with pytest.raises(ConnectionResetError):
            await rest(peer)


def test_whoever_hears_of_a_write_may_cancel_one_that_has_left_too():
    """That changes nothing: it has left."""
    protocol, transport = in_memory()
    first, second = protocol.write(b"one"), protocol.write(b"two")
    first.addCallback(lambda _: second.cancel())
    transport.take(100)
    assert transport.taken == b"onetwo"
    assert second.get_results() == 3


def test_a_progress_handler_may_cancel_a_write_that_has_left_too():
    """It is not taken for one that has not begun."""
    protocol, transport = in_memory()
    first, second, third = protocol.write(b"one"), protocol.write(b"two"), protocol.write(b"three")
    first.progress = lambda operation, value: second.cancel()
    transport.take(100)
    assert transport.taken == b"onetwothree"
    assert statuses(first, second, third) == "CCC"


def test_a_progress_handler_may_cancel_its_own_write_when_all_of_it_has_left():
    """It is heard once for that, and the write ends well."""
    protocol, transport = in_memory()
    writing = protocol.write(b"one")
    seen = []

    def enough(operation, value):
        seen.append(value)
        operation.cancel()

    writing.progress = enough
    transport.take(100)
    assert seen == [3]
    assert writing.get_results() == 3


def test_nothing_can_be_written_behind_a_write_that_was_cancelled_on_its_way():
    """Whoever hears of it could otherwise send behind the hole before the connection is broken off."""
    protocol, transport = in_memory()
    writing = protocol.write(b"one")
    transport.take(2)
    transport.room = 100
    refused = []

    def write_more(failure):
        failure.trap(OperationAbortedError)
        with pytest.raises(IllegalMethodCallError) as caught:
            protocol.write(b"more")
        refused.append(caught.value)

    writing.addErrback(write_more)
    writing.cancel()
    assert len(refused) == 1
    assert transport.taken == b"on"


def test_whoever_hears_of_a_write_may_write_more():
    """It goes behind what waits."""
    protocol, transport = in_memory()
    first, second = protocol.write(b"one"), protocol.write(b"two")
    first.addCallback(lambda _: protocol.write(b"four"))
    second.progress = lambda operation, value: protocol.write(b"five")
    protocol.write(b"three")
    transport.take(6)
    transport.take(100)
    assert transport.taken == b"onetwothreefourfive"
    assert not protocol.pending


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),  # is written
            st.lists(st.binary(max_size=5), max_size=5),  # is written as many buffers
            st.integers(1, 30),  # makes room
            st.just("flush"),
            st.tuples(st.just("cancel"), st.integers(0, 30)),
        )
    )
)
def test_however_writes_cancellations_and_room_mix_what_leaves_is_what_was_not_cancelled(steps):
    """In the order of the calls, each byte once; and every operation ends."""
    protocol, transport = in_memory()
    operations, data = [], {}
    for step in steps:
        if isinstance(step, int):
            transport.take(step)
        elif step == "flush":
            operations.append(protocol.flush())
        elif isinstance(step, tuple):
            for operation in operations[step[1] : step[1] + 1]:
                if not operation.called and not operation.sent:
                    operation.addErrback(lambda _: None)
                    operation.cancel()
        else:
            write = protocol.write if isinstance(step, bytes) else protocol.write_many
            operations.append(write(step))
            data[operations[-1]] = b"".join([step] if isinstance(step, bytes) else step)
    protocol.release()
    transport.take(1_000_000)
    assert not protocol.pending
    assert not transport.writing
    assert all(operation.called for operation in operations)
    done = [operation for operation in operations if operation.status is AsyncStatus.COMPLETED]
    assert transport.taken == b"".join(data.get(operation, b"") for operation in done)


@pytest_twisted.ensureDeferred
async def test_a_reset_in_the_middle_of_a_write_fails_it_and_all_behind_it():
    """With the error of the system, and the flush as well; later writes too."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        name = peer.getsockname()
        operations = [protocol.write(pattern(MUCH)), protocol.write(b"behind"), protocol.flush()]
        await received(peer, 1_000)
        reset(peer)
        for operation in operations:
            with pytest.raises(ResetByPeerError) as caught:
                await operation
            assert caught.value.errno == errno.ECONNRESET
            assert caught.value.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
            assert f"127.0.0.1 port {name[1]}" in str(caught.value)
        for operation in (protocol.write(b"late"), protocol.write_many([b"late"]), protocol.flush()):
            with pytest.raises(ResetByPeerError):
                operation.get_results()


@pytest.mark.parametrize("buffers", [(b"one",), (b"one", b"two"), (b"one", bytearray(b"two"))])
@pytest_twisted.ensureDeferred
async def test_a_write_that_meets_a_broken_connection_fails_at_once(buffers):
    """Nobody need wait for it; so does every later one."""
    async with connected_protocol() as (protocol, peer):
        protocol.transport.stopReading()
        reset(peer)
        await turn()
        failing = [protocol.write_many(buffers) for _ in range(3)]
        assert statuses(*failing) == "EEE"
        for operation in failing:
            with pytest.raises(ResetByPeerError):
                operation.get_results()
        protocol.transport.startReading()


@pytest_twisted.ensureDeferred
async def test_a_peer_that_closes_while_a_batch_is_written_fails_it_and_its_last_words_are_read():
    """Closing with unread data resets the connection, as Linux does it."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        batch = [protocol.write(pattern(100_000)) for _ in range(5)]
        await received(peer, 1_000)
        peer.sendall(b"enough")
        peer.close()
        for operation in batch:
            with pytest.raises(SocketException) as caught:
                await operation
            assert caught.value.status in {
                SocketErrorStatus.CONNECTION_RESET_BY_PEER,
                SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT,
            }
        assert await protocol.read(100) == b"enough"


def test_after_a_failed_write_the_transport_is_not_asked_again():
    """It would have room for ever, and nothing would take it; receiving goes on."""
    protocol, transport = in_memory()
    waiting, flushing = protocol.write(b"one"), protocol.flush()
    transport.problem = ResetByPeerError("send to the far side: reset")
    transport.take(100)
    assert statuses(waiting, flushing) == "EE"
    assert not transport.writing
    assert transport.calls == []
    protocol.dataReceived(b"said before")
    assert protocol.read(100).get_results() == b"said before"
    for operation in (waiting, flushing, protocol.write(b"two")):
        with pytest.raises(ResetByPeerError):
            operation.get_results()


@pytest_twisted.ensureDeferred
async def test_the_rest_of_what_waits_is_told_before_the_failure_is():
    """Writes that left before the reset have ended well."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        first = protocol.write(pattern(100_000))
        second = protocol.write(pattern(MUCH))
        await received(peer, 100_001)
        reset(peer)
        assert await first == 100_000
        with pytest.raises(ResetByPeerError):
            await second


@pytest.mark.parametrize("buffers", [[b"x"], [b"x", b"y"]])
@pytest_twisted.ensureDeferred
async def test_a_failed_write_keeps_nothing_of_those_who_called(buffers):
    """The error stays with the connection; the caller's objects may go before."""

    class Local:
        pass

    def fail(protocol):
        local = Local()
        protocol.write_many(buffers).addErrback(lambda failure: failure.trap(ResetByPeerError))
        return weakref.ref(local)

    async with connected_protocol() as (protocol, peer):
        protocol.transport.pauseProducing()
        reset(peer)
        local = fail(protocol)
        assert not protocol.lost
        gc.collect()
        assert local() is None


@pytest_twisted.ensureDeferred
async def test_whoever_hears_of_a_failed_write_may_write_and_cancel():
    """The new one fails with the same error, the cancelled one is aborted; nothing is raised."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        later = []

        def told(failure):
            third.addErrback(lambda _: None)
            third.cancel()
            later.append(protocol.write(b"after the failure"))

        first, second, third = protocol.write(pattern(MUCH)), protocol.write(b"b"), protocol.write(b"c")
        first.addErrback(told)
        reset(peer)
        with pytest.raises(ResetByPeerError):
            await second
        with pytest.raises(OperationAbortedError):
            third.get_results()
        with pytest.raises(ResetByPeerError):
            later[0].get_results()


def test_writes_after_an_orderly_end_of_the_connection_are_aborted():
    """With advice."""
    protocol, transport = in_memory()
    waiting = protocol.write(b"waits")
    protocol.connectionLost(Failure(ConnectionDone()))
    transport.take(100)
    for operation in (waiting, protocol.write(b"late"), protocol.flush()):
        with pytest.raises(ConnectionAbortError, match="connect again"):
            operation.get_results()
    assert transport.taken == b""


@pytest_twisted.ensureDeferred
async def test_cancelling_all_io_leaves_the_connection_as_it_is():
    """Reads and writes end aborted; nothing of what had not begun leaves, and both ways go on."""
    async with connected_protocol() as (protocol, peer):
        reading = protocol.read(250)
        protocol.cancel_io()
        with pytest.raises(OperationAbortedError, match="cancel_io_async"):
            reading.get_results()
        peer.sendall(b"in")
        assert await protocol.read(10) == b"in"
        await protocol.write(b"out")
        assert peer.recv(10) == b"out"
        protocol.cancel_io()


def test_cancelling_all_io_lets_the_put_off_half_close_happen():
    """It waited for nothing else."""
    protocol, transport = in_memory()
    protocol.write(b"no").addErrback(lambda _: None)
    protocol.shut_output()
    assert transport.calls == []
    protocol.cancel_io()
    assert transport.calls == ["loseWriteConnection"]


def test_a_cancelled_write_whose_rest_cannot_be_sent_is_not_told_again():
    """It has ended; the others hear of the failure."""
    protocol, transport = in_memory()
    transport.room = 2
    begun = protocol.write(b"begun")
    protocol.cancel_io()
    after = protocol.write(b"after")
    transport.problem = ResetByPeerError("send to the far side: reset")
    transport.take(100)
    with pytest.raises(OperationAbortedError):
        begun.get_results()
    with pytest.raises(ResetByPeerError):
        after.get_results()
    assert not protocol.pending


def test_only_what_has_begun_outlives_cancelling_all_io():
    """A part of one write, nothing of those behind it; what is written then follows it."""
    protocol, transport = in_memory()
    transport.room = 2
    operations = [protocol.write(b"begun"), protocol.write(b"not"), protocol.flush()]
    seen = []
    operations[0].progress = lambda operation, value: seen.append(value)
    protocol.cancel_io()
    assert statuses(*operations) == "EEE"
    assert protocol.pending
    assert transport.writing
    after = protocol.write(b"+after")
    transport.take(100)
    assert transport.taken == b"begun+after"
    assert after.get_results() == 6
    assert seen == []
    for operation in operations:
        with pytest.raises(OperationAbortedError):
            operation.get_results()


def test_cancelling_all_io_takes_back_what_has_not_begun():
    """And a write after it leaves at once when there is room."""
    protocol, transport = in_memory()
    operations = [protocol.write(b"one"), protocol.write(b"two"), protocol.flush()]
    protocol.cancel_io()
    assert statuses(*operations) == "EEE"
    for operation in operations:
        with pytest.raises(OperationAbortedError):
            operation.get_results()
    assert not protocol.pending
    assert not transport.writing
    transport.take(100)
    assert transport.taken == b""
    assert statuses(protocol.write(b"three")) == "C"
    assert transport.taken == b"three"


@pytest_twisted.ensureDeferred
async def test_the_rest_of_a_write_that_has_begun_is_still_sent_after_cancelling_all_io():
    """Or the peer would see a stream with a hole; its operation has ended all the same, and once."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        data = pattern(MUCH)
        begun, behind = protocol.write(data), protocol.write(b"behind")
        seen = []
        begun.progress = lambda operation, value: seen.append(value)
        protocol.cancel_io()
        assert statuses(begun, behind) == "EE"
        for operation in (begun, behind):
            with pytest.raises(OperationAbortedError):
                operation.get_results()
        protocol.cancel_io()
        after = protocol.write(b"after")
        assert await received(peer, MUCH + 5) == data + b"after"
        assert await after == 5
        assert seen == []


@pytest_twisted.ensureDeferred
async def test_whoever_hears_that_io_was_cancelled_may_write():
    """It goes behind the rest of what has begun."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        data = pattern(MUCH)
        begun, behind = protocol.write(data), protocol.write(b"behind")
        begun.addErrback(lambda _: protocol.write(b"after"))
        behind.addErrback(lambda _: None)
        protocol.cancel_io()
        assert await received(peer, MUCH + 5) == data + b"after"


@pytest_twisted.ensureDeferred
async def test_closing_the_sending_direction_ends_the_stream_after_what_was_written():
    """The peer reads it all and then the end; receiving goes on."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        data = pattern(MUCH)
        writing = protocol.write(data)
        protocol.shut_output()
        protocol.shut_output()
        with pytest.raises(IllegalMethodCallError, match="closed before"):
            protocol.write(b"more")
        with pytest.raises(IllegalMethodCallError):
            protocol.write_many([b"more"])
        assert await rest(peer) == data
        assert await writing == MUCH
        peer.sendall(b"answer")
        assert await protocol.read(100) == b"answer"


@pytest_twisted.ensureDeferred
async def test_closing_the_sending_direction_with_nothing_waiting_ends_it_at_once():
    """No turn of the reactor is needed."""
    async with connected_protocol() as (protocol, peer):
        protocol.shut_output()
        assert peer.recv(10) == b""


def test_cancelling_the_last_write_lets_the_put_off_half_close_happen():
    """It waited for nothing else."""
    protocol, transport = in_memory()
    writing = protocol.write(b"no")
    writing.addErrback(lambda _: None)
    protocol.shut_output()
    assert transport.calls == []
    writing.cancel()
    assert transport.calls == ["loseWriteConnection"]


@pytest_twisted.ensureDeferred
async def test_a_failed_connection_is_not_half_closed():
    """There is nothing left to end."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        writing = protocol.write(pattern(MUCH))
        reset(peer)
        with pytest.raises(ResetByPeerError):
            await writing
        protocol.shut_output()
        with pytest.raises(IllegalMethodCallError):
            protocol.write(b"x")


@pytest_twisted.ensureDeferred
async def test_a_peer_that_reads_slowly_gets_everything():
    """Much more than the queue may hold, by a program that awaits each write."""
    async with connected_protocol(bounds=limits(write_queue=1), **NARROW) as (protocol, peer):
        data = pattern(3 * MUCH)

        async def write():
            for start in range(0, len(data), 50_000):
                await protocol.write(data[start : start + 50_000])
            protocol.shut_output()

        writing = ensureDeferred(write())
        assert await rest(peer) == data
        await writing


@pytest_twisted.ensureDeferred
async def test_a_writer_is_watched_only_while_something_waits():
    """Or the reactor would turn without end."""
    from twisted.internet import reactor

    async with connected_protocol(**NARROW) as (protocol, peer):
        assert protocol.transport not in reactor.getWriters()
        writing = protocol.write(pattern(MUCH))
        assert protocol.transport in reactor.getWriters()
        await received(peer, MUCH)
        await writing
        await until(lambda: protocol.transport not in reactor.getWriters())
        writing = protocol.write(pattern(MUCH))
        protocol.cancel_io()
        writing.addErrback(lambda _: None)
        await received(peer, MUCH)
        await until(lambda: protocol.transport not in reactor.getWriters())
