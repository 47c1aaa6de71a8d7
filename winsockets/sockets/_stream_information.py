"""What a StreamSocket knows about its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv6Address

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.networking import HostName
from winsockets.sockets._kinds import SocketProtectionLevel, SocketSslErrorSeverity
from winsockets.sockets._link import Link
from winsockets.sockets._protection import level_of
from winsockets.sockets._statistics import (
    BandwidthReadings,
    BandwidthStatistics,
    RoundTripTimeStatistics,
    round_trips,
)
from winsockets.streams import IBuffer
from winsockets.transports import PeerVerification, TlsLayer
from winsockets.transports._tcp_info import TcpInfo

__all__ = ["StreamSocketInformation", "host_of"]


def host_of(name: str) -> HostName | None:
    """Make the HostName of a socket address's first part; None where there is none."""
    return HostName(name) if name else None


class StreamSocketInformation:
    """Addresses, names, protection and statistics of one StreamSocket.

    Everything can be read at any time: before the connection addresses and names are None, ports and
    services "", and after its end they stay what they were. The statistics are all 0 then. What is known of
    a server's certificate is there after a failed handshake too, until the next attempt.

    Source: WinRT StreamSocketInformation.
    """

    _names: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None
    # Of a connect that failed.
    _refused: PeerVerification | None = None

    def __init__(self, link: Link) -> None:
        self._link = link
        # Set by the socket once it is connected.
        self._asked_for: tuple[HostName, str] | None = None
        self._round_trips = RoundTripTimeStatistics()
        self._bandwidth: BandwidthReadings | None = None

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

    def _layer(self, *, server: bool) -> TlsLayer | None:
        """Return what speaks TLS, if something does and its role is the given one."""
        protocol = self._link.protocol
        layer: Any = protocol.transport if protocol is not None else None
        return layer if isinstance(layer, TlsLayer) and layer.is_server is server else None

    def _server_verification(self) -> PeerVerification | None:
        layer = self._layer(server=False)
        return layer.verification if layer is not None else self._refused

    @property
    def protection_level(self) -> SocketProtectionLevel:
        """The version of TLS that was negotiated; PLAIN_SOCKET without TLS.

        And with TLS that is not ours but in the transport, such as that of Twisted's endpoints.
        """
        layer = self._layer(server=False) or self._layer(server=True)
        if layer is None or layer.information is None:
            return SocketProtectionLevel.PLAIN_SOCKET
        return level_of(layer.information.version)

    @property
    def application_protocol(self) -> str:
        """The application protocol (ALPN) that was agreed upon, "" if none was (an addition to WinRT)."""
        layer = self._layer(server=False) or self._layer(server=True)
        return layer.information.protocol if layer is not None and layer.information is not None else ""

    @property
    def server_certificate(self) -> Certificate | None:
        """The certificate that the server showed, also in a handshake that failed; None otherwise."""
        verification = self._server_verification()
        return verification.certificate if verification is not None else None

    @property
    def server_intermediate_certificates(self) -> tuple[Certificate, ...]:
        """Those between the server's and the root, as far as they are known, from its issuer upwards."""
        verification = self._server_verification()
        return verification.intermediates if verification is not None else ()

    @property
    def server_certificate_errors(self) -> tuple[ChainValidationResult, ...]:
        """What is wrong with the server's certificate, the worst first; also what was ignored."""
        verification = self._server_verification()
        return verification.results if verification is not None else ()

    @property
    def server_certificate_error_severity(self) -> SocketSslErrorSeverity:
        """NONE, IGNORABLE if all errors can be ignored, FATAL if one cannot."""
        verification = self._server_verification()
        return SocketSslErrorSeverity(verification.severity if verification is not None else 0)

    @property
    def client_certificate(self) -> Certificate | None:
        """On an accepted socket the certificate that the client showed, which was verified.

        None if it showed none, and on all other sockets. An addition to WinRT.
        """
        layer = self._layer(server=True)
        verification = layer.verification if layer is not None else None
        return verification.certificate if verification is not None else None

    @property
    def session_key(self) -> IBuffer | None:
        """Always None: it belongs to proximity connections."""
        return None

    def _tcp_info(self) -> TcpInfo | None:
        protocol = self._link.protocol
        return getattr(protocol.transport, "tcp_info", None) if protocol is not None else None

    @property
    def round_trip_time_statistics(self) -> RoundTripTimeStatistics:
        """Round trip times as the system knows them now, and knew them at earlier readings."""
        info = self._tcp_info()
        if info is None:
            return RoundTripTimeStatistics()
        self._round_trips = round_trips(info, self._round_trips)
        return self._round_trips

    @property
    def bandwidth_statistics(self) -> BandwidthStatistics:
        """Rates as the system knows them now, and since the reading before.

        Read it now and then during a transfer to see how the rates vary.
        """
        info = self._tcp_info()
        if info is None:
            return BandwidthStatistics()
        if self._bandwidth is None:
            self._bandwidth = BandwidthReadings(self._link.since)
        return self._bandwidth.take(info, self._link.now())


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
