"""The table of what can be wrong with a chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets import ChainValidationResult as Result
from winsockets import SocketErrorStatus as Status
from winsockets.certificates._results import (
    IGNORABLE_RESULTS,
    in_order,
    result_of_verification_error,
    row_of_result,
)
from winsockets.errors._table import row_of_verification_error

NUMBERS = {
    "SUCCESS": 0,
    "UNTRUSTED": 1,
    "REVOKED": 2,
    "EXPIRED": 3,
    "INCOMPLETE_CHAIN": 4,
    "INVALID_SIGNATURE": 5,
    "WRONG_USAGE": 6,
    "INVALID_NAME": 7,
    "INVALID_CERTIFICATE_AUTHORITY_POLICY": 8,
    "BASIC_CONSTRAINTS_ERROR": 9,
    "UNKNOWN_CRITICAL_EXTENSION": 10,
    "REVOCATION_INFORMATION_MISSING": 11,
    "REVOCATION_FAILURE": 12,
    "OTHER_ERRORS": 13,
}
FATAL = {
    Result.REVOKED,
    Result.INVALID_SIGNATURE,
    Result.INVALID_CERTIFICATE_AUTHORITY_POLICY,
    Result.BASIC_CONSTRAINTS_ERROR,
    Result.UNKNOWN_CRITICAL_EXTENSION,
    Result.OTHER_ERRORS,
}
FAULTS = [result for result in Result if result is not Result.SUCCESS]


def test_results_have_winrts_numbers() -> None:
    """Programs store and compare them."""
    assert {result.name: int(result) for result in Result} == NUMBERS


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (2, Result.INCOMPLETE_CHAIN),
        (3, Result.REVOCATION_INFORMATION_MISSING),
        (7, Result.INVALID_SIGNATURE),
        (9, Result.EXPIRED),
        (10, Result.EXPIRED),
        (12, Result.REVOCATION_FAILURE),
        (18, Result.UNTRUSTED),
        (19, Result.UNTRUSTED),
        (20, Result.INCOMPLETE_CHAIN),
        (21, Result.INCOMPLETE_CHAIN),
        (23, Result.REVOKED),
        (25, Result.BASIC_CONSTRAINTS_ERROR),
        (26, Result.WRONG_USAGE),
        (28, Result.REVOKED),
        (34, Result.UNKNOWN_CRITICAL_EXTENSION),
        (43, Result.INVALID_CERTIFICATE_AUTHORITY_POLICY),
        (47, Result.INVALID_NAME),
        (62, Result.INVALID_NAME),
        (64, Result.INVALID_NAME),
        (66, Result.OTHER_ERRORS),
        (79, Result.BASIC_CONSTRAINTS_ERROR),
        (100_000, Result.OTHER_ERRORS),
        (-1, Result.OTHER_ERRORS),
        (0, Result.OTHER_ERRORS),
    ],
)
def test_a_verification_error_has_its_result(code: int, result: Result) -> None:
    """X509_V_ERR numbers; what is not known is not good."""
    assert result_of_verification_error(code) is result


@given(st.integers())
def test_no_verification_error_is_success(code: int) -> None:
    """Whoever asks has an error, and 0 then means that somebody lost it."""
    assert result_of_verification_error(code) is not Result.SUCCESS


@given(st.integers(-1, 300))
def test_a_verification_error_has_the_same_status_by_either_table(code: int) -> None:
    """The result and the status of one error cannot contradict each other."""
    row = row_of_result(result_of_verification_error(code))
    assert row.status is row_of_verification_error(code).status


@pytest.mark.parametrize("result", FAULTS)
def test_a_fault_has_a_certificate_status_and_says_what_to_do(result: Result) -> None:
    """Each can end a connection, with an exception that says why."""
    row = row_of_result(result)
    assert row.result is result
    assert row.status.name.startswith("CERTIFICATE_")
    assert row.meaning
    assert row.advice


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result.UNTRUSTED, Status.CERTIFICATE_UNTRUSTED_ROOT),
        (Result.INCOMPLETE_CHAIN, Status.CERTIFICATE_UNTRUSTED_ROOT),
        (Result.EXPIRED, Status.CERTIFICATE_EXPIRED),
        (Result.INVALID_NAME, Status.CERTIFICATE_COMMON_NAME_IS_INCORRECT),
        (Result.WRONG_USAGE, Status.CERTIFICATE_WRONG_USAGE),
        (Result.REVOKED, Status.CERTIFICATE_REVOKED),
        (Result.REVOCATION_INFORMATION_MISSING, Status.CERTIFICATE_NO_REVOCATION_CHECK),
        (Result.REVOCATION_FAILURE, Status.CERTIFICATE_REVOCATION_SERVER_OFFLINE),
        (Result.INVALID_SIGNATURE, Status.CERTIFICATE_IS_INVALID),
        (Result.OTHER_ERRORS, Status.CERTIFICATE_IS_INVALID),
    ],
)
def test_a_fault_has_its_status(result: Result, status: Status) -> None:
    """By the HRESULT that an exception for it carries."""
    assert row_of_result(result).status is status


def test_what_is_forged_revoked_or_malformed_cannot_be_ignored() -> None:
    """Expired, misnamed, untrusted, unchecked can."""
    assert frozenset(FAULTS) - FATAL == IGNORABLE_RESULTS


@given(st.lists(st.sampled_from(list(Result))))
def test_the_worst_comes_first_and_nothing_is_lost(results: list[Result]) -> None:
    """Fatal before ignorable, each once, whatever order they were found in; SUCCESS only by itself."""
    ordered = in_order(results)
    assert set(ordered) == (set(results) - {Result.SUCCESS} or {Result.SUCCESS})
    assert len(ordered) == len(set(ordered))
    fatal = [result in FATAL for result in ordered]
    assert fatal == sorted(fatal, reverse=True)
    assert ordered == in_order(reversed(results))
