"""What the system tells of a datagram beside its bytes: where to, through what, and its hop limit."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "ANCILLARY_SIZE",
    "Ancillary",
    "WayOut",
    "ask_for_details",
    "can_choose_way_out",
    "destination_of",
    "hop_limit_of",
    "interface_of",
    "was_unicast",
]

Ancillary: TypeAlias = Sequence[tuple[int, int, bytes]]
"""What ``recvmsg`` returns beside the data: level, type and content of each message."""

ANCILLARY_SIZE = 128
"""Room for all messages of either family, with their headers, on every system."""

# Before Python 3.14 the socket module does not name the first. linux/in.h; netinet/in.h of macOS.
_IP_PKTINFO: int | None = getattr(socket, "IP_PKTINFO", {"linux": 8, "darwin": 26}.get(sys.platform))
_IPV6_RECVPKTINFO: int | None = getattr(socket, "IPV6_RECVPKTINFO", None)
_IPV6_PKTINFO: int | None = getattr(socket, "IPV6_PKTINFO", None)
_IPV6_RECVHOPLIMIT: int | None = getattr(socket, "IPV6_RECVHOPLIMIT", None)
_IPV6_HOPLIMIT: int | None = getattr(socket, "IPV6_HOPLIMIT", None)
# IP_RECVTTL, and the type of what comes then: linux/in.h, netinet/in.h of macOS.
_IP_RECVTTL: int | None = {"linux": 12, "darwin": 24}.get(sys.platform)
_IP_TTL: int | None = {"linux": socket.IP_TTL, "darwin": 24}.get(sys.platform)
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")


def ask_for_details(skt: socket.socket) -> None:
    """Have the system tell of each datagram where it was sent to, where it came in, and its hop limit.

    What the system does not have is left out.

    Raises:
        OSError: the system refuses.

    Source: ip(7) IP_PKTINFO, IP_RECVTTL; RFC 3542 section 6.
    """
    if skt.family == socket.AF_INET6:
        for option in (_IPV6_RECVPKTINFO, _IPV6_RECVHOPLIMIT):
            if option is not None:
                skt.setsockopt(socket.IPPROTO_IPV6, option, 1)
    elif skt.family == socket.AF_INET:
        for option in (_IP_PKTINFO, _IP_RECVTTL):
            if option is not None:
                skt.setsockopt(socket.IPPROTO_IP, option, 1)


class WayOut(NamedTuple):
    """Where one IPv4 datagram goes, and the index of the interface through which it leaves."""

    host: str
    port: int
    interface: int

    def send(self, skt: socket.socket, data: ReadableBuffer) -> None:
        """Send it.

        Raises:
            OSError: as the system says.

        Source: ip(7) IP_PKTINFO.
        """
        assert _IP_PKTINFO is not None
        chosen = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO4.pack(self.interface, bytes(4), bytes(4)))]
        skt.sendmsg([data], chosen, 0, (self.host, self.port))


def can_choose_way_out() -> bool:
    """Tell whether the system lets a program choose the interface for each datagram."""
    return _IP_PKTINFO is not None and hasattr(socket.socket, "sendmsg")


def _ways(ancillary: Ancillary) -> Iterator[tuple[bytes, bytes, int]]:
    """Take out where a datagram was sent to, the local address for that, and the index of the interface."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO4.size:
            index, local, destination = _PKTINFO4.unpack_from(data)
            yield destination, local, index
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO and len(data) >= _PKTINFO6.size:
            destination, index = _PKTINFO6.unpack_from(data)
            yield destination, destination, index


def destination_of(ancillary: Ancillary) -> str:
    """Find the address that a datagram was sent to.

    Args:
        ancillary: what came with the datagram, whatever it is.

    Returns:
        The numeric address, with the scope where it is link-local; "" when the system did not tell.
    """
    for raw, _, index in _ways(ancillary):
        if len(raw) == 4:
            return socket.inet_ntop(socket.AF_INET, raw)
        host = socket.inet_ntop(socket.AF_INET6, raw)
        link_local = raw[0] == 0xFE and raw[1] & 0xC0 == 0x80
        return f"{host}%{index}" if link_local else host
    return ""


def interface_of(ancillary: Ancillary) -> int:
    """Find the index of the interface through which a datagram came in; 0 when the system did not tell."""
    return next((index for _, _, index in _ways(ancillary)), 0)


def hop_limit_of(ancillary: Ancillary) -> int | None:
    """Find the hop limit that a datagram had left; None when the system did not tell.

    Source: ip(7) IP_RECVTTL; RFC 3542 section 6.3.
    """
    for level, kind, data in ancillary:
        if (level == socket.IPPROTO_IP and kind == _IP_TTL) or (
            level == socket.IPPROTO_IPV6 and kind == _IPV6_HOPLIMIT
        ):
            # An int on Linux, a byte on macOS for IPv4.
            return int.from_bytes(data, sys.byteorder)
    return None


def was_unicast(ancillary: Ancillary) -> bool:
    """Tell whether a datagram was sent to this machine alone: not to a group, and not to all of a network.

    Only Linux tells which address is the machine's own. Elsewhere broadcasts to one network (192.0.2.255) are
    taken for it.
    """
    for destination, local, _ in _ways(ancillary):
        if len(destination) == 16:
            return destination[0] != 0xFF
        if destination[0] >= 0xE0:
            # Groups and 255.255.255.255, which are at the end of all addresses.
            return False
        return destination == local or not any(local)
    return False
