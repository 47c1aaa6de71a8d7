"""Whether the certificates of a path were revoked, by the lists that are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from winsockets.certificates._encodings import is_pem
from winsockets.certificates._judging import may_sign
from winsockets.certificates._loading import UNREADABLE
from winsockets.certificates._path import Path
from winsockets.certificates._results import ChainValidationResult
from winsockets.errors import InvalidArgumentError

__all__ = ["load_revocation_list", "revocation_problems"]

_R = ChainValidationResult


def load_revocation_list(data: bytes) -> x509.CertificateRevocationList:
    """Read a certificate revocation list, PEM or DER.

    Raises:
        InvalidArgumentError: it is none, or malformed.
    """
    try:
        load = x509.load_pem_x509_crl if is_pem(data) else x509.load_der_x509_crl
        found = load(data)
        _ = found.issuer, found.extensions, found.last_update_utc, found.next_update_utc
    except UNREADABLE as problem:
        raise InvalidArgumentError(
            f"read a revocation list: it is none, or damaged ({problem}); give the bytes of one, PEM or DER"
        ) from problem
    return found


def revocation_problems(
    path: Path, lists: Sequence[x509.CertificateRevocationList], at: datetime, demanded: bool
) -> Iterator[ChainValidationResult]:
    """Look every certificate but the root up in the lists of its issuer.

    Args:
        path: whose certificates are looked up.
        lists: what there is, of whatever issuers.
        at: the time at which a list must be in force.
        demanded: there must be a list for each of them.

    Yields:
        REVOKED for a certificate that is on a list, also one that is no longer in force;
        REVOCATION_FAILURE when there are lists for it but none that can be relied upon;
        REVOCATION_INFORMATION_MISSING when there must be one and is not.
    """
    for place, certificate in enumerate(path.certificates):
        if certificate is path.certificates[-1]:
            if not path.has_root and demanded:
                yield _R.REVOCATION_INFORMATION_MISSING
            return
        issuer = path.certificates[place + 1]
        own = [one for one in lists if one.issuer == issuer.subject and _covers(one, certificate)]
        authentic = [one for one in own if _is_authentic(one, issuer)]
        if any(one.get_revoked_certificate_by_serial_number(certificate.serial_number) for one in authentic):
            yield _R.REVOKED
        if any(_is_in_force(one, at) for one in authentic):
            continue
        if own:
            yield _R.REVOCATION_FAILURE
        elif demanded:
            yield _R.REVOCATION_INFORMATION_MISSING


def _covers(found: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Tell whether a list is about certificates of this kind (RFC 5280 section 5.2.5)."""
    try:
        scope = found.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if scope.only_contains_attribute_certs or not _is_distributed_at(certificate, scope):
        return False
    return not (scope.only_contains_user_certs if is_authority else scope.only_contains_ca_certs)


def _is_distributed_at(certificate: x509.Certificate, scope: x509.IssuingDistributionPoint) -> bool:
    """Tell whether a list that is one of several parts is the part that the certificate names."""
    if scope.full_name is None and scope.relative_name is None:
        return True
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return False
    return any(not set(point.full_name or ()).isdisjoint(scope.full_name or ()) for point in points)


def _is_authentic(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Tell whether a list is the issuer's own, and says everything about its certificates."""
    for extension in found.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            return False
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            if extension.value.indirect_crl or extension.value.only_some_reasons is not None:
                return False
        elif extension.critical:
            return False
    if not may_sign(issuer, "crl_sign"):
        return False
    try:
        return found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # TypeError for other keys
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _is_in_force(found: x509.CertificateRevocationList, at: datetime) -> bool:
    until = found.next_update_utc
    return found.last_update_utc <= at and until is not None and at <= until
