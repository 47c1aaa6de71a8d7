"""DataReader: values out of the bytes of an input stream."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, SupportsIndex, TypeVar, final
from uuid import UUID

from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import (
    BusyError,
    IllegalMethodCallError,
    ObjectClosedError,
    OutOfBoundsError,
    SocketException,
    UntranslatableError,
)
from winsockets.foundation import IClosable
from winsockets.streams._base import READ_SIZE, InputStream, read_options
from winsockets.streams._buffer import Buffer, byte_view, unsigned
from winsockets.streams._foreign import as_input_stream
from winsockets.streams._formats import (
    ENCODINGS,
    FORMATS,
    Form,
    byte_order_of,
    encoding_of,
    from_date_ticks,
    from_ticks,
)
from winsockets.streams._gather import GatheringOperation
from winsockets.streams._interfaces import (
    ByteOrder,
    IDataReader,
    IInputStream,
    InputStreamOptions,
    UnicodeEncoding,
)
from winsockets.streams._unread import UnreadBytes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["DataReader", "DataReaderLoadOperation"]

_N = TypeVar("_N", int, float)
_PARTIAL = int(InputStreamOptions.PARTIAL)
_READ_AHEAD = int(InputStreamOptions.READ_AHEAD)


@final
class DataReaderLoadOperation(GatheringOperation[int]):
    """The number of bytes that a load added to the reader.

    Source: WinRT DataReaderLoadOperation.
    """

    def __init__(self, reader: DataReader, source: InputStream, count: int, options: int) -> None:
        super().__init__(source)
        self._reader = reader
        self._missing = count
        self._options = options
        self._loaded = 0

    @property
    def _wanted(self) -> int:
        """The most bytes to read next: pieces, because a peer may have chosen the count."""
        return READ_SIZE if self._options & _READ_AHEAD else min(self._missing, READ_SIZE)

    def _take(self, data: bytes) -> int:
        self._reader._append(data)
        self._loaded += len(data)
        self._missing -= len(data)
        if not data or self._missing <= 0 or self._options & _PARTIAL:
            return 0
        return self._wanted

    def _finish(self) -> None:
        self._reader._loading = False
        self.callback(self._loaded)

    def _give_up(self, problem: Failure | BaseException) -> None:
        self._reader._loading = False
        self.errback(problem)


@final
@implementer(IDataReader, IClosable)
class DataReader(UnreadBytes):
    """Reads numbers, text, times and bytes from an input stream.

    ``load_async`` takes bytes from the stream; the read methods take values from what is loaded, without
    waiting. Every read raises OutOfBoundsError when fewer bytes are loaded than it needs, BusyError while a
    load is pending and ObjectClosedError after ``close()``; a read that fails consumes nothing.

    The reader owns the stream: ``close()``, or leaving a ``with`` block, closes it too, unless
    ``detach_stream()`` was called before.

    Args:
        input_stream: where the bytes come from.

    Raises:
        InvalidArgumentError: it is no input stream.

    Source: WinRT DataReader.
    """

    __slots__ = (
        "__weakref__",
        "_byte_order",
        "_closed",
        "_encoding",
        "_formats",
        "_loading",
        "_options",
        "_source",
        "_stream",
    )

    def __init__(self, input_stream: InputStream | IInputStream) -> None:
        self._prepare(as_input_stream(input_stream), input_stream, b"")

    def _prepare(self, source: InputStream | None, stream: IInputStream | None, data: bytes) -> None:
        self._source = source
        self._stream = stream
        self._data = data
        self._start = 0
        self._loading = False
        self._closed = False
        self._options = 0
        self._byte_order = ByteOrder.BIG_ENDIAN
        self._formats = FORMATS[ByteOrder.BIG_ENDIAN]
        self._encoding = UnicodeEncoding.UTF8

    @staticmethod
    def from_buffer(buffer: ReadableBuffer) -> DataReader:
        """Make a reader of bytes that are all there; it has no stream.

        Args:
            buffer: ``bytes`` are read in place; of any other buffer object a copy is made.

        Raises:
            InvalidArgumentError: it is None.
            TypeError: it is not a buffer object.

        Source: WinRT DataReader.FromBuffer.
        """
        reader = DataReader.__new__(DataReader)
        reader._prepare(None, None, buffer if isinstance(buffer, bytes) else bytes(byte_view(buffer)))
        return reader

    # Settings

    @property
    def byte_order(self) -> ByteOrder:
        """The order of the bytes in numbers, times and identifiers; BIG_ENDIAN unless set.

        Raises:
            InvalidArgumentError: it is no ByteOrder.

        Source: WinRT DataReader.ByteOrder.
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

        Source: WinRT DataReader.UnicodeEncoding.
        """
        return self._encoding

    @unicode_encoding.setter
    def unicode_encoding(self, value: UnicodeEncoding) -> None:
        self._encoding = encoding_of(value)

    @property
    def input_stream_options(self) -> InputStreamOptions:
        """When a load is complete; NONE unless set.

        Raises:
            InvalidArgumentError: it is no combination of InputStreamOptions.

        Source: WinRT DataReader.InputStreamOptions.
        """
        return InputStreamOptions(self._options)

    @input_stream_options.setter
    def input_stream_options(self, value: InputStreamOptions) -> None:
        self._options = read_options(value)

    # Loading

    @property
    def unconsumed_buffer_length(self) -> int:
        """Bytes loaded and not yet read.

        Raises:
            ObjectClosedError: the reader was closed.

        Source: WinRT DataReader.UnconsumedBufferLength.
        """
        if self._closed:
            raise self._refusal("unconsumed_buffer_length")
        return len(self._data) - self._start

    def load_async(self, count: SupportsIndex) -> DataReaderLoadOperation:
        """Take bytes from the stream, behind those that are loaded already.

        Memory grows with what arrives, never with ``count``.

        Args:
            count: the number of bytes, 0 to 4294967295. 0 loads nothing, at once.

        Returns:
            The number of bytes loaded by this call. With NONE less than ``count`` means that the stream
            has ended; with PARTIAL 0 does; with READ_AHEAD it may be more. When it is cancelled (it ends
            with OperationAbortedError) or fails, what had arrived is loaded and can be read.

        Raises:
            BusyError: another load, or another read of the stream, is pending.
            IllegalMethodCallError: the reader has no stream.
            InvalidArgumentError: the count is out of range.
            ObjectClosedError: the reader or the stream was closed.

        Source: WinRT DataReader.LoadAsync.
        """
        missing = unsigned(count, "count")
        if self._loading or self._closed:
            raise self._refusal("load_async()")
        source = self._source
        if source is None:
            raise IllegalMethodCallError(
                "load_async() on a reader without a stream: everything it has is loaded already"
            )
        operation = DataReaderLoadOperation(self, source, missing, self._options)
        if not missing:
            operation.callback(0)
            return operation
        first = source.read(operation._wanted)
        self._loading = True
        return operation._begin(first)

    # Taking

    def _refusal(self, member: str) -> SocketException:
        if self._closed:
            return ObjectClosedError(f"{member} on a DataReader that was closed")
        return BusyError(f"{member} on a DataReader while a load is pending; await the load first")

    def _look(self, count: int) -> int:
        """Find where so many bytes begin.

        Raises:
            BusyError: a load is pending.
            ObjectClosedError: the reader was closed.
            OutOfBoundsError: fewer are loaded.
        """
        if self._loading or self._closed:
            raise self._refusal("a read")
        start = self._start
        if start + count > len(self._data):
            raise OutOfBoundsError(
                f"a read of {count} bytes with {len(self._data) - start} loaded; load_async() more, and "
                "compare what it returns with what was asked for"
            )
        return start

    def _unpack(self, form: Form[_N]) -> _N:
        size = form.size
        (value,) = form.unpack_from(self._data, self._look(size))
        self._skip(size)
        return value

    def read_byte(self) -> int:
        """Read one byte, 0 to 255. Source: WinRT DataReader.ReadByte."""
        value = self._data[self._look(1)]
        self._skip(1)
        return value

    def read_boolean(self) -> bool:
        """Read one byte: 0 is False, every other True. Source: WinRT DataReader.ReadBoolean."""
        return self.read_byte() != 0

    def read_int16(self) -> int:
        """Read a signed number of 16 bits in ``byte_order``. Source: WinRT DataReader.ReadInt16."""
        return self._unpack(self._formats.int16)

    def read_uint16(self) -> int:
        """Read an unsigned number of 16 bits in ``byte_order``. Source: WinRT DataReader.ReadUInt16."""
        return self._unpack(self._formats.uint16)

    def read_int32(self) -> int:
        """Read a signed number of 32 bits in ``byte_order``. Source: WinRT DataReader.ReadInt32."""
        return self._unpack(self._formats.int32)

    def read_uint32(self) -> int:
        """Read an unsigned number of 32 bits in ``byte_order``. Source: WinRT DataReader.ReadUInt32."""
        return self._unpack(self._formats.uint32)

    def read_int64(self) -> int:
        """Read a signed number of 64 bits in ``byte_order``. Source: WinRT DataReader.ReadInt64."""
        return self._unpack(self._formats.int64)

    def read_uint64(self) -> int:
        """Read an unsigned number of 64 bits in ``byte_order``. Source: WinRT DataReader.ReadUInt64."""
        return self._unpack(self._formats.uint64)

    def read_single(self) -> float:
        """Read an IEEE 754 number of 32 bits in ``byte_order``. Source: WinRT DataReader.ReadSingle."""
        return self._unpack(self._formats.single)

    def read_double(self) -> float:
        """Read an IEEE 754 number of 64 bits in ``byte_order``. Source: WinRT DataReader.ReadDouble."""
        return self._unpack(self._formats.double)

    def read_guid(self) -> UUID:
        """Read sixteen bytes: three fields in ``byte_order``, then eight bytes as they are.

        Source: WinRT DataReader.ReadGuid.
        """
        start = self._look(16)
        raw = bytes(self._data[start : start + 16])
        self._skip(16)
        return UUID(bytes=raw) if self._byte_order else UUID(bytes_le=raw)

    def read_date_time(self) -> datetime:
        """Read a moment: signed 64 bits in ``byte_order``, units of 100 ns since 1601 in UTC.

        Returns:
            A datetime in UTC; what is finer than a microsecond is cut off.

        Raises:
            InvalidArgumentError: the year is not within 1 to 9999; read_int64() still takes the value.

        Source: WinRT DataReader.ReadDateTime.
        """
        (ticks,) = self._formats.int64.unpack_from(self._data, self._look(8))
        moment = from_date_ticks(ticks)
        self._skip(8)
        return moment

    def read_time_span(self) -> timedelta:
        """Read a span: signed 64 bits in ``byte_order``, units of 100 ns.

        Returns:
            A timedelta; what is finer than a microsecond is cut off.

        Source: WinRT DataReader.ReadTimeSpan.
        """
        return from_ticks(self._unpack(self._formats.int64))

    def read_string(self, code_unit_count: SupportsIndex) -> str:
        """Read text.

        Args:
            code_unit_count: its length in code units of ``unicode_encoding``: bytes for UTF8, pairs of bytes
                for the others.

        Raises:
            InvalidArgumentError: the count is out of range.
            UntranslatableError: the bytes are not text in that encoding, or end within a character.

        Source: WinRT DataReader.ReadString.
        """
        encoding, unit = ENCODINGS[self._encoding]
        count = unsigned(code_unit_count, "code_unit_count") * unit
        start = self._look(count)
        try:
            text = self._data[start : start + count].decode(encoding)
        except UnicodeDecodeError as problem:
            raise UntranslatableError(
                f"the {count} bytes are not {encoding.upper()}: {problem.reason} at byte {problem.start}; "
                "they can still be read"
            ) from problem
        self._skip(count)
        return text

    def read_bytes(self, value: WriteableBuffer) -> None:
        """Fill a writable buffer from its first byte to its last.

        Raises:
            TypeError: it is not a writable buffer.

        Source: WinRT DataReader.ReadBytes.
        """
        with byte_view(value) as target:
            if target.readonly:
                raise TypeError(f"read_bytes() needs a buffer it can write to, not {type(value).__name__}")
            count = target.nbytes
            start = self._look(count)
            target[:] = memoryview(self._data)[start : start + count]
        self._skip(count)

    def read_buffer(self, length: SupportsIndex) -> Buffer:
        """Read so many bytes.

        Raises:
            InvalidArgumentError: the length is out of range.

        Source: WinRT DataReader.ReadBuffer.
        """
        count = unsigned(length, "length")
        start = self._look(count)
        buffer = Buffer.create_copy_from_memory_buffer(memoryview(self._data)[start : start + count])
        self._skip(count)
        return buffer

    # Parting

    def detach_buffer(self) -> Buffer:
        """Take everything that is loaded and not yet read; the reader is empty afterwards.

        Raises:
            BusyError: a load is pending.
            ObjectClosedError: the reader was closed.

        Source: WinRT DataReader.DetachBuffer.
        """
        if self._loading or self._closed:
            raise self._refusal("detach_buffer()")
        return self.read_buffer(self.unconsumed_buffer_length)

    def detach_stream(self) -> IInputStream:
        """Take the stream back; ``close()`` leaves it open then. What is loaded stays in the reader.

        Raises:
            BusyError: a load is pending.
            IllegalMethodCallError: the reader has no stream.
            ObjectClosedError: the reader was closed.

        Source: WinRT DataReader.DetachStream.
        """
        if self._loading or self._closed:
            raise self._refusal("detach_stream()")
        stream = self._stream
        if stream is None:
            raise IllegalMethodCallError("detach_stream() on a DataReader that has no stream (any more)")
        self._stream = self._source = None
        return stream

    def close(self) -> None:
        """Drop what is loaded and close the stream, unless it was detached; more often does no harm.

        A pending load ends with what the stream ends its read with, OperationAbortedError.

        Source: WinRT DataReader.Close.
        """
        if self._closed:
            return
        self._closed = True
        self._data = b""
        self._start = 0
        stream, self._stream, self._source = self._stream, None, None
        if stream is not None:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
