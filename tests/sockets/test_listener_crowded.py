"""Listeners with more clients than descriptors, and with thousands of clients that never say anything."""

from __future__ import annotations

import select
import socket
import sys
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.cli.commands import finish, start
from tests.transports.loopback import PATIENCE

resource = pytest.importorskip("resource", reason="this system has no limit of descriptors to lower")

PROGRAM = Path(__file__).with_name("crowded.py")
GREETING = b"in\n"
SHORTAGE = "too many open files"


def reactor_module():
    """The module whose ``install`` gives the reactor that the tests run on."""
    from twisted.internet import reactor

    return type(reactor).__module__


class Server:
    """The server process, its port, and in the end what it logged."""

    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.log = ""

    async def logs(self, text):
        """Wait for a line with some text in it."""
        while True:
            line = (await deferToThread(self.process.stderr.readline)).decode()
            assert line, f"the server ended: {self.log}"
            self.log += line
            if text in line.lower():
                return


@asynccontextmanager
async def server(descriptors):
    """A server with so many descriptors at most."""
    process = start(sys.executable, str(PROGRAM), reactor_module(), str(descriptors))
    made = Server(process, int(await deferToThread(process.stdout.readline) or 0))
    try:
        yield made
    finally:
        done = await finish(process)
        made.log += done.stderr.decode()
        assert done.returncode == 0, made.log


def connect(stack, port, count):
    """So many connections; whether anybody accepts them is another matter."""
    return [
        stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)
    ]


async def greeted(clients, count):
    """Wait until so many of these were greeted, and give those that were."""
    poll = select.poll()
    by_number = {client.fileno(): client for client in clients}
    for client in clients:
        poll.register(client, select.POLLIN)
    found = []
    while len(found) < count:
        ready = await deferToThread(poll.poll, PATIENCE * 1000)
        assert ready, f"only {len(found)} of {count} were accepted"
        for number, _ in ready:
            poll.unregister(number)
            assert by_number[number].recv(10) == GREETING
            found.append(by_number[number])
    return found


@pytest_twisted.ensureDeferred
async def test_more_clients_than_descriptors_are_all_served_in_the_end_and_one_line_is_logged():
    """Those that find no room wait, and are let in as others go."""
    with ExitStack() as stack:
        async with server(descriptors=40) as crowded:
            clients = connect(stack, crowded.port, 80)
            await crowded.logs(SHORTAGE)
            waiting, served = set(clients), 0
            while waiting:
                # As many as there is room for at least; how many descriptors the server itself has varies.
                for client in await greeted(waiting, min(5, len(waiting))):
                    waiting.remove(client)
                    client.sendall(b"echo")
                    assert await deferToThread(client.recv, 10) == b"echo"
                    client.close()
                    served += 1
            assert served == 80
    assert crowded.log.lower().count(SHORTAGE) == 1, crowded.log
    assert "connections are open, clients wait" in crowded.log
    assert "Traceback" not in crowded.log


@pytest_twisted.ensureDeferred
async def test_thousands_of_silent_connections_do_not_keep_others_from_being_served():
    """Each is accepted, none is closed, and whoever speaks is answered."""
    if reactor_module().endswith(".selectreactor"):
        pytest.skip("select(2) takes descriptors below 1024 only")
    count = 2_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"the system allows {hard} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        with ExitStack() as stack:
            async with server(descriptors=needed) as crowded:
                silent = connect(stack, crowded.port, count)
                assert len(await greeted(silent, count)) == count
                (speaker,) = connect(stack, crowded.port, 1)
                await greeted([speaker], 1)
                speaker.sendall(b"hello")
                assert await deferToThread(speaker.recv, 10) == b"hello"
                silent[0].sendall(b"at last")
                assert await deferToThread(silent[0].recv, 10) == b"at last"
        assert "Traceback" not in crowded.log
        assert SHORTAGE not in crowded.log.lower()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
