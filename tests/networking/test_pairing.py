"""Endpoint pairs: the local half, and the two orders."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred

from tests.networking.resolvers import Reactor, Resolver
from winsockets.errors import ConnectionTimedOutError, InvalidArgumentError
from winsockets.foundation import Limits
from winsockets.networking import EndpointPair, HostName, HostNameSortOptions
from winsockets.networking._address import Address
from winsockets.networking._destination import destination
from winsockets.networking._pairing import (
    as_sort_options,
    get_endpoint_pairs,
    sort_endpoint_pairs,
)
from winsockets.networking._ranking import local_host_toward

NONE = HostNameSortOptions.NONE
LONG = HostNameSortOptions.OPTIMIZE_FOR_LONG_CONNECTIONS


def pairs_of(*courses):
    """Endpoint pairs from texts like "1>2": local and remote address by their last number."""
    return [
        EndpointPair(f"192.0.2.{source}", "", f"198.51.100.{target}", "80")
        for source, target in (course.split(">") for course in courses)
    ]


def courses_of(pairs):
    """The other way round."""
    return [
        ">".join(
            name.canonical_name.rpartition(".")[2] for name in (pair.local_host_name, pair.remote_host_name)
        )
        for pair in pairs
    ]


def found(*answers, **arguments):
    """The pairs toward a name with these addresses."""
    results = []
    coroutine = get_endpoint_pairs(
        destination(HostName("host.example"), "80", "tcp"), reactor=Reactor(Resolver(*answers)), **arguments
    )
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    return results[0]


def by_family(address):
    """One local address for each family."""
    return HostName("2001:db8::99") if address.family == socket.AF_INET6 else HostName("192.0.2.99")


def test_after_a_failure_the_next_pair_differs_in_both_addresses():
    """The default order: S1+D1, then S2+D2."""
    assert courses_of(sort_endpoint_pairs(pairs_of("1>1", "1>2", "2>1", "2>2"), NONE)) == [
        "1>1",
        "2>2",
        "1>2",
        "2>1",
    ]
    assert courses_of(sort_endpoint_pairs(pairs_of("1>1", "1>2", "1>3", "2>4"), NONE)) == [
        "1>1",
        "2>4",
        "1>2",
        "1>3",
    ]


def test_for_long_connections_the_best_stay_together():
    """The order of the resolver is kept: S1+D1, S1+D2, S2+D1."""
    assert courses_of(sort_endpoint_pairs(pairs_of("1>1", "1>2", "2>1"), LONG)) == ["1>1", "1>2", "2>1"]


def test_no_pairs_stay_no_pairs():
    """Sorting nothing gives nothing."""
    assert sort_endpoint_pairs([], NONE) == sort_endpoint_pairs([], LONG) == []


@given(
    st.lists(st.builds("{}>{}".format, st.integers(1, 4), st.integers(1, 4)), max_size=16),
    st.sampled_from([NONE, LONG]),
)
def test_sorting_loses_nothing_and_begins_with_the_best(courses, options):
    """Every pair comes once, the first one first, and none repeats an address needlessly."""
    ordered = sort_endpoint_pairs(pairs_of(*courses), options)
    kept = courses_of(ordered)
    assert sorted(kept) == sorted(courses)
    assert kept[:1] == courses[:1]
    if options is NONE:
        for index in range(1, len(kept)):
            last = kept[index - 1]
            if last[0] == kept[index][0] or last[2] == kept[index][2]:
                assert all(last[0] == other[0] or last[2] == other[2] for other in kept[index:])


def test_each_remote_address_makes_a_pair():
    """The remote half is numeric, the local half is the address on the way there."""
    pairs = found("2001:db8::1", "192.0.2.1", local_host=by_family)
    assert [(str(p.local_host_name), p.local_service_name) for p in pairs] == [
        ("2001:db8::99", ""),
        ("192.0.2.99", ""),
    ]
    assert [(str(p.remote_host_name), p.remote_service_name) for p in pairs] == [
        ("2001:db8::1", "80"),
        ("192.0.2.1", "80"),
    ]


def test_the_scope_of_a_remote_address_is_kept():
    """A link-local address without its interface leads nowhere."""
    (pair,) = found(IPv6Address("TCP", "fe80::1", 80, 0, 3), local_host=by_family)
    assert pair.remote_host_name == HostName("fe80::1%3")


def test_the_options_decide_the_order():
    """The default alternates, the option keeps the resolver's order."""
    answers = ("2001:db8::1", "2001:db8::2", "192.0.2.1")
    alternating = found(*answers, local_host=by_family)
    assert [str(p.remote_host_name) for p in alternating] == ["2001:db8::1", "192.0.2.1", "2001:db8::2"]
    kept = found(*answers, local_host=by_family, sort_options=LONG)
    assert [str(p.remote_host_name) for p in kept] == list(answers)


def test_the_limits_hold():
    """Addresses and time are bounded by the limits that were given."""
    assert len(found("192.0.2.1", "192.0.2.2", local_host=by_family, limits=Limits(max_addresses=1))) == 1
    reactor = Reactor(Resolver(answers=False))
    results = []
    coroutine = get_endpoint_pairs(
        destination(HostName("host.example"), "80", "udp"),
        reactor=reactor,
        limits=Limits(resolve_timeout=3.0),
    )
    Deferred.fromCoroutine(coroutine).addErrback(results.append)
    reactor.advance(3.0)
    assert isinstance(results[0].value, ConnectionTimedOutError)


def test_an_address_without_a_way_leaves_the_local_half_to_the_system():
    """The pair is there, without a local host name."""
    (pair,) = found("192.0.2.1", local_host=lambda address: None)
    assert pair.local_host_name is None


def test_loopback_is_reached_from_loopback():
    """The system is asked for real, in both families."""
    assert local_host_toward(Address.ipv4("127.0.0.1", 80)) == HostName("127.0.0.1")
    assert local_host_toward(Address.ipv6("::1", 80)) == HostName("::1")


def test_the_scope_of_a_local_address_is_kept():
    """A link-local address of this machine, where it has one, is reached from itself on its interface."""
    for index, _ in socket.if_nameindex():
        local = local_host_toward(Address.ipv6("fe80::1", 80, index))
        if local is not None and local.canonical_name.startswith("fe80:"):
            assert local.canonical_name.endswith(f"%{index}")


def test_no_way_is_no_local_address():
    """The broadcast address cannot be connected to; that is no error here."""
    assert local_host_toward(Address.ipv4("255.255.255.255", 80)) is None


@pytest.mark.parametrize("option", [NONE, LONG, 0, 2])
def test_sort_options_may_be_numbers(option):
    """As PyWinRT takes them."""
    assert as_sort_options(option) is HostNameSortOptions(option)


@pytest.mark.parametrize(
    ("option", "error"),
    [(1, InvalidArgumentError), (-1, InvalidArgumentError), (None, TypeError), ("2", TypeError)],
)
def test_sort_options_without_a_meaning_are_refused(option, error):
    """The value 1 is unused."""
    with pytest.raises(error, match="sort_options"):
        as_sort_options(option)
