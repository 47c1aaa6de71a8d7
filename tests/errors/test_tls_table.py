"""What goes wrong under TLS: numbers that Windows has for it, words that help, and no invented status."""

from __future__ import annotations

import pytest

from winsockets.errors import ResetByPeerError, SocketError, SocketErrorStatus
from winsockets.errors._tls_table import TlsFault, alert_number, tls_error

# winerror.h
HRESULTS = {
    TlsFault.NOT_TLS: 0x80090308,
    TlsFault.NO_COMMON_VERSION: 0x80090331,
    TlsFault.NO_COMMON_CIPHER: 0x80090331,
    TlsFault.NO_COMMON_PROTOCOL: 0x80090367,
    TlsFault.CERTIFICATE_REFUSED: 0x80090327,
    TlsFault.NO_CERTIFICATE: 0x00090320,
    TlsFault.ALERT: 0x80090326,
    TlsFault.BAD_RECORD: 0x8009030F,
    TlsFault.TRUNCATED: 0x80072746,
    TlsFault.CLOSED_EARLY: 0x80072746,
    TlsFault.VIOLATION: 0x80090326,
    TlsFault.OWN_FAILURE: 0x80090304,
}
# RFC 8446 section 6, and what Windows makes of it
ALERTS = {
    20: ("bad_record_mac", 0x8009030F),
    40: ("handshake_failure", 0x80090326),
    42: ("bad_certificate", 0x80090327),
    45: ("certificate_expired", 0x80090328),
    48: ("unknown_ca", 0x80090325),
    51: ("decrypt_error", 0x80090330),
    70: ("protocol_version", 0x80090331),
    116: ("certificate_required", 0x00090320),
    120: ("no_application_protocol", 0x80090367),
}


def test_every_fault_has_its_number() -> None:
    """None is left out of the table above."""
    assert set(HRESULTS) == set(TlsFault)


@pytest.mark.parametrize("fault", TlsFault, ids=lambda fault: fault.name)
def test_a_fault_says_what_was_attempted_and_carries_its_number(fault: TlsFault) -> None:
    """A status follows from the number alone: there is none for most."""
    problem = tls_error(fault, "TLS with a peer", detail="in OpenSSL's words")
    assert problem.winerror & 0xFFFFFFFF == HRESULTS[fault]
    assert str(problem).startswith("TLS with a peer: ")
    assert "in OpenSSL's words" in str(problem)
    assert problem.status is SocketError.get_status(problem.winerror)
    cut = fault in (TlsFault.TRUNCATED, TlsFault.CLOSED_EARLY)
    assert isinstance(problem, ResetByPeerError) == cut
    assert (problem.status is SocketErrorStatus.UNKNOWN) == (not cut)


@pytest.mark.parametrize(("number", "name", "hresult"), [(key, *value) for key, value in ALERTS.items()])
def test_an_alert_is_told_by_number_and_name(number: int, name: str, hresult: int) -> None:
    """So that both can be searched for."""
    problem = tls_error(TlsFault.ALERT, "TLS", alert=number)
    assert f"(alert {number}, {name})" in str(problem)
    assert problem.winerror & 0xFFFFFFFF == hresult
    assert alert_number(name) == number


def test_an_unknown_alert_is_told_by_its_number() -> None:
    """There may be new ones."""
    assert "(alert 201, 201)" in str(tls_error(TlsFault.ALERT, "TLS", alert=201))
    assert alert_number("nonsense") is None
