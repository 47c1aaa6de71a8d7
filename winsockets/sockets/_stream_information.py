"""What a StreamSocket knows about its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv6Address

from winsockets.networking import HostName
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._link import Link
from winsockets.sockets._statistics import (
    BandwidthStatistics,
    RoundTripTimeStatistics,
    bandwidth,
    round_trips,
)
from winsockets.streams import IBuffer
from winsockets.transports._tcp_info import TcpInfo

__all__ = ["StreamSocketInformation", "host_of"]


def host_of(name: str) -> HostName | None:
    """Make the HostName of a socket address's first part; None where there is none."""
    return HostName(name) if name else None


class StreamSocketInformation:
    """Addresses, names and statistics of one StreamSocket.

    Everything can be read at any time: before the connection addresses and names are None, ports and
    services "", and after its end they stay what they were. The statistics are all 0 then.

    Source: WinRT StreamSocketInformation.
    """

    _names: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None

    def __init__(self, link: Link) -> None:
        self._link = link
        # Set by the socket once it is connected.
        self._asked_for: tuple[HostName, str] | None = None
        self._largest_round_trip = 0

    def _remember(self) -> None:
        """Keep the addresses of a transport that may not know them after its end."""
        self._names = self._local(), self._remote()

    def _local(self) -> tuple[Any, ...]:
        if self._names is not None:
            return self._names[0]
        protocol = self._link.protocol
        if protocol is None:
            return _NOWHERE
        transport: Any = protocol.transport
        name: tuple[Any, ...] | None = getattr(transport, "local_name", None)
        return name if name is not None else _name_of(transport.getHost)

    def _remote(self) -> tuple[Any, ...]:
        if self._names is not None:
            return self._names[1]
        protocol = self._link.protocol
        return _name_of(cast(Any, protocol.transport).getPeer) if protocol is not None else _NOWHERE

    @property
    def local_address(self) -> HostName | None:
        """The local address of the connection."""
        return _host(self._local())

    @property
    def local_port(self) -> str:
        """The local port of the connection."""
        return _port(self._local())

    @property
    def remote_address(self) -> HostName | None:
        """The address of the peer."""
        return _host(self._remote())

    @property
    def remote_port(self) -> str:
        """The port of the peer."""
        return _port(self._remote())

    @property
    def remote_host_name(self) -> HostName | None:
        """The host that was asked for; on an accepted socket the peer's address."""
        return self._asked_for[0] if self._asked_for is not None else self.remote_address

    @property
    def remote_service_name(self) -> str:
        """The service that was asked for; on an accepted socket the peer's port."""
        return self._asked_for[1] if self._asked_for is not None else self.remote_port

    @property
    def protection_level(self) -> SocketProtectionLevel:
        """PLAIN_SOCKET."""
        return SocketProtectionLevel.PLAIN_SOCKET

    @property
    def session_key(self) -> IBuffer | None:
        """Always None: it belongs to proximity connections."""
        return None

    def _tcp_info(self) -> TcpInfo | None:
        protocol = self._link.protocol
        return getattr(protocol.transport, "tcp_info", None) if protocol is not None else None

    @property
    def round_trip_time_statistics(self) -> RoundTripTimeStatistics:
        """Round trip times as the system knows them now."""
        info = self._tcp_info()
        if info is None:
            return RoundTripTimeStatistics()
        statistics = round_trips(info, self._largest_round_trip)
        self._largest_round_trip = statistics.max
        return statistics

    @property
    def bandwidth_statistics(self) -> BandwidthStatistics:
        """Rates as the system knows them now."""
        info = self._tcp_info()
        return bandwidth(info) if info is not None else BandwidthStatistics()


_NOWHERE = ("", 0)


def _name_of(get_address: Callable[[], Any]) -> tuple[Any, ...]:
    """Turn an address of Twisted's into what the system calls a socket name; others have no host."""
    try:
        address = get_address()
    except NotImplementedError:
        # The pipes to a process have no address.
        return _NOWHERE
    name = (getattr(address, "host", ""), getattr(address, "port", 0))
    return (*name, 0, address.scopeID) if isinstance(address, IPv6Address) else name


def _host(name: tuple[Any, ...]) -> HostName | None:
    """Take the host of a socket name, an IPv6 one with the index of its interface where it has one."""
    host = str(name[0]).partition("%")[0]
    return host_of(f"{host}%{name[3]}" if len(name) == 4 and name[3] else host)


def _port(name: tuple[Any, ...]) -> str:
    return str(name[1]) if name[1] else ""
