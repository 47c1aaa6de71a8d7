"""Every status of a server's certificate, each by a real handshake, and the retry with what was found."""

from __future__ import annotations

import socket as system
import ssl
from datetime import UTC, datetime
from functools import cache

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    client_identity,
    crafted,
    failure_of,
    peer_server,
    server_identity,
    serving,
)
from tests.transports.loopback import HOSTS, PATIENCE, limits
from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.errors import InvalidArgumentError, SocketError, SocketErrorStatus
from winsockets.sockets import (
    SocketProtectionLevel,
    SocketSslErrorSeverity,
    StreamSocket,
    StreamSocketListener,
)
from winsockets.testing import CertificateAuthority, certificate_pem
from winsockets.transports import ClientCertificatePolicy

Status, Result, Severity = SocketErrorStatus, ChainValidationResult, SocketSslErrorSeverity
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
FOR_CLIENTS = "1.3.6.1.5.5.7.3.2"


@cache
def expired():
    """A certificate of long ago."""
    return authority().issue_expired("localhost", HOST)


@cache
def revoked_list(**validity):
    """A list with our server on it."""
    return authority().revocation_list(server_identity(), **validity)


def lists(*names):
    """Settings with the revocation lists of authorities."""
    return {"server_certificate_revocation_lists": [authority(name).revocation_list() for name in names]}


CASES = {
    "expired": (expired, {}, Status.CERTIFICATE_EXPIRED, [Result.EXPIRED]),
    "untrusted": (
        lambda: server_identity(by="others"),
        {},
        Status.CERTIFICATE_UNTRUSTED_ROOT,
        [Result.INCOMPLETE_CHAIN],
    ),
    "wrong name": (
        lambda: server_identity("other.example"),
        {},
        Status.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
        [Result.INVALID_NAME],
    ),
    "wrong usage": (
        lambda: crafted(usages=(FOR_CLIENTS,)),
        {},
        Status.CERTIFICATE_WRONG_USAGE,
        [Result.WRONG_USAGE],
    ),
    "revoked": (
        server_identity,
        {"server_certificate_revocation_lists": [revoked_list()]},
        Status.CERTIFICATE_REVOKED,
        [Result.REVOKED],
    ),
    "no list of its authority": (
        server_identity,
        lists("others"),
        Status.CERTIFICATE_NO_REVOCATION_CHECK,
        [Result.REVOCATION_INFORMATION_MISSING],
    ),
    "a list out of date": (
        server_identity,
        {"server_certificate_revocation_lists": [authority().revocation_list(end=LONG_AGO)]},
        Status.CERTIFICATE_REVOCATION_SERVER_OFFLINE,
        [Result.REVOCATION_FAILURE],
    ),
    "forged": (lambda: crafted(forged=True), {}, Status.CERTIFICATE_IS_INVALID, [Result.INVALID_SIGNATURE]),
    "issued by no authority": (
        lambda: crafted(issuer=server_identity()),
        {},
        Status.CERTIFICATE_IS_INVALID,
        [Result.BASIC_CONSTRAINTS_ERROR, Result.WRONG_USAGE],
    ),
    "several": (
        lambda: authority("others").issue_expired("other.example"),
        {},
        Status.CERTIFICATE_UNTRUSTED_ROOT,
        [Result.INCOMPLETE_CHAIN, Result.INVALID_NAME, Result.EXPIRED],
    ),
}
IGNORABLE = [
    name
    for name, case in CASES.items()
    if case[2] not in {Status.CERTIFICATE_REVOKED, Status.CERTIFICATE_IS_INVALID}
]


@pytest.mark.parametrize("case", CASES)
@pytest_twisted.ensureDeferred
async def test_what_is_wrong_with_a_certificate_is_the_status_of_the_connect(case):
    """All of it is in the information; whether the user may be asked too; nobody is connected."""
    make, settings, status, results = CASES[case]
    certificate = make()
    socket = client(**settings)
    async with peer_server(certificate) as (port, served):
        problem = await failure_of(socket.connect_async("localhost", port, BEST))
        # The server is told: its handshake fails, or ends before a byte has come.
        (outcome,) = await served
    assert isinstance(outcome, OSError) or outcome == b""
    assert problem.status is status
    assert SocketError.get_status(problem.winerror) is status
    information = socket.information
    assert list(information.server_certificate_errors) == results
    assert information.server_certificate == certificate
    fatal = case not in IGNORABLE
    assert information.server_certificate_error_severity is (Severity.FATAL if fatal else Severity.IGNORABLE)
    assert information.protection_level is SocketProtectionLevel.PLAIN_SOCKET
    assert information.remote_address is None
    if fatal:
        with pytest.raises(InvalidArgumentError, match=results[0].name):
            socket.control.ignorable_server_certificate_errors.extend(results)


def test_every_status_of_a_certificate_is_among_them():
    """From 23 to 30."""
    assert {case[2] for case in CASES.values()} == {status for status in Status if 23 <= status <= 30}


@pytest.mark.parametrize("case", IGNORABLE)
@pytest_twisted.ensureDeferred
async def test_the_user_may_accept_it_and_the_same_socket_connects(case):
    """The official sample's story: each error found goes into the list, and the second attempt succeeds."""
    make, settings, _, results = CASES[case]
    certificate = make()
    async with (
        peer_server(certificate, lambda peer: peer.sendall(b"welcome"), times=2) as (port, _),
        client(**settings) as socket,
    ):
        socket.control.client_certificate = None
        await failure_of(socket.connect_async("localhost", port, SocketProtectionLevel.TLS12))
        assert socket.information.server_certificate_error_severity is Severity.IGNORABLE
        ignorable = socket.control.ignorable_server_certificate_errors
        ignorable.clear()
        for error in socket.information.server_certificate_errors:
            ignorable.append(error)
        await socket.connect_async("localhost", port, SocketProtectionLevel.TLS12)
        information = socket.information
        assert information.protection_level is SocketProtectionLevel.TLS12
        assert information.server_certificate == certificate
        assert list(information.server_certificate_errors) == results
        assert information.server_certificate_error_severity is Severity.IGNORABLE
        assert await socket.input_stream.read_exactly(7) == b"welcome"


@pytest_twisted.ensureDeferred
async def test_all_that_is_wrong_has_to_be_in_the_list():
    """One of three is not enough, and neither is another one."""
    certificate = CASES["several"][0]()
    async with peer_server(certificate, times=2) as (port, _):
        for ignorable in ([Result.INCOMPLETE_CHAIN], [Result.WRONG_USAGE]):
            socket = client(ignorable_server_certificate_errors=ignorable)
            problem = await failure_of(socket.connect_async("localhost", port, BEST))
            assert 23 <= problem.status <= 30


@pytest_twisted.ensureDeferred
async def test_the_next_attempt_forgets_what_the_last_one_found():
    """It begins with nothing known."""
    async with serving(server_certificates=[expired()]) as listener:
        socket = client()
        await failure_of(socket.connect_async("localhost", listener.information.local_port, BEST))
        assert socket.information.server_certificate is not None
        connecting = socket.connect_async("localhost", listener.information.local_port, BEST)
        assert socket.information.server_certificate is None
        assert socket.information.server_certificate_errors == ()
        assert socket.information.server_certificate_error_severity is Severity.NONE
        assert (await failure_of(connecting)).status is Status.CERTIFICATE_EXPIRED


@pytest_twisted.ensureDeferred
async def test_the_chain_is_told_from_the_issuer_upwards():
    """Without the root; nothing is wrong with it."""
    certificate = authority().create_intermediate().create_intermediate().issue_server("localhost")
    async with serving(server_certificates=[certificate]) as listener, client() as socket:
        await socket.connect_async("localhost", listener.information.local_port, BEST)
        information = socket.information
        assert information.server_certificate == certificate
        assert information.server_intermediate_certificates == certificate.intermediates[:2]
        assert information.server_certificate_errors == ()
        assert information.server_certificate_error_severity is Severity.NONE


@pytest_twisted.ensureDeferred
async def test_nobody_knows_our_authority_but_who_is_told():
    """Beside the system's roots, or instead of them; a server's own certificate can be trusted too."""
    certificate = server_identity()
    async with serving() as listener:
        port = listener.information.local_port
        problem = await failure_of(StreamSocket().connect_async("localhost", port, BEST))
        assert problem.status is Status.CERTIFICATE_UNTRUSTED_ROOT
        for settings in (
            {"exclusive_trust": False},
            {"trusted_server_certificates": [certificate]},
            {"trusted_server_certificates": [authority("others").certificate, authority().certificate]},
        ):
            async with client(**settings) as socket:
                await socket.connect_async("localhost", port, BEST)
        with pytest.raises(InvalidArgumentError, match="no server would be trusted"):
            client(trusted_server_certificates=[]).connect_async("localhost", port, BEST)


@pytest.fixture
def trusted_by_the_system(tmp_path, monkeypatch):
    """Our authority, for the time of a test."""
    path = tmp_path / "roots.pem"
    path.write_bytes(certificate_pem(authority().certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


@pytest_twisted.ensureDeferred
async def test_exclusive_trust_is_instead_of_the_systems(trusted_by_the_system):
    """Whom the system trusts counts by default and beside others, and not with exclusive_trust."""
    others = authority("others").certificate
    async with serving() as listener:
        place = ("localhost", listener.information.local_port, BEST)
        for trusted in ([], [others]):
            async with StreamSocket() as socket:
                socket.control.trusted_server_certificates = trusted
                await socket.connect_async(*place)
        socket = client(trusted_server_certificates=[others])
        assert (await failure_of(socket.connect_async(*place))).status is Status.CERTIFICATE_UNTRUSTED_ROOT


@pytest_twisted.ensureDeferred
async def test_the_system_vouches_for_no_client(trusted_by_the_system):
    """Only those in the list do: anybody can get a certificate of a public authority."""
    settings = {"trusted_client_certificates": [authority("others").certificate]}
    problem = await turned_away(server=settings, client_certificate=client_identity())
    assert "unknown_ca" in str(problem)


@pytest.mark.parametrize("names", [("localhost",), ("127.0.0.2", "localhost"), ("*.example", "example")])
@pytest_twisted.ensureDeferred
async def test_an_address_has_to_be_in_the_certificate(names):
    """As an address: no name stands for it."""
    async with serving(server_certificates=[server_identity(*names)]) as listener:
        socket = client()
        problem = await failure_of(socket.connect_async(HOST, listener.information.local_port, BEST))
        assert problem.status is Status.CERTIFICATE_COMMON_NAME_IS_INCORRECT
        assert HOST in str(problem)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_an_address_that_is_in_the_certificate_is_connected_to(host):
    """In both families."""
    async with serving(host=host) as listener, client() as socket:
        await socket.connect_async(host, listener.information.local_port, BEST)
        await socket.output_stream.write_async(b"to an address")
        assert await socket.input_stream.read_exactly(13) == b"to an address"


# The certificates of clients


async def turned_away(level=BEST, server=None, **settings):
    """Whether a client is refused, what it learns of it, and what the listener says."""
    seen = []

    async def handler(sender, args):
        async with args.socket as socket:
            seen.append(socket.information.client_certificate)
            await socket.output_stream.write_async(b"welcome")

    wanted = {
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [authority().certificate],
        **(server or {}),
    }
    async with serving(handler, **wanted) as listener, client(**settings) as socket:
        try:
            await socket.connect_async("localhost", listener.information.local_port, level)
            assert await socket.input_stream.read_exactly(7) == b"welcome"
        except OSError as problem:
            assert seen == []
            assert listener.information.failed_handshakes == 1
            return problem
        assert listener.information.failed_handshakes == 0
        return seen


TLS12, TLS13 = SocketProtectionLevel.TLS12, SocketProtectionLevel.TLS13
LEVELS = [TLS12, TLS13]


@pytest.mark.parametrize("level", LEVELS)
@pytest_twisted.ensureDeferred
async def test_a_client_shows_its_certificate_when_it_is_asked(level):
    """The listener's side has it; a certificate that nobody asks for is not shown."""
    certificate = client_identity()
    assert await turned_away(level, client_certificate=certificate) == [certificate]
    assert await turned_away(
        level, client_certificate=certificate, server={"client_certificate_policy": 0}
    ) == [None]
    assert await turned_away(level, server={"client_certificate_policy": 1}) == [None]
    assert await turned_away(
        level, client_certificate=certificate, server={"client_certificate_policy": 1}
    ) == [certificate]


def revoking(certificate):
    """The settings of a listener that knows a certificate to be revoked."""
    return {"client_certificate_revocation_lists": [authority().revocation_list(certificate)]}


REFUSALS = {
    "absent": (lambda: None, "certificate_required|handshake_failure"),
    "of others": (lambda: client_identity(by="others"), "unknown_ca"),
    "expired": (lambda: authority().issue_client("a@example.test", end=LONG_AGO), "certificate_expired"),
    "revoked": (client_identity, "certificate_revoked"),
}


@pytest.mark.parametrize("policy", [ClientCertificatePolicy.REQUEST, ClientCertificatePolicy.REQUIRE])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", REFUSALS)
@pytest_twisted.ensureDeferred
async def test_a_bad_client_certificate_is_refused_and_the_client_told_why(case, level, policy):
    """By TLS 1.2 in connecting, by TLS 1.3 in the first read. A request is content with none."""
    make, alert = REFUSALS[case]
    certificate = make()
    server = {"client_certificate_policy": policy}
    if case == "revoked":
        server.update(revoking(certificate))
    outcome = await turned_away(level, client_certificate=certificate, server=server)
    if case == "absent" and policy is ClientCertificatePolicy.REQUEST:
        assert outcome == [None]
        return
    assert outcome.status is Status.UNKNOWN
    assert any(name in str(outcome) for name in alert.split("|")), outcome


@pytest.mark.parametrize("level", LEVELS)
@pytest_twisted.ensureDeferred
async def test_the_chain_of_a_client_is_sent_along(level):
    """Of its authorities the listener knows the root alone; the certificate by itself is no good."""
    whole = authority().create_intermediate().create_intermediate().issue_client("deep@example.test")
    path = certificate_pem(whole).split(b"-----END CERTIFICATE-----\n")
    alone = Certificate.load_pem(path[0] + b"-----END CERTIFICATE-----\n" + path[-1])
    assert alone == whole
    assert alone.intermediates == ()
    for certificate, good in ((alone, False), (whole, True), (alone, False)):
        outcome = await turned_away(level, client_certificate=certificate)
        assert (outcome == [whole]) is good


@pytest_twisted.ensureDeferred
async def test_a_refused_client_that_talks_first_still_reads_why():
    """A close with bytes of it unread would be a reset, which takes the alert away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().certificate.get_certificate_blob())
    settings = {
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [authority().certificate],
        "limits": limits(close_timeout=4 * PATIENCE, close_notify_timeout=2 * PATIENCE),
    }
    async with serving(**settings) as listener:
        port = int(listener.information.local_port)

        def talk():
            with (
                system.create_connection((HOST, port), PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as peer,
            ):
                peer.sendall(bytes(1_000_000))
                return peer.recv(1)

        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            await deferToThread(talk)


@pytest_twisted.ensureDeferred
async def test_a_tls_1_3_client_learns_of_its_refusal_with_the_first_read():
    """Connecting succeeds before the server has seen the certificate; the read says what to do."""
    settings = {
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [authority().certificate],
    }
    async with serving(**settings) as listener, client() as socket:
        await socket.connect_async("localhost", listener.information.local_port, TLS13)
        assert socket.information.protection_level is TLS13
        problem = await failure_of(socket.input_stream.read())
        assert "certificate_required" in str(problem)
        assert "set a client certificate" in str(problem)


@pytest.mark.parametrize("policy", [ClientCertificatePolicy.REQUEST, ClientCertificatePolicy.REQUIRE])
def test_whoever_asks_clients_says_whom_to_trust(policy):
    """At the bind: nobody would get in."""
    listener = StreamSocketListener()
    listener.connection_received += print
    listener.control.server_certificates.append(server_identity())
    listener.control.client_certificate_policy = policy
    with pytest.raises(InvalidArgumentError, match="no client's certificate would be accepted"):
        listener.bind_endpoint_async(HOST, "")
    listener.control.trusted_client_certificates.append(CertificateAuthority().certificate)
