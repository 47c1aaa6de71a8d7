"""From a certificate up to a root: which certificates lead there. Pure, with bounded work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from winsockets.certificates._results import ChainValidationResult

__all__ = ["Path", "find_paths", "is_self_issued", "signature_problem"]

_LONGEST_PATH = 10
"""Certificates in one path. The web has three or four, the longest of enterprises six or seven."""
_MOST_SIGNATURES = 100
"""Signatures that are checked in search of paths: whoever sends the certificates decides how many fit."""
_MOST_PATHS = 8
"""Paths that are looked at: one for each cross-signed way there usually is, and some."""


class Path(NamedTuple):
    """A certificate and its issuers.

    Attributes:
        certificates: the certificate, its issuer, and so on.
        is_trusted: the last one is among those that are trusted.
    """

    certificates: tuple[x509.Certificate, ...]
    is_trusted: bool

    @property
    def has_root(self) -> bool:
        """Whether the path ends as far up as it can."""
        return self.is_trusted or is_self_issued(self.certificates[-1])


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Tell whether it names itself as its issuer."""
    return certificate.subject == certificate.issuer


def signature_problem(
    certificate: x509.Certificate, issuer: x509.Certificate
) -> ChainValidationResult | None:
    """Check who signed a certificate.

    Returns:
        None if it was ``issuer``, INVALID_SIGNATURE if not, OTHER_ERRORS if that cannot be found out.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return ChainValidationResult.INVALID_SIGNATURE
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return ChainValidationResult.OTHER_ERRORS
    return None


def _key_identifiers_fit(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        wanted = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        there = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return True
    return wanted.key_identifier is None or wanted.key_identifier == there.digest


def find_paths(
    certificate: x509.Certificate, others: Iterable[x509.Certificate], trusted: Iterable[x509.Certificate]
) -> Iterator[Path]:
    """Find the ways up from a certificate, those through trusted certificates first.

    A certificate that is trusted ends its path. Where there is an issuer of the right name but none whose
    key made the signature, the path goes on through it, so that the signature is what is found wrong.

    Args:
        certificate: where the paths begin.
        others: certificates that may be on the way.
        trusted: certificates that a path may end at.
    """
    anchors = dict.fromkeys(trusted)
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for one in dict.fromkeys((*anchors, *others)):
        by_subject.setdefault(one.subject, []).append(one)
    signatures = _MOST_SIGNATURES

    def is_signed_by(one: x509.Certificate, other: x509.Certificate) -> bool:
        nonlocal signatures
        if signatures == 0:
            return False
        signatures -= 1
        return signature_problem(one, other) is None

    def issuers(one: x509.Certificate, below: tuple[x509.Certificate, ...]) -> list[x509.Certificate]:
        named = [
            other
            for other in by_subject.get(one.issuer, ())
            if other not in below and _key_identifiers_fit(one, other)
        ]
        real = [other for other in named if is_signed_by(one, other)]
        # A root is its own issuer, whoever else has its name.
        if real or (is_self_issued(one) and is_signed_by(one, one)):
            return real
        return named[:1]

    def climb(path: tuple[x509.Certificate, ...]) -> Iterator[Path]:
        top = path[-1]
        above = [] if top in anchors or len(path) == _LONGEST_PATH else issuers(top, path)
        if not above:
            yield Path(path, top in anchors)
        for other in above:
            yield from climb((*path, other))

    return islice(climb((certificate,)), _MOST_PATHS)
