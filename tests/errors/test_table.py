"""The table of socket statuses, row by row and in both directions."""

from __future__ import annotations

import errno
import importlib.util
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from winsockets.errors import SocketError, SocketErrorStatus
from winsockets.errors import _table as table
from winsockets.errors._hresult import HResult, win32

# Status: the HRESULT we raise with (unsigned and signed), and the others that mean the same.
ROWS: dict[str, tuple[int, int, list[int]]] = {
    "OPERATION_ABORTED": (0x800703E3, -2147023901, []),
    "HTTP_INVALID_SERVER_RESPONSE": (0x80072F78, -2147012744, []),
    "CONNECTION_TIMED_OUT": (0x8007274C, -2147014836, [0x80070079]),
    "ADDRESS_FAMILY_NOT_SUPPORTED": (0x8007273F, -2147014849, []),
    "SOCKET_TYPE_NOT_SUPPORTED": (0x8007273C, -2147014852, []),
    "HOST_NOT_FOUND": (0x80072AF9, -2147013895, []),
    "NO_DATA_RECORD_OF_REQUESTED_TYPE": (0x80072AFC, -2147013892, []),
    "NON_AUTHORITATIVE_HOST_NOT_FOUND": (0x80072AFA, -2147013894, []),
    "CLASS_TYPE_NOT_FOUND": (0x8007277D, -2147014787, []),
    "ADDRESS_ALREADY_IN_USE": (0x80072740, -2147014848, []),
    "CANNOT_ASSIGN_REQUESTED_ADDRESS": (0x80072741, -2147014847, []),
    "CONNECTION_REFUSED": (0x8007274D, -2147014835, [0x800704C9]),
    "NETWORK_IS_UNREACHABLE": (0x80072743, -2147014845, [0x800704CF]),
    "UNREACHABLE_HOST": (0x80072751, -2147014831, [0x800704D0]),
    "NETWORK_IS_DOWN": (0x80072742, -2147014846, []),
    "NETWORK_DROPPED_CONNECTION_ON_RESET": (0x80072744, -2147014844, []),
    "SOFTWARE_CAUSED_CONNECTION_ABORT": (0x80072745, -2147014843, [0x800704D4]),
    "CONNECTION_RESET_BY_PEER": (0x80072746, -2147014842, [0x80070040, 0x800704D2]),
    "HOST_IS_DOWN": (0x80072750, -2147014832, []),
    "NO_ADDRESSES_FOUND": (0x800700E8, -2147024664, []),
    "TOO_MANY_OPEN_FILES": (0x80072728, -2147014872, []),
    "MESSAGE_TOO_LONG": (0x80072738, -2147014856, []),
    "CERTIFICATE_EXPIRED": (0x800B0101, -2146762495, [0x800B0102]),
    "CERTIFICATE_UNTRUSTED_ROOT": (0x800B0109, -2146762487, [0x800B010A, 0x800B0112]),
    "CERTIFICATE_COMMON_NAME_IS_INCORRECT": (0x800B010F, -2146762481, [0x800B0114]),
    "CERTIFICATE_WRONG_USAGE": (0x800B0110, -2146762480, []),
    "CERTIFICATE_REVOKED": (0x800B010C, -2146762484, [0x80092010, 0x800B0111]),
    "CERTIFICATE_NO_REVOCATION_CHECK": (0x80092012, -2146885614, []),
    "CERTIFICATE_REVOCATION_SERVER_OFFLINE": (0x80092013, -2146885613, []),
    "CERTIFICATE_IS_INVALID": (
        0x800B0103,
        -2146762493,
        [*range(0x800B0104, 0x800B0109), 0x800B0113, 0x80096004, 0x80096019],
    ),
}
CODES = [(name, code) for name, (first, _, others) in ROWS.items() for code in [first, *others]]
UNKNOWN = {
    "S_OK": 0x00000000,
    "E_INVALIDARG": 0x80070057,
    "E_ILLEGAL_METHOD_CALL": 0x8000000E,
    "RO_E_CLOSED": 0x80000013,
    "E_BOUNDS": 0x8000000B,
    "E_FAIL": 0x80004005,
    "E_ABORT": 0x80004004,
    "ERROR_CANCELLED": 0x800704C7,
    "ERROR_INVALID_OPERATION": 0x800710DD,
    "ERROR_NO_UNICODE_TRANSLATION": 0x80070459,
    "WSAEACCES": 0x8007271D,
    "WSAEINVAL": 0x80072726,
    "WSAENOBUFS": 0x80072747,
    "SEC_E_WRONG_PRINCIPAL": 0x80090322,
    "SEC_E_UNTRUSTED_ROOT": 0x80090325,
    "SEC_E_CERT_EXPIRED": 0x80090328,
    "the bare Winsock number": 10061,
}
ERRNOS = {
    "ECANCELED": "OPERATION_ABORTED",
    "ETIMEDOUT": "CONNECTION_TIMED_OUT",
    "EAFNOSUPPORT": "ADDRESS_FAMILY_NOT_SUPPORTED",
    "ESOCKTNOSUPPORT": "SOCKET_TYPE_NOT_SUPPORTED",
    "EADDRINUSE": "ADDRESS_ALREADY_IN_USE",
    "EADDRNOTAVAIL": "CANNOT_ASSIGN_REQUESTED_ADDRESS",
    "ECONNREFUSED": "CONNECTION_REFUSED",
    "ENETUNREACH": "NETWORK_IS_UNREACHABLE",
    "EHOSTUNREACH": "UNREACHABLE_HOST",
    "ENETDOWN": "NETWORK_IS_DOWN",
    "ENODEV": "NETWORK_IS_DOWN",
    "ENXIO": "NETWORK_IS_DOWN",
    "ENETRESET": "NETWORK_DROPPED_CONNECTION_ON_RESET",
    "ECONNABORTED": "SOFTWARE_CAUSED_CONNECTION_ABORT",
    "EPIPE": "SOFTWARE_CAUSED_CONNECTION_ABORT",
    "ECONNRESET": "CONNECTION_RESET_BY_PEER",
    "EHOSTDOWN": "HOST_IS_DOWN",
    "EMFILE": "TOO_MANY_OPEN_FILES",
    "ENFILE": "TOO_MANY_OPEN_FILES",
    "EMSGSIZE": "MESSAGE_TOO_LONG",
}
VERIFICATION_ERRORS = {
    "CERTIFICATE_EXPIRED": {9, 10},
    "CERTIFICATE_UNTRUSTED_ROOT": {2, 18, 19, 20, 21, 27},
    "CERTIFICATE_COMMON_NAME_IS_INCORRECT": {47, 48, 62, 63, 64},
    "CERTIFICATE_WRONG_USAGE": {26, 32},
    "CERTIFICATE_REVOKED": {23, 28},
    "CERTIFICATE_NO_REVOCATION_CHECK": {3, 33, 73},
    "CERTIFICATE_REVOCATION_SERVER_OFFLINE": {5, 8, 11, 12, 15, 16, 35, 36, 44, 54, 74, 75},
}
RESOLVER_ERRORS = {
    "EAI_FAMILY": "ADDRESS_FAMILY_NOT_SUPPORTED",
    "EAI_SOCKTYPE": "SOCKET_TYPE_NOT_SUPPORTED",
    "EAI_NONAME": "HOST_NOT_FOUND",
    "EAI_NODATA": "NO_DATA_RECORD_OF_REQUESTED_TYPE",
    "EAI_ADDRFAMILY": "NO_DATA_RECORD_OF_REQUESTED_TYPE",
    "EAI_AGAIN": "NON_AUTHORITATIVE_HOST_NOT_FOUND",
    "EAI_SERVICE": "CLASS_TYPE_NOT_FOUND",
}


@pytest.mark.parametrize(("name", "code"), CODES)
def test_an_hresult_means_its_status_signed_and_unsigned(name: str, code: int) -> None:
    """Programs pass ``error.winerror``, people pass what they read."""
    status = SocketErrorStatus[name]
    assert SocketError.get_status(code) is status
    assert SocketError.get_status(code - 0x100000000) is status


@pytest.mark.parametrize("name", ROWS)
def test_a_status_is_carried_by_its_first_hresult(name: str) -> None:
    """The other direction: the number that our exceptions raise with."""
    unsigned, signed, _ = ROWS[name]
    hresult = table.hresult_of(SocketErrorStatus[name])
    assert hresult == signed
    assert hresult is not None
    assert hresult & 0xFFFFFFFF == unsigned


def test_a_row_is_found_by_its_status() -> None:
    """For whoever knows what happened and needs the words."""
    assert [table.row_of_status(row.status) for row in table.ROWS] == list(table.ROWS)


def test_every_status_but_unknown_has_a_row() -> None:
    """And UNKNOWN has none, because it means no network error."""
    assert set(ROWS) == {status.name for status in SocketErrorStatus} - {"UNKNOWN"}
    assert table.hresult_of(SocketErrorStatus.UNKNOWN) is None
    assert table.errno_of(SocketErrorStatus.UNKNOWN) is None


@pytest.mark.parametrize("code", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_network_error_is_unknown(code: int) -> None:
    """Wrong arguments, wrong order, closed objects and the security package's own codes."""
    assert SocketError.get_status(code) is SocketErrorStatus.UNKNOWN


LISTED = {HResult(code) for _, code in CODES}


@given(st.integers(-0x80000000, 0xFFFFFFFF))
@example(0x8007274D)
def test_any_32_bit_number_has_a_status(code: int) -> None:
    """Never an exception, and UNKNOWN for everything outside the table."""
    status = SocketError.get_status(code)
    assert (status is not SocketErrorStatus.UNKNOWN) == (HResult(code) in LISTED)


@pytest.mark.parametrize("code", [-0x80000001, 0x100000000, 1 << 70])
def test_more_than_32_bits_are_refused(code: int) -> None:
    """Such a number cannot be an HRESULT."""
    with pytest.raises(ValueError, match="32-bit"):
        SocketError.get_status(code)


@pytest.mark.parametrize("code", ["10061", 1.5, None], ids=repr)
def test_what_is_not_a_number_is_a_type_error(code: object) -> None:
    """As for any function of a number."""
    with pytest.raises(TypeError):
        SocketError.get_status(code)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ERRNOS)
def test_an_errno_has_its_row(name: str) -> None:
    """By the number that the running system gives the name."""
    if not hasattr(errno, name):
        pytest.skip(f"this system has no {name}")
    row = table.row_of_errno(getattr(errno, name))
    assert row is not None
    assert row.status is SocketErrorStatus[ERRNOS[name]]


@pytest.mark.parametrize("name", RESOLVER_ERRORS)
def test_a_resolver_error_has_its_row(name: str) -> None:
    """By the number that the running system gives the name."""
    number = getattr(socket, name, None)
    if number is None or (name != "EAI_NONAME" and number == socket.EAI_NONAME):
        pytest.skip(f"this system has no {name} of its own")
    row = table.row_of_resolver_error(number)
    assert row is not None
    assert row.status is SocketErrorStatus[RESOLVER_ERRORS[name]]


def test_the_table_lists_no_other_errnos_or_resolver_errors() -> None:
    """What is not listed here has status UNKNOWN."""
    assert {name for row in table.ROWS for name in row.errnos} == ERRNOS.keys()
    assert {name for row in table.ROWS for name in row.resolver} == RESOLVER_ERRORS.keys()


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (9_995, None),
        (10_013, None),
        (10_054, "CONNECTION_RESET_BY_PEER"),
        (10_061, "CONNECTION_REFUSED"),
        (11_001, "HOST_NOT_FOUND"),
        (12_152, None),
    ],
)
def test_winsock_numbers_mean_the_same_on_every_system(number: int, name: str | None) -> None:
    """They lie above every errno, so they need no Windows to be understood; WinINet's are not among them."""
    for row in (table.row_of_errno(number), table.row_of_resolver_error(number)):
        assert (row.status.name if row else None) == name


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1225, "CONNECTION_REFUSED"),
        (64, "CONNECTION_RESET_BY_PEER"),
        (121, "CONNECTION_TIMED_OUT"),
        (1236, "SOFTWARE_CAUSED_CONNECTION_ABORT"),
        (5, None),
        (0x1274D, None),
        (-3, None),
    ],
)
def test_a_windows_error_code_has_its_row(code: int, name: str | None) -> None:
    """What ``OSError.winerror`` holds; only 16 bits can be one."""
    row = table.row_of_windows_error(code)
    assert (row.status.name if row else None) == name


@pytest.mark.parametrize(
    ("status", "number"),
    [
        (SocketErrorStatus.CONNECTION_REFUSED, errno.ECONNREFUSED),
        (SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT, errno.ECONNABORTED),
        (SocketErrorStatus.TOO_MANY_OPEN_FILES, errno.EMFILE),
        (SocketErrorStatus.HOST_NOT_FOUND, socket.EAI_NONAME),
        (SocketErrorStatus.CLASS_TYPE_NOT_FOUND, socket.EAI_SERVICE),
        (SocketErrorStatus.NO_ADDRESSES_FOUND, None),
        (SocketErrorStatus.CERTIFICATE_EXPIRED, None),
    ],
)
def test_a_status_knows_the_number_that_stands_for_it(status: SocketErrorStatus, number: int | None) -> None:
    """The first name that the system has, errno before resolver; some statuses have no number."""
    assert table.errno_of(status) == number


@given(st.integers(-1, 300))
def test_any_verification_error_has_a_row(number: int) -> None:
    """What no row names, of a later OpenSSL perhaps, means that the certificate is invalid; so does 0."""
    status = next(
        (SocketErrorStatus[name] for name, numbers in VERIFICATION_ERRORS.items() if number in numbers),
        SocketErrorStatus.CERTIFICATE_IS_INVALID,
    )
    assert table.row_of_verification_error(number).status is status


def test_a_number_shared_by_two_names_belongs_to_the_earlier_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows gives EAI_NODATA the number of EAI_NONAME, and means the latter."""
    monkeypatch.setattr(socket, "EAI_NODATA", socket.EAI_NONAME, raising=False)
    spec = importlib.util.find_spec(table.__name__)
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    row = fresh.row_of_resolver_error(socket.EAI_NONAME)
    assert row is not None
    assert row.status is SocketErrorStatus.HOST_NOT_FOUND


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.status.name)
def test_a_row_says_what_happened_and_what_to_do(row: table.Row) -> None:
    """Only an abort, which is somebody's wish, and certificates, whose advice depends, give no advice."""
    assert row.meaning
    silent = row.status.name.startswith("CERTIFICATE") or row.status is SocketErrorStatus.OPERATION_ABORTED
    assert bool(row.advice) != silent
    assert all(isinstance(hresult, HResult) for hresult in row.hresults)


def test_no_hresult_stands_in_two_rows() -> None:
    """Otherwise the order of the rows would decide."""
    listed = [hresult for row in table.ROWS for hresult in row.hresults]
    assert len(listed) == len(set(listed))
    assert win32(10061) in listed
