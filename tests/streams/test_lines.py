"""StreamReader and StreamWriter: lines over streams, as the programs of .NET read and write them."""

from __future__ import annotations

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.wire import Sink, Source, split
from winsockets.errors import (
    BusyError,
    InvalidArgumentError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    ResetByPeerError,
    UntranslatableError,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncStatus
from winsockets.streams import InMemoryRandomAccessStream, MemoryInputStream, StreamReader, StreamWriter

# Reading


def test_lines_come_one_after_the_other_and_then_none():
    """Without their terminators; at the end None, every time."""
    reader = StreamReader(MemoryInputStream(b"one\ntwo\r\n\nlast"))
    lines = [reader.read_line_async().get_results() for _ in range(6)]
    assert lines == ["one", "two", "", "last", None, None]


def test_a_line_is_waited_for():
    """However it arrives."""
    source = Source(b"he")
    reader = StreamReader(source)
    operation = reader.read_line_async()
    source.feed(b"ll", b"o\r")
    assert operation.status is AsyncStatus.STARTED
    source.feed(b"\nne")
    assert operation.get_results() == "hello"
    operation = reader.read_line_async()
    source.feed(b"xt\nlater\n")
    assert operation.get_results() == "next"
    asked = len(source.asked)
    assert reader.read_line_async().get_results() == "later"
    assert len(source.asked) == asked


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=10), max_size=10),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 200), max_size=20),
)
def test_every_split_gives_the_same_lines(lines, new_line, cuts):
    """What a StreamWriter writes a StreamReader reads."""
    sink = Sink()
    writer = StreamWriter(sink, new_line=new_line)
    for line in lines:
        writer.write_line_async(line)
    writer.flush_async()
    source = Source(*split(b"".join(sink.writes), cuts), end=True)
    reader = StreamReader(source)
    assert [reader.read_line_async().get_results() for _ in lines] == lines
    assert reader.read_line_async().get_results() is None


@pytest_twisted.ensureDeferred
async def test_lines_can_be_iterated_over():
    """Until the stream ends."""
    reader = StreamReader(Source(b"one\n", b"two\nthr", b"ee", end=True))
    assert [line async for line in reader] == ["one", "two", "three"]


def test_a_datagram_without_a_line_is_the_end():
    """And one without a newline is a line."""
    assert StreamReader(MemoryInputStream(b"")).read_line_async().get_results() is None
    assert StreamReader(MemoryInputStream(b"hi")).read_line_async().get_results() == "hi"


def test_a_line_beyond_the_limit_fails_and_the_next_one_is_read():
    """As soon as it is known; the message names the limit."""
    source = Source(b"0123456789")
    reader = StreamReader(source, limit=10)
    operation = reader.read_line_async()
    source.feed(b"x")
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(MessageTooLongError, match="limit of 10 bytes"):
        operation.get_results()
    operation = reader.read_line_async()
    source.feed(b"xxxxxxxxxxxxxxxxxx", b"xxx\nnext\n")
    assert operation.get_results() == "next"


def test_the_limit_is_64_kib_unless_given():
    """The bound that everything keeps to."""
    size = DEFAULT_LIMITS.max_line_length
    assert size == 65536
    reader = StreamReader(MemoryInputStream(b"x" * (size - 1) + b"\n" + b"x" * size + b"\n"))
    assert len(reader.read_line_async().get_results()) == size - 1
    with pytest.raises(MessageTooLongError):
        reader.read_line_async().get_results()
    assert reader.read_line_async().get_results() is None


def test_errors_of_lines_that_are_there_already_come_from_the_operation():
    """Not from the call: the line before them was fine."""
    reader = StreamReader(MemoryInputStream(b"good\n\xff\n0123456789\nnext\n"), limit=8)
    assert reader.read_line_async().get_results() == "good"
    for problem in (UntranslatableError, MessageTooLongError):
        operation = reader.read_line_async()
        assert operation.status is AsyncStatus.ERROR
        with pytest.raises(problem):
            operation.get_results()
    assert reader.read_line_async().get_results() == "next"


@pytest.mark.parametrize("limit", [-1, 1 << 32])
def test_a_limit_is_a_number_of_bytes(limit):
    """Of 32 bits."""
    with pytest.raises(InvalidArgumentError, match="limit"):
        StreamReader(Source(), limit=limit)


def test_a_cancelled_read_loses_nothing():
    """It ends in ERROR with OPERATION_ABORTED; the next one gives the whole line."""
    source = Source(b"he")
    reader = StreamReader(source)
    operation = reader.read_line_async()
    operation.cancel()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    source.feed(b"llo\n")
    assert reader.read_line_async().get_results() == "hello"


def test_a_broken_stream_breaks_the_read():
    """With its own error, and lines that arrived before it are read first."""
    source = Source(b"one\ntw")
    reader = StreamReader(source)
    assert reader.read_line_async().get_results() == "one"
    operation = reader.read_line_async()
    reset = ResetByPeerError("reset")
    source.fail(reset)
    for problem in (operation, reader.read_line_async()):
        with pytest.raises(ResetByPeerError) as caught:
            problem.get_results()
        assert caught.value is reset


def test_a_second_read_is_refused_while_one_is_pending():
    """At the call, and the first one goes on."""
    source = Source()
    reader = StreamReader(source)
    operation = reader.read_line_async()
    source.feed(b"a")
    with pytest.raises(BusyError):
        reader.read_line_async()
    source.feed(b"b\n")
    assert operation.get_results() == "ab"
    assert reader.read_line_async().status is AsyncStatus.STARTED


def test_closing_the_reader_closes_the_stream():
    """Once; a pending read ends with OPERATION_ABORTED, and no other can follow."""
    source = Source()
    with StreamReader(source) as reader:
        operation = reader.read_line_async()
    reader.close()
    assert source.closed == 1
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    with pytest.raises(ObjectClosedError):
        reader.read_line_async()


def test_a_reader_of_a_closed_stream_fails_at_the_call():
    """And is not stuck in it."""
    source = Source()
    reader = StreamReader(source)
    source.close()
    for _ in range(2):
        with pytest.raises(ObjectClosedError):
            reader.read_line_async()


# Writing


def test_text_is_kept_until_the_flush_and_goes_in_one_write():
    """One flush is one datagram."""
    sink = Sink()
    writer = StreamWriter(sink)
    assert writer.write_line_async("Hello, ").get_results() is None
    assert writer.write_async("wörld").get_results() is None
    assert writer.write_line_async().get_results() is None
    assert sink.writes == []
    assert writer.flush_async().get_results() is True
    assert sink.writes == ["Hello, \nwörld\n".encode()]
    assert sink.flushes == 1


def test_a_flush_of_nothing_is_the_streams_flush():
    """Without a write."""
    sink = Sink()
    assert StreamWriter(sink).flush_async().get_results() is True
    assert (sink.writes, sink.flushes) == ([], 1)


def test_the_end_of_a_line_can_be_chosen():
    """A newline unless set."""
    sink = Sink()
    writer = StreamWriter(sink)
    assert writer.new_line == "\n"
    writer.write_line_async("a")
    writer.new_line = "\r\n"
    writer.write_line_async("b")
    writer.flush_async()
    assert sink.writes == [b"a\nb\r\n"]
    assert StreamWriter(sink, new_line="\0").new_line == "\0"


def test_no_line_is_written_as_an_empty_one():
    """What a reader gives at its end can be written back, as in .NET."""
    sink = Sink()
    writer = StreamWriter(sink)
    writer.write_line_async(None)
    writer.flush_async()
    assert sink.writes == [b"\n"]


def test_64_kib_are_sent_without_a_flush():
    """So that what is kept is bounded; the largest datagram still fits."""
    sink = Sink(hold=True)
    writer = StreamWriter(sink)
    assert writer.write_async("x" * 65535).status is AsyncStatus.COMPLETED
    assert sink.writes == []
    operation = writer.write_async("€")
    assert sink.writes == [b"x" * 65535 + "€".encode()]
    assert operation.status is AsyncStatus.STARTED
    sink.release()
    assert operation.get_results() is None
    assert writer.write_async("y").status is AsyncStatus.COMPLETED
    assert len(sink.writes) == 1


def test_a_flush_ends_after_the_write():
    """The stream is flushed then."""
    sink = Sink(hold=True)
    writer = StreamWriter(sink)
    writer.write_async("abc")
    operation = writer.flush_async()
    assert (operation.status, sink.flushes) == (AsyncStatus.STARTED, 0)
    sink.release()
    assert (operation.get_results(), sink.flushes) == (True, 1)


@pytest.mark.parametrize("hold", [False, True])
def test_a_flush_fails_with_the_write(hold):
    """The text is gone, as a datagram that could not be sent is; the writer goes on."""
    sink = Sink(hold=hold)
    sink.problem = MessageTooLongError("too long")
    writer = StreamWriter(sink)
    writer.write_async("abc")
    operation = writer.flush_async()
    if hold:
        sink.release()
    with pytest.raises(MessageTooLongError):
        operation.get_results()
    sink.problem, sink.hold = None, False
    writer.write_async("d")
    writer.flush_async()
    assert sink.writes == [b"abc", b"d"]


def test_a_cancelled_flush_takes_the_write_back():
    """It ends in ERROR with OPERATION_ABORTED."""
    sink = Sink(hold=True)
    writer = StreamWriter(sink)
    writer.write_async("abc")
    operation = writer.flush_async()
    operation.cancel()
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError):
        operation.get_results()
    assert sink.writes == []


def test_half_a_surrogate_pair_is_untranslatable():
    """At the call, and nothing of the text is kept."""
    sink = Sink()
    writer = StreamWriter(sink)
    for use in (writer.write_async, writer.write_line_async):
        with pytest.raises(UntranslatableError, match="character 2"):
            use("ab\ud800")
    writer.write_async("c")
    writer.flush_async()
    assert sink.writes == [b"c"]


def test_closing_the_writer_sends_what_is_kept_and_closes_the_stream():
    """In this order; more often does no harm."""
    sink = Sink()
    with StreamWriter(sink) as writer:
        writer.write_line_async("bye")
    writer.close()
    assert sink.writes == [b"bye\n"]
    assert sink.closed == 1
    for use in (lambda: writer.write_async("x"), writer.write_line_async, writer.flush_async):
        with pytest.raises(ObjectClosedError):
            use()


def test_closing_the_writer_of_a_closed_stream_says_that_text_is_lost():
    """And says nothing when there is none; the stream is closed again in either case."""
    sink = Sink()
    writer, other = StreamWriter(sink), StreamWriter(sink)
    writer.write_async("abc")
    sink.close()
    other.close()
    with pytest.raises(ObjectClosedError):
        writer.close()
    assert sink.closed == 3


def test_a_flush_that_the_stream_refuses_keeps_the_text():
    """The next flush tries again."""
    sink = Sink()
    writer = StreamWriter(sink)
    writer.write_async("abc")
    sink.closed = 1
    with pytest.raises(ObjectClosedError):
        writer.flush_async()
    sink.closed = 0
    writer.flush_async()
    assert sink.writes == [b"abc"]


# The echo programs of the guide, over memory


@pytest_twisted.ensureDeferred
async def test_the_echo_programs_port_line_by_line():
    """A request goes out as one write, comes back as one, and both sides read it as a line."""
    request_wire, reply_wire = InMemoryRandomAccessStream(), InMemoryRandomAccessStream()

    stream_out = request_wire.as_stream_for_write()
    writer = StreamWriter(stream_out)
    request = "test"
    await writer.write_line_async(request)
    await writer.flush_async()

    in_stream = request_wire.get_input_stream_at(0).as_stream_for_read()
    reader = StreamReader(in_stream)
    request = await reader.read_line_async()
    out_stream = reply_wire.as_stream_for_write()
    writer = StreamWriter(out_stream)
    await writer.write_line_async(request)
    await writer.flush_async()

    stream_in = reply_wire.get_input_stream_at(0).as_stream_for_read()
    reader = StreamReader(stream_in)
    response = await reader.read_line_async()
    assert response == "test"


@pytest.mark.parametrize("text", [None, b"bytes", 7])
def test_what_is_no_text_is_a_type_error(text):
    """Nothing of it is kept."""
    stream = InMemoryRandomAccessStream()
    writer = StreamWriter(stream)
    with pytest.raises(TypeError, match=type(text).__name__):
        writer.write_async(text)
    writer.flush_async()
    assert stream.size == 0
