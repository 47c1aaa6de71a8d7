"""How servers speak TLS: one OpenSSL context for a certificate, for our TLS layer and for Twisted's."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from ssl import TLSVersion
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from winsockets.certificates import Certificate
from winsockets.networking._hostname import as_host_name
from winsockets.transports._tls_connection import VerifiedConnection, judge
from winsockets.transports._tls_engine import NoCommonProtocol
from winsockets.transports._tls_settings import check_settings
from winsockets.transports._tls_verification import PeerVerification

__all__ = ["ClientCertificatePolicy", "TlsServerContext"]

_log = Logger(namespace="winsockets")


class ClientCertificatePolicy(IntEnum):
    """What a server wants of the certificates of its clients."""

    NONE = 0
    """It does not ask for them."""
    REQUEST = 1
    """It asks; a client without one is welcome, one with a bad one is not."""
    REQUIRE = 2
    """It asks, and refuses clients without a good one."""


@implementer(IOpenSSLServerConnectionCreator)
class TlsServerContext:
    """How a server speaks TLS: one for any number of listeners and connections.

    Args:
        certificate: for clients that ask for no name, or for one that is not in ``names``.
        names: certificates for other names; ``*.example.com`` is for all names one label longer.
        client_certificates: whether clients have to show one.
        trust_roots: for clients, trusted besides the system's.
        exclusive_trust_roots: for clients, trusted instead of the system's, and instead of ``trust_roots``.
        revocation_lists: for clients, in PEM or DER.
        minimum: the lowest version.
        maximum: the highest version.
        protocols: application protocols (ALPN) that it speaks, the preferred first. A client that offers
            none of them is refused; one that offers nothing is not.

    Raises:
        InvalidArgumentError: as for `TlsClientContext`; or a name is no name of a host.

    Sessions go on with tickets, and nothing is kept here; their key is as old as the context. Source:
    IOpenSSLServerConnectionCreator; RFC 6066 section 3 (names); RFC 7301 section 3.2 (protocols).
    """

    def __init__(
        self,
        certificate: Certificate,
        *,
        names: Mapping[str, Certificate] | None = None,
        client_certificates: ClientCertificatePolicy = ClientCertificatePolicy.NONE,
        trust_roots: Iterable[Certificate] = (),
        exclusive_trust_roots: Iterable[Certificate] = (),
        revocation_lists: Iterable[bytes] = (),
        minimum: TLSVersion = TLSVersion.TLSv1_2,
        maximum: TLSVersion = TLSVersion.TLSv1_3,
        protocols: Sequence[str] = (),
    ) -> None:
        self._policy = ClientCertificatePolicy(client_certificates)
        asks = self._policy is not ClientCertificatePolicy.NONE
        if not asks:
            # Nobody is judged, so nobody need be trusted.
            trust_roots, exclusive_trust_roots, revocation_lists = (), (certificate,), ()
        self._common = check_settings(
            minimum=minimum,
            maximum=maximum,
            protocols=protocols,
            trust_roots=trust_roots,
            exclusive_trust_roots=exclusive_trust_roots,
            revocation_lists=revocation_lists,
        )
        self._authorities = tuple(exclusive_trust_roots) or tuple(trust_roots) if asks else ()
        self._session_id = secrets.token_bytes(16)
        built: dict[int, SSL.Context] = {id(certificate): self._build(certificate)}
        for one in (names or {}).values():
            if id(one) not in built:
                built[id(one)] = self._build(one)
        self._by_name = {_pattern(name): built[id(one)] for name, one in (names or {}).items()}
        self._context = built[id(certificate)]

    def _build(self, certificate: Certificate) -> SSL.Context:
        context = self._common.context(SSL.TLS_SERVER_METHOD, certificate, "serve TLS")
        context.set_session_id(self._session_id)
        # Sessions are the clients' to keep, in tickets. Of those who want none OpenSSL would keep 20,000
        # here, with their certificates.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        if self._policy is ClientCertificatePolicy.REQUEST:
            context.set_verify(SSL.VERIFY_PEER, judge)
        elif self._policy is ClientCertificatePolicy.REQUIRE:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge)
        for authority in self._authorities:
            context.add_client_ca(authority._x509)
        if self._common.protocols:
            context.set_alpn_select_callback(self._choose_protocol)
        context.set_tlsext_servername_callback(self._choose_certificate)
        return context

    def _choose_certificate(self, connection: SSL.Connection) -> None:
        if not self._by_name:
            return
        try:
            asked = connection.get_servername()
            if asked is None:
                return
            name = asked.decode("ascii", "replace").lower().removesuffix(".")
            context = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
            if context is not None:
                connection.set_context(context)
        except Exception:
            _log.failure("Choosing the certificate for a TLS client failed; the client is refused")
            raise

    def _choose_protocol(self, connection: SSL.Connection, offered: list[bytes]) -> bytes:
        for protocol in self._common.protocols:
            if protocol in offered:
                return protocol
        raise NoCommonProtocol

    def serverConnectionForTLS(self, tlsProtocol: Any) -> VerifiedConnection:
        """Make a connection.

        Args:
            tlsProtocol: whom it is for; not used.
        """
        connection = VerifiedConnection(self._context)
        connection.verification = PeerVerification(None, frozenset(), strictly=self._common.is_lax)
        connection.server = True
        connection.demands_certificate = self._policy is ClientCertificatePolicy.REQUIRE
        return connection

    def __repr__(self) -> str:
        """Show what it wants of clients."""
        return f"<TlsServerContext, client certificates: {self._policy.name}>"


def _pattern(name: str) -> str:
    star = "*." if name.startswith("*.") else ""
    return star + as_host_name(name.removeprefix(star), "names").canonical_name
