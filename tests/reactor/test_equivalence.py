"""What a program sees of the poll loop is what it sees of Twisted's."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.python import context, log

from tests.reactor.scripted import ScriptedDescriptor, ScriptedPoller, Step, fail_with
from tests.reactor.turned import turned

epollreactor = pytest.importorskip(
    "twisted.internet.epollreactor", reason="epoll is Linux's", exc_type=ImportError
)
direct_epoll = pytest.importorskip(
    "winsockets.reactor._direct_epoll", reason="epoll is Linux's", exc_type=ImportError
)

NUMBERS = range(1000, 1003)
USUAL = [["EPOLLIN"], ["EPOLLOUT"], ["EPOLLIN", "EPOLLOUT"]]
UNUSUAL = ["EPOLLHUP", "EPOLLERR", "EPOLLPRI", "EPOLLRDHUP"]
RESULTS: dict[str, object] = {
    "nothing": None,
    "done": error.ConnectionDone("it says"),
    "lost": error.ConnectionLost("it says"),
    "an error": ValueError("returned"),
    "a number": -1,
    "zero": 0,
}
ERRORS: dict[str, type[BaseException]] = {
    "an exception": ValueError,
    "done": error.ConnectionDone,
    "an exit": SystemExit,
    "an interrupt": KeyboardInterrupt,
}

results = st.tuples(st.just("return"), st.sampled_from(list(RESULTS)))
errors = st.tuples(st.just("raise"), st.sampled_from(list(ERRORS)))
changes = st.tuples(st.sampled_from(["remove", "replace", "stop writing"]), st.sampled_from(NUMBERS))
plans = st.fixed_dictionaries(
    {"doRead": results | errors | changes, "doWrite": results | errors | changes},
    optional={
        "connectionLost": errors | changes,
        "readConnectionLost": errors | changes,
        "fileno": st.tuples(st.just("number"), st.just(-1)) | errors,
        "logPrefix": st.tuples(st.just("return"), st.just("nothing"))
        | st.tuples(st.just("raise"), st.just("an exception")),
    },
)
descriptors = st.tuples(st.sampled_from(["both", "read", "write"]), plans, st.booleans())
events = st.sampled_from(USUAL) | st.builds(
    list.__add__, st.sampled_from([[], *USUAL]), st.lists(st.sampled_from(UNUSUAL), min_size=1, unique=True)
)
batches = st.lists(st.tuples(st.sampled_from(NUMBERS), events), min_size=1, max_size=6)


class Run:
    """One reactor, the descriptors of a plan, and what is seen of a batch of events."""

    def __init__(self, reactor: Any, planned: dict[int, Any]) -> None:
        self.reactor = reactor
        self.calls: list[tuple[Any, ...]] = []
        reactor._poller = ScriptedPoller()
        for number, (watched, plan, half_closeable) in planned.items():
            descriptor = ScriptedDescriptor(
                f"descriptor {number}", number, self.calls, half_closeable=half_closeable
            )
            if watched != "write":
                reactor.addReader(descriptor)
            if watched != "read":
                reactor.addWriter(descriptor)
            descriptor.steps = {method: self.step(*what) for method, what in plan.items()}

    def step(self, what: str, which: Any) -> Step:
        """A step that a plan describes."""
        if what == "return":
            return lambda: RESULTS[which]
        if what == "raise":
            return fail_with(ERRORS[which]("raised"))
        if what == "number":
            return lambda: which
        return partial(self.change, what, which)

    def change(self, what: str, number: int) -> None:
        """Do something to the descriptor that is under a number now."""
        found = self.reactor._selectables.get(number)
        if found is not None:
            self.reactor.removeWriter(found)
            if what != "stop writing":
                self.reactor.removeReader(found)
        if what == "replace":
            self.reactor.addReader(ScriptedDescriptor(f"the new {number}", number, self.calls))

    def seen(self, batch: list[tuple[int, list[str]]]) -> dict[str, object]:
        """Let the reactor poll once, and tell what came of it."""
        logged: list[dict[str, Any]] = []
        raised: type[BaseException] | None = None
        depth = len(context.theContextTracker.currentContext().contexts)
        self.reactor._poller.batch = [
            (number, sum(getattr(epollreactor.select, name) for name in names)) for number, names in batch
        ]
        log.addObserver(logged.append)
        try:
            context.call({log.ILogContext: {"system": "outside", "extra": 1}}, self.reactor.doIteration, 0)
        except BaseException as problem:
            raised = type(problem)
        finally:
            log.removeObserver(logged.append)
        return {
            "calls": self.calls,
            "logged": [
                (
                    event["message"],
                    event["system"],
                    event["extra"],
                    event["isError"],
                    repr(event["failure"].value) if "failure" in event else None,
                    event["failure"].getTraceback().splitlines()[-3:] if "failure" in event else None,
                )
                for event in logged
            ],
            "raised": raised,
            "reading": sorted(reader.name for reader in self.watched(self.reactor.getReaders())),
            "writing": sorted(writer.name for writer in self.watched(self.reactor.getWriters())),
            "context left behind": len(context.theContextTracker.currentContext().contexts) - depth,
        }

    def watched(self, found: list[Any]) -> list[ScriptedDescriptor]:
        """Those of the plan."""
        return [thing for thing in found if isinstance(thing, ScriptedDescriptor)]


@settings(max_examples=400)
@given(planned=st.fixed_dictionaries(dict.fromkeys(NUMBERS, descriptors)), batch=batches)
def test_a_batch_of_events_does_the_same_on_both_reactors(
    planned: dict[int, Any], batch: list[tuple[int, list[str]]]
) -> None:
    """Calls, their order, log events with their context, disconnections, and what is watched afterwards."""
    with turned(epollreactor.EPollReactor) as twisteds, turned(direct_epoll.DirectEPollReactor) as ours:
        assert Run(ours, planned).seen(batch) == Run(twisteds, planned).seen(batch)
