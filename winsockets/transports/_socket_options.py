"""The socket options that controls set, and what the system granted."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from winsockets.networking import NetworkAdapter
from winsockets.transports._adapter_binding import as_adapter, bind_to_adapter

__all__ = ["StreamOptions", "set_hop_limit", "set_low_latency"]


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a TCP socket is set to before it connects or listens.

    Attributes:
        no_delay: TCP_NODELAY.
        keep_alive: SO_KEEPALIVE.
        hop_limit: IP_TTL or IPV6_UNICAST_HOPS, 1 to 255; None leaves the system's default.
        send_buffer: SO_SNDBUF in bytes; None leaves the system's default (and its tuning).
        low_latency: IP_TOS or IPV6_TCLASS for expedited forwarding, and SO_PRIORITY, where a program may ask
            for that.
        adapter: the network adapter to connect or listen through (SO_BINDTODEVICE, IP_BOUND_IF,
            IP_UNICAST_IF); None leaves that to the system.
    """

    no_delay: bool = True
    keep_alive: bool = False
    hop_limit: int | None = None
    send_buffer: int | None = None
    low_latency: bool = False
    adapter: NetworkAdapter | None = None

    def __post_init__(self) -> None:
        """Refuse the name of an adapter in its place.

        Raises:
            TypeError: the adapter is none.
        """
        if self.adapter is not None:
            as_adapter(self.adapter)

    def apply(self, skt: socket.socket) -> None:
        """Set everything on a socket.

        Raises:
            OSError: the system refuses; a SocketException if that is about the adapter.
        """
        if self.adapter is not None:
            bind_to_adapter(skt, self.adapter)
        if self.no_delay:
            skt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.keep_alive:
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.send_buffer is not None:
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.hop_limit is not None:
            set_hop_limit(skt, self.hop_limit)
        if self.low_latency:
            set_low_latency(skt)


def set_hop_limit(skt: socket.socket, hops: int) -> None:
    """Set the unicast hop limit of a socket of either family.

    Source: ip(7) IP_TTL, ipv6(7) IPV6_UNICAST_HOPS.
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
    else:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)


_EXPEDITED_FORWARDING = 46 << 2
_INTERACTIVE = 6  # TC_PRIO_INTERACTIVE, the highest that needs no right: linux/pkt_sched.h


def set_low_latency(skt: socket.socket) -> None:
    """Mark packets for expedited forwarding, and put them first in this machine's own queues.

    Where the system lets a program do so; on Linux the queues count bands (pfifo_fast) or mark classes by it.

    Source: RFC 3246; ip(7) IP_TOS, ipv6(7) IPV6_TCLASS; socket(7) SO_PRIORITY.
    """
    # Windows ignores the option and macOS may refuse it; a wish that is not granted is no error.
    with suppress(OSError):
        if skt.family == socket.AF_INET6 and hasattr(socket, "IPV6_TCLASS"):
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)
        elif skt.family == socket.AF_INET:
            skt.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
        if hasattr(socket, "SO_PRIORITY"):
            # Last: Linux makes a lower one of the type of service.
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _INTERACTIVE)
