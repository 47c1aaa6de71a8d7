"""DataReader: what is loaded, what is read, and what a failure leaves behind."""

from __future__ import annotations

import struct
import tracemalloc
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.streams.wire import Source, split
from winsockets.errors import (
    E_BOUNDS,
    ERROR_INVALID_OPERATION,
    ERROR_NO_UNICODE_TRANSLATION,
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    ResetByPeerError,
    UntranslatableError,
)
from winsockets.foundation import AsyncStatus
from winsockets.streams import (
    Buffer,
    ByteOrder,
    DataReader,
    DataReaderLoadOperation,
    InputStreamOptions,
    MemoryInputStream,
    UnicodeEncoding,
)

READS = {
    "read_byte": 1,
    "read_boolean": 1,
    "read_int16": 2,
    "read_uint16": 2,
    "read_int32": 4,
    "read_uint32": 4,
    "read_int64": 8,
    "read_uint64": 8,
    "read_single": 4,
    "read_double": 8,
    "read_guid": 16,
    "read_date_time": 8,
    "read_time_span": 8,
}
ALL_READS = [
    *[lambda reader, name=name: getattr(reader, name)() for name in READS],
    lambda reader: reader.read_string(1),
    lambda reader: reader.read_bytes(bytearray(1)),
    lambda reader: reader.read_buffer(1),
]


def over(data):
    """A reader with everything loaded."""
    return DataReader.from_buffer(data)


# Settings


def test_the_defaults():
    """Big-endian, UTF-8, full loads, nothing loaded."""
    reader = DataReader(Source(b"abc"))
    assert reader.byte_order is ByteOrder.BIG_ENDIAN
    assert reader.unicode_encoding is UnicodeEncoding.UTF8
    assert reader.input_stream_options is InputStreamOptions.NONE
    assert reader.unconsumed_buffer_length == 0


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("byte_order", ByteOrder.LITTLE_ENDIAN, 2),
        ("unicode_encoding", UnicodeEncoding.UTF16_B_E, 3),
        ("input_stream_options", InputStreamOptions.PARTIAL | InputStreamOptions.READ_AHEAD, 4),
    ],
)
def test_settings_take_their_values_and_their_numbers(name, value, wrong):
    """And nothing else; a refused value changes nothing."""
    reader = over(b"")
    setattr(reader, name, int(value))
    assert getattr(reader, name) == value
    assert type(getattr(reader, name)) is type(value)
    with pytest.raises(InvalidArgumentError, match=str(wrong)):
        setattr(reader, name, wrong)
    assert getattr(reader, name) == value


# Reads


@pytest.mark.parametrize(
    ("name", "code", "value"),
    [
        ("read_int16", "h", -2),
        ("read_uint16", "H", 65534),
        ("read_int32", "i", -(1 << 31)),
        ("read_uint32", "I", 0xFFFFFFFE),
        ("read_int64", "q", -2),
        ("read_uint64", "Q", 0xFFFFFFFFFFFFFFFE),
        ("read_single", "f", 1.5),
        ("read_double", "d", -1e300),
    ],
)
def test_numbers_are_read_in_the_byte_order(name, code, value):
    """Which can change between two reads."""
    reader = over(struct.pack("<" + code, value) + struct.pack(">" + code, value))
    for order in ByteOrder:
        reader.byte_order = order
        assert getattr(reader, name)() == value
    assert reader.unconsumed_buffer_length == 0


def test_bytes_and_booleans():
    """Every byte but 0 is True."""
    reader = over(b"\0\1\xff\0\2")
    assert [reader.read_byte() for _ in range(3)] == [0, 1, 255]
    assert [reader.read_boolean() for _ in range(2)] == [False, True]


def test_an_identifier_has_three_fields_in_the_byte_order_and_eight_bytes_as_they_are():
    """As ``uuid`` writes it in its two forms."""
    identifier = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    reader = over(identifier.bytes + bytes.fromhex("33221100554477668899aabbccddeeff"))
    assert reader.read_guid() == identifier
    reader.byte_order = ByteOrder.LITTLE_ENDIAN
    assert reader.read_guid() == identifier


def test_times_are_units_of_100_ns():
    """A moment is in UTC."""
    reader = over(struct.pack(">qq", 116_444_736_000_000_000, -15))
    assert reader.read_date_time() == datetime(1970, 1, 1, tzinfo=UTC)
    assert reader.read_time_span() == timedelta(microseconds=-2)


def test_a_date_that_python_cannot_express_stays_readable_as_a_number():
    """Nothing is consumed."""
    reader = over(b"\x7f" + b"\xff" * 7)
    with pytest.raises(InvalidArgumentError):
        reader.read_date_time()
    assert reader.read_int64() == (1 << 63) - 1


@pytest.mark.parametrize(
    ("encoding", "codec", "units"),
    [
        (UnicodeEncoding.UTF8, "utf-8", 10),
        (UnicodeEncoding.UTF16_L_E, "utf-16-le", 6),
        (UnicodeEncoding.UTF16_B_E, "utf-16-be", 6),
    ],
)
def test_text_is_counted_in_code_units_of_its_encoding(encoding, codec, units):
    """Bytes for UTF-8, pairs of bytes for the others; the byte order does not matter."""
    text = "aäß€\U0001f40d"[1:]
    reader = over((text + "a").encode(codec) + b"rest")
    reader.unicode_encoding = encoding
    reader.byte_order = ByteOrder.LITTLE_ENDIAN
    count = len(text.encode(codec)) // (1 if units == 10 else 2)
    assert reader.read_string(count) == text
    assert reader.read_string(1) == "a"
    assert bytes(reader.detach_buffer()) == b"rest"


@pytest.mark.parametrize(
    ("encoding", "data", "units"),
    [
        (UnicodeEncoding.UTF8, b"ab\xff", 3),
        (UnicodeEncoding.UTF8, "ab€".encode()[:4], 4),
        (UnicodeEncoding.UTF8, b"\xed\xa0\x80", 3),
        (UnicodeEncoding.UTF16_L_E, b"a\0\x00\xd8", 2),
        (UnicodeEncoding.UTF16_B_E, b"\0a\xdc\x00", 2),
    ],
)
def test_bytes_that_are_no_text_are_untranslatable_and_not_consumed(encoding, data, units):
    """Also a character that a load has split: load the rest and try again."""
    reader = over(data)
    reader.unicode_encoding = encoding
    with pytest.raises(UntranslatableError, match=r"at byte [02]") as caught:
        reader.read_string(units)
    assert caught.value.hresult == ERROR_NO_UNICODE_TRANSLATION
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
    assert reader.unconsumed_buffer_length == len(data)


def test_a_character_split_by_two_loads_is_whole_after_the_second():
    """The failed read took nothing."""
    reader = DataReader(Source(b"\xe2\x82", b"\xac"))
    reader.input_stream_options = InputStreamOptions.PARTIAL
    reader.load_async(10)
    with pytest.raises(UntranslatableError):
        reader.read_string(2)
    reader.load_async(10)
    assert reader.read_string(3) == "€"


def test_bytes_fill_a_buffer():
    """A bytearray, a part of one, a Buffer's length, numbers wider than a byte."""
    reader = over(b"abcdefghijkl")
    array, buffer = bytearray(3), Buffer(9)
    buffer.length = 2
    reader.read_bytes(array)
    reader.read_bytes(memoryview(array)[1:2])
    reader.read_bytes(buffer)
    wide = memoryview(bytearray(4)).cast("I")
    reader.read_bytes(wide)
    assert (bytes(array), bytes(buffer), bytes(wide)) == (b"adc", b"ef", b"ghij")
    reader.read_bytes(bytearray())
    assert reader.unconsumed_buffer_length == 2


@pytest.mark.parametrize("target", [b"ab", memoryview(b"ab"), 2])
def test_bytes_cannot_fill_what_cannot_be_written(target):
    """Nothing is consumed."""
    reader = over(b"abc")
    with pytest.raises(TypeError):
        reader.read_bytes(target)
    assert reader.unconsumed_buffer_length == 3


def test_a_buffer_read_is_full():
    """A copy of its own."""
    reader = over(b"abcde")
    buffer = reader.read_buffer(3)
    assert (bytes(buffer), buffer.capacity) == (b"abc", 3)
    assert reader.read_buffer(0).capacity == 0
    assert reader.read_byte() == ord("d")


@pytest.mark.parametrize(("name", "size"), READS.items())
def test_a_read_of_more_than_is_loaded_consumes_nothing(name, size):
    """E_BOUNDS, naming both numbers."""
    reader = over(bytes(size - 1))
    with pytest.raises(OutOfBoundsError, match=f"{size} bytes with {size - 1}") as caught:
        getattr(reader, name)()
    assert caught.value.hresult == E_BOUNDS
    assert reader.unconsumed_buffer_length == size - 1


@pytest.mark.parametrize(
    "read",
    [
        lambda reader: reader.read_string(4),
        lambda reader: reader.read_buffer(4),
        lambda reader: reader.read_bytes(bytearray(4)),
    ],
)
def test_nor_do_reads_whose_size_is_an_argument(read):
    """E_BOUNDS."""
    reader = over(b"abc")
    with pytest.raises(OutOfBoundsError, match="4 bytes with 3"):
        read(reader)
    assert reader.read_string(3) == "abc"


@pytest.mark.parametrize("count", [-1, 1 << 32])
def test_counts_are_unsigned_integers_of_32_bits(count):
    """For loads too."""
    reader = DataReader(Source())
    for use in (reader.read_string, reader.read_buffer, reader.load_async):
        with pytest.raises(InvalidArgumentError, match=str(count)):
            use(count)


# Readers without a stream


def test_a_reader_over_a_buffer_has_it_all():
    """Nothing needs loading, and nothing can be loaded or detached but the bytes."""
    data = bytearray(b"abc")
    reader = over(data)
    data[0] = 0
    assert reader.unconsumed_buffer_length == 3
    with pytest.raises(IllegalMethodCallError):
        reader.load_async(1)
    with pytest.raises(IllegalMethodCallError):
        reader.detach_stream()
    assert bytes(reader.detach_buffer()) == b"abc"
    reader.close()


def test_a_reader_over_no_buffer():
    """Null is E_INVALIDARG, another type a TypeError."""
    with pytest.raises(InvalidArgumentError):
        over(None)
    with pytest.raises(TypeError):
        over(5)


def test_a_datagrams_buffer_can_be_taken_whole():
    """And what has been read of it is not in it."""
    assert bytes(over(b"datagram").detach_buffer()) == b"datagram"
    reader = over(b"datagram")
    reader.read_string(4)
    buffer = reader.detach_buffer()
    assert (bytes(buffer), buffer.capacity) == (b"gram", 4)
    assert reader.unconsumed_buffer_length == 0
    assert bytes(reader.detach_buffer()) == b""


# Loads


def test_a_load_gives_the_bytes_it_added():
    """Behind those that are loaded already."""
    reader = DataReader(Source(b"abcdef"))
    operation = reader.load_async(2)
    assert isinstance(operation, DataReaderLoadOperation)
    assert operation.get_results() == 2
    assert reader.load_async(3).get_results() == 3
    assert reader.unconsumed_buffer_length == 5
    assert reader.read_string(5) == "abcde"


def test_a_full_load_waits_for_every_byte():
    """However they arrive."""
    source = Source(b"a")
    operation = DataReader(source).load_async(4)
    source.feed(b"b", b"c")
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"de")
    assert operation.get_results() == 4
    assert source.rest() == b"e"


def test_a_load_that_the_end_cuts_short_gives_less_and_then_nothing():
    """Never an exception; what there was can be read."""
    reader = DataReader(Source(b"abc", end=True))
    assert [reader.load_async(4).get_results() for _ in range(3)] == [3, 0, 0]
    assert reader.read_string(3) == "abc"


def test_a_partial_load_is_content_with_what_is_there():
    """At least one byte."""
    source = Source()
    reader = DataReader(source)
    reader.input_stream_options = InputStreamOptions.PARTIAL
    operation = reader.load_async(250)
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"abc")
    assert operation.get_results() == 3
    source.end()
    assert reader.load_async(250).get_results() == 0


def test_a_load_with_read_ahead_may_bring_more():
    """And waits for what was asked."""
    source = Source(b"\0\0\0\5hel", b"lo")
    reader = DataReader(source)
    reader.input_stream_options = InputStreamOptions.READ_AHEAD
    assert reader.load_async(4).get_results() == 7
    assert reader.load_async(reader.read_uint32() - reader.unconsumed_buffer_length).get_results() == 2
    assert reader.read_string(5) == "hello"
    assert set(source.asked) == {65536}


def test_a_load_of_nothing_is_done_at_once():
    """Without a look at the stream."""
    source = Source()
    assert DataReader(source).load_async(0).get_results() == 0
    assert source.asked == []


def test_a_load_asks_for_pieces_of_at_most_64_kib():
    """A peer may have chosen the count."""
    source = Source(bytes(100_000), bytes(100_000), end=True)
    reader = DataReader(source)
    assert reader.load_async(0xFFFFFFFF).get_results() == 200_000
    assert set(source.asked) == {65536}
    assert reader.unconsumed_buffer_length == 200_000


def test_a_load_takes_memory_for_what_arrives_and_not_for_what_was_asked():
    """4 GiB asked, 1 KiB there."""
    source = Source(bytes(1024))
    reader = DataReader(source)
    tracemalloc.start()
    operation = reader.load_async(0xFFFFFFFF)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    operation.cancel()
    assert peak < 100_000


def test_a_cancelled_load_keeps_what_it_had():
    """It ends in ERROR with OPERATION_ABORTED, and the next load goes on."""
    source = Source(b"ab")
    reader = DataReader(source)
    operation = reader.load_async(4)
    operation.cancel()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert reader.unconsumed_buffer_length == 2
    source.feed(b"cd")
    assert reader.load_async(2).get_results() == 2
    assert reader.read_string(4) == "abcd"


def test_a_load_that_fails_keeps_what_it_had():
    """The error is the stream's own."""
    source = Source(b"ab")
    reader = DataReader(source)
    operation = reader.load_async(4)
    source.feed(b"c")
    source.fail(ResetByPeerError("reset"))
    with pytest.raises(ResetByPeerError):
        operation.get_results()
    assert reader.read_string(3) == "abc"


def test_a_load_from_a_closed_stream_is_refused_at_the_call():
    """And the reader is not stuck in it."""
    source = Source(b"ab")
    reader = DataReader(source)
    source.close()
    with pytest.raises(ObjectClosedError):
        reader.load_async(1)
    assert reader.detach_stream() is source


def test_one_operation_at_a_time():
    """While a load is pending every read, detach and second load is refused; the load goes on."""
    source = Source(b"0123456789abcdef", b"g")
    reader = DataReader(source)
    reader.load_async(16)
    operation = reader.load_async(3)
    uses = [
        *ALL_READS,
        lambda it: it.detach_buffer(),
        lambda it: it.detach_stream(),
        lambda it: it.load_async(1),
    ]
    for use in uses:
        with pytest.raises(BusyError, match="load is pending") as caught:
            use(reader)
        assert caught.value.hresult == ERROR_INVALID_OPERATION
    assert reader.unconsumed_buffer_length == 17
    source.feed(b"hi")
    assert operation.get_results() == 3
    assert reader.read_string(19) == "0123456789abcdefghi"


def test_a_load_while_somebody_else_reads_the_stream_is_refused():
    """By the stream, and the reader is not stuck in it."""
    source = Source()
    reader = DataReader(source)
    pending = source.read()
    with pytest.raises(BusyError):
        reader.load_async(1)
    source.feed(b"a", b"b")
    assert pending.get_results() == b"a"
    assert reader.load_async(1).get_results() == 1


def test_options_count_from_the_next_load_on():
    """A pending one keeps those it began with."""
    source = Source()
    reader = DataReader(source)
    operation = reader.load_async(4)
    reader.input_stream_options = InputStreamOptions.PARTIAL
    source.feed(b"ab")
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"cd")
    assert reader.load_async(4).status is AsyncStatus.STARTED


# Ends


def test_closing_closes_the_stream_once():
    """It is the reader's; more often does no harm."""
    source = Source(b"abc")
    with DataReader(source) as reader:
        reader.load_async(3)
    reader.close()
    assert source.closed == 1


def test_after_close_nothing_but_the_settings_can_be_used():
    """RO_E_CLOSED."""
    reader = DataReader(Source(bytes(100)))
    reader.load_async(50)
    reader.close()
    uses = [
        *ALL_READS,
        lambda it: it.detach_buffer(),
        lambda it: it.detach_stream(),
        lambda it: it.load_async(1),
        lambda it: it.unconsumed_buffer_length,
    ]
    for use in uses:
        with pytest.raises(ObjectClosedError, match="closed"):
            use(reader)
    reader.byte_order = ByteOrder.LITTLE_ENDIAN


def test_closing_ends_a_pending_load():
    """With OPERATION_ABORTED, from the stream."""
    reader = DataReader(Source(b"ab"))
    operation = reader.load_async(4)
    reader.close()
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    with pytest.raises(ObjectClosedError):
        reader.read_byte()


def test_a_detached_stream_is_no_longer_the_readers():
    """What was loaded stays in the reader and can be read; closing leaves the stream open."""
    source = Source(b"abcd")
    reader = DataReader(source)
    reader.load_async(3)
    assert reader.detach_stream() is source
    for use in (reader.detach_stream, lambda: reader.load_async(1)):
        with pytest.raises(IllegalMethodCallError):
            use()
    assert reader.read_string(3) == "abc"
    reader.close()
    assert source.closed == 0
    assert source.read().get_results() == b"d"


# The stories that programs tell


@given(
    st.lists(st.text(max_size=20), max_size=8),
    st.lists(st.integers(0, 400), max_size=20),
    st.sampled_from([InputStreamOptions.NONE, InputStreamOptions.READ_AHEAD]),
)
def test_frames_may_arrive_split_or_joined(texts, cuts, options):
    """A loop of a length and as many bytes must not care."""
    data = b"".join(struct.pack(">I", len(text.encode())) + text.encode() for text in texts)
    source = Source()
    reader = DataReader(source)
    reader.input_stream_options = options
    seen = []

    async def serve():
        async def have(count):
            missing = count - reader.unconsumed_buffer_length
            return missing <= 0 or await reader.load_async(missing) >= missing

        while await have(4):
            size = reader.read_uint32()
            if not await have(size):
                return
            seen.append(reader.read_string(size))

    served = Deferred.fromCoroutine(serve())
    source.feed(*split(data, cuts))
    source.end()
    assert served.called
    assert seen == texts


@pytest_twisted.ensureDeferred
async def test_loads_are_awaited():
    """As any operation."""
    reader = DataReader(MemoryInputStream(b"\0\0\0\5hello"))
    assert await reader.load_async(4) == 4
    assert await reader.load_async(reader.read_uint32()) == 5
    assert reader.read_string(5) == "hello"
    assert await reader.load_async(1) == 0
