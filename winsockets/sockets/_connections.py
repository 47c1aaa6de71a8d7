"""Accepted connections that wait for ``async for``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from winsockets.errors import BusyError
from winsockets.foundation import AsyncOperation
from winsockets.sockets._stream_socket import StreamSocket

if TYPE_CHECKING:
    from winsockets.sockets._listener import (
        StreamSocketListener,
        StreamSocketListenerConnectionReceivedEventArgs,
    )

__all__ = ["ConnectionQueue", "Connections"]


class ConnectionQueue:
    """A handler of ``connection_received`` that keeps the sockets, and pauses the listener at a bound.

    It does not know the listener, which holds it.

    Args:
        bound: how many sockets may wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._sockets: deque[StreamSocket] = deque()
        self._waiting: AsyncOperation[None] | None = None
        self._ended = False

    def put(
        self, sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
    ) -> None:
        """Take an accepted socket."""
        self._sockets.append(args.socket)
        if len(self._sockets) >= self._bound:
            sender._pause(self)
        self._wake()

    def end(self) -> None:
        """Give what waits, then end."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def get(self) -> StreamSocket | None:
        """Return the next socket, or None at the end; a cancelled call takes none."""
        while not self._sockets:
            if self._ended:
                return None
            if self._waiting is not None:
                raise BusyError("connections(): another task waits for the next one already")
            self._waiting = AsyncOperation(self._forget)
            await self._waiting
        return self._sockets.popleft()

    def _forget(self, operation: Any) -> None:
        self._waiting = None


class Connections:
    """Gives the sockets of a queue, and lets the listener accept again when the program catches up.

    It holds the listener, so that a program need not.
    """

    def __init__(self, listener: StreamSocketListener, queue: ConnectionQueue) -> None:
        self._listener = listener
        self._queue = queue

    def __aiter__(self) -> Self:
        """Return the iterator itself."""
        return self

    async def __anext__(self) -> StreamSocket:
        """Return the next accepted socket."""
        socket = await self._queue.get()
        if socket is None:
            raise StopAsyncIteration
        self._listener._resume(self._queue)
        return socket
