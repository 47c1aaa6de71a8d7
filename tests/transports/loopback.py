"""What sits at the other end in a test: plain blocking sockets, which show what the wire shows."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking._address import Address
from winsockets.transports import StreamFactory, StreamProtocol
from winsockets.transports._connecting import Connecting, connect_stream
from winsockets.transports._socket_options import StreamOptions

PATIENCE = 20.0
"""Seconds after which a peer gives up: a test that takes so long has failed."""

_POLL = 0.002


def _has(host: str, family: socket.AddressFamily) -> bool:
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not _has("::1", socket.AF_INET6), reason="this system has no IPv6")
NEEDS_LOOPBACK_NET = pytest.mark.skipif(
    not _has("127.0.0.2", socket.AF_INET), reason="this system has one IPv4 loopback address only"
)
NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells or does this")
HOSTS = ["127.0.0.1", pytest.param("::1", marks=NEEDS_IPV6)]
"""The loopback address of each family."""


def family_of(host: str) -> socket.AddressFamily:
    """The address family of a literal."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextmanager
def listening(
    host: str = "127.0.0.1", port: int = 0, *, receive_buffer: int | None = None, backlog: int = 128
) -> Iterator[tuple[socket.socket, int]]:
    """A listening socket of the system and its port; ``receive_buffer`` bounds what its connections take."""
    with socket.socket(family_of(host), socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        server.settimeout(PATIENCE)
        server.bind((host, port))
        server.listen(backlog)
        yield server, server.getsockname()[1]


@contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port of this machine where a connection attempt gets no answer: its backlog is full."""
    with ExitStack() as stack:
        _, number = stack.enter_context(listening(host, port, backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket(family_of(host), socket.SOCK_STREAM))
            filler.setblocking(False)
            filler.connect_ex((host, number))
        yield number


def refused_port(host: str = "127.0.0.1") -> int:
    """A port where nobody listens."""
    with socket.socket(family_of(host), socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def reserved_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port where nobody listens and that nobody else gets meanwhile."""
    with socket.socket(family_of(host), socket.SOCK_STREAM) as holder:
        holder.bind((host, 0))
        yield int(holder.getsockname()[1])


def limits(**changes: Any) -> Limits:
    """The usual limits, with some changed; the low water mark goes down with the high one."""
    high = changes.get("read_high_water", DEFAULT_LIMITS.read_high_water)
    changes.setdefault("read_low_water", min(high, DEFAULT_LIMITS.read_low_water))
    return replace(DEFAULT_LIMITS, **changes)


def connect(how: Connecting, addresses: list[Address]) -> Deferred[StreamProtocol]:
    """Connect a stream protocol."""
    return connect_stream(how, addresses, StreamFactory(how.reactor, how.limits))


@asynccontextmanager
async def connected_protocol(
    host: str = "127.0.0.1",
    *,
    bounds: Limits = DEFAULT_LIMITS,
    options: StreamOptions | None = None,
    receive_buffer: int | None = None,
    reactor: Any = None,
) -> AsyncIterator[tuple[StreamProtocol, socket.socket]]:
    """A protocol over a real connection, and the socket at the other end of it."""
    if reactor is None:
        from twisted.internet import reactor
    with listening(host, receive_buffer=receive_buffer) as (server, port):
        address = Address(family_of(host), host, port)
        how = Connecting(reactor, f"{host} port {port}", options or StreamOptions(), bounds)
        protocol = await connect(how, [address])
        peer, _ = server.accept()
    with peer:
        peer.settimeout(PATIENCE)
        try:
            yield protocol, peer
        finally:
            protocol.close()
            peer.close()
            await protocol.when_lost()


def reset(peer: socket.socket) -> None:
    """Close a socket so that the other end sees a reset (SO_LINGER 0)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def pattern(size: int) -> bytes:
    """So many bytes of which no short run looks like its neighbours."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


async def received(peer: socket.socket, count: int) -> bytes:
    """So many bytes from a peer, or what there is before the end."""
    return await deferToThread(_receive, peer, count)


def _receive(peer: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(min(count - len(data), 1 << 20))
        if not piece:
            break
        data += piece
    return bytes(data)


async def rest(peer: socket.socket) -> bytes:
    """Everything a peer gets until the end of the stream; a reset instead raises ConnectionResetError."""
    return await received(peer, sys.maxsize)


async def sent(peer: socket.socket, data: bytes) -> None:
    """Send everything from a peer, however slowly it is read."""
    await deferToThread(peer.sendall, data)


async def turn(count: int = 1) -> None:
    """Let the reactor go round."""
    from twisted.internet import reactor

    for _ in range(count):
        await deferLater(reactor, 0)


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor go round until something is so."""
    from twisted.internet import reactor

    for _ in range(int(PATIENCE / _POLL)):
        if condition():
            return
        await deferLater(reactor, _POLL)
    pytest.fail("it did not happen", pytrace=True)


async def delivered(peer: socket.socket) -> None:
    """Wait until the other end's system has everything that the peer has sent."""
    await until(lambda: _unacknowledged(peer) == 0)


def _unacknowledged(peer: socket.socket) -> int:
    return struct.unpack("i", fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)))[0]


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/dev/fd"))


class Timed(Clock):
    """The reactor with a time that the test moves: only what is due at once happens by itself."""

    def callLater(self, delay: float, what: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
        """See IReactorTime."""
        from twisted.internet import reactor

        later = super().callLater if delay else reactor.callLater
        return later(delay, what, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Everything but time is the reactor's."""
        from twisted.internet import reactor

        return getattr(reactor, name)
