"""docs/decisions.md and docs/tested.md name everything that they have to name."""

from __future__ import annotations

import re

import winsockets
from tests.docs.blocks import ROOT
from tests.docs.tables import table
from tests.surface import measure

DECISIONS = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
GUARD = re.compile(r'(?:hasattr|getattr)\(\s*(?:socket(?:\.socket)?|errno),\s*"(\w+)"')
# Numbers of errno and of the resolver are in one row of the page for all of them.
ERRNO = re.compile(r"E[A-Z]+|EAI_[A-Z]+|WSAE[A-Z]+")


def named(text: str) -> set[str]:
    """The names in code style: ``Type.member`` and ``call()`` by their last name."""
    return {part for code in re.findall(r"`([^`]+)`", text) for part in re.findall(r"\w+", code)}


def test_what_is_missing_of_winrt_is_listed_and_nothing_else() -> None:
    """Under "Not yet" stands each type and member of WinRT's that there is not, and none that there is."""
    missing = {
        line.removesuffix(")").split(" (")[0].rpartition(".")[2]
        for figure in measure(winsockets).values()
        for line in figure.missing
    }
    not_yet = DECISIONS.partition("## Not yet")[2]
    assert sorted(missing - named(not_yet)) == []
    listed = {
        name for row in not_yet.splitlines() if row.startswith("|") for name in named(row.split("|")[2])
    }
    there = {name for name in listed - missing if name in vars(winsockets)}
    assert sorted(there - {"HostName"}) == []


def test_everything_that_the_code_asks_of_a_system_is_listed_and_nothing_else() -> None:
    """What the socket module may lack is in the table of docs/tested.md."""
    sources = "\n".join(source.read_text("utf-8") for source in (ROOT / "winsockets").rglob("*.py"))
    asked = {name for name in GUARD.findall(sources) if not ERRNO.fullmatch(name)}
    assert asked
    _, rows = table(ROOT / "docs" / "tested.md", "## What the code asks for")
    listed = {name for row in rows for name in named(row[0])}
    assert sorted(asked - listed) == []
    assert sorted(name for name in listed if not re.search(rf"\b{name}\b", sources)) == []
