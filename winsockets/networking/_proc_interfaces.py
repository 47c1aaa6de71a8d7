"""Interfaces, addresses and routes as Linux tells them where a sandbox forbids rtnetlink.

A service that systemd keeps to ``RestrictAddressFamilies=AF_INET AF_INET6`` has such a sandbox. What is asked
instead are the calls of netdevice(7) and the tables in /proc/net.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from winsockets.networking._rtnetlink import AddressFlags, AddressRecord, LinkFlags, LinkRecord, RouteRecord

__all__ = ["addresses", "ipv4_routes", "ipv6_addresses", "ipv6_routes", "links", "names", "routes"]

# ioctl_list(2); struct ifreq: the name, then a sockaddr or a number.
_SIOCGIFCONF = 0x8912
_SIOCGIFFLAGS = 0x8913
_SIOCGIFNETMASK = 0x891B
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_SIOCGIFINDEX = 0x8933
_SIOCETHTOOL = 0x8946
_ETHTOOL_GPERMADDR = 0x20
_REQUEST = struct.Struct("16s24s")
_CONFIGURATION = struct.Struct("iP")
_ETHTOOL = struct.Struct("=II")
_MOST_ADDRESSES = 16384
_SIX_BYTES = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK: the addresses whose length is known
_HARDWARE_ADDRESS_SIZE = 6
_ROUTE_UP, _ROUTE_REJECT = 0x1, 0x200

# those of the network that this thread is in
_TABLES = Path("/proc/thread-self/net")


def links() -> list[LinkRecord]:
    """The interfaces.

    Raises:
        OSError: the system does not tell.
    """
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        for name in names((_TABLES / "dev").read_text("utf-8", "surrogateescape")):
            try:
                (index,) = struct.unpack_from("i", _ask(asked, _SIOCGIFINDEX, name))
                (flags,) = struct.unpack_from("H", _ask(asked, _SIOCGIFFLAGS, name))
                (mtu,) = struct.unpack_from("i", _ask(asked, _SIOCGIFMTU, name))
                hardware = _ask(asked, _SIOCGIFHWADDR, name)
            except OSError:  # it has gone meanwhile
                continue
            (kind,) = struct.unpack_from("H", hardware)
            address = hardware[2 : 2 + _HARDWARE_ADDRESS_SIZE] if kind in _SIX_BYTES else b""
            permanent = _permanent_address(asked, name)
            found.append(LinkRecord(index, name, kind, LinkFlags(flags), mtu, address, permanent))
    return found


def addresses() -> list[AddressRecord]:
    """The addresses.

    Raises:
        OSError: the system does not tell.
        ValueError: it tells something else than it used to.
    """
    return [*_ipv4_addresses(), *ipv6_addresses(_table("if_inet6"))]


def routes() -> list[RouteRecord]:
    """The default routes.

    Raises:
        OSError: the system does not tell.
        ValueError: it tells something else than it used to.
    """
    return [*ipv4_routes(_table("route")), *ipv6_routes(_table("ipv6_route"))]


def names(dev: str) -> list[str]:
    """The interfaces in /proc/net/dev, after its two lines of headings."""
    return [line.partition(":")[0].strip() for line in dev.splitlines()[2:] if ":" in line]


def ipv6_addresses(table: str) -> Iterator[AddressRecord]:
    """The addresses in /proc/net/if_inet6.

    Raises:
        ValueError: a line is none of that table.
    """
    for line in table.splitlines():
        address, index, prefix_length, _, flags, _ = line.split(maxsplit=5)
        yield AddressRecord(
            int(index, 16),
            ipaddress.IPv6Address(bytes.fromhex(address)),
            int(prefix_length, 16),
            AddressFlags(int(flags, 16)),
        )


def ipv4_routes(table: str) -> Iterator[RouteRecord]:
    """The default routes in /proc/net/route, whose numbers are in the order of this machine's bytes.

    Raises:
        ValueError: a line is none of that table.
    """
    for line in table.splitlines()[1:]:
        name, destination, gateway, flags, _, _, metric, mask, *_ = line.split()
        if int(destination, 16) == int(mask, 16) == 0 and _leads_on(flags):
            index = _index(name)
            if index:
                address = socket.inet_ntoa(int(gateway, 16).to_bytes(4, sys.byteorder))
                yield RouteRecord(socket.AF_INET, 0, (index,), _gateway(address), int(metric))


def ipv6_routes(table: str) -> Iterator[RouteRecord]:
    """The default routes in /proc/net/ipv6_route.

    Raises:
        ValueError: a line is none of that table.
    """
    for line in table.splitlines():
        _, length, _, _, gateway, metric, _, _, flags, name = line.split(maxsplit=9)
        if int(length, 16) == 0 and _leads_on(flags):
            index = _index(name)
            if index:
                address = str(ipaddress.IPv6Address(bytes.fromhex(gateway)))
                yield RouteRecord(socket.AF_INET6, 0, (index,), _gateway(address), int(metric, 16))


def _permanent_address(asked: socket.socket, name: str) -> bytes:
    """What ethtool calls that; empty for what has none."""
    from array import array

    space = array("B", _ETHTOOL.pack(_ETHTOOL_GPERMADDR, 32) + bytes(32))
    try:
        _ask(asked, _SIOCETHTOOL, name, struct.pack("P", space.buffer_info()[0]))
    except OSError:
        return b""
    _, size = _ETHTOOL.unpack_from(space)
    address = space.tobytes()[_ETHTOOL.size : _ETHTOOL.size + size]
    return address if any(address) else b""


def _ipv4_addresses() -> Iterator[AddressRecord]:
    import fcntl
    from array import array

    space = array("B", bytes(_MOST_ADDRESSES * _REQUEST.size))
    start, _ = space.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        answer = fcntl.ioctl(asked, _SIOCGIFCONF, _CONFIGURATION.pack(len(space) * space.itemsize, start))
        length, _ = _CONFIGURATION.unpack(answer)
        for label, address in _REQUEST.iter_unpack(space.tobytes()[:length]):
            text = label.split(b"\0")[0].decode("utf-8", "surrogateescape")
            try:
                # With the address in the question, the answer is about this one of those with the label.
                mask = _ask(asked, _SIOCGIFNETMASK, text, address)
            except OSError:  # it has gone meanwhile
                continue
            index = _index(text.partition(":")[0])
            if index:
                yield AddressRecord(
                    index,
                    ipaddress.IPv4Address(address[4:8]),
                    int.from_bytes(mask[4:8]).bit_count(),
                    AddressFlags(0),
                )


def _ask(asked: socket.socket, question: int, name: str, content: bytes = b"") -> bytes:
    import fcntl

    request = _REQUEST.pack(name.encode("utf-8", "surrogateescape"), content)
    return bytes(_REQUEST.unpack(fcntl.ioctl(asked, question, request))[1])


def _table(name: str) -> str:
    try:
        return (_TABLES / name).read_text("ascii", "replace")
    except FileNotFoundError:  # a system without that family
        return ""


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:  # it has gone meanwhile
        return 0


def _leads_on(flags: str) -> bool:
    return int(flags, 16) & (_ROUTE_UP | _ROUTE_REJECT) == _ROUTE_UP


def _gateway(address: str) -> str:
    return "" if address in ("0.0.0.0", "::") else address
