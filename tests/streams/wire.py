"""Streams that do what a test tells them, when it tells them."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from zope.interface import implementer

from winsockets.errors import BusyError, ObjectClosedError, OperationAbortedError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams import IInputStream, InputStream, InputStreamOptions, IOutputStream, OutputStream


class Source(InputStream):
    """An input stream fed by the test: a read gives one piece of what was fed, at most, or waits."""

    def __init__(self, *pieces, end=False):
        self.pieces = deque(piece for piece in pieces if piece)
        self.ended = end
        self.problem = None
        self.asked = []
        self.waiting = None
        self.closed = 0

    def read(self, max_bytes=65536):
        """Give a piece at once, or wait for ``feed``, ``end`` or ``fail``."""
        assert max_bytes >= 1
        if self.closed:
            raise ObjectClosedError("the source was closed")
        if self.waiting is not None:
            raise BusyError("another read is pending")
        self.asked.append(max_bytes)
        if self.pieces:
            return AsyncOperation.from_result(self._next())
        if self.problem is not None:
            return AsyncOperation.from_error(self.problem)
        if self.ended:
            return AsyncOperation.from_result(b"")
        self.waiting = AsyncOperation(self._cancel)
        return self.waiting

    def _next(self):
        piece = self.pieces.popleft()
        wanted = self.asked[-1]
        if len(piece) > wanted:
            self.pieces.appendleft(piece[wanted:])
        return piece[:wanted]

    def _unread(self, data):
        assert self.waiting is None
        assert data
        self.pieces.appendleft(data)

    def _take_waiting(self):
        waiting, self.waiting = self.waiting, None
        return waiting

    def _cancel(self, operation):
        self._take_waiting().errback(OperationAbortedError("the read was cancelled"))

    def feed(self, *pieces):
        """Let pieces arrive, one after the other."""
        for piece in pieces:
            self.pieces.append(piece)
            if self.waiting is not None:
                self._take_waiting().callback(self._next())

    def end(self):
        """Let the stream end."""
        self.ended = True
        if self.waiting is not None:
            self._take_waiting().callback(b"")

    def fail(self, problem):
        """Let the stream break, for good."""
        self.problem = problem
        if self.waiting is not None:
            self._take_waiting().errback(problem)

    def close(self):
        """Abort the pending read."""
        self.closed += 1
        if self.waiting is not None:
            self._take_waiting().errback(OperationAbortedError("the source was closed"))

    def rest(self):
        """Give what nobody has read."""
        return b"".join(self.pieces)


class Sink(OutputStream):
    """An output stream that keeps what is written, and ends writes when the test says so."""

    def __init__(self, *, hold=False):
        self.writes = []
        self.hold = hold
        self.problem = None
        self.pending = deque()
        self.flushes = 0
        self.closed = 0

    def write_async(self, buffer):
        """Keep a copy; the write ends at once, or waits when ``hold`` is set."""
        if self.closed:
            raise ObjectClosedError("the sink was closed")
        self.writes.append(bytes(buffer))
        operation = AsyncOperationWithProgress(self._cancel)
        self.pending.append((operation, len(self.writes[-1])))
        if not self.hold:
            self.release()
        return operation

    def _cancel(self, operation):
        self.pending = deque(entry for entry in self.pending if entry[0] is not operation)
        self.writes.pop()
        operation.errback(OperationAbortedError("the write was cancelled"))

    def release(self):
        """End the first write that waits."""
        operation, size = self.pending.popleft()
        if self.problem is not None:
            operation.errback(self.problem)
        else:
            operation.callback(size)

    def flush_async(self):
        """Count, and end at once."""
        if self.closed:
            raise ObjectClosedError("the sink was closed")
        self.flushes += 1
        return AsyncOperation.from_result(True)

    def close(self):
        """Count; what is pending stays so."""
        self.closed += 1


@implementer(IInputStream)
class ForeignSource:
    """An input stream that has the members of WinRT's interface and no others."""

    def __init__(self, *pieces, end=False):
        self.source = Source(*pieces, end=end)
        self.calls = []

    def read_async(self, buffer, count, options):
        """Read as the interface says."""
        self.calls.append((count, InputStreamOptions(options)))
        return self.source.read_async(buffer, count, options)

    def close(self):
        """Close what is behind it."""
        self.source.close()


@implementer(IOutputStream)
class ForeignSink:
    """An output stream that has the members of WinRT's interface and no others."""

    def __init__(self):
        self.sink = Sink()

    def write_async(self, buffer):
        """Write as the interface says."""
        return self.sink.write_async(buffer)

    def flush_async(self):
        """Flush as the interface says."""
        return self.sink.flush_async()

    def close(self):
        """Close what is behind it."""
        self.sink.close()


def split(data, cuts):
    """Cut bytes at the given places into pieces, none of them empty."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(places)]
