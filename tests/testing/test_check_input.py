"""The kit for input streams passes what keeps to the contract and names the rule that is broken."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import pytest_twisted

from tests.testing.pipe import PipeInput, complaint, filled
from winsockets import AsyncOperation, Buffer, InMemoryRandomAccessStream, MemoryInputStream, OutOfBoundsError
from winsockets.testing import check_input_stream


def file_of(data):
    """A file in memory that holds the data, to be read from its start."""
    stream = InMemoryRandomAccessStream()
    stream.write_async(data)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    "make",
    [
        lambda data: nullcontext(MemoryInputStream(data)),
        lambda data: nullcontext(MemoryInputStream(bytearray(data))),
        lambda data: nullcontext(file_of(data)),
        lambda data: nullcontext(file_of(data).get_input_stream_at(0)),
        filled(),
    ],
    ids=["bytes", "bytearray", "file", "input stream at 0", "somebody else's"],
)
@pytest_twisted.ensureDeferred
async def test_streams_that_keep_to_the_contract_pass(make):
    """Those of the library, and one that is not."""
    await check_input_stream(make)


class Unordered(PipeInput):
    def take(self, count):
        return super().take(count)[::-1]


class Greedy(PipeInput):
    def take(self, count):
        return super().take(count + 1)


class Mutable(PipeInput):
    def take(self, count):
        return bytearray(super().take(count))


class EndsOnce(PipeInput):
    def take(self, count):
        if not self.held:
            self.ended = False
        return super().take(count)


class FailsAtTheEnd(PipeInput):
    def take(self, count):
        if not self.held and not self.closed:
            self.ends = getattr(self, "ends", 0) + 1
            if self.ends > 1:
                raise OutOfBoundsError("the end")
        return super().take(count)


class TakesAnySize(PipeInput):
    def read(self, max_bytes=65536):
        return super().read(max(max_bytes, 1))


class ShortAtTheEnd(PipeInput):
    def read_exactly(self, count):
        return self.read(count) if 0 < len(self.held) < count else super().read_exactly(count)


class Forgetful(PipeInput):
    def _unread(self, data):
        pass


class PutsBackMixedUp(PipeInput):
    def _unread(self, data):
        self.held = data[1:] + data[:1] + self.held


class OtherBuffer(PipeInput):
    def read_async(self, buffer, count, options):
        return super().read_async(Buffer(buffer.capacity), count, options)


class NeverPartial(PipeInput):
    def read_async(self, buffer, count, options):
        return super().read_async(buffer, count, 0)


class AlwaysPartial(PipeInput):
    def read_async(self, buffer, count, options):
        return super().read_async(buffer, min(count, 500) if options == 0 else count, 1)


class OwnBuffersOnly(PipeInput):
    def read_async(self, buffer, count, options):
        if isinstance(buffer, bytearray) and not isinstance(buffer, Buffer):
            buffer = Buffer(len(buffer))
        return super().read_async(buffer, count, options)


class LooksForNothing(PipeInput):
    def read_async(self, buffer, count, options):
        if not count:
            self.read(1)
        return super().read_async(buffer, count, options)


class AnyOptions(PipeInput):
    def read_async(self, buffer, count, options):
        return super().read_async(buffer, count, options & 3)


class AnyCount(PipeInput):
    def read_async(self, buffer, count, options):
        return super().read_async(buffer, min(count, getattr(buffer, "capacity", count)), options)


class IteratesOverEmptyPieces(PipeInput):
    async def __anext__(self):
        if not self.held and not getattr(self, "stopped", False):
            self.stopped = True
            return b""
        return await super().__anext__()


class NeverClosed(PipeInput):
    def close(self):
        pass


class ClosesOnce(PipeInput):
    def close(self):
        if self.closed:
            raise RuntimeError("twice")
        super().close()


class LeavesOpen(PipeInput):
    def __exit__(self, *problem):
        pass


class Duck:
    def __init__(self):
        self.stream = PipeInput()

    def __getattr__(self, name):
        return getattr(self.__dict__["stream"], name)


class Adapted(PipeInput):
    def as_stream_for_read(self):
        return PipeInput()


class Later(PipeInput):
    def read_async(self, buffer, count, options):
        if count:
            return super().read_async(buffer, count, options)
        return AsyncOperation()


BROKEN = [
    (Duck, "it has the members of an input stream"),
    (Adapted, "it has the members of an input stream"),
    (Unordered, "everything arrives in order and then the end"),
    (FailsAtTheEnd, "the end is the end every time"),
    (Greedy, "a read gives at least one byte and at most what was asked for"),
    (Mutable, "a read gives at least one byte and at most what was asked for"),
    (EndsOnce, "the end is the end every time"),
    (TakesAnySize, "a read of less than a byte is refused"),
    (ShortAtTheEnd, "read exactly beyond the end fails and loses nothing"),
    (Forgetful, "read exactly beyond the end fails and loses nothing"),
    (PutsBackMixedUp, "read exactly beyond the end fails and loses nothing"),
    (OtherBuffer, "read async with none waits for all or the end"),
    (AlwaysPartial, "read async with none waits for all or the end"),
    (OwnBuffersOnly, "read async fills any writable buffer"),
    (LooksForNothing, "read async for nothing ends at once"),
    (Later, "read async for nothing ends at once"),
    (AnyOptions, "a wrong read async is refused"),
    (AnyCount, "a wrong read async is refused"),
    (IteratesOverEmptyPieces, "async for gives everything"),
    (NeverClosed, "a closed input stream is not read"),
    (ClosesOnce, "a closed input stream is not read"),
    (LeavesOpen, "leaving a with block closes the input stream"),
]


@pytest.mark.parametrize(("kind", "rule"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_a_stream_that_breaks_a_rule_is_told_which(kind, rule):
    """One small mistake each."""
    assert complaint(check_input_stream, filled(kind)).startswith(f"{rule}: ")
