"""Waiting for several lookups at once, and not for ever for the slowest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

__all__ = ["gather"]

_T = TypeVar("_T")


def gather(
    lookups: Sequence[Deferred[_T]], *, found: Callable[[_T], bool], wait: float, reactor: Any
) -> Deferred[list[_T | Failure]]:
    """Wait for all lookups; once one has found something, only so much longer for the others.

    Args:
        lookups: what to wait for, at least one. They belong to this call.
        found: tells whether a result is something found.
        wait: seconds.
        reactor: an IReactorTime.

    Returns:
        A Deferred of what each came to; a Failure of CancelledError for one that was late. Cancelling it
        cancels them all.
    """
    outcomes: dict[int, _T | Failure] = {}
    late: list[IDelayedCall] = []

    def cancel_all() -> None:
        for lookup in lookups:
            lookup.cancel()

    def cancel(outcome: Deferred[list[_T | Failure]]) -> None:
        outcome.errback(CancelledError())
        cancel_all()

    def note(result: _T | Failure, index: int) -> None:
        outcomes[index] = result
        if len(outcomes) == len(lookups):
            if late and late[0].active():
                late[0].cancel()
            if not done.called:
                done.callback([outcomes[place] for place in range(len(lookups))])
        elif not late and not isinstance(result, Failure) and found(result):
            late.append(reactor.callLater(wait, cancel_all))

    done: Deferred[list[_T | Failure]] = Deferred(cancel)
    for index, lookup in enumerate(lookups):
        lookup.addBoth(note, index)
    return done
