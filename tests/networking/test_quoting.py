"""How refused values appear in messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsockets.networking._quoting import quoted


def test_short_text_is_shown_whole():
    """What fits is shown as Python writes it."""
    assert quoted("a\nb") == r"'a\nb'"


def test_long_text_is_cut_and_measured():
    """What does not fit is shown by its beginning and its length."""
    assert quoted("x" * 1000) == f"'{'x' * 64}'... (1000 characters)"


@given(st.text())
def test_what_is_shown_is_one_short_printable_line(text):
    """No value breaks a log line, whatever it holds."""
    shown = quoted(text)
    assert shown.isprintable()
    assert len(shown) <= 64 * 10 + 40
