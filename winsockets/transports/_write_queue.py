"""What waits to be sent on one connection."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred

from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams._buffer import byte_view

__all__ = ["WRITE_OVERHEAD", "Queued", "QueuedFlush", "QueuedWrite", "WriteQueue", "as_views"]

WRITE_OVERHEAD = 512
"""What one waiting write costs besides its bytes, so that many tiny ones are bounded too."""

Canceller = Callable[[Deferred[Any]], None]


class QueuedWrite(AsyncOperationWithProgress[int, int]):
    """A write whose bytes have not all left.

    Args:
        canceller: takes it out of the queue.
        views: its bytes; the list becomes its own.
        size: how many bytes that is.
    """

    def __init__(self, canceller: Canceller, views: list[memoryview], size: int) -> None:
        super().__init__(canceller)
        self.views = views
        """What is still to be sent."""
        self.size = size
        """How many bytes it has altogether."""
        self.sent = 0
        """How many of them have left."""

    def advance(self, count: int) -> None:
        """Note that so many more bytes have left."""
        self.sent += count
        views = self.views
        done = 0
        while done < len(views) and count >= len(views[done]):
            count -= len(views[done])
            done += 1
        del views[:done]
        if count:
            views[0] = views[0][count:]

    def tell(self) -> None:
        """Report how far it is, and end when all has left; not if it was given up meanwhile."""
        if not self.called:
            self.report(self.sent)
        if self.sent == self.size and not self.called:
            self.complete()

    def complete(self) -> None:
        """End well: all has left."""
        self.callback(self.size)


class QueuedFlush(AsyncOperation[bool]):
    """A flush: it has no bytes, and ends when everything before it has left."""

    views: Sequence[memoryview] = ()
    size = sent = 0

    def advance(self, count: int) -> None:
        """Nothing of it can leave."""

    def tell(self) -> None:
        """End well, unless it was given up meanwhile."""
        if not self.called:
            self.complete()

    def complete(self) -> None:
        """End well: all before it has left."""
        self.callback(True)


Queued = QueuedWrite | QueuedFlush


class WriteQueue:
    """Waiting writes in the order of the calls; knows bytes, not sockets."""

    __slots__ = ("_entries", "charge")

    def __init__(self) -> None:
        # Ordered, and one in the middle can be taken out for a constant price.
        self._entries: OrderedDict[Queued, None] = OrderedDict()
        self.charge = 0
        """The bytes that wait, plus WRITE_OVERHEAD for each entry."""

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._entries)

    def __contains__(self, entry: Queued) -> bool:
        """Whether it waits."""
        return entry in self._entries

    def __iter__(self) -> Iterator[Queued]:
        """Go through all that wait now; the queue may change meanwhile."""
        return iter(list(self._entries))

    def append(self, entry: Queued) -> None:
        """Put one at the end."""
        self._entries[entry] = None
        self.charge += entry.size - entry.sent + WRITE_OVERHEAD

    def discard(self, entry: Queued) -> bool:
        """Take one out whole, and tell whether it was there."""
        if entry not in self._entries:
            return False
        del self._entries[entry]
        self.charge -= entry.size - entry.sent + WRITE_OVERHEAD
        return True

    def front(self, most: int) -> list[memoryview]:
        """Return the first buffers to send, ``most`` of them at most."""
        return list(islice(self._views(), most))

    def _views(self) -> Iterator[memoryview]:
        for entry in self._entries:
            yield from entry.views

    def take(self, count: int) -> list[Queued]:
        """Note that ``count`` bytes left; nobody is told yet.

        Returns:
            Those that this moved. The complete ones are no longer in the queue.
        """
        moved = []
        self.charge -= count
        while self._entries:
            entry = next(iter(self._entries))
            rest = entry.size - entry.sent
            if count < rest:
                if count:
                    entry.advance(count)
                    moved.append(entry)
                break
            count -= rest
            del self._entries[entry]
            self.charge -= WRITE_OVERHEAD
            entry.advance(rest)
            moved.append(entry)
        return moved


def as_views(buffers: Sequence[Any]) -> tuple[list[memoryview], int]:
    """Look at buffers as flat bytes without copying them; leave empty ones out.

    Returns:
        The views, and how many bytes they have together.

    Raises:
        InvalidArgumentError: one of them is None.
        TypeError: one of them is not a contiguous buffer.
    """
    views = []
    size = 0
    for buffer in buffers:
        view = byte_view(buffer)
        if view.nbytes:
            views.append(view)
            size += view.nbytes
    return views, size
