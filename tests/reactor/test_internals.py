"""What the poll loop leans on inside Twisted: when one of these fails, compare it with Twisted's own again.

`test_equivalence.py` then tells whether a program sees a difference.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from twisted.internet import posixbase
from twisted.python import context, log

epollreactor = pytest.importorskip(
    "twisted.internet.epollreactor", reason="epoll is Linux's", exc_type=ImportError
)
direct_epoll = pytest.importorskip(
    "winsockets.reactor._direct_epoll", reason="epoll is Linux's", exc_type=ImportError
)


@pytest.mark.parametrize("attribute", ["_poller", "_selectables", "_reads", "_writes", "_internalReaders"])
def test_the_reactor_keeps_its_state_where_it_did(reactor: Any, attribute: str) -> None:
    """The attributes that the loop and these tests use are there."""
    assert hasattr(reactor, attribute)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_doReadOrWrite", ["self", "selectable", "fd", "event"]),
        ("_disconnectSelectable", ["self", "selectable", "why", "isRead"]),
        ("doPoll", ["self", "timeout"]),
    ],
)
def test_the_methods_take_what_they_took(method: str, parameters: list[str]) -> None:
    """The parts that the loop calls, and the one that it replaces."""
    signature = inspect.signature(getattr(epollreactor.EPollReactor, method))
    assert list(signature.parameters)[: len(parameters)] == parameters


def test_the_main_loop_calls_the_poll_loop_by_the_name_that_is_replaced() -> None:
    """ReactorBase.mainLoop calls doIteration, which is doPoll in both classes."""
    for kind in (epollreactor.EPollReactor, direct_epoll.DirectEPollReactor):
        assert kind.doIteration is kind.doPoll
    assert direct_epoll.DirectEPollReactor.doPoll is not epollreactor.EPollReactor.doPoll


def test_descriptors_are_found_by_their_numbers(reactor: Any) -> None:
    """The waker, a descriptor that every reactor has, is among them."""
    assert reactor._selectables[reactor.waker.fileno()] is reactor.waker
    assert reactor.waker.fileno() in reactor._reads


def test_there_is_a_reason_for_descriptors_without_a_number() -> None:
    """The one that Twisted disconnects them with."""
    assert isinstance(posixbase._NO_FILEDESC, Exception)


def test_the_innermost_context_is_the_last_of_a_list() -> None:
    """What is pushed there is what `get` finds, and log events take it from `ILogContext`."""
    contexts = context.theContextTracker.currentContext().contexts
    assert isinstance(contexts, list)
    contexts.append({log.ILogContext: {"system": "pushed"}})
    try:
        assert context.get(log.ILogContext) == {"system": "pushed"}
    finally:
        contexts.pop()
