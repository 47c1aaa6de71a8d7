"""The input and output stream of a StreamSocket."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from winsockets.errors import InvalidArgumentError, OperationAbortedError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.sockets._link import Link
from winsockets.streams import InputStream, OutputStream
from winsockets.streams._base import READ_SIZE

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["SocketInputStream", "SocketOutputStream"]


class SocketInputStream(InputStream):
    """What the peer sends.

    Reading before the connection raises IllegalMethodCallError; a reset ends the read with
    ResetByPeerError, after everything that arrived before it has been read. Closing the stream throws away
    what arrives from then on; the sending direction goes on.
    """

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def read(self, max_bytes: int = READ_SIZE) -> AsyncOperation[bytes]:
        """See InputStream.read."""
        protocol = self._link.input
        if protocol is None:
            raise self._link.refusal("read", self._link.input_closed)
        if max_bytes < 1:
            raise InvalidArgumentError(f"max_bytes: {max_bytes} is less than 1")
        return protocol.read(max_bytes)

    def _check_readable(self) -> None:
        if self._link.input is None:
            raise self._link.refusal("read", self._link.input_closed)

    def _unread(self, data: bytes) -> None:
        if self._link.input is not None:
            self._link.input.unread(data)

    def _while_waiting(self) -> InputStream:
        return _WaitingInput(self._link)

    def close(self) -> None:
        """Read no more: a pending read ends with OperationAbortedError."""
        self._link.close_input()


class _WaitingInput(InputStream):
    """A socket's input for a read of several steps, which must not keep a forgotten socket open."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = weakref.ref(link)

    def read(self, max_bytes: int = READ_SIZE) -> AsyncOperation[bytes]:
        link = self._link()
        if link is None:
            raise OperationAbortedError("read: the socket was forgotten, and is being closed")
        return SocketInputStream(link).read(max_bytes)

    def _unread(self, data: bytes) -> None:
        link = self._link()
        if link is not None:
            SocketInputStream(link)._unread(data)

    def close(self) -> None:
        """Nothing to do: it is the stream that is closed."""


class SocketOutputStream(OutputStream):
    """What is sent to the peer.

    An operation is complete when the system has all bytes. While more than ``limits.write_queue`` bytes
    wait in the program a write raises, because whoever gets there never awaited anything. Closing
    the stream lets the peer see the end of it after everything written before (half close); the receiving
    direction goes on.
    """

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """See OutputStream.write_async.

        Cancelling it after some bytes have left breaks the connection off.
        """
        protocol = self._link.output
        if protocol is None:
            raise self._link.refusal("write", self._link.output_closed)
        return protocol.write(buffer)

    def write_many_async(self, buffers: Iterable[ReadableBuffer]) -> AsyncOperationWithProgress[int, int]:
        """See OutputStream.write_many_async; the buffers leave in as few system calls as possible."""
        protocol = self._link.output
        if protocol is None:
            raise self._link.refusal("write", self._link.output_closed)
        return protocol.write_many(list(buffers))

    def flush_async(self) -> AsyncOperation[bool]:
        """Wait until the system has every earlier write; fails with the first failure among them."""
        protocol = self._link.output
        if protocol is None:
            raise self._link.refusal("flush", self._link.output_closed)
        return protocol.flush()

    def close(self) -> None:
        """Write no more: the peer sees the end of the stream after what was written before."""
        self._link.close_output()
