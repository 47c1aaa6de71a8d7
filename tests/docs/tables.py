"""Tables in Markdown, to compare with what the library does."""

from __future__ import annotations

from pathlib import Path


def table(page: Path, heading: str) -> tuple[list[str], list[list[str]]]:
    """The first table under a heading of a page: its head, and its rows."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = lines.index(heading)
    first = next(index for index in range(start, len(lines)) if lines[index].startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace(r"\|", "|") for cell in line.strip("|").split(" | ")])
    head, _, *body = rows
    return head, body


def words(page: Path, heading: str) -> dict[str, str]:
    """A table of two columns, read as a legend: what a word in bold stands for."""
    return {word.strip("*"): meaning for word, meaning in table(page, heading)[1]}
