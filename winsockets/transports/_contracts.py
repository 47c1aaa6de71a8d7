"""What the parts of the stream path know of each other.

A stream protocol stands between the program and one sink. The sink takes bytes and says how many; it is a
TCP transport of ours, any other Twisted transport behind an adapter, and the place where a TLS engine goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Attribute, Interface

from winsockets.errors import SocketException

__all__ = ["ISink", "IWriteSource"]


class IWriteSource(Interface):
    """Who fills a sink: asked when there is room."""

    pending: bool = Attribute("Whether anything waits to be sent.")

    def write_ready() -> None:
        """Send what waits; there is room now."""

    def write_failed(problem: SocketException) -> None:
        """Fail what waits; nothing can be sent any more."""


class ISink(Interface):
    """Where a stream protocol's bytes go."""

    source: IWriteSource | None = Attribute("Who is asked when there is room.")
    vector_limit: int = Attribute("How many buffers send_vector takes at most.")

    def send(data: bytes | memoryview) -> int:
        """Take as much as there is room for, at once, and return how much (0: none now).

        Raises:
            SocketException: nothing can be sent any more.
        """

    def send_vector(views: Sequence[bytes | memoryview]) -> int:
        """Like ``send`` for several buffers in one call."""

    def startWriting() -> None:
        """Call ``source.write_ready()`` as soon as there is room."""

    def stopWriting() -> None:
        """Do not call it any more."""

    def pauseProducing() -> None:
        """Deliver no more data until further notice."""

    def resumeProducing() -> None:
        """Deliver again."""

    def loseWriteConnection() -> None:
        """End the sending direction in good order."""

    def loseConnection() -> None:
        """Close in good order."""

    def abortConnection() -> None:
        """Close at once, telling the peer that something is missing."""
