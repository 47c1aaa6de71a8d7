"""Operations that read a stream again and again until they have what they were asked for."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from winsockets.errors import OperationAbortedError, OutOfBoundsError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.streams._buffer import Buffer

if TYPE_CHECKING:
    from winsockets.streams._base import InputStream

__all__ = ["ExactOperation", "FillOperation", "GatheringOperation", "fill"]

_T = TypeVar("_T")


def _cancel(operation: Deferred[Any]) -> None:
    gathering = cast("GatheringOperation[Any]", operation)
    if gathering._pending is not None:
        gathering._pending.cancel()
    else:
        # From a progress handler, after the last read.
        gathering._give_up(
            OperationAbortedError("the read was cancelled; what had arrived can still be read")
        )


class GatheringOperation(AsyncOperation[_T]):
    """An operation over several reads of one stream.

    The reads follow each other without a gap, so that no other read can come between them. Callbacks,
    because a coroutine costs twice as much.

    Args:
        source: the stream to read.
    """

    _pending: AsyncOperation[bytes] | None = None

    def __init__(self, source: InputStream) -> None:
        super().__init__(_cancel)
        self._source = source

    @abstractmethod
    def _take(self, data: bytes) -> int:
        """Take what arrived (nothing when the stream has ended).

        Returns:
            The most bytes to read next, or 0 when this was the last read.
        """

    @abstractmethod
    def _finish(self) -> None:
        """End the operation after the last read."""

    @abstractmethod
    def _give_up(self, problem: Failure | BaseException) -> None:
        """End the operation after a read that failed or was cancelled."""

    def _begin(self, first: AsyncOperation[bytes]) -> Self:
        """Go on from the first read, which the caller has started."""
        if not first.called:
            self._wait_for(first)
            return self
        try:
            data = first.get_results()
        except Exception as problem:
            self._give_up(problem)
        else:
            self._arrived(data)
        return self

    def _wait_for(self, pending: AsyncOperation[bytes]) -> None:
        self._pending = pending
        self._source = self._source._while_waiting()
        pending.addCallbacks(self._arrived, self._failed)

    def _arrived(self, data: bytes) -> None:
        self._pending = None
        try:
            while wanted := self._take(data):
                pending = self._source.read(wanted)
                if not pending.called:
                    self._wait_for(pending)
                    self._tell()
                    return
                data = pending.get_results()
        except Exception as problem:
            self._give_up(problem)
        else:
            self._tell()
            if not self.called:
                self._finish()

    def _tell(self) -> None:
        """Say how far it is: when there is nothing more to take now, and its next read is under way."""

    def _failed(self, failure: Failure) -> None:
        self._pending = None
        self._give_up(failure)


class _CollectingOperation(GatheringOperation[_T]):
    """Keeps what arrives, and puts it back in front of the stream when it comes to nothing."""

    def __init__(self, source: InputStream, count: int) -> None:
        super().__init__(source)
        self._missing = count
        self._pieces: list[bytes] = []

    def _take(self, data: bytes) -> int:
        if not data:
            return 0
        self._pieces.append(data)
        self._missing -= len(data)
        return self._missing

    def _put_back(self) -> None:
        if self._pieces:
            self._source._unread(b"".join(self._pieces))

    def _give_up(self, problem: Failure | BaseException) -> None:
        self._put_back()
        self.errback(problem)


class ExactOperation(_CollectingOperation[bytes]):
    """What ``read_exactly`` returns."""

    def _finish(self) -> None:
        if not self._missing:
            self.callback(b"".join(self._pieces))
            return
        self._put_back()
        arrived = sum(map(len, self._pieces))
        self.errback(
            OutOfBoundsError(
                f"the stream ended after {arrived} of {arrived + self._missing} bytes; "
                "what arrived can still be read"
            )
        )


class FillOperation(_CollectingOperation[Buffer], AsyncOperationWithProgress[Buffer, int]):
    """What ``read_async`` returns."""

    def __init__(self, source: InputStream, target: Buffer | memoryview, count: int, partial: bool) -> None:
        super().__init__(source, count)
        self._target = target
        self._count = count
        self._partial = partial
        self._reported = 0

    def _take(self, data: bytes) -> int:
        wanted = super()._take(data)
        return 0 if self._partial else wanted

    def _tell(self) -> None:
        arrived = self._count - self._missing
        if arrived != self._reported:
            self._reported = arrived
            self.report(arrived)

    def _finish(self) -> None:
        self.callback(fill(self._target, b"".join(self._pieces)))


def fill(target: Buffer | memoryview, data: bytes) -> Buffer:
    """Put data into the buffer that was passed to a read.

    Returns:
        The buffer to return from the read: the one passed, or another one where the one passed is not a
        Buffer or cannot change its length because a memoryview of it is in use.
    """
    if isinstance(target, Buffer):
        try:
            # The caller has checked the capacity, so bytearray's own assignment will do.
            bytearray.__setitem__(target, slice(None), data)
        except BufferError:
            pass
        else:
            return target
    else:
        target[: len(data)] = data
    return Buffer.create_copy_from_memory_buffer(data)
