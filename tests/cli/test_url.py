"""Taking the URL of an echo server apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.cli._url import DEFAULT_SERVICE, EchoUrl, parse_url


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tcp://localhost:1337", ("tcp", "localhost", "1337")),
        ("udp://192.0.2.1:7", ("udp", "192.0.2.1", "7")),
        ("UDP://Example.com:7/", ("udp", "Example.com", "7")),
        ("tcp://localhost:echo", ("tcp", "localhost", "echo")),
        ("tcp://bücher.example:1", ("tcp", "bücher.example", "1")),
        ("tcp://[::1]:7", ("tcp", "[::1]", "7")),
        ("tcp://[fe80::1%eth0]:7", ("tcp", "[fe80::1%eth0]", "7")),
        ("tcp://[::1]", ("tcp", "[::1]", DEFAULT_SERVICE)),
        ("udp://localhost", ("udp", "localhost", DEFAULT_SERVICE)),
        ("TLS://localhost", ("tls", "localhost", DEFAULT_SERVICE)),
        ("tls://[::1]:7", ("tls", "[::1]", "7")),
    ],
)
def test_a_url_has_a_transport_a_host_and_a_service(text: str, parts: tuple[str, str, str]) -> None:
    """Brackets stay with the address, a missing port is that of the echo servers."""
    assert parse_url(text) == parts


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "tcp://localhost:1337"),
        ("localhost:1337", "does not begin with tcp://, tls:// or udp://"),
        ("http://localhost", "write tcp://, tls:// or udp://"),
        ("tcp://", "has no host"),
        ("tcp://:1337", "has no host"),
        ("tcp://localhost:", "no port after the colon"),
        ("tcp://[::1]:", "no port after the colon"),
        ("tcp://::1:1337", "stands in brackets"),
        ("tcp://[::1:1337", "no closing one"),
        ("tcp://[::1]1337", "after the bracket"),
        ("tcp://localhost:1337/path", "'/' has no place"),
        ("tcp://localhost:1337//", "'/' has no place"),
        ("tcp://user@localhost", "'@' has no place"),
        ("tcp://localhost?size=1", "'?' has no place"),
        ("tcp://localhost#top", "'#' has no place"),
        ("tcp://local host", "' ' has no place"),
        ("tcp://local\nhost", "has no place"),
    ],
)
def test_anything_else_is_refused_with_advice(text: str, advice: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is compared
        parse_url(text)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """No other exception comes out, with or without a good beginning."""
    for url in (text, f"tcp://{text}", f"udp://[{text}]"):
        try:
            parts = parse_url(url)
        except ValueError:
            continue
        assert parse_url(str(parts)) == parts


def test_a_url_is_shown_as_it_is_written() -> None:
    """So that it can be copied."""
    assert str(EchoUrl("tcp", "[::1]", "7")) == "tcp://[::1]:7"
