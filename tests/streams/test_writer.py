"""DataWriter: what is written, what is stored, and what a failure leaves behind."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
import pytest_twisted

from tests.streams.wire import Sink
from winsockets.errors import (
    ERROR_INVALID_OPERATION,
    ERROR_NO_UNICODE_TRANSLATION,
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    UntranslatableError,
)
from winsockets.foundation import AsyncStatus
from winsockets.streams import (
    Buffer,
    ByteOrder,
    DataWriter,
    DataWriterStoreOperation,
    InMemoryRandomAccessStream,
    UnicodeEncoding,
)

INTEGERS = {
    "write_byte": ("B", 0, 255),
    "write_int16": ("h", -(1 << 15), (1 << 15) - 1),
    "write_uint16": ("H", 0, (1 << 16) - 1),
    "write_int32": ("i", -(1 << 31), (1 << 31) - 1),
    "write_uint32": ("I", 0, (1 << 32) - 1),
    "write_int64": ("q", -(1 << 63), (1 << 63) - 1),
    "write_uint64": ("Q", 0, (1 << 64) - 1),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WRITES = [
    *[lambda writer, name=name: getattr(writer, name)(1) for name in INTEGERS],
    lambda writer: writer.write_boolean(True),
    lambda writer: writer.write_single(1.0),
    lambda writer: writer.write_double(1.0),
    lambda writer: writer.write_guid(uuid.UUID(int=1)),
    lambda writer: writer.write_date_time(EPOCH),
    lambda writer: writer.write_time_span(timedelta(1)),
    lambda writer: writer.write_string("x"),
    lambda writer: writer.write_bytes(b"x"),
    lambda writer: writer.write_buffer(b"x"),
    lambda writer: writer.write_buffer(b"x", 0, 1),
]


def written(*calls, order=ByteOrder.BIG_ENDIAN):
    """The bytes that some calls on a new writer make."""
    writer = DataWriter()
    writer.byte_order = order
    for name, *arguments in calls:
        getattr(writer, name)(*arguments)
    return bytes(writer.detach_buffer())


# Settings


def test_the_defaults():
    """Big-endian, UTF-8, nothing written."""
    writer = DataWriter()
    assert writer.byte_order is ByteOrder.BIG_ENDIAN
    assert writer.unicode_encoding is UnicodeEncoding.UTF8
    assert writer.unstored_buffer_length == 0


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("byte_order", ByteOrder.LITTLE_ENDIAN, 2),
        ("unicode_encoding", UnicodeEncoding.UTF16_B_E, 3),
    ],
)
def test_settings_take_their_values_and_their_numbers(name, value, wrong):
    """And nothing else; a refused value changes nothing."""
    writer = DataWriter()
    setattr(writer, name, int(value))
    assert getattr(writer, name) is value
    with pytest.raises(InvalidArgumentError, match=str(wrong)):
        setattr(writer, name, wrong)
    assert getattr(writer, name) is value


# Writes


@pytest.mark.parametrize(("name", "form"), INTEGERS.items())
def test_integers_are_written_in_the_byte_order(name, form):
    """From the smallest to the largest."""
    code, low, high = form
    for value in (low, high, 1):
        assert written((name, value)) == struct.pack(">" + code, value)
        assert written((name, value), order=ByteOrder.LITTLE_ENDIAN) == struct.pack("<" + code, value)


@pytest.mark.parametrize(("name", "form"), INTEGERS.items())
def test_integers_out_of_range_are_refused(name, form):
    """The message names the value and the range, and nothing is written."""
    _, low, high = form
    writer = DataWriter()
    for value in (low - 1, high + 1, 1 << 100):
        with pytest.raises(InvalidArgumentError, match=f"{value} is not in the range {low} to {high}"):
            getattr(writer, name)(value)
    for value in (1.0, "1", None):
        with pytest.raises(TypeError):
            getattr(writer, name)(value)
    assert writer.unstored_buffer_length == 0


def test_whatever_has_an_index_is_an_integer():
    """As in the projection."""
    assert written(("write_byte", True), ("write_uint16", ByteOrder.BIG_ENDIAN)) == b"\1\0\1"


def test_real_numbers_are_written_in_the_byte_order():
    """A single is the nearest one."""
    assert written(("write_single", 0.1), ("write_double", 0.1)) == struct.pack(">fd", 0.1, 0.1)
    assert written(("write_single", 7), order=ByteOrder.LITTLE_ENDIAN) == struct.pack("<f", 7)
    assert written(("write_double", float("inf"))) == struct.pack(">d", float("inf"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("write_single", 1e300), pytest.param("write_double", 10**400, id="write_double-of-a-large-int")],
)
def test_real_numbers_that_are_too_large_are_refused(name, value):
    """Nothing is written."""
    with pytest.raises(InvalidArgumentError, match="too large"):
        written((name, value))


@pytest.mark.parametrize("name", ["write_single", "write_double"])
def test_what_is_no_number_is_a_type_error(name):
    """Text, for example."""
    with pytest.raises(TypeError, match="str"):
        written((name, "1.0"))


def test_booleans_are_one_and_zero():
    """One byte each."""
    assert written(("write_boolean", True), ("write_boolean", False), ("write_boolean", 7)) == b"\1\0\1"


def test_an_identifier_has_three_fields_in_the_byte_order_and_eight_bytes_as_they_are():
    """As ``uuid`` writes it in its two forms."""
    identifier = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert written(("write_guid", identifier)) == identifier.bytes
    little = written(("write_guid", identifier), order=ByteOrder.LITTLE_ENDIAN)
    assert little == bytes.fromhex("33221100554477668899aabbccddeeff")
    with pytest.raises(TypeError, match="UUID"):
        written(("write_guid", str(identifier)))


def test_times_are_units_of_100_ns():
    """A moment counts in UTC, whatever its zone."""
    east = timezone(timedelta(hours=3))
    ticks = struct.pack(">q", 116_444_736_000_000_000)
    assert written(("write_date_time", EPOCH), ("write_date_time", EPOCH.astimezone(east))) == ticks * 2
    assert written(("write_time_span", timedelta(microseconds=-2))) == struct.pack(">q", -20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write_date_time", None),
        ("write_date_time", 7),
        ("write_time_span", None),
        ("write_time_span", 7),
        ("write_string", None),
        ("write_string", b"bytes"),
        ("measure_string", None),
        ("measure_string", b"bytes"),
    ],
)
def test_what_is_no_time_and_no_text_is_a_type_error(name, value):
    """The type is named, and nothing is written."""
    writer = DataWriter()
    with pytest.raises(TypeError, match=type(value).__name__):
        getattr(writer, name)(value)
    assert writer.unstored_buffer_length == 0


def test_times_that_cannot_be_written_are_refused():
    """A moment without a zone, a span longer than 64 bits of units."""
    with pytest.raises(InvalidArgumentError, match="time zone"):
        written(("write_date_time", datetime(2000, 1, 1)))
    with pytest.raises(InvalidArgumentError, match="range"):
        written(("write_time_span", timedelta.max))


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        (UnicodeEncoding.UTF8, "utf-8"),
        (UnicodeEncoding.UTF16_L_E, "utf-16-le"),
        (UnicodeEncoding.UTF16_B_E, "utf-16-be"),
    ],
)
@pytest.mark.parametrize("text", ["", "Hello", "ä€\U0001f40d"])
def test_text_is_measured_and_written_in_bytes(encoding, codec, text):
    """No length before it, no mark, no end; the byte order does not matter."""
    writer = DataWriter()
    writer.unicode_encoding = encoding
    writer.byte_order = ByteOrder.LITTLE_ENDIAN
    data = text.encode(codec)
    assert writer.measure_string(text) == len(data)
    assert writer.unstored_buffer_length == 0
    assert writer.write_string(text) == len(data)
    assert bytes(writer.detach_buffer()) == data


@pytest.mark.parametrize("encoding", UnicodeEncoding)
def test_half_a_surrogate_pair_is_untranslatable(encoding):
    """Measured or written; nothing is written."""
    writer = DataWriter()
    writer.unicode_encoding = encoding
    for use in (writer.measure_string, writer.write_string):
        with pytest.raises(UntranslatableError, match="character 2") as caught:
            use("ab\ud800")
        assert caught.value.hresult == ERROR_NO_UNICODE_TRANSLATION
    assert writer.unstored_buffer_length == 0


@pytest.mark.parametrize(
    "data", [b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcd").cast("I")]
)
@pytest.mark.parametrize("name", ["write_bytes", "write_buffer"])
def test_any_buffer_object_can_be_written(name, data):
    """A copy: later changes are not seen."""
    assert written((name, data)) == b"abcd"


def test_a_buffer_is_written_up_to_its_length():
    """Not to its capacity."""
    buffer = Buffer(10)
    buffer += b"abc"
    assert written(("write_buffer", buffer), ("write_bytes", buffer)) == b"abcabc"


@pytest.mark.parametrize(
    ("start", "count", "expected"), [(0, 4, b"abcd"), (1, 2, b"bc"), (4, 0, b""), (0, 0, b"")]
)
def test_a_part_of_a_buffer_can_be_written(start, count, expected):
    """From a byte on, so many."""
    assert written(("write_buffer", bytearray(b"abcd"), start, count)) == expected


def test_a_part_without_a_count_goes_to_the_end():
    """Given by name as well."""
    writer = DataWriter()
    writer.write_buffer(b"abcd", start=1)
    assert bytes(writer.detach_buffer()) == b"bcd"


@pytest.mark.parametrize(("start", "count"), [(0, 5), (4, 1), (5, 0), (5, None), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_part_that_is_not_in_the_buffer_is_out_of_bounds(start, count):
    """E_BOUNDS, and nothing is written."""
    with pytest.raises(OutOfBoundsError, match="4 bytes"):
        written(("write_buffer", b"abcd", start, count))


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (1, -1), (0, 1 << 32)])
def test_a_part_has_numbers_of_32_bits(start, count):
    """Anything else is E_INVALIDARG."""
    with pytest.raises(InvalidArgumentError):
        written(("write_buffer", b"abcd", start, count))


@pytest.mark.parametrize("name", ["write_bytes", "write_buffer"])
def test_what_is_no_buffer_object_cannot_be_written(name):
    """Null is E_INVALIDARG, another type a TypeError."""
    with pytest.raises(InvalidArgumentError):
        written((name, None))
    for value in ("text", 5, [1, 2]):
        with pytest.raises(TypeError):
            written((name, value))


# Stores


def test_a_store_is_one_write():
    """Of everything so far; the number of bytes is what comes of it."""
    sink = Sink()
    writer = DataWriter(sink)
    writer.write_uint32(writer.measure_string("Hello"))
    writer.write_string("Hello")
    assert writer.unstored_buffer_length == 9
    assert sink.writes == []
    operation = writer.store_async()
    assert isinstance(operation, DataWriterStoreOperation)
    assert operation.get_results() == 9
    assert sink.writes == [b"\0\0\0\5Hello"]
    assert writer.unstored_buffer_length == 0
    writer.write_byte(1)
    assert writer.store_async().get_results() == 1
    assert sink.writes[1:] == [b"\1"]


def test_a_store_of_nothing_writes_nothing():
    """0, at once."""
    sink = Sink()
    assert DataWriter(sink).store_async().get_results() == 0
    assert sink.writes == []


def test_without_a_stream_there_is_nothing_to_store_to():
    """E_ILLEGAL_METHOD_CALL, and the bytes stay."""
    writer = DataWriter()
    writer.write_byte(1)
    for use in (writer.store_async, writer.flush_async, writer.detach_stream):
        with pytest.raises(IllegalMethodCallError, match="stream"):
            use()
    assert writer.unstored_buffer_length == 1


def test_one_operation_at_a_time():
    """While a store is pending every write, detach and second store is refused; the store goes on."""
    sink = Sink(hold=True)
    writer = DataWriter(sink)
    writer.write_string("abc")
    operation = writer.store_async()
    uses = [
        *WRITES,
        lambda it: it.store_async(),
        lambda it: it.detach_buffer(),
        lambda it: it.detach_stream(),
    ]
    for use in uses:
        with pytest.raises(BusyError, match="store is pending") as caught:
            use(writer)
        assert caught.value.hresult == ERROR_INVALID_OPERATION
    assert writer.unstored_buffer_length == 3
    assert writer.flush_async().get_results() is True
    sink.release()
    assert operation.get_results() == 3
    assert writer.unstored_buffer_length == 0
    writer.write_byte(1)


def test_a_failed_store_keeps_the_bytes():
    """For another store, or to be taken out."""
    sink = Sink()
    sink.problem = MessageTooLongError("too long")
    writer = DataWriter(sink)
    writer.write_string("abc")
    operation = writer.store_async()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(MessageTooLongError) as caught:
        operation.get_results()
    assert caught.value is sink.problem
    assert writer.unstored_buffer_length == 3
    sink.problem = None
    assert writer.store_async().get_results() == 3
    assert sink.writes == [b"abc", b"abc"]


def test_a_store_that_fails_later_keeps_the_bytes():
    """And the writer can be used again."""
    sink = Sink(hold=True)
    writer = DataWriter(sink)
    writer.write_string("abc")
    operation = writer.store_async()
    sink.problem = MessageTooLongError("too long")
    sink.release()
    with pytest.raises(MessageTooLongError):
        operation.get_results()
    assert bytes(writer.detach_buffer()) == b"abc"
    assert writer.store_async().get_results() == 0


def test_a_cancelled_store_takes_the_write_back_and_keeps_the_bytes():
    """It ends in ERROR with OPERATION_ABORTED."""
    sink = Sink(hold=True)
    writer = DataWriter(sink)
    writer.write_string("abc")
    operation = writer.store_async()
    operation.cancel()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert sink.writes == []
    writer.write_string("d")
    sink.hold = False
    assert writer.store_async().get_results() == 4


def test_after_a_failed_store_more_can_be_written_whatever_the_stream_still_holds():
    """What it was given does not change for that."""
    given = []
    sink = Sink(hold=True)
    sink.write_async = lambda data: given.append(memoryview(data)) or Sink.write_async(sink, data)
    writer = DataWriter(sink)
    writer.write_string("abc")
    writer.store_async().addErrback(lambda _: None).cancel()
    writer.write_string("d")
    assert bytes(given[0]) == b"abc"
    assert bytes(writer.detach_buffer()) == b"abcd"


def test_a_store_to_a_closed_stream_is_refused_at_the_call():
    """The bytes stay, and the writer is not stuck in it."""
    sink = Sink()
    writer = DataWriter(sink)
    writer.write_string("abc")
    sink.close()
    with pytest.raises(ObjectClosedError):
        writer.store_async()
    assert bytes(writer.detach_buffer()) == b"abc"


def test_what_the_stream_got_does_not_change_with_later_writes():
    """A stream may send it after the store has ended for the program."""
    kept = []
    sink = Sink()
    sink.write_async = lambda data: kept.append(data) or Sink().write_async(data)
    writer = DataWriter(sink)
    for text in ("abc", "defg"):
        writer.write_string(text)
        writer.store_async()
    assert [bytes(data) for data in kept] == [b"abc", b"defg"]


def test_a_flush_does_not_store():
    """It is the stream's flush; what is not stored stays in the writer."""
    sink = Sink()
    writer = DataWriter(sink)
    writer.write_string("abc")
    assert writer.flush_async().get_results() is True
    assert (sink.writes, sink.flushes, writer.unstored_buffer_length) == ([], 1, 3)


# Ends


def test_the_bytes_can_be_taken():
    """The writer is empty afterwards."""
    writer = DataWriter()
    writer.write_string("abc")
    buffer = writer.detach_buffer()
    assert (bytes(buffer), buffer.capacity) == (b"abc", 3)
    writer.write_string("d")
    assert bytes(writer.detach_buffer()) == b"d"
    assert bytes(writer.detach_buffer()) == b""


def test_closing_closes_the_stream_once():
    """What is not stored is dropped; more often does no harm."""
    sink = Sink()
    with DataWriter(sink) as writer:
        writer.write_string("abc")
    writer.close()
    assert sink.closed == 1
    assert sink.writes == []


def test_after_close_nothing_but_the_settings_can_be_used():
    """RO_E_CLOSED."""
    writer = DataWriter(Sink())
    writer.close()
    uses = [
        *WRITES,
        lambda it: it.store_async(),
        lambda it: it.flush_async(),
        lambda it: it.detach_buffer(),
        lambda it: it.detach_stream(),
        lambda it: it.unstored_buffer_length,
    ]
    for use in uses:
        with pytest.raises(ObjectClosedError, match="closed"):
            use(writer)
    writer.byte_order = ByteOrder.LITTLE_ENDIAN
    assert writer.measure_string("abc") == 3


def test_a_detached_stream_is_no_longer_the_writers():
    """What is not stored stays in the writer; closing leaves the stream open."""
    sink = Sink()
    writer = DataWriter(sink)
    writer.write_string("abc")
    assert writer.detach_stream() is sink
    for use in (writer.detach_stream, writer.store_async, writer.flush_async):
        with pytest.raises(IllegalMethodCallError):
            use()
    assert bytes(writer.detach_buffer()) == b"abc"
    writer.close()
    assert sink.closed == 0


def test_a_store_that_is_pending_when_the_writer_closes_ends_as_the_stream_says():
    """Here the stream still sends what it was given."""
    sink = Sink(hold=True)
    writer = DataWriter(sink)
    writer.write_string("abc")
    operation = writer.store_async()
    writer.close()
    sink.release()
    assert operation.get_results() == 3
    with pytest.raises(ObjectClosedError):
        writer.write_byte(1)


@pytest_twisted.ensureDeferred
async def test_stores_are_awaited():
    """As any operation."""
    stream = InMemoryRandomAccessStream()
    writer = DataWriter(stream)
    writer.write_string("abc")
    assert await writer.store_async() == 3
    assert await writer.flush_async()
    assert stream.size == 3
