"""Faults and lanes: numbers in, the fate of each byte out, with a time that is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError
from winsockets.testing import Faults
from winsockets.testing._faults import NO_FAULTS, Ending, Lane

BREAKS = ("reset_at", "end_at", "stall_at")
pieces = st.lists(st.binary(max_size=20), max_size=20)


def out_of(lane, now=0.0, most=1 << 20):
    """Everything that has arrived by now: the bytes of each take, and how it ended."""
    items = []
    while (item := lane.take(now, most)) is not None:
        items.append(item)
    return items


def bytes_of(items):
    """The bytes among what arrived."""
    return b"".join(item for item in items if isinstance(item, bytes))


def test_faults_without_arguments_are_none():
    """Nothing goes wrong unless it is asked for."""
    assert (
        Faults() == NO_FAULTS == Faults(most_at_once=None, delay=0, reset_at=None, end_at=None, stall_at=None)
    )
    assert NO_FAULTS.breaks_at is None


@pytest.mark.parametrize(
    "arguments",
    [{"most_at_once": 0}, {"most_at_once": -1}, {"delay": -0.1}, *({name: -1} for name in BREAKS)],
    ids=str,
)
def test_numbers_out_of_range_are_refused(arguments):
    """The message names the field."""
    with pytest.raises(InvalidArgumentError, match=f"Faults.{next(iter(arguments))}"):
        Faults(**arguments)


@pytest.mark.parametrize(("one", "other"), [(a, b) for a in BREAKS for b in BREAKS if a < b])
def test_a_connection_breaks_in_one_way(one, other):
    """Two ways are a mistake, even at different places."""
    with pytest.raises(InvalidArgumentError, match="exclude each other"):
        Faults(**{one: 1, other: 2})


@given(pieces)
def test_without_faults_everything_comes_out_joined(sent):
    """What has arrived together comes out together, then the end, once."""
    lane = Lane(NO_FAULTS, 0.0)
    for piece in sent:
        lane.feed(piece, 0.0)
    lane.end(0.0)
    data = b"".join(sent)
    assert lane.waiting == len(data)
    assert out_of(lane) == [*([data] if data else []), Ending.END]
    assert lane.waiting == 0
    assert lane.due is None


@given(pieces, st.integers(1, 7), st.integers(1, 7))
def test_pieces_are_no_larger_than_asked_for_and_allowed(sent, most_at_once, most):
    """Both bounds hold, and nothing is lost."""
    lane = Lane(Faults(most_at_once=most_at_once), 0.0)
    for piece in sent:
        lane.feed(piece, 0.0)
    items = out_of(lane, most=most)
    assert b"".join(items) == b"".join(sent)
    assert all(1 <= len(item) <= min(most, most_at_once) for item in items)


def test_a_delay_holds_everything_back_by_the_clock():
    """Bytes and end keep their order and come out when their time has come."""
    lane = Lane(Faults(delay=2.0), 0.0)
    lane.feed(b"ab", 10.0)
    lane.feed(b"cd", 11.0)
    lane.end(11.0)
    assert lane.due == 12.0
    assert out_of(lane, 11.9) == []
    assert not lane.arrived(11.9)
    assert lane.arrived(12.0)
    assert out_of(lane, 12.0) == [b"ab"]
    assert lane.due == 13.0
    assert out_of(lane, 13.0) == [b"cd", Ending.END]


@given(pieces, st.integers(0, 100), st.sampled_from(BREAKS))
def test_a_break_comes_after_exactly_so_many_bytes(sent, place, kind):
    """Wherever the pieces are cut, the bytes before the place arrive and those after it do not."""
    lane = Lane(Faults(**{kind: place}), 0.0)
    for piece in sent:
        lane.feed(piece, 0.0)
    data = b"".join(sent)
    items = out_of(lane)
    assert bytes_of(items) == data[:place]
    ending = {"reset_at": [Ending.RESET], "end_at": [Ending.END], "stall_at": []}[kind]
    assert [item for item in items if isinstance(item, Ending)] == (ending if len(data) >= place else [])


@pytest.mark.parametrize(("kind", "ending"), [("reset_at", [Ending.RESET]), ("end_at", [Ending.END])])
def test_a_break_at_0_comes_before_anything_was_sent(kind, ending):
    """It is there when the connection is made."""
    assert out_of(Lane(Faults(**{kind: 0}), 5.0), 5.0) == ending


def test_behind_a_stall_the_sender_fills_its_buffer():
    """Bytes are kept for ever, and neither an end nor a reset comes."""
    lane = Lane(Faults(stall_at=3), 0.0)
    lane.feed(b"abcdef", 0.0)
    lane.feed(b"gh", 0.0)
    lane.end(0.0)
    lane.reset(0.0)
    assert out_of(lane) == [b"abc"]
    assert lane.waiting == 5
    assert lane.due is None


def test_beyond_a_broken_end_nothing_is_kept():
    """The sender can go on for ever."""
    lane = Lane(Faults(end_at=3), 0.0)
    for _ in range(10):
        lane.feed(b"abcdef", 0.0)
    assert lane.waiting == 3


def test_a_reset_comes_after_what_was_sent_before_it():
    """Bytes, an end, the reset; later ones do not count."""
    lane = Lane(Faults(delay=1.0), 0.0)
    lane.feed(b"ab", 0.0)
    lane.end(0.0)
    assert lane.reset_due is None
    lane.reset(3.0)
    lane.reset(4.0)
    lane.feed(b"late", 4.0)
    lane.end(4.0)
    assert lane.reset_due == 4.0
    assert not lane.next_is_reset
    assert out_of(lane, 1.0) == [b"ab", Ending.END]
    assert lane.next_is_reset
    assert out_of(lane, 9.0) == [Ending.RESET]
    assert not lane.next_is_reset


def test_an_end_is_no_bytes_that_arrived():
    """What lies at the receiver's end unread is bytes."""
    lane = Lane(NO_FAULTS, 0.0)
    lane.end(0.0)
    assert not lane.arrived(0.0)
