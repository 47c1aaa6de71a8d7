"""Names for errors; what is shown where is tested with the command."""

from __future__ import annotations

import errno

import pytest

from winsockets import (
    E_FAIL,
    RO_E_CLOSED,
    AccessDeniedError,
    ConnectRefusedError,
    HResult,
    InvalidArgumentError,
    SocketException,
)
from winsockets.cli._display import Display, name_of


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (ConnectRefusedError("m"), "CONNECTION_REFUSED"),
        (InvalidArgumentError("m"), "E_INVALIDARG"),
        (SocketException("m", hresult=RO_E_CLOSED, errno=errno.EBADF), "RO_E_CLOSED"),
        (AccessDeniedError("m"), "EACCES"),
        (SocketException("m", hresult=E_FAIL, errno=errno.EPROTO), "EPROTO"),
        (SocketException("m"), "E_FAIL"),
        (SocketException("m", hresult=HResult(0x80090308)), "0x80090308"),
        (OSError(errno.ENOSPC, "m"), "ENOSPC"),
        (OSError("m"), "E_FAIL"),
    ],
)
def test_every_error_has_a_name(problem: OSError, name: str) -> None:
    """The status, else the HRESULT by name, else the errno, else the HRESULT by number."""
    assert name_of(problem) == name


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the error says."""
    display = Display(measuring=False, total=1)
    assert not display.complained
    display.complain(SocketException("first\n  second", errno=errno.EIO))
    display.complain(OSError("no number"))
    assert capsys.readouterr().err == "winsockets: EIO: first second\nwinsockets: E_FAIL: no number\n"
    assert display.complained


def test_the_notes_of_an_error_stand_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    problem = SocketException("first", errno=errno.EIO)
    problem.add_note("second")
    problem.add_note("third")
    Display(measuring=False, total=1).complain(problem)
    assert capsys.readouterr().err == "winsockets: EIO: first\n  second\n  third\n"
