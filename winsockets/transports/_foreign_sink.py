"""Any Twisted transport as a sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer, ISSLTransport
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
        """Let nothing more through."""
        self.open = False

    def resumeProducing(self) -> None:
        """Let what waits through."""
        self.open = True
        source = self._sink.source
        if source is not None and source.pending:
            source.write_ready()

    def stopProducing(self) -> None:
        """Let nothing more through, ever."""
        self.open = False


@implementer(ISink)
class ForeignSink:
    """Sends through ``write`` and is told by the transport, through a producer, when to wait.

    The transport's own buffer counts as the system here: a write is complete when the transport has it. One
    that takes no producer never asks to wait, and then nothing bounds its buffer.

    Args:
        transport: a connected ITransport, better an IConsumer too.
    """

    vector_limit = 64

    def __init__(self, transport: Any) -> None:
        self.source: IWriteSource | None = None
        self._transport = transport
        self._valve: _Valve | None = _Valve(self)
        self._paused = False
        self._call("registerProducer", self._valve, True)

    def send(self, data: bytes | memoryview) -> int:
        """Hand everything over unless the transport asked to wait."""
        if self._valve is None or not self._valve.open:
            return 0
        self._transport.write(bytes(data))
        return len(data)

    def send_vector(self, views: Sequence[bytes | memoryview]) -> int:
        """Hand buffers over until the transport asks to wait."""
        sent = 0
        for view in views:
            taken = self.send(view)
            if not taken:
                break
            sent += taken
        return sent

    def startWriting(self) -> None:
        """Nothing to do: the transport opens the valve by itself."""

    def stopWriting(self) -> None:
        """Nothing to do."""

    def pauseProducing(self) -> None:
        """Deliver no more data until further notice, where the transport can."""
        self._paused = True
        self._call("pauseProducing")

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._paused = False
        self._call("resumeProducing")

    def loseWriteConnection(self) -> None:
        """End the sending direction, where the transport can; otherwise it ends with the connection."""
        self._unregister()
        # Twisted's TLS has no half close, but shows that of the TCP transport below: a cut, to the peer.
        if not ISSLTransport.providedBy(self._transport):
            self._call("loseWriteConnection")

    def loseConnection(self) -> None:
        """Close in good order."""
        # A transport waits for its producer before it closes, and may have to receive something to do so.
        self._unregister()
        if self._paused:
            self.resumeProducing()
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        """Close at once where the transport can, in good order otherwise."""
        self._unregister()
        if not self._call("abortConnection"):
            self._transport.loseConnection()

    def _call(self, name: str, *arguments: object) -> bool:
        """Call a method that not every transport has, and tell whether this one has it."""
        method = getattr(self._transport, name, None)
        if method is None:
            return False
        method(*arguments)
        return True

    def _unregister(self) -> None:
        if self._valve is not None:
            self._valve = None
            self._call("unregisterProducer")


def as_sink(transport: Any) -> ISink:
    """Return the transport itself if it is a sink, or wrapped into one."""
    # By its class: Twisted's protocol wrappers declare whatever the transport under them provides.
    return transport if ISink.implementedBy(type(transport)) else ForeignSink(transport)
