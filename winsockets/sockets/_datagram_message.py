"""A received datagram, or the error that came in its place."""

from __future__ import annotations

import socket
from typing import Any, Self, cast

from winsockets.errors import SocketException
from winsockets.networking import HostName, NetworkAdapter
from winsockets.networking._hostname import system_host_name
from winsockets.sockets._datagram_information import host_name_of
from winsockets.streams import DataReader, InputStream
from winsockets.streams._memory import MemoryInputStream
from winsockets.transports._describe import describe_address
from winsockets.transports._packet_info import Ancillary, destination_of, hop_limit_of, interface_of

__all__ = ["Arrival", "DatagramSocketMessageReceivedEventArgs"]

_new: Any = object.__new__


class Arrival:
    """Where one datagram came from and to, or several that came together.

    Args:
        remote: the sender's socket address; empty where it is not known.
        local: the socket address of the transport.
        ancillary: what came with the data; see ``destination_of``.
    """

    # What few handlers look at is worked out when they do.
    __slots__ = ("_remote_address", "ancillary", "local", "remote")

    _remote_address: HostName | None

    def __init__(self, remote: tuple[Any, ...], local: tuple[Any, ...], ancillary: Ancillary = ()) -> None:
        self.remote = remote
        self.local = local
        self.ancillary = ancillary

    @property
    def remote_address(self) -> HostName | None:
        """The sender's address; None where it is not known."""
        try:
            return self._remote_address
        except AttributeError:
            self._remote_address = host_name_of(self.remote)
            return self._remote_address

    @property
    def network_adapter(self) -> NetworkAdapter | None:
        """The adapter that it came in through; None where the system does not tell, or when that is gone."""
        index = interface_of(self.ancillary)
        try:
            return NetworkAdapter.from_name(socket.if_indextoname(index)) if index else None
        except OSError:
            return None

    @property
    def local_address(self) -> HostName | None:
        """The address that it was sent to; None where the system does not tell."""
        destination = destination_of(self.ancillary)
        return system_host_name(destination) if destination else host_name_of(self.local)


class DatagramSocketMessageReceivedEventArgs:
    """One datagram.

    An error of receiving comes as an event too: ``get_data_reader``, ``get_data_stream`` and ``data`` raise
    it. CONNECTION_RESET_BY_PEER says that an earlier datagram found nobody at the peer's port;
    MESSAGE_TOO_LONG that this one was cut, because it is longer than ``limits.datagram_size``.

    Source: WinRT DatagramSocketMessageReceivedEventArgs; ``data``, ``hop_limit`` and ``network_adapter`` are
    additions.
    """

    # Made for each datagram, without calling what makes other objects.
    __slots__ = ("_arrival", "_content")

    _arrival: Arrival
    _content: bytes | SocketException

    @classmethod
    def _of(cls, content: bytes | SocketException, arrival: Arrival) -> Self:
        """Make one of a datagram, or of the error in its place."""
        self: Self = _new(cls)
        self._content = content
        self._arrival = arrival
        return self

    @property
    def data(self) -> bytes:
        """The whole payload.

        Raises:
            SocketException: the error that came in place of a datagram.
        """
        content = self._content
        if type(content) is bytes:
            return content
        raise cast(SocketException, content).with_traceback(None)

    def get_data_reader(self) -> DataReader:
        """Return a new reader that has the whole datagram loaded; every call sees all of it.

        Raises:
            SocketException: the error that came in place of a datagram.

        Source: WinRT DatagramSocketMessageReceivedEventArgs.GetDataReader.
        """
        return DataReader.from_buffer(self.data)

    def get_data_stream(self) -> InputStream:
        """Return a new stream of the whole datagram; every call sees all of it.

        Raises:
            SocketException: the error that came in place of a datagram.

        Source: WinRT DatagramSocketMessageReceivedEventArgs.GetDataStream.
        """
        return MemoryInputStream(self.data)

    @property
    def remote_address(self) -> HostName | None:
        """The sender's address; for an error the peer's, None where that is not known."""
        return self._arrival.remote_address

    @property
    def remote_port(self) -> str:
        """The sender's port; "" where it is not known."""
        remote = self._arrival.remote
        return str(remote[1]) if remote else ""

    @property
    def local_address(self) -> HostName | None:
        """The address the datagram was sent to; None where the system does not tell."""
        return self._arrival.local_address

    @property
    def hop_limit(self) -> int | None:
        """How many routers more the datagram could have passed.

        255 is that of one sent with a hop limit of 255 in the same network, which nobody elsewhere can feign.
        None where the system does not tell (Windows).
        """
        return hop_limit_of(self._arrival.ancillary)

    @property
    def network_adapter(self) -> NetworkAdapter | None:
        """The adapter through which the datagram came in; None where the system does not tell.

        It is looked for when a program asks. None too on Windows, and when the adapter is gone.
        """
        return self._arrival.network_adapter

    def __repr__(self) -> str:
        """Show the sender and the size, or the error."""
        content, remote = self._content, self._arrival.remote
        what = f"{len(content)} bytes" if isinstance(content, bytes) else repr(content)
        return f"<datagram from {describe_address(*remote[:2]) if remote else 'nobody'}: {what}>"
