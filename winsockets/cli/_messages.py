"""The messages to send: from texts, made by us, or cut out of a stream of bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["LineCutter", "numbered", "repeated"]

_FILLING = bytes(range(ord("!"), ord("~") + 1))


def numbered(number: int, size: int) -> bytes:
    r"""Make a message with a number in front, printable, with ``\n`` at its end.

    Args:
        number: from 1 on; tells the messages of a run apart.
        size: bytes, at least 1. Where the number does not fit, its last digits stay.

    Returns:
        So many bytes.
    """
    room = size - 1
    digits = b"%d" % number
    head = digits + b" " if len(digits) <= room else digits[len(digits) - room :]
    filling = _FILLING * (max(0, room - len(head)) // len(_FILLING) + 1)
    return (head + filling)[:room] + b"\n"


def repeated(messages: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Give so many messages, in turn."""
    for index in range(count):
        yield messages[index % len(messages)]


class LineCutter:
    r"""Cuts a stream of bytes into lines, whatever the bytes are; ``\n`` belongs to its line.

    Args:
        longest: the most bytes of a message; a longer line is several messages.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and give the messages that are complete; take all of them before the next call."""
        data = self._rest + data
        start = 0
        while True:
            end = data.find(b"\n", start, start + self._longest) + 1
            if not end:
                if len(data) - start < self._longest:
                    break
                end = start + self._longest
            yield data[start:end]
            start = end
        self._rest = data[start:]

    def finish(self) -> bytes:
        """Give what is left at the end of the stream; ``b""`` is nothing."""
        rest, self._rest = self._rest, b""
        return rest
