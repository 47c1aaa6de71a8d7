"""DatagramSocketControl, and what it asks of the system."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from winsockets.errors import AddressNotAvailableError, translate
from winsockets.networking import NetworkAdapter
from winsockets.sockets._kinds import SocketQualityOfService
from winsockets.sockets._settings import (
    Control,
    Setting,
    buffer_size,
    flag,
    hop_limit,
    limits,
    multicast_hop_limit,
    name_servers,
    quality_of_service,
)
from winsockets.transports._datagram_transport import DatagramTransport
from winsockets.transports._multicast import (
    only_joined_groups,
    set_multicast_hop_limit,
    set_multicast_interface,
    set_multicast_loopback,
    share_port,
)
from winsockets.transports._socket_options import set_hop_limit, set_low_latency

__all__ = ["DatagramSocketControl", "apply_datagram_options", "dont_fragment_option"]


_T = TypeVar("_T")
# What systems say of an interface that they do not have, or that the socket is not bound to.
_GONE = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL, errno.EINVAL})


def _on_all(set_option: Callable[[socket.socket, _T], None]) -> Callable[[DatagramSocketControl, _T], None]:
    """Make what sets an option on the open sockets of a control, for what is written from then on."""

    def changed(control: DatagramSocketControl, value: _T) -> None:
        for transport in control._transports.values():
            if transport.open:
                transport.release()
                set_option(transport.socket, value)

    return changed


def _leave_through(skt: socket.socket, adapter: NetworkAdapter | None) -> None:
    try:
        set_multicast_interface(skt, 0 if adapter is None else adapter.index)
    except OSError as problem:
        if adapter is not None and problem.errno in _GONE:
            raise AddressNotAvailableError(
                f"send to groups through the network adapter {adapter.name}: it is gone, or is not the one "
                "that the socket is bound to",
                errno=problem.errno,
            ) from problem
        raise translate(problem, "choose the network adapter for groups") from problem


_all_leave_through = _on_all(_leave_through)


def _adapter_changed(control: DatagramSocketControl, adapter: NetworkAdapter | None) -> None:
    _all_leave_through(control, adapter or control._bound_to)


def _adapter(name: str, value: object) -> NetworkAdapter | None:
    if value is not None and not isinstance(value, NetworkAdapter):
        raise TypeError(f"{name} is a NetworkAdapter or None, not {value!r}")
    return value


class DatagramSocketControl(Control):
    """What can be set on a DatagramSocket before it is bound or connected.

    Setting a property later raises IllegalMethodCallError naming it, except the hop limits,
    ``multicast_loopback`` and ``multicast_adapter``, which can be set any time and count for what is written
    afterwards.

    Source: WinRT DatagramSocketControl; ``limits``, ``multicast_adapter``, ``multicast_loopback``,
    ``name_servers`` and ``outbound_multicast_hop_limit`` are additions.
    """

    __slots__ = ("_bound_to", "_transports")

    dont_fragment = flag(
        False,
        "Whether datagrams may not be split, neither here nor by routers on the way (which split those of "
        "IPv4 only); longer ones fail (MESSAGE_TOO_LONG). Default False.",
    )
    inbound_buffer_size_in_bytes = buffer_size(
        socket.SOCK_DGRAM,
        socket.SO_RCVBUF,
        "Bytes the system buffers for receiving (SO_RCVBUF). Default: the system's.",
    )
    limits = limits()
    multicast_adapter = Setting[NetworkAdapter | None](
        lambda: None,
        _adapter,
        "The adapter through which datagrams to groups leave (IP_MULTICAST_IF, IPV6_MULTICAST_IF). Default "
        "None: the one that the socket is bound to, or where the routing leads.",
        "allowed",
        _adapter_changed,
    )
    multicast_loopback = flag(
        True,
        "Whether this machine receives what this socket sends to groups (IP_MULTICAST_LOOP, "
        "IPV6_MULTICAST_LOOP); on Windows: whether this socket receives what this machine sends. Default "
        "True.",
        "allowed",
        _on_all(set_multicast_loopback),
    )
    multicast_only = flag(
        False,
        "Whether the port is shared with others who share it, for multicast and broadcast only "
        "(SO_REUSEADDR; on the BSDs and macOS SO_REUSEPORT too, on Windows SO_REUSE_MULTICASTPORT). "
        "Default False.",
    )
    name_servers = name_servers()
    outbound_multicast_hop_limit = multicast_hop_limit(_on_all(set_multicast_hop_limit))
    outbound_unicast_hop_limit = hop_limit("allowed", _on_all(set_hop_limit))
    quality_of_service = quality_of_service()

    def __init__(self, transports: Mapping[int, DatagramTransport]) -> None:
        super().__init__()
        # Shared with the socket: those that a later hop limit is for.
        self._transports = transports
        # The adapter that the socket is bound to, which sends to groups too.
        self._bound_to: NetworkAdapter | None = None


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

_MAY_FRAGMENT = (socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT


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


def apply_datagram_options(
    skt: socket.socket, control: DatagramSocketControl, adapter: NetworkAdapter | None = None
) -> None:
    """Set on a new socket what the control asks for.

    Datagrams to groups leave through the adapter that the socket is bound to, unless the control names one.

    Broadcast is always allowed, as on Windows Runtime sockets. An IPv6 socket carries IPv6 only.

    Raises:
        OSError: the system refuses.

    Source: socket(7), ip(7), ipv6(7).
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if control.multicast_only:
        share_port(skt)
    elif hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        # Elsewhere a port is exclusive unless all who bind it say otherwise.
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    only_joined_groups(skt)
    set_hop_limit(skt, control.outbound_unicast_hop_limit)
    kind = type(control)
    if kind.outbound_multicast_hop_limit._is_set(control):
        set_multicast_hop_limit(skt, control.outbound_multicast_hop_limit)
    if kind.multicast_loopback._is_set(control):
        set_multicast_loopback(skt, control.multicast_loopback)
    adapter = control.multicast_adapter or adapter
    if adapter is not None:
        _leave_through(skt, adapter)
    if kind.inbound_buffer_size_in_bytes._is_set(control):
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, control.inbound_buffer_size_in_bytes)
    if control.dont_fragment:
        skt.setsockopt(*dont_fragment_option(skt.family))
    elif sys.platform == "linux" and skt.family == socket.AF_INET:
        # Linux alone forbids it to routers unless it is told otherwise, and loses what is too long for them.
        skt.setsockopt(*_MAY_FRAGMENT)
    if control.quality_of_service is SocketQualityOfService.LOW_LATENCY:
        set_low_latency(skt)
