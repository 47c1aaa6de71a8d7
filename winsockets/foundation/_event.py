"""Events and deferrals."""

from __future__ import annotations

from asyncio import isfuture
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from itertools import count
from types import CoroutineType, TracebackType
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import IllegalMethodCallError
from winsockets.foundation._interfaces import IClosable
from winsockets.foundation._running import run_coroutine

__all__ = ["Deferral", "Event", "EventRegistrationToken", "call_handler"]

_S = TypeVar("_S")
_A = TypeVar("_A")
_log = Logger(namespace="winsockets")
_tokens = count(1)


class EventRegistrationToken(int):
    """What ``add_x`` returns and ``remove_x`` takes. Source: WinRT EventRegistrationToken."""

    __slots__ = ()


def call_handler(
    name: str,
    handler: Callable[[_S, _A], object],
    sender: _S,
    args: _A,
    on_failure: Callable[[_A], None] | None = None,
) -> None:
    """Call a handler of the program; its failure, now or later, is logged under ``name`` and goes no further.

    Args:
        name: what the log calls it.
        handler: a function or a coroutine function.
        sender: its first argument.
        args: its second argument.
        on_failure: called with the args after the failure was logged.
    """
    try:
        outcome = handler(sender, args)
    except Exception:
        _failed(Failure(), name, args, on_failure)
    else:
        if outcome is not None:
            _see_through(outcome, name, args, on_failure)


def _see_through(outcome: object, name: str, args: Any, on_failure: Callable[[Any], None] | None) -> None:
    """Run what a handler returned, if it can be awaited."""
    if isinstance(outcome, CoroutineType):
        run_coroutine(outcome, _failed, name, args, on_failure)
    elif isawaitable(outcome):
        _follow(outcome).addErrback(_failed, name, args, on_failure)


def _failed(failure: Failure, name: str, args: Any, on_failure: Callable[[Any], None] | None) -> None:
    # An error that needs no report, or has had one, brings none for each handler that it ends.
    if "_reported" not in vars(failure.value):
        _log.failure("A handler of {event} failed for {args}", failure=failure, event=name, args=args)
    if on_failure is not None:
        on_failure(args)


def _follow(outcome: Awaitable[object]) -> Deferred[Any]:
    if isinstance(outcome, Deferred):
        return outcome
    if isfuture(outcome):
        return Deferred.fromFuture(outcome)

    async def finish() -> None:
        await outcome

    return Deferred.fromCoroutine(finish())


class Event(Generic[_S, _A]):
    """The handlers of one event of one object, called in the order of attaching.

    A handler is a function or a coroutine function of (sender, args), called in the reactor's thread. A
    coroutine does not delay the next handler or the next event. It awaits Deferreds and operations, as
    everywhere in Twisted; what is asyncio's it awaits through ``Deferred.fromFuture``. An exception in a
    handler is logged with the event and its traceback, and does not reach the others.

    A handler attached while the event is on its way is called from the next one on; one removed meanwhile
    is still called for this one.

    Args:
        name: what the log calls the event.
        guard: called before a handler is attached; raises when it is too late.
        on_failure: called with the args after a handler failed.
    """

    __slots__ = ("_guard", "_handlers", "_name", "_on_failure")

    def __init__(
        self,
        name: str,
        guard: Callable[[], None] | None = None,
        on_failure: Callable[[_A], None] | None = None,
    ) -> None:
        self._name = name
        self._guard = guard
        self._on_failure = on_failure
        # Replaced, never changed, so that a handler may attach and remove while an event is on its way.
        self._handlers: tuple[tuple[EventRegistrationToken, Callable[[_S, _A], object]], ...] = ()

    def add(self, handler: Callable[[_S, _A], object]) -> EventRegistrationToken:
        """Attach a handler and return the token that removes it.

        Raises:
            TypeError: the handler cannot be called.
            IllegalMethodCallError: the object does not take handlers any more.
        """
        if not callable(handler):
            raise TypeError(f"{self._name}: {handler!r} is not callable; a handler takes (sender, args)")
        if self._guard is not None:
            self._guard()
        token = EventRegistrationToken(next(_tokens))
        self._handlers = (*self._handlers, (token, handler))
        return token

    def remove(self, token: EventRegistrationToken) -> None:
        """Detach the handler of a token; an unknown token is ignored."""
        self._handlers = tuple(entry for entry in self._handlers if entry[0] != token)

    def clear(self) -> None:
        """Detach all handlers."""
        self._handlers = ()

    def __iadd__(self, handler: Callable[[_S, _A], object]) -> Event[_S, _A]:
        """Attach a handler."""
        self.add(handler)
        return self

    def __isub__(self, handler: Callable[[_S, _A], object]) -> Event[_S, _A]:
        """Detach the handler attached last among those equal to this one; an unknown one is ignored."""
        for token, attached in reversed(self._handlers):
            if attached == handler:
                self.remove(token)
                break
        return self

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._handlers)

    def fire(self, sender: _S, args: _A) -> None:
        """Call every handler."""
        for _, handler in self._handlers:
            # As call_handler() does it, in fewer steps: there may be a million datagrams a second.
            try:
                outcome = handler(sender, args)
            except Exception:
                _failed(Failure(), self._name, args, self._on_failure)
            else:
                if outcome is not None:
                    _see_through(outcome, self._name, args, self._on_failure)


@implementer(IClosable)
class Deferral:
    """A promise to call ``complete()`` when work that outlives a handler is done.

    Args:
        handler: called without arguments by the first ``complete()``.

    Raises:
        TypeError: the handler cannot be called.

    Source: WinRT Deferral.
    """

    __slots__ = ("_handler",)

    def __init__(self, handler: Callable[[], object]) -> None:
        if not callable(handler):
            raise TypeError(f"Deferral: {handler!r} is not callable; the handler takes no arguments")
        self._handler: Callable[[], object] | None = handler

    def complete(self) -> None:
        """Say that the work is done.

        Raises:
            IllegalMethodCallError: it was said before.
        """
        if self._handler is None:
            raise IllegalMethodCallError("complete() was called before on this deferral")
        handler, self._handler = self._handler, None
        handler()

    def close(self) -> None:
        """Complete if that has not happened yet."""
        if self._handler is not None:
            self.complete()

    def __enter__(self) -> Deferral:
        """Return the deferral itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
