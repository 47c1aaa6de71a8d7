"""A received datagram, or the error that came in its place."""

from __future__ import annotations

from typing import Any

from winsockets.errors import SocketException
from winsockets.networking import HostName
from winsockets.sockets._datagram_information import host_name_of
from winsockets.sockets._stream_information import host_of
from winsockets.streams import DataReader, InputStream
from winsockets.streams._memory import MemoryInputStream
from winsockets.transports._describe import describe_address
from winsockets.transports._packet_info import Ancillary, destination_of

__all__ = ["DatagramSocketMessageReceivedEventArgs"]


class DatagramSocketMessageReceivedEventArgs:
    """One datagram.

    An error of receiving comes as an event too: ``get_data_reader``, ``get_data_stream`` and ``data`` raise
    it. CONNECTION_RESET_BY_PEER says that an earlier datagram found nobody at the peer's port;
    MESSAGE_TOO_LONG that this one was cut, because it is longer than ``limits.datagram_size``.

    Source: WinRT DatagramSocketMessageReceivedEventArgs; ``data`` is an addition.
    """

    # Made for each datagram: what few handlers look at is worked out when they do.
    __slots__ = ("_ancillary", "_data", "_error", "_local", "_remote", "_remote_address")

    _remote_address: HostName | None

    def __init__(
        self,
        data: bytes,
        remote: tuple[Any, ...],
        local: tuple[Any, ...],
        ancillary: Ancillary = (),
        error: SocketException | None = None,
    ) -> None:
        self._data = data
        self._remote = remote
        self._local = local
        self._ancillary = ancillary
        self._error = error

    @property
    def data(self) -> bytes:
        """The whole payload.

        Raises:
            SocketException: the error that came in place of a datagram.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._data

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
        try:
            return self._remote_address
        except AttributeError:
            self._remote_address = host_name_of(self._remote)
            return self._remote_address

    @property
    def remote_port(self) -> str:
        """The sender's port; "" where it is not known."""
        return str(self._remote[1]) if self._remote else ""

    @property
    def local_address(self) -> HostName | None:
        """The address the datagram was sent to; None where the system does not tell."""
        return host_of(destination_of(self._ancillary)) or host_name_of(self._local)

    def __repr__(self) -> str:
        """Show the sender and the size, or the error."""
        what = repr(self._error) if self._error is not None else f"{len(self._data)} bytes"
        return f"<datagram from {describe_address(*self._remote[:2]) if self._remote else 'nobody'}: {what}>"
