"""Bytes into lines: terminators, the limit, and text that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.wire import split
from winsockets.errors import ERROR_NO_UNICODE_TRANSLATION, MessageTooLongError, UntranslatableError
from winsockets.streams._line_splitter import LineSplitter

TOO_LONG = "too long"
NO_TEXT = "no text"


def lines_of(pieces, limit=1000):
    """Every outcome of feeding pieces one after the other, and then the end."""
    splitter = LineSplitter(limit)
    seen = []
    for number, piece in enumerate([*pieces, b""]):
        splitter.feed(piece)
        while True:
            try:
                line = splitter.next_line(ended=number == len(pieces))
            except MessageTooLongError:
                line = TOO_LONG
            except UntranslatableError:
                line = NO_TEXT
            if line is None:
                break
            seen.append(line)
    assert len(splitter._data) == splitter._start
    return seen


def expected(data, limit):
    """The same by the plainest means."""
    seen = []
    for raw in data.splitlines(keepends=True) if b"\r" not in data else pieces_at_newlines(data):
        line = raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw
        if len(raw) > limit:
            seen.append(TOO_LONG)
            continue
        try:
            seen.append(line.decode())
        except UnicodeDecodeError:
            seen.append(NO_TEXT)
    return seen


def pieces_at_newlines(data):
    """Cut behind every newline only."""
    *whole, last = data.split(b"\n")
    return [piece + b"\n" for piece in whole] + ([last] if last else [])


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\n", ["one"]),
        (b"one\r\n", ["one"]),
        (b"one\ntwo", ["one", "two"]),
        (b"\n\r\n\n", ["", "", ""]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\r", ["a\r"]),
        (b"\r", ["\r"]),
        ("ä€\n\U0001f40d".encode(), ["ä€", "\U0001f40d"]),
        (b"\x0b\x0c\x1c\xc2\x85\n", ["\x0b\x0c\x1c\x85"]),
    ],
)
def test_lines_end_with_newline_or_carriage_return_and_newline(data, lines):
    """A lone carriage return is text, and so are Unicode's other separators; the last line needs no end."""
    assert lines_of([data]) == lines
    assert lines_of([bytes([byte]) for byte in data]) == lines


@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bcd", "€".encode(), b"\xff"]), max_size=40).map(
        b"".join
    ),
    st.lists(st.integers(0, 200), max_size=20),
    st.integers(1, 8),
)
def test_it_does_not_matter_how_the_bytes_are_cut(data, cuts, limit):
    """The same lines, the same errors, in the same order."""
    assert lines_of(split(data, cuts), limit) == expected(data, limit)


def test_the_terminator_counts_for_the_limit():
    """A line of exactly the limit passes, one byte more does not."""
    assert lines_of([b"abc\nabcd\nab\r\nabc\r\n"], limit=4) == ["abc", TOO_LONG, "ab", TOO_LONG]
    assert lines_of([b"abcd"], limit=4) == ["abcd"]
    assert lines_of([b"abcde"], limit=4) == [TOO_LONG]


def test_a_line_without_end_fails_before_it_ends_and_takes_no_memory():
    """The rest of it is skipped as it comes; the line after it is read."""
    splitter = LineSplitter(10)
    splitter.feed(b"0123456789")
    assert splitter.next_line() is None
    splitter.feed(b"x")
    with pytest.raises(MessageTooLongError, match="limit of 10 bytes"):
        splitter.next_line()
    for _ in range(5):
        splitter.feed(bytes(1000))
        assert splitter.next_line() is None
        assert splitter._data == b""
    splitter.feed(b"end\nnext\n")
    assert splitter.next_line() == "next"


def test_a_line_that_is_no_text_is_consumed():
    """The message says where, and the cause is kept."""
    splitter = LineSplitter(100)
    splitter.feed(b"good\nab\xffcd\nnext\n")
    assert splitter.next_line() == "good"
    with pytest.raises(UntranslatableError, match=r"5 bytes .* at byte 2") as caught:
        splitter.next_line()
    assert caught.value.hresult == ERROR_NO_UNICODE_TRANSLATION
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
    assert splitter.next_line() == "next"


def test_waiting_for_the_end_of_a_line_does_not_look_at_it_again():
    """Or a line in many pieces would cost the square of its length."""
    splitter = LineSplitter(100)
    splitter.feed(b"01234")
    assert splitter.next_line() is None
    splitter.feed(b"56789")
    splitter._data[2:3] = b"\n"  # a change that only a second look would see
    assert splitter.next_line() is None
    splitter.feed(b"\n")
    assert splitter.next_line() == "01\n3456789"
