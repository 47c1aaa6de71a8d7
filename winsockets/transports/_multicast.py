"""The multicast options of a datagram socket: groups and sources, loopback, hops, and the way out."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import NamedTuple

__all__ = [
    "MembershipOptions",
    "block_source",
    "group_request",
    "join_group",
    "leave_group",
    "membership_options",
    "only_joined_groups",
    "outgoing_interface",
    "set_multicast_hop_limit",
    "set_multicast_interface",
    "set_multicast_loopback",
    "share_port",
    "unblock_source",
]

_STORAGE = 128
"""The size of a sockaddr_storage on every system: RFC 3493 section 3.10."""


class MembershipOptions(NamedTuple):
    """The options of RFC 3678 section 5.1.2 on one system, and how their arguments are laid out.

    Attributes:
        join: MCAST_JOIN_GROUP.
        leave: MCAST_LEAVE_GROUP.
        join_source: MCAST_JOIN_SOURCE_GROUP.
        leave_source: MCAST_LEAVE_SOURCE_GROUP.
        block: MCAST_BLOCK_SOURCE.
        unblock: MCAST_UNBLOCK_SOURCE.
        addresses_at: where the first address begins, behind the index of the interface.
        ipv6: AF_INET6.
        counts: whether an address begins with its length.
    """

    join: int
    leave: int
    join_source: int
    leave_source: int
    block: int
    unblock: int
    addresses_at: int
    ipv6: int
    counts: bool


# The socket module names none of them.
_OPTIONS = {
    # linux/in.h, linux/socket.h: a sockaddr_storage is aligned like a pointer.
    "linux": MembershipOptions(42, 45, 46, 47, 43, 44, struct.calcsize("P"), 10, False),
    # netinet/in.h and sys/socket.h of macOS: the structures are packed to four bytes.
    "darwin": MembershipOptions(80, 81, 82, 83, 84, 85, 4, 30, True),
    # ws2ipdef.h, ws2def.h: a SOCKADDR_STORAGE is aligned to eight bytes.
    "win32": MembershipOptions(41, 42, 45, 46, 43, 44, 8, 23, False),
}


def membership_options(platform: str = sys.platform) -> MembershipOptions:
    """Find the options of a system.

    Raises:
        OSError: ENOPROTOOPT, it is not known how to ask this system.
    """
    try:
        return _OPTIONS[platform]
    except KeyError:
        raise OSError(errno.ENOPROTOOPT, f"multicast groups are not offered on {platform}") from None


def group_request(options: MembershipOptions, index: int, *addresses: str) -> bytes:
    """Lay out a group_req (one address) or a group_source_req (two).

    Args:
        options: those of the system.
        index: that of the interface; 0 lets the system choose.
        addresses: the group and perhaps a source: numeric, without a scope.

    Source: RFC 3678 section 5.1.1.
    """
    start = struct.pack("=I", index).ljust(options.addresses_at, b"\0")
    return start + b"".join(_storage(options, address) for address in addresses)


def _storage(options: MembershipOptions, address: str) -> bytes:
    """Lay out a sockaddr_in or sockaddr_in6 in a sockaddr_storage."""
    if ":" in address:
        number, size, content = options.ipv6, 28, bytes(6) + socket.inet_pton(socket.AF_INET6, address)
    else:
        number, size, content = socket.AF_INET, 16, bytes(2) + socket.inet_pton(socket.AF_INET, address)
    family = struct.pack("=BB", size, number) if options.counts else struct.pack("=H", number)
    return (family + content).ljust(_STORAGE, b"\0")


def join_group(skt: socket.socket, index: int, group: str, source: str | None = None) -> None:
    """Receive what is sent to a group: by everybody, or by one source.

    Args:
        skt: a datagram socket.
        index: that of the interface; 0 takes the one that the routing leads through.
        group: a multicast address of the socket's family, numeric and without a scope.
        source: an address of the same family; None for all.

    Raises:
        OSError: EADDRINUSE or EADDRNOTAVAIL, it is joined already; ENODEV, no such interface, or no way to
            the group; ENOBUFS, too many of them.

    Source: RFC 3678 section 5.1.2.
    """
    options = membership_options()
    if source is None:
        _change(skt, options.join, group_request(options, index, group))
    else:
        _change(skt, options.join_source, group_request(options, index, group, source))


def leave_group(skt: socket.socket, index: int, group: str, source: str | None = None) -> None:
    """Take back a ``join_group``; without a source, those of all sources."""
    options = membership_options()
    if source is None:
        _change(skt, options.leave, group_request(options, index, group))
    else:
        _change(skt, options.leave_source, group_request(options, index, group, source))


def block_source(skt: socket.socket, index: int, group: str, source: str) -> None:
    """Receive no more what one source sends to a group that was joined for all."""
    options = membership_options()
    _change(skt, options.block, group_request(options, index, group, source))


def unblock_source(skt: socket.socket, index: int, group: str, source: str) -> None:
    """Take back a ``block_source``."""
    options = membership_options()
    _change(skt, options.unblock, group_request(options, index, group, source))


def _change(skt: socket.socket, option: int, request: bytes) -> None:
    level = socket.IPPROTO_IPV6 if skt.family == socket.AF_INET6 else socket.IPPROTO_IP
    skt.setsockopt(level, option, request)


# linux/in.h, linux/in6.h.
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29


def only_joined_groups(skt: socket.socket) -> None:
    """Have a new socket receive what is sent to the groups that it joined itself, and to no other.

    Linux gives it those of everybody on the machine otherwise; other systems do not.

    Raises:
        OSError: the system refuses.

    Source: ip(7) IP_MULTICAST_ALL.
    """
    if sys.platform != "linux":
        return
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    else:
        skt.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)


_SO_REUSE_MULTICASTPORT = 0x3008  # ws2def.h


def share_port(skt: socket.socket) -> None:
    """Let a new socket be bound to a port together with others that ask for the same.

    All of them receive what is sent to a group or to a broadcast address. Which one receives what is sent to
    this machine alone is not known.

    Raises:
        OSError: the system refuses.

    Source: socket(7) SO_REUSEADDR; setsockopt(2) of the BSDs and macOS, SO_REUSEPORT; Winsock
    SO_REUSE_MULTICASTPORT.
    """
    if sys.platform == "win32":
        try:
            skt.setsockopt(socket.SOL_SOCKET, _SO_REUSE_MULTICASTPORT, 1)
        except OSError:
            # Before Windows 10 there was only the other one.
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return
    skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "linux" and hasattr(socket, "SO_REUSEPORT"):
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def set_multicast_loopback(skt: socket.socket, wanted: bool) -> None:
    """Say whether this machine receives what is sent to groups: by this socket, on Windows by it.

    Source: ip(7) IP_MULTICAST_LOOP, ipv6(7) IPV6_MULTICAST_LOOP.
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, int(wanted))
    else:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(wanted))


def set_multicast_hop_limit(skt: socket.socket, hops: int) -> None:
    """Set how many routers a datagram to a group may pass, plus one; 0 keeps it on this machine.

    Source: ip(7) IP_MULTICAST_TTL, ipv6(7) IPV6_MULTICAST_HOPS.
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
    else:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)


def set_multicast_interface(skt: socket.socket, index: int) -> None:
    """Choose the interface through which datagrams to groups leave; 0 lets the routing choose.

    Raises:
        OSError: there is no such interface.

    Source: ip(7) IP_MULTICAST_IF, ipv6(7) IPV6_MULTICAST_IF.
    """
    if skt.family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, outgoing_interface(index))


def outgoing_interface(index: int, platform: str = sys.platform) -> bytes:
    """Lay out the argument of IP_MULTICAST_IF.

    Source: ip(7), netinet/in.h of macOS (ip_mreqn); Winsock IP_MULTICAST_IF.
    """
    if platform == "win32":
        # An address whose first byte is 0 stands for an index.
        return struct.pack("!I", index)
    return struct.pack("=8xI", index)
