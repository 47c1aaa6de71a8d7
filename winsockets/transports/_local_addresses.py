"""From a name of this machine to the addresses to bind to."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from winsockets.errors import (
    AddressNotAvailableError,
    InvalidArgumentError,
    NameResolutionError,
    SocketException,
)
from winsockets.foundation import Limits
from winsockets.networking import HostName, NetworkAdapter, NetworkInformation
from winsockets.networking._address import Address, literal_address
from winsockets.networking._interfaces import Interface, interfaces
from winsockets.networking._resolution import resolve
from winsockets.networking._services import Transport
from winsockets.transports._adapter_binding import is_unzoned, within_adapter
from winsockets.transports._describe import describe_address

__all__ = ["listening_addresses", "local_addresses"]

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


async def local_addresses(
    host: HostName,
    port: int,
    *,
    reactor: Any,
    limits: Limits,
    adapter: NetworkAdapter | None = None,
    transport: Transport = "tcp",
) -> list[Address]:
    """Find the addresses to bind to for a local name.

    The machine's own name is always one: where the system's resolver does not know it, it stands for all
    addresses of the machine.

    Args:
        host: an address of this machine, or a name whose addresses are.
        port: what the addresses shall have.
        reactor: finds the name.
        limits: ``resolve_timeout`` and ``max_addresses`` count here.
        adapter: which one it is for, if it is for one.
        transport: what it is for.

    Returns:
        At least one address, of this machine as far as can be seen.

    Raises:
        SocketException: as ``resolve`` and ``listening_addresses`` say, and ``within_adapter``.
    """
    try:
        found = await resolve(
            host,
            port,
            reactor=reactor,
            transport=transport,
            timeout=limits.resolve_timeout,
            max_addresses=limits.max_addresses,
        )
    except NameResolutionError:
        found = _addresses_of_this_machine(host, port)
        if not found:
            raise
    verb = "listen on" if transport == "tcp" else "bind to"
    action = f"{verb} {describe_address(str(host), port)}"
    if adapter is not None:
        found = within_adapter(found, adapter, action)
    return listening_addresses(found, action, interfaces)


def _addresses_of_this_machine(host: HostName, port: int) -> list[Address]:
    """All addresses of this machine but those of loopback, if the name is its own."""
    try:
        known = NetworkInformation.get_host_names()
    except SocketException:
        return []
    if not any(name == host for name in known if name.ip_information is None):
        return []
    addresses = [literal_address(name, port) for name in known if name.ip_information is not None]
    return addresses or [Address.ipv4("127.0.0.1", port), Address.ipv6("::1", port)]


def listening_addresses(
    addresses: Sequence[Address], action: str, known: Callable[[], Iterable[Interface]]
) -> list[Address]:
    """Give addresses the form in which a socket is bound to them.

    An IPv4 address that is written as an IPv6 one (::ffff:192.0.2.1) is the IPv4 address. One that is valid
    on a link only gets the zone that it needs, if one adapter has it.

    Args:
        addresses: what a name stands for, at least one.
        action: what it is for, to begin messages with.
        known: tells the interfaces of this machine.

    Raises:
        AddressNotAvailableError: an address is not one of a host: a multicast or broadcast address; or no
            adapter has it.
        InvalidArgumentError: several adapters have it.

    Source: RFC 4291 section 2.5.5.2; RFC 4007 section 6.
    """
    found: dict[Address, None] = {}
    for address in addresses:
        literal = ipaddress.ip_address(address.host.partition("%")[0])
        if isinstance(literal, ipaddress.IPv6Address) and literal.ipv4_mapped is not None:
            literal = literal.ipv4_mapped
            address = Address.ipv4(str(literal), address.port)  # noqa: PLW2901
        if literal.is_multicast or literal == _BROADCAST:
            kind = "multicast" if literal.is_multicast else "broadcast"
            raise AddressNotAvailableError(f"{action}: {literal} is a {kind} address, and no host's own")
        if is_unzoned(address):
            address = _with_zone(address, literal, action, known())  # noqa: PLW2901
        found.setdefault(address)
    return list(found)


def _with_zone(address: Address, literal: Any, action: str, known: Iterable[Interface]) -> Address:
    having = [
        interface for interface in known if any(local.address == literal for local in interface.addresses)
    ]
    if len(having) == 1:
        return Address.ipv6(address.host, address.port, having[0].index)
    if not having:
        raise AddressNotAvailableError(f"{action}: no network adapter has the address {literal}")
    zones = " or ".join(f"{literal}%{interface.name}" for interface in having)
    raise InvalidArgumentError(
        f"{action}: several network adapters have this address, each on its own link; say {zones}"
    )
