"""What every output stream keeps to."""

from __future__ import annotations

from array import array
from typing import Any

from zope.interface.verify import verifyObject

from winsockets.errors import ObjectClosedError
from winsockets.streams import Buffer, IOutputStream, OutputStream
from winsockets.testing._rules import DATA, MakePair, Rule, expect, go_through, refuses

__all__ = ["OUTPUT_RULES", "check_output_stream"]


async def check_output_stream(make: MakePair, *, timeout: float = 10.0, reactor: Any = None) -> None:
    """Check that an output stream keeps to the contract of ``OutputStream``.

    Args:
        make: called once for each rule; returns an asynchronous context manager that yields a new output
            stream and an input stream that reads what was written to it, and whose end cleans up. Either
            may be closed by then. On the way between them 16 bytes at least have to find room.
        timeout: seconds that each rule may take.
        reactor: an IReactorTime that keeps the time; the installed reactor when left out.

    Raises:
        AssertionError: a rule is broken; the message begins with the rule.
    """
    await go_through(OUTPUT_RULES, make, timeout, reactor)


async def it_has_the_members_of_an_output_stream(make: MakePair) -> None:
    async with make() as (output, _):
        expect(isinstance(output, OutputStream), f"{output!r} is not an OutputStream")
        verifyObject(IOutputStream, output)
        expect(output.as_stream_for_write() is output, "as_stream_for_write() gave something else")


async def a_write_gives_the_size_of_the_whole_buffer(make: MakePair) -> None:
    async with make() as (output, written):
        writing = output.write_async(DATA)
        expect(await written.read_exactly(len(DATA)) == DATA, "other bytes arrived than were written")
        count = await writing
        expect(count == len(DATA), f"a write of {len(DATA)} bytes gave {count!r}")


async def writes_leave_in_the_order_of_the_calls(make: MakePair) -> None:
    async with make() as (output, written):
        pieces = [DATA[start : start + 64] for start in range(0, len(DATA), 64)]
        operations = [output.write_async(piece) for piece in pieces]
        flushed = output.flush_async()
        expect(await written.read_exactly(len(DATA)) == DATA, "the writes arrived in another order")
        counts = [await operation for operation in operations]
        expect(counts == [64] * len(pieces), f"the writes of 64 bytes each gave {counts}")
        expect(await flushed is True, "flush_async did not give True")


async def any_buffer_object_can_be_written(make: MakePair) -> None:
    numbers = array("H", range(8))
    buffers: list[Any] = [b"1", bytearray(b"22"), memoryview(b"333"), numbers, memoryview(numbers)]
    buffers.append(Buffer.create_copy_from_memory_buffer(b"4444"))
    async with make() as (output, written):
        for buffer in buffers:
            data = bytes(buffer)
            count = await output.write_async(buffer)
            expect(count == len(data), f"a write of a {type(buffer).__name__} gave {count!r}")
            arrived = await written.read_exactly(len(data))
            expect(arrived == data, f"a written {type(buffer).__name__} arrived as {arrived!r}")


async def an_empty_write_means_nothing(make: MakePair) -> None:
    async with make() as (output, written):
        expect(await output.write_async(b"") == 0, "an empty write did not give 0")
        expect(await output.write_many_async([]) == 0, "write_many_async of no buffers did not give 0")
        expect(await output.write_async(b"x") == 1, "a write after an empty one did not give its size")
        expect(await written.read_exactly(1) == b"x", "an empty write changed what arrives after it")


async def what_is_not_a_buffer_is_refused_at_the_call(make: MakePair) -> None:
    async with make() as (output, written):
        write: Any = output.write_async
        write_many: Any = output.write_many_async
        refuses(TypeError, "a write of text", write, "text")
        refuses(TypeError, "a write of a number", write, 7)
        refuses(TypeError, "a write of buffers of which one is text", write_many, [b"lost", "text"])
        await output.write_async(b"x")
        expect(await written.read_exactly(1) == b"x", "a refused write wrote something")


async def write_many_writes_all_buffers_as_one(make: MakePair) -> None:
    async with make() as (output, written):
        buffers = (bytearray(piece) for piece in (DATA[:1], DATA[1:700], b"", DATA[700:]))
        writing = output.write_many_async(buffers)
        expect(await written.read_exactly(len(DATA)) == DATA, "the buffers arrived in another order")
        count = await writing
        expect(count == len(DATA), f"write_many_async of {len(DATA)} bytes gave {count!r}")


async def flush_gives_true_when_nothing_is_pending(make: MakePair) -> None:
    async with make() as (output, _):
        expect(await output.flush_async() is True, "flush_async before any write did not give True")
        await output.write_async(b"x")
        expect(await output.flush_async() is True, "flush_async after a write did not give True")


async def a_closed_output_stream_is_not_written(make: MakePair) -> None:
    async with make() as (output, written):
        await output.write_async(b"before")
        output.close()
        output.close()
        closed = "on a closed stream"
        refuses(ObjectClosedError, f"write_async {closed}", output.write_async, b"x")
        refuses(ObjectClosedError, f"write_async of nothing {closed}", output.write_async, b"")
        refuses(ObjectClosedError, f"write_many_async {closed}", output.write_many_async, [b"x", b"y"])
        refuses(ObjectClosedError, f"flush_async {closed}", output.flush_async)
        expect(await written.read_exactly(6) == b"before", "what was written before close did not arrive")


async def leaving_a_with_block_closes_the_output_stream(make: MakePair) -> None:
    async with make() as (output, _):
        with output as itself:
            expect(itself is output, "with gave something else than the stream")
        refuses(ObjectClosedError, "write_async after the with block", output.write_async, b"x")


OUTPUT_RULES: tuple[Rule[MakePair], ...] = (
    it_has_the_members_of_an_output_stream,
    a_write_gives_the_size_of_the_whole_buffer,
    writes_leave_in_the_order_of_the_calls,
    any_buffer_object_can_be_written,
    an_empty_write_means_nothing,
    what_is_not_a_buffer_is_refused_at_the_call,
    write_many_writes_all_buffers_as_one,
    flush_gives_true_when_nothing_is_pending,
    a_closed_output_stream_is_not_written,
    leaving_a_with_block_closes_the_output_stream,
)
