"""In which order the targets of a service are to be tried. Pure: the random source is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from random import Random

from winsockets.networking._dns_message import ServiceRecord

__all__ = ["ROOT", "order_targets"]

ROOT = ()
"""The target that says: this service is decidedly not offered."""


def order_targets(records: Iterable[ServiceRecord], random: Random) -> list[ServiceRecord]:
    """Put the records of a service in the order in which to try them.

    A lower priority comes before any higher one. Among equal priorities each place goes to one of those left,
    with a chance that is proportional to its weight; weight 0 has next to none beside others, and an equal
    one among its like.

    Args:
        records: those of one answer.
        random: the source of chance.

    Returns:
        The same records, each once.

    Source: RFC 2782, "Usage rules" and "Weight".
    """
    ordered: list[ServiceRecord] = []
    left = sorted(set(records))
    while left:
        equal = [record for record in left if record.priority == left[0].priority]
        del left[: len(equal)]
        random.shuffle(equal)
        # Those without weight stand first: only a draw of exactly 0 takes one of them.
        equal.sort(key=lambda record: record.weight > 0)
        while equal:
            drawn = random.randint(0, sum(record.weight for record in equal))
            ordered.append(equal.pop(_place(equal, drawn)))
    return ordered


def _place(records: list[ServiceRecord], drawn: int) -> int:
    """Find the first whose running sum of weights reaches what was drawn."""
    sums = accumulate(record.weight for record in records)
    return next(place for place, total in enumerate(sums) if total >= drawn)
