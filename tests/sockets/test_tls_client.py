"""Connecting with TLS: levels, trust, sessions, and every way a handshake does not come about."""

from __future__ import annotations

import socket as system
import ssl

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.threads import deferToThread

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    client_identity,
    dropping,
    echo,
    failure_of,
    peer_server,
    server_identity,
    serving,
    trusting,
)
from tests.transports.loopback import HOSTS, PATIENCE, Timed, limits, listening, open_descriptors, turn, until
from winsockets.errors import (
    ConnectionTimedOutError,
    HResult,
    IllegalMethodCallError,
    InvalidArgumentError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
)
from winsockets.foundation import AsyncStatus
from winsockets.networking import EndpointPair, HostName
from winsockets.sockets import SocketProtectionLevel, StreamSocket, StreamSocketListener, _tls_client
from winsockets.transports import (
    StreamClientEndpoint,
    StreamFactory,
    TlsClientContext,
    TlsFactory,
    TlsLayer,
)

Level = SocketProtectionLevel
TLS = [Level.TLS10, Level.TLS11, Level.TLS12, Level.TLS13]


async def echoed(socket, data=b"hello"):
    """Show that a connection carries data both ways."""
    await socket.output_stream.write_async(data)
    return await socket.input_stream.read_exactly(len(data)) == data


def resumed(socket):
    """Whether a connection went on with the session of an earlier one."""
    return socket._link.protocol.transport.information.resumed


# Levels


@pytest.mark.parametrize("servers", [Level.TLS12, Level.TLS13, Level.TLS10])
@pytest.mark.parametrize("level", [*TLS, BEST])
@pytest_twisted.ensureDeferred
async def test_a_level_is_a_ceiling_and_the_best_below_it_is_taken(level, servers):
    """On both sides; the information has what was negotiated."""
    seen = []

    async def handler(sender, args):
        seen.append(args.socket.information.protection_level)
        await echo(sender, args)

    floor = {"min_protection_level": Level.TLS10}
    async with serving(handler, servers, **floor) as listener, client(**floor) as socket:
        assert socket.information.protection_level is Level.PLAIN_SOCKET
        await socket.connect_async("localhost", listener.information.local_port, level)
        best = min(servers, Level.TLS13 if level is BEST else level, key=TLS.index)
        assert socket.information.protection_level is best
        assert await echoed(socket)
        assert seen == [best]
    assert socket.information.protection_level is best


@pytest.mark.parametrize("floor", TLS)
@pytest.mark.parametrize("servers", TLS)
@pytest_twisted.ensureDeferred
async def test_a_server_below_the_floor_is_as_good_as_none(servers, floor):
    """The connect fails on both sides, and the message says what to do."""
    async with serving(echo, servers, min_protection_level=Level.TLS10) as listener:
        socket = client(min_protection_level=floor)
        connecting = socket.connect_async("localhost", listener.information.local_port, BEST)
        if servers >= floor:
            await connecting
            assert socket.information.protection_level is servers
            socket.close()
            await socket.wait_closed_async()
        else:
            problem = await failure_of(connecting)
            assert problem.status is SocketErrorStatus.UNKNOWN
            assert problem.hresult == HResult(0x80090331)  # SEC_E_ALGORITHM_MISMATCH
            assert "version of TLS in common" in str(problem)
            await until(lambda: listener.information.failed_handshakes == 1)


@pytest.mark.parametrize("level", [Level.TLS10, Level.TLS11])
def test_old_versions_have_to_be_asked_for_twice(level):
    """The usual floor is TLS 1.2."""
    with pytest.raises(InvalidArgumentError, match=r"below control\.min_protection_level, TLS12"):
        StreamSocket().connect_async("localhost", "443", level)


def test_a_refused_level_leaves_the_socket_as_it_was():
    """Its control too."""
    socket = StreamSocket()
    socket.control.min_protection_level = Level.TLS13
    with pytest.raises(InvalidArgumentError, match="TLS12 is below"):
        socket.connect_async("localhost", "443", Level.TLS12)
    with pytest.raises(InvalidArgumentError, match="SSL is not offered"):
        socket.connect_async("localhost", "443", Level.SSL)
    socket.control.keep_alive = True


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "connect",
    [
        lambda it, host, port: it.connect_async(host, port, Level.TLS13),
        lambda it, host, port: it.connect_async(HostName(host), int(port), 10),
        lambda it, host, port: it.connect_with_endpoint_pair_and_protection_level_async(
            EndpointPair(None, "", host, port), Level.TLS13
        ),
        lambda it, host, port: it.connect_with_endpoint_pair_and_protection_level_async(
            EndpointPair(host, "", host, port), Level.UNSPECIFIED
        ),
    ],
    ids=["level", "number", "pair", "pair with local host"],
)
@pytest_twisted.ensureDeferred
async def test_every_overload_with_a_level_connects(connect, host):
    """The remote host is whom the certificate has to be for."""
    async with serving(host=host) as listener, client() as socket:
        assert await connect(socket, host, listener.information.local_port) is None
        information = socket.information
        assert information.protection_level is Level.TLS13
        assert information.remote_host_name == HostName(host)
        assert information.remote_port == listener.information.local_port
        assert information.server_certificate == server_identity()
        assert information.client_certificate is None
        assert await echoed(socket)
    assert information.server_certificate == server_identity()


@pytest_twisted.ensureDeferred
async def test_a_plain_connection_has_nothing_of_tls():
    """Neither in its information nor under it."""
    async with StreamSocketListener() as listener:
        accepted = []
        listener.connection_received += lambda sender, args: accepted.append(args.socket)
        await listener.bind_endpoint_async(HOST, "")
        async with StreamSocket() as socket:
            await socket.connect_async(HOST, listener.information.local_port)
            await until(lambda: accepted)
            async with accepted.pop() as server:
                assert set(vars(server)) == {"_reactor", "_link", "_control"}
                for side in (socket, server):
                    assert not isinstance(side._link.protocol.transport, TlsLayer)
                    information = side.information
                    assert information.protection_level is Level.PLAIN_SOCKET
                    assert information.application_protocol == ""
                    assert information.server_certificate is information.client_certificate is None
                    assert information.server_intermediate_certificates == ()
                    assert information.server_certificate_errors == ()


@pytest_twisted.ensureDeferred
async def test_a_socket_made_of_a_protocol_shows_its_tls():
    """Of a connection that was made with the transports alone."""
    from twisted.internet import reactor

    context = TlsClientContext(exclusive_trust_roots=[authority().certificate])
    async with serving() as listener:
        port = int(listener.information.local_port)
        factory = TlsFactory(context.for_host(HOST), StreamFactory(reactor), server=False, reactor=reactor)
        layer = await StreamClientEndpoint(reactor, HOST, port).connect(factory)
        await layer.when_secured()
        async with StreamSocket.from_protocol(layer.protocol) as socket:
            assert await echoed(socket)
            assert socket.information.protection_level is Level.TLS13
            assert socket.information.server_certificate == server_identity()
            assert socket.information.client_certificate is None


# What does not come about


@pytest_twisted.ensureDeferred
async def test_a_peer_that_speaks_something_else_is_told_apart():
    """A plain echo sends back what it got; the same socket may connect in plain then."""
    async with StreamSocketListener() as listener:
        listener.connection_received += echo
        await listener.bind_endpoint_async(HOST, "")
        async with client() as socket:
            problem = await failure_of(socket.connect_async(HOST, listener.information.local_port, BEST))
            assert problem.status is SocketErrorStatus.UNKNOWN
            await socket.connect_async(HOST, listener.information.local_port)
            assert await echoed(socket)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_greets_in_plain_is_told_apart():
    """By its first bytes; the message says what to do."""
    with listening() as (server, port):
        socket = client()
        connecting = socket.connect_async(HOST, port, BEST)
        peer, _ = await deferToThread(server.accept)
        with peer:
            peer.sendall(b"220 mail.example ready\r\n")
            problem = await failure_of(connecting)
    assert problem.hresult == HResult(0x80090308)  # SEC_E_INVALID_TOKEN
    assert "does not speak TLS" in str(problem)


@pytest_twisted.ensureDeferred
async def test_a_handshake_that_cannot_even_begin_says_why(monkeypatch):
    """As where OpenSSL has none of the versions that are wanted."""

    def fail(connection):
        raise SSL.Error([("SSL routines", "", "no protocols available")])

    async with serving() as listener:
        place = ("localhost", listener.information.local_port, BEST)
        async with client() as socket:
            with monkeypatch.context() as patch:
                patch.setattr(SSL.Connection, "do_handshake", fail)
                problem = await failure_of(socket.connect_async(*place))
            assert problem.hresult == HResult(0x80090331)  # SEC_E_ALGORITHM_MISMATCH
            assert "no version of TLS in common (no protocols available)" in str(problem)
            await socket.connect_async(*place)
            assert await echoed(socket)


@pytest_twisted.ensureDeferred
async def test_more_protocols_than_a_handshake_has_room_for_are_refused():
    """At the call, and not by OpenSSL."""
    socket = client(application_protocols=["x" * 255] * 129)
    with pytest.raises(InvalidArgumentError, match="offer fewer"):
        socket.connect_async("localhost", 1, BEST)
    socket.control.application_protocols.pop()
    async with serving() as listener, socket:
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        assert await echoed(socket)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_closes_during_the_handshake_is_a_reset():
    """CONNECTION_RESET_BY_PEER, as a closed connection is."""
    with listening() as (server, port):
        connecting = client().connect_async(HOST, port, BEST)
        peer, _ = await deferToThread(server.accept)
        peer.settimeout(PATIENCE)
        await deferToThread(peer.recv, 65536)
        peer.close()
        assert isinstance(await failure_of(connecting), ResetByPeerError)


@pytest_twisted.ensureDeferred
async def test_a_silent_server_is_given_up_at_the_deadline():
    """After ``limits.handshake_timeout``; the socket can be tried again."""
    timed = Timed()
    socket = StreamSocket(reactor=timed)
    socket.control.limits = limits(handshake_timeout=7.0)
    with listening() as (server, port):
        connecting = socket.connect_async(HOST, port, BEST)
        peer, _ = await deferToThread(server.accept)
        peer.settimeout(PATIENCE)
        with peer:
            await deferToThread(peer.recv, 65536)
            timed.advance(6.9)
            assert connecting.status is AsyncStatus.STARTED
            timed.advance(0.2)
            problem = await failure_of(connecting)
            assert isinstance(problem, ConnectionTimedOutError)
            assert "within 7 s" in str(problem)
            with pytest.raises(ConnectionResetError):
                await deferToThread(peer.recv, 1)
    assert not timed.getDelayedCalls()
    socket.control.keep_alive = True


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest_twisted.ensureDeferred
async def test_cancelled_or_closed_in_mid_handshake_it_leaves_nothing(how):
    """Cancelled the socket is as new; closed the connect is aborted."""
    await turn(3)
    before = open_descriptors()
    with listening() as (server, port):
        socket = client()
        connecting = socket.connect_async(HOST, port, BEST)
        peer, _ = await deferToThread(server.accept)
        with peer:
            peer.settimeout(PATIENCE)
            await deferToThread(peer.recv, 65536)
            (connecting if how == "cancel" else socket).__getattribute__(how)()
            if how == "cancel":
                await failure_of(connecting)
                assert connecting.status is AsyncStatus.CANCELED
                socket.control.client_certificate = None
            else:
                assert isinstance(await failure_of(connecting), OperationAbortedError)
            with pytest.raises(ConnectionResetError):
                await deferToThread(peer.recv, 1)
    assert socket._link.protocol is None
    if how == "cancel":
        async with serving() as listener:
            await socket.connect_async("localhost", listener.information.local_port, BEST)
            assert await echoed(socket)
            socket.close()
            await socket.wait_closed_async()
    await until(lambda: open_descriptors() == before)


@pytest_twisted.ensureDeferred
async def test_during_the_handshake_there_are_no_streams_yet():
    """Nobody can send a byte to a server that is not verified."""
    async with serving() as listener, client() as socket:
        connecting = socket.connect_async("localhost", listener.information.local_port, BEST)
        with pytest.raises(IllegalMethodCallError, match="not connected"):
            socket.output_stream.write_async(b"secret")
        with pytest.raises(IllegalMethodCallError, match="connecting already"):
            socket.connect_async("localhost", listener.information.local_port, BEST)
        await connecting
        with pytest.raises(IllegalMethodCallError, match="connected before"):
            socket.connect_async("localhost", listener.information.local_port, BEST)


@pytest_twisted.ensureDeferred
async def test_what_the_server_says_with_its_last_flight_is_there_to_be_read():
    """It may come in one piece with the end of the handshake."""

    async def handler(sender, args):
        async with args.socket as socket:
            await socket.output_stream.write_async(b"220 ready\r\n")

    async with serving(handler) as listener, client() as socket:
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        assert await socket.input_stream.read_exactly(11) == b"220 ready\r\n"
        assert await socket.input_stream.read() == b""


@pytest_twisted.ensureDeferred
async def test_pythons_tls_is_talked_to():
    """It sees the name that was asked for, and the client's certificate."""

    def prepare(context):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority().certificate.get_certificate_blob())
        context.sni_callback = lambda peer, name, _: names.append(name)

    def talk(peer):
        data = peer.recv(100)
        peer.sendall(data[::-1])
        return peer.getpeercert(binary_form=True), peer.recv(100)

    names = []
    certificate = client_identity()
    async with peer_server(server_identity(), talk, prepare) as (port, served):
        async with client(client_certificate=certificate) as socket:
            await socket.connect_async("LOCALHOST", port, Level.TLS12)
            await socket.output_stream.write_async(b"hello")
            assert await socket.input_stream.read_exactly(5) == b"olleh"
        assert await served == [(certificate.get_certificate_blob(), b"")]
    assert names == ["localhost"]


# Application protocols


@pytest.mark.parametrize(
    ("offered", "spoken", "agreed"),
    [(["h2", "http/1.1"], ["http/1.1", "h2"], "http/1.1"), (["h2"], [], ""), ([], ["h2"], ""), ([], [], "")],
)
@pytest_twisted.ensureDeferred
async def test_an_application_protocol_is_agreed_upon(offered, spoken, agreed):
    """The server's preference counts, and both sides know it."""
    seen = []

    def handler(sender, args):
        seen.append(args.socket.information.application_protocol)
        args.socket.close()

    async with (
        serving(handler, application_protocols=spoken) as listener,
        client(application_protocols=offered) as socket,
    ):
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        assert socket.information.application_protocol == agreed
        assert await socket.input_stream.read() == b""
    assert seen == [agreed]


@pytest_twisted.ensureDeferred
async def test_without_a_protocol_in_common_nobody_is_connected():
    """Both sides say so."""
    async with serving(application_protocols=["h2"]) as listener:
        socket = client(application_protocols=["mqtt"])
        problem = await failure_of(socket.connect_async("localhost", listener.information.local_port, BEST))
        assert "no_application_protocol" in str(problem)
        await until(lambda: listener.information.failed_handshakes == 1)


# Contexts and sessions


@pytest.fixture
def contexts(monkeypatch):
    """The contexts that are kept, none at first."""
    kept = type(_tls_client._contexts)()
    monkeypatch.setattr(_tls_client, "_contexts", kept)
    return kept


@pytest.mark.parametrize("level", [Level.TLS12, Level.TLS13])
@pytest_twisted.ensureDeferred
async def test_sockets_of_one_configuration_share_sessions(contexts, level):
    """The second connection goes on with the session of the first, and knows whom it is with."""
    async with serving() as listener:
        port = listener.information.local_port
        for again in (False, True):
            async with client(client_certificate=client_identity()) as socket:
                await socket.connect_async("localhost", port, level)
                assert await echoed(socket)
                assert resumed(socket) is again
                assert socket.information.server_certificate == server_identity()
                assert socket.information.protection_level is level
                socket.output_stream.close()
                assert await socket.input_stream.read() == b""
        assert len(contexts) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"client_certificate": client_identity()},
        {"application_protocols": ["h2"]},
        {"exclusive_trust": False},
        {"trusted_server_certificates": [authority().certificate, authority("others").certificate]},
        {"min_protection_level": Level.TLS13},
        {"server_certificate_revocation_lists": [authority().revocation_list()]},
    ],
    ids=lambda other: next(iter(other)),
)
@pytest_twisted.ensureDeferred
async def test_sockets_of_another_configuration_do_not(contexts, other):
    """They might not have been connected."""
    async with serving(dropping) as listener:
        for settings in ({}, other):
            async with client(**settings) as socket:
                await socket.connect_async("localhost", listener.information.local_port, BEST)
                assert await socket.input_stream.read() == b""
                assert resumed(socket) is False
        assert len(contexts) == 2


@pytest_twisted.ensureDeferred
async def test_what_one_program_ignores_counts_for_no_other(contexts):
    """A session that began with an untrusted server is not gone on with by who does not ignore that."""
    async with serving(dropping) as listener:
        port = listener.information.local_port
        careless = StreamSocket()
        await failure_of(careless.connect_async("localhost", port, BEST))
        errors = careless.information.server_certificate_errors
        careless.control.ignorable_server_certificate_errors = errors
        async with careless:
            await careless.connect_async("localhost", port, BEST)
            assert await careless.input_stream.read() == b""
        problem = await failure_of(StreamSocket().connect_async("localhost", port, BEST))
        assert problem.status is SocketErrorStatus.CERTIFICATE_UNTRUSTED_ROOT
        assert len(contexts) == 1


def test_so_many_contexts_are_kept_and_no_more(contexts, monkeypatch):
    """The one that was used last goes last."""
    monkeypatch.setattr(_tls_client, "_MOST_CONTEXTS", 2)

    def context(protocol):
        control = StreamSocket().control
        for name, value in {**trusting(), "application_protocols": [protocol]}.items():
            setattr(control, name, value)
        return _tls_client.client_creator(control, HostName("localhost"), 1, BEST)._owner

    first, second = context("1"), context("2")
    assert context("1") is first
    context("3")
    assert len(contexts) == 2
    assert context("1") is first
    assert context("2") is not second


def test_a_context_is_made_anew_when_the_systems_roots_have_changed(contexts, monkeypatch):
    """Else a long-running program would go on trusting what the system no longer trusts."""

    def context():
        control = StreamSocket().control
        return _tls_client.client_creator(control, HostName("localhost"), 1, BEST)._owner

    roots = (authority().certificate._x509,)
    monkeypatch.setattr(_tls_client, "system_roots", lambda: roots)
    first = context()
    assert context() is first
    roots = (authority("others").certificate._x509,)
    assert context() is not first
    assert len(contexts) == 1


@pytest_twisted.ensureDeferred
async def test_all_addresses_of_a_host_are_tried_before_the_handshake():
    """The first that answers is shaken hands with; that is the one whose certificate counts."""
    info = system.getaddrinfo("localhost", 0, type=system.SOCK_STREAM)
    async with serving(host=info[-1][4][0]) as listener, client() as socket:
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        assert socket.information.remote_address == HostName(info[-1][4][0])
