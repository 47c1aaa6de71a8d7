"""A stream of somebody else's: a pipe within one program, which keeps to the contracts of both ends."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from winsockets import (
    AsyncOperation,
    AsyncOperationWithProgress,
    BusyError,
    InputStream,
    InvalidArgumentError,
    ObjectClosedError,
    OperationAbortedError,
    OutputStream,
)


class PipeInput(InputStream):
    """The end that is read."""

    def __init__(self, capacity=1000):
        self.capacity = capacity
        self.held = b""
        self.ended = False
        self.closed = False
        self.reader = None
        self.wanted = 0
        self.room_made = lambda: None

    def read(self, max_bytes=65536):
        """See InputStream."""
        if self.closed:
            raise ObjectClosedError("the pipe was closed")
        if self.reader is not None:
            raise BusyError("somebody reads already")
        if max_bytes < 1:
            raise InvalidArgumentError("max_bytes")
        if self.held or self.ended:
            return AsyncOperation.from_result(self.take(max_bytes))
        self.wanted = max_bytes
        self.reader = AsyncOperation(lambda _: self.abort())
        return self.reader

    def take(self, count):
        """Take bytes out, and let waiting ones in."""
        data, self.held = self.held[:count], self.held[count:]
        self.room_made()
        return data

    def put(self, data):
        """Let bytes arrive."""
        self.held += data
        self.wake()

    def end(self):
        """Let the stream end."""
        self.ended = True
        self.wake()

    def wake(self):
        """Give the reader what there is."""
        if self.reader is not None and (self.held or self.ended):
            reader, self.reader = self.reader, None
            reader.callback(self.take(self.wanted))

    def abort(self):
        """End the read that waits."""
        if self.reader is not None:
            reader, self.reader = self.reader, None
            reader.errback(OperationAbortedError("aborted"))

    def _unread(self, data):
        self.held = data + self.held

    def close(self):
        """See InputStream."""
        self.closed = True
        self.abort()


class PipeOutput(OutputStream):
    """The end that is written."""

    def __init__(self, other):
        self.other = other
        self.closed = False
        self.waiting = deque()
        other.room_made = self.go_on

    def write_async(self, buffer):
        """See OutputStream."""
        if self.closed:
            raise ObjectClosedError("the pipe was closed")
        return self.enqueue(AsyncOperationWithProgress(self.take_back), bytes(memoryview(buffer)), None)

    def flush_async(self):
        """See OutputStream."""
        if self.closed:
            raise ObjectClosedError("the pipe was closed")
        return self.enqueue(AsyncOperation(self.take_back), b"", True)

    def enqueue(self, operation, data, result):
        """Let bytes in, in their turn."""
        self.waiting.append((operation, data, len(data) if result is None else result))
        self.go_on()
        return operation

    def go_on(self):
        """Let in what there is room for."""
        while self.waiting:
            operation, data, result = self.waiting.popleft()
            room = max(0, self.other.capacity - len(self.other.held))
            if len(data) > room:
                self.waiting.appendleft((operation, data[room:], result))
                if room:
                    self.other.put(data[:room])
                return
            if data:
                self.other.put(data)
            operation.callback(result)
        if self.closed:
            self.other.end()

    def take_back(self, operation):
        """Cancel what waits."""
        self.waiting = deque(entry for entry in self.waiting if entry[0] is not operation)
        operation.errback(OperationAbortedError("taken back"))

    def close(self):
        """See OutputStream."""
        self.closed = True
        self.go_on()


def pipes(output=PipeOutput, stream=PipeInput):
    """What the kits call for a new pipe, made of these kinds of ends."""

    @asynccontextmanager
    async def make():
        end = stream()
        yield output(end), end

    return make


def filled(stream=PipeInput):
    """What the input kit calls for a pipe that is full and ends."""

    @asynccontextmanager
    async def make(data):
        end = stream()
        end.held, end.ended = data, True
        yield end

    return make


def complaint(check, make):
    """What a kit says of a stream that breaks a rule; a clock passes the time for one that hangs."""
    clock = Clock()
    going = ensureDeferred(check(make, reactor=clock))
    going.addErrback(lambda failure: failure.trap(AssertionError) and str(failure.value))
    while not going.called:
        clock.advance(10.1)
    return going.result
