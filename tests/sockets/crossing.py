"""What the tests that cross networks stand on: sockets of the library inside hosts."""

from __future__ import annotations

import socket as system
from collections.abc import Callable
from typing import Any

from tests.networks import Host
from winsockets.errors import SocketException
from winsockets.foundation import AsyncOperation
from winsockets.sockets import DatagramSocket, StreamSocket, StreamSocketListener
from winsockets.sockets._connections import Connections
from winsockets.sockets._datagram_inbox import MessageQueue
from winsockets.streams import DataReader

FAMILIES = (system.AF_INET, system.AF_INET6)

__all__ = [
    "FAMILIES",
    "connected_to",
    "ended",
    "listening_in",
    "read",
    "receiver_in",
    "started_in",
    "stream_from",
    "stream_to",
]


async def started_in(host: Host, start: Callable[..., AsyncOperation[Any]], *arguments: Any) -> Any:
    """Begin an operation inside a host, which is where its sockets are made then, and wait for it outside."""
    with host:
        operation = start(*arguments)
    return await operation


async def receiver_in(
    host: Host, name: str | None, service: Any = 0, socket: DatagramSocket | None = None
) -> tuple[DatagramSocket, MessageQueue]:
    """A socket that is bound in a host, to an address or to all, and its messages."""
    receiver = socket or DatagramSocket()
    messages = receiver.messages()
    await started_in(host, receiver.bind_endpoint_async, name, service)
    return receiver, messages


async def stream_to(host: Host, socket: DatagramSocket, name: str, service: Any) -> Any:
    """Bind a socket in a host, if nothing has, and get a stream to somebody."""
    if not socket.information.local_port:
        await started_in(host, socket.bind_service_name_async, "")
    return await socket.get_output_stream_async(name, service)


async def connected_to(
    host: Host, name: str, service: Any, socket: DatagramSocket | None = None
) -> tuple[DatagramSocket, MessageQueue]:
    """A socket that is connected from a host to somebody, and its messages."""
    sender = socket or DatagramSocket()
    messages = sender.messages()
    await started_in(host, sender.connect_async, name, service)
    return sender, messages


async def listening_in(
    host: Host, name: str | None, service: Any = "", **settings: Any
) -> tuple[StreamSocketListener, Connections, str]:
    """A listener in a host, its connections, and its port; settings are those of its control."""
    listener = StreamSocketListener()
    connections = listener.connections()
    for setting, value in settings.items():
        setattr(listener.control, setting, value)
    await started_in(host, listener.bind_endpoint_async, name, service)
    return listener, connections, listener.information.local_port


async def stream_from(host: Host, name: str, service: Any, **settings: Any) -> StreamSocket:
    """A stream socket that is connected from a host; settings are those of its control."""
    stream = StreamSocket()
    for setting, value in settings.items():
        setattr(stream.control, setting, value)
    await started_in(host, stream.connect_async, name, service)
    return stream


async def ended(operation: AsyncOperation[Any]) -> Any:
    """The result of an operation when it has ended, or its error."""
    try:
        return await operation
    except SocketException as problem:
        return problem


async def read(stream: StreamSocket, count: int) -> bytes:
    """Read so many bytes."""
    reader = DataReader(stream.input_stream)
    await reader.load_async(count)
    data = bytearray(count)
    reader.read_bytes(data)
    reader.detach_stream()
    return bytes(data)
