"""The command as a process, while the reactor of the test goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import winsockets

COMMAND = (sys.executable, "-m", "winsockets")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(winsockets.__file__).parents[1])}
PATIENCE = 60
"""Seconds after which a process that hangs is ended; none takes nearly that long."""

Done = subprocess.CompletedProcess[bytes]


def run(*arguments: str | bytes, **options: Any) -> Deferred[Done]:
    """Run ``winsockets`` and give what it did; its standard input is empty unless given."""
    return run_program(*COMMAND, *arguments, **options)


def run_program(*line: str | bytes, **options: Any) -> Deferred[Done]:
    """Run any program likewise."""
    if "stdin" not in options:
        options.setdefault("input", b"")
    settings = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": ENVIRONMENT,
        "timeout": PATIENCE,
        "check": False,
    }
    return deferToThread(subprocess.run, line, **{**settings, **options})


def start(*line: str) -> subprocess.Popen[bytes]:
    """Start a program with pipes for everything; `finish` it."""
    return subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def finish(process: subprocess.Popen[bytes]) -> Deferred[Done]:
    """Wait for the end of a started process and give what it did since."""

    def wait() -> Done:
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return deferToThread(wait)
