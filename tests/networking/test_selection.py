"""The order of destinations: the examples and rules of RFC 6724."""

from __future__ import annotations

import ipaddress
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.networking._selection import (
    DEFAULT_POLICIES,
    Candidate,
    Policy,
    Source,
    common_prefix_length,
    order,
    parse_policies,
    policy_of,
    scope,
)


def source(text, prefix_length=None, **properties):
    """A source address; IPv6 ones are in networks of 64 bits, IPv4 ones of 24, unless it is said."""
    address = ipaddress.ip_address(text)
    return Source(address, prefix_length or (64 if address.version == 6 else 24), **properties)


def candidate(text, origin):
    """A destination, and a source or its text or None."""
    return Candidate(ipaddress.ip_address(text), source(origin) if isinstance(origin, str) else origin)


def ordered(candidates, policies=DEFAULT_POLICIES):
    """The destinations in the order in which to try them."""
    return [str(candidates[index].address) for index in order(candidates, policies)]


@pytest.mark.parametrize(
    "best_first",
    [
        pytest.param(
            [("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")], id="matching scope"
        ),
        pytest.param(
            [("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")],
            id="matching scope, the other way round",
        ),
        pytest.param([("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")], id="precedence"),
        pytest.param([("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")], id="smaller scope"),
        pytest.param(
            [("2001:db8:1::1", source("2001:db8:3f44::1", home=True)), ("fe80::1", "fe80::2")],
            id="home address",
        ),
        pytest.param(
            [("2001:db8:1::1", "2001:db8:1::2"), ("fe80::1", source("fe80::2", deprecated=True))],
            id="deprecated",
        ),
        pytest.param(
            [("2001:db8:1::1", "2001:db8:1::2"), ("2001:db8:3ffe::1", "2001:db8:3f44::2")],
            id="longest prefix",
        ),
        pytest.param(
            [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "2002:c633:6401::2")],
            id="matching label",
        ),
        pytest.param(
            [("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")],
            id="precedence, with a label for each",
        ),
    ],
)
def test_the_examples_of_rfc_6724(best_first):
    """Section 10.2: the better one is first, in whichever order they are given."""
    expected = [text for text, _ in best_first]
    for given_order in permutations(best_first):
        assert ordered([candidate(*one) for one in given_order]) == expected


def table(**changes):
    """The default table with other precedences for some prefixes."""
    # By the prefix itself: some Pythons write ::ffff:0:0 as ::ffff:0.0.0.0.
    precedences = {ipaddress.ip_network(prefix): precedence for prefix, precedence in changes.items()}
    return [
        Policy(line.prefix, precedences.get(line.prefix, line.precedence), line.label)
        for line in DEFAULT_POLICIES
    ]


def test_ipv4_can_be_preferred():
    """Section 10.3 of RFC 6724: the precedence of ::ffff:0:0/96 is raised."""
    both = [candidate("2001:db8::1", "2001:db8::2"), candidate("198.51.100.121", "198.51.100.117")]
    assert ordered(both) == ["2001:db8::1", "198.51.100.121"]
    assert ordered(both, table(**{"::ffff:0:0/96": 100})) == ["198.51.100.121", "2001:db8::1"]


def test_a_broken_ipv6_does_not_win():
    """Section 10.3.1 of RFC 6724: without a source beyond the link, IPv4 is first."""
    both = [candidate("2001:db8::1", "fe80::1"), candidate("198.51.100.121", "198.51.100.117")]
    assert ordered(both) == ["198.51.100.121", "2001:db8::1"]


def test_link_local_addresses_can_be_put_behind():
    """Section 10.4 of RFC 6724: with a lower precedence of their own they lose."""
    both = [candidate("fe80::1", "fe80::2"), candidate("2001:db8:1::1", "2001:db8:1::2")]
    assert ordered(both) == ["fe80::1", "2001:db8:1::1"]
    lower = [*DEFAULT_POLICIES, Policy(ipaddress.IPv6Network("fe80::/10"), 33, 1)]
    assert ordered(both, lower) == ["2001:db8:1::1", "fe80::1"]


def test_two_sites_with_unique_local_addresses():
    """Section 10.6 of RFC 6724: unique local destinations win with a label and a precedence of their own."""
    both = [
        candidate("2001:db8:1::1", "2001:db8:1::2"),
        candidate("fd11:1111:1111:1::1", "fd11:1111:1111:1::2"),
    ]
    assert ordered(both) == ["2001:db8:1::1", "fd11:1111:1111:1::1"]
    own = [*DEFAULT_POLICIES, Policy(ipaddress.IPv6Network("fd11:1111:1111::/48"), 45, 14)]
    assert ordered(both, own) == ["fd11:1111:1111:1::1", "2001:db8:1::1"]


def test_destinations_without_a_source_are_last():
    """Rule 1; among themselves they are in the order of precedence and scope."""
    candidates = [
        candidate("198.51.100.1", None),
        candidate("2001:db8::1", None),
        candidate("169.254.1.1", "198.51.100.2"),
    ]
    assert ordered(candidates) == ["169.254.1.1", "2001:db8::1", "198.51.100.1"]


def test_tunnels_are_avoided():
    """Rule 7."""
    candidates = [
        candidate("2001:db8:1::1", source("2001:db8:1::2", encapsulated=True)),
        candidate("2001:db8:2::1", source("2001:db8:f::2")),
    ]
    assert ordered(candidates) == ["2001:db8:2::1", "2001:db8:1::1"]


def test_a_common_prefix_is_no_longer_than_the_sources_network():
    """Section 2.2 of RFC 6724: two hosts of one network are equally near."""
    near = source("192.0.2.1", 24)
    assert common_prefix_length(near, ipaddress.ip_address("192.0.2.1")) == 24
    assert common_prefix_length(near, ipaddress.ip_address("192.0.3.1")) == 23
    assert common_prefix_length(near, ipaddress.ip_address("1.2.3.4")) == 0
    same = [candidate("192.0.2.200", near), candidate("192.0.2.2", near)]
    assert ordered(same) == ["192.0.2.200", "192.0.2.2"]


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("::1", 2),
        ("fe80::1", 2),
        ("fec0::1", 5),
        ("fd00::1", 14),
        ("2001:db8::1", 14),
        ("ff02::fb", 2),
        ("ff05::1", 5),
        ("ff0e::1", 14),
        ("127.9.9.9", 2),
        ("169.254.1.1", 2),
        ("10.0.0.1", 14),
        ("224.0.0.251", 2),
        ("239.1.1.1", 14),
        ("::ffff:169.254.1.1", 2),
        ("::ffff:10.0.0.1", 14),
    ],
)
def test_how_far_an_address_reaches(text, reach):
    """Sections 3.1 and 3.2 of RFC 6724."""
    assert scope(ipaddress.ip_address(text)) == reach


@pytest.mark.parametrize(
    ("text", "precedence", "label"),
    [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("192.0.2.1", 35, 4),
        ("::ffff:192.0.2.1", 35, 4),
        ("2002::1", 30, 2),
        ("2001::1", 5, 5),
        ("fd00::1", 3, 13),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
        ("::192.0.2.1", 1, 3),
    ],
)
def test_the_default_policies(text, precedence, label):
    """Section 2.1 of RFC 6724: the longest prefix counts."""
    policy = policy_of(ipaddress.ip_address(text), DEFAULT_POLICIES)
    assert (policy.precedence, policy.label) == (precedence, label)


def test_lines_of_one_kind_replace_the_defaults_of_that_kind():
    """As gai.conf(5) has it: here IPv4 is preferred, and the labels stay."""
    policies = parse_policies("# a comment\nprecedence  ::ffff:0:0/96  100 # why not\n\nscopev4 ::/0 2\n")
    assert policy_of(ipaddress.ip_address("192.0.2.1"), policies).precedence == 100
    assert policy_of(ipaddress.ip_address("::1"), policies).precedence == 40
    assert policy_of(ipaddress.ip_address("::1"), policies).label == 0
    assert policy_of(ipaddress.ip_address("2002::1"), policies).label == 2


def test_a_file_without_lines_is_the_default():
    """So is one whose lines make no sense."""
    for text in (
        "",
        "label\nprecedence x y\nlabel ::/0 -1\nlabel nowhere/3 3\nreload yes\nlabel 10.0.0.0/8 3",
    ):
        assert set(parse_policies(text)) == set(DEFAULT_POLICIES)


def test_an_own_label_has_the_precedence_around_it():
    """A prefix that only one kind of line names gets the other value from the one that it lies in."""
    policies = parse_policies("label ::/0 1\nlabel fd11::/16 14")
    policy = policy_of(ipaddress.ip_address("fd11::1"), policies)
    assert (policy.precedence, policy.label) == (3, 14)


@given(st.text(alphabet="labeprcdn :/0123456789f#\n", max_size=80))
def test_whatever_is_in_the_file_there_is_a_table(text):
    """With a policy for every address."""
    policies = parse_policies(text)
    for address in ("::1", "192.0.2.1", "fd00::1"):
        policy_of(ipaddress.ip_address(address), policies)


addresses = st.one_of(
    st.ip_addresses(),
    st.sampled_from([ipaddress.ip_address(text) for text in ("fe80::1", "10.0.0.1", "2002::1", "127.0.0.1")]),
)


@st.composite
def a_candidate(draw):
    """A destination whose source, if there is one, is of its family."""
    address = draw(addresses)
    if draw(st.booleans()):
        return Candidate(address, None)
    origin = draw(st.ip_addresses(v=address.version))
    flags = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    return Candidate(address, Source(origin, draw(st.integers(0, origin.max_prefixlen)), *flags))


some_policies = st.one_of(st.just(DEFAULT_POLICIES), st.just((Policy(ipaddress.IPv6Network("::/0"), 40, 1),)))


@given(st.lists(a_candidate(), max_size=8), some_policies)
def test_the_order_loses_nothing_and_depends_on_nothing_else(candidates, policies):
    """It is a permutation, the same each time, and putting what is in order into order changes nothing."""
    ranked = order(candidates, policies)
    assert sorted(ranked) == list(range(len(candidates)))
    assert order(candidates, policies) == ranked
    again = [candidates[index] for index in ranked]
    assert order(again, policies) == list(range(len(candidates)))


@given(st.lists(a_candidate(), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_what_is_better_is_so_in_every_order_of_giving(candidates, random):
    """Between two of one family whose ranks differ, the order of giving does not count."""

    def better(one, other):
        return order([one, other]) == [0, 1] and order([other, one]) == [1, 0]

    shuffled = list(candidates)
    random.shuffle(shuffled)
    ranked = [shuffled[index] for index in order(shuffled)]
    for first in range(len(ranked)):
        for second in range(first + 1, len(ranked)):
            assert not better(ranked[second], ranked[first])


@given(a_candidate(), st.integers(1, 6))
def test_alike_candidates_keep_their_order(one, count):
    """Where no rule decides nothing is moved."""
    assert order([one] * count) == list(range(count))
