"""Stories that programs for these classes tell, from beginning to end."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted

from tests.sockets.datagrams import names
from tests.sockets.streams import bound, pair
from tests.transports.loopback import refused_port, reset, until
from winsockets.errors import (
    ERROR_OPERATION_ABORTED,
    AddressInUseError,
    InvalidArgumentError,
    SocketError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.networking import HostName
from winsockets.sockets import StreamSocket, StreamSocketListener
from winsockets.streams import DataReader, DataWriter, InputStreamOptions, StreamReader, StreamWriter

Status = SocketErrorStatus


class ListeningProgram:
    """Listens, and shows the strings that arrive: each a length of four bytes, then so many bytes of text."""

    def __init__(self):
        self.lines = []
        self.listener = None

    async def listen(self, service):
        """Step 1: start a listener, or say why not and be ready to try again."""
        assert self.listener is None, "already listening"
        listener = StreamSocketListener()
        listener.connection_received += self.received
        listener.control.keep_alive = False
        self.listener = listener
        try:
            await listener.bind_service_name_async(service)
        except SocketException as problem:
            self.listener = None
            self.show("listening", problem)
        else:
            self.lines.append("Listening")

    async def received(self, sender, args):
        """Step 2: show what one client sends until it goes."""
        reader = DataReader(args.socket.input_stream)
        try:
            while True:
                if await reader.load_async(4) < 4:
                    return
                length = reader.read_uint32()
                if await reader.load_async(length) < length:
                    return
                self.lines.append(f'Received: "{reader.read_string(length)}"')
        except SocketException as problem:
            self.show("reading", problem)

    def show(self, step, problem):
        """Report an error of the network; anything else is fatal."""
        status = SocketError.get_status(problem.winerror)
        if status is Status.UNKNOWN:
            raise problem
        self.lines.append(f"{step}: {status.name}")


class ConnectingProgram:
    """Connects, sends, closes."""

    def __init__(self):
        self.lines = []
        self.socket = None
        self.writer = None

    async def connect(self, host, service):
        """Step 3: connect, or say why not."""
        try:
            name = HostName(host)
        except InvalidArgumentError:
            self.lines.append("Error: Invalid host name.")
            return
        self.socket = StreamSocket()
        self.socket.control.keep_alive = False
        try:
            await self.socket.connect_async(name, service)
        except SocketException as problem:
            self.lines.append(SocketError.get_status(problem.winerror).name)
        else:
            self.lines.append("Connected")

    async def send(self, text):
        """Step 4: send a frame, by a writer that is kept."""
        if self.writer is None:
            self.writer = DataWriter(self.socket.output_stream)
        self.writer.write_uint32(self.writer.measure_string(text))
        self.writer.write_string(text)
        await self.writer.store_async()
        self.lines.append(f"{text} sent")

    def close(self):
        """Step 5: let the stream go from the writer, then close everything."""
        if self.writer is not None:
            self.writer.detach_stream()
            self.writer.close()
        self.socket.close()


@pytest_twisted.ensureDeferred
async def test_listen_connect_send_close_and_all_over_again():
    """Two programs over localhost; the port can be listened on again at once."""
    service = str(refused_port())
    for _ in range(2):
        server, client = ListeningProgram(), ConnectingProgram()
        await server.listen(service)
        await client.connect("localhost", service)
        await client.send("Hello")
        await client.send("Hello")
        await until(lambda server=server: len(server.lines) == 3)
        client.close()
        await client.socket.wait_closed_async()
        server.listener.close()
        await server.listener.wait_closed_async()
        assert server.lines == ["Listening", 'Received: "Hello"', 'Received: "Hello"']
        assert client.lines == ["Connected", "Hello sent", "Hello sent"]


@pytest_twisted.ensureDeferred
async def test_a_second_program_on_the_same_port_is_told_and_can_try_again():
    """When the first one has gone."""
    service = str(refused_port())
    first, second = ListeningProgram(), ListeningProgram()
    await first.listen(service)
    await second.listen(service)
    assert second.lines == ["listening: ADDRESS_ALREADY_IN_USE"]
    first.listener.close()
    await first.listener.wait_closed_async()
    await second.listen(service)
    assert second.lines[1:] == ["Listening"]
    second.listener.close()
    await second.listener.wait_closed_async()


@pytest_twisted.ensureDeferred
async def test_a_program_without_a_server_is_told_why_it_cannot_connect():
    """Nobody listens, nobody is known by the name, or it is no name."""
    client = ConnectingProgram()
    with names(localhost="127.0.0.1"):
        await client.connect("localhost", str(refused_port()))
        await client.connect("nowhere.test", "22112")
        await client.connect("not a name", "22112")
    assert client.lines == ["CONNECTION_REFUSED", "HOST_NOT_FOUND", "Error: Invalid host name."]


@pytest_twisted.ensureDeferred
async def test_frames_may_arrive_split_or_joined():
    """The loop does not care; a short load means that the peer has gone."""
    server = ListeningProgram()
    async with bound(handler=server.received) as listener, StreamSocket() as client:
        await client.connect_async("127.0.0.1", listener.information.local_port)
        frames = b"\0\0\0\5Hello\0\0\0\5World\0\0\0\0\0\0\0\7"
        for piece in (frames[:3], frames[3:6], frames[6:15], frames[15:]):
            await client.output_stream.write_async(piece)
            await client.output_stream.flush_async()
        await until(lambda: len(server.lines) == 3)
    assert server.lines == ['Received: "Hello"', 'Received: "World"', 'Received: ""']


@pytest_twisted.ensureDeferred
async def test_lines_are_echoed():
    """A server and a client with a reader and a writer of lines."""

    async def echo(sender, args):
        reader = StreamReader(args.socket.input_stream.as_stream_for_read())
        writer = StreamWriter(args.socket.output_stream.as_stream_for_write())
        while (line := await reader.read_line_async()) is not None:
            await writer.write_line_async(line)
            await writer.flush_async()

    async with bound(None, echo) as listener, StreamSocket() as client:
        await client.connect_async("localhost", listener.information.local_port)
        reader = StreamReader(client.input_stream.as_stream_for_read())
        writer = StreamWriter(client.output_stream.as_stream_for_write())
        for line in ("Hello, World!", "", "ä€😀"):
            await writer.write_line_async(line)
            await writer.flush_async()
            assert await reader.read_line_async() == line


@pytest_twisted.ensureDeferred
async def test_a_batch_is_sent_and_flushed_and_read_in_parts():
    """Five writes that nobody awaits, one flush; partial loads until there is nothing."""
    async with pair() as (client, server):
        for number in range(5):
            client.output_stream.write_async(f"packet {number};".encode())
        assert await client.output_stream.flush_async() is True
        client.output_stream.close()
        reader = DataReader(server.input_stream)
        reader.input_stream_options = InputStreamOptions.PARTIAL
        text = ""
        while loaded := await reader.load_async(256):
            text += reader.read_string(loaded)
        assert text == "packet 0;packet 1;packet 2;packet 3;packet 4;"


@pytest_twisted.ensureDeferred
async def test_one_client_is_taken_and_the_listener_closed_in_its_handler():
    """As chat programs do it; the connection is used on, and a closed one aborts the pending load."""
    sockets = []

    def take(sender, args):
        sockets.append(args.socket)
        sender.close()

    async with bound(handler=take) as listener, StreamSocket() as client:
        await client.connect_async("127.0.0.1", listener.information.local_port)
        await listener.wait_closed_async()
        (server,) = sockets
        reader = DataReader(server.input_stream)
        loading = reader.load_async(4)
        await client.output_stream.write_async(b"chat")
        assert await loading == 4
        pending = reader.load_async(4)
        server.close()
        assert pending.status is AsyncStatus.ERROR
        assert pending.error_code == ERROR_OPERATION_ABORTED
        with pytest.raises(SocketException):
            pending.get_results()
        assert await client.input_stream.read() == b""


@pytest_twisted.ensureDeferred
async def test_a_peer_that_went_away_is_noticed_when_something_is_sent():
    """As a connection that was reset or aborted."""
    sockets = []
    async with bound(handler=lambda sender, args: sockets.append(args.socket)) as listener:
        peer = socket.create_connection(("127.0.0.1", int(listener.information.local_port)))
        await until(lambda: sockets)
        reset(peer)
        async with sockets.pop() as server:

            async def talk():
                while True:
                    await server.output_stream.write_async(b"anybody there?")

            with pytest.raises(SocketException) as caught:
                await talk()
            assert caught.value.status in {
                Status.CONNECTION_RESET_BY_PEER,
                Status.SOFTWARE_CAUSED_CONNECTION_ABORT,
            }


@pytest_twisted.ensureDeferred
async def test_a_second_listener_on_a_service_is_refused():
    """0x80072740."""
    async with bound(None, print) as first, StreamSocketListener() as second:
        second.connection_received += print
        with pytest.raises(AddressInUseError) as caught:
            await second.bind_service_name_async(first.information.local_port)
        assert caught.value.winerror & 0xFFFFFFFF == 0x80072740
