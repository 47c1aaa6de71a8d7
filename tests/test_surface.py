"""The part of the WinRT surface that the package offers can only grow."""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace

from zope.interface import Interface

import winsockets
from tests import surface


def test_the_surface_is_exactly_what_was_written_down() -> None:
    """A member that goes missing fails here, and so does a new one until it is written down."""
    figures = surface.measure(winsockets)
    floor = json.loads(surface.FLOOR.read_text(encoding="utf-8"))
    now = surface.counts(figures)
    lower = {name: f"{count} instead of {floor[name]}" for name, count in now.items() if count < floor[name]}
    assert not lower, f"the surface lost members (python -m tests.surface lists what is missing): {lower}"
    higher = {
        name: f"{count}, {floor[name]} written down" for name, count in now.items() if count > floor[name]
    }
    assert not higher, (
        f"the surface grew: raise the figures in tests/data/{surface.FLOOR.name} "
        f"(python -m tests.surface --record) so that they can only rise: {higher}"
    )


def test_a_value_counts_only_with_its_number_and_an_event_only_with_both_methods() -> None:
    """What the figure counts, on a package made for it."""

    class Kind(enum.IntEnum):
        BINARY = 0
        UTF8 = 7

    class Socket:
        def close(self) -> None:
            """Close it."""

        def add_closed(self) -> None:
            """Half an event."""

    class IThing(Interface):
        def close() -> None:
            """Close it."""

    package = SimpleNamespace(SocketMessageType=Kind, MessageWebSocket=Socket, IClosable=IThing)
    figures = surface.measure(package)
    sockets = figures["Windows.Networking.Sockets"]
    assert sockets.found == len(["the enumeration", "BINARY"]) + len(["the class", "close", "add_closed"])
    assert "SocketMessageType.UTF8" in sockets.missing
    assert "MessageWebSocket.remove_closed" in sockets.missing
    assert figures["Windows.Foundation"].found == len(["the interface", "close"])
    assert surface.counts(figures)["total"] == sockets.found + figures["Windows.Foundation"].found
