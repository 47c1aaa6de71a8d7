"""What every server of the benchmark has in common: sizes, the address it tells, TLS, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = [
    "BACKLOG",
    "BATCH",
    "HOST",
    "PACKETS",
    "PAYLOAD",
    "PIECE",
    "PIECE_SIZE",
    "RECEIVE_BUFFER",
    "announce",
    "as_number",
    "certificate_file",
    "datagram_socket",
    "listening_socket",
    "main",
    "number_of",
    "pieces",
    "ssl_context",
]

HOST = "127.0.0.1"

BACKLOG = 65_535
"""The same for all: the system cuts it to net.core.somaxconn."""

PIECE_SIZE = 64 * 1024
PIECE = bytes(range(256)) * (PIECE_SIZE // 256)
"""What is read and written at once in the bulk works."""

PACKETS = [bytes([number % 256]) * 100 for number in range(1000)]
"""The small packets of one round."""

PAYLOAD = bytes(1200)
BATCH = 50
"""The datagrams of one batch, and how many there are."""

RECEIVE_BUFFER = 212_992
"""Asked for by every server that receives datagrams in batches: Linux's default bound, which it doubles."""

_LIFETIME = 170
"""Seconds after which the system ends a server that its benchmark has forgotten."""


def main(works: Mapping[str, Callable[[], None]]) -> None:
    """Run the work that the command line names, for ever."""
    signal.alarm(_LIFETIME)
    works[sys.argv[1]]()


def announce(port: int) -> None:
    """Tell the benchmark where the server listens and which process it is."""
    print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)


def listening_socket() -> socket.socket:
    """Listen on a free port."""
    listener = socket.create_server((HOST, 0), backlog=BACKLOG)
    announce(listener.getsockname()[1])
    return listener


def datagram_socket() -> socket.socket:
    """Bind to a free port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.bind((HOST, 0))
    announce(sock.getsockname()[1])
    return sock


def certificate_file() -> Path:
    """The certificate and its key, in PEM: the last argument of a server that speaks TLS."""
    return Path(sys.argv[-1])


def ssl_context() -> ssl.SSLContext:
    """Make the context of the servers that speak TLS with Python's ssl module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file())
    return context


def number_of(request: bytes) -> int:
    """How many bytes, or batches, the load asks for."""
    return int.from_bytes(request, "big")


def as_number(count: int) -> bytes:
    """A count as the load expects it."""
    return count.to_bytes(8, "big")


def pieces(request: bytes) -> list[memoryview | bytes]:
    """The pieces that make up as many bytes as the load asks for."""
    whole, rest = divmod(number_of(request), PIECE_SIZE)
    return [PIECE] * whole + ([memoryview(PIECE)[:rest]] if rest else [])
