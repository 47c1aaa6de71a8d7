"""StreamReader and StreamWriter: lines of text over streams."""

from __future__ import annotations

from types import TracebackType
from typing import Self, final

from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import BusyError, ObjectClosedError, SocketException, UntranslatableError
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, AsyncStatus, IClosable
from winsockets.streams._base import READ_SIZE, InputStream, OutputStream
from winsockets.streams._buffer import unsigned
from winsockets.streams._foreign import as_input_stream, check_output_stream
from winsockets.streams._gather import GatheringOperation
from winsockets.streams._interfaces import IInputStream, IOutputStream
from winsockets.streams._line_splitter import LineSplitter

__all__ = ["StreamReader", "StreamWriter"]

_SEND_AT = READ_SIZE
"""Bytes of text at which a StreamWriter sends without being told to: more than a datagram can hold."""


class _LineOperation(GatheringOperation[str | None]):
    """What ``read_line_async`` returns when the line has not arrived yet."""

    _line: str | None

    def __init__(self, reader: StreamReader, source: InputStream) -> None:
        super().__init__(source)
        self._reader = reader

    def _take(self, data: bytes) -> int:
        lines = self._reader._lines
        lines.feed(data)
        self._line = lines.next_line(ended=not data)
        return READ_SIZE if data and self._line is None else 0

    def _finish(self) -> None:
        self._reader._reading = False
        self.callback(self._line)

    def _give_up(self, problem: Failure | BaseException) -> None:
        self._reader._reading = False
        self.errback(problem)


@final
@implementer(IClosable)
class StreamReader:
    r"""Reads lines of UTF-8 from an input stream.

    A line ends with ``\n`` or ``\r\n``. ``async for line in reader`` gives all of them. The reader takes more
    from the stream than the line it returns, so nobody else should read the stream; it owns it: ``close()``,
    or leaving a ``with`` block, closes the stream too.

    Args:
        stream: where the bytes come from.
        limit: the most bytes of a line, terminator included; 64 KiB unless given.

    Raises:
        InvalidArgumentError: it is no input stream, or the limit is out of range.

    Source: .NET StreamReader, which takes a lone ``\r`` for an end of line too.
    """

    __slots__ = ("__weakref__", "_closed", "_lines", "_reading", "_source")

    def __init__(
        self, stream: InputStream | IInputStream, *, limit: int = DEFAULT_LIMITS.max_line_length
    ) -> None:
        self._source = as_input_stream(stream)
        self._lines = LineSplitter(unsigned(limit, "limit"))
        self._reading = False
        self._closed = False

    def read_line_async(self) -> AsyncOperation[str | None]:
        r"""Read a line.

        Returns:
            The line without its terminator, also the last one if it has none; None when the stream has
            ended, every time. A line longer than the limit fails with MessageTooLongError as soon as that is
            known, and the rest of it is skipped; one that is not UTF-8 fails with UntranslatableError. After
            either the next call goes on with the line after it. When it is cancelled (it ends with
            OperationAbortedError) or the stream fails, what has arrived of the line stays for the next call.

        Raises:
            BusyError: another read is pending.
            ObjectClosedError: the reader or the stream was closed.

        Source: .NET StreamReader.ReadLineAsync.
        """
        if self._closed:
            raise ObjectClosedError("read_line_async() on a StreamReader that was closed")
        if self._reading:
            raise BusyError("read_line_async() while another is pending; await that one first")
        try:
            line = self._lines.next_line()
        except SocketException as problem:
            return AsyncOperation.from_error(problem)
        if line is not None:
            return AsyncOperation.from_result(line)
        first = self._source.read(READ_SIZE)
        self._reading = True
        return _LineOperation(self, self._source)._begin(first)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self.read_line_async()
        if line is None:
            raise StopAsyncIteration
        return line

    def close(self) -> None:
        """Close the stream; more often than once does no harm.

        A pending read ends with what the stream ends it with, OperationAbortedError.
        """
        if not self._closed:
            self._closed = True
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@final
@implementer(IClosable)
class StreamWriter:
    r"""Writes lines of UTF-8 to an output stream.

    Text is kept until ``flush_async``, which sends it in one write: one datagram or message where they count.
    64 KiB are sent without being told to. The writer owns the stream: ``close()``, or leaving a ``with``
    block, sends what is kept and closes the stream too.

    Args:
        stream: where the bytes go.
        new_line: what ends a line. ``\n`` unless given, as on the systems that most servers run on; .NET on
            Windows writes ``\r\n``, which every reader of this library takes as well.

    Raises:
        InvalidArgumentError: it is no output stream.

    Source: .NET StreamWriter.
    """

    __slots__ = ("__weakref__", "_closed", "_new_line", "_pieces", "_size", "_stream")

    def __init__(self, stream: OutputStream | IOutputStream, *, new_line: str = "\n") -> None:
        check_output_stream(stream)
        self._stream = stream
        self._new_line = new_line
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed = False

    @property
    def new_line(self) -> str:
        """What ends a line; settable. Source: .NET TextWriter.NewLine."""
        return self._new_line

    @new_line.setter
    def new_line(self, value: str) -> None:
        self._new_line = value

    def write_async(self, text: str) -> AsyncOperation[None]:
        """Add text.

        Returns:
            An operation that has ended, unless that made 64 KiB: then it ends when they have been sent.

        Raises:
            ObjectClosedError: the writer was closed.
            SocketException: the stream refused the 64 KiB; the text is kept, and the next write or flush
                tries again.
            TypeError: the text is not a str.
            UntranslatableError: the text holds half of a surrogate pair; nothing of it is added.

        Source: .NET StreamWriter.WriteAsync.
        """
        if self._closed:
            raise ObjectClosedError("a write to a StreamWriter that was closed")
        try:
            data = str.encode(text)
        except UnicodeEncodeError as problem:
            raise UntranslatableError(
                f"the text cannot be UTF-8: {problem.reason} at character {problem.start}"
            ) from problem
        self._pieces.append(data)
        self._size += len(data)
        if self._size < _SEND_AT:
            return AsyncOperation.from_result(None)
        return AsyncOperation.run(_ended(self._send()))

    def write_line_async(self, text: str | None = None) -> AsyncOperation[None]:
        """Add text and the end of a line; None, which a reader gives at the end of its stream, is no text.

        Returns:
            As ``write_async``.

        Raises:
            ObjectClosedError: the writer was closed.
            UntranslatableError: the text holds half of a surrogate pair; nothing of it is added.

        Source: .NET StreamWriter.WriteLineAsync.
        """
        return self.write_async(self._new_line if text is None else text + self._new_line)

    def flush_async(self) -> AsyncOperation[bool]:
        """Send what is kept, in one write, and wait until everything has gone.

        Returns:
            True. When it is cancelled (it ends with OperationAbortedError) or fails, the text is gone too.

        Raises:
            ObjectClosedError: the writer or the stream was closed.

        Source: .NET StreamWriter.FlushAsync.
        """
        if self._closed:
            raise ObjectClosedError("flush_async() on a StreamWriter that was closed")
        if self._pieces:
            writing = self._send()
            if writing.status is not AsyncStatus.COMPLETED:
                return AsyncOperation.run(_flushed(writing, self._stream))
        return self._stream.flush_async()

    def _send(self) -> AsyncOperation[int]:
        writing = self._stream.write_async(b"".join(self._pieces))
        self._pieces.clear()
        self._size = 0
        return writing

    def close(self) -> None:
        """Send what is kept, without waiting for it, and close the stream; more often does no harm.

        Raises:
            ObjectClosedError: text is kept, and the stream was closed before.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._pieces:
                self._send()
        finally:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def _ended(writing: AsyncOperation[int]) -> None:
    await writing


async def _flushed(writing: AsyncOperation[int], stream: OutputStream | IOutputStream) -> bool:
    await writing
    return await stream.flush_async()
