"""The network interfaces of this machine and the addresses they have, as the system tells them now."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from winsockets.errors import SocketException, translate
from winsockets.networking import _proc_interfaces
from winsockets.networking._rtnetlink import (
    AddressFlags,
    AddressRecord,
    Kind,
    LinkFlags,
    LinkRecord,
    RouteRecord,
    answer_error,
    dump_request,
    messages,
    parse_address,
    parse_link,
    parse_route,
)

__all__ = ["Interface", "InterfaceAddress", "assemble", "default_routes", "interface_names", "interfaces"]

_T = TypeVar("_T")
_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK_HARDWARE = 772  # ARPHRD_LOOPBACK
_RECEIVE_SIZE = 64 * 1024  # the kernel gives at most 32 KiB of an answer at a time
_ANSWER_TIMEOUT = 5.0  # the kernel answers within the call; this is for emulations of it
_DUMPS = 8  # an answer that something changed under is asked for again, up to this often
_BITS_PER_MEGABIT = 1_000_000
_UP_AND_RUNNING = LinkFlags.UP | LinkFlags.RUNNING
_DEVICES = Path("/sys/class/net")
_ANSWERS = (Kind.NEW_LINK, Kind.NEW_ADDRESS, Kind.NEW_ROUTE)
# How sandboxes refuse sockets of a family.
_FORBIDDEN = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address of an interface.

    Args:
        address: the address, without a zone.
        prefix_length: the bits of it that are the network's.
        usable: nobody else was found to have it, and that has been looked for.
        deprecated: not to be used for new connections (RFC 4862 section 5.5.4).
        temporary: for privacy, replaced after a while (RFC 8981).
        home: the home address of a mobile node (RFC 6275).
    """

    address: _IPAddress
    prefix_length: int
    usable: bool = True
    deprecated: bool = False
    temporary: bool = False
    home: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface.

    Args:
        name: what the system calls it, "eth0".
        index: its number, of which there is one at a time.
        hardware_type: the ARPHRD_ number of Linux; 0 where the system does not tell.
        up: it is switched on and has a carrier: what is sent on it may arrive.
        loopback: it leads to this machine.
        multicast: it carries multicast.
        point_to_point: it leads to one other machine.
        mtu: the largest packet in bytes; 0 where the system does not tell.
        addresses: its addresses, in the system's order.
        hardware_address: empty where there is none.
        permanent_address: what its maker gave it; empty for what is made of software.
        identifier: the GUID that Windows gives it, "" elsewhere.
    """

    name: str
    index: int
    hardware_type: int = 0
    up: bool = True
    loopback: bool = False
    multicast: bool = True
    point_to_point: bool = False
    mtu: int = 0
    addresses: tuple[InterfaceAddress, ...] = ()
    hardware_address: bytes = b""
    permanent_address: bytes = b""
    identifier: str = ""

    @property
    def speed(self) -> int:
        """Bits per second, as the system tells now; 0 where it does not, or the interface is gone."""
        told = self._told("speed")
        return max(int(told), 0) * _BITS_PER_MEGABIT if told.lstrip("-").isdecimal() else 0

    @property
    def wireless(self) -> bool:
        """It is one of IEEE 802.11."""
        return "DEVTYPE=wlan" in self._told("uevent").splitlines()

    def _told(self, file: str) -> str:
        """What a file of sysfs(5) says; "" where it does not, or shows those of another namespace."""
        if sys.platform != "linux":
            return ""
        folder = _DEVICES / self.name
        try:
            if int((folder / "ifindex").read_text("ascii")) != self.index:
                return ""
            if (folder / "address").read_text("ascii").strip() != self.hardware_address.hex(":"):
                return ""
            return (folder / file).read_text("utf-8").strip()
        except (OSError, ValueError):
            return ""


def interfaces() -> list[Interface]:
    """The interfaces of this machine, by index.

    Asks the system, which answers at once: Linux through rtnetlink, or where a sandbox forbids that through
    what there was before it; others through the ifaddr library.

    Raises:
        SocketException: the system does not tell, or no descriptor is free.
    """
    try:
        if sys.platform == "linux":
            try:
                return assemble(_ask(Kind.GET_LINK, parse_link), _ask(Kind.GET_ADDRESS, parse_address))
            except OSError as problem:
                if problem.errno not in _FORBIDDEN:
                    raise
                return assemble(_proc_interfaces.links(), _proc_interfaces.addresses())
        else:
            return _portable_interfaces()
    except (OSError, ValueError) as problem:
        raise translate(problem, "list the network interfaces of this machine") from problem


def default_routes() -> list[RouteRecord]:
    """The ways that lead to everywhere, where the system tells them (Linux); none elsewhere.

    Raises:
        SocketException: the system does not tell, or no descriptor is free.
    """
    if sys.platform != "linux":
        return []
    try:
        try:
            return [route for route in _ask(Kind.GET_ROUTE, parse_route) if route.prefix_length == 0]
        except OSError as problem:
            if problem.errno not in _FORBIDDEN:
                raise
            return _proc_interfaces.routes()
    except (OSError, ValueError) as problem:
        raise translate(problem, "list the default routes of this machine") from problem


def interface_names() -> str:
    """The names of the interfaces for a message, as far as the system tells them."""
    try:
        return ", ".join(interface.name for interface in interfaces()) or "none at all"
    except SocketException:
        return "some that it does not tell"


def assemble(links: Iterable[LinkRecord], addresses: Iterable[AddressRecord]) -> list[Interface]:
    """Put interfaces and their addresses together; an address without its interface is left out."""
    found: dict[int, list[InterfaceAddress]] = {}
    for record in addresses:
        flags = record.flags
        awaited = AddressFlags.TENTATIVE in flags and AddressFlags.OPTIMISTIC not in flags
        found.setdefault(record.index, []).append(
            InterfaceAddress(
                record.address,
                record.prefix_length,
                usable=not awaited and AddressFlags.DUPLICATE not in flags,
                deprecated=AddressFlags.DEPRECATED in flags,
                # In IPv4 the same bit says that it is not the first address of its network.
                temporary=record.address.version == 6 and AddressFlags.TEMPORARY in flags,
                home=AddressFlags.HOME in flags,
            )
        )
    return [
        Interface(
            link.name,
            link.index,
            hardware_type=link.hardware_type,
            up=link.flags & _UP_AND_RUNNING == _UP_AND_RUNNING,
            loopback=LinkFlags.LOOPBACK in link.flags,
            multicast=LinkFlags.MULTICAST in link.flags,
            point_to_point=LinkFlags.POINT_TO_POINT in link.flags,
            mtu=link.mtu,
            addresses=tuple(found.get(link.index, ())),
            hardware_address=link.hardware_address,
            permanent_address=link.permanent_address,
        )
        for link in sorted(links, key=lambda link: link.index)
    ]


def _ask(kind: Kind, parse: Callable[[bytes], _T | None]) -> list[_T]:
    """Ask the kernel for everything of a kind.

    Raises:
        OSError: it refuses.
        ValueError: its answer makes no sense.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as link:
        link.settimeout(_ANSWER_TIMEOUT)
        for sequence in range(1, _DUMPS + 1):
            link.send(dump_request(kind, sequence))
            found, interrupted = _answer(link, sequence, parse)
            if not interrupted:
                break
        return found


def _answer(link: socket.socket, sequence: int, parse: Callable[[bytes], _T | None]) -> tuple[list[_T], bool]:
    found: list[_T] = []
    interrupted = False
    while True:
        data = link.recv(_RECEIVE_SIZE)
        if not data:
            raise ValueError("the kernel's answer has no end")
        for message in messages(data):
            if message.sequence != sequence:
                continue
            interrupted |= message.interrupted
            if message.kind in (Kind.DONE, Kind.ERROR):
                error = answer_error(message.payload)
                if error:
                    raise OSError(error, "the kernel refuses the question")
                return found, interrupted
            record = parse(message.payload) if message.kind in _ANSWERS else None
            if record is not None:
                found.append(record)


def _portable_interfaces() -> list[Interface]:
    """What the ifaddr library tells: no flags and no types, but names, indexes and addresses."""
    import ifaddr

    found = []
    for adapter in ifaddr.get_adapters(include_unconfigured=True):
        addresses = tuple(
            InterfaceAddress(
                ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0]),
                ip.network_prefix,
            )
            for ip in adapter.ips
        )
        index = adapter.index or 0
        loopback = any(address.address.is_loopback for address in addresses)
        # Windows' own names are GUIDs in braces.
        identifier = adapter.name if adapter.name.startswith("{") else ""
        found.append(
            Interface(
                _name_of(index, adapter.nice_name) if identifier else adapter.name,
                index,
                hardware_type=_LOOPBACK_HARDWARE if loopback else 0,
                up=bool(addresses),
                loopback=loopback,
                multicast=not loopback,
                addresses=addresses,
                identifier=identifier,
            )
        )
    return sorted(found, key=lambda interface: interface.index)


def _name_of(index: int, otherwise: str) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return otherwise
