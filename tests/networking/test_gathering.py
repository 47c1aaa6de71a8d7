"""Waiting for several lookups: for all, or a while longer once one has found something."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from winsockets.networking._gathering import gather


class Gathering:
    """Some lookups under way."""

    def __init__(self, count):
        self.clock = Clock()
        self.lookups = [Deferred() for _ in range(count)]
        self.results = []
        self.all = gather(self.lookups, found=bool, wait=1.0, reactor=self.clock)
        self.all.addBoth(self.results.append)

    def outcome(self):
        """What came of them; late ones as None."""
        (result,) = self.results
        assert not self.clock.getDelayedCalls()
        return [None if isinstance(one, Failure) and one.check(CancelledError) else one for one in result]


def test_all_are_waited_for():
    """In their own order, whichever comes first; failures are results."""
    gathering = Gathering(3)
    gathering.lookups[2].callback([3])
    problem = Failure(ValueError())
    gathering.lookups[1].errback(problem)
    assert not gathering.results
    gathering.lookups[0].callback([1])
    assert gathering.outcome() == [[1], problem, [3]]


def test_the_others_are_late_after_a_while():
    """They are cancelled, and what they are is said."""
    gathering = Gathering(3)
    gathering.lookups[1].callback([2])
    gathering.clock.advance(0.9)
    assert not gathering.results
    gathering.clock.advance(0.1)
    assert gathering.outcome() == [None, [2], None]


def test_the_wait_begins_with_the_first_that_found_something():
    """Nothing and failures begin none, a second result does not prolong it."""
    gathering = Gathering(4)
    gathering.lookups[0].callback([])
    gathering.lookups[1].errback(ValueError())
    gathering.clock.advance(100)
    assert not gathering.results
    gathering.lookups[2].callback([3])
    gathering.clock.advance(0.9)
    gathering.lookups[3].callback([4])
    assert gathering.outcome()[2:] == [[3], [4]]


def test_cancelling_cancels_all():
    """And leaves no delayed call."""
    gathering = Gathering(2)
    gathering.lookups[0].callback([1])
    gathering.all.cancel()
    assert gathering.results[0].check(CancelledError)
    assert gathering.lookups[1].called
    assert not gathering.clock.getDelayedCalls()
