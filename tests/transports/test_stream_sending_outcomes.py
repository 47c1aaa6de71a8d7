"""Batches: what each operation of one hears, and what those may do who hear of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from twisted.internet import defer
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.foundation.operations import waiting_for
from tests.transports.loopback import limits, pattern
from tests.transports.narrow import PLENTY, handled, in_memory, statuses
from winsockets.errors import (
    IllegalMethodCallError,
    OperationAbortedError,
    ResetByPeerError,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamProtocol
from winsockets.transports._write_queue import _SMALL as SMALL
from winsockets.transports._write_queue import WRITE_OVERHEAD

RESET = ResetByPeerError("send to the far side: reset")


def test_a_flush_fails_with_the_first_failure():
    """So does every later one; writes that left before have ended well."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"a"), protocol.write(b"b")]
    transport.problem = RESET
    flushed = protocol.flush()
    assert flushed.status is AsyncStatus.ERROR
    assert statuses(*operations) == "CE"
    transport.problem = ConnectionError("never looked at")
    for operation in (
        flushed,
        operations[1],
        protocol.write(b"c"),
        protocol.flush(),
        protocol.write_many([b"d"]),
    ):
        with pytest.raises(ResetByPeerError):
            operation.get_results()
    assert transport.taken == b"a"


def test_a_first_write_that_fails_fails_the_flush_after_it_too():
    """Though it was never queued."""
    protocol, transport = in_memory(PLENTY)
    transport.problem = RESET
    writing, flushing = protocol.write(b"a"), protocol.flush()
    for operation in (writing, flushing):
        with pytest.raises(ResetByPeerError):
            operation.get_results()


@pytest.mark.parametrize("release", ["flush", "turn", "bound", "await"])
def test_a_reset_in_the_middle_of_a_batch_fails_what_had_not_left(release):
    """What was handed over before ends well, in whichever way the batch goes."""
    protocol, transport = in_memory(PLENTY, write_batch=7 * (SMALL + 1 + WRITE_OVERHEAD))
    take = transport._take

    def break_off(views):
        if len(transport.sends) == 3:
            raise RESET
        return take(views)

    transport._take = break_off
    pieces = [pattern(SMALL + 1) for _ in range(8 if release == "bound" else 7)]
    operations = [protocol.write(piece) for piece in pieces]
    if release == "flush":
        handled(protocol.flush())
    elif release == "turn":
        transport.clock.advance(0)
    elif release == "await":
        ensureDeferred(waiting_for(operations[-1])).addErrback(lambda failure: failure.trap(ResetByPeerError))
    count = len(transport.taken) // (SMALL + 1)
    assert count == 5, "one, and twice the two large ones that a call takes here besides small ones"
    assert statuses(*operations) == "C" * 5 + "E" * (len(pieces) - 5)
    assert transport.taken == b"".join(pieces[:5])
    assert not transport.writing
    for operation in operations[5:]:
        with pytest.raises(ResetByPeerError):
            operation.get_results()


def test_a_write_that_fills_a_batch_and_meets_a_reset_returns_its_failure():
    """It does not raise."""
    protocol, transport = in_memory(PLENTY, write_batch=1_000)
    protocol.write(b"a")
    transport.problem = RESET
    operation = protocol.write(bytes(1_000))
    with pytest.raises(ResetByPeerError):
        operation.get_results()


@pytest.mark.parametrize("chosen", [(1,), (2,), (3,), (1, 3), (3, 2, 1)], ids=str)
def test_writes_of_a_batch_can_be_taken_back(chosen):
    """They never leave, the others do; with all of them gone nothing is left to send."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    for number in chosen:
        handled(operations[number])
        operations[number].cancel()
        with pytest.raises(OperationAbortedError, match="before it began"):
            operations[number].get_results()
    transport.clock.advance(0)
    left = [number for number in range(4) if number not in chosen]
    assert transport.taken == b"".join(b"%d" % number for number in left)
    assert statuses(*(operations[number] for number in left)) == "C" * len(left)
    assert transport.waits == 0
    assert not protocol.pending
    assert statuses(protocol.write(b"after")) == "C"


def test_cancelling_before_or_after_the_batch_changes_nothing_of_it():
    """The first had left when it was called, the others when they were told."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    operations[0].cancel()
    protocol.flush()
    operations[2].cancel()
    assert statuses(*operations) == "CCCC"
    assert transport.taken == b"0123"


def test_cancelling_what_has_left_in_part_breaks_off_and_fails_the_batch_behind_it():
    """Nothing may follow the hole."""
    protocol, transport = in_memory(1)
    operations = handled(*(protocol.write(b"%d%d" % (number, number)) for number in range(4)))
    transport.clock.advance(0)
    transport.take(2)
    assert (statuses(*operations), transport.taken) == ("CSSS", b"001")
    operations[1].cancel()
    assert statuses(*operations) == "CEEE"
    assert transport.calls == ["abortConnection"]
    transport.take(PLENTY)
    assert transport.taken == b"001"


def test_cancelling_all_io_takes_a_batch_back():
    """Nothing of it has left; the connection stays."""
    protocol, transport = in_memory(PLENTY)
    operations = handled(*(protocol.write(b"%d" % number) for number in range(4)))
    protocol.cancel_io()
    assert statuses(*operations) == "CEEE"
    transport.clock.advance(0)
    assert (transport.taken, transport.waits) == (b"0", 0)
    assert statuses(protocol.write(b"after")) == "C"


@pytest.mark.parametrize("end", ["close", "shut_output"])
@pytest.mark.parametrize("room", [PLENTY, 1])
def test_what_was_handed_in_is_sent_before_the_end(end, room):
    """Held or not; with room or without."""
    protocol, transport = in_memory(room)
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    getattr(protocol, end)()
    if room == 1:
        assert statuses(*operations) == "CSSS"
        assert "loseConnection" not in transport.calls
        assert "loseWriteConnection" not in transport.calls
        transport.take(PLENTY)
    assert statuses(*operations) == "CCCC"
    assert transport.taken == b"0123"
    assert transport.calls.count("loseConnection" if end == "close" else "loseWriteConnection") == 1
    protocol.connectionLost(Failure(ConnectionLost()))
    assert not transport.clock.getDelayedCalls()


@pytest.mark.parametrize("end", ["close", "shut_output"])
def test_nothing_is_written_behind_the_end_by_whoever_hears_of_the_last_batch(end):
    """The stream ends with what was written before the call."""
    protocol, transport = in_memory(PLENTY)
    refused = []

    def write_more(_):
        for _ in range(2):
            with pytest.raises(IllegalMethodCallError) as caught:
                protocol.write(b"more")
            refused.append(caught.value)

    protocol.write(b"a")
    protocol.write(b"b").addCallback(write_more)
    getattr(protocol, end)()
    with pytest.raises(IllegalMethodCallError):
        protocol.write(b"late")
    transport.clock.advance(0)
    assert len(refused) == 2
    assert transport.taken == b"ab"


@pytest.mark.parametrize("end", ["close", "shut_output"])
def test_the_end_comes_once_and_after_the_operations_though_one_of_them_asks_for_it(end):
    """Whoever hears of the last batch may end the connection; others who hear of it go before that."""
    protocol, transport = in_memory(PLENTY)
    order = []
    transport.loseConnection = transport.loseWriteConnection = lambda: order.append("end")
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    for number, operation in enumerate(operations[1:]):
        operation.addCallback(lambda _, number=number: order.append(number))
    if end == "close":
        protocol.close()
        assert order == [0, 1, 2, "end"]
        return
    operations[3].addCallback(lambda _: protocol.shut_output())
    protocol.flush()
    assert order == [0, 1, 2, "end"]


def test_a_connection_closes_once_though_its_reader_waits_for_the_batch():
    """The end of the read comes first, and lets the batch go."""
    protocol, transport = in_memory(PLENTY)
    protocol.write(b"a")
    operation = protocol.write(b"b")
    reading = protocol.read(1)

    async def answer():
        with suppress(OperationAbortedError):
            await reading
        return await operation

    answering = ensureDeferred(answer())
    protocol.close()
    assert answering.result == 1
    assert transport.taken == b"ab"
    assert transport.calls == ["loseConnection"]
    protocol.connectionLost(Failure(ConnectionLost()))


@pytest.mark.parametrize("room", [0, 1, PLENTY])
def test_closing_after_a_half_close_closes_once_when_all_has_left(room):
    """The half close need not come any more if it has not yet."""
    protocol, transport = in_memory(room)
    operations = [protocol.write(b"a"), protocol.write(b"b")]
    protocol.shut_output()
    protocol.close()
    transport.take(PLENTY)
    assert statuses(*operations) == "CC"
    assert transport.calls.count("loseConnection") == 1
    assert transport.calls.count("loseWriteConnection") == (room == PLENTY)
    protocol.connectionLost(Failure(ConnectionLost()))


def test_a_reset_that_a_closing_protocol_meets_with_its_last_batch_ends_it():
    """There is nothing to close in good order any more."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"a"), protocol.write(b"b")]
    transport.problem = RESET
    protocol.close()
    assert statuses(*operations) == "CE"
    assert transport.calls == ["abortConnection"]
    handled(*operations)
    protocol.connectionLost(Failure(ConnectionLost()))
    assert not transport.clock.getDelayedCalls()


def test_a_batch_whose_connection_is_lost_fails_and_leaves_nothing_behind():
    """No call in the reactor, no writer."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    protocol.connectionLost(Failure(ConnectionLost()))
    assert statuses(*operations) == "CEEE"
    assert not transport.clock.getDelayedCalls()
    for operation in operations[1:]:
        with pytest.raises(ResetByPeerError):
            operation.get_results()
    assert (transport.taken, transport.waits) == (b"0", 0)


def test_a_broken_connection_is_not_closed_in_good_order_by_whoever_cancels_its_last_write():
    """It was to be closed when nothing waits any more; now it is broken off."""
    protocol, transport = in_memory()
    operations = handled(*(protocol.write(b"%d" % number) for number in range(2)))
    operations[0].addBoth(lambda _: operations[1].cancel())
    protocol.close()
    transport.problem = RESET
    transport.take(PLENTY)
    assert statuses(*operations) == "EE"
    assert transport.calls == ["pauseProducing", "abortConnection"]
    protocol.connectionLost(Failure(ConnectionLost()))


def test_after_a_batch_has_failed_the_next_write_fails_at_once():
    """Whoever said that nothing can be sent any more: a sink, the program, or the end of the connection."""
    for fail, refusal in (
        (lambda protocol: protocol.write_failed(RESET), ResetByPeerError),
        (lambda protocol: protocol.connectionLost(Failure(ConnectionLost())), ResetByPeerError),
        (lambda protocol: protocol.abort(OperationAbortedError("no more")), IllegalMethodCallError),
    ):
        protocol, transport = in_memory(PLENTY)
        handled(*(protocol.write(b"%d" % number) for number in range(4)))
        fail(protocol)
        with pytest.raises(refusal):
            protocol.write(b"late").get_results()
        transport.clock.advance(0)
        assert transport.taken == b"0"


def test_batches_go_the_same_way_while_deferreds_are_debugged():
    """There is no shorter way for operations then."""
    defer.setDebugging(True)
    try:
        protocol, transport = in_memory(PLENTY)
        operations = [protocol.write(b"%d" % number) for number in range(5)]
        told = []
        operations[2].addCallback(told.append)
        waiting = ensureDeferred(waiting_for(operations[3]))
        assert waiting.result == 1
        assert told == [1]
        assert statuses(*operations) == "CCCCC"
        assert ensureDeferred(waiting_for(operations[4])).result == 1
        failing = [protocol.write(b"a"), protocol.write(b"b")]
        transport.problem = RESET
        handled(protocol.flush(), *failing)
        assert statuses(*failing) == "CE"
    finally:
        defer.setDebugging(False)


def test_whoever_hears_that_a_batch_failed_may_cancel_another_write_of_it():
    """A transport that is gone is not asked to tell when there is room."""
    protocol, transport = in_memory(PLENTY)
    operations = [protocol.write(b"%d" % number) for number in range(4)]
    operations[1].addErrback(lambda failure: operations[2].cancel())
    handled(*operations[2:])
    protocol.connectionLost(Failure(ConnectionLost()))
    assert statuses(*operations) == "CEEE"
    with pytest.raises(OperationAbortedError):
        operations[2].get_results()
    assert transport.waits == 0


# Whoever hears of one may do anything


def rewrite(protocol, operations):
    """Write without awaiting."""
    operations += [protocol.write(b"x"), protocol.write(b"y")]


def rewrite_many(protocol, operations):
    """Write several."""
    operations.append(protocol.write_many([b"x", b"y"]))


def await_another(protocol, operations):
    """Write and wait."""
    operations.append(protocol.write(b"xy"))
    ensureDeferred(waiting_for(operations[-1]))
    ensureDeferred(waiting_for(operations[3])).addErrback(lambda failure: failure.trap(SocketException))


def flush_again(protocol, operations):
    """Write and flush."""
    operations += [protocol.write(b"x"), protocol.write(b"y"), protocol.flush()]


def cancel_later(protocol, operations):
    """Take the next back."""
    operations[3].cancel()


def cancel_everything(protocol, operations):
    """End what waits."""
    protocol.cancel_io()


def close_it(protocol, operations):
    """Close."""
    protocol.close()


def shut_it(protocol, operations):
    """Half close."""
    protocol.shut_output()


def abort_it(protocol, operations):
    """Break off."""
    protocol.abort(OperationAbortedError("no more"))


ACTS = [
    rewrite,
    rewrite_many,
    await_another,
    flush_again,
    cancel_later,
    cancel_everything,
    close_it,
    shut_it,
    abort_it,
]


@pytest.mark.parametrize("hear", ["callback", "await", "progress", "completed"])
@pytest.mark.parametrize("room", [2, 3, 4, PLENTY], ids=["begun", "next begun", "next left", "all"])
@pytest.mark.parametrize("act", ACTS, ids=[act.__name__ for act in ACTS])
def test_whoever_hears_of_a_write_of_a_batch_may(act, room, hear):
    """What completes has left, in order and once; a cut is a beginning of it; every operation ends."""
    protocol, transport = in_memory(room)
    operations = [protocol.write(b"0")]
    pieces = [b"0", b"11", b"22", b"33"]
    operations += [protocol.write(piece) for piece in pieces[1:]]
    acted = []

    def heard(*_):
        if not acted:
            acted.append(True)
            with suppress(IllegalMethodCallError):
                act(protocol, operations)

    async def wait():
        with suppress(SocketException):
            await operations[1]
        heard()

    if hear == "callback":
        operations[1].addBoth(heard)
    elif hear == "await":
        ensureDeferred(wait())
    elif hear == "progress":
        operations[1].progress = heard
    else:
        operations[1].completed = heard
    for _ in range(4):
        transport.clock.advance(0)
        transport.take(PLENTY)
    assert acted
    assert all(operation.called for operation in operations)
    data = [*pieces, *([b"x", b"y"] if len(operations) > 5 else [b"xy"] * (len(operations) > 4)), b""]
    done = [
        piece
        for operation, piece in zip(operations, data, strict=False)
        if operation.status is AsyncStatus.COMPLETED
    ]
    handled(*operations)
    if act in (abort_it, cancel_everything):
        assert transport.taken.startswith(b"".join(done))
        assert b"0112233".startswith(transport.taken)
    else:
        assert transport.taken == b"".join(done)
    assert not protocol.pending
    assert not transport.writing
    protocol.connectionLost(Failure(ConnectionLost()))
    assert not transport.clock.getDelayedCalls()


class Eager(StringTransport):
    """A transport that asks to wait and to go on from within a write, as one in memory may."""

    def write(self, data):
        """Take it, and be ready for the next at once."""
        super().write(data)
        self.producer.pauseProducing()
        self.producer.resumeProducing()


def test_a_transport_that_asks_for_more_from_within_a_write_gets_no_byte_twice():
    """It is being given what there is."""
    transport = Eager()
    protocol = StreamProtocol(in_memory()[1].clock, limits())
    protocol.makeConnection(transport)
    pieces = [pattern(SMALL + 1), b"a", pattern(SMALL + 2), b"b"]
    operations = [protocol.write(piece) for piece in pieces]
    protocol.flush()
    assert statuses(*operations) == "CCCC"
    assert transport.value() == b"".join(pieces)
    protocol.connectionLost(Failure(ConnectionLost()))
