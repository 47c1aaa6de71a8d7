"""The example programs for the local network: on one machine, and on hosts at one switch."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.names.dns import PTR, Message, Record_PTR, RRHeader

from tests.examples.programs import PATIENCE, example, run, running, server, until
from tests.multicast import LOOPBACK, member, sender
from tests.networks import Host, lan

RESPONDER = Path(__file__).with_name("mdns_responder.py")
SERVICE = "_winsockets-test._tcp.local"
MDNS = ("224.0.0.251", 5353)
LONG = "600"
"""Seconds: longer than any test takes, which ends the program when it has seen enough."""
CHAT = ("239.255.13.37", 1337)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's loopback interface")


def new_name(start: str = "name") -> str:
    """One that no other run of the tests on this machine has."""
    return f"{start}-{secrets.token_hex(4)}"


# Multicast DNS


@contextmanager
def responder(address: str, name: str, host: Host | None = None) -> Iterator[None]:
    """Somebody who offers a service, by another implementation."""
    with running(sys.executable, RESPONDER, address, name, host=host) as process:
        until(process.stdout, "ready", process)
        yield
        process.communicate("", timeout=PATIENCE)


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """So many lines, sorted: they come in any order."""
    assert process.stdout is not None
    return sorted(process.stdout.readline() for _ in range(count))


@linux_only
def test_a_service_is_found_on_this_machine() -> None:
    """Who offers it, and where it is."""
    name = new_name()
    with (
        responder("127.0.0.1", name),
        running(*example("mdns_browse.py", SERVICE, LOOPBACK, LONG)) as process,
    ):
        until(process.stdout, f"127.0.0.1 offers {name}.{SERVICE}", process)
        until(process.stdout, f"{name}.{SERVICE} is at {name}-host.local port 1337", process)


def test_services_are_found_on_the_local_network() -> None:
    """What kinds there are, and those of one kind, each once; without a name of an interface."""
    with (
        lan(3) as (here, one, other),
        responder(one.ipv4, "one", one),
        responder(other.ipv4, "other", other),
        running(*example("mdns_browse.py", "_services._dns-sd._udp.local", "", LONG), host=here) as kinds,
        running(*example("mdns_browse.py", SERVICE, "", LONG), host=here) as services,
    ):
        assert lines_of(kinds, 2) == sorted(f"{host.ipv4} offers {SERVICE}\n" for host in (one, other))
        assert lines_of(services, 4) == sorted(
            line
            for host, name in ((one, "one"), (other, "other"))
            for line in (
                f"{host.ipv4} offers {name}.{SERVICE}\n",
                f"{name}.{SERVICE} is at {name}-host.local port 1337\n",
            )
        )


def test_browsing_ends_when_it_was_said() -> None:
    """Whether there was an answer or not."""
    with lan(2) as (here, _):
        assert run(*example("mdns_browse.py", SERVICE, "", "0.01"), host=here) == ""


@linux_only
def test_the_browser_survives_what_is_no_answer() -> None:
    """Noise, its own question, messages that are cut or lead in circles, and names for terminals."""
    service = f"_{new_name()}._tcp.local"
    answer = Message(answer=True)
    answer.answers = [
        RRHeader(service, PTR, payload=Record_PTR(name.encode() + b"." + service.encode()))
        for name in ("\x1b[2J", "Küche")
    ]
    circle = bytes.fromhex("000084000000000100000000c00c000c00010000000a0002c00c")
    counted = bytes.fromhex("000084000000ffff00000000")
    with (
        member(*MDNS) as witness,
        sender() as skt,
        running(*example("mdns_browse.py", service, LOOPBACK, LONG)) as process,
    ):
        while service.partition(".")[0].encode() not in (question := witness.recv(9000)):
            pass
        whole = answer.toStr()
        for data in (b"", b"\xff" * 50, bytes(12), question, counted, circle, circle[:20], whole[:-3], whole):
            skt.sendto(data, MDNS)
        assert process.stdout is not None
        assert process.stdout.readline() == f"127.0.0.1 offers Küche.{service}\n"


# The chat


@contextmanager
def chatting(name: str, *interface: str, host: Host | None = None) -> Iterator[subprocess.Popen[str]]:
    """Somebody in the chat who has heard that it is so."""
    with running(*example("lan_chat.py", name, *interface), host=host) as process:
        until(process.stdout, f"{name} is here", process)
        yield process


def say(process: subprocess.Popen[str], text: str) -> None:
    """Type a line."""
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


@linux_only
def test_three_processes_chat_on_one_machine() -> None:
    """Everybody hears everybody come, speak and go, whoever speaks included."""
    ann, bob, eve = new_name("ann"), new_name("bob"), new_name("eve")
    with (
        chatting(ann, LOOPBACK) as first,
        chatting(bob, LOOPBACK) as second,
        chatting(eve, LOOPBACK) as third,
    ):
        until(first.stdout, f"{bob} is here", first)
        until(first.stdout, f"{eve} is here", first)
        for speaker, name, text in ((first, ann, "hello"), (second, bob, "grüße: 🙂"), (third, eve, "")):
            say(speaker, text)
            for process in (first, second, third):
                assert until(process.stdout, f"{name}: ", process) == f"{name}: {text}\n"
        _, complaints = second.communicate("", timeout=PATIENCE)
        assert (second.returncode, complaints) == (0, "")
        until(first.stdout, f"{bob} has left", first)
        until(third.stdout, f"{bob} has left", third)


@linux_only
def test_the_chat_survives_garbage() -> None:
    """It shows none of it, and goes on."""
    name, mark = new_name("ann"), secrets.token_hex(8)
    with chatting(name, LOOPBACK) as process, sender() as skt:
        for data in (
            b"",
            mark.encode(),
            b"\xff\xfe" + mark.encode(),
            f"SAY\t{mark}".encode(),
            f"SAY\t{mark}\ta\tb".encode(),
            f"SHOUT\t{mark}\ttext".encode(),
            f"SAY\t{mark}\t\x1b[2J".encode(),
            f"SAY\t{{name.__class__}}{mark}\n\ttext".encode(),
            b"SAY\t" + mark.encode() * 4000,
        ):
            skt.sendto(data, CHAT)
        skt.sendto(f"SAY\t{name}-friend\thello {{name}}".encode(), CHAT)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == f"{name}-friend: hello {{name}}\n":
                break
    assert not any(mark in line for line in lines)


def test_hosts_chat_on_the_local_network() -> None:
    """Without a name of an interface."""
    with (
        lan(2) as (here, there),
        chatting("ann", host=here) as first,
        chatting("bob", host=there) as second,
    ):
        until(first.stdout, "bob is here", first)
        for speaker, line in ((first, "ann: hello\n"), (second, "bob: good evening\n")):
            say(speaker, line.partition(": ")[2].strip())
            for process in (first, second):
                assert process.stdout is not None
                assert process.stdout.readline() == line


# The finder


@linux_only
def test_a_server_is_found_on_this_machine() -> None:
    """By the broadcast address of the loopback interface."""
    with (
        server("finder_server.py", "somebody", "0") as port,
        running(*example("finder_client.py", "127.255.255.255", port, LONG)) as process,
    ):
        assert lines_of(process, 1) == [f"'somebody' at 127.0.0.1 port {port}\n"]


def test_servers_are_found_on_the_local_network() -> None:
    """All of them, by the broadcast address that every network has, and by its own."""
    with (
        lan(3) as (here, one, other),
        server("finder_server.py", "one", host=one),
        server("finder_server.py", "the other", host=other),
    ):
        for address in ("255.255.255.255", here.ports[0].subnet_broadcast):
            with running(*example("finder_client.py", address, "1337", LONG), host=here) as process:
                assert lines_of(process, 2) == [
                    f"'one' at {one.ipv4} port 1337\n",
                    f"'the other' at {other.ipv4} port 1337\n",
                ]


def test_finding_ends_when_it_was_said() -> None:
    """Whether somebody has answered or not."""
    with lan(2) as (here, _):
        assert run(*example("finder_client.py", "255.255.255.255", "1337", "0.01"), host=here) == ""


@linux_only
def test_a_server_answers_the_question_and_nothing_else() -> None:
    """Also after somebody has asked who was gone before the answer."""
    with server("finder_server.py", "somebody", "0") as port, sender() as skt:
        with sender() as gone:
            gone.sendto(b"who is there?", ("127.0.0.1", int(port)))
        for data in (b"", b"who?", b"\xff" * 1000, b"who is there?"):
            skt.sendto(data, ("127.0.0.1", int(port)))
        assert skt.recv(100) == b"somebody"
        skt.setblocking(False)
        with pytest.raises(BlockingIOError):
            skt.recv(100)


# All


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (("mdns_browse.py", SERVICE, "", "soon"), "no answers: could not convert string to float: 'soon'"),
        (("mdns_browse.py", SERVICE, "no-such0"), "no answers: find the network adapter 'no-such0'"),
        (("lan_chat.py", "ann", "no-such0"), "no chat: find the network adapter 'no-such0'"),
        (("finder_client.py", "no-such-host.invalid"), "cannot ask: "),
        (("finder_server.py", "somebody", "no-such-service"), "cannot listen: "),
    ],
)
def test_what_cannot_be_done_is_a_line(line: tuple[str, ...], start: str) -> None:
    """With status 1."""
    with running(*example(*line)) as process:
        stdout, stderr = process.communicate("", timeout=PATIENCE)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith(start)
    assert stderr.count("\n") == 1


def test_a_port_that_is_taken_is_a_line() -> None:
    """With status 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.bind(("", 0))
        port = str(skt.getsockname()[1])
        with running(*example("finder_server.py", "somebody", port)) as process:
            stdout, stderr = process.communicate("", timeout=PATIENCE)
    assert (process.returncode, stdout, stderr.count("\n")) == (1, "", 1)
    assert "already in use" in stderr
