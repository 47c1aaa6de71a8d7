"""HeldSignals: no signal between the start of a service and the start of the reactor."""

from __future__ import annotations

import signal
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorCore

from winsockets.sockets._link import global_reactor

__all__ = ["HeldSignals"]


class HeldSignals(Service):
    """Holds SIGTERM and SIGINT back until the reactor runs.

    twistd writes its pid file, starts the services, tells whoever started it that all is well, and only then
    runs the reactor, which takes care of signals. One that comes in between ends the process on the spot
    and leaves the pid file: a script that starts a daemon and stops it at once gets there. Held back, it is
    delivered as soon as the reactor stops the services in good order.

    For a process that is about to run the reactor and does nothing else; where the system cannot hold
    signals back (Windows) it does nothing.

    Args:
        reactor: an IReactorCore; the installed one when left out.

    Source: pthread_sigmask(3).
    """

    def __init__(self, *, reactor: Any = None) -> None:
        self._reactor: IReactorCore = global_reactor(reactor)

    if hasattr(signal, "pthread_sigmask"):

        def privilegedStartService(self) -> None:
            """Hold them back."""
            super().privilegedStartService()
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
            self._reactor.callWhenRunning(signal.pthread_sigmask, signal.SIG_SETMASK, before)
