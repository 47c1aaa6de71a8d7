"""How clients speak TLS: one OpenSSL context for a configuration, for our TLS layer and for Twisted's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from ssl import TLSVersion
from typing import Any, NamedTuple

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.networking import HostName, HostNameType
from winsockets.networking._hostname import as_host_name
from winsockets.transports._tls_connection import VerifiedConnection, judge
from winsockets.transports._tls_settings import check_settings
from winsockets.transports._tls_verification import PeerVerification, checked_ignorable

__all__ = ["TlsClientContext", "TlsClientCreator"]

_MOST_SESSIONS = 256
"""Sessions of one client context that are kept for the next connection: about 5 KiB each."""


class _Kept(NamedTuple):
    session: SSL.Session
    verification: PeerVerification


class TlsClientContext:
    """How a client speaks TLS: one for any number of hosts and connections.

    Args:
        certificate: what to show to servers that ask, with its private key and its chain.
        trust_roots: trusted besides the system's.
        exclusive_trust_roots: trusted instead of the system's, and instead of ``trust_roots``. Any
            certificate can be one, that of the server itself too.
        revocation_lists: in PEM or DER. With any, those of all authorities in a chain have to be there.
        minimum: the lowest version.
        maximum: the highest version.
        protocols: application protocols (ALPN) to offer, the preferred first.

    Raises:
        InvalidArgumentError: a version is not offered or the minimum is above the maximum, the certificate
            has no private key, a revocation list cannot be read, or the name of a protocol is empty.

    The system's roots are those of the time when it is made.
    """

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        trust_roots: Iterable[Certificate] = (),
        exclusive_trust_roots: Iterable[Certificate] = (),
        revocation_lists: Iterable[bytes] = (),
        minimum: TLSVersion = TLSVersion.TLSv1_2,
        maximum: TLSVersion = TLSVersion.TLSv1_3,
        protocols: Sequence[str] = (),
    ) -> None:
        common = check_settings(
            minimum=minimum,
            maximum=maximum,
            protocols=protocols,
            trust_roots=trust_roots,
            exclusive_trust_roots=exclusive_trust_roots,
            revocation_lists=revocation_lists,
        )
        context = common.context(SSL.TLS_CLIENT_METHOD, certificate, "authenticate a client")
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge)
        if common.protocols:
            context.set_alpn_protos(list(common.protocols))
        self._context = context
        self._strictly = common.is_lax
        self._sessions: OrderedDict[TlsClientCreator, _Kept] = OrderedDict()

    def for_host(
        self,
        host: HostName | str,
        port: int | str = "",
        ignorable: Iterable[ChainValidationResult] = (),
    ) -> TlsClientCreator:
        """Say to whom, and what may be wrong with its certificate.

        Args:
            host: whom the certificate has to be for: a name, or an address.
            port: tells services on one host apart, for going on with sessions.
            ignorable: errors in spite of which to connect.

        Returns:
            What makes the connections, for our TLS layer or for Twisted's.

        Raises:
            InvalidArgumentError: the host is no name, or an error cannot be ignored.
        """
        return TlsClientCreator(self, as_host_name(host, "host"), str(port), checked_ignorable(ignorable))


@implementer(IOpenSSLClientConnectionCreator)
class TlsClientCreator:
    """Makes the OpenSSL connections of a client to one host; comes from `TlsClientContext.for_host`.

    Equal ones share sessions: a later connection goes on with that of an earlier one, which saves the server
    a signature and both a chain of certificates. A session is used once.

    Source: IOpenSSLClientConnectionCreator; RFC 8446 section 2.2.
    """

    __slots__ = ("_identity", "_owner")

    def __init__(
        self,
        owner: TlsClientContext,
        host: HostName,
        port: str,
        ignorable: frozenset[ChainValidationResult],
    ) -> None:
        self._owner = owner
        self._identity = (host, port, ignorable)

    @property
    def host(self) -> HostName:
        """Whom the certificate has to be for."""
        return self._identity[0]

    def clientConnectionForTLS(self, tlsProtocol: Any) -> VerifiedConnection:
        """Make a connection.

        Args:
            tlsProtocol: whom it is for; not used.
        """
        host, _, ignorable = self._identity
        connection = VerifiedConnection(self._owner._context)
        connection.verification = PeerVerification(host, ignorable, strictly=self._owner._strictly)
        if host.type is HostNameType.DOMAIN_NAME:
            connection.set_tlsext_host_name(host.canonical_name.encode("ascii"))
        kept = self._owner._sessions.pop(self, None)
        if kept is not None:
            connection.set_session(kept.session)
            connection.resumes = kept.verification
        connection.keep = self._keep
        return connection

    def _keep(self, connection: VerifiedConnection) -> None:
        verification, session = connection.verified(), connection.get_session()
        if verification is None or session is None:
            return
        sessions = self._owner._sessions
        sessions[self] = _Kept(session, verification)
        sessions.move_to_end(self)
        if len(sessions) > _MOST_SESSIONS:
            sessions.popitem(last=False)

    def __eq__(self, other: object) -> bool:
        """Compare context, host, port, and what is ignored."""
        if not isinstance(other, TlsClientCreator):
            return NotImplemented
        return self._owner is other._owner and self._identity == other._identity

    def __hash__(self) -> int:
        """Hash alike what is equal."""
        return hash(self._identity)

    def __repr__(self) -> str:
        """Show the host."""
        return f"<TlsClientCreator for {self.host}>"
