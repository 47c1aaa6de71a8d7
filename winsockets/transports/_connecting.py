"""Outgoing connections: a race of attempts over the addresses of a host."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EINVAL
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectBindError, NoProtocol, getConnectError
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.errors import (
    ConnectionTimedOutError,
    InvalidArgumentError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.networking._interfaces import interface_names
from winsockets.networking._racing import Race, Step
from winsockets.transports._adapter_binding import is_unzoned
from winsockets.transports._describe import describe_address
from winsockets.transports._loopback_source import from_loopback
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_transport import StreamTransport

__all__ = ["ClientTransport", "Connecting", "connect_stream"]

_log = Logger(namespace="winsockets")


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

    # What the preparation ended with, where the system's number says less.
    _refused: SocketException | None = None

    def __init__(self, address: Address, how: Connecting, attempt: Any) -> None:
        self._how = how
        self.bufferSize = how.limits.read_size
        self.reads_per_turn = how.limits.reads_per_turn
        tcp.Client.__init__(self, address.host, address.port, None, attempt, how.reactor)

    def createInternetSocket(self) -> socket.socket:
        """Make the socket and prepare it."""
        skt: socket.socket = super().createInternetSocket()
        try:
            self._how.options.apply(skt)
            if self._how.local is not None:
                skt.bind(self._how.local.sockaddr)
        except SocketException as problem:
            skt.close()
            self._refused = problem.with_traceback(None)
            # Twisted makes its own error of these two.
            raise OSError(problem.errno, str(problem)) from problem
        except OSError:
            skt.close()
            raise
        return skt

    def connectionLost(self, reason: Failure) -> None:
        """End the connection, or the attempt to make it.

        When the network says that there is no way, before the system waits for an answer, poll-like reactors
        see an error and no more, and take it for a clean end.
        """
        if not self.connected and hasattr(self, "socket"):
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self.failIfNotConnected(getConnectError((number, os.strerror(number))))
                return
        super().connectionLost(reason)

    def failIfNotConnected(self, err: Any) -> None:
        """Tell the attempt that there is no connection, and why."""
        super().failIfNotConnected(self._refused or err)

    def _connectDone(self) -> None:
        """Connect the protocol, and tell the attempt when that is done."""
        connector: Any = self.connector
        try:
            super()._connectDone()
        except Exception:
            connector.protocolFailed(Failure())
        else:
            connector.protocolConnected()


def connect_stream(how: Connecting, addresses: Sequence[Address], factory: IProtocolFactory) -> Deferred[Any]:
    """Connect to the first address that answers.

    Args:
        how: target, options, limits.
        addresses: where to, best first; at least one.
        factory: builds the protocol once there is a connection.

    Returns:
        A Deferred of the protocol, connected. It fails with the error of the attempt that tells most,
        with ConnectionTimedOutError when ``limits.connect_timeout`` has passed, with NoProtocol when the
        factory builds none, or with what building or connecting the protocol raised. Cancelled or failed,
        it leaves no descriptor and no delayed call behind.

    Source: RFC 8305; IStreamClientEndpoint.
    """
    return _Connection(how, addresses, factory).outcome


class _Connection:
    """Does what the race says, with real transports."""

    def __init__(self, how: Connecting, addresses: Sequence[Address], factory: IProtocolFactory) -> None:
        self.how = how
        self.factory = factory
        self._race = Race(
            addresses,
            delay=how.limits.connection_attempt_delay,
            max_parallel=how.limits.max_parallel_attempts,
            serialize=how.serialize,
        )
        self._attempts: dict[int, _Attempt] = {}
        self._tick: IDelayedCall | None = None
        self.outcome: Deferred[Any] = Deferred(self._cancel)
        self._deadline: IDelayedCall = how.reactor.callLater(how.limits.connect_timeout, self._too_late)
        factory.doStart()
        self._do(self._race.start(self._now()))

    def _now(self) -> float:
        return float(self.how.reactor.seconds())

    def _do(self, step: Step) -> None:
        for index in step.abandon:
            self._attempts.pop(index).abandon()
        for index in step.start:
            self._attempts[index] = _Attempt(self, index, self._race.addresses[index])
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._race.deadline is not None:
            delay = max(0.0, self._race.deadline - self._now())
            self._tick = self.how.reactor.callLater(delay, self._time_passed)

    def _time_passed(self) -> None:
        self._tick = None
        self._do(self._race.tick(self._now()))

    def connected(self, index: int, protocol: IProtocol) -> None:
        """Hear from an attempt that its protocol is connected."""
        del self._attempts[index]
        self._do(self._race.succeeded(index))
        self._deadline.cancel()
        self.outcome.callback(protocol)

    def failed(self, index: int, problem: SocketException) -> None:
        """Hear from an attempt that there is no connection."""
        del self._attempts[index]
        self._do(self._race.failed(index, problem, self._now()))
        if self._race.finished:
            self._fail(self._race.error or problem)

    def refused(self, reason: Failure) -> None:
        """Hear that the program has no protocol for the connection: another address makes no difference."""
        self._do(self._race.stop())
        self._fail(reason)

    def _too_late(self) -> None:
        self._do(self._race.stop())
        seconds = self.how.limits.connect_timeout
        tried = ", ".join(address.host for address in self._race.addresses)
        problem = ConnectionTimedOutError(
            f"connect to {self.how.target} ({tried}): no answer within {seconds:g} s; check that the host "
            "is up and no firewall drops the packets, or raise connect_timeout"
        )
        # An attempt that failed says more than the silence of the others.
        error = self._race.error
        self._fail(error if error is not None and _is_answer(error) else problem)

    def _cancel(self, _: Deferred[Any]) -> None:
        self._do(self._race.stop())
        self._fail(CancelledError())

    def _fail(self, problem: Failure | BaseException) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self.factory.doStop()
        self.outcome.errback(problem)


def _is_answer(error: SocketException) -> bool:
    return error.status is SocketErrorStatus.CONNECTION_REFUSED


class _Attempt:
    """One attempt; to Twisted's client transport it is the connector."""

    def __init__(self, connection: _Connection, index: int, address: Address) -> None:
        # Whom to tell; forgotten with the outcome, because the transport keeps its connector.
        self._connection: _Connection | None = connection
        self._index = index
        self._address = address
        self._building = False
        self._protocol: IProtocol | None = None
        self._won: IProtocolFactory | None = None
        self._transport: ClientTransport | None = ClientTransport(address, connection.how, self)

    def _forget(self) -> _Connection | None:
        connection, self._connection, self._transport = self._connection, None, None
        return connection

    def abandon(self) -> None:
        """Give the attempt up and close its socket; nobody is told."""
        transport = self._transport
        self._forget()
        if self._building or transport is None:
            # The program cancels or refuses while it builds the protocol.
            return
        if transport.connected:
            transport.abortConnection()
        else:
            transport.stopConnecting()

    def buildProtocol(self, address: IAddress) -> IProtocol | None:
        """Called by the transport when it is connected; without a protocol it closes the connection."""
        # An attempt that was abandoned does not get here.
        connection = cast(_Connection, self._connection)
        self._building = True
        try:
            protocol = connection.factory.buildProtocol(address)
            if protocol is None:
                raise NoProtocol
        except Exception:
            if self._connection is not None:
                connection.refused(Failure())
            else:
                _log.failure("A factory failed whose connect was cancelled")
            return None
        finally:
            self._building = False
        if self._connection is not None:
            self._protocol = protocol
            return protocol
        return None

    def protocolConnected(self) -> None:
        """Called by the transport when the protocol has it."""
        protocol, self._protocol = self._protocol, None
        connection = self._forget()
        if connection is not None and protocol is not None:
            self._won = connection.factory
            connection.connected(self._index, protocol)

    def protocolFailed(self, reason: Failure) -> None:
        """Called by the transport when the protocol did not take it."""
        if self._connection is not None:
            self._connection.refused(reason)
        else:
            _log.failure("A protocol failed whose connect was cancelled", failure=reason)

    def connectionFailed(self, reason: Failure) -> None:
        """Called by the transport when it is not connected."""
        connection = self._forget()
        if connection is not None:
            problem = translate(reason, self._action(connection.how, reason))
            if problem.errno == EINVAL:
                problem = self._explained(connection.how, problem)
            connection.failed(self._index, problem)

    def _explained(self, how: Connecting, problem: SocketException) -> SocketException:
        """Say what is invalid: an address of nobody knows which link, or to leave from loopback."""
        for address in (self._address, how.local):
            if address is not None and is_unzoned(address):
                named = InvalidArgumentError(
                    f"connect to {how.target}: {address.host} is an address of one link, and there may be "
                    f"several; say which, as in '{address.host}%eth0'; this machine has {interface_names()}"
                )
                named.__cause__ = problem.__cause__
                return named
        if how.local is None:
            return problem
        return from_loopback(problem, f"connect to {how.target}", how.local.host, self._address.host)

    def _action(self, how: Connecting, reason: Failure) -> str:
        action = f"connect to {how.target}"
        if describe_address(self._address.host, self._address.port) != how.target:
            action = f"{action} ({self._address.host})"
        local = how.local
        if local is not None and isinstance(reason.value, ConnectBindError):
            action = f"{action} from {describe_address(local.host, local.port)}"
        return action

    def connectionLost(self, reason: Failure) -> None:
        """Called by the transport after the protocol was told."""
        if self._won is not None:
            self._won.doStop()
        elif self._connection is not None:
            # Within the protocol's connectionMade.
            self._connection.refused(reason)
