"""Whatever is called back during a handshake, when it fails nobody gets in: once for each of them."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.sockets.tls import BEST, authority, client, client_identity, server_identity, serving
from tests.transports.loopback import turn, until
from winsockets.errors import SocketException
from winsockets.transports import (
    ClientCertificatePolicy,
    PeerVerification,
    TlsClientCreator,
    TlsServerContext,
    _tls_layer,
)
from winsockets.transports._tls_connection import VerifiedConnection

ON_THE_SERVER = {
    "choosing the certificate for a name": (TlsServerContext, "_choose_certificate"),
    "choosing the application protocol": (TlsServerContext, "_choose_protocol"),
    "making the connection": (TlsServerContext, "serverConnectionForTLS"),
    "judging the certificate": (PeerVerification, "judge"),
    "asking for the outcome": (VerifiedConnection, "verified"),
    "telling the outcome": (_tls_layer, "inform"),
}
ON_THE_CLIENT = {
    "making the connection": (TlsClientCreator, "clientConnectionForTLS"),
    "judging the certificate": (PeerVerification, "judge"),
    "asking for the outcome": (VerifiedConnection, "verified"),
    "telling the outcome": (_tls_layer, "inform"),
}
DEMANDING = {
    "server_certificates": [server_identity(), server_identity("other.example")],
    "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
    "trusted_client_certificates": [authority().certificate],
    "application_protocols": ["a"],
}
OFFERING = {"client_certificate": client_identity(), "application_protocols": ["a"]}


def is_the_servers(first):
    """Whose call it is, by what it is called with first."""
    if isinstance(first, PeerVerification):
        return first._host is None
    return getattr(first, "server", isinstance(first, TlsServerContext))


def failing(monkeypatch, owner, name, *, server):
    """Let a function fail for one of the two, and count how often it did."""
    times = []
    real = getattr(owner, name)

    def fail(*arguments):
        if is_the_servers(arguments[0]) is server:
            times.append(name)
            raise LookupError("a mistake")
        return real(*arguments)

    monkeypatch.setattr(owner, name, fail)
    return times


async def welcomed(socket, listener):
    """Connect and read: by TLS 1.3 the client is done before the server has seen its certificate."""
    await socket.connect_async("localhost", listener.information.local_port, BEST)
    return await socket.input_stream.read()


@pytest.mark.parametrize("where", ON_THE_SERVER)
@pytest_twisted.ensureDeferred
async def test_an_exception_in_a_callback_of_the_server_refuses_the_client(where, monkeypatch):
    """It is counted, the program does not hear of it, and the client gets nothing."""
    times = failing(monkeypatch, *ON_THE_SERVER[where], server=True)
    heard = []
    async with serving(lambda _, args: heard.append(args.socket), **DEMANDING) as listener:
        async with client(**OFFERING) as socket:
            with pytest.raises(SocketException):
                await welcomed(socket, listener)
        await until(lambda: listener.information.failed_handshakes == 1)
        await turn(3)
        assert not listener._handshakes._under_way
    assert times
    assert heard == []


@pytest.mark.parametrize("where", ON_THE_CLIENT)
@pytest_twisted.ensureDeferred
async def test_an_exception_in_a_callback_of_the_client_refuses_the_server(where, monkeypatch):
    """Connecting fails, and there is nothing to write to."""
    times = failing(monkeypatch, *ON_THE_CLIENT[where], server=False)
    async with serving(**DEMANDING) as listener:
        socket = client(**OFFERING)
        with pytest.raises(SocketException):
            await socket.connect_async("localhost", listener.information.local_port, BEST)
        with pytest.raises(SocketException, match="not connected"):
            socket.output_stream.write_async(b"secret")
        socket.close()
    assert times


@pytest_twisted.ensureDeferred
async def test_without_a_failure_everybody_gets_in():
    """The tests above would prove nothing otherwise."""
    async with serving(**DEMANDING) as listener, client(**OFFERING) as socket:
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        await socket.output_stream.write_async(b"in")
        assert await socket.input_stream.read_exactly(2) == b"in"
        assert socket.information.application_protocol == "a"
