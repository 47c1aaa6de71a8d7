"""The page on performance shows what was measured."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

FOLDER = ROOT / "docs" / "performance"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks need Linux")


def test_the_tables_are_those_of_the_results() -> None:
    """They are made from the file of the run: ``python -m benchmarks --show``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--show", str(FOLDER / "results.json")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (FOLDER / "results.md").read_text(encoding="utf-8") == shown.stdout
