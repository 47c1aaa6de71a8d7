"""What waits to be sent on one datagram socket, and whose operation it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred

from winsockets.errors import SocketException
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, AsyncStatus

if TYPE_CHECKING:
    from winsockets.transports._datagram_sending import DatagramSending

__all__ = ["Batch", "Flush", "Sending", "finish", "owners"]

_COMPLETED = AsyncStatus.COMPLETED
_new: Any = object.__new__


def _cancel(operation: Deferred[Any]) -> None:
    entry = cast("Sending | Flush", operation)
    sending = entry.sending if isinstance(entry, Flush) else entry.holder
    sending.take_back(entry)


class Sending(AsyncOperationWithProgress[int, int]):
    """A write of some datagrams; it ends when the last one has been sent or has failed."""

    _canceller = staticmethod(_cancel)
    _left = 1
    _sent = 0

    failure: SocketException | None = None
    """Why a datagram of it was not sent: the first of the reasons."""
    holder: DatagramSending
    """Sends them."""

    @classmethod
    def of(cls, holder: DatagramSending, count: int = 1) -> Sending:
        """Make one of so many; without calling what makes other operations: there may be many a turn."""
        operation: Sending = _new(cls)
        operation.holder = holder
        if count != 1:
            operation._left = count
            # Its datagrams end one by one, and it with the last.
            operation._attended = True
        return operation

    def note(self, outcome: int | SocketException) -> None:
        """Note the size of one that was sent, or why one was not; nobody is told yet."""
        self._left -= 1
        if isinstance(outcome, int):
            self._sent += outcome
        elif self.failure is None:
            self.failure = outcome

    def correct(self, difference: int) -> None:
        """Note that what was noted last, or the result, is to be so much more."""
        if self._attended:
            self._sent += difference
        else:
            self._outcome = self.result = self._outcome + difference

    def tell(self) -> None:
        """Say how far it is, and end when no datagram is left; not if it was given up meanwhile.

        The size of all of them is the result, unless one failed: then the first failure is.
        """
        if not self.called and (self._sent or self.failure is None):
            self.report(self._sent)
        self.end_if_complete()

    def end_if_complete(self) -> None:
        """End when no datagram is left: of no datagrams, at once."""
        if self._left or self.called:
            return
        if self.failure is None:
            self.callback(self._sent)
        else:
            self.errback(self.failure)


class Flush(AsyncOperation[bool]):
    """A wait for the datagrams that waited before it; fails with the first failure among them."""

    _canceller = staticmethod(_cancel)

    failure: SocketException | None = None
    sending: DatagramSending
    """Sends them. Not a holder: who awaits this has released everything already."""

    @classmethod
    def of(cls, sending: DatagramSending) -> Flush:
        """Make one; as quickly as a write."""
        operation: Flush = _new(cls)
        operation.sending = sending
        return operation

    def end_if_complete(self) -> None:
        """Nothing of it can have left."""

    def end(self) -> None:
        """They have all ended."""
        if self.failure is None:
            self.callback(True)
        else:
            self.errback(self.failure)


class Batch:
    """Datagrams to one destination, in the order of the calls.

    Args:
        to: where they go; None on a connected socket.

    Attributes:
        operations: whose they are, one for each; the same one several times for a write of several.
        payloads: the datagrams.
    """

    __slots__ = ("operations", "payloads", "to")

    def __init__(self, to: tuple[Any, ...] | None) -> None:
        self.to = to
        self.operations: list[Sending] = []
        self.payloads: list[bytes | memoryview] = []

    def take(self, count: int) -> list[Sending]:
        """Take out the first ones, and with them every hold on their buffers; return whose they were."""
        operations = self.operations
        if count == len(operations):
            self.operations = []
            self.payloads = []
            return operations
        taken = operations[:count]
        del operations[:count]
        del self.payloads[:count]
        return taken

    def discard(self, operation: Sending | Flush) -> int:
        """Take out what belongs to one operation, and tell how many datagrams that were."""
        if operation not in self.operations:
            return 0
        before = len(self.operations)
        kept = [place for place, owner in enumerate(self.operations) if owner is not operation]
        self.payloads = [self.payloads[place] for place in kept]
        self.operations = [self.operations[place] for place in kept]
        return before - len(kept)


def finish(operations: Sequence[Sending], size: int, last: int) -> None:
    """End the operations of datagrams that left together.

    Args:
        operations: whose they were.
        size: the size of each but the last.
        last: the size of that.
    """
    told: list[Sending] = []
    for operation in operations:
        if operation._attended:
            operation.note(size)
            told.append(operation)
        else:
            # As callback() does it, in fewer steps: nobody is to be told.
            operation.called = True
            operation._outcome = operation.result = size
            operation._status = _COMPLETED
    if last != size:
        operations[-1].correct(last - size)
    # Last, because whoever is told may write, cancel or close.
    for operation in dict.fromkeys(told):
        operation.tell()


def owners(batches: Sequence[Batch | Flush]) -> list[Sending]:
    """List the operations that wait, each as often as it has datagrams."""
    return [operation for entry in batches if isinstance(entry, Batch) for operation in entry.operations]
