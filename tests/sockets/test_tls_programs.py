"""Our sockets and OpenSSL's own programs."""

from __future__ import annotations

import subprocess

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.sockets.tls import HOST, authority, client, client_identity, echo, server_identity, serving
from tests.transports.loopback import PATIENCE
from winsockets.sockets import SocketProtectionLevel
from winsockets.testing import certificate_pem
from winsockets.transports import ClientCertificatePolicy

LEVELS = [("-tls1_2", SocketProtectionLevel.TLS12), ("-tls1_3", SocketProtectionLevel.TLS13)]


@pytest.fixture
def files(tmp_path):
    """What the programs read: a server's and a client's certificate with their keys, and the root."""
    for name, certificate in {
        "server": server_identity(),
        "client": client_identity(),
        "root": authority().certificate,
    }.items():
        (tmp_path / name).write_bytes(certificate_pem(certificate))
    return {path.name: str(path) for path in tmp_path.iterdir()}


@pytest.mark.parametrize(("flag", "level"), LEVELS)
@pytest_twisted.ensureDeferred
async def test_openssls_client_is_served(flag, level, files, require_program):
    """It verifies us, shows its certificate, and gets its bytes back."""
    program = require_program("openssl")
    seen = []

    async def handler(sender, args):
        information = args.socket.information
        seen.append((information.client_certificate, information.protection_level))
        await echo(sender, args)

    async with serving(
        handler,
        client_certificate_policy=ClientCertificatePolicy.REQUIRE,
        trusted_client_certificates=[authority().certificate],
    ) as listener:
        command = [program, "s_client", "-connect", f"{HOST}:{listener.information.local_port}", flag]
        command += ["-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error"]
        command += ["-CAfile", files["root"], "-cert", files["client"], "-key", files["client"], "-quiet"]
        command += ["-no_ign_eof"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                process.stdin.write(b"hello\n")
                process.stdin.flush()
                assert await deferToThread(process.stdout.readline) == b"hello\n"
            finally:
                process.kill()
    assert seen == [(client_identity(), level)]


@pytest.mark.parametrize(("flag", "level"), LEVELS)
@pytest_twisted.ensureDeferred
async def test_openssls_server_is_connected_to(flag, level, files, require_program):
    """With our certificate, which it demands; its words come back reversed."""
    program = require_program("openssl")
    command = [program, "s_server", "-accept", f"{HOST}:0", "-cert", files["server"], "-key", files["server"]]
    command += ["-CAfile", files["root"], "-Verify", "2", "-verify_return_error", "-rev", flag]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            line = b""
            while not line.startswith(b"ACCEPT"):
                line = await deferToThread(process.stdout.readline)
                assert line, "it has ended"
            port = line.rpartition(b":")[2].strip().decode()
            async with client(client_certificate=client_identity()) as socket:
                await socket.connect_async(HOST, port, level)
                assert socket.information.protection_level is level
                await socket.output_stream.write_async(b"hello\n")
                assert await socket.input_stream.read_exactly(6) == b"olleh\n"
        finally:
            process.kill()
            await deferToThread(process.wait, PATIENCE)
