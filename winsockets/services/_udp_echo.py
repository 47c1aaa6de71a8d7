"""EchoDatagramService: a UDP echo server as a Twisted service."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.errors import SocketException
from winsockets.networking import HostName
from winsockets.services._binding import LOOPBACK, Bound, as_url, bind_all
from winsockets.services._reply_policy import DEFAULT_LOOPBACK_BURST, Refusal, ReplyPolicy
from winsockets.sockets import DatagramSocket, DatagramSocketMessageReceivedEventArgs
from winsockets.sockets._link import global_reactor

__all__ = ["EchoDatagramService", "EchoDatagramStatistics", "is_broadcast"]

_log = Logger(namespace="winsockets.echo")

_DISCARD_PORT = 9


def is_broadcast(host: str) -> bool:
    """Ask the system whether an IPv4 address is the broadcast address of one of its networks.

    Nothing is sent: connecting a datagram socket that may not broadcast is refused.

    Args:
        host: the numeric address.

    Returns:
        Whether it is one, as far as the system tells (Linux does); True as well when there is no
        descriptor to ask with.

    Source: ip(7), udp(7): EACCES.
    """
    try:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return True
    with probe:
        try:
            probe.connect((host, _DISCARD_PORT))
        except OSError as problem:
            return isinstance(problem, PermissionError)
    return False


@dataclass(slots=True)
class EchoDatagramStatistics:
    """What a UDP echo server has done.

    Attributes:
        answered: datagrams that were sent back.
        refused: datagrams that the policy did not let pass, by reason.
        failed: replies that the system did not take, and datagrams that arrived damaged.
        echoed: bytes sent back.
    """

    answered: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    failed: int = 0
    echoed: int = 0


class EchoDatagramService(Service):
    """Sends back each datagram to where it came from, if the policy has nothing against it.

    Starting binds, and raises when an address is taken; ``bind`` does that earlier. Stopping frees the
    ports at once; afterwards it can be started again.

    On a wildcard address a reply leaves from the address that the system's routing picks, which on a machine
    with several addresses need not be the one that the client wrote to; name the address to serve there.

    Args:
        ports: port numbers or names from the services file; "0" for any free one.
        addresses: numeric local addresses; loopback when left out.
        policy: decides what is answered, and learns of the ports that are served; one with the default
            limits when left out.
        reactor: as for DatagramSocket; the installed one when left out.
        clock: tells the policy the time; the reactor when left out.

    Source: RFC 862; CVE-2024-2169.
    """

    def __init__(
        self,
        ports: Sequence[str | int] = ("1337",),
        *,
        addresses: Sequence[str] = LOOPBACK,
        policy: ReplyPolicy | None = None,
        reactor: Any = None,
        clock: IReactorTime | None = None,
    ) -> None:
        self._ports = [str(port) for port in ports]
        self._addresses = tuple(addresses)
        if policy is None:
            policy = ReplyPolicy(loopback_burst=DEFAULT_LOOPBACK_BURST, is_broadcast=is_broadcast)
        self._policy = policy
        self._reactor = global_reactor(reactor)
        self._clock: IReactorTime = clock if clock is not None else self._reactor
        self._bound: list[Bound] = []
        self._statistics = EchoDatagramStatistics()

    @property
    def statistics(self) -> EchoDatagramStatistics:
        """What it has done so far."""
        return self._statistics

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """The addresses and ports it is bound to; none before binding."""
        return [(address, port) for _, address, port in self._bound]

    @property
    def urls(self) -> list[str]:
        """The same as ``udp://127.0.0.1:1337``."""
        return [as_url("udp", *endpoint) for endpoint in self.endpoints]

    def bind(self) -> None:
        """Take the ports; datagrams that come before the reactor runs wait in the system.

        Does nothing on a service that is bound already.

        Raises:
            SocketException: ADDRESS_ALREADY_IN_USE, CANNOT_ASSIGN_REQUESTED_ADDRESS, WSAEACCES ...
        """
        if not self._bound:
            self._bound = bind_all(self._addresses, self._ports, self._open)
            self._policy.own_ports.update(port for _, port in self.endpoints)

    def _open(self, address: str, port: str) -> Bound:
        sock = DatagramSocket(reactor=self._reactor)
        sock.message_received += self._answer
        try:
            # An address needs no lookup, so this has ended.
            sock.bind_endpoint_async(address, port).get_results()
        except BaseException:
            sock.close()
            raise
        return Bound(sock, address, int(sock.information.local_port))

    def unbind(self) -> None:
        """Free the ports. Does nothing before binding."""
        bound, self._bound = self._bound, []
        self._policy.own_ports.difference_update(each.port for each in bound)
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

    def _answer(self, sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        try:
            data = args.data
        except SocketException:
            self._statistics.failed += 1
            return
        # What arrived whole has a sender.
        host = cast(HostName, args.remote_address)
        refusal = self._policy.refusal(
            host.canonical_name,
            int(args.remote_port or 0),
            received=len(data),
            reply=len(data),
            now=self._clock.seconds(),
        )
        if refusal is not None:
            self._refuse(refusal, args)
            return
        try:
            stream = sender.get_output_stream_async(host, args.remote_port).get_results()
            write = stream.write_async(data)
        except SocketException:
            self._statistics.failed += 1
        else:
            write.addCallbacks(self._sent, self._lost)

    def _refuse(self, refusal: Refusal, args: DatagramSocketMessageReceivedEventArgs) -> None:
        refused = self._statistics.refused
        refused[refusal] += 1
        if refused[refusal] == 1:
            _log.warn(
                "A datagram from {host} port {port} is not answered: {reason}; more of that are only counted",
                host=args.remote_address,
                port=args.remote_port or "0",
                reason=refusal.value,
            )

    def _sent(self, size: int) -> None:
        self._statistics.answered += 1
        self._statistics.echoed += size

    def _lost(self, failure: Failure) -> None:
        self._statistics.failed += 1

    def stopService(self) -> Deferred[None]:
        """Free the ports."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        bound = self._bound
        self.unbind()
        for each in bound:
            await each.socket.wait_closed_async()
