"""Outgoing connections: a race of attempts over the addresses of a host."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectBindError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.python.failure import Failure

from winsockets.errors import (
    ConnectionTimedOutError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.networking._racing import Race, Step
from winsockets.transports._describe import describe_address
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._stream_transport import StreamTransport

__all__ = ["ClientTransport", "Connecting", "connect_stream"]


@dataclass(frozen=True, slots=True)
class Connecting:
    """How to connect: everything that is the same for all attempts.

    Attributes:
        reactor: an IReactorFDSet and IReactorTime.
        target: the name asked for, in words, for messages: "localhost port 80".
        options: socket options.
        limits: deadlines and bounds.
        serialize: one attempt at a time.
        local: the address to connect from, with port 0 for any port; its family is that of the addresses.
    """

    reactor: Any
    target: str
    options: StreamOptions
    limits: Limits
    serialize: bool = False
    local: Address | None = None


class ClientTransport(StreamTransport, tcp.Client):
    """An outgoing connection whose options are set, and whose local address is bound, before it is made."""

    def __init__(self, address: Address, how: Connecting, attempt: Any) -> None:
        self._how = how
        self.bufferSize = how.limits.read_size
        tcp.Client.__init__(self, address.host, address.port, None, attempt, how.reactor)

    def createInternetSocket(self) -> socket.socket:
        """Make the socket and prepare it."""
        skt: socket.socket = super().createInternetSocket()
        try:
            self._how.options.apply(skt)
            if self._how.local is not None:
                skt.bind(self._how.local.sockaddr)
        except OSError:
            skt.close()
            raise
        return skt


def connect_stream(how: Connecting, addresses: Sequence[Address]) -> Deferred[StreamProtocol]:
    """Connect to the first address that answers.

    Args:
        how: target, options, limits.
        addresses: where to, best first; at least one.

    Returns:
        A Deferred of the connected protocol. It fails with the error of the attempt that tells most, or
        with ConnectionTimedOutError when ``limits.connect_timeout`` has passed. Cancelled or failed, it
        leaves no descriptor and no delayed call behind.

    Source: RFC 8305.
    """
    return _Connection(how, addresses).outcome


class _Connection:
    """Does what the race says, with real transports."""

    def __init__(self, how: Connecting, addresses: Sequence[Address]) -> None:
        self._how = how
        self._race = Race(
            addresses,
            delay=how.limits.connection_attempt_delay,
            max_parallel=how.limits.max_parallel_attempts,
            serialize=how.serialize,
        )
        self._attempts: dict[int, _Attempt] = {}
        self._tick: IDelayedCall | None = None
        self.outcome: Deferred[StreamProtocol] = Deferred(self._cancel)
        self._deadline: IDelayedCall = how.reactor.callLater(how.limits.connect_timeout, self._too_late)
        self._do(self._race.start(self._now()))

    def _now(self) -> float:
        return float(self._how.reactor.seconds())

    def _do(self, step: Step) -> None:
        for index in step.abandon:
            self._attempts.pop(index).abandon()
        for index in step.start:
            self._attempts[index] = _Attempt(
                self._how, self._race.addresses[index], self._connected(index), self._failed(index)
            )
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._race.deadline is not None:
            delay = max(0.0, self._race.deadline - self._now())
            self._tick = self._how.reactor.callLater(delay, self._time_passed)

    def _time_passed(self) -> None:
        self._tick = None
        self._do(self._race.tick(self._now()))

    def _connected(self, index: int) -> Callable[[StreamProtocol], None]:
        def connected(protocol: StreamProtocol) -> None:
            del self._attempts[index]
            self._do(self._race.succeeded(index))
            self._deadline.cancel()
            self.outcome.callback(protocol)

        return connected

    def _failed(self, index: int) -> Callable[[SocketException], None]:
        def failed(problem: SocketException) -> None:
            del self._attempts[index]
            self._do(self._race.failed(index, problem, self._now()))
            if self._race.finished:
                self._deadline.cancel()
                self.outcome.errback(self._race.error or problem)

        return failed

    def _too_late(self) -> None:
        self._do(self._race.stop())
        seconds = self._how.limits.connect_timeout
        tried = ", ".join(address.host for address in self._race.addresses)
        problem = ConnectionTimedOutError(
            f"connect to {self._how.target} ({tried}): no answer within {seconds:g} s; check that the host "
            "is up and no firewall drops the packets, or raise connect_timeout"
        )
        # An attempt that failed says more than the silence of the others.
        error = self._race.error
        self.outcome.errback(error if error is not None and _is_answer(error) else problem)

    def _cancel(self, _: Deferred[StreamProtocol]) -> None:
        self._do(self._race.stop())
        self._deadline.cancel()
        self.outcome.errback(CancelledError())


def _is_answer(error: SocketException) -> bool:
    return error.status is SocketErrorStatus.CONNECTION_REFUSED


class _Attempt:
    """One attempt; to Twisted's client transport it is the connector."""

    def __init__(
        self,
        how: Connecting,
        address: Address,
        connected: Callable[[StreamProtocol], None],
        failed: Callable[[SocketException], None],
    ) -> None:
        self._how = how
        self._address = address
        # Whom to tell; forgotten with the outcome, because the transport keeps its connector.
        self._connected: Callable[[StreamProtocol], None] | None = connected
        self._failed: Callable[[SocketException], None] | None = failed
        self._transport = ClientTransport(address, how, self)

    def abandon(self) -> None:
        """Give the attempt up and close its socket; nobody is told."""
        self._connected = self._failed = None
        self._transport.stopConnecting()

    def buildProtocol(self, address: IAddress) -> StreamProtocol:
        """Called by the transport when it is connected."""
        connected, self._connected, self._failed = self._connected, None, None
        del self._transport
        return StreamProtocol(self._how.reactor, self._how.limits, connected)

    def connectionFailed(self, reason: Failure) -> None:
        """Called by the transport when it is not."""
        failed, self._connected, self._failed = self._failed, None, None
        del self._transport
        if failed is not None:
            failed(translate(reason, self._action(reason)))

    def _action(self, reason: Failure) -> str:
        action = f"connect to {self._how.target}"
        if describe_address(self._address.host, self._address.port) != self._how.target:
            action = f"{action} ({self._address.host})"
        local = self._how.local
        if local is not None and isinstance(reason.value, ConnectBindError):
            action = f"{action} from {describe_address(local.host, local.port)}"
        return action

    def connectionLost(self, reason: Failure) -> None:
        """Called by the transport after the protocol was told; nothing is left to do."""
