"""DatagramSocketControl, and what it asks of the system."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from winsockets.sockets._kinds import SocketQualityOfService
from winsockets.sockets._settings import (
    Control,
    buffer_size,
    flag,
    hop_limit,
    limits,
    quality_of_service,
)
from winsockets.transports._socket_options import set_hop_limit, set_low_latency

__all__ = ["DatagramSocketControl", "apply_datagram_options"]


def _hops_changed(control: DatagramSocketControl, hops: int) -> None:
    control._hop_limit_changed(hops)


class DatagramSocketControl(Control):
    """What can be set on a DatagramSocket before it is bound or connected.

    Setting a property later raises IllegalMethodCallError naming it, except
    ``outbound_unicast_hop_limit``, which can be set any time.

    Source: WinRT DatagramSocketControl; ``limits`` is an addition.
    """

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

    def __init__(self, hop_limit_changed: Callable[[int], None]) -> None:
        super().__init__()
        self._hop_limit_changed = hop_limit_changed


# The socket module does not name these. linux/in.h, linux/in6.h; netinet/in.h of macOS; ws2ipdef.h.
_DONT_FRAGMENT = {
    ("linux", socket.AF_INET): (socket.IPPROTO_IP, 10, 2),
    ("linux", socket.AF_INET6): (socket.IPPROTO_IPV6, 23, 2),
    ("darwin", socket.AF_INET): (socket.IPPROTO_IP, 28, 1),
    ("darwin", socket.AF_INET6): (socket.IPPROTO_IPV6, 62, 1),
    ("win32", socket.AF_INET): (socket.IPPROTO_IP, 14, 1),
    ("win32", socket.AF_INET6): (socket.IPPROTO_IPV6, 14, 1),
}


def apply_datagram_options(skt: socket.socket, control: DatagramSocketControl) -> None:
    """Set on a new socket what the control asks for.

    Broadcast is always allowed, as on Windows Runtime sockets. An IPv6 socket carries IPv6 only.

    Raises:
        OSError: the system refuses.

    Source: socket(7), ip(7) IP_MTU_DISCOVER, ipv6(7).
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    if hasattr(socket, "SIO_UDP_CONNRESET"):
        # Windows would fail receiving on an unconnected socket for every refusal of any peer.
        cast(Any, skt).ioctl(socket.SIO_UDP_CONNRESET, False)
    set_hop_limit(skt, control.outbound_unicast_hop_limit)
    if type(control).inbound_buffer_size_in_bytes.is_set(control):
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, control.inbound_buffer_size_in_bytes)
    if control.dont_fragment:
        option = _DONT_FRAGMENT.get((sys.platform, skt.family))
        if option is not None:
            skt.setsockopt(*option)
    if control.quality_of_service is SocketQualityOfService.LOW_LATENCY:
        set_low_latency(skt)
    if skt.family == socket.AF_INET6:
        with suppress(OSError, AttributeError):
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, int(control.dont_fragment))
