"""Batches: what is held back, what lets it go, and what is handed over."""

from __future__ import annotations

import asyncio
import errno

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import DeferredList, ensureDeferred, gatherResults, inlineCallbacks
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.foundation.operations import in_asyncio_task, waiting_for
from tests.transports.loopback import connected_protocol, pattern
from tests.transports.narrow import PLENTY, handled, in_memory, statuses
from winsockets.errors import (
    OperationAbortedError,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.transports._stream_transport import StreamTransport
from winsockets.transports._write_queue import _SMALL as SMALL
from winsockets.transports._write_queue import WRITE_OVERHEAD

# At once, or held


def test_writes_awaited_one_by_one_leave_each_at_once():
    """In one call each; neither the reactor's turn nor its look at the socket is needed."""
    protocol, transport = in_memory(PLENTY)

    async def write():
        for number in range(50):
            assert await protocol.write(b"%02d" % number) == 2
            assert len(transport.sends) == number + 1

    assert ensureDeferred(write()).called
    assert transport.taken == b"".join(b"%02d" % number for number in range(50))
    assert transport.waits == 0
    assert not transport.clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_awaited_writes_do_not_trouble_the_reactor():
    """Over a real connection: no writer is watched, nothing is put off to a later turn."""
    from twisted.internet import reactor

    async with connected_protocol() as (protocol, peer):
        watched = []
        protocol.transport.startWriting = lambda: watched.append(True)
        calls = reactor.getDelayedCalls()
        for _ in range(20):
            operation = protocol.write(b"now")
            assert operation.get_results() == 3
            assert await operation == 3
            assert peer.recv(10) == b"now"
        assert watched == []
        assert reactor.getDelayedCalls() == calls


def test_the_second_write_that_nobody_awaits_is_held_back():
    """And all that follow it; the first has left."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"first"), *(protocol.write(b"%d" % number) for number in range(9))]
    assert statuses(*operations) == "C" + "S" * 9
    assert transport.taken == b"first"
    assert protocol.pending
    assert transport.waits == 0, "room is not what it waits for"
    transport.clock.advance(0)
    assert statuses(*operations) == "C" * 10
    assert transport.taken == b"first012345678"
    assert len(transport.sends) == 2
    assert not protocol.pending


@inlineCallbacks
def yields(operation):
    """As older programs wait."""
    yield operation


RELEASES = {
    "await of the last": lambda protocol, operations: ensureDeferred(waiting_for(operations[-1])),
    "await in the middle": lambda protocol, operations: ensureDeferred(waiting_for(operations[2])),
    "await of the first": lambda protocol, operations: ensureDeferred(waiting_for(operations[0])),
    "await with a timeout": lambda protocol, operations: ensureDeferred(
        waiting_for(operations[-1].addTimeout(60, protocol.transport.clock))
    ),
    "yield": lambda protocol, operations: yields(operations[-1]),
    "flush": lambda protocol, operations: protocol.flush(),
    "write_many": lambda protocol, operations: operations.append(protocol.write_many([b"m", b"any"])),
    "half close": lambda protocol, operations: protocol.shut_output(),
    "close": lambda protocol, operations: protocol.close(),
    "end of the turn": lambda protocol, operations: protocol.transport.clock.advance(0),
}


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_a_batch_leaves_in_one_call_when(release):
    """Somebody waits, or nothing more can come; whichever is first."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(5)]
    assert len(transport.sends) == 1
    release(protocol, operations)
    assert statuses(*operations) == "C" * len(operations)
    assert transport.taken in (b"01234", b"01234many")
    assert len(transport.sends) == 2
    transport.clock.advance(0)
    assert len(transport.sends) == 2
    assert [operation.get_results() for operation in operations][:5] == [1] * 5
    protocol.connectionLost(Failure(ConnectionLost()))
    assert not transport.clock.getDelayedCalls()


@in_asyncio_task
async def test_an_await_in_an_asyncio_task_lets_a_batch_go():
    """Also of the first, which has ended; no turn of the loop is needed."""
    for awaited in (0, 2, 4):
        protocol, transport = in_memory(PLENTY)
        operations = [protocol.write(b"%d" % number) for number in range(5)]
        before = asyncio.get_running_loop().time()
        assert await operations[awaited] == 1
        assert before <= asyncio.get_running_loop().time()
        assert statuses(*operations) == "CCCCC"
        assert transport.taken == b"01234"
        assert len(transport.sends) == 2


@in_asyncio_task
async def test_a_task_that_waits_for_room_goes_on_with_its_write():
    """What is awaited has not left with the batch."""
    protocol, transport = in_memory(3)
    operations = [protocol.write(b"%d" % number) for number in range(5)]
    task = asyncio.ensure_future(waiting_for(operations[4]))
    while not transport.writing:
        await asyncio.sleep(0)
    assert statuses(*operations) == "CCCSS"
    transport.take(PLENTY)
    assert await task == 1


KEEPS = {
    "nothing": lambda protocol, operations: None,
    "a callback": lambda protocol, operations: operations[-1].addCallback(lambda value: value),
    "looking": lambda protocol, operations: (operations[-1].status, operations[-1].id, protocol.pending),
    "gathering": lambda protocol, operations: gatherResults(operations),
    "a list": lambda protocol, operations: DeferredList(operations),
    "completed": lambda protocol, operations: setattr(operations[-1], "completed", lambda *_: None),
    "progress": lambda protocol, operations: setattr(operations[-1], "progress", lambda *_: None),
    "waiting for something else": lambda protocol, operations: ensureDeferred(waiting_for(protocol.read(1))),
    "another write": lambda protocol, operations: operations.append(protocol.write(bytearray(b"5"))),
    "an empty write": lambda protocol, operations: operations.append(protocol.write(b"")),
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS.keys())
def test_a_batch_is_held_until_the_end_of_the_turn_by(keep):
    """Nobody waits for it yet; the turn is not over."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(5)]
    keep(protocol, operations)
    assert statuses(*operations) == "C" + "S" * (len(operations) - 1)
    assert len(transport.sends) == 1
    transport.clock.advance(0)
    assert statuses(*operations) == "C" * len(operations)
    assert transport.taken == b"01234" + (b"5" if keep is KEEPS["another write"] else b"")
    assert len(transport.sends) == 2


def test_gathered_writes_end_with_the_turn():
    """With their results, in order."""
    protocol, transport = in_memory(PLENTY)
    gathered = gatherResults([protocol.write(bytes(number)) for number in range(1, 101)])
    ended = []
    gathered.addCallback(ended.append)
    assert ended == []
    transport.clock.advance(0)
    assert ended == [list(range(1, 101))]
    assert len(transport.sends) == 2


def test_after_somebody_waited_the_next_write_leaves_at_once_again():
    """A burst has ended with it."""
    protocol, transport = in_memory(PLENTY)
    for number in range(1, 4):
        first, second = protocol.write(b"a"), protocol.write(b"b")
        assert statuses(first, second) == "CS"
        protocol.flush()
        assert len(transport.sends) == 2 * number
    assert len(transport.clock.getDelayedCalls()) == 1, "one end of the turn for all of them"
    transport.clock.advance(0)
    assert statuses(protocol.write(b"c")) == "C"
    assert not transport.clock.getDelayedCalls()


def test_after_several_buffers_in_one_call_the_next_write_leaves_at_once_again():
    """They are a batch that the program has made itself."""
    protocol, transport = in_memory(PLENTY)
    protocol.write(b"a")
    protocol.write_many([b"b", b"c"])
    assert statuses(protocol.write(b"d")) == "C"
    assert len(transport.sends) == 3


def test_the_end_of_a_turn_with_nothing_held_ends_the_burst_only():
    """The batch had left before."""
    protocol, transport = in_memory(PLENTY)
    protocol.write(b"a")
    protocol.write(b"b")
    protocol.flush()
    protocol.write(b"c")
    transport.clock.advance(0)
    assert statuses(protocol.write(b"d")) == "C"
    assert transport.taken == b"abcd"


def test_what_arrives_ends_a_burst():
    """A program that answers without awaiting answers at once."""
    protocol, transport = in_memory(PLENTY)
    for number in range(3):
        protocol.dataReceived(b"question")
        assert statuses(protocol.write(b"answer")) == "C"
        assert len(transport.sends) == number + 1


def test_an_empty_write_belongs_to_a_burst_and_sends_nothing():
    """First, in the middle, and alone in a batch."""
    protocol, transport = in_memory(PLENTY)
    operations = [
        protocol.write(b""),
        protocol.write(b"a"),
        protocol.write(bytearray()),
        protocol.write(b"b"),
    ]
    assert statuses(*operations) == "CSSS"
    protocol.flush()
    assert [operation.get_results() for operation in operations] == [0, 1, 0, 1]
    assert (transport.taken, len(transport.sends)) == (b"ab", 1)
    operations = [protocol.write(b""), protocol.write(b""), protocol.write_many([]), protocol.flush()]
    assert statuses(*operations) == "CCCC"
    assert (transport.taken, len(transport.sends)) == (b"ab", 1)


def test_a_refused_buffer_leaves_the_batch_as_it_was():
    """Its neighbours leave."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"a"), protocol.write(b"b")]
    for wrong in ("text", 7, memoryview(b"abcd")[::2]):
        with pytest.raises(TypeError):
            protocol.write(wrong)
    operations.append(protocol.write(b"c"))
    protocol.flush()
    assert statuses(*operations) == "CCC"
    assert transport.taken == b"abc"


# Bounds


@pytest.mark.parametrize("make", [bytes, bytearray], ids=["bytes", "bytearray"])
def test_a_batch_leaves_when_it_is_large_enough(make):
    """At the bound, counted with what each write costs; and the next one begins."""
    protocol, transport = in_memory(PLENTY, write_batch=3 * (100 + WRITE_OVERHEAD))
    operations = [protocol.write(make(100)) for _ in range(3)]
    assert statuses(*operations) == "CSS"
    operations.append(protocol.write(make(100)))
    assert statuses(*operations) == "CCCC"
    assert len(transport.sends) == 2
    operations += [protocol.write(make(100)) for _ in range(2)]
    assert statuses(*operations[4:]) == "SS"
    operations.append(protocol.write(make(100)))
    assert statuses(*operations[4:]) == "CCC"
    assert len(transport.sends) == 3
    assert transport.taken == bytes(700)


@pytest.mark.parametrize("make", [bytes, bytearray], ids=["bytes", "bytearray"])
@pytest.mark.parametrize("size", [1_000, 1_001])
def test_one_write_that_is_a_batch_by_itself_is_not_held(make, size):
    """There is nothing to gain."""
    protocol, transport = in_memory(PLENTY, write_batch=1_000 + WRITE_OVERHEAD)
    operations = [protocol.write(b"first"), protocol.write(make(size)), protocol.write(make(size))]
    assert statuses(*operations) == "CCC"
    assert len(transport.sends) == 3


@pytest.mark.parametrize("batch", [1, 600, 5_000, 1_000_000])
def test_a_program_that_never_awaits_is_refused_in_time_however_batches_are_bounded(batch):
    """More than the queue's bound is never taken, in one turn; what was accepted arrives."""
    protocol, transport = in_memory(write_queue=2_000, write_batch=batch)
    accepted = []

    def write_for_ever():
        while True:
            accepted.append(protocol.write(b"0123456789"))
            assert protocol._queue.charge <= 2_000 + 10 + WRITE_OVERHEAD

    with pytest.raises(SocketException, match="wait already") as caught:
        write_for_ever()
    assert caught.value.errno == errno.ENOBUFS
    assert len(accepted) == 4
    assert transport.writing
    transport.take(PLENTY)
    assert statuses(*accepted) == "CCCC"
    assert transport.taken == b"0123456789" * 4


@pytest.mark.parametrize("batch", [600, 1_000_000])
def test_a_program_that_never_awaits_is_served_while_the_system_takes_all(batch):
    """The bound is on what waits in the program; a batch at it leaves instead of being refused."""
    protocol, transport = in_memory(PLENTY, write_queue=2_000, write_batch=batch)
    for _ in range(100):
        protocol.write(b"0123456789")
        assert protocol._queue.charge <= 2_000 + 10 + WRITE_OVERHEAD
    protocol.flush()
    assert transport.taken == b"0123456789" * 100


def test_what_waits_for_room_is_not_held():
    """The reactor says when it can go, not the turn."""
    protocol, transport = in_memory(2)
    operations = [protocol.write(b"one"), protocol.write(b"two")]
    assert statuses(*operations) == "SS"
    assert (transport.writing, transport.waits) == (True, 1)
    assert not transport.clock.getDelayedCalls()
    protocol.flush()
    protocol.write_many([b"three", b"four"])
    assert len(transport.sends) == 1, "there is no room, and it is not asked again"
    transport.take(PLENTY)
    assert transport.taken == b"onetwothreefour"
    assert not transport.writing


def test_a_batch_that_finds_no_room_waits_for_it():
    """From its end on, once."""
    protocol, transport = in_memory(1)
    operations = [protocol.write(b"a"), protocol.write(b"b"), protocol.write(b"c")]
    assert not transport.writing
    transport.clock.advance(0)
    assert statuses(*operations) == "CSS"
    assert (transport.writing, transport.waits) == (True, 1)
    transport.take(1)
    assert statuses(*operations) == "CCS"
    operations.append(protocol.write(b"d"))
    transport.take(1)
    transport.take(1)
    assert statuses(*operations) == "CCCC"
    assert (transport.writing, transport.waits) == (False, 1)
    assert transport.taken == b"abcd"


# What is handed over


def test_large_buffers_are_not_copied_and_small_ones_leave_together():
    """The system reads the memory of the caller."""
    protocol, transport = in_memory(PLENTY)
    large = bytearray(b"l" * (SMALL + 1))
    protocol.write(b"first")
    for buffer in (b"a", b"b", large, b"c"):
        protocol.write(buffer)
    protocol.flush()
    (taken, *rest) = transport.sends[1]
    assert taken == b"ab"
    assert rest[0] is large
    assert transport.taken == b"firstab" + large + b"c"


def test_one_large_write_is_handed_over_as_it_is():
    """At once, in a batch, and when only a part of it was taken."""
    large = bytes(100_000)
    for room in (PLENTY, 1_000):
        protocol, transport = in_memory(room)
        protocol.write(large)
        protocol.write(large)
        protocol.flush()
        transport.take(PLENTY)
        transport.take(PLENTY)
        assert all(given is large for call in transport.sends for given in call)
        assert transport.taken == large * 2


def test_no_call_has_more_buffers_than_the_system_takes():
    """The transport of the test asserts it; the real one knows the system's bound."""
    protocol, transport = in_memory(PLENTY)
    pieces = [pattern(SMALL + 1 if number % 3 else 10) for number in range(40)]
    for piece in pieces:
        protocol.write(piece)
    protocol.flush()
    assert transport.taken == b"".join(pieces)
    assert max(map(len, transport.sends)) > 1
    try:
        from os import sysconf

        bound = sysconf("SC_IOV_MAX")
    except (ImportError, ValueError):
        bound = 16
    assert 1 < StreamTransport.vector_limit <= max(bound, 16)


@pytest.mark.parametrize("room", [1, 2, 3, 5, 8, 4_095, 4_096, 4_097, 10_000])
def test_a_batch_goes_on_where_the_system_stopped(room):
    """Whatever it takes at a time; each write ends with its last byte, no byte leaves twice."""
    protocol, transport = in_memory()
    pieces = [b"a", b"", b"bcd", pattern(SMALL + 3), b"e" * 10, pattern(9_000), b"f"]
    operations = [protocol.write(b""), *(protocol.write(piece) for piece in pieces), protocol.flush()]
    whole = b"".join(pieces)
    ends = [len(b"".join(pieces[: number + 1])) for number in range(len(pieces))]
    while protocol.pending:
        transport.take(room)
        left = len(transport.taken)
        assert whole.startswith(transport.taken)
        assert statuses(*operations[1:-1]) == "".join("C" if end <= left else "S" for end in ends)
    assert transport.taken == whole
    assert [operation.get_results() for operation in operations] == [0, *map(len, pieces), True]
    assert transport.waits == 1


def test_each_write_of_a_batch_reports_its_own_progress():
    """The whole at once when it leaves at once; rising when it leaves in parts; nothing beyond it."""
    protocol, transport = in_memory()
    seen = []

    def noting(name):
        return lambda operation, value: seen.append((name, value))

    operations = [protocol.write(b""), protocol.write(b"abc"), protocol.write(b""), protocol.write(b"defgh")]
    for name, operation in zip("0123", operations, strict=True):
        operation.progress = noting(name)
    protocol.flush()
    for room in (2, 0, 2, 1, 1, 100):
        transport.take(room)
    assert seen == [("1", 2), ("1", 3), ("2", 0), ("3", 1), ("3", 2), ("3", 3), ("3", 5)]
    assert statuses(*operations) == "CCCC"


def test_the_caller_gets_his_buffers_back_with_the_end_of_the_write():
    """He may change and resize them then, though the operation is kept; other writes are not touched."""
    protocol, transport = in_memory(1)
    buffers = [bytearray(b"%d" % number) for number in range(5)]
    operations = handled(*(protocol.write(buffer) for buffer in buffers))
    protocol.flush()
    operations[3].cancel()
    transport.take(2)
    assert statuses(*operations) == "CCCES"
    for number in (0, 1, 2, 3):
        buffers[number][:] = b"changed"
    with pytest.raises(BufferError):
        buffers[4] += b"too early"
    protocol.abort(OperationAbortedError("no more"))
    buffers[4] += b"now"
    assert transport.taken == b"012"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=5).map(lambda data: ("write", data)),
            st.lists(st.binary(max_size=3), max_size=3).map(lambda parts: ("write_many", parts)),
            st.sampled_from(["flush", "turn", "await", "cancel", "arrive"]).map(lambda name: (name, None)),
            st.integers(0, 12).map(lambda room: ("take", room)),
        ),
        max_size=40,
    ),
    st.integers(0, 20),
    st.sampled_from([1, 520, 1_100, 100_000]),
)
def test_however_it_is_mixed_a_held_batch_ends_with_the_turn(steps, room, batch):
    """After each turn nothing is held; what completed has left, in order."""
    protocol, transport = in_memory(room, write_batch=batch)
    operations, data = [], {}
    for step, value in steps:
        if step in ("write", "write_many"):
            operation = getattr(protocol, step)(value)
            data[operation] = value if step == "write" else b"".join(value)
            operations.append(operation)
        elif step == "flush":
            operations.append(protocol.flush())
        elif step == "turn":
            transport.clock.advance(0)
            assert transport.writing == protocol.pending
        elif step == "take":
            transport.take(value)
        elif step == "arrive":
            protocol.dataReceived(b"x")
        elif operations and step == "await":
            handled(operations[-1])
            ensureDeferred(waiting_for(operations[-1])).addErrback(
                lambda failure: failure.trap(SocketException)
            )
            assert transport.writing == protocol.pending
        elif operations and not getattr(operations[-1], "sent", 0):
            handled(operations[-1])
            operations[-1].cancel()
    transport.clock.advance(0)
    assert not transport.clock.getDelayedCalls()
    transport.take(PLENTY)
    assert not protocol.pending
    assert all(operation.called for operation in operations)
    done = [operation for operation in operations if operation.status is AsyncStatus.COMPLETED]
    assert transport.taken == b"".join(data.get(operation, b"") for operation in done)
