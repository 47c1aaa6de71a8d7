"""Contexts for TLS: one OpenSSL context for a configuration, for our own engine and for Twisted's TLS."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from ssl import TLSVersion
from typing import Any, NamedTuple

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.certificates._revocation import load_revocation_list
from winsockets.certificates._system import system_roots
from winsockets.errors import InvalidArgumentError
from winsockets.networking import HostName, HostNameType
from winsockets.networking._hostname import as_host_name
from winsockets.transports._tls_engine import NoCommonProtocol
from winsockets.transports._tls_verification import PeerVerification, checked_ignorable

__all__ = [
    "ClientCertificatePolicy",
    "TlsClientContext",
    "TlsClientCreator",
    "TlsServerContext",
    "VerifiedConnection",
]

_log = Logger(namespace="winsockets")

_VERSIONS = (TLSVersion.TLSv1, TLSVersion.TLSv1_1, TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# What TLS 1.0 and 1.1 have: SHA-1 everywhere, which OpenSSL allows at its lowest level only.
_OLD_CIPHERS = _CIPHERS + ":ECDHE+AES:@SECLEVEL=0"
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
_MOST_SESSIONS = 256
"""Sessions of one client context that are kept for the next connection: about 5 KiB each."""


class ClientCertificatePolicy(IntEnum):
    """What a server wants of the certificates of its clients."""

    NONE = 0
    """It does not ask for them."""
    REQUEST = 1
    """It asks; a client without one is welcome, one with a bad one is not."""
    REQUIRE = 2
    """It asks, and refuses clients without a good one."""


class _Kept(NamedTuple):
    session: SSL.Session
    verification: PeerVerification


class VerifiedConnection(SSL.Connection):
    """A connection of OpenSSL's that knows what is known of its peer.

    Attributes:
        verification: of this handshake.
        resumes: of the handshake whose session this one offers to go on with; None if it offers none.
        demands_certificate: whether a connection counts without a certificate of the peer.
        keep: called with the connection to keep its session; None if nobody wants it.
    """

    verification: PeerVerification
    resumes: PeerVerification | None = None
    demands_certificate = True
    keep: Callable[[VerifiedConnection], None] | None = None

    def verified(self) -> PeerVerification | None:
        """Say, when the handshake is over, what it stands on; None if the peer is to be refused.

        A handshake that goes on with a session shows no certificates: what counts is the one that began it.
        """
        if self.verification.accepted:
            return self.verification
        if self.verification.seen:
            return None
        if self.resumes is not None or self.demands_certificate:
            return self.resumes
        certificate = self.get_peer_certificate()
        if certificate is not None:
            # Of a client: OpenSSL has it from the session, which began with a certificate that was accepted.
            self.verification.accept_again(certificate)
        return self.verification

    def keep_session(self) -> None:
        """Keep the session for the next connection; called at an orderly end, when the tickets are there."""
        if self.keep is not None:
            self.keep(self)
            self.keep = None


def _judge(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's callback for every context; whatever is wrong with the call itself refuses the peer."""
    if not isinstance(connection, VerifiedConnection):
        return False
    return connection.verification.judge(certificate, code, depth, ok)


class _Common(NamedTuple):
    """What contexts of both roles have, checked."""

    minimum: TLSVersion
    maximum: TLSVersion
    protocols: tuple[bytes, ...]
    roots: tuple[x509.Certificate, ...]
    revocation_lists: tuple[x509.CertificateRevocationList, ...]

    def context(self, method: int, certificate: Certificate | None, purpose: str) -> SSL.Context:
        """Build an OpenSSL context.

        Raises:
            InvalidArgumentError: OpenSSL takes the certificate or its key for unusable.
        """
        context = SSL.Context(method)
        context.set_min_proto_version(self.minimum)
        context.set_max_proto_version(self.maximum)
        old = self.minimum < TLSVersion.TLSv1_2
        context.set_cipher_list((_OLD_CIPHERS if old else _CIPHERS).encode())
        context.set_options(_OPTIONS)
        # An idle connection does without its two buffers of a record each.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        if certificate is not None:
            key: Any = certificate._private_key_for(purpose)
            try:
                context.use_certificate(certificate._x509)
                for one in certificate.intermediates:
                    context.add_extra_chain_cert(one._x509)
                context.use_privatekey(key)
                context.check_privatekey()
            except SSL.Error as problem:
                raise InvalidArgumentError(
                    f"{purpose} with the certificate of {certificate.subject!r}: OpenSSL does not take it "
                    f"({problem}); get one with an RSA key of 2048 bits or an elliptic curve"
                ) from problem
        self._trust(context)
        return context

    def _trust(self, context: SSL.Context) -> None:
        store = context.get_cert_store()
        assert store is not None
        flags = X509StoreFlags.PARTIAL_CHAIN
        for root in self.roots:
            store.add_cert(X509.from_cryptography(root))
        for revoked in self.revocation_lists:
            store.add_crl(revoked)
            flags |= X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL
        store.set_flags(flags)


def _check(
    *,
    minimum: TLSVersion,
    maximum: TLSVersion,
    protocols: Sequence[str],
    trust_roots: Iterable[Certificate],
    exclusive_trust_roots: Iterable[Certificate],
    revocation_lists: Iterable[bytes],
) -> _Common:
    for name, version in (("minimum", minimum), ("maximum", maximum)):
        if version not in _VERSIONS:
            raise InvalidArgumentError(
                f"{name}: {version!r} is not offered; use TLSVersion.TLSv1_2 or TLSv1_3, or for old peers "
                "TLSv1 or TLSv1_1"
            )
    if minimum > maximum:
        raise InvalidArgumentError(
            f"minimum: {minimum.name} is above the maximum, {maximum.name}; lower the one or raise the other"
        )
    names = tuple(protocol.encode() for protocol in protocols)
    if not all(0 < len(name) < 256 for name in names):
        raise InvalidArgumentError(f"protocols: {list(protocols)!r} has a name not of 1 to 255 bytes")
    exclusive = tuple(root._x509 for root in exclusive_trust_roots)
    return _Common(
        minimum,
        maximum,
        names,
        exclusive or (*system_roots(), *(root._x509 for root in trust_roots)),
        tuple(map(load_revocation_list, revocation_lists)),
    )


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
        common = _check(
            minimum=minimum,
            maximum=maximum,
            protocols=protocols,
            trust_roots=trust_roots,
            exclusive_trust_roots=exclusive_trust_roots,
            revocation_lists=revocation_lists,
        )
        context = common.context(SSL.TLS_CLIENT_METHOD, certificate, "authenticate a client")
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
        if common.protocols:
            context.set_alpn_protos(list(common.protocols))
        self._context = context
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
        connection.verification = PeerVerification(host, ignorable)
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


@implementer(IOpenSSLServerConnectionCreator)
class TlsServerContext:
    """How a server speaks TLS: one for any number of listeners and connections.

    Args:
        certificate: for clients that ask for no name, or for one that is not in ``names``.
        names: certificates for other names; "*.example.com" is for all names one label longer.
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

    Sessions go on with tickets; their key is as old as the context. Source: IOpenSSLServerConnectionCreator;
    RFC 6066 section 3 (names); RFC 7301 section 3.2 (protocols).
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
        self._common = _check(
            minimum=minimum,
            maximum=maximum,
            protocols=protocols,
            trust_roots=trust_roots,
            exclusive_trust_roots=exclusive_trust_roots,
            revocation_lists=revocation_lists,
        )
        self._authorities = tuple(exclusive_trust_roots) or tuple(trust_roots) if asks else ()
        self._session_id = secrets.token_bytes(16)
        self._by_name = {_pattern(name): self._build(one) for name, one in (names or {}).items()}
        self._context = self._build(certificate)

    def _build(self, certificate: Certificate) -> SSL.Context:
        context = self._common.context(SSL.TLS_SERVER_METHOD, certificate, "serve TLS")
        context.set_session_id(self._session_id)
        if self._policy is ClientCertificatePolicy.REQUEST:
            context.set_verify(SSL.VERIFY_PEER, _judge)
        elif self._policy is ClientCertificatePolicy.REQUIRE:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
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
        connection.verification = PeerVerification(None, frozenset())
        # A client that goes on with a session was judged when the session began; OpenSSL demands it too.
        connection.demands_certificate = False
        return connection

    def __repr__(self) -> str:
        """Show what it wants of clients."""
        return f"<TlsServerContext, client certificates: {self._policy.name}>"


def _pattern(name: str) -> str:
    star = "*." if name.startswith("*.") else ""
    return star + as_host_name(name.removeprefix(star), "names").canonical_name
