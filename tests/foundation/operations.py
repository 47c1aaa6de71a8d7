"""Operations in every state, and how to look at them and wait for them in a test."""

from __future__ import annotations

import asyncio
import functools

import pytest_twisted
from twisted.internet.defer import Deferred

from winsockets.errors import ResetByPeerError
from winsockets.foundation import AsyncOperation


def reset() -> ResetByPeerError:
    """A failure, as a transport makes it."""
    return ResetByPeerError("read from ::1 port 80: the peer reset the connection; connect again")


def ended(how: str) -> AsyncOperation:
    """An operation that has ended: completed with 7, failed, or cancelled."""
    operation: AsyncOperation = AsyncOperation()
    end(operation, how)
    return operation


def end(operation: AsyncOperation, how: str) -> None:
    """End an operation in that way."""
    if how == "completed":
        operation.callback(7)
    elif how == "failed":
        operation.errback(reset())
    else:
        operation.cancel()


def outcome(deferred: Deferred) -> object:
    """What a Deferred has now: its result, its exception, or None while it waits."""
    results: list[object] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results[0] if results else None


async def waiting_for(awaitable):
    """A coroutine that does nothing but await."""
    return await awaitable


def in_asyncio_task(function):
    """Run a test that is a coroutine function as an asyncio task.

    On the reactor's own loop where the suite runs on asyncio, and on a loop of its own elsewhere.
    """

    @pytest_twisted.ensureDeferred
    @functools.wraps(function)
    async def test(*fixtures, **named):
        loop = asyncio._get_running_loop()
        if loop is None:
            asyncio.run(function(*fixtures, **named))
        else:
            await Deferred.fromFuture(loop.create_task(function(*fixtures, **named)))

    return test
