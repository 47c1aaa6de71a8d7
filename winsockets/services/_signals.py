"""Signals: what they do to a server under twistd."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from winsockets.sockets._link import global_reactor

__all__ = ["Signals"]

_log = Logger(namespace="winsockets.echo")

_STOPPING = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
}


class Signals(Service):
    """Lets no signal end the process before the service has stopped in good order.

    Until the reactor runs they are held back. twistd writes its pid file, starts the services, tells whoever
    started it that all is well, and only then runs the reactor, which takes care of signals: a script that
    starts a daemon and stops it at once would end it on the spot and leave the pid file. Where the system
    cannot hold signals back (Windows), they are not.

    SIGHUP makes a server with something to reload do that, also while the reactor stops and where it was
    ignored (nohup): it does not end the process. For any other server it means that its terminal was closed,
    and stops the reactor as SIGTERM does; where it was ignored, it stays so. While the reactor stops, a
    further signal that stops it asks for haste.

    For a process that runs the reactor once and does nothing else.

    Args:
        hurry: called in the reactor's thread when a signal comes while the reactor stops.
        reload: called in the reactor's thread for SIGHUP; None if there is nothing to reload.
        reactor: an IReactorCore and IReactorFromThreads; the installed one when left out.

    Source: pthread_sigmask(3), signal(7).
    """

    def __init__(
        self,
        hurry: Callable[[], None],
        *,
        reload: Callable[[], None] | None = None,
        reactor: Any = None,
    ) -> None:
        self._hurry = hurry
        self._reload = reload
        self._reactor: Any = global_reactor(reactor)

    def privilegedStartService(self) -> None:
        """Hold them back."""
        super().privilegedStartService()
        mask = None
        if hasattr(signal, "pthread_sigmask"):
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        self._reactor.callWhenRunning(self._running, mask)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stopping)

    def _running(self, mask: set[signal.Signals] | None) -> None:
        if hasattr(signal, "SIGHUP"):
            if self._reload is not None:
                signal.signal(signal.SIGHUP, self._hang_up)
            elif signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                signal.signal(signal.SIGHUP, self._stop)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        _log.info("Received {name}, shutting down.", name=signal.Signals(number).name)
        self._reactor.callFromThread(self._reactor.stop)

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._reload)

    def _stopping(self) -> None:
        for number in _STOPPING:
            if signal.getsignal(number) not in (signal.SIG_IGN, self._hang_up):
                signal.signal(number, self._again)

    def _again(self, number: int, frame: FrameType | None) -> None:
        _log.info("Received {name} while shutting down: no more waiting.", name=signal.Signals(number).name)
        self._reactor.callFromThread(self._hurry)
