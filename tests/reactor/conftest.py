"""A reactor that does not run: each test turns it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.python import log

from tests.reactor.turned import turned


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A reactor of ours, beside the one that runs the tests."""
    module = pytest.importorskip(
        "winsockets.reactor._direct_epoll", reason="epoll is Linux's", exc_type=ImportError
    )
    with turned(module.DirectEPollReactor) as reactor:
        yield reactor


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """What is logged during the test."""
    events: list[dict[str, Any]] = []
    log.addObserver(events.append)
    yield events
    log.removeObserver(events.append)
