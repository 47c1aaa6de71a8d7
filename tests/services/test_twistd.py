"""``twistd winsockets-echo`` as a stranger runs it: real processes, real clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.test_options import NONSENSE
from tests.services.twistd import PATIENCE, Echo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="twistd has no signals and daemons there")

ANY_PORT = ("--tcp=0", "--udp=0")
MEBI = 1024 * 1024

needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="the end of a process that is no child is seen through a pidfd"
)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    """A server that is not started yet."""
    server = Echo(tmp_path)
    yield server
    server.clean_up()


@pytest.fixture(params=["epoll", "poll", "select", "asyncio"])
def echo_on_each_reactor(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Echo]:
    """A server that is not started yet, on each reactor."""
    if request.param == "epoll" and not hasattr(__import__("select"), "epoll"):
        pytest.skip("this system has no epoll")
    server = Echo(tmp_path, request.param)
    yield server
    server.clean_up()


def exchange(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Send over TCP, half-close, and return everything that comes back."""
    with socket.create_connection((address, port), timeout=PATIENCE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        back = b""
        while chunk := client.recv(65536):
            back += chunk
        return back


def exchange_datagram(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Send over UDP and return the reply."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((address, port))
        client.send(data)
        return client.recv(65536)


def check_all(echo: Echo) -> None:
    """TCP and UDP, IPv4 and IPv6 are echoed."""
    assert set(echo.ports) == {(scheme, host) for scheme in ("tcp", "udp") for host in ("127.0.0.1", "::1")}
    for (scheme, address), port in echo.ports.items():
        data = os.urandom(5_000)
        assert (exchange if scheme == "tcp" else exchange_datagram)(port, data, address) == data


# Starting and stopping


def test_in_the_foreground_it_serves_until_sigterm(echo_on_each_reactor: Echo) -> None:
    """And ends by the signal, as every twistd does, with no pid file left and nothing wrong in the log."""
    echo = echo_on_each_reactor
    echo.start(*ANY_PORT)
    check_all(echo)
    echo.signal()
    assert echo.wait() == -signal.SIGTERM
    assert echo.complaints() == []
    assert "Stopped. TCP: 2 accepted, 10000 bytes echoed; 2 closed by the client" in echo.log
    assert "UDP: 2 datagrams, 10000 bytes echoed; 0 not answered" in echo.log
    assert echo.files == set()


@needs_pidfd
def test_in_the_background_it_serves_until_sigterm(echo_on_each_reactor: Echo) -> None:
    """It listens when twistd returns, has a pid file while it runs, and none afterwards."""
    echo = echo_on_each_reactor
    echo.start_daemon(*ANY_PORT)
    assert echo.files == {"twistd.log", "twistd.pid"}
    check_all(echo)
    echo.stop_daemon()
    assert echo.complaints() == []
    assert "Stopped. TCP: 2 accepted, 10000 bytes echoed" in echo.log
    assert echo.files == {"twistd.log"}


@needs_pidfd
def test_a_daemon_that_is_stopped_at_once_leaves_no_pid_file(echo: Echo) -> None:
    """As in a script: no time between the start and the stop."""
    for _ in range(5):
        assert echo.run(*ANY_PORT, background=True).returncode == 0
        echo.stop_daemon()
        assert echo.files == {"twistd.log"}
        assert echo.complaints() == []


def test_sigint_ends_it_too(echo: Echo) -> None:
    """Control and C on the terminal."""
    echo.start(*ANY_PORT)
    echo.signal(signal.SIGINT)
    assert echo.wait() == -signal.SIGINT
    assert echo.complaints() == []
    assert echo.files == set()


def test_without_options_it_is_port_1337_of_this_machine(echo: Echo) -> None:
    """As README says."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, kind) as probe:
                if kind is socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, 1337))
                except OSError:
                    pytest.skip("port 1337 is taken on this machine")
    echo.start()
    assert set(echo.ports.values()) == {1337}
    check_all(echo)


def test_on_all_interfaces_it_is_reached_at_any_address(echo: Echo) -> None:
    """Both families."""
    echo.start(*ANY_PORT, "--interface", "")
    for (scheme, wildcard), port in echo.ports.items():
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}[wildcard]
        assert (exchange if scheme == "tcp" else exchange_datagram)(port, b"hello", address) == b"hello"


# Draining


def test_at_sigterm_who_is_connected_may_finish(echo: Echo) -> None:
    """The connection goes on, a new one is refused, and the end comes with the client's."""
    echo.start("--tcp=0", "--udp=none")
    port = echo.ports["tcp", "127.0.0.1"]
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        echo.signal()
        echo.wait_for("Stopping: open connections (1) have 10 s to finish")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        client.sendall(b"after")
        assert client.recv(100) == b"after"
    assert echo.wait() == -signal.SIGTERM
    assert "1 closed by the client, 0 broken off, 0 closed for silence, 0 cut off" in echo.log
    assert echo.files == set()


def test_at_the_end_of_the_drain_time_who_is_left_is_cut_off(echo: Echo) -> None:
    """Also a client that never takes what is sent back."""
    echo.start("--tcp=0", "--udp=none", "--drain-timeout=0.05")
    port = echo.ports["tcp", "127.0.0.1"]
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as quiet,
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stalled,
    ):
        quiet.sendall(b"x")
        assert quiet.recv(1) == b"x"
        stalled.settimeout(0.2)
        with pytest.raises(TimeoutError):
            stalled.sendall(bytes(64 * MEBI))
        echo.signal()
        assert echo.wait() == -signal.SIGTERM
        assert quiet.recv(1) == b""
    assert "2 cut off" in echo.log
    assert echo.complaints() == []


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cuts_off_who_is_left(echo: Echo, second: signal.Signals) -> None:
    """Whoever presses Ctrl-C twice does not wait for the drain time, and sees no traceback."""
    echo.start("--tcp=0", "--udp=none", "--drain-timeout=1000")
    with socket.create_connection(("127.0.0.1", echo.ports["tcp", "127.0.0.1"]), timeout=PATIENCE) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        echo.signal()
        echo.wait_for("Stopping: ")
        echo.signal(second)
        assert echo.wait() == -signal.SIGTERM
        assert client.recv(1) == b""
    assert "1 cut off" in echo.log
    assert echo.complaints() == []
    assert echo.files == set()


def test_a_closed_terminal_stops_it_in_good_order(echo: Echo) -> None:
    """With its last line, and without its pid file."""
    echo.start(*ANY_PORT)
    echo.signal(signal.SIGHUP)
    assert echo.wait() == 0
    assert "Stopped. " in echo.log
    assert echo.complaints() == []
    assert echo.files == set()


def test_silence_closes_a_connection(echo: Echo) -> None:
    """After the time that was asked for."""
    echo.start("--tcp=0", "--udp=none", "--idle-timeout=0.05")
    with socket.create_connection(("127.0.0.1", echo.ports["tcp", "127.0.0.1"]), timeout=PATIENCE) as client:
        assert client.recv(1) == b""
    echo.signal()
    echo.wait()
    assert "0 bytes echoed" in echo.log
    assert "1 closed for silence" in echo.log


# Refusing to start


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_taken_port_is_one_line_and_status_1(echo: Echo, transport: str, background: bool) -> None:
    """No traceback, no pid file, no log, no half-started server."""
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if transport == "tcp":
            holder.listen()
        port = holder.getsockname()[1]
        arguments = {"tcp": "0", "udp": "0", transport: str(port)}
        done = echo.run(*(f"--{name}={value}" for name, value in arguments.items()), background=background)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("winsockets-echo: cannot start: ")
    assert f"127.0.0.1 port {port}: the address is already in use" in line
    assert echo.files == set()


@pytest.mark.parametrize("name", ["an unknown option", "a port out of range", "infinity", "nothing to serve"])
@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_an_option_that_makes_no_sense_is_one_line_and_status_1(
    echo: Echo, name: str, background: bool
) -> None:
    """The rest of them is tested without a process."""
    arguments, message = NONSENSE[name]
    done = echo.run(*arguments, background=background)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("winsockets-echo: ")
    assert message in line
    assert echo.files == set()


def test_an_address_of_another_machine_is_one_line_and_status_1(echo: Echo) -> None:
    """203.0.113.0/24 is nobody's."""
    done = echo.run(*ANY_PORT, "--interface=203.0.113.1")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "203.0.113.1" in line
    assert echo.files == set()


def test_help_is_status_0(echo: Echo) -> None:
    """On standard output."""
    done = echo.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--max-connections=" in done.stdout


# Other people's clients


def test_nc_gets_its_lines_back(echo: Echo, require_program: Callable[[str], str]) -> None:
    """Everything, and then the end."""
    nc = require_program("nc")
    echo.start("--tcp=0", "--udp=none")
    text = "".join(f"line {number}\n" for number in range(1_000))
    done = subprocess.run(
        [nc, "-N", "127.0.0.1", str(echo.ports["tcp", "127.0.0.1"])],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout == text


def test_socat_gets_a_binary_stream_back(echo: Echo, require_program: Callable[[str], str]) -> None:
    """Over both families; the half-close is where the end comes from."""
    socat = require_program("socat")
    echo.start("--tcp=0", "--udp=none")
    data = os.urandom(8 * MEBI)
    for target, address in (("TCP4:127.0.0.1", "127.0.0.1"), ("TCP6:[::1]", "::1")):
        done = subprocess.run(
            [socat, "-t30", "-", f"{target}:{echo.ports['tcp', address]}"],
            input=data,
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        assert done.stdout == data


def test_socat_gets_its_datagram_back(echo: Echo, require_program: Callable[[str], str]) -> None:
    """One line, one datagram."""
    socat = require_program("socat")
    echo.start("--tcp=none", "--udp=0")
    with subprocess.Popen(
        [socat, "-", f"UDP4:127.0.0.1:{echo.ports['udp', '127.0.0.1']}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"hello\n"
        client.stdin.close()
        client.terminate()


def test_a_burst_of_datagrams_comes_back(echo: Echo) -> None:
    """Ten thousand from one client, each waiting for the one before: what the default limit allows here."""
    echo.start("--tcp=none", "--udp=0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", echo.ports["udp", "127.0.0.1"]))
        for number in range(10_000):
            data = number.to_bytes(4, "big") * (number % 4_000 + 1)
            client.send(data)
            assert client.recv(65536) == data
