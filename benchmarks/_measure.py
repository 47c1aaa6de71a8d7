"""Runs works against peers, over and over and in turns, and keeps the figures."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._catalogue import PEERS, WORKS, Peer, Settings, Work
from benchmarks._load import Load, LoadProgram, build_plain, build_tls
from benchmarks._processes import BenchmarkError, Cores, ServerProcess
from winsockets.testing import CertificateAuthority, certificate_pem

__all__ = ["find_peers", "measure"]

PAUSE = 0.02
"""Seconds for a server to come to rest before its CPU time is read."""

SPARE_DESCRIPTORS = 200
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
TRACED_ROUNDS = 10
SENDING_CALLS = "write,writev,sendto,sendmsg,sendmmsg"

Sample = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What every measurement uses: load generators, cores, a folder for files that pass, a certificate."""

    plain: LoadProgram
    tls: LoadProgram
    cores: Cores
    folder: Path
    certificate: Path

    @property
    def load(self) -> str:
        """Say what generates the load."""
        return self.plain.name + (f", {self.tls.name} for TLS" if self.tls.name != self.plain.name else "")

    def program(self, work: Work) -> LoadProgram:
        """Choose the load generator of a work."""
        return self.tls if work.tls else self.plain

    def arguments(self, work: Work, peer: Peer) -> list[str]:
        """Put together what a server is told."""
        return [work.serves, *peer.arguments, *([str(self.certificate)] if work.tls else [])]


def find_peers(keys: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """Find out which peers can run here.

    Returns:
        Those, and for every other one the reason.
    """
    found, skipped = [], {}
    for key in keys:
        try:
            import_module(PEERS[key].needs)
        except ImportError as problem:
            skipped[key] = str(problem)
        else:
            found.append(PEERS[key])
    return found, skipped


def measure(
    works: Sequence[str], peers: Sequence[Peer], settings: Settings, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Let every peer do every work that it can.

    The repetitions go round: each does all works once with all peers, in an order that turns with it, so
    that a disturbance of the machine meets all of them.

    Args:
        works: keys of works.
        peers: who takes part.
        settings: how much, and how often.
        tell: told of every step.

    Returns:
        The settings as they were used, the load's language, for each work and peer the samples, and what
        failed.

    Raises:
        BenchmarkError: the load generator cannot be built.
    """
    settings = _fit(settings, tell)
    results: dict[str, dict[str, dict[str, Any]]] = {work: {} for work in works}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        cores = Cores.choose()
        bench = _prepare(Path(folder), cores)

        def attempt(action: Callable[[Bench, Work, Peer, Settings], Any], work: Work, peer: Peer) -> Any:
            try:
                return action(bench, work, peer, settings)
            except BenchmarkError as problem:
                failures.append(f"{work.key}, {peer.key}: {problem}")
                tell(failures[-1])
                return None

        for repetition in range(settings.repetitions):
            for work in map(WORKS.__getitem__, works):
                for peer in _in_turn(work, peers, repetition):
                    tell(f"{repetition + 1} of {settings.repetitions}: {work.key}, {peer.key}")
                    entry = results[work.key].setdefault(peer.key, {"samples": []})
                    entry["samples"].append(attempt(_sample, work, peer))
        for work in map(WORKS.__getitem__, works):
            for peer in _in_turn(work, peers, 0) if work.counts_sends and shutil.which("strace") else ():
                tell(f"counting system calls: {work.key}, {peer.key}")
                results[work.key][peer.key]["sends"] = attempt(_count_sends, work, peer)
        load = bench.load
    return {"settings": asdict(settings), "load": load, "results": results, "failures": failures}


def _prepare(folder: Path, cores: Cores) -> Bench:
    certificate = folder / "certificate.pem"
    certificate.write_bytes(certificate_pem(CertificateAuthority().issue_server("localhost")))
    return Bench(build_plain(folder, cores), build_tls(folder, cores), cores, folder, certificate)


def _fit(settings: Settings, tell: Callable[[str], None]) -> Settings:
    """Ask for as many descriptors as allowed; both ends of every connection need one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    room = most - SPARE_DESCRIPTORS
    if most != resource.RLIM_INFINITY and settings.idle * 11 // 10 > room:
        settings = replace(settings, idle=room * 10 // 11)
        tell(f"descriptors allow {settings.idle} idle connections")
    return settings


def _in_turn(work: Work, peers: Sequence[Peer], repetition: int) -> list[Peer]:
    able = [peer for peer in peers if peer.key in work.peers]
    turn = repetition % len(able) if able else 0
    return able[turn:] + able[:turn]


def _sample(bench: Bench, work: Work, peer: Peer, settings: Settings) -> Sample:
    """Start a server, do one work, and take the figures between two moments at which nothing is under way."""
    mode, numbers = work.load(settings)
    with (
        ServerProcess(peer.module, bench.arguments(work, peer), bench.cores.server) as server,
        Load.ready(bench.program(work), mode, server.port, numbers, bench.cores) as load,
    ):
        time.sleep(PAUSE)
        cpu, memory = server.cpu_seconds(), server.resident_bytes()
        outcome = load.run()
        time.sleep(PAUSE)
        cpu, memory = server.cpu_seconds() - cpu, server.resident_bytes() - memory
    if not outcome.count:
        raise BenchmarkError("nothing was done")
    sample: Sample = {
        "cpu": cpu / outcome.count,
        "rate": outcome.count / outcome.seconds,
        "busy": cpu / outcome.seconds,
        "lost": outcome.lost / (outcome.count + outcome.lost),
    }
    if work.counts_memory:
        sample["memory"] = memory / outcome.count
    for name, percent in PERCENTILES.items():
        sample[name] = outcome.percentile(percent)
    return sample


def _count_sends(bench: Bench, work: Work, peer: Peer, settings: Settings) -> float:
    """Count the system calls that send one round: a run of some rounds more, less a run without them."""
    few, many = (_traced(bench, work, peer, rounds) for rounds in (1, 1 + TRACED_ROUNDS))
    return (many - few) / TRACED_ROUNDS


def _traced(bench: Bench, work: Work, peer: Peer, rounds: int) -> int:
    mode, (_, *numbers, _) = work.load(Settings.quick())
    table = bench.folder / "calls"
    tracer = ["strace", "-f", "-c", "-o", str(table), "-e", f"trace={SENDING_CALLS}"]
    with (
        ServerProcess(peer.module, bench.arguments(work, peer), bench.cores.server, tracer) as server,
        Load.ready(bench.program(work), mode, server.port, [rounds, *numbers, 0], bench.cores) as load,
    ):
        load.run()
    # % time, seconds, usecs/call, calls, errors where there are any, name
    rows = [line.split() for line in table.read_text(encoding="ascii", errors="replace").splitlines()]
    return sum(int(row[3]) for row in rows if row and row[-1] in SENDING_CALLS.split(","))
