"""Our sockets and OpenSSL's programs: every level, kinds of client certificates, ALPN, names, sessions."""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    client_identity,
    echo,
    failure_of,
    server_identity,
    serving,
)
from tests.transports.loopback import PATIENCE, until
from winsockets.errors import SocketErrorStatus
from winsockets.sockets import SocketProtectionLevel
from winsockets.testing import certificate_pem
from winsockets.transports import ClientCertificatePolicy

Level = SocketProtectionLevel
OLD = ["-cipher", "DEFAULT:@SECLEVEL=0"]
LEVELS = {
    Level.TLS10: ["-tls1", *OLD],
    Level.TLS11: ["-tls1_1", *OLD],
    Level.TLS12: ["-tls1_2"],
    Level.TLS13: ["-tls1_3"],
}
"""What makes the programs speak one version alone."""
NEW = [Level.TLS12, Level.TLS13]
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
SECOND = server_identity("second.example")
BAD_CLIENTS = {
    "absent": (None, "certificate_required|handshake_failure"),
    "of others": (client_identity(by="others"), "unknown_ca"),
    "expired": (authority().issue_client("late@example.test", end=LONG_AGO), "certificate_expired"),
    "revoked": (authority().issue_client("gone@example.test"), "certificate_revoked"),
}
REVOKED = BAD_CLIENTS["revoked"][0]


@pytest.fixture
def openssl(tmp_path, require_program):
    """A way to write its commands: files are named by what is in them."""
    program = require_program("openssl")
    certificates = {
        "server": server_identity(),
        "second": SECOND,
        "client": client_identity(),
        "root": authority().certificate,
        **{name: certificate for name, (certificate, _) in BAD_CLIENTS.items() if certificate is not None},
    }
    for name, certificate in certificates.items():
        (tmp_path / name).write_bytes(certificate_pem(certificate))
    (tmp_path / "list").write_bytes(authority().revocation_list(REVOKED))

    def start(command, *arguments):
        return subprocess.Popen(
            [program, command, *arguments],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
        )

    return start


def certificate_options(name):
    """What makes a program show a certificate."""
    return [] if name is None else ["-cert", name, "-key", name]


# Its client


def talk(process, line=b"hello\n"):
    """Say a line, take one, and end: its output, and what it complains of."""
    with process:
        try:
            process.stdin.write(line)
            process.stdin.flush()
            first = process.stdout.readline()
            process.stdin.close()
            process.wait(PATIENCE)
            return first + process.stdout.read(), process.stderr.read().decode()
        except BrokenPipeError:
            return process.stdout.read(), process.stderr.read().decode()
        finally:
            process.kill()


def s_client(openssl, listener, *arguments):
    """Let it talk to a listener of ours, which it verifies."""
    command = ["-connect", f"{HOST}:{listener.information.local_port}", "-CAfile", "root", "-quiet"]
    command += ["-no_ign_eof", "-verify_return_error", *arguments]
    return deferToThread(talk, openssl("s_client", *command))


def demanding(policy=ClientCertificatePolicy.REQUIRE, **settings):
    """What a listener that asks for certificates is set to."""
    return {
        "client_certificate_policy": policy,
        "trusted_client_certificates": [authority().certificate],
        **settings,
    }


def remembering(seen):
    """A handler that echoes, and takes note of what is known of whom."""

    async def handler(sender, args):
        seen.append(args.socket.information)
        await echo(sender, args)

    return handler


@pytest.mark.parametrize("level", LEVELS)
@pytest_twisted.ensureDeferred
async def test_its_client_is_served_at_every_level_with_its_certificate(level, openssl):
    """It verifies us for our name, and gets its bytes back; we know who it is."""
    seen = []
    settings = demanding(min_protection_level=min(level, Level.TLS12))
    async with serving(remembering(seen), level, **settings) as listener:
        said, complaint = await s_client(
            openssl,
            listener,
            *LEVELS[level],
            *["-servername", "localhost", "-verify_hostname", "localhost"],
            *certificate_options("client"),
        )
    assert said == b"hello\n", complaint
    [information] = seen
    assert information.client_certificate == client_identity()
    assert information.protection_level is level


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_client_need_not_show_a_certificate_that_is_only_requested(level, openssl):
    """REQUEST is content with none."""
    seen = []
    settings = demanding(ClientCertificatePolicy.REQUEST)
    async with serving(remembering(seen), level, **settings) as listener:
        said, complaint = await s_client(openssl, listener, *LEVELS[level])
    assert said == b"hello\n", complaint
    assert [one.client_certificate for one in seen] == [None]


@pytest.mark.parametrize("level", NEW)
@pytest.mark.parametrize("case", BAD_CLIENTS)
@pytest_twisted.ensureDeferred
async def test_its_client_with_a_bad_certificate_is_refused_with_the_alert_for_it(case, level, openssl):
    """The program does not hear of it."""
    certificate, alert = BAD_CLIENTS[case]
    heard = []
    lists = [authority().revocation_list(REVOKED)] if certificate is REVOKED else []
    settings = demanding(client_certificate_revocation_lists=lists)
    async with serving(lambda _, args: heard.append(args.socket), level, **settings) as listener:
        said, complaint = await s_client(
            openssl, listener, *LEVELS[level], *certificate_options(certificate and case)
        )
        await until(lambda: listener.information.failed_handshakes == 1)
    assert heard == []
    assert said == b""
    alerts = [name.replace("_", " ") for name in alert.split("|")]
    assert any(f"alert {name}" in complaint for name in alerts), complaint


@pytest.mark.parametrize(
    ("level", "flags"), [(Level.TLS13, LEVELS[Level.TLS11]), (Level.TLS12, LEVELS[Level.TLS13])]
)
@pytest_twisted.ensureDeferred
async def test_its_client_of_another_version_is_refused(level, flags, openssl):
    """Below the floor, and above the ceiling."""
    async with serving(level=level) as listener:
        _, complaint = await s_client(openssl, listener, *flags)
        await until(lambda: listener.information.failed_handshakes == 1)
    assert "alert protocol version" in complaint


@pytest.mark.parametrize(
    ("asked", "agreed"), [("http/1.1,h2", "h2"), ("mqtt,http/1.1", "http/1.1"), (None, "")]
)
@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_client_and_we_agree_upon_a_protocol(level, asked, agreed, openssl):
    """By our preference."""
    seen = []
    async with serving(remembering(seen), level, application_protocols=["h2", "http/1.1"]) as listener:
        said, complaint = await s_client(openssl, listener, *([] if asked is None else ["-alpn", asked]))
    assert said == b"hello\n", complaint
    assert [one.application_protocol for one in seen] == [agreed]


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_client_without_a_protocol_in_common_is_refused(level, openssl):
    """With the alert for it (RFC 7301 section 3.2)."""
    async with serving(level=level, application_protocols=["h2"]) as listener:
        _, complaint = await s_client(openssl, listener, "-alpn", "mqtt")
        await until(lambda: listener.information.failed_handshakes == 1)
    assert "alert no application protocol" in complaint


@pytest.mark.parametrize(
    ("asked", "verified"),
    [
        (["-servername", "second.example"], "second.example"),
        (["-servername", "SECOND.example"], "second.example"),
        (["-servername", "unknown.example"], "localhost"),
        (["-noservername"], "localhost"),
    ],
)
@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_client_gets_the_certificate_for_the_name_that_it_asks_for(asked, verified, level, openssl):
    """Which it verifies."""
    async with serving(level=level, server_certificates=[server_identity(), SECOND]) as listener:
        said, complaint = await s_client(openssl, listener, *asked, "-verify_hostname", verified)
    assert said == b"hello\n", complaint


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_client_goes_on_with_its_session(level, openssl):
    """It is known who it is, although it shows no certificate the second time."""
    seen = []
    async with serving(remembering(seen), level, **demanding()) as listener:
        for way, certificate in {"-sess_out": "client", "-sess_in": None}.items():
            said, complaint = await s_client(
                openssl, listener, *LEVELS[level], *certificate_options(certificate), way, "session"
            )
            assert said == b"hello\n", complaint
    assert [one.client_certificate for one in seen] == [client_identity()] * 2


@pytest_twisted.ensureDeferred
async def test_its_client_may_not_renegotiate(openssl):
    """By TLS 1.2, where it costs us more than it: the wish is turned down."""
    async with serving(level=Level.TLS12) as listener:
        # R at the beginning of a line is the command for it, unless it is told to be quiet.
        command = ["-connect", f"{HOST}:{listener.information.local_port}", "-CAfile", "root"]
        process = openssl("s_client", *command)
        _, complaint = await deferToThread(talk, process, b"R\n")
    assert "no renegotiation" in complaint


# Its server


@asynccontextmanager
async def s_server(openssl, *arguments):
    """Its server, which sends lines back reversed: its port."""
    command = ["-accept", f"{HOST}:0", *certificate_options("server"), "-rev", *arguments]
    process = openssl("s_server", *command)
    with process:
        try:
            line = b""
            while not line.startswith(b"ACCEPT"):
                line = await deferToThread(process.stdout.readline)
                assert line, process.stderr.read()
            yield line.rpartition(b":")[2].strip().decode()
        finally:
            process.kill()


async def reversed_by(socket):
    """Say a line and get it reversed."""
    await socket.output_stream.write_async(b"hello\n")
    return await socket.input_stream.read_exactly(6)


@pytest.mark.parametrize("level", LEVELS)
@pytest_twisted.ensureDeferred
async def test_its_server_is_connected_to_at_every_level_with_our_certificate(level, openssl):
    """Which it demands, and verifies."""
    demand = ["-CAfile", "root", "-Verify", "2", "-verify_return_error"]
    settings = {"client_certificate": client_identity(), "min_protection_level": min(level, Level.TLS12)}
    async with s_server(openssl, *LEVELS[level], *demand) as port, client(**settings) as socket:
        await socket.connect_async(HOST, port, level)
        assert socket.information.protection_level is level
        assert await reversed_by(socket) == b"olleh\n"


@pytest.mark.parametrize("level", [Level.TLS12, Level.TLS13, BEST])
@pytest_twisted.ensureDeferred
async def test_the_level_is_a_ceiling_for_its_server_of_all_versions(level, openssl):
    """The best below it is taken."""
    async with s_server(openssl) as port, client() as socket:
        await socket.connect_async(HOST, port, level)
        assert socket.information.protection_level is (Level.TLS12 if level is Level.TLS12 else Level.TLS13)
        assert await reversed_by(socket) == b"olleh\n"


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_server_need_not_be_shown_a_certificate_that_it_only_requests(level, openssl):
    """It says nothing of it."""
    async with s_server(openssl, "-CAfile", "root", "-verify", "2") as port, client() as socket:
        await socket.connect_async(HOST, port, level)
        assert await reversed_by(socket) == b"olleh\n"


@pytest.mark.parametrize("level", NEW)
@pytest.mark.parametrize("case", BAD_CLIENTS)
@pytest_twisted.ensureDeferred
async def test_a_certificate_that_its_server_refuses_is_told_by_the_alert(case, level, openssl):
    """By TLS 1.2 in connecting, by TLS 1.3 in the first read, with the alert's name and number."""
    certificate, alert = BAD_CLIENTS[case]
    demand = ["-CAfile", "root", "-Verify", "2", "-verify_return_error"]
    if certificate is REVOKED:
        demand += ["-crl_check", "-CRL", "list", "-CRLform", "DER"]
    async with s_server(openssl, *LEVELS[level], *demand) as port, client() as socket:
        socket.control.client_certificate = certificate
        connecting = socket.connect_async(HOST, port, level)
        if level is Level.TLS12:
            problem = await failure_of(connecting)
            assert str(problem).startswith("TLS handshake with")
        else:
            await connecting
            problem = await failure_of(socket.input_stream.read())
    assert problem.status is SocketErrorStatus.UNKNOWN
    assert any(f", {name})" in str(problem) for name in alert.split("|")), problem


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_server_and_we_agree_upon_a_protocol_or_not_at_all(level, openssl):
    """By its preference."""
    async with s_server(openssl, "-alpn", "h2,http/1.1") as port:
        async with client(application_protocols=["http/1.1", "h2"]) as socket:
            await socket.connect_async(HOST, port, level)
            assert socket.information.application_protocol == "h2"
        problem = await failure_of(client(application_protocols=["mqtt"]).connect_async(HOST, port, level))
    assert "no_application_protocol" in str(problem)


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_server_is_asked_for_the_name_of_the_host(level, openssl):
    """By SNI: it has another certificate for another name."""
    second = ["-servername", "localhost", "-cert2", "second", "-key2", "second"]
    async with s_server(openssl, *second) as port:
        async with client() as socket:
            await socket.connect_async(HOST, port, level)
            assert socket.information.server_certificate == server_identity()
        async with client(ignorable_server_certificate_errors=[7]) as socket:
            await socket.connect_async("localhost", port, level)
            assert socket.information.server_certificate == SECOND


@pytest.mark.parametrize("level", NEW)
@pytest_twisted.ensureDeferred
async def test_its_server_knows_a_session_that_we_go_on_with(level, openssl):
    """The second connection shows nobody a certificate, and is verified all the same."""
    async with s_server(openssl) as port:
        for resumed in (False, True):
            async with client(application_protocols=[f"sessions/{level}"]) as socket:
                await socket.connect_async(HOST, port, level)
                assert await reversed_by(socket) == b"olleh\n"
                assert socket._link.protocol.transport.information.resumed is resumed
                assert socket.information.server_certificate == server_identity()
