"""Streams whose bytes are in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex, cast

from zope.interface import implementer

from winsockets.errors import InvalidArgumentError, ObjectClosedError, OutOfBoundsError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams._base import READ_SIZE, InputStream, OutputStream
from winsockets.streams._buffer import byte_view, unsigned
from winsockets.streams._interfaces import IRandomAccessStream

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["InMemoryRandomAccessStream", "MemoryInputStream"]


class _Cursor:
    """A position in bytes that others may share."""

    __slots__ = ("__weakref__", "_data", "_position")

    def __init__(self, data: bytes | bytearray, position: int = 0) -> None:
        self._data: bytes | bytearray | None = data
        self._position = position

    def close(self) -> None:
        """Let go of the bytes; other streams over them go on."""
        self._data = None

    def _open(self) -> bytes | bytearray:
        if self._data is None:
            raise ObjectClosedError(f"this {type(self).__name__.lstrip('_')} was closed")
        return self._data

    def _reach(self) -> bytes | bytearray:
        """Give the bytes once the position has been found to be within them."""
        data = self._open()
        if self._position > len(data):
            raise OutOfBoundsError(f"position {self._position} is beyond the stream's {len(data)} bytes")
        return data


class _CursorInputStream(_Cursor, InputStream):
    """Reads on from a position."""

    __slots__ = ()

    def read(self, max_bytes: int = READ_SIZE) -> AsyncOperation[bytes]:
        """Read what is there; the operation has ended when it is returned.

        Args:
            max_bytes: the most bytes to return, at least 1.

        Raises:
            InvalidArgumentError: ``max_bytes`` is less than 1.
            ObjectClosedError: the stream was closed.
            OutOfBoundsError: the position is beyond the end.
        """
        if max_bytes < 1:
            raise InvalidArgumentError(f"max_bytes: {max_bytes} is less than 1")
        data = self._reach()
        start = self._position
        end = min(start + max_bytes, len(data))
        # A slice of bytes is bytes already, and the whole is not even copied.
        piece = data[start:end] if isinstance(data, bytes) else bytes(memoryview(data)[start:end])
        self._position = end
        return AsyncOperation.from_result(piece)

    def _unread(self, data: bytes) -> None:
        self._position -= len(data)

    def _check_readable(self) -> None:
        self._reach()


class _CursorOutputStream(_Cursor, OutputStream):
    """Writes on from a position."""

    __slots__ = ()

    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Write over what is there and on beyond the end; the operation has ended when it is returned.

        Raises:
            ObjectClosedError: the stream was closed.
            OutOfBoundsError: the position is beyond the end.
            TypeError: it is not a buffer object.

        Source: WinRT IOutputStream.WriteAsync.
        """
        data = cast(bytearray, self._reach())
        start = self._position
        with byte_view(buffer) as source:
            count = source.nbytes
            data[start : start + count] = source
        self._position = start + count
        written: AsyncOperationWithProgress[int, int] = AsyncOperationWithProgress()
        written.callback(count)
        return written

    def flush_async(self) -> AsyncOperation[bool]:
        """Do nothing: a write to memory has ended when it returns.

        Raises:
            ObjectClosedError: the stream was closed.

        Source: WinRT IOutputStream.FlushAsync.
        """
        self._open()
        return AsyncOperation.from_result(True)


class MemoryInputStream(_CursorInputStream):
    """An input stream over bytes that are all there.

    Args:
        data: ``bytes`` are read in place; of any other buffer object a copy is made.
    """

    __slots__ = ()

    def __init__(self, data: ReadableBuffer) -> None:
        super().__init__(data if isinstance(data, bytes) else bytes(byte_view(data)))


@implementer(IRandomAccessStream)
class InMemoryRandomAccessStream(_CursorInputStream, _CursorOutputStream):
    """A file in memory.

    Reads and writes share one position. They end before they return; nothing is ever pending.

    Source: WinRT InMemoryRandomAccessStream.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(bytearray())

    @property
    def can_read(self) -> bool:
        """True. Source: WinRT IRandomAccessStream.CanRead."""
        return True

    @property
    def can_write(self) -> bool:
        """True. Source: WinRT IRandomAccessStream.CanWrite."""
        return True

    @property
    def position(self) -> int:
        """Where the next read or write begins.

        Raises:
            ObjectClosedError: the stream was closed.
        """
        self._open()
        return self._position

    @property
    def size(self) -> int:
        """How many bytes there are. Settable: bytes at the end are dropped, or zero bytes added.

        Raises:
            InvalidArgumentError: the new size is negative or does not fit into 64 bits.
            MemoryError: there is not that much memory.
            ObjectClosedError: the stream was closed.

        Source: WinRT IRandomAccessStream.Size.
        """
        return len(self._open())

    @size.setter
    def size(self, value: SupportsIndex) -> None:
        size = unsigned(value, "size", 64)
        data = cast(bytearray, self._open())
        if size < len(data):
            del data[size:]
        else:
            try:
                data += bytes(size - len(data))
            except OverflowError:
                raise MemoryError(f"no memory holds {size} bytes") from None

    def seek(self, position: SupportsIndex) -> None:
        """Set the position, also beyond the end: the next read or write checks it.

        Raises:
            InvalidArgumentError: it is negative or does not fit into 64 bits.
            ObjectClosedError: the stream was closed.

        Source: WinRT IRandomAccessStream.Seek.
        """
        self._open()
        self._position = unsigned(position, "position", 64)

    def get_input_stream_at(self, position: SupportsIndex) -> InputStream:
        """Make an input stream over the same bytes, with a position and a lifetime of its own.

        Args:
            position: where it begins, not checked before its first read.

        Raises:
            InvalidArgumentError: it is negative or does not fit into 64 bits.
            ObjectClosedError: the stream was closed.

        Source: WinRT IRandomAccessStream.GetInputStreamAt.
        """
        return _CursorInputStream(self._open(), unsigned(position, "position", 64))

    def get_output_stream_at(self, position: SupportsIndex) -> OutputStream:
        """Make an output stream over the same bytes, with a position and a lifetime of its own.

        Args:
            position: where it begins, not checked before its first write.

        Raises:
            InvalidArgumentError: it is negative or does not fit into 64 bits.
            ObjectClosedError: the stream was closed.

        Source: WinRT IRandomAccessStream.GetOutputStreamAt.
        """
        return _CursorOutputStream(self._open(), unsigned(position, "position", 64))

    def clone_stream(self) -> InMemoryRandomAccessStream:
        """Make a stream over the same bytes, at position 0, with a lifetime of its own.

        What is written through one is read through the other.

        Raises:
            ObjectClosedError: the stream was closed.

        Source: WinRT IRandomAccessStream.CloneStream.
        """
        clone = InMemoryRandomAccessStream()
        clone._data = self._open()
        return clone
