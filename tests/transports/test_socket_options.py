"""Socket options: what a control asks for is what the system has."""

from __future__ import annotations

import socket

import pytest

from tests.transports.loopback import HOSTS, family_of
from winsockets.transports._socket_options import StreamOptions, set_hop_limit, set_low_latency


@pytest.fixture(params=HOSTS)
def skt(request):
    """A TCP socket of either family."""
    with socket.socket(family_of(request.param), socket.SOCK_STREAM) as made:
        yield made


def hops(skt):
    """The hop limit of a socket."""
    if skt.family == socket.AF_INET6:
        return skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
    return skt.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


def traffic_class(skt):
    """The DSCP and ECN bits of a socket."""
    if skt.family == socket.AF_INET6:
        return skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    return skt.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


def test_without_a_wish_only_small_writes_are_hurried(skt):
    """WinRT's default for no_delay is the opposite of the system's; everything else is left alone."""
    before = hops(skt), traffic_class(skt), skt.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    StreamOptions().apply(skt)
    assert skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    assert before == (hops(skt), traffic_class(skt), skt.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))


def test_every_wish_reaches_the_system(skt):
    """In both families."""
    StreamOptions(no_delay=False, keep_alive=True, hop_limit=3, send_buffer=20_000, low_latency=True).apply(
        skt
    )
    assert skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert hops(skt) == 3
    assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in {20_000, 40_000}, "Linux doubles it"
    assert traffic_class(skt) >> 2 == 46, "expedited forwarding, RFC 3246"
    if hasattr(socket, "SO_PRIORITY"):
        assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 6, "interactive, linux/pkt_sched.h"


@pytest.mark.parametrize("limit", [1, 64, 128, 255])
def test_the_hop_limit_has_its_range(skt, limit):
    """One byte."""
    set_hop_limit(skt, limit)
    assert hops(skt) == limit


def test_what_the_system_refuses_is_told(skt):
    """Except for the wish for low latency, which is only a wish."""
    with pytest.raises(OSError, match="Invalid argument"):
        StreamOptions(hop_limit=1000).apply(skt)
    skt.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        StreamOptions(no_delay=True).apply(skt)
    set_low_latency(skt)
