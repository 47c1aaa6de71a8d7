"""What a DataWriter writes a DataReader reads, however the bytes are cut on their way."""

from __future__ import annotations

from datetime import UTC, timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.streams.wire import Source, split
from winsockets.errors import OutOfBoundsError
from winsockets.streams import (
    ByteOrder,
    DataReader,
    DataWriter,
    InMemoryRandomAccessStream,
    InputStreamOptions,
    UnicodeEncoding,
)

SIZES = {
    "byte": 1,
    "boolean": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "single": 4,
    "double": 8,
    "guid": 16,
    "date_time": 8,
    "time_span": 8,
}


def signed(bits):
    """All integers of so many bits."""
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def unsigned(bits):
    """All non-negative integers of so many bits."""
    return st.integers(0, (1 << bits) - 1)


def tagged(kind, values):
    """Values with the name of their kind."""
    return values.map(lambda value: (kind, value))


VALUES = st.one_of(
    tagged("byte", unsigned(8)),
    tagged("boolean", st.booleans()),
    *[tagged(f"int{bits}", signed(bits)) for bits in (16, 32, 64)],
    *[tagged(f"uint{bits}", unsigned(bits)) for bits in (16, 32, 64)],
    tagged("single", st.floats(width=32, allow_nan=False)),
    tagged("double", st.floats(allow_nan=False)),
    tagged("guid", st.uuids()),
    tagged("date_time", st.datetimes(timezones=st.just(UTC))),
    tagged("time_span", st.timedeltas(timedelta(days=-10_000_000), timedelta(days=10_000_000))),
    tagged("string", st.text(max_size=12)),
    tagged("bytes", st.binary(max_size=12)),
    tagged("buffer", st.binary(max_size=12)),
    tagged("byte_order", st.sampled_from(ByteOrder)),
    tagged("unicode_encoding", st.sampled_from(UnicodeEncoding)),
)


def write(writer, kind, value):
    """Write a value, or change a setting.

    Returns:
        What the reader must know: the number of bytes, or of code units of text.
    """
    if kind in ("byte_order", "unicode_encoding"):
        setattr(writer, kind, value)
        return 0
    size = getattr(writer, "write_" + kind)(value)
    if kind == "string":
        return size if writer.unicode_encoding is UnicodeEncoding.UTF8 else size // 2
    return SIZES.get(kind) or len(value)


def read(reader, kind, value, size):
    """Read what was written, or change the same setting."""
    if kind in ("byte_order", "unicode_encoding"):
        setattr(reader, kind, value)
        return value
    if kind == "bytes":
        target = bytearray(size)
        reader.read_bytes(target)
        return bytes(target)
    if kind == "buffer":
        return bytes(reader.read_buffer(size))
    return reader.read_string(size) if kind == "string" else getattr(reader, "read_" + kind)()


@given(st.lists(VALUES, max_size=30))
def test_through_memory(values):
    """A stream in memory, stored and loaded at once."""
    stream = InMemoryRandomAccessStream()
    writer, reader = DataWriter(stream), DataReader(stream)
    sizes = [write(writer, *item) for item in values]
    stored = writer.store_async().get_results()
    stream.seek(0)
    assert reader.load_async(stored + 1).get_results() == stored
    for (kind, value), size in zip(values, sizes, strict=True):
        assert read(reader, kind, value, size) == value
    assert reader.unconsumed_buffer_length == 0


@given(st.lists(VALUES, max_size=20), st.lists(st.integers(0, 1000), max_size=20), st.integers(0, 3))
def test_through_pieces(values, cuts, options):
    """A reader that loads when it lacks bytes gets every value, under every option and every split."""
    writer = DataWriter()
    sizes = [write(writer, *item) for item in values]
    source = Source()
    reader = DataReader(source)
    reader.input_stream_options = InputStreamOptions(options)

    async def work():
        for (kind, value), size in zip(values, sizes, strict=True):
            while True:
                before = reader.unconsumed_buffer_length
                try:
                    assert read(reader, kind, value, size) == value
                except OutOfBoundsError:
                    assert reader.unconsumed_buffer_length == before
                    assert await reader.load_async(1)
                else:
                    break

    done = Deferred.fromCoroutine(work())
    outcome = []
    done.addBoth(outcome.append)
    source.feed(*split(bytes(writer.detach_buffer()), cuts))
    source.end()
    assert outcome == [None]


@given(VALUES)
def test_through_a_buffer(item):
    """One value, without a stream."""
    kind, value = item
    writer = DataWriter()
    size = write(writer, kind, value)
    assert read(DataReader.from_buffer(writer.detach_buffer()), kind, value, size) == value
