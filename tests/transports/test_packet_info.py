"""What comes with a datagram: where it was sent to, through what it came, and its hop limit."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.transports.datagrams import FAMILIES, LOOPBACK, WILDCARD, bound
from winsockets.transports._packet_info import (
    _IP_PKTINFO as IP_PKTINFO,
)
from winsockets.transports._packet_info import (
    _IPV6_PKTINFO as IPV6_PKTINFO,
)
from winsockets.transports._packet_info import (
    ANCILLARY_SIZE,
    ask_for_details,
    destination_of,
    hop_limit_of,
    interface_of,
    was_unicast,
)

LEVELS = st.sampled_from([socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6]) | st.integers()
KINDS = st.sampled_from([IP_PKTINFO, IPV6_PKTINFO]) | st.integers()

pytestmark = pytest.mark.skipif(not hasattr(socket.socket, "recvmsg"), reason="this system does not tell")


@given(st.lists(st.tuples(LEVELS, KINDS, st.binary(max_size=40))))
@example([(socket.IPPROTO_IPV6, IPV6_PKTINFO, bytes(19))])
@example([(socket.IPPROTO_IP, IP_PKTINFO, bytes(11))])
def test_nothing_that_comes_with_a_datagram_makes_it_fail(ancillary):
    """There is an answer whatever the bytes are."""
    assert isinstance(destination_of(ancillary), str)
    assert isinstance(interface_of(ancillary), int)
    assert isinstance(was_unicast(ancillary), bool)
    assert isinstance(hop_limit_of(ancillary), int | None)


@given(st.ip_addresses(v=4), st.integers(0, 2**32 - 1), st.binary(max_size=4))
def test_an_ipv4_address_is_read_out(address, index, tail):
    """It is the third field: where the datagram was sent to, not from where an answer would go."""
    content = struct.pack("=I4s4s", index, bytes(4), address.packed) + tail
    noise = (socket.SOL_SOCKET, 1, b"noise")
    assert destination_of([noise, (socket.IPPROTO_IP, IP_PKTINFO, content)]) == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**32 - 1))
def test_an_ipv6_address_is_read_out_with_its_scope(address, index):
    """A link-local address means nothing without the interface it came through."""
    content = struct.pack("=16sI", address.packed, index)
    found = destination_of([(socket.IPPROTO_IPV6, IPV6_PKTINFO, content)])
    host, _, scope = found.partition("%")
    assert socket.inet_pton(socket.AF_INET6, host) == address.packed
    assert scope == (str(index) if address.is_link_local else "")


@pytest.mark.parametrize(
    ("destination", "local", "alone"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "0.0.0.0", True),
        ("192.0.2.255", "192.0.2.1", False),
        ("192.0.2.255", "0.0.0.0", True),
        ("255.255.255.255", "192.0.2.1", False),
        ("224.0.0.1", "192.0.2.1", False),
        ("239.255.255.255", "0.0.0.0", False),
        ("::1", "", True),
        ("fe80::1", "", True),
        ("ff02::1", "", False),
        ("ff15::1", "", False),
    ],
)
def test_groups_and_broadcasts_are_told_from_unicast(destination, local, alone):
    """By the address that is the machine's own, where the system says it."""
    if ":" in destination:
        content = struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, destination), 3)
        told = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, content)]
    else:
        content = struct.pack("=I4s4s", 3, socket.inet_aton(local), socket.inet_aton(destination))
        told = [(socket.IPPROTO_IP, IP_PKTINFO, content)]
    assert was_unicast(told) is alone
    assert interface_of(told) == 3


def test_where_the_system_says_nothing_nothing_is_known():
    """And nothing is taken for unicast."""
    assert destination_of([]) == ""
    assert interface_of([]) == 0
    assert hop_limit_of([]) is None
    assert was_unicast([]) is False


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        (socket.SOL_SOCKET, IP_PKTINFO),
        (socket.SOL_SOCKET, IPV6_PKTINFO),
        (socket.IPPROTO_IP, IPV6_PKTINFO),
        (socket.IPPROTO_IPV6, IP_PKTINFO),
    ],
)
def test_other_messages_are_passed_over(level, kind):
    """The same number means something else on another level."""
    assert destination_of([(level, kind, bytes(range(40)))]) == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_system_tells_when_it_was_asked(family):
    """On a socket that is bound to all addresses."""
    with bound(family, WILDCARD[family]) as skt, socket.socket(family, socket.SOCK_DGRAM) as sender:
        ask_for_details(skt)
        skt.setblocking(True)
        sender.sendto(b"x", (LOOPBACK[family], skt.getsockname()[1]))
        _, ancillary, flags, _ = skt.recvmsg(10, ANCILLARY_SIZE)
        assert destination_of(ancillary) == LOOPBACK[family]
        assert socket.if_indextoname(interface_of(ancillary)).startswith("lo")
        assert hop_limit_of(ancillary) == 64
        assert was_unicast(ancillary)
        assert not flags & socket.MSG_CTRUNC


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_room_for_all_that_the_system_says(family):
    """Address, hop limit, size of segments and one more; what is cut off is lost without a word."""
    content = 12 if family == socket.AF_INET else 20
    assert socket.CMSG_SPACE(content) + 3 * socket.CMSG_SPACE(4) <= ANCILLARY_SIZE


def test_other_sockets_are_left_alone():
    """There is nothing to ask a socket of another family for."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        ask_for_details(near)
        far.send(b"x")
        assert destination_of(near.recvmsg(10, ANCILLARY_SIZE)[1]) == ""
