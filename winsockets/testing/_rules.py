"""How the contract kits go through their rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from winsockets.sockets._link import global_reactor
from winsockets.streams import InputStream, OutputStream

__all__ = ["DATA", "MakeInput", "MakePair", "Rule", "expect", "fails", "go_through", "read_all", "refuses"]

_E = TypeVar("_E", bound=BaseException)
_M = TypeVar("_M")

Rule = Callable[[_M], Coroutine[Any, Any, None]]
MakeInput = Callable[[bytes], AbstractAsyncContextManager[InputStream]]
MakePair = Callable[[], AbstractAsyncContextManager[tuple[OutputStream, InputStream]]]

DATA = b"".join(number.to_bytes(2, "big") for number in range(512))
"""A kilobyte in which every place can be told from every other."""


def expect(condition: bool, said: str) -> None:
    """Say what is wrong, unless nothing is.

    Raises:
        AssertionError: the condition is false.
    """
    if not condition:
        raise AssertionError(said)


def refuses(kind: type[BaseException], what: str, call: Callable[..., object], *arguments: object) -> None:
    """Make a call that has to raise.

    Raises:
        AssertionError: it did not, or raised something else.
    """
    try:
        call(*arguments)
    except kind:
        return
    except Exception as problem:
        raise AssertionError(f"{what} raised {problem!r} and not {kind.__name__}") from problem
    raise AssertionError(f"{what} did not raise {kind.__name__}")


async def fails(kind: type[_E], what: str, waiting: Awaitable[object]) -> _E:
    """Wait for what has to fail, and return how it did.

    Raises:
        AssertionError: it did not, or failed otherwise.
    """
    try:
        outcome = await waiting
    except kind as problem:
        return problem
    except Exception as problem:
        raise AssertionError(f"{what} failed with {problem!r} and not {kind.__name__}") from problem
    raise AssertionError(f"{what} gave {outcome!r} and did not fail with {kind.__name__}")


async def read_all(stream: InputStream) -> bytes:
    """Read to the end."""
    pieces = []
    while piece := await stream.read():
        pieces.append(piece)
    return b"".join(pieces)


async def go_through(rules: Sequence[Rule[_M]], make: _M, timeout: float, reactor: Any) -> None:
    """Hold what ``make`` makes to each rule, with the name of the rule in front of what is wrong.

    Raises:
        AssertionError: a rule is broken, something else was raised, or nothing happened for too long.
    """
    reactor = global_reactor(reactor)
    for rule in rules:
        name = rule.__name__.replace("_", " ")

        def too_late(_: object, seconds: float, name: str = name) -> None:
            raise AssertionError(f"{name}: it took longer than {seconds:g} s")

        try:
            await Deferred.fromCoroutine(rule(make)).addTimeout(timeout, reactor, too_late)
        except AssertionError as problem:
            if str(problem).startswith(f"{name}: "):
                raise
            raise AssertionError(f"{name}: {problem}") from problem
        except Exception as problem:
            raise AssertionError(f"{name}: raised {problem!r}") from problem
