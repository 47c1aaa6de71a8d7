"""Signals: held back until the reactor runs, SIGHUP to reload or as SIGTERM, and a second one for haste."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from winsockets.services._signals import Signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has other signals")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SteppingReactor:
    """A reactor that starts and stops by hand, and notes what its thread is asked to do."""

    def __init__(self) -> None:
        self.when_running: list[Callable[[], None]] = []
        self.at_shutdown: list[Callable[[], None]] = []
        self.said: list[str] = []

    def callWhenRunning(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Keep the call."""
        self.when_running.append(partial(function, *arguments))

    def addSystemEventTrigger(self, phase: str, event: str, function: Callable[[], None]) -> None:
        """Keep the trigger."""
        assert (phase, event) == ("before", "shutdown")
        self.at_shutdown.append(function)

    def callFromThread(self, function: Callable[[], None]) -> None:
        """Do it at once."""
        function()

    def stop(self) -> None:
        """Note it."""
        self.said.append("stop")

    def run(self) -> None:
        """Begin to run."""
        for call in self.when_running:
            call()

    def shut_down(self) -> None:
        """Begin to stop."""
        for call in self.at_shutdown:
            call()


@pytest.fixture
def reactor() -> Iterator[SteppingReactor]:
    """A reactor with signals of its own: its handler notes them, and afterwards all is as it was."""
    made = SteppingReactor()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: made.said.append(signal.Signals(received).name))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield made
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for number, handler in before.items():
            signal.signal(number, handler)


def started(reactor: SteppingReactor, *, reloads: bool = False) -> Signals:
    """The service, as twistd starts it."""
    reload = partial(reactor.said.append, "reload") if reloads else None
    service = Signals(lambda: reactor.said.append("hurry"), reload=reload, reactor=reactor)
    service.privilegedStartService()
    return service


@pytest.mark.parametrize(
    ("number", "effect"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT"), (signal.SIGHUP, "stop")]
)
def test_signals_are_held_back_until_the_reactor_runs(
    reactor: SteppingReactor, number: signal.Signals, effect: str
) -> None:
    """One that comes meanwhile is delivered then: to the reactor, or as a stop of the reactor."""
    started(reactor)
    signal.raise_signal(number)
    assert reactor.said == []
    reactor.run()
    assert reactor.said == [effect]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(SIGNALS)


def test_a_hangup_that_was_ignored_stays_so(reactor: SteppingReactor) -> None:
    """What nohup is for; while the reactor stops, too."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    started(reactor)
    reactor.run()
    signal.raise_signal(signal.SIGHUP)
    reactor.shut_down()
    signal.raise_signal(signal.SIGHUP)
    assert reactor.said == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_reactor_stops_asks_for_haste(
    reactor: SteppingReactor, number: signal.Signals
) -> None:
    """It neither ends the process nor stops the reactor a second time."""
    started(reactor)
    reactor.run()
    reactor.shut_down()
    signal.raise_signal(number)
    assert reactor.said == ["hurry"]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_server_with_something_to_reload_does_that_at_a_hangup(
    reactor: SteppingReactor, before: signal.Handlers
) -> None:
    """Also under nohup, and while it stops: it ends nothing."""
    signal.signal(signal.SIGHUP, before)
    started(reactor, reloads=True)
    if before is signal.SIG_DFL:
        # While it is ignored the system keeps none back.
        signal.raise_signal(signal.SIGHUP)
        assert reactor.said == []
        reactor.run()
        assert reactor.said == ["reload"]
    else:
        reactor.run()
        signal.raise_signal(signal.SIGHUP)
        assert reactor.said == ["reload"]
    reactor.shut_down()
    signal.raise_signal(signal.SIGHUP)
    assert reactor.said == ["reload", "reload"]
    signal.raise_signal(signal.SIGTERM)
    assert reactor.said[-1] == "hurry"
