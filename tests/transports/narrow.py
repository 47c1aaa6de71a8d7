"""A transport in memory that takes what the test lets it take, and tells what it was given."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from tests.transports.loopback import limits
from winsockets.errors import SocketException
from winsockets.foundation import AsyncOperation
from winsockets.transports import StreamProtocol
from winsockets.transports._contracts import ISink

__all__ = ["PLENTY", "Narrow", "handled", "in_memory", "statuses"]

PLENTY = 10_000_000
"""More room than a test needs."""


@implementer(ISink)
class Narrow:
    """A transport that takes as many bytes as the test says."""

    source: Any = None
    vector_limit = 3

    def __init__(self, room: int = 0) -> None:
        self.clock = Clock()
        self.room = room
        self.problem: Exception | None = None
        self.taken = b""
        self.writing = False
        self.calls: list[str] = []
        """Every call that is not about sending."""
        self.sends: list[list[Any]] = []
        """What was given in each call: the objects whose memory it is."""
        self.waits = 0
        """How often it was asked to tell when there is room."""

    def send(self, data: Any) -> int:
        """See ISink."""
        return self._take([data])

    def send_vector(self, views: Any) -> int:
        """See ISink."""
        assert 1 < len(views) <= self.vector_limit
        return self._take(views)

    def _take(self, views: Any) -> int:
        if self.problem is not None:
            raise self.problem
        self.sends.append([getattr(view, "obj", view) for view in views])
        taken = b"".join(views)[: self.room]
        self.room -= len(taken)
        self.taken += taken
        return len(taken)

    def startWriting(self) -> None:
        """See ISink."""
        self.waits += 1
        self.writing = True

    def stopWriting(self) -> None:
        """See ISink."""
        self.writing = False

    def abortConnection(self) -> None:
        """See ISink."""
        self.calls.append("abortConnection")
        self.writing = False

    def __getattr__(self, name: str) -> Any:
        """Note every other call."""
        return lambda: self.calls.append(name)

    def getPeer(self) -> str:
        """See ITransport."""
        return "the far side"

    def take(self, room: int) -> None:
        """Make room, and say so as a reactor would."""
        self.room = room
        if self.writing and self.source is not None:
            self.source.write_ready()


def in_memory(room: int = 0, **changes: Any) -> tuple[StreamProtocol, Narrow]:
    """A protocol whose transport has so much room, and that transport; ``changes`` are of the limits."""
    transport = Narrow(room)
    protocol = StreamProtocol(transport.clock, limits(**changes))
    protocol.makeConnection(transport)
    return protocol, transport


def handled(*operations: AsyncOperation[Any]) -> tuple[AsyncOperation[Any], ...]:
    """Take note of every failure, so that none is reported."""
    for operation in operations:
        operation.addErrback(lambda failure: failure.trap(SocketException) and None)
    return operations


def statuses(*operations: AsyncOperation[Any]) -> str:
    """How operations stand, in one letter each."""
    return "".join(operation.status.name[0] for operation in operations)
