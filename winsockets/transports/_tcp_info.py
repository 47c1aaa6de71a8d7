"""What the system knows about a TCP connection: round trips and rates."""

from __future__ import annotations

import socket
import struct
import sys
from typing import NamedTuple

__all__ = ["TcpInfo", "parse_connection_info", "parse_tcp_info", "read_tcp_info"]

# struct tcp_info of Linux, linux/tcp.h: 8 bytes of state, 24 32-bit counters, and what later kernels added.
_COUNTERS = struct.Struct("=24I")
_BYTES_RECEIVED_OFFSET = 128
_MIN_RTT_OFFSET = 148
_DELIVERY_RATE_OFFSET = 160
_APP_LIMITED = 0x01
_NO_SAMPLE = 0xFFFFFFFF
_NO_THRESHOLD = 0x7FFFFFFF
# struct tcp_connection_info of macOS, netinet/tcp.h: two round trip times, in milliseconds, and the bytes
# that were received.
_ROUND_TRIPS = struct.Struct("=2I")
_ROUND_TRIPS_OFFSET = 44
_RECEIVED_OFFSET = 88
_MICROSECONDS = 1_000


class TcpInfo(NamedTuple):
    """The figures that the statistics are made of; 0 or False where the system does not tell one.

    Attributes:
        rtt: smoothed round trip in microseconds.
        rtt_variance: its mean deviation in microseconds.
        min_rtt: the shortest round trip in microseconds, of the last minutes.
        bytes_received: what has arrived, without what arrived twice.
        last_received: milliseconds since data arrived.
        delivery_rate: the latest measured goodput towards the peer, in bytes per second.
        application_limited: whether that measurement was held back by the program, not the path.
        slow_start_ended: whether the path has set a limit yet to what is under way at a time.
    """

    rtt: int = 0
    rtt_variance: int = 0
    min_rtt: int = 0
    bytes_received: int = 0
    last_received: int = 0
    delivery_rate: int = 0
    application_limited: bool = False
    slow_start_ended: bool = False


def read_tcp_info(skt: socket.socket) -> TcpInfo | None:
    """Ask the system; None where it has no such call.

    Source: tcp(7) TCP_INFO, linux/tcp.h; netinet/tcp.h of macOS, TCP_CONNECTION_INFO.
    """
    if sys.platform not in _ASKING:
        return None
    option, parse = _ASKING[sys.platform]
    return parse(skt.getsockopt(socket.IPPROTO_TCP, option, 256))


def parse_tcp_info(raw: bytes) -> TcpInfo | None:
    """Read a ``struct tcp_info``, which kernels have made longer over the years; None for one too short.

    Source: linux/tcp.h.
    """
    if len(raw) < 8 + _COUNTERS.size:
        return None
    counters = _COUNTERS.unpack_from(raw, 8)
    min_rtt = _number("=I", raw, _MIN_RTT_OFFSET)
    return TcpInfo(
        rtt=counters[15],
        rtt_variance=counters[16],
        min_rtt=min_rtt if min_rtt != _NO_SAMPLE else 0,
        bytes_received=_number("=Q", raw, _BYTES_RECEIVED_OFFSET),
        last_received=counters[11],
        delivery_rate=_number("=Q", raw, _DELIVERY_RATE_OFFSET),
        application_limited=bool(raw[7] & _APP_LIMITED),
        slow_start_ended=counters[17] < _NO_THRESHOLD,
    )


def parse_connection_info(raw: bytes) -> TcpInfo | None:
    """Read a ``struct tcp_connection_info``; None for one too short.

    Source: netinet/tcp.h of macOS.
    """
    if len(raw) < _ROUND_TRIPS_OFFSET + _ROUND_TRIPS.size:
        return None
    rtt, variance = _ROUND_TRIPS.unpack_from(raw, _ROUND_TRIPS_OFFSET)
    return TcpInfo(
        rtt=rtt * _MICROSECONDS,
        rtt_variance=variance * _MICROSECONDS,
        bytes_received=_number("=Q", raw, _RECEIVED_OFFSET),
    )


# TCP_INFO, TCP_CONNECTION_INFO
_ASKING = {"linux": (11, parse_tcp_info), "darwin": (0x106, parse_connection_info)}


def _number(kind: str, raw: bytes, offset: int) -> int:
    """Read a number that may not be there."""
    if len(raw) < offset + struct.calcsize(kind):
        return 0
    (number,) = struct.unpack_from(kind, raw, offset)
    return int(number)
