"""StreamSocket and DatagramSocket of winsockets, on the stock epoll reactor or on the library's own.

What follows the name of the work on the command line chooses: ``epoll`` or ``winsockets``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

REACTORS = {"epoll": "twisted.internet.epollreactor", "winsockets": "winsockets.reactor"}

import_module(REACTORS[sys.argv[2]]).install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults  # noqa: E402

from benchmarks.servers._common import (  # noqa: E402
    BATCH,
    HOST,
    PACKETS,
    PAYLOAD,
    PIECE_SIZE,
    RECEIVE_BUFFER,
    announce,
    as_number,
    certificate_file,
    main,
    number_of,
    pieces,
)
from winsockets import (  # noqa: E402
    Certificate,
    DatagramSocket,
    DatagramSocketMessageReceivedEventArgs,
    StreamSocket,
    StreamSocketListener,
    StreamSocketListenerConnectionReceivedEventArgs,
)

loop: Any = reactor
Handler = Callable[[StreamSocket], Coroutine[Any, Any, None]]


async def echo(socket: StreamSocket) -> None:
    """Send back what comes."""
    source, sink = socket.input_stream, socket.output_stream
    while data := await source.read(PIECE_SIZE):
        await sink.write_async(data)
    socket.close()


async def receive(socket: StreamSocket) -> None:
    """Read to the end."""
    source = socket.input_stream
    while await source.read(PIECE_SIZE):
        pass
    socket.close()


async def send(socket: StreamSocket) -> None:
    """Send what is asked for, a piece at a time."""
    for piece in pieces(await socket.input_stream.read_exactly(8)):
        await socket.output_stream.write_async(piece)
    socket.close()


def relay() -> Handler:
    """Make a handler that sends to the second connection what the first one sends."""
    second: Deferred[StreamSocket] = Deferred()
    roles = iter(["source", "sink"])

    async def pair(socket: StreamSocket) -> None:
        if next(roles) == "sink":
            second.callback(socket)
            return
        sink = await second
        while data := await socket.input_stream.read(PIECE_SIZE):
            await sink.output_stream.write_async(data)
        sink.close()

    return pair


async def packets_each(socket: StreamSocket) -> None:
    """One await for each packet."""
    sink = socket.output_stream
    while await socket.input_stream.read(1):
        for packet in PACKETS:
            await sink.write_async(packet)


async def packets_gathered(socket: StreamSocket) -> None:
    """All operations, awaited together."""
    sink = socket.output_stream
    while await socket.input_stream.read(1):
        await gatherResults([sink.write_async(packet) for packet in PACKETS])


async def packets_flushed(socket: StreamSocket) -> None:
    """All writes, none of them awaited, then one flush."""
    sink = socket.output_stream
    while await socket.input_stream.read(1):
        for packet in PACKETS:
            sink.write_async(packet)
        await sink.flush_async()


async def datagram_echo(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
    """Send back what comes."""
    stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
    await stream.write_async(args.data)


def datagram_send() -> Callable[..., object]:
    """Make a handler that sends as many batches as asked for from a connected socket."""
    out = DatagramSocket()

    async def answer(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        if not out.information.remote_port:
            await out.connect_async(args.remote_address, args.remote_port)
        stream = out.output_stream
        for _ in range(number_of(args.data)):
            for _ in range(BATCH):
                stream.write_async(PAYLOAD)
            await stream.flush_async()

    return answer


def datagram_receive() -> Callable[..., object]:
    """Make a handler that counts what comes, and tells the count after a shorter datagram."""
    count = 0
    size = len(PAYLOAD)

    def received(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> object:
        nonlocal count
        count += 1
        return None if len(args.data) == size else ensureDeferred(answer(sender, args))

    async def answer(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
        await stream.write_async(as_number(count))

    return received


def stream(make: Callable[[], Handler], *, tls: bool = False) -> Callable[[], None]:
    """Make a TCP or TLS server of a handler."""

    async def begin() -> None:
        handler = make()
        listener = StreamSocketListener()
        if tls:
            listener.control.server_certificates.append(Certificate.load_file(certificate_file()))

        def accepted(
            sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
        ) -> Coroutine[Any, Any, None]:
            return handler(args.socket)

        listener.connection_received += accepted
        await listener.bind_endpoint_async(HOST, "0")
        announce(int(listener.information.local_port))
        await Deferred()

    return lambda: _run(begin())


def datagram(make: Callable[[], Callable[..., object]]) -> Callable[[], None]:
    """Make a UDP server of a handler."""

    async def begin() -> None:
        socket = DatagramSocket()
        socket.control.inbound_buffer_size_in_bytes = RECEIVE_BUFFER
        socket.message_received += make()
        await socket.bind_endpoint_async(HOST, "0")
        announce(int(socket.information.local_port))
        await Deferred()

    return lambda: _run(begin())


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never ends, and the reactor."""
    serving = ensureDeferred(coroutine)
    serving.addErrback(lambda failure: (failure.printTraceback(), loop.stop()))
    loop.run()


if __name__ == "__main__":
    main(
        {
            "echo": stream(lambda: echo),
            "receive": stream(lambda: receive),
            "send": stream(lambda: send),
            "relay": stream(relay),
            "packets-each": stream(lambda: packets_each),
            "packets-gathered": stream(lambda: packets_gathered),
            "packets-flushed": stream(lambda: packets_flushed),
            "tls-echo": stream(lambda: echo, tls=True),
            "tls-receive": stream(lambda: receive, tls=True),
            "datagram-echo": datagram(lambda: datagram_echo),
            "datagram-send": datagram(datagram_send),
            "datagram-receive": datagram(datagram_receive),
        }
    )
