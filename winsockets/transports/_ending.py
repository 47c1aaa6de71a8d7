"""The end of something, for any number of those who wait for it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from winsockets.foundation import AsyncOperation

__all__ = ["Ending"]


class Ending:
    """Comes once; who waits hears of it, who asks later knows at once."""

    __slots__ = ("_over", "_waiting")

    def __init__(self) -> None:
        self._over = False
        self._waiting: list[Deferred[None]] | None = None

    def wait(self) -> AsyncOperation[None]:
        """Return an operation that ends with it; cancelling it concerns nobody else."""
        if self._over:
            return AsyncOperation.from_result(None)
        waiting: AsyncOperation[None] = AsyncOperation(self._forget)
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiting)
        return waiting

    def _forget(self, waiting: Deferred[None]) -> None:
        if self._waiting is not None:
            self._waiting.remove(waiting)

    def come(self) -> None:
        """Tell everybody, in the order of asking."""
        self._over = True
        waiting, self._waiting = self._waiting, None
        for operation in waiting or ():
            if not operation.called:
                operation.callback(None)
