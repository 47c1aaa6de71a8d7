"""What TLS contexts of both roles have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ssl import TLSVersion
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags

from winsockets.certificates import Certificate
from winsockets.certificates._judging import has_weak_key
from winsockets.certificates._revocation import load_revocation_list
from winsockets.certificates._system import system_roots
from winsockets.errors import InvalidArgumentError

__all__ = ["TlsSettings", "check_settings", "signing_key"]

_VERSIONS = (TLSVersion.TLSv1, TLSVersion.TLSv1_1, TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# What TLS 1.0 and 1.1 have: SHA-1 everywhere, which OpenSSL allows at its lowest level only.
_OLD_CIPHERS = _CIPHERS + ":ECDHE+AES:@SECLEVEL=0"
_MOST_PROTOCOLS = 32 * 1024
"""Bytes of the names of application protocols: half of what is there for all extensions."""
# RFC 8446 section 4.2.3 and RFC 8734. There were signatures with other curves, and nobody takes them now.
_CURVES = (
    ec.SECP256R1,
    ec.SECP384R1,
    ec.SECP521R1,
    ec.BrainpoolP256R1,
    ec.BrainpoolP384R1,
    ec.BrainpoolP512R1,
)
_SIGNING_KEYS = (rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE


@lru_cache(maxsize=1024)
def _as_openssl(certificate: x509.Certificate) -> X509:
    """Give OpenSSL's form of a root; the few hundred of the system take 30 ms, and so only once."""
    return X509.from_cryptography(certificate)


def signing_key(certificate: Certificate, purpose: str) -> PrivateKeyTypes:
    """Give the private key of a certificate, with which a handshake can be signed.

    Args:
        certificate: whose key.
        purpose: a phrase for messages.

    Raises:
        InvalidArgumentError: there is none, or none of a kind that TLS signs with.

    Source: RFC 8446 section 4.2.3.
    """
    key = certificate._private_key_for(purpose)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        kind, is_good = f"the curve {key.curve.name}", isinstance(key.curve, _CURVES)
    else:
        kind, is_good = f"the kind {certificate.key_algorithm_name}", isinstance(key, _SIGNING_KEYS)
    if not is_good:
        raise InvalidArgumentError(
            f"{purpose} with the certificate of {certificate.subject!r}: its key is of {kind}, with which no "
            "TLS is signed any more; get one with the curve P-256, or with RSA"
        )
    return key


class TlsSettings(NamedTuple):
    """What contexts of both roles have, checked."""

    minimum: TLSVersion
    maximum: TLSVersion
    protocols: tuple[bytes, ...]
    roots: tuple[x509.Certificate, ...]
    revocation_lists: tuple[x509.CertificateRevocationList, ...]

    @property
    def is_lax(self) -> bool:
        """Whether OpenSSL takes whatever is weak: TLS 1.0 and 1.1 cannot be had otherwise."""
        return self.minimum < TLSVersion.TLSv1_2

    def context(self, method: int, certificate: Certificate | None, purpose: str) -> SSL.Context:
        """Build an OpenSSL context.

        Raises:
            InvalidArgumentError: OpenSSL takes the certificate or its key for unusable.
        """
        context = SSL.Context(method)
        context.set_min_proto_version(self.minimum)
        context.set_max_proto_version(self.maximum)
        context.set_cipher_list((_OLD_CIPHERS if self.is_lax else _CIPHERS).encode())
        context.set_options(_OPTIONS)
        # An idle connection does without its two buffers of a record each.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        if certificate is not None:
            key: Any = signing_key(certificate, purpose)
            weak = [one for one in certificate.intermediates if has_weak_key(one._x509)]
            if weak and not self.is_lax:
                # OpenSSL would say so in each handshake.
                raise InvalidArgumentError(
                    f"{purpose} with the certificate of {certificate.subject!r}: the key of "
                    f"{weak[0].subject!r}, which is in its chain, is weak; get one from another authority"
                )
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
            store.add_cert(_as_openssl(root))
        for revoked in self.revocation_lists:
            store.add_crl(revoked)
            flags |= X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL
        store.set_flags(flags)


def check_settings(
    *,
    minimum: TLSVersion,
    maximum: TLSVersion,
    protocols: Sequence[str],
    trust_roots: Iterable[Certificate],
    exclusive_trust_roots: Iterable[Certificate],
    revocation_lists: Iterable[bytes],
) -> TlsSettings:
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
    if sum(len(name) + 1 for name in names) > _MOST_PROTOCOLS:
        raise InvalidArgumentError(
            f"protocols: {len(names)} names of more than {_MOST_PROTOCOLS} bytes in all are more than the "
            "first message of a handshake has room for; offer fewer"
        )
    exclusive = tuple(root._x509 for root in exclusive_trust_roots)
    return TlsSettings(
        minimum,
        maximum,
        names,
        exclusive or (*system_roots(), *(root._x509 for root in trust_roots)),
        tuple(map(load_revocation_list, revocation_lists)),
    )
