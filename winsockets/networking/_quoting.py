"""How a refused value is shown in the message that refuses it."""

from __future__ import annotations

__all__ = ["quoted"]

# Wide enough for a whole DNS label, narrow enough for one line of a log.
_SHOWN_CHARACTERS = 64


def quoted(text: str) -> str:
    """Show text in quotes, control characters escaped, cut to a length that a log line bears.

    Args:
        text: the value as it was given, of any length.

    Returns:
        Its repr, or the repr of its beginning followed by how long it is.
    """
    if len(text) <= _SHOWN_CHARACTERS:
        return repr(text)
    return f"{text[:_SHOWN_CHARACTERS]!r}... ({len(text)} characters)"
