"""Statuses of names and services, as a real name server and the system's own resolver make them."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.networks import two_hosts, unavailable

SERVICE = "winsockets-greeter"
DOMAIN = "shop.example"

# Says what becomes of connects: the status of the failure, or what the listener says.
PROGRAM = """
import json, sys
from dataclasses import replace
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from winsockets import DatagramSocket, SocketException, StreamSocket

servers, *targets = json.loads(sys.argv[1])

async def tried(kind, host, service):
    async with kind() as client:
        # However busy the machine is
        limits = client.control.limits
        client.control.limits = replace(limits, late_answers_wait=60.0, name_server_timeout=9.0)
        client.control.name_servers = [tuple(server) for server in servers]
        try:
            await client.connect_async(host, service)
        except SocketException as problem:
            return problem.status.name
        if kind is DatagramSocket:
            return client.information.remote_port
        return b"".join([chunk async for chunk in client.input_stream]).decode()

async def main(reactor):
    kinds = {"tcp": StreamSocket, "udp": DatagramSocket}
    print(json.dumps([await tried(kinds[how], host, service) for how, host, service in targets]))

react(lambda reactor: ensureDeferred(main(reactor)))
"""

# A port of which nobody knows, and one that says something; both until the program is killed.
LISTENER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
dead = socket.socket()
dead.bind((sys.argv[1], 0))
print(listener.getsockname()[1], dead.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello")
    connection.close()
"""


@contextmanager
def shop(require_program: Callable[[str], str], tmp_path: Path) -> Any:
    """Two hosts, of which one has a shop and dnsmasq that tells where.

    Yields:
        What runs connects on the other host and gives what became of them.
    """
    dnsmasq = require_program("dnsmasq")
    unshare = require_program("unshare")
    with two_hosts() as (here, there):
        listener = there.python(LISTENER, there.ipv4, stdout=-1, text=True)
        live, dead = map(int, listener.stdout.readline().split())
        log = tmp_path / "dnsmasq.log"
        # More than a datagram takes.
        many = [f"--srv-host=_many._tcp.{DOMAIN},h{number}.{DOMAIN},{live},7" for number in range(99)]
        program = there.start(
            dnsmasq,
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file",
            "--user=root",
            f"--listen-address={there.ipv4}",
            "--bind-interfaces",
            "--local=/example/",
            f"--log-facility={log}",
            f"--host-record=one.{DOMAIN},{there.ipv4},{there.ipv6}",
            f"--host-record={DOMAIN},{there.ipv4}",
            f"--mx-host=mail.{DOMAIN},one.{DOMAIN}",
            f"--cname=alias.{DOMAIN},one.{DOMAIN}",
            f"--srv-host=_{SERVICE}._tcp.{DOMAIN},one.{DOMAIN},{live},20,5",
            f"--srv-host=_{SERVICE}._tcp.{DOMAIN},one.{DOMAIN},{dead},10,5",
            f"--srv-host=_{SERVICE}._udp.{DOMAIN},one.{DOMAIN},{live}",
            f"--srv-host=_nowhere._tcp.{DOMAIN},gone.{DOMAIN},{live}",
            f"--srv-host=_never._tcp.{DOMAIN}",
            *many,
            f"--srv-host=_many._tcp.{DOMAIN},h99.{DOMAIN},{live},3",
            f"--host-record=h99.{DOMAIN},{there.ipv4}",
        )
        _wait_for_name_server(program, here, there.ipv4)
        files = {}
        for name, server in (("working", there.ipv4), ("missing", here.ipv4)):
            files[name] = tmp_path / f"resolv.{name}"
            files[name].write_text(f"nameserver {server}\noptions timeout:5 attempts:1\n", encoding="ascii")
        order = tmp_path / "nsswitch.conf"
        order.write_text("hosts: files dns\nservices: files\n", encoding="ascii")

        def tried(*targets: tuple[str, str, str], servers: Any = (), system: str = "working") -> Any:
            mounts = (
                f"mount --bind {files[system]} /etc/resolv.conf && mount --bind {order} /etc/nsswitch.conf"
            )
            program = here.start(
                *(unshare, "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"),
                *(sys.executable, "-c", PROGRAM, json.dumps([servers, *targets])),
                stdout=-1,
                stderr=-1,
                text=True,
            )
            output, errors = program.communicate()
            if "Operation not permitted" in errors or "permission denied" in errors:
                unavailable(f"may not give a program name servers of its own: {errors.strip()}")
            assert program.returncode == 0, errors
            return json.loads(output)

        yield tried, there, live


def _wait_for_name_server(program: Any, here: Any, server: str) -> None:
    """Ask over TCP until it is there: a listening socket takes connections at once."""
    while True:
        assert program.poll() is None, "dnsmasq ended"
        with here.socket(kind=socket.SOCK_STREAM) as skt:
            skt.setblocking(True)
            try:
                skt.connect((server, 53))
            except ConnectionRefusedError:
                continue
            return


@pytest.fixture
def running(require_program, tmp_path):
    """The shop, while a test runs."""
    if getattr(os, "geteuid", lambda: None)() != 0:
        pytest.skip("needs to make networks and mounts, which root may")
    with shop(require_program, tmp_path) as made:
        yield made


NAMES = [
    (("tcp", f"one.{DOMAIN}", "LIVE"), "hello"),
    (("tcp", f"alias.{DOMAIN}", "LIVE"), "hello"),
    (("tcp", f"gone.{DOMAIN}", "LIVE"), "HOST_NOT_FOUND"),
    (("tcp", f"mail.{DOMAIN}", "LIVE"), "NO_DATA_RECORD_OF_REQUESTED_TYPE"),
    (("tcp", "other.test", "LIVE"), "NON_AUTHORITATIVE_HOST_NOT_FOUND"),
    (("udp", f"gone.{DOMAIN}", "LIVE"), "HOST_NOT_FOUND"),
]
SERVICES = [
    (("tcp", DOMAIN, SERVICE), "hello"),
    (("udp", DOMAIN, SERVICE), "LIVE"),
    (("tcp", DOMAIN, "many"), "hello"),
    (("tcp", DOMAIN, "nowhere"), "NO_ADDRESSES_FOUND"),
    (("tcp", DOMAIN, "never"), "CLASS_TYPE_NOT_FOUND"),
    (("tcp", DOMAIN, "no-such-service"), "CLASS_TYPE_NOT_FOUND"),
    (("udp", DOMAIN, "no-such-service"), "CLASS_TYPE_NOT_FOUND"),
    (("tcp", "other.test", "no-such-service"), "NON_AUTHORITATIVE_HOST_NOT_FOUND"),
]


@pytest.mark.parametrize("given", [False, True], ids=["the system's server", "a given server"])
@pytest_twisted.ensureDeferred
async def test_what_a_real_server_says_comes_as_its_status(running, given):
    """By the system's resolver and configuration, or by asking the server that the program gives."""
    tried, there, live = running

    def known(text: str) -> str:
        return str(live) if text == "LIVE" else text

    rows = [((how, host, known(service)), known(status)) for (how, host, service), status in NAMES + SERVICES]
    targets = [target for target, _ in rows]
    servers = [(there.ipv4, 53)] if given else []
    # A server that is given is asked although the system has none that works.
    system = "missing" if given else "working"
    found = await deferToThread(tried, *targets, servers=servers, system=system)
    assert dict(zip(targets, found, strict=True)) == dict(rows)


@pytest_twisted.ensureDeferred
async def test_without_a_server_nobody_can_say(running):
    """The one of the system refuses: names and services may be there next time."""
    tried, _, live = running
    targets = [("tcp", f"one.{DOMAIN}", str(live)), ("tcp", DOMAIN, SERVICE), ("udp", DOMAIN, SERVICE)]
    found = await deferToThread(tried, *targets, system="missing")
    assert found == ["NON_AUTHORITATIVE_HOST_NOT_FOUND"] * 3
