"""The one table of what goes wrong under TLS besides certificates: faults, alerts, and their HRESULTs.

None of them has a SocketErrorStatus but the cut stream; the HRESULTs are those of Windows's own TLS.

Source: RFC 8446 section 6 (alerts); winerror.h (SEC_E_...).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from winsockets.errors._exceptions import ResetByPeerError, SocketException
from winsockets.errors._hresult import HResult

__all__ = ["TlsFault", "alert_number", "tls_error"]

_SEC_E_INTERNAL_ERROR = HResult(0x80090304)
_SEC_E_INVALID_TOKEN = HResult(0x80090308)
_SEC_E_UNTRUSTED_ROOT = HResult(0x80090325)
_SEC_E_ILLEGAL_MESSAGE = HResult(0x80090326)
_SEC_E_CERT_UNKNOWN = HResult(0x80090327)
_SEC_E_CERT_EXPIRED = HResult(0x80090328)
_SEC_E_DECRYPT_FAILURE = HResult(0x80090330)
_SEC_E_ALGORITHM_MISMATCH = HResult(0x80090331)
_SEC_I_INCOMPLETE_CREDENTIALS = HResult(0x00090320)
_SEC_E_MESSAGE_ALTERED = HResult(0x8009030F)
_SEC_E_APPLICATION_PROTOCOL_MISMATCH = HResult(0x80090367)
_RESET = ResetByPeerError("").hresult


class _Row(NamedTuple):
    hresult: HResult
    meaning: str
    advice: str = ""


class TlsFault(Enum):
    """What ended a TLS connection in a bad way."""

    NOT_TLS = _Row(
        _SEC_E_INVALID_TOKEN, "the peer does not speak TLS", "check the port, or connect with PLAIN_SOCKET"
    )
    NO_COMMON_VERSION = _Row(
        _SEC_E_ALGORITHM_MISMATCH,
        "both sides have no version of TLS in common",
        "widen the range from the lowest to the highest protection level, or update the peer",
    )
    NO_COMMON_CIPHER = _Row(
        _SEC_E_ALGORITHM_MISMATCH,
        "both sides have no cipher, or no kind of key, in common",
        "update the older of the two",
    )
    NO_COMMON_PROTOCOL = _Row(
        _SEC_E_APPLICATION_PROTOCOL_MISMATCH,
        "both sides have no application protocol in common",
        "offer one that the peer has",
    )
    CERTIFICATE_REFUSED = _Row(_SEC_E_CERT_UNKNOWN, "the peer's certificate was not accepted")
    NO_CERTIFICATE = _Row(
        _SEC_I_INCOMPLETE_CREDENTIALS,
        "the client showed no certificate",
        "give the client one, or do not require it",
    )
    ALERT = _Row(_SEC_E_ILLEGAL_MESSAGE, "the peer refused")
    BAD_RECORD = _Row(
        _SEC_E_MESSAGE_ALTERED,
        "what arrived was damaged or altered on the way",
        "connect again; if it stays so, somebody is in between",
    )
    TRUNCATED = _Row(
        _RESET,
        "truncated: the stream ended without the peer's close_notify, so what arrived may not be all of it",
        "do not rely on it; for a peer that never says it, do not require close_notify",
    )
    CLOSED_EARLY = _Row(_RESET, "the peer closed the connection during the TLS handshake")
    VIOLATION = _Row(
        _SEC_E_ILLEGAL_MESSAGE,
        "the peer broke the rules of TLS",
        "check that it is TLS that it speaks on this port",
    )
    OWN_FAILURE = _Row(
        _SEC_E_INTERNAL_ERROR, "a callback of this program failed, so the peer was refused", "see the log"
    )


class _Alert(NamedTuple):
    name: str
    hresult: HResult = _SEC_E_ILLEGAL_MESSAGE
    advice: str = ""


_OUR_CERTIFICATE = "check the certificate that this side shows"
_ALERTS = {
    0: _Alert("close_notify"),
    10: _Alert("unexpected_message"),
    20: _Alert("bad_record_mac", _SEC_E_MESSAGE_ALTERED),
    21: _Alert("decryption_failed", _SEC_E_DECRYPT_FAILURE),
    22: _Alert("record_overflow"),
    30: _Alert("decompression_failure"),
    40: _Alert("handshake_failure", advice="it may have no cipher in common, or want a certificate"),
    41: _Alert("no_certificate", _SEC_I_INCOMPLETE_CREDENTIALS),
    42: _Alert("bad_certificate", _SEC_E_CERT_UNKNOWN, _OUR_CERTIFICATE),
    43: _Alert("unsupported_certificate", _SEC_E_CERT_UNKNOWN, _OUR_CERTIFICATE),
    44: _Alert("certificate_revoked", _SEC_E_CERT_UNKNOWN, _OUR_CERTIFICATE),
    45: _Alert("certificate_expired", _SEC_E_CERT_EXPIRED, _OUR_CERTIFICATE),
    46: _Alert("certificate_unknown", _SEC_E_CERT_UNKNOWN, _OUR_CERTIFICATE),
    47: _Alert("illegal_parameter"),
    48: _Alert("unknown_ca", _SEC_E_UNTRUSTED_ROOT, "it has to trust the root of this side's certificate"),
    49: _Alert("access_denied", advice="it knows who this is, and does not want it"),
    50: _Alert("decode_error"),
    51: _Alert("decrypt_error", _SEC_E_DECRYPT_FAILURE),
    60: _Alert("export_restriction"),
    70: _Alert("protocol_version", _SEC_E_ALGORITHM_MISMATCH, "it has no version of TLS in common"),
    71: _Alert("insufficient_security", _SEC_E_ALGORITHM_MISMATCH, "it wants stronger ciphers"),
    80: _Alert("internal_error", advice="see its log; some say so of a certificate that they refuse"),
    86: _Alert("inappropriate_fallback"),
    90: _Alert("user_canceled"),
    100: _Alert("no_renegotiation"),
    109: _Alert("missing_extension"),
    110: _Alert("unsupported_extension"),
    111: _Alert("certificate_unobtainable"),
    112: _Alert("unrecognized_name", advice="it has no certificate for the name asked for"),
    113: _Alert("bad_certificate_status_response"),
    114: _Alert("bad_certificate_hash_value"),
    115: _Alert("unknown_psk_identity"),
    116: _Alert("certificate_required", _SEC_I_INCOMPLETE_CREDENTIALS, "set a client certificate"),
    120: _Alert(
        "no_application_protocol", _SEC_E_APPLICATION_PROTOCOL_MISMATCH, "offer a protocol that it has"
    ),
}
_NUMBERS = {alert.name: number for number, alert in _ALERTS.items()}


def alert_number(name: str) -> int | None:
    """Find the number of an alert by its name; None for one that is not known."""
    return _NUMBERS.get(name)


def tls_error(fault: TlsFault, action: str, *, alert: int | None = None, detail: str = "") -> SocketException:
    """Make the exception for what ended a TLS connection.

    Args:
        fault: what it was.
        action: what was attempted, and with whom: "TLS handshake with ::1 port 443".
        alert: the number of the alert that the peer sent, with ALERT.
        detail: the words of OpenSSL or of a name check, added in brackets.

    Returns:
        A SocketException of status UNKNOWN with the HRESULT that Windows has for it, ResetByPeerError for
        what was cut.
    """
    row: _Row = fault.value
    hresult, meaning, advice = row
    if alert is not None:
        known = _ALERTS.get(alert, _Alert(str(alert)))
        hresult, advice = known.hresult, known.advice
        meaning = f"{meaning} (alert {alert}, {known.name})"
    elif detail:
        meaning = f"{meaning} ({detail})"
    kind = ResetByPeerError if hresult == _RESET else SocketException
    return kind(f"{action}: {meaning}" + (f"; {advice}" if advice else ""), hresult=hresult)
