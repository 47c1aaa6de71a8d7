"""The command line, and echoes as a user sees them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.commands import COMMAND, PATIENCE, Done, run, run_program
from tests.cli.servers import datagram_server, stream_server
from winsockets import DatagramSocket, DatagramSocketMessageReceivedEventArgs

SUMMARY = re.compile(
    rb"(?P<counts>[^\n]*)\n"
    rb"round trip: minimum \d+\.\d{3} ms, median \d+\.\d{3} ms, p99 \d+\.\d{3} ms, maximum \d+\.\d{3} ms\n"
)
AWKWARD_INPUT = b"plain\n\n\xff\xfe not UTF-8 \0\r\n" + b"long" * 50_000 + b"\nno end"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on: it is taken, but only in the other direction of use."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        # Connected to itself, it hears of nobody else.
        udp.connect(("127.0.0.1", port))
        yield port


def only_line(done: Done) -> str:
    """The one line on standard error."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# Replies


@pytest_twisted.ensureDeferred
async def test_texts_are_sent_as_lines_over_tcp() -> None:
    """Their replies come out as they are, and nothing else."""
    async with stream_server() as url:
        done = await run("echo", url, "hello", "zwei Wörter", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\nzwei Wörter\n\n".encode(), b"")


@pytest_twisted.ensureDeferred
async def test_texts_are_sent_as_lines_over_udp() -> None:
    """A datagram each."""
    async with datagram_server() as url:
        done = await run("echo", url, "hello", "world")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\nworld\n", b"")


@pytest.mark.parametrize("server", [stream_server, datagram_server])
@pytest_twisted.ensureDeferred
async def test_an_ipv6_address_stands_in_brackets(server: Callable[..., object]) -> None:
    """As in every URL."""
    async with server(host="::1") as url:
        assert "://[::1]:" in url
        done = await run("echo", url, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
@pytest_twisted.ensureDeferred
async def test_a_text_that_is_not_utf_8_is_sent_as_it_is() -> None:
    """Bytes in, bytes out."""
    async with stream_server() as url:
        done = await run("echo", url, b"caf\xe9")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"caf\xe9\n", b"")


@pytest.mark.parametrize("server", [stream_server, datagram_server])
@pytest_twisted.ensureDeferred
async def test_standard_input_comes_back_byte_for_byte(server: Callable[..., object]) -> None:
    """Lines of any bytes and any length, with and without an end."""
    async with server() as url:
        done = await run("echo", url, input=AWKWARD_INPUT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == AWKWARD_INPUT


@pytest_twisted.ensureDeferred
async def test_lines_over_udp_are_datagrams() -> None:
    """One each, its end included; a long one is split at the longest datagram."""
    received: list[int] = []

    async def record(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        received.append(len(args.data))
        stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
        await stream.write_async(args.data)

    async with datagram_server(record) as url:
        done = await run("echo", url, input=b"one\n\n" + b"x" * 100_000 + b"\nlast")
    assert done.returncode == 0
    assert received == [4, 1, 65_507, 100_001 - 65_507, 4]


@pytest_twisted.ensureDeferred
async def test_no_input_is_no_message() -> None:
    """The connection is made all the same."""
    async with stream_server() as url:
        done = await run("echo", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest_twisted.ensureDeferred
async def test_a_closed_standard_input_is_empty() -> None:
    """As cron and daemons start programs."""
    async with stream_server() as url:
        done = await run_program("sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "echo", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX descriptors")
@pytest_twisted.ensureDeferred
async def test_an_input_that_cannot_be_read_is_one_line() -> None:
    """With the name that the system gives to the reason."""
    reading, writing = os.pipe()
    try:
        async with stream_server() as url:
            done = await run("echo", url, stdin=writing)
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 1
    assert only_line(done).startswith("winsockets: EBADF: read standard input: ")


# Measuring


@pytest.mark.parametrize("server", [stream_server, datagram_server])
@pytest_twisted.ensureDeferred
async def test_a_count_gives_a_summary_instead_of_the_replies(server: Callable[..., object]) -> None:
    """On standard output; there is no progress where no terminal is."""
    async with server() as url:
        done = await run("echo", url, "--count", "1500")
    summary = SUMMARY.fullmatch(done.stdout)
    assert summary is not None, done.stdout
    assert summary["counts"] == b"1500 sent, 1500 received, 0 lost"
    assert (done.returncode, done.stderr) == (0, b"")


@pytest_twisted.ensureDeferred
async def test_sized_messages_are_numbered() -> None:
    """Each has exactly the size, and begins with its number."""
    received: list[bytes] = []

    async def record(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        received.append(args.data)
        stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
        await stream.write_async(args.data)

    async with datagram_server(record) as url:
        done = await run("echo", url, "--size", "65507", "--count", "3")
    assert done.returncode == 0
    assert [len(message) for message in received] == [65_507] * 3
    assert [message.split(b" ")[0] for message in received] == [b"1", b"2", b"3"]


@pytest_twisted.ensureDeferred
async def test_a_message_larger_than_every_buffer_comes_back() -> None:
    """It is read while it is written."""
    async with stream_server() as url:
        done = await run("echo", url, "--size", str(20 << 20))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"1 sent, 1 received, 0 lost\n")


@pytest_twisted.ensureDeferred
async def test_texts_are_repeated_up_to_the_count() -> None:
    """In turn, and no more often than asked for."""
    received: list[bytes] = []

    async def record(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        received.append(args.data)
        stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
        await stream.write_async(args.data)

    async with datagram_server(record) as url:
        done = await run("echo", url, "a", "b", "--count", "3", "--interval", "0.001")
    assert received == [b"a\n", b"b\n", b"a\n"]
    assert done.stdout.startswith(b"3 sent, 3 received, 0 lost\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest_twisted.ensureDeferred
async def test_a_terminal_shows_the_progress_and_loses_it_at_the_end() -> None:
    """In a line that rewrites itself; the summary goes where it always goes."""
    terminal, stderr = os.openpty()
    try:
        async with stream_server() as url:
            done = await run("echo", url, "--count", "3", stderr=stderr)
        shown = os.read(terminal, 4096)
    finally:
        os.close(stderr)
        os.close(terminal)
    assert re.fullmatch(rb"\rof 3: 1 sent, 1 received, 0 lost; last \d+\.\d{3} ms.*\r +\r", shown), shown
    assert SUMMARY.fullmatch(done.stdout)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest_twisted.ensureDeferred
async def test_somebody_at_a_terminal_is_told_what_to_do() -> None:
    """Where the lines go and how to end them; on standard error, as everything but replies."""
    terminal, stdin = os.openpty()
    try:
        os.write(terminal, b"hello\n\x04")
        async with stream_server() as url:
            done = await run("echo", url, stdin=stdin)
    finally:
        os.close(stdin)
        os.close(terminal)
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    port = url.rpartition(":")[2]
    assert only_line(done) == f"lines go to 127.0.0.1 port {port}; Ctrl-D ends"


# Command lines


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "Missing argument 'URL'"),
        (["localhost"], "does not begin with tcp://, tls:// or udp://"),
        (["http://localhost"], "write tcp://, tls:// or udp://"),
        (["tcp://a..b:1"], "'a..b' is not a host name"),
        (["udp://[localhost]:1"], "'[localhost]' is not"),
        (["udp://localhost:0"], "port 0 is not a destination"),
        (["tls://localhost:65536"], "'65536' is neither a port"),
        (["tcp://localhost", "text", "--size", "5"], "there can be no TEXT"),
        (["tcp://localhost", "--count", "0"], "'--count'"),
        (["tcp://localhost", "--count", "1e3"], "'1e3' is not a whole number from 1 to 1000000000000"),
        (["tcp://localhost", "--count", "٣"], "'٣' is not a whole number"),
        (["tcp://localhost", "--size", "9" * 5000], "is not a whole number from 1 to 1073741824"),
        (["tcp://localhost", "--size", "0"], "'--size'"),
        (["tcp://localhost", "--timeout", "0"], "greater than 0"),
        (["tcp://localhost", "--timeout", "nan"], "not a number of seconds"),
        (["tcp://localhost", "--interval", "-1"], "not a number of seconds"),
        (["tcp://localhost", "--interval", "soon"], "not a number of seconds"),
        (["tcp://localhost", "--interval", "1e300"], "from 0 to 86400"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_command_line_has_status_2(arguments: list[str], advice: str) -> None:
    """The usage and a hint, on standard error."""
    done = await run("echo", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Usage: winsockets echo")
    assert advice in done.stderr.decode()


@pytest_twisted.ensureDeferred
async def test_help_tells_a_stranger_what_there_is() -> None:
    """Commands, URLs, options, exit status and examples."""
    top = (await run("--help")).stdout.decode()
    assert "echo" in top
    assert "twistd -n winsockets-echo" in top
    text = (await run("echo", "--help")).stdout.decode()
    for word in (
        "tcp://HOST:PORT",
        "tls://HOST:PORT",
        "1337",
        "--count",
        "--interval",
        "--size",
        "--timeout",
    ):
        assert word in text
    for word in ("--ca", "--certificate", "--private-key", "--insecure-ignore", "UNTRUSTED", "Exit status"):
        assert word in text
    assert "\n  winsockets echo tcp://localhost:1337 hello\n" in text.replace(
        "    winsockets", "  winsockets"
    )


@pytest_twisted.ensureDeferred
async def test_the_version_is_one_line() -> None:
    """Also where the library is not installed."""
    done = await run("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(rb"winsockets [^\n]+\n", done.stdout)


# Failures


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_one_line_with_the_status(closed_port: int) -> None:
    """Over TCP the connection is what fails."""
    done = await run("echo", f"tcp://localhost:{closed_port}", "hello")
    assert (done.returncode, done.stdout) == (1, b"")
    assert only_line(done).startswith(
        f"winsockets: CONNECTION_REFUSED: connect to localhost port {closed_port} ("
    )


@pytest_twisted.ensureDeferred
async def test_each_refused_datagram_is_a_line(closed_port: int) -> None:
    """Over UDP each message meets its own fate."""
    done = await run("echo", f"udp://127.0.0.1:{closed_port}", "one", "two")
    assert (done.returncode, done.stdout) == (1, b"")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("winsockets: CONNECTION_RESET_BY_PEER: ")
        assert f"127.0.0.1 port {closed_port}" in line


@pytest_twisted.ensureDeferred
async def test_a_measurement_tells_of_refusals_once(closed_port: int) -> None:
    """And counts them."""
    done = await run("echo", f"udp://127.0.0.1:{closed_port}", "--count", "5")
    assert (done.returncode, done.stdout) == (1, b"5 sent, 0 received, 5 lost\n")
    assert only_line(done).startswith("winsockets: CONNECTION_RESET_BY_PEER: ")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("place", "names"),
    [
        # which of the two depends on whether there is a name server
        ("no-such-host.invalid:1", "HOST_NOT_FOUND|NON_AUTHORITATIVE_HOST_NOT_FOUND"),
        ("localhost:no-such-service", "CLASS_TYPE_NOT_FOUND"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_place_that_is_none_is_one_line(transport: str, place: str, names: str) -> None:
    """As for whatever turns out only when the network is asked."""
    done = await run("echo", f"{transport}://{place}", "hello")
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.match(f"winsockets: ({names}): ", only_line(done)), done.stderr


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_is_too_long_is_one_line() -> None:
    """Nothing was sent, so nothing was lost."""
    async with datagram_server() as url:
        done = await run("echo", url, "--size", "70000", "--count", "3")
    assert (done.returncode, done.stdout) == (1, b"0 sent, 0 received, 0 lost\n")
    assert only_line(done).startswith("winsockets: MESSAGE_TOO_LONG: send to 127.0.0.1 port ")


SILENT_RESOLVER = """
import socket, threading
socket.getaddrinfo = lambda *arguments, **options: threading.Event().wait()
from winsockets.cli import main
main(prog_name="winsockets")
"""


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest_twisted.ensureDeferred
async def test_a_resolver_that_does_not_answer_is_not_waited_for(transport: str) -> None:
    """Its thread goes on for ever; the command does not."""
    done = await run_program(
        sys.executable, "-c", SILENT_RESOLVER, "echo", f"{transport}://example.com", "x", "--timeout", "0.1"
    )
    assert done.returncode == 1
    assert only_line(done).startswith("winsockets: CONNECTION_TIMED_OUT: resolve example.com: ")


TWO_ADDRESSES = """
import socket
def getaddrinfo(host, port, *arguments, **options):
    kind = (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "")
    return [(*kind, (address, port)) for address in host.removesuffix(".test").split("-")]
socket.getaddrinfo = getaddrinfo
from winsockets.cli import main
main(prog_name="winsockets")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8 on the loopback interface")
@pytest.mark.parametrize("first", ["127.0.0.2", "224.0.0.1"], ids=["refuses", "is no peer"])
@pytest_twisted.ensureDeferred
async def test_udp_finds_the_address_at_which_somebody_listens(first: str) -> None:
    """Where the first address of a name fails the first message, the next one gets it."""
    async with datagram_server() as url:
        port = url.rpartition(":")[2]
        line = (sys.executable, "-c", TWO_ADDRESSES, "echo", f"udp://{first}-127.0.0.1.test:{port}", "a", "b")
        done = await run_program(*line)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\nb\n", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8 on the loopback interface")
@pytest_twisted.ensureDeferred
async def test_udp_tells_of_the_last_address_where_all_fail(closed_port: int) -> None:
    """A name of which no address works is a failure like that of one address."""
    for addresses, name in (
        ("127.0.0.2-127.0.0.1", "CONNECTION_RESET_BY_PEER"),
        ("224.0.0.1-224.0.0.2", "HOST_NOT_FOUND"),
    ):
        url = f"udp://{addresses}.test:{closed_port}"
        done = await run_program(sys.executable, "-c", TWO_ADDRESSES, "echo", url, "a")
        assert (done.returncode, done.stdout) == (1, b"")
        assert only_line(done).startswith(f"winsockets: {name}: ")


# Standard output


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes of POSIX")
@pytest.mark.parametrize("options", [[], ["--count", "3"]])
@pytest_twisted.ensureDeferred
async def test_an_output_that_nobody_reads_is_the_end_without_a_word(options: list[str]) -> None:
    """Status 1, because not every reply was shown."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        async with stream_server() as url:
            done = await run("echo", url, "hello", *options, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest_twisted.ensureDeferred
async def test_an_endless_input_ends_with_its_reader(require_program: Callable[[str], str]) -> None:
    """``yes | winsockets echo URL | head``, as people do."""
    line = f'{require_program("yes")} | "$@" | {require_program("head")} -n 3'
    async with stream_server() as url:
        done = await run_program(require_program("sh"), "-c", line, "sh", *COMMAND, "echo", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"y\ny\ny\n", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes of POSIX")
@pytest_twisted.ensureDeferred
async def test_complaints_that_nobody_reads_are_no_fault(closed_port: int) -> None:
    """The status says it all."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = await run("echo", f"udp://127.0.0.1:{closed_port}", "one", "two", stderr=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [[], ["--count", "3"]])
@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_one_line(options: list[str]) -> None:
    """With the name that the system gives to it."""
    with open("/dev/full", "wb") as full:
        async with stream_server() as url:
            done = await run("echo", url, "hello", *options, stdout=full)
    assert done.returncode == 1
    assert only_line(done).startswith("winsockets: ENOSPC: write to standard output: ")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest_twisted.ensureDeferred
async def test_outputs_that_are_closed_are_no_fault() -> None:
    """Whoever closes them wants to see nothing."""
    async with stream_server() as url:
        line = ("sh", "-c", 'exec "$@" >&- 2>&-', "sh", *COMMAND, "echo", url)
        assert (await run_program(*line, "hello")).returncode == 0
        assert (await run_program(*line, "hello", "--count", "2")).returncode == 0
    assert (await run_program(*line, "hello")).returncode == 1


# Other people's servers


@pytest.mark.parametrize(
    ("transport", "address"),
    [("tcp", "TCP-LISTEN:0,bind=127.0.0.1,fork"), ("udp", "UDP-LISTEN:0,bind=127.0.0.1")],
)
@pytest_twisted.ensureDeferred
async def test_socat_gives_everything_back(
    require_program: Callable[[str], str], transport: str, address: str
) -> None:
    """Its PIPE is an echo."""
    socat = subprocess.Popen(
        [require_program("socat"), "-d", "-d", address, "PIPE"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert socat.stderr is not None
        port = next(line for line in socat.stderr if "listening on" in line).strip().rpartition(":")[2]
        done = await run("echo", f"{transport}://127.0.0.1:{port}", "hello", "world")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\nworld\n", b"")
    finally:
        socat.terminate()
        socat.communicate(timeout=PATIENCE)
