"""Writes of several datagrams, waits for them, and the batches that they wait in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import MessageTooLongError, NetworkUnreachableError
from winsockets.foundation import AsyncStatus
from winsockets.transports._datagram_queue import Batch, Flush, Sending, finish, owners


class Untouched:
    """A holder that holds nothing, and of which nothing is to be taken back."""

    released = 0

    def release(self):
        """Count."""
        self.released += 1

    def take_back(self, operation):
        """Nobody cancels."""
        raise AssertionError("cancelled")


def batch_of(*owned):
    """A batch of (operation, payload)."""
    batch = Batch(None)
    batch.operations += [operation for operation, _ in owned]
    batch.payloads += [payload for _, payload in owned]
    return batch


@given(st.lists(st.integers(0, 65_507), min_size=1, max_size=20))
def test_a_write_ends_with_its_last_datagram_and_yields_the_size_of_all(sizes):
    """And says on the way how far it is."""
    operation = Sending.of(Untouched(), len(sizes))
    progress = []
    operation.progress = lambda sender, value: progress.append(value)
    for size in sizes:
        assert operation.status is AsyncStatus.STARTED
        operation.note(size)
        operation.tell()
    assert operation.get_results() == sum(sizes)
    assert progress == [sum(sizes[: place + 1]) for place in range(len(sizes))]


def test_a_write_of_nothing_has_ended():
    """As soon as that is known."""
    operation = Sending.of(Untouched(), 0)
    operation.end_if_complete()
    assert operation.get_results() == 0


def test_the_first_failure_is_that_of_the_write():
    """It is told when all datagrams have been tried; that nothing was sent so far is no progress."""
    operation = Sending.of(Untouched(), 3)
    progress = []
    operation.progress = lambda sender, value: progress.append(value)
    for outcome in (MessageTooLongError("first"), NetworkUnreachableError("second"), 10):
        assert operation.status is AsyncStatus.STARTED
        operation.note(outcome)
        operation.tell()
    with pytest.raises(MessageTooLongError, match="first"):
        operation.get_results()
    assert progress == [10]


def test_a_flush_says_that_all_is_well_or_what_went_wrong():
    """True, or the failure it was told of."""
    good, bad = Flush.of(Untouched()), Flush.of(Untouched())
    good.end()
    bad.failure = MessageTooLongError("too long")
    bad.end()
    assert good.get_results() is True
    with pytest.raises(MessageTooLongError, match="too long"):
        bad.get_results()


def test_who_waits_for_one_releases_what_is_held():
    """Also when it has ended: the burst has."""
    holder = Untouched()
    operation = Sending.of(holder)
    finish([operation], 5, 5)
    with pytest.raises(StopIteration):
        operation.__await__().send(None)
    assert holder.released == 1


@pytest.mark.parametrize("attended", [set(), {0}, {2}, {0, 1, 2}])
@pytest.mark.parametrize("last", [3, 10])
def test_those_that_left_together_end_together(attended, last):
    """Whether anybody waits or not; each with its size, in the order of the calls, when all have left."""
    operations = [Sending.of(Untouched()) for _ in range(3)]
    told = []
    for place in attended:

        def note(result, place=place):
            # Those that nobody waits for have ended already.
            told.append((place, result, {operations[each].status for each in {0, 1, 2} - attended}))

        operations[place].addCallback(note)
    finish(operations, 10, last)
    others = {AsyncStatus.COMPLETED} if len(attended) < 3 else set()
    assert told == [(place, last if place == 2 else 10, others) for place in sorted(attended)]
    assert [operation.status for operation in operations] == [AsyncStatus.COMPLETED] * 3
    assert [operation.get_results() for operation in operations] == [10, 10, last]


def test_one_that_is_cancelled_while_others_are_told_ends_well():
    """It had left."""
    first, second = Sending.of(Untouched()), Sending.of(Untouched())
    first.holder.take_back = second.holder.take_back = lambda operation: operation.end_if_complete()
    first.addCallback(lambda size: second.cancel())
    second.addCallback(lambda size: size)
    finish([first, second], 4, 2)
    assert second.get_results() == 2


def test_a_batch_gives_up_its_first_ones_and_their_buffers():
    """Nothing of them is held any more: their buffers may change, in size too."""
    operations = [Sending.of(Untouched()) for _ in range(3)]
    buffers = [bytearray(b"abc") for _ in range(3)]
    batch = batch_of(*zip(operations, map(memoryview, buffers), strict=True))
    assert batch.take(2) == operations[:2]
    buffers[0].clear()
    buffers[1].clear()
    with pytest.raises(BufferError):
        buffers[2].clear()
    assert batch.take(1) == operations[2:]
    buffers[2].clear()
    assert batch.payloads == batch.operations == []


def test_what_belongs_to_one_operation_can_be_taken_out():
    """All of it, and nothing else."""
    one, other, absent = (Sending.of(Untouched(), count) for count in (2, 1, 1))
    batch = batch_of((one, b"1"), (other, b"2"), (one, b"3"))
    assert batch.discard(absent) == 0
    assert batch.discard(one) == 2
    assert (batch.operations, batch.payloads) == ([other], [b"2"])
    assert owners([batch, Flush.of(Untouched())]) == [other]
