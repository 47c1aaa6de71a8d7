"""The reactor of a command: from its start to the exit status, signals included."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["run"]

Main = Callable[[Any], Coroutine[Any, Any, bool]]


def run(main: Main) -> int:
    """Run a coroutine function on the reactor; once in a process, which ends soon after.

    The first SIGINT or SIGTERM cancels the coroutine, the second one ends the process.

    Args:
        main: gets the reactor and says whether it succeeded. Cancelled, it has to end soon. What it writes
            it has to flush.

    Returns:
        0 for success, 1 for none, 128 and the signal's number after a signal.

    Raises:
        Exception: what the coroutine raises.
    """
    running = _Running(main)
    # At once, because a signal may come while the reactor is imported. A shell lets what it runs in the
    # background ignore it, and then it stays ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, running.interrupt)
    from twisted.internet import reactor

    return running.on(reactor)


class _Running:
    """A coroutine on a reactor, from the start of the one to the stop of the other."""

    def __init__(self, main: Main) -> None:
        self._main = main
        self._reactor: Any = None
        self._outcome: Deferred[bool] | None = None
        self._signal = 0
        self._status = 1
        self._failure: Failure | None = None

    def on(self, reactor: Any) -> int:
        """Run the reactor until the coroutine has ended, and return the exit status."""
        self._reactor = reactor
        reactor.callWhenRunning(self._start)
        reactor.run()
        if self._failure is not None:
            self._failure.raiseException()
        return self._status

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: cancel the coroutine, soon."""
        signal.signal(number, signal.SIG_DFL)
        self._signal = number
        if self._reactor is not None:
            self._reactor.callFromThread(self._cancel_if_interrupted)

    def _start(self) -> None:
        # Only now: starting, the reactor set a handler of its own.
        signal.signal(signal.SIGTERM, self.interrupt)
        self._outcome = Deferred.fromCoroutine(self._main(self._reactor))
        self._outcome.addCallbacks(self._succeeded, self._failed)
        self._outcome.addBoth(self._stop)
        self._cancel_if_interrupted()

    def _cancel_if_interrupted(self) -> None:
        if self._signal and self._outcome is not None:
            self._outcome.cancel()

    def _succeeded(self, success: bool) -> None:
        self._status = 0 if success else 1

    def _failed(self, failure: Failure) -> None:
        self._failure = failure

    def _stop(self, _: object) -> None:
        if self._signal:
            self._status = 128 + self._signal
        if self._reactor.getThreadPool().working and self._failure is None:
            # A resolver that does not answer. The reactor would wait for its thread.
            os._exit(self._status)
        self._reactor.stop()
