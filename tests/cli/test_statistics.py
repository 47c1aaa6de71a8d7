"""Counting messages and times."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.cli._statistics import RoundTrips, Tally, milliseconds

times = st.lists(st.floats(min_value=1e-7, max_value=86_400), min_size=1)


def counted(values: list[float]) -> RoundTrips:
    """The distribution of some times."""
    round_trips = RoundTrips()
    for value in values:
        round_trips.add(value)
    return round_trips


@given(times, st.floats(min_value=0.001, max_value=100))
def test_a_percentile_is_that_of_the_nearest_rank(values: list[float], percent: float) -> None:
    """Within a quarter of a percent, and never outside of what was counted."""
    round_trips = counted(values)
    exact = sorted(values)[ceil(len(values) * percent / 100) - 1]
    assert round_trips.percentile(percent) == pytest.approx(exact, rel=0.0026)
    assert min(values) <= round_trips.percentile(percent) <= max(values)


@given(times)
def test_the_extremes_are_exact(values: list[float]) -> None:
    """They are also what the percentiles end in."""
    round_trips = counted(values)
    assert round_trips.count == len(values)
    assert round_trips.minimum == min(values)
    assert round_trips.maximum == max(values) == round_trips.percentile(100)


def test_times_below_what_a_clock_can_tell_are_counted() -> None:
    """A clock that did not move gives 0."""
    assert counted([0.0, 0.0, 0.0]).percentile(50) == 0.0


def test_nothing_has_no_percentile() -> None:
    """Asking for one is a mistake."""
    with pytest.raises(ValueError, match="no time"):
        RoundTrips().percentile(50)


def test_any_number_of_times_takes_bounded_memory() -> None:
    """A hundred thousand different times fall into few classes."""
    assert len(counted([number * 1e-6 for number in range(1, 100_000)])._classes) < 2500


def test_a_tally_starts_with_everything_well() -> None:
    """Nothing sent is nothing lost."""
    tally = Tally()
    assert tally.all_identical
    assert tally.summary() == ["0 sent, 0 received, 0 lost"]


def test_the_summary_says_how_many_and_how_fast() -> None:
    """Two lines; what did not happen is left out."""
    tally = Tally(sent=4, lost=1)
    for seconds in (0.001, 0.002, 0.003):
        tally.replied(seconds, identical=True)
    first, second = tally.summary()
    assert first == "4 sent, 3 received, 1 lost"
    assert second.startswith("round trip: minimum 1.000 ms, median ")
    assert second.endswith(", p99 3.000 ms, maximum 3.000 ms")
    assert not tally.all_identical


def test_the_summary_names_what_is_rare() -> None:
    """In the singular where it happened once."""
    tally = Tally(sent=2, late=1, duplicates=1, strays=2)
    tally.replied(0.001, identical=True)
    tally.replied(0.001, identical=False)
    assert tally.counts() == ("2 sent, 2 received, 0 lost, 1 different, 1 late, 1 duplicate, 2 strays")
    assert not tally.all_identical
    assert Tally(duplicates=3, strays=1).counts().endswith(", 3 duplicates, 1 stray")


def test_a_time_is_shown_in_milliseconds() -> None:
    """With microseconds behind the point."""
    assert milliseconds(0.0000521) == "0.052 ms"
    assert milliseconds(12.5) == "12500.000 ms"
