"""Any Twisted transport as a sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from winsockets.transports._contracts import ISink, IWriteSource

__all__ = ["ForeignSink", "as_sink"]


@implementer(IPushProducer)
class _Valve:
    """What the transport opens and shuts: the flow towards it."""

    def __init__(self, sink: ForeignSink) -> None:
        self._sink = sink
        self.open = True

    def pauseProducing(self) -> None:
        self.open = False

    def resumeProducing(self) -> None:
        self.open = True
        source = self._sink.source
        if source is not None and source.pending:
            source.write_ready()

    def stopProducing(self) -> None:
        self.open = False


@implementer(ISink)
class ForeignSink:
    """Sends through ``write`` and is told by the transport, through a producer, when to wait.

    The transport's own buffer counts as the system here: a write is complete when the transport has it.

    Args:
        transport: a connected ITransport.
    """

    vector_limit = 64

    def __init__(self, transport: Any) -> None:
        self.source: IWriteSource | None = None
        self._transport = transport
        self._valve: _Valve | None = _Valve(self)
        transport.registerProducer(self._valve, True)

    def send(self, data: bytes | memoryview) -> int:
        """Hand everything over unless the transport asked to wait."""
        if self._valve is None or not self._valve.open:
            return 0
        self._transport.write(bytes(data))
        return len(data)

    def send_vector(self, views: Sequence[memoryview]) -> int:
        """Hand buffers over until the transport asks to wait."""
        sent = 0
        for view in views:
            taken = self.send(view)
            sent += taken
            if taken < len(view):
                break
        return sent

    def startWriting(self) -> None:
        """Nothing to do: the transport opens the valve by itself."""

    def stopWriting(self) -> None:
        """Nothing to do."""

    def pauseProducing(self) -> None:
        """Deliver no more data until further notice, where the transport can."""
        pause = getattr(self._transport, "pauseProducing", None)
        if pause is not None:
            pause()

    def resumeProducing(self) -> None:
        """Deliver again."""
        resume = getattr(self._transport, "resumeProducing", None)
        if resume is not None:
            resume()

    def loseWriteConnection(self) -> None:
        """End the sending direction, where the transport can; otherwise it ends with the connection."""
        lose = getattr(self._transport, "loseWriteConnection", None)
        if lose is not None:
            self._unregister()
            lose()

    def loseConnection(self) -> None:
        """Close in good order."""
        # A transport waits for its producer before it closes.
        self._unregister()
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        """Close at once where the transport can, in good order otherwise."""
        self._unregister()
        abort = getattr(self._transport, "abortConnection", None)
        if abort is not None:
            abort()
        else:
            self._transport.loseConnection()

    def _unregister(self) -> None:
        if self._valve is not None:
            self._valve = None
            self._transport.unregisterProducer()


def as_sink(transport: Any) -> ISink:
    """Return the transport itself if it is a sink, or wrapped into one."""
    return transport if ISink.providedBy(transport) else ForeignSink(transport)
