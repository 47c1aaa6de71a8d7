"""What the user sees: replies, complaints, progress and the summary."""

from __future__ import annotations

import errno
import os
import sys
from typing import TextIO

from winsockets import errors
from winsockets.cli._statistics import Tally, milliseconds
from winsockets.errors import E_FAIL, HResult, SocketErrorStatus, SocketException

__all__ = ["Display", "OutputClosed", "name_of"]

_PROGRESS_SECONDS = 0.1
"""The time between two changes of the progress line: as much as an eye can follow."""

_HRESULTS = {
    value: name for name, value in vars(errors).items() if isinstance(value, HResult) and value != E_FAIL
}


class OutputClosed(Exception):
    """Nobody reads standard output any more."""


def name_of(problem: OSError) -> str:
    """Name an error: its status; where that is UNKNOWN its HRESULT, its errno, or the HRESULT's number."""
    if isinstance(problem, SocketException):
        if problem.status:
            return problem.status.name
        if problem.hresult in _HRESULTS:
            return _HRESULTS[problem.hresult]
        if not problem.errno and problem.hresult != E_FAIL:
            return f"0x{problem.hresult & 0xFFFFFFFF:08X}"
    return errno.errorcode.get(problem.errno or 0, "E_FAIL")


class Display:
    """Writes replies to standard output and everything about them to standard error.

    Args:
        measuring: show the progress and a summary, not the replies. The summary is what was asked for
            then, and goes to standard output.
        total: how many messages there will be, for the progress.

    Attributes:
        complained: whether there was anything to complain about.
    """

    def __init__(self, measuring: bool, total: int) -> None:
        self.complained = False
        self._measuring = measuring
        self._total = total
        self._shows_progress = measuring and sys.stderr is not None and sys.stderr.isatty()
        self._next_progress = 0.0
        self._progress = ""
        self._last_complaint = ""

    def reply(self, data: bytes) -> None:
        """Show bytes of a reply as they are.

        Raises:
            OutputClosed: nobody reads them.
            OSError: they cannot be written for another reason.
        """
        if not self._measuring:
            _write(data)

    def complain(self, problem: OSError | str) -> None:
        """Show an error in a line of its own, and its notes below it.

        What repeats itself while measuring is shown once.
        """
        self.complained = True
        text = problem if isinstance(problem, str) else f"{name_of(problem)}: {_reason(problem)}"
        text += "".join(f"\n  {note}" for note in getattr(problem, "__notes__", ()))
        if not (self._measuring and text == self._last_complaint):
            self.note(f"winsockets: {text}")
        self._last_complaint = text

    def lost(self, problem: SocketException) -> None:
        """Show why a message has no reply; the summary of a measurement counts what is just late."""
        if not (self._measuring and problem.status == SocketErrorStatus.CONNECTION_TIMED_OUT):
            self.complain(problem)

    def differs(self, number: int) -> None:
        """Show that a reply is not what was sent; the summary of a measurement counts it."""
        if not self._measuring:
            self.complain(f"the reply to message {number} is not what was sent")

    def invite(self, peer: str, *, ends_all: bool = True) -> None:
        """Tell somebody at a terminal that lines can be typed now.

        Args:
            peer: where they go.
            ends_all: whether the end of the input is the end of everything.
        """
        if sys.stdin is not None and sys.stdin.isatty():
            end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
            self.note(f"lines go to {peer}; {f'{end} ends' if ends_all else 'Ctrl-C ends'}")

    def progress(self, tally: Tally, last: float | None, now: float) -> None:
        """Show how far it is, on a terminal, a few times a second.

        Args:
            tally: what became of the messages so far.
            last: the last round-trip time in seconds, None after a loss.
            now: the time in seconds, from any start.
        """
        if not self._shows_progress or now < self._next_progress:
            return
        self._next_progress = now + _PROGRESS_SECONDS
        outcome = "lost" if last is None else milliseconds(last)
        line = f"of {self._total}: {tally.counts()}; last {outcome}"
        _tell("\r" + line.ljust(len(self._progress)))
        self._progress = line

    def summary(self, tally: Tally, interrupted: bool) -> None:
        """Show the statistics, when measuring or interrupted.

        Raises:
            OutputClosed: nobody reads them.
            OSError: they cannot be written for another reason.
        """
        lines = tally.summary()
        if self._measuring:
            self._clear()
            _write("".join(f"{line}\n" for line in lines).encode())
        elif interrupted:
            _tell("\n")
            for line in lines:
                self.note(line)

    def note(self, line: str) -> None:
        """Show a line on standard error that is no complaint."""
        self._clear()
        _tell(line + "\n")

    def _clear(self) -> None:
        if self._progress:
            _tell("\r" + " " * len(self._progress) + "\r")
            self._progress = ""


def _reason(problem: OSError) -> str:
    """One line, whatever the error says."""
    text = str(problem) if isinstance(problem, SocketException) else problem.strerror or str(problem)
    return " ".join(text.split())


def _tell(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _let_go(sys.stderr)


def _write(data: bytes) -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as problem:
        _let_go(sys.stdout)
        # Windows says EINVAL of a pipe that nobody reads.
        if problem.errno == errno.EPIPE or (sys.platform == "win32" and problem.errno == errno.EINVAL):
            raise OutputClosed from problem
        raise OSError(problem.errno, f"write to standard output: {problem.strerror}") from problem


def _let_go(stream: TextIO) -> None:
    """Lead a stream nowhere: what is left in it would fail once more when Python exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
