"""The benchmark command runs, and its results have the shape that others read; no figure is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux")

ROOT = Path(__file__).parents[2]
SECONDS = 100
WORK = "echo-50"
PEERS = ("raw", "winsockets")


def run_command(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks of this checkout, which tox keeps off the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"} | variables
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The results of one quick run, and the file that has them."""
    file = tmp_path_factory.mktemp("benchmarks") / "results.json"
    peers = [word for peer in PEERS for word in ("--peer", peer)]
    done = run_command("--quick", "--work", WORK, *peers, "--json", file)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text(encoding="utf-8")), file


def test_a_run_measures_every_peer(measured: tuple[dict[str, Any], Path]) -> None:
    """Each has a sample for each repetition, with CPU, throughput and latencies."""
    result, _ = measured
    assert result["format"] == 1
    assert result["failures"] == []
    assert set(result["results"]) == {WORK}
    assert tuple(result["results"][WORK]) == PEERS
    for entry in result["results"][WORK].values():
        (sample,) = entry["samples"]
        assert 0 < sample["cpu"] < 1
        assert sample["rate"] > 0
        assert 0 < sample["p50"] <= sample["p99"] <= sample["p99.9"]


@pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["any load", "load in Python"])
def test_tls_is_measured_whatever_the_load(path: str, tmp_path: Path) -> None:
    """Servers get their certificate, and the load in Python does what the compiled one does."""
    file = tmp_path / "results.json"
    works = ("tls-echo-large", "tls-receive", "tls-connections", "tls-idle")
    words = [word for work in works for word in ("--work", work)]
    done = run_command("--quick", *words, "--peer", "winsockets", "--json", file, PATH=path)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text(encoding="utf-8"))["results"]
    assert set(results) == set(works)
    assert all(results[work]["winsockets"]["samples"][0]["cpu"] > 0 for work in works)
    assert results["tls-idle"]["winsockets"]["samples"][0]["memory"] > 0


def test_a_run_says_where_it_was(measured: tuple[dict[str, Any], Path]) -> None:
    """Without the machine, the versions and the settings the figures mean nothing."""
    result, _ = measured
    assert result["machine"]["cores"] >= 1
    assert {"Twisted"} < set(result["versions"])
    assert result["settings"]["repetitions"] == 1


def test_a_target_without_its_figures_is_not_judged(measured: tuple[dict[str, Any], Path]) -> None:
    """Of two peers and one work no target can be told."""
    result, _ = measured
    assert {target["verdict"] for target in result["targets"]} == {"not measured"}


def test_results_can_be_shown_again(measured: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Tables and a picture come from the file alone."""
    _, file = measured
    picture = tmp_path / "results.svg"
    done = run_command("--show", file, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "| raw epoll loop" in done.stdout
    assert "| winsockets " in done.stdout
    texts = {element.text for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert {"raw epoll loop", "winsockets"} < texts


def test_a_peer_that_cannot_be_imported_is_left_out(tmp_path: Path) -> None:
    """The report names it and the reason."""
    (tmp_path / "uvloop.py").write_text("raise ImportError('nothing to fly with')", encoding="utf-8")
    done = run_command("--quick", "--work", WORK, "--peer", "uvloop-streams", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "- uvloop streams: nothing to fly with" in done.stdout
