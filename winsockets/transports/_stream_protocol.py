"""The protocol under a StreamSocket: one waiting read, bounded unread bytes, ordered writes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import (
    BusyError,
    ConnectionAbortError,
    OperationAbortedError,
    SocketException,
    translate,
)
from winsockets.foundation import AsyncOperation, Limits
from winsockets.transports._describe import describe_peer
from winsockets.transports._ending import Ending
from winsockets.transports._foreign_sink import as_sink
from winsockets.transports._stream_sending import StreamSending

__all__ = ["StreamProtocol"]

_new: Any = object.__new__


@implementer(IHalfCloseableProtocol)
class StreamProtocol(StreamSending, Protocol):
    """Turns a connected transport into reads and writes that can be awaited.

    Bytes go one way: what the transport delivers completes the waiting read, or joins the unread bytes;
    above ``limits.read_high_water`` the transport is paused. What is written goes as StreamSending says.

    Args:
        reactor: keeps the close deadline.
        limits: the bounds of this connection.
        on_connected: called with the protocol when the transport is there.

    A cancelled read leaves every byte for the next one. A cancelled write that has not begun is taken out
    whole; one that has begun breaks the connection, because the peer could not tell what is missing. A
    reset ends pending operations with its error; bytes that arrived before it can still be read.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        limits: Limits,
        on_connected: Callable[[StreamProtocol], None] | None = None,
    ) -> None:
        super().__init__(reactor, limits)
        self._on_connected = on_connected
        self._unread: bytes | bytearray = b""
        self._reader: AsyncOperation[bytes] | None = None
        self._read_size = 0
        self._paused = False
        self._ended = False
        self._discarding = False
        self._read_error: SocketException | None = None
        self._closing = False
        self._deadline: IDelayedCall | None = None
        self._lost = False
        self._end: Ending | None = None

    # What the transport tells

    def connectionMade(self) -> None:
        """Take the transport over and announce the connection."""
        self._sink = as_sink(self.transport)
        self._sink.source = self
        if self._on_connected is not None:
            announce, self._on_connected = self._on_connected, None
            announce(self)

    def dataReceived(self, data: bytes) -> None:
        """Complete the waiting read, or keep the bytes for the next one."""
        self._burst = False
        reader = self._reader
        if reader is not None:
            self._reader = None
            if len(data) > self._read_size:
                self._keep(data[self._read_size :])
                data = data[: self._read_size]
            reader.callback(data)
        elif not self._discarding:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._unread:
            if isinstance(self._unread, bytes):
                self._unread = bytearray(self._unread)
            self._unread += data
        else:
            self._unread = data
        if not self._paused and len(self._unread) >= self._limits.read_high_water:
            self._paused = True
            self._sink.pauseProducing()

    def readConnectionLost(self) -> None:
        """End the receiving direction; sending goes on."""
        problem = self._write_error
        if problem is not None and problem.errno != errno.EPIPE:
            # A send has taken the error from the system, which shows an orderly end now.
            self._read_error = self._read_error or problem
        if problem is not None:
            # Nothing more can come or go.
            self._sink.abortConnection()
        self._end_reading()

    def writeConnectionLost(self) -> None:
        """Nothing to do: the sending direction was ended by us."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End everything that waits, with the transport's reason."""
        self._lost = True
        self._sink.source = None
        if self._deadline is not None:
            self._deadline.cancel()
        problem: SocketException | None = None
        if not isinstance(reason.value, ConnectionDone):
            problem = translate(reason, f"connection with {self.peer}")
            if not self._ended:
                self._read_error = self._read_error or problem
        elif self._queue or not self._output_shut:
            problem = ConnectionAbortError(f"send to {self.peer}: the connection is closed; connect again")
        self._end_sending(problem)
        self._end_reading()
        if self._end is not None:
            self._end.come()

    def _end_reading(self) -> None:
        self._ended = True
        reader, self._reader = self._reader, None
        if reader is not None:
            if self._read_error is not None:
                reader.errback(self._read_error)
            else:
                reader.callback(b"")

    @property
    def limits(self) -> Limits:
        """The bounds and deadlines of the connection."""
        return self._limits

    @property
    def peer(self) -> str:
        """The peer in words, for messages."""
        return describe_peer(self.transport)

    @property
    def lost(self) -> bool:
        """Whether the transport is gone."""
        return self._lost

    # Reading

    def read(self, max_bytes: int) -> AsyncOperation[bytes]:
        """Receive between one byte and ``max_bytes``.

        Returns:
            An operation that yields the bytes; none at the end of the stream, every time.

        Raises:
            BusyError: another read is pending.
        """
        if self._reader is not None:
            raise BusyError(f"read from {self.peer}: another read is pending; await it first, one at a time")
        if self._unread:
            return AsyncOperation.from_result(self._take(max_bytes))
        if self._read_error is not None:
            return AsyncOperation.from_error(self._read_error)
        if self._ended:
            return AsyncOperation.from_result(b"")
        self._read_size = max_bytes
        reader: AsyncOperation[bytes] = _new(AsyncOperation)
        reader._canceller = self._cancel_read
        self._reader = reader
        return reader

    def _take(self, max_bytes: int) -> bytes:
        unread = self._unread
        if len(unread) <= max_bytes:
            data = bytes(unread)
            self._unread = b""
        elif isinstance(unread, bytes):
            data = unread[:max_bytes]
            self._unread = bytearray(memoryview(unread)[max_bytes:])
        else:
            data = bytes(memoryview(unread)[:max_bytes])
            del unread[:max_bytes]
        if self._paused and len(self._unread) <= self._limits.read_low_water:
            self._resume()
        return data

    def _resume(self) -> None:
        if self._paused and not self._closing and not self._lost:
            self._paused = False
            self._sink.resumeProducing()

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of what is still to be read."""
        if not self._discarding:
            self._unread = data + self._unread

    def _cancel_read(self, operation: Deferred[Any]) -> None:
        self._reader = None
        operation.errback(OperationAbortedError(f"read from {self.peer}: cancelled; the connection stays"))

    def discard_input(self) -> None:
        """Read no more: a pending read is aborted, and what arrives is thrown away."""
        self._discarding = True
        self._unread = b""
        self._resume()
        self._abort_reader()

    def _abort_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.errback(OperationAbortedError(f"read from {self.peer}: aborted by close"))

    # Writing: see StreamSending

    def write_failed(self, problem: SocketException) -> None:
        """Fail what waits. Receiving goes on to the end of what the peer sent: that is not lost."""
        self._fail_writes(problem)
        self._stop_waiting()
        if self._closing or self._ended:
            self._sink.abortConnection()

    # Ending

    def shut_output(self) -> None:
        """Close the sending direction after what was written before; receiving goes on."""
        if not self._output_shut:
            # Before anybody is told of what leaves now: nothing may follow it.
            self._output_shut = True
            self._when_all_sent(self._end_output)

    def _end_output(self) -> None:
        if self._write_error is None:
            self._sink.loseWriteConnection()

    def close(self) -> None:
        """Abort the pending read, send what was accepted, then close.

        The peer sees an end of stream; or a reset if bytes it sent were never read, or if it takes longer
        than ``limits.close_timeout``.

        Source: WinRT StreamSocket.Close.
        """
        if self._closing:
            return
        self._closing = self._output_shut = True
        self._abort_reader()
        self._when_all_sent(self._finish)
        if self._queue:
            self._sink.pauseProducing()
        if not self._lost:
            self._deadline = self._reactor.callLater(self._limits.close_timeout, self._give_up)

    def _finish(self) -> None:
        if self._lost:
            return
        if self._unread:
            self._sink.abortConnection()
        else:
            # A transport that takes its time may still deliver something.
            self._discarding = True
            self._sink.loseConnection()

    def _give_up(self) -> None:
        self._deadline = None
        self.abort(
            OperationAbortedError(
                f"close the connection with {self.peer}: the peer did not take everything within "
                f"{self._limits.close_timeout:g} s; given up"
            )
        )

    def abort(self, problem: SocketException) -> None:
        """Break the connection off; what waits ends with ``problem``."""
        self._closing = self._output_shut = True
        if not self._ended:
            self._read_error = self._read_error or problem
        self._fail_writes(problem)
        if not self._lost:
            self._sink.abortConnection()

    def when_lost(self) -> AsyncOperation[None]:
        """Return an operation that ends when the transport is gone."""
        if self._lost:
            return AsyncOperation.from_result(None)
        if self._end is None:
            self._end = Ending()
        return self._end.wait()

    def cancel_io(self) -> None:
        """End every pending read and write; the connection stays.

        The rest of a write that has begun is still sent, or the peer would see a stream with a hole; its
        operation ends all the same.
        """
        problem = OperationAbortedError(f"I/O with {self.peer}: cancelled by cancel_io_async()")
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.errback(problem)
        self._cancel_writes(problem)
