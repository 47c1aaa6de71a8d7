"""Buffer: a length up to a capacity, and exactly that many bytes for everybody who looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import E_INVALIDARG, InvalidArgumentError
from winsockets.streams import Buffer
from winsockets.streams._buffer import byte_view, unsigned


def full(data, capacity):
    """A buffer with data and some room."""
    buffer = Buffer(capacity)
    buffer += data
    return buffer


def test_a_new_buffer_is_empty():
    """The capacity is what was asked for, and the length is 0."""
    buffer = Buffer(8)
    assert (buffer.capacity, buffer.length, len(buffer), bytes(buffer)) == (8, 0, 0, b"")


def test_a_large_capacity_costs_nothing():
    """Memory is taken as the length grows, so a peer's number cannot exhaust it."""
    buffer = Buffer(0xFFFFFFFF)
    assert buffer.capacity == 0xFFFFFFFF
    assert buffer.__sizeof__() < 1000


@pytest.mark.parametrize("capacity", [-1, 1 << 32])
def test_a_capacity_is_an_unsigned_integer_of_32_bits(capacity):
    """Anything else is E_INVALIDARG, with the number in the message."""
    with pytest.raises(InvalidArgumentError, match=str(capacity)) as caught:
        Buffer(capacity)
    assert caught.value.hresult == E_INVALIDARG


@pytest.mark.parametrize("capacity", ["8", 8.0, None, b"8"])
def test_a_capacity_of_another_type_is_a_type_error(capacity):
    """Also bytes, which a bytearray would take."""
    with pytest.raises(TypeError):
        Buffer(capacity)


def test_the_length_grows_with_zero_bytes_and_shrinks():
    """Bytes beyond the length are not kept."""
    buffer = full(b"abcd", 6)
    buffer.length = 2
    assert bytes(buffer) == b"ab"
    buffer.length = 6
    assert bytes(buffer) == b"ab\0\0\0\0"
    assert buffer.capacity == 6


@pytest.mark.parametrize("length", [-1, 5, 1 << 32])
def test_the_length_stays_within_the_capacity(length):
    """More is E_INVALIDARG, and nothing has changed."""
    buffer = full(b"abc", 4)
    with pytest.raises(InvalidArgumentError, match=str(length)):
        buffer.length = length
    assert bytes(buffer) == b"abc"


def test_views_see_exactly_the_length_and_can_be_written():
    """``memoryview`` works on every Python version, without ``__buffer__``."""
    buffer = full(b"abc", 10)
    with memoryview(buffer) as view:
        assert (view.nbytes, view.format, view.readonly) == (3, "B", False)
        view[0] = ord("X")
    assert bytes(buffer) == b"Xbc"
    assert b"".join([buffer, buffer]) == b"XbcXbc"


def test_the_length_cannot_change_under_a_view():
    """As for a bytearray; afterwards it can."""
    buffer = full(b"abc", 10)
    view = memoryview(buffer)
    with pytest.raises(BufferError):
        buffer.length = 5
    assert buffer.length == 3
    view.release()
    buffer.length = 5


@pytest.mark.parametrize(
    "grow",
    [
        lambda buffer: buffer.append(1),
        lambda buffer: buffer.insert(0, 1),
        lambda buffer: buffer.extend(b"x"),
        lambda buffer: buffer.extend(iter([1])),
        lambda buffer: buffer.__iadd__(b"x"),
        lambda buffer: buffer.__imul__(2),
        lambda buffer: buffer.__setitem__(slice(0, 1), b"xy"),
        lambda buffer: buffer.__setitem__(slice(0, 0), [1]),
        lambda buffer: buffer.__setitem__(slice(9, 9), buffer),
    ],
)
def test_nothing_of_a_bytearray_grows_it_beyond_the_capacity(grow):
    """A full buffer refuses each of them and stays as it is."""
    buffer = full(b"abcd", 4)
    with pytest.raises(InvalidArgumentError, match="capacity of 4"):
        grow(buffer)
    assert bytes(buffer) == b"abcd"


def test_a_bytearrays_changes_work_within_the_capacity():
    """It is one, with a bound."""
    buffer = Buffer(8)
    buffer.append(97)
    buffer.insert(1, 99)
    buffer[1:1] = b"b"
    buffer.extend([100])
    buffer += b"e"
    buffer[0] = 65
    buffer[::2] = b"ACE"
    assert bytes(buffer) == b"AbCdE"
    buffer *= 1
    buffer[1:] = bytes(2)
    assert bytes(buffer) == b"A\0\0"
    assert isinstance(buffer, Buffer)
    assert buffer.capacity == 8


@pytest.mark.parametrize("value", [5, None, "text"])
def test_a_slice_takes_bytes_and_not_a_number_of_zero_bytes(value):
    """What a bytearray refuses is refused."""
    with pytest.raises(TypeError):
        Buffer(8)[0:0] = value


@given(st.binary(max_size=20), st.integers(0, 30), st.integers(0, 30), st.binary(max_size=20))
def test_slices_are_assigned_as_to_a_bytearray(data, start, stop, value):
    """With the same result, as long as it fits."""
    buffer, model = full(data, 25), bytearray(data)
    model[start:stop] = value
    try:
        buffer[start:stop] = value
    except InvalidArgumentError:
        assert len(model) > 25
        assert bytes(buffer) == data
    else:
        assert bytes(buffer) == model


def test_a_copy_of_a_buffer_object_is_full_and_independent():
    """Capacity and length are the number of bytes; any buffer object stands for an IMemoryBuffer."""
    original = bytearray(b"abc")
    copy = Buffer.create_copy_from_memory_buffer(original)
    original[0] = 0
    assert (bytes(copy), copy.length, copy.capacity) == (b"abc", 3, 3)


def test_a_memory_buffer_over_a_buffer_shares_its_bytes():
    """It is a memoryview."""
    buffer = full(b"abc", 4)
    with Buffer.create_memory_buffer_over_ibuffer(buffer) as view:
        view[1] = ord("X")
    assert bytes(buffer) == b"aXc"


def test_it_says_its_sizes_and_not_its_bytes():
    """The bytes may be a password."""
    assert repr(full(b"secret", 9)) == "<Buffer of 6 bytes, capacity 9>"


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xabcx")[1:4]])
def test_any_buffer_object_is_a_row_of_bytes(value):
    """Without a copy."""
    assert bytes(byte_view(value)) == b"abc"


def test_items_wider_than_a_byte_are_seen_as_bytes():
    """An array of numbers has four bytes for each."""
    assert byte_view(memoryview(bytes(8)).cast("I")).nbytes == 8
    assert len(byte_view(memoryview(bytes(8)).cast("I"))) == 8
    assert byte_view(memoryview(b"ab").cast("c")).format == "B"


@pytest.mark.parametrize("value", ["text", 5, [1], memoryview(b"abcd")[::2]])
def test_what_is_not_a_row_of_bytes_is_a_type_error(value):
    """Text, numbers, lists and memory with gaps."""
    with pytest.raises(TypeError):
        byte_view(value)


def test_no_buffer_is_an_invalid_argument():
    """WinRT's null."""
    with pytest.raises(InvalidArgumentError):
        byte_view(None)


def test_a_checked_number_is_whole_and_in_range():
    """Whatever has ``__index__`` is taken, as in the projection."""

    class Three:
        def __index__(self):
            return 3

    assert unsigned(Three(), "count") == 3
    assert unsigned(255, "value", 8) == 255
    with pytest.raises(InvalidArgumentError, match="value: 256 is not in the range 0 to 255"):
        unsigned(256, "value", 8)
    with pytest.raises(TypeError):
        unsigned(3.0, "count")
