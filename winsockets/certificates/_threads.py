"""Work that would hold the reactor up, done beside it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

from winsockets.foundation import AsyncOperation

__all__ = ["in_thread"]

_T = TypeVar("_T")


def in_thread(work: Callable[[], _T]) -> AsyncOperation[_T]:
    """Call ``work`` in a thread of the reactor's pool; its result or exception ends the operation.

    Cancelling ends the operation at once. The work goes on to its end; its outcome is dropped.
    """
    from twisted.internet import reactor

    threads = cast(IReactorThreads, reactor)

    async def wait() -> _T:
        return await deferToThreadPool(threads, threads.getThreadPool(), work)

    waiting: Coroutine[Deferred[Any], Any, _T] = wait()
    return AsyncOperation.run(waiting)
