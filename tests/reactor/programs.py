"""Programs in processes of their own, for what ends with a process: the installed reactor, signals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import winsockets

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")

_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(winsockets.__file__).parents[1])}
_SECONDS = 60


def run(program: str) -> list[str]:
    """Run a program with this interpreter, and give the lines that it prints.

    It must end by itself with status 0, and say nothing on its standard error.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(program)],
        capture_output=True,
        text=True,
        env=_ENVIRONMENT,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()
