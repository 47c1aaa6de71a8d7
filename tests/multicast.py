"""Multicast groups for tests that do not need a network of their own: on the loopback interface."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LOOPBACK", "PATIENCE", "free_port", "member", "new_group", "sender"]

PATIENCE = 60
"""Seconds after which a socket gives up waiting; none takes nearly that long."""

LOOPBACK = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "")
"""What the system calls its loopback interface."""

_HERE = socket.inet_aton("127.0.0.1")


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
def member(group: str, port: int) -> Iterator[socket.socket]:
    """A socket that hears what is sent to a group on the loopback interface, and shares the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT") and not hasattr(socket, "SO_DOMAIN"):
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # the BSDs and macOS
        skt.bind(("", port))
        skt.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4s", socket.inet_aton(group), _HERE)
        )
        skt.settimeout(PATIENCE)
        yield skt


@contextmanager
def sender(address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that sends to groups on the loopback interface, from one of its addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _HERE)
        skt.bind((address, 0))
        skt.settimeout(PATIENCE)
        yield skt
