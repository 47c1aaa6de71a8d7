"""Streams that somebody else wrote, with the members of the WinRT interfaces only."""

from __future__ import annotations

import pytest

from tests.streams.wire import ForeignSink, ForeignSource
from winsockets.errors import InvalidArgumentError, OperationAbortedError, ResetByPeerError
from winsockets.streams import DataReader, DataWriter, InputStreamOptions, StreamReader, StreamWriter
from winsockets.streams._foreign import as_input_stream


def test_a_foreign_stream_is_read_in_parts_of_at_most_64_kib():
    """Never as much as a peer made the program ask for."""
    foreign = ForeignSource(b"abc")
    assert as_input_stream(foreign).read(1 << 40).get_results() == b"abc"
    assert foreign.calls == [(65536, InputStreamOptions.PARTIAL)]


def test_a_reader_over_a_foreign_stream_reads_closes_and_gives_it_back():
    """The very object that was passed in."""
    foreign = ForeignSource(b"\0\1", b"\0\2rest")
    reader = DataReader(foreign)
    assert reader.load_async(4).get_results() == 4
    assert (reader.read_uint16(), reader.read_uint16()) == (1, 2)
    assert reader.detach_stream() is foreign
    reader.close()
    assert foreign.source.closed == 0
    with DataReader(foreign):
        pass
    assert foreign.source.closed == 1


def test_lines_over_foreign_streams():
    """Both ways."""
    foreign = ForeignSource(b"one\ntw", b"o\r\n", end=True)
    reader = StreamReader(foreign)
    assert [reader.read_line_async().get_results() for _ in range(3)] == ["one", "two", None]
    reader.close()
    assert foreign.source.closed == 1
    sink = ForeignSink()
    writer = StreamWriter(sink)
    writer.write_line_async("one")
    assert writer.flush_async().get_results() is True
    assert sink.sink.writes == [b"one\n"]


def test_a_writer_over_a_foreign_stream():
    """It gives the very object back."""
    foreign = ForeignSink()
    writer = DataWriter(foreign)
    writer.write_string("abc")
    assert writer.store_async().get_results() == 3
    assert writer.flush_async().get_results() is True
    assert foreign.sink.writes == [b"abc"]
    assert writer.detach_stream() is foreign


def test_cancelling_reaches_the_foreign_stream_and_loses_nothing():
    """What had arrived comes first in the next read."""
    foreign = ForeignSource(b"ab")
    stream = as_input_stream(foreign)
    operation = stream.read_exactly(4)
    operation.cancel()
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert foreign.source.waiting is None
    foreign.source.feed(b"cd")
    assert stream.read(1).get_results() == b"a"
    assert stream.read_exactly(3).get_results() == b"bcd"


def test_its_errors_come_through():
    """The same object."""
    foreign = ForeignSource()
    operation = as_input_stream(foreign).read()
    reset = ResetByPeerError("reset")
    foreign.source.fail(reset)
    with pytest.raises(ResetByPeerError) as caught:
        operation.get_results()
    assert caught.value is reset


@pytest.mark.parametrize("thing", [None, b"bytes", ForeignSink(), object()])
@pytest.mark.parametrize("make", [DataReader, StreamReader])
def test_what_is_no_input_stream_cannot_be_read(make, thing):
    """At construction, saying what it was."""
    with pytest.raises(InvalidArgumentError, match="not an input stream"):
        make(thing)


@pytest.mark.parametrize("thing", [b"bytes", ForeignSource(), object()])
@pytest.mark.parametrize("make", [DataWriter, StreamWriter])
def test_what_is_no_output_stream_cannot_be_written(make, thing):
    """At construction, saying what it was."""
    with pytest.raises(InvalidArgumentError, match="not an output stream"):
        make(thing)
