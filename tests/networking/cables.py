"""Two interfaces joined by a cable, in the network that a test is in."""

from __future__ import annotations

import time

from tests.networks import run
from winsockets.networking._interfaces import interfaces

__all__ = ["cable", "plug_in"]


def cable():
    """Make the interfaces v0 and v1; v0 is switched on, but has no carrier yet."""
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "set", "v0", "up")


def plug_in():
    """Switch v1 on too, and wait until the system has seen that both have a carrier."""
    run("ip", "link", "set", "v1", "up")
    while not {"v0", "v1"} <= {known.name for known in interfaces() if known.up}:
        time.sleep(0.001)
