"""Medians, spreads and ratios of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks._catalogue import TARGETS, Figure, Target

__all__ = ["Spread", "Verdict", "ratio", "spread", "verdicts"]

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """Sum up values; None when there are none."""
        return cls(median(values), min(values), max(values)) if values else None

    def __mul__(self, factor: float) -> Spread:
        """Express it in another unit."""
        return Spread(self.median * factor, self.least * factor, self.most * factor)


def _values(result: Result, figure: Figure) -> list[float | None]:
    """One value for each repetition, None where that failed; the count of calls is taken only once."""
    entry = result["results"].get(figure.work, {}).get(figure.peer, {"samples": []})
    if figure.kind == "sends":
        return [entry.get("sends")]
    return [sample and sample.get(figure.kind) for sample in entry["samples"]]


def spread(result: Result, figure: Figure) -> Spread | None:
    """Sum up a figure; None where it was not taken."""
    return Spread.of([value for value in _values(result, figure) if value is not None])


def ratio(result: Result, figure: Figure, beside: Figure) -> Spread | None:
    """Compare two figures, repetition by repetition: both sides of a pair ran within the same seconds."""
    pairs = zip(_values(result, figure), _values(result, beside), strict=False)
    return Spread.of([one / other for one, other in pairs if one is not None and other])


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; None when it was not."""

    target: Target
    measured: Spread | None

    @property
    def word(self) -> str:
        """Whether the median meets the target."""
        if self.measured is None:
            return "not measured"
        limit, value = self.target.limit, self.measured.median
        return "pass" if (value <= limit if self.target.at_most else value >= limit) else "miss"


def verdicts(result: Result) -> list[Verdict]:
    """Judge every target."""
    return [
        Verdict(
            target,
            spread(result, target.figure)
            if target.beside is None
            else ratio(result, target.figure, target.beside),
        )
        for target in TARGETS
    ]
