"""Streams over TLS: the rules of all streams, ends, cuts, and what is left behind."""

from __future__ import annotations

import gc
import ssl
import weakref
from contextlib import asynccontextmanager

import pytest
import pytest_twisted

from tests.sockets.tls import (
    BEST,
    HOST,
    client,
    client_identity,
    failure_of,
    peer_server,
    server_identity,
    serving,
)
from tests.transports.loopback import PATIENCE, limits, pattern, turn, until
from winsockets.errors import OperationAbortedError, ResetByPeerError, SocketException
from winsockets.sockets import SocketProtectionLevel, StreamSocketListener
from winsockets.streams import DataReader, DataWriter, StreamReader, StreamWriter
from winsockets.testing import FaultProxy, Faults, check_stream_pair
from winsockets.transports import TlsServerContext, upgrade_to_tls

LEVELS = [SocketProtectionLevel.TLS12, SocketProtectionLevel.TLS13]
# Little enough that writes wait soon when nobody reads.
SMALL = limits(read_high_water=4096, read_size=4096)


@asynccontextmanager
async def pair(level=BEST, **settings):
    """A connected socket, and the accepted one at the other end."""
    accepted = []
    async with (
        serving(lambda sender, args: accepted.append(args.socket), **settings) as listener,
        client(**settings) as socket,
    ):
        await socket.connect_async(HOST, listener.information.local_port, level)
        await until(lambda: accepted)
        async with accepted.pop() as server:
            yield socket, server
            # Both, so that neither waits for the other.
            socket.close()


def small(level):
    """Connected from the beginning, with little room."""
    return pair(level, limits=SMALL)


@asynccontextmanager
async def upgraded(level):
    """The same, of a connection that began in plain."""
    accepted = []
    async with StreamSocketListener() as listener, client(limits=SMALL) as socket:
        listener.control.limits = SMALL
        listener.connection_received += lambda sender, args: accepted.append(args.socket)
        await listener.bind_endpoint_async(HOST, "")
        await socket.connect_async(HOST, listener.information.local_port)
        await until(lambda: accepted)
        async with accepted.pop() as server:
            upgrading = socket.upgrade_to_ssl_async(level, "localhost")
            context = TlsServerContext(server_identity())
            layer = upgrade_to_tls(server._link.protocol, context, server=True)
            await layer.when_secured()
            await upgrading
            yield socket, server
            socket.close()


@asynccontextmanager
async def behind_a_proxy(level):
    """The same, through somebody who forwards little at a time."""
    accepted = []
    async with serving(lambda sender, args: accepted.append(args.socket), limits=SMALL) as listener:
        bad = Faults(most_at_once=999)
        port = int(listener.information.local_port)
        async with (
            FaultProxy(HOST, port, to_server=bad, to_client=bad) as proxy,
            client(limits=SMALL) as socket,
        ):
            await socket.connect_async(HOST, proxy.port, level)
            await until(lambda: accepted)
            async with accepted.pop() as server:
                yield socket, server
                socket.close()


@pytest.mark.parametrize("flipped", [False, True], ids=["to the server", "to the client"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("how", [small, upgraded, behind_a_proxy], ids=lambda how: how.__name__)
@pytest_twisted.ensureDeferred
async def test_streams_over_tls_keep_to_all_the_rules_of_streams(how, level, flipped):
    """Of input, of output, and of both together."""

    @asynccontextmanager
    async def make():
        async with how(level) as (first, second):
            if flipped:
                yield second.output_stream, first.input_stream
            else:
                yield first.output_stream, second.input_stream

    await check_stream_pair(make, timeout=PATIENCE)


@pytest.mark.parametrize("level", LEVELS)
@pytest_twisted.ensureDeferred
async def test_each_direction_ends_by_itself(level):
    """A half close is close_notify; the other direction goes on."""
    async with pair(level) as (first, second):
        for output, reader in ((first, second), (second, first)):
            await output.output_stream.write_async(b"all of it")
            output.output_stream.close()
            assert await reader.input_stream.read_exactly(9) == b"all of it"
            assert await reader.input_stream.read() == b""
            assert await reader.input_stream.read() == b""


@pytest_twisted.ensureDeferred
async def test_what_was_written_before_a_close_arrives():
    """All of it, and then the end."""
    data = pattern(300_000)
    async with pair() as (first, second):
        writing = first.output_stream.write_async(data)
        first.close()
        assert await second.input_stream.read_exactly(len(data)) == data
        assert await writing == len(data)
        assert await second.input_stream.read() == b""


@pytest_twisted.ensureDeferred
async def test_a_close_ends_a_pending_read():
    """With OperationAbortedError; the peer sees the end."""
    async with pair() as (first, second):
        reading = first.input_stream.read()
        first.close()
        assert isinstance(await failure_of(reading), OperationAbortedError)
        assert await second.input_stream.read() == b""


@pytest_twisted.ensureDeferred
async def test_a_cancelled_read_loses_no_byte_and_keeps_the_connection():
    """As on a plain connection."""
    async with pair() as (first, second):
        reading = first.input_stream.read()
        reading.cancel()
        await failure_of(reading)
        await second.output_stream.write_async(b"late")
        assert await first.input_stream.read_exactly(4) == b"late"


@pytest_twisted.ensureDeferred
async def test_readers_and_writers_work_over_tls():
    """Numbers and lines, and many writes at once."""
    async with pair() as (first, second):
        writer, reader = DataWriter(first.output_stream), DataReader(second.input_stream)
        writer.write_uint32(5)
        writer.write_string("Hello")
        await writer.store_async()
        assert await reader.load_async(9) == 9
        assert (reader.read_uint32(), reader.read_string(5)) == (5, "Hello")
        lines = StreamWriter(second.output_stream.as_stream_for_write())
        for number in range(100):
            await lines.write_line_async(f"line {number}")
        await lines.flush_async()
        back = StreamReader(first.input_stream.as_stream_for_read())
        assert [await back.read_line_async() for _ in range(100)] == [f"line {n}" for n in range(100)]
        await first.output_stream.write_many_async([b"a" * 1000] * 300)
        assert await second.input_stream.read_exactly(300_000) == b"a" * 300_000


def goodbye(peer):
    """Say close_notify, and wait for the answer."""
    peer.sendall(b"the end")
    return peer.unwrap()


def vanish(peer):
    """End the connection without close_notify."""
    peer.sendall(b"the e")


@pytest_twisted.ensureDeferred
async def test_a_stream_that_is_cut_is_not_one_that_has_ended():
    """CONNECTION_RESET_BY_PEER, every time, after what came before the cut."""
    async with peer_server(server_identity(), vanish) as (port, _), client() as socket:
        await socket.connect_async(HOST, port, BEST)
        assert await socket.input_stream.read_exactly(5) == b"the e"
        for _ in range(2):
            problem = await failure_of(socket.input_stream.read())
            assert isinstance(problem, ResetByPeerError)
            assert "truncated" in str(problem)


@pytest.mark.parametrize("talk", [vanish, goodbye])
@pytest_twisted.ensureDeferred
async def test_who_does_not_require_close_notify_takes_a_cut_for_the_end(talk):
    """For peers that never say it."""
    async with (
        peer_server(server_identity(), talk) as (port, _),
        client(require_close_notify=False) as socket,
    ):
        await socket.connect_async(HOST, port, BEST)
        arrived = b"".join([chunk async for chunk in socket.input_stream])
        assert b"the end".startswith(arrived)
        assert len(arrived) >= 5
        assert await socket.input_stream.read() == b""


@pytest.mark.parametrize("required", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_listener_may_be_content_with_a_cut_too(required):
    """Its control counts for the sockets that it accepts."""
    outcomes = []

    async def handler(sender, args):
        async with args.socket as socket:
            assert socket.control.require_close_notify is required
            try:
                outcomes.append([chunk async for chunk in socket.input_stream])
            except SocketException as problem:
                outcomes.append(type(problem))

    async with serving(handler, require_close_notify=required) as listener, client() as socket:
        await socket.connect_async(HOST, listener.information.local_port, BEST)
        # Without a word, and with nothing unread: not a reset.
        socket._link.protocol.transport._sink.loseConnection()
        await until(lambda: outcomes)
    assert outcomes == [ResetByPeerError if required else []]


@pytest_twisted.ensureDeferred
async def test_a_close_is_said():
    """Python's TLS tells an end from a cut."""

    def talk(peer):
        peer.suppress_ragged_eofs = False
        return peer.recv(100), peer.recv(100)

    async with peer_server(server_identity(), talk) as (port, served):
        async with client() as socket:
            await socket.connect_async(HOST, port, BEST)
            await socket.output_stream.write_async(b"hello")
        assert await served == [(b"hello", b"")]


@pytest_twisted.ensureDeferred
async def test_a_refused_certificate_of_a_client_is_what_the_first_read_fails_with():
    """TLS 1.3 of Python's, which refuses after the client is done."""

    def prepare(context):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED

    settings = {"client_certificate": client_identity()}
    async with (
        peer_server(server_identity(), prepare=prepare) as (port, served),
        client(**settings) as socket,
    ):
        await socket.connect_async(HOST, port, BEST)
        problem = await failure_of(socket.input_stream.read())
        assert "unknown_ca" in str(problem)
        assert "it has to trust the root of this side's certificate" in str(problem)
        (outcome,) = await served
        assert isinstance(outcome, ssl.SSLCertVerificationError)
    assert socket.information.protection_level is SocketProtectionLevel.TLS13


@pytest.mark.parametrize("good", [True, False])
@pytest_twisted.ensureDeferred
async def test_an_ended_connection_goes_without_the_garbage_collector(good):
    """Each holds some ten KiB of OpenSSL's; so does a handshake that failed."""
    layers = []

    async def handler(sender, args):
        async with args.socket as socket:
            layers.append(weakref.ref(socket._link.protocol.transport))
            await socket.output_stream.write_async(b"hello")

    gc.collect()
    gc.disable()
    try:
        settings = {} if good else {"server_certificates": [server_identity("other.example")]}
        async with serving(handler, **settings) as listener:
            socket = client()
            connecting = socket.connect_async(HOST, listener.information.local_port, BEST)
            for _ in range(1000):
                if listener._handshakes._under_way:
                    break
                await turn()
            layers += map(weakref.ref, listener._handshakes._under_way)
            if good:
                await connecting
                layers.append(weakref.ref(socket._link.protocol.transport))
                assert await socket.input_stream.read() == b"hello"
                socket.close()
                await socket.wait_closed_async()
            else:
                await failure_of(connecting)
            del socket, connecting
            await until(lambda: layers and all(one() is None for one in layers))
    finally:
        gc.enable()
