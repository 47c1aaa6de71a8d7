"""The kit for output streams passes what keeps to the contract and names the rule that is broken."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import pytest_twisted

from tests.testing.pipe import PipeInput, PipeOutput, complaint, pipes
from winsockets import AsyncOperation, AsyncOperationWithProgress, InMemoryRandomAccessStream
from winsockets.testing import check_output_stream


def file():
    """A file in memory, written and read at positions of their own."""
    stream = InMemoryRandomAccessStream()
    return nullcontext((stream, stream.get_input_stream_at(0)))


def file_at_0():
    """A file in memory, written through another stream."""
    stream = InMemoryRandomAccessStream()
    return nullcontext((stream.get_output_stream_at(0), stream.get_input_stream_at(0)))


@pytest.mark.parametrize(
    "make", [file, file_at_0, pipes()], ids=["file", "output stream at 0", "somebody else's"]
)
@pytest_twisted.ensureDeferred
async def test_streams_that_keep_to_the_contract_pass(make):
    """Those of the library, and one that is not."""
    await check_output_stream(make)


class Adapted(PipeOutput):
    def as_stream_for_write(self):
        return PipeOutput(PipeInput())


class SaysNothing(PipeOutput):
    def write_async(self, buffer):
        super().write_async(buffer)
        operation = AsyncOperationWithProgress()
        operation.callback(None)
        return operation


class Cuts(PipeOutput):
    def write_async(self, buffer):
        super().write_async(memoryview(buffer).cast("B")[:100])
        operation = AsyncOperationWithProgress()
        operation.callback(len(memoryview(buffer)))
        return operation


class Overtakes(PipeOutput):
    def enqueue(self, operation, data, result):
        if len(data) == 64 and not self.other.held:
            self.kept = (operation, data, result)
            return operation
        super().enqueue(operation, data, result)
        if len(data) == 64 and getattr(self, "kept", None):
            kept, self.kept = self.kept, None
            super().enqueue(*kept)
        return operation


class BytesOnly(PipeOutput):
    def write_async(self, buffer):
        if isinstance(buffer, str) or not isinstance(buffer, bytes | int):
            raise TypeError
        return super().write_async(buffer)


class CountsElements(PipeOutput):
    def write_async(self, buffer):
        count = len(memoryview(buffer))
        super().write_async(buffer)
        operation = AsyncOperationWithProgress()
        operation.callback(count)
        return operation


class RefusesEmpty(PipeOutput):
    def write_async(self, buffer):
        if not memoryview(buffer) and not self.closed:
            raise ValueError
        return super().write_async(buffer)


class WritesText(PipeOutput):
    def write_async(self, buffer):
        return super().write_async(buffer.encode() if isinstance(buffer, str) else buffer)


class FailsLater(PipeOutput):
    def write_async(self, buffer):
        try:
            return super().write_async(buffer)
        except TypeError as problem:
            return AsyncOperation.from_error(problem)


class WritesSomeOfMany(PipeOutput):
    def write_many_async(self, buffers):
        total = 0
        for buffer in buffers:
            self.write_async(buffer)
            total += len(buffer)
        operation = AsyncOperationWithProgress()
        operation.callback(total)
        return operation


class WritesOneOfMany(PipeOutput):
    def write_many_async(self, buffers):
        return self.write_async(next(iter(buffers), b""))


class FlushesToNone(PipeOutput):
    def flush_async(self):
        if self.waiting:
            return super().flush_async()
        return AsyncOperation.from_result(None)


class NeverClosed(PipeOutput):
    def close(self):
        pass


class ClosesOnce(PipeOutput):
    def close(self):
        if self.closed:
            raise RuntimeError("twice")
        super().close()


class ForgetsFlush(PipeOutput):
    def flush_async(self):
        return AsyncOperation.from_result(True)


class Discards(PipeOutput):
    def close(self):
        self.other.held = b""
        super().close()


class LeavesOpen(PipeOutput):
    def __exit__(self, *problem):
        pass


BROKEN = [
    (Adapted, "it has the members of an output stream"),
    (SaysNothing, "a write gives the size of the whole buffer"),
    (Cuts, "a write gives the size of the whole buffer"),
    (Overtakes, "writes leave in the order of the calls"),
    (BytesOnly, "any buffer object can be written"),
    (CountsElements, "any buffer object can be written"),
    (RefusesEmpty, "an empty write means nothing"),
    (WritesText, "what is not a buffer is refused at the call"),
    (FailsLater, "what is not a buffer is refused at the call"),
    (WritesSomeOfMany, "what is not a buffer is refused at the call"),
    (WritesOneOfMany, "what is not a buffer is refused at the call"),
    (FlushesToNone, "flush gives true when nothing is pending"),
    (NeverClosed, "a closed output stream is not written"),
    (ClosesOnce, "a closed output stream is not written"),
    (ForgetsFlush, "a closed output stream is not written"),
    (Discards, "a closed output stream is not written"),
    (LeavesOpen, "leaving a with block closes the output stream"),
]


@pytest.mark.parametrize(("kind", "rule"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_a_stream_that_breaks_a_rule_is_told_which(kind, rule):
    """One small mistake each."""
    assert complaint(check_output_stream, pipes(kind)).startswith(f"{rule}: ")
