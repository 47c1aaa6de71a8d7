"""What Linux knows about a TCP connection: round trips and rates."""

from __future__ import annotations

import socket
import struct
import sys
from typing import NamedTuple

__all__ = ["TcpInfo", "parse_tcp_info", "read_tcp_info"]

# struct tcp_info, linux/tcp.h: 8 bytes of state, 24 32-bit counters.
_COUNTERS = struct.Struct("=24I")
_MIN_RTT_OFFSET = 148
_DELIVERY_RATE_OFFSET = 160
_APP_LIMITED = 0x01
_NO_SAMPLE = 0xFFFFFFFF


class TcpInfo(NamedTuple):
    """The figures that the statistics are made of; 0 where the kernel is too old for one.

    Attributes:
        rtt: smoothed round trip in microseconds.
        rtt_variance: its mean deviation in microseconds.
        min_rtt: the shortest round trip in microseconds.
        received_rtt: the receiver's estimate of the round trip in microseconds.
        received_space: bytes the program took from the receive buffer in one such round trip.
        delivery_rate: the latest measured goodput towards the peer, in bytes per second.
        application_limited: whether that measurement was held back by the program, not the path.
    """

    rtt: int
    rtt_variance: int
    min_rtt: int
    received_rtt: int
    received_space: int
    delivery_rate: int
    application_limited: bool


def read_tcp_info(skt: socket.socket) -> TcpInfo | None:
    """Ask the kernel; None where it has no such call.

    Source: tcp(7) TCP_INFO, linux/tcp.h.
    """
    if sys.platform != "linux":
        return None
    return parse_tcp_info(skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))


def parse_tcp_info(raw: bytes) -> TcpInfo | None:
    """Read a ``struct tcp_info``, which kernels have made longer over the years; None for one too short.

    Source: linux/tcp.h.
    """
    if len(raw) < 8 + _COUNTERS.size:
        return None
    counters = _COUNTERS.unpack_from(raw, 8)
    min_rtt = 0
    if len(raw) >= _MIN_RTT_OFFSET + 4:
        (min_rtt,) = struct.unpack_from("=I", raw, _MIN_RTT_OFFSET)
        if min_rtt == _NO_SAMPLE:
            min_rtt = 0
    delivery_rate = 0
    if len(raw) >= _DELIVERY_RATE_OFFSET + 8:
        (delivery_rate,) = struct.unpack_from("=Q", raw, _DELIVERY_RATE_OFFSET)
    return TcpInfo(
        rtt=counters[15],
        rtt_variance=counters[16],
        min_rtt=min_rtt,
        received_rtt=counters[21],
        received_space=counters[22],
        delivery_rate=delivery_rate,
        application_limited=bool(raw[7] & _APP_LIMITED),
    )
