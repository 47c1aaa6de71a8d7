"""Which address of a host to try when: connection racing by RFC 8305, without sockets or a clock.

Feed a `Race` what happened and when, and do what the returned `Step` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, final

from winsockets.errors import SocketErrorStatus, SocketException
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking._address import Address

__all__ = ["Race", "Step", "interleave"]


class Step(NamedTuple):
    """What to do now: numbers of attempts, each an index into ``Race.addresses``."""

    start: tuple[int, ...] = ()
    abandon: tuple[int, ...] = ()


@final
class Race:
    """A race of connection attempts for one winner.

    The addresses are tried in turn: the next attempt starts when the one before failed, or has taken
    longer than a delay without ending. The first to succeed wins and all others are abandoned. An
    attempt that was told to be abandoned may still report success or failure (both can happen in one
    turn of a reactor); that changes nothing, and its connection is to be closed.

    Args:
        addresses: where to, in the order in which to try them; at least one. `interleave` makes that of
            one host's.
        delay: seconds between two attempts.
        max_parallel: how many attempts may be under way at once. When so many are silent the next one
            waits for one of them to fail.
        serialize: one attempt at a time (WinRT: serialize_connection_attempts).

    Raises:
        ValueError: there is no address.

    Source: RFC 8305 section 5 (First Address Family Count 1, Connection Attempt Delay 250 ms).
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        *,
        delay: float = DEFAULT_LIMITS.connection_attempt_delay,
        max_parallel: int = DEFAULT_LIMITS.max_parallel_attempts,
        serialize: bool = False,
    ) -> None:
        self.addresses = tuple(addresses)
        """The addresses in the order in which they are tried."""
        self.winner: int | None = None
        """The attempt that succeeded."""
        self.deadline: float | None = None
        """When to call `tick`; None while nothing depends on time."""
        if not self.addresses:
            raise ValueError("a race needs at least one address")
        self._delay = delay
        self._max_parallel = 1 if serialize else max_parallel
        self._started = 0
        self._running: set[int] = set()
        self._errors: dict[int, SocketException] = {}
        self._stopped = False

    @property
    def finished(self) -> bool:
        """Whether the race is over: won, stopped, or all attempts have failed."""
        return self._stopped or len(self._errors) == len(self.addresses)

    @property
    def errors(self) -> Mapping[int, SocketException]:
        """What the failed attempts failed with, in the order of failing."""
        return MappingProxyType(self._errors)

    @property
    def error(self) -> SocketException | None:
        """The error that tells most about why there is no connection; None when no attempt failed.

        What a host answered (refused) tells more than silence (timed out), and silence more than that
        no way leads there, which is what every IPv6 address of a host says where there is no IPv6. Of
        equally telling errors it is that of the better address.
        """
        if not self._errors:
            return None
        return self._errors[min(self._errors, key=lambda index: (_silence(self._errors[index]), index))]

    def start(self, now: float) -> Step:
        """Begin with the first attempt.

        Args:
            now: the time, in seconds of any clock that does not go backwards.

        Raises:
            ValueError: the race has begun already.
        """
        if self._started:
            raise ValueError("a race starts once")
        return self._start_next(now)

    def tick(self, now: float) -> Step:
        """Let time pass; a call before the `deadline` does nothing."""
        if self.deadline is None or now < self.deadline:
            return Step()
        return self._start_next(now)

    def failed(self, index: int, error: SocketException, now: float) -> Step:
        """Hear that an attempt failed; the next one starts at once.

        Raises:
            ValueError: that attempt is not under way.
        """
        if self._end(index):
            self._errors[index] = error
            return self._start_next(now)
        return Step()

    def succeeded(self, index: int) -> Step:
        """Hear that an attempt succeeded; it wins, and the others are abandoned.

        Raises:
            ValueError: that attempt is not under way.
        """
        if self._end(index):
            self.winner = index
            return self.stop()
        return Step()

    def stop(self) -> Step:
        """End the race, for a deadline or a cancellation; whatever is under way is abandoned."""
        abandoned = tuple(sorted(self._running))
        self._running.clear()
        self._stopped = True
        self.deadline = None
        return Step(abandon=abandoned)

    def _end(self, index: int) -> bool:
        """Take an attempt off the track; False when it was abandoned before."""
        if index in self._running:
            self._running.remove(index)
            return True
        if self._stopped and 0 <= index < self._started:
            return False
        raise ValueError(f"attempt {index} is not under way")

    def _start_next(self, now: float) -> Step:
        # There is room: the deadline is set only while there is, and a failure makes some.
        if self._started == len(self.addresses):
            self.deadline = None
            return Step()
        index = self._started
        self._started += 1
        self._running.add(index)
        more = self._started < len(self.addresses) and len(self._running) < self._max_parallel
        self.deadline = now + self._delay if more else None
        return Step(start=(index,))


def interleave(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Alternate the address families, each in its own order, beginning with that of the first address.

    Args:
        addresses: best first.

    Returns:
        The same addresses in the new order.

    Source: RFC 8305 section 4 (First Address Family Count 1).
    """
    families: dict[int, deque[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, deque()).append(address)
    ordered: list[Address] = []
    while families:
        for family, waiting in list(families.items()):
            ordered.append(waiting.popleft())
            if not waiting:
                del families[family]
    return tuple(ordered)


_NO_WAY = frozenset(
    {
        SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
        SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS,
        SocketErrorStatus.NETWORK_IS_UNREACHABLE,
        SocketErrorStatus.UNREACHABLE_HOST,
        SocketErrorStatus.NETWORK_IS_DOWN,
        SocketErrorStatus.HOST_IS_DOWN,
    }
)


def _silence(error: SocketException) -> int:
    """Rank an error: the lower, the more it says about the host."""
    if error.status in _NO_WAY:
        return 2
    return 1 if error.status is SocketErrorStatus.CONNECTION_TIMED_OUT else 0
