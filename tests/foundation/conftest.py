"""What the tests of the ground floor share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from twisted.logger import LogEvent, eventAsText, globalLogPublisher


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
