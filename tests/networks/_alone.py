"""One host that a test is in, for what needs no other."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.networks._hosts import Host, network

__all__ = ["add_link_local_address", "network_namespace", "network_without_neighbours", "run"]


def run(*command: str) -> None:
    """Run a command of iproute2 in the network one is in."""
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def network_namespace() -> Iterator[Host]:
    """Be in an empty network with nothing but its loopback interface, which is up."""
    with network() as built, built.host() as host:
        yield host


def add_link_local_address(address: str, device: str) -> None:
    """Give an interface an address, in the network one is in, and wait until it can be used."""
    run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
    host_route = [socket.inet_pton(socket.AF_INET6, address).hex(), "80"]
    routes = Path("/proc/thread-self/net/ipv6_route")
    while not any(route.split()[:2] == host_route for route in routes.read_text("ascii").splitlines()):
        time.sleep(0.001)


@contextmanager
def network_without_neighbours() -> Iterator[tuple[str, str]]:
    """Be in a network in which the system finds out quickly that nobody has an address.

    Yields:
        An address of this machine, and one that is nobody's and to which datagrams are sent at first.
    """
    with network() as built:
        one, other = built.host(), built.host()
        port, _ = built.join(one, other)
        one.find_absent_neighbours_quickly()
        with one:
            yield port.ipv4, port.ipv4.rpartition(".")[0] + ".9"
