"""The part of the WinRT surface that the package offers can only grow."""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace

from zope.interface import Interface

import winsockets
from tests import surface
from winsockets.foundation import AsyncOperation


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


ADDITIONS = {
    "BandwidthStatistics": {"count", "index"},
    "Certificate": {"intermediates", "load_file", "load_pem", "load_pkcs12"},
    "CertificateChain": {"validate_all"},
    "CertificateStore": {"find_all_async"},
    "ChainBuildingParameters": {"revocation_lists"},
    "DatagramSocket": {
        "block_multicast_source",
        "leave_multicast_group",
        "messages",
        "unblock_multicast_source",
        "wait_closed_async",
    },
    "DatagramSocketControl": {
        "limits",
        "multicast_adapter",
        "multicast_loopback",
        "name_servers",
        "outbound_multicast_hop_limit",
    },
    "DatagramSocketInformation": {"dropped_by_system", "dropped_messages", "inbound_buffer_size_in_bytes"},
    "DatagramSocketMessageReceivedEventArgs": {"data", "hop_limit", "network_adapter"},
    "InMemoryRandomAccessStream": {
        "as_stream_for_read",
        "as_stream_for_write",
        "read",
        "read_exactly",
        "write_many_async",
    },
    "NetworkAdapter": {"from_name", "index", "name"},
    "NetworkInformation": {"get_network_adapters", "limits"},
    "RoundTripTimeStatistics": {"count", "index"},
    "StreamSocket": {"from_endpoint", "from_protocol", "wait_closed_async"},
    "StreamSocketControl": {
        "application_protocols",
        "exclusive_trust",
        "limits",
        "name_servers",
        "require_close_notify",
        "server_certificate_revocation_lists",
        "trusted_server_certificates",
    },
    "StreamSocketInformation": {"application_protocol", "client_certificate"},
    "StreamSocketListener": {"connections", "pause", "resume", "wait_closed_async"},
    "StreamSocketListenerControl": {
        "application_protocols",
        "client_certificate_policy",
        "client_certificate_revocation_lists",
        "limits",
        "max_connections",
        "min_protection_level",
        "require_close_notify",
        "server_certificates",
        "trusted_client_certificates",
    },
    "StreamSocketListenerInformation": {"failed_handshakes"},
}
"""What classes have beyond WinRT's; the statistics are named tuples."""


def test_classes_have_winrts_members_and_the_additions_and_nothing_else() -> None:
    """What is not for programs begins with an underscore.

    Operations have the members of a Deferred too. Not looked at is what is a number, or a bytearray: Buffer.
    """
    beyond = {}
    for types in json.loads(surface.SURFACE.read_text(encoding="utf-8")).values():
        for name, info in types.items():
            thing = getattr(winsockets, name, None)
            if not isinstance(thing, type) or issubclass(thing, enum.Enum | int | bytearray):
                continue
            events = [member for member, kind in info.get("members", {}).items() if kind.endswith("event")]
            found = {member for member in dir(thing) if not member.startswith("_")}
            operation = dir(AsyncOperation) if issubclass(thing, AsyncOperation) else ()
            if extra := found.difference(surface.members(info), events, operation):
                beyond[name] = extra
    assert beyond == ADDITIONS
