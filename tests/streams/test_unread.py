"""Loaded bytes: consumed from the front for a constant price, with their memory given back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsockets.streams._unread import UnreadBytes


def empty():
    """None so far."""
    unread = UnreadBytes()
    unread._data, unread._start = b"", 0
    return unread


@given(st.lists(st.one_of(st.binary(max_size=200_000), st.integers(0, 200_000)), max_size=12))
def test_bytes_come_out_as_they_went_in(steps):
    """Whatever the order of adding and consuming."""
    unread, model = empty(), b""
    for step in steps:
        if isinstance(step, bytes):
            unread._append(step)
            model += step
        else:
            count = min(step, len(model))
            unread._skip(count)
            model = model[count:]
        assert bytes(unread._data[unread._start :]) == model


def test_what_is_added_to_nothing_is_not_copied():
    """The common case: a piece arrives, is consumed, and the next one arrives."""
    unread = empty()
    for piece in (b"one", b"two"):
        unread._append(piece)
        assert unread._data is piece
        unread._skip(3)
        assert unread._data == b""


def test_memory_is_given_back_while_consuming():
    """Not only when all of it has been read."""
    unread = empty()
    unread._append(bytes(10))
    unread._append(bytes(10_000_000))
    for _ in range(90):
        unread._skip(100_000)
    assert unread._data.__sizeof__() < 2_500_000


def test_consuming_and_adding_for_ever_takes_no_more_memory():
    """A reader that always has something left does not grow."""
    unread = empty()
    unread._append(b"x")
    for _ in range(2_000):
        unread._append(bytes(1000))
        unread._skip(1000)
    assert len(unread._data) - unread._start == 1
    assert unread._data.__sizeof__() < 300_000
