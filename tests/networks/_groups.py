"""A router that forwards groups, and what hosts are members of."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.networks._hosts import Host, Port

__all__ = ["forwarding_group", "is_member"]

_INIT, _DONE, _ADD_INTERFACE, _ADD_ROUTE = 200, 201, 202, 204
_BY_INDEX = 8


@contextmanager
def forwarding_group(router: Host, group: str, source: str, way_in: Port, way_out: Port) -> Iterator[None]:
    """Have the kernel of a router forward what one source sends to a group, as long as the block lasts.

    Only what has hops left passes, as everywhere.
    """
    if ":" in group:
        family, level, protocol = socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPPROTO_ICMPV6
        interfaces = [
            struct.pack("=HBBHxxI", number, 0, 1, port.index, 0)
            for number, port in enumerate((way_in, way_out))
        ]
        # Two socket addresses, where from, and a set of interfaces of 256 bits
        addresses = (
            struct.pack("=H6x16s4x", family, socket.inet_pton(family, each)) for each in (source, group)
        )
        route = b"".join(addresses) + struct.pack("=HxxI28x", 0, 1 << 1)
    else:
        family, level, protocol = socket.AF_INET, socket.IPPROTO_IP, socket.IPPROTO_IGMP
        interfaces = [
            struct.pack("=HBBIIxxxx", number, _BY_INDEX, 1, 0, port.index)
            for number, port in enumerate((way_in, way_out))
        ]
        # From the first interface to the second
        hops = bytes([0, 1]) + bytes(30)
        addresses = (socket.inet_pton(family, each) for each in (source, group))
        route = b"".join(addresses) + struct.pack("=H32s2xIIIi", 0, hops, 0, 0, 0, 0)
    with router:
        skt = socket.socket(family, socket.SOCK_RAW, protocol)
    with skt:
        skt.setsockopt(level, _INIT, struct.pack("=I", 1))
        for interface in interfaces:
            skt.setsockopt(level, _ADD_INTERFACE, interface)
        skt.setsockopt(level, _ADD_ROUTE, route)
        yield


def is_member(host: Host, group: str) -> bool:
    """Tell whether any program of a host has joined a group."""
    if ":" in group:
        return socket.inet_pton(socket.AF_INET6, group).hex() in host.get("igmp6")
    digits = socket.inet_pton(socket.AF_INET, group)[::-1].hex().upper()
    return digits in host.get("igmp").split()
