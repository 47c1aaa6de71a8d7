"""Listeners that speak TLS: binding, choosing and replacing certificates, and clients that do not get in."""

from __future__ import annotations

import gc
import socket as system
import ssl
import weakref

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    crafted,
    dropping,
    echo,
    failure_of,
    server_identity,
    serving,
)
from tests.transports.loopback import PATIENCE, Timed, limits, turn, until
from winsockets.errors import (
    AddressInUseError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ResetByPeerError,
    SocketException,
)
from winsockets.sockets import SocketProtectionLevel, StreamSocketListener
from winsockets.transports import ClientCertificatePolicy

Level = SocketProtectionLevel


@pytest.fixture
def logged():
    """What the library says about clients."""
    events = []

    def observe(event):
        if event.get("log_namespace") == "winsockets" and "did not get in" in event["log_format"]:
            events.append(str(event["problem"]))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


async def shown(listener, host="localhost", **settings):
    """The certificate that a client sees who asks for a name."""
    settings.setdefault("ignorable_server_certificate_errors", [7])  # INVALID_NAME
    async with client(**settings) as socket:
        if host == HOST:
            await socket.connect_async(HOST, listener.information.local_port, BEST)
        else:
            # Found at this machine's address, whatever the name.
            await socket.connect_async(HOST, listener.information.local_port)
            socket.control.ignorable_server_certificate_errors = [7]
            await socket.upgrade_to_ssl_async(BEST, host)
        return socket.information.server_certificate


def raw(listener):
    """A plain connection to a listener."""
    peer = system.create_connection((HOST, int(listener.information.local_port)))
    peer.settimeout(PATIENCE)
    return peer


# Binding


@pytest.mark.parametrize("level", [Level.TLS12, Level.TLS13, Level.UNSPECIFIED, None])
@pytest.mark.parametrize("endpoint", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_listener_with_certificates_speaks_tls_with_every_bind(level, endpoint):
    """With a level up to it, without one the best."""
    async with StreamSocketListener() as listener:
        listener.control.server_certificates.append(server_identity())
        listener.connection_received += echo
        given = () if level is None else (level,)
        if endpoint:
            await listener.bind_endpoint_async(HOST, "", *given)
        else:
            await listener.bind_service_name_async("", *given)
        async with client() as socket:
            await socket.connect_async(HOST, listener.information.local_port, BEST)
            wanted = Level.TLS12 if level is Level.TLS12 else Level.TLS13
            assert socket.information.protection_level is wanted


@pytest.mark.parametrize(
    ("settings", "level", "message"),
    [
        ({}, Level.TLS12, "TLS12 needs a certificate"),
        ({}, Level.UNSPECIFIED, "UNSPECIFIED needs a certificate"),
        ({}, Level.SSL, "SSL is not offered"),
        ({}, Level.BLUETOOTH_ENCRYPTION_WITH_AUTHENTICATION, "is not offered"),
        ({}, 11, "is not a SocketProtectionLevel"),
        ({"server_certificates": [server_identity()]}, Level.PLAIN_SOCKET, "PLAIN_SOCKET is without it"),
        ({"server_certificates": [server_identity()]}, Level.TLS11, "TLS11 is below"),
        (
            {"server_certificates": [server_identity()], "min_protection_level": Level.TLS13},
            Level.TLS12,
            "TLS12 is below",
        ),
        ({"server_certificates": [crafted(weak=True)]}, None, "OpenSSL does not take it"),
    ],
)
def test_what_contradicts_itself_is_refused_at_the_bind(settings, level, message):
    """Nobody listens in plain by mistake; the listener is as it was."""
    listener = StreamSocketListener()
    listener.connection_received += print
    for name, value in settings.items():
        setattr(listener.control, name, value)
    for bind in (
        lambda: listener.bind_service_name_async("", level),
        lambda: listener.bind_endpoint_async(HOST, "", level),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            bind()
    listener.control.keep_alive = True


@pytest_twisted.ensureDeferred
async def test_a_plain_level_is_for_plain_listeners():
    """As in WinRT."""
    async with StreamSocketListener() as listener:
        listener.connection_received += print
        await listener.bind_service_name_async("", Level.PLAIN_SOCKET)


@pytest_twisted.ensureDeferred
async def test_a_bind_that_failed_can_be_tried_again():
    """With other certificates, or with none."""
    async with serving() as first, StreamSocketListener() as second:
        second.control.server_certificates.append(server_identity())
        second.connection_received += echo
        with pytest.raises(AddressInUseError):
            await second.bind_endpoint_async(HOST, first.information.local_port)
        second.control.server_certificates.clear()
        second.control.server_certificates.append(server_identity("other.example"))
        await second.bind_endpoint_async(HOST, "")
        assert await shown(second) == server_identity("other.example")


# Connections


@pytest_twisted.ensureDeferred
async def test_a_connection_is_announced_after_its_handshake():
    """And not before; the iterator gives the same."""
    async with StreamSocketListener() as listener:
        listener.control.server_certificates.append(server_identity())
        connections = listener.connections()
        await listener.bind_endpoint_async(HOST, "")
        next_one = connections.__anext__()
        with raw(listener) as silent, client() as socket:
            await socket.connect_async(HOST, listener.information.local_port, BEST)
            async with await next_one as server:
                information = server.information
                assert information.protection_level is Level.TLS13
                assert information.remote_port == socket.information.local_port
                assert information.server_certificate is None
                assert information.client_certificate is None
                with pytest.raises(IllegalMethodCallError, match="accepted"):
                    server.upgrade_to_ssl_async(Level.TLS13, "localhost")
                assert server.control.require_close_notify is True
            silent.close()


@pytest_twisted.ensureDeferred
async def test_a_handler_that_fails_closes_the_connection(monkeypatch):
    """As on a plain listener."""
    from winsockets.foundation import _event

    said = []
    monkeypatch.setattr(_event._log, "failure", lambda *args, **kwargs: said.append(kwargs))

    def handler(sender, args):
        raise ValueError("not today")

    async with serving(handler) as listener, client() as socket:
        await socket.connect_async(HOST, listener.information.local_port, BEST)
        assert await socket.input_stream.read() == b""
    assert said
    assert listener.information.failed_handshakes == 0


@pytest_twisted.ensureDeferred
async def test_pythons_tls_is_served():
    """Bulk both ways, and an end that both sides say."""
    context = ssl.create_default_context(cadata=authority().certificate.get_certificate_blob())
    data = bytes(range(256)) * 4096

    def talk(port):
        with (
            system.create_connection((HOST, port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as peer,
        ):
            received = b""
            for start in range(0, len(data), 65536):
                peer.sendall(data[start : start + 65536])
                while len(received) < start + 65536:
                    received += peer.recv(65536)
            peer.unwrap()
            return received

    async with serving() as listener:
        assert await deferToThread(talk, int(listener.information.local_port)) == data


# Choosing and replacing certificates

FIRST = server_identity("first.example", "*.shared.example")
SECOND = server_identity("second.example", "own.shared.example", "first.example")
THIRD = server_identity("*.third.example", "t\N{LATIN SMALL LETTER U WITH DIAERESIS}r.example")


@pytest.mark.parametrize(
    ("host", "certificate"),
    [
        ("first.example", FIRST),
        ("FIRST.example", FIRST),
        ("second.example", SECOND),
        ("any.shared.example", FIRST),
        ("own.shared.example", SECOND),
        ("www.third.example", THIRD),
        ("t\N{LATIN SMALL LETTER U WITH DIAERESIS}r.example", THIRD),
        ("third.example", FIRST),
        ("unknown.example", FIRST),
        (HOST, FIRST),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_certificate_is_the_first_for_the_name_that_is_asked_for(host, certificate):
    """Without one for it, or without a name, the first of all."""
    async with serving(dropping, server_certificates=[FIRST, SECOND, THIRD]) as listener:
        assert await shown(listener, host) == certificate


@pytest_twisted.ensureDeferred
async def test_names_for_which_nobody_can_ask_do_no_harm():
    """Odd ones that a certificate has beside good ones."""
    odd = crafted("o*d.example", "a b.example", "good.example")
    async with serving(dropping, server_certificates=[FIRST, odd]) as listener:
        assert await shown(listener, "good.example") == odd
        assert await shown(listener, "first.example") == FIRST


@pytest_twisted.ensureDeferred
async def test_a_client_certificate_is_asked_for_under_every_name():
    """The policy is the listener's, not the certificate's."""
    async with serving(
        dropping,
        server_certificates=[FIRST, SECOND],
        client_certificate_policy=ClientCertificatePolicy.REQUIRE,
        trusted_client_certificates=[authority().certificate],
    ) as listener:
        for host in ("first.example", "second.example"):
            async with client() as socket:
                await socket.connect_async(HOST, listener.information.local_port)
                await socket.upgrade_to_ssl_async(Level.TLS13, host)
                assert "certificate_required" in str(await failure_of(socket.input_stream.read()))


@pytest.mark.parametrize(
    "replace",
    [
        lambda control, new: setattr(control, "server_certificates", [new]),
        lambda control, new: control.server_certificates.__setitem__(0, new),
        lambda control, new: (control.server_certificates.append(new), control.server_certificates.pop(0)),
    ],
    ids=["assigned", "in place", "one after the other"],
)
@pytest_twisted.ensureDeferred
async def test_certificates_are_replaced_while_the_listener_runs(replace):
    """New connections get the new one, and no old session; connections that there are go on."""
    renewed = authority().issue_server("localhost", HOST)
    async with serving() as listener, client() as early:
        assert await shown(listener, HOST) == server_identity()
        await early.connect_async(HOST, listener.information.local_port, BEST)
        replace(listener.control, renewed)
        assert await shown(listener, HOST) == renewed
        await early.output_stream.write_async(b"still here")
        assert await early.input_stream.read_exactly(10) == b"still here"
        assert listener.information.failed_handshakes == 0


@pytest_twisted.ensureDeferred
async def test_a_replacement_that_does_not_work_changes_nothing():
    """None at all, one without a key, one that OpenSSL does not take."""
    async with serving() as listener:
        certificates = listener.control.server_certificates
        with pytest.raises(InvalidArgumentError, match="a TLS listener has one at least"):
            certificates.clear()
        with pytest.raises(InvalidArgumentError, match="no private key"):
            listener.control.server_certificates = [authority().certificate]
        with pytest.raises(InvalidArgumentError, match="OpenSSL does not take it"):
            certificates[0] = crafted(weak=True)
        assert certificates == [server_identity()]
        assert await shown(listener, HOST) == server_identity()
        listener.close()
        with pytest.raises(IllegalMethodCallError, match="after the listener was closed"):
            certificates[0] = server_identity()


# Clients that do not get in


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "does not speak TLS"),
        (b"\x16\x03\x01\x00\x05hello", "rules of TLS|does not speak TLS"),
        (b"", "closed the connection during the TLS handshake"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_client_that_shakes_no_hands_is_counted_and_logged_once(said, reason, logged):
    """With the reason and the peer; the program hears nothing of it."""
    calls = []
    async with serving(lambda sender, args: calls.append(args)) as listener:
        assert listener.information.failed_handshakes == 0
        with raw(listener) as peer:
            name = peer.getsockname()
            peer.sendall(said)
            peer.shutdown(system.SHUT_WR)
            await until(lambda: listener.information.failed_handshakes)
            await deferToThread(lambda: [*iter(lambda: peer.recv(1024), b"")])
        assert listener.information.failed_handshakes == 1
    (line,) = logged
    assert f"{name[0]} port {name[1]}" in line
    assert any(part in line for part in reason.split("|")), line
    assert calls == []


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_trust_us_is_counted_and_logged_once(logged):
    """By the alert that it sent."""
    async with serving() as listener:
        socket = client(trusted_server_certificates=[authority("others").certificate])
        await failure_of(socket.connect_async(HOST, listener.information.local_port, BEST))
        await until(lambda: listener.information.failed_handshakes)
    assert len(logged) == 1


@pytest_twisted.ensureDeferred
async def test_silent_clients_hold_nobody_up_and_are_given_up():
    """At ``limits.handshake_timeout``."""
    timed = Timed()
    async with StreamSocketListener(reactor=timed) as listener:
        listener.control.limits = limits(handshake_timeout=5.0)
        listener.control.server_certificates.append(server_identity())
        listener.connection_received += dropping
        await listener.bind_endpoint_async(HOST, "")
        with raw(listener) as silent:
            async with client() as socket:
                await socket.connect_async(HOST, listener.information.local_port, BEST)
                assert await socket.input_stream.read() == b""
            await until(lambda: len(listener._handshakes._under_way) == 1)
            timed.advance(5.1)
            assert listener.information.failed_handshakes == 1
            with pytest.raises(ConnectionResetError):
                await deferToThread(silent.recv, 1)
        await until(lambda: not timed.getDelayedCalls())


@pytest_twisted.ensureDeferred
async def test_so_many_handshakes_are_under_way_and_no_more():
    """The next client waits in the system's backlog until one is done or gone."""
    async with serving(limits=limits(handshakes=2)) as listener:
        silent = [raw(listener) for _ in range(2)]
        under_way = listener._handshakes._under_way
        await until(lambda: len(under_way) == 2)
        async with client() as socket:
            connecting = socket.connect_async(HOST, listener.information.local_port, BEST)
            await turn(20)
            assert not connecting.called
            assert len(under_way) == 2
            silent.pop().close()
            await connecting
            await socket.output_stream.write_async(b"in")
            assert await socket.input_stream.read_exactly(2) == b"in"
        silent.pop().close()
        await until(lambda: not under_way)
        assert listener.information.failed_handshakes == 2


@pytest_twisted.ensureDeferred
async def test_a_crowd_of_clients_gets_in_through_a_narrow_door():
    """All of them, a few at a time; the certificate is replaced meanwhile."""
    async with serving(limits=limits(handshakes=3)) as listener:
        sockets = [client() for _ in range(40)]
        port = listener.information.local_port
        connecting = [socket.connect_async(HOST, port, BEST) for socket in sockets]
        under_way = listener._handshakes._under_way
        most = 0
        while not all(operation.called for operation in connecting):
            most = max(most, len(under_way))
            listener.control.server_certificates[0] = server_identity()
            await turn()
        for number, socket in enumerate(sockets):
            await connecting[number]
            await socket.output_stream.write_async(b"%4d" % number)
        for number, socket in enumerate(sockets):
            assert await socket.input_stream.read_exactly(4) == b"%4d" % number
            socket.close()
        for socket in sockets:
            await socket.wait_closed_async()
        assert most <= 3
        assert listener.information.failed_handshakes == 0
        assert not under_way


@pytest_twisted.ensureDeferred
async def test_a_handshake_counts_as_a_connection():
    """With ``max_connections``: it has a descriptor."""
    async with serving(max_connections=1) as listener, client() as socket:
        silent = raw(listener)
        await until(lambda: listener._handshakes._under_way)
        connecting = socket.connect_async(HOST, listener.information.local_port, BEST)
        await turn(20)
        assert not connecting.called
        silent.close()
        await connecting


@pytest_twisted.ensureDeferred
async def test_closing_the_listener_breaks_off_handshakes_and_nothing_else(logged):
    """Nobody waits for them any more, nor for their deadline; connections that there are go on."""
    patient = limits(handshake_timeout=10 * PATIENCE)
    async with serving(limits=patient) as listener, client() as socket:
        await socket.connect_async(HOST, listener.information.local_port, BEST)
        # Its handshake is done over there too when its echo comes back.
        await socket.output_stream.write_async(b"early")
        assert await socket.input_stream.read_exactly(5) == b"early"
        with raw(listener) as silent:
            await until(lambda: listener._handshakes._under_way)
            listener.close()
            with pytest.raises(ConnectionResetError):
                await deferToThread(silent.recv, 1)
        await socket.output_stream.write_async(b"still here")
        assert await socket.input_stream.read_exactly(10) == b"still here"
    assert listener.information.failed_handshakes == 0
    assert logged == []


@pytest_twisted.ensureDeferred
async def test_a_listener_may_be_closed_in_its_handler():
    """The accepted connection goes on."""

    async def handler(sender, args):
        sender.close()
        await echo(sender, args)

    async with serving(handler) as listener, client() as socket:
        await socket.connect_async(HOST, listener.information.local_port, BEST)
        await socket.output_stream.write_async(b"last one")
        assert await socket.input_stream.read_exactly(8) == b"last one"
        problem = await failure_of(client().connect_async(HOST, listener.information.local_port, BEST))
        assert isinstance(problem, SocketException)


@pytest_twisted.ensureDeferred
async def test_a_closed_listener_goes_without_the_garbage_collector():
    """With its contexts and private keys."""
    gc.disable()
    try:
        async with serving(dropping) as listener:
            assert await shown(listener, HOST) == server_identity()
            held = weakref.ref(listener._handshakes)
        gone = weakref.ref(listener)
        del listener
        await until(lambda: gone() is None and held() is None)
    finally:
        gc.enable()


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_after_its_handshake_is_no_failure():
    """The program has the connection, and reads what became of it."""
    outcomes = []

    async def handler(sender, args):
        async with args.socket as socket:
            outcomes.append(await failure_of(socket.input_stream.read()))

    async with serving(handler) as listener:
        context = ssl.create_default_context(cadata=authority().certificate.get_certificate_blob())

        def leave():
            with (
                system.create_connection((HOST, int(listener.information.local_port))) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                # Closed without close_notify.
                pass

        await deferToThread(leave)
        await until(lambda: outcomes)
    assert isinstance(outcomes[0], ResetByPeerError)
    assert listener.information.failed_handshakes == 0
