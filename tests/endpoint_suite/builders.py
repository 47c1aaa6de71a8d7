"""Cases from Twisted's builders, for each reactor, with our transports in the place of Twisted's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from endpoint_suite.reactor_tcp import offer_tcp
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SkipTest

REACTORS = {
    "EPollReactor": "twisted.internet.epollreactor",
    "PollReactor": "twisted.internet.pollreactor",
    "SelectReactor": "twisted.internet.selectreactor",
    "AsyncioSelectorReactor": "twisted.internet.test.reactormixins",
    "DirectEPollReactor": "winsockets.reactor._direct_epoll",
}
SECONDS_FOR_A_TEST = 30


def _skip(reason: str) -> Callable[[Any], None]:
    def skipped(self: Any) -> None:
        raise SkipTest(reason)

    return skipped


def make_cases(
    builder: type[ReactorBuilder], module: str, others: Mapping[str, str], **own: Any
) -> dict[str, type[Any]]:
    """Make a case of a builder for each reactor, whose TCP is ours.

    Args:
        builder: what Twisted makes its own cases of.
        module: where the cases stand.
        others: tests that cannot hold for our transports, and why.
        own: attributes in place of the builder's.

    Returns:
        The cases by name.
    """

    def build(self: Any) -> Any:
        reactor = builder.buildReactor(self)
        offer_tcp(reactor)
        return reactor

    names = [f"{place}.{name}" for name, place in REACTORS.items()]
    skipped = {name: _skip(reason) for name, reason in others.items() if hasattr(builder, name)}
    body = {"_reactors": names, "buildReactor": build, "timeout": SECONDS_FOR_A_TEST, **skipped, **own}
    return type(builder.__name__, (builder,), {"__module__": module, **body}).makeTestCaseClasses()
