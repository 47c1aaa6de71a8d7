"""What waits to be sent on one connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams._buffer import byte_view

__all__ = ["WRITE_OVERHEAD", "Pending", "WriteQueue"]

WRITE_OVERHEAD = 512
"""What one waiting write costs besides its bytes, so that many tiny ones are bounded too."""


class Pending:
    """One operation that waits for its bytes to leave; without bytes it waits for those before it."""

    __slots__ = ("operation", "result", "sent", "size", "views")

    def __init__(
        self, operation: AsyncOperation[Any], views: list[memoryview], size: int, result: object
    ) -> None:
        self.operation = operation
        self.views = views
        self.size = size
        self.sent = 0
        self.result = result

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
        if isinstance(self.operation, AsyncOperationWithProgress):
            self.operation.report(self.sent)


class WriteQueue:
    """Waiting writes in the order of the calls; knows bytes, not sockets.

    Attributes:
        charge: the bytes that wait, plus WRITE_OVERHEAD for each entry.
    """

    __slots__ = ("_entries", "charge")

    def __init__(self) -> None:
        self._entries: deque[Pending] = deque()
        self.charge = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._entries)

    def append(self, entry: Pending) -> None:
        """Put one at the end."""
        self._entries.append(entry)
        self.charge += entry.size - entry.sent + WRITE_OVERHEAD

    def find(self, operation: AsyncOperation[Any]) -> Pending | None:
        """Return the entry of an operation."""
        return next((entry for entry in self._entries if entry.operation is operation), None)

    def remove(self, entry: Pending) -> None:
        """Take one out whole."""
        self._entries.remove(entry)
        self.charge -= entry.size - entry.sent + WRITE_OVERHEAD

    def clear(self) -> list[Pending]:
        """Take all out."""
        entries = list(self._entries)
        self._entries.clear()
        self.charge = 0
        return entries

    def front(self, most: int) -> list[memoryview]:
        """Return the first buffers to send, ``most`` of them at most."""
        return list(islice(self._views(), most))

    def _views(self) -> Iterator[memoryview]:
        for entry in self._entries:
            yield from entry.views

    def take(self, count: int) -> list[Pending]:
        """Note that ``count`` bytes left and return the entries that are thereby complete."""
        complete = []
        self.charge -= count
        while self._entries:
            entry = self._entries[0]
            rest = entry.size - entry.sent
            if count < rest:
                if count:
                    entry.advance(count)
                break
            count -= rest
            self._entries.popleft()
            self.charge -= WRITE_OVERHEAD
            if rest:
                entry.advance(rest)
            complete.append(entry)
        return complete


def as_views(buffers: Sequence[Any]) -> tuple[list[memoryview], int]:
    """Look at buffers as flat bytes without copying them; leave empty ones out.

    Raises:
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
