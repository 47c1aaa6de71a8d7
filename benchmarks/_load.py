"""The load: one compiled process, or several in Python where it cannot be compiled."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._processes import BenchmarkError, Cores, LoadProcess

__all__ = ["Load", "LoadProgram", "Outcome", "build_plain", "build_tls"]

MOST_PROCESSES = 4
SHARED = ("echo", "connections", "datagram-echo", "tls-echo", "tls-connections")
"""The modes that several processes may do together: the first number is shared among them."""


@dataclass(frozen=True)
class LoadProgram:
    """What generates the load: a command, in words, and how many processes of it are worthwhile."""

    command: tuple[str, ...]
    name: str
    processes: int = 1


def build_plain(folder: Path, cores: Cores) -> LoadProgram:
    """Compile the load generator into a folder; without a compiler it is the one in Python.

    Raises:
        BenchmarkError: there is a compiler, but it does not take the source.
    """
    compiler = _compiler()
    if compiler is None:
        return _in_python(cores)
    program = folder / "load"
    problem = _compile(compiler, "load.c", program)
    if problem:
        raise BenchmarkError(f"{compiler} does not compile load.c: {problem}")
    return LoadProgram((str(program),), "C")


def build_tls(folder: Path, cores: Cores) -> LoadProgram:
    """Compile the load generator for TLS into a folder; without OpenSSL's headers it is the one in Python."""
    compiler = _compiler()
    program = folder / "tls_load"
    if compiler is None or _compile(compiler, "tls_load.c", program, "-lssl", "-lcrypto"):
        return _in_python(cores)
    return LoadProgram((str(program),), "C")


def _in_python(cores: Cores) -> LoadProgram:
    processes = min(len(cores.load), MOST_PROCESSES)
    return LoadProgram((sys.executable, "-m", "benchmarks._python_load"), "Python", processes)


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def _compile(compiler: str, source: str, program: Path, *libraries: str) -> str:
    """Compile a file beside this one, and return what the compiler says against it."""
    done = subprocess.run(
        [compiler, "-O2", "-o", str(program), str(Path(__file__).with_name(source)), *libraries],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""


@dataclass(frozen=True)
class Outcome:
    """What the load has seen.

    Attributes:
        count: how many units were done.
        seconds: how long it took.
        lost: datagrams that did not arrive.
        latencies: nanoseconds, and how often.
    """

    count: int
    seconds: float
    lost: int
    latencies: Counter[int]

    @classmethod
    def of(cls, results: Sequence[dict[str, Any]]) -> Outcome:
        """Put together what processes that ran at the same time have seen."""
        latencies: Counter[int] = Counter()
        for result in results:
            for nanoseconds, often in result["histogram"]:
                latencies[nanoseconds] += often
        return cls(
            sum(result["count"] for result in results),
            max(result["seconds"] for result in results),
            sum(result["lost"] for result in results),
            latencies,
        )

    def percentile(self, percent: float) -> float | None:
        """The latency in seconds that so many percent do not exceed; None where none was taken."""
        wanted = self.latencies.total() * percent / 100
        seen = 0
        for nanoseconds in sorted(self.latencies):
            seen += self.latencies[nanoseconds]
            if seen >= wanted:
                return nanoseconds / 1e9
        return None


class Load:
    """One work's load, connected and warm."""

    def __init__(self, processes: Sequence[LoadProcess]) -> None:
        self._processes = processes

    @classmethod
    @contextmanager
    def ready(
        cls, program: LoadProgram, mode: str, port: int, numbers: Sequence[int], cores: Cores
    ) -> Iterator[Load]:
        """Connect and warm up; everything ends with the ``with`` block.

        Raises:
            BenchmarkError: it does not get ready in time.
        """
        with ExitStack() as stack:
            yield cls(
                [
                    stack.enter_context(LoadProcess(program.command, mode, port, part, cores.load))
                    for part in _parts(mode, numbers, program.processes)
                ]
            )

    def run(self) -> Outcome:
        """Do the work.

        Raises:
            BenchmarkError: it failed, or took too long.
        """
        for process in self._processes:
            process.begin()
        return Outcome.of([process.result() for process in self._processes])


def _parts(mode: str, numbers: Sequence[int], processes: int) -> list[list[int]]:
    first, *rest = numbers
    if mode not in SHARED or processes == 1:
        return [list(numbers)]
    shares = [len(range(number, first, processes)) for number in range(processes)]
    if mode.endswith("connections"):
        rest = [rest[0] // processes]
    return [[share, *rest] for share in shares if share]
