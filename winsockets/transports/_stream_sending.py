"""The sending half of a stream protocol: at once where nothing waits, in batches where nobody waits."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from winsockets.errors import IllegalMethodCallError, OperationAbortedError, SocketException
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, Limits
from winsockets.transports._contracts import ISink, IWriteSource
from winsockets.transports._write_queue import (
    WRITE_OVERHEAD,
    Queued,
    QueuedFlush,
    QueuedWrite,
    WriteQueue,
    as_views,
)

__all__ = ["StreamSending"]

_ENOBUFS = getattr(errno, "ENOBUFS", 105)
_ENOBUFS_HRESULT = 0x80072747

_NOTHING = WriteQueue()
"""The queue of those that never had to wait; nothing is put into it."""


@implementer(IWriteSource)
class StreamSending(ABC):
    """Sends what is written, in the order of the calls.

    A write is handed to the system at once when nothing waits. The next one, if nobody has awaited the first
    yet, begins a batch: it is held back, with those that follow, until somebody awaits one of them or calls
    ``flush`` or ``write_many``, until ``limits.write_batch`` is reached, or until the end of the turn,
    whichever is first; then all of them leave in as few calls as the system allows.

    Args:
        reactor: says when a turn has ended.
        limits: the bounds of this connection.
    """

    # Set when something comes to pass; most connections never have more than one write at a time.
    _queue = _NOTHING
    # Whether the sink is to tell when there is room.
    _waits_for_room = False
    # Whether the sink is being given something: one in memory may ask for more from within.
    _sending = False
    _turn_end: IDelayedCall | None = None
    # What is to be done when nothing waits any more.
    _put_off: Callable[[], None] | None = None
    _write_error: SocketException | None = None
    _output_shut = False
    _sink: ISink

    def __init__(self, reactor: IReactorTime, limits: Limits) -> None:
        self._reactor = reactor
        self._limits = limits
        # These are looked at for each write, and found quicker here than in the class.
        # Whether what is in the queue has been kept from the system so far, for the sake of a batch.
        self._held = False
        # Whether the newest write has left, or is held back, without anybody having waited for it.
        self._burst = False
        self._batch = min(limits.write_batch, limits.write_queue + 1)

    @property
    @abstractmethod
    def peer(self) -> str:
        """The peer in words, for messages."""

    @abstractmethod
    def write_failed(self, problem: SocketException) -> None:
        """Fail what waits; nothing can be sent any more."""

    @abstractmethod
    def abort(self, problem: SocketException) -> None:
        """Break the connection off; what waits ends with ``problem``."""

    @property
    def pending(self) -> bool:
        """Whether any write waits."""
        return bool(self._queue)

    def write(self, data: Any) -> AsyncOperationWithProgress[int, int]:
        """Send one buffer; the operation yields its size when the system has all of it.

        Raises:
            As ``write_many``.
        """
        buffers: Sequence[bytes | memoryview]
        if type(data) is bytes:
            buffers, size = (data,), len(data)
        else:
            buffers, size = as_views((data,))
        if self._held:
            # One of the thousands that a batch may have.
            entry = QueuedWrite.of(self, buffers, size)
            queue = self._queue
            queue[entry] = None
            queue.charge = charge = queue.charge + WRITE_OVERHEAD + size
            if charge >= self._batch:
                self.write_ready()
            return entry
        if self._output_shut or self._write_error is not None:
            return self._refuse()
        if self._queue:
            return self._append(buffers, size)
        if self._burst:
            return self._hold(buffers, size)
        try:
            sent = self._sink.send(buffers[0]) if size else 0
        except SocketException as problem:
            self.write_failed(problem)
            return AsyncOperationWithProgress.from_error(problem)
        if sent == size:
            operation: AsyncOperationWithProgress[int, int] = AsyncOperationWithProgress.from_result(size)
            operation.holder = self
            self._burst = True
            return operation
        return self._wait_for_room(buffers, size, sent)

    def write_many(self, buffers: Sequence[Any]) -> AsyncOperationWithProgress[int, int]:
        """Send several buffers, and what is held back, in as few calls as the system allows.

        Returns:
            One operation for all, that yields the total size when the system has it, and reports progress.

        Raises:
            IllegalMethodCallError: the sending direction was closed.
            InvalidArgumentError: one of the buffers is None.
            SocketException: WSAENOBUFS, more than ``limits.write_queue`` waits already: the program
                writes without ever awaiting.
            TypeError: one of them is not a contiguous buffer; nothing is sent.
        """
        views, size = as_views(buffers)
        if self._output_shut or self._write_error is not None:
            return self._refuse()
        waits_for_room = bool(self._queue) and not self._held
        entry = self._append(views, size)
        self._burst = False
        if not waits_for_room:
            self.write_ready()
        return entry

    def _refuse(self) -> AsyncOperationWithProgress[int, int]:
        if self._output_shut or self._write_error is None:
            raise IllegalMethodCallError(f"write to {self.peer}: the sending direction was closed before")
        return AsyncOperationWithProgress.from_error(self._write_error)

    def _hold(self, buffers: Sequence[bytes | memoryview], size: int) -> QueuedWrite:
        """Begin a batch."""
        entry = self._append(buffers, size)
        self._held = True
        if self._turn_end is None:
            self._turn_end = self._reactor.callLater(0, self._end_turn)
        if self._queue.charge >= self._batch:
            self.write_ready()
        return entry

    def _append(self, buffers: Sequence[bytes | memoryview], size: int) -> QueuedWrite:
        queue = self._queue
        if queue is _NOTHING:
            queue = self._queue = WriteQueue()
        elif queue.charge > self._limits.write_queue:
            raise SocketException(
                f"write to {self.peer}: {queue.charge} bytes wait already (limit "
                f"{self._limits.write_queue}); await the writes or flush_async() before writing more, "
                "or raise limits.write_queue",
                hresult=_ENOBUFS_HRESULT,
                errno=_ENOBUFS,
            )
        entry = QueuedWrite.of(self, buffers, size)
        queue[entry] = None
        queue.charge += size + WRITE_OVERHEAD
        return entry

    def _wait_for_room(self, buffers: Sequence[bytes | memoryview], size: int, sent: int) -> QueuedWrite:
        entry = QueuedWrite.of(self, buffers, size)
        if sent:
            entry.advance(sent)
        if self._queue is _NOTHING:
            self._queue = WriteQueue()
        self._queue.append(entry)
        self._waits_for_room = True
        self._sink.startWriting()
        return entry

    def _when_all_sent(self, action: Callable[[], None]) -> None:
        """Hold nothing back, and do this once, and nothing else, when everything written has left."""
        self._put_off = action
        if self._held:
            self.write_ready()
        else:
            self._do_put_off()

    def _do_put_off(self) -> None:
        if self._put_off is not None and not self._queue:
            action, self._put_off = self._put_off, None
            action()

    def _end_turn(self) -> None:
        self._turn_end = None
        self.release()

    def release(self) -> None:
        """Hold nothing back any more: somebody waits."""
        self._burst = False
        if self._held:
            self.write_ready()

    def flush(self) -> AsyncOperation[bool]:
        """Wait for every write so far; fails with the first failure among them."""
        self.release()
        if self._write_error is not None:
            return AsyncOperation.from_error(self._write_error)
        if not self._queue:
            return AsyncOperation.from_result(True)
        entry = QueuedFlush(self)
        self._queue.append(entry)
        return entry

    def write_ready(self) -> None:
        """Send what waits, as much as the system takes."""
        self._held = False
        queue = self._queue
        if not queue or self._sending:
            return
        done: list[Queued] = []
        part: QueuedWrite | None = None
        problem = None
        while queue:
            buffers, size = queue.front(self._sink.vector_limit)
            self._sending = True
            try:
                sent = self._send(buffers)
            except SocketException as error:
                problem = error
                break
            finally:
                self._sending = False
            left, part = queue.take(sent)
            done += left
            if sent < size:
                break
        self._settle()
        # Last, because whoever is told may write, cancel or close.
        for entry in done:
            entry.finish()
        if part is not None and not part.called:
            part.report(part.sent)
        if problem is not None:
            self.write_failed(problem)
        else:
            self._do_put_off()

    def _send(self, buffers: list[bytes | memoryview]) -> int:
        if not buffers:
            return 0
        if len(buffers) == 1:
            return self._sink.send(buffers[0])
        return self._sink.send_vector(buffers)

    def _settle(self) -> None:
        """Wait for room while anything is to be sent, and no longer."""
        if self._queue:
            if not self._waits_for_room and not self._held and self._write_error is None:
                self._waits_for_room = True
                self._sink.startWriting()
        else:
            self._held = False
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waits_for_room:
            self._waits_for_room = False
            self._sink.stopWriting()

    def _cancel_write(self, entry: Queued) -> None:
        queue = self._queue
        if entry not in queue:
            # All of it has left, and that is just being told.
            entry.complete()
        elif entry.sent:
            # It ends with the connection: whoever hears of it can send nothing behind the hole.
            self.abort(
                OperationAbortedError(
                    f"write to {self.peer}: cancelled after {entry.sent} of {entry.size} bytes; "
                    "the connection is broken off"
                )
            )
        else:
            queue.discard(entry)
            entry.errback(OperationAbortedError(f"write to {self.peer}: cancelled before it began"))
            self._settle()
            self._do_put_off()

    def _cancel_writes(self, problem: SocketException) -> None:
        """End every pending write; the rest of one that has begun is still sent."""
        queue = self._queue
        if queue:
            for entry in list(queue):
                if not entry.sent:
                    queue.discard(entry)
                if not entry.called:
                    entry.errback(problem)
            self._settle()
            self._do_put_off()

    def _fail_writes(self, problem: SocketException) -> None:
        """End every write, now and later."""
        if self._write_error is None:
            # Without what it knows of those who called, who may be gone before the connection is.
            self._write_error = problem.with_traceback(None)
        self._put_off = None
        self._held = False
        queue = self._queue
        if queue:
            for entry in list(queue):
                if queue.discard(entry) and not entry.called:
                    entry.errback(problem)

    def _end_sending(self, problem: SocketException | None) -> None:
        """Leave nothing behind: the transport is gone."""
        if self._turn_end is not None:
            self._turn_end.cancel()
            self._turn_end = None
        if problem is not None:
            self._fail_writes(problem)
