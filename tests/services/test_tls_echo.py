"""The TLS ports of the TCP echo service: limits, another certificate, counts, and the stop."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.services.clients import connect, exchange, running, until
from tests.services.tls import CLIENT, authority, client_identity, server_identity
from winsockets.certificates import Certificate
from winsockets.errors import (
    AddressInUseError,
    IllegalMethodCallError,
    InvalidArgumentError,
    SocketException,
)
from winsockets.services import EchoService, EchoStreamService, TlsPorts
from winsockets.sockets import SocketProtectionLevel, StreamSocket


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What is logged."""
    with capturedLogs() as events:
        yield events


def lines(events: list[Any]) -> list[str]:
    """The log of the echo servers as text."""
    return [formatEvent(event) for event in events if event.get("log_namespace") == "winsockets.echo"]


def service_with(
    tls: dict[str, Any] | None = None, ports: tuple[str, ...] = (), **settings: Any
) -> EchoStreamService:
    """A service with a TLS port; settings of that and of the service."""
    settings.setdefault("addresses", ["127.0.0.1"])
    return EchoStreamService(ports, tls=TlsPorts(["0"], server_identity("one"), **tls or {}), **settings)


def new_client(certificate: Certificate | None = None) -> StreamSocket:
    """A socket that trusts our authority alone."""
    client = StreamSocket()
    client.control.trusted_server_certificates = [authority("ours").certificate]
    client.control.exclusive_trust = True
    client.control.client_certificate = certificate
    return client


async def enter(
    service: EchoStreamService, index: int = 0, certificate: Certificate | None = None
) -> StreamSocket:
    """Connect to one of a service's TLS ports."""
    client = new_client(certificate)
    await client.connect_async(*service.tls_endpoints[index], SocketProtectionLevel.UNSPECIFIED)
    return client


@pytest_twisted.ensureDeferred
async def test_plain_and_tls_ports_are_served_by_one_service() -> None:
    """Both are among the URLs, and count in the same numbers."""
    service = service_with(ports=("0",), addresses=["127.0.0.1", "::1"])
    async with running(service):
        assert [url.partition(":")[0] for url in service.urls] == ["tcp", "tcp", "tls", "tls"]
        for index in range(2):
            async with await enter(service, index) as secret, await connect(service, index) as plain:
                assert await exchange(secret, b"secret") == b"secret"
                assert await exchange(plain, b"plain") == b"plain"
        await until(lambda: service.statistics.completed == 4)
    statistics = service.statistics
    assert (statistics.accepted, statistics.secured, statistics.echoed) == (4, 2, 22)
    assert service.urls == []


@pytest_twisted.ensureDeferred
async def test_a_taken_tls_port_frees_the_others() -> None:
    """All or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        tls = TlsPorts([holder.getsockname()[1]], server_identity("one"))
        service = EchoStreamService(["0"], tls=tls, addresses=["127.0.0.1"])
        with pytest.raises(AddressInUseError):
            service.bind()
    assert service.urls == []


@pytest_twisted.ensureDeferred
async def test_a_certificate_without_its_key_is_an_error_of_the_start() -> None:
    """Nothing stays bound."""
    public = Certificate(server_identity("one").get_certificate_blob())
    service = EchoStreamService(["0"], tls=TlsPorts(["0"], public))
    with pytest.raises(InvalidArgumentError, match="no private key"):
        service.bind()
    assert service.urls == []


@pytest_twisted.ensureDeferred
async def test_another_certificate_is_for_the_next_connection() -> None:
    """On every port; also after the service was started again."""
    service = service_with(addresses=["127.0.0.1", "::1"])
    async with running(service), await enter(service) as before:
        service.show_certificate(server_identity("two"))
        for index in range(2):
            async with await enter(service, index) as client:
                assert client.information.server_certificate == server_identity("two")
        assert await exchange(before, b"still here") == b"still here"
        with pytest.raises(InvalidArgumentError):
            service.show_certificate(authority("ours").certificate)
    async with running(service), await enter(service) as client:
        assert client.information.server_certificate == server_identity("two")


@pytest_twisted.ensureDeferred
async def test_others_may_vouch_for_clients_from_the_next_connection_on() -> None:
    """Those who did so before do not any more, unless they are named again; asking them cannot end."""
    service = service_with(
        {"client_roots": [authority("ours").certificate], "require_client_certificate": True}
    )
    async with running(service), await enter(service, certificate=client_identity("ours")) as before:
        with pytest.raises(InvalidArgumentError):
            service.show_certificate(server_identity("two"), [])
        with pytest.raises(InvalidArgumentError):
            service.show_certificate(authority("ours").certificate, [authority("theirs").certificate])
        async with await enter(service, certificate=client_identity("ours")) as client:
            assert client.information.server_certificate == server_identity("one")
            assert await exchange(client, b"x") == b"x"
        service.show_certificate(server_identity("two"), [authority("theirs").certificate])
        async with await enter(service, certificate=client_identity("theirs")) as client:
            assert await exchange(client, b"x") == b"x"
        with pytest.raises(SocketException):
            async with await enter(service, certificate=client_identity("ours")) as client:
                await client.input_stream.read(1)
        assert await exchange(before, b"still here") == b"still here"
    assert service.statistics.failed_handshakes == 1


@pytest_twisted.ensureDeferred
async def test_without_tls_there_is_no_certificate_to_show() -> None:
    """A mistake of the program."""
    with pytest.raises(IllegalMethodCallError):
        EchoStreamService().show_certificate(server_identity("one"))


@pytest_twisted.ensureDeferred
async def test_the_subject_of_a_client_is_in_the_line_of_its_end(log: list[Any]) -> None:
    """Whoever showed no certificate is an address and a port."""
    service = service_with({"client_roots": [authority("ours").certificate]}, clock=Clock())
    async with running(service):
        async with await enter(service, certificate=client_identity("ours")) as client:
            port = client.information.local_port
            await exchange(client, b"hello")
        async with await enter(service) as client:
            await exchange(client, b"hello")
        await until(lambda: service.statistics.completed == 2)
    known, unknown = (line for line in lines(log) if "echoed" in line)
    assert known.startswith(f"127.0.0.1 port {port} ({CLIENT!r}): 5 bytes echoed")
    assert "(" not in unknown


@pytest_twisted.ensureDeferred
async def test_clients_that_do_not_get_in_are_counted_and_not_accepted() -> None:
    """The count outlives the listeners."""
    service = service_with(
        {"client_roots": [authority("ours").certificate], "require_client_certificate": True}
    )
    async with running(service):
        for certificate in (None, client_identity("theirs")):
            with suppress(SocketException):
                async with await enter(service, certificate=certificate) as client:
                    await client.input_stream.read(1)
        await until(lambda: service.statistics.failed_handshakes == 2)
    assert service.statistics.failed_handshakes == 2
    assert service.statistics.accepted == 0
    async with running(service), await enter(service, certificate=client_identity("ours")) as client:
        assert await exchange(client, b"hello") == b"hello"
        assert service.statistics.failed_handshakes == 2


@pytest_twisted.ensureDeferred
async def test_the_totals_speak_of_tls_where_there_is_some(log: list[Any]) -> None:
    """After those of all connections."""
    service = EchoService(service_with())
    service.startService()
    await service.stopService()
    assert lines(log)[-1].endswith(" cut off. TLS: 0 of those accepted; 0 failed handshakes.")


# Limits


@pytest_twisted.ensureDeferred
async def test_the_limit_holds_for_plain_and_tls_clients_together() -> None:
    """The next one waits, in the backlog or in its handshake, until one goes."""
    service = service_with(ports=("0",), max_connections=2)
    async with running(service):
        plain, secret = await connect(service), await enter(service)
        assert await exchange(plain, b"x") == await exchange(secret, b"x") == b"x"
        third = new_client()
        entering = third.connect_async(*service.tls_endpoints[0], SocketProtectionLevel.UNSPECIFIED)
        for _ in range(20):
            await exchange(plain, b"still here")
            await exchange(secret, b"still here")
        assert service.statistics.open == 2
        assert not entering.called
        plain.close()
        await entering
        assert await exchange(third, b"hello") == b"hello"
        for client in (secret, third):
            client.close()
            await client.wait_closed_async()
    assert service.statistics.accepted == 3


@pytest_twisted.ensureDeferred
async def test_handshakes_that_end_together_do_not_exceed_the_limit() -> None:
    """Two ports, one place: all are served, one after the other."""
    service = service_with(addresses=["127.0.0.1", "::1"], max_connections=1)
    seen: list[int] = []

    async def visit(index: int) -> None:
        async with await enter(service, index % 2) as client:
            assert await exchange(client, b"x") == b"x"
            seen.append(service.statistics.open)

    async with running(service):
        await gatherResults([Deferred.fromCoroutine(visit(index)) for index in range(6)])
        await until(lambda: service.statistics.open == 0)
    assert seen == [1] * 6
    assert service.statistics.accepted == service.statistics.completed == 6


@pytest_twisted.ensureDeferred
async def test_who_waits_for_a_place_when_the_drain_time_ends_is_cut_off_too() -> None:
    """Its handshake was done, and nobody had time for it."""
    clock = Clock()
    service = service_with(addresses=["127.0.0.1", "::1"], max_connections=1, drain_timeout=5, clock=clock)
    async with running(service):
        entering = [new_client() for _ in range(2)]
        operations = [
            client.connect_async(*service.tls_endpoints[index], SocketProtectionLevel.UNSPECIFIED)
            for index, client in enumerate(entering)
        ]
        for operation in operations:
            await operation
        await until(lambda: len(service._open) == 2)
        assert service.statistics.open == 1
        stopped = service.stopService()
        await until(lambda: service._drained)
        clock.advance(5)
        for client in entering:
            assert await client.input_stream.read(1) == b""
            client.close()
            await client.wait_closed_async()
        await stopped
    assert service.statistics.cut_off == 2
    assert service.statistics.open == 0


@pytest_twisted.ensureDeferred
async def test_silence_ends_a_tls_connection() -> None:
    """In good order."""
    clock = Clock()
    service = service_with(idle_timeout=5, clock=clock)
    async with running(service), await enter(service) as client:
        assert await exchange(client, b"x") == b"x"
        clock.advance(5)
        assert await client.input_stream.read(1) == b""
        client.close()
        await until(lambda: service.statistics.idle == 1)


@pytest_twisted.ensureDeferred
async def test_a_client_has_so_much_time_for_its_handshake(log: list[Any]) -> None:
    """Then it is given up, counted, and spoken of."""
    service = service_with({"handshake_timeout": 0.05})
    async with running(service):
        with socket.create_connection(service.tls_endpoints[0]):
            await until(lambda: service.statistics.failed_handshakes == 1)
    assert any("not done within 0.05 s" in formatEvent(event) for event in log)


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_tls_clients_finish() -> None:
    """And breaks handshakes off."""
    service = service_with(clock=Clock())
    async with running(service), await enter(service) as client:
        with socket.create_connection(service.tls_endpoints[0]):
            assert await exchange(client, b"before") == b"before"
            stopped = service.stopService()
            await until(lambda: service._drained)
            assert await exchange(client, b"after") == b"after"
            client.output_stream.close()
            assert await client.input_stream.read(1) == b""
            await stopped
    assert service.statistics.completed == 1
    assert service.statistics.failed_handshakes == 0
