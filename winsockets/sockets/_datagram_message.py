"""A received datagram, or the error that came in its place."""

from __future__ import annotations

from typing import Any

from winsockets.errors import MessageTooLongError, SocketException
from winsockets.networking import HostName
from winsockets.sockets._stream_information import host_of
from winsockets.streams import DataReader, InputStream
from winsockets.streams._memory import MemoryInputStream
from winsockets.transports._datagram_transport import Datagram
from winsockets.transports._describe import describe_address

__all__ = ["DatagramSocketMessageReceivedEventArgs"]


class DatagramSocketMessageReceivedEventArgs:
    """One datagram.

    An error of receiving comes as an event too: ``get_data_reader``, ``get_data_stream`` and ``data`` raise
    it. CONNECTION_RESET_BY_PEER says that an earlier datagram found nobody at the peer's port;
    MESSAGE_TOO_LONG that this one was cut, because it is longer than ``limits.datagram_size``.

    Source: WinRT DatagramSocketMessageReceivedEventArgs; ``data`` is an addition.
    """

    __slots__ = ("_data", "_error", "_local", "_remote")

    def __init__(
        self, data: bytes, remote: tuple[Any, ...], local: str | None, error: SocketException | None = None
    ) -> None:
        self._data = data
        self._remote = remote
        self._local = local
        self._error = error

    @classmethod
    def of(cls, datagram: Datagram, local: str | None) -> DatagramSocketMessageReceivedEventArgs:
        """Make the args of a datagram; ``local`` stands in where the system did not tell."""
        data, source, destination, truncated = datagram
        error = None
        if truncated:
            error = MessageTooLongError(
                f"receive a datagram from {describe_address(source[0], source[1])}: it is longer than "
                f"{len(data)} bytes and was cut; raise limits.datagram_size"
            )
        return cls(data, source, destination or local, error)

    @property
    def data(self) -> bytes:
        """The whole payload.

        Raises:
            SocketException: the error that came in place of a datagram.
        """
        if self._error is not None:
            raise self._error
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
        host = str(self._remote[0])
        if len(self._remote) == 4 and self._remote[3] and "%" not in host:
            host = f"{host}%{self._remote[3]}"
        return host_of(host)

    @property
    def remote_port(self) -> str:
        """The sender's port; "" where it is not known."""
        return str(self._remote[1]) if self._remote[1] else ""

    @property
    def local_address(self) -> HostName | None:
        """The address the datagram was sent to; None where the system does not tell."""
        return host_of(self._local or "")

    def __repr__(self) -> str:
        """Show the sender and the size, or the error."""
        what = repr(self._error) if self._error is not None else f"{len(self._data)} bytes"
        return f"<datagram from {describe_address(*self._remote[:2])}: {what}>"
