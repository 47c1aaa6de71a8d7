"""``winsockets echo`` with a service that DNS tells about."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.names import dns

from tests.cli.commands import run
from tests.cli.servers import datagram_server, stream_server
from tests.sockets.name_service import SRV, A, name_server

HOST = "shop.example"
SERVICE = "winsockets-echo"


def records(url: str, target: str = "one.example") -> Any:
    """The table of a name server that knows where the server of a URL is."""
    scheme, _, port = url.split(":")
    return {
        (f"_{SERVICE}._{scheme}.{HOST}", dns.SRV): [SRV(0, 0, int(port), target)],
        ("one.example", dns.A): [A("127.0.0.1")],
    }


@pytest.mark.parametrize("server", [stream_server, datagram_server])
@pytest_twisted.ensureDeferred
async def test_a_service_stands_where_a_port_does(server: Any) -> None:
    """The name server is given; its port and its address are all that the command line has in numbers."""
    async with server() as url, name_server(records(url)) as ((address, port), _):
        scheme = url.partition(":")[0]
        line = (
            "echo",
            f"{scheme}://{HOST}:{SERVICE}",
            "--name-server",
            f"{address}:{port}",
            "--timeout",
            "60",
            "hello",
        )
        done = await run(*line)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest.mark.parametrize(
    ("service", "target", "status"),
    [
        (SERVICE, "gone.example", "NO_ADDRESSES_FOUND"),
        (SERVICE, "", "CLASS_TYPE_NOT_FOUND"),
        ("winsockets-nothing", "one.example", "CLASS_TYPE_NOT_FOUND"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_service_that_is_nowhere_is_told_in_a_line(service: str, target: str, status: str) -> None:
    """With its status in front, over both transports."""
    for scheme in ("tcp", "udp"):
        async with name_server(records(f"{scheme}://127.0.0.1:9", target)) as ((address, port), _):
            done = await run(
                "echo",
                f"{scheme}://{HOST}:{service}",
                "--name-server",
                f"{address}:{port}",
                "--timeout",
                "60",
                "hello",
            )
        assert (done.returncode, done.stdout) == (1, b"")
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith(f"winsockets: {status}: resolve {HOST} service {service}: ")


@pytest_twisted.ensureDeferred
async def test_several_name_servers_are_asked_in_turn() -> None:
    """The first refuses to say anything: nobody listens there."""
    async with stream_server() as url, name_server(records(url)) as ((address, port), _):
        servers = ("--name-server", "127.0.0.1:9", "--name-server", f"{address}:{port}")
        done = await run("echo", f"tcp://{HOST}:{SERVICE}", *servers, "--timeout", "60", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n")


@pytest.mark.parametrize("server", ["ns.example", "127.0.0.1:0", ""])
@pytest_twisted.ensureDeferred
async def test_a_name_server_is_an_address(server: str) -> None:
    """Anything else is a wrong command line."""
    done = await run("echo", "tcp://localhost", "--name-server", server, "hello")
    assert done.returncode == 2
    assert b"'--name-server': " in done.stderr
