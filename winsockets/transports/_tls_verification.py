"""Judging the certificates of a TLS peer: all that is wrong is collected, then it is decided once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate
from twisted.logger import Logger

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.certificates._judging import has_weak_key, has_weak_signature, is_for_host
from winsockets.certificates._loading import Contents, load_x509
from winsockets.certificates._path import is_self_issued
from winsockets.certificates._results import (
    IGNORABLE_RESULTS,
    in_order,
    result_of_verification_error,
    row_of_result,
)
from winsockets.errors import InvalidArgumentError, SocketException
from winsockets.errors._tls_table import TlsFault, tls_error
from winsockets.networking import HostName, HostNameType

__all__ = ["CertificateProblem", "PeerVerification", "checked_ignorable"]

_log = Logger(namespace="winsockets")

_UNSPECIFIED = 1
_HOSTNAME_MISMATCH = 62
_EE_KEY_TOO_SMALL, _CA_KEY_TOO_SMALL, _CA_MD_TOO_WEAK = 66, 67, 68
_IP_ADDRESS_MISMATCH = 64
_MISMATCHES = frozenset({_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH})


class CertificateProblem(NamedTuple):
    """One thing that is wrong with a chain of certificates.

    Attributes:
        result: what it means.
        code: OpenSSL's verification error (X509_V_ERR).
        depth: which certificate: 0 is the peer's own, 1 that of its issuer, and so on.
    """

    result: ChainValidationResult
    code: int
    depth: int


def checked_ignorable(results: Iterable[ChainValidationResult | int]) -> frozenset[ChainValidationResult]:
    """Accept what a program may ask to connect in spite of.

    Raises:
        InvalidArgumentError: something is no ChainValidationResult, or cannot be ignored.
    """
    wanted = []
    for result in results:
        try:
            wanted.append(ChainValidationResult(result))
        except ValueError as problem:
            raise InvalidArgumentError(
                f"ignorable errors: {result!r} is not a ChainValidationResult"
            ) from problem
    fatal = [result.name for result in wanted if result not in IGNORABLE_RESULTS]
    if fatal:
        raise InvalidArgumentError(
            f"ignorable errors: {', '.join(fatal)} cannot be ignored; leave them out "
            f"(can be: {', '.join(result.name for result in sorted(IGNORABLE_RESULTS))})"
        )
    return frozenset(wanted)


class PeerVerification:
    """What the certificates of one TLS peer are, and what is wrong with them.

    Readable during the handshake, after it, and after one that failed.

    Args:
        host: whom the certificate has to be for; None for anybody, as for the clients of a server.
        ignorable: what does not matter; checked before.
        strictly: look at the strength of keys and signatures here, for a context of which OpenSSL does not.

    Source: WinRT StreamSocketInformation (the server certificate's properties); RFC 9525.
    """

    def __init__(
        self, host: HostName | None, ignorable: frozenset[ChainValidationResult], *, strictly: bool = False
    ) -> None:
        self._host = host
        self._ignorable = ignorable
        self._strictly = strictly
        self._chain: dict[int, X509] = {}
        self._problems: list[CertificateProblem] = []
        self._judged = False
        self._is_below = False
        self._failure: Exception | None = None

    @property
    def seen(self) -> bool:
        """Whether the peer showed a certificate in this handshake."""
        return bool(self._chain) or self._failure is not None

    @property
    def accepted(self) -> bool:
        """Whether the certificate was judged, and good enough."""
        return self._judged and self._failure is None and self._ignorable.issuperset(self.results)

    @property
    def problems(self) -> tuple[CertificateProblem, ...]:
        """Everything that is wrong, in the order of finding it; also what was ignored."""
        return tuple(self._problems)

    @property
    def results(self) -> tuple[ChainValidationResult, ...]:
        """What is wrong, each once, the worst first; empty if nothing is."""
        return in_order(problem.result for problem in self._problems) if self._problems else ()

    @property
    def severity(self) -> int:
        """0 if nothing is wrong, 1 if all of it can be ignored, 2 if something cannot.

        Source: WinRT SocketSslErrorSeverity.
        """
        if self._failure is not None:
            return 2
        return max((1 if result in IGNORABLE_RESULTS else 2 for result in self.results), default=0)

    @property
    def certificate(self) -> Certificate | None:
        """The peer's certificate, as it was shown; None if there was none or it cannot be read."""
        return _readable(self._chain.get(0))

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """Those between it and the root, as far as they are known, from its issuer upwards."""
        others = (_readable(self._chain[depth]) for depth in sorted(self._chain) if depth)
        return tuple(one for one in others if one is not None and not is_self_issued(one._x509))

    def judge(self, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """Hear from OpenSSL about one certificate, and say whether to go on.

        It tells errors as it finds them, and each certificate from the root down to the peer's own without an
        error. After that it tells but what is against the names that an authority is constrained to. A client
        is refused with its first error. Whatever is raised here refuses the peer.
        """
        try:
            self._chain[depth] = certificate
            if not ok:
                self._problems.append(CertificateProblem(result_of_verification_error(code), code, depth))
                # Nobody asks for all that is wrong with a client; refused at once, it gets the alert for it.
                return self._host is not None and (self.accepted or not self._judged)
            if self._strictly:
                self._look_for_weakness(certificate, depth)
            if depth:
                return True
            self._look_at(certificate)
            self._judged = True
            return self.accepted
        except Exception as problem:
            self._failure = problem
            _log.failure("The verification of a TLS peer's certificate failed; the peer is refused")
            return False

    def accept_again(self, certificate: X509) -> None:
        """Take the certificate that was accepted when the session began that goes on."""
        self._chain = {0: certificate}
        self._judged = True

    def _look_at(self, certificate: X509) -> None:
        """Check what OpenSSL does not: that every part can be read, and the name."""
        try:
            own = _read(certificate)
        except InvalidArgumentError:
            problem = CertificateProblem(ChainValidationResult.OTHER_ERRORS, _UNSPECIFIED, 0)
            self._problems.append(problem)
        else:
            self._check_name(own)

    def _look_for_weakness(self, certificate: X509, depth: int) -> None:
        """Check what OpenSSL does not at its lowest level."""
        # It begins with the one that is trusted, whose signature is nobody's to judge.
        is_trusted, self._is_below = not self._is_below, True
        try:
            one = _read(certificate)
        except InvalidArgumentError:
            code = _UNSPECIFIED
        else:
            if has_weak_key(one):
                code = _CA_KEY_TOO_SMALL if depth else _EE_KEY_TOO_SMALL
            elif not is_trusted and has_weak_signature(one):
                code = _CA_MD_TOO_WEAK
            else:
                return
        self._problems.append(CertificateProblem(ChainValidationResult.OTHER_ERRORS, code, depth))

    def _check_name(self, certificate: x509.Certificate) -> None:
        host = self._host
        if host is None or is_for_host(certificate, host.canonical_name):
            return
        is_name = host.type is HostNameType.DOMAIN_NAME
        code = _HOSTNAME_MISMATCH if is_name else _IP_ADDRESS_MISMATCH
        self._problems.append(CertificateProblem(ChainValidationResult.INVALID_NAME, code, 0))

    def refusal(self, action: str) -> SocketException:
        """Make the exception for a certificate that was not accepted.

        Args:
            action: what was attempted, and with whom.
        """
        if self._failure is not None:
            problem = tls_error(TlsFault.OWN_FAILURE, action)
            problem.__cause__ = self._failure
            return problem
        results = [result for result in self.results if result not in self._ignorable]
        if not results:
            return tls_error(TlsFault.CERTIFICATE_REFUSED, action)
        row = row_of_result(results[0])
        certificate = self.certificate
        whose = (
            f"the certificate of {certificate.subject!r}" if certificate is not None else "the certificate"
        )
        more = f" (and {', '.join(result.name for result in results[1:])})" if results[1:] else ""
        meaning, advice = row.meaning, row.advice
        if results[0] is ChainValidationResult.INVALID_NAME:
            if {problem.code for problem in self._problems}.isdisjoint(_MISMATCHES):
                meaning = "an authority above it may not issue for its names (name constraints)"
                advice = "let an authority issue it that may"
            elif certificate is not None:
                meaning = f"{meaning}, not for {self._host}"
        return SocketException(
            f"{action}: {whose} was not accepted: {meaning}{more}; {advice}", hresult=row.hresult
        )

    def __repr__(self) -> str:
        """Show the outcome."""
        found = ", ".join(result.name for result in self.results) or "nothing wrong"
        return f"<PeerVerification {'accepted' if self.accepted else 'not accepted'}: {found}>"


def _read(certificate: X509) -> x509.Certificate:
    """Give `cryptography`'s form, of which every part can be read.

    Raises:
        InvalidArgumentError: a part cannot be.
    """
    return load_x509(dump_certificate(FILETYPE_ASN1, certificate), "what a TLS peer showed")


def _readable(certificate: X509 | None) -> Certificate | None:
    if certificate is None:
        return None
    try:
        return Certificate._of(Contents(_read(certificate)), "what a TLS peer showed")
    except InvalidArgumentError:
        return None
