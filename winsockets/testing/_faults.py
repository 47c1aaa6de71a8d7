"""What can go wrong with the bytes of a connection, said in numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from winsockets.errors import InvalidArgumentError

__all__ = ["NO_FAULTS", "Ending", "Faults", "Lane"]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong in one direction of a connection, and where; without arguments nothing does.

    At most one of ``reset_at``, ``end_at`` and ``stall_at`` can be given. Each counts the bytes that the
    sender has sent in this direction: exactly so many arrive, 0 means before the first one.

    Raises:
        InvalidArgumentError: a number is out of range, or the connection breaks in two ways.
    """

    most_at_once: int | None = None
    """The most bytes that one send takes and one delivery brings; at least 1. None for no bound."""

    delay: float = 0.0
    """Seconds that everything takes to arrive, by the reactor's clock; the order stays."""

    reset_at: int | None = None
    """From this byte on the connection is reset: both ends get CONNECTION_RESET_BY_PEER."""

    end_at: int | None = None
    """At this byte the receiver sees the end of the stream; what is sent beyond is thrown away. The other
    direction goes on."""

    stall_at: int | None = None
    """From this byte on nothing arrives any more, neither an end nor a reset: the network drops it. The
    sender notices when its buffer is full."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.most_at_once is not None and self.most_at_once < 1:
            raise InvalidArgumentError(f"Faults.most_at_once: {self.most_at_once} is less than 1")
        if self.delay < 0:
            raise InvalidArgumentError(f"Faults.delay: {self.delay} is negative")
        places = {name: getattr(self, name) for name in ("reset_at", "end_at", "stall_at")}
        given = {name: place for name, place in places.items() if place is not None}
        if len(given) > 1:
            raise InvalidArgumentError(f"Faults: {' and '.join(given)} exclude each other")
        for name, place in given.items():
            if place < 0:
                raise InvalidArgumentError(f"Faults.{name}: {place} is negative")

    @property
    def breaks_at(self) -> int | None:
        """The byte at which the connection breaks in one way or another; None when it does not."""
        for place in (self.reset_at, self.end_at, self.stall_at):
            if place is not None:
                return place
        return None


NO_FAULTS = Faults()


class Ending(Enum):
    """What a receiver hears after the last byte."""

    END = "end"
    RESET = "reset"


class Lane:
    """One direction of a connection: bytes go in at one time and come out at another, or never.

    It knows faults and an order, no transports and no clock: the time is an argument.

    Args:
        faults: what goes wrong.
        now: the time at which the connection is made.

    Attributes:
        waiting: the bytes that went in and have not come out: what fills the buffers of the two systems.
    """

    def __init__(self, faults: Faults, now: float) -> None:
        self._faults = faults
        self._until_break = faults.breaks_at
        self._items: deque[tuple[float, bytes | Ending]] = deque()
        self._ended = False
        self._deaf = False
        self.waiting = 0
        if self._until_break == 0:
            self._break(now)

    @property
    def most_at_once(self) -> int | None:
        """The most bytes that one send takes."""
        return self._faults.most_at_once

    @property
    def due(self) -> float | None:
        """When the next thing arrives; None when nothing is on its way."""
        return self._items[0][0] if self._items else None

    @property
    def next_is_reset(self) -> bool:
        """Whether a reset comes next."""
        return bool(self._items) and self._items[0][1] is Ending.RESET

    @property
    def reset_due(self) -> float | None:
        """When a reset arrives, be there unread bytes before it or not; None when there is none."""
        if self._items and self._items[-1][1] is Ending.RESET:
            return self._items[-1][0]
        return None

    def arrived(self, now: float) -> bool:
        """Say whether bytes lie at the receiver's end."""
        return bool(self._items) and self._items[0][0] <= now and isinstance(self._items[0][1], bytes)

    def feed(self, data: bytes, now: float) -> None:
        """Send bytes."""
        if self._deaf:
            # Behind a stall they stay in the sender's buffer for ever; elsewhere nobody keeps them.
            if self._faults.stall_at is not None:
                self.waiting += len(data)
            return
        if self._until_break is None or len(data) < self._until_break:
            if self._until_break is not None:
                self._until_break -= len(data)
            self._put(data, now)
            return
        head, rest = data[: self._until_break], data[self._until_break :]
        self._put(head, now)
        self._break(now)
        self.feed(rest, now)

    def _put(self, data: bytes, now: float) -> None:
        if data:
            self.waiting += len(data)
            self._items.append((now + self._faults.delay, data))

    def _break(self, now: float) -> None:
        if self._faults.reset_at is not None:
            self.reset(now)
        elif self._faults.end_at is not None:
            self.end(now)
        self._deaf = True

    def end(self, now: float) -> None:
        """Send the end of the stream."""
        if not self._ended and not self._deaf:
            self._ended = self._deaf = True
            self._items.append((now + self._faults.delay, Ending.END))

    def reset(self, now: float) -> None:
        """Send a reset; bytes and an end that were sent before arrive before it."""
        stalled = self._deaf and self._faults.stall_at is not None and not self._ended
        if not stalled and self.reset_due is None:
            self._deaf = True
            self._items.append((now + self._faults.delay, Ending.RESET))

    def take(self, now: float, most: int) -> bytes | Ending | None:
        """Receive.

        Args:
            now: the time.
            most: the most bytes to take.

        Returns:
            What has arrived by now: bytes, joined as TCP joins them, or how it ended; None for nothing.
        """
        items = self._items
        if not items or items[0][0] > now:
            return None
        if isinstance(items[0][1], Ending):
            return items.popleft()[1]
        if self._faults.most_at_once is not None:
            most = min(most, self._faults.most_at_once)
        pieces: list[bytes] = []
        while most and items and items[0][0] <= now:
            due, item = items[0]
            if isinstance(item, Ending):
                break
            if len(item) > most:
                items[0] = (due, item[most:])
                item = item[:most]
            else:
                items.popleft()
            pieces.append(item)
            most -= len(item)
        data = b"".join(pieces)
        self.waiting -= len(data)
        return data
