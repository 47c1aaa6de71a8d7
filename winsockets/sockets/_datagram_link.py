"""What a DatagramSocket, its output streams and its iterators share: the UDP sockets, and their end."""

from __future__ import annotations

import socket
import sys
import warnings
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from winsockets.errors import (
    IllegalMethodCallError,
    ObjectClosedError,
    OperationAbortedError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.foundation import AsyncOperation
from winsockets.networking import NetworkAdapter
from winsockets.networking._address import Address
from winsockets.sockets._datagram_binding import WILDCARDS, bind_sockets, make_socket
from winsockets.sockets._datagram_control import DatagramSocketControl
from winsockets.sockets._datagram_sharing import check_shared_destination
from winsockets.sockets._datagram_zones import check_zone, within_zone
from winsockets.sockets._link import from_reactor_thread
from winsockets.transports._adapter_binding import confines
from winsockets.transports._datagram_transport import DatagramTransport
from winsockets.transports._describe import describe_address
from winsockets.transports._loopback_source import from_loopback

if TYPE_CHECKING:
    from winsockets.sockets._datagram_inbox import Inbox

__all__ = ["DatagramLink"]

_ANY = frozenset(address.host for address in WILDCARDS)
_TOO_LATE = "after the socket was bound or connected"
_T = TypeVar("_T")


class DatagramLink:
    """The UDP sockets of one DatagramSocket: one of each family, or a connected one.

    When the DatagramSocket, its streams and its iterators are forgotten they are closed.

    Args:
        reactor: an IReactorFDSet and IReactorTime.
        inbox: hears what the transports receive.

    Attributes:
        transports: by family, the preferred one first.
        ears: by group and interface, those that hear a group in place of one that is bound to an address.
        control: what is set on them.
        inbox: the same.
        adapter: the one that it is bound to; None for all.
        opening: whether the socket is being bound or connected.
        closed: whether it was closed.
    """

    def __init__(self, reactor: Any, inbox: Inbox) -> None:
        self.transports: dict[int, DatagramTransport] = {}
        self.ears: dict[tuple[str, int], DatagramTransport] = {}
        self.inbox = inbox
        self.control = DatagramSocketControl(self.transports)
        self.adapter: NetworkAdapter | None = None
        self.opening = False
        self.closed = False
        self._reactor = reactor
        self._operations: WeakSet[AsyncOperation[Any]] = WeakSet()
        self._closings: list[AsyncOperation[None]] = []

    @property
    def peer(self) -> tuple[Any, ...] | None:
        """The socket address of the peer, on a connected socket."""
        for transport in self.transports.values():
            return transport.peer
        return None

    @property
    def zone(self) -> int:
        """The index of the interface that an adapter or its own address confines it to; 0 for none."""
        if self.adapter is not None:
            return self.adapter.index
        for transport in self.transports.values():
            if transport.family == socket.AF_INET6:
                scope_id: int = transport.local[3]
                return scope_id
        return 0

    # What is allowed now

    def check_open(self, action: str) -> None:
        """Refuse an action on a closed socket."""
        if self.closed:
            raise ObjectClosedError(f"{action}: the socket was closed")

    def check_settled(self, action: str) -> None:
        """Refuse an action also while the socket is being bound or connected."""
        self.check_open(action)
        if self.opening:
            raise IllegalMethodCallError(
                f"{action}: the socket is being bound or connected; await that first"
            )

    def check_unbound(self, action: str) -> None:
        """Refuse an action also once the socket is bound or connected."""
        self.check_settled(action)
        if self.transports:
            raise IllegalMethodCallError(f"{action}: the socket is bound or connected already")

    def check_attachable(self) -> None:
        """Refuse a handler that comes too late."""
        self.check_unbound("attach a handler to message_received")

    def check_sendable(self, action: str, destination: Address | None) -> None:
        """Refuse to send now, or there (None is the peer)."""
        if not self.transports:
            self.check_settled(action)
        if destination is not None:
            check_zone(action, destination, self.zone)
            if self.peer is not None:
                self._check_peer(action, [destination])
            if self.inbox.multicast_only if self.transports else self.control.multicast_only:
                check_shared_destination(action, destination)
        elif self.peer is None:
            raise IllegalMethodCallError(
                f"{action}: the socket is not connected; await connect_async first, or use "
                "get_output_stream_async"
            )

    def _check_peer(self, action: str, addresses: Sequence[Address]) -> None:
        """On a connected socket, refuse addresses none of which is the peer's."""
        for transport in self.transports.values():
            if transport.peer is not None and not any(
                transport.is_peer(address.sockaddr) for address in addresses
            ):
                raise IllegalMethodCallError(
                    f"{action} to {addresses[0]}: the socket is connected to "
                    f"{describe_address(*transport.peer[:2])} and sends only there"
                )

    # Binding and connecting

    def open(self, steps: Coroutine[Any, Any, _T], action: str) -> AsyncOperation[_T]:
        """Run the steps of binding or connecting.

        The control's properties are fixed from here on, and no handler can be attached, unless the steps
        fail and leave the socket unbound.
        """
        self.opening = True
        self.control._lock(_TOO_LATE)
        return self.run(self._open(steps), action)

    async def _open(self, steps: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await steps
        finally:
            self.opening = False
            if not self.transports and not self.closed:
                self.control._unlock()

    def run(self, steps: Coroutine[Any, Any, _T], action: str) -> AsyncOperation[_T]:
        """Run some steps; closing the socket ends them with OperationAbortedError."""
        operation = AsyncOperation.run(self._run(steps, action))
        if not operation.called:
            self._operations.add(operation)
        return operation

    async def _run(self, steps: Coroutine[Any, Any, _T], action: str) -> _T:
        try:
            return await steps
        except BaseException as problem:
            if self.closed:
                raise OperationAbortedError(f"{action}: aborted by close") from problem
            raise

    def bind(self, addresses: Iterable[Address], port: int, adapter: NetworkAdapter | None = None) -> None:
        """Bind to one address of each family, with one port number; see ``bind_sockets``."""
        # Where the system does not see to it, what comes through other adapters is left out here.
        only_through = 0 if adapter is None or confines(adapter) else adapter.index
        sockets = bind_sockets(self.control, addresses, port, adapter)
        self.adapter = self.control._bound_to = adapter
        self.inbox.only_through = only_through
        for skt in sockets:
            transport = self._receive_on(skt)
            self.transports[transport.family] = transport
        for transport in self.transports.values():
            transport.beside = [other for other in self.transports.values() if other is not transport]

    def _receive_on(self, skt: socket.socket) -> DatagramTransport:
        limits = self.control.limits
        self.inbox.queue_bound = limits.message_queue
        self.inbox.multicast_only = self.control.multicast_only
        self.inbox.choosy = self.inbox.multicast_only or self.inbox.only_through > 0
        return DatagramTransport(skt, self.inbox, self._reactor, limits)

    def connect(self, remotes: Sequence[Address], sources: Sequence[Address], from_port: int) -> None:
        """Connect to the first address that the system has a way to, keeping the local port if there is one.

        Args:
            remotes: the peer's addresses.
            sources: local addresses to connect from; none for any.
            from_port: the local port; 0 for any.

        Raises:
            InvalidArgumentError: they are of links, and the socket is on none of these; see ``within_zone``.
            SocketException: what the system says of the first address; ADDRESS_FAMILY_NOT_SUPPORTED when
                none of them is of the family of a local address. The socket is as it was then.
        """
        remotes = within_zone("connect", remotes, self._zone_from(sources))
        problems: list[SocketException] = []
        try:
            for remote in remotes:
                try:
                    transport = self._connect(remote, sources, from_port)
                except SocketException as problem:
                    problems.append(problem)
                else:
                    break
            else:
                raise problems[0]
        finally:
            # Their tracebacks lead here.
            problems.clear()
        for other in self.transports.values():
            if other is not transport:
                other.close()
        self.transports.clear()
        self.transports[transport.family] = transport
        for ear in self.ears.values():
            if ear.family == remote.family:
                ear.connect(remote)
            else:
                ear.close()

    def _zone_from(self, sources: Sequence[Address]) -> int:
        """Find the zone that it is going to be confined to when it is bound to local addresses."""
        return next((source.scope_id for source in sources if source.scope_id), 0) or self.zone

    def _connect(self, remote: Address, sources: Sequence[Address], from_port: int) -> DatagramTransport:
        transport = self.transports.get(remote.family)
        if transport is None:
            if from_port and not sources:
                sources = WILDCARDS
            local = next((source for source in sources if source.family == remote.family), None)
            if self.transports or (sources and local is None):
                raise _other_family("connect", remote)
            transport = self._receive_on(make_socket(self.control, remote.family, local, from_port))
        try:
            transport.connect(remote)
        except OSError as problem:
            if remote.family not in self.transports:
                transport.close()
            action = f"connect to {remote}"
            found = translate(problem, action)
            raise from_loopback(found, action, transport.local[0], remote.host) from problem
        return transport

    # Groups

    def member(self, group: str, index: int) -> DatagramTransport:
        """Find the transport that is in a group, or is to join it.

        One that is bound to an address hears no groups, but on Windows. Another one, which is bound to the
        group, hears it in its place.

        Args:
            group: the address of the group, without a zone.
            index: that of the interface; 0 for the one that the routing leads through.

        Raises:
            SocketException: there has to be another one, and the system refuses it.
        """
        ear = self.ears.get((group, index))
        if ear is not None:
            return ear
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        transport = self.transports[family]
        if transport.peer is not None or transport.local[0] in _ANY or sys.platform == "win32":
            return transport
        place = Address.ipv6(group, 0, index) if family == socket.AF_INET6 else Address.ipv4(group, 0)
        skt = make_socket(self.control, family, place, transport.local[1], shared=True)
        ear = self.ears[group, index] = self._receive_on(skt)
        return ear

    def leave(self, group: str, index: int) -> None:
        """Forget the transport that heard a group in place of another one, if there is one."""
        ear = self.ears.pop((group, index), None)
        if ear is not None:
            ear.close()

    # Sending

    def towards(self, destination: Address | None) -> DatagramTransport:
        """Find the transport for a destination (None is the peer), binding the socket if nothing else has.

        Raises:
            SocketException: ADDRESS_FAMILY_NOT_SUPPORTED, or why it cannot be bound.
        """
        if destination is None:
            return next(iter(self.transports.values()))
        if not self.transports:
            self.bind(WILDCARDS, 0)
            self.control._lock(_TOO_LATE)
        transport = self.transports.get(destination.family)
        if transport is None:
            raise _other_family("send", destination)
        return transport

    def choose(self, addresses: Sequence[Address], sources: Sequence[Address] = ()) -> Address | None:
        """Choose the address to send to: the first one of a family that the socket has.

        Args:
            addresses: those of the destination.
            sources: what the socket, which is not bound yet, is going to be bound to; left out, anything.

        Returns:
            The address; None for the peer of a connected socket.

        Raises:
            IllegalMethodCallError: the socket is connected to somebody else; or it shares its port, and that
                is the address of one machine.
            InvalidArgumentError: they are of links, and the socket is on none of these; see ``within_zone``.
            SocketException: ADDRESS_FAMILY_NOT_SUPPORTED.
        """
        action = "get_output_stream_async"
        # An echo server comes here for each datagram.
        if len(addresses) > 1 or addresses[0].family == socket.AF_INET6:
            addresses = within_zone(action, addresses, self._zone_from(sources))
        if self.peer is not None:
            self._check_peer(action, addresses)
            return None
        families = {source.family for source in sources} or self.transports
        for address in addresses:
            if not families or address.family in families:
                # A control takes longer to ask.
                if self.inbox.multicast_only if self.transports else self.control.multicast_only:
                    check_shared_destination(action, address)
                return address
        raise _other_family("send", addresses[0])

    def flush(self) -> AsyncOperation[bool]:
        """Wait until the system has everything that was written; fails with the first failure of it."""
        flushes = [transport.flush() for transport in list(self.transports.values())]
        if len(flushes) == 1:
            return flushes[0]
        return AsyncOperation.run(_all_of(flushes))

    # Ending

    def cancel_sends(self) -> None:
        """End every datagram that waits for room."""
        for transport in list(self.transports.values()):
            transport.cancel_sends("cancelled by cancel_io_async()")

    def close(self) -> None:
        """Close every transport, and end what is pending."""
        if self.closed:
            return
        self.closed = True
        self.control._lock("after the socket was closed")
        transports = [*self.transports.values(), *self.ears.values()]
        self.transports.clear()
        self.ears.clear()
        for transport in transports:
            transport.close()
        for operation in list(self._operations):
            operation.cancel()
        self.inbox.end()
        for closing in self._closings:
            if not closing.called:
                closing.callback(None)

    def when_closed(self) -> AsyncOperation[None]:
        """Return an operation that ends when the socket is closed and its port is free."""
        if self.closed:
            return AsyncOperation.from_result(None)
        closing: AsyncOperation[None] = AsyncOperation()
        self._closings.append(closing)
        return closing

    def __del__(self) -> None:
        """Close a forgotten socket, once what was handed in has been sent."""
        transports = [transport for transport in self.transports.values() if transport.open]
        if not transports:
            return
        for transport in (*transports, *self.ears.values()):
            from_reactor_thread(self._reactor, transport.finish)
        warnings.warn(
            f"a DatagramSocket on port {transports[0].local[1]} was never closed",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )


async def _all_of(flushes: Sequence[AsyncOperation[bool]]) -> bool:
    failure = None
    for flush in flushes:
        try:
            await flush
        except OperationAbortedError:
            for other in flushes:
                other.cancel()
            raise
        except SocketException as problem:
            failure = failure or problem
    if failure is not None:
        raise failure
    return True


def _other_family(action: str, address: Address) -> SocketException:
    return SocketException(
        f"{action} to {address}: the socket has a local address of another family only; leave the local "
        "address out, or use an address of its family",
        status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
    )
