"""A network of a test's own, where queues can be slow and interfaces can be small."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["add_link_local_address", "network_namespace", "network_without_neighbours", "run"]

_CLONE_NEWNET = 0x40000000


def run(*command: str) -> None:
    """Run a command of iproute2 in the network one is in."""
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def network_namespace() -> Iterator[None]:
    """Be in an empty network with nothing but its loopback interface, which is up.

    A socket stays in the network it was made in; so do those that are made inside, when the block is left.
    Skips the test where that is not possible.
    """
    if sys.platform != "linux":
        pytest.skip("needs the network namespaces of Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET):
            pytest.skip(f"may not make a network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            try:
                run("ip", "link", "set", "lo", "up")
            except FileNotFoundError:
                pytest.skip("needs the programs of iproute2")
            yield
        finally:
            assert libc.setns(outside, _CLONE_NEWNET) == 0
    finally:
        os.close(outside)


def add_link_local_address(address: str, device: str) -> None:
    """Give an interface an address, and wait until the system takes in what is sent there."""
    run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
    host_route = [socket.inet_pton(socket.AF_INET6, address).hex(), "80"]
    routes = Path("/proc/net/ipv6_route")
    while not any(route.split()[:2] == host_route for route in routes.read_text("ascii").splitlines()):
        time.sleep(0.001)


@contextmanager
def network_without_neighbours() -> Iterator[tuple[str, str]]:
    """A network in which the system finds out quickly that nobody has an address.

    Yields:
        An address of this machine, and one that is nobody's and to which datagrams are sent at first.
    """
    with network_namespace():
        run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        run("ip", "link", "set", "v0", "up")
        run("ip", "link", "set", "v1", "up")
        for name, value in (("mcast_solicit", "1"), ("retrans_time_ms", "10")):
            Path(f"/proc/sys/net/ipv4/neigh/v0/{name}").write_text(value, encoding="ascii")
        yield "10.9.9.1", "10.9.9.2"
