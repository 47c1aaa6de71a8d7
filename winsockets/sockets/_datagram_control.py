"""DatagramSocketControl, and what it asks of the system."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Mapping

from winsockets.sockets._kinds import SocketQualityOfService
from winsockets.sockets._settings import (
    Control,
    buffer_size,
    flag,
    hop_limit,
    limits,
    quality_of_service,
)
from winsockets.transports._datagram_transport import DatagramTransport
from winsockets.transports._socket_options import set_hop_limit, set_low_latency

__all__ = ["DatagramSocketControl", "apply_datagram_options", "dont_fragment_option"]


def _hops_changed(control: DatagramSocketControl, hops: int) -> None:
    for transport in control._transports.values():
        if transport.open:
            # What was written before keeps the old one.
            transport.release()
            set_hop_limit(transport.socket, hops)


class DatagramSocketControl(Control):
    """What can be set on a DatagramSocket before it is bound or connected.

    Setting a property later raises IllegalMethodCallError naming it, except
    ``outbound_unicast_hop_limit``, which can be set any time.

    Source: WinRT DatagramSocketControl; ``limits`` is an addition.
    """

    __slots__ = ("_transports",)

    dont_fragment = flag(
        False,
        "Whether datagrams may not be split on the way; longer ones fail (MESSAGE_TOO_LONG). Default False.",
    )
    inbound_buffer_size_in_bytes = buffer_size(
        socket.SOCK_DGRAM,
        socket.SO_RCVBUF,
        "Bytes the system buffers for receiving (SO_RCVBUF). Default: the system's.",
    )
    limits = limits()
    outbound_unicast_hop_limit = hop_limit("allowed", _hops_changed)
    quality_of_service = quality_of_service()

    def __init__(self, transports: Mapping[int, DatagramTransport]) -> None:
        super().__init__()
        # Shared with the socket: those that a later hop limit is for.
        self._transports = transports


# The socket module does not name most of these. linux/in.h, linux/in6.h; netinet/in.h and netinet6/in6.h of
# macOS; ws2ipdef.h.
_DONT_FRAGMENT: dict[tuple[str, int], tuple[int, int, int]] = {
    ("linux", socket.AF_INET): (socket.IPPROTO_IP, 10, 2),  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    ("linux", socket.AF_INET6): (socket.IPPROTO_IPV6, 23, 2),  # the same for IPv6
    ("darwin", socket.AF_INET): (socket.IPPROTO_IP, 28, 1),  # IP_DONTFRAG
    ("darwin", socket.AF_INET6): (socket.IPPROTO_IPV6, 62, 1),  # IPV6_DONTFRAG
    ("win32", socket.AF_INET): (socket.IPPROTO_IP, 14, 1),  # IP_DONTFRAGMENT
    ("win32", socket.AF_INET6): (socket.IPPROTO_IPV6, 14, 1),  # IPV6_DONTFRAG
}


def dont_fragment_option(family: int, platform: str = sys.platform) -> tuple[int, int, int]:
    """Find the arguments of ``setsockopt`` that keep datagrams whole.

    Raises:
        OSError: ENOPROTOOPT, it is not known how to ask this system.

    Source: ip(7) IP_MTU_DISCOVER, ipv6(7) IPV6_MTU_DISCOVER; RFC 3542 section 11.2.
    """
    try:
        return _DONT_FRAGMENT[platform, family]
    except KeyError:
        raise OSError(
            errno.ENOPROTOOPT, f"dont_fragment is not offered on {platform}; leave it False"
        ) from None


def apply_datagram_options(skt: socket.socket, control: DatagramSocketControl) -> None:
    """Set on a new socket what the control asks for.

    Broadcast is always allowed, as on Windows Runtime sockets. An IPv6 socket carries IPv6 only.

    Raises:
        OSError: the system refuses.

    Source: socket(7), ip(7), ipv6(7).
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        # Elsewhere a port is exclusive unless all who bind it say otherwise.
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    set_hop_limit(skt, control.outbound_unicast_hop_limit)
    if type(control).inbound_buffer_size_in_bytes._is_set(control):
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, control.inbound_buffer_size_in_bytes)
    if control.dont_fragment:
        skt.setsockopt(*dont_fragment_option(skt.family))
    if control.quality_of_service is SocketQualityOfService.LOW_LATENCY:
        set_low_latency(skt)
