"""What waits to be sent on one datagram socket, and whose operation it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from winsockets.errors import SocketException
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress

__all__ = ["Flush", "Sending", "Waiting"]


class Sending(AsyncOperationWithProgress[int, int]):
    """A write of some datagrams; it ends when the last one has been sent or has failed.

    Args:
        canceller: takes back those that wait.
        count: how many datagrams there are.
    """

    def __init__(self, canceller: Callable[[Deferred[Any]], None], count: int) -> None:
        super().__init__(canceller)
        self._left = count
        self._sent = 0
        self._failure: SocketException | None = None

    def count(self, outcome: int | SocketException) -> None:
        """Note the size of one that was sent, or why one was not, and end with the last one.

        The size of all of them is the result, unless one failed: then the first failure is.
        """
        self._left -= 1
        if isinstance(outcome, int):
            self._sent += outcome
            self.report(self._sent)
        elif self._failure is None:
            self._failure = outcome
        self.end_if_complete()

    def end_if_complete(self) -> None:
        """End when there is none left: of no datagrams, at once."""
        if self._left or self.called:
            return
        if self._failure is None:
            self.callback(self._sent)
        else:
            self.errback(self._failure)


class Flush(AsyncOperation[bool]):
    """A wait for the datagrams that waited before it; fails with the first failure among them."""

    failure: SocketException | None = None

    def end(self) -> None:
        """They have all ended."""
        if self.failure is None:
            self.callback(True)
        else:
            self.errback(self.failure)


class Waiting:
    """One place in the queue.

    Attributes:
        operation: whose it is.
        data: the datagram; None where a flush waits.
        to: where it goes; None on a connected socket.
        outcome: its size, or why it was not sent, when that is known and news is still to be told first.
    """

    __slots__ = ("data", "operation", "outcome", "to")

    def __init__(
        self,
        operation: Sending | Flush,
        data: memoryview | bytes | None = None,
        to: tuple[Any, ...] | None = None,
    ) -> None:
        self.operation = operation
        self.data = data
        self.to = to
        self.outcome: int | SocketException | None = None
