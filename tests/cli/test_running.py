"""The reactor of a command, in a process of its own."""

from __future__ import annotations

import sys

import pytest
import pytest_twisted

from tests.cli.commands import run_program

WAITING = """
import signal, sys
from twisted.internet.defer import CancelledError, Deferred
from winsockets.cli._running import _Running

async def main(reactor):
    try:
        await Deferred()
    except CancelledError:
        print("cancelled")
    return True

running = _Running(main)
running.interrupt(signal.SIGINT, None)
from twisted.internet import reactor
sys.exit(running.on(reactor))
"""

ENDING = """
import sys
from winsockets.cli._running import run

async def main(reactor):
    {ending}

sys.exit(run(main))
"""


@pytest.mark.parametrize(("ending", "status"), [("return True", 0), ("return False", 1)])
@pytest_twisted.ensureDeferred
async def test_success_is_status_0_and_the_rest_1(ending: str, status: int) -> None:
    """Also when there is nothing to wait for."""
    done = await run_program(sys.executable, "-c", ENDING.format(ending=ending))
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


@pytest_twisted.ensureDeferred
async def test_a_mistake_in_the_program_is_not_hidden() -> None:
    """It comes out as Python shows mistakes."""
    done = await run_program(sys.executable, "-c", ENDING.format(ending="raise LookupError('a mistake')"))
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(b"LookupError: a mistake")


@pytest_twisted.ensureDeferred
async def test_a_signal_before_the_reactor_is_there_is_not_forgotten() -> None:
    """Importing the reactor takes a while."""
    done = await run_program(sys.executable, "-c", WAITING)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"cancelled\n", b"")
