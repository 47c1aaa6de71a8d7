"""A whole SMTP dialogue with a mail server of others: in plain, STARTTLS, and a message under TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from threading import Event

import pytest
import pytest_twisted
from aiosmtpd.smtp import SMTP
from twisted.internet.threads import deferToThread

from tests.sockets.tls import HOST, authority, client, client_identity, failure_of, server_identity
from tests.transports.loopback import PATIENCE, listening
from winsockets.errors import SocketErrorStatus
from winsockets.sockets import SocketProtectionLevel, SocketSslErrorSeverity, StreamSocket
from winsockets.streams import DataWriter
from winsockets.testing import certificate_pem

Level = SocketProtectionLevel
MESSAGE = [
    "From: sender@client.example",
    "Subject: sealed",
    "",
    "a line",
    ".a line with a dot in front",
    ".",
    "the last line",
]


class Mailbox:
    """What aiosmtpd gives messages to: each with what TLS knows of who sent it."""

    def __init__(self):
        self.delivered = []

    async def handle_DATA(self, server, session, envelope):
        """Keep a message."""
        self.delivered.append((envelope, session.ssl["peercert"], session.ssl["cipher"][1]))
        return "250 delivered"


@asynccontextmanager
async def mail_server(tmp_path, certificate=None):
    """A server of aiosmtpd's in a thread, which takes mail under TLS alone: its port, and its mailbox."""
    path = tmp_path / "server.pem"
    path.write_bytes(certificate_pem(certificate or server_identity()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authority().certificate.get_certificate_blob())
    mailbox, over, open_ones = Mailbox(), Event(), []

    class Server(SMTP):
        def connection_made(self, transport):
            super().connection_made(transport)
            open_ones.append(transport)

    def build():
        return Server(
            mailbox, hostname="mail.example", ident="test", tls_context=context, require_starttls=True
        )

    async def serve(listener):
        server = await asyncio.get_running_loop().create_server(build, sock=listener)
        await asyncio.to_thread(over.wait, PATIENCE)
        server.close()
        for transport in open_ones:
            transport.abort()

    with listening(HOST) as (listener, port):
        listener.setblocking(False)
        going = deferToThread(asyncio.run, serve(listener))
        try:
            yield port, mailbox
        finally:
            over.set()
            await going


async def answer(socket):
    """One reply of the server, of one line or several, and nothing behind it (RFC 5321 section 4.2)."""
    reply = b""
    while not reply.endswith(b"\r\n") or reply.splitlines()[-1][3:4] != b" ":
        reply += await socket.input_stream.read_exactly(1)
    return reply.decode()


async def said(socket, *lines):
    """What the server answers to a command."""
    writer = DataWriter(socket.output_stream)
    writer.write_string("".join(f"{line}\r\n" for line in lines))
    await writer.store_async()
    writer.detach_stream()
    return await answer(socket)


async def up_to_consent(socket, port):
    """The dialogue in plain: what the server can, that it takes no mail so, and that TLS may begin."""
    await socket.connect_async("localhost", port)
    assert (await answer(socket)).startswith("220 mail.example")
    assert "STARTTLS\r\n" in await said(socket, "EHLO client.example")
    assert (await said(socket, "MAIL FROM:<sender@client.example>")).startswith("530 ")
    assert (await said(socket, "STARTTLS")).startswith("220 ")


@pytest.mark.parametrize("level", [Level.TLS12, Level.TLS13])
@pytest_twisted.ensureDeferred
async def test_a_message_is_delivered_after_starttls(level, tmp_path):
    """From the greeting to the goodbye, with our certificate; the server forgets what was said in plain."""
    async with mail_server(tmp_path) as (port, mailbox), client() as socket:
        await up_to_consent(socket, port)
        socket.control.client_certificate = client_identity()
        await socket.upgrade_to_ssl_async(level, "localhost")
        assert socket.information.protection_level is level
        assert socket.information.server_certificate == server_identity()
        assert "STARTTLS" not in await said(socket, "EHLO client.example")
        assert (await said(socket, "MAIL FROM:<sender@client.example>")).startswith("250 ")
        assert (await said(socket, "RCPT TO:<receiver@mail.example>")).startswith("250 ")
        assert (await said(socket, "DATA")).startswith("354 ")
        stuffed = [f".{line}" if line.startswith(".") else line for line in MESSAGE]
        assert await said(socket, *stuffed, ".") == "250 delivered\r\n"
        assert (await said(socket, "QUIT")).startswith("221 ")
        # It says close_notify: nothing was cut off.
        assert await socket.input_stream.read() == b""
    [(envelope, shown, version)] = mailbox.delivered
    assert envelope.mail_from == "sender@client.example"
    assert envelope.rcpt_tos == ["receiver@mail.example"]
    assert envelope.content.decode().split("\r\n")[:-1] == MESSAGE
    assert shown["subjectAltName"] == (("email", "somebody@example.test"),)
    assert version == {Level.TLS12: "TLSv1.2", Level.TLS13: "TLSv1.3"}[level]


@pytest_twisted.ensureDeferred
async def test_no_message_goes_to_a_server_that_is_somebody_else(tmp_path):
    """The upgrade fails with the certificate's status, and nothing can be said any more."""
    async with mail_server(tmp_path, server_identity("mail.other.example")) as (port, mailbox):
        socket = client()
        await up_to_consent(socket, port)
        problem = await failure_of(socket.upgrade_to_ssl_async(Level.TLS13, "localhost"))
        assert problem.status is SocketErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT
        assert socket.information.server_certificate_error_severity is SocketSslErrorSeverity.IGNORABLE
        await failure_of(socket.output_stream.write_async(b"EHLO client.example\r\n"))
        socket.close()
        # Somebody who was told to accept it goes on, with a new connection.
        async with client() as socket:
            await up_to_consent(socket, port)
            socket.control.ignorable_server_certificate_errors.append(7)
            await socket.upgrade_to_ssl_async(Level.TLS13, "localhost")
            assert (await said(socket, "NOOP")).startswith("250 ")
    assert mailbox.delivered == []


@pytest_twisted.ensureDeferred
async def test_a_server_without_starttls_says_so_and_the_dialogue_goes_on(tmp_path):
    """What is sent in plain stays plain: TLS begins when the program says so, and at no other time."""
    async with mail_server(tmp_path) as (port, _), StreamSocket() as socket:
        await socket.connect_async("localhost", port)
        await answer(socket)
        assert (await said(socket, "STARTTLS now")).startswith("501 ")
        assert (await said(socket, "NOOP")).startswith("250 ")
        assert socket.information.protection_level is Level.PLAIN_SOCKET
