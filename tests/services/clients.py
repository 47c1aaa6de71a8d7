"""Clients of the echo servers, and waiting for what they cause."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.task import deferLater

from winsockets.services import EchoDatagramService, EchoStreamService
from winsockets.sockets import DatagramSocket, StreamSocket

_TURNS = 2_000
_TURN_SECONDS = 0.001


async def until(condition: Callable[[], Any]) -> None:
    """Let the reactor turn until a condition holds; fail when it does not after many turns."""
    from twisted.internet import reactor

    for _ in range(_TURNS):
        if condition():
            return
        await deferLater(reactor, _TURN_SECONDS)
    raise AssertionError("what the test waits for did not happen")


@asynccontextmanager
async def running(
    *services: EchoStreamService | EchoDatagramService,
) -> AsyncIterator[None]:
    """Start services, and stop them at the end."""
    for service in services:
        service.privilegedStartService()
        service.startService()
    try:
        yield
    finally:
        for service in services:
            if service.running:
                await service.stopService()


async def connect(service: EchoStreamService, index: int = 0) -> StreamSocket:
    """Connect to one of a service's addresses."""
    client = StreamSocket()
    await client.connect_async(*service.endpoints[index])
    return client


async def exchange(client: StreamSocket, data: bytes) -> bytes:
    """Send something and read as much back."""
    await client.output_stream.write_async(data)
    return await client.input_stream.read_exactly(len(data))


def reset(port: int, data: bytes) -> None:
    """Connect, send, and go away without a word of good-bye."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.send(data)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class DatagramClient:
    """A datagram socket that keeps what it gets."""

    def __init__(self) -> None:
        self.socket = DatagramSocket()
        self.received: list[bytes] = []
        self.socket.message_received += lambda _, args: self.received.append(args.data)

    async def bind(self, address: str, port: int | str = "0") -> None:
        """Bind to a local address."""
        await self.socket.bind_endpoint_async(address, port)

    async def send(self, data: bytes, address: str, port: int) -> None:
        """Send one datagram."""
        stream = await self.socket.get_output_stream_async(address, port)
        await stream.write_async(data)

    async def __aenter__(self) -> DatagramClient:
        """Return the client."""
        return self

    async def __aexit__(self, *reason: object) -> None:
        """Free the port."""
        self.socket.close()
        await self.socket.wait_closed_async()
