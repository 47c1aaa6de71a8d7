"""The multicast client that hears one source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

from winsockets.networking import HostName, NetworkAdapter
from winsockets.networking._address import literal_address
from winsockets.networking._hostname import as_host_name
from winsockets.networking._services import as_service_name
from winsockets.networking._services import remote_port as port_of
from winsockets.sockets._multicast_client import Callback, MulticastClient
from winsockets.sockets._multicast_result import AsyncResult, end

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["UdpSingleSourceMulticastClient"]


class UdpSingleSourceMulticastClient(MulticastClient):
    """Receives what one source sends to a multicast group, and sends to that source.

    Calls come in pairs, as those of UdpAnySourceMulticastClient, which also says more of joining and sharing.

    As a context manager it is disposed of at the end; ``async with`` also joins at the beginning.

    Args:
        source_address: whom to listen to.
        group_address: the group, of the same family; 232.0.0.0 to 232.255.255.255 and addresses that begin
            with ff3 are set aside for groups with sources.
        local_port: where the group is heard; 1024 to 65535.
        adapter: the network interface to listen on (an addition to .NET); left out, the one that the
            system's routing leads through to the group.
        reactor: an IReactorFDSet and IReactorTime; the installed reactor when left out.

    Raises:
        AccessDeniedError: the port is below 1024, which are the system's.
        InvalidArgumentError: an address is missing, the group's is not one of a group, the source's is not
            one of somebody, they are of two families, or the port is above 65535.

    Source: System.Net.Sockets.UdpSingleSourceMulticastClient of Silverlight and Windows Phone.
    """

    def __init__(
        self,
        source_address: HostName | str,
        group_address: HostName | str,
        local_port: int,
        *,
        adapter: NetworkAdapter | None = None,
        reactor: Any = None,
    ) -> None:
        self._source_name = as_host_name(source_address, "source_address")
        super().__init__(group_address, self._source_name, local_port, adapter, reactor)

    def begin_receive_from_source(
        self,
        buffer: WriteableBuffer,
        offset: SupportsIndex,
        count: SupportsIndex,
        callback: Callback | None = None,
        state: object = None,
    ) -> AsyncResult[tuple[int, int]]:
        """Receive one datagram of the source; what others send is dropped.

        Args:
            buffer: where to put it.
            offset: where in the buffer it begins.
            count: how many bytes it may have.
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            A result with the number of bytes and the source's port; it fails as ``begin_receive_from_group``
            of the other client.

        Raises:
            SocketException: as ``begin_receive_from_group`` of the other client.

        Source: .NET BeginReceiveFromSource.
        """
        room = self._room("receive_from_source", buffer, offset, count)
        return self._begin("receive_from_source", self._receive_from_source(room), callback, state)

    async def _receive_from_source(self, room: memoryview) -> tuple[int, int]:
        size, sender = await self._receive("receive_from_source", room)
        return size, sender.port

    def end_receive_from_source(self, result: AsyncResult[tuple[int, int]]) -> tuple[int, int]:
        """End a ``begin_receive_from_source``: give the number of bytes and the source's port.

        Raises:
            SocketException: as ``end_join_group``.

        Source: .NET EndReceiveFromSource, which has the port in an argument.
        """
        return end(result, self, "receive_from_source")

    def begin_send_to_source(  # noqa: PLR0917 - those of .NET
        self,
        buffer: ReadableBuffer,
        offset: SupportsIndex,
        count: SupportsIndex,
        remote_port: int,
        callback: Callback | None = None,
        state: object = None,
    ) -> AsyncResult[None]:
        """Send a datagram to the source.

        Args:
            buffer: what has it in it.
            offset: where in the buffer it begins.
            count: how many bytes it has.
            remote_port: the source's port, 1 to 65535.
            callback: called with the result at its end.
            state: anything; the result has it as ``async_state``.

        Returns:
            A result without a value; it fails with MESSAGE_TOO_LONG, NETWORK_IS_UNREACHABLE ...

        Raises:
            InvalidArgumentError: no buffer, or not a port.
            SocketException: as ``begin_receive_from_source``.

        Source: .NET BeginSendToSource.
        """
        port = port_of(as_service_name(remote_port, "remote_port"), "udp")
        to = self._placed("send_to_source", literal_address(self._source_name, port))
        return self._begin_send("send_to_source", (buffer, offset, count), to, callback, state)

    def end_send_to_source(self, result: AsyncResult[None]) -> None:
        """End a ``begin_send_to_source``.

        Raises:
            SocketException: as ``end_join_group``.

        Source: .NET EndSendToSource.
        """
        end(result, self, "send_to_source")
