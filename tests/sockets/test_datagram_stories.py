"""WinRT's datagram sample as stories: an echo server and its client, told step by step."""

from __future__ import annotations

import random
import socket as system
import subprocess
import sys

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.networks import two_hosts
from tests.sockets.datagrams import HOSTS
from tests.transports.datagrams import nobody, on_linux, until
from winsockets.errors import (
    AddressInUseError,
    InvalidArgumentError,
    ResetByPeerError,
    SocketError,
    SocketErrorStatus,
)
from winsockets.networking import HostName
from winsockets.sockets import DatagramSocket
from winsockets.streams import DataWriter


class Echo:
    """The listener of the sample: it echoes to the first who writes, and tells on the others."""

    def __init__(self) -> None:
        self.socket = DatagramSocket()
        self.told: list[str] = []
        self._peer: tuple[HostName, str] | None = None
        self._stream: Deferred[object] | None = None
        self.socket.message_received += self._received

    async def _received(self, socket, args):
        sender = (args.remote_address, args.remote_port)
        if self._peer is None:
            self._peer = sender
            self._stream = socket.get_output_stream_async(*sender)
        if not (self._peer[0].is_equal(sender[0]) and self._peer[1] == sender[1]):
            self.told.append(f"{sender[0]} {sender[1]} is not {self._peer[0]} {self._peer[1]}")
            return
        stream = await self._stream
        await stream.write_async(args.get_data_reader().detach_buffer())


class Client:
    """The client of the sample: one writer, and a handler that reads twice."""

    def __init__(self) -> None:
        self.socket = DatagramSocket()
        self.shown: list[str] = []
        self.statuses: list[SocketErrorStatus] = []
        self.socket.message_received += self._received
        self.writer: DataWriter | None = None

    def _received(self, socket, args):
        try:
            length = args.get_data_reader().unconsumed_buffer_length
            self.shown.append(args.get_data_reader().read_string(length))
        except OSError as problem:
            self.statuses.append(SocketError.get_status(problem.winerror))

    async def connect(self, host, service, dont_fragment=False):
        """Story B3."""
        self.socket.control.dont_fragment = dont_fragment
        await self.socket.connect_async(host, service)

    async def send(self, text):
        """Story B4: one store, one datagram."""
        if self.writer is None:
            self.writer = DataWriter(self.socket.output_stream)
        self.writer.write_string(text)
        await self.writer.store_async()

    def close(self):
        """Story B5."""
        if self.writer is not None:
            self.writer.detach_stream()
            self.writer.close()
        self.socket.close()


def test_a_listener_with_a_bad_buffer_size_is_not_bound():
    """B1: the size is refused, with an argument error, and the step can be done again."""
    echo = Echo()
    for size in (0, -1, 1 << 40):
        with pytest.raises(InvalidArgumentError) as caught:
            echo.socket.control.inbound_buffer_size_in_bytes = size
        assert SocketError.get_status(caught.value.winerror) is SocketErrorStatus.UNKNOWN
    assert echo.socket.information.local_port == ""


@pytest_twisted.ensureDeferred
async def test_a_second_listener_on_a_port_is_told_so():
    """B1: and it can listen when the first has stopped."""
    first, second = Echo(), Echo()
    async with first.socket, second.socket:
        first.socket.control.inbound_buffer_size_in_bytes = 100_000
        await first.socket.bind_service_name_async("")
        port = first.socket.information.local_port
        with pytest.raises(AddressInUseError):
            await second.socket.bind_service_name_async(port)
        first.socket.close()
        await second.socket.bind_service_name_async(port)


@pytest.mark.parametrize("host", [*HOSTS, "localhost"])
@pytest_twisted.ensureDeferred
async def test_what_is_sent_comes_back(host):
    """B2 to B5: the reply leaves from the port that was written to, else the client would not hear it."""
    echo, client = Echo(), Client()
    async with echo.socket, client.socket:
        await echo.socket.bind_service_name_async("")
        await client.connect(host, echo.socket.information.local_port, dont_fragment=True)
        for text in ("Hello", "Hello again", "Grüße"):
            await client.send(text)
            await until(lambda text=text: client.shown[-1:] == [text])
        client.close()
        assert client.statuses == echo.told == []
        with pytest.raises(OSError, match="closed"):
            client.socket.output_stream.write_async(b"x")


@pytest_twisted.ensureDeferred
async def test_the_echo_has_one_peer():
    """B2: a second client is told on, and hears nothing."""
    echo, client, other = Echo(), Client(), Client()
    async with echo.socket, client.socket, other.socket:
        await echo.socket.bind_endpoint_async("127.0.0.1", "")
        port = echo.socket.information.local_port
        for each in (client, other):
            await each.connect("127.0.0.1", port)
            await each.send("Hello")
        await until(lambda: echo.told)
        await client.send("still mine")
        await until(lambda: len(client.shown) == 2)
        first, second = client.socket.information.local_port, other.socket.information.local_port
        assert echo.told == [f"127.0.0.1 {second} is not 127.0.0.1 {first}"]
        assert other.shown == []
        client.close()
        other.close()


@pytest_twisted.ensureDeferred
async def test_a_client_without_a_listener_is_told_to_start_one_first():
    """B3: connecting succeeds; the handler's reader raises CONNECTION_RESET_BY_PEER; a listener mends it."""
    client, echo = Client(), Echo()
    port = str(nobody().port)
    async with client.socket, echo.socket:
        await client.connect("127.0.0.1", port)
        await client.send("Hello")
        await until(lambda: client.statuses)
        assert client.statuses == [SocketErrorStatus.CONNECTION_RESET_BY_PEER]
        await echo.socket.bind_endpoint_async("127.0.0.1", port)
        await client.send("Hello")
        await until(lambda: client.shown)
        assert client.shown == ["Hello"]
        client.close()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_thousands_of_datagrams_come_back_identical(host):
    """Of random sizes up to the longest of IPv4, at a pace that the system's buffers keep."""
    randomness = random.Random(1337)
    echoing, socket = DatagramSocket(), DatagramSocket()

    async def echo(sender, args):
        stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
        await stream.write_async(args.data)

    echoing.message_received += echo
    replies = socket.messages()
    await echoing.bind_endpoint_async(host, "")
    await socket.connect_async(host, echoing.information.local_port)
    async with echoing, socket:
        for _ in range(1000):
            sizes = [randomness.randrange(65_508)]
            for window in (sizes, [randomness.choice((0, 1, randomness.randrange(9000))) for _ in range(4)]):
                sent = [randomness.randbytes(size) for size in window]
                for data in sent:
                    assert await socket.output_stream.write_async(data) == len(data)
                assert [(await anext(replies)).data for _ in sent] == sent


@pytest_twisted.ensureDeferred
async def test_a_program_without_this_library_is_answered():
    """A socket of the standard library, in a process of its own."""
    echo = Echo()
    program = """
import socket, sys
skt = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
skt.settimeout(30)
skt.connect(("127.0.0.1", int(sys.argv[1])))
for size in (0, 1, 1472, 65507):
    data = bytes(range(256)) * 256
    skt.send(data[:size])
    assert skt.recv(70000) == data[:size]
"""
    async with echo.socket:
        await echo.socket.bind_endpoint_async("127.0.0.1", "")
        port = echo.socket.information.local_port
        process = subprocess.Popen([sys.executable, "-c", program, port])
        try:
            await until(lambda: process.poll() is not None)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0


@pytest_twisted.ensureDeferred
async def test_a_client_of_the_standard_library_hears_where_it_was_sent_to():
    """B2 on all interfaces: the socket answers from the address that the routing picks, and the same port."""
    echo = Echo()
    async with echo.socket:
        await echo.socket.bind_service_name_async("")
        with system.socket(system.AF_INET, system.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.sendto(b"Hello", ("127.0.0.1", int(echo.socket.information.local_port)))
            answers = []

            def answered():
                try:
                    answers.append(client.recvfrom(100))
                except BlockingIOError:
                    return False
                return True

            await until(answered)
            assert answers == [(b"Hello", ("127.0.0.1", int(echo.socket.information.local_port)))]


SHARING = """
import sys
from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver
from winsockets import DatagramSocket, DataWriter, HostName

MODE, SERVICE = sys.argv[1:]
DESTINATION = HostName("224.3.0.5" if MODE == "multicast" else "255.255.255.255")

def show(*words):
    print(*words, flush=True)

def received(socket, args):
    reader = args.get_data_reader()
    text = reader.read_string(reader.unconsumed_buffer_length)
    show("heard", text, "from", args.remote_address.canonical_name, args.remote_port)

class Buttons(LineReceiver):
    delimiter = b"\\n"
    def lineReceived(self, line):
        ensureDeferred(self.send(line.decode()))
    async def send(self, text):
        stream = await self.socket.get_output_stream_async(DESTINATION, SERVICE)
        writer = DataWriter(stream)
        writer.write_string(text)
        await writer.store_async()
    def connectionLost(self, reason):
        self.closed.callback(None)

async def main(reactor):
    buttons = Buttons()
    buttons.closed = Deferred()
    async with DatagramSocket() as buttons.socket:
        buttons.socket.message_received += received
        if MODE == "multicast":
            buttons.socket.control.multicast_only = True
        await buttons.socket.bind_service_name_async(SERVICE)
        if MODE == "multicast":
            buttons.socket.join_multicast_group(DESTINATION)
        show("listening on", buttons.socket.information.local_port)
        stdio.StandardIO(buttons)
        await buttons.closed.addTimeout(60, reactor)
    show("closed")

react(lambda reactor: ensureDeferred(main(reactor)))
"""


@on_linux
def test_everybody_shows_what_anybody_sends_to_the_group():
    """B6 in multicast mode: two instances on one machine, and each shows every datagram, its own too."""
    with two_hosts() as (here, _):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        instances = [here.python(SHARING, "multicast", "22113", **pipes) for _ in range(2)]
        for instance in instances:
            assert instance.stdout.readline() == "listening on 22113\n"
        for number, instance in enumerate(instances):
            instance.stdin.write(f"Hello{number}\n")
            instance.stdin.flush()
            for each in instances:
                words = each.stdout.readline().split()
                assert words[:4] == ["heard", f"Hello{number}", "from", here.ipv4]
        for instance in instances:
            instance.stdin.close()
            assert instance.stdout.readline() == "closed\n"


@on_linux
def test_a_broadcast_is_shown_by_its_sender_too():
    """B6 in broadcast mode: one instance, the port is its own, and a second one is refused."""
    with two_hosts() as (here, _):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        instance = here.python(SHARING, "broadcast", "22113", **pipes)
        assert instance.stdout.readline() == "listening on 22113\n"
        second = here.python(SHARING, "broadcast", "22113", **pipes)
        assert "AddressInUseError" in second.communicate(timeout=60)[1]
        instance.stdin.write("Hello\n")
        instance.stdin.flush()
        assert instance.stdout.readline().split()[:4] == ["heard", "Hello", "from", here.ipv4]
        instance.stdin.close()
        assert instance.stdout.readline() == "closed\n"


def test_a_refusal_has_the_number_of_winsock():
    """What a program ported from WinRT compares with."""
    assert ResetByPeerError("x").winerror == -2147014842
