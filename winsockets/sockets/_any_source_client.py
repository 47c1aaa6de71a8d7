"""The multicast client that hears everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

from winsockets.errors import InvalidArgumentError
from winsockets.networking import HostName, HostNameType, NetworkAdapter
from winsockets.networking._address import Address, literal_address
from winsockets.networking._hostname import as_host_name
from winsockets.networking._services import as_service_name, remote_port
from winsockets.sockets._multicast_client import Callback, MulticastClient
from winsockets.sockets._multicast_result import AsyncResult, IPEndPoint, end

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["UdpAnySourceMulticastClient"]

_NUMERIC = (HostNameType.IPV4, HostNameType.IPV6)


class UdpAnySourceMulticastClient(MulticastClient):
    """Receives what anybody sends to a multicast group, and sends to the group or to one of its members.

    Calls come in pairs: what ``begin_x`` returns, and gives to its callback, goes to ``end_x``, which returns
    what came of it or raises. ``await client.begin_x(...)`` does both. The group has to be joined before
    anything else. Any number of clients and other programs on a machine can share a group and its port.

    As a context manager it is disposed of at the end; ``async with`` also joins at the beginning.

    Args:
        group_address: the group, 224.0.0.0 to 239.255.255.255 or an address that begins with ff.
        local_port: where the group is heard, and where what is sent to it goes; 1024 to 65535.
        adapter: the network interface to listen and to send on (an addition to .NET); left out, the one that
            the system's routing leads through to the group.
        reactor: an IReactorFDSet and IReactorTime; the installed reactor when left out.

    Raises:
        AccessDeniedError: the port is below 1024, which are the system's.
        InvalidArgumentError: the address is missing or not one of a group, or the port is above 65535.

    Source: System.Net.Sockets.UdpAnySourceMulticastClient of Silverlight and Windows Phone.
    """

    def __init__(
        self,
        group_address: HostName | str,
        local_port: int,
        *,
        adapter: NetworkAdapter | None = None,
        reactor: Any = None,
    ) -> None:
        super().__init__(group_address, None, local_port, adapter, reactor)

    @property
    def multicast_loopback(self) -> bool:
        """Whether this machine hears what the client sends to the group; True at first.

        Raises:
            SocketException: as ``receive_buffer_size``.

        Source: .NET MulticastLoopback.
        """
        return self._ready("multicast_loopback").control.multicast_loopback

    @multicast_loopback.setter
    def multicast_loopback(self, wanted: bool) -> None:
        self._ready("multicast_loopback").control.multicast_loopback = wanted

    def block_source(self, source_address: HostName | str) -> None:
        """Hear one sender no more.

        Raises:
            AddressNotAvailableError: it is blocked already.
            IllegalMethodCallError: the group has not been joined.
            InvalidArgumentError: it is not an address of the group's family.
            ObjectClosedError: the client was disposed of.

        Source: .NET BlockSource.
        """
        sock = self._ready("block_source")
        sock.block_multicast_source(self._group.host, source_address, adapter=self._adapter)

    def unblock_source(self, source_address: HostName | str) -> None:
        """Hear a sender again.

        Raises:
            AddressNotAvailableError: others are or were blocked, but not this one.
            IllegalMethodCallError: the group has not been joined.
            InvalidArgumentError: none was ever blocked, or it is not an address of the group's family.
            ObjectClosedError: the client was disposed of.

        Source: .NET UnblockSource.
        """
        sock = self._ready("unblock_source")
        sock.unblock_multicast_source(self._group.host, source_address, adapter=self._adapter)

    def begin_receive_from_group(
        self,
        buffer: WriteableBuffer,
        offset: SupportsIndex,
        count: SupportsIndex,
        callback: Callback | None = None,
        state: object = None,
    ) -> AsyncResult[tuple[int, IPEndPoint]]:
        """Receive one datagram: what somebody has sent to the group, or to this machine at its port.

        Datagrams that come meanwhile wait in a queue (``limits.message_queue``).

        Args:
            buffer: where to put it: a bytearray, a writable memoryview, a Buffer with a length.
            offset: where in the buffer it begins.
            count: how many bytes it may have.
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            A result with the number of bytes and the sender's endpoint. It fails with MESSAGE_TOO_LONG when
            the datagram has more than ``count`` bytes, with the first of them in the buffer; with
            OPERATION_ABORTED when the client is disposed of, or the result cancelled, which loses no
            datagram.

        Raises:
            BusyError: another receive is under way.
            IllegalMethodCallError: the group has not been joined.
            InvalidArgumentError: no buffer, or one that cannot be written to.
            ObjectClosedError: the client was disposed of.
            OutOfBoundsError: the part is not within the buffer.

        Source: .NET BeginReceiveFromGroup.
        """
        room = self._room("receive_from_group", buffer, offset, count)
        return self._begin("receive_from_group", self._receive("receive_from_group", room), callback, state)

    def end_receive_from_group(self, result: AsyncResult[tuple[int, IPEndPoint]]) -> tuple[int, IPEndPoint]:
        """End a ``begin_receive_from_group``: give the number of bytes and the sender.

        Raises:
            SocketException: as ``end_join_group``.

        Source: .NET EndReceiveFromGroup, which has the sender in an argument.
        """
        return end(result, self, "receive_from_group")

    def begin_send_to_group(
        self,
        buffer: ReadableBuffer,
        offset: SupportsIndex,
        count: SupportsIndex,
        callback: Callback | None = None,
        state: object = None,
    ) -> AsyncResult[None]:
        """Send a datagram to the group, at the port of the client.

        Args:
            buffer: what has it in it.
            offset: where in the buffer it begins.
            count: how many bytes it has.
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            A result without a value; it fails with MESSAGE_TOO_LONG, NETWORK_IS_UNREACHABLE ...

        Raises:
            IllegalMethodCallError: the group has not been joined.
            InvalidArgumentError: no buffer.
            ObjectClosedError: the client was disposed of.
            OutOfBoundsError: the part is not within the buffer.

        Source: .NET BeginSendToGroup.
        """
        return self._begin_send("send_to_group", (buffer, offset, count), self._group, callback, state)

    def end_send_to_group(self, result: AsyncResult[None]) -> None:
        """End a ``begin_send_to_group``.

        Raises:
            SocketException: as ``end_join_group``.

        Source: .NET EndSendToGroup.
        """
        end(result, self, "send_to_group")

    def begin_send_to(  # noqa: PLR0917 - those of .NET
        self,
        buffer: ReadableBuffer,
        offset: SupportsIndex,
        count: SupportsIndex,
        remote_end_point: IPEndPoint | tuple[HostName | str, int],
        callback: Callback | None = None,
        state: object = None,
    ) -> AsyncResult[None]:
        """Send a datagram to one member of the group, or to anybody else.

        Args:
            buffer: what has it in it.
            offset: where in the buffer it begins.
            count: how many bytes it has.
            remote_end_point: a numeric address and a port, as a receive gives them.
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            As ``begin_send_to_group``.

        Raises:
            InvalidArgumentError: no buffer; not an address of the group's family; not a port.
            SocketException: as ``begin_send_to_group``.

        Source: .NET BeginSendTo.
        """
        to = self._placed("send_to", _address_of(remote_end_point))
        return self._begin_send("send_to", (buffer, offset, count), to, callback, state)

    def end_send_to(self, result: AsyncResult[None]) -> None:
        """End a ``begin_send_to``.

        Raises:
            SocketException: as ``end_join_group``.

        Source: .NET EndSendTo.
        """
        end(result, self, "send_to")


def _address_of(end_point: IPEndPoint | tuple[HostName | str, int] | None) -> Address:
    if end_point is None:
        raise InvalidArgumentError("remote_end_point is None; give an address and a port")
    address, port = end_point
    name = as_host_name(address, "remote_end_point")
    number = remote_port(as_service_name(port, "the port of remote_end_point"), "udp")
    if name.type not in _NUMERIC:
        raise InvalidArgumentError(f"remote_end_point: {name} is not an address")
    return literal_address(name, number)
