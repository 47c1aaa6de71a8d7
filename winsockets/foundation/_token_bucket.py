"""TokenBucket: so many in a row, so many a second."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Allows ``burst`` at once, and ``rate`` a second in the long run.

    It reads no clock. A clock that is set back gives and takes nothing.

    Args:
        rate: tokens that come back in a second, more than 0.
        burst: the most tokens there can be, at least 1; a new bucket is full.
        now: the time in seconds.
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def _level_at(self, now: float) -> float:
        return min(self._burst, self._level + max(0.0, now - self._at) * self._rate)

    def take(self, now: float) -> bool:
        """Take one token, if there is one."""
        self._level = self._level_at(now)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def is_full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        return self._level_at(now) >= self._burst
