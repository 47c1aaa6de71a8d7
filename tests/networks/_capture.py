"""Listening to the packets of a network interface."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from twisted.internet.task import deferLater

from tests.networks._packets import Packet, parse

__all__ = ["Capture"]

_ALL_PROTOCOLS = 3
_OUTGOING = 4
_BUFFER = 8 << 20
_SO_RCVBUFFORCE = 33
_STEP = 0.002


class Capture:
    """Every IP packet that comes and goes on an interface from now on; made inside a host.

    Args:
        name: of the interface; "" is all of them.

    Attributes:
        packets: what has been seen and read.
    """

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind((name, _ALL_PROTOCOLS))
        self.packets: list[Packet] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()

    def read(self) -> list[Packet]:
        """Read what has come by now, and return everything since the beginning."""
        with suppress(BlockingIOError):
            while True:
                raw, (device, _, kind, *_) = self._socket.recvfrom(1 << 17)
                packet = parse(raw, device, kind == _OUTGOING)
                if packet is not None:
                    self.packets.append(packet)
        return self.packets

    def seen(self, wanted: Callable[[Packet], Any]) -> list[Packet]:
        """Those that a test wants to see, among what has come by now."""
        return [packet for packet in self.read() if wanted(packet)]

    async def wait(self, wanted: Callable[[Packet], Any], count: int = 1) -> list[Packet]:
        """Wait until there are so many of those that a test wants to see, and return all there are."""
        from twisted.internet import reactor

        while len(found := self.seen(wanted)) < count:
            await deferLater(reactor, _STEP)
        return found

    def datagrams(self, port: int | str) -> list[Packet]:
        """Those of UDP to a port, among what has come by now."""
        return self.seen(lambda packet: packet.protocol == 17 and packet.destination_port == int(port))

    async def wait_for_datagrams(self, port: int | str, count: int = 1) -> list[Packet]:
        """Wait for so many datagrams to a port."""
        return await self.wait(
            lambda packet: packet.protocol == 17 and packet.destination_port == int(port), count
        )
