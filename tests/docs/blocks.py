"""The Python blocks of README.md and the documentation.

A block that begins with a comment naming a file (``# client.py``) is that file. Any other block that defines
``async def main(`` is a program. The rest are fragments: they stand in a coroutine, with every name of the
library, the reactor, the port of an echo server and a socket that is connected to it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# (\S+\.(?:py|tac))\n")


class Block(NamedTuple):
    """A block of Python, and where it stands."""

    page: Path
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The file that the block says it is."""
        name = _FILE_NAME.match(self.code)
        return name.group(1) if name is not None else None

    @property
    def is_program(self) -> bool:
        """Whether it can be run as it is."""
        return "async def main(" in self.code


def blocks() -> list[Block]:
    """Every Python block of every page."""
    return [
        Block(page, text.count("\n", 0, match.start(1)) + 1, match.group(1))
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for match in _BLOCK.finditer(text)
    ]
