"""Groups as a user of the command sees them: with sockets, with socat, with other processes and hosts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from tests.cli.commands import COMMAND, ENVIRONMENT
from tests.multicast import LOOPBACK, PATIENCE, free_port, member, new_group, sender
from tests.networks import Host, lan, network_namespace
from winsockets.cli import main
from winsockets.cli._multicast import in_a_line

MULTICAST = (*COMMAND, "multicast")
HERE = ("--interface", LOOPBACK)
_IP_RECVTTL = 12  # linux/in.h

Process = subprocess.Popen[str]
Done = subprocess.CompletedProcess[str]
Place = tuple[str, int]


@pytest.fixture
def place() -> Place:
    """A group and a port that are nobody else's."""
    return new_group(), free_port()


def at(place: Place) -> str:
    """As the command line has it."""
    return f"{place[0]}:{place[1]}"


def run(*arguments: str | bytes, given: str | None = "", host: Host | None = None) -> Done:
    """Run the command to its end; its standard input is empty unless given."""
    process = start(*arguments, host=host)
    return end(process, given)


def start(*arguments: str | bytes, host: Host | None = None) -> Process:
    """Start the command with pipes for everything; `end` it."""
    options = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": ENVIRONMENT,
        "encoding": "utf-8",
    }
    line = (*MULTICAST, *arguments)
    return host.start(*line, **options) if host is not None else subprocess.Popen(line, **options)


def end(process: Process, given: str | None = None) -> Done:
    """Wait for the end of a process and give what it did since."""
    try:
        stdout, stderr = process.communicate(given, timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@contextmanager
def listening(*arguments: str, host: Host | None = None) -> Iterator[Process]:
    """The command once it listens."""
    process = start(*arguments, host=host)
    limit = threading.Timer(PATIENCE, process.kill)
    limit.start()
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("listening to "), line + process.stderr.read()
        yield process
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


# Listening


def test_each_datagram_is_a_line_with_its_sender(place: Place) -> None:
    """On standard output; where it listens is told on standard error."""
    with sender() as skt, listening(at(place), *HERE, "--count", "2") as process:
        port = skt.getsockname()[1]
        skt.sendto(b"hello\n", place)
        skt.sendto("grüße".encode(), place)
        done = end(process)
    assert done.stdout == f"127.0.0.1 port {port}: hello\n127.0.0.1 port {port}: grüße\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_what_it_listens_to_is_told(place: Place) -> None:
    """The group, the interface and the sources."""
    sources = ("--source", "127.0.0.2", "--source", "127.0.0.3")
    done = run(at(place), *HERE, *sources, "--timeout", "0.01")
    whom = f"{place[0]} port {place[1]} on {LOOPBACK}, to what comes from 127.0.0.2 and 127.0.0.3"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"listening to {whom}\n")


def test_any_number_of_processes_hear_a_group(place: Place) -> None:
    """All of them all of it."""
    with (
        sender() as skt,
        listening(at(place), *HERE, "--count", "1") as one,
        listening(at(place), *HERE, "--count", "1") as other,
        member(*place) as third,
    ):
        skt.sendto(b"hello", place)
        assert end(one).stdout == end(other).stdout == f"127.0.0.1 port {skt.getsockname()[1]}: hello\n"
        assert third.recv(100) == b"hello"


def test_other_groups_at_the_same_port_are_not_heard(place: Place) -> None:
    """Although somebody on this machine has joined them."""
    other = new_group(), place[1]
    with sender() as skt, member(*other) as third, listening(at(place), *HERE, "--count", "1") as process:
        skt.sendto(b"for others", other)
        assert third.recv(100) == b"for others"
        skt.sendto(b"hello", place)
        assert end(process).stdout.endswith(": hello\n")


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8 on the loopback interface")
def test_of_all_senders_only_the_sources_are_heard(place: Place) -> None:
    """Each of those that are given."""
    sources = ("--source", "127.0.0.1", "--source", "127.0.0.3")
    with (
        member(*place) as witness,
        listening(at(place), *HERE, *sources, "--count", "2") as process,
        sender("127.0.0.1") as one,
        sender("127.0.0.2") as two,
        sender("127.0.0.3") as three,
    ):
        for skt, data in ((two, b"no"), (three, b"three"), (two, b"no"), (one, b"one")):
            skt.sendto(data, place)
            assert witness.recv(100) == data
        texts = [line.rpartition(" ")[2] for line in end(process).stdout.splitlines()]
    assert texts == ["three", "one"]


def test_the_end_of_the_time_is_a_failure_only_where_datagrams_were_waited_for(place: Place) -> None:
    """--count says how many."""
    assert run(at(place), *HERE, "--timeout", "0.01").returncode == 0
    done = run(at(place), *HERE, "--timeout", "0.01", "--count", "1")
    assert done.returncode == 1
    assert "winsockets: 0 of 1 datagrams came within 0.01 s; " in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_ctrl_c_ends_without_a_word(place: Place) -> None:
    """While it listens, and while it reads what is typed."""
    with listening(at(place), *HERE) as process:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.returncode, process.stdout.read(), process.stderr.read()) == (130, "", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what they drop")
def test_what_came_too_fast_is_counted(place: Place) -> None:
    """The system drops what it has no room for."""
    with member(*place) as witness, sender() as skt, listening(at(place), *HERE, "--count", "1") as process:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        size = witness.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        for _ in range(size // 1000 + 10):
            skt.sendto(bytes(1000), place)
        process.send_signal(signal.SIGCONT)
        done = end(process)
    lost = re.fullmatch(
        r"datagrams lost, because they came faster than they were shown: (\d+)\n", done.stderr
    )
    assert lost is not None, done.stderr
    assert int(lost[1]) > 0
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ""),
        (b"hello\n", "hello"),
        (b"hello\r\n", "hello"),
        (b"hello\n\n", r"hello\n"),
        (b"two\nlines", r"two\nlines"),
        (b"\x1b[2J\x07", r"\x1b[2J\x07"),
        (b"caf\xe9", r"caf\xe9"),
        ("grüße 🙂".encode(), "grüße 🙂"),
        ("\u202egnp.exe".encode(), r"\u202egnp.exe"),
    ],
)
def test_a_datagram_is_shown_as_text_that_does_nothing_to_a_terminal(data: bytes, line: str) -> None:
    """In one line, whatever is in it."""
    assert in_a_line(data) == line


def test_a_reader_that_goes_away_is_the_end(place: Place) -> None:
    """As with every program in a pipe."""
    with sender() as skt, listening(at(place), *HERE) as process:
        assert process.stdout is not None
        process.stdout.close()
        skt.sendto(b"hello", place)
        assert process.wait(PATIENCE) == 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


# Sending


def test_texts_are_sent_and_heard_on_the_same_machine(place: Place) -> None:
    """Also by the one who sends them."""
    with member(*place) as third:
        done = run(at(place), "hello", "zwei Wörter", *HERE, "--count", "2")
        assert [third.recv(100), third.recv(100)] == [b"hello\n", "zwei Wörter\n".encode()]
    assert done.returncode == 0
    assert re.fullmatch(rf"\S+ port {place[1]}: hello\n\S+ port {place[1]}: zwei Wörter\n", done.stdout)


def test_lines_of_standard_input_are_datagrams(place: Place) -> None:
    """Their ends included; the end of the input does not end the listening."""
    with member(*place) as third:
        process = start(at(place), *HERE, "--count", "3")
        assert process.stdin is not None
        process.stdin.write("one\n\nlast")
        done = end(process)
        assert [third.recv(100) for _ in range(3)] == [b"one\n", b"\n", b"last"]
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == ["one", "", "last"]


def test_sending_only_ends_when_everything_is_sent(place: Place) -> None:
    """Without a word, and without taking the port."""
    with member(*place) as third:
        done = run(at(place), *HERE, "--send-only", given="one\ntwo\n")
        for line in (b"one\n", b"two\n"):
            data, source = third.recvfrom(100)
            assert data == line
            assert source[1] != place[1]
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_listening_only_leaves_standard_input_alone(place: Place) -> None:
    """What is in it is for somebody else."""
    with member(*place) as third, sender() as skt:
        with listening(at(place), *HERE, "--listen-only", "--count", "1") as process:
            assert process.stdin is not None
            process.stdin.write("not to be sent\n")
            process.stdin.flush()
            skt.sendto(b"hello", place)
            assert end(process).stdout.endswith(": hello\n")
        assert third.recv(100) == b"hello"
        third.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.recv(100)


@pytest.mark.skipif(sys.platform != "linux", reason="asks for the hop limit as Linux has it")
@pytest.mark.parametrize(("given", "seen"), [((), 1), (("--ttl", "7"), 7), (("--ttl", "0"), 0)])
def test_the_hop_limit_is_that_of_the_option(place: Place, given: tuple[str, ...], seen: int) -> None:
    """1 unless it is given."""
    with member(*place) as third:
        third.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        assert run(at(place), "hello", *HERE, "--send-only", *given).returncode == 0
        _, ((_, _, hops),), _, _ = third.recvmsg(100, 100)
    assert int.from_bytes(hops, sys.byteorder) == seen


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_somebody_at_a_terminal_is_told_what_to_do(place: Place) -> None:
    """Where the lines go, and what ends it."""
    terminal, stdin = os.openpty()
    try:
        os.write(terminal, b"hello\n\x04")
        done = subprocess.run(
            (*MULTICAST, at(place), *HERE, "--send-only"),
            stdin=stdin,
            capture_output=True,
            encoding="utf-8",
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(stdin)
        os.close(terminal)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"lines go to {place[0]} port {place[1]}; Ctrl-D ends\n"


# Other programs


@pytest.mark.skipif(sys.platform != "linux", reason="socat's options for groups are those of Linux")
def test_socat_hears_it(place: Place, require_program: Callable[[str], str]) -> None:
    """A member of the group that another program is."""
    group, port = place
    receiving = f"UDP4-RECVFROM:{port},reuseaddr,ip-add-membership={group}:127.0.0.1"
    socat = subprocess.Popen(
        (require_program("socat"), "-d", "-d", "-u", receiving, "STDOUT"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert socat.stderr is not None
        assert any("receiving on" in line for line in socat.stderr)
        assert run(at(place), "hello", *HERE, "--send-only").returncode == 0
        assert socat.communicate(timeout=PATIENCE)[0] == "hello\n"
    finally:
        socat.kill()
        socat.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="socat's options for groups are those of Linux")
def test_socat_is_heard(place: Place, require_program: Callable[[str], str]) -> None:
    """Whatever port it sends from."""
    with listening(at(place), *HERE, "--count", "1") as process:
        to = f"UDP4-DATAGRAM:{at(place)},ip-multicast-if=127.0.0.1,bind=127.0.0.1"
        subprocess.run(
            (require_program("socat"), "-u", "-", to), input=b"hello\n", timeout=PATIENCE, check=True
        )
        done = end(process)
    assert re.fullmatch(r"127\.0\.0\.1 port \d+: hello\n", done.stdout)


# Other hosts


GROUPS = ("239.1.2.3", "ff02::1234", "ff05::1234")


def written(group: str, zone: str = "") -> str:
    """A group at port 5000 as the command line has it."""
    return f"[{group}{zone}]:5000" if ":" in group else f"{group}:5000"


def send(host: Host, group: str, data: bytes) -> None:
    """Send a datagram from a host to a group at port 5000."""
    with host.socket(socket.AF_INET6 if ":" in group else socket.AF_INET) as skt:
        skt.sendto(data, (group, 5000))


@pytest.mark.parametrize("group", GROUPS)
def test_what_another_host_sends_is_heard(group: str) -> None:
    """Over a real link, in both families; --interface is not needed where there is one."""
    with lan(2) as (here, there), listening(written(group), "--count", "1", host=here) as process:
        send(there, group, b"hello")
        done = end(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"(10\.0\.1\.2|fd00:0:0:1::2|fe80::\S+%\d+) port \d+: hello\n", done.stdout)


@pytest.mark.parametrize("group", GROUPS)
def test_other_hosts_hear_what_is_sent(group: str) -> None:
    """And this one, unless it is not to."""
    with (
        lan(2) as (here, there),
        member(group, 5000, here.ports[0]) as near,
        member(group, 5000, there.ports[0]) as far,
    ):
        assert run(written(group), "silent", "--send-only", "--no-loopback", host=here).returncode == 0
        assert run(written(group), "loud", "--send-only", host=here).returncode == 0
        assert near.recv(100) == b"loud\n"
        assert [far.recv(100), far.recv(100)] == [b"silent\n", b"loud\n"]


@pytest.mark.parametrize(
    ("group", "source"), [("232.1.2.3", "10.0.1.1"), ("ff35::1234", "fd00:0:0:1::1")], ids=["ipv4", "ipv6"]
)
def test_a_source_is_told_from_another_host(group: str, source: str) -> None:
    """What others send is not heard, before and after."""
    with (
        lan(3) as (one, two, listener),
        member(group, 5000, listener.ports[0]) as witness,
        listening(written(group), "--count", "2", "--source", source, host=listener) as process,
    ):
        for host, data in ((two, b"no"), (one, b"yes"), (two, b"no"), (one, b"yes")):
            send(host, group, data)
            assert witness.recv(100) == data
        done = end(process)
    assert re.fullmatch(rf"({source} port \d+: yes\n){{2}}", done.stdout)


@pytest.mark.parametrize("zone", ["%net1", ""])
def test_an_interface_can_be_the_zone_of_the_group(zone: str) -> None:
    """As in every link-local address; or an option, by name."""
    options = () if zone else ("--interface", "net1")
    place = written("ff02::1234", zone)
    with (
        lan(2) as (here, there),
        member("ff02::1234", 5000, there.ports[0]) as far,
        listening(place, "hello", "--count", "2", *options, host=here) as process,
    ):
        assert far.recv(100) == b"hello\n"
        send(there, "ff02::1234", b"hello yourself")
        done = end(process)
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == ["hello", "hello yourself"]


# Failures


def only_line(done: Done) -> str:
    """The one line on standard error."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("place", ["239.1.2.3:5000", "[ff05::1234]:5000"])
def test_no_way_to_the_group_is_one_line(place: str) -> None:
    """With the status, and what to do."""
    with network_namespace() as host:
        sending = run(place, "hello", "--send-only", host=host)
        hearing = run(place, "hello", host=host)
    for done in (sending, hearing):
        assert (done.returncode, done.stdout) == (1, "")
        assert only_line(done).startswith("winsockets: NETWORK_IS_UNREACHABLE: ")
    assert "name an adapter" in only_line(hearing)


def test_a_port_that_somebody_does_not_share_is_one_line(place: Place) -> None:
    """With the status."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.bind(("", place[1]))
        done = run(at(place), *HERE)
    assert (done.returncode, done.stdout) == (1, "")
    assert only_line(done).startswith("winsockets: ADDRESS_ALREADY_IN_USE: ")


def test_a_line_that_is_too_long_is_sent_in_pieces(place: Place) -> None:
    """As long as datagrams can be."""
    done = run(at(place), *HERE, "--count", "2", given="x" * 70_000 + "\n")
    assert [len(line.partition(": ")[2]) for line in done.stdout.splitlines()] == [65_507, 70_000 - 65_507]


def test_a_datagram_that_cannot_be_sent_is_one_line(place: Place) -> None:
    """Those after it are sent all the same."""
    with member(*place) as third:
        done = run(at(place), "x" * 70_000, "hello", *HERE, "--send-only")
        assert third.recv(100) == b"hello\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert only_line(done).startswith("winsockets: MESSAGE_TOO_LONG: ")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "Missing argument 'GROUP:PORT'"),
        (["192.0.2.1:5000"], "192.0.2.1 is not a multicast address; those of IPv4 go from 224.0.0.0"),
        (["239.1.2.3"], "write 239.1.2.3:5000 or [ff02::1234]:5000"),
        (["239.1.2.3:5000", "--interface", "no-such0"], f"this machine has {LOOPBACK}"),
        (["[ff02::1%no-such0]:5000"], "Invalid value for 'GROUP:PORT': find the network adapter 'no-such0'"),
        (["[ff02::1%1]:5000", "--interface", LOOPBACK], "leave --interface out"),
        (["239.1.2.3:5000", "--ttl", "256"], "'256' is not a whole number from 0 to 255"),
        (["239.1.2.3:5000", "--ttl", "-1"], "'-1' is not a whole number from 0 to 255"),
        (["239.1.2.3:5000", "--source", "2001:db8::1"], "one is an IPv4 address, the other an IPv6 address"),
        (["239.1.2.3:5000", "--source", "somebody"], "'somebody' is not an IPv4 or IPv6 address"),
        (["239.1.2.3:5000", "--count", "0"], "'0' is not a whole number"),
        (["239.1.2.3:5000", "--timeout", "0"], "greater than 0"),
        (["239.1.2.3:5000", "--listen-only", "--send-only"], "nothing to do"),
        (["239.1.2.3:5000", "--listen-only", "hello"], "leave out --listen-only"),
        (["239.1.2.3:5000", "--listen-only", "--ttl", "3"], "leave out --listen-only"),
        (["239.1.2.3:5000", "--listen-only", "--no-loopback"], "leave out --listen-only"),
        (["239.1.2.3:5000", "--send-only", "--source", "192.0.2.1"], "leave out --send-only"),
        (["239.1.2.3:5000", "--send-only", "--count", "1"], "leave out --send-only"),
        (["239.1.2.3:5000", "--send-only", "--timeout", "1"], "leave out --send-only"),
    ],
)
def test_a_wrong_command_line_has_status_2(arguments: list[str], advice: str) -> None:
    """The usage and a hint, on standard error."""
    done = CliRunner().invoke(main, ["multicast", *arguments], prog_name="winsockets")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: winsockets multicast")
    assert advice in done.stderr


def test_help_tells_a_stranger_what_there_is() -> None:
    """Options, exit status and examples."""
    text = CliRunner().invoke(main, ["multicast", "--help"], prog_name="winsockets").stdout
    for word in ("--source", "--interface", "--ttl", "--no-loopback", "--count", "--timeout", "Exit status"):
        assert word in text
    assert "  winsockets multicast 239.1.2.3:5000\n" in text
