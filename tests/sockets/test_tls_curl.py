"""The client whom everybody has, curl, and a few lines of HTTP over our TLS."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.sockets.tls import authority, client_identity, server_identity, serving
from tests.transports.loopback import PATIENCE, pattern, until
from winsockets.errors import SocketException
from winsockets.testing import certificate_pem
from winsockets.transports import ClientCertificatePolicy

VERSIONS = {"1.2": ["--tls-max", "1.2"], "1.3": ["--tlsv1.3"]}
DEMANDING = {
    "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
    "trusted_client_certificates": [authority().certificate],
}


@pytest.fixture
def curl(tmp_path, require_program):
    """A way to run it: it trusts our authority, says what goes wrong, and has certificates to show."""
    program = require_program("curl")
    (tmp_path / "root").write_bytes(certificate_pem(authority().certificate))
    (tmp_path / "client").write_bytes(certificate_pem(client_identity()))
    (tmp_path / "stranger").write_bytes(certificate_pem(client_identity(by="others")))

    def run(listener, *arguments, data=None):
        url = f"https://localhost:{listener.information.local_port}/"
        command = [program, "--silent", "--show-error", "--cacert", "root", "--max-time", str(PATIENCE)]
        return deferToThread(
            subprocess.run,
            [*command, *arguments, url],
            input=data,
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )

    return run


async def head_of(socket):
    """The head of a request, and what came of its body already."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += await socket.input_stream.read()
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), rest


async def answer(listener, args):
    """Send back who asks and what was posted; the end of the stream is the end of it (HTTP/1.0)."""
    with suppress(SocketException):
        async with args.socket as socket:
            information = socket.information
            lines, body = await head_of(socket)
            fields = dict(line.lower().split(": ", 1) for line in lines[1:])
            size = int(fields.get("content-length", "0"))
            body += await socket.input_stream.read_exactly(size - len(body)) if size > len(body) else b""
            who = information.client_certificate
            head = f"HTTP/1.0 200 OK\r\nX-Client: {who.subject if who else ''}\r\n"
            head += f"X-Protocol: {information.application_protocol}\r\n\r\n"
            await socket.output_stream.write_async(head.encode() + lines[0].encode() + b"\n" + body)


@pytest.mark.parametrize("version", VERSIONS)
@pytest_twisted.ensureDeferred
async def test_curl_gets_an_answer_and_the_end_of_it(version, curl):
    """Without a length: only close_notify tells it that nothing was cut off."""
    async with serving(answer, application_protocols=["http/1.1"]) as listener:
        done = await curl(listener, *VERSIONS[version], "--include")
    assert done.returncode == 0, done.stderr
    assert b"X-Client: \r\nX-Protocol: http/1.1\r\n\r\nGET / HTTP/1.1\n" in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest_twisted.ensureDeferred
async def test_curl_posts_a_mebibyte_and_shows_its_certificate(version, curl):
    """What it sends comes back, and who it is."""
    data = pattern(1 << 20)
    async with serving(answer, **DEMANDING) as listener:
        shown = ["--cert", "client", "--include", "--header", "Expect:", "--data-binary", "@-"]
        done = await curl(listener, *VERSIONS[version], *shown, data=data)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"X-Client: somebody@example.test" in head
    assert body == b"POST / HTTP/1.1\n" + data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("shown", "why"),
    [([], "certificate required|handshake failure"), (["--cert", "stranger"], "unknown ca")],
    ids=["none", "a stranger's"],
)
@pytest_twisted.ensureDeferred
async def test_curl_without_a_good_certificate_gets_nothing(shown, why, version, curl):
    """It is told why; the program does not hear of it."""
    heard = []
    async with serving(lambda sender, args: heard.append(args.socket), **DEMANDING) as listener:
        done = await curl(listener, *VERSIONS[version], *shown)
        await until(lambda: listener.information.failed_handshakes == 1)
    assert heard == []
    assert done.stdout == b""
    assert done.returncode in {35, 55, 56}
    assert any(words in done.stderr.decode() for words in why.split("|")) or done.returncode == 55


@pytest.mark.parametrize("case", ["untrusted", "wrong name"])
@pytest_twisted.ensureDeferred
async def test_curl_refuses_a_server_that_is_somebody_else(case, curl):
    """As we do: the listener counts it."""
    certificate = server_identity(by="others") if case == "untrusted" else server_identity("other.example")
    async with serving(server_certificates=[certificate]) as listener:
        done = await curl(listener)
        assert done.returncode == 60, done.stderr
        if case == "untrusted":
            await until(lambda: listener.information.failed_handshakes == 1)
