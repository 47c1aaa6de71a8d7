"""The order of the targets of a service: priority first, then chance by weight."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from winsockets.networking._dns_message import ServiceRecord, name_of
from winsockets.networking._service_order import order_targets


def target(host, priority=0, weight=0, port=1):
    """A record."""
    return ServiceRecord(priority, weight, port, name_of(host))


RECORDS = st.lists(
    st.builds(target, st.sampled_from(["a.x", "b.x", "c.x"]), st.integers(0, 3), st.integers(0, 65535))
)


@given(RECORDS, st.integers())
def test_every_record_comes_once_and_priorities_in_turn(records, seed):
    """Whatever chance says, no target of a later priority comes first, and none is lost."""
    ordered = order_targets(records, Random(seed))
    assert sorted(ordered) == sorted(set(records))
    assert [one.priority for one in ordered] == sorted(one.priority for one in ordered)


@given(RECORDS, st.integers())
def test_the_same_chance_gives_the_same_order(records, seed):
    """It depends on nothing else, the order of the answer included."""
    assert order_targets(records, Random(seed)) == order_targets(reversed(records), Random(seed))


def first_ones(records, draws=4000):
    """How often each host comes first."""
    random = Random(1)
    return Counter(order_targets(records, random)[0].target[0].decode() for _ in range(draws))


def test_weights_are_shares():
    """Three quarters of the draws go to three quarters of the weight."""
    counts = first_ones([target("a.x", weight=60), target("b.x", weight=20), target("c.x", weight=0)])
    assert 2850 < counts["a"] < 3150
    assert 850 < counts["b"] < 1150
    # One draw in 81.
    assert 0 < counts["c"] < 120


def test_the_second_place_is_drawn_among_those_left():
    """With their own shares, as if the first were not there."""
    random = Random(2)
    records = [target("a.x", weight=100), target("b.x", weight=30), target("c.x", weight=10)]
    orders = [order_targets(records, random) for _ in range(4000)]
    second = Counter(order[1].target[0] for order in orders if order[0].target[0] == b"a")
    assert 2.6 < second[b"b"] / second[b"c"] < 3.4


def test_targets_without_weight_share_alike():
    """None of equals is preferred."""
    counts = first_ones([target("a.x"), target("b.x"), target("c.x")])
    assert all(1200 < counts[host] < 1470 for host in "abc")


def test_without_records_there_is_no_order():
    """Nothing comes of nothing."""
    assert order_targets([], Random(0)) == []
