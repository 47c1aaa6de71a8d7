"""What a reactor offers for TCP, made of our ports and transports, for tests that ask the reactor for it."""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.python import log
from twisted.python.failure import Failure

from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking import HostName
from winsockets.networking._address import Address, literal_address
from winsockets.transports._admission import Admission
from winsockets.transports._connecting import ClientTransport, Connecting
from winsockets.transports._listening import ListeningPort
from winsockets.transports._socket_options import StreamOptions


class _Connector(tcp.Connector):
    """Twisted's connector with a transport of ours."""

    def _makeTransport(self) -> ClientTransport:
        local = None
        if self.bindAddress is not None:
            host, port = self.bindAddress
            local = literal_address(HostName(host), port)
        how = Connecting(self.reactor, self.host, StreamOptions(), DEFAULT_LIMITS, local=local)
        # The transport takes host and port of it only, and the host may be a name here.
        return ClientTransport(Address.ipv4(self.host, self.port), how, self)

    def protocolConnected(self) -> None:
        """Said by the transport; Twisted's connectors are told by their factory."""

    def protocolFailed(self, reason: Failure) -> None:
        """Do what the reactor does when a transport raises."""
        log.err(reason)
        self.transport.connectionLost(reason)


def offer_tcp(reactor: Any) -> None:
    """Let a reactor connect and listen with our transports."""

    def connectTCP(
        host: str, port: Any, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> tcp.Connector:
        connector = _Connector(host, port, factory, timeout, bindAddress, reactor)
        connector.connect()
        return connector

    def listenTCP(port: int, factory: Any, backlog: int = 50, interface: str = "") -> ListeningPort:
        listening = ListeningPort(
            interface or "0.0.0.0",
            port,
            factory=factory,
            options=StreamOptions(),
            limits=DEFAULT_LIMITS,
            admission=Admission(reactor, DEFAULT_LIMITS, None),
            reactor=reactor,
            backlog=backlog,
        )
        listening.startListening()
        return listening

    reactor.connectTCP, reactor.listenTCP = connectTCP, listenTCP
