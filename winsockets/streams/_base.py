"""What every stream of this library is made from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, SupportsIndex

from zope.interface import implementer

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, AsyncOperationWithProgress
from winsockets.streams._buffer import Buffer, byte_view, unsigned
from winsockets.streams._gather import ExactOperation, FillOperation, fill
from winsockets.streams._interfaces import IInputStream, InputStreamOptions, IOutputStream

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["READ_SIZE", "InputStream", "OutputStream", "read_options"]

READ_SIZE = DEFAULT_LIMITS.read_size
"""The most bytes that one read asks for when the caller leaves it open."""


def read_options(options: SupportsIndex) -> int:
    """Check InputStreamOptions and give them as a plain int, whose bits cost nothing to test.

    Raises:
        InvalidArgumentError: a bit that has no meaning is set.
    """
    return unsigned(options, "options", 2)


class _Stream(ABC):
    """Something that can be closed, by hand or by leaving a ``with`` block."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Close the stream; once is enough, more often does no harm.

        Operations that are pending end with OperationAbortedError; later calls raise ObjectClosedError.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@implementer(IInputStream)
class InputStream(_Stream):
    """Bytes that arrive in order.

    ``async for chunk in stream`` gives what arrives, in pieces of any size, until the stream ends.

    A subclass provides ``read``, ``_unread`` and ``close``, and ``_check_readable`` where it can be closed;
    everything else follows. What ``read`` must keep to is written there.

    Source: WinRT IInputStream; ``read``, ``read_exactly`` and the iteration are additions.
    """

    __slots__ = ()

    @abstractmethod
    def read(self, max_bytes: int = READ_SIZE) -> AsyncOperation[bytes]:
        """Read what is there, or wait for something.

        Args:
            max_bytes: the most bytes to return, at least 1.

        Returns:
            At least one byte; ``b""`` when the stream has ended, every time. Cancelling it loses nothing: it
            ends with OperationAbortedError, and what arrives later goes to the next read.

        Raises:
            BusyError: another read is pending.
            InvalidArgumentError: ``max_bytes`` is less than 1.
            ObjectClosedError: the stream was closed.

        A subclass makes the next read possible before it ends the operation of this one, and returns an
        operation that has ended when it need not wait.
        """

    @abstractmethod
    def _unread(self, data: bytes) -> None:
        """Put bytes back in front of everything that is still to be read.

        They came from ``read`` and go back in the same order, when a longer read was cancelled or failed.
        Called when no read is pending, before anybody hears of the failure; never raises. A closed stream
        drops them.
        """

    def _check_readable(self) -> None:
        """Raise what ``read`` raises on a closed stream; for those who read nothing."""

    def _while_waiting(self) -> InputStream:
        """Return what a read that has to wait goes on with; one that does not keep the stream's owner."""
        return self

    def read_exactly(self, count: int) -> AsyncOperation[bytes]:
        """Read so many bytes, no more and no fewer.

        Args:
            count: the number of bytes; 0 gives ``b""`` at once.

        Returns:
            The bytes. When the stream ends first the operation fails with OutOfBoundsError; then, and when
            it is cancelled or fails otherwise, what had arrived stays readable.

        Raises:
            BusyError: another read is pending.
            InvalidArgumentError: the count is negative.
            ObjectClosedError: the stream was closed.
        """
        count = unsigned(count, "count", 64)
        if not count:
            self._check_readable()
            return AsyncOperation.from_result(b"")
        return ExactOperation(self, count)._begin(self.read(count))

    def read_async(
        self, buffer: WriteableBuffer, count: int, options: InputStreamOptions
    ) -> AsyncOperationWithProgress[Buffer, int]:
        """Read into a buffer.

        Args:
            buffer: a Buffer, or any writable Python buffer.
            count: the most bytes to read, at most the buffer's capacity (the size of other objects than a
                Buffer). 0 gives an empty buffer at once, whatever the stream has.
            options: NONE waits for ``count`` bytes or the end of the stream, PARTIAL for at least one byte.
                READ_AHEAD changes nothing here.

        Returns:
            The data: always use the buffer returned. It is the one passed, with its length set, unless a
            ``memoryview`` of that one is in use. For another object than a Buffer it is a Buffer with a
            copy, and the object has been filled from its start too. Length 0 means that the stream has
            ended, every time. Progress is the number of bytes so far, told whenever the read has to wait for
            more and at its end; it is still pending then. When it is cancelled or fails, what
            had arrived stays readable and the buffer is as it was.

        Raises:
            BusyError: another read is pending.
            InvalidArgumentError: the count is more than the capacity, or the options mean nothing.
            ObjectClosedError: the stream was closed.
            TypeError: the buffer is not a writable buffer.

        Source: WinRT IInputStream.ReadAsync.
        """
        count = unsigned(count, "count")
        partial = bool(read_options(options) & 1)
        target: Buffer | memoryview
        if isinstance(buffer, Buffer):
            target, capacity = buffer, buffer.capacity
        else:
            target = byte_view(buffer)
            capacity = target.nbytes
            if target.readonly:
                raise TypeError(f"read_async() needs a buffer it can write to, not {type(buffer).__name__}")
        if count > capacity:
            raise InvalidArgumentError(f"count: {count} is more than the buffer's capacity of {capacity}")
        if not count:
            self._check_readable()
            ended: AsyncOperationWithProgress[Buffer, int] = AsyncOperationWithProgress()
            ended.callback(fill(target, b""))
            return ended
        return FillOperation(self, target, count, partial)._begin(self.read(count))

    def as_stream_for_read(self) -> Self:
        """Return the stream itself: what .NET's adapter adds it has already.

        Source: .NET WindowsRuntimeStreamExtensions.AsStreamForRead.
        """
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data


@implementer(IOutputStream)
class OutputStream(_Stream):
    """Bytes that leave in order.

    A subclass provides ``write_async``, ``flush_async`` and ``close``. One on which a write is a message of
    its own, or that can send several buffers at once, provides ``write_many_async`` too.

    Source: WinRT IOutputStream; ``write_many_async`` is an addition.
    """

    __slots__ = ()

    @abstractmethod
    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Write the whole buffer.

        Several writes may be pending; they leave in the order of the calls.

        Args:
            buffer: any buffer object; it must not change before the operation ends.

        Returns:
            The number of bytes, always all of them. Progress is the number so far. Cancelling it takes
            the bytes back if none of them has left, and ends it with OperationAbortedError.

        Raises:
            ObjectClosedError: the stream was closed.
            TypeError: it is not a buffer object.

        Source: WinRT IOutputStream.WriteAsync.
        """

    @abstractmethod
    def flush_async(self) -> AsyncOperation[bool]:
        """Wait until every earlier write on this stream has ended.

        Returns:
            True.

        Raises:
            ObjectClosedError: the stream was closed.

        Source: WinRT IOutputStream.FlushAsync.
        """

    def write_many_async(self, buffers: Iterable[ReadableBuffer]) -> AsyncOperationWithProgress[int, int]:
        """Write several buffers, one after the other, as one operation.

        Args:
            buffers: any buffer objects; they must not change before the operation ends.

        Returns:
            The number of bytes of all of them.

        Raises:
            ObjectClosedError: the stream was closed.
            TypeError: one of them is not a buffer object; none is written.
        """
        return self.write_async(b"".join(buffers))

    def as_stream_for_write(self) -> Self:
        """Return the stream itself: what .NET's adapter adds it has already.

        Source: .NET WindowsRuntimeStreamExtensions.AsStreamForWrite.
        """
        return self
