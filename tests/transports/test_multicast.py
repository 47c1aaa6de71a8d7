"""Multicast options: what the system is given, what it makes of it, and what it says when asked back."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.networks import network_namespace, two_hosts
from tests.transports.datagrams import FAMILIES, bound, on_linux
from winsockets.transports._multicast import (
    block_source,
    group_request,
    join_group,
    leave_group,
    membership_options,
    only_joined_groups,
    outgoing_interface,
    set_multicast_hop_limit,
    set_multicast_interface,
    set_multicast_loopback,
    share_port,
    unblock_source,
)

GROUP = {socket.AF_INET: "239.1.2.3", socket.AF_INET6: "ff15::1:2:3"}
SOURCE = {socket.AF_INET: "10.0.1.77", socket.AF_INET6: "fd00::77"}

V4, V6 = socket.inet_aton("239.1.2.3"), socket.inet_pton(socket.AF_INET6, "ff15::1:2:3")


def address(beginning: bytes, content: bytes) -> bytes:
    """A sockaddr_storage."""
    return (beginning + content).ljust(128, b"\0")


def refusal(call: Callable[..., object], *arguments: Any) -> int | None:
    """The number of the error that a call raises; None when it does not."""
    try:
        call(*arguments)
    except OSError as problem:
        return problem.errno
    return None


@pytest.mark.parametrize(
    ("platform", "gap", "beginning4", "beginning6"),
    [
        ("linux", struct.calcsize("P") - 4, struct.pack("=H", 2), struct.pack("=H", 10)),
        ("darwin", 0, bytes([16, 2]), bytes([28, 30])),
        ("win32", 4, struct.pack("=H", 2), struct.pack("=H", 23)),
    ],
)
def test_a_request_is_laid_out_as_the_system_has_it(platform, gap, beginning4, beginning6):
    """The index, perhaps a gap, and one address or two; each as long as the longest."""
    options = membership_options(platform)
    start = struct.pack("=I", 7) + bytes(gap)
    group4 = address(beginning4, bytes(2) + V4)
    group6 = address(beginning6, bytes(6) + V6)
    source = address(beginning4, bytes(2) + socket.inet_aton("10.0.0.1"))
    assert group_request(options, 7, "239.1.2.3") == start + group4
    assert group_request(options, 7, "ff15::1:2:3") == start + group6
    assert group_request(options, 7, "239.1.2.3", "10.0.0.1") == start + group4 + source


def test_the_options_of_this_system_are_those_of_its_headers():
    """RFC 3678 gives names only."""
    known = {platform: membership_options(platform)[:6] for platform in ("linux", "darwin", "win32")}
    assert known == {
        "linux": (42, 45, 46, 47, 43, 44),
        "darwin": (80, 81, 82, 83, 84, 85),
        "win32": (41, 42, 45, 46, 43, 44),
    }


def test_where_the_options_are_not_known_that_is_said():
    """Instead of guessing numbers."""
    with pytest.raises(OSError, match="groups are not offered on plan9") as caught:
        membership_options("plan9")
    assert caught.value.errno == errno.ENOPROTOOPT


def test_an_outgoing_interface_is_laid_out_as_the_system_has_it():
    """Windows takes an address that stands for an index, the others a structure that ends with it."""
    assert outgoing_interface(5, "win32") == bytes([0, 0, 0, 5])
    for platform in ("linux", "darwin"):
        assert outgoing_interface(5, platform) == bytes(8) + struct.pack("=I", 5)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
def test_the_system_knows_who_was_joined_and_blocked(family):
    """Its tables of groups and filters say so; leaving takes it back."""
    group, source = GROUP[family], SOURCE[family]
    name = "igmp6" if family == socket.AF_INET6 else "igmp"
    filters = "mcfilter6" if family == socket.AF_INET6 else "mcfilter"
    packed = socket.inet_pton(family, group)
    # The kernel prints the one as a number of the machine, the other byte by byte.
    shown = packed.hex() if family == socket.AF_INET6 else f"{int.from_bytes(packed, 'little'):08X}"
    with two_hosts() as (here, _), here.socket(family) as skt:
        index = here.ports[0].index

        def filtered() -> list[list[str]]:
            lines = [line.split() for line in here.get(filters).splitlines()[1:]]
            return [line[-2:] for line in lines if int(line[-3], 16) == int(_number(source), 16)]

        join_group(skt, index, group)
        assert shown in here.get(name)
        assert filtered() == []
        block_source(skt, index, group, source)
        assert filtered() == [["0", "1"]]
        unblock_source(skt, index, group, source)
        assert filtered() == []
        leave_group(skt, index, group)
        assert shown not in here.get(name)

        join_group(skt, index, group, source)
        assert filtered() == [["1", "0"]]
        leave_group(skt, index, group, source)
        assert filtered() == []


def _number(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).hex()


@pytest.mark.parametrize("family", FAMILIES)
def test_hops_loopback_and_the_way_out_can_be_read_back(family):
    """As the system has them after each was set."""
    v6 = family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    hops = socket.IPV6_MULTICAST_HOPS if v6 else socket.IP_MULTICAST_TTL
    loop = socket.IPV6_MULTICAST_LOOP if v6 else socket.IP_MULTICAST_LOOP
    with bound(family) as skt:
        for value in (0, 1, 255):
            set_multicast_hop_limit(skt, value)
            assert skt.getsockopt(level, hops) == value
        for wanted in (False, True):
            set_multicast_loopback(skt, wanted)
            assert skt.getsockopt(level, loop) == wanted


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
def test_the_interface_of_groups_can_be_read_back(family):
    """Of IPv4 the system says its address, of IPv6 its index."""
    with two_hosts() as (here, _), here.socket(family) as skt:
        port = here.ports[0]
        set_multicast_interface(skt, port.index)
        if family == socket.AF_INET6:
            assert skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF) == port.index
        else:
            # The last of an ip_mreqn, of which the system tells the address too on request only.
            skt.connect((GROUP[family], 9))
            assert skt.getsockname()[0] == port.ipv4
        assert refusal(set_multicast_interface, skt, 4_000_000) in (errno.ENODEV, errno.EADDRNOTAVAIL)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
def test_a_socket_can_be_spared_the_groups_of_others(family):
    """The kernel's default is to deliver them to everybody who is bound to the port."""
    v6 = family == socket.AF_INET6
    level, number = (socket.IPPROTO_IPV6, 29) if v6 else (socket.IPPROTO_IP, 49)
    with socket.socket(family, socket.SOCK_DGRAM) as skt:
        assert skt.getsockopt(level, number) == 1
        only_joined_groups(skt)
        assert skt.getsockopt(level, number) == 0


def test_a_shared_port_is_shared():
    """With others that say so, and with nobody else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        share_port(one)
        one.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            share_port(other)
            other.bind(one.getsockname())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            assert refusal(other.bind, one.getsockname()) == errno.EADDRINUSE


@on_linux
def test_without_a_way_to_the_group_the_system_refuses():
    """There is nothing but loopback."""
    with network_namespace(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        assert refusal(join_group, skt, 0, GROUP[socket.AF_INET]) == errno.ENODEV
