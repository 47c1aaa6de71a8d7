"""What a responder answers: rules that keep it from reflecting and from looping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError
from winsockets.services import Refusal, ReplyPolicy
from winsockets.services._reply_policy import (
    DEFAULT_LOOPBACK_BURST,
    DEFAULT_RATE,
    LOWEST_CLIENT_PORT,
    MAX_SOURCES,
)


def judge(
    policy: ReplyPolicy, host: str = "192.0.2.1", port: int = 40_000, now: float = 0.0
) -> Refusal | None:
    """The verdict on an echo of 100 bytes."""
    return policy.refusal(host, port, received=100, reply=100, now=now)


def answers(policy: ReplyPolicy, host: str, count: int, now: float = 0.0) -> int:
    """How many of so many datagrams from one host are answered."""
    return sum(judge(policy, host, now=now) is None for _ in range(count))


def test_an_ordinary_client_is_answered() -> None:
    """IPv4 and IPv6, with its own scope."""
    policy = ReplyPolicy()
    for host in ("192.0.2.1", "2001:db8::1", "fe80::1%2", "127.0.0.1", "::1", "::ffff:192.0.2.1"):
        assert judge(policy, host) is None


def test_security_a_reply_is_never_longer_than_what_came() -> None:
    """Nobody can be hit with more bytes than the attacker sent."""
    policy = ReplyPolicy()
    assert policy.refusal("192.0.2.1", 40_000, received=10, reply=11, now=0.0) is Refusal.LONGER_REPLY
    assert policy.refusal("192.0.2.1", 40_000, received=10, reply=10, now=0.0) is None


def test_security_service_ports_are_not_answered() -> None:
    """Echo, chargen, DNS and NTP answer back (CVE-2024-2169)."""
    policy = ReplyPolicy()
    for port in (1, 7, 19, 53, 123, LOWEST_CLIENT_PORT - 1):
        assert judge(policy, port=port) is Refusal.LOW_PORT
    assert judge(policy, port=LOWEST_CLIENT_PORT) is None


def test_the_rule_for_service_ports_can_be_lifted() -> None:
    """But nobody can be reached at port 0."""
    policy = ReplyPolicy(any_source_port=True)
    assert judge(policy, port=7) is None
    assert judge(policy, port=0) is Refusal.NO_PORT


def test_security_own_ports_are_not_answered_whatever_the_address() -> None:
    """Another echo server has the same port number: two of them would talk for ever."""
    policy = ReplyPolicy(own_ports={1337}, any_source_port=True)
    policy.own_ports.add(7)
    for host in ("127.0.0.1", "127.0.0.2", "192.0.2.1", "::1"):
        assert judge(policy, host, 1337) is Refusal.OWN_PORT
        assert judge(policy, host, 7) is Refusal.OWN_PORT
        assert judge(policy, host, 1338) is None


@pytest.mark.parametrize(
    "host",
    [
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "127.255.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "240.0.0.1",
        "ff02::1",
        "ff02::1%2",
        "::",
        "::ffff:224.0.0.1",
        "::ffff:255.255.255.255",
    ],
)
def test_security_sources_that_no_host_can_have_are_not_answered(host: str) -> None:
    """A reply to one of them would go to many, or nowhere."""
    assert judge(ReplyPolicy(), host) is Refusal.NOT_UNICAST


def test_security_a_broadcast_address_of_this_machines_networks_is_not_answered() -> None:
    """Which those are, the policy is told; it asks about IPv4 addresses only."""
    asked = []

    def is_broadcast(host: str) -> bool:
        asked.append(host)
        return host == "192.0.2.255"

    policy = ReplyPolicy(is_broadcast=is_broadcast)
    assert judge(policy, "192.0.2.255") is Refusal.NOT_UNICAST
    assert judge(policy, "192.0.2.254") is None
    assert judge(policy, "2001:db8::1") is None
    assert asked == ["192.0.2.255", "192.0.2.254"]


def test_a_host_that_is_no_address_is_the_callers_mistake() -> None:
    """Nothing is looked up."""
    with pytest.raises(ValueError, match="example"):
        judge(ReplyPolicy(), "example.org")


@pytest.mark.parametrize("name", ["rate", "burst", "loopback_burst", "max_sources"])
def test_limits_below_one_are_refused(name: str) -> None:
    """A limit of nothing is a policy that answers nobody; that is what not starting is for."""
    for value in (0, -1, 0.5, float("nan")):
        with pytest.raises(InvalidArgumentError, match=name):
            ReplyPolicy(**{name: value})


# The accounts


def test_security_a_source_gets_its_burst_and_then_its_rate() -> None:
    """By default both are the same number."""
    policy = ReplyPolicy(rate=10)
    assert answers(policy, "192.0.2.1", 50) == 10
    assert judge(policy, "192.0.2.1") is Refusal.RATE
    assert answers(policy, "192.0.2.1", 50, now=0.5) == 5
    assert answers(policy, "192.0.2.1", 50, now=60.0) == 10


def test_one_source_does_not_use_up_what_another_has() -> None:
    """Accounts are apart."""
    policy = ReplyPolicy(rate=10)
    answers(policy, "192.0.2.1", 50)
    assert answers(policy, "192.0.2.2", 50) == 10


def test_security_many_ports_are_one_source() -> None:
    """Whoever forges addresses can forge ports."""
    policy = ReplyPolicy(rate=10)
    assert sum(judge(policy, port=port) is None for port in range(2_000, 2_100)) == 10


def test_security_many_addresses_of_a_subnet_of_64_bits_are_one_source() -> None:
    """One host can use all of them; link-local ones are many hosts'."""
    policy = ReplyPolicy(rate=10)
    assert sum(judge(policy, f"2001:db8::{n:x}") is None for n in range(1, 100)) == 10
    assert answers(policy, "2001:db8:0:1::1", 50) == 10
    assert answers(policy, "fe80::1%2", 50) == 10
    assert answers(policy, "fe80::2%2", 50) == 10


def test_all_of_loopback_is_one_source_with_a_burst_of_its_own() -> None:
    """A test on this machine gets its datagrams back, and a loop on it ends all the same."""
    policy = ReplyPolicy(rate=10, loopback_burst=100)
    hosts = ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.3"]
    assert sum(answers(policy, host, 50) for host in hosts) == 100
    assert answers(policy, "127.0.0.1", 50, now=1.0) == 10
    assert answers(policy, "192.0.2.1", 50) == 10


def test_the_default_lets_ten_thousand_datagrams_of_a_local_test_pass() -> None:
    """And not more than the rate from anybody else."""
    policy = ReplyPolicy(loopback_burst=DEFAULT_LOOPBACK_BURST)
    assert answers(policy, "127.0.0.1", 10_000) == 10_000
    assert answers(policy, "192.0.2.1", 10_000) == DEFAULT_RATE


def test_no_rate_is_no_limit_and_lifts_nothing_else() -> None:
    """The other rules hold."""
    policy = ReplyPolicy(rate=None)
    assert answers(policy, "192.0.2.1", 3 * DEFAULT_RATE) == 3 * DEFAULT_RATE
    assert judge(policy, port=19) is Refusal.LOW_PORT


def test_what_is_refused_for_another_reason_costs_nothing() -> None:
    """A flood from forged service ports does not shut the client with that address out."""
    policy = ReplyPolicy(rate=1)
    for _ in range(10):
        assert judge(policy, port=19) is Refusal.LOW_PORT
    assert judge(policy) is None


def test_security_a_flood_of_forged_sources_does_not_grow_the_table() -> None:
    """The bound is what it says."""
    policy = ReplyPolicy(rate=1)
    for number in range(2 * MAX_SOURCES):
        judge(policy, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(policy._accounts) == MAX_SOURCES


def test_security_a_flood_of_forged_sources_resets_nobodys_account() -> None:
    """An account is forgotten only when it is as good as new; strangers share one meanwhile."""
    policy = ReplyPolicy(rate=5, max_sources=3)
    assert answers(policy, "192.0.2.1", 9) == 5
    for host in ("192.0.2.2", "192.0.2.3"):
        assert answers(policy, host, 9) == 5
    strangers = [f"198.51.100.{number}" for number in range(1, 200)]
    assert sum(judge(policy, host) is None for host in strangers) == 5
    assert judge(policy, "192.0.2.1") is Refusal.RATE


def test_room_for_a_new_source_is_made_once_an_account_is_full_again() -> None:
    """The one that was not used for longest goes."""
    policy = ReplyPolicy(rate=5, max_sources=2)
    answers(policy, "192.0.2.1", 5)
    answers(policy, "192.0.2.2", 5, now=0.5)
    assert answers(policy, "192.0.2.3", 9, now=1.0) == 5  # in the place of .1
    assert answers(policy, "192.0.2.4", 9, now=1.0) == 5  # .2 is not full yet: what strangers share
    assert answers(policy, "192.0.2.5", 9, now=1.0) == 0
    assert answers(policy, "192.0.2.2", 9, now=1.0) == 2  # it has its old account


_hosts = st.sampled_from([f"192.0.2.{n}" for n in range(8)] + [f"2001:db8:{n:x}::1" for n in range(8)])


@given(
    datagrams=st.lists(st.tuples(_hosts, st.floats(0, 2)), max_size=300),
    rate=st.integers(1, 5),
    burst=st.integers(1, 5),
    max_sources=st.integers(1, 6),
)
def test_security_no_mixture_of_sources_gets_a_source_more_than_its_share(
    datagrams: list[tuple[str, float]], rate: int, burst: int, max_sources: int
) -> None:
    """Also where accounts come and go: an own account and the strangers' one, never more."""
    policy = ReplyPolicy(rate=rate, burst=burst, max_sources=max_sources)
    answered: dict[str, int] = {}
    now = 0.0
    for host, step in datagrams:
        now += step
        if judge(policy, host, now=now) is None:
            answered[host] = answered.get(host, 0) + 1
        assert len(policy._accounts) <= max_sources
    for count in answered.values():
        assert count <= 2 * (burst + rate * now) + 1e-6
