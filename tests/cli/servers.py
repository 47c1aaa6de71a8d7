"""Servers to point the command at: good ones and bad ones, in the test's own reactor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from winsockets import (
    DatagramSocket,
    DatagramSocketMessageReceivedEventArgs,
    SocketException,
    StreamSocket,
    StreamSocketListener,
    StreamSocketListenerConnectionReceivedEventArgs,
)

StreamHandler = Callable[[StreamSocket], Awaitable[None]]
DatagramHandler = Callable[[DatagramSocket, DatagramSocketMessageReceivedEventArgs], Awaitable[None]]


async def echo_stream(socket: StreamSocket) -> None:
    """Send back what comes, until the end."""
    async for data in socket.input_stream:
        await socket.output_stream.write_async(data)


async def say_nothing(socket: StreamSocket) -> None:
    """Take what comes and answer nothing."""
    async for _ in socket.input_stream:
        pass


async def echo_datagram(socket: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
    """Send a datagram back."""
    await answer(socket, args, args.data)


async def answer(socket: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs, data: bytes) -> None:
    """Send something to the sender of a datagram."""
    assert args.remote_address is not None
    stream = await socket.get_output_stream_async(args.remote_address, args.remote_port)
    await stream.write_async(data)


@asynccontextmanager
async def stream_server(handle: StreamHandler = echo_stream, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A TCP server on the loopback interface; gives its URL."""
    place = f"[{host}]" if ":" in host else host

    async def connected(
        sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
    ) -> None:
        async with args.socket as socket:
            with suppress(SocketException):
                await handle(socket)

    async with StreamSocketListener() as listener:
        listener.connection_received += connected
        await listener.bind_endpoint_async(host, 0)
        yield f"tcp://{place}:{listener.information.local_port}"


@asynccontextmanager
async def datagram_server(
    handle: DatagramHandler = echo_datagram, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """A UDP server on the loopback interface; gives its URL."""
    place = f"[{host}]" if ":" in host else host
    async with DatagramSocket() as socket:
        socket.message_received += handle
        await socket.bind_endpoint_async(host, 0)
        yield f"udp://{place}:{socket.information.local_port}"
