"""What every input and output stream can do, on top of one read and one write."""

from __future__ import annotations

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.wire import Sink, Source, split
from winsockets.errors import (
    BusyError,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    ResetByPeerError,
)
from winsockets.foundation import AsyncStatus
from winsockets.streams import Buffer, InputStreamOptions

NONE = InputStreamOptions.NONE
PARTIAL = InputStreamOptions.PARTIAL
READ_AHEAD = InputStreamOptions.READ_AHEAD


def progress_of(operation):
    """The list that an operation's progress goes to."""
    seen = []
    operation.progress = lambda sender, value: seen.append((sender is operation, value))
    return seen


# read_async: when it is complete


@pytest.mark.parametrize("options", [NONE, READ_AHEAD])
def test_a_full_read_waits_for_every_byte(options):
    """READ_AHEAD is as NONE for a single read."""
    source = Source(b"ab")
    buffer = Buffer(10)
    operation = source.read_async(buffer, 5, options)
    source.feed(b"c")
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"def")
    assert operation.get_results() is buffer
    assert bytes(buffer) == b"abcde"
    assert source.rest() == b"f"


@pytest.mark.parametrize("options", [PARTIAL, PARTIAL | READ_AHEAD, 1])
def test_a_partial_read_is_content_with_what_is_there(options):
    """One byte is enough, and it takes no more than it asked for."""
    source = Source(b"ab", b"cd")
    assert bytes(source.read_async(Buffer(10), 5, options).get_results()) == b"ab"
    assert bytes(source.read_async(Buffer(10), 1, options).get_results()) == b"c"


def test_a_partial_read_waits_for_the_first_byte():
    """It does not come back empty before the end."""
    source = Source()
    operation = source.read_async(Buffer(10), 5, PARTIAL)
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"a")
    assert bytes(operation.get_results()) == b"a"


@pytest.mark.parametrize("options", [NONE, PARTIAL, READ_AHEAD])
def test_the_end_is_an_empty_buffer_every_time(options):
    """Never an exception."""
    source = Source(end=True)
    buffer = Buffer(4)
    for _ in range(3):
        buffer.length = 4
        result = source.read_async(buffer, 4, options).get_results()
        assert (result.length, result is buffer) == (0, True)


def test_a_full_read_that_the_end_cuts_short_gives_what_there_was():
    """And the next one gives nothing."""
    source = Source(b"abc", end=True)
    assert bytes(source.read_async(Buffer(9), 9, NONE).get_results()) == b"abc"
    assert bytes(source.read_async(Buffer(9), 9, NONE).get_results()) == b""


def test_a_read_never_asks_for_more_than_is_missing():
    """What belongs to the next read stays in the stream."""
    source = Source(b"abc", b"defgh")
    source.read_async(Buffer(9), 6, NONE)
    assert source.asked == [6, 3]


def test_progress_is_the_bytes_so_far():
    """One report for each arrival, with the operation as its sender."""
    source = Source()
    operation = source.read_async(Buffer(10), 6, NONE)
    seen = progress_of(operation)
    source.feed(b"ab", b"c", b"def")
    assert seen == [(True, 2), (True, 3), (True, 6)]


# read_async: the buffer


def test_the_length_is_set_and_the_old_content_gone():
    """A shorter read leaves nothing of a longer one."""
    buffer = Buffer(10)
    buffer += b"0123456789"
    Source(b"ab").read_async(buffer, 10, PARTIAL)
    assert bytes(buffer) == b"ab"
    assert buffer.capacity == 10


@pytest.mark.parametrize("make", [bytearray, lambda size: memoryview(bytearray(size))])
def test_another_writable_buffer_is_filled_from_its_start(make):
    """What is returned is a Buffer with the data, so that its length tells how much there was."""
    target = make(6)
    result = Source(b"abc", end=True).read_async(target, 6, NONE).get_results()
    assert isinstance(result, Buffer)
    assert bytes(result) == b"abc"
    assert bytes(target) == b"abc\0\0\0"


def test_a_buffer_under_a_view_is_left_alone_and_another_returned():
    """The data is always in the buffer returned, as in WinRT."""
    buffer = Buffer(10)
    buffer += b"old"
    source = Source(b"abcd", b"xyz")
    with memoryview(buffer) as view:
        result = source.read_async(buffer, 10, PARTIAL).get_results()
        assert bytes(view) == b"old"
        assert bytes(result) == b"abcd"
        # the same length can be filled in place
        assert source.read_async(buffer, 10, PARTIAL).get_results() is buffer
        assert bytes(view) == b"xyz"


@pytest.mark.parametrize("buffer", [Buffer(4), bytearray(4)])
def test_a_count_beyond_the_capacity_is_refused(buffer):
    """At the call, naming both numbers, and before anything is read."""
    source = Source(b"abcdef")
    with pytest.raises(InvalidArgumentError, match=r"5 .*4"):
        source.read_async(buffer, 5, NONE)
    with pytest.raises(InvalidArgumentError, match="-1"):
        source.read_async(buffer, -1, NONE)
    assert source.asked == []


@pytest.mark.parametrize("options", [4, -1, 7])
def test_options_without_meaning_are_refused(options):
    """At the call."""
    with pytest.raises(InvalidArgumentError, match="options"):
        Source(b"a").read_async(Buffer(4), 4, options)


@pytest.mark.parametrize("buffer", [b"bytes", memoryview(b"abcd"), "text", 4])
def test_a_buffer_that_cannot_be_written_is_a_type_error(buffer):
    """At the call."""
    with pytest.raises(TypeError):
        Source(b"a").read_async(buffer, 1, NONE)


def test_no_buffer_is_an_invalid_argument():
    """WinRT's null."""
    with pytest.raises(InvalidArgumentError):
        Source(b"a").read_async(None, 1, NONE)


def test_a_count_of_zero_does_not_touch_the_stream():
    """It is complete at once, and means nothing about the end."""
    source = Source(b"abc")
    buffer = Buffer(0)
    assert source.read_async(buffer, 0, PARTIAL).get_results() is buffer
    assert source.asked == []


# Cancelling, failing, closing: no byte is lost


def test_a_cancelled_read_puts_back_what_it_had():
    """It ends in ERROR with OPERATION_ABORTED; the buffer is as it was; the next read gives every byte."""
    source = Source(b"ab", b"c")
    buffer = Buffer(9)
    buffer += b"old"
    operation = source.read_async(buffer, 9, NONE)
    operation.cancel()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert bytes(buffer) == b"old"
    source.feed(b"d")
    source.end()
    assert bytes(source.read_async(buffer, 9, NONE).get_results()) == b"abcd"


def test_a_cancelled_read_that_had_nothing_leaves_nothing():
    """Nothing is put back, and the stream waits for nobody."""
    source = Source()
    operation = source.read_async(Buffer(4), 4, NONE)
    operation.cancel()
    operation.cancel()
    assert source.waiting is None
    assert isinstance(operation.error_code, int)
    source.feed(b"abcd")
    assert source.rest() == b"abcd"


def test_a_read_that_fails_on_its_way_loses_nothing():
    """The error is the stream's own object; what arrived before it can still be read."""
    reset = ResetByPeerError("reset")
    source = Source(b"ab")
    operation = source.read_async(Buffer(4), 4, NONE)
    source.fail(reset)
    with pytest.raises(ResetByPeerError) as caught:
        operation.get_results()
    assert caught.value is reset
    assert source.read().get_results() == b"ab"


def test_a_read_of_a_broken_stream_fails():
    """Also when the stream knows at once."""
    source = Source()
    source.fail(ResetByPeerError("reset"))
    operation = source.read_async(Buffer(4), 4, NONE)
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(ResetByPeerError):
        operation.get_results()


def test_a_break_that_a_second_read_meets_at_once_loses_nothing():
    """What the first read brought is put back."""
    source = Source(b"ab")
    source.problem = ResetByPeerError("reset")
    operation = source.read_exactly(4)
    with pytest.raises(ResetByPeerError):
        operation.get_results()
    assert source.rest() == b"ab"


@pytest.mark.parametrize("last", [b"cd", b"c"])
def test_a_progress_handler_may_cancel_the_read(last):
    """It ends as from outside, asks for nothing more, and every byte can be read."""
    source = Source()
    operation = source.read_async(Buffer(4), 4, NONE)
    operation.progress = lambda sender, value: value < 3 or sender.cancel()
    source.feed(b"ab", last)
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert source.waiting is None
    assert source.rest() == b"ab" + last


@pytest.mark.parametrize("pieces", [[b"ab"], [b"a", b"b"]], ids=["one piece", "two pieces"])
def test_a_progress_handler_cannot_read_between_two_reads(pieces):
    """Another read is pending then, and all bytes come in order."""
    source = Source()
    operation = source.read_async(Buffer(4), 4, NONE)
    refused = []

    def read_more(sender, value):
        try:
            source.read(1)
        except BusyError:
            refused.append(value)

    operation.progress = read_more
    source.feed(*pieces)
    assert refused[-1] == 2
    operation.progress = None
    source.feed(b"cdef")
    assert bytes(operation.get_results()) == b"abcd"
    assert source.rest() == b"ef"


def test_progress_of_what_is_there_already_is_one_report():
    """It is all taken before anybody is told."""
    source = Source()
    operation = source.read_async(Buffer(9), 9, NONE)
    seen = progress_of(operation)
    source.pieces.extend([b"cd", b"ef"])
    source.feed(b"ab")
    assert seen[-1] == (True, 6)
    assert operation.status is AsyncStatus.STARTED


@pytest.mark.parametrize(
    "read",
    [
        lambda source: source.read(),
        lambda source: source.read_exactly(1),
        lambda source: source.read_async(Buffer(1), 1, NONE),
    ],
)
def test_a_second_read_is_refused_while_one_is_pending(read):
    """At the call, and the first one goes on."""
    source = Source()
    pending = source.read_exactly(2)
    with pytest.raises(BusyError):
        read(source)
    source.feed(b"a")
    with pytest.raises(BusyError):
        read(source)
    source.feed(b"b")
    assert pending.get_results() == b"ab"


@pytest.mark.parametrize(
    "read",
    [
        lambda source: source.read(),
        lambda source: source.read_exactly(1),
        lambda source: source.read_async(Buffer(1), 1, NONE),
    ],
)
def test_a_closed_stream_refuses_reads(read):
    """At the call."""
    source = Source(b"abc")
    source.close()
    with pytest.raises(ObjectClosedError):
        read(source)


def test_closing_ends_a_pending_read():
    """With OPERATION_ABORTED."""
    source = Source(b"ab")
    operation = source.read_exactly(4)
    source.close()
    with pytest.raises(OperationAbortedError):
        operation.get_results()


def test_the_next_read_can_be_started_by_whoever_learns_of_the_end_of_this_one():
    """In the callback itself, after success and after a failure."""
    source = Source()
    results = []
    first = source.read_exactly(2)
    first.addCallback(lambda data: source.read_exactly(2).addCallback(results.append))
    source.feed(b"ab", b"cd")
    assert results == [b"cd"]
    second = source.read_exactly(2)
    second.addErrback(lambda _: source.read().addCallback(results.append))
    source.feed(b"e")
    second.cancel()
    assert results == [b"cd", b"e"]


# read_exactly


@given(st.binary(min_size=1, max_size=50), st.lists(st.integers(0, 50)), st.data())
def test_an_exact_read_does_not_care_how_the_bytes_arrive(data, cuts, draw):
    """Before or after the call, in one piece or in many."""
    count = draw.draw(st.integers(1, len(data)))
    pieces = split(data, cuts)
    before = draw.draw(st.integers(0, len(pieces)))
    source = Source(*pieces[:before])
    operation = source.read_exactly(count)
    source.feed(*pieces[before:])
    assert operation.get_results() == data[:count]
    assert source.rest() == data[count:]


def test_an_exact_read_of_nothing_is_empty_at_once():
    """Also of a stream that waits."""
    assert Source().read_exactly(0).get_results() == b""


def test_an_exact_read_that_the_end_cuts_short_fails_and_loses_nothing():
    """It says how much there was, and a plain read gives it."""
    source = Source(b"ab")
    operation = source.read_exactly(5)
    source.feed(b"c")
    source.end()
    with pytest.raises(OutOfBoundsError, match="3 of 5"):
        operation.get_results()
    assert source.read().get_results() == b"abc"
    assert source.read().get_results() == b""


def test_an_exact_read_at_the_end_fails_too():
    """Nothing is put back."""
    with pytest.raises(OutOfBoundsError, match="0 of 5"):
        Source(end=True).read_exactly(5).get_results()


def test_an_exact_read_wants_a_number():
    """Not negative, and whole."""
    with pytest.raises(InvalidArgumentError, match="-1"):
        Source().read_exactly(-1)
    with pytest.raises(TypeError):
        Source().read_exactly(1.5)


def test_many_pieces_do_not_pile_up_calls():
    """A read of thousands of pieces that are there already needs no deeper stack than one of a few."""
    source = Source(*[b"x"] * 20_000)
    assert source.read_exactly(20_000).get_results() == b"x" * 20_000


# Iteration, with, the .NET adapters


@pytest_twisted.ensureDeferred
async def test_iterating_gives_the_chunks_as_they_come():
    """Until the stream ends."""
    source = Source(b"ab", b"c", end=True)
    assert [chunk async for chunk in source] == [b"ab", b"c"]
    assert [chunk async for chunk in source] == []


@pytest_twisted.ensureDeferred
async def test_iterating_over_a_broken_stream_raises():
    """After what came before."""
    source = Source(b"ab")
    source.problem = ResetByPeerError("reset")
    assert await anext(source) == b"ab"
    with pytest.raises(ResetByPeerError):
        await anext(source)


@pytest.mark.parametrize("make", [Source, Sink])
def test_leaving_a_with_block_closes_the_stream(make):
    """Also when the block raises."""
    stream = make()
    with stream as entered:
        assert entered is stream
    assert stream.closed == 1
    other = make()
    with pytest.raises(ZeroDivisionError), other:
        raise ZeroDivisionError
    assert other.closed == 1


def test_the_dotnet_adapters_are_the_stream_itself():
    """No layer in between."""
    source, sink = Source(), Sink()
    assert source.as_stream_for_read() is source
    assert sink.as_stream_for_write() is sink


# Output


def test_many_buffers_are_one_operation():
    """In order; the result is the sum."""
    sink = Sink()
    buffer = Buffer(4)
    buffer += b"ef"
    operation = sink.write_many_async([b"ab", bytearray(b"cd"), buffer, memoryview(b"g")])
    assert operation.get_results() == 7
    assert sink.writes == [b"abcdefg"]


def test_one_that_is_no_buffer_stops_them_all():
    """At the call, and nothing is written."""
    sink = Sink()
    with pytest.raises(TypeError):
        sink.write_many_async([b"ab", "text"])
    assert sink.writes == []
