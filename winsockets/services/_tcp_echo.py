"""EchoStreamService: a TCP echo server as a Twisted service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from winsockets.certificates import Certificate
from winsockets.errors import IllegalMethodCallError, InvalidArgumentError
from winsockets.foundation._token_bucket import TokenBucket
from winsockets.services._binding import LOOPBACK, Bound, as_url, bind_all
from winsockets.services._echo_connection import EchoConnection, Outcome
from winsockets.services._tls_ports import TlsPorts
from winsockets.sockets import StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs
from winsockets.sockets._link import global_reactor

__all__ = ["EchoStreamService", "EchoStreamStatistics"]

_log = Logger(namespace="winsockets.echo")

DEFAULT_IDLE_TIMEOUT = 600.0
"""Ten minutes: somebody who types has time to think, and a client that is gone without a word (a laptop that
was shut) does not hold a descriptor for ever."""

DEFAULT_DRAIN_TIMEOUT = 10.0
"""Most supervisors kill what has not stopped in 10 to 90 seconds."""

LOG_LINES_PER_SECOND = 20
"""More ends of connections in a second are only counted, so that a storm of them does not fill the disk."""


@dataclass(slots=True)
class EchoStreamStatistics:
    """What a TCP echo server has done.

    Attributes:
        open: connections there are now.
        accepted: connections there were, the open ones among them.
        secured: those of them that had TLS.
        failed_handshakes: clients that did not get through the TLS handshake, and are not among them.
        completed: connections that the client closed, having got everything.
        broken: connections that broke off, by a reset for instance.
        idle: connections that were closed because they were silent.
        cut_off: connections that were still open when the drain time was over, or cut short.
        echoed: bytes sent back on connections that have ended.
    """

    open: int = 0
    accepted: int = 0
    secured: int = 0
    failed_handshakes: int = 0
    completed: int = 0
    broken: int = 0
    idle: int = 0
    cut_off: int = 0
    echoed: int = 0


class EchoStreamService(Service):
    """Sends back every byte, on each of some ports on each of some addresses.

    A client that half-closes gets everything back and then the end. Starting binds, and raises when an
    address is taken; ``bind`` does that earlier, before a program gives up rights or goes to the
    background. Stopping stops accepting, goes on echoing until the clients close or ``drain_timeout`` is
    over, cuts off who is left then, and fires its Deferred when the last descriptor is closed; afterwards it
    can be started again.

    A TLS connection counts from the end of its handshake on. Handshakes that are under way when the service
    stops are broken off.

    Args:
        ports: port numbers or names from the services file; "0" for any free one.
        tls: further ports, which speak TLS, and how they do.
        addresses: numeric local addresses; loopback when left out.
        max_connections: how many clients there may be at once, on all ports together; the others wait in
            the system's backlog. None for as many as there are descriptors.
        idle_timeout: seconds without a byte in either direction after which a connection is closed; None
            for ever.
        drain_timeout: seconds that open connections have to end when the service stops.
        reactor: as for StreamSocketListener; the installed one when left out.
        clock: measures the timeouts; the reactor when left out.

    Source: RFC 862.
    """

    def __init__(
        self,
        ports: Sequence[str | int] = ("1337",),
        *,
        tls: TlsPorts | None = None,
        addresses: Sequence[str] = LOOPBACK,
        max_connections: int | None = None,
        idle_timeout: float | None = DEFAULT_IDLE_TIMEOUT,
        drain_timeout: float = DEFAULT_DRAIN_TIMEOUT,
        reactor: Any = None,
        clock: IReactorTime | None = None,
    ) -> None:
        self._ports = [str(port) for port in ports]
        self._tls = tls
        self._addresses = tuple(addresses)
        self._max_connections = max_connections
        self._places = DeferredSemaphore(max_connections) if max_connections is not None else None
        self._idle_timeout = idle_timeout
        self._drain_timeout = drain_timeout
        self._reactor = global_reactor(reactor)
        self._clock: IReactorTime = clock if clock is not None else self._reactor
        self._bound: list[Bound] = []
        self._secured: list[Bound] = []
        self._failed_before = 0
        self._open: set[EchoConnection] = set()
        self._drained: Deferred[None] | None = None
        self._log_lines = TokenBucket(LOG_LINES_PER_SECOND, LOG_LINES_PER_SECOND, self._clock.seconds())
        self._unlogged = 0
        self._statistics = EchoStreamStatistics()

    @property
    def statistics(self) -> EchoStreamStatistics:
        """What it has done so far."""
        self._statistics.failed_handshakes = self._failed_before + _failed_handshakes(self._secured)
        return self._statistics

    @property
    def speaks_tls(self) -> bool:
        """Whether some of its ports do."""
        return self._tls is not None

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """The addresses and ports it listens on without TLS; none before binding."""
        return [(address, port) for _, address, port in self._bound]

    @property
    def tls_endpoints(self) -> list[tuple[str, int]]:
        """Those with TLS, likewise."""
        return [(address, port) for _, address, port in self._secured]

    @property
    def urls(self) -> list[str]:
        """All of them, as ``tcp://127.0.0.1:1337`` and ``tls://127.0.0.1:1338``."""
        return [as_url("tcp", *endpoint) for endpoint in self.endpoints] + [
            as_url("tls", *endpoint) for endpoint in self.tls_endpoints
        ]

    def bind(self) -> None:
        """Listen; clients that come before the service is started are served once the reactor runs.

        Does nothing on a service that listens already.

        Raises:
            InvalidArgumentError: the certificate is not one for servers, or has no private key.
            SocketException: ADDRESS_ALREADY_IN_USE, CANNOT_ASSIGN_REQUESTED_ADDRESS, WSAEACCES ...
        """
        if self._bound or self._secured:
            return
        tls = self._tls
        self._bound = bind_all(self._addresses, self._ports, self._listen)
        if tls is not None:
            try:
                self._secured = bind_all(
                    self._addresses, [str(port) for port in tls.ports], self._listen_securely
                )
            except BaseException:
                self.unbind()
                raise

    def _listen(self, address: str, port: str, tls: TlsPorts | None = None) -> Bound:
        listener = StreamSocketListener(reactor=self._reactor)
        listener.connection_received += self._serve
        try:
            if tls is not None:
                tls.configure(listener.control, self._max_connections)
            # An address needs no lookup, so this has ended.
            listener.bind_endpoint_async(address, port).get_results()
        except BaseException:
            listener.close()
            raise
        return Bound(listener, address, int(listener.information.local_port))

    def _listen_securely(self, address: str, port: str) -> Bound:
        return self._listen(address, port, self._tls)

    def show_certificate(
        self, certificate: Certificate, client_roots: Sequence[Certificate] | None = None
    ) -> None:
        """Show another certificate from the next TLS connection on; those that there are go on.

        Args:
            certificate: the server's, with its private key.
            client_roots: who vouches for clients from then on; None for those who did so far.

        Raises:
            InvalidArgumentError: it is not one for servers, or has no private key; or clients were asked for
                certificates so far and nobody would vouch for them, or the reverse. Everything stays.
            IllegalMethodCallError: the service speaks no TLS.
        """
        if self._tls is None:
            raise IllegalMethodCallError("show_certificate: this service speaks no TLS; give it TlsPorts")
        roots = tuple(self._tls.client_roots if client_roots is None else client_roots)
        if bool(roots) != bool(self._tls.client_roots):
            raise InvalidArgumentError(
                "client_roots: whether clients are asked for certificates is settled when the service is made"
            )
        for each in self._secured:
            control = each.socket.control
            control.server_certificates = [certificate]
            if control.trusted_client_certificates != roots:
                control.trusted_client_certificates = roots
        self._tls = replace(self._tls, certificate=certificate, client_roots=roots)

    def unbind(self) -> None:
        """Stop listening; the connections that there are go on. Does nothing before binding."""
        bound, self._bound, self._secured = self._bound + self._secured, [], []
        self._failed_before += _failed_handshakes(bound)
        for each in bound:
            each.socket.close()

    def privilegedStartService(self) -> None:
        """Bind, before the process gives up its rights."""
        super().privilegedStartService()
        self.bind()

    def startService(self) -> None:
        """Bind, if that has not happened."""
        super().startService()
        self.bind()

    async def _serve(
        self, listener: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
    ) -> None:
        connection = EchoConnection(args.socket, self._clock, self._idle_timeout)
        self._open.add(connection)
        if self._places is not None:
            # There is one, but where handshakes that were under way together took the last ones.
            await self._places.acquire()
            if not self._places.tokens:
                self._each_listener(StreamSocketListener.pause)
        self._statistics.open += 1
        self._statistics.accepted += 1
        self._statistics.secured += connection.has_tls
        try:
            await connection.run()
        finally:
            self._ended(connection)

    def _each_listener(self, do: Callable[[StreamSocketListener], None]) -> None:
        for each in self._bound + self._secured:
            do(each.socket)

    def _ended(self, connection: EchoConnection) -> None:
        self._open.discard(connection)
        self._count(connection)
        self._report(connection)
        if self._places is not None:
            self._places.release()
            if self._places.tokens:
                self._each_listener(StreamSocketListener.resume)
        if self._drained is not None and not self._open:
            self._drained.callback(None)

    def _count(self, connection: EchoConnection) -> None:
        statistics = self._statistics
        statistics.open -= 1
        statistics.echoed += connection.echoed
        match connection.outcome:
            case Outcome.COMPLETED:
                statistics.completed += 1
            case Outcome.IDLE:
                statistics.idle += 1
            case Outcome.CUT_OFF:
                statistics.cut_off += 1
            case _:
                statistics.broken += 1

    def _report(self, connection: EchoConnection) -> None:
        if not self._log_lines.take(self._clock.seconds()):
            self._unlogged += 1
            return
        if self._unlogged:
            _log.info("{count} more connections ended without a line of their own", count=self._unlogged)
            self._unlogged = 0
        outcome = connection.outcome or Outcome.BROKEN
        reason = f" ({connection.problem.status.name})" if connection.problem is not None else ""
        _log.info(
            "{peer}: {bytes} bytes echoed in {seconds:.3f} s, {outcome}{reason}",
            peer=connection.peer,
            bytes=connection.echoed,
            seconds=connection.duration,
            outcome=outcome.value,
            reason=reason,
        )

    def stopService(self) -> Deferred[None]:
        """Stop accepting, drain, cut off; see the class."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        bound = self._bound + self._secured
        self.unbind()
        limit = self._clock.callLater(self._drain_timeout, self.cut_off)
        for each in bound:
            await each.socket.wait_closed_async()
        if self._open:
            _log.info(
                "Stopping: open connections ({count}) have {seconds:g} s to finish",
                count=len(self._open),
                seconds=self._drain_timeout,
            )
            self._drained = Deferred()
            await self._drained
            self._drained = None
        if limit.active():
            limit.cancel()

    def cut_off(self) -> None:
        """End every connection now, whatever is on its way: a stop need not wait any longer."""
        for connection in list(self._open):
            connection.end(Outcome.CUT_OFF)


def _failed_handshakes(bound: Sequence[Bound]) -> int:
    return sum(each.socket.information.failed_handshakes for each in bound)
