"""Resolving names: what is asked, what is kept, and how failures are told."""

from __future__ import annotations

import errno
import socket

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred

from tests.networking.resolvers import Lookup, Reactor, Resolver, StubbornLookup, failing_getaddrinfo
from winsockets.errors import (
    ConnectionTimedOutError,
    NameResolutionError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking import HostName
from winsockets.networking._address import Address
from winsockets.networking._resolution import resolve

NAME = HostName("host.example")


def started(host=NAME, port=80, **arguments):
    """A resolution under way, as a Deferred."""
    return Deferred.fromCoroutine(resolve(host, port, **arguments))


def outcome(deferred):
    """What a resolution that has ended came to."""
    results = []
    deferred.addBoth(results.append)
    assert results, "still resolving"
    return results[0]


def problem(deferred):
    """The exception of a resolution that has failed."""
    return outcome(deferred).value


def unasked(*args):
    """A getaddrinfo that must not be called."""
    raise AssertionError("getaddrinfo was asked")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1", Address.ipv4("127.0.0.1", 80)), ("[fe80::1%2]", Address.ipv6("fe80::1", 80, 2))],
)
def test_an_address_is_not_looked_up(text, address):
    """Neither resolver nor time nor thread is touched for a literal."""
    assert outcome(started(HostName(text), reactor=None)) == [address]


def test_a_name_goes_to_the_resolver_of_the_reactor():
    """It is asked once, for the canonical name, and what it says is kept in its order."""
    resolver = Resolver("2001:db8::1", "192.0.2.1", "192.0.2.2")
    found = outcome(started(HostName("BÜCHER.example"), 80, reactor=Reactor(resolver), getaddrinfo=unasked))
    assert found == [
        Address.ipv6("2001:db8::1", 80),
        Address.ipv4("192.0.2.1", 80),
        Address.ipv4("192.0.2.2", 80),
    ]
    (lookup,) = resolver.lookups
    assert (lookup.name, lookup.port, lookup.transport) == ("xn--bcher-kva.example", 80, "TCP")


def test_datagram_addresses_are_asked_for_as_such():
    """Resolvers may answer differently for UDP."""
    resolver = Resolver("192.0.2.1")
    outcome(started(reactor=Reactor(resolver), transport="udp"))
    assert resolver.lookups[0].transport == "UDP"


@pytest.mark.parametrize("dot", [".", "。", "\uff0e", "｡"])
def test_an_absolute_name_stays_absolute(dot):
    """The final dot keeps the resolver from its search list."""
    resolver = Resolver("192.0.2.1")
    outcome(started(HostName("host.example" + dot), reactor=Reactor(resolver)))
    assert resolver.lookups[0].name == "host.example."


def test_duplicates_and_strange_addresses_are_dropped():
    """Each address is tried once; what is no internet address is not tried."""
    resolver = Resolver(
        "192.0.2.1", UNIXAddress("/x"), "::1", "192.0.2.1", IPv4Address("UDP", "192.0.2.1", 9)
    )
    found = outcome(started(reactor=Reactor(resolver)))
    assert found == [Address.ipv4("192.0.2.1", 80), Address.ipv6("::1", 80)]


def test_scopes_are_kept():
    """A link-local answer leads through its interface, however the resolver writes that."""
    resolver = Resolver(
        IPv6Address("TCP", "fe80::1", 80, 0, 2),
        IPv6Address("TCP", "fe80::1%2", 80, 0, 2),
        IPv6Address("TCP", "fe80::1%3", 80, 0, 0),
    )
    assert [a.host for a in outcome(started(reactor=Reactor(resolver)))] == ["fe80::1%2", "fe80::1%3"]


def test_the_number_of_addresses_is_bounded():
    """A name server cannot make a flood of a connect: the first addresses are kept."""
    many = [f"192.0.2.{number}" for number in range(1, 100)]
    found = outcome(started(reactor=Reactor(Resolver(*many))))
    assert [address.host for address in found] == many[: DEFAULT_LIMITS.max_addresses]
    found = outcome(started(reactor=Reactor(Resolver(*many)), max_addresses=2))
    assert [address.host for address in found] == many[:2]


@given(st.lists(st.sampled_from(["::1", "::2", "192.0.2.1", "192.0.2.2"]), min_size=1), st.integers(1, 5))
def test_what_is_kept_is_the_beginning_without_duplicates(answers, bound):
    """Order kept, duplicates gone, bound held, for any answer."""
    found = outcome(started(reactor=Reactor(Resolver(*answers)), max_addresses=bound))
    assert [address.host for address in found] == list(dict.fromkeys(answers))[:bound]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("EAI_NONAME", SocketErrorStatus.HOST_NOT_FOUND),
        ("EAI_NODATA", SocketErrorStatus.NO_DATA_RECORD_OF_REQUESTED_TYPE),
        ("EAI_AGAIN", SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND),
        ("EAI_FAIL", SocketErrorStatus.HOST_NOT_FOUND),
    ],
)
def test_a_failure_has_the_reason_of_the_system(name, status):
    """The resolver says only that there is nothing; the system says why, with its number."""
    number = getattr(socket, name, None)
    if number is None:
        pytest.skip(f"this system has no {name}")
    reactor = Reactor(Resolver())
    error = problem(started(reactor=reactor, getaddrinfo=failing_getaddrinfo(number)))
    assert isinstance(error, NameResolutionError)
    assert error.status is status
    assert error.errno == number
    assert isinstance(error.__cause__, socket.gaierror)
    assert str(error).startswith("resolve host.example: ")
    assert not reactor.getDelayedCalls()


def test_a_resolver_that_knows_the_reason_is_believed():
    """The system is not asked then."""
    reason = socket.gaierror(socket.EAI_NONAME, "no such name")

    class Explained(Lookup):
        problem = reason

    reactor = Reactor(Resolver(lookup=Explained))
    error = problem(started(reactor=reactor, getaddrinfo=unasked))
    assert error.status is SocketErrorStatus.HOST_NOT_FOUND
    assert error.__cause__ is reason


def test_the_system_is_asked_the_same_question():
    """Name, port and kind of socket are those of the lookup."""
    asked = []

    def getaddrinfo(*args):
        asked.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "no")

    problem(
        started(
            HostName("host.example."),
            53,
            reactor=Reactor(Resolver()),
            transport="udp",
            getaddrinfo=getaddrinfo,
        )
    )
    assert asked == [("host.example.", 53, socket.AF_UNSPEC, socket.SOCK_DGRAM)]


def test_an_installed_resolver_may_know_less_than_the_system():
    """Nothing found, though the name exists: that is a matter of the resolver."""
    error = problem(started(reactor=Reactor(Resolver()), getaddrinfo=lambda *args: ["something"]))
    assert isinstance(error, NameResolutionError)
    assert error.status is SocketErrorStatus.NO_ADDRESSES_FOUND


def test_any_other_error_of_the_system_is_told_too():
    """Out of descriptors while asking is not an unknown host."""

    def getaddrinfo(*args):
        raise OSError(errno.EMFILE, "too many open files")

    error = problem(started(reactor=Reactor(Resolver()), getaddrinfo=getaddrinfo))
    assert error.status is SocketErrorStatus.TOO_MANY_OPEN_FILES


def test_bluetooth_addresses_have_no_internet_address():
    """They are host names, but nothing here can reach them."""
    error = problem(started(HostName("(00:11:22:33:44:55)"), reactor=None))
    assert type(error) is SocketException
    assert error.status is SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED


@pytest.mark.parametrize("lookup", [Lookup, StubbornLookup])
def test_a_silent_resolver_is_given_up_at_the_deadline(lookup):
    """The error names the phase and the time; the lookup is cancelled where it can be."""
    resolver = Resolver(answers=False, lookup=lookup)
    reactor = Reactor(resolver)
    resolving = started(reactor=reactor, timeout=5.0)
    reactor.advance(4.9)
    assert not resolving.called
    reactor.advance(0.1)
    error = problem(resolving)
    assert isinstance(error, ConnectionTimedOutError)
    assert error.status is SocketErrorStatus.CONNECTION_TIMED_OUT
    assert "resolve host.example" in str(error)
    assert "5 s" in str(error)
    assert resolver.lookups[0].cancelled == (1 if lookup is Lookup else 0)
    assert not reactor.getDelayedCalls()
    resolver.lookups[0].answer("192.0.2.1")  # too late for anybody


def test_the_deadline_covers_asking_for_the_reason():
    """A system that is silent too does not get a second deadline."""
    resolver = Resolver(answers=False)
    reactor = Reactor(resolver, threads=False)
    resolving = started(reactor=reactor, timeout=5.0)
    reactor.advance(3)
    resolver.lookups[0].answer()
    assert not resolving.called
    reactor.advance(2)
    assert isinstance(problem(resolving), ConnectionTimedOutError)


def test_the_default_deadline_is_that_of_the_limits():
    """Without an argument Limits.resolve_timeout counts."""
    reactor = Reactor(Resolver(answers=False))
    resolving = started(reactor=reactor)
    (call,) = reactor.getDelayedCalls()
    assert call.getTime() == DEFAULT_LIMITS.resolve_timeout
    resolving.cancel()
    problem(resolving)


@pytest.mark.parametrize("lookup", [Lookup, StubbornLookup])
def test_cancelling_cancels_the_lookup_and_leaves_nothing(lookup):
    """No delayed call stays, and an answer that still comes is ignored."""
    resolver = Resolver(answers=False, lookup=lookup)
    reactor = Reactor(resolver)
    resolving = started(reactor=reactor)
    resolving.cancel()
    assert isinstance(problem(resolving), CancelledError)
    assert resolver.lookups[0].cancelled == (1 if lookup is Lookup else 0)
    assert not reactor.getDelayedCalls()
    resolver.lookups[0].answer("192.0.2.1")


def test_cancelling_while_the_system_is_asked_leaves_nothing():
    """The second phase is cancelled as well as the first."""
    reactor = Reactor(Resolver(), threads=False)
    resolving = started(reactor=reactor)
    resolving.cancel()
    assert isinstance(problem(resolving), CancelledError)
    assert not reactor.getDelayedCalls()


def test_success_leaves_no_delayed_call():
    """The deadline is taken back."""
    resolver = Resolver(answers=False)
    reactor = Reactor(resolver)
    resolving = started(reactor=reactor)
    resolver.lookups[0].answer("192.0.2.1")
    resolver.lookups[0].receiver.resolutionComplete()  # said twice: no harm
    assert outcome(resolving) == [Address.ipv4("192.0.2.1", 80)]
    assert not reactor.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_localhost_is_found_for_real():
    """The reactor's own resolver finds the loopback addresses."""
    from twisted.internet import reactor

    found = await resolve(HostName("localhost"), 80, reactor=reactor)
    assert {address.host for address in found} <= {"127.0.0.1", "::1"}
    assert {address.port for address in found} == {80}


@pytest_twisted.ensureDeferred
async def test_a_resolver_installed_on_the_reactor_is_used():
    """Programs that install their own resolver get its answers, and the real thread pool its failures."""
    from twisted.internet import reactor

    previous = reactor.installNameResolver(Resolver("192.0.2.7"))
    try:
        assert await resolve(NAME, 80, reactor=reactor) == [Address.ipv4("192.0.2.7", 80)]
        reactor.installNameResolver(Resolver())
        with pytest.raises(NameResolutionError) as caught:
            await resolve(NAME, 80, reactor=reactor, getaddrinfo=failing_getaddrinfo(socket.EAI_AGAIN))
    finally:
        reactor.installNameResolver(previous)
    assert caught.value.status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND
