"""Bytes into lines of text."""

from __future__ import annotations

from winsockets.errors import MessageTooLongError, UntranslatableError
from winsockets.streams._unread import UnreadBytes

__all__ = ["LineSplitter"]

_CARRIAGE_RETURN = 0x0D


class LineSplitter(UnreadBytes):
    r"""Takes UTF-8 bytes in pieces of any size and gives lines, which end with ``\n`` or ``\r\n``.

    Args:
        limit: the most bytes of a line, terminator included.
    """

    __slots__ = ("_limit", "_scanned", "_skipping")

    def __init__(self, limit: int) -> None:
        self._data = b""
        self._start = 0
        self._limit = limit
        self._scanned = 0
        """Unread bytes that are known to hold no end of line."""
        self._skipping = False
        """Whether they belong to a line that was too long."""

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._append(data)

    def next_line(self, ended: bool = False) -> str | None:
        """Take a line.

        Args:
            ended: no more bytes will come, so what is left is the last line.

        Returns:
            The line without its terminator. None when more bytes are needed or, at the end, nothing is left.

        Raises:
            MessageTooLongError: the line is longer than the limit. What there is of it is dropped, and so is
                the rest of it, so that the next line is the one after it.
            UntranslatableError: the line is not UTF-8. It is consumed.
        """
        while True:
            data, start = self._data, self._start
            end = data.find(b"\n", start + self._scanned)
            found = end >= 0
            size = (end + 1 if found else len(data)) - start
            if self._skipping or size > self._limit:
                known = self._skipping
                self._skipping = not found
                self._consume(size)
                if not known:
                    raise MessageTooLongError(
                        f"a line is longer than the limit of {self._limit} bytes; it is skipped, and the "
                        "next read gives the line after it"
                    )
                if found:
                    continue
                return None
            if found:
                stop = end - 1 if size > 1 and data[end - 1] == _CARRIAGE_RETURN else end
            elif ended and size:
                stop = start + size
            else:
                self._scanned = size
                return None
            line = data[start:stop]
            self._consume(size)
            return _decode(line)

    def _consume(self, size: int) -> None:
        self._skip(size)
        self._scanned = 0


def _decode(line: bytes | bytearray) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as problem:
        raise UntranslatableError(
            f"a line of {len(line)} bytes is not UTF-8: {problem.reason} at byte {problem.start}; it is "
            "consumed, and the next read gives the line after it"
        ) from problem
