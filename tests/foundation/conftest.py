"""What the tests of the ground floor share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

T = TypeVar("T")


@pytest.fixture
def logged() -> Iterator[Callable[[], list[tuple[str, BaseException]]]]:
    """A function that gives the failures logged since the start of the test: text with traceback, exception.

    It lets everything go first that nobody refers to, because a failure is reported when its operation goes.
    """
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)

    def failures() -> list[tuple[str, BaseException]]:
        gc.collect()
        return [
            (eventAsText(event, includeTimestamp=False, includeSystem=False), event["log_failure"].value)
            for event in events
            if "log_failure" in event
        ]

    gc.collect()
    events.clear()
    yield failures
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def in_asyncio() -> Callable[[Coroutine[Any, Any, T]], Awaitable[T]]:
    """A coroutine function that runs a coroutine as an asyncio task and returns its result.

    On the reactor's own loop where the suite runs on asyncio, and on a loop of its own elsewhere.
    """

    async def run(coroutine: Coroutine[Any, Any, T]) -> T:
        loop = asyncio._get_running_loop()
        if loop is None:
            return asyncio.run(coroutine)
        return await Deferred.fromFuture(loop.create_task(coroutine))

    return run
