"""Faults in real TCP connections, at exact byte counts."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, closing

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from winsockets import (
    ConnectRefusedError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
    StreamSocket,
    StreamSocketListener,
)
from winsockets.testing import FaultProxy, Faults

DATA = bytes(range(256)) * 40


def has_ipv6():
    """Whether this system can listen on ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


each_family = pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")),
    ],
)


async def read_to_the_end(client):
    """Everything that arrives, and the error that it ends with."""
    arrived = bytearray()
    try:
        async for data in client.input_stream:
            arrived += data
    except ResetByPeerError as problem:
        return bytes(arrived), problem
    return bytes(arrived), None


@asynccontextmanager
async def connected(host="127.0.0.1", **faults):
    """A client and the server's socket, connected through a proxy."""
    listener = StreamSocketListener()
    arrived = Deferred()
    listener.connection_received += lambda sender, args: arrived.callback(args.socket)
    await listener.bind_endpoint_async(host, "0")
    async with (
        listener,
        FaultProxy(host, listener.information.local_port, **faults) as proxy,
        StreamSocket() as client,
    ):
        await client.connect_async(proxy.host, proxy.port)
        async with await arrived as server:
            yield client, server


@each_family
@pytest_twisted.ensureDeferred
async def test_without_faults_everything_goes_through(host):
    """Both ways, with both ends."""
    async with connected(host) as (client, server):
        await client.output_stream.write_async(DATA)
        client.output_stream.close()
        assert await read_to_the_end(server) == (DATA, None)
        await server.output_stream.write_async(DATA[::-1])
        server.output_stream.close()
        assert await read_to_the_end(client) == (DATA[::-1], None)


@pytest_twisted.ensureDeferred
async def test_much_goes_through_in_small_steps():
    """A bound on what is forwarded at a time loses nothing."""
    async with connected(to_server=Faults(most_at_once=7)) as (client, server):
        await client.output_stream.write_async(DATA)
        client.output_stream.close()
        assert await read_to_the_end(server) == (DATA, None)


@each_family
@pytest.mark.parametrize("place", [0, 1, 1000, len(DATA)])
@pytest_twisted.ensureDeferred
async def test_a_reset_at_a_byte_is_a_real_one(host, place):
    """The receiver reads exactly the bytes before it; the system says ECONNRESET, to both."""
    async with connected(host, to_client=Faults(reset_at=place)) as (client, server):
        waiting = ensureDeferred(read_to_the_end(server))
        server.output_stream.write_async(DATA).addErrback(lambda _: None)
        arrived, problem = await read_to_the_end(client)
        assert arrived == DATA[:place]
        assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
        assert isinstance(problem.__cause__, ConnectionResetError)
        assert isinstance((await waiting)[1], ResetByPeerError)


@pytest_twisted.ensureDeferred
async def test_a_reset_waits_for_a_receiver_that_does_not_read():
    """The bytes before it arrive, though they are more than the two systems hold."""
    place = 16 * 1024 * 1024
    async with connected(to_client=Faults(reset_at=place)) as (client, server):

        async def send():
            for _ in range(place // 65_536):
                await server.output_stream.write_async(bytes(65_536))

        sending = ensureDeferred(send())
        from twisted.internet import reactor

        for _ in range(50):  # turns in which the buffers fill
            await deferLater(reactor, 0)
        assert not sending.called
        arrived, problem = await read_to_the_end(client)
        assert len(arrived) == place
        assert isinstance(problem, ResetByPeerError)
        await sending


@pytest.mark.parametrize("place", [0, 1, 1000])
@pytest_twisted.ensureDeferred
async def test_an_end_at_a_byte_leaves_the_other_direction(place):
    """The receiver sees the end, and its answer still arrives."""
    async with connected(to_server=Faults(end_at=place)) as (client, server):
        await client.output_stream.write_async(DATA)
        assert await read_to_the_end(server) == (DATA[:place], None)
        await server.output_stream.write_async(b"answer")
        assert await client.input_stream.read_exactly(6) == b"answer"


@pytest_twisted.ensureDeferred
async def test_behind_a_stall_nothing_arrives():
    """Neither bytes nor the end; the other direction goes on."""
    async with connected(to_server=Faults(stall_at=3)) as (client, server):
        await client.output_stream.write_async(DATA)
        client.output_stream.close()
        assert await server.input_stream.read_exactly(3) == DATA[:3]
        reading = server.input_stream.read()
        await server.output_stream.write_async(b"answer")
        assert await client.input_stream.read_exactly(6) == b"answer"
        assert not reading.called


@pytest_twisted.ensureDeferred
async def test_behind_a_stall_a_writer_waits():
    """The proxy does not take without end."""
    async with connected(to_server=Faults(stall_at=0)) as (client, server):
        written = 0
        while (writing := client.output_stream.write_async(bytes(65_536))).called:
            written += 65_536
            assert written < 64 * 1024 * 1024
            await writing
            await server.output_stream.write_async(b".")
            await client.input_stream.read_exactly(1)
        writing.cancel()
        with pytest.raises(OperationAbortedError):
            await writing


@pytest_twisted.ensureDeferred
async def test_a_delay_keeps_the_order():
    """Bytes, then the end."""
    async with connected(to_client=Faults(delay=0.01)) as (client, server):
        for place in range(0, len(DATA), 2048):
            await server.output_stream.write_async(DATA[place : place + 2048])
        server.output_stream.close()
        assert await read_to_the_end(client) == (DATA, None)


@pytest_twisted.ensureDeferred
async def test_a_reset_by_an_end_reaches_the_other():
    """The proxy hides nothing."""
    async with connected() as (client, server):
        await client.output_stream.write_async(b"never read")
        assert await server.input_stream.read(1) == b"n"
        server.close()
        assert (await read_to_the_end(client))[1] is not None


@pytest_twisted.ensureDeferred
async def test_a_server_that_refuses_resets_the_client():
    """The connection to the proxy was made; it cannot be refused any more."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        async with FaultProxy("127.0.0.1", bound.getsockname()[1]) as proxy, StreamSocket() as client:
            await client.connect_async(proxy.host, proxy.port)
            with pytest.raises(ResetByPeerError):
                await client.input_stream.read()


@pytest_twisted.ensureDeferred
async def test_closing_the_proxy_resets_what_it_forwards():
    """And frees its port."""
    listener = StreamSocketListener()
    arrived = Deferred()
    listener.connection_received += lambda sender, args: arrived.callback(args.socket)
    await listener.bind_endpoint_async("127.0.0.1", "0")
    async with listener, StreamSocket() as client, StreamSocket() as other:
        proxy = FaultProxy("127.0.0.1", listener.information.local_port)
        await client.connect_async(proxy.host, proxy.port)
        async with await arrived as server:
            await client.output_stream.write_async(b"x")
            assert await server.input_stream.read() == b"x"
            proxy.close()
            proxy.close()
            await proxy.wait_closed_async()
            assert isinstance((await read_to_the_end(client))[1], ResetByPeerError)
            assert isinstance((await read_to_the_end(server))[1], ResetByPeerError)
        with pytest.raises(ConnectRefusedError):
            await other.connect_async(proxy.host, proxy.port)


@pytest_twisted.ensureDeferred
async def test_closing_the_proxy_ends_a_connect_that_is_under_way():
    """A server that does not answer holds nothing."""
    from twisted.internet import reactor

    with closing(socket.socket()) as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with closing(socket.create_connection(full.getsockname())):
            async with FaultProxy("127.0.0.1", full.getsockname()[1]) as proxy, StreamSocket() as client:
                await client.connect_async(proxy.host, proxy.port)
                await deferLater(reactor, 0)
                proxy.close()
                await proxy.wait_closed_async()
                with pytest.raises(ResetByPeerError):
                    await client.input_stream.read()
