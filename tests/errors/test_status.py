"""The two status enumerations: names, numbers, and what is deliberately absent."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from winsockets.errors import SocketErrorStatus, WebErrorStatus

SOCKET_NAMES = [
    "UNKNOWN",
    "OPERATION_ABORTED",
    "HTTP_INVALID_SERVER_RESPONSE",
    "CONNECTION_TIMED_OUT",
    "ADDRESS_FAMILY_NOT_SUPPORTED",
    "SOCKET_TYPE_NOT_SUPPORTED",
    "HOST_NOT_FOUND",
    "NO_DATA_RECORD_OF_REQUESTED_TYPE",
    "NON_AUTHORITATIVE_HOST_NOT_FOUND",
    "CLASS_TYPE_NOT_FOUND",
    "ADDRESS_ALREADY_IN_USE",
    "CANNOT_ASSIGN_REQUESTED_ADDRESS",
    "CONNECTION_REFUSED",
    "NETWORK_IS_UNREACHABLE",
    "UNREACHABLE_HOST",
    "NETWORK_IS_DOWN",
    "NETWORK_DROPPED_CONNECTION_ON_RESET",
    "SOFTWARE_CAUSED_CONNECTION_ABORT",
    "CONNECTION_RESET_BY_PEER",
    "HOST_IS_DOWN",
    "NO_ADDRESSES_FOUND",
    "TOO_MANY_OPEN_FILES",
    "MESSAGE_TOO_LONG",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNTRUSTED_ROOT",
    "CERTIFICATE_COMMON_NAME_IS_INCORRECT",
    "CERTIFICATE_WRONG_USAGE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_NO_REVOCATION_CHECK",
    "CERTIFICATE_REVOCATION_SERVER_OFFLINE",
    "CERTIFICATE_IS_INVALID",
]
WEB_NAMES = [
    "UNKNOWN",
    "CERTIFICATE_COMMON_NAME_IS_INCORRECT",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_CONTAINS_ERRORS",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_IS_INVALID",
    "SERVER_UNREACHABLE",
    "TIMEOUT",
    "ERROR_HTTP_INVALID_SERVER_RESPONSE",
    "CONNECTION_ABORTED",
    "CONNECTION_RESET",
    "DISCONNECTED",
    "HTTP_TO_HTTPS_ON_REDIRECTION",
    "HTTPS_TO_HTTP_ON_REDIRECTION",
    "CANNOT_CONNECT",
    "HOST_NAME_NOT_RESOLVED",
    "OPERATION_CANCELED",
    "REDIRECT_FAILED",
    "UNEXPECTED_STATUS_CODE",
    "UNEXPECTED_REDIRECTION",
    "UNEXPECTED_CLIENT_ERROR",
    "UNEXPECTED_SERVER_ERROR",
    "INSUFFICIENT_RANGE_SUPPORT",
    "MISSING_CONTENT_LENGTH_SUPPORT",
]
HTTP_NUMBERS = [*range(300, 306), 307, *range(400, 418), *range(500, 506)]
# What HTTP has come to call differently since WinRT took its names.
OLD_HTTP_NAMES = {
    413: "REQUEST_ENTITY_TOO_LARGE",
    414: "REQUEST_URI_TOO_LONG",
    416: "REQUESTED_RANGE_NOT_SATISFIABLE",
}


@pytest.mark.parametrize(("number", "name"), list(enumerate(SOCKET_NAMES)))
def test_socket_statuses_are_numbered_as_in_winrt(number: int, name: str) -> None:
    """A number that a program stored or compared means the same here."""
    assert SocketErrorStatus[name] == number
    assert SocketErrorStatus(number).name == name


def test_there_are_no_other_socket_statuses() -> None:
    """31 of them."""
    assert len(SocketErrorStatus) == len(SOCKET_NAMES) == 31


@pytest.mark.parametrize(("number", "name"), list(enumerate(WEB_NAMES)))
def test_web_statuses_below_300_are_numbered_as_in_winrt(number: int, name: str) -> None:
    """The failures that have no HTTP status."""
    assert WebErrorStatus[name] == number


@pytest.mark.parametrize("number", HTTP_NUMBERS)
def test_an_http_status_stands_under_its_own_number_and_name(number: int) -> None:
    """404 is NOT_FOUND."""
    assert WebErrorStatus(number).name == OLD_HTTP_NAMES.get(number, HTTPStatus(number).name)


def test_there_are_no_other_web_statuses() -> None:
    """306 and 308 are absent, as in WinRT."""
    assert sorted(WebErrorStatus) == [*range(24), *HTTP_NUMBERS]
