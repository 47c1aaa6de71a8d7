"""SocketStream of anyio, on its default backend: asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import SocketAttribute, SocketStream

from benchmarks.servers._common import BACKLOG, HOST, PACKETS, announce, main, pieces

Handler = Callable[[SocketStream], Awaitable[None]]


async def echo(stream: SocketStream) -> None:
    """Send back what comes."""
    async with stream:
        async for data in stream:
            await stream.send(data)


async def receive(stream: SocketStream) -> None:
    """Read to the end."""
    async with stream:
        async for _ in stream:
            pass


async def send(stream: SocketStream) -> None:
    """Send what is asked for, a piece at a time."""
    async with stream:
        for piece in pieces(await stream.receive(8)):
            await stream.send(bytes(piece))


def relay() -> Handler:
    """Make a handler that sends to the second connection what the first one sends."""
    to_source, from_sink = anyio.create_memory_object_stream[SocketStream](1)
    roles = iter(["source", "sink"])

    async def pair(stream: SocketStream) -> None:
        if next(roles) == "sink":
            await to_source.send(stream)
            await anyio.sleep_forever()
        async with await from_sink.receive() as sink:
            async for data in stream:
                await sink.send(data)

    return pair


async def packets_each(stream: SocketStream) -> None:
    """One await for each packet: anyio has no other way."""
    async for _ in stream:
        for packet in PACKETS:
            await stream.send(packet)


def serve(make: Callable[[], Handler]) -> Callable[[], None]:
    """Make a server of a handler."""

    async def run() -> None:
        listener = await anyio.create_tcp_listener(local_host=HOST, local_port=0, backlog=BACKLOG)
        announce(listener.extra(SocketAttribute.local_port))
        await listener.serve(make())

    return lambda: anyio.run(run)


if __name__ == "__main__":
    main(
        {
            "echo": serve(lambda: echo),
            "receive": serve(lambda: receive),
            "send": serve(lambda: send),
            "relay": serve(relay),
            "packets-each": serve(lambda: packets_each),
        }
    )
