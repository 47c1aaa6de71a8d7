"""Sockets that use one network adapter and no other."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from winsockets.errors import (
    E_NOTIMPL,
    AddressNotAvailableError,
    InvalidArgumentError,
    SocketException,
    translate,
)
from winsockets.networking import NetworkAdapter
from winsockets.networking._adapter import current_interface
from winsockets.networking._address import Address
from winsockets.networking._dns_exchange import Prepare
from winsockets.networking._interfaces import interface_names

__all__ = [
    "addresses_of",
    "as_adapter",
    "bind_to_adapter",
    "confines",
    "is_unzoned",
    "lookup_through",
    "routing_option",
    "within_adapter",
]

# What systems say of an interface that they do not have.
_GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL})


def as_adapter(value: Any) -> NetworkAdapter:
    """Check an argument that is an adapter.

    Raises:
        InvalidArgumentError: it is None (a null object in WinRT).
        TypeError: it is of any other type.
    """
    if isinstance(value, NetworkAdapter):
        return value
    if value is None:
        raise InvalidArgumentError("adapter is None; give a NetworkAdapter, or leave it out for any")
    raise TypeError(f"adapter is a NetworkAdapter, not {type(value).__name__}; see NetworkAdapter.from_name")


def bind_to_adapter(skt: socket.socket, adapter: NetworkAdapter) -> None:
    """Let a socket send through one adapter only, before it is bound or connected.

    On Linux it receives through that adapter only, too. On other systems, and where Linux does not let the
    program do that (before 5.7 it asks for a right), only the way out is settled: see ``confines``.

    Args:
        skt: a new socket of the internet families.
        adapter: what to use.

    Raises:
        AddressNotAvailableError: the adapter is gone.
        SocketException: E_NOTIMPL, this system has no such option; whatever else the system says.

    Source: socket(7) SO_BINDTODEVICE; Winsock IP_UNICAST_IF, IPV6_UNICAST_IF; netinet/in.h of macOS,
        IP_BOUND_IF.
    """
    try:
        _check(adapter)
        if not _confine(skt, adapter):
            _route(skt, adapter)
    except OSError as problem:
        raise _refusal(problem, adapter) from problem


def lookup_through(adapter: NetworkAdapter) -> Prepare:
    """Make what lets a question to a name server leave through one adapter only.

    A name server on this machine is behind no adapter: it is asked as ever.
    """

    def prepare(skt: socket.socket, server: Address) -> None:
        if not ipaddress.ip_address(server.host).is_loopback:
            bind_to_adapter(skt, adapter)

    return prepare


def confines(adapter: NetworkAdapter) -> bool:
    """Tell whether ``bind_to_adapter`` settles the way in, too.

    Where it does not, a socket that is to receive through the adapter only is bound to an address of it.

    Raises:
        AddressNotAvailableError: the adapter is gone.
        SocketException: the system has no socket to try it with.
    """
    try:
        _check(adapter)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return _confine(probe, adapter)
    except OSError as problem:
        raise _refusal(problem, adapter) from problem


def addresses_of(adapter: NetworkAdapter) -> list[Address]:
    """List the addresses that an adapter has now, with port 0; those of a link with their scope.

    Raises:
        AddressNotAvailableError: it has none, or is gone.
        SocketException: the system does not tell.
    """
    interface = current_interface(adapter)
    if interface is None:
        raise _refusal(OSError(errno.ENODEV, "gone"), adapter)
    usable = (str(local.address) for local in interface.addresses if local.usable)
    found = [
        _scoped(Address.ipv6(literal, 0) if ":" in literal else Address.ipv4(literal, 0), adapter.index)
        for literal in usable
    ]
    if not found:
        raise AddressNotAvailableError(f"use the network adapter {adapter.name}: it has no address")
    return found


def within_adapter(addresses: Iterable[Address], adapter: NetworkAdapter, action: str) -> list[Address]:
    """Take of some addresses those that are reached through an adapter.

    Args:
        addresses: those of a link (fe80::/10) may be without a scope: it is the adapter's.
        adapter: which one.
        action: what it is for, to begin the message with.

    Raises:
        InvalidArgumentError: all of them belong to other adapters, by their scope.

    Source: RFC 4007 section 6.
    """
    given = list(addresses)
    found = [_scoped(address, adapter.index) for address in given if address.scope_id in (0, adapter.index)]
    if not found:
        raise InvalidArgumentError(
            f"{action}: {given[0].host} is not in the zone of the network adapter {adapter.name} "
            f"({adapter.index}); leave the zone out"
        )
    return found


def is_unzoned(address: Address) -> bool:
    """Tell whether an address lacks the zone that it needs: it is one of a link (fe80::/10)."""
    if address.family != socket.AF_INET6 or address.scope_id:
        return False
    return ipaddress.ip_address(address.host).is_link_local


def _scoped(address: Address, index: int) -> Address:
    return Address.ipv6(address.host, address.port, index) if is_unzoned(address) else address


def _check(adapter: NetworkAdapter) -> None:
    if not _is_there(adapter):
        raise OSError(errno.ENODEV, "gone")


def _is_there(adapter: NetworkAdapter) -> bool:
    # A name may be that of another interface by now.
    try:
        return socket.if_nametoindex(adapter.name) == adapter.index
    except OSError:
        return False


def _confine(skt: socket.socket, adapter: NetworkAdapter) -> bool:
    """Settle both ways, if the system has that and lets the program do it."""
    if not hasattr(socket, "SO_BINDTODEVICE"):
        return False
    try:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, adapter.name.encode())
    except PermissionError:
        return False
    return True


class _Option(NamedTuple):
    level: int
    number: int
    byte_order: Literal["little", "big"]


# The socket module names none of these. linux/in.h, linux/in6.h; netinet/in.h and netinet6/in6.h of macOS;
# ws2ipdef.h.
_ROUTING: dict[tuple[str, int], _Option] = {
    ("linux", socket.AF_INET): _Option(socket.IPPROTO_IP, 50, "big"),  # IP_UNICAST_IF
    ("linux", socket.AF_INET6): _Option(socket.IPPROTO_IPV6, 76, "big"),  # IPV6_UNICAST_IF
    ("darwin", socket.AF_INET): _Option(socket.IPPROTO_IP, 25, sys.byteorder),  # IP_BOUND_IF
    ("darwin", socket.AF_INET6): _Option(socket.IPPROTO_IPV6, 125, sys.byteorder),  # IPV6_BOUND_IF
    ("win32", socket.AF_INET): _Option(socket.IPPROTO_IP, 31, "big"),  # IP_UNICAST_IF
    ("win32", socket.AF_INET6): _Option(socket.IPPROTO_IPV6, 31, sys.byteorder),  # IPV6_UNICAST_IF
}


def routing_option(family: int, index: int, platform: str = sys.platform) -> tuple[int, int, bytes]:
    """Find the arguments of ``setsockopt`` that settle the way out.

    Args:
        family: AF_INET or AF_INET6.
        index: that of the interface.
        platform: as in ``sys.platform``.

    Raises:
        OSError: ENOPROTOOPT, it is not known how to ask this system.

    Source: ip(7) and Winsock, IP_UNICAST_IF; netinet/in.h of macOS, IP_BOUND_IF.
    """
    option = _ROUTING.get((platform, family))
    if option is None:
        raise OSError(errno.ENOPROTOOPT, f"not offered on {platform}")
    return option.level, option.number, index.to_bytes(4, option.byte_order)


def _route(skt: socket.socket, adapter: NetworkAdapter) -> None:
    """Settle the way out."""
    skt.setsockopt(*routing_option(skt.family, adapter.index))


def _refusal(problem: OSError, adapter: NetworkAdapter) -> SocketException:
    action = f"use the network adapter {adapter.name}"
    if problem.errno in _GONE or not _is_there(adapter):
        return AddressNotAvailableError(f"{action}: it is gone; this machine has {interface_names()}")
    if problem.errno == errno.ENOPROTOOPT:
        return SocketException(
            f"{action}: not offered on {sys.platform}; bind to an address of the adapter instead",
            hresult=E_NOTIMPL,
            errno=problem.errno,
        )
    return translate(problem, action)
