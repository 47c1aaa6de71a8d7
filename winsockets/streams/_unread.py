"""Bytes that have been taken from a stream and not yet been read."""

from __future__ import annotations

__all__ = ["UnreadBytes"]

_COMPACT_AT = 64 * 1024
"""How many bytes may have been read before memory is given back."""


class UnreadBytes:
    """Bytes that are added at one end and consumed at the other, each for a constant price.

    What is added to an empty one is kept as it is, uncopied; a ``bytearray`` gathers more.
    """

    __slots__ = ("_data", "_start")

    _data: bytes | bytearray
    _start: int

    def _append(self, data: bytes) -> None:
        if self._start == len(self._data):
            self._data = data
            self._start = 0
        elif data:
            if isinstance(self._data, bytes):
                self._data = bytearray(memoryview(self._data)[self._start :])
                self._start = 0
            self._data += data

    def _skip(self, count: int) -> None:
        """Consume bytes that are there, and give their memory back."""
        start = self._start + count
        if start == len(self._data):
            self._data = b""
            start = 0
        elif start >= _COMPACT_AT and isinstance(self._data, bytearray):
            # a bytearray gives up bytes at its front without moving the others
            del self._data[:start]
            start = 0
        self._start = start
