"""The contracts of Windows.Storage.Streams as zope interfaces, and its enumerations."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING
from uuid import UUID

from zope.interface import Attribute, Interface

from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, IClosable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from winsockets.streams._buffer import Buffer

__all__ = [
    "ByteOrder",
    "IBuffer",
    "IDataReader",
    "IDataWriter",
    "IInputStream",
    "IOutputStream",
    "IRandomAccessStream",
    "InputStreamOptions",
    "UnicodeEncoding",
]


class InputStreamOptions(IntFlag):
    """When a read is complete.

    Source: WinRT InputStreamOptions.
    """

    NONE = 0
    """All the bytes asked for have arrived, or the stream ended."""
    PARTIAL = 1
    """At least one byte has arrived, or the stream ended."""
    READ_AHEAD = 2
    """As NONE, and more than was asked for may be taken from the stream and kept for later reads."""


class ByteOrder(IntEnum):
    """Which byte of a number comes first.

    Source: WinRT ByteOrder.
    """

    LITTLE_ENDIAN = 0
    BIG_ENDIAN = 1


class UnicodeEncoding(IntEnum):
    """How text becomes bytes.

    Source: WinRT UnicodeEncoding.
    """

    UTF8 = 0
    UTF16_L_E = 1
    UTF16_B_E = 2


class IBuffer(Interface):
    """Bytes, with room for more.

    Wherever an IBuffer is taken any Python buffer object does, and whatever provides IBuffer exports a
    Python buffer of ``length`` bytes.

    Source: WinRT IBuffer.
    """

    capacity = Attribute("The most bytes it can hold.")
    length = Attribute("The bytes it holds; settable up to capacity.")


class IInputStream(IClosable):
    """Bytes that arrive in order. Source: WinRT IInputStream."""

    def read_async(
        buffer: WriteableBuffer, count: int, options: InputStreamOptions
    ) -> AsyncOperationWithProgress[Buffer, int]:
        """Read at most ``count`` bytes; an empty result means that the stream has ended."""


class IOutputStream(IClosable):
    """Bytes that leave in order. Source: WinRT IOutputStream."""

    def write_async(buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Write the whole buffer and give the number of bytes."""

    def flush_async() -> AsyncOperation[bool]:
        """Wait until everything written so far has gone."""


class IRandomAccessStream(IInputStream, IOutputStream):
    """Bytes that can be read and written at any place. Source: WinRT IRandomAccessStream."""

    can_read = Attribute("Whether it can be read.")
    can_write = Attribute("Whether it can be written.")
    position = Attribute("Where the next read or write begins.")
    size = Attribute("How many bytes there are; settable.")

    def seek(position: int) -> None:
        """Set the position, which the next read or write checks."""

    def get_input_stream_at(position: int) -> IInputStream:
        """Make an independent input stream over the same bytes."""

    def get_output_stream_at(position: int) -> IOutputStream:
        """Make an independent output stream over the same bytes."""

    def clone_stream() -> IRandomAccessStream:
        """Make an independent stream over the same bytes, at position 0."""


class IDataReader(Interface):
    """Values read from the bytes of an input stream. Source: WinRT IDataReader."""

    byte_order = Attribute("A ByteOrder.")
    input_stream_options = Attribute("The InputStreamOptions that load_async goes by.")
    unconsumed_buffer_length = Attribute("Bytes loaded and not yet read.")
    unicode_encoding = Attribute("A UnicodeEncoding.")

    def load_async(count: int) -> AsyncOperation[int]:
        """Take bytes from the stream and give their number."""

    def read_boolean() -> bool:
        """Read one byte; nonzero is True."""

    def read_byte() -> int:
        """Read one byte."""

    def read_bytes(value: WriteableBuffer) -> None:
        """Fill a writable buffer."""

    def read_buffer(length: int) -> Buffer:
        """Read so many bytes."""

    def read_int16() -> int:
        """Read two bytes, signed."""

    def read_int32() -> int:
        """Read four bytes, signed."""

    def read_int64() -> int:
        """Read eight bytes, signed."""

    def read_uint16() -> int:
        """Read two bytes."""

    def read_uint32() -> int:
        """Read four bytes."""

    def read_uint64() -> int:
        """Read eight bytes."""

    def read_single() -> float:
        """Read a number of four bytes."""

    def read_double() -> float:
        """Read a number of eight bytes."""

    def read_guid() -> UUID:
        """Read sixteen bytes."""

    def read_date_time() -> datetime:
        """Read a point in time."""

    def read_time_span() -> timedelta:
        """Read a span of time."""

    def read_string(code_unit_count: int) -> str:
        """Read text of so many code units."""

    def detach_buffer() -> Buffer:
        """Take what is loaded and not yet read."""

    def detach_stream() -> IInputStream:
        """Take the stream back."""


class IDataWriter(Interface):
    """Values written as bytes to an output stream. Source: WinRT IDataWriter."""

    byte_order = Attribute("A ByteOrder.")
    unicode_encoding = Attribute("A UnicodeEncoding.")
    unstored_buffer_length = Attribute("Bytes written and not yet stored.")

    def store_async() -> AsyncOperation[int]:
        """Commit what was written to the stream and give its number of bytes."""

    def flush_async() -> AsyncOperation[bool]:
        """Wait until everything stored so far has gone."""

    def measure_string(value: str) -> int:
        """Give the bytes that a text takes."""

    def write_boolean(value: bool) -> None:
        """Write one byte, 1 or 0."""

    def write_byte(value: int) -> None:
        """Write one byte."""

    def write_bytes(value: ReadableBuffer) -> None:
        """Write bytes as they are."""

    def write_buffer(buffer: ReadableBuffer, start: int = 0, count: int | None = None) -> None:
        """Write a buffer or a part of one."""

    def write_int16(value: int) -> None:
        """Write two bytes, signed."""

    def write_int32(value: int) -> None:
        """Write four bytes, signed."""

    def write_int64(value: int) -> None:
        """Write eight bytes, signed."""

    def write_uint16(value: int) -> None:
        """Write two bytes."""

    def write_uint32(value: int) -> None:
        """Write four bytes."""

    def write_uint64(value: int) -> None:
        """Write eight bytes."""

    def write_single(value: float) -> None:
        """Write a number in four bytes."""

    def write_double(value: float) -> None:
        """Write a number in eight bytes."""

    def write_guid(value: UUID) -> None:
        """Write sixteen bytes."""

    def write_date_time(value: datetime) -> None:
        """Write a point in time."""

    def write_time_span(value: timedelta) -> None:
        """Write a span of time."""

    def write_string(value: str) -> int:
        """Write text and give its number of bytes."""

    def detach_buffer() -> Buffer:
        """Take what was written and not yet stored."""

    def detach_stream() -> IOutputStream:
        """Take the stream back."""
