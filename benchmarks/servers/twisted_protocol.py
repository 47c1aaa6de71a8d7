"""A bare Twisted Protocol on the epoll reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.interfaces import IPullProducer, IPushProducer  # noqa: E402
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol  # noqa: E402
from twisted.internet.ssl import PrivateCertificate  # noqa: E402
from zope.interface import implementer  # noqa: E402

from benchmarks.servers._common import (  # noqa: E402
    BACKLOG,
    BATCH,
    HOST,
    PACKETS,
    PAYLOAD,
    RECEIVE_BUFFER,
    announce,
    as_number,
    certificate_file,
    main,
    number_of,
    pieces,
)

loop: Any = reactor


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


class Receive(Protocol):
    """Reads to the end; Twisted closes then."""


@implementer(IPullProducer)
class Send(Protocol):
    """Sends what is asked for, a piece at a time, as often as there is room."""

    def dataReceived(self, request: bytes) -> None:
        """Begin."""
        self.left = iter(pieces(request))
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Send the next piece."""
        piece = next(self.left, None)
        if piece is None:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self.transport.write(bytes(piece))

    def stopProducing(self) -> None:
        """Nobody wants the rest."""


class Relay(Protocol):
    """Sends to the second connection what the first one sends, and reads no more than that takes."""

    first: Relay | None = None
    sink: Any = None

    def connectionMade(self) -> None:
        """Wait for the second connection, or be it."""
        if Relay.first is None:
            Relay.first = self
            self.transport.pauseProducing()
        else:
            Relay.first.sink = self.transport
            self.transport.registerProducer(IPushProducer(Relay.first.transport), True)
            Relay.first.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        self.sink.write(data)

    def connectionLost(self, reason: object = None) -> None:
        """Pass the end on."""
        if self.sink is not None:
            self.sink.unregisterProducer()
            self.sink.loseConnection()


class Packets(Protocol):
    """Writes packet by packet; Twisted joins them and sends in the next turn of the reactor."""

    def connectionMade(self) -> None:
        """Send without delay, as all others do."""
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, request: bytes) -> None:
        """Send a round of packets."""
        for packet in PACKETS:
            self.transport.write(packet)


class WithoutDelay(Protocol):
    """Sends small segments at once, as all others do: Twisted splits what it encrypts."""

    def connectionMade(self) -> None:
        """Say so."""
        self.transport.setTcpNoDelay(True)


class TlsEcho(WithoutDelay, Echo):
    """Sends back what comes."""


class TlsReceive(WithoutDelay, Receive):
    """Reads to the end; Twisted closes then."""


class DatagramEcho(DatagramProtocol):
    """Sends back what comes."""

    def datagramReceived(self, data: bytes, address: tuple[str, int]) -> None:
        """Send it back."""
        self.transport.write(data, address)


class Batches(DatagramProtocol):
    """A connected port, to send with."""


class DatagramSend(DatagramProtocol):
    """Sends as many batches as asked for from a connected port."""

    out: Any = None

    def datagramReceived(self, request: bytes, address: tuple[str, int]) -> None:
        """Send the batches."""
        if self.out is None:
            loop.listenUDP(0, batches := Batches(), interface=HOST)
            self.out = batches.transport
            self.out.connect(*address)
        for _ in range(number_of(request) * BATCH):
            self.out.write(PAYLOAD)


class DatagramReceive(DatagramProtocol):
    """Counts what comes, and tells the count after a shorter datagram."""

    count = 0

    def datagramReceived(self, data: bytes, address: tuple[str, int]) -> None:
        """Count it."""
        self.count += 1
        if len(data) != len(PAYLOAD):
            self.transport.write(as_number(self.count), address)


def stream(protocol: type[Protocol]) -> Callable[[], None]:
    """Make a TCP server of a protocol."""

    def run() -> None:
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        port = loop.listenTCP(0, factory, backlog=BACKLOG, interface=HOST)
        announce(port.getHost().port)
        loop.run()

    return run


def tls_stream(protocol: type[Protocol]) -> Callable[[], None]:
    """Make a TLS server of a protocol."""

    def run() -> None:
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        certificate = PrivateCertificate.loadPEM(certificate_file().read_bytes())
        options = certificate.options()
        port = loop.listenSSL(0, factory, options, backlog=BACKLOG, interface=HOST)
        announce(port.getHost().port)
        loop.run()

    return run


def datagram(protocol: type[DatagramProtocol]) -> Callable[[], None]:
    """Make a UDP server of a protocol."""

    def run() -> None:
        port = loop.listenUDP(0, protocol(), interface=HOST, maxPacketSize=65_535)
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        announce(port.getHost().port)
        loop.run()

    return run


if __name__ == "__main__":
    main(
        {
            "echo": stream(Echo),
            "receive": stream(Receive),
            "send": stream(Send),
            "relay": stream(Relay),
            "packets-flushed": stream(Packets),
            "tls-echo": tls_stream(TlsEcho),
            "tls-receive": tls_stream(TlsReceive),
            "datagram-echo": datagram(DatagramEcho),
            "datagram-send": datagram(DatagramSend),
            "datagram-receive": datagram(DatagramReceive),
        }
    )
