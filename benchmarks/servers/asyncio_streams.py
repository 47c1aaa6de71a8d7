"""StreamReader and StreamWriter of asyncio, on its own event loop."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from functools import partial

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

Handler = Callable[[StreamReader, StreamWriter], Awaitable[None]]


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    """Send back what comes."""
    while data := await reader.read(PIECE_SIZE):
        writer.write(data)
        await writer.drain()
    writer.close()


async def receive(reader: StreamReader, writer: StreamWriter) -> None:
    """Read to the end."""
    while await reader.read(PIECE_SIZE):
        pass
    writer.close()


async def send(reader: StreamReader, writer: StreamWriter) -> None:
    """Send what is asked for, a piece at a time."""
    for piece in pieces(await reader.readexactly(8)):
        writer.write(piece)
        await writer.drain()
    writer.close()


def relay() -> Handler:
    """Make a handler that sends to the second connection what the first one sends."""
    sinks: asyncio.Queue[StreamWriter] = asyncio.Queue()
    roles = iter(["source", "sink"])

    async def pair(reader: StreamReader, writer: StreamWriter) -> None:
        if next(roles) == "sink":
            sinks.put_nowait(writer)
            return
        sink = await sinks.get()
        while data := await reader.read(PIECE_SIZE):
            sink.write(data)
            await sink.drain()
        sink.close()

    return pair


async def packets_each(reader: StreamReader, writer: StreamWriter) -> None:
    """One await for each packet."""
    while await reader.read(1):
        for packet in PACKETS:
            writer.write(packet)
            await writer.drain()


async def packets_gathered(reader: StreamReader, writer: StreamWriter) -> None:
    """One task for each packet, awaited together."""

    async def one(packet: bytes) -> None:
        writer.write(packet)
        await writer.drain()

    while await reader.read(1):
        await asyncio.gather(*[one(packet) for packet in PACKETS])


async def packets_flushed(reader: StreamReader, writer: StreamWriter) -> None:
    """All packets, then one await."""
    while await reader.read(1):
        for packet in PACKETS:
            writer.write(packet)
        await writer.drain()


async def serve(make: Callable[[], Handler], *, tls: bool) -> None:
    """Listen for ever."""
    context = ssl_context() if tls else None
    server = await asyncio.start_server(make(), HOST, 0, backlog=BACKLOG, ssl=context)
    announce(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def works(run: Callable[..., object]) -> dict[str, Callable[[], None]]:
    """Every work, on the event loop that ``run`` brings."""
    makers: dict[str, Callable[[], Handler]] = {
        "echo": lambda: echo,
        "receive": lambda: receive,
        "send": lambda: send,
        "relay": relay,
        "packets-each": lambda: packets_each,
        "packets-gathered": lambda: packets_gathered,
        "packets-flushed": lambda: packets_flushed,
    }
    plain = {work: partial(_run, run, maker, tls=False) for work, maker in makers.items()}
    tls = {f"tls-{work}": partial(_run, run, makers[work], tls=True) for work in ("echo", "receive")}
    return plain | tls


def _run(run: Callable[..., object], maker: Callable[[], Handler], *, tls: bool) -> None:
    run(serve(maker, tls=tls))


if __name__ == "__main__":
    main(works(asyncio.run))
