"""A multicast group and its port, as a command line has them. Pure: nothing is joined."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from winsockets.errors import SocketException
from winsockets.networking import HostName, HostNameType
from winsockets.networking._address import is_multicast
from winsockets.networking._services import remote_port

__all__ = ["Group", "parse_group", "parse_source"]

_PLACES = "write 239.1.2.3:5000 or [ff02::1234]:5000"
_PLACE = re.compile(r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<plain>[^:\[\]]*)):(?P<service>[^:\[\]]*)")


class Group(NamedTuple):
    """Where a multicast group is heard.

    Attributes:
        address: the group, numeric, without a zone.
        port: from 1 on.
        zone: the network interface that the address names after a "%", by name or number; or "".
    """

    address: str
    port: int
    zone: str

    @property
    def family(self) -> socket.AddressFamily:
        """That of the address."""
        return _family(self.address)

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def parse_group(text: str) -> Group:
    """Take a group and its port apart.

    Args:
        text: ``239.1.2.3:5000``, ``[ff02::1234]:5000``, ``[ff02::fb%eth0]:mdns``.

    Raises:
        ValueError: it is something else, or the address is not one of a multicast group; the message says
            what to write.

    Source: RFC 5771 and RFC 4291 section 2.7 for the addresses of groups.
    """
    parts = _PLACE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a group and a port; {_PLACES}")
    literal = parts["plain"] if parts["bracketed"] is None else parts["bracketed"]
    address, _, zone = _address(literal, _PLACES).partition("%")
    if not is_multicast(address):
        raise ValueError(
            f"{address} is not a multicast address; those of IPv4 go from 224.0.0.0 to 239.255.255.255, "
            "those of IPv6 begin with ff"
        )
    try:
        port = remote_port(parts["service"], "udp")
    except SocketException as problem:
        raise ValueError(str(problem)) from problem
    return Group(address, port, zone)


def parse_source(text: str, group: Group) -> str:
    """Take the address of somebody who sends to a group.

    Raises:
        ValueError: it is not an address, not one of the group's family, or that of a group itself.
    """
    address = _address(text, "write 192.0.2.7 or 2001:db8::7").partition("%")[0]
    if _family(address) != group.family:
        raise ValueError(
            f"{address} cannot send to {group.address}: one is an IPv4 address, the other an IPv6 address"
        )
    if is_multicast(address) or address in ("0.0.0.0", "::"):
        raise ValueError(f"{address} is nobody's own address, so that nothing is sent from there")
    return address


def _address(literal: str, advice: str) -> str:
    """Give the canonical form of a numeric address, with its zone; the advice is for what is none."""
    try:
        host = HostName(literal)
    except SocketException:
        host = None
    if host is None or host.type not in (HostNameType.IPV4, HostNameType.IPV6):
        raise ValueError(f"{literal!r} is not an IPv4 or IPv6 address; {advice}")
    return host.canonical_name


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
