"""Multicast groups for tests: on the loopback interface, and on hosts."""

from __future__ import annotations

import random
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tests.networks import Port

__all__ = ["LOOPBACK", "PATIENCE", "free_port", "member", "new_group", "sender"]

PATIENCE = 60
"""Seconds after which a socket gives up waiting; none takes nearly that long."""

LOOPBACK = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "")
"""What the system calls its loopback interface."""


def new_group() -> str:
    """A group that nobody else has, another run of the tests on this machine included."""
    return f"239.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


def free_port() -> int:
    """A port that is free for UDP, in both families."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as skt:
        if family == socket.AF_INET6:
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        skt.bind(("", 0))
        port: int = skt.getsockname()[1]
        return port


@contextmanager
def member(group: str, port: int, port_of: Port | None = None) -> Iterator[socket.socket]:
    """A socket that hears what is sent to a group, and shares the port.

    Args:
        group: the group; on the loopback interface one of IPv4.
        port: where it is heard.
        port_of: the interface of a host to hear it on; None for the loopback interface of this one.
    """
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    with port_of.host if port_of is not None else nullcontext():
        skt = socket.socket(family, socket.SOCK_DGRAM)
    with skt:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT") and not sys.platform.startswith("linux"):
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        skt.bind(("", port))
        if family == socket.AF_INET6:
            assert port_of is not None
            request = struct.pack("16sI", socket.inet_pton(family, group), port_of.index)
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            here = socket.inet_aton(port_of.ipv4 if port_of is not None else "127.0.0.1")
            request = struct.pack("4s4s", socket.inet_aton(group), here)
            skt.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        skt.settimeout(PATIENCE)
        yield skt


@contextmanager
def sender(address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that sends to groups on the loopback interface, from one of its addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        skt.bind((address, 0))
        skt.settimeout(PATIENCE)
        yield skt
