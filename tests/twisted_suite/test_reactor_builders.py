"""Every test that Twisted runs on its epoll reactor, run on ours: taken from the installed Twisted.

Twisted's test modules make a case of each of their builders for each reactor, and name it
``<builder>_<reactor>Tests``. Those for the epoll reactor say which builders there are.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from twisted.internet import test
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SkipTest, SynchronousTestCase

OURS = "winsockets.reactor._direct_epoll.DirectEPollReactor"
SECONDS_FOR_A_TEST = 30
_OF_EPOLL = "_EPollReactorTests"


def _others_may_run(program: Path) -> bool:
    """Can a user without rights of his own get to a program?"""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (program, *program.parents))


_NOT_HERE = {
    "test_lostFileDescriptor": "epoll cannot tell; Twisted skips this by its own reactor's name",
}
if os.name == "posix" and os.getuid() == 0 and not _others_may_run(Path(sys.executable).resolve()):
    _NOT_HERE["test_changeUID"] = "this interpreter is in a folder that only its owner may enter"


def _skip(reason: str) -> Callable[[Any], None]:
    def skipped(self: Any) -> None:
        raise SkipTest(reason)

    return skipped


def _builders() -> Iterator[type[ReactorBuilder]]:
    """The builders that Twisted uses on its epoll reactor, wherever it is itself that runs."""
    for module in iter_modules(test.__path__, f"{test.__name__}."):
        if ".test_" in module.name:
            names = vars(import_module(module.name))
            yield from [names[name.removesuffix(_OF_EPOLL)] for name in names if name.endswith(_OF_EPOLL)]


def _cases() -> dict[str, type[Any]]:
    """A case for each builder, on our reactor, by name."""
    cases: dict[str, type[Any]] = {}
    for builder in _builders():
        changed = {name: _skip(reason) for name, reason in _NOT_HERE.items() if hasattr(builder, name)}
        own = {"__module__": __name__, "_reactors": [OURS], "timeout": SECONDS_FOR_A_TEST}
        cases |= type(builder.__name__, (builder,), own | changed).makeTestCaseClasses()
    return cases


_CASES = _cases()
globals().update(_CASES)


class TheSuiteItself(SynchronousTestCase):
    """Without this, a new way of naming cases in Twisted would end in no tests, and so in success."""

    def test_it_has_cases_for_what_the_reactor_provides(self) -> None:
        """Descriptors, times, threads, processes, TCP, UDP, TLS and Unix sockets are all among them."""
        names = " ".join(_CASES)
        for subject in ("FDSet", "Time", "Thread", "Process", "TCP", "UDP", "TLS", "UNIX", "SystemEvent"):
            self.assertIn(subject, names)
