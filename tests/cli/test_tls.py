"""Echoes over TLS as a user sees them, and what is told of a certificate that is not good enough."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.cli.commands import PATIENCE, Done, run
from tests.cli.servers import echo_stream
from winsockets import Certificate, ChainValidationResult, SocketException, StreamSocketListener
from winsockets.certificates._results import IGNORABLE_RESULTS
from winsockets.cli._tls import parse_ignorable
from winsockets.services._self_signed import SelfSigned
from winsockets.testing import CertificateAuthority, certificate_pem
from winsockets.transports import ClientCertificatePolicy

MEBI = 1024 * 1024
NAMES = ("localhost", "127.0.0.1", "::1")


@cache
def authority(name: str = "ours") -> CertificateAuthority:
    """An authority that nobody else trusts; one for each name."""
    return CertificateAuthority()


@pytest.fixture
def ca(tmp_path: Path) -> str:
    """A file with the root of our authority."""
    path = tmp_path / "root.pem"
    path.write_bytes(certificate_pem(authority().certificate))
    return str(path)


@pytest.fixture
def identity(tmp_path: Path) -> str:
    """A file with a certificate for a client and its private key."""
    path = tmp_path / "client.pem"
    path.write_bytes(certificate_pem(authority().issue_client("somebody@example.test")))
    return str(path)


@asynccontextmanager
async def tls_server(certificate: Certificate | None = None, **settings: Any) -> AsyncIterator[str]:
    """A TLS echo server; gives its URL, by name. Settings are those of the control."""

    async def connected(sender: object, args: Any) -> None:
        async with args.socket as socket:
            with suppress(SocketException):
                await echo_stream(socket)

    async with StreamSocketListener() as listener:
        listener.control.server_certificates = [certificate or authority().issue_server(*NAMES)]
        for name, value in settings.items():
            setattr(listener.control, name, value)
        listener.connection_received += connected
        await listener.bind_endpoint_async("127.0.0.1", 0)
        yield f"tls://localhost:{listener.information.local_port}"


def demanding() -> dict[str, Any]:
    """The settings of a server that lets in only whom our authority vouches for."""
    return {
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [authority().certificate],
    }


def complaint(done: Done) -> list[str]:
    """The lines on standard error of a run that failed without a reply."""
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Traceback" not in done.stderr
    return done.stderr.decode().splitlines()


# Replies


@pytest_twisted.ensureDeferred
async def test_texts_come_back_over_tls(ca: str) -> None:
    """As over TCP, with nothing else on either output."""
    async with tls_server() as url:
        done = await run("echo", url, "--ca", ca, "hello", "zwei Wörter")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\nzwei Wörter\n".encode(), b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest_twisted.ensureDeferred
async def test_the_certificate_has_to_be_for_the_host_of_the_url(ca: str, host: str) -> None:
    """A name or an address."""
    async with tls_server() as url:
        done = await run("echo", url.replace("localhost", host), "--ca", ca, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest_twisted.ensureDeferred
async def test_a_measurement_over_tls_has_its_summary(ca: str) -> None:
    """As over TCP."""
    async with tls_server() as url:
        done = await run("echo", url, "--ca", ca, "--count", "200")
    assert done.stdout.startswith(b"200 sent, 200 received, 0 lost\nround trip: minimum ")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest_twisted.ensureDeferred
async def test_a_message_larger_than_every_buffer_comes_back_over_tls(ca: str) -> None:
    """It is read while it is written."""
    async with tls_server() as url:
        done = await run("echo", url, "--ca", ca, "--size", str(8 * MEBI))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest_twisted.ensureDeferred
async def test_any_bytes_come_back_identical_over_tls(ca: str) -> None:
    """A MiB of them, from standard input."""
    data = os.urandom(MEBI)
    async with tls_server() as url:
        done = await run("echo", url, "--ca", ca, input=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest_twisted.ensureDeferred
async def test_somebody_at_a_terminal_sees_the_version_of_tls(ca: str) -> None:
    """Where the lines go, and under what."""
    terminal, stdin = os.openpty()
    try:
        os.write(terminal, b"hello\n\x04")
        async with tls_server() as url:
            done = await run("echo", url, "--ca", ca, stdin=stdin)
    finally:
        os.close(stdin)
        os.close(terminal)
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    port = url.rpartition(":")[2]
    assert done.stderr.decode() == f"lines go to 127.0.0.1 port {port} with TLS 1.3; Ctrl-D ends\n"


# Client certificates


@pytest_twisted.ensureDeferred
async def test_a_certificate_is_shown_to_a_server_that_asks(ca: str, identity: str) -> None:
    """With its key in the same file."""
    async with tls_server(**demanding()) as url:
        done = await run("echo", url, "--ca", ca, "--certificate", identity, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest_twisted.ensureDeferred
async def test_the_key_may_be_in_a_file_of_its_own(ca: str, identity: str, tmp_path: Path) -> None:
    """In any order of the options."""
    pem = Path(identity).read_bytes()
    certificate, begin, key = pem.partition(b"-----BEGIN PRIVATE KEY-----")
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(begin + key)
    files = ("--private-key", f"{tmp_path}/key.pem", "--certificate", f"{tmp_path}/certificate.pem")
    async with tls_server(**demanding()) as url:
        done = await run("echo", url, "--ca", ca, *files, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest_twisted.ensureDeferred
async def test_a_server_that_wants_a_certificate_refuses_a_client_without(ca: str) -> None:
    """One line, which says what to do; the server's own certificate is not spoken of."""
    async with tls_server(**demanding()) as url:
        (line,) = complaint(await run("echo", url, "--ca", ca, "hello"))
    assert "certificate" in line


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_servers_alone_is_one_line(tmp_path: Path) -> None:
    """Nobody is connected to with it."""
    path = tmp_path / "server.pem"
    path.write_bytes(certificate_pem(SelfSigned(["localhost"]).certificate))
    (line,) = complaint(await run("echo", "tls://localhost:1", "--certificate", str(path), "hello"))
    assert line.startswith("winsockets: E_INVALIDARG: ")
    assert "is not for clients" in line


# What is wrong with a server's certificate


@pytest_twisted.ensureDeferred
async def test_an_unknown_authority_is_told_with_the_chain() -> None:
    """Which check failed, for whom, and each certificate with its subject, issuer and validity."""
    certificate = authority("theirs").create_intermediate().issue_server("localhost")
    async with tls_server(certificate) as url:
        first, check, own, issuer = complaint(await run("echo", url, "hello"))
    assert re.match(r"winsockets: CERTIFICATE_\w+: TLS handshake with 127\.0\.0\.1 port \d+: ", first)
    assert check.startswith("  checked for localhost: ")
    assert {*check.removeprefix("  checked for localhost: ").split(", ")} <= {"UNTRUSTED", "INCOMPLETE_CHAIN"}
    validity = "valid 2000-01-01 00:00 to 3000-01-01 00:00 UTC"
    assert own == f"  0: {certificate.subject!r}, issued by {certificate.issuer!r}, {validity}"
    above = certificate.intermediates[0]
    assert issuer.startswith(f"  1: {above.subject!r}, issued by {above.issuer!r}, valid ")


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_another_name_is_told_with_the_name(ca: str) -> None:
    """The one that was asked for; the subject is the one that it has."""
    certificate = authority().issue_server("elsewhere.test")
    async with tls_server(certificate) as url:
        lines = complaint(await run("echo", url, "--ca", ca, "hello"))
    assert lines[0].startswith("winsockets: CERTIFICATE_COMMON_NAME_IS_INCORRECT: ")
    assert "not for localhost" in lines[0]
    assert lines[1] == "  checked for localhost: INVALID_NAME; it is for 'elsewhere.test'"
    assert lines[2].startswith(f"  0: {certificate.subject!r}, issued by ")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a.test", "192.0.2.1", "*.b.test"), "'a.test', '*.b.test', 192.0.2.1"),
        ([f"{letter}.test" for letter in "abcdefghijkl"], "'j.test' and 2 more"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_whom_a_certificate_is_for_is_told(names: Sequence[str], told: str, ca: str) -> None:
    """Names, patterns and addresses; of many the first ten."""
    async with tls_server(authority().issue_server(*names)) as url:
        lines = complaint(await run("echo", url, "--ca", ca, "hello"))
    assert lines[1].endswith(told)


@pytest_twisted.ensureDeferred
async def test_everything_that_is_wrong_is_told_at_once(ca: str) -> None:
    """And what was to be ignored is left out: the rest is what it failed for."""
    async with tls_server(authority().issue_expired("elsewhere.test")) as url:
        both = complaint(await run("echo", url, "--ca", ca, "hello"))
        rest = complaint(await run("echo", url, "--ca", ca, "--insecure-ignore", "INVALID_NAME", "hello"))
    assert both[1] == "  checked for localhost: INVALID_NAME, EXPIRED; it is for 'elsewhere.test'"
    assert rest[0].startswith("winsockets: CERTIFICATE_EXPIRED: ")
    assert rest[1] == "  checked for localhost: EXPIRED"
    assert "to 2001-01-01 00:00 UTC" in rest[2]


@pytest_twisted.ensureDeferred
async def test_what_is_to_be_ignored_is(ca: str) -> None:
    """All of it; in any case, with blanks."""
    async with tls_server(authority().issue_expired("elsewhere.test")) as url:
        ignored = ("--insecure-ignore", "expired, INVALID_NAME")
        done = await run("echo", url, "--ca", ca, *ignored, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest_twisted.ensureDeferred
async def test_the_other_authorities_are_not_trusted_beside_ours(ca: str) -> None:
    """--ca is instead of the system's."""
    async with tls_server(authority("theirs").issue_server(*NAMES)) as url:
        lines = complaint(await run("echo", url, "--ca", ca, "hello"))
    assert lines[0].startswith("winsockets: CERTIFICATE_")


@pytest_twisted.ensureDeferred
async def test_a_server_without_tls_is_one_line(ca: str) -> None:
    """With the number of the HRESULT, because there is no status for it."""
    async with StreamSocketListener() as listener:
        listener.connection_received += answer_plainly
        await listener.bind_endpoint_async("127.0.0.1", 0)
        url = f"tls://localhost:{listener.information.local_port}"
        (line,) = complaint(await run("echo", url, "--ca", ca, "hello"))
    assert line.startswith("winsockets: 0x80090308: TLS handshake with 127.0.0.1 port ")
    assert "does not speak TLS" in line


async def answer_plainly(sender: object, args: Any) -> None:
    """Greet, as mail servers do."""
    async with args.socket as socket:
        with suppress(SocketException):
            await socket.output_stream.write_async(b"220 hello\r\n")
            await socket.input_stream.read(MEBI)


@pytest_twisted.ensureDeferred
async def test_a_server_that_never_shakes_hands_is_given_up(ca: str) -> None:
    """After --timeout."""

    async def keep(sender: object, args: Any) -> None:
        async with args.socket as socket:
            with suppress(SocketException):
                async for _ in socket.input_stream:
                    pass

    async with StreamSocketListener() as listener:
        listener.connection_received += keep
        await listener.bind_endpoint_async("127.0.0.1", 0)
        url = f"tls://localhost:{listener.information.local_port}"
        (line,) = complaint(await run("echo", url, "--ca", ca, "--timeout", "0.3", "hello"))
    assert line.startswith("winsockets: CONNECTION_TIMED_OUT: TLS handshake with 127.0.0.1 port ")


# Command lines


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["tls://localhost", "--insecure-ignore", "REVOKED"], "'REVOKED' cannot be ignored; these can be: "),
        (["tls://localhost", "--insecure-ignore", "ALL"], "'ALL' is unknown; these can be: UNTRUSTED"),
        (["tls://localhost", "--insecure-ignore", ""], "'' is unknown"),
        (["tls://localhost", "--insecure-ignore", "EXPIRED,SUCCESS"], "'SUCCESS' cannot be ignored"),
        (["tls://localhost", "--ca", "no-such-file"], "no-such-file: No such file or directory"),
        (["tls://localhost", "--certificate", "no-such-file"], "no-such-file: No such file or directory"),
        (["tls://localhost", "--private-key", "x"], "give it with --certificate"),
        (
            ["tls://localhost", "--certificate", __file__, "--private-key", "x"],
            "Invalid value for '--certificate' / '--private-key': ",
        ),
        (["tcp://localhost", "--insecure-ignore", "EXPIRED"], "write tls://"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_option_of_tls_has_status_2(arguments: list[str], advice: str) -> None:
    """The usage and a hint, on standard error."""
    done = await run("echo", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Usage: winsockets echo")
    assert advice in " ".join(done.stderr.decode().split())


@pytest_twisted.ensureDeferred
async def test_certificates_are_for_tls_alone(ca: str) -> None:
    """Over a plain connection nobody would look at them."""
    done = await run("echo", "udp://localhost", "--ca", ca)
    assert done.returncode == 2
    assert b"write tls://" in done.stderr


@pytest.mark.parametrize(
    ("password", "advice"), [("secret", "it is encrypted"), (None, "private key is that of another")]
)
@pytest_twisted.ensureDeferred
async def test_a_key_that_cannot_be_used_has_status_2(
    identity: str, tmp_path: Path, password: str | None, advice: str
) -> None:
    """Encrypted, or another certificate's."""
    path = tmp_path / "other.pem"
    own = Certificate.load_file(identity)
    pem = certificate_pem(own if password else authority().issue_client("other@example.test"), password)
    path.write_bytes(b"-----BEGIN" + pem.rpartition(b"-----BEGIN")[2])
    chain = tmp_path / "chain.pem"
    chain.write_bytes(Path(identity).read_bytes().partition(b"-----BEGIN PRIVATE KEY-----")[0])
    done = await run("echo", "tls://localhost", "--certificate", str(chain), "--private-key", str(path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert advice in done.stderr.decode()


@pytest.mark.parametrize("result", ChainValidationResult)
def test_exactly_what_is_not_fatal_can_be_ignored(result: ChainValidationResult) -> None:
    """As the library has it."""
    if result in IGNORABLE_RESULTS:
        assert parse_ignorable(result.name) == {result}
    else:
        with pytest.raises(ValueError, match="cannot be ignored"):
            parse_ignorable(result.name)


# Other people's servers


@pytest.fixture
def s_server(require_program: Callable[[str], str], tmp_path: Path) -> Iterator[str]:
    """OpenSSL's test server, which sends each line back reversed; gives its URL."""
    path = tmp_path / "server.pem"
    path.write_bytes(certificate_pem(authority().issue_server(*NAMES)))
    line = [require_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", str(path), "-rev"]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = next(found for found in server.stdout if found.startswith("ACCEPT")).strip().rpartition(":")[2]
        yield f"tls://localhost:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


@pytest_twisted.ensureDeferred
async def test_openssls_server_is_spoken_to(s_server: str, ca: str) -> None:
    """A palindrome comes back as it was."""
    done = await run("echo", s_server, "--ca", ca, "abba")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"abba\n", b"")
