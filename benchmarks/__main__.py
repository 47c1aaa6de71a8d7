"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import json
import os
import platform
import signal
import ssl
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from OpenSSL import SSL

from benchmarks._catalogue import PEERS, WORKS, Settings
from benchmarks._figures import verdicts
from benchmarks._measure import find_peers, measure
from benchmarks._plot import draw
from benchmarks._processes import BenchmarkError
from benchmarks._report import render

FORMAT = 1
"""Of the JSON file; goes up when what is there changes its meaning."""

FILE = click.Path(dir_okay=False, path_type=Path)
DISTRIBUTIONS = ("winsockets", "Twisted", "uvloop", "trio", "anyio", "pyOpenSSL")


def _versions() -> dict[str, str]:
    found = {platform.python_implementation(): platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    bundled = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    for where, name in (("ssl", ssl.OPENSSL_VERSION), ("cryptography", bundled)):
        found[f"OpenSSL in {where}"] = name.split()[1]
    return found


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
    }


def _summary(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "title": verdict.target.title,
            "limit": verdict.target.limit,
            "at_most": verdict.target.at_most,
            "measured": verdict.measured and asdict(verdict.measured),
            "verdict": verdict.word,
        }
        for verdict in verdicts(result)
    ]


@click.command(
    epilog=f"\b\nWorks: {', '.join(WORKS)}\n\b\nPeers: {', '.join(PEERS)}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--work", "works", type=click.Choice(list(WORKS)), multiple=True, metavar="WORK")
@click.option("--peer", "peers", type=click.Choice(list(PEERS)), multiple=True, metavar="PEER")
@click.option("--repetitions", type=click.IntRange(1, 100), help="How often each server does each work.")
@click.option(
    "--quick", is_flag=True, help="See whether everything runs; the figures are too rough to compare."
)
@click.option("--json", "json_file", type=FILE, help="Write the results.")
@click.option("--plot", type=FILE, help="Draw the results, as SVG.")
@click.option(
    "--show",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Measure nothing: take the results from a file that --json wrote.",
)
def main(
    *,
    works: tuple[str, ...],
    peers: tuple[str, ...],
    repetitions: int | None,
    quick: bool,
    json_file: Path | None,
    plot: Path | None,
    show: Path | None,
) -> None:
    """Compare winsockets with its peers, in one run on one machine.

    Every server is a process on one core, and the load is on the others. Without --work and --peer all
    works and peers take their turns. The tables go to the standard output, progress to the standard error.
    """
    if show is not None:
        result = json.loads(show.read_text(encoding="utf-8"))
    else:
        if not sys.platform.startswith("linux"):
            raise click.ClickException("the benchmarks need Linux: epoll, /proc and CPU affinity")
        # However it is ended, it ends what it has started.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        settings = Settings.quick() if quick else Settings()
        if repetitions is not None:
            settings = replace(settings, repetitions=repetitions)
        found, skipped = find_peers(peers or list(PEERS))
        chosen = [key for key in WORKS if not works or key in works]
        try:
            measured = measure(chosen, found, settings, lambda text: click.echo(text, err=True))
        except BenchmarkError as problem:
            raise click.ClickException(str(problem)) from problem
        result = {
            "format": FORMAT,
            "machine": _machine(),
            "versions": _versions(),
            "skipped": skipped,
            **measured,
        }
        result["targets"] = _summary(result)
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if plot is not None:
        plot.write_text(draw(result), encoding="utf-8")
    click.echo(render(result), nl=False)
    if result["failures"]:
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
