"""How a StreamSocketListener speaks TLS: its certificates, and the handshakes under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from winsockets.certificates import Certificate
from winsockets.errors import InvalidArgumentError, SocketException
from winsockets.foundation import Limits
from winsockets.foundation._token_bucket import TokenBucket
from winsockets.networking import HostName
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._protection import as_level, versions
from winsockets.sockets._stream_control import StreamSocketListenerControl
from winsockets.transports import (
    ClientCertificatePolicy,
    StreamFactory,
    StreamProtocol,
    TlsFactory,
    TlsLayer,
    TlsServerContext,
)
from winsockets.transports._admission import Admission

__all__ = ["Handshakes", "HandshakingFactory", "TlsServing", "serving"]

_log = Logger(namespace="winsockets")

LOG_LINES_PER_SECOND = 20
"""More failed handshakes in a second are only counted, so that a storm of them does not fill the disk."""


@implementer(IOpenSSLServerConnectionCreator)
class TlsServing:
    """Makes the OpenSSL connections of a listener, with the certificates that it has at the time.

    Args:
        control: the listener's, before it is bound.
        level: the ceiling.

    Raises:
        InvalidArgumentError: the control contradicts itself or the level, or OpenSSL does not take a
            certificate.
    """

    def __init__(self, control: StreamSocketListenerControl, level: SocketProtectionLevel) -> None:
        kind = type(control)
        policy = control.client_certificate_policy
        trusted = _vouching(policy, kind.trusted_client_certificates._values_of(control))
        minimum, maximum = versions(level, control.min_protection_level)
        self._settings: dict[str, Any] = {
            "client_certificates": policy,
            "exclusive_trust_roots": trusted,
            "revocation_lists": kind.client_certificate_revocation_lists._values_of(control),
            "minimum": minimum,
            "maximum": maximum,
            "protocols": kind.application_protocols._values_of(control),
        }
        self.show(kind.server_certificates._values_of(control))

    def show(self, certificates: Sequence[Certificate]) -> None:
        """Show these certificates from the next connection on, for which nobody has a session yet.

        Raises:
            InvalidArgumentError: there are none, or OpenSSL does not take one; everything stays as it was.
        """
        self._context = self._make_context(certificates, self._settings)
        self._certificates = certificates

    def trust(self, roots: Sequence[Certificate]) -> None:
        """Let these vouch for clients from the next connection on; no session goes on then.

        Raises:
            InvalidArgumentError: there are none, and clients are asked for certificates; everything stays as
                it was.
        """
        trusted = _vouching(self._settings["client_certificates"], roots)
        self._change("exclusive_trust_roots", trusted)

    def revoke(self, lists: Sequence[bytes]) -> None:
        """Look clients up in these lists from the next connection on; no session goes on then."""
        self._change("revocation_lists", lists)

    def _change(self, name: str, value: object) -> None:
        settings = {**self._settings, name: value}
        self._context = self._make_context(self._certificates, settings)
        self._settings = settings

    def _make_context(
        self, certificates: Sequence[Certificate], settings: dict[str, Any]
    ) -> TlsServerContext:
        if not certificates:
            raise InvalidArgumentError(
                "control.server_certificates: a TLS listener has one at least; replace it by an assignment"
            )
        names = _names(certificates) if len(certificates) > 1 else {}
        return TlsServerContext(certificates[0], names=names, **settings)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Make a connection."""
        return self._context.serverConnectionForTLS(tlsProtocol)


def _vouching(policy: ClientCertificatePolicy, roots: Sequence[Certificate]) -> Sequence[Certificate]:
    if policy is not ClientCertificatePolicy.NONE and not roots:
        raise InvalidArgumentError(
            f"control.client_certificate_policy is {policy.name} and control.trusted_client_certificates "
            "is empty, so no client's certificate would be accepted; put the root of the clients into it"
        )
    return roots


def _names(certificates: Sequence[Certificate]) -> dict[str, Certificate]:
    """Give each name the first certificate that is for it."""
    names: dict[str, Certificate] = {}
    for certificate in certificates:
        for name in certificate.subject_alternative_name.dns_name:
            try:
                HostName(name.removeprefix("*."))
            except InvalidArgumentError:
                # Nobody can ask for what is no name of a host.
                continue
            names.setdefault(name, certificate)
    return names


def serving(control: StreamSocketListenerControl, protection_level: int | None) -> TlsServing | None:
    """Find out whether a listener is to speak TLS, and how.

    Args:
        control: the listener's.
        protection_level: the ceiling; None for UNSPECIFIED, or PLAIN_SOCKET without certificates.

    Returns:
        None for a plain listener.

    Raises:
        InvalidArgumentError: a level is not offered; a TLS level without a certificate, or PLAIN_SOCKET with
            one; or as `TlsServing`.
    """
    certificates = type(control).server_certificates._values_of(control)
    level = None if protection_level is None else as_level(protection_level)
    if level is None or level is SocketProtectionLevel.PLAIN_SOCKET:
        if not certificates:
            return None
        if level is not None:
            raise InvalidArgumentError(
                "protection_level: control.server_certificates are for TLS, and PLAIN_SOCKET is without it; "
                "leave the one or the other out"
            )
    elif not certificates:
        raise InvalidArgumentError(
            f"protection_level: {level.name} needs a certificate; put one into control.server_certificates"
        )
    return TlsServing(control, level if level is not None else SocketProtectionLevel.UNSPECIFIED)


class Handshakes:
    """The TLS handshakes of a listener that are under way: they are bounded, and their failures counted.

    Args:
        admission: accepts nobody while there are ``limits.handshakes``.
        limits: ``handshakes`` counts here.
        announce: called with the protocol of each connection whose handshake is done.
        failed: called for each that failed.
        clock: counts the seconds of the log.
    """

    def __init__(
        self,
        admission: Admission,
        limits: Limits,
        announce: Callable[[StreamProtocol], None],
        failed: Callable[[], None],
        clock: IReactorTime,
    ) -> None:
        self._admission = admission
        self._most = limits.handshakes
        self._announce = announce
        self._count_failed = failed
        self._under_way: set[TlsLayer] = set()
        self._closed = False
        self._clock = clock
        self._log_lines = TokenBucket(LOG_LINES_PER_SECOND, LOG_LINES_PER_SECOND, clock.seconds())
        self._unlogged = 0

    def began(self, layer: TlsLayer) -> None:
        """Hear of a connection."""
        self._under_way.add(layer)
        if len(self._under_way) >= self._most:
            self._admission.hold("handshakes")

    def connected(self, protocol: StreamProtocol) -> None:
        """Hear of a handshake that is done."""
        layer: Any = protocol.transport
        self._over(layer)
        self._announce(protocol)

    def failed(self, layer: TlsLayer, problem: SocketException) -> None:
        """Hear of one that failed."""
        self._over(layer)
        if self._closed:
            return
        self._count_failed()
        if not self._log_lines.take(self._clock.seconds()):
            self._unlogged += 1
            return
        self._log_the_others()
        _log.info("A client did not get in: {problem}", problem=problem)

    def _log_the_others(self) -> None:
        count, self._unlogged = self._unlogged, 0
        if count:
            _log.info("{count} more clients did not get in, without a line of their own", count=count)

    def _over(self, layer: TlsLayer) -> None:
        self._under_way.discard(layer)
        self._admission.release("handshakes")

    def close(self) -> None:
        """Break off those under way: nobody waits for them any more."""
        self._closed = True
        self._log_the_others()
        for layer in tuple(self._under_way):
            layer.abortConnection()


class HandshakingFactory(TlsFactory):
    """Builds the TLS layer of each connection that a listener accepts.

    Args:
        creator: how the listener speaks TLS.
        handshakes: to be told of each.
        reactor: keeps the deadlines.
        limits: the bounds of each connection.
        require_close_notify: as for `TlsFactory`.
    """

    def __init__(
        self,
        creator: TlsServing,
        handshakes: Handshakes,
        *,
        reactor: Any,
        limits: Limits,
        require_close_notify: bool,
    ) -> None:
        super().__init__(
            creator,
            StreamFactory(reactor, limits, handshakes.connected),
            server=True,
            reactor=reactor,
            limits=limits,
            require_close_notify=require_close_notify,
            on_failed=handshakes.failed,
        )
        self._handshakes = handshakes

    def buildProtocol(self, addr: IAddress | None) -> TlsLayer | None:
        """Build one."""
        layer = super().buildProtocol(addr)
        if layer is not None:
            self._handshakes.began(layer)
        return layer
