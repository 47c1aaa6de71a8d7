"""What every input stream keeps to."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from winsockets.errors import InvalidArgumentError, ObjectClosedError, OutOfBoundsError
from winsockets.streams import Buffer, IInputStream, InputStream, InputStreamOptions
from winsockets.testing._rules import DATA, MakeInput, Rule, expect, fails, go_through, read_all, refuses

__all__ = ["INPUT_RULES", "check_input_stream"]

_NONE = InputStreamOptions.NONE
_PARTIAL = InputStreamOptions.PARTIAL


async def check_input_stream(make: MakeInput, *, timeout: float = 10.0, reactor: Any = None) -> None:
    """Check that an input stream keeps to the contract of ``InputStream``.

    ``await check_input_stream(lambda data: nullcontext(MyStream(data)))``.

    Args:
        make: called once for each rule with bytes; returns an asynchronous context manager that yields a
            new stream which gives these bytes and then ends, and whose end cleans up. The stream may be
            closed by then.
        timeout: seconds that each rule may take.
        reactor: an IReactorTime that keeps the time; the installed reactor when left out.

    Raises:
        AssertionError: a rule is broken; the message begins with the rule.
    """
    await go_through(INPUT_RULES, make, timeout, reactor)


async def it_has_the_members_of_an_input_stream(make: MakeInput) -> None:
    async with make(DATA) as stream:
        expect(isinstance(stream, InputStream), f"{stream!r} is not an InputStream")
        verifyObject(IInputStream, stream)
        expect(stream.as_stream_for_read() is stream, "as_stream_for_read() gave something else")


async def everything_arrives_in_order_and_then_the_end(make: MakeInput) -> None:
    for data in (DATA, b"x", b""):
        async with make(data) as stream:
            arrived = await read_all(stream)
            expect(arrived == data, f"of {len(data)} bytes arrived {arrived!r}")


async def a_read_gives_at_least_one_byte_and_at_most_what_was_asked_for(make: MakeInput) -> None:
    async with make(DATA) as stream:
        arrived = b""
        for most in (1, 2, 500, 1):
            data = await stream.read(most)
            expect(type(data) is bytes, f"read({most}) gave a {type(data).__name__}")
            expect(1 <= len(data) <= most, f"read({most}) gave {len(data)} bytes")
            arrived += data
        expect(DATA.startswith(arrived), "short reads gave the wrong bytes")
        expect(arrived + await read_all(stream) == DATA, "the reads after short ones gave the wrong bytes")


async def the_end_is_the_end_every_time(make: MakeInput) -> None:
    async with make(DATA) as stream:
        await read_all(stream)
        for _ in range(3):
            expect(await stream.read() == b"", "a read after the end gave something")
            expect(await stream.read(1) == b"", "read(1) after the end gave something")
            buffer = Buffer(10)
            for options in (_NONE, _PARTIAL):
                given = await stream.read_async(buffer, 10, options)
                expect(given.length == 0, f"read_async after the end gave {bytes(given)!r}")
            await fails(OutOfBoundsError, "read_exactly(1) after the end", stream.read_exactly(1))


async def a_read_of_less_than_a_byte_is_refused(make: MakeInput) -> None:
    async with make(DATA) as stream:
        for most in (0, -1):
            refuses(InvalidArgumentError, f"read({most})", stream.read, most)
        expect(await read_all(stream) == DATA, "a refused read lost something")


async def read_exactly_gives_so_many_bytes(make: MakeInput) -> None:
    async with make(DATA) as stream:
        place = 0
        for count in (1, 0, 100, 700):
            data = await stream.read_exactly(count)
            expect(type(data) is bytes, f"read_exactly({count}) gave a {type(data).__name__}")
            expect(len(data) == count, f"read_exactly({count}) gave {len(data)} bytes")
            expect(data == DATA[place : place + count], f"read_exactly({count}) gave the wrong bytes")
            place += count
        refuses(InvalidArgumentError, "read_exactly(-1)", stream.read_exactly, -1)
        expect(await read_all(stream) == DATA[place:], "the reads after exact ones gave the wrong bytes")


async def read_exactly_beyond_the_end_fails_and_loses_nothing(make: MakeInput) -> None:
    async with make(DATA) as stream:
        await stream.read_exactly(1000)
        for _ in range(2):
            await fails(OutOfBoundsError, "read_exactly(25) with 24 left", stream.read_exactly(25))
        expect(await stream.read_exactly(4) == DATA[1000:1004], "what was put back came in the wrong order")
        expect(await read_all(stream) == DATA[1004:], "what was put back did not come again")


async def read_async_with_none_waits_for_all_or_the_end(make: MakeInput) -> None:
    async with make(DATA) as stream:
        buffer = Buffer(1000)
        given = await stream.read_async(buffer, 900, _NONE)
        expect(given is buffer, "read_async did not give the buffer it was passed")
        expect(bytes(given) == DATA[:900], f"read_async(NONE) for 900 bytes gave {given.length}")
        given = await stream.read_async(buffer, 1000, _NONE)
        expect(bytes(given) == DATA[900:], "read_async(NONE) did not give the rest before the end")


async def read_async_with_partial_gives_what_there_is(make: MakeInput) -> None:
    async with make(DATA) as stream:
        arrived = b""
        while piece := bytes(await stream.read_async(Buffer(300), 200, _PARTIAL)):
            expect(len(piece) <= 200, f"read_async for 200 bytes gave {len(piece)}")
            arrived += piece
        expect(arrived == DATA, "read_async(PARTIAL) gave the wrong bytes")


async def read_async_fills_any_writable_buffer(make: MakeInput) -> None:
    async with make(DATA) as stream:
        target = bytearray(b"-" * 20)
        given = await stream.read_async(target, 10, _NONE)
        expect(bytes(given) == DATA[:10], "read_async into a bytearray gave the wrong bytes")
        expect(bytes(target) == DATA[:10] + b"-" * 10, f"the bytearray holds {bytes(target)!r}")


async def read_async_for_nothing_ends_at_once(make: MakeInput) -> None:
    async with make(DATA) as stream:
        for options in (_NONE, _PARTIAL):
            operation = stream.read_async(Buffer(10), 0, options)
            expect(operation.called, "read_async for 0 bytes did not end at once")
            expect((await operation).length == 0, "read_async for 0 bytes gave some")
        expect(await read_all(stream) == DATA, "read_async for 0 bytes lost something")


async def a_wrong_read_async_is_refused(make: MakeInput) -> None:
    async with make(DATA) as stream:
        read_async: Any = stream.read_async
        too_much = "read_async for more than the capacity"
        refuses(InvalidArgumentError, too_much, read_async, Buffer(10), 11, _NONE)
        refuses(InvalidArgumentError, "read_async for -1 bytes", read_async, Buffer(10), -1, _NONE)
        refuses(InvalidArgumentError, "read_async with options 4", read_async, Buffer(10), 10, 4)
        refuses(TypeError, "read_async into bytes", read_async, bytes(10), 10, _NONE)
        expect(await read_all(stream) == DATA, "a refused read_async lost something")


async def async_for_gives_everything(make: MakeInput) -> None:
    async with make(DATA) as stream:
        pieces = [piece async for piece in stream]
        expect(b"".join(pieces) == DATA, "async for gave the wrong bytes")
        expect(b"" not in pieces, "async for gave an empty piece")


async def a_closed_input_stream_is_not_read(make: MakeInput) -> None:
    async with make(DATA) as stream:
        await stream.read(1)
        stream.close()
        stream.close()
        closed = "on a closed stream"
        refuses(ObjectClosedError, f"read {closed}", stream.read)
        refuses(ObjectClosedError, f"read_exactly {closed}", stream.read_exactly, 1)
        refuses(ObjectClosedError, f"read_async {closed}", stream.read_async, Buffer(1), 1, _NONE)


async def leaving_a_with_block_closes_the_input_stream(make: MakeInput) -> None:
    async with make(DATA) as stream:
        with stream as itself:
            expect(itself is stream, "with gave something else than the stream")
        refuses(ObjectClosedError, "read after the with block", stream.read)


INPUT_RULES: tuple[Rule[MakeInput], ...] = (
    it_has_the_members_of_an_input_stream,
    everything_arrives_in_order_and_then_the_end,
    a_read_gives_at_least_one_byte_and_at_most_what_was_asked_for,
    the_end_is_the_end_every_time,
    a_read_of_less_than_a_byte_is_refused,
    read_exactly_gives_so_many_bytes,
    read_exactly_beyond_the_end_fails_and_loses_nothing,
    read_async_with_none_waits_for_all_or_the_end,
    read_async_with_partial_gives_what_there_is,
    read_async_fills_any_writable_buffer,
    read_async_for_nothing_ends_at_once,
    a_wrong_read_async_is_refused,
    async_for_gives_everything,
    a_closed_input_stream_is_not_read,
    leaving_a_with_block_closes_the_input_stream,
)
