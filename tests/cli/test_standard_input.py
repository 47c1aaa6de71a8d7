"""Standard input as messages."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from winsockets.cli._standard_input import InputLines


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of a pipe whose other end is standard input."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing


@pytest_twisted.ensureDeferred
async def test_lines_come_one_by_one_and_then_the_end(pipe: int) -> None:
    """However they were written; the end comes as often as it is asked for."""
    lines = InputLines(reactor, longest=5)
    os.write(pipe, b"one\ntw")
    assert await lines.next_message() == b"one\n"
    os.write(pipe, b"o\nand more")
    os.close(pipe)
    assert [await lines.next_message() for _ in range(3)] == [b"two\n", b"and m", b"ore"]
    assert await lines.next_message() is None
    assert await lines.next_message() is None


@pytest_twisted.ensureDeferred
async def test_an_input_that_does_not_block_is_waited_for(pipe: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminals and pipes are shared with programs that make them so."""
    really_select = select.select

    def select_what_comes_now(*arguments: Any) -> Any:
        os.write(pipe, b"late\n")
        os.close(pipe)
        return really_select(*arguments)

    monkeypatch.setattr(select, "select", select_what_comes_now)
    os.set_blocking(sys.stdin.fileno(), False)
    lines = InputLines(reactor, longest=100)
    assert await lines.next_message() == b"late\n"
    monkeypatch.undo()
    assert await lines.next_message() is None


@pytest_twisted.ensureDeferred
async def test_an_error_of_the_system_says_what_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its number."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(OSError, match="read standard input: ") as caught:
            await InputLines(reactor, longest=100).next_message()
    assert caught.value.errno is not None


@pytest_twisted.ensureDeferred
async def test_no_standard_input_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has None for a descriptor that is closed."""
    monkeypatch.setattr(sys, "stdin", None)
    assert await InputLines(reactor, longest=100).next_message() is None
