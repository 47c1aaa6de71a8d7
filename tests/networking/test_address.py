"""Addresses as values and literals as addresses."""

from __future__ import annotations

import socket

import pytest

from winsockets.errors import NameResolutionError, SocketErrorStatus
from winsockets.networking import HostName
from winsockets.networking._address import Address, interface_index, is_multicast, literal_address


def test_an_ipv4_address():
    """Its parts, its form for the socket calls, its form for people."""
    address = Address.ipv4("192.0.2.1", 80)
    assert (address.family, address.host, address.port, address.scope_id) == (
        socket.AF_INET,
        "192.0.2.1",
        80,
        0,
    )
    assert address.sockaddr == ("192.0.2.1", 80)
    assert str(address) == "192.0.2.1:80"


def test_an_ipv6_address():
    """Without a scope the host is the plain literal."""
    address = Address.ipv6("2001:db8::1", 80)
    assert address.family == socket.AF_INET6
    assert address.host == "2001:db8::1"
    assert address.sockaddr == ("2001:db8::1", 80, 0, 0)
    assert str(address) == "[2001:db8::1]:80"


def test_a_scope_is_in_the_host_and_in_the_socket_address():
    """Either form alone leads to the right interface."""
    address = Address.ipv6("fe80::1", 80, 2)
    assert address.host == "fe80::1%2"
    assert address.sockaddr == ("fe80::1", 80, 0, 2)


def test_equal_addresses_are_equal():
    """Addresses are values: duplicates can be found."""
    assert Address.ipv6("::1", 80) == Address.ipv6("::1", 80)
    assert len({Address.ipv6("fe80::1", 80, 1), Address.ipv6("fe80::1", 80, 2)}) == 2


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", Address.ipv4("127.0.0.1", 7)),
        ("[::1]", Address.ipv6("::1", 7)),
        ("::ffff:127.0.0.1", Address.ipv6("::ffff:127.0.0.1", 7)),
        ("fe80::1%3", Address.ipv6("fe80::1", 7, 3)),
        ("fe80::1%0", Address.ipv6("fe80::1", 7)),
    ],
)
def test_literals_need_no_lookup(text, address):
    """A HostName that is an address has all it takes."""
    assert literal_address(HostName(text), 7) == address


def test_the_name_of_a_zone_becomes_its_index():
    """Every interface of this machine can be named."""
    for index, name in socket.if_nameindex():
        assert interface_index(name) == index
        assert literal_address(HostName(f"fe80::1%{name}"), 7).scope_id == index


@pytest.mark.parametrize("zone", ["nosuch0", "4294967296"])
def test_an_unknown_zone_is_an_unknown_host(zone):
    """The message names the zone and those that there are."""
    with pytest.raises(NameResolutionError) as caught:
        literal_address(HostName(f"fe80::1%{zone}"), 7)
    assert caught.value.status is SocketErrorStatus.HOST_NOT_FOUND
    assert repr(zone) in str(caught.value)
    assert all(name in str(caught.value) for _, name in socket.if_nameindex())


def test_an_ipv6_address_can_be_connected_without_a_lookup():
    """The socket address is what the system takes and gives."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.connect(Address.ipv6("::1", 7).sockaddr)
        assert probe.getpeername() == ("::1", 7, 0, 0)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("224.0.0.0", True),
        ("239.255.255.255", True),
        ("223.255.255.255", False),
        ("240.0.0.0", False),
        ("ff02::1", True),
        ("ff02::1%2", True),
        ("fe80::1%2", False),
        ("::ffff:224.0.0.1", False),
    ],
)
def test_a_multicast_group_is_told_by_its_address_as_it_stands(literal: str, expected: bool) -> None:
    """An IPv4 group within an IPv6 address is nothing that can be joined, on every Python."""
    assert is_multicast(literal) is expected
