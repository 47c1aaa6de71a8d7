"""The UDP echo service on real sockets: what comes back, and what does not."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.services.clients import DatagramClient, running, until
from winsockets.errors import AccessDeniedError, AddressInUseError, SocketException
from winsockets.networking import HostName
from winsockets.services import EchoDatagramService, Refusal, ReplyPolicy
from winsockets.services._udp_echo import is_broadcast

LARGEST = 65_507


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What the services log."""
    with capturedLogs() as events:
        yield events


@pytest_twisted.ensureDeferred
async def test_every_datagram_comes_back_to_its_sender() -> None:
    """Empty, small and the largest; IPv4 and IPv6."""
    service = EchoDatagramService(["0"])
    async with running(service):
        (four, port), (six, same) = service.endpoints
        assert (four, six, port) == ("127.0.0.1", "::1", same)
        assert service.urls == [f"udp://127.0.0.1:{port}", f"udp://[::1]:{port}"]
        for address in (four, six):
            async with DatagramClient() as client:
                sent = [b"", b"\0", b"hello", os.urandom(10_000), os.urandom(LARGEST)]
                for number, data in enumerate(sent, 1):
                    await client.send(data, address, port)
                    await until(lambda: len(client.received) == number)  # noqa: B023
                assert client.received == sent
    assert service.statistics.answered == 10
    assert service.statistics.echoed == 2 * sum(map(len, sent))


@pytest_twisted.ensureDeferred
async def test_it_can_be_started_again() -> None:
    """After a stop everything is as before the start, the policy too."""
    policy = ReplyPolicy()
    service = EchoDatagramService(["0"], policy=policy)
    for _ in range(2):
        async with running(service), DatagramClient() as client:
            assert policy.own_ports == {port for _, port in service.endpoints}
            await client.send(b"again", *service.endpoints[0])
            await until(lambda: client.received)
        assert policy.own_ports == set()
        assert service.endpoints == []


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_an_error_of_the_start() -> None:
    """And nothing stays bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        taken = holder.getsockname()[1]
        service = EchoDatagramService(["0", taken], addresses=["127.0.0.1"])
        with pytest.raises(AddressInUseError, match=str(taken)):
            service.startService()
        assert service.endpoints == []
        await service.stopService()


# What is not answered


async def low_port(client: DatagramClient) -> None:
    """Bind a client to some free port below 1024, where the process may."""
    for port in range(1_023, 600, -1):
        try:
            await client.bind("127.0.0.1", port)
        except AddressInUseError:
            continue
        except AccessDeniedError:
            pytest.skip("this process may not bind to a port below 1024")
        return


@pytest_twisted.ensureDeferred
async def test_security_a_client_on_a_service_port_is_not_answered() -> None:
    """Another one that comes after it is."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(service), DatagramClient() as low, DatagramClient() as high:
        await low_port(low)
        await low.send(b"loop?", *service.endpoints[0])
        await high.send(b"hello", *service.endpoints[0])
        await until(lambda: high.received)
        assert low.received == []
    assert service.statistics.refused == {Refusal.LOW_PORT: 1}
    assert service.statistics.answered == 1


@pytest_twisted.ensureDeferred
async def test_a_client_on_a_service_port_is_answered_where_that_rule_is_lifted() -> None:
    """The option of the policy."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"], policy=ReplyPolicy(any_source_port=True))
    async with running(service), DatagramClient() as low:
        await low_port(low)
        await low.send(b"hello", *service.endpoints[0])
        await until(lambda: low.received)
        assert low.received == [b"hello"]


@pytest_twisted.ensureDeferred
async def test_security_a_sender_on_an_own_port_is_not_answered() -> None:
    """Whatever its address: here 127.0.0.2."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(service), DatagramClient() as twin, DatagramClient() as client:
        address, port = service.endpoints[0]
        await twin.bind("127.0.0.2", port)
        await twin.send(b"loop?", address, port)
        await client.send(b"hello", address, port)
        await until(lambda: client.received)
        assert twin.received == []
    assert service.statistics.refused == {Refusal.OWN_PORT: 1}


@pytest_twisted.ensureDeferred
async def test_security_two_servers_with_one_port_number_do_not_loop() -> None:
    """A datagram from the one to the other, as a forger would send it, is not answered even once."""
    one = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(one):
        port = one.endpoints[0][1]
        other = EchoDatagramService([port], addresses=["127.0.0.2"])
        async with running(other), DatagramClient() as client:
            stream = await other._bound[0].socket.get_output_stream_async("127.0.0.1", port)
            await stream.write_async(b"loop?")
            for address in ("127.0.0.1", "127.0.0.2"):
                await client.send(b"hello", address, port)
            await until(lambda: len(client.received) == 2)
    assert one.statistics.refused == {Refusal.OWN_PORT: 1}
    assert other.statistics.answered == 1


@pytest_twisted.ensureDeferred
async def test_security_two_servers_with_different_port_numbers_do_not_loop_for_ever() -> None:
    """The limit drops the datagram that goes round, and that is its end."""
    clock = Clock()
    services = [
        EchoDatagramService(
            ["0"], addresses=["127.0.0.1"], policy=ReplyPolicy(rate=10, loopback_burst=50), clock=clock
        )
        for _ in range(2)
    ]
    async with running(*services):
        one, other = services
        stream = await other._bound[0].socket.get_output_stream_async(*one.endpoints[0])
        await stream.write_async(b"round and round")
        await until(lambda: one.statistics.refused)
        assert one.statistics.answered == other.statistics.answered == 50
    assert one.statistics.refused == {Refusal.RATE: 1}
    assert not other.statistics.refused


@pytest_twisted.ensureDeferred
async def test_security_replies_to_one_source_are_limited() -> None:
    """From however many ports it sends."""
    clock = Clock()
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"], policy=ReplyPolicy(rate=10), clock=clock)
    statistics = service.statistics
    async with running(service), DatagramClient() as one, DatagramClient() as other:
        for _ in range(10):
            await one.send(b"x", *service.endpoints[0])
            await other.send(b"x", *service.endpoints[0])
        await until(lambda: statistics.answered + statistics.refused.total() == 20)
        assert statistics.answered == 10
        clock.advance(0.5)
        for _ in range(10):
            await one.send(b"x", *service.endpoints[0])
        await until(lambda: statistics.answered + statistics.refused.total() == 30)
        assert statistics.answered == 15
        await until(lambda: len(one.received) + len(other.received) == 15)


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_logged_once_for_each_reason_without_the_data(log: list[Any]) -> None:
    """A flood of them must not fill the disk."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"], policy=ReplyPolicy(rate=1), clock=Clock())
    async with running(service), DatagramClient() as client:
        for _ in range(5):
            await client.send(b"a secret", *service.endpoints[0])
        await until(lambda: service.statistics.refused[Refusal.RATE] == 4)
        port = client.socket.information.local_port
    lines = [formatEvent(event) for event in log if event.get("log_namespace") == "winsockets.echo"]
    assert lines == [
        f"A datagram from 127.0.0.1 port {port} is not answered: {Refusal.RATE.value}; more of that are "
        "only counted"
    ]
    assert not any("secret" in repr(event) for event in log)


# What goes wrong


class Received:
    """A datagram that no client of a test could have sent."""

    def __init__(self, source: str, error: SocketException | None = None) -> None:
        self.remote_address = HostName(source)
        self.remote_port = "50000"
        self._error = error

    @property
    def data(self) -> bytes:
        """The payload, or what was wrong with it."""
        if self._error is not None:
            raise self._error
        return b"hello"


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_was_cut_is_counted_and_not_answered() -> None:
    """It is not what was sent."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(service):
        service._answer(service._bound[0].socket, Received("127.0.0.1", SocketException("cut")))
    assert service.statistics.failed == 1
    assert service.statistics.answered == 0


@pytest_twisted.ensureDeferred
async def test_a_reply_that_the_system_does_not_take_is_counted() -> None:
    """From loopback there is no way to any other network; the server goes on."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(service), DatagramClient() as client:
        service._answer(service._bound[0].socket, Received("203.0.113.1"))
        assert service.statistics.failed == 1
        await client.send(b"hello", *service.endpoints[0])
        await until(lambda: client.received)


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_comes_while_the_socket_closes_is_counted() -> None:
    """There is nothing left to answer with."""
    service = EchoDatagramService(["0"], addresses=["127.0.0.1"])
    async with running(service):
        socket = service._bound[0].socket
        service.unbind()
        service._answer(socket, Received("127.0.0.1"))
        await socket.wait_closed_async()
    assert service.statistics.failed == 1


# The broadcast question


def test_the_system_tells_broadcast_addresses() -> None:
    """Loopback's own, on Linux; an ordinary address is none."""
    assert not is_broadcast("127.0.0.1")
    if os.uname().sysname == "Linux":
        assert is_broadcast("127.255.255.255")
        assert is_broadcast("255.255.255.255")


def test_security_without_a_descriptor_to_ask_with_the_answer_is_the_careful_one() -> None:
    """Rather no reply than one to a whole network."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert is_broadcast("203.0.113.1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
