"""A name server for tests: Twisted's own, over UDP and TCP on a loopback address, from a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.server import DNSServerFactory

__all__ = ["AAAA", "SRV", "A", "Table", "name_server"]

A = dns.Record_A
AAAA = dns.Record_AAAA
SRV = dns.Record_SRV

Table = dict[tuple[str, int], list[Any] | None]
"""(name, type) to payloads, or None for silence; a name that is not there at all does not exist."""


class _Zone(ResolverBase):
    def __init__(self, table: Table, asked: list[tuple[str, int]]) -> None:
        super().__init__()
        self._table = table
        self._asked = asked

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Deferred[Any]:
        text = name.decode("ascii")
        self._asked.append((text, type))
        if text not in {known for known, _ in self._table}:
            return fail(dns.AuthoritativeDomainError(text))
        payloads = self._table.get((text, type), [])
        if payloads is None:
            return Deferred()
        records = [dns.RRHeader(text, one.TYPE, payload=one, ttl=60, auth=True) for one in payloads]
        return succeed((records, [], []))


@asynccontextmanager
async def name_server(
    table: Table, interface: str = "127.0.0.1", host: Any = None
) -> AsyncIterator[tuple[tuple[str, int], list[tuple[str, int]]]]:
    """Serve names while the block runs.

    Args:
        table: the names.
        interface: the address to serve at.
        host: of a test's own network, where that is.

    Yields:
        The address and port of the server, and a list of what it was asked for.
    """
    from twisted.internet import reactor

    net: Any = reactor
    asked: list[tuple[str, int]] = []
    factory = DNSServerFactory(authorities=[_Zone(table, asked)])
    factory.noisy = False
    protocol = dns.DNSDatagramProtocol(factory)
    protocol.noisy = False
    while True:
        with host or nullcontext():
            datagrams = net.listenUDP(0, protocol, interface=interface)
            try:
                listener = net.listenTCP(datagrams.getHost().port, factory, interface=interface)
                break
            except CannotListenError:
                pass
        await maybeDeferred(datagrams.stopListening)
    try:
        yield (interface, listener.getHost().port), asked
    finally:
        await maybeDeferred(datagrams.stopListening)
        await maybeDeferred(listener.stopListening)
        for connection in list(factory.connections):
            connection.transport.abortConnection()
