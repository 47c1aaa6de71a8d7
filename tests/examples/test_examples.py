"""The programs of docs/examples that came from C#, against each other, and against nc and socat."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.examples.programs import (
    ENVIRONMENT,
    EXAMPLES,
    PATIENCE,
    Program,
    example,
    run,
    running,
    server,
    socat,
    until,
)
from winsockets.testing import CertificateAuthority, certificate_pem


@pytest.fixture
def udp_ports() -> tuple[str, str]:
    """Two ports that are free for UDP, in both families."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)]
        for each in sockets:
            each.bind(("", 0))
        first, second = (str(each.getsockname()[1]) for each in sockets)
    return first, second


def localhost() -> tuple[str, str]:
    """The address that localhost means first, as socat writes it, and its family as socat names it."""
    family, *_, address = socket.getaddrinfo("localhost", None, type=socket.SOCK_DGRAM)[0]
    return (f"[{address[0]}]", "6") if family == socket.AF_INET6 else (str(address[0]), "4")


# TCP


def test_the_tcp_client_gets_its_line_back_from_the_server() -> None:
    """As often as it asks."""
    with server("tcp_echo_server.py", "0") as port:
        for _ in range(2):
            assert run(*example("tcp_echo_client.py", port)) == "test\n"


def test_the_tcp_server_answers_nc(require_program: Program) -> None:
    """One line, then the end of the connection."""
    with server("tcp_echo_server.py", "0") as port:
        assert run(require_program("nc"), "127.0.0.1", port, given="grüße\nand more\n") == "grüße\n"


def test_the_tcp_server_answers_socat(require_program: Program) -> None:
    """Lines may end as Windows ends them."""
    with server("tcp_echo_server.py", "0") as port:
        assert run(require_program("socat"), "-", f"TCP:127.0.0.1:{port}", given="hello\r\n") == "hello\n"


def test_the_tcp_client_talks_to_nc(require_program: Program) -> None:
    """What nc says in time is the reply."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with running(require_program("nc"), "-v", "-l", "127.0.0.1", port) as nc:
        until(nc.stderr, "istening on", nc)
        assert nc.stdin is not None
        nc.stdin.write("hello from nc\n")
        nc.stdin.flush()
        assert run(*example("tcp_echo_client.py", port)) == "hello from nc\n"
        assert nc.communicate(timeout=PATIENCE)[0] == "test\n"


def test_the_tcp_client_talks_to_socat(require_program: Program) -> None:
    """Its PIPE is an echo."""
    with socat(require_program, "TCP-LISTEN:0,bind=127.0.0.1,fork", "PIPE") as (_, port):
        assert run(*example("tcp_echo_client.py", port)) == "test\n"


def test_a_client_without_a_server_says_so() -> None:
    """In a line, with status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            example("tcp_echo_client.py", port),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"no echo: connect to localhost port {port} (")
    assert done.stderr.count("\n") == 1


# TLS


@contextmanager
def tls_echo(folder: Path) -> Iterator[str]:
    """Python's own TLS, which demands certificates of its clients and sends one line back; gives its port."""
    authority = CertificateAuthority()
    (folder / "client.pem").write_bytes(certificate_pem(authority.issue_client("somebody@example.test")))
    (folder / "root.pem").write_bytes(certificate_pem(authority.certificate))
    (folder / "server.pem").write_bytes(certificate_pem(authority.issue_server("localhost")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "root.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        plain, _ = listening.accept()
        plain.settimeout(PATIENCE)
        with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as peer:
            peer.sendall(peer.recv(1024))
            peer.recv(1024)

    family, *_, address = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)[0]
    with socket.create_server((str(address[0]), 0), family=family) as listening:
        listening.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(listening.getsockname()[1])
        finally:
            thread.join()


def test_the_tls_client_shows_its_certificate_and_gets_its_line_back(tmp_path: Path) -> None:
    """To a server that demands one."""
    with tls_echo(tmp_path) as port:
        files = str(tmp_path / "client.pem"), str(tmp_path / "root.pem")
        assert run(*example("tls_echo_client.py", *files, port)) == "test\n"


def test_the_tls_client_says_what_is_wrong_with_the_server(tmp_path: Path) -> None:
    """In a line, with status 1: this root is not the server's."""
    with tls_echo(tmp_path) as port:
        (tmp_path / "root.pem").write_bytes(certificate_pem(CertificateAuthority().certificate))
        done = subprocess.run(
            example("tls_echo_client.py", str(tmp_path / "client.pem"), str(tmp_path / "root.pem"), port),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no echo: TLS handshake with ")
    assert "its chain ends in a root that is not trusted here" in done.stderr


# UDP


def test_the_udp_client_gets_its_message_back_from_the_server(udp_ports: tuple[str, str]) -> None:
    """From the server's port to the client's."""
    with server("udp_echo_server.py", *udp_ports) as port:
        assert port == udp_ports[0]
        assert run(*example("udp_echo_client.py", *udp_ports)) == "Hello, world!\n"


def test_the_udp_server_answers_nc_at_the_other_port(
    require_program: Program, udp_ports: tuple[str, str]
) -> None:
    """Whichever port the message came from."""
    receiving = f"UDP4-RECVFROM:{udp_ports[1]},bind=127.0.0.1"
    with (
        server("udp_echo_server.py", *udp_ports) as port,
        socat(require_program, "-u", receiving, "STDOUT") as (receiver, _),
        running(require_program("nc"), "-u", "127.0.0.1", port) as nc,
    ):
        assert nc.stdin is not None
        nc.stdin.write("hello\n")
        nc.stdin.flush()
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "hello\n"


def test_the_udp_client_talks_to_nc(require_program: Program, udp_ports: tuple[str, str]) -> None:
    """What nc says to it is the reply."""
    address = localhost()[0].strip("[]")
    with running(require_program("nc"), "-v", "-u", "-l", address, udp_ports[0]) as nc:
        until(nc.stderr, "ound on", nc)
        assert nc.stdin is not None
        nc.stdin.write("hello from nc\n")
        nc.stdin.flush()
        assert run(*example("udp_echo_client.py", *udp_ports)) == "hello from nc\n"
        assert nc.stdout is not None
        assert nc.stdout.readline() == "Hello, world!\n"


def test_the_udp_client_talks_to_socat(require_program: Program, udp_ports: tuple[str, str]) -> None:
    """Its PIPE is an echo."""
    address, family = localhost()
    listening = f"UDP{family}-RECVFROM:{udp_ports[0]},bind={address},fork"
    with socat(require_program, listening, "PIPE"):
        assert run(*example("udp_echo_client.py", *udp_ports)) == "Hello, world!\n"


# All


def test_each_way_of_sending_many_packets_delivers_them() -> None:
    """All of them, in their order."""
    assert run(*example("batched_sends.py")).splitlines() == [
        "one_packet_at_a_time: 10000 bytes arrived",
        "all_tasks_together: 10000 bytes arrived",
        "one_flush: 10000 bytes arrived",
    ]


@pytest.mark.parametrize(("name", "more"), [("tcp_echo_server.py", []), ("udp_echo_server.py", ["1"])])
def test_a_server_says_when_its_port_is_taken(name: str, more: list[str]) -> None:
    """In a line, with status 1."""
    with server(name, "0", *more) as port:
        done = subprocess.run(
            example(name, port, *more),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cannot listen: ")
    assert "already in use" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        ("tcp_echo_client.py", "1337", "1338"),
        ("tcp_echo_server.py", "1337", "1338"),
        ("tls_echo_client.py", "client.pem"),
        ("udp_echo_client.py", "1337"),
        ("udp_echo_server.py", "1337"),
        ("finder_client.py", "255.255.255.255", "1337", "1", "2"),
        ("finder_server.py",),
        ("lan_chat.py",),
        ("mdns_browse.py", "_http._tcp.local", "", "1", "2"),
    ],
    ids=lambda line: line[0].removesuffix(".py"),
)
def test_too_few_or_too_many_arguments_show_what_a_program_takes(line: tuple[str, ...]) -> None:
    """In the words that its file begins with, with status 1."""
    with running(*example(*line)) as process:
        stdout, stderr = process.communicate("", timeout=PATIENCE)
    assert (process.returncode, stdout) == (1, "")
    assert f"\n\npython {line[0]} " in stderr
    assert "Traceback" not in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_server_ends_without_a_word_at_ctrl_c(kind: str, udp_ports: tuple[str, str]) -> None:
    """No traceback, no warning."""
    ports = udp_ports if kind == "udp" else ("0",)
    with running(*example(f"{kind}_echo_server.py", *ports)) as process:
        port = until(process.stdout, "listening on port ", process).split()[-1]
        # Once it has served somebody, its reactor runs for sure.
        run(*example(f"{kind}_echo_client.py", port, *ports[1:]))
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_documentation_shows_every_example() -> None:
    """A program that is added gets its section."""
    page = (EXAMPLES.parent / "examples.md").read_text(encoding="utf-8")
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    assert programs
    assert {name for name in programs if f"```{{literalinclude}} examples/{name}\n" in page} == programs
