"""Input streams that somebody else wrote."""

from __future__ import annotations

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import AsyncOperation
from winsockets.streams._base import READ_SIZE, InputStream, OutputStream
from winsockets.streams._buffer import Buffer
from winsockets.streams._interfaces import IInputStream, InputStreamOptions, IOutputStream

__all__ = ["as_input_stream", "check_output_stream"]


class _ForeignInputStream(InputStream):
    """The members of InputStream over an object that has ``read_async`` and ``close`` only."""

    __slots__ = ("_back", "_stream")

    def __init__(self, stream: IInputStream) -> None:
        self._stream = stream
        self._back = b""

    def read(self, max_bytes: int = READ_SIZE) -> AsyncOperation[bytes]:
        if self._back:
            piece, self._back = self._back[:max_bytes], self._back[max_bytes:]
            return AsyncOperation.from_result(piece)
        count = min(max_bytes, READ_SIZE)
        reading = self._stream.read_async(Buffer(count), count, InputStreamOptions.PARTIAL)
        operation: AsyncOperation[bytes] = AsyncOperation(lambda _: reading.cancel())
        reading.addCallbacks(lambda buffer: operation.callback(bytes(buffer)), operation.errback)
        return operation

    def _unread(self, data: bytes) -> None:
        self._back = data + self._back

    def close(self) -> None:
        self._stream.close()


def as_input_stream(stream: InputStream | IInputStream) -> InputStream:
    """Give a stream all the members of InputStream; one of this library has them.

    Raises:
        InvalidArgumentError: it is no input stream.
    """
    if isinstance(stream, InputStream):
        return stream
    if IInputStream.providedBy(stream):
        return _ForeignInputStream(stream)
    raise InvalidArgumentError(f"{stream!r} is not an input stream: it does not provide IInputStream")


def check_output_stream(stream: OutputStream | IOutputStream) -> None:
    """Refuse what is no output stream.

    Raises:
        InvalidArgumentError: it is no output stream.
    """
    if not (isinstance(stream, OutputStream) or IOutputStream.providedBy(stream)):
        raise InvalidArgumentError(f"{stream!r} is not an output stream: it does not provide IOutputStream")
