"""What can be wrong with a chain of certificates, and the one table about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from winsockets.errors import HResult, SocketError, SocketErrorStatus

__all__ = [
    "IGNORABLE_RESULTS",
    "ChainValidationResult",
    "ResultRow",
    "in_order",
    "result_of_verification_error",
    "row_of_result",
]


class ChainValidationResult(IntEnum):
    """What the validation of a certificate chain found.

    Source: WinRT ChainValidationResult.
    """

    SUCCESS = 0
    UNTRUSTED = 1
    REVOKED = 2
    EXPIRED = 3
    INCOMPLETE_CHAIN = 4
    INVALID_SIGNATURE = 5
    WRONG_USAGE = 6
    INVALID_NAME = 7
    INVALID_CERTIFICATE_AUTHORITY_POLICY = 8
    BASIC_CONSTRAINTS_ERROR = 9
    UNKNOWN_CRITICAL_EXTENSION = 10
    REVOCATION_INFORMATION_MISSING = 11
    REVOCATION_FAILURE = 12
    OTHER_ERRORS = 13


class ResultRow(NamedTuple):
    """One result and everything that is to be said about it.

    Attributes:
        result: the result.
        hresult: the HRESULT of an exception for it; its status follows from the table of the errors.
        verification: OpenSSL's verification errors (X509_V_ERR) that mean it.
        ignorable: whether a program may ask to connect in spite of it.
        meaning: what is wrong, for messages.
        advice: what the reader can do about it.
    """

    result: ChainValidationResult
    hresult: HResult
    verification: tuple[int, ...]
    ignorable: bool
    meaning: str
    advice: str

    @property
    def status(self) -> SocketErrorStatus:
        """The status of a connection that fails for it."""
        return SocketError.get_status(self.hresult)


_R = ChainValidationResult
# What no program may ignore comes first, the worst at the top: `validate` returns the first that applies, and
# a program that looks at no more than that must not take a forged certificate for one that has just expired.
_ROWS = (
    ResultRow(
        _R.REVOKED,
        HResult(0x800B010C),
        (23, 28),
        False,
        "it, or an authority above it, was revoked",
        "get a new one from its authority",
    ),
    ResultRow(
        _R.INVALID_SIGNATURE,
        HResult(0x80096004),
        (4, 6, 7, 24, 77, 78),
        False,
        "a signature in its chain does not fit: it is damaged or forged",
        "get it again from its owner; if it stays so, somebody is in between",
    ),
    ResultRow(
        _R.UNKNOWN_CRITICAL_EXTENSION,
        HResult(0x800B0105),
        (34,),
        False,
        "it must not be used without an extension that is not known here",
        "use a certificate for ordinary TLS",
    ),
    ResultRow(
        _R.BASIC_CONSTRAINTS_ERROR,
        HResult(0x80096019),
        (25, 37, 79, 80, 81, 82, 89),
        False,
        "a certificate in its chain may not issue others, or not so many below each other",
        "let an authority issue it",
    ),
    ResultRow(
        _R.INVALID_CERTIFICATE_AUTHORITY_POLICY,
        HResult(0x800B0113),
        (42, 43),
        False,
        "it is not issued under a policy that an authority above it demands",
        "ask its authority for one that is",
    ),
    ResultRow(
        _R.OTHER_ERRORS,
        HResult(0x800B0108),
        (),
        False,
        "it, or a certificate above it, cannot be relied upon (a weak key or signature, or malformed)",
        "get one with an RSA key of 2048 bits or an elliptic curve, signed with SHA-256",
    ),
    ResultRow(
        _R.UNTRUSTED,
        HResult(0x800B0109),
        (18, 19, 27),
        True,
        "its chain ends in a root that is not trusted here",
        "add the root to those trusted, if it is the right one",
    ),
    ResultRow(
        _R.INCOMPLETE_CHAIN,
        HResult(0x800B010A),
        (2, 20, 21),
        True,
        "the certificate of an issuer is missing",
        "let the peer send its intermediate certificates, or add the issuer to those trusted",
    ),
    ResultRow(
        _R.INVALID_NAME,
        HResult(0x800B010F),
        (47, 48, 62, 63, 64),
        True,
        "it is for other names",
        "connect by a name that it is for, or get one for this name",
    ),
    ResultRow(
        _R.EXPIRED,
        HResult(0x800B0101),
        (9, 10),
        True,
        "it, or an authority above it, has expired or is not valid yet",
        "renew it, or set this machine's clock",
    ),
    ResultRow(
        _R.WRONG_USAGE,
        HResult(0x800B0110),
        (26, 32),
        True,
        "it, or an authority above it, is for another usage",
        "get one whose enhanced key usages are right",
    ),
    ResultRow(
        _R.REVOCATION_FAILURE,
        HResult(0x80092013),
        (5, 8, 11, 12, 15, 16, 35, 36, 44, 54, 74, 75),
        True,
        "the revocation list that would tell about it is out of date or cannot be relied upon",
        "get the authority's current list",
    ),
    ResultRow(
        _R.REVOCATION_INFORMATION_MISSING,
        HResult(0x80092012),
        (3, 33, 73),
        True,
        "there is no revocation list that would tell about it",
        "give the lists of all authorities in the chain",
    ),
)
_ORDER = {row.result: place for place, row in enumerate(_ROWS)}
_BY_VERIFICATION_ERROR = {number: row.result for row in _ROWS for number in row.verification}

IGNORABLE_RESULTS = frozenset(row.result for row in _ROWS if row.ignorable)
"""What a program may ask to connect in spite of; everything else but SUCCESS is fatal.

Source: WinRT SocketSslErrorSeverity.
"""


def row_of_result(result: ChainValidationResult) -> ResultRow:
    """Find the row of a result other than SUCCESS."""
    return _ROWS[_ORDER[result]]


def result_of_verification_error(number: int) -> ChainValidationResult:
    """Say what one of OpenSSL's verification errors (X509_V_ERR) means.

    Returns:
        OTHER_ERRORS for whatever is not in the table, and SUCCESS for nothing: whoever asks has an error.
    """
    return _BY_VERIFICATION_ERROR.get(number, ChainValidationResult.OTHER_ERRORS)


def in_order(results: Iterable[ChainValidationResult]) -> tuple[ChainValidationResult, ...]:
    """Sort results, the worst first, each once; SUCCESS alone if there are none."""
    return tuple(sorted(set(results) - {_R.SUCCESS}, key=_ORDER.__getitem__)) or (_R.SUCCESS,)
