"""The table of web statuses, row by row and in both directions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from winsockets.errors import WebError, WebErrorStatus
from winsockets.errors._hresult import HResult
from winsockets.errors._web_table import web_hresult_of

ROWS = {
    0x80072EE2: "TIMEOUT",
    0x80072EE7: "HOST_NAME_NOT_RESOLVED",
    0x80072EF1: "OPERATION_CANCELED",
    0x800703E3: "OPERATION_CANCELED",
    0x800704C7: "OPERATION_CANCELED",
    0x80004004: "OPERATION_CANCELED",
    0x80072EFD: "CANNOT_CONNECT",
    0x80072EFE: "CONNECTION_ABORTED",
    0x80072EFF: "CONNECTION_RESET",
    0x80072F05: "CERTIFICATE_EXPIRED",
    0x80072F06: "CERTIFICATE_COMMON_NAME_IS_INCORRECT",
    0x80072F07: "HTTP_TO_HTTPS_ON_REDIRECTION",
    0x80072F08: "HTTPS_TO_HTTP_ON_REDIRECTION",
    0x80072F0D: "CERTIFICATE_IS_INVALID",
    0x80072F89: "CERTIFICATE_IS_INVALID",
    0x80072F17: "CERTIFICATE_CONTAINS_ERRORS",
    0x80072F8A: "CERTIFICATE_REVOKED",
    0x80072F78: "ERROR_HTTP_INVALID_SERVER_RESPONSE",
    0x80072F7C: "REDIRECT_FAILED",
    0x80072F83: "DISCONNECTED",
    0x80072F84: "SERVER_UNREACHABLE",
    0x80190001: "UNEXPECTED_STATUS_CODE",
    0x80190003: "UNEXPECTED_REDIRECTION",
    0x80190004: "UNEXPECTED_CLIENT_ERROR",
    0x80190005: "UNEXPECTED_SERVER_ERROR",
    0x8007274D: "CANNOT_CONNECT",
    0x80072746: "CONNECTION_RESET",
    0x80072745: "CONNECTION_ABORTED",
    0x8007274C: "TIMEOUT",
    0x80072AF9: "HOST_NAME_NOT_RESOLVED",
    0x80072AFA: "HOST_NAME_NOT_RESOLVED",
    0x80072AFB: "HOST_NAME_NOT_RESOLVED",
    0x80072AFC: "HOST_NAME_NOT_RESOLVED",
}
UNKNOWN = {
    "S_OK": 0,
    "E_INVALIDARG": 0x80070057,
    "CLIENT_AUTH_CERT_NEEDED": 0x80072F0C,
    "SECURE_FAILURE": 0x80072F8F,
    "SECURITY_CHANNEL_ERROR": 0x80072F7D,
    "INET_E_SECURITY_PROBLEM": 0x800C000E,
    "E_INVALID_PROTOCOL_OPERATION": 0x83760001,
    "E_INVALID_PROTOCOL_FORMAT": 0x83760002,
    "E_PROTOCOL_EXTENSIONS_NOT_SUPPORTED": 0x83760003,
    "E_SUBPROTOCOL_NOT_SUPPORTED": 0x83760004,
    "E_PROTOCOL_VERSION_NOT_SUPPORTED": 0x83760005,
    "HTTP_E_STATUS 0": 0x80190000,
    "HTTP_E_STATUS 2": 0x80190002,
    "HTTP_E_STATUS 99": 0x80190063,
    "HTTP_E_STATUS 600": 0x80190258,
    "a bare HTTP status": 404,
}
WITHOUT_HRESULT = {"UNKNOWN", "INSUFFICIENT_RANGE_SUPPORT", "MISSING_CONTENT_LENGTH_SUPPORT"}


@pytest.mark.parametrize("code", ROWS, ids=hex)
def test_an_hresult_means_its_status_signed_and_unsigned(code: int) -> None:
    """WinINet's numbers, and the socket errors that can surface below them."""
    status = WebErrorStatus[ROWS[code]]
    assert WebError.get_status(code) is status
    assert WebError.get_status(code - 0x100000000) is status


@pytest.mark.parametrize("code", UNKNOWN.values(), ids=UNKNOWN)
def test_everything_else_is_unknown(code: int) -> None:
    """WebSocket protocol codes included: programs look at the HRESULT itself first."""
    assert WebError.get_status(code) is WebErrorStatus.UNKNOWN


@given(st.integers(100, 599))
def test_an_http_answer_has_its_own_status_or_that_of_its_class(http: int) -> None:
    """0x80190000 plus the HTTP status."""
    classes = {3: "UNEXPECTED_REDIRECTION", 4: "UNEXPECTED_CLIENT_ERROR", 5: "UNEXPECTED_SERVER_ERROR"}
    status = WebError.get_status(0x80190000 + http)
    if http in WebErrorStatus.__members__.values():
        assert status == http
    else:
        assert status.name == classes.get(http // 100, "UNEXPECTED_STATUS_CODE")


@given(st.integers(-0x80000000, 0xFFFFFFFF))
@example(0x80190194)
def test_any_32_bit_number_has_a_status(code: int) -> None:
    """Never an exception."""
    assert isinstance(WebError.get_status(code), WebErrorStatus)


@pytest.mark.parametrize("code", [-0x80000001, 0x100000000])
def test_more_than_32_bits_are_refused(code: int) -> None:
    """Such a number cannot be an HRESULT."""
    with pytest.raises(ValueError, match="32-bit"):
        WebError.get_status(code)


@pytest.mark.parametrize("status", WebErrorStatus, ids=lambda status: status.name)
def test_the_hresult_of_a_status_leads_back_to_it(status: WebErrorStatus) -> None:
    """Three statuses have no HRESULT."""
    hresult = web_hresult_of(status)
    if status.name in WITHOUT_HRESULT:
        assert hresult is None
    else:
        assert isinstance(hresult, HResult)
        assert WebError.get_status(hresult) is status


def test_a_status_with_several_hresults_is_carried_by_the_first() -> None:
    """WinINet's own number, not that of a socket below."""
    assert web_hresult_of(WebErrorStatus.TIMEOUT) == HResult(0x80072EE2)
    assert web_hresult_of(WebErrorStatus.OPERATION_CANCELED) == HResult(0x80072EF1)
