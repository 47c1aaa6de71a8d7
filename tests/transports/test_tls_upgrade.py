"""TLS in the midst of a connection, and TLS over real ones: kits, Python's TLS, and OpenSSL's programs."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from tests.transports.tls import (
    HOST,
    Pair,
    authority,
    certificate,
    client_context,
    issued,
    outcome,
    root,
    server_context,
)
from winsockets.errors import (
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets import StreamSocket
from winsockets.testing import check_stream_pair, connect_protocols
from winsockets.transports import (
    ClientCertificatePolicy,
    StreamClientEndpoint,
    StreamFactory,
    StreamProtocol,
    StreamServerEndpoint,
    TlsFactory,
    TlsLayer,
    upgrade_to_tls,
)

PATIENCE = 20.0
MIB = 1024 * 1024


# In the midst


class Plain:
    """Two stream protocols that are connected in memory without TLS."""

    def __init__(self, **faults: Any) -> None:
        self.clock = Clock()
        self.client = StreamProtocol(self.clock, DEFAULT_LIMITS)
        self.server = StreamProtocol(self.clock, DEFAULT_LIMITS)
        self.transports = connect_protocols(self.client, self.server, self.clock, **faults)

    def turn(self) -> None:
        """Let everything arrive."""
        for _ in range(8):
            self.clock.advance(0)

    def end(self) -> None:
        """Close both, and expect nothing to be left."""
        self.client.close()
        self.server.close()
        self.turn()
        self.clock.advance(60)
        self.turn()
        assert not self.clock.getDelayedCalls()


def test_a_connection_goes_on_under_tls_as_the_same_object() -> None:
    """What was said before it stays; what is said after it is encrypted."""
    plain = Plain()
    plain.client.write(b"STARTTLS\r\n")
    plain.turn()
    assert outcome(plain.server.read(100)) == b"STARTTLS\r\n"
    plain.server.write(b"220 go ahead\r\n")
    plain.turn()
    assert outcome(plain.client.read(100)) == b"220 go ahead\r\n"
    server = upgrade_to_tls(plain.server, server_context(), server=True)
    client = upgrade_to_tls(plain.client, client_context().for_host(HOST))
    secured = [client.when_secured(), server.when_secured()]
    assert plain.client.peer == client.peer
    reading = plain.server.read(100)
    writing = plain.client.write(b"a secret")
    plain.turn()
    assert [outcome(one).version for one in secured] == ["TLSv1.3", "TLSv1.3"]
    assert outcome(reading) == b"a secret"
    assert outcome(writing) == 8
    plain.end()


def test_what_came_before_tls_is_not_taken_for_what_tls_protects() -> None:
    """The command of an attacker in between; the connection stays as it was."""
    plain = Plain()
    plain.server.write(b"220 go ahead\r\nAND DO THIS\r\n")
    plain.turn()
    assert outcome(plain.client.read(14)) == b"220 go ahead\r\n"
    with pytest.raises(InvalidArgumentError, match="13 bytes that came before TLS are unread"):
        upgrade_to_tls(plain.client, client_context().for_host(HOST))
    assert outcome(plain.client.read(100)) == b"AND DO THIS\r\n"
    plain.end()


def test_what_is_known_to_be_the_beginning_of_tls_is_taken_for_it() -> None:
    """A server that reads as much as there is may have the client's first message with it."""
    plain = Plain()
    client = upgrade_to_tls(plain.client, client_context().for_host(HOST))
    plain.turn()
    unread = len(plain.server._unread)
    assert unread > 100
    with pytest.raises(InvalidArgumentError):
        upgrade_to_tls(plain.server, server_context(), server=True, received=unread - 1)
    server = upgrade_to_tls(plain.server, server_context(), server=True, received=unread)
    plain.turn()
    assert client.information is not None
    assert server.information is not None
    plain.end()


def test_nothing_may_be_pending() -> None:
    """Nor may it be too late, or done already."""
    creator = client_context().for_host(HOST)
    plain = Plain(capacity=10)
    reading = plain.client.read(10)
    with pytest.raises(BusyError, match="read is pending"):
        upgrade_to_tls(plain.client, creator)
    reading.cancel()
    outcome(reading)
    writing = plain.client.write(bytes(100))
    with pytest.raises(BusyError, match="write is pending"):
        upgrade_to_tls(plain.client, creator)
    outcome_of_reads = [plain.server.read(100)]
    plain.turn()
    assert writing.called
    outcome_of_reads[0].addErrback(lambda _: None)
    plain.client.shut_output()
    with pytest.raises(IllegalMethodCallError, match="ended"):
        upgrade_to_tls(plain.client, creator)
    with pytest.raises(IllegalMethodCallError, match="not connected"):
        upgrade_to_tls(StreamProtocol(plain.clock, DEFAULT_LIMITS), creator)
    plain.end()
    with pytest.raises(IllegalMethodCallError, match="not connected"):
        upgrade_to_tls(plain.client, creator)
    pair = Pair().open()
    with pytest.raises(IllegalMethodCallError, match="already"):
        upgrade_to_tls(pair.client.protocol, creator)
    pair.end()


def test_after_a_failed_upgrade_the_connection_is_gone() -> None:
    """Bytes of TLS have been exchanged; whoever waits hears why."""
    plain = Plain()
    client = upgrade_to_tls(plain.client, client_context().for_host("other.example"))
    upgrade_to_tls(plain.server, server_context(), server=True)
    secured, reading = client.when_secured(), plain.client.read(10)
    plain.turn()
    problem = outcome(secured)
    assert problem.status is SocketErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT
    assert outcome(reading) is problem
    assert plain.client.lost
    plain.end()


def test_closing_during_the_handshake_of_an_upgrade_breaks_it_off() -> None:
    """Nothing is said in plaintext any more, and nothing else can be said yet."""
    plain = Plain()
    client = upgrade_to_tls(plain.client, client_context().for_host(HOST))
    secured = client.when_secured()
    plain.client.close()
    plain.turn()
    assert isinstance(outcome(secured), SocketException)
    assert plain.client.lost
    plain.end()


def test_a_transport_that_cannot_be_taken_over_is_left_alone() -> None:
    """The upgrade is refused; the connection stays."""

    class Keeper:
        def write(self, data: bytes) -> None:
            """Take it."""

        def loseConnection(self) -> None:
            """Nothing."""

    protocol = StreamProtocol(Clock(), DEFAULT_LIMITS)
    protocol.makeConnection(Keeper())
    with pytest.raises(IllegalMethodCallError, match="Keeper keeps its protocol"):
        upgrade_to_tls(protocol, client_context().for_host(HOST))
    assert isinstance(protocol.transport, Keeper)


# Over TCP


@asynccontextmanager
async def listening(
    context: Any = None, *, foreign: bool = False, **options: Any
) -> AsyncIterator[tuple[int, Callable[[], Deferred[StreamProtocol]]]]:
    """A TLS server; its port, and what waits for its next connection."""
    from twisted.internet import reactor

    arrived: list[StreamProtocol] = []
    waiting: list[Deferred[StreamProtocol]] = []

    def announce(protocol: StreamProtocol) -> None:
        if waiting:
            waiting.pop(0).callback(protocol)
        else:
            arrived.append(protocol)

    def take() -> Deferred[StreamProtocol]:
        taken: Deferred[StreamProtocol] = Deferred()
        if arrived:
            taken.callback(arrived.pop(0))
        else:
            waiting.append(taken)
        return taken

    factory = TlsFactory(
        context or server_context(),
        StreamFactory(reactor, DEFAULT_LIMITS, announce),
        server=True,
        reactor=reactor,
        **options,
    )
    endpoint: Any
    if foreign:
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    else:
        endpoint = StreamServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await endpoint.listen(factory)
    try:
        yield port.getHost().port, take
    finally:
        for protocol in arrived:
            protocol.close()
        await port.stopListening()


async def connect(port: int, creator: Any = None, *, foreign: bool = False) -> TlsLayer:
    """Connect to a port of this machine, and shake hands."""
    from twisted.internet import reactor

    factory = TlsFactory(
        creator or client_context().for_host(HOST),
        StreamFactory(reactor),
        server=False,
        reactor=reactor,
    )
    endpoint: Any
    if foreign:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    else:
        endpoint = StreamClientEndpoint(reactor, "127.0.0.1", port)
    layer: TlsLayer = await endpoint.connect(factory)
    await layer.when_secured()
    return layer


def pairs(flipped: bool, foreign: bool) -> Any:
    """For the kits: an output stream and the input stream at its other end, over TLS."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Any]:
        async with listening(foreign=foreign) as (port, accepted):
            layer = await connect(port, foreign=foreign)
            client = StreamSocket.from_protocol(layer.protocol)
            server = StreamSocket.from_protocol(await accepted())
            sender, receiver = (server, client) if flipped else (client, server)
            try:
                yield sender.output_stream, receiver.input_stream
            finally:
                client.close()
                server.close()
                await client.wait_closed_async()
                await server.wait_closed_async()

    return make


@pytest.mark.parametrize("foreign", [False, True], ids=["our transports", "Twisted's transports"])
@pytest.mark.parametrize("flipped", [False, True], ids=["to the server", "to the client"])
@pytest_twisted.ensureDeferred
async def test_streams_over_tls_keep_to_all_the_rules_of_streams(flipped: bool, foreign: bool) -> None:
    """The kit that plain streams go through."""
    await check_stream_pair(pairs(flipped, foreign), timeout=PATIENCE)


@pytest.mark.parametrize("foreign", [False, True], ids=["our transports", "Twisted's transports"])
@pytest_twisted.ensureDeferred
async def test_much_goes_both_ways_at_once_over_tcp(foreign: bool) -> None:
    """Every byte; and both ends go when both have closed."""
    async with listening(foreign=foreign) as (port, accepted):
        layer = await connect(port, foreign=foreign)
        client, server = layer.protocol, await accepted()
        data = bytes(range(256)) * 16 * 1024
        writes = [client.write(data), server.write(data)]
        arrived = [bytearray(), bytearray()]
        while any(len(piece) < len(data) for piece in arrived):
            for protocol, pieces in zip((client, server), arrived, strict=True):
                if len(pieces) < len(data):
                    pieces.extend(await protocol.read(200_000))
        assert [await write for write in writes] == [len(data)] * 2
        assert arrived == [data, data]
        client.close()
        server.close()
        await client.when_lost()
        await server.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_reset_of_tcp_is_what_it_is() -> None:
    """The system's error is kept."""
    async with listening() as (port, accepted):
        layer = await connect(port)
        server = await accepted()
        reading = server.read(10)
        layer.protocol.abort(SocketException("enough"))
        with pytest.raises(ResetByPeerError):
            await reading
        await server.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_failed_handshake_of_a_client_is_logged_and_nobody_is_announced() -> None:
    """And the listener goes on."""
    problems: list[SocketException] = []
    async with listening(on_failed=lambda _, problem: problems.append(problem)) as (port, accepted):
        with pytest.raises(SocketException) as info:
            await connect(port, client_context().for_host("other.example"))
        assert info.value.status is SocketErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT
        layer = await connect(port)
        server = await accepted()
        layer.protocol.close()
        server.close()
        await layer.protocol.when_lost()
        await server.when_lost()
    assert len(problems) == 1


@pytest_twisted.ensureDeferred
async def test_a_connection_may_be_upgraded_over_any_transport() -> None:
    """Ours at one end, and Twisted's own at the other."""
    from twisted.internet import reactor

    arrived: Deferred[StreamProtocol] = Deferred()
    factory = StreamFactory(reactor, DEFAULT_LIMITS, arrived.callback)
    port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    endpoint = StreamClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    client: StreamProtocol = await endpoint.connect(StreamFactory(reactor))
    server = await arrived
    secure_server = upgrade_to_tls(server, server_context(), server=True)
    secure_client = upgrade_to_tls(client, client_context().for_host(HOST))
    await secure_client.when_secured()
    await secure_server.when_secured()
    reading = server.read(100)
    await client.write(b"a secret")
    assert await reading == b"a secret"
    client.close()
    server.close()
    await client.when_lost()
    await server.when_lost()
    await port.stopListening()


class Silent(Protocol):
    """Says nothing."""


@pytest_twisted.ensureDeferred
async def test_a_cancelled_handshake_leaves_nothing() -> None:
    """Neither a descriptor nor a delayed call: the fixture looks."""
    from twisted.internet import reactor

    port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        Factory.forProtocol(Silent)
    )
    factory = TlsFactory(
        client_context().for_host(HOST), StreamFactory(reactor), server=False, reactor=reactor
    )
    endpoint = StreamClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    layer: TlsLayer = await endpoint.connect(factory)
    secured = layer.when_secured()
    secured.cancel()
    with pytest.raises(SocketException):
        await secured
    await port.stopListening()


# Against others


def python_client(port: int, prepare: Callable[[ssl.SSLContext], object]) -> bytes:
    """Send two MiB to an echo, read them back, and end in good order; in a thread."""
    context = ssl.create_default_context()
    context.check_hostname = False
    authority().configure_trust(context)
    prepare(context)
    piece = bytes(range(256)) * 1024
    arrived = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        for _ in range(8):
            secure.sendall(piece)
            end = len(arrived) + len(piece)
            while len(arrived) < end:
                arrived += secure.recv(65536)
        secure.unwrap()
    return arrived


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred
async def test_pythons_tls_is_served(version: ssl.TLSVersion) -> None:
    """Bulk, and an end that both sides say."""

    def prepare(context: ssl.SSLContext) -> None:
        context.maximum_version = version

    async with listening() as (port, accepted):
        going = deferToThread(python_client, port, prepare)
        server = await accepted()
        while data := await server.read(65536):
            await server.write(data)
        server.close()
        assert await going == bytes(range(256)) * 1024 * 8
        await server.when_lost()


def write_certificates(folder: Path) -> dict[str, str]:
    """Files for OpenSSL's programs."""
    server, client = issued(), issued("client.example")
    files = {
        "cert": server.cert_chain_pems[0].bytes(),
        "key": server.private_key_pem.bytes(),
        "client": client.private_key_and_cert_chain_pem.bytes(),
        "root": authority().cert_pem.bytes(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in files}


VERSION_FLAGS = ["-tls1_2", "-tls1_3"]


@pytest.mark.parametrize("flag", VERSION_FLAGS)
@pytest_twisted.ensureDeferred
async def test_openssls_client_is_served(
    flag: str, tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    """It verifies us, shows its certificate, and gets its bytes back."""
    program, files = require_program("openssl"), write_certificates(tmp_path)
    context = server_context(
        client_certificates=ClientCertificatePolicy.REQUIRE, exclusive_trust_roots=(root(),)
    )
    async with listening(context) as (port, accepted):
        command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-quiet", flag]
        command += ["-verify_return_error", "-verify_hostname", HOST, "-CAfile", files["root"]]
        command += ["-cert", files["client"], "-key", files["client"]]
        running = deferToThread(
            subprocess.run, command, input=b"hello\n", capture_output=True, timeout=PATIENCE, check=False
        )
        server = await accepted()
        assert await server.read(100) == b"hello\n"
        await server.write(b"hello to you\n")
        server.close()
        result = await running
        assert result.stdout == b"hello to you\n", result.stderr
        await server.when_lost()


@pytest_twisted.ensureDeferred
async def test_keys_may_be_renewed_at_any_time(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    """RFC 8446 section 4.6.3: both directions go on with new keys."""
    program, files = require_program("openssl"), write_certificates(tmp_path)
    async with listening() as (port, accepted):
        command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-tls1_3"]
        command += ["-CAfile", files["root"]]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as client:
            assert client.stdin is not None
            assert client.stderr is not None
            stderr = client.stderr
            try:
                server = await accepted()

                def say(words: bytes, answer: bytes = b"") -> None:
                    assert client.stdin is not None
                    client.stdin.write(words)
                    client.stdin.flush()
                    while answer and answer not in (line := stderr.readline()):
                        assert line, "it ended"

                for number in range(3):
                    await deferToThread(say, b"words %d\n" % number)
                    assert await server.read(100) == b"words %d\n" % number
                    # It takes a command only as the first thing of what it reads at once.
                    await deferToThread(say, b"kK"[number % 2 : number % 2 + 1] + b"\n", b"KEYUPDATE")
                    await server.write(b"an answer\n")
                server.close()
            finally:
                client.kill()
                await server.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_peer_may_want_smaller_records(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    """RFC 6066 section 4: max_fragment_length."""
    program, files = require_program("openssl"), write_certificates(tmp_path)
    async with listening() as (port, accepted):
        command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-quiet"]
        command += ["-maxfraglen", "512", "-tls1_2", "-CAfile", files["root"]]
        running = deferToThread(
            subprocess.run, command, input=b"", capture_output=True, timeout=PATIENCE, check=False
        )
        server = await accepted()
        data = bytes(range(256)) * 1000
        await server.write(data)
        server.close()
        result = await running
        assert result.stdout == data, result.stderr
        await server.when_lost()


async def until_it_listens(port: int) -> None:
    """Wait until somebody accepts."""
    from twisted.internet import reactor

    for _ in range(1000):
        with suppress(OSError):
            await deferToThread(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            return
        await deferLater(reactor, 0.02)
    pytest.fail("nobody listens")


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("flag", VERSION_FLAGS)
@pytest_twisted.ensureDeferred
async def test_openssls_server_is_connected_to(
    flag: str, tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    """With our certificate, which it demands; its words come back reversed."""
    program, files, port = require_program("openssl"), write_certificates(tmp_path), free_port()
    command = [program, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files["cert"], "-key"]
    command += [files["key"], "-CAfile", files["root"], "-Verify", "2", "-verify_return_error", "-rev", flag]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            await until_it_listens(port)
            own = certificate(issued("client.example"))
            context = client_context(certificate=own)
            for resumed in (False, True):
                layer = await connect(port, context.for_host(HOST, port))
                assert layer.information is not None
                assert layer.information.resumed is resumed
                reading = layer.protocol.read(100)
                await layer.protocol.write(b"hello\n")
                assert await reading == b"olleh\n"
                layer.protocol.close()
                await layer.protocol.when_lost()
        finally:
            server.kill()
