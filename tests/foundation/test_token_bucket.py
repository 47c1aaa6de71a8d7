"""A bucket gives a burst, then a rate, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsockets.foundation._token_bucket import TokenBucket


def test_a_new_bucket_gives_its_burst_and_no_more() -> None:
    """At one point in time there are as many tokens as the burst has."""
    bucket = TokenBucket(rate=10, burst=3, now=5.0)
    assert [bucket.take(5.0) for _ in range(5)] == [True, True, True, False, False]


def test_tokens_come_back_at_the_rate() -> None:
    """Half a second at four a second is two."""
    bucket = TokenBucket(rate=4, burst=4, now=0.0)
    for _ in range(4):
        bucket.take(0.0)
    assert [bucket.take(0.5) for _ in range(3)] == [True, True, False]


def test_tokens_do_not_pile_up_beyond_the_burst() -> None:
    """An hour of rest is worth one burst."""
    bucket = TokenBucket(rate=4, burst=2, now=0.0)
    assert [bucket.take(3600.0) for _ in range(3)] == [True, True, False]


def test_a_bucket_is_full_again_after_burst_divided_by_rate() -> None:
    """Then it is as good as a new one, and not before."""
    bucket = TokenBucket(rate=4, burst=2, now=0.0)
    assert bucket.is_full(0.0)
    bucket.take(0.0)
    bucket.take(0.0)
    assert not bucket.is_full(0.49)
    assert bucket.is_full(0.5)


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    """The bucket goes on from the new time."""
    bucket = TokenBucket(rate=1, burst=1, now=100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert bucket.take(51.0)


@given(
    rate=st.floats(1, 100),
    burst=st.floats(1, 100),
    steps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_order_of_takes_gets_more_than_burst_and_rate_allow(
    rate: float, burst: float, steps: list[float]
) -> None:
    """Over any stretch of time from the start."""
    now = 0.0
    bucket = TokenBucket(rate, burst, now)
    taken = 0
    for step in steps:
        now += step
        taken += bucket.take(now)
        assert taken <= burst + rate * now + 1e-6
