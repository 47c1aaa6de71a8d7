"""What the tests of datagram transports stand on: somebody who listens, and sockets that can be full."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from winsockets.errors import SocketException
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking._address import Address
from winsockets.transports._datagram_transport import DatagramTransport, IDatagramReceiver
from winsockets.transports._packet_info import destination_of

IP_RECVERR = 11
"""Linux: report every error of ICMP, to sockets without a peer too. The socket module does not name it."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what only Linux has")

FAMILIES = (socket.AF_INET, socket.AF_INET6)
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
WILDCARD = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


@implementer(IDatagramReceiver)
class Recorder:
    """Notes what it hears; ``await take(n)`` gives the next n things, when they are there."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.sources: list[tuple[Any, ...]] = []
        self.destinations: list[str] = []
        self.pieces: list[int] = []
        self.hook: Callable[[Any], None] | None = None
        self._wanted: tuple[int, Deferred[None]] | None = None

    def datagrams_received(self, transport, datagrams, source, ancillary, truncated):
        """Note datagrams: their data, and whether they were cut when they were."""
        self.pieces.append(len(datagrams))
        for data in datagrams:
            self.sources.append(source)
            self.destinations.append(destination_of(ancillary))
            self._hear((data, "cut") if truncated else data)
            if not transport.delivering:
                break

    def receive_failed(self, transport, problem):
        """Note an error."""
        self._hear(problem)

    def _hear(self, thing: Any) -> None:
        self.heard.append(thing)
        if self._wanted is not None and len(self.heard) >= self._wanted[0]:
            wanted, self._wanted = self._wanted[1], None
            wanted.callback(None)
        if self.hook is not None:
            self.hook(thing)

    async def take(self, count: int = 1) -> list[Any]:
        """Wait for so many things and forget them."""
        if len(self.heard) < count:
            self._wanted = (count, Deferred())
            await self._wanted[1]
        taken, self.heard = self.heard[:count], self.heard[count:]
        return taken

    @property
    def failures(self) -> list[SocketException]:
        """The errors among what was heard and not taken."""
        return [thing for thing in self.heard if isinstance(thing, SocketException)]


def limits(**values: Any) -> Limits:
    """The default limits but for some."""
    return replace(DEFAULT_LIMITS, **values)


def bound(family: int = socket.AF_INET, host: str | None = None) -> socket.socket:
    """A UDP socket of the standard library on a free port of loopback."""
    skt = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    skt.bind(socket.getaddrinfo(host or LOOPBACK[family], 0, family, socket.SOCK_DGRAM)[0][4])
    skt.setblocking(False)
    return skt


class WatchedSocket(socket.socket):
    """A UDP socket that notes what is sent with each call, and answers some calls with errors of a test's.

    Attributes:
        calls: the name of each call that the system answered, and how many bytes it took.
        errors: by the name of a call, the errors that it raises, one after the other; 0 is none.
    """

    def __init__(self, family: int = socket.AF_INET) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self.calls: list[tuple[str, int]] = []
        self.errors: dict[str, list[int]] = {"send": [], "sendto": [], "sendmsg": []}
        self.bind((LOOPBACK[family], 0))

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> int:
        if self.errors[name] and (number := self.errors[name].pop(0)):
            raise OSError(number, os.strerror(number))
        size: int = getattr(super(), name)(*arguments)
        self.calls.append((name, size))
        return size

    def send(self, *arguments: Any) -> int:
        """See socket.send."""
        return self._answer("send", arguments)

    def sendto(self, *arguments: Any) -> int:
        """See socket.sendto."""
        return self._answer("sendto", arguments)

    def sendmsg(self, *arguments: Any) -> int:
        """See socket.sendmsg."""
        return self._answer("sendmsg", arguments)


def address_of(skt: socket.socket) -> Address:
    """The address of a socket, to connect to."""
    host, port, *_ = skt.getsockname()
    return Address.ipv6(host, port) if skt.family == socket.AF_INET6 else Address.ipv4(host, port)


def nobody(family: int = socket.AF_INET) -> Address:
    """An address where nobody listens: it was free a moment ago."""
    with bound(family) as skt:
        return address_of(skt)


def wait_for_error(skt: socket.socket) -> None:
    """Wait until the system has something to say about an earlier datagram."""
    news = select.poll()
    news.register(skt, select.POLLERR)
    assert news.poll(10_000), "no error came"


@contextmanager
def transport_on(
    skt: socket.socket, receiver: Any = None, bounds: Limits = DEFAULT_LIMITS
) -> Iterator[DatagramTransport]:
    """A transport over a socket, on the reactor of the test; closed at the end."""
    from twisted.internet import reactor

    transport = DatagramTransport(skt, receiver or Recorder(), reactor, bounds)
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def full_pair(bounds: Limits = DEFAULT_LIMITS) -> Iterator[tuple[DatagramTransport, socket.socket, int]]:
    """A transport whose system buffer is full, the socket it sends to, and how many datagrams fill it.

    Datagram sockets of the UNIX family are full when their peer does not read; UDP over loopback never is.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with far, transport_on(near, bounds=bounds) as transport:
        count = 0
        with suppress(BlockingIOError):
            while True:
                near.send(b"filling")
                count += 1
        yield transport, far, count


async def turns(count: int = 1) -> None:
    """Let the reactor turn."""
    from twisted.internet import reactor

    for _ in range(count):
        await deferLater(reactor, 0)


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor turn until something is true."""
    while not condition():
        await turns()


def drained(skt: socket.socket) -> list[bytes]:
    """What waits in a socket."""
    datagrams = []
    with suppress(BlockingIOError):
        while True:
            datagrams.append(skt.recv(70_000))
    return datagrams
