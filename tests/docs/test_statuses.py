"""The table of statuses in docs/tested.md: complete, and every test in it exists and is about it."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.blocks import ROOT
from tests.docs.tables import table
from winsockets import SocketErrorStatus

ROWS = table(ROOT / "docs" / "tested.md", "## Statuses")[1]
NEVER = {"HTTP_INVALID_SERVER_RESPONSE"}


@cache
def known_tests() -> dict[str, str]:
    """Every test function, and the module that it is in."""
    return {
        node.name: module.read_text(encoding="utf-8")
        for module in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def name_of(row: list[str]) -> str:
    """The status of a row."""
    return row[0].strip("`")


def test_every_status_is_there_in_order() -> None:
    """None is left out, and none is made up."""
    assert [name_of(row) for row in ROWS] == [status.name for status in SocketErrorStatus]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_status_has_a_test_that_is_about_it_or_a_reason_why_not(row: list[str]) -> None:
    """The test exists, and its module names the status."""
    name, (_, happened, proof) = name_of(row), row
    if name in NEVER:
        assert happened == "-"
        assert proof.startswith("never: ")
        return
    assert happened
    named = re.findall(r"`(test_\w+)`", proof)
    assert named
    for test in named:
        assert re.search(rf"\b{name}\b", known_tests()[test]), f"{test} is not about {name}"
