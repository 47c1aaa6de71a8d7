"""Coroutines that run by themselves."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from winsockets.errors import OperationCanceledError
from winsockets.foundation import AsyncOperation
from winsockets.foundation._running import run_coroutine

_variable: ContextVar[str] = ContextVar("variable", default="unset")


def never(*arguments: object) -> None:
    """What must not be called."""
    raise AssertionError(arguments)


async def gather(source, seen):
    """Note what was awaited."""
    seen.append(await source)


@pytest.mark.parametrize("kind", [Deferred, AsyncOperation])
def test_it_goes_on_with_the_result_of_what_it_awaited(kind):
    """At once, when that ends."""
    seen: list[object] = []
    source = kind()
    run_coroutine(gather(source, seen), never)
    assert seen == []
    source.callback("there")
    assert seen == ["there"]


@pytest.mark.parametrize("kind", [Deferred, AsyncOperation])
def test_it_goes_on_with_the_failure_of_what_it_awaited(kind):
    """Which nobody logs then: the coroutine was told."""
    seen: list[object] = []
    source = kind()

    async def coroutine():
        with pytest.raises(KeyError, match="lost"):
            await source
        seen.append("on")

    run_coroutine(coroutine(), never)
    source.errback(KeyError("lost"))
    assert seen == ["on"]


def test_what_it_raises_is_told_with_the_arguments():
    """Before the first pause and after it, with the traceback."""
    told: list[object] = []
    source: AsyncOperation[None] = AsyncOperation()

    async def coroutine(first):
        await first
        raise KeyError("wrong")

    def failed(failure, *arguments):
        told.append((failure.type, failure.getTracebackObject() is not None, *arguments))

    run_coroutine(coroutine(succeed(None)), failed, "at once")
    run_coroutine(coroutine(source), failed, "late", 2)
    assert told == [(KeyError, True, "at once")]
    source.callback(None)
    assert told[1:] == [(KeyError, True, "late", 2)]


def test_a_cancellation_goes_into_it():
    """As the exception that the operation ends with."""
    source: AsyncOperation[None] = AsyncOperation()
    told: list[object] = []
    run_coroutine(gather(source, []), lambda failure: told.append(failure.type))
    source.cancel()
    assert told == [OperationCanceledError]


def test_thousands_of_awaits_that_need_not_wait_take_no_stack():
    """Whatever their kind, and also when a callback ends them only while they are attached to."""
    seen: list[int] = []

    async def coroutine():
        for number in range(3_000):
            seen.append(await AsyncOperation.from_result(number))
            seen.append(await succeed(number))
            paused: Deferred[int] = Deferred()
            paused.addCallback(succeed)
            paused.callback(number)
            seen.append(await paused)
            with pytest.raises(KeyError):
                await fail(KeyError(number))

    run_coroutine(coroutine(), never)
    assert len(seen) == 9_000


def test_two_may_wait_for_the_same_operation():
    """Both get its result, and so does whoever asks later."""
    seen: list[object] = []
    source: AsyncOperation[str] = AsyncOperation()
    run_coroutine(gather(source, seen), never)
    run_coroutine(gather(source, seen), never)
    source.callback("shared")
    run_coroutine(gather(source, seen), never)
    assert seen == ["shared"] * 3


def test_an_operation_that_is_held_up_holds_it_up():
    """``pause()`` stops what was attached before too."""
    seen: list[object] = []
    source: AsyncOperation[str] = AsyncOperation()
    run_coroutine(gather(source, seen), never)
    source.pause()
    source.callback("held")
    assert seen == []
    source.unpause()
    assert seen == ["held"]


def test_it_has_a_context_of_its_own():
    """What it sets is there after a pause, and nowhere else."""
    seen: list[str] = []
    source: AsyncOperation[None] = AsyncOperation()

    async def coroutine():
        _variable.set("mine")
        await source
        seen.append(_variable.get())

    run_coroutine(coroutine(), never)
    assert _variable.get() == "unset"
    source.callback(None)
    assert seen == ["mine"]


def test_what_belongs_to_another_framework_says_so():
    """A future of asyncio's finds out that no task awaits it."""
    told: list[object] = []
    loop = asyncio.new_event_loop()
    try:
        run_coroutine(gather(loop.create_future(), []), lambda failure: told.append(failure.type))
    finally:
        loop.close()
    assert told == [RuntimeError]
