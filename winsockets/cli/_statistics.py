"""What became of the messages, and how long the replies took. Pure: times are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, floor, inf, log, sqrt

__all__ = ["RoundTrips", "Tally", "milliseconds"]

_GROWTH = 1.005
"""The ratio of a class's upper bound to its lower one."""
_SMALLEST = 1e-7
"""Seconds below which times are in one class: finer than any clock here."""


class RoundTrips:
    """The distribution of any number of times, in bounded memory.

    Times are counted in classes that grow by 0.5 %, so percentiles are off by at most 0.25 %; the smallest
    and the largest time are exact. From 100 ns to a day there are 5,600 classes.

    Source: the idea of HdrHistogram.
    """

    def __init__(self) -> None:
        self._classes: dict[int, int] = {}
        self.count = 0
        self.minimum = inf
        self.maximum = 0.0

    def add(self, seconds: float) -> None:
        """Count one time, in seconds, not negative."""
        number = floor(log(seconds / _SMALLEST, _GROWTH)) if seconds > _SMALLEST else 0
        self._classes[number] = self._classes.get(number, 0) + 1
        self.count += 1
        self.minimum = min(self.minimum, seconds)
        self.maximum = max(self.maximum, seconds)

    def percentile(self, percent: float) -> float:
        """Give the time that so many percent of all do not exceed (nearest rank).

        Args:
            percent: greater than 0, at most 100.

        Returns:
            Seconds.

        Raises:
            ValueError: nothing was counted.
        """
        if not self.count:
            raise ValueError("no time was counted")
        rank = ceil(self.count * percent / 100)
        if rank == 1:
            return self.minimum
        if rank == self.count:
            return self.maximum
        numbers = sorted(self._classes)
        counts = accumulate(self._classes[number] for number in numbers)
        number = next(number for number, count in zip(numbers, counts, strict=True) if count >= rank)
        middle = _SMALLEST * _GROWTH**number * sqrt(_GROWTH)
        return min(max(middle, self.minimum), self.maximum)


@dataclass
class Tally:
    """What became of the messages.

    Attributes:
        sent: messages that were sent.
        identical: replies that came in time and were what was sent.
        different: replies that came in time and were not.
        lost: messages without a reply in time.
        late: replies that came after their time.
        duplicates: further replies to a message that had its own.
        strays: datagrams from somebody else, or a reply to nothing.
        round_trips: the times of all replies in time.
    """

    sent: int = 0
    identical: int = 0
    different: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    strays: int = 0
    round_trips: RoundTrips = field(default_factory=RoundTrips)

    @property
    def received(self) -> int:
        """Replies that came in time."""
        return self.identical + self.different

    @property
    def all_identical(self) -> bool:
        """Whether every message came back as it was."""
        return self.identical == self.sent

    def replied(self, seconds: float, identical: bool) -> None:
        """Count a reply that came in time, so many seconds after its message was sent."""
        if identical:
            self.identical += 1
        else:
            self.different += 1
        self.round_trips.add(seconds)

    def counts(self) -> str:
        """Say how many in one line; what did not happen is left out."""
        rare = {
            "different": self.different,
            "late": self.late,
            "duplicate" if self.duplicates == 1 else "duplicates": self.duplicates,
            "stray" if self.strays == 1 else "strays": self.strays,
        }
        always = f"{self.sent} sent, {self.received} received, {self.lost} lost"
        return always + "".join(f", {number} {what}" for what, number in rare.items() if number)

    def summary(self) -> list[str]:
        """Say how many and how fast, a line each; only the first when nothing came back."""
        lines = [self.counts()]
        times = self.round_trips
        if times.count:
            lines.append(
                f"round trip: minimum {milliseconds(times.minimum)}, "
                f"median {milliseconds(times.percentile(50))}, "
                f"p99 {milliseconds(times.percentile(99))}, maximum {milliseconds(times.maximum)}"
            )
        return lines


def milliseconds(seconds: float) -> str:
    """Show a time as ``0.052 ms``."""
    return f"{seconds * 1000:.3f} ms"
