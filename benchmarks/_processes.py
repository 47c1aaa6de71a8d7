"""Servers and loads as processes: started on their cores, spoken to with deadlines, and ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["BenchmarkError", "Cores", "LoadProcess", "ServerProcess"]

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
"""For a server to listen and for a load to be connected and warm."""
WORK_SECONDS = 100.0
"""For one work; the load gives up a little later by itself."""
END_SECONDS = 10.0
"""For a process to end when asked to; then it is killed."""


class BenchmarkError(Exception):
    """A server or a load did not do its work; the text has what it wrote to its standard error."""


@dataclass(frozen=True)
class Cores:
    """Where the server runs, and where the load."""

    server: int
    load: tuple[int, ...]

    @classmethod
    def choose(cls) -> Cores:
        """Give the server the last core there is and the load the others; one core they share."""
        *others, last = sorted(os.sched_getaffinity(0))
        return cls(last, tuple(others) or (last,))


class _Process:
    """A child that is told things and answers in lines."""

    def __init__(self, command: Sequence[str], cores: Sequence[int]) -> None:
        # The modules come from this checkout, also where tox keeps it off the path.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        self._command = command
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        os.sched_setaffinity(self._process.pid, cores)

    def read_line(self, seconds: float) -> str:
        """Wait for a line.

        Raises:
            BenchmarkError: none came in time, or the process ended.
        """
        pipe = self._process.stdout
        assert pipe is not None
        deadline = time.monotonic() + seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._failure(f"said nothing for {seconds:.0f} s")
                piece = os.read(pipe.fileno(), 65_536)
                if not piece:
                    raise self._failure("ended early")
                line += piece
        return line.decode()

    def _failure(self, what: str) -> BenchmarkError:
        self._errors.seek(0)
        written = self._errors.read().decode(errors="replace").strip()
        return BenchmarkError(f"{' '.join(self._command)} {what}{': ' if written else ''}{written[-2000:]}")

    def write_line(self, text: str) -> None:
        """Tell the process something."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """End the process, and wait until it is gone."""
        self._process.terminate()
        self._wait()

    def _wait(self) -> None:
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        """Return the process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        self.end()


class ServerProcess(_Process):
    """A server of the benchmark.

    Args:
        module: the module in ``benchmarks.servers``.
        arguments: the work, and what the module wants besides.
        core: where it runs.
        wrapper: a command that runs it, such as a tracer; its own arguments are complete.

    Raises:
        BenchmarkError: it does not listen in time.
    """

    def __init__(self, module: str, arguments: Sequence[str], core: int, wrapper: Sequence[str] = ()) -> None:
        command = [*wrapper, sys.executable, "-m", f"benchmarks.servers.{module}", *arguments]
        super().__init__(command, [core])
        try:
            hello: dict[str, int] = json.loads(self.read_line(START_SECONDS))
        except BaseException:
            super().end()
            raise
        self.port = hello["port"]
        self.pid = hello["pid"]

    def cpu_seconds(self) -> float:
        """The time it has used so far, of user and system, as the system accounts for it.

        clock_getcpuclockid(3) of the process: what /proc/PID/stat shows in ticks of 10 ms, in nanoseconds.

        Raises:
            BenchmarkError: it has ended.
        """
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError as problem:
            raise self._failure("ended early") from problem

    def resident_bytes(self) -> int:
        """The memory it occupies now.

        Raises:
            BenchmarkError: it has ended, or the system does not tell.

        Source: proc(5), smaps_rollup.
        """
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError as problem:
            raise self._failure("does not show its memory") from problem
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

    def end(self) -> None:
        """End the server; a wrapper ends when the server has."""
        with suppress(ProcessLookupError):  # it has ended, and its wrapper knows
            os.kill(self.pid, signal.SIGTERM)
        self._wait()


class LoadProcess(_Process):
    """A load generator.

    Args:
        program: the command, without arguments.
        mode: which work.
        port: the server's.
        numbers: how much of it.
        cores: where it runs.

    Raises:
        BenchmarkError: it does not get ready in time.
    """

    def __init__(
        self, program: Sequence[str], mode: str, port: int, numbers: Sequence[int], cores: Sequence[int]
    ) -> None:
        super().__init__([*program, mode, str(port), *map(str, numbers)], cores)
        try:
            self.read_line(START_SECONDS)
        except BaseException:
            self.end()
            raise

    def begin(self) -> None:
        """Let it begin."""
        self.write_line("go")

    def result(self) -> dict[str, Any]:
        """Wait for its result.

        Raises:
            BenchmarkError: it failed, or took too long.
        """
        outcome: dict[str, Any] = json.loads(self.read_line(WORK_SECONDS))
        return outcome
