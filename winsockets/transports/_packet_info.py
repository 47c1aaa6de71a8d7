"""To which local address a datagram was sent: what the system is asked for, and what it answers."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["ANCILLARY_SIZE", "Ancillary", "ask_for_destination", "destination_of"]

Ancillary: TypeAlias = Sequence[tuple[int, int, bytes]]
"""What ``recvmsg`` returns beside the data: level, type and content of each message."""

ANCILLARY_SIZE = 128
"""Room for one message of either family, with its header, on every system."""

# Before Python 3.14 the socket module does not name the first. linux/in.h; netinet/in.h of macOS.
_IP_PKTINFO: int | None = getattr(socket, "IP_PKTINFO", {"linux": 8, "darwin": 26}.get(sys.platform))
_IPV6_RECVPKTINFO: int | None = getattr(socket, "IPV6_RECVPKTINFO", None)
_IPV6_PKTINFO: int | None = getattr(socket, "IPV6_PKTINFO", None)
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")


def ask_for_destination(skt: socket.socket) -> None:
    """Have the system tell of each datagram to which address it was sent, where it can.

    Raises:
        OSError: the system refuses.

    Source: ip(7) IP_PKTINFO; RFC 3542 section 6.1.
    """
    if skt.family == socket.AF_INET6 and _IPV6_RECVPKTINFO is not None:
        skt.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    elif skt.family == socket.AF_INET and _IP_PKTINFO is not None:
        skt.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def destination_of(ancillary: Ancillary) -> str:
    """Find the address that a datagram was sent to.

    Args:
        ancillary: what came with the datagram, whatever it is.

    Returns:
        The numeric address, with the scope where it is link-local; "" when the system did not tell.
    """
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO4.size:
            return socket.inet_ntop(socket.AF_INET, _PKTINFO4.unpack_from(data)[2])
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO and len(data) >= _PKTINFO6.size:
            raw, index = _PKTINFO6.unpack_from(data)
            host = socket.inet_ntop(socket.AF_INET6, raw)
            link_local = raw[0] == 0xFE and raw[1] & 0xC0 == 0x80
            return f"{host}%{index}" if link_local else host
    return ""
