"""What is sent on a port that is shared with others: nothing to one machine alone."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address

from winsockets.errors import IllegalMethodCallError
from winsockets.networking._address import Address, is_multicast
from winsockets.networking._interfaces import interfaces

__all__ = ["check_shared_destination"]

_BROADCAST = "255.255.255.255"


def check_shared_destination(action: str, destination: Address) -> None:
    """Refuse a destination that is neither a multicast group nor a broadcast address.

    Args:
        action: what is attempted, to begin the message with.
        destination: where to.

    Raises:
        IllegalMethodCallError: it is the address of one machine.
    """
    if is_multicast(destination.host) or destination.host == _BROADCAST:
        return
    address = ip_address(destination.host)
    if address.version == 4 and any(
        local.address.version == 4
        and IPv4Interface(f"{local.address}/{local.prefix_length}").network.broadcast_address == address
        for interface in interfaces()
        for local in interface.addresses
        if local.prefix_length < 31
    ):
        return
    raise IllegalMethodCallError(
        f"{action} to {destination}: the socket shares its port (control.multicast_only) and sends to "
        "multicast groups and broadcast addresses only; use another socket"
    )
