"""DataWriter: values into the bytes of an output stream."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import index
from struct import error as StructError
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsFloat, SupportsIndex, cast, final
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import (
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ObjectClosedError,
    OutOfBoundsError,
    SocketException,
    UntranslatableError,
)
from winsockets.foundation import AsyncOperation, AsyncStatus, IClosable
from winsockets.streams._base import OutputStream
from winsockets.streams._buffer import Buffer, byte_view, unsigned
from winsockets.streams._foreign import check_output_stream
from winsockets.streams._formats import (
    ENCODINGS,
    FORMATS,
    Form,
    byte_order_of,
    encoding_of,
    to_date_ticks,
    to_ticks,
)
from winsockets.streams._interfaces import ByteOrder, IDataWriter, IOutputStream, UnicodeEncoding

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["DataWriter", "DataWriterStoreOperation"]


def _cancel_writing(operation: Deferred[Any]) -> None:
    cast("DataWriterStoreOperation", operation)._writing.cancel()


@final
class DataWriterStoreOperation(AsyncOperation[int]):
    """The number of bytes that a store committed to the stream.

    Source: WinRT DataWriterStoreOperation.
    """

    _writing: AsyncOperation[int]
    _writer: DataWriter

    @classmethod
    def _following(cls, writing: AsyncOperation[int], writer: DataWriter) -> DataWriterStoreOperation:
        """Make the store of a writer whose one write is pending."""
        self = cls(_cancel_writing)
        self._writing = writing
        self._writer = writer
        writing.addCallbacks(self._written, self._failed)
        return self

    def _written(self, count: int) -> None:
        self._writer._stored()
        self.callback(count)

    def _failed(self, failure: Failure) -> None:
        self._writer._not_stored()
        self.errback(failure)


@final
@implementer(IDataWriter, IClosable)
class DataWriter:
    """Writes numbers, text, times and bytes to an output stream.

    The write methods put values into memory; ``store_async`` commits what is there to the stream, in one
    write. While a store is pending every write, detach and other store raises BusyError; after ``close()``
    they raise ObjectClosedError. A write that fails leaves the memory as it was.

    The writer owns the stream: ``close()``, or leaving a ``with`` block, closes it too, unless
    ``detach_stream()`` was called before.

    Args:
        output_stream: where the bytes go; without one they are taken with ``detach_buffer()``.

    Raises:
        InvalidArgumentError: it is no output stream.

    Source: WinRT DataWriter.
    """

    __slots__ = (
        "__weakref__",
        "_byte_order",
        "_closed",
        "_data",
        "_encoding",
        "_formats",
        "_storing",
        "_stream",
    )

    def __init__(self, output_stream: OutputStream | IOutputStream | None = None) -> None:
        if output_stream is not None:
            check_output_stream(output_stream)
        self._stream = output_stream
        self._data = bytearray()
        self._storing = False
        self._closed = False
        self._byte_order = ByteOrder.BIG_ENDIAN
        self._formats = FORMATS[ByteOrder.BIG_ENDIAN]
        self._encoding = UnicodeEncoding.UTF8

    # Settings

    @property
    def byte_order(self) -> ByteOrder:
        """The order of the bytes in numbers, times and identifiers; BIG_ENDIAN unless set.

        Raises:
            InvalidArgumentError: it is no ByteOrder.

        Source: WinRT DataWriter.ByteOrder.
        """
        return self._byte_order

    @byte_order.setter
    def byte_order(self, value: ByteOrder) -> None:
        self._byte_order = byte_order_of(value)
        self._formats = FORMATS[self._byte_order]

    @property
    def unicode_encoding(self) -> UnicodeEncoding:
        """The encoding of text, independent of the byte order; UTF8 unless set.

        Raises:
            InvalidArgumentError: it is no UnicodeEncoding.

        Source: WinRT DataWriter.UnicodeEncoding.
        """
        return self._encoding

    @unicode_encoding.setter
    def unicode_encoding(self, value: UnicodeEncoding) -> None:
        self._encoding = encoding_of(value)

    # Storing

    @property
    def unstored_buffer_length(self) -> int:
        """Bytes written and not yet stored; those of a pending store are among them until it ends.

        Raises:
            ObjectClosedError: the writer was closed.

        Source: WinRT DataWriter.UnstoredBufferLength.
        """
        if self._closed:
            raise self._refusal("unstored_buffer_length")
        return len(self._data)

    def store_async(self) -> DataWriterStoreOperation:
        """Commit everything written to the stream, in one write: one datagram or message where they count.

        Returns:
            The number of bytes. With nothing written it is 0, at once and without a write: an empty datagram
            is sent with ``write_async(b"")`` on the stream. When the store fails, or is cancelled (it ends
            with OperationAbortedError), the bytes stay in the writer for another store, unless
            ``detach_buffer()`` takes them out.

        Raises:
            BusyError: another store is pending.
            IllegalMethodCallError: the writer has no stream.
            ObjectClosedError: the writer or the stream was closed.

        Source: WinRT DataWriter.StoreAsync.
        """
        if self._storing or self._closed:
            raise self._refusal("store_async()")
        stream = self._stream
        if stream is None:
            raise IllegalMethodCallError(
                "store_async() on a DataWriter without a stream; take the bytes with detach_buffer()"
            )
        if not self._data:
            return _ended(0)
        # Nobody changes these bytes while the stream has them: writes are refused until the store ends,
        # and then they are let go of as a whole.
        writing = stream.write_async(self._data)
        if writing.status is AsyncStatus.COMPLETED:
            self._stored()
            operation = _ended(writing.get_results())
        else:
            self._storing = True
            operation = DataWriterStoreOperation._following(writing, self)
        # Whoever awaits the store awaits the write. A stream of somebody else's holds nothing back.
        operation.holder = getattr(writing, "holder", None)
        return operation

    def _stored(self) -> None:
        self._data = bytearray()
        self._storing = False

    def _not_stored(self) -> None:
        # The stream may still look at what it was given, which must not change then and cannot.
        self._data = self._data[:]
        self._storing = False

    def flush_async(self) -> AsyncOperation[bool]:
        """Wait until everything stored so far has gone; what is not stored stays where it is.

        Returns:
            What the stream's ``flush_async`` gives.

        Raises:
            IllegalMethodCallError: the writer has no stream.
            ObjectClosedError: the writer or the stream was closed.

        Source: WinRT DataWriter.FlushAsync.
        """
        if self._closed:
            raise self._refusal("flush_async()")
        if self._stream is None:
            raise IllegalMethodCallError("flush_async() on a DataWriter without a stream")
        return self._stream.flush_async()

    # Writing

    def _refusal(self, member: str) -> SocketException:
        if self._closed:
            return ObjectClosedError(f"{member} on a DataWriter that was closed")
        return BusyError(f"{member} on a DataWriter while a store is pending; await the store first")

    def _append(self, data: ReadableBuffer) -> None:
        if self._storing or self._closed:
            raise self._refusal("a write")
        self._data += data

    def write_byte(self, value: SupportsIndex) -> None:
        """Write one byte, 0 to 255.

        Raises:
            InvalidArgumentError: the value is out of range.

        Source: WinRT DataWriter.WriteByte.
        """
        self._append(unsigned(value, "value", 8).to_bytes())

    def write_boolean(self, value: bool) -> None:
        """Write one byte, 1 or 0. Source: WinRT DataWriter.WriteBoolean."""
        self._append(b"\1" if value else b"\0")

    def _integer(self, form: Form[int], value: SupportsIndex) -> None:
        number = index(value)
        try:
            data = form.pack(number)
        except StructError:
            bits = form.size * 8
            low = -(1 << bits - 1) if form.format.islower() else 0
            raise InvalidArgumentError(
                f"value: {number} is not in the range {low} to {low + (1 << bits) - 1}"
            ) from None
        self._append(data)

    def write_int16(self, value: SupportsIndex) -> None:
        """Write a signed number of 16 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range -2**15 to 2**15 - 1.

        Source: WinRT DataWriter.WriteInt16.
        """
        self._integer(self._formats.int16, value)

    def write_uint16(self, value: SupportsIndex) -> None:
        """Write an unsigned number of 16 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range 0 to 2**16 - 1.

        Source: WinRT DataWriter.WriteUInt16.
        """
        self._integer(self._formats.uint16, value)

    def write_int32(self, value: SupportsIndex) -> None:
        """Write a signed number of 32 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range -2**31 to 2**31 - 1.

        Source: WinRT DataWriter.WriteInt32.
        """
        self._integer(self._formats.int32, value)

    def write_uint32(self, value: SupportsIndex) -> None:
        """Write an unsigned number of 32 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range 0 to 2**32 - 1.

        Source: WinRT DataWriter.WriteUInt32.
        """
        self._integer(self._formats.uint32, value)

    def write_int64(self, value: SupportsIndex) -> None:
        """Write a signed number of 64 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range -2**63 to 2**63 - 1.

        Source: WinRT DataWriter.WriteInt64.
        """
        self._integer(self._formats.int64, value)

    def write_uint64(self, value: SupportsIndex) -> None:
        """Write an unsigned number of 64 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is not in the range 0 to 2**64 - 1.

        Source: WinRT DataWriter.WriteUInt64.
        """
        self._integer(self._formats.uint64, value)

    def write_single(self, value: float) -> None:
        """Write an IEEE 754 number of 32 bits in ``byte_order``, the nearest to the value.

        Raises:
            InvalidArgumentError: the value is too large for 32 bits.
            TypeError: it is not a number.

        Source: WinRT DataWriter.WriteSingle.
        """
        self._real(self._formats.single, value)

    def write_double(self, value: float) -> None:
        """Write an IEEE 754 number of 64 bits in ``byte_order``.

        Raises:
            InvalidArgumentError: the value is an int too large for 64 bits.
            TypeError: it is not a number.

        Source: WinRT DataWriter.WriteDouble.
        """
        self._real(self._formats.double, value)

    def _real(self, form: Form[float], value: float) -> None:
        try:
            data = form.pack(value)
        except (OverflowError, StructError):
            if not isinstance(value, SupportsFloat):
                raise TypeError(f"value must be a number, not {type(value).__name__}") from None
            raise InvalidArgumentError(
                f"value: {value!r} is too large for a number of {form.size * 8} bits"
            ) from None
        self._append(data)

    def write_guid(self, value: UUID) -> None:
        """Write sixteen bytes: three fields in ``byte_order``, then eight bytes as they are.

        Raises:
            TypeError: it is not a UUID.

        Source: WinRT DataWriter.WriteGuid.
        """
        if not isinstance(value, UUID):
            raise TypeError(f"write_guid() takes a uuid.UUID, not {type(value).__name__}")
        self._append(value.bytes if self._byte_order else value.bytes_le)

    def write_date_time(self, value: datetime) -> None:
        """Write a moment: signed 64 bits in ``byte_order``, units of 100 ns since 1601 in UTC.

        Args:
            value: with a time zone, any.

        Raises:
            InvalidArgumentError: it has no time zone.
            TypeError: it is not a datetime.

        Source: WinRT DataWriter.WriteDateTime.
        """
        self._integer(self._formats.int64, to_date_ticks(value))

    def write_time_span(self, value: timedelta) -> None:
        """Write a span: signed 64 bits in ``byte_order``, units of 100 ns.

        Raises:
            InvalidArgumentError: it is longer than 29,247 years.
            TypeError: it is not a timedelta.

        Source: WinRT DataWriter.WriteTimeSpan.
        """
        self._integer(self._formats.int64, to_ticks(value))

    def measure_string(self, value: str) -> int:
        """Give the number of bytes that a text takes in ``unicode_encoding``.

        Raises:
            TypeError: it is not a str.
            UntranslatableError: it holds half of a surrogate pair.

        Source: WinRT DataWriter.MeasureString.
        """
        # By its class: bytes have the method too, and are refused.
        if str.isascii(value):
            return len(value) * ENCODINGS[self._encoding][1]
        return len(self._encode(value))

    def write_string(self, value: str) -> int:
        """Write text, without a length before it or a mark after it.

        Returns:
            The number of bytes. ``read_string`` takes it as it is for UTF8, and half of it for the others.

        Raises:
            TypeError: it is not a str.
            UntranslatableError: it holds half of a surrogate pair.

        Source: WinRT DataWriter.WriteString.
        """
        data = self._encode(value)
        self._append(data)
        return len(data)

    def _encode(self, value: str) -> bytes:
        encoding = ENCODINGS[self._encoding][0]
        try:
            return str.encode(value, encoding)
        except UnicodeEncodeError as problem:
            raise UntranslatableError(
                f"the text cannot be {encoding.upper()}: {problem.reason} at character {problem.start}"
            ) from problem

    def write_bytes(self, value: ReadableBuffer) -> None:
        """Write bytes as they are.

        Raises:
            InvalidArgumentError: it is None.
            TypeError: it is not a buffer object.

        Source: WinRT DataWriter.WriteBytes.
        """
        with byte_view(value) as view:
            self._append(view)

    def write_buffer(
        self, buffer: ReadableBuffer, start: SupportsIndex = 0, count: SupportsIndex | None = None
    ) -> None:
        """Write a buffer, or ``count`` bytes of it from ``start`` on.

        Args:
            buffer: a Buffer, or any other buffer object.
            start: the first byte; left out, the first of the buffer.
            count: the number of bytes; left out, all up to the end.

        Raises:
            InvalidArgumentError: the buffer is None, or a number is negative or larger than 4294967295.
            OutOfBoundsError: the part is not within the buffer.
            TypeError: it is not a buffer object.

        Source: WinRT DataWriter.WriteBuffer.
        """
        with byte_view(buffer) as view:
            first = unsigned(start, "start")
            size = max(view.nbytes - first, 0) if count is None else unsigned(count, "count")
            if first + size > view.nbytes:
                raise OutOfBoundsError(
                    f"start {first} and count {size} lead out of a buffer of {view.nbytes} bytes"
                )
            with view[first : first + size] as part:
                self._append(part)

    # Parting

    def detach_buffer(self) -> Buffer:
        """Take everything written and not yet stored; the writer is empty afterwards.

        Raises:
            BusyError: a store is pending.
            ObjectClosedError: the writer was closed.

        Source: WinRT DataWriter.DetachBuffer.
        """
        if self._storing or self._closed:
            raise self._refusal("detach_buffer()")
        buffer = Buffer.create_copy_from_memory_buffer(self._data)
        self._data = bytearray()
        return buffer

    def detach_stream(self) -> IOutputStream:
        """Take the stream back; ``close()`` leaves it open then. What is not stored stays in the writer.

        Raises:
            BusyError: a store is pending.
            IllegalMethodCallError: the writer has no stream.
            ObjectClosedError: the writer was closed.

        Source: WinRT DataWriter.DetachStream.
        """
        if self._storing or self._closed:
            raise self._refusal("detach_stream()")
        stream = self._stream
        if stream is None:
            raise IllegalMethodCallError("detach_stream() on a DataWriter that has no stream (any more)")
        self._stream = None
        return stream

    def close(self) -> None:
        """Drop what is not stored and close the stream, unless it was detached; more often does no harm.

        A pending store goes on as far as the stream sends, after its close, what it was given before.

        Source: WinRT DataWriter.Close.
        """
        if self._closed:
            return
        self._closed = True
        self._data = bytearray()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _ended(count: int) -> DataWriterStoreOperation:
    return DataWriterStoreOperation.from_result(count)
