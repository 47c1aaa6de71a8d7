"""What a DatagramSocket knows about its ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from winsockets.networking import HostName
from winsockets.networking._hostname import system_host_name
from winsockets.transports._datagram_counters import granted_receive_buffer, system_drops

if TYPE_CHECKING:
    from winsockets.sockets._datagram_inbox import Inbox
    from winsockets.transports._datagram_transport import DatagramTransport

__all__ = ["DatagramSocketInformation", "host_name_of"]

_NOWHERE = ("", "::", "0.0.0.0")


def host_name_of(name: tuple[Any, ...]) -> HostName | None:
    """Make the HostName of a socket address; None of a wildcard and of no address at all."""
    host: str = name[0] if name else ""
    if host in _NOWHERE:
        return None
    return system_host_name(f"{host}%{name[3]}" if len(name) == 4 and name[3] else host)


class DatagramSocketInformation:
    """Addresses and ports of one DatagramSocket.

    Addresses are None and ports "" until they are known; ``local_address`` is None also on a socket that is
    bound to all interfaces. After ``close`` everything is as before binding.

    Source: WinRT DatagramSocketInformation; ``dropped_by_system``, ``dropped_messages`` and
    ``inbound_buffer_size_in_bytes`` are additions.
    """

    def __init__(
        self,
        transports: Mapping[int, DatagramTransport],
        ears: Mapping[tuple[str, int], DatagramTransport],
        inbox: Inbox,
    ) -> None:
        # Shared with the socket, which this does not keep open.
        self._transports = transports
        self._ears = ears
        self._inbox = inbox

    def _local(self) -> tuple[Any, ...]:
        return next((transport.local for transport in self._transports.values() if transport.open), ())

    def _remote(self) -> tuple[Any, ...]:
        return next((transport.peer or () for transport in self._transports.values() if transport.open), ())

    @property
    def local_address(self) -> HostName | None:
        """The local address, where it is one."""
        return host_name_of(self._local())

    @property
    def local_port(self) -> str:
        """The local port."""
        return _port(self._local())

    @property
    def remote_address(self) -> HostName | None:
        """The peer's address, on a connected socket."""
        return host_name_of(self._remote())

    @property
    def remote_port(self) -> str:
        """The peer's port, on a connected socket."""
        return _port(self._remote())

    @property
    def dropped_messages(self) -> int:
        """Datagrams that were received and not delivered.

        Those that ``messages()`` had no room for, because the program did not keep up; and with
        ``control.multicast_only`` those that were sent to this machine alone.
        """
        return self._inbox.dropped

    @property
    def dropped_by_system(self) -> int:
        """Datagrams that the system dropped, because nobody took those before from its buffer in time.

        0 where the system does not tell (all but Linux), and when the socket is not bound or was closed.
        """
        return sum(
            system_drops(transport.socket)
            for transport in (*self._transports.values(), *self._ears.values())
            if transport.open
        )

    @property
    def inbound_buffer_size_in_bytes(self) -> int:
        """The receive buffer that the system granted, as the system counts; 0 before binding.

        Linux grants at most net.core.rmem_max, and counts twice what was asked for, for its own needs.
        """
        return next(
            (
                granted_receive_buffer(transport.socket)
                for transport in self._transports.values()
                if transport.open
            ),
            0,
        )


def _port(name: tuple[Any, ...]) -> str:
    return str(name[1]) if name else ""
