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


class FutureBridge(Deferred[None]):
    """What a pending operation yields while an asyncio task runs.

    It speaks the part of asyncio's Future protocol that a task uses. It is a Deferred too, because a
    coroutine that Twisted drives may have been started from within a task, and then Twisted gets it.
    Cancelling the task cancels the operation and waits for its end; a second cancel gives up waiting.

    Source: CPython asyncio Task, the ``_asyncio_future_blocking`` protocol; PyWinRT's awaiting.
    """

    _asyncio_future_blocking = True

    def __init__(self, operation: AsyncOperation[Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._operation = operation
        self._loop = loop
        self._wakeup: Callable[[Any], object] | None = None
        self._context: Context
        self._outcome = _Outcome()
        self._given_up = False
        operation.addBoth(self._ended)

    def _ended(self, result: object) -> object:
        # The operation keeps its own outcome; this one only wakes whoever waits.
        self.callback(None)
        return result

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the waiting task belongs to."""
        return self._loop

    def add_done_callback(self, wakeup: Callable[[Any], object], *, context: Context) -> None:
        """Have the task woken: at the end of the operation, or in a later turn of its loop.

        At once where that can be, because between the end of a read and a later turn the task could be
        cancelled, and what was read would be lost.
        """
        self._wakeup, self._context = wakeup, context
        self.addBoth(self._wake)

    def _wake(self, _: None = None) -> None:
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is None:
            return
        if self._can_run_now():
            try:
                self._context.run(wakeup, self._outcome)
            except RuntimeError:
                # The operation was ended in the task's own context, which cannot be entered twice.
                pass
            except (KeyboardInterrupt, SystemExit) as problem:
                # It ends the loop, and is no failure of the operation.
                self._loop.call_soon(_raise, problem)
                return
            else:
                return
        self._loop.call_soon(wakeup, self._outcome, context=self._context)

    def _can_run_now(self) -> bool:
        """Whether the task can go on within the call that ended the operation."""
        return (
            # Whoever cancels a task does not expect it to run meanwhile.
            not self._outcome.cancelled
            # A task waits for what callbacks are still to make of the outcome.
            and not self._operation._callbacks
            # One task cannot run within another.
            and asyncio._get_running_loop() is self._loop
            and asyncio.current_task(self._loop) is None
        )

    def cancel(self, msg: object = None) -> bool:  # type: ignore[override]
        """Cancel the operation for whoever waits; a task that says it twice stops waiting.

        Returns:
            Whether it was in time: after the end a task has to cancel itself.
        """
        if self.called or self._given_up:
            return False
        if self._outcome.cancelled and self._wakeup is not None:
            self._given_up = True
            self._wake()
            return True
        self._outcome.cancelled, self._outcome.reason = True, msg
        self._operation.cancel()
        return True


class _Outcome:
    """What a woken task asks for: nothing, or its own cancellation."""

    __slots__ = ("cancelled", "reason")

    def __init__(self) -> None:
        self.cancelled = False
        self.reason: object = None

    def result(self) -> None:
        if self.cancelled:
            raise asyncio.CancelledError(*(() if self.reason is None else (self.reason,)))


def _raise(problem: BaseException) -> None:
    raise problem
