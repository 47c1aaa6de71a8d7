"""What an output stream and the input stream at its other end keep to together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from winsockets.errors import BusyError, ObjectClosedError, OperationAbortedError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams import Buffer, InputStream, InputStreamOptions
from winsockets.testing._check_input import INPUT_RULES
from winsockets.testing._check_output import OUTPUT_RULES
from winsockets.testing._rules import DATA, MakePair, Rule, expect, fails, go_through, read_all, refuses

__all__ = ["check_stream_pair"]

_NONE = InputStreamOptions.NONE
_PARTIAL = InputStreamOptions.PARTIAL
_PIECE = 64 * 1024
_CLOGGED_BEFORE = 64 * 1024 * 1024
_LARGE = 256 * 1024


async def check_stream_pair(
    make: MakePair, *, clogs: bool = True, timeout: float = 10.0, reactor: Any = None
) -> None:
    """Check two connected streams: everything of the other two kits, and what waiting reads and writes do.

    It checks one direction; a duplex connection takes two calls.

    Args:
        make: called once for each rule; returns an asynchronous context manager that yields a new output
            stream and the input stream at its other end, connected, and whose end cleans up. Either may
            be closed by then. On the way between them 16 bytes at least have to find room.
        clogs: whether writes wait when nobody reads; False leaves the rules of waiting writes out.
        timeout: seconds that each rule may take.
        reactor: an IReactorTime that keeps the time; the installed reactor when left out.

    Raises:
        AssertionError: a rule is broken; the message begins with the rule.
    """
    await go_through(INPUT_RULES, _input_of(make), timeout, reactor)
    await go_through(OUTPUT_RULES, make, timeout, reactor)
    await go_through(_PAIR_RULES, make, timeout, reactor)
    if clogs:
        await go_through(_CLOGGED_RULES, make, timeout, reactor)


def _input_of(make: MakePair) -> Callable[[bytes], AbstractAsyncContextManager[InputStream]]:
    @asynccontextmanager
    async def make_input(data: bytes) -> AsyncIterator[InputStream]:
        async with make() as (output, stream):
            # A rule may close its end before everything has arrived.
            output.write_async(data).addErrback(lambda _: None)
            output.close()
            yield stream

    return make_input


async def a_waiting_read_gets_what_is_written_later(make: MakePair) -> None:
    async with make() as (output, stream):
        reading = stream.read()
        expect(not reading.called, "a read ended before anything was written")
        await output.write_async(b"later")
        arrived = await reading
        expect(b"later".startswith(arrived), f"the read gave {arrived!r}")
        expect(arrived + await stream.read_exactly(5 - len(arrived)) == b"later", "bytes are missing")


async def only_one_read_waits_at_a_time(make: MakePair) -> None:
    async with make() as (output, stream):
        reads: list[tuple[str, Callable[[], AsyncOperation[Any]]]] = [
            ("read", lambda: stream.read(1)),
            ("read_exactly", lambda: stream.read_exactly(1)),
            ("read_async", lambda: stream.read_async(Buffer(1), 1, _NONE)),
        ]
        for first, begin in reads:
            waiting = begin()
            for second, read in reads:
                refuses(BusyError, f"{second} while {first} waits", read)
            await output.write_async(b"x")
            given = await waiting
            expect(bytes(given) == b"x", f"the waiting {first} gave {given!r} after others were refused")


async def a_cancelled_read_loses_nothing(make: MakePair) -> None:
    async with make() as (output, stream):
        for place in range(0, 100, 10):
            reading = stream.read()
            reading.cancel()
            await fails(OperationAbortedError, "a cancelled read", reading)
            await output.write_async(DATA[place : place + 10])
            if place % 20:
                reading = stream.read(5)
                reading.cancel()
                piece = b""
                try:
                    piece = await reading
                except OperationAbortedError:
                    pass
                else:
                    expect(piece != b"", "a cancelled read gave nothing and did not fail")
                piece += await stream.read_exactly(10 - len(piece))
            else:
                piece = await stream.read_exactly(10)
            expect(piece == DATA[place : place + 10], f"after a cancelled read came {piece!r}")


async def a_cancelled_longer_read_puts_back_what_it_took(make: MakePair) -> None:
    async with make() as (output, stream):
        buffer = Buffer.create_copy_from_memory_buffer(b"untouched!")
        for _ in range(2):
            filling = stream.read_async(buffer, 10, _NONE)
            begun = _first_progress(filling)
            await output.write_async(b"abc")
            await begun
            filling.cancel()
            await fails(OperationAbortedError, "a cancelled read_async", filling)
            expect(bytes(buffer) == b"untouched!", f"the cancelled read_async left {bytes(buffer)!r}")
            reading = stream.read_exactly(10)
            reading.cancel()
            await fails(OperationAbortedError, "a cancelled read_exactly", reading)
            await output.write_async(b"def")
            given = await stream.read_exactly(6)
            expect(given == b"abcdef", f"after cancelled reads came {given!r}")


def _first_progress(reading: AsyncOperationWithProgress[Buffer, int]) -> Deferred[None]:
    """Return what fires when a read has taken its first bytes."""
    begun: Deferred[None] = Deferred()

    def report(_: object, count: int) -> None:
        if not begun.called:
            begun.callback(None)

    reading.progress = report
    return begun


async def a_longer_read_gathers_what_comes_in_pieces(make: MakePair) -> None:
    async with make() as (output, stream):
        reads: list[tuple[str, Callable[[], AsyncOperation[Any]]]] = [
            ("read_exactly", lambda: stream.read_exactly(9)),
            ("read_async(NONE)", lambda: stream.read_async(Buffer(9), 9, _NONE)),
        ]
        for name, begin in reads:
            reading = begin()
            for piece in (b"abc", b"def", b"ghijkl"):
                expect(not reading.called, f"{name} for 9 bytes ended before they were written")
                await output.write_async(piece)
            given = bytes(await reading)
            expect(given == b"abcdefghi", f"{name} for 9 bytes gave {given!r}")
            expect(await stream.read_exactly(3) == b"jkl", f"the bytes after {name} are wrong")


async def a_partial_read_ends_with_the_first_bytes(make: MakePair) -> None:
    async with make() as (output, stream):
        reading = stream.read_async(Buffer(9), 9, _PARTIAL)
        await output.write_async(b"abc")
        given = bytes(await reading)
        expect(bool(given) and b"abc".startswith(given), f"read_async(PARTIAL) gave {given!r}")


async def closing_the_output_ends_the_input(make: MakePair) -> None:
    async with make() as (output, stream):
        reading = stream.read_exactly(3)
        await output.write_async(b"abcdef")
        output.close()
        expect(await reading == b"abc", "a waiting read did not get what was written before close")
        expect(await stream.read_exactly(3) == b"def", "what was written before close did not arrive")
        for _ in range(2):
            expect(await stream.read() == b"", "the stream did not end after its other end was closed")


async def a_read_that_waits_is_told_of_the_end(make: MakePair) -> None:
    async with make() as (output, stream):
        reading = stream.read()
        output.close()
        expect(await reading == b"", "a waiting read did not end with the stream")


async def closing_the_input_aborts_the_waiting_read(make: MakePair) -> None:
    async with make() as (_, stream):
        reading = stream.read()
        stream.close()
        await fails(OperationAbortedError, "the read that waited when its stream was closed", reading)
        refuses(ObjectClosedError, "read on a closed stream", stream.read)


async def much_goes_through_in_any_pieces(make: MakePair) -> None:
    random = Random(0)
    data = random.randbytes(_LARGE)
    async with make() as (output, stream):

        async def send() -> None:
            place = 0
            while place < len(data):
                size = random.choice((1, 7, 1000, 20_000))
                await output.write_async(data[place : place + size])
                place += size
            output.close()

        sending = AsyncOperation.run(send())
        arrived = bytearray()
        while piece := await stream.read(random.choice((1, 13, 4096, 65_536))):
            arrived += piece
        await sending
        expect(bytes(arrived) == data, f"of {len(data)} bytes arrived {len(arrived)}, or other ones")


async def writes_wait_when_nobody_reads(make: MakePair) -> None:
    async with make() as (output, stream):
        sent = _PIECE
        waiting = output.write_async(bytes(_PIECE))
        # A write may be held back, to leave with others, until a flush.
        while output.flush_async().called:
            expect(sent < _CLOGGED_BEFORE, f"{sent} bytes were taken and nobody read one")
            waiting = output.write_async(bytes(_PIECE))
            sent += _PIECE
        last = output.write_async(b"last")
        taken_back = output.write_async(b"taken back")
        flushed = output.flush_async()
        expect(not last.called, "a write ended while one before it waited")
        expect(not flushed.called, "flush_async ended while writes waited")
        taken_back.cancel()
        await fails(OperationAbortedError, "a cancelled write", taken_back)
        expect(not flushed.called, "flush_async ended when a write was cancelled while others waited")
        arrived = await stream.read_exactly(sent + 4)
        expect(arrived[-4:] == b"last" and not any(arrived[:-4]), "what had waited arrived otherwise")
        expect(await waiting == _PIECE, "a write that had waited did not give its size")
        expect(await last == 4, "a write that had waited did not give its size")
        expect(await flushed is True, "flush_async did not give True when everything had gone")
        await output.write_async(b"on")
        output.close()
        expect(await read_all(stream) == b"on", "a write that was taken back arrived after all")


_PAIR_RULES: tuple[Rule[MakePair], ...] = (
    a_waiting_read_gets_what_is_written_later,
    only_one_read_waits_at_a_time,
    a_cancelled_read_loses_nothing,
    a_cancelled_longer_read_puts_back_what_it_took,
    a_longer_read_gathers_what_comes_in_pieces,
    a_partial_read_ends_with_the_first_bytes,
    closing_the_output_ends_the_input,
    a_read_that_waits_is_told_of_the_end,
    closing_the_input_aborts_the_waiting_read,
    much_goes_through_in_any_pieces,
)
_CLOGGED_RULES: tuple[Rule[MakePair], ...] = (writes_wait_when_nobody_reads,)
