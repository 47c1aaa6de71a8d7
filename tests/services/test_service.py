"""TCP and UDP as one service: all or nothing, a line at the start and one at the stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import pytest_twisted
from twisted.application.service import Application, IServiceCollection
from twisted.logger import capturedLogs, formatEvent

from tests.services.clients import DatagramClient, connect, exchange, until
from winsockets.errors import AddressInUseError
from winsockets.services import EchoDatagramService, EchoService, EchoStreamService


@pytest_twisted.ensureDeferred
async def test_it_serves_both_and_says_where_and_what_it_did() -> None:
    """One line with the addresses, one with the totals, and one for the connection."""
    stream, datagram = EchoStreamService(["0"]), EchoDatagramService(["0"], addresses=["127.0.0.1"])
    service = EchoService(stream, datagram)
    with capturedLogs() as events:
        service.privilegedStartService()
        service.startService()
        urls = service.urls
        async with await connect(stream) as client, DatagramClient() as sender:
            assert await exchange(client, b"hello") == b"hello"
            await sender.bind("127.0.0.2", urls[2].rpartition(":")[2])
            await sender.send(b"loop?", *datagram.endpoints[0])
            async with DatagramClient() as other:
                await other.send(b"hello", *datagram.endpoints[0])
                await until(lambda: other.received)
        await service.stopService()
    lines = [formatEvent(event) for event in events if event.get("log_namespace") == "winsockets.echo"]
    assert [url.partition(":")[0] for url in urls] == ["tcp", "tcp", "udp"]
    assert lines[0] == "Echoing on " + " ".join(urls)
    assert lines[-1] == (
        "Stopped. TCP: 1 accepted, 5 bytes echoed; 1 closed by the client, 0 broken off, 0 closed for "
        "silence, 0 cut off. UDP: 1 datagrams, 5 bytes echoed; 1 not answered (OWN_PORT 1), 0 failed."
    )
    assert service.urls == []


@pytest_twisted.ensureDeferred
async def test_either_may_be_left_out() -> None:
    """What is not there is not spoken of."""
    for service, scheme in (
        (EchoService(stream=EchoStreamService(["0"])), "tcp"),
        (EchoService(datagram=EchoDatagramService(["0"])), "udp"),
    ):
        with capturedLogs() as events:
            service.startService()
            assert all(url.startswith(scheme) for url in service.urls)
            assert len(service.urls) == 2
            await service.stopService()
        total = formatEvent(events[-1])
        assert ("TCP" in total, "UDP" in total) == (scheme == "tcp", scheme == "udp")


@pytest_twisted.ensureDeferred
async def test_a_taken_udp_port_frees_the_tcp_port_too() -> None:
    """Half a server is no server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        stream = EchoStreamService(["0"])
        service = EchoService(stream, EchoDatagramService([holder.getsockname()[1]], addresses=["127.0.0.1"]))
        with pytest.raises(AddressInUseError):
            service.privilegedStartService()
    assert service.urls == []
    assert not service.running
    await until(lambda: not stream.endpoints)


@pytest_twisted.ensureDeferred
async def test_it_is_embedded_in_an_application_like_any_service() -> None:
    """As a child it starts and stops with its parent."""
    application = Application("test")
    stream = EchoStreamService(["0"])
    EchoService(stream).setServiceParent(application)
    parent = IServiceCollection(application)
    parent.privilegedStartService()
    parent.startService()
    async with await connect(stream) as client:
        assert await exchange(client, b"hello") == b"hello"
    await parent.stopService()
    assert stream.endpoints == []


class StartingReactor:
    """A reactor that does not run yet."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callWhenRunning(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Keep the call."""
        self.calls.append(partial(function, *arguments))

    def run(self) -> None:
        """Make the calls."""
        for call in self.calls:
            call()


@pytest_twisted.ensureDeferred
async def test_it_says_where_once_the_reactor_runs() -> None:
    """Whoever reads that may send a signal; a service that was stopped before says nothing."""
    reactor = StartingReactor()
    service = EchoService(datagram=EchoDatagramService(["0"]), reactor=reactor)
    for stopped_before in (False, True):
        with capturedLogs() as events:
            service.startService()
            assert events == []
            if stopped_before:
                await service.stopService()
                events.clear()
            reactor.run()
        said = [formatEvent(event).partition(" ")[0] for event in events]
        assert said == ([] if stopped_before else ["Echoing"])
        if not stopped_before:
            await service.stopService()
            reactor.calls.clear()
