"""Servers that do not echo as they should, and signals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.cli.commands import COMMAND, PATIENCE, finish, run, start
from tests.cli.servers import answer, datagram_server, echo_stream, say_nothing, stream_server
from winsockets import DatagramSocket, DatagramSocketMessageReceivedEventArgs, StreamSocket

SHORT = "0.5"
"""A timeout for replies that never come."""


# TCP


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_is_given_up() -> None:
    """The first lost reply is the end, because the next one could not be told from it."""
    async with stream_server(say_nothing) as url:
        done = await run("echo", url, "one", "two", "--timeout", SHORT)
    assert (done.returncode, done.stdout) == (1, b"")
    port = url.rpartition(":")[2]
    assert done.stderr.decode().splitlines() == [
        f"winsockets: CONNECTION_TIMED_OUT: receive from 127.0.0.1 port {port}: the reply did not come "
        "within 0.5 s; check that an echo server listens there, or give a longer --timeout"
    ]


@pytest_twisted.ensureDeferred
async def test_a_measurement_shows_its_summary_after_a_failure_too() -> None:
    """What was received before stays received."""

    async def once(socket: StreamSocket) -> None:
        await socket.output_stream.write_async(await socket.input_stream.read_exactly(64))
        await say_nothing(socket)

    async with stream_server(once) as url:
        done = await run("echo", url, "--count", "5", "--timeout", SHORT)
    assert done.returncode == 1
    assert done.stdout.startswith(b"2 sent, 1 received, 1 lost\nround trip: minimum ")
    assert done.stderr.startswith(b"winsockets: CONNECTION_TIMED_OUT: ")


@pytest_twisted.ensureDeferred
async def test_a_server_that_takes_nothing_is_given_up() -> None:
    """The unsent rest of a large message does not hold the command back."""
    stuck: Deferred[None] = Deferred()

    async def wait(socket: StreamSocket) -> None:
        await stuck

    async with stream_server(wait) as url:
        done = await run("echo", url, "--size", str(20 << 20), "--timeout", SHORT)
        stuck.callback(None)
    assert (done.returncode, done.stdout) == (1, b"1 sent, 0 received, 1 lost\n")
    assert done.stderr.startswith(b"winsockets: CONNECTION_TIMED_OUT: ")


@pytest_twisted.ensureDeferred
async def test_replies_that_differ_are_shown_and_complained_about() -> None:
    """A reply is as long as its message, so each message has its own."""

    async def shout(socket: StreamSocket) -> None:
        async for data in socket.input_stream:
            await socket.output_stream.write_async(data.upper())

    async with stream_server(shout) as url:
        done = await run("echo", url, "one", "TWO", "three")
        measured = await run("echo", url, "one", "TWO", "--count", "2")
    assert (done.returncode, done.stdout) == (1, b"ONE\nTWO\nTHREE\n")
    assert done.stderr.decode().splitlines() == [
        "winsockets: the reply to message 1 is not what was sent",
        "winsockets: the reply to message 3 is not what was sent",
    ]
    assert (measured.returncode, measured.stderr) == (1, b"")
    assert measured.stdout.startswith(b"2 sent, 2 received, 0 lost, 1 different\n")


@pytest_twisted.ensureDeferred
async def test_a_reply_may_come_in_pieces() -> None:
    """Each byte in a segment of its own is still the same reply."""

    async def spell(socket: StreamSocket) -> None:
        async for data in socket.input_stream:
            for byte in data:
                await socket.output_stream.write_async(bytes([byte]))

    async with stream_server(spell) as url:
        done = await run("echo", url, "hello", "world")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\nworld\n", b"")


@pytest_twisted.ensureDeferred
async def test_more_than_was_sent_is_no_identical_reply() -> None:
    """What follows the last reply is counted until the server ends."""

    async def add(socket: StreamSocket) -> None:
        await echo_stream(socket)
        await socket.output_stream.write_async(b"goodbye\n")

    async with stream_server(add) as url:
        done = await run("echo", url, "hello")
    assert (done.returncode, done.stdout) == (1, b"hello\n")
    assert done.stderr == b"winsockets: the server sent 8 bytes more than were sent to it\n"


@pytest_twisted.ensureDeferred
async def test_a_server_that_keeps_the_connection_is_left() -> None:
    """After a short while: the replies are all there."""
    left: Deferred[None] = Deferred()

    async def keep(socket: StreamSocket) -> None:
        await socket.output_stream.write_async(await socket.input_stream.read())
        await left

    async with stream_server(keep) as url:
        done = await run("echo", url, "hello", "--timeout", SHORT)
        left.callback(None)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


@pytest_twisted.ensureDeferred
async def test_a_server_that_ends_early_is_one_line() -> None:
    """What came of the reply is shown."""

    async def stop_short(socket: StreamSocket) -> None:
        await socket.output_stream.write_async((await socket.input_stream.read())[:2])

    async with stream_server(stop_short) as url:
        done = await run("echo", url, "hello", "again")
    assert (done.returncode, done.stdout) == (1, b"he")
    port = url.rpartition(":")[2]
    assert done.stderr.decode() == (
        f"winsockets: E_BOUNDS: receive from 127.0.0.1 port {port}: the server closed the connection after 2 "
        "of 6 bytes of the reply; check that an echo server listens there, with TLS or without as the URL "
        "says\n"
    )


@pytest_twisted.ensureDeferred
async def test_a_reset_is_one_line_with_its_status() -> None:
    """The same for the write and the read that it ends."""

    async def reset(socket: StreamSocket) -> None:
        await socket.input_stream.read(1)
        # Closed with bytes that nobody read, the connection is reset.

    async with stream_server(reset) as url:
        done = await run("echo", url, "--size", "100000", "--count", "2")
    assert (done.returncode, done.stdout) == (1, b"1 sent, 0 received, 1 lost\n")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("winsockets: CONNECTION_RESET_BY_PEER: ")


# UDP


@asynccontextmanager
async def scripted_server(
    script: Callable[[int, bytes], list[bytes]],
) -> AsyncIterator[str]:
    """A UDP server that answers the n-th datagram (from 1) with what a function of n and of it gives."""
    count = 0

    async def handle(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        nonlocal count
        count += 1
        for data in script(count, args.data):
            await answer(sender, args, data)

    async with datagram_server(handle) as url:
        yield url


@pytest_twisted.ensureDeferred
async def test_lost_datagrams_are_counted_and_the_next_ones_sent() -> None:
    """While measuring they are not worth a line each."""
    async with scripted_server(lambda n, data: [] if n % 3 == 0 else [data]) as url:
        done = await run("echo", url, "--count", "7", "--timeout", SHORT)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"7 sent, 5 received, 2 lost\n")


@pytest_twisted.ensureDeferred
async def test_a_lost_datagram_is_a_line_among_the_replies() -> None:
    """So that one can see which it was."""
    async with scripted_server(lambda n, data: [] if n == 1 else [data]) as url:
        done = await run("echo", url, "one", "two", "--timeout", SHORT)
    assert (done.returncode, done.stdout) == (1, b"two\n")
    assert done.stderr.startswith(b"winsockets: CONNECTION_TIMED_OUT: receive from 127.0.0.1 port ")
    assert done.stderr.count(b"\n") == 1


@pytest_twisted.ensureDeferred
async def test_a_reply_that_comes_too_late_is_not_taken_for_the_next() -> None:
    """The number in front tells them apart."""
    held: list[bytes] = []

    def hold_first(n: int, data: bytes) -> list[bytes]:
        held.append(data)
        return [] if n == 1 else held if n == 2 else [data]

    async with scripted_server(hold_first) as url:
        done = await run("echo", url, "--count", "3", "--timeout", SHORT)
    assert done.returncode == 1
    assert done.stdout.startswith(b"3 sent, 2 received, 1 lost, 1 late\n")


@pytest_twisted.ensureDeferred
async def test_duplicates_are_counted_and_do_no_harm() -> None:
    """The one after the last reply may come after the end."""
    async with scripted_server(lambda n, data: [data, data]) as url:
        done = await run("echo", url, "--count", "5")
    assert (done.returncode, done.stderr) == (0, b"")
    counts = done.stdout.split(b"\n")[0]
    assert counts in (
        b"5 sent, 5 received, 0 lost, 4 duplicates",
        b"5 sent, 5 received, 0 lost, 5 duplicates",
    )


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_is_no_echo_of_anything_is_a_different_reply() -> None:
    """It is shown, and the next message sent."""
    async with scripted_server(lambda n, data: [data.upper()]) as url:
        done = await run("echo", url, "one", "two")
    assert (done.returncode, done.stdout) == (1, b"ONE\nTWO\n")
    assert done.stderr.decode().splitlines() == [
        "winsockets: the reply to message 1 is not what was sent",
        "winsockets: the reply to message 2 is not what was sent",
    ]


@pytest_twisted.ensureDeferred
async def test_what_comes_while_nothing_is_waited_for_is_a_stray() -> None:
    """Between two messages, for one."""

    def twice(n: int, data: bytes) -> list[bytes]:
        return [data, b"by the way"] if n == 1 else [data]

    async with scripted_server(twice) as url:
        done = await run("echo", url, "--count", "2", "--interval", SHORT)
    assert done.returncode == 0
    assert done.stdout.startswith(b"2 sent, 2 received, 0 lost, 1 stray\n")


@pytest_twisted.ensureDeferred
async def test_datagrams_of_somebody_else_are_no_replies() -> None:
    """Even if they say the same."""
    async with DatagramSocket() as other:

        async def answer_from_elsewhere(
            sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs
        ) -> None:
            await answer(other, args, args.data)

        async with datagram_server(answer_from_elsewhere) as url:
            done = await run("echo", url, "--count", "2", "--timeout", SHORT)
    assert (done.returncode, done.stdout) == (1, b"2 sent, 0 received, 2 lost\n")


# Signals

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest_twisted.ensureDeferred
async def test_a_signal_ends_a_measurement_with_what_there_is(number: signal.Signals, status: int) -> None:
    """The message that is on its way is neither received nor lost."""
    process = None

    def second_is_the_last(n: int, data: bytes) -> list[bytes]:
        if n == 2 and process is not None:
            process.send_signal(number)
            return []
        return [data]

    async with scripted_server(second_is_the_last) as url:
        process = start(*COMMAND, "echo", url, "--count", "1000", "--timeout", str(PATIENCE))
        done = await finish(process)
    assert (done.returncode, done.stderr) == (status, b"")
    assert done.stdout.startswith(b"2 sent, 1 received, 0 lost\nround trip: minimum ")


@posix
@pytest_twisted.ensureDeferred
async def test_ctrl_c_while_nothing_is_typed_ends_with_what_there_is() -> None:
    """The thread that reads standard input is not waited for; replies stay alone on standard output."""
    async with stream_server() as url:
        process = start(*COMMAND, "echo", url)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert await deferToThread(process.stdout.readline) == b"hello\n"
        process.send_signal(signal.SIGINT)
        # finish() ends the input too, which is an end of its own
        await deferToThread(process.wait, PATIENCE)
        done = await finish(process)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr.startswith(b"\n1 sent, 1 received, 0 lost\nround trip: minimum ")


SLOW_RESOLVER = """
import socket, threading
def getaddrinfo(*arguments, **options):
    print("asked", flush=True)
    threading.Event().wait()
socket.getaddrinfo = getaddrinfo
from winsockets.cli import main
main(prog_name="winsockets")
"""


@posix
@pytest_twisted.ensureDeferred
async def test_ctrl_c_ends_an_attempt_to_connect() -> None:
    """A resolver that does not answer is not waited for."""
    process = start(sys.executable, "-c", SLOW_RESOLVER, "echo", "tcp://example.com", "hello")
    assert process.stdout is not None
    assert await deferToThread(process.stdout.readline) == b"asked\n"
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"\n0 sent, 0 received, 0 lost\n"


IGNORING = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from winsockets.cli import main
main(prog_name="winsockets")
"""


@posix
@pytest_twisted.ensureDeferred
async def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    """A shell starts what it runs in the background like that, because Ctrl-C is meant for another."""
    process = None

    def interrupt_first(n: int, data: bytes) -> list[bytes]:
        if n == 1 and process is not None:
            process.send_signal(signal.SIGINT)
        return [data]

    async with scripted_server(interrupt_first) as url:
        process = start(sys.executable, "-c", IGNORING, "echo", url, "one", "two")
        done = await finish(process)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one\ntwo\n", b"")


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether a process handles a signal itself; it does not when it has ended."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest_twisted.ensureDeferred
async def test_a_second_ctrl_c_ends_what_the_first_cannot() -> None:
    """An output that nobody takes holds the command up in the middle of writing to it."""
    from twisted.internet import reactor

    stuck: Deferred[None] = Deferred()

    def second_will_not_fit(n: int, data: bytes) -> list[bytes]:
        if n == 2:
            stuck.callback(None)
        return [data]

    async with scripted_server(second_will_not_fit) as url:
        process = start(*COMMAND, "echo", url, *["x" * 60_000] * 9)
        await stuck
        process.send_signal(signal.SIGINT)
        while catches(process, signal.SIGINT):
            await deferLater(reactor, 0.01)
        process.send_signal(signal.SIGINT)
        code = await deferToThread(process.wait, PATIENCE)
        await finish(process)
    assert code in (130, -signal.SIGINT)
