"""What Linux knows about a connection."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from tests.transports.loopback import HOSTS, NEEDS_LINUX, listening
from winsockets.transports._tcp_info import TcpInfo, parse_tcp_info, read_tcp_info

pytestmark = NEEDS_LINUX


@pytest.fixture(params=HOSTS)
def pair(request):
    """Two connected sockets."""
    with (
        listening(request.param) as (server, port),
        socket.create_connection((request.param, port)) as one,
        server.accept()[0] as other,
    ):
        yield one, other


def test_a_fresh_connection_has_a_round_trip_time(pair):
    """From the handshake; on the loopback well below a second."""
    info = read_tcp_info(pair[0])
    assert 0 < info.rtt < 1_000_000
    assert 0 < info.rtt_variance < 1_000_000
    assert 0 <= info.min_rtt < 1_000_000


def test_the_figures_agree_with_where_the_kernel_puts_them(pair):
    """linux/tcp.h: struct tcp_info, by offsets counted by hand."""
    one, other = pair
    one.sendall(bytes(100_000))
    left = 100_000
    while left:
        left -= len(other.recv(left))
    for skt in pair:
        while True:
            raw = skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            info = read_tcp_info(skt)
            if raw[60:] == skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)[60:]:
                break
        rtt, variance = struct.unpack_from("=2I", raw, 68)
        received_rtt, received_space = struct.unpack_from("=2I", raw, 92)
        min_rtt = struct.unpack_from("=I", raw, 148)[0] if len(raw) >= 152 else 0
        rate = struct.unpack_from("=Q", raw, 160)[0] if len(raw) >= 168 else 0
        assert (info.rtt, info.rtt_variance) == (rtt, variance)
        assert (info.received_rtt, info.received_space) == (received_rtt, received_space)
        assert info.min_rtt == (min_rtt if min_rtt != 0xFFFFFFFF else 0)
        assert info.delivery_rate == rate
        assert info.application_limited == bool(raw[7] & 1)


def test_a_transfer_has_a_rate(pair):
    """Of the side that sends."""
    one, other = pair
    for _ in range(20):
        one.sendall(bytes(50_000))
        left = 50_000
        while left:
            left -= len(other.recv(left))
    assert read_tcp_info(one).delivery_rate > 0


def raw_info(min_rtt=0):
    """A struct of today's size with a figure in it."""
    raw = bytearray(232)
    struct.pack_into("=I", raw, 68, 1_000)
    struct.pack_into("=I", raw, 148, min_rtt)
    struct.pack_into("=Q", raw, 160, 5_000_000_000)
    return bytes(raw)


def test_an_older_kernel_tells_what_it_has():
    """The struct has grown over the years."""
    assert parse_tcp_info(raw_info(7)) == TcpInfo(1_000, 0, 7, 0, 0, 5_000_000_000, False)
    assert parse_tcp_info(raw_info(7)[:160]) == TcpInfo(1_000, 0, 7, 0, 0, 0, False)
    assert parse_tcp_info(raw_info(7)[:104]) == TcpInfo(1_000, 0, 0, 0, 0, 0, False)
    assert parse_tcp_info(raw_info(7)[:40]) is None
    assert parse_tcp_info(b"") is None


def test_no_sample_is_no_time():
    """The kernel says so with the highest number it has."""
    assert parse_tcp_info(raw_info(0xFFFFFFFF)).min_rtt == 0


def test_other_systems_tell_nothing(pair, monkeypatch):
    """They have no such call, or another struct."""
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert read_tcp_info(pair[0]) is None
