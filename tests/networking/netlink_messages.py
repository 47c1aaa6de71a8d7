"""Messages of rtnetlink, as the kernel would write them."""

from __future__ import annotations

import socket
import struct

from winsockets.networking._rtnetlink import Kind


def padded(data):
    """Up to the next multiple of four bytes."""
    return data + bytes(-len(data) % 4)


def message(kind, payload=b"", *, flags=0, sequence=1):
    """A whole message."""
    return padded(struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload)


def attribute(kind, value):
    """An attribute; a number is one of 32 bits."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    return padded(struct.pack("=HH", 4 + len(value), kind) + value)


def link(index, name, *, hardware_type=1, flags=0x1043, mtu=1500, attributes=b""):
    """The content of NEW_LINK."""
    return (
        struct.pack("=BxHiII", 0, hardware_type, index, flags, 0)
        + attribute(3, name.encode() + b"\0")
        + attribute(4, mtu)
        + attributes
    )


def address(index, text, prefix_length, *, flags=0, peer=None, attributes=b""):
    """The content of NEW_ADDRESS."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    octets = socket.inet_pton(family, text)
    content = struct.pack("=BBBBI", family, prefix_length, flags, 0, index)
    if peer is not None:
        return content + attribute(1, socket.inet_pton(family, peer)) + attribute(2, octets) + attributes
    return content + attribute(1, octets) + attributes


def route(family=socket.AF_INET, prefix_length=0, *, table=254, kind=1, attributes=b""):
    """The content of NEW_ROUTE."""
    return struct.pack("=8BI", family, prefix_length, 0, 0, table, 3, 0, kind, 0) + attributes


def next_hop(index):
    """One way of a route that has several."""
    return struct.pack("=HBBi", 8, 0, 0, index)


def done(error=0):
    """The end of an answer."""
    return message(Kind.DONE, struct.pack("=i", -error))
