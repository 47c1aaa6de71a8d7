"""Figures in the texts that are not limits, which the texts read themselves."""

from __future__ import annotations

import pytest

from tests.docs.blocks import ROOT
from winsockets.cli._datagram_echo import DatagramEcho
from winsockets.cli._stream_echo import StreamEcho
from winsockets.cli._url import DEFAULT_SERVICE
from winsockets.services._echo_connection import READ_SIZE
from winsockets.services._reply_policy import LOWEST_CLIENT_PORT, MAX_SOURCES
from winsockets.services._tcp_echo import LOG_LINES_PER_SECOND
from winsockets.transports._stream_transport import _VECTOR_LIMIT
from winsockets.transports._write_queue import WRITE_OVERHEAD

KIB = 1024
FIGURES = [
    ("streams.md", f"{WRITE_OVERHEAD} bytes more for each write"),
    ("architecture.md", f"up to {_VECTOR_LIMIT} buffers a call"),
    ("echo-service.md", f"at most {READ_SIZE // KIB} KiB on its way"),
    ("echo-service.md", f"{MAX_SOURCES:,} of them are told apart"),
    ("echo-service.md", f"most {LOG_LINES_PER_SECOND} a second"),
    ("echo-service.md", f"source ports below {LOWEST_CLIENT_PORT}"),
    ("command.md", f"{DEFAULT_SERVICE} when left out"),
    ("command.md", f"than {StreamEcho.longest // KIB} KiB is sent in pieces ({DatagramEcho.longest:,} bytes"),
]


@pytest.mark.parametrize(("page", "text"), FIGURES)
def test_a_figure_in_a_text_is_the_one_in_the_code(page: str, text: str) -> None:
    """The text stands there with the number that counts."""
    words = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    assert text in words
