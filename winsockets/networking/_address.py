"""Address: one numeric address and port to connect or send to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from winsockets.errors import NameResolutionError
from winsockets.networking._hostname import HostName
from winsockets.networking._interfaces import interface_names

__all__ = ["Address", "interface_index", "is_multicast", "literal_address"]

_HIGHEST_SCOPE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric address of the internet families.

    Args:
        family: AF_INET or AF_INET6.
        host: the numeric address; an IPv6 one with its scope ("fe80::1%2") when it has one, so that it
            is complete as it stands, for Twisted's transports for instance.
        port: 0 to 65535.
        scope_id: the index of the network interface an IPv6 address belongs to; 0 for none.
    """

    family: socket.AddressFamily
    host: str
    port: int
    scope_id: int = 0

    @classmethod
    def ipv4(cls, host: str, port: int) -> Address:
        """Make the address of a dotted quad."""
        return cls(socket.AF_INET, host, port)

    @classmethod
    def ipv6(cls, literal: str, port: int, scope_id: int = 0) -> Address:
        """Make the address of an IPv6 literal that is written without a scope."""
        host = f"{literal}%{scope_id}" if scope_id else literal
        return cls(socket.AF_INET6, host, port, scope_id)

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """What ``socket.connect`` and ``socket.sendto`` take; no call on it looks anything up."""
        if self.family == socket.AF_INET6:
            return (self.host.partition("%")[0], self.port, 0, self.scope_id)
        return (self.host, self.port)

    def __str__(self) -> str:
        """Show address and port as in a URL."""
        return f"[{self.host}]:{self.port}" if self.family == socket.AF_INET6 else f"{self.host}:{self.port}"


def literal_address(host: HostName, port: int) -> Address:
    """Turn a HostName of type IPV4 or IPV6 into an Address; nothing is looked up.

    Args:
        host: the address.
        port: 0 to 65535.

    Returns:
        The address; the name of a zone has become the index of the interface.

    Raises:
        NameResolutionError: HOST_NOT_FOUND, the zone is no interface of this machine.
    """
    literal, _, zone = host.canonical_name.partition("%")
    if ":" not in literal:
        return Address.ipv4(literal, port)
    return Address.ipv6(literal, port, interface_index(zone) if zone else 0)


def is_multicast(literal: str) -> bool:
    """Tell whether a numeric address, with a zone or without, is that of a multicast group.

    Unlike ``is_multicast`` of later Pythons it takes an address as it stands: an IPv4 group that is written
    as an IPv6 address is none that a socket can join or send to.

    Source: RFC 5771; RFC 4291 section 2.7.
    """
    first = ip_address(literal).packed[0]
    return first == 0xFF if ":" in literal else first >> 4 == 0xE


def interface_index(zone: str) -> int:
    """Turn the zone of an IPv6 address, a name or a number, into an interface index.

    Args:
        zone: "eth0", "2"; a number is taken as it is, whether such an interface exists or not.

    Returns:
        The index.

    Raises:
        NameResolutionError: HOST_NOT_FOUND, there is no such interface.

    Source: RFC 4007 section 11.
    """
    try:
        if zone.isdecimal():
            index = int(zone)
            if index <= _HIGHEST_SCOPE:
                return index
            raise OSError(f"interface indexes end at {_HIGHEST_SCOPE}")
        return socket.if_nametoindex(zone)
    except OSError as problem:
        raise NameResolutionError(
            f"find the network interface {zone!r} of an IPv6 address: there is none of that name; "
            f"this machine has {interface_names()}"
        ) from problem
