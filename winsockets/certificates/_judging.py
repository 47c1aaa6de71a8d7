"""What is wrong with a path of certificates: every check on its own, so that all of it is found.

OpenSSL stops at the first error when it is asked through pyOpenSSL, and the verifier of `cryptography` says
that something is wrong, but not what. So each rule is checked here, and then OpenSSL is asked too: a path is
good only if both find nothing. Name constraints, with rules for each kind of name, are OpenSSL's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from OpenSSL import crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)

from winsockets.certificates._path import Path, is_self_issued, signature_problem
from winsockets.certificates._policies import has_demanded_policy
from winsockets.certificates._results import ChainValidationResult, result_of_verification_error

__all__ = ["find_problems", "has_usage", "has_weak_key", "has_weak_signature", "is_for_host", "may_sign"]

_R = ChainValidationResult
# What is looked at here or by OpenSSL; a critical extension that is not among them was looked at by nobody.
_KNOWN_EXTENSIONS = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
# The 112 bits that OpenSSL's security level 2, its default, demands of a TLS peer. Of signatures cryptography
# demands it itself: it checks none with MD5 or SHA-1.
_LEAST_RSA_BITS = 2048
_LEAST_CURVE_BITS = 224
_LEAST_HASH_BYTES = 28
# Found by OpenSSL too, at times under another name: where a check here has found one of these, OpenSSL's
# first error is that or a consequence of it.
_STRUCTURAL = frozenset(
    {
        _R.BASIC_CONSTRAINTS_ERROR,
        _R.INVALID_SIGNATURE,
        _R.OTHER_ERRORS,
        _R.UNKNOWN_CRITICAL_EXTENSION,
        _R.WRONG_USAGE,
    }
)
_CONSEQUENCES = _STRUCTURAL | {_R.UNTRUSTED, _R.INCOMPLETE_CHAIN}
# Of OpenSSL's flags; pyOpenSSL has no name for it.
_NO_CHECK_TIME = 0x200000


def find_problems(path: Path, at: datetime, usages: Iterable[str] = ()) -> frozenset[ChainValidationResult]:
    """Find everything that is wrong with a path, but for revocation and names.

    Args:
        path: what is judged.
        at: the time for which it is judged.
        usages: the enhanced key usages that it must be good for, all of them, as dotted numbers.
    """
    problems: set[ChainValidationResult] = set()
    if not path.is_trusted:
        problems.add(_R.UNTRUSTED if path.has_root else _R.INCOMPLETE_CHAIN)
    if not all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in path.certificates):
        problems.add(_R.EXPIRED)
    problems.update(_signature_problems(path), _issuer_problems(path.certificates))
    if not all(has_usage(path, usage) for usage in usages):
        problems.add(_R.WRONG_USAGE)
    if not has_demanded_policy(path.certificates):
        problems.add(_R.INVALID_CERTIFICATE_AUTHORITY_POLICY)
    if any(
        extension.critical and extension.oid not in _KNOWN_EXTENSIONS
        for one in path.certificates
        for extension in one.extensions
    ):
        problems.add(_R.UNKNOWN_CRITICAL_EXTENSION)
    if any(map(has_weak_key, path.certificates)):
        problems.add(_R.OTHER_ERRORS)
    objection = _openssl_problem(path.certificates, _R.UNKNOWN_CRITICAL_EXTENSION in problems)
    if objection is not None and not (objection in _CONSEQUENCES and problems & _STRUCTURAL):
        problems.add(objection)
    return frozenset(problems)


def _signature_problems(path: Path) -> Iterator[ChainValidationResult]:
    links = list(zip(path.certificates, path.certificates[1:], strict=False))
    top = path.certificates[-1]
    if not path.is_trusted and is_self_issued(top):
        links.append((top, top))
    for certificate, issuer in links:
        problem = signature_problem(certificate, issuer)
        if problem is not None:
            yield problem


def _issuer_problems(path: Sequence[x509.Certificate]) -> Iterator[ChainValidationResult]:
    """Check that everybody above the first certificate may issue certificates (RFC 5280 section 6.1.4)."""
    below = 0
    for issuer in path[1:]:
        try:
            constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            # Before version 3 there were no extensions; such roots are still about.
            if issuer.version is not x509.Version.v1 or issuer is not path[-1] or not is_self_issued(issuer):
                yield _R.BASIC_CONSTRAINTS_ERROR
        else:
            if not constraints.ca or (
                constraints.path_length is not None and below > constraints.path_length
            ):
                yield _R.BASIC_CONSTRAINTS_ERROR
        if not may_sign(issuer, "key_cert_sign"):
            yield _R.WRONG_USAGE
        below += not is_self_issued(issuer)


def may_sign(issuer: x509.Certificate, usage: str) -> bool:
    """Tell whether the key may sign certificates (``key_cert_sign``) or revocation lists (``crl_sign``)."""
    try:
        usages = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool(getattr(usages, usage))


def has_usage(path: Path, usage: str) -> bool:
    """Tell whether a path is good for an enhanced key usage, given as a dotted number.

    A certificate without the extension is good for all. What an intermediate authority leaves out, nobody
    below it can have; a root says nothing about it.
    """
    wanted = {x509.ObjectIdentifier(usage), ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    certificates = path.certificates
    if len(certificates) > 1 and path.has_root:
        certificates = certificates[:-1]
    for certificate in certificates:
        try:
            usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if wanted.isdisjoint(usages):
            return False
    return True


def has_weak_key(certificate: x509.Certificate) -> bool:
    """Tell whether a key has less than 112 bits of security, or is of an unknown kind."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return True
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return key.key_size < _LEAST_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.key_size < _LEAST_CURVE_BITS
    return not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def has_weak_signature(certificate: x509.Certificate) -> bool:
    """Tell whether the hash that was signed has less than 112 bits of security, or is unknown."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return True
    return algorithm is not None and algorithm.digest_size < _LEAST_HASH_BYTES


def _openssl_problem(path: Sequence[x509.Certificate], ignore_critical: bool) -> ChainValidationResult | None:
    """Ask OpenSSL about everything but trust, times, policies and revocation."""
    known = crypto.X509StoreFlags
    flags = known.PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        certificate, *above = map(crypto.X509.from_cryptography, path)
        store = crypto.X509Store()
        store.add_cert(above[-1] if above else certificate)
        store.set_flags(flags | known.IGNORE_CRITICAL if ignore_critical else flags)
        crypto.X509StoreContext(store, certificate, above[:-1]).verify_certificate()
    except crypto.X509StoreContextError as problem:
        return result_of_verification_error(problem.errors[0])
    except crypto.Error:
        return _R.OTHER_ERRORS
    return None


def is_for_host(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is for a host, by its subject alternative names alone (RFC 9525).

    Args:
        certificate: the certificate of the server.
        host: a DNS name in ASCII, or an address without brackets; an IPv6 zone does not count.
    """
    try:
        address = str(ip_address(host.partition("%")[0]))
    except ValueError:
        address = ""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    patterns: list[CertificatePattern] = []
    try:
        if address:
            addresses = names.get_values_for_type(x509.IPAddress)
            patterns += [
                IPAddressPattern(one) for one in addresses if isinstance(one, IPv4Address | IPv6Address)
            ]
            verify_service_identity(patterns, [IPAddress_ID(address)], [])
        else:
            patterns += _patterns(names.get_values_for_type(x509.DNSName))
            verify_service_identity(patterns, [DNS_ID(host.removesuffix("."))], [])
    except (VerificationError, CertificateError, ValueError):  # ValueError: the host is none
        return False
    return True


def _patterns(names: Iterable[str]) -> Iterator[DNSPattern]:
    """Take the names that can be one of a host; whatever else a certificate is for does not count."""
    for name in names:
        with suppress(CertificateError):
            yield DNSPattern.from_bytes(name.encode())
