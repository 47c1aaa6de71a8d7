"""From a host and a service to addresses: what is asked, in which order it is tried, and how it fails."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from random import Random

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.names import dns
from twisted.python.failure import Failure

from tests.networking.liars import Liar, SocketReactor, Zone, answer_to
from tests.networking.resolvers import Resolver
from winsockets.errors import (
    ConnectionTimedOutError,
    NameResolutionError,
    SocketErrorStatus,
    UnknownServiceError,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking import HostName, _locating
from winsockets.networking._destination import Destination, destination
from winsockets.networking._dns_message import name_of
from winsockets.networking._locating import locate

Status = SocketErrorStatus
CHAT = Destination(HostName("example.com"), "chat", "tcp", 0, name_of("_chat._tcp.example.com"))
RECORD = ("_chat._tcp.example.com", dns.SRV)
A = dns.Record_A
SRV = dns.Record_SRV


@pytest.fixture
def stack():
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def reactor(stack, monkeypatch):
    """A reactor that has to be idle in the end, but for its name servers; all addresses are alike."""
    made = SocketReactor()
    monkeypatch.setattr(_locating, "rank_endpoint_pairs", list)
    yield made
    stack.close()
    made.advance(0)
    assert made.idle


@pytest.fixture
def zone(reactor, stack):
    """A name server with two targets."""
    return Zone(
        stack,
        reactor,
        {
            RECORD: [SRV(1, 0, 1001, "b.example.com"), SRV(0, 0, 1000, "a.example.com")],
            ("a.example.com", dns.A): [A("192.0.2.1"), A("192.0.2.2")],
            ("a.example.com", dns.AAAA): [dns.Record_AAAA("2001:db8::1")],
            ("b.example.com", dns.A): [A("192.0.2.3")],
        },
    )


class Locating:
    """A search under way."""

    def __init__(self, reactor, zone=None, wanted=CHAT, limits=DEFAULT_LIMITS, **arguments):
        self.reactor = reactor
        self.results = []
        if zone is not None:
            arguments["name_servers"] = [getattr(zone, "server", None) or zone.address.sockaddr]
        self.search = Deferred.fromCoroutine(locate(wanted, reactor=reactor, limits=limits, **arguments))
        self.search.addBoth(self.results.append)

    def found(self):
        """What it found, as text."""
        self.reactor.serve(lambda: self.results)
        (result,) = self.results
        if isinstance(result, Failure):
            result.raiseException()
        return [[str(address) for address in addresses] for addresses in result]

    def problem(self, kind=NameResolutionError):
        """What it failed with."""
        with pytest.raises(kind) as caught:
            self.found()
        return caught.value


def test_a_service_is_found_target_by_target(reactor, zone):
    """The lower priority first, each with its own port."""
    assert Locating(reactor, zone).found() == [
        ["[2001:db8::1]:1000", "192.0.2.1:1000", "192.0.2.2:1000"],
        ["192.0.2.3:1001"],
    ]
    assert zone.asked[0] == RECORD
    assert sorted(zone.asked[1:]) == [
        (f"{host}.example.com", kind) for host in "ab" for kind in (dns.A, dns.AAAA)
    ]


def test_equals_are_drawn(reactor, zone):
    """By the source of chance that was given."""
    zone.table[RECORD] = [SRV(0, 1, 1000, "a.example.com"), SRV(0, 1, 1001, "b.example.com")]
    firsts = {Locating(reactor, zone, random=Random(seed)).found()[0][-1] for seed in range(20)}
    assert firsts == {"192.0.2.2:1000", "192.0.2.3:1001"}


def test_additional_addresses_are_not_believed(reactor, stack):
    """Whoever is asked about a service may say where its targets are; we look for ourselves."""
    liar = Liar(stack)
    searching = Locating(reactor, liar)
    query = liar.query()
    lie = dns.RRHeader("a.example.com", dns.A, payload=A("203.0.113.66"))
    liar.send(answer_to(query, SRV(0, 0, 1, "a.example.com"), additional=[lie]))
    (exchange,) = reactor.readers
    exchange.doRead()
    asked = {liar.query().queries[0].type for _ in range(2)}
    assert asked == {dns.A, dns.AAAA}
    searching.search.cancel()
    searching.problem(CancelledError)


def test_a_port_needs_no_record(reactor, zone):
    """Only the host is asked for."""
    wanted = destination(HostName("b.example.com"), "80", "tcp")
    assert Locating(reactor, zone, wanted).found() == [["192.0.2.3:80"]]
    assert {kind for _, kind in zone.asked} == {dns.A, dns.AAAA}


@pytest.mark.parametrize("host", ["192.0.2.7", "localhost", "printer.localhost"])
def test_what_no_name_server_is_to_know_is_not_asked_for(reactor, zone, host):
    """An address is one, and this machine's own name is the system's business."""
    reactor.nameResolver = Resolver("127.0.0.1")
    (addresses,) = Locating(reactor, zone, destination(HostName(host), "80", "tcp")).found()
    assert addresses in (["192.0.2.7:80"], ["127.0.0.1:80"])
    assert not zone.asked


def test_without_servers_services_are_asked_for_at_the_systems(reactor, zone, monkeypatch):
    """And targets resolved by its own resolver, absolute."""
    monkeypatch.setattr(_locating, "system_name_servers", lambda: [zone.address])
    reactor.nameResolver = Resolver("192.0.2.9")
    assert Locating(reactor).found() == [["192.0.2.9:1000"], ["192.0.2.9:1001"]]
    assert zone.asked == [RECORD]
    assert [lookup.name for lookup in reactor.nameResolver.lookups] == ["a.example.com.", "b.example.com."]


def test_targets_without_addresses_are_left_out(reactor, zone):
    """One that does not exist, one whose server fails; those that are left count."""
    zone.table[RECORD] += [SRV(0, 0, 1, "gone.example.com"), SRV(0, 0, 1, "broken.example.com")]
    zone.table |= {("broken.example.com", kind): dns.ESERVER for kind in (dns.A, dns.AAAA)}
    assert [addresses[-1] for addresses in Locating(reactor, zone).found()] == [
        "192.0.2.2:1000",
        "192.0.2.3:1001",
    ]


def test_a_silent_target_does_not_hold_up_the_others(reactor, zone):
    """Once another has addresses it has a second left."""
    zone.table |= {("b.example.com", kind): None for kind in (dns.A, dns.AAAA)}
    searching = Locating(reactor, zone)
    # The questions about the silent one are left, and the server.
    reactor.serve(lambda: len(zone.asked) == 5 and len(reactor.readers) == 3)
    assert not searching.results
    reactor.advance(DEFAULT_LIMITS.late_answers_wait)
    assert [len(addresses) for addresses in searching.found()] == [3]


def test_a_silent_family_does_not_hold_up_the_other(reactor, zone):
    """There are servers that do not answer for AAAA at all."""
    zone.table["b.example.com", dns.AAAA] = None
    searching = Locating(reactor, zone, destination(HostName("b.example.com"), "80", "tcp"))
    reactor.serve(lambda: len(zone.asked) == 2 and len(reactor.readers) == 2)
    assert not searching.results
    reactor.advance(DEFAULT_LIMITS.late_answers_wait)
    assert searching.found() == [["192.0.2.3:80"]]


def test_a_family_that_fails_does_not_spoil_the_other(reactor, zone):
    """Nor does one about which the server lies that the name does not exist."""
    for code in (dns.ESERVER, dns.ENAME):
        zone.table["b.example.com", dns.AAAA] = code
        wanted = destination(HostName("b.example.com"), "80", "tcp")
        assert Locating(reactor, zone, wanted).found() == [["192.0.2.3:80"]]


def test_addresses_are_ranked(reactor, zone, monkeypatch):
    """By what this machine can reach, as the system's resolver does; a few of both families are."""
    zone.table["b.example.com", dns.AAAA] = [dns.Record_AAAA(f"2001:db8::{number}") for number in range(40)]
    monkeypatch.setattr(_locating, "rank_endpoint_pairs", lambda pairs: pairs[::-1])
    wanted = destination(HostName("b.example.com"), "80", "tcp")
    (addresses,) = Locating(reactor, zone, wanted).found()
    assert len(addresses) == DEFAULT_LIMITS.max_addresses
    assert addresses[-2:] == ["192.0.2.3:80", "[2001:db8::]:80"]


def test_a_target_keeps_both_families(reactor, zone):
    """However few of its addresses are kept: one of the families may lead nowhere."""
    zone.table["a.example.com", dns.AAAA] = [dns.Record_AAAA(f"2001:db8::{number}") for number in range(4)]
    found = Locating(reactor, zone, limits=replace(DEFAULT_LIMITS, max_addresses=4)).found()
    assert found[0] == ["[2001:db8::]:1000", "192.0.2.1:1000"]


def test_everything_is_bounded(reactor, zone):
    """Targets, the addresses of each, and those of a host: the first ones."""
    zone.table[RECORD] = [SRV(number, 0, 1, f"h{number}.x") for number in range(300)]
    zone.table |= {
        (f"h{number}.x", dns.A): [A(f"192.0.{number}.{last}") for last in range(20)] for number in range(256)
    }
    found = Locating(reactor, zone).found()
    assert len(found) == DEFAULT_LIMITS.max_service_targets
    assert sum(map(len, found)) == DEFAULT_LIMITS.max_addresses
    assert [addresses[0] for addresses in found[:2]] == ["192.0.0.0:1", "192.0.1.0:1"]
    assert len(zone.asked) == 1 + 2 * DEFAULT_LIMITS.max_service_targets
    found = Locating(reactor, zone, limits=replace(DEFAULT_LIMITS, max_service_targets=1)).found()
    assert [len(addresses) for addresses in found] == [DEFAULT_LIMITS.max_addresses]
    found = Locating(reactor, zone, limits=replace(DEFAULT_LIMITS, max_addresses=2)).found()
    assert [len(addresses) for addresses in found] == [1] * DEFAULT_LIMITS.max_service_targets
    wanted = destination(HostName("h1.x"), "80", "tcp")
    (addresses,) = Locating(reactor, zone, wanted, replace(DEFAULT_LIMITS, max_addresses=2)).found()
    assert len(addresses) == 2


def test_useless_targets_are_left_out(reactor, zone):
    """Port 0, an address for a name, a name that no host can have, the root beside others."""
    zone.table[RECORD] += [
        SRV(0, 0, 0, "a.example.com"),
        SRV(0, 0, 1, "192.0.2.99"),
        SRV(0, 0, 1, "bad name.example.com"),
        SRV(0, 0, 1, ""),
    ]
    assert [addresses[-1] for addresses in Locating(reactor, zone).found()] == [
        "192.0.2.2:1000",
        "192.0.2.3:1001",
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (dns.ENAME, "there is no SRV record _chat._tcp.example.com; check its spelling"),
        ([], "there is no SRV record _chat._tcp.example.com"),
        ([SRV(0, 0, 0, "")], "says that it is not offered there"),
        ([SRV(0, 0, 1, "")], "says that it is not offered there"),
        ([SRV(0, 0, 0, "a.example.com")], "names no usable host and port"),
    ],
)
def test_an_unknown_service_is_told_as_that(reactor, zone, answer, text):
    """Unknown to DNS, decidedly not offered, or nowhere to be found."""
    zone.table[RECORD] = answer
    problem = Locating(reactor, zone).problem(UnknownServiceError)
    assert problem.status is Status.CLASS_TYPE_NOT_FOUND
    assert text in str(problem)
    assert "example.com service chat" in str(problem)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ((dns.ENAME, dns.ENAME), Status.HOST_NOT_FOUND),
        ((dns.ENAME, []), Status.HOST_NOT_FOUND),
        ((dns.ESERVER, dns.ENAME), Status.HOST_NOT_FOUND),
        (([], []), Status.NO_DATA_RECORD_OF_REQUESTED_TYPE),
        ((dns.ESERVER, []), Status.NON_AUTHORITATIVE_HOST_NOT_FOUND),
        (([], dns.EREFUSED), Status.NON_AUTHORITATIVE_HOST_NOT_FOUND),
    ],
)
def test_a_host_without_addresses_is_told_by_the_reason(reactor, zone, answers, status):
    """It does not exist, it has none, or nobody can say."""
    zone.table |= dict(zip([("x.example", dns.A), ("x.example", dns.AAAA)], answers, strict=True))
    problem = Locating(reactor, zone, destination(HostName("x.example"), "80", "tcp")).problem()
    assert problem.status is status
    assert "x.example" in str(problem)


def test_a_service_whose_targets_have_no_address(reactor, zone):
    """Some do not exist, some have none: the service is known, and nowhere."""
    zone.table[RECORD] = [SRV(0, 0, 1, "gone.example"), SRV(1, 0, 1, "none.example")]
    zone.table["none.example", dns.MX] = []
    problem = Locating(reactor, zone).problem()
    assert problem.status is Status.NO_ADDRESSES_FOUND
    assert "gone.example, none.example" in str(problem)
    assert problem.__cause__.status is Status.HOST_NOT_FOUND


def test_a_service_whose_targets_cannot_be_looked_up(reactor, zone):
    """Next time it may be different, and that is told."""
    zone.table[RECORD] = [SRV(0, 0, 1, "gone.example"), SRV(1, 0, 1, "broken.example")]
    zone.table["broken.example", dns.A] = dns.ESERVER
    problem = Locating(reactor, zone).problem()
    assert problem.status is Status.NON_AUTHORITATIVE_HOST_NOT_FOUND
    assert "broken.example" in str(problem)


def test_a_server_that_fails_is_told_as_that(reactor, zone):
    """A service about which nobody can say anything is not unknown."""
    zone.table[RECORD] = dns.ESERVER
    assert Locating(reactor, zone).problem().status is Status.NON_AUTHORITATIVE_HOST_NOT_FOUND


@pytest.mark.parametrize(
    "wanted", [CHAT, destination(HostName("example.com"), "80", "tcp")], ids=["service", "port"]
)
def test_one_deadline_is_for_everything(reactor, stack, wanted):
    """When it comes, nothing is left."""
    limits = replace(DEFAULT_LIMITS, resolve_timeout=3.0)
    searching = Locating(reactor, Liar(stack), wanted, limits)
    reactor.advance(2.9)
    assert not searching.results
    reactor.advance(0.1)
    assert "no answer within 3 s" in str(searching.problem(ConnectionTimedOutError))
    assert reactor.idle


def test_the_deadline_counts_from_the_first_question(reactor, zone):
    """The targets do not get the time again."""
    zone.table |= {("a.example.com", kind): None for kind in (dns.A, dns.AAAA)}
    zone.table[RECORD] = None
    searching = Locating(reactor, zone, limits=replace(DEFAULT_LIMITS, resolve_timeout=3.0))
    reactor.serve(lambda: zone.asked)
    zone.table[RECORD] = [SRV(0, 0, 1, "a.example.com")]
    reactor.advance(DEFAULT_LIMITS.name_server_timeout)
    reactor.serve(lambda: len(zone.asked) == 4)
    reactor.advance(0.9)
    assert not searching.results
    reactor.advance(0.1)
    searching.problem(ConnectionTimedOutError)


@pytest.mark.parametrize("stage", ["record", "targets"])
def test_cancelling_leaves_nothing(reactor, zone, stage):
    """While the service is asked for, and while its targets are."""
    zone.table |= {(f"{host}.example.com", kind): None for host in "ab" for kind in (dns.A, dns.AAAA)}
    searching = Locating(reactor, zone)
    if stage == "targets":
        reactor.serve(lambda: len(zone.asked) == 5)
    searching.search.cancel()
    searching.problem(CancelledError)
    assert reactor.readers == {zone}
    assert not reactor.getDelayedCalls()


def test_sockets_are_prepared(reactor, zone):
    """Those of all questions."""
    prepared = []
    Locating(reactor, zone, prepare=lambda skt, server: prepared.append(server)).found()
    assert prepared == [zone.address] * 5
