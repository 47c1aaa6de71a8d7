"""The example programs as processes, and other programs beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import pytest

import winsockets
from tests.networks import Host

__all__ = [
    "ENVIRONMENT",
    "EXAMPLES",
    "PATIENCE",
    "Program",
    "example",
    "run",
    "running",
    "server",
    "socat",
    "until",
]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(winsockets.__file__).parents[1])}
PATIENCE = 60
"""Seconds after which a process that hangs is ended; none takes nearly that long."""

Program = Callable[[str], str]


@contextmanager
def running(*line: str | Path, host: Host | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process with pipes for everything, on this host or another one, ended in any case."""
    with host or nullcontext():
        process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
    limit = threading.Timer(PATIENCE, process.kill)
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


def example(name: str, *arguments: str) -> tuple[str | Path, ...]:
    """The command line of an example."""
    return (sys.executable, EXAMPLES / name, *arguments)


def run(*line: str | Path, given: str = "", host: Host | None = None) -> str:
    """Run a program to its end, which has to be a good one, and give what it printed."""
    with running(*line, host=host) as process:
        stdout, stderr = process.communicate(given, timeout=PATIENCE)
        assert (process.returncode, stderr) == (0, ""), stdout
    return stdout


@contextmanager
def server(name: str, *arguments: str, host: Host | None = None) -> Iterator[str]:
    """An example that serves; gives the port that it names when it is ready."""
    with running(*example(name, *arguments), host=host) as process:
        words = until(process.stdout, "listening on port ", process).split()
        yield words[-1]


def until(lines: IO[str] | None, mark: str, process: subprocess.Popen[str]) -> str:
    """Read up to the line with a mark in it."""
    assert lines is not None
    for line in lines:
        if mark in line:
            return line
    process.wait(PATIENCE)
    rest = process.stderr.read() if process.stderr is not None else ""
    pytest.fail(f"{process.args} ended without {mark!r}: {rest}")


@contextmanager
def socat(require_program: Program, *addresses: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A socat that waits for somebody; gives it and its port."""
    with running(require_program("socat"), "-d", "-d", *addresses) as process:
        ready = until(process.stderr, "listening on" if "LISTEN" in addresses[0] else "receiving on", process)
        yield process, ready.strip().rpartition(":")[2]
