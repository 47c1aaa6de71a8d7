"""The messages of Linux's rtnetlink about interfaces, addresses and routes. Pure: bytes in, records out.

The same functions read the answer to a question and the announcement of a change.

Source: netlink(7), rtnetlink(7), RFC 3549.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = [
    "AddressFlags",
    "AddressRecord",
    "Kind",
    "LinkFlags",
    "LinkRecord",
    "Message",
    "RouteRecord",
    "answer_error",
    "dump_request",
    "is_relevant",
    "messages",
    "parse_address",
    "parse_link",
    "parse_route",
]

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=8BI")
_ATTRIBUTE = struct.Struct("=HH")
_NEXT_HOP = struct.Struct("=HBBi")
_NUMBER = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_WITHOUT_FLAGS = 0x3FFF  # an attribute's type, without "nested" and "in network order"
_UNICAST = 1
_TABLE_LOCAL = 255
_FAMILY_OF_SIZE = {4: socket.AF_INET, 16: socket.AF_INET6}


class Kind(IntEnum):
    """The types of messages that are of interest."""

    NOTHING = 1
    ERROR = 2
    DONE = 3
    NEW_LINK = 16
    LOST_LINK = 17
    GET_LINK = 18
    NEW_ADDRESS = 20
    LOST_ADDRESS = 21
    GET_ADDRESS = 22
    NEW_ROUTE = 24
    LOST_ROUTE = 25
    GET_ROUTE = 26


class LinkFlags(IntFlag):
    """What netdevice(7) says of an interface (IFF_...)."""

    UP = 0x1
    LOOPBACK = 0x8
    POINT_TO_POINT = 0x10
    RUNNING = 0x40
    MULTICAST = 0x1000


class AddressFlags(IntFlag):
    """What the system says of an address (IFA_F_...)."""

    TEMPORARY = 0x01
    OPTIMISTIC = 0x04
    DUPLICATE = 0x08
    HOME = 0x10
    DEPRECATED = 0x20
    TENTATIVE = 0x40


@dataclass(frozen=True, slots=True)
class Message:
    """One message, its content still to be read.

    Args:
        kind: its type; one of `Kind` or another.
        interrupted: the answer it is part of does not fit together, because something changed meanwhile.
        sequence: the number of the question it answers; 0 for an announcement.
        payload: what follows the header.
    """

    kind: int
    interrupted: bool
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """An interface: its hardware type is an ARPHRD_ number, its hardware addresses may be empty."""

    index: int
    name: str
    hardware_type: int
    flags: LinkFlags
    mtu: int
    hardware_address: bytes
    permanent_address: bytes


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An address that an interface has."""

    index: int
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    prefix_length: int
    flags: AddressFlags


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """A unicast route: its destination's family and prefix length, and the interfaces it leads through."""

    family: int
    prefix_length: int
    indexes: tuple[int, ...]
    gateway: str
    metric: int


def dump_request(kind: Kind, sequence: int) -> bytes:
    """The question for everything of a kind.

    Args:
        kind: GET_LINK, GET_ADDRESS or GET_ROUTE.
        sequence: comes back with each part of the answer.
    """
    content = _LINK.pack(0, 0, 0, 0, 0)
    return _HEADER.pack(_HEADER.size + len(content), kind, _REQUEST_DUMP, sequence, 0) + content


def messages(data: bytes) -> Iterator[Message]:
    """Take apart what one receive call gave.

    Args:
        data: any number of messages.

    Raises:
        ValueError: a length leads out of the data, or the data ends within a header.
    """
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise ValueError(f"{len(data) - offset} bytes are left, a netlink header has {_HEADER.size}")
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if not _HEADER.size <= length <= len(data) - offset:
            raise ValueError(f"a netlink message says that it has {length} of {len(data) - offset} bytes")
        yield Message(kind, bool(flags & 0x10), sequence, data[offset + _HEADER.size : offset + length])
        offset += _aligned(length)


def answer_error(payload: bytes) -> int:
    """The errno in a message of the kinds ERROR and DONE; 0 for none.

    Raises:
        ValueError: the message is cut.
    """
    return -int(_unpack(_ERROR, payload, "an answer")[0]) if payload else 0


def is_relevant(message: Message) -> bool:
    """Whether an announcement is about more than a route to some particular network.

    Raises:
        ValueError: it is a route that is cut.
    """
    if message.kind in (Kind.NEW_ROUTE, Kind.LOST_ROUTE):
        return _unpack(_ROUTE, message.payload, "a route")[1] == 0
    return message.kind not in (Kind.NOTHING, Kind.DONE)


def parse_link(payload: bytes) -> LinkRecord:
    """Read the content of a NEW_LINK or LOST_LINK message.

    Raises:
        ValueError: it is cut, or a length in it is wrong.
    """
    _, hardware_type, index, flags, _ = _unpack(_LINK, payload, "a link")
    attributes = _attributes(payload, _LINK.size)
    name = attributes.get(3, b"").split(b"\0")[0].decode("utf-8", "surrogateescape")
    return LinkRecord(
        index,
        name,
        hardware_type,
        LinkFlags(flags),
        _number(attributes, 4),
        attributes.get(1, b""),
        attributes.get(54, b""),
    )


def parse_address(payload: bytes) -> AddressRecord | None:
    """Read the content of a NEW_ADDRESS or LOST_ADDRESS message.

    Returns:
        The address; None for one that is of neither internet family.

    Raises:
        ValueError: it is cut, or a length in it is wrong.
    """
    family, prefix_length, flags, _, index = _unpack(_ADDRESS, payload, "an address")
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    attributes = _attributes(payload, _ADDRESS.size)
    # IFA_LOCAL where there is one: IFA_ADDRESS is the other end's on a point-to-point link.
    octets = attributes.get(2, attributes.get(1, b""))
    if _FAMILY_OF_SIZE.get(len(octets)) != family or prefix_length > 8 * len(octets):
        raise ValueError(f"an address of family {family} has {len(octets)} bytes, prefix {prefix_length}")
    flags = AddressFlags(_number(attributes, 8, flags))
    return AddressRecord(index, ipaddress.ip_address(octets), prefix_length, flags)


def parse_route(payload: bytes) -> RouteRecord | None:
    """Read the content of a NEW_ROUTE or LOST_ROUTE message.

    Returns:
        The route; None for one that is not a unicast route to other machines.

    Raises:
        ValueError: it is cut, or a length in it is wrong.
    """
    family, prefix_length, _, _, table, _, _, kind, _ = _unpack(_ROUTE, payload, "a route")
    if family not in (socket.AF_INET, socket.AF_INET6) or kind != _UNICAST or table == _TABLE_LOCAL:
        return None
    attributes = _attributes(payload, _ROUTE.size)
    indexes = [_number(attributes, 4)] if 4 in attributes else list(_next_hops(attributes.get(9, b"")))
    gateway = attributes.get(5, b"")
    if gateway and _FAMILY_OF_SIZE.get(len(gateway)) is None:
        raise ValueError(f"a gateway has {len(gateway)} bytes")
    return RouteRecord(
        family,
        prefix_length,
        tuple(indexes),
        str(ipaddress.ip_address(gateway)) if gateway else "",
        _number(attributes, 6),
    )


def _next_hops(data: bytes) -> Iterator[int]:
    """The interfaces of a route that has several ways."""
    offset = 0
    while offset < len(data):
        length, _, _, index = _unpack(_NEXT_HOP, data[offset:], "a next hop")
        if not _NEXT_HOP.size <= length <= len(data) - offset:
            raise ValueError(f"a next hop says that it has {length} of {len(data) - offset} bytes")
        yield index
        offset += _aligned(length)


def _attributes(data: bytes, offset: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = _aligned(offset)
    while offset < len(data):
        length, kind = _unpack(_ATTRIBUTE, data[offset:], "an attribute")
        if not _ATTRIBUTE.size <= length <= len(data) - offset:
            raise ValueError(f"an attribute says that it has {length} of {len(data) - offset} bytes")
        found[kind & _WITHOUT_FLAGS] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)
    return found


def _number(attributes: dict[int, bytes], kind: int, otherwise: int = 0) -> int:
    value = attributes.get(kind)
    return otherwise if value is None else int(_unpack(_NUMBER, value, "a number")[0])


def _unpack(form: struct.Struct, data: bytes, what: str) -> tuple[int, ...]:
    if len(data) < form.size:
        raise ValueError(f"{what} has {len(data)} bytes, at least {form.size} belong to it")
    return form.unpack_from(data)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
