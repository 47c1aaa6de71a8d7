"""EchoConnection: one client of the TCP echo server, from the accept to the end."""

from __future__ import annotations

from enum import Enum

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from winsockets.errors import SocketException
from winsockets.foundation import AsyncOperationWithProgress
from winsockets.sockets import SocketProtectionLevel, StreamSocket

__all__ = ["EchoConnection", "Outcome"]

READ_SIZE = 64 * 1024
"""The most that is read, and then written, at once: what a connection costs in memory."""


class Outcome(Enum):
    """How a connection ended."""

    COMPLETED = "closed by the client"
    BROKEN = "broken off"
    IDLE = "closed for silence"
    CUT_OFF = "cut off by the stop"


class EchoConnection:
    """Sends back what one client sends, until it closes or falls silent.

    The next bytes are read when the system has taken the last ones, so a client that does not read is not
    read from either.

    Args:
        socket: the accepted socket.
        clock: measures the silence.
        idle_timeout: seconds without a byte in either direction that end the connection; None for ever.

    Attributes:
        peer: the client's address and port, in words; with the subject of its certificate, if it showed one.
        has_tls: whether the connection has TLS.
        echoed: bytes sent back so far.
        outcome: how it ended; None while it has not.
        problem: what broke it off, if something did.
    """

    def __init__(self, socket: StreamSocket, clock: IReactorTime, idle_timeout: float | None) -> None:
        information = socket.information
        self.peer = f"{information.remote_address} port {information.remote_port}"
        self.has_tls = information.protection_level is not SocketProtectionLevel.PLAIN_SOCKET
        certificate = information.client_certificate
        if certificate is not None:
            self.peer += f" ({certificate.subject!r})"
        self.echoed = 0
        self.outcome: Outcome | None = None
        self.problem: SocketException | None = None
        self._socket = socket
        self._clock = clock
        self._started = self._active = clock.seconds()
        self._ended = 0.0
        self._idle_timeout = idle_timeout
        self._write: AsyncOperationWithProgress[int, int] | None = None
        self._watch: IDelayedCall | None = None

    @property
    def duration(self) -> float:
        """How many seconds it lasted, once it has ended."""
        return self._ended - self._started

    async def run(self) -> None:
        """Echo until the end; returns when the descriptor is closed."""
        if self._idle_timeout is not None:
            self._watch = self._clock.callLater(self._idle_timeout, self._check_idle, self._idle_timeout)
        try:
            await self._echo()
        except SocketException as problem:
            if self.outcome is None:
                self.outcome = Outcome.BROKEN
                self.problem = problem
        finally:
            if self._watch is not None and self._watch.active():
                self._watch.cancel()
            self._ended = self._clock.seconds()
            self._socket.close()
            await self._socket.wait_closed_async()

    async def _echo(self) -> None:
        source, sink = self._socket.input_stream, self._socket.output_stream
        while data := await source.read(READ_SIZE):
            self._active = self._clock.seconds()
            write = sink.write_async(data)
            if not write.called:
                write.progress = self._progressed
                self._write = write
            await write
            self._write = None
            self._active = self._clock.seconds()
            self.echoed += len(data)
        self.outcome = Outcome.COMPLETED

    def _progressed(self, operation: object, sent: int) -> None:
        self._active = self._clock.seconds()

    def _check_idle(self, timeout: float) -> None:
        silence = self._clock.seconds() - self._active
        if silence >= timeout:
            self.end(Outcome.IDLE)
        else:
            self._watch = self._clock.callLater(timeout - max(0.0, silence), self._check_idle, timeout)

    def end(self, outcome: Outcome) -> None:
        """End it now. A client that did not take everything yet sees a reset, any other the end.

        Args:
            outcome: why.
        """
        if self.outcome is None:
            self.outcome = outcome
        if self._write is not None:
            # Cancelling what has begun breaks the connection off, which is the point here.
            self._write.cancel()
        self._socket.close()
