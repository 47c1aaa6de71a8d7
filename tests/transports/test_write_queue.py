"""Waiting writes: order, accounts, and what each hears."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.loopback import pattern
from winsockets.errors import InvalidArgumentError
from winsockets.foundation import AsyncStatus
from winsockets.streams import Buffer
from winsockets.transports._write_queue import (
    _SEND_SIZE as SEND_SIZE,
)
from winsockets.transports._write_queue import (
    _SMALL as SMALL,
)
from winsockets.transports._write_queue import (
    WRITE_OVERHEAD,
    QueuedFlush,
    QueuedWrite,
    WriteQueue,
    as_views,
)

NOBODY = None
"""Who holds the writes back: a queue does not ask."""
SIZES = st.one_of(st.integers(0, 6), st.sampled_from([0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL]))
"""Sizes of buffers: tiny ones, and those where joining ends."""


def write(*buffers):
    """A waiting write of some buffers."""
    views, size = as_views(buffers)
    return QueuedWrite.of(NOBODY, views, size)


def flush():
    """A waiting flush."""
    return QueuedFlush(NOBODY)


def queue_of(*entries):
    """A queue with some entries."""
    queue = WriteQueue()
    for entry in entries:
        queue.append(entry)
    return queue


def waiting(queue):
    """The bytes that wait."""
    buffers, size = queue.front(1_000_000)
    data = b"".join(buffers)
    assert len(data) == size
    return data


def test_an_empty_queue_is_false_and_charges_nothing():
    """Until something waits."""
    queue = WriteQueue()
    assert not queue
    assert queue.charge == 0
    assert queue.front(10) == ([], 0)
    assert queue.take(0) == ([], None)


def test_the_charge_counts_the_bytes_and_something_for_each_entry():
    """So that many tiny writes are bounded too."""
    queue = queue_of(write(b"abc"), write(b"defg"), flush())
    assert queue.charge == 7 + 3 * WRITE_OVERHEAD
    queue.take(4)
    assert queue.charge == 3 + 2 * WRITE_OVERHEAD
    queue.take(3)
    assert queue.charge == 0


def test_a_write_of_which_a_part_has_left_is_charged_with_the_rest():
    """As it is when the system took a part at once."""
    entry = write(b"abcdef")
    entry.advance(2)
    assert queue_of(entry).charge == 4 + WRITE_OVERHEAD


def test_bytes_come_out_in_the_order_of_the_calls_and_of_the_buffers():
    """Whichever write they belong to."""
    queue = queue_of(write(b"ab", b"c"), write(b"def"), flush(), write(b"g"))
    assert waiting(queue) == b"abcdefg"
    queue.take(4)
    assert waiting(queue) == b"efg"


def test_small_buffers_are_joined_and_large_ones_are_handed_over_as_they_are():
    """A copy of a small one costs less than telling the system of one more."""
    small, large = b"s" * SMALL, bytearray(b"l" * (SMALL + 1))
    queue = queue_of(
        write(b"a", small), write(large), write(b"b"), flush(), write(b"c", large, large), write(b"d")
    )
    buffers, size = queue.front(100)
    assert [bytes(buffer) for buffer in buffers] == [b"a" + small, large, b"bc", large, large, b"d"]
    assert size == len(b"".join(buffers))
    assert [getattr(buffer, "obj", None) is large for buffer in buffers] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_one_small_buffer_alone_is_not_copied_either():
    """There is nothing to join it with."""
    data = b"small"
    entry = QueuedWrite.of(NOBODY, (data,), len(data))
    assert queue_of(entry).front(3)[0][0] is data


def test_so_many_small_buffers_that_they_are_too_much_for_one_send_are_joined_in_parts():
    """No system takes much more at once, and what is joined and not taken was joined in vain."""
    piece = bytes(SMALL)
    queue = queue_of(*[write(piece) for _ in range(1_000)])
    left = []
    while queue:
        buffers, size = queue.front(100)
        assert [len(buffer) for buffer in buffers] == [size]
        left.append(size)
        done, part = queue.take(size)
        assert (len(done), part) == (size // SMALL, None)
    assert sum(left) == 1_000 * SMALL
    assert max(left) <= 2 * SEND_SIZE


@pytest.mark.parametrize("most", range(1, 8))
def test_never_more_buffers_come_out_than_the_system_takes(most):
    """However small and large ones alternate."""
    small, large = b"small", bytes(SMALL + 1)
    queue = queue_of(*[write(small, large, small), write(large, large), write(small)] * 5)
    whole = waiting(queue)
    buffers, size = queue.front(most)
    assert 1 <= len(buffers) <= most
    assert whole.startswith(b"".join(buffers))
    assert size == sum(map(len, buffers))


def test_taking_tells_nobody_yet():
    """The queue has no say in when operations end."""
    entry = write(b"abc")
    queue = queue_of(entry)
    assert queue.take(3) == ([entry], None)
    assert entry.status is AsyncStatus.STARTED
    entry.finish()
    assert entry.get_results() == 3


def test_a_write_that_has_left_in_part_stays_and_is_named():
    """It has progress to report."""
    entry, behind = write(b"abc"), write(b"def")
    queue = queue_of(entry, behind)
    seen = []
    entry.progress = lambda operation, value: seen.append(value)
    assert queue.take(2) == ([], entry)
    assert (entry.sent, entry.status) == (2, AsyncStatus.STARTED)
    assert waiting(queue) == b"cdef"
    assert queue.take(0) == ([], None)
    assert queue.take(2) == ([entry], behind)
    entry.finish()
    assert (seen, entry.get_results()) == ([3], 3)
    assert queue.take(2) == ([behind], None)


def test_a_flush_is_complete_with_what_stands_before_it():
    """Not earlier, and without bytes of its own."""
    first, between, last = write(b"ab"), flush(), write(b"c")
    queue = queue_of(first, between, last)
    assert queue.take(1) == ([], first)
    assert queue.take(1) == ([first, between], None)
    between.finish()
    assert between.get_results() is True
    assert list(queue) == [last]


def test_a_write_without_bytes_waits_for_its_turn_too():
    """It ends with 0."""
    empty = write(b"", b"")
    queue = queue_of(write(b"a"), empty, write(b"b"))
    assert queue.take(0) == ([], None)
    done, _ = queue.take(1)
    assert done[-1] is empty
    empty.finish()
    assert empty.get_results() == 0


@pytest.mark.parametrize("make", [lambda: write(b"abc"), flush])
def test_an_operation_that_was_given_up_hears_nothing_more(make):
    """cancel_io_async ends an operation whose rest is still sent."""
    entry = make()
    seen = []
    if isinstance(entry, QueuedWrite):
        entry.progress = lambda operation, value: seen.append(value)
    queue = queue_of(entry)
    entry.addErrback(lambda _: None)
    entry.errback(ValueError("given up"))
    queue.take(entry.size)
    entry.finish()
    assert (seen, entry.status) == ([], AsyncStatus.ERROR)


def test_a_progress_handler_may_end_its_own_operation():
    """It is not ended twice."""
    entry = write(b"abc")
    entry.addErrback(lambda _: None)
    entry.progress = lambda operation, value: operation.errback(ValueError("enough"))
    queue_of(entry).take(3)
    entry.finish()
    assert entry.status is AsyncStatus.ERROR


def test_one_in_the_middle_can_be_taken_out_whole():
    """With its charge; a second time there is nothing to take out."""
    first, second, third = write(b"a"), write(b"bb"), write(b"ccc")
    queue = queue_of(first, second, third)
    assert queue.discard(second)
    assert waiting(queue) == b"accc"
    assert queue.charge == 4 + 2 * WRITE_OVERHEAD
    assert not queue.discard(second)
    assert queue.charge == 4 + 2 * WRITE_OVERHEAD


@given(
    st.lists(st.lists(SIZES, max_size=4), min_size=1, max_size=8),
    st.lists(st.integers(0, 3 * SMALL), max_size=60),
    st.integers(1, 5),
)
def test_however_the_system_takes_them_the_bytes_leave_once_and_in_order(sizes, takes, most):
    """Each write ends when its last byte has left, with its size; the charge is what is left."""
    everything = pattern(sum(map(sum, sizes)))
    rest = memoryview(everything)
    entries = []
    for parts in sizes:
        buffers = []
        for size in parts:
            buffers.append(rest[:size])
            rest = rest[size:]
        entries.append(write(*buffers))
    queue = queue_of(*entries)
    left = b""
    for wish in [*takes, *[len(everything)] * (len(everything) // SMALL + 50)]:
        buffers, size = queue.front(most)
        offered = b"".join(buffers)
        assert (len(buffers) <= most, len(offered)) == (True, size)
        count = min(wish, size)
        left += offered[:count]
        done, part = queue.take(count)
        for entry in done:
            entry.finish()
        assert part is None or (part is next(iter(queue)) and 0 < part.sent < part.size)
        assert everything.startswith(left)
        done = sum(entry.status is AsyncStatus.COMPLETED for entry in entries)
        assert all(entry.status is AsyncStatus.COMPLETED for entry in entries[:done])
        assert queue.charge == len(everything) - len(left) + (len(entries) - done) * WRITE_OVERHEAD
    assert left == everything
    assert not queue
    assert [entry.get_results() for entry in entries] == [sum(parts) for parts in sizes]


@pytest.mark.parametrize(
    ("buffer", "data"),
    [
        (b"abc", b"abc"),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abcd")[1:3], b"bc"),
        (array.array("H", [0x0101, 0x0202]), b"\1\1\2\2"),
        (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
        (Buffer.create_copy_from_memory_buffer(b"xyz"), b"xyz"),
    ],
)
def test_any_contiguous_buffer_is_looked_at_as_bytes(buffer, data):
    """Whatever its items and its shape."""
    views, size = as_views([buffer])
    assert (b"".join(views), size) == (data, len(data))


def test_a_buffer_is_not_copied():
    """What changes in it before it has left changes what leaves."""
    buffer = bytearray(b"abc")
    views, _ = as_views([buffer])
    buffer[1] = ord("X")
    assert bytes(views[0]) == b"aXc"


def test_empty_buffers_are_left_out():
    """There is nothing to send of them."""
    assert as_views([b"", bytearray(), memoryview(b"")]) == ([], 0)
    views, size = as_views([b"a", b"", b"b"])
    assert ([bytes(view) for view in views], size) == ([b"a", b"b"], 2)


@pytest.mark.parametrize("buffer", [memoryview(b"abcdef")[::2], memoryview(b"abc")[::-1], "text", 7])
def test_what_is_no_contiguous_buffer_is_refused(buffer):
    """TypeError, as in Python's own socket."""
    with pytest.raises(TypeError):
        as_views([b"fine", buffer])


def test_a_missing_buffer_is_an_invalid_argument():
    """A null object in WinRT."""
    with pytest.raises(InvalidArgumentError):
        as_views([None])
