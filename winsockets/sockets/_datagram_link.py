"""What a DatagramSocket and its output streams share: the transports, and their end."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from winsockets.errors import (
    AddressInUseError,
    IllegalMethodCallError,
    ObjectClosedError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.sockets._datagram_control import DatagramSocketControl, apply_datagram_options
from winsockets.sockets._link import from_reactor_thread
from winsockets.transports._datagram_transport import Datagram, DatagramTransport, IDatagramReceiver
from winsockets.transports._describe import describe_address

__all__ = ["WILDCARDS", "DatagramLink"]

WILDCARDS = (Address.ipv6("::", 0), Address.ipv4("0.0.0.0", 0))
_PORT_TRIES = 16


@implementer(IDatagramReceiver)
class _Nobody:
    """Hears of datagrams that no socket wants any more."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def datagram_received(self, transport: Any, datagram: Datagram) -> None:
        """Drop it."""

    def receive_failed(self, transport: Any, problem: SocketException) -> None:
        """Drop it."""


class DatagramLink:
    """The UDP sockets of one DatagramSocket: one for each family, or a connected one.

    When the DatagramSocket and all its streams are forgotten they are closed.

    Attributes:
        receiver: hears what the transports receive; must not keep the DatagramSocket alive.
        bound: whether it was bound.
        connected: the transport of the connection, if there is one.
        closed: whether it was closed.
    """

    def __init__(self, reactor: Any, control: DatagramSocketControl) -> None:
        self._reactor = reactor
        self._control = control
        self._transports: dict[int, DatagramTransport] = {}
        self.receiver: IDatagramReceiver | None = None
        self.connected: DatagramTransport | None = None
        self.bound = False
        self.closed = False
        self._ending: list[Deferred[None]] = []

    @property
    def transports(self) -> list[DatagramTransport]:
        """The open transports, the preferred one first."""
        return list(self._transports.values())

    def check_open(self, action: str) -> None:
        """Refuse an action on a closed socket."""
        if self.closed:
            raise ObjectClosedError(f"{action}: the socket was closed")

    def bind(self, addresses: Sequence[Address], port: int) -> None:
        """Bind to several addresses with one port number.

        Where there are several, one whose family this system does not have is left out.

        Args:
            addresses: the local addresses; at most one of each family counts.
            port: 0 lets the system choose a number that is free on all.

        Raises:
            SocketException: ADDRESS_ALREADY_IN_USE, CANNOT_ASSIGN_REQUESTED_ADDRESS, ...
        """
        for attempt in range(_PORT_TRIES):
            try:
                sockets = self._bind_all(addresses, port)
            except AddressInUseError:
                if port or len(addresses) == 1 or attempt == _PORT_TRIES - 1:
                    raise
            else:
                break
        self.bound = True
        for skt in sockets:
            self._adopt(skt)

    def _bind_all(self, addresses: Sequence[Address], port: int) -> list[socket.socket]:
        sockets: dict[int, socket.socket] = {}
        try:
            for address in addresses:
                if address.family in sockets:
                    continue
                action = f"bind to {describe_address(address.host, port)}"
                try:
                    skt = self._make_socket(address, port)
                except OSError as problem:
                    error = translate(problem, action)
                    if len(addresses) > 1 and error.status in _MISSING_FAMILY:
                        missing = error
                        continue
                    raise error from problem
                sockets[address.family] = skt
                port = skt.getsockname()[1]
            if not sockets:
                raise missing
        except BaseException:
            for skt in sockets.values():
                skt.close()
            raise
        return list(sockets.values())

    def _make_socket(self, address: Address, port: int) -> socket.socket:
        skt = socket.socket(address.family, socket.SOCK_DGRAM)
        try:
            apply_datagram_options(skt, self._control)
            name = address.sockaddr
            skt.bind((name[0], port, *name[2:]))
        except BaseException:
            skt.close()
            raise
        return skt

    def _adopt(self, skt: socket.socket) -> DatagramTransport:
        receiver = self.receiver or _Nobody(self._control.limits)
        transport = DatagramTransport(skt, receiver, self._reactor)
        self._transports[transport.family] = transport
        transport.startReading()
        return transport

    def connect(self, address: Address, local: Address | None) -> None:
        """Connect to a peer, keeping the local port if there is one.

        Raises:
            SocketException: as the system says.
        """
        if not self.bound:
            wildcard = next(wild for wild in WILDCARDS if wild.family == address.family)
            self.bind([local or wildcard], local.port if local is not None else 0)
        transport = self._transports.get(address.family)
        if transport is None:
            raise SocketException(
                f"connect to {address}: the socket is bound to an address of another family",
                status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
            )
        try:
            transport.connect(address)
        except OSError as problem:
            raise translate(problem, f"connect to {address}") from problem
        for family, other in list(self._transports.items()):
            if other is not transport:
                del self._transports[family]
                self._ending.append(other.close())
        self.connected = transport

    def towards(self, address: Address) -> DatagramTransport:
        """Return the transport for a destination, binding the socket if that has not happened yet."""
        self.check_open("send")
        if not self.bound:
            self.bind(WILDCARDS, 0)
        transport = self._transports.get(address.family)
        if transport is None:
            raise SocketException(
                f"send to {address}: the socket is bound to an address of another family",
                status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
            )
        return transport

    def connection(self) -> DatagramTransport:
        """Return the transport of the connection.

        Raises:
            IllegalMethodCallError: there is none.
        """
        self.check_open("send")
        if self.connected is None:
            raise IllegalMethodCallError(
                "send: the socket is not connected; await connect_async first, or use get_output_stream_async"
            )
        return self.connected

    def close(self) -> None:
        """Abort waiting sends and close every transport."""
        self.closed = True
        self.receiver = None
        for transport in self._transports.values():
            self._ending.append(transport.close())
        self._transports.clear()
        self.connected = None

    def ended(self) -> Deferred[Any]:
        """Return a Deferred that fires when all closed transports are gone."""
        ending, self._ending = self._ending, []
        return gatherResults(ending)

    def __del__(self) -> None:
        """Close forgotten sockets."""
        if self.closed or not self._transports:
            return
        port = self.transports[0].local[1]
        warnings.warn(
            f"a DatagramSocket on port {port} was never closed", ResourceWarning, stacklevel=2, source=self
        )
        for transport in self.transports:
            from_reactor_thread(self._reactor, transport.close)


_MISSING_FAMILY = frozenset(
    {SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED, SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS}
)
