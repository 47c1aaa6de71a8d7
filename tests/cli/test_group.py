"""Groups and sources on a command line."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.cli._group import Group, parse_group, parse_source

MULTICAST_4 = st.integers(0xE0000000, 0xEFFFFFFF).map(IPv4Address)
MULTICAST_6 = st.integers(0xFF << 120, (0xFF << 120) + (1 << 120) - 1).map(IPv6Address)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("239.1.2.3:5000", Group("239.1.2.3", 5000, "")),
        ("[239.1.2.3]:65535", Group("239.1.2.3", 65535, "")),
        ("[FF02:0::1234]:1", Group("ff02::1234", 1, "")),
        ("[ff02::fb%eth0]:5353", Group("ff02::fb", 5353, "eth0")),
        ("[ff02::fb%2]:5353", Group("ff02::fb", 5353, "2")),
    ],
)
def test_a_group_has_an_address_a_port_and_perhaps_a_zone(text: str, group: Group) -> None:
    """The address in its canonical form, an IPv6 one in brackets."""
    assert parse_group(text) == group


def test_a_port_may_have_a_name() -> None:
    """That of the services file."""
    assert parse_group("224.0.0.1:domain") == Group("224.0.0.1", 53, "")


@given(st.one_of(MULTICAST_4, MULTICAST_6), st.integers(1, 65535))
def test_every_multicast_address_is_a_group(address: IPv4Address | IPv6Address, port: int) -> None:
    """Of both families, with the family that is its own."""
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    group = parse_group(text)
    assert (ip_address(group.address), group.port) == (address, port)
    assert group.family == (socket.AF_INET6 if address.version == 6 else socket.AF_INET)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "'' is not a group and a port; write 239.1.2.3:5000 or [ff02::1234]:5000"),
        ("239.1.2.3", "is not a group and a port"),
        ("ff02::1234", "is not a group and a port"),
        ("ff02::1234:5000", "is not a group and a port"),
        ("[ff02::1234]", "is not a group and a port"),
        ("[ff02::1234:5000", "is not a group and a port"),
        ("udp://239.1.2.3:5000", "is not a group and a port"),
        (":5000", "'' is not an IPv4 or IPv6 address"),
        ("localhost:5000", "'localhost' is not an IPv4 or IPv6 address"),
        ("239.1.2:5000", "'239.1.2' is not an IPv4 or IPv6 address"),
        ("192.0.2.1:5000", "192.0.2.1 is not a multicast address; those of IPv4 go from 224.0.0.0"),
        ("[fe80::1]:5000", "fe80::1 is not a multicast address"),
        ("[::ffff:224.0.0.1]:5000", "is not a multicast address"),
        ("239.1.2.3:", "the remote service name is empty"),
        ("239.1.2.3:0", "port 0 is not a destination"),
        ("239.1.2.3:65536", "neither a port"),
        ("239.1.2.3:no-such-service", "not in the services file"),
    ],
)
def test_what_is_no_group_is_told_with_what_to_write(text: str, advice: str) -> None:
    """The fault by name."""
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_group(text)


@given(st.text())
def test_no_text_does_anything_else_than_be_a_group_or_not(text: str) -> None:
    """A ValueError is all that comes out."""
    try:
        group = parse_group(text)
    except ValueError:
        return
    assert ip_address(group.address).is_multicast


def test_a_source_is_an_address_of_the_family_of_the_group() -> None:
    """Without the zone, which is the interface's business."""
    assert parse_source("192.0.2.7", parse_group("232.1.2.3:5000")) == "192.0.2.7"
    assert parse_source("FE80:0::7%eth0", parse_group("[ff32::1]:5000")) == "fe80::7"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("somebody", "'somebody' is not an IPv4 or IPv6 address; write 192.0.2.7 or 2001:db8::7"),
        ("2001:db8::7", "cannot send to 232.1.2.3: one is an IPv4 address, the other an IPv6 address"),
        ("232.1.2.4", "232.1.2.4 is nobody's own address"),
        ("0.0.0.0", "0.0.0.0 is nobody's own address"),
    ],
)
def test_what_is_no_source_is_told(text: str, advice: str) -> None:
    """The fault by name."""
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_source(text, parse_group("232.1.2.3:5000"))
