"""What every test stands on: the reactor it runs on, and the checks that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet import default
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

# trial runs these: cases as another project has them, and Twisted's own on our reactor and our endpoints
collect_ignore = ["trial_suite", "twisted_suite", "endpoint_suite"]

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), max_examples=50, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

_CLEANING_TURNS = 200
_CLEANING_TURN_SECONDS = 0.005


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the reactors that pytest-twisted's own ``--reactor`` does not know."""
    parser.addoption(
        "--on-reactor",
        choices=("epoll", "poll", "select", "asyncio", "winsockets"),
        help="the reactor to run the tests on, instead of the system's default",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make the chosen reactor the one that pytest-twisted installs."""
    _hand_on_no_ignored_signals()
    if os.environ.get("CI"):
        # What fails is tried once more, and the summary says so: machines there are shared, and this is the
        # network of a whole process. At home a test that fails now and then is to be seen.
        config.option.reruns = 1
    name = config.getoption("on_reactor")
    if name == "asyncio":
        config.option.reactor = name
    elif name == "winsockets":
        # pytest-twisted takes the reactor that is there if it is one of the default's class, as this is
        import_module("winsockets.reactor").install()
    elif name is not None:
        default.install = import_module(f"twisted.internet.{name}reactor").install


def _hand_on_no_ignored_signals() -> None:
    """Let the programs that tests start be ended by signals that this process was told to ignore.

    A process that nohup or a script has put in the background ignores them, and so does what it starts,
    unless it has a handler of its own; this one does nothing, so that the run still goes on.
    """
    for name in ("SIGHUP", "SIGINT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_report_header() -> str:
    """Say on which reactor the tests run."""
    from twisted.internet import reactor

    return f"reactor: {type(reactor).__name__}"


def _held(reactor: Any) -> dict[int, Any]:
    """Everything that keeps the reactor busy on behalf of somebody, by identity."""
    busy = [*reactor.getReaders(), *reactor.getWriters(), *reactor.getDelayedCalls()]
    own = {id(reader) for reader in getattr(reactor, "_internalReaders", ())}
    return {id(thing): thing for thing in busy if id(thing) not in own}


@pytest.fixture(autouse=True)
def clean_reactor() -> Iterator[None]:
    """Fail a test that leaves descriptors or delayed calls in the reactor.

    What is on its way out gets a bounded number of turns to go. What is still there then is taken out, so
    that the next test is not blamed for it.
    """
    from twisted.internet import reactor

    before = _held(reactor)
    yield
    for _ in range(_CLEANING_TURNS):
        left = [thing for key, thing in _held(reactor).items() if key not in before]
        if not left:
            return
        pytest_twisted.blockon(deferLater(reactor, _CLEANING_TURN_SECONDS))
    for thing in left:
        if hasattr(thing, "cancel"):
            thing.cancel()
        else:
            reactor.removeReader(thing)
            reactor.removeWriter(thing)
    pytest.fail("the test left in the reactor: " + ", ".join(map(repr, left)), pytrace=False)


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """A function that gives the path of a program, and ends the test when the system does not have it.

    On a continuous-integration machine (CI is set) that is a failure, elsewhere a skip.
    """

    def require(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            end = pytest.fail if os.environ.get("CI") else pytest.skip
            end(f"this test needs the program {name}, which is not installed")
        return path

    return require


def _open_descriptors() -> int | None:
    """How many descriptors the process has open, where the system tells."""
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else None


_DESCRIPTORS_AT_START = pytest.StashKey[int | None]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note the open descriptors, once the reactor runs and has its own, for the comparison at the end."""
    from twisted.internet import reactor

    pytest_twisted.blockon(deferLater(reactor, 0))
    # With its first port Twisted takes a descriptor that it keeps in reserve.
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    pytest_twisted.blockon(maybeDeferred(port.stopListening))
    session.config.stash[_DESCRIPTORS_AT_START] = _open_descriptors()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say whether descriptors were lost over the whole run."""
    start = config.stash[_DESCRIPTORS_AT_START]
    if start is not None:
        terminalreporter.write_line(
            f"open descriptors: {start} at the start, {_open_descriptors()} at the end"
        )
