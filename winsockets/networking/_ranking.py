"""Endpoint pairs from the best to the worst, by what this machine's interfaces and policies are now."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from winsockets.errors import NameResolutionError, SocketException
from winsockets.networking._adapter import TUNNEL, iana_interface_type
from winsockets.networking._address import Address, literal_address
from winsockets.networking._endpoint_pair import EndpointPair
from winsockets.networking._hostname import HostName
from winsockets.networking._interfaces import Interface, InterfaceAddress, interfaces
from winsockets.networking._kinds import HostNameType
from winsockets.networking._selection import (
    DEFAULT_POLICIES,
    Candidate,
    Policy,
    Source,
    order,
    parse_policies,
)

__all__ = ["known_interfaces", "local_host_toward", "rank_endpoint_pairs", "system_policies"]

_POLICY_FILE = Path("/etc/gai.conf")
_ADDRESSES = (HostNameType.IPV4, HostNameType.IPV6)


def local_host_toward(address: Address) -> HostName | None:
    """Ask the system which of its addresses it would use to reach another one.

    A datagram socket is connected and closed again: that chooses a route and sends nothing.

    Args:
        address: where to.

    Returns:
        The local address, or None when the system names none (no way leads there, no descriptor is free).
    """
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as probe:
            probe.connect(address.sockaddr)
            name = probe.getsockname()
    except OSError:
        return None
    if address.family == socket.AF_INET6:
        return HostName(Address.ipv6(name[0].partition("%")[0], 0, name[3]).host)
    return HostName(name[0])


def system_policies() -> tuple[Policy, ...]:
    """The policy table of this machine: that of gai.conf(5) on Linux, the default one elsewhere."""
    if sys.platform != "linux":
        return DEFAULT_POLICIES
    try:
        return parse_policies(_POLICY_FILE.read_text("utf-8", "replace"))
    except OSError:
        return DEFAULT_POLICIES


def known_interfaces() -> list[Interface] | None:
    """The interfaces of this machine; None where the system does not tell them."""
    try:
        return interfaces()
    except SocketException:
        return None


def rank_endpoint_pairs(
    pairs: Sequence[EndpointPair],
    *,
    local_host: Callable[[Address], HostName | None] = local_host_toward,
    own: Callable[[], list[Interface] | None] = known_interfaces,
    policies: Callable[[], Iterable[Policy]] = system_policies,
) -> list[EndpointPair]:
    """Order endpoint pairs by RFC 6724.

    The local half of a pair is the source address; where it leaves the choice to the system, the system is
    asked. With a local half that is not a usable address of this machine, or not of the remote one's family
    and link, a pair cannot be used. Where the system does not tell its addresses, a local half is taken for
    usable. A pair whose remote half is a name cannot be judged and comes after all others.

    Args:
        pairs: the pairs.
        local_host: finds the local address that goes with a remote one.
        own: tells the interfaces of this machine.
        policies: tells the policy table.

    Returns:
        The same pairs, best first.

    Source: RFC 6724 section 6.
    """
    judged = [pair for pair in pairs if pair.remote_host_name.type in _ADDRESSES]
    others = [pair for pair in pairs if pair.remote_host_name.type not in _ADDRESSES]
    if len(judged) < 2:
        return judged + others
    known = own()
    candidates = [_candidate(pair, local_host, known) for pair in judged]
    return [judged[index] for index in order(candidates, policies())] + others


def _candidate(
    pair: EndpointPair, local_host: Callable[[Address], HostName | None], own: list[Interface] | None
) -> Candidate:
    destination = _ip_address(pair.remote_host_name)
    try:
        remote = literal_address(pair.remote_host_name, 0)
        local = pair.local_host_name
        if local is None or (local.type in _ADDRESSES and _ip_address(local).is_unspecified):
            local = local_host(remote)
        if local is None or local.type is not pair.remote_host_name.type:
            return Candidate(destination, None)
        return Candidate(destination, _source(literal_address(local, 0), remote, own))
    except NameResolutionError:  # a zone that is no interface
        return Candidate(destination, None)


def _source(local: Address, remote: Address, own: list[Interface] | None) -> Source | None:
    """What is known of a local address; None when it cannot be used."""
    address = ipaddress.ip_address(local.host.partition("%")[0])
    if own is None:
        return Source(address, address.max_prefixlen)
    zones = {index for index in (local.scope_id, remote.scope_id if address.is_link_local else 0) if index}
    for interface in own:
        if interface.up and zones <= {interface.index}:
            for mine in interface.addresses:
                if mine.usable and _is(address, mine, interface):
                    return Source(
                        address,
                        mine.prefix_length,
                        deprecated=mine.deprecated,
                        home=mine.home,
                        encapsulated=iana_interface_type(interface) == TUNNEL,
                    )
    return None


def _is(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, mine: InterfaceAddress, interface: Interface
) -> bool:
    """Whether an address is one of this machine's; on loopback its whole network is."""
    return mine.address == address or (
        interface.loopback
        and address in ipaddress.ip_network((mine.address, mine.prefix_length), strict=False)
    )


def _ip_address(host: HostName) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host.canonical_name.partition("%")[0])
