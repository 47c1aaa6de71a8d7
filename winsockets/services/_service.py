"""EchoService: the TCP and the UDP echo servers as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger

from winsockets.services._tcp_echo import EchoStreamService
from winsockets.services._udp_echo import EchoDatagramService
from winsockets.sockets._link import global_reactor

__all__ = ["EchoService"]

_log = Logger(namespace="winsockets.echo")


class EchoService(MultiService):
    """Echo servers that bind together, with a line in the log for the start and one for the stop.

    Args:
        stream: the TCP server, if there is to be one.
        datagram: the UDP server, likewise.
        reactor: an IReactorCore; the installed one when left out.
    """

    def __init__(
        self,
        stream: EchoStreamService | None = None,
        datagram: EchoDatagramService | None = None,
        *,
        reactor: Any = None,
    ) -> None:
        super().__init__()
        self._reactor: IReactorCore = global_reactor(reactor)
        self._stream = stream
        self._datagram = datagram
        for child in self._children():
            child.setServiceParent(self)

    def _children(self) -> Iterator[EchoStreamService | EchoDatagramService]:
        if self._stream is not None:
            yield self._stream
        if self._datagram is not None:
            yield self._datagram

    @property
    def urls(self) -> list[str]:
        """Where it listens, as ``tcp://127.0.0.1:1337`` or ``udp://[::1]:1337``; none before binding."""
        return [url for child in self._children() for url in child.urls]

    def bind(self) -> None:
        """Bind all servers, or none; see EchoStreamService.bind.

        Raises:
            SocketException: ADDRESS_ALREADY_IN_USE, CANNOT_ASSIGN_REQUESTED_ADDRESS, WSAEACCES ...
        """
        try:
            for child in self._children():
                child.bind()
        except BaseException:
            for child in self._children():
                child.unbind()
            raise

    def privilegedStartService(self) -> None:
        """Bind, before the process gives up its rights."""
        self.bind()
        super().privilegedStartService()

    def startService(self) -> None:
        """Bind, if that has not happened, and say where once the reactor runs.

        From then on signals stop the service in good order; before, they would end the process.
        """
        self.bind()
        super().startService()
        self._reactor.callWhenRunning(self._announce)

    def _announce(self) -> None:
        if self.running:
            _log.info("Echoing on {urls}", urls=" ".join(self.urls))

    def stopService(self) -> Deferred[None]:
        """Stop all servers, drained, and say what they did."""
        return Deferred.fromCoroutine(self._stop(super().stopService()))

    def cut_off(self) -> None:
        """End every TCP connection now; a stop that is under way need not wait any longer."""
        if self._stream is not None:
            self._stream.cut_off()

    async def _stop(self, stopped: Deferred[object]) -> None:
        await stopped
        _log.info("Stopped. {totals}", totals=" ".join(self._totals()))

    def _totals(self) -> Iterator[str]:
        if self._stream is not None:
            tcp = self._stream.statistics
            yield (
                f"TCP: {tcp.accepted} accepted, {tcp.echoed} bytes echoed; {tcp.completed} closed by the "
                f"client, {tcp.broken} broken off, {tcp.idle} closed for silence, {tcp.cut_off} cut off."
            )
            if self._stream.speaks_tls:
                yield f"TLS: {tcp.secured} of those accepted; {tcp.failed_handshakes} failed handshakes."
        if self._datagram is not None:
            udp = self._datagram.statistics
            reasons = ", ".join(f"{reason.name} {count}" for reason, count in udp.refused.items())
            yield (
                f"UDP: {udp.answered} datagrams, {udp.echoed} bytes echoed; {udp.refused.total()} not "
                f"answered{f' ({reasons})' if reasons else ''}, {udp.failed} failed."
            )
