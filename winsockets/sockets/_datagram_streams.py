"""The output streams of a DatagramSocket: one write, one datagram."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from winsockets.errors import ObjectClosedError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.networking._address import Address
from winsockets.streams import OutputStream
from winsockets.transports._datagram_transport import DatagramTransport

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["DatagramOutputStream"]


class DatagramOutputStream(OutputStream):
    """Sends datagrams to one destination: every write is one datagram, never split, never joined.

    An operation is complete when the system has the datagram, and waits while the system's buffer is
    full. A longer one than the protocol carries (65,507 bytes over IPv4) fails with MESSAGE_TOO_LONG.
    """

    __slots__ = ("_closed", "_destination", "_transport")

    def __init__(self, transport: Callable[[], DatagramTransport], destination: Address | None) -> None:
        # Asked for at each write: the socket binds at the first one.
        self._transport = transport
        self._destination = destination.sockaddr if destination is not None else None
        self._closed = False

    def _open_transport(self, action: str) -> DatagramTransport:
        if self._closed:
            raise ObjectClosedError(f"{action}: the stream was closed")
        return self._transport()

    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram; see OutputStream.write_async."""
        return self._open_transport("write").send(buffer, self._destination)

    def write_many_async(self, buffers: Iterable[ReadableBuffer]) -> AsyncOperationWithProgress[int, int]:
        """Send each buffer as one datagram; fails with the first failure."""
        transport = self._open_transport("write")
        operations = [transport.send(buffer, self._destination) for buffer in buffers]

        async def all_sent() -> int:
            return sum([await operation for operation in operations])

        return AsyncOperationWithProgress.run(all_sent())  # type: ignore[return-value]

    def flush_async(self) -> AsyncOperation[bool]:
        """Wait until the system has every earlier datagram; fails with the first failure among them."""
        return self._open_transport("flush").flush()

    def close(self) -> None:
        """Write no more; the socket stays open."""
        self._closed = True
