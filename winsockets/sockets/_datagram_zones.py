"""The form in which a datagram socket sends to addresses, and the zone that it is confined to."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address
from socket import AF_INET

from winsockets.errors import InvalidArgumentError
from winsockets.networking._address import Address
from winsockets.transports._adapter_binding import is_unzoned

__all__ = ["check_zone", "within_zone"]

_MAPPED = "::ffff:"
# The first letters of addresses that may be of a link: there is no need to look at the others.
_OF_A_LINK = "fe"


def within_zone(action: str, addresses: Sequence[Address], zone: int) -> list[Address]:
    """Take of some addresses those that a socket can send to, as the system takes them.

    An IPv4 address that is written as an IPv6 one (::ffff:192.0.2.1) is the IPv4 address. One of a link
    (fe80::/10) that is without a zone is in that of the socket.

    Args:
        action: what is attempted, to begin the message with.
        addresses: at least one.
        zone: the index of the interface that the socket is confined to, by an adapter or by its own address;
            0 for none.

    Raises:
        InvalidArgumentError: there is none, what the first one says or lacks being the reason.

    Source: RFC 4291 section 2.5.5.2; RFC 4007 section 6.
    """
    found = []
    for address in addresses:
        if address.family == AF_INET:
            found.append(address)
        elif address.host.startswith(_MAPPED):
            mapped = IPv6Address(address.host).ipv4_mapped
            found.append(Address.ipv4(str(mapped), address.port) if mapped is not None else address)
        elif address.scope_id:
            if zone in (0, address.scope_id):
                found.append(address)
        elif not address.host.startswith(_OF_A_LINK) or not is_unzoned(address):
            found.append(address)
        elif zone:
            found.append(Address.ipv6(address.host, address.port, zone))
    if not found:
        first = addresses[0]
        check_zone(action, first, zone)
        raise InvalidArgumentError(
            f"{action} to {first}: that is an address of one link, and there may be several; say which, as "
            f"in '{first.host}%eth0', or bind the socket to an adapter first"
        )
    return found


def check_zone(action: str, address: Address, zone: int) -> None:
    """Refuse an address in the zone of another interface than the one that a socket is confined to.

    Args:
        action: what is attempted, to begin the message with.
        address: where to.
        zone: as for ``within_zone``.

    Raises:
        InvalidArgumentError: it is in another zone.
    """
    if zone and address.scope_id not in (0, zone):
        raise InvalidArgumentError(
            f"{action} to {address}: the socket is bound to the network interface {zone}, and the address is "
            f"in the zone of {address.scope_id}; leave the zone out, or use another socket"
        )
