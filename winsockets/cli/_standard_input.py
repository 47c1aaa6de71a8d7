"""Standard input without blocking the reactor."""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Iterator
from io import RawIOBase
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from winsockets.cli._messages import LineCutter

__all__ = ["InputLines"]

_CHUNK = 64 * 1024


class InputLines:
    """Standard input as messages, a line each; read only as far as they are asked for.

    A thread reads, because that works for terminals, pipes and files on every system. It is a daemon, not
    one of the reactor's pool: while it waits for somebody to type, nothing else waits for it to end.

    Args:
        reactor: whose thread asks for the messages.
        longest: the most bytes of a message.
    """

    def __init__(self, reactor: Any, longest: int) -> None:
        self._reactor = reactor
        self._cutter = LineCutter(longest)
        self._messages: Iterator[bytes] = iter(())
        self._ended = sys.stdin is None
        self._wanted = threading.Semaphore(0)
        self._chunk: Deferred[bytes] = Deferred()
        self._thread: threading.Thread | None = None

    async def next_message(self) -> bytes | None:
        """Give the next line, with its end; None at the end of the input.

        Raises:
            OSError: the input cannot be read.
        """
        while True:
            message = next(self._messages, None)
            if message is not None:
                return message
            if self._ended:
                return self._cutter.finish() or None
            data = await self._read()
            self._ended = not data
            self._messages = self._cutter.feed(data)

    def _read(self) -> Deferred[bytes]:
        if self._thread is None:
            # Not sys.stdin: a thread inside its lock would be the end of a process that exits.
            source = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115
            self._thread = threading.Thread(target=self._serve, args=(source,), daemon=True)
            self._thread.start()
        self._chunk = Deferred()
        self._wanted.release()
        return self._chunk

    def _serve(self, source: RawIOBase) -> None:
        data: bytes | None = None
        while data != b"":
            self._wanted.acquire()
            try:
                data = source.read(_CHUNK)
                while data is None:  # somebody made it non-blocking
                    select.select([source], [], [])
                    data = source.read(_CHUNK)
            except OSError as problem:
                told = OSError(problem.errno, f"read standard input: {problem.strerror}")
                self._reactor.callFromThread(self._deliver, Failure(told))
                return
            self._reactor.callFromThread(self._deliver, data)

    def _deliver(self, data: bytes | Failure) -> None:
        self._chunk.callback(data)
