"""How values look as bytes: numbers, text, identifiers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final, Protocol, TypeVar

from winsockets.errors import InvalidArgumentError
from winsockets.streams._interfaces import ByteOrder, UnicodeEncoding

__all__ = [
    "ENCODINGS",
    "FORMATS",
    "Form",
    "Formats",
    "byte_order_of",
    "encoding_of",
    "from_date_ticks",
    "from_ticks",
    "to_date_ticks",
    "to_ticks",
]

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_SECONDS_PER_DAY = 86_400
_TICKS_PER_SECOND = 10_000_000
_TICKS_PER_MICROSECOND = 10


_N = TypeVar("_N", int, float)


class Form(Protocol[_N]):
    """The part of ``struct.Struct`` that is used here, for a single value of one type."""

    @property
    def format(self) -> str:
        """The byte order and a letter, a small one for signed numbers."""

    @property
    def size(self) -> int:
        """Bytes of the value."""

    def pack(self, value: _N, /) -> bytes:
        """Give the bytes of the value."""

    def unpack_from(self, data: Any, /, offset: int) -> tuple[_N]:
        """Give the value of the bytes at the offset."""


class Formats:
    """The numbers of one byte order.

    Args:
        mark: the byte order as ``struct`` writes it.
    """

    def __init__(self, mark: str) -> None:
        self.int16: Final[Form[int]] = Struct(mark + "h")
        self.uint16: Final[Form[int]] = Struct(mark + "H")
        self.int32: Final[Form[int]] = Struct(mark + "i")
        self.uint32: Final[Form[int]] = Struct(mark + "I")
        self.int64: Final[Form[int]] = Struct(mark + "q")
        self.uint64: Final[Form[int]] = Struct(mark + "Q")
        self.single: Final[Form[float]] = Struct(mark + "f")
        self.double: Final[Form[float]] = Struct(mark + "d")


FORMATS = {ByteOrder.LITTLE_ENDIAN: Formats("<"), ByteOrder.BIG_ENDIAN: Formats(">")}

ENCODINGS = {
    UnicodeEncoding.UTF8: ("utf-8", 1),
    UnicodeEncoding.UTF16_L_E: ("utf-16-le", 2),
    UnicodeEncoding.UTF16_B_E: ("utf-16-be", 2),
}
"""Python's name of each encoding, and the bytes of its code unit."""


def byte_order_of(value: int) -> ByteOrder:
    """Check a byte order.

    Raises:
        InvalidArgumentError: there is no such byte order.
    """
    try:
        return ByteOrder(value)
    except ValueError:
        raise InvalidArgumentError(f"byte_order: {value!r} is not a ByteOrder") from None


def encoding_of(value: int) -> UnicodeEncoding:
    """Check an encoding.

    Raises:
        InvalidArgumentError: there is no such encoding.
    """
    try:
        return UnicodeEncoding(value)
    except ValueError:
        raise InvalidArgumentError(f"unicode_encoding: {value!r} is not a UnicodeEncoding") from None


def to_ticks(span: timedelta) -> int:
    """Count a span in units of 100 ns.

    Raises:
        TypeError: it is not a timedelta.

    Source: WinRT TimeSpan.
    """
    if not isinstance(span, timedelta):
        raise TypeError(f"a time span is a timedelta, not {type(span).__name__}")
    seconds = span.days * _SECONDS_PER_DAY + span.seconds
    return seconds * _TICKS_PER_SECOND + span.microseconds * _TICKS_PER_MICROSECOND


def from_ticks(ticks: int) -> timedelta:
    """Make a span of units of 100 ns; what is finer than a microsecond is cut off.

    Source: WinRT TimeSpan.
    """
    return timedelta(microseconds=ticks // _TICKS_PER_MICROSECOND)


def to_date_ticks(moment: datetime) -> int:
    """Count the units of 100 ns since the beginning of 1601 in UTC.

    Raises:
        InvalidArgumentError: the moment has no time zone.
        TypeError: it is not a datetime.

    Source: WinRT DateTime.
    """
    if not isinstance(moment, datetime):
        raise TypeError(f"a moment is a datetime, not {type(moment).__name__}")
    if moment.utcoffset() is None:
        raise InvalidArgumentError(
            f"{moment!r} has no time zone, so nobody can say when that is; give it a tzinfo"
        )
    return to_ticks(moment - _EPOCH)


def from_date_ticks(ticks: int) -> datetime:
    """Make a moment in UTC of the units of 100 ns since the beginning of 1601.

    Raises:
        InvalidArgumentError: it is before the year 1 or after the year 9999.

    Source: WinRT DateTime.
    """
    try:
        return _EPOCH + from_ticks(ticks)
    except OverflowError:
        raise InvalidArgumentError(f"{ticks} units of 100 ns after 1601 are not a date of Python's") from None
