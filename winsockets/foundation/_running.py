"""Coroutines of the program that run by themselves, moved on by the Deferreds that they await."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Awaited", "run_coroutine"]


def run_coroutine(
    coroutine: CoroutineType[Any, Any, object], failed: Callable[..., object], *arguments: object
) -> None:
    """Run a coroutine that nobody waits for, up to its first pause now, and on from there by itself.

    It awaits what Twisted's coroutines await, and has a context of its own, as they have. For each idle
    connection there is one, and it goes on for each piece that is received: it costs a third of what
    ``Deferred.fromCoroutine`` makes for the sake of a result and of cancelling.

    Args:
        coroutine: not started yet; its result is dropped.
        failed: called with the Failure, then with the arguments, when it raises.
        *arguments: the arguments.

    Source: ``twisted.internet.defer.Deferred.fromCoroutine``.
    """
    _Running(coroutine, failed, arguments).go_on(None)


class Awaited:
    """What a coroutine can wait for without a callback.

    One that waits puts what is to be called with the result into ``_waiter``, if the result is still to come
    and nothing else was attached (``_direct``), and sets ``_attended``. It does so itself: a call for each
    wait would cost as much as the rest.
    """

    called: bool
    _direct: bool
    _waiter: Any
    _attended: bool

    @abstractmethod
    def _wake(self, go_on: Callable[[Any], object]) -> object:
        """Call something with the outcome, in its turn, and keep the outcome for others."""


class _Running:
    __slots__ = ("_arguments", "_attaching", "_early", "_failed", "_run", "_send")

    def __init__(
        self,
        coroutine: CoroutineType[Any, Any, object],
        failed: Callable[..., object],
        arguments: tuple[object, ...],
    ) -> None:
        self._run = copy_context().run
        self._send: Any = coroutine.send
        self._failed = failed
        self._arguments = arguments
        self._attaching = False
        # What came while waiting for it had only begun.
        self._early: object = None

    def go_on(self, result: object) -> None:
        """Give the coroutine what it waited for, a result or a Failure, and let it run to the next pause."""
        if self._attaching:
            self._attaching = False
            self._early = result
            return
        while True:
            try:
                if isinstance(result, Failure):
                    awaited: Any = self._run(result.throwExceptionIntoGenerator, self._send.__self__)
                else:
                    awaited = self._run(self._send, result)
            except StopIteration:
                return
            except BaseException:
                # As Twisted does: an exit of the process is not for handlers to ask for.
                self._failed(Failure(), *self._arguments)
                return
            if isinstance(awaited, Awaited):
                if awaited._direct and awaited._waiter is None and not awaited.called:
                    awaited._waiter = self.go_on
                    awaited._attended = True
                    return
                attach: Callable[..., object] = awaited._wake
            elif isinstance(awaited, Deferred):
                attach = awaited.addBoth
            else:
                # Something of another framework's, which finds out by itself that it is in the wrong place.
                result = awaited
                continue
            self._attaching = True
            attach(self.go_on)
            if self._attaching:
                self._attaching = False
                return
            result, self._early = self._early, None
