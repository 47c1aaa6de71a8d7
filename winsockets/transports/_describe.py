"""Addresses in words, for messages and logs."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

__all__ = ["describe_address", "describe_peer"]


def describe_address(host: str, port: int) -> str:
    """Say "127.0.0.1 port 80"."""
    return f"{host} port {port}"


def describe_peer(transport: Any) -> str:
    """Say who is at the other end of a transport, as well as it knows."""
    try:
        peer = transport.getPeer() if transport is not None else None
    except (AttributeError, NotImplementedError):
        # The pipes to a process have no address.
        peer = None
    if isinstance(peer, IPv4Address | IPv6Address):
        return describe_address(peer.host, peer.port)
    return str(peer) if peer is not None else "the peer"
