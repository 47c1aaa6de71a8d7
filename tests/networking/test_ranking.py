"""Endpoint pairs in the order of RFC 6724, by the interfaces and policies of a machine."""

from __future__ import annotations

import ipaddress
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networking.cables import cable, plug_in
from tests.networks import network_namespace, run
from winsockets import EndpointPair, HostName, HostNameSortOptions, NetworkInformation
from winsockets.errors import InvalidArgumentError, SocketException
from winsockets.networking import _ranking
from winsockets.networking._interfaces import Interface, InterfaceAddress
from winsockets.networking._ranking import known_interfaces, rank_endpoint_pairs, system_policies
from winsockets.networking._selection import DEFAULT_POLICIES

LONG = HostNameSortOptions.OPTIMIZE_FOR_LONG_CONNECTIONS
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the interfaces of Linux")


def interface(name, index, *addresses, **properties):
    """An interface with addresses such as "192.0.2.2/24"."""
    known = []
    for text in addresses:
        parsed = ipaddress.ip_interface(text)
        known.append(InterfaceAddress(parsed.ip, parsed.network.prefixlen))
    return Interface(name, index, addresses=tuple(known), **properties)


MACHINE = [
    interface("lo", 1, "127.0.0.1/8", "::1/128", hardware_type=772, loopback=True),
    interface("eth0", 2, "192.0.2.2/24", "2001:db8:1::2/64", "fe80::2/64", hardware_type=1),
    interface("tun0", 3, "2001:db8:2::2/64", hardware_type=65534),
    interface("eth1", 4, "198.51.100.2/24", up=False),
]


def pair(course):
    """A pair from "source>destination"; no source leaves the choice to the system."""
    source, destination = course.split(">")
    return EndpointPair(source or None, "", destination, "80")


def ranked(*courses, local_host=lambda address: None, machine=MACHINE, policies=DEFAULT_POLICIES):
    """The courses in the order in which to try them."""
    pairs = [pair(course) for course in courses]
    ordered = rank_endpoint_pairs(
        pairs, local_host=local_host, own=lambda: machine, policies=lambda: policies
    )
    return [courses[pairs.index(one)] for one in ordered]


def test_a_usable_source_is_better_than_none():
    """One that is not this machine's, that is switched off, or of the other family, cannot be used."""
    good = "192.0.2.2>203.0.113.1"
    for bad in (
        "192.0.2.3>2001:db8::1",
        "2001:db8:1::3>2001:db8::1",
        "198.51.100.2>203.0.113.2",
        "2001:db8:1::2>203.0.113.2",
        "name.example>2001:db8::1",
        ">2001:db8::1",
    ):
        assert ranked(bad, good) == [good, bad]


def test_addresses_that_nobody_may_use_yet_are_no_source():
    """Nor are those that somebody else has."""
    taken = Interface(
        "eth0", 2, addresses=(InterfaceAddress(ipaddress.ip_address("2001:db8::2"), 64, usable=False),)
    )
    courses = ["2001:db8::2>2001:db8::1", "192.0.2.2>203.0.113.1"]
    assert ranked(*courses, machine=[*MACHINE, taken]) == courses[::-1]


def test_the_system_is_asked_for_the_source_where_the_pair_leaves_it_open():
    """So it is where the local half is the address of all interfaces."""
    asked = []

    def local_host(address):
        asked.append(address.host)
        return HostName("192.0.2.2") if address.family == socket.AF_INET else None

    courses = [">2001:db8::1", "0.0.0.0>203.0.113.1", "::>2001:db8::2"]
    assert ranked(*courses, local_host=local_host) == [courses[1], courses[0], courses[2]]
    assert asked == ["2001:db8::1", "203.0.113.1", "2001:db8::2"]


def test_all_of_the_loopback_network_is_this_machines():
    """127.4.4.4 is a source without being listed; another address of another network is none."""
    assert ranked("192.0.2.9>192.0.2.1", "127.4.4.4>127.0.0.1") == [
        "127.4.4.4>127.0.0.1",
        "192.0.2.9>192.0.2.1",
    ]


def test_link_local_pairs_are_of_one_link():
    """A destination on another interface, or on one that is not there, cannot be reached from the source."""
    good = "fe80::2%2>fe80::9%2"
    for bad in (
        "fe80::2%2>fe80::9%3",
        "fe80::2%3>fe80::9%3",
        "fe80::2%2>fe80::9%nowhere9",
        "fe80::2%nowhere9>fe80::9",
    ):
        assert ranked(bad, good) == [good, bad]
    # the index of the interface may be left out of one of the two
    assert ranked("2001:db8:1::2>2001:db8::1", "fe80::2>fe80::9%2")[0] == "fe80::2>fe80::9%2"


def test_tunnels_and_deprecated_addresses_are_put_behind():
    """What the interface and the address are known for counts."""
    assert (
        ranked("2001:db8:2::2>2001:db8:2::1", "2001:db8:1::2>2001:db8:9::1")[0]
        == "2001:db8:1::2>2001:db8:9::1"
    )
    old = Interface(
        "eth0", 2, addresses=(InterfaceAddress(ipaddress.ip_address("2001:db8:1::7"), 64, deprecated=True),)
    )
    courses = ["2001:db8:1::7>2001:db8:1::1", "192.0.2.2>203.0.113.1"]
    assert ranked(*courses, machine=[*MACHINE, old]) == courses[::-1]


def test_names_cannot_be_judged():
    """They come last, as they were."""
    courses = ["192.0.2.2>b.example", "192.0.2.2>a.example", ">203.0.113.1", "192.0.2.2>203.0.113.2"]
    assert ranked(*courses) == [courses[3], courses[2], courses[0], courses[1]]


def test_a_system_that_does_not_tell_its_interfaces():
    """What a pair says is taken as it is; scopes and policies still count."""
    courses = ["169.254.1.2>203.0.113.1", "192.0.2.77>203.0.113.2", "2001:db8::77>2001:db8::1"]
    assert ranked(*courses, machine=None) == courses[::-1]


def test_known_interfaces_are_none_where_the_system_refuses(monkeypatch):
    """Sorting is no reason to fail."""

    def refuse():
        raise SocketException("no")

    monkeypatch.setattr(_ranking, "interfaces", refuse)
    assert known_interfaces() is None


def test_a_single_pair_asks_nobody():
    """There is nothing to decide."""

    def fail(*arguments):
        raise AssertionError

    (one,) = rank_endpoint_pairs([pair(">192.0.2.1")], local_host=fail, own=fail, policies=fail)
    assert str(one.remote_host_name) == "192.0.2.1"
    assert rank_endpoint_pairs([], own=fail) == []


def test_the_policies_of_the_machine(monkeypatch, tmp_path):
    """Linux has a file for them; without it, and elsewhere, they are the default ones."""
    file = tmp_path / "gai.conf"
    monkeypatch.setattr(_ranking, "_POLICY_FILE", file)
    assert system_policies() == DEFAULT_POLICIES
    file.write_bytes(b"precedence ::ffff:0:0/96 100\n# \xff\n")
    monkeypatch.setattr(sys, "platform", "linux")
    courses = ["2001:db8:1::2>2001:db8::1", "192.0.2.2>203.0.113.1"]
    assert ranked(*courses) == courses
    assert ranked(*courses, policies=system_policies()) == courses[::-1]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert system_policies() == DEFAULT_POLICIES


sources = st.sampled_from(["", "192.0.2.2", "2001:db8:1::2", "fe80::2%2", "10.9.9.9", "::", "127.0.0.1"])
destinations = st.sampled_from(
    [
        "203.0.113.1",
        "2001:db8::1",
        "fe80::9%2",
        "fe80::9%9",
        "a.example",
        "127.0.0.1",
        "::1",
        "(00:11:22:33:44:55)",
    ]
)


@given(st.lists(st.builds("{}>{}".format, sources, destinations), max_size=8))
def test_ranking_loses_nothing_and_is_stable(courses):
    """It is a permutation of the very same pairs, and what is ranked stays as it is."""
    pairs = [pair(course) for course in courses]

    def rank(given_pairs):
        return rank_endpoint_pairs(
            given_pairs,
            local_host=lambda address: None,
            own=lambda: MACHINE,
            policies=lambda: DEFAULT_POLICIES,
        )

    once = rank(pairs)
    assert sorted(map(id, once)) == sorted(map(id, pairs))
    assert rank(once) == once


@on_linux
def test_get_sorted_endpoint_pairs_by_the_interfaces_that_there_are():
    """On a machine with one global address of each family, and then without that of IPv6."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "add", "192.0.2.2/24", "dev", "v0")
        run("ip", "addr", "add", "2001:db8:1::2/64", "dev", "v0", "nodad")
        run("ip", "route", "add", "default", "via", "192.0.2.1")
        run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")

        def courses(options):
            pairs = [pair(course) for course in (">203.0.113.1", ">203.0.113.2", ">2001:db8:9::1", ">::1")]
            ordered = NetworkInformation.get_sorted_endpoint_pairs(pairs, options)
            assert all(one.local_host_name is None for one in ordered), "the pairs are not changed"
            return [str(one.remote_host_name) for one in ordered]

        assert courses(LONG) == ["::1", "2001:db8:9::1", "203.0.113.1", "203.0.113.2"]
        run("ip", "-6", "route", "del", "default")
        assert courses(LONG) == ["::1", "203.0.113.1", "203.0.113.2", "2001:db8:9::1"]


def test_get_sorted_endpoint_pairs_in_both_orders():
    """The best together, or after each the best one that differs in both addresses."""
    courses = ["127.0.0.1>127.0.0.1", "127.0.0.1>127.0.0.2", "127.0.0.2>127.0.0.1", "127.0.0.2>127.0.0.2"]

    def ordered(options):
        pairs = [pair(course) for course in courses]
        return [
            courses[pairs.index(one)]
            for one in NetworkInformation.get_sorted_endpoint_pairs(iter(pairs), options)
        ]

    assert ordered(2) == courses
    assert ordered(HostNameSortOptions.NONE) == [courses[0], courses[3], courses[1], courses[2]]


@pytest.mark.parametrize(
    ("pairs", "options", "error"),
    [
        (None, 0, InvalidArgumentError),
        ([None], 0, InvalidArgumentError),
        (["a"], 0, TypeError),
        (7, 0, TypeError),
        ([], 1, InvalidArgumentError),
        ([], None, TypeError),
    ],
)
def test_wrong_arguments_are_refused(pairs, options, error):
    """At the call."""
    with pytest.raises(error):
        NetworkInformation.get_sorted_endpoint_pairs(pairs, options)
