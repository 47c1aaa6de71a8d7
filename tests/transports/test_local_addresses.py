"""Names of this machine, and the addresses that a listener is bound to for them."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address

import pytest
import pytest_twisted

from tests.sockets.datagrams import names
from winsockets.errors import (
    AddressNotAvailableError,
    InvalidArgumentError,
    NameResolutionError,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking import HostName, NetworkAdapter
from winsockets.networking._address import Address
from winsockets.networking._interfaces import Interface, InterfaceAddress
from winsockets.transports import _local_addresses
from winsockets.transports._local_addresses import listening_addresses, local_addresses

PORT = 80


def interface(name, index, *addresses, **changes):
    """An interface with addresses."""
    having = tuple(InterfaceAddress(ip_address(address), 64) for address in addresses)
    return Interface(name, index, addresses=having, **changes)


KNOWN = [
    interface("lo", 1, "127.0.0.1", "::1", loopback=True),
    interface("eth0", 2, "192.0.2.1", "fe80::1", "fe80::2"),
    interface("eth1", 3, "192.0.2.2", "fe80::1"),
]


def listened_on(*addresses):
    """What a listener is bound to for addresses."""
    return [address.host for address in listening_addresses(list(addresses), "listen", lambda: KNOWN)]


def test_most_addresses_are_bound_to_as_they_are():
    """Also those of another machine: the system will say so."""
    given = [
        Address.ipv4("192.0.2.1", PORT),
        Address.ipv6("2001:db8::1", PORT),
        Address.ipv6("fe80::9", PORT, 7),
    ]
    assert listening_addresses(given, "listen", KNOWN.clear) == given
    assert listened_on(Address.ipv4("0.0.0.0", PORT), Address.ipv6("::", PORT)) == ["0.0.0.0", "::"]


def test_an_ipv4_address_within_an_ipv6_one_is_that_ipv4_address():
    """Sockets of IPv6 carry IPv6 only; and twice the same is once."""
    mapped = Address.ipv6("::ffff:127.0.0.1", PORT)
    assert listening_addresses([mapped], "listen", KNOWN.clear) == [Address.ipv4("127.0.0.1", PORT)]
    assert listened_on(Address.ipv4("127.0.0.1", PORT), mapped) == ["127.0.0.1"]


def test_an_address_of_a_link_gets_the_zone_of_the_adapter_that_has_it():
    """Without one the system refuses it."""
    assert listened_on(Address.ipv6("fe80::2", PORT)) == ["fe80::2%2"]


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        (Address.ipv6("fe80::1", PORT), InvalidArgumentError, "say fe80::1%eth0 or fe80::1%eth1"),
        (
            Address.ipv6("fe80::3", PORT),
            AddressNotAvailableError,
            "no network adapter has the address fe80::3",
        ),
        (Address.ipv4("239.1.2.3", PORT), AddressNotAvailableError, "239.1.2.3 is a multicast address"),
        (Address.ipv6("ff02::1", PORT, 2), AddressNotAvailableError, "ff02::1 is a multicast address"),
        (
            Address.ipv6("::ffff:224.0.0.1", PORT),
            AddressNotAvailableError,
            "224.0.0.1 is a multicast address",
        ),
        (Address.ipv4("255.255.255.255", PORT), AddressNotAvailableError, "255.255.255.255 is a broadcast"),
    ],
)
def test_what_nobody_can_connect_to_is_refused_with_a_reason(address, error, words):
    """And with what was asked for."""
    with pytest.raises(error, match=re.escape(words)) as caught:
        listened_on(Address.ipv4("127.0.0.1", PORT), address)
    assert str(caught.value).startswith("listen: ")


async def found(name, adapter=None):
    """What is found for a name."""
    from twisted.internet import reactor

    addresses = await local_addresses(
        HostName(name), PORT, reactor=reactor, limits=DEFAULT_LIMITS, adapter=adapter
    )
    assert {address.port for address in addresses} == {PORT}
    return [address.host for address in addresses]


@pytest.fixture
def machine(monkeypatch):
    """A machine with a name that the system's resolver does not know."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Machine.example.test")
    monkeypatch.setattr("winsockets.networking._information.interfaces", lambda: KNOWN)
    monkeypatch.setattr(_local_addresses, "interfaces", lambda: KNOWN)
    with names():
        yield


@pytest.mark.parametrize("name", ["machine.example.test", "MACHINE", "machine.example.test."])
@pytest_twisted.ensureDeferred
async def test_the_machines_own_name_stands_for_all_its_addresses(machine, name):
    """Where nobody else knows it; but not for those of loopback."""
    assert await found(name) == ["192.0.2.1", "fe80::1%2", "fe80::2%2", "192.0.2.2", "fe80::1%3"]


@pytest_twisted.ensureDeferred
async def test_on_a_machine_without_a_network_its_name_stands_for_loopback(machine, monkeypatch):
    """There is nothing else."""
    monkeypatch.setattr("winsockets.networking._information.interfaces", lambda: KNOWN[:1])
    assert await found("machine") == ["127.0.0.1", "::1"]


@pytest_twisted.ensureDeferred
async def test_what_the_resolver_knows_of_the_machines_name_counts(machine):
    """An administrator may have written it down."""
    with names(machine="127.0.1.1"):
        assert await found("machine") == ["127.0.1.1"]


@pytest_twisted.ensureDeferred
async def test_another_name_that_nobody_knows_is_an_error(machine, monkeypatch):
    """And so is the own one where the system does not tell its interfaces."""
    with pytest.raises(NameResolutionError):
        await found("elsewhere.test")

    def refuse():
        raise SocketException("it does not tell")

    monkeypatch.setattr("winsockets.networking._information.interfaces", refuse)
    with pytest.raises(NameResolutionError):
        await found("machine")


@pytest_twisted.ensureDeferred
async def test_an_adapter_chooses_among_the_addresses(machine):
    """Those in the zone of another one are not listened on."""
    adapter = NetworkAdapter(KNOWN[1])
    assert await found("machine", adapter) == ["192.0.2.1", "fe80::1%2", "fe80::2%2", "192.0.2.2"]
    assert await found("fe80::1", adapter) == ["fe80::1%2"]
