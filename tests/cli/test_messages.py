"""The messages that are sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsockets.cli._messages import LineCutter, numbered, repeated


@given(st.integers(1, 10**12), st.integers(1, 400))
def test_a_made_message_has_its_size_and_ends_a_line(number: int, size: int) -> None:
    """Printable, one line, so that servers of lines answer it too."""
    message = numbered(number, size)
    assert len(message) == size
    assert message.endswith(b"\n")
    assert all(b" "[0] <= byte <= b"~"[0] for byte in message[:-1])


def test_a_made_message_begins_with_its_number() -> None:
    """The last digits of it where there is no room for all."""
    assert numbered(7, 10) == b"7 !\"#$%&'\n"
    assert numbered(1234, 5) == b"1234\n"
    assert numbered(1234, 4) == b"234\n"
    assert numbered(1234, 1) == b"\n"


def test_made_messages_differ() -> None:
    """Or a late reply could be taken for that of another message."""
    assert len({numbered(number, 64) for number in range(1, 1000)}) == 999


def test_messages_are_repeated_in_turn() -> None:
    """As many as asked for, even if that is fewer than there are."""
    assert list(repeated([b"a", b"b"], 5)) == [b"a", b"b", b"a", b"b", b"a"]
    assert list(repeated([b"a", b"b"], 1)) == [b"a"]


@given(st.lists(st.binary(max_size=30) | st.just(b"\n") | st.just(b"x" * 25)), st.integers(1, 12))
def test_no_byte_is_lost_or_added_by_cutting(chunks: list[bytes], longest: int) -> None:
    """However the bytes come: each message is a line, or the longest piece of one."""
    cutter = LineCutter(longest)
    messages = [message for chunk in chunks for message in cutter.feed(chunk)]
    for message in messages:
        assert message.find(b"\n") in (-1, len(message) - 1)
        assert message.endswith(b"\n") or len(message) == longest
    rest = cutter.finish()
    assert b"\n" not in rest
    assert len(rest) < longest
    assert b"".join(messages) + rest == b"".join(chunks)


def test_a_line_is_given_as_soon_as_it_is_complete() -> None:
    """Somebody may be waiting for the reply before typing the next one."""
    cutter = LineCutter(100)
    assert list(cutter.feed(b"one\ntw")) == [b"one\n"]
    assert list(cutter.feed(b"o")) == []
    assert list(cutter.feed(b"\n\n")) == [b"two\n", b"\n"]
    assert cutter.finish() == b""


def test_the_end_gives_the_rest_once() -> None:
    """A last line without an end is a message too."""
    cutter = LineCutter(100)
    assert list(cutter.feed(b"last")) == []
    assert cutter.finish() == b"last"
    assert cutter.finish() == b""
