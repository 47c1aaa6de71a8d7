"""How much of the WinRT surface the package offers.

``python -m tests.surface`` prints the figure of each namespace and what is missing; ``--record`` also writes
the figures down as the floor that ``test_surface.py`` holds. One counts a type that the package exports, an
enumeration value with the right number, a member that the class or the zope interface has, and each of an
event's ``add_`` and ``remove_`` methods.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
SURFACE = DATA / "winrt_surface.json"
FLOOR = DATA / "surface_floor.json"


class Figure(NamedTuple):
    """What a namespace has of what WinRT has there."""

    found: int
    wanted: int
    missing: list[str]


def members(info: dict[str, Any]) -> Iterator[str]:
    """The names that a type must have, from its record."""
    yield from info.get("values", ())
    for name, kind in info.get("members", {}).items():
        if kind.endswith("event"):
            yield f"add_{name}"
            yield f"remove_{name}"
        else:
            yield name


def has(owner: Any, name: str, number: int | None) -> bool:
    """Whether a type has a member, and for an enumeration value the number that it must have."""
    if number is not None:
        return getattr(owner, name, None) == number
    if hasattr(owner, name):
        return True
    names = getattr(owner, "names", None)  # a zope interface lists its members
    try:
        return callable(names) and name in names(all=True)
    except TypeError:
        return False


def measure(package: Any) -> dict[str, Figure]:
    """The figure of each namespace for a package that exports the types flatly."""
    figures = {}
    for namespace, types in json.loads(SURFACE.read_text(encoding="utf-8")).items():
        found = wanted = 0
        missing = []
        for type_name, info in types.items():
            names = list(members(info))
            wanted += 1 + len(names)
            owner = getattr(package, type_name, None)
            if owner is None:
                missing.append(f"{type_name} (the type, {len(names)} members)")
                continue
            values = info.get("values", {})
            absent = [name for name in names if not has(owner, name, values.get(name))]
            missing += [f"{type_name}.{name}" for name in absent]
            found += 1 + len(names) - len(absent)
        figures[namespace] = Figure(found, wanted, missing)
    return figures


def counts(figures: dict[str, Figure]) -> dict[str, int]:
    """What is written down as the floor: the members found, in each namespace and in total."""
    found = {namespace: figure.found for namespace, figure in figures.items()}
    return {**found, "total": sum(found.values())}


def main() -> None:
    """Print the figures and what is missing; with ``--record`` write the floor."""
    parser = argparse.ArgumentParser(prog="python -m tests.surface", description=main.__doc__)
    parser.add_argument("--record", action="store_true", help=f"write the figures to {FLOOR.name}")
    options = parser.parse_args()
    figures = measure(importlib.import_module("winsockets"))
    for namespace, figure in figures.items():
        print(f"{namespace}: {figure.found} of {figure.wanted}")
        for name in figure.missing:
            print(f"    missing {name}")
    found, wanted = (sum(figure[column] for figure in figures.values()) for column in (0, 1))
    print(f"surface: {found} of {wanted} ({100 * found / wanted:.1f} %)")
    if options.record:
        FLOOR.write_text(json.dumps(counts(figures), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
