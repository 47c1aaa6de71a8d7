"""What a socket and its two streams share: the way to the connection, and its end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from winsockets.errors import IllegalMethodCallError, ObjectClosedError, SocketException
from winsockets.transports import StreamProtocol

__all__ = ["Link", "from_reactor_thread", "global_reactor"]


def global_reactor(reactor: Any) -> Any:
    """Return the given reactor, or the installed one."""
    if reactor is None:
        from twisted.internet import reactor as installed

        return installed
    return reactor


def from_reactor_thread(reactor: Any, action: Callable[[], object]) -> None:
    """Let a finalizer have something done in the reactor's thread, in a later turn.

    The garbage collector runs finalizers in whichever thread and at whatever point it is: in the midst of
    the reactor's own work too.
    """
    reactor.callFromThread(action)


class Link:
    """Holds the connection of one StreamSocket; its streams hold it too.

    When the socket and both streams are forgotten the connection is closed in good order: what was
    handed in is sent first.

    Args:
        reactor: where to close a forgotten connection.

    Attributes:
        input: the protocol to read from; None before the connection, after closing the stream or the socket.
        output: the protocol to write to; likewise.
        protocol: the protocol, from the connection on.
        closed: whether the socket was closed.
        input_closed: whether the input stream was closed.
        output_closed: whether the output stream was closed.
        accepted: whether a listener made it: nobody is warned for forgetting such a one.
        since: when it was connected, in seconds of the reactor's clock.
    """

    __slots__ = (
        "__weakref__",
        "_reactor",
        "accepted",
        "closed",
        "input",
        "input_closed",
        "output",
        "output_closed",
        "protocol",
        "since",
    )

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.accepted = False
        self.closed = False
        self.input_closed = False
        self.output_closed = False
        self.input: StreamProtocol | None = None
        self.output: StreamProtocol | None = None
        self.protocol: StreamProtocol | None = None
        self.since = 0.0

    def now(self) -> float:
        """The time, in seconds of the reactor's clock."""
        return float(self._reactor.seconds())

    def connect(self, protocol: StreamProtocol) -> None:
        """Take a connected protocol."""
        self.protocol = protocol
        self.since = self.now()
        if self.input_closed:
            protocol.discard_input()
        else:
            self.input = protocol
        if self.output_closed:
            protocol.shut_output()
        else:
            self.output = protocol

    def close_input(self) -> None:
        """Close the receiving stream: what arrives is thrown away."""
        self.input_closed = True
        if self.input is not None:
            protocol, self.input = self.input, None
            protocol.discard_input()

    def close_output(self) -> None:
        """Close the sending stream: the peer sees the end after what was written before."""
        self.output_closed = True
        if self.output is not None:
            protocol, self.output = self.output, None
            protocol.shut_output()

    def close(self) -> None:
        """Close the connection."""
        self.closed = self.input_closed = self.output_closed = True
        self.input = self.output = None
        if self.protocol is not None:
            self.protocol.close()

    def refusal(self, action: str, closed: bool) -> SocketException:
        """Say why an action is not possible now.

        Args:
            action: what was asked for.
            closed: whether the stream for it was closed.
        """
        if self.closed:
            return ObjectClosedError(f"{action}: the socket was closed")
        if closed:
            return ObjectClosedError(f"{action}: the stream was closed")
        return IllegalMethodCallError(f"{action}: the socket is not connected; await connect_async first")

    def __del__(self) -> None:
        """Close a forgotten connection."""
        protocol = self.protocol
        if protocol is None or self.closed or protocol.lost:
            return
        from_reactor_thread(self._reactor, protocol.close)
        if not self.accepted:
            # Last, because a warning may be an error.
            warnings.warn(
                f"a StreamSocket connected to {protocol.peer} was never closed",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
