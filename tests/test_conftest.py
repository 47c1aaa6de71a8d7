"""The suite's own foundations: its reactor, the checks after a test, programs that may be missing."""

from __future__ import annotations

import select
import signal
import sys
from pathlib import Path

import pytest

import winsockets

CONFTEST = Path(__file__).with_name("conftest.py")
WITH_EPOLL = pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")

LEAVES_A_DELAYED_CALL = """
    def test_leaves_a_delayed_call():
        from twisted.internet import reactor
        reactor.callLater(1000, print)

    def test_after_it():
        pass
"""

LEAVES_A_PORT = """
    def test_leaves_a_port():
        from twisted.internet import protocol, reactor
        reactor.listenTCP(0, protocol.ServerFactory(), interface="127.0.0.1")

    def test_after_it():
        pass
"""

LEAVES_AS_IT_GOES = """
    import pytest_twisted
    from twisted.internet import defer, protocol, reactor

    @pytest_twisted.ensureDeferred
    async def test_does_not_wait_until_its_port_is_closed():
        port = reactor.listenTCP(0, protocol.ServerFactory(), interface="127.0.0.1")
        port.stopListening()

    def test_lets_a_call_run_a_moment_later():
        reactor.callLater(0.01, lambda: None)
"""

STANDS_ON_A_LONGER_LIVED_PORT = """
    import pytest

    @pytest.fixture(scope="module")
    def port():
        from twisted.internet import protocol, reactor
        port = reactor.listenTCP(0, protocol.ServerFactory(), interface="127.0.0.1")
        yield port
        port.stopListening()

    def test_uses_it(port):
        pass
"""

FAILS_ONCE = """
    tries = []

    def test_fails_once():
        tries.append(None)
        assert len(tries) == 2
"""

STARTS_A_PROGRAM = """
    import subprocess, sys

    def test_starts_a_program():
        program = "import signal; print([signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT)])"
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert "SIG_IGN" not in said.stdout
"""

IN_THE_BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "pytest"])
"""

NEEDS_A_PROGRAM = """
    def test_needs_it(require_program):
        require_program("no-such-program")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite of its own with this suite's conftest, run in processes of its own."""
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    monkeypatch.setenv("PYTHONPATH", str(Path(winsockets.__file__).parents[1]))
    monkeypatch.delenv("CI", raising=False)
    return pytester


@pytest.mark.parametrize(
    ("test", "what"),
    [
        (LEAVES_A_DELAYED_CALL, "*left in the reactor: *DelayedCall*"),
        (LEAVES_A_PORT, "*left in the reactor: *Port*"),
    ],
)
def test_something_left_in_the_reactor_fails_that_test_alone(
    suite: pytest.Pytester, test: str, what: str
) -> None:
    """The test that leaves something behind is named, with what it left; the next one starts clean."""
    suite.makepyfile(test)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([what])


@pytest.mark.parametrize(("machine", "outcomes"), [("", {"failed": 1}), ("CI", {"passed": 1, "rerun": 1})])
def test_on_an_integration_machine_a_failed_test_is_tried_once_more(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, machine: str, outcomes: dict[str, int]
) -> None:
    """And named in the summary; elsewhere it fails."""
    if machine:
        monkeypatch.setenv(machine, "true")
    suite.makepyfile(FAILS_ONCE)
    result = suite.runpytest_subprocess("-raR")
    assert result.parseoutcomes() == outcomes
    result.stdout.fnmatch_lines([f"{'RERUN' if machine else 'FAILED'} *::test_fails_once*"])


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs POSIX signals")
def test_programs_that_tests_start_can_be_interrupted_even_where_the_run_cannot(
    suite: pytest.Pytester,
) -> None:
    """As under nohup, or behind a shell's "&" in a script."""
    suite.makepyfile(STARTS_A_PROGRAM)
    assert suite.run(sys.executable, "-c", IN_THE_BACKGROUND).ret == 0


@pytest.mark.parametrize("test", [LEAVES_AS_IT_GOES, STANDS_ON_A_LONGER_LIVED_PORT])
def test_what_goes_by_itself_or_belongs_to_a_longer_scope_is_no_fault(
    suite: pytest.Pytester, test: str
) -> None:
    """Closing takes turns of the reactor, and a module's port outlives a test."""
    suite.makepyfile(test)
    result = suite.runpytest_subprocess()
    assert result.ret == 0
    assert "errors" not in result.parseoutcomes()


@pytest.mark.parametrize(
    ("option", "reactor"),
    [
        ("poll", "PollReactor"),
        ("select", "SelectReactor"),
        ("asyncio", "AsyncioSelectorReactor"),
        pytest.param("epoll", "EPollReactor", marks=WITH_EPOLL),
        pytest.param("winsockets", "DirectEPollReactor", marks=WITH_EPOLL),
    ],
)
def test_the_option_chooses_the_reactor(suite: pytest.Pytester, option: str, reactor: str) -> None:
    """What ``--on-reactor`` names is the reactor that tests see and that turns."""
    suite.makepyfile(f"""
        import pytest_twisted
        from twisted.internet.task import deferLater

        @pytest_twisted.ensureDeferred
        async def test_the_reactor():
            from twisted.internet import reactor
            await deferLater(reactor, 0)
            assert type(reactor).__name__ == {reactor!r}
    """)
    result = suite.runpytest_subprocess(f"--on-reactor={option}", "-Werror")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"reactor: {reactor}", "open descriptors: *"])


def test_a_missing_program_is_a_skip_with_a_reason_at_home(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contributor without the program sees what is missing."""
    monkeypatch.delenv("CI", raising=False)
    suite.makepyfile(NEEDS_A_PROGRAM)
    result = suite.runpytest_subprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs the program no-such-program*"])


def test_a_missing_program_is_a_failure_on_an_integration_machine(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is skipped unseen where nobody looks."""
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(NEEDS_A_PROGRAM)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*needs the program no-such-program*"])
