"""What Linux knows about a connection."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from tests.transports.loopback import HOSTS, NEEDS_LINUX, listening
from winsockets.transports._tcp_info import (
    TcpInfo,
    parse_connection_info,
    parse_tcp_info,
    read_tcp_info,
)

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
        threshold = struct.unpack_from("=I", raw, 76)[0]
        received = struct.unpack_from("=Q", raw, 128)[0] if len(raw) >= 136 else 0
        min_rtt = struct.unpack_from("=I", raw, 148)[0] if len(raw) >= 152 else 0
        rate = struct.unpack_from("=Q", raw, 160)[0] if len(raw) >= 168 else 0
        assert (info.rtt, info.rtt_variance) == (rtt, variance)
        assert info.bytes_received == received == (100_000 if skt is other and received else 0)
        assert info.slow_start_ended == (threshold < 0x7FFFFFFF)
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
    """A struct of today's size with figures in it."""
    raw = bytearray(232)
    struct.pack_into("=I", raw, 52, 250)
    struct.pack_into("=3I", raw, 68, 1_000, 200, 0x7FFFFFFF)
    struct.pack_into("=Q", raw, 128, 6_000_000_000)
    struct.pack_into("=I", raw, 148, min_rtt)
    struct.pack_into("=Q", raw, 160, 5_000_000_000)
    return bytes(raw)


def test_an_older_kernel_tells_what_it_has():
    """The struct has grown over the years."""
    oldest = TcpInfo(rtt=1_000, rtt_variance=200, last_received=250)
    older = oldest._replace(bytes_received=6_000_000_000)
    assert parse_tcp_info(raw_info(7)) == older._replace(min_rtt=7, delivery_rate=5_000_000_000)
    assert parse_tcp_info(raw_info(7)[:160]) == older._replace(min_rtt=7)
    assert parse_tcp_info(raw_info(7)[:136]) == older
    assert parse_tcp_info(raw_info(7)[:104]) == oldest
    assert parse_tcp_info(raw_info(7)[:40]) is None
    assert parse_tcp_info(b"") is None


def test_the_path_has_set_a_limit_when_there_is_a_threshold():
    """Until then the kernel has the highest number there."""
    raw = bytearray(raw_info())
    struct.pack_into("=I", raw, 76, 142)
    assert parse_tcp_info(bytes(raw)).slow_start_ended


def test_macos_tells_round_trips_in_milliseconds_and_bytes():
    """netinet/tcp.h: struct tcp_connection_info, by offsets counted by hand."""
    raw = bytearray(112)
    struct.pack_into("=3I", raw, 40, 9, 12, 4)
    struct.pack_into("=Q", raw, 88, 6_000_000_000)
    whole = TcpInfo(rtt=12_000, rtt_variance=4_000, bytes_received=6_000_000_000)
    assert parse_connection_info(bytes(raw)) == whole
    assert parse_connection_info(bytes(raw[:80])) == whole._replace(bytes_received=0)
    assert parse_connection_info(bytes(raw[:40])) is None


def test_macos_is_asked_in_its_own_way(monkeypatch):
    """TCP_CONNECTION_INFO."""

    class Socket:
        def getsockopt(self, *arguments):
            assert arguments == (socket.IPPROTO_TCP, 0x106, 256)
            return bytes(112)

    monkeypatch.setattr(sys, "platform", "darwin")
    assert read_tcp_info(Socket()) == TcpInfo()


def test_no_sample_is_no_time():
    """The kernel says so with the highest number it has."""
    assert parse_tcp_info(raw_info(0xFFFFFFFF)).min_rtt == 0


def test_other_systems_tell_nothing(pair, monkeypatch):
    """They have no such call, or another struct."""
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert read_tcp_info(pair[0]) is None
