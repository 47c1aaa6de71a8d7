"""upgrade_to_ssl_async: TLS on a connection that began in plain."""

from __future__ import annotations

import socket as system
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    client_identity,
    failure_of,
    server_identity,
    serving,
    trusting,
)
from tests.transports.loopback import PATIENCE, Timed, delivered, limits, listening, received, turn, until
from winsockets.errors import (
    BusyError,
    ConnectionTimedOutError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.networking import HostName
from winsockets.sockets import SocketProtectionLevel, SocketSslErrorSeverity, StreamSocket
from winsockets.streams import DataReader, DataWriter
from winsockets.testing import certificate_pem
from winsockets.transports import StreamClientEndpoint

Level = SocketProtectionLevel
GREETING = b"220 mail.example ready\r\n"


@asynccontextmanager
async def plain(**settings):
    """A socket that is connected in plain, and a system's socket at the other end."""
    reactor = settings.pop("reactor", None)
    with listening() as (server, port):
        socket = StreamSocket(reactor=reactor)
        for name, value in {**trusting(), **settings}.items():
            setattr(socket.control, name, value)
        await socket.connect_async(HOST, port)
        peer, _ = server.accept()
        peer.settimeout(PATIENCE)
        with peer:
            async with socket:
                yield socket, peer
                peer.close()


@asynccontextmanager
async def mail_server(certificate=None, answer=b"220 go ahead\r\n", rest=b""):
    """A small mail server in a thread: a greeting, STARTTLS, and then an echo until the end."""
    with TemporaryDirectory() as folder, listening() as (server, port):
        path = Path(folder, "server.pem")
        path.write_bytes(certificate_pem(certificate or server_identity()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=authority().certificate.get_certificate_blob())

        def serve():
            plain, _ = server.accept()
            with plain:
                plain.settimeout(PATIENCE)
                try:
                    plain.sendall(GREETING)
                    lines = plain.makefile("rb", buffering=0)
                    assert lines.readline() == b"EHLO client.example\r\n"
                    plain.sendall(b"250 STARTTLS\r\n")
                    assert lines.readline() == b"STARTTLS\r\n"
                    plain.sendall(answer + rest)
                    if rest:
                        return plain.recv(65536)
                    with context.wrap_socket(plain, server_side=True) as peer:
                        shown = peer.getpeercert(binary_form=True)
                        while data := peer.recv(65536):
                            peer.sendall(data)
                        return shown
                except OSError as problem:
                    return problem
                finally:
                    lines.close()

        going = deferToThread(serve)
        try:
            yield port, going
        finally:
            await going


async def up_to_starttls(socket, port):
    """Talk to the mail server in plain, up to its consent."""
    await socket.connect_async(HOST, port)
    assert await socket.input_stream.read_exactly(len(GREETING)) == GREETING
    await socket.output_stream.write_async(b"EHLO client.example\r\n")
    assert await socket.input_stream.read_exactly(14) == b"250 STARTTLS\r\n"
    await socket.output_stream.write_async(b"STARTTLS\r\n")
    assert await socket.input_stream.read_exactly(14) == b"220 go ahead\r\n"


@pytest.mark.parametrize("level", [Level.TLS12, Level.TLS13, BEST])
@pytest_twisted.ensureDeferred
async def test_a_conversation_in_plain_goes_on_under_tls(level):
    """STARTTLS: the same streams, and the certificate that was set in between."""
    async with mail_server() as (port, served):
        async with client() as socket:
            await up_to_starttls(socket, port)
            streams = socket.input_stream, socket.output_stream
            socket.control.client_certificate = client_identity()
            assert await socket.upgrade_to_ssl_async(level, HostName("localhost")) is None
            assert (socket.input_stream, socket.output_stream) == streams
            information = socket.information
            assert information.protection_level is (Level.TLS12 if level is Level.TLS12 else Level.TLS13)
            assert information.server_certificate == server_identity()
            assert information.server_certificate_error_severity is SocketSslErrorSeverity.NONE
            assert information.remote_host_name == HostName(HOST)
            assert information.remote_port == str(port)
            await socket.output_stream.write_async(b"EHLO again\r\n")
            assert await socket.input_stream.read_exactly(12) == b"EHLO again\r\n"
        assert await served == client_identity().get_certificate_blob()


@pytest_twisted.ensureDeferred
async def test_the_guides_story_of_an_upgrade():
    """A length and a text in plain through a writer, which is detached, then TLS."""
    async with plain() as (socket, peer):
        writer = DataWriter(socket.output_stream)
        writer.write_uint32(5)
        writer.write_string("Hello")
        await writer.store_async()
        writer.detach_stream()
        writer.close()
        reader = DataReader(socket.input_stream)
        peer.sendall(b"ok")
        assert await reader.load_async(2) == 2
        reader.detach_stream()
        upgrading = socket.upgrade_to_ssl_async(Level.TLS12, "localhost")
        first = await deferToThread(peer.recv, 10)
        assert first == b"\x00\x00\x00\x05Hello\x16"
        upgrading.addErrback(lambda _: None)
        assert reader.read_string(2) == "ok"


@pytest_twisted.ensureDeferred
async def test_writes_of_a_batch_that_is_held_back_leave_before_tls():
    """They were written in plain, and nobody has to await them first."""
    async with plain() as (socket, peer):
        writes = [socket.output_stream.write_async(piece) for piece in (b"one ", b"two ", b"three ")]
        upgrading = socket.upgrade_to_ssl_async(BEST, "localhost")
        upgrading.addErrback(lambda _: None)
        assert [await write for write in writes] == [4, 4, 6]
        said = await received(peer, 15)
        assert said == b"one two three \x16"


# What refuses an upgrade and leaves the connection


@pytest_twisted.ensureDeferred
async def test_bytes_that_came_before_tls_refuse_it():
    """Whoever is in between may have put them there, to be taken for what TLS protects."""
    async with plain() as (socket, peer):
        peer.sendall(b"220 go ahead\r\n250 injected\r\n")
        await delivered(peer)
        assert await socket.input_stream.read_exactly(14) == b"220 go ahead\r\n"
        with pytest.raises(InvalidArgumentError, match="14 bytes that came before TLS are unread"):
            socket.upgrade_to_ssl_async(BEST, "localhost")
        socket.control.client_certificate = client_identity()
        assert await socket.input_stream.read_exactly(14) == b"250 injected\r\n"
        await socket.output_stream.write_async(b"QUIT\r\n")
        assert await deferToThread(peer.recv, 10) == b"QUIT\r\n"


@pytest_twisted.ensureDeferred
async def test_bytes_that_come_with_the_consent_never_get_through():
    """They are there by now, or they come first when TLS is waited for, and are no TLS then."""
    async with mail_server(rest=b"250 injected\r\n") as (port, _), client() as socket:
        await up_to_starttls(socket, port)
        with pytest.raises(SocketException) as caught:
            await socket.upgrade_to_ssl_async(BEST, "localhost")
        assert caught.value.status is SocketErrorStatus.UNKNOWN


@pytest_twisted.ensureDeferred
async def test_a_pending_read_or_write_refuses_it():
    """BusyError; the connection stays."""
    async with plain(limits=limits(write_queue=64 << 20)) as (socket, peer):
        reading = socket.input_stream.read()
        with pytest.raises(BusyError, match="a read is pending"):
            socket.upgrade_to_ssl_async(BEST, "localhost")
        peer.sendall(b"x")
        assert await reading == b"x"
        writing = socket.output_stream.write_async(bytes(32 << 20))
        with pytest.raises(BusyError, match="a write is pending"):
            socket.upgrade_to_ssl_async(BEST, "localhost")
        writing.addErrback(lambda _: None)
        socket.control.min_protection_level = Level.TLS13


@pytest_twisted.ensureDeferred
async def test_what_makes_no_sense_is_refused_at_the_call():
    """And leaves the connection as it was."""
    async with plain() as (socket, peer):
        for level, host, error, message in (
            (Level.PLAIN_SOCKET, "localhost", InvalidArgumentError, "PLAIN_SOCKET is no upgrade"),
            (Level.SSL, "localhost", InvalidArgumentError, "SSL is not offered"),
            (Level.TLS11, "localhost", InvalidArgumentError, "TLS11 is below"),
            (None, "localhost", InvalidArgumentError, "None is not a SocketProtectionLevel"),
            (Level.TLS12, None, InvalidArgumentError, "validation_host_name is None"),
            (Level.TLS12, "no host", InvalidArgumentError, "no host"),
        ):
            with pytest.raises(error, match=message):
                socket.upgrade_to_ssl_async(level, host)
        await socket.output_stream.write_async(b"still plain")
        assert await deferToThread(peer.recv, 20) == b"still plain"


@pytest_twisted.ensureDeferred
async def test_it_takes_a_plain_connection_that_was_made_here():
    """With both of its directions."""
    with pytest.raises(IllegalMethodCallError, match="not connected"):
        StreamSocket().upgrade_to_ssl_async(BEST, "localhost")
    closed = StreamSocket()
    closed.close()
    with pytest.raises(ObjectClosedError):
        closed.upgrade_to_ssl_async(BEST, "localhost")
    for stream in ("input_stream", "output_stream"):
        async with plain() as (socket, _):
            getattr(socket, stream).close()
            with pytest.raises(IllegalMethodCallError, match="a stream of the socket was closed"):
                socket.upgrade_to_ssl_async(BEST, "localhost")
    async with plain() as (socket, peer):
        peer.shutdown(system.SHUT_WR)
        assert await socket.input_stream.read() == b""
        with pytest.raises(IllegalMethodCallError, match="one of its directions has ended"):
            socket.upgrade_to_ssl_async(BEST, "localhost")
    async with serving() as listener, client() as socket:
        connecting = socket.connect_async(HOST, listener.information.local_port, BEST)
        with pytest.raises(IllegalMethodCallError, match="not connected"):
            socket.upgrade_to_ssl_async(BEST, "localhost")
        await connecting
        with pytest.raises(IllegalMethodCallError, match="has TLS already"):
            socket.upgrade_to_ssl_async(BEST, "localhost")


# What breaks the connection off


@pytest_twisted.ensureDeferred
async def test_after_an_upgrade_that_failed_the_connection_is_gone():
    """The status is the certificate's; what was found stays readable, and the socket is not as new."""
    async with mail_server(server_identity("other.example")) as (port, _), client() as socket:
        await up_to_starttls(socket, port)
        problem = await failure_of(socket.upgrade_to_ssl_async(BEST, "localhost"))
        assert problem.status is SocketErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT
        information = socket.information
        assert information.server_certificate == server_identity("other.example")
        assert information.server_certificate_error_severity is SocketSslErrorSeverity.IGNORABLE
        assert information.protection_level is Level.PLAIN_SOCKET
        await socket.wait_closed_async()
        with pytest.raises(SocketException):
            await socket.input_stream.read()
        with pytest.raises(IllegalMethodCallError, match="make a new one"):
            socket.connect_async(HOST, port)
        with pytest.raises(IllegalMethodCallError, match="after the TLS handshake began"):
            socket.control.client_certificate = None


@pytest_twisted.ensureDeferred
async def test_what_was_accepted_before_may_be_wrong_with_the_certificate():
    """The list counts for an upgrade too."""
    async with mail_server(server_identity("other.example")) as (port, _), client() as socket:
        await up_to_starttls(socket, port)
        socket.control.ignorable_server_certificate_errors.append(7)
        await socket.upgrade_to_ssl_async(BEST, "localhost")
        assert socket.information.server_certificate_errors == (7,)


@pytest_twisted.ensureDeferred
async def test_a_silent_peer_is_given_up_at_the_deadline():
    """After ``limits.handshake_timeout``."""
    timed = Timed()
    async with plain(reactor=timed, limits=limits(handshake_timeout=3.0)) as (socket, _):
        upgrading = socket.upgrade_to_ssl_async(BEST, "localhost")
        await turn(3)
        timed.advance(2.9)
        assert upgrading.status is AsyncStatus.STARTED
        timed.advance(0.2)
        assert isinstance(await failure_of(upgrading), ConnectionTimedOutError)
        await socket.wait_closed_async()
    assert not timed.getDelayedCalls()


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest_twisted.ensureDeferred
async def test_cancelled_or_closed_it_leaves_no_connection(how):
    """Nobody could say what the peer has understood; a read that waits behind it ends too."""
    async with plain() as (socket, peer):
        upgrading = socket.upgrade_to_ssl_async(BEST, "localhost")
        with pytest.raises(IllegalMethodCallError):
            socket.upgrade_to_ssl_async(BEST, "localhost")
        reading = socket.input_stream.read()
        await deferToThread(peer.recv, 65536)
        if how == "cancel":
            upgrading.cancel()
            await failure_of(upgrading)
            assert upgrading.status is AsyncStatus.CANCELED
        else:
            socket.close()
            assert isinstance(await failure_of(upgrading), OperationAbortedError)
        assert isinstance(await failure_of(reading), OperationAbortedError)
        await socket.wait_closed_async()
        with pytest.raises(ConnectionResetError):
            await deferToThread(peer.recv, 1)


@pytest_twisted.ensureDeferred
async def test_a_write_behind_an_upgrade_waits_for_it():
    """It leaves under TLS, and in no other way."""
    async with serving() as listener:
        async with client() as socket:
            # The listener's side is TLS from the beginning.
            await socket.connect_async(HOST, listener.information.local_port)
            upgrading = socket.upgrade_to_ssl_async(BEST, "localhost")
            writing = socket.output_stream.write_async(b"secret")
            assert not writing.called
            await upgrading
            await writing
            assert await socket.input_stream.read_exactly(6) == b"secret"
        await until(lambda: not listener._handshakes._under_way)
        assert listener.information.failed_handshakes == 0


@pytest.mark.parametrize("data", [b"", b"secret"])
@pytest_twisted.ensureDeferred
async def test_an_end_behind_an_upgrade_waits_for_it_too(data):
    """After what was written before it."""
    async with serving() as listener, client() as socket:
        await socket.connect_async(HOST, listener.information.local_port)
        upgrading = socket.upgrade_to_ssl_async(BEST, "localhost")
        writing = socket.output_stream.write_async(data)
        socket.output_stream.close()
        await upgrading
        assert await writing == len(data)
        assert b"".join([chunk async for chunk in socket.input_stream]) == data


@pytest_twisted.ensureDeferred
async def test_a_socket_from_an_endpoint_can_be_upgraded():
    """Its control is open for what counts in the handshake."""
    from twisted.internet import reactor

    async with serving() as listener:
        endpoint = StreamClientEndpoint(reactor, HOST, int(listener.information.local_port))
        async with await StreamSocket.from_endpoint(endpoint) as socket:
            socket.control.trusted_server_certificates.append(authority().certificate)
            await socket.upgrade_to_ssl_async(BEST, "localhost")
            await socket.output_stream.write_async(b"hello")
            assert await socket.input_stream.read_exactly(5) == b"hello"
            assert socket.information.protection_level is Level.TLS13
            assert socket.information.remote_port == listener.information.local_port
