"""Lets an asyncio task await an operation when the reactor is an asyncio one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from winsockets.foundation._operation import AsyncOperation

__all__ = ["FutureBridge"]


class FutureBridge(Deferred[Any]):
    """What a pending operation yields while an asyncio task runs.

    It speaks the part of asyncio's Future protocol that a task uses. It is a Deferred too, because a
    coroutine that Twisted drives may have been started from within a task, and then Twisted gets it.
    Cancelling the task cancels the operation and waits for its end; a second cancel gives up waiting.

    Source: CPython asyncio Task, the ``_asyncio_future_blocking`` protocol; PyWinRT's awaiting.
    """

    _asyncio_future_blocking = True

    def __init__(self, operation: AsyncOperation[Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(lambda _: operation.cancel())
        self._operation = operation
        self._loop = loop
        self._cancelled = False
        self._woken = False
        operation.addBoth(self._ended)

    def _ended(self, result: object) -> object:
        # The operation keeps its own outcome; this one only wakes whoever waits.
        self.callback(None)
        return result

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the waiting task belongs to."""
        return self._loop

    def add_done_callback(self, wakeup: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Have the task woken in a later turn of its loop."""
        self._wakeup, self._context = wakeup, context
        self.addBoth(lambda _: self._wake())

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._wakeup, _Outcome(self._cancelled), context=self._context)

    def cancel(self, msg: object = None) -> bool:  # type: ignore[override]
        """Cancel the operation for a task that is being cancelled; the second time stop waiting for it."""
        if self._cancelled:
            self._wake()
            return True
        self._cancelled = True
        self._operation.cancel()
        return True


class _Outcome:
    """What a woken task asks for: nothing, or its own cancellation."""

    __slots__ = ("_cancelled",)

    def __init__(self, cancelled: bool) -> None:
        self._cancelled = cancelled

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError
