"""``twistd winsockets-echo --tls`` as a stranger runs it: real processes, other people's clients."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL

from tests.services.tls import (
    CLIENT,
    authority,
    client_identity,
    fingerprint_at,
    server_identity,
    tls_client,
    write,
)
from tests.services.twistd import PATIENCE, Echo, environment
from winsockets.certificates import Certificate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="twistd has no signals and daemons there")

TLS_ONLY = ("--tcp=none", "--udp=none", "--tls=0")
MEBI = 1024 * 1024


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the files of a server, a client and their authority."""
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "server.pem", server_identity("one"))
    write(folder / "client.pem", client_identity("ours"))
    write(folder / "stranger.pem", client_identity("theirs"))
    write(folder / "root.pem", authority("ours").certificate)
    return folder


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    """A server that is not started yet."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = Echo(folder)
    yield server
    server.clean_up()


def started(echo: Echo, files: Path, *arguments: str) -> int:
    """Start a server with the certificate in our files, and return its port."""
    echo.start(*TLS_ONLY, "--certificate", f"{files}/server.pem", *arguments)
    return echo.ports["tls", "127.0.0.1"]


def stopped(echo: Echo) -> str:
    """Stop a server that has nobody to wait for, and return its last words."""
    echo.signal()
    assert echo.wait() == -signal.SIGTERM
    assert echo.complaints() == []
    assert echo.files == set()
    return next(line for line in echo.log.splitlines() if "Stopped. " in line).partition("Stopped. ")[2]


def command(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ``winsockets echo``."""
    return subprocess.run(
        [sys.executable, "-m", "winsockets", "echo", *arguments],
        input=data,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )


# Echoes


def test_our_command_gets_a_mebibyte_of_any_bytes_back(echo: Echo, files: Path) -> None:
    """Over both families, and the totals count it."""
    echo.start(*TLS_ONLY, "--certificate", f"{files}/server.pem")
    data = os.urandom(MEBI)
    for place in (f"127.0.0.1:{echo.ports['tls', '127.0.0.1']}", f"[::1]:{echo.ports['tls', '::1']}"):
        done = command(f"tls://{place}", "--ca", f"{files}/root.pem", data=data)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == data
    totals = stopped(echo)
    assert totals.startswith(
        f"TCP: 2 accepted, {2 * MEBI} bytes echoed; 2 closed by the client, 0 broken off"
    )
    assert totals.endswith("TLS: 2 of those accepted; 0 failed handshakes.")


def test_plain_and_tls_are_served_beside_each_other(echo: Echo, files: Path) -> None:
    """Each on its port, and all are named at the start."""
    echo.start("--tcp=0", "--udp=0", "--tls=0", "--tls=0", "--certificate", f"{files}/server.pem")
    assert {scheme for scheme, _ in echo.ports} == {"tcp", "tls", "udp"}
    assert len(re.findall(r"tls://127\.0\.0\.1:", echo.log)) == 2
    with socket.create_connection(("127.0.0.1", echo.ports["tcp", "127.0.0.1"]), PATIENCE) as plain:
        plain.sendall(b"plain")
        assert plain.recv(100) == b"plain"
    with tls_client(echo.ports["tls", "127.0.0.1"]) as client:
        client.sendall(b"secret")
        assert client.recv(100) == b"secret"
        client.unwrap().close()
    assert stopped(echo).startswith("TCP: 2 accepted, 11 bytes echoed")


def s_client(openssl: str, port: int, files: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start OpenSSL's test client, which verifies the server."""
    return subprocess.Popen(
        [
            *(openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", f"{files}/root.pem"),
            *("-verify_hostname", "localhost", "-verify_return_error", "-quiet", "-no_ign_eof", *arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_shows_its_certificate_and_gets_its_line_back(
    echo: Echo, files: Path, require_program: Callable[[str], str], version: str
) -> None:
    """Each side has verified the other; the log says who it was."""
    port = started(echo, files, "--client-ca", f"{files}/root.pem", "--require-client-certificate")
    with s_client(require_program("openssl"), port, files, version, "-cert", f"{files}/client.pem") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"hello\n"
        client.communicate(timeout=PATIENCE)
    assert client.returncode == 0
    assert "TLS: 1 of those accepted; 0 failed handshakes." in stopped(echo)
    assert f" ({CLIENT!r}): 6 bytes echoed in " in echo.log


@pytest.mark.parametrize(
    ("identity", "reason"), [(None, "showed no certificate"), ("stranger.pem", "was not accepted")]
)
def test_openssl_without_a_good_certificate_is_refused(
    echo: Echo, files: Path, require_program: Callable[[str], str], identity: str | None, reason: str
) -> None:
    """The log says why, and the totals count it."""
    port = started(echo, files, "--client-ca", f"{files}/root.pem", "--require-client-certificate")
    shown = ("-cert", f"{files}/{identity}") if identity else ()
    with s_client(require_program("openssl"), port, files, *shown) as client:
        assert client.stdout is not None
        assert client.stdout.read() == b""
        client.communicate(timeout=PATIENCE)
    echo.wait_for("A client did not get in: ")
    assert reason in echo.log
    assert stopped(echo).startswith("TCP: 0 accepted")
    assert "TLS: 0 of those accepted; 1 failed handshakes." in echo.log


def test_without_a_demand_a_certificate_may_be_left_out_but_not_be_bad(echo: Echo, files: Path) -> None:
    """Three commands: without one, with a good one, with a stranger's."""
    port = started(echo, files, "--client-ca", f"{files}/root.pem")
    line = (f"tls://localhost:{port}", "--ca", f"{files}/root.pem", "hello")
    assert command(*line).stdout == b"hello\n"
    assert command(*line, "--certificate", f"{files}/client.pem").stdout == b"hello\n"
    refused = command(*line, "--certificate", f"{files}/stranger.pem")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.count(b"\n") == 1
    assert "TLS: 2 of those accepted; 1 failed handshakes." in stopped(echo)


def test_half_closing_brings_everything_and_then_the_end(echo: Echo, files: Path) -> None:
    """The client has said that it is done (close_notify) before it reads anything."""
    port = started(echo, files)
    data = os.urandom(100_000)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        plain.settimeout(None)
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), plain)
        client.set_connect_state()
        client.do_handshake()
        client.sendall(data)
        client.shutdown()
        back = b""
        while len(back) < len(data):
            back += client.recv(65536)
        with pytest.raises(SSL.ZeroReturnError):
            client.recv(1)
    assert back == data
    assert "1 closed by the client, 0 broken off" in stopped(echo)


# Files that change


def test_sighup_brings_the_new_certificate_and_loses_nobody(echo: Echo, files: Path) -> None:
    """A file that cannot be used changes nothing but the log; one that can, the next connection."""
    port = started(echo, files)
    first, second = (server_identity(name).get_hash_value("SHA256") for name in ("one", "two"))
    assert fingerprint_at(port) == first
    with tls_client(port) as client:
        write(files / "server.pem", server_identity("two"))
        assert fingerprint_at(port) == first
        echo.signal(signal.SIGHUP)
        echo.wait_for("New connections get the certificate of ")
        assert second.hex(":").upper() in echo.log
        assert fingerprint_at(port) == second
        (files / "server.pem").write_bytes(b"half of a fi")
        echo.signal(signal.SIGHUP)
        echo.wait_for("The certificate stays as it was: ")
        assert fingerprint_at(port) == second
        (files / "server.pem").unlink()
        echo.signal(signal.SIGHUP)
        echo.wait_for("The certificate stays as it was: ")
        assert fingerprint_at(port) == second
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
        client.unwrap().close()
    echo.signal()
    assert echo.wait() == -signal.SIGTERM
    said = [line.partition("as it was: ")[2] for line in echo.complaints()]
    assert len(said) == 2
    assert all(f"{files}/server.pem" in line for line in said)


def test_a_key_in_a_file_of_its_own_is_read_again_too(echo: Echo, files: Path) -> None:
    """Both change, or neither."""

    def split(identity: Certificate) -> None:
        write(files / "both.pem", identity)
        chain, begin, key = (files / "both.pem").read_bytes().partition(b"-----BEGIN PRIVATE KEY-----")
        (files / "chain.pem").write_bytes(chain)
        (files / "key.pem").write_bytes(begin + key)

    split(server_identity("one"))
    old_key = (files / "key.pem").read_bytes()
    names = ("--certificate", f"{files}/chain.pem", "--private-key", f"{files}/key.pem")
    echo.start(*TLS_ONLY, *names)
    port = echo.ports["tls", "127.0.0.1"]
    split(server_identity("two"))
    new_key = (files / "key.pem").read_bytes()
    (files / "key.pem").write_bytes(old_key)
    echo.signal(signal.SIGHUP)
    echo.wait_for("the private key is that of another certificate")
    assert fingerprint_at(port) == server_identity("one").get_hash_value("SHA256")
    (files / "key.pem").write_bytes(new_key)
    echo.signal(signal.SIGHUP)
    echo.wait_for("New connections get the certificate of ")
    assert fingerprint_at(port) == server_identity("two").get_hash_value("SHA256")


def test_sighup_brings_the_new_authorities_of_clients(echo: Echo, files: Path) -> None:
    """Whom only the old ones vouch for is not let in any more."""
    write(files / "vouching.pem", authority("theirs").certificate)
    port = started(echo, files, "--client-ca", f"{files}/vouching.pem")
    line = (f"tls://localhost:{port}", "--ca", f"{files}/root.pem", "hello", "--certificate")
    assert command(*line, f"{files}/stranger.pem").stdout == b"hello\n"
    assert command(*line, f"{files}/client.pem").stdout == b""
    write(files / "vouching.pem", authority("ours").certificate)
    echo.signal(signal.SIGHUP)
    echo.wait_for("New connections get the certificate of ")
    assert command(*line, f"{files}/stranger.pem").stdout == b""
    assert command(*line, f"{files}/client.pem").stdout == b"hello\n"


# A certificate made on the spot


def test_a_throw_away_certificate_is_trusted_by_its_root_while_the_server_runs(echo: Echo) -> None:
    """The log has the fingerprint and the file, which only this user can reach, and which goes at the end."""
    echo.start(*TLS_ONLY, "--self-signed")
    port = echo.ports["tls", "127.0.0.1"]
    said = re.search(r"SHA-256 fingerprint ([0-9A-F:]{95}); .* root in (\S+/root\.pem) ", echo.log)
    assert said is not None
    path = Path(said[2])
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IRWXU
    assert b"PRIVATE" not in path.read_bytes()
    assert fingerprint_at(port, Certificate.load_file(path)).hex(":").upper() == said[1]
    for host in ("localhost", "127.0.0.1", "[::1]"):
        port = echo.ports["tls", host.strip("[]") if host != "localhost" else "127.0.0.1"]
        done = command(f"tls://{host}:{port}", "--ca", str(path), "hello")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")
    stopped(echo)
    assert not path.parent.exists()


def test_a_closed_terminal_stops_a_server_with_a_throw_away_certificate(echo: Echo) -> None:
    """There are no files to read again."""
    echo.start(*TLS_ONLY, "--self-signed")
    echo.signal(signal.SIGHUP)
    assert echo.wait() == 0
    assert "Stopped. " in echo.log
    assert echo.complaints() == []


# Handshakes that do not end


def test_a_client_that_never_finishes_its_handshake_is_given_up(echo: Echo, files: Path) -> None:
    """At the deadline, with a line that says so; it was never accepted."""
    port = started(echo, files, "--handshake-timeout=0.1")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as silent:
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")
        with pytest.raises(ConnectionResetError):
            assert silent.recv(1) != b""
    echo.wait_for("not done within 0.1 s")
    assert stopped(echo).startswith("TCP: 0 accepted")
    assert "TLS: 0 of those accepted; 1 failed handshakes." in echo.log


def test_a_stop_breaks_handshakes_off(echo: Echo, files: Path) -> None:
    """Nobody waits for them, however long the drain time is; who is in may finish."""
    port = started(echo, files, "--drain-timeout=1000", "--handshake-timeout=1000")
    with (
        tls_client(port) as client,
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as silent,
    ):
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")
        # Whoever came later is in, so the silent one was accepted before.
        with tls_client(port) as later:
            later.sendall(b"x")
            assert later.recv(1) == b"x"
            later.unwrap().close()
        echo.wait_for(": 1 bytes echoed in ")
        echo.signal()
        echo.wait_for("Stopping: open connections (1)")
        with pytest.raises(ConnectionResetError):
            assert silent.recv(1) != b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        client.sendall(b"after")
        assert client.recv(100) == b"after"
        client.unwrap().close()
    assert echo.wait() == -signal.SIGTERM
    assert "2 closed by the client, 0 broken off, 0 closed for silence, 0 cut off" in echo.log


def test_at_the_end_of_the_drain_time_tls_clients_are_cut_off_too(echo: Echo, files: Path) -> None:
    """They are told (close_notify); one that never takes what is sent back is not waited for."""
    port = started(echo, files, "--drain-timeout=0.05")
    with tls_client(port) as quiet, tls_client(port) as stalled:
        quiet.sendall(b"x")
        assert quiet.recv(1) == b"x"
        stalled.settimeout(0.2)
        with pytest.raises((TimeoutError, ssl.SSLWantWriteError)):
            stalled.sendall(bytes(64 * MEBI))
        echo.signal()
        assert quiet.recv(1) == b""
        quiet.close()
        assert echo.wait() == -signal.SIGTERM
    assert "2 cut off" in echo.log
    assert echo.complaints() == []


# Refusing to start


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_a_certificate_that_cannot_be_used_is_one_line_and_status_1(
    echo: Echo, files: Path, background: bool
) -> None:
    """The other ways are tested without a process."""
    key = ("--private-key", f"{files}/missing.pem")
    done = echo.run(*TLS_ONLY, "--certificate", f"{files}/server.pem", *key, background=background)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("winsockets-echo: cannot start: ")
    assert f"{files}/missing.pem: No such file or directory" in line
    assert echo.files == set()


def test_a_throw_away_certificate_in_the_background_is_one_line_and_status_1(echo: Echo) -> None:
    """Nobody would see where the root is."""
    done = echo.run(*TLS_ONLY, "--self-signed", background=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "write twistd -n" in line
    assert echo.files == set()
