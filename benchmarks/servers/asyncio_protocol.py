"""Protocol and DatagramProtocol of asyncio, on its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from benchmarks.servers._common import (
    BACKLOG,
    BATCH,
    HOST,
    PACKETS,
    PAYLOAD,
    announce,
    as_number,
    datagram_socket,
    main,
    number_of,
    pieces,
    ssl_context,
)


class Connection(asyncio.Protocol):
    """Keeps its transport."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport


class Echo(Connection):
    """Sends back what comes."""

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


class Receive(Connection):
    """Reads to the end; asyncio closes then."""


class Send(Connection):
    """Sends what is asked for, a piece at a time, as long as there is room."""

    def data_received(self, request: bytes) -> None:
        """Begin."""
        self.left = iter(pieces(request))
        self.resume_writing()

    def pause_writing(self) -> None:
        """Stop: there is no room."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        for piece in self.left:
            self.transport.write(piece)
            if self.paused:
                return
        # Later, because asyncio ends a transport twice that is closed in here.
        asyncio.get_running_loop().call_soon(self.transport.close)


class Relay(Connection):
    """Sends to the second connection what the first one sends, and reads no more than that takes."""

    first: Relay | None = None
    sink: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the second connection, or be it."""
        super().connection_made(transport)
        if Relay.first is None:
            Relay.first = self
            self.transport.pause_reading()
        else:
            Relay.first.sink = transport
            Relay.first.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self.sink.write(data)

    def pause_writing(self) -> None:
        """Read no more."""
        if Relay.first is not None:
            Relay.first.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if Relay.first is not None:
            Relay.first.transport.resume_reading()

    def eof_received(self) -> None:
        """Pass the end on."""
        if self.sink is not None:
            Relay.first = None
            self.sink.close()


class Packets(Connection):
    """Writes packet by packet."""

    def data_received(self, request: bytes) -> None:
        """Send a round of packets."""
        for packet in PACKETS:
            self.transport.write(packet)


class Datagrams(asyncio.DatagramProtocol):
    """Keeps its transport."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport


class DatagramEcho(Datagrams):
    """Sends back what comes."""

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        """Send it back."""
        self.transport.sendto(data, address)


class DatagramSend(Datagrams):
    """Sends as many batches as asked for from a connected endpoint."""

    out: Any = None
    connecting: Any = None

    def datagram_received(self, request: bytes, address: tuple[str | Any, int]) -> None:
        """Send the batches; the first time connect before."""
        if self.out is None:
            self.connecting = asyncio.ensure_future(self.begin(request, address))
        else:
            self.send(request)

    async def begin(self, request: bytes, address: tuple[str | Any, int]) -> None:
        """Connect to whoever asks."""
        loop = asyncio.get_running_loop()
        self.out, _ = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
        self.send(request)

    def send(self, request: bytes) -> None:
        """Send the batches."""
        for _ in range(number_of(request) * BATCH):
            self.out.sendto(PAYLOAD)


class DatagramReceive(Datagrams):
    """Counts what comes, and tells the count after a shorter datagram."""

    count = 0

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        """Count it."""
        self.count += 1
        if len(data) != len(PAYLOAD):
            self.transport.sendto(as_number(self.count), address)


def stream(protocol: Callable[[], asyncio.BaseProtocol], *, tls: bool = False) -> Callable[[], None]:
    """Make a TCP or TLS server of a protocol."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        context = ssl_context() if tls else None
        server = await loop.create_server(protocol, HOST, 0, backlog=BACKLOG, ssl=context)
        announce(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    return lambda: asyncio.run(run())


def datagram(protocol: Callable[[], asyncio.DatagramProtocol]) -> Callable[[], None]:
    """Make a UDP server of a protocol."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(protocol, sock=datagram_socket())
        await asyncio.Event().wait()

    return lambda: asyncio.run(run())


if __name__ == "__main__":
    main(
        {
            "echo": stream(Echo),
            "receive": stream(Receive),
            "send": stream(Send),
            "relay": stream(Relay),
            "packets-flushed": stream(Packets),
            "tls-echo": stream(Echo, tls=True),
            "tls-receive": stream(Receive, tls=True),
            "datagram-echo": datagram(DatagramEcho),
            "datagram-send": datagram(DatagramSend),
            "datagram-receive": datagram(DatagramReceive),
        }
    )
