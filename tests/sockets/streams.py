"""What the tests of StreamSocket and StreamSocketListener stand on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.transports.loopback import PATIENCE, listening, until
from winsockets.sockets import StreamSocket, StreamSocketListener

__all__ = ["NARROW", "accepted", "bound", "connected", "pair", "system_socket"]

NARROW = 4096
"""A buffer size with which a connection takes little at a time."""


def configure(control: Any, settings: dict[str, Any]) -> None:
    """Set the properties of a control."""
    for name, value in settings.items():
        setattr(control, name, value)


def system_socket(stream_socket: StreamSocket) -> socket.socket:
    """The socket of the system behind a connected one."""
    return stream_socket._link.protocol.transport.socket


@asynccontextmanager
async def connected(
    host: str = "127.0.0.1", *, receive_buffer: int | None = None, reactor: Any = None, **settings: Any
) -> AsyncIterator[tuple[StreamSocket, socket.socket]]:
    """A StreamSocket, and the plain socket that it is connected to; settings are those of its control."""
    stream_socket = StreamSocket(reactor=reactor)
    configure(stream_socket.control, settings)
    with listening(host, receive_buffer=receive_buffer) as (server, port):
        await stream_socket.connect_async(host, port)
        peer, _ = server.accept()
    with peer:
        peer.settimeout(PATIENCE)
        async with stream_socket:
            yield stream_socket, peer
            peer.close()


@asynccontextmanager
async def bound(
    host: str | None = "127.0.0.1", handler: Any = None, **settings: Any
) -> AsyncIterator[StreamSocketListener]:
    """A listener on any port of an address (None for all), closed in the end."""
    async with StreamSocketListener() as listener:
        configure(listener.control, settings)
        if handler is not None:
            listener.connection_received += handler
        await listener.bind_endpoint_async(host, "")
        yield listener


@asynccontextmanager
async def accepted(
    host: str = "127.0.0.1", *, receive_buffer: int | None = None, **settings: Any
) -> AsyncIterator[tuple[StreamSocket, socket.socket]]:
    """A StreamSocket that a listener accepted, and the plain socket at the other end."""
    sockets: list[StreamSocket] = []
    async with bound(host, lambda sender, args: sockets.append(args.socket), **settings) as listener:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as peer:
            peer.settimeout(PATIENCE)
            if receive_buffer is not None:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            peer.connect((host, int(listener.information.local_port)))
            await until(lambda: sockets)
            async with sockets.pop() as stream_socket:
                yield stream_socket, peer
                peer.close()


@asynccontextmanager
async def pair(host: str = "127.0.0.1") -> AsyncIterator[tuple[StreamSocket, StreamSocket]]:
    """A connected StreamSocket, and the accepted one at the other end."""
    sockets: list[StreamSocket] = []
    async with (
        bound(host, lambda sender, args: sockets.append(args.socket)) as listener,
        StreamSocket() as client,
    ):
        await client.connect_async(host, listener.information.local_port)
        await until(lambda: sockets)
        async with sockets.pop() as server:
            yield client, server
