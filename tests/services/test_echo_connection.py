"""One client of the TCP echo server: what it gets back, and how it ends."""

from __future__ import annotations

import os

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from tests.services.clients import connect, exchange, reset, running, until
from winsockets.errors import OperationAbortedError, SocketException
from winsockets.services import EchoStreamService
from winsockets.services._echo_connection import Outcome
from winsockets.sockets import StreamSocket

MEBI = 1024 * 1024


@pytest_twisted.ensureDeferred
async def test_every_byte_comes_back() -> None:
    """In one piece or in many, text or not."""
    service = EchoStreamService(["0"])
    async with running(service), await connect(service) as client:
        for data in (b"hello\n", b"\0", bytes(range(256)), os.urandom(100_000)):
            assert await exchange(client, data) == data


@pytest_twisted.ensureDeferred
async def test_a_client_that_half_closes_gets_everything_and_then_the_end() -> None:
    """Also what it has not yet read when it closes its direction."""
    data = os.urandom(3 * MEBI)
    service = EchoStreamService(["0"])
    async with running(service), await connect(service) as client:
        writing = client.output_stream.write_async(data)
        client.output_stream.close()
        back = b"".join([chunk async for chunk in client.input_stream])
        await writing
        assert back == data
        await until(lambda: service.statistics.open == 0)
    assert service.statistics.completed == 1
    assert service.statistics.echoed == len(data)


@pytest_twisted.ensureDeferred
async def test_a_client_that_resets_is_counted() -> None:
    """It is no error of the server's; nothing is logged as one."""
    service = EchoStreamService(["0"])
    async with running(service):
        (_, port), _ = service.endpoints
        reset(port, b"abc")
        await until(lambda: service.statistics.broken == 1)
    assert service.statistics.open == 0


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """What it sends beyond the buffers of the system stays with it."""
    service = EchoStreamService(["0"], drain_timeout=0)
    async with running(service), await connect(service) as client:
        progress = [0]
        writing = client.output_stream.write_async(bytes(64 * MEBI))
        writing.progress = lambda _, sent: progress.append(sent)
        await until(lambda: any(connection._write is not None for connection in service._open))
        before = -1
        while progress[-1] != before:
            before = progress[-1]
            async with await connect(service) as other:
                for _ in range(100):
                    await exchange(other, b"meanwhile others are served")
        assert progress[-1] < 32 * MEBI
        assert not writing.called
        writing.cancel()
        with pytest.raises(OperationAbortedError):
            await writing


# Silence


@pytest_twisted.ensureDeferred
async def test_a_silent_connection_is_closed_after_the_idle_time() -> None:
    """In good order, and not before."""
    clock = Clock()
    service = EchoStreamService(["0"], idle_timeout=60, clock=clock)
    async with running(service), await connect(service) as client:
        assert await exchange(client, b"x") == b"x"
        clock.advance(59.9)
        assert await exchange(client, b"y") == b"y"
        clock.advance(59.9)
        assert service.statistics.open == 1
        clock.advance(0.2)
        assert await client.input_stream.read(1) == b""
        await until(lambda: service.statistics.open == 0)
    assert service.statistics.idle == 1
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_client_that_never_says_anything_is_closed_too() -> None:
    """The silence counts from the accept."""
    clock = Clock()
    service = EchoStreamService(["0"], idle_timeout=60, clock=clock)
    async with running(service), await connect(service) as client:
        await until(lambda: service.statistics.open == 1)
        clock.advance(60)
        assert await client.input_stream.read(1) == b""
    assert service.statistics.idle == 1


@pytest_twisted.ensureDeferred
async def test_without_an_idle_time_nothing_is_closed() -> None:
    """However long it is silent."""
    clock = Clock()
    service = EchoStreamService(["0"], idle_timeout=None, clock=clock)
    async with running(service), await connect(service) as client:
        assert await exchange(client, b"x") == b"x"
        assert clock.getDelayedCalls() == []
        clock.advance(1e9)
        assert await exchange(client, b"y") == b"y"


async def stall(service: EchoStreamService, client: StreamSocket) -> None:
    """Send without reading until the server's write waits."""
    writing = client.output_stream.write_async(bytes(64 * MEBI))
    writing.addErrback(lambda _: None)
    await until(lambda: any(connection._write is not None for connection in service._open))


@pytest_twisted.ensureDeferred
async def test_a_client_that_takes_nothing_any_more_is_cut_off_after_the_idle_time() -> None:
    """A stalled write is silence too: it would hold descriptor and memory for ever."""
    clock = Clock()
    service = EchoStreamService(["0"], idle_timeout=60, clock=clock)
    async with running(service), await connect(service) as client:
        await stall(service, client)
        clock.advance(60)
        await until(lambda: service.statistics.open == 0)
        assert service.statistics.idle == 1
        try:
            async for _ in client.input_stream:
                pass
        except SocketException:
            pass


@pytest_twisted.ensureDeferred
async def test_a_client_that_takes_slowly_is_not_silent() -> None:
    """Bytes that it takes count as well as bytes that it sends."""
    clock = Clock()
    service = EchoStreamService(["0"], idle_timeout=60, clock=clock)
    async with running(service), await connect(service) as client:
        await stall(service, client)
        clock.advance(59)
        (connection,) = service._open
        before = connection._active
        taken = 0
        while connection._active == before:
            taken += len(await client.input_stream.read())
        clock.advance(59)
        assert service.statistics.open == 1
        assert taken > 0
        connection.end(Outcome.CUT_OFF)
        await until(lambda: service.statistics.open == 0)
