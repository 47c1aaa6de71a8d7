"""SocketStream and SSLStream of trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from benchmarks.servers._common import (
    BACKLOG,
    HOST,
    PACKETS,
    PIECE_SIZE,
    announce,
    main,
    pieces,
    ssl_context,
)

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def echo(stream: Stream) -> None:
    """Send back what comes."""
    async with stream:
        while data := await stream.receive_some(PIECE_SIZE):
            await stream.send_all(data)


async def receive(stream: Stream) -> None:
    """Read to the end."""
    async with stream:
        while await stream.receive_some(PIECE_SIZE):
            pass


async def send(stream: trio.SocketStream) -> None:
    """Send what is asked for, a piece at a time."""
    for piece in pieces(await stream.receive_some(8)):
        await stream.send_all(piece)


def relay() -> Handler:
    """Make a handler that sends to the second connection what the first one sends."""
    to_source, from_sink = trio.open_memory_channel[trio.SocketStream](1)
    roles = iter(["source", "sink"])

    async def pair(stream: trio.SocketStream) -> None:
        if next(roles) == "sink":
            await to_source.send(stream)
            await trio.sleep_forever()
        sink = await from_sink.receive()
        while data := await stream.receive_some(PIECE_SIZE):
            await sink.send_all(data)
        await sink.aclose()

    return pair


async def packets_each(stream: trio.SocketStream) -> None:
    """One await for each packet: trio has no other way."""
    while await stream.receive_some(1):
        for packet in PACKETS:
            await stream.send_all(packet)


def serve(make: Callable[[], Handler]) -> Callable[[], None]:
    """Make a server of a handler."""

    async def run() -> None:
        listeners = await trio.open_tcp_listeners(0, host=HOST, backlog=BACKLOG)
        announce(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(make(), listeners)

    return lambda: trio.run(run)


def serve_tls(handler: Callable[[Stream], Awaitable[None]]) -> Callable[[], None]:
    """Make a TLS server of a handler."""

    async def run() -> None:
        listeners = await trio.open_ssl_over_tcp_listeners(0, ssl_context(), host=HOST, backlog=BACKLOG)
        announce(listeners[0].transport_listener.socket.getsockname()[1])
        await trio.serve_listeners(handler, listeners)

    return lambda: trio.run(run)


if __name__ == "__main__":
    main(
        {
            "echo": serve(lambda: echo),
            "receive": serve(lambda: receive),
            "send": serve(lambda: send),
            "relay": serve(relay),
            "packets-each": serve(lambda: packets_each),
            "tls-echo": serve_tls(echo),
            "tls-receive": serve_tls(receive),
        }
    )
