"""What the multicast clients of System.Net.Sockets have in common."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TypeVar

from twisted.internet.defer import CancelledError

from winsockets.errors import (
    AccessDeniedError,
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    translate,
)
from winsockets.networking import HostName, NetworkAdapter
from winsockets.networking._address import Address
from winsockets.sockets._datagram_groups import group_address, source_address
from winsockets.sockets._datagram_inbox import MessageQueue
from winsockets.sockets._datagram_socket import DatagramSocket
from winsockets.sockets._datagram_zones import within_zone
from winsockets.sockets._multicast_result import AsyncResult, IPEndPoint, end
from winsockets.streams._buffer import byte_view, unsigned
from winsockets.transports._datagram_transport import DatagramTransport

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Callback", "MulticastClient"]

_T = TypeVar("_T")
Callback = Callable[[AsyncResult[Any]], object]
_FIRST_PORT = 1024
_LAST_PORT = 65535
_WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


class MulticastClient:
    """What both clients are: a socket in one group, shared with others that have its port.

    Args:
        group: the group.
        source: whom to listen to; None for everybody.
        local_port: where the group is heard.
        adapter: the network interface; None for the system's choice.
        reactor: the reactor; None for the installed one.
    """

    def __init__(
        self,
        group: HostName | str,
        source: HostName | str | None,
        local_port: int,
        adapter: NetworkAdapter | None,
        reactor: Any,
    ) -> None:
        place = group_address("join", group)
        self._group = replace(place, port=_client_port(local_port))
        self._source = None if source is None else source_address("join the group", source, place)
        self._adapter = adapter
        self._reactor = reactor
        self._socket: DatagramSocket | None = None
        self._received: MessageQueue | None = None
        self._joined = False
        self._receiving = False
        self._disposed = False

    # Joining and leaving

    def begin_join_group(self, callback: Callback | None = None, state: object = None) -> AsyncResult[None]:
        """Bind to the port and join the group; everything else comes after the end of this.

        Args:
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            A result without a value. Failed (NETWORK_IS_UNREACHABLE, ADDRESS_ALREADY_IN_USE ...) it leaves
            the client as it was, to join once more.

        Raises:
            IllegalMethodCallError: the client has joined, or is joining.
            ObjectClosedError: it was disposed of.

        Source: .NET BeginJoinGroup.
        """
        self._check_open("begin_join_group")
        if self._socket is not None:
            raise IllegalMethodCallError(
                f"begin_join_group: the client {'has joined already' if self._joined else 'is joining'}"
            )
        return self._begin("join_group", self._join(), callback, state)

    def end_join_group(self, result: AsyncResult[None]) -> None:
        """End a ``begin_join_group``.

        Raises:
            IllegalMethodCallError: it has not ended; threads other than the reactor's wait for it.
            InvalidArgumentError: the result is of another call, or of another client.
            SocketException: what it failed with.

        Source: .NET EndJoinGroup.
        """
        end(result, self, "join_group")

    async def _join(self) -> None:
        sock = self._socket = DatagramSocket(reactor=self._reactor)
        sock.control.multicast_only = True
        sock.control.multicast_adapter = self._adapter
        received = sock.messages()
        try:
            await sock.bind_endpoint_async(_WILDCARDS[self._group.family], self._group.port)
            # Members of the group answer each other, so what comes to this machine alone is wanted too.
            sock._link.inbox.multicast_only = False
            sock.join_multicast_group(self._group.host, source=self._source, adapter=self._adapter)
        except BaseException:
            sock.close()
            self._socket = None
            raise
        self._received = received
        self._joined = True

    def dispose(self) -> None:
        """Leave the group and free the port.

        What is pending ends with OperationAbortedError. Once is enough, more often does no harm.

        Source: .NET IDisposable.Dispose.
        """
        self._disposed = True
        self._joined = False
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Dispose of it."""
        self.dispose()

    async def __aenter__(self) -> Self:
        """Join the group and return the client itself.

        Raises:
            SocketException: as ``begin_join_group``.
        """
        await self.begin_join_group()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Dispose of it, which takes no time."""
        self.dispose()

    # Settings

    @property
    def receive_buffer_size(self) -> int:
        """How many bytes the system buffers for receiving (SO_RCVBUF), as it counts them.

        Raises:
            IllegalMethodCallError: the group has not been joined.
            InvalidArgumentError: set to less than 1 or more than 4294967295.
            ObjectClosedError: the client was disposed of.

        Source: .NET ReceiveBufferSize.
        """
        return self._system("receive_buffer_size").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @receive_buffer_size.setter
    def receive_buffer_size(self, size: int) -> None:
        self._set_buffer("receive_buffer_size", socket.SO_RCVBUF, size)

    @property
    def send_buffer_size(self) -> int:
        """How many bytes the system buffers for sending (SO_SNDBUF), as it counts them.

        Raises:
            SocketException: as ``receive_buffer_size``.

        Source: .NET SendBufferSize.
        """
        return self._system("send_buffer_size").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    @send_buffer_size.setter
    def send_buffer_size(self, size: int) -> None:
        self._set_buffer("send_buffer_size", socket.SO_SNDBUF, size)

    def _set_buffer(self, name: str, option: int, size: int) -> None:
        skt = self._system(name)
        if unsigned(size, name, 31) == 0:
            raise InvalidArgumentError(f"{name}: a buffer of no bytes holds nothing")
        try:
            skt.setsockopt(socket.SOL_SOCKET, option, size)
        except OSError as problem:
            raise translate(problem, f"set {name} to {size}") from problem

    def _system(self, action: str) -> socket.socket:
        """The socket of the system."""
        return self._ready(action)._link.transports[self._group.family].socket

    # What is allowed now

    def _check_open(self, action: str) -> None:
        if self._disposed:
            raise ObjectClosedError(f"{action}: the client was disposed of")

    def _ready(self, action: str) -> DatagramSocket:
        """The socket, of a client that has joined its group."""
        self._check_open(action)
        if not self._joined or self._socket is None:
            raise IllegalMethodCallError(
                f"{action}: the client has not joined its group; await begin_join_group first"
            )
        return self._socket

    # Operations

    def _begin(
        self, call: str, steps: Coroutine[Any, Any, _T], callback: Callback | None, state: object
    ) -> AsyncResult[_T]:
        return AsyncResult.begin(self, call, steps, callback, state)

    def _room(
        self, call: str, buffer: WriteableBuffer, offset: SupportsIndex, count: SupportsIndex
    ) -> memoryview:
        """Where to put a datagram, of a client that can receive one now."""
        self._ready(f"begin_{call}")
        room = _part(buffer, offset, count)
        if room.readonly:
            raise InvalidArgumentError(f"begin_{call}: the buffer cannot be written to; give a bytearray")
        if self._receiving:
            raise BusyError(f"begin_{call}: a receive is under way already; end it first")
        return room

    async def _receive(self, call: str, room: memoryview) -> tuple[int, IPEndPoint]:
        self._receiving = True
        try:
            # Whoever has the buffer can change its size again afterwards.
            with room:
                return await self._next(call, room)
        except OperationAbortedError:
            raise
        except CancelledError as problem:
            raise OperationAbortedError(f"{call}: aborted by cancel()") from problem
        finally:
            self._receiving = False

    async def _next(self, call: str, room: memoryview) -> tuple[int, IPEndPoint]:
        assert self._received is not None
        async for message in self._received:
            data = message.data
            sender = message.remote_address
            assert sender is not None
            if self._source is not None and sender.canonical_name.partition("%")[0] != self._source:
                continue  # somebody sent it to this machine, and not to the group
            size = min(len(data), len(room))
            room[:size] = data[:size]
            if size < len(data):
                raise MessageTooLongError(
                    f"{call}: the datagram of {sender} has {len(data)} bytes and was cut to {size}; "
                    "give it more room"
                )
            return size, IPEndPoint(sender, int(message.remote_port))
        raise OperationAbortedError(f"{call}: aborted by dispose()")

    def _placed(self, call: str, address: Address) -> Address:
        """An address as the socket sends to it: one of a link is on that of the group."""
        zone = self._group.scope_id or (self._adapter.index if self._adapter is not None else 0)
        placed = within_zone(f"begin_{call}", [address], 0 if address.scope_id else zone)[0]
        if placed.family != self._group.family:
            raise InvalidArgumentError(
                f"begin_{call}: {placed.host} is not an address of the family of the group {self._group.host}"
            )
        return placed

    def _begin_send(
        self,
        call: str,
        part: tuple[ReadableBuffer, SupportsIndex, SupportsIndex],
        to: Address,
        callback: Callback | None,
        state: object,
    ) -> AsyncResult[None]:
        transport = self._ready(f"begin_{call}")._link.transports[to.family]
        return self._begin(call, _send(transport, bytes(_part(*part)), to), callback, state)

    def __repr__(self) -> str:
        """Show the group, the source and the state."""
        whom = f" from {self._source}" if self._source is not None else ""
        state = "disposed" if self._disposed else "joined" if self._joined else "not joined"
        return f"<{type(self).__name__} of {self._group}{whom}: {state}>"


async def _send(transport: DatagramTransport, data: bytes, to: Address) -> None:
    await transport.send(data, to.sockaddr)


def _part(buffer: ReadableBuffer, offset: SupportsIndex, count: SupportsIndex) -> memoryview:
    """The bytes of a buffer that a call is about."""
    view = byte_view(buffer)
    start, size = unsigned(offset, "offset"), unsigned(count, "count")
    if start + size > len(view):
        raise OutOfBoundsError(
            f"offset {start} and count {size} go beyond the end of the buffer, which has {len(view)} bytes"
        )
    return view[start : start + size]


def _client_port(port: int) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"local_port is a port number, not {port!r}")
    if not 0 <= port <= _LAST_PORT:
        raise InvalidArgumentError(f"local_port: {port} is not a port; ports go from 0 to {_LAST_PORT}")
    if port < _FIRST_PORT:
        raise AccessDeniedError(
            f"local_port: {port} is one of the system's; give one from {_FIRST_PORT} to {_LAST_PORT}, or use "
            "a DatagramSocket"
        )
    return port
