"""How the kits go through their rules, and what they say when one is broken."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from winsockets import AsyncOperation, MemoryInputStream
from winsockets.testing._rules import expect, fails, go_through, read_all, refuses


async def nothing_is_wrong(make):
    """A rule that is kept."""
    make.append("first")


async def something_is_wrong(make):
    """A rule that is broken."""
    make.append("second")
    expect(1 + 1 == 3, "it is 2")


async def it_fails(make):
    """A rule that raises something of its own."""
    raise KeyError("unexpected")


async def it_never_ends(make):
    """A rule that waits."""
    await Deferred()


def raising(problem):
    """A function that raises it."""

    def call(*arguments):
        raise problem

    return call


async def outcome(waiting):
    """What an awaitable gives or raises."""
    try:
        return await waiting
    except AssertionError as problem:
        return str(problem)


@pytest_twisted.ensureDeferred
async def test_rules_are_gone_through_in_order_up_to_the_first_that_is_broken():
    """The message begins with the rule."""
    made = []
    said = await outcome(go_through([nothing_is_wrong, something_is_wrong, it_fails], made, 10.0, None))
    assert said == "something is wrong: it is 2"
    assert made == ["first", "second"]


@pytest_twisted.ensureDeferred
async def test_an_unexpected_error_breaks_a_rule_too():
    """It is the cause."""
    with pytest.raises(AssertionError, match=r"^it fails: raised KeyError") as raised:
        await go_through([it_fails], None, 10.0, None)
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_rule_that_does_not_end_is_broken_by_time():
    """The time is the given reactor's, and none of it stays scheduled."""
    clock = Clock()
    going = ensureDeferred(go_through([nothing_is_wrong, it_never_ends], [], 5.0, clock))
    clock.advance(4.9)
    assert not going.called
    clock.advance(0.2)
    assert str(going.result.value) == "it never ends: it took longer than 5 s"
    going.addErrback(lambda _: None)
    assert clock.getDelayedCalls() == []


def test_a_call_that_has_to_raise():
    """The right error passes; no error and another one do not."""
    refuses(ValueError, "it", raising(ValueError()), 1)
    with pytest.raises(AssertionError, match="it did not raise ValueError"):
        refuses(ValueError, "it", str)
    with pytest.raises(AssertionError, match=r"it raised KeyError.* and not ValueError"):
        refuses(ValueError, "it", raising(KeyError("x")))


@pytest_twisted.ensureDeferred
async def test_an_operation_that_has_to_fail():
    """The right error is returned; a result and another error do not pass."""
    problem = ValueError("right")
    assert await fails(ValueError, "it", AsyncOperation.from_error(problem)) is problem
    assert await outcome(fails(ValueError, "it", AsyncOperation.from_result(7))) == (
        "it gave 7 and did not fail with ValueError"
    )
    said = await outcome(fails(ValueError, "it", AsyncOperation.from_error(KeyError("x"))))
    assert said == "it failed with KeyError('x') and not ValueError"


@pytest_twisted.ensureDeferred
async def test_read_all_reads_to_the_end():
    """In pieces of any size."""
    assert await read_all(MemoryInputStream(bytes(200_000))) == bytes(200_000)
