"""The TCP echo service: limits, log lines, and a stop that lets clients finish."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.services.clients import connect, exchange, running, until
from winsockets.errors import AddressInUseError, ConnectRefusedError
from winsockets.services import EchoStreamService
from winsockets.services._tcp_echo import LOG_LINES_PER_SECOND
from winsockets.sockets import StreamSocket


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What the services log."""
    with capturedLogs() as events:
        yield events


def lines(events: list[Any]) -> list[str]:
    """The log of the echo servers as text."""
    return [formatEvent(event) for event in events if event.get("log_namespace") == "winsockets.echo"]


@pytest_twisted.ensureDeferred
async def test_it_serves_loopback_in_both_families_on_one_port() -> None:
    """That is what it does unless it is told otherwise."""
    service = EchoStreamService(["0"])
    async with running(service):
        (four, port), (six, same) = service.endpoints
        assert (four, six) == ("127.0.0.1", "::1")
        assert port == same
        assert service.urls == [f"tcp://127.0.0.1:{port}", f"tcp://[::1]:{port}"]
        for index in range(2):
            async with await connect(service, index) as client:
                assert await exchange(client, b"hello") == b"hello"


@pytest_twisted.ensureDeferred
async def test_it_serves_several_ports() -> None:
    """All the same."""
    service = EchoStreamService(["0", 0], addresses=["127.0.0.1"])
    async with running(service):
        assert len({port for _, port in service.endpoints}) == 2
        for index in range(2):
            async with await connect(service, index) as client:
                assert await exchange(client, b"hello") == b"hello"


@pytest_twisted.ensureDeferred
async def test_binding_can_come_before_starting() -> None:
    """Who comes meanwhile is served; binding again and starting do no harm."""
    service = EchoStreamService(["0"])
    assert service.endpoints == []
    service.bind()
    before = service.endpoints
    client = await connect(service)
    async with running(service), client:
        service.bind()
        assert service.endpoints == before
        assert await exchange(client, b"early") == b"early"
    assert service.endpoints == []


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_an_error_of_the_start_and_nothing_stays_bound() -> None:
    """The second port is taken: the first is free again."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        service = EchoStreamService(["0", taken], addresses=["127.0.0.1"])
        with pytest.raises(AddressInUseError, match=str(taken)):
            service.startService()
        assert service.endpoints == []
        await service.stopService()


@pytest_twisted.ensureDeferred
async def test_it_can_be_started_again() -> None:
    """After a stop everything is as before the start."""
    service = EchoStreamService(["0"])
    for _ in range(2):
        async with running(service), await connect(service) as client:
            assert await exchange(client, b"again") == b"again"
    assert service.statistics.accepted == 2


# The limit


@pytest_twisted.ensureDeferred
async def test_at_the_limit_the_next_client_waits_until_one_goes() -> None:
    """The limit is for all addresses together; whoever waits is served in the end."""
    service = EchoStreamService(["0"], max_connections=2)
    async with (
        running(service),
        await connect(service, 0) as one,
        await connect(service, 1) as two,
        await connect(service, 0) as three,
    ):
        clients = one, two, three
        replies = []
        for client in clients:
            await client.output_stream.write_async(b"hello")
            replies.append(client.input_stream.read_exactly(5))
        await until(lambda: sum(reply.called for reply in replies) == 2)
        served = [client for client, reply in zip(clients, replies, strict=True) if reply.called]
        for _ in range(20):
            for client in served:
                await exchange(client, b"still here")
        assert service.statistics.accepted == service.statistics.open == 2
        served[0].close()
        for reply in replies:
            assert await reply == b"hello"
        assert service.statistics.accepted == 3


@pytest_twisted.ensureDeferred
async def test_many_clients_pass_through_a_small_limit() -> None:
    """Ten come at once where two may be in: all are served, one after the other."""
    service = EchoStreamService(["0"], max_connections=2)
    async with running(service):
        clients = [await connect(service, index % 2) for index in range(10)]
        for client in clients:
            await client.output_stream.write_async(b"x")
            client.output_stream.close()
        for client in clients:
            assert await client.input_stream.read_exactly(1) == b"x"
            assert service.statistics.open <= 2
            client.close()
            await client.wait_closed_async()
        await until(lambda: service.statistics.completed == 10)


# The stop


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_clients_finish() -> None:
    """Nobody is let in any more, and who is in is echoed until it closes."""
    service = EchoStreamService(["0"], clock=Clock())
    async with running(service):
        client = await connect(service)
        assert await exchange(client, b"before") == b"before"
        address = service.endpoints[0]
        stopped = service.stopService()
        await until(lambda: service._drained)
        with pytest.raises(ConnectRefusedError):
            await StreamSocket().connect_async(*address)
        assert await exchange(client, b"after") == b"after"
        assert not stopped.called
        client.output_stream.close()
        assert await client.input_stream.read(1) == b""
        await stopped
        client.close()
        await client.wait_closed_async()
    assert service.statistics.completed == 1
    assert service.statistics.cut_off == 0


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_when_the_drain_time_is_over() -> None:
    """Who is still there is cut off, the one that reads nothing too."""
    clock = Clock()
    service = EchoStreamService(["0"], drain_timeout=10, clock=clock)
    async with running(service), await connect(service) as quiet, await connect(service) as stalled:
        assert await exchange(quiet, b"x") == b"x"
        stalled.output_stream.write_async(bytes(64 * 1024 * 1024)).addErrback(lambda _: None)
        await until(lambda: any(connection._write is not None for connection in service._open))
        stopped = service.stopService()
        clock.advance(9.9)
        assert await exchange(quiet, b"y") == b"y"
        clock.advance(0.2)
        await stopped
        assert await quiet.input_stream.read(1) == b""
    assert service.statistics.cut_off == 2
    assert service.statistics.open == 0
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_no_drain_time_cuts_off_at_once() -> None:
    """Within a turn of the clock."""
    clock = Clock()
    service = EchoStreamService(["0"], drain_timeout=0, clock=clock)
    async with running(service), await connect(service) as client:
        assert await exchange(client, b"x") == b"x"
        stopped = service.stopService()
        clock.advance(0)
        await stopped
    assert service.statistics.cut_off == 1


@pytest_twisted.ensureDeferred
async def test_a_stop_without_clients_needs_no_clock() -> None:
    """It ends when the ports are free."""
    service = EchoStreamService(["0"], clock=Clock())
    service.startService()
    address = service.endpoints[0]
    await service.stopService()
    with socket.create_server(address):
        pass


# The log


@pytest_twisted.ensureDeferred
async def test_the_end_of_a_connection_is_a_line_without_its_data(log: list[Any]) -> None:
    """Who, how much, how long, and how it ended."""
    service = EchoStreamService(["0"], clock=Clock())
    async with running(service):
        async with await connect(service) as client:
            port = client.information.local_port
            await exchange(client, b"a secret\r\n")
        await until(lambda: service.statistics.open == 0)
    assert lines(log) == [f"127.0.0.1 port {port}: 10 bytes echoed in 0.000 s, closed by the client"]
    assert not any("secret" in repr(event) for event in log)


@pytest_twisted.ensureDeferred
async def test_a_reset_is_a_line_with_its_status(log: list[Any]) -> None:
    """No traceback, no error level."""
    from tests.services.clients import reset

    service = EchoStreamService(["0"], clock=Clock())
    async with running(service):
        reset(service.endpoints[0][1], b"abc")
        await until(lambda: service.statistics.broken == 1)
    (line,) = lines(log)
    assert line.endswith(", broken off (CONNECTION_RESET_BY_PEER)")
    assert not any(event["log_level"].name in ("error", "critical") for event in log)


@pytest_twisted.ensureDeferred
async def test_a_storm_of_connections_is_a_bounded_number_of_lines(log: list[Any]) -> None:
    """The others are counted, and the next line says how many they were."""
    clock = Clock()
    service = EchoStreamService(["0"], clock=clock)

    async def come_and_go(times: int) -> None:
        for _ in range(times):
            (await connect(service)).close()
        await until(lambda: service.statistics.accepted > 0 and service.statistics.open == 0)

    async with running(service):
        await come_and_go(LOG_LINES_PER_SECOND + 7)
        await until(lambda: service.statistics.completed == LOG_LINES_PER_SECOND + 7)
        assert len(lines(log)) == LOG_LINES_PER_SECOND
        clock.advance(1)
        await come_and_go(1)
        await until(lambda: service.statistics.completed == LOG_LINES_PER_SECOND + 8)
    assert lines(log)[LOG_LINES_PER_SECOND] == "7 more connections ended without a line of their own"
    assert len(lines(log)) == LOG_LINES_PER_SECOND + 2


@pytest_twisted.ensureDeferred
async def test_a_stop_says_how_many_it_waits_for(log: list[Any]) -> None:
    """So that an operator knows why the process is still there."""
    clock = Clock()
    service = EchoStreamService(["0"], drain_timeout=2.5, clock=clock)
    async with running(service), await connect(service) as client:
        await exchange(client, b"x")
        stopped = service.stopService()
        await until(lambda: lines(log))
        clock.advance(2.5)
        await stopped
    assert lines(log)[0] == "Stopping: open connections (1) have 2.5 s to finish"
