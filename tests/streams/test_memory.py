"""Streams in memory: positions, sizes, and several streams over the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError, ObjectClosedError, OutOfBoundsError
from winsockets.streams import Buffer, InMemoryRandomAccessStream, InputStreamOptions, MemoryInputStream


def holding(data):
    """A stream with data, at position 0."""
    stream = InMemoryRandomAccessStream()
    stream.write_async(data)
    stream.seek(0)
    return stream


def contents(stream):
    """Everything in it."""
    return stream.clone_stream().read(1 << 20).get_results()


def test_a_new_stream_is_empty_and_can_do_both():
    """Position and size are 0."""
    stream = InMemoryRandomAccessStream()
    assert (stream.position, stream.size, stream.can_read, stream.can_write) == (0, 0, True, True)
    assert stream.read().get_results() == b""


def test_what_is_written_can_be_read_after_seeking_back():
    """One position for both."""
    stream = InMemoryRandomAccessStream()
    assert stream.write_async(b"hello").get_results() == 5
    assert (stream.position, stream.size) == (5, 5)
    assert stream.read().get_results() == b""
    stream.seek(1)
    assert stream.read(3).get_results() == b"ell"
    assert stream.position == 4


@given(st.binary(max_size=30), st.integers(0, 30), st.binary(max_size=30))
def test_writing_goes_over_what_is_there_and_on_beyond_the_end(before, position, data):
    """As in a file; a position beyond the end is refused."""
    stream = holding(before)
    stream.seek(position)
    if position > len(before):
        with pytest.raises(OutOfBoundsError, match=str(position)):
            stream.write_async(data)
        assert contents(stream) == before
        return
    assert stream.write_async(data).get_results() == len(data)
    assert contents(stream) == before[:position] + data + before[position + len(data) :]
    assert stream.position == position + len(data)


@pytest.mark.parametrize("data", [b"ab", bytearray(b"ab"), memoryview(b"ab"), memoryview(b"abab")[2:]])
def test_any_buffer_object_can_be_written(data):
    """A copy: later changes are not seen."""
    assert contents(holding(data)) == b"ab"


def test_what_is_no_buffer_object_cannot():
    """Nothing has changed."""
    stream = holding(b"abc")
    with pytest.raises(TypeError):
        stream.write_async("text")
    with pytest.raises(InvalidArgumentError):
        stream.write_async(None)
    assert contents(stream) == b"abc"


def test_seeking_does_not_check_and_the_next_read_or_write_does():
    """As in WinRT; the end itself is a good position."""
    stream = holding(b"abc")
    stream.seek(3)
    assert stream.read().get_results() == b""
    stream.seek(4)
    assert stream.position == 4
    with pytest.raises(OutOfBoundsError, match=r"4 .* 3"):
        stream.read()
    with pytest.raises(OutOfBoundsError, match=r"4 .* 3"):
        stream.read_async(Buffer(1), 1, InputStreamOptions.NONE)
    with pytest.raises(OutOfBoundsError, match=r"4 .* 3"):
        stream.write_async(b"x")


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_positions_and_sizes_are_unsigned_integers_of_64_bits(value):
    """Anything else is E_INVALIDARG."""
    stream = holding(b"abc")
    for use in (
        stream.seek,
        stream.get_input_stream_at,
        stream.get_output_stream_at,
        lambda size: setattr(stream, "size", size),
    ):
        with pytest.raises(InvalidArgumentError, match=str(value)):
            use(value)
    assert (stream.position, stream.size) == (0, 3)


def test_the_size_can_be_set():
    """Smaller drops bytes at the end, larger adds zero bytes; the position stays."""
    stream = holding(b"abcdef")
    stream.size = 2
    assert contents(stream) == b"ab"
    stream.size = 4
    assert contents(stream) == b"ab\0\0"
    assert stream.position == 0


@pytest.mark.parametrize("size", [1 << 62, (1 << 64) - 1])
def test_a_size_that_no_memory_holds_is_a_memory_error(size):
    """And the stream stays as it is."""
    stream = holding(b"abc")
    with pytest.raises(MemoryError):
        stream.size = size
    assert contents(stream) == b"abc"


def test_streams_at_a_position_share_bytes_and_nothing_else():
    """Each has its own position and its own life."""
    stream = holding(b"abcdef")
    reading, writing = stream.get_input_stream_at(2), stream.get_output_stream_at(6)
    assert reading.read(2).get_results() == b"cd"
    writing.write_async(b"gh")
    stream.close()
    writing.close()
    assert reading.read().get_results() == b"efgh"
    reading.close()
    with pytest.raises(ObjectClosedError):
        reading.read()


def test_a_clone_shares_bytes_and_begins_at_the_start():
    """It outlives the original."""
    stream = holding(b"abc")
    stream.seek(2)
    clone = stream.clone_stream()
    assert (clone.position, stream.position) == (0, 2)
    clone.write_async(b"XYZ")
    stream.close()
    clone.seek(0)
    assert clone.read().get_results() == b"XYZ"


def test_flushing_is_a_formality():
    """True, at once."""
    assert InMemoryRandomAccessStream().flush_async().get_results() is True


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read_exactly(0),
        lambda stream: stream.write_async(b""),
        lambda stream: stream.flush_async(),
        lambda stream: stream.seek(0),
        lambda stream: stream.position,
        lambda stream: stream.size,
        lambda stream: setattr(stream, "size", 1),
        lambda stream: stream.clone_stream(),
        lambda stream: stream.get_input_stream_at(0),
        lambda stream: stream.get_output_stream_at(0),
    ],
)
def test_a_closed_stream_refuses_everything(use):
    """Closing twice is no error."""
    stream = InMemoryRandomAccessStream()
    stream.close()
    stream.close()
    with pytest.raises(ObjectClosedError, match="InMemoryRandomAccessStream"):
        use(stream)


@pytest.mark.parametrize("data", [b"abcdef", bytearray(b"abcdef"), memoryview(b"abcdef")])
def test_bytes_can_be_an_input_stream(data):
    """In pieces, and then at its end for good."""
    stream = MemoryInputStream(data)
    assert [stream.read(4).get_results() for _ in range(4)] == [b"abcd", b"ef", b"", b""]


def test_reading_all_of_it_copies_nothing():
    """A datagram's bytes go through as they are."""
    data = b"a datagram"
    assert MemoryInputStream(data).read().get_results() is data


def test_a_short_exact_read_puts_the_position_back():
    """The bytes can still be read."""
    stream = MemoryInputStream(b"abc")
    with pytest.raises(OutOfBoundsError):
        stream.read_exactly(4).get_results()
    assert stream.read_exactly(3).get_results() == b"abc"


@pytest.mark.parametrize("count", [0, -1])
def test_a_read_asks_for_at_least_one_byte(count):
    """Nothing would look like the end."""
    with pytest.raises(InvalidArgumentError, match="max_bytes"):
        MemoryInputStream(b"abc").read(count)
