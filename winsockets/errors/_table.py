"""The one table behind every status: native code, errno, resolver and OpenSSL error, meaning, advice.

Nothing else in the package decides a status. The rows follow Winsock's numbering because WinRT's statuses
do; the errno names are looked up on the running system, and one that it lacks is skipped. Winsock's own
numbers need no names: HRESULTs are made of them.
"""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from winsockets.errors._hresult import ERROR_OPERATION_ABORTED, HResult, win32
from winsockets.errors._status import SocketErrorStatus

__all__ = [
    "ROWS",
    "Row",
    "SocketError",
    "errno_of",
    "hresult_of",
    "row_of_errno",
    "row_of_resolver_error",
    "row_of_status",
    "row_of_verification_error",
    "row_of_windows_error",
]


class Row(NamedTuple):
    """One network status and everything that means it.

    Attributes:
        status: the WinRT status.
        hresults: the HRESULTs that carry it; the first is the one our exceptions use.
        errnos: names of errno constants; the first that exists is the one our exceptions use.
        resolver: names of getaddrinfo error constants, likewise.
        verification: numbers of OpenSSL's certificate verification errors (X509_V_ERR), which are the same
            everywhere.
        meaning: what happened, for messages.
        advice: what the reader can do about it.
    """

    status: SocketErrorStatus
    hresults: tuple[HResult, ...]
    errnos: tuple[str, ...] = ()
    resolver: tuple[str, ...] = ()
    meaning: str = ""
    advice: str = ""
    verification: tuple[int, ...] = ()


_S = SocketErrorStatus


def _certificate(status: SocketErrorStatus, *codes: int, verification: tuple[int, ...] = ()) -> Row:
    return Row(
        status,
        tuple(map(HResult, codes)),
        meaning="the server's certificate was not accepted",
        verification=verification,
    )


ROWS: tuple[Row, ...] = (
    Row(
        _S.OPERATION_ABORTED,
        (ERROR_OPERATION_ABORTED,),
        ("ECANCELED",),
        meaning="the operation was aborted by a close or a cancel",
    ),
    Row(
        _S.HTTP_INVALID_SERVER_RESPONSE,
        (win32(12152),),
        meaning="the proxy's answer makes no sense",
        advice="check the proxy's address",
    ),
    Row(
        _S.CONNECTION_TIMED_OUT,
        (win32(10060), win32(121)),
        ("ETIMEDOUT",),
        meaning="timed out",
        advice="check the address and that no firewall drops the packets",
    ),
    Row(
        _S.ADDRESS_FAMILY_NOT_SUPPORTED,
        (win32(10047),),
        ("EAFNOSUPPORT",),
        ("EAI_FAMILY",),
        "this system does not offer the address family",
        "use an address of a family that is configured here",
    ),
    Row(
        _S.SOCKET_TYPE_NOT_SUPPORTED,
        (win32(10044),),
        ("ESOCKTNOSUPPORT",),
        ("EAI_SOCKTYPE",),
        "this system does not offer the kind of socket",
        "use a kind that is configured here",
    ),
    Row(
        _S.HOST_NOT_FOUND,
        (win32(11001),),
        resolver=("EAI_NONAME",),
        meaning="no such host is known",
        advice="check the spelling of the name",
    ),
    Row(
        _S.NO_DATA_RECORD_OF_REQUESTED_TYPE,
        (win32(11004),),
        resolver=("EAI_NODATA", "EAI_ADDRFAMILY"),
        meaning="the name exists but has no usable address",
        advice="check the name's address records",
    ),
    Row(
        _S.NON_AUTHORITATIVE_HOST_NOT_FOUND,
        (win32(11002),),
        resolver=("EAI_AGAIN",),
        meaning="the name server did not answer in time",
        advice="try again later, or check the name server settings",
    ),
    Row(
        _S.CLASS_TYPE_NOT_FOUND,
        (win32(10109),),
        resolver=("EAI_SERVICE",),
        meaning="the service is not known",
        advice="use a port number or a name from the services file",
    ),
    Row(
        _S.ADDRESS_ALREADY_IN_USE,
        (win32(10048),),
        ("EADDRINUSE",),
        meaning="the address is already in use",
        advice="stop the program that holds the port, or choose another",
    ),
    Row(
        _S.CANNOT_ASSIGN_REQUESTED_ADDRESS,
        (win32(10049),),
        ("EADDRNOTAVAIL",),
        meaning="the address does not belong to this machine",
        advice="use an address of a local interface",
    ),
    Row(
        _S.CONNECTION_REFUSED,
        (win32(10061), win32(1225)),
        ("ECONNREFUSED",),
        meaning="connection refused",
        advice="check that a program listens there",
    ),
    Row(
        _S.NETWORK_IS_UNREACHABLE,
        (win32(10051), win32(1231)),
        ("ENETUNREACH",),
        meaning="there is no route to that network",
        advice="check the address and the routing table",
    ),
    Row(
        _S.UNREACHABLE_HOST,
        (win32(10065), win32(1232)),
        ("EHOSTUNREACH",),
        meaning="the host cannot be reached",
        advice="check that it is up and on the network",
    ),
    Row(
        _S.NETWORK_IS_DOWN,
        (win32(10050),),
        # The others: the interface that the socket is bound to is gone, on Linux and on the BSDs
        ("ENETDOWN", "ENODEV", "ENXIO"),
        meaning="the local network is down, or the interface is gone",
        advice="check the network interface",
    ),
    Row(
        _S.NETWORK_DROPPED_CONNECTION_ON_RESET,
        (win32(10052),),
        ("ENETRESET",),
        # For datagrams it is the other: Winsock
        meaning="keep-alive found the connection dead, or the hop limit was too low",
        advice="connect again, or raise the hop limit",
    ),
    Row(
        _S.SOFTWARE_CAUSED_CONNECTION_ABORT,
        (win32(10053), win32(1236)),
        ("ECONNABORTED", "EPIPE"),
        meaning="the connection is gone",
        advice="connect again",
    ),
    Row(
        _S.CONNECTION_RESET_BY_PEER,
        (win32(10054), win32(64), win32(1234)),
        ("ECONNRESET",),
        meaning="the peer reset the connection",
        advice="connect again",
    ),
    Row(
        _S.HOST_IS_DOWN,
        (win32(10064),),
        ("EHOSTDOWN",),
        meaning="the host is down",
        advice="check that it is up",
    ),
    Row(
        _S.NO_ADDRESSES_FOUND,
        (win32(232),),
        meaning="the resolver gave no address",
        advice="check the name's address records",
    ),
    Row(
        _S.TOO_MANY_OPEN_FILES,
        (win32(10024),),
        ("EMFILE", "ENFILE"),
        meaning="too many open files",
        advice="close some, or raise the limit (ulimit -n)",
    ),
    Row(
        _S.MESSAGE_TOO_LONG,
        (win32(10040),),
        ("EMSGSIZE",),
        meaning="the message is too long",
        advice="send smaller datagrams (at most 65,507 bytes over IPv4, 65,527 over IPv6)",
    ),
    _certificate(_S.CERTIFICATE_EXPIRED, 0x800B0101, 0x800B0102, verification=(9, 10)),
    _certificate(
        _S.CERTIFICATE_UNTRUSTED_ROOT,
        0x800B0109,
        0x800B010A,
        0x800B0112,
        verification=(2, 18, 19, 20, 21, 27),
    ),
    # 47 and 48: a name that an authority above must not, or may not, certify
    _certificate(
        _S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
        0x800B010F,
        0x800B0114,
        verification=(47, 48, 62, 63, 64),
    ),
    _certificate(_S.CERTIFICATE_WRONG_USAGE, 0x800B0110, verification=(26, 32)),
    _certificate(_S.CERTIFICATE_REVOKED, 0x800B010C, 0x80092010, 0x800B0111, verification=(23, 28)),
    _certificate(_S.CERTIFICATE_NO_REVOCATION_CHECK, 0x80092012, verification=(3, 33, 73)),
    # There are lists or answers, but none that can be relied upon
    _certificate(
        _S.CERTIFICATE_REVOCATION_SERVER_OFFLINE,
        0x80092013,
        verification=(5, 8, 11, 12, 15, 16, 35, 36, 44, 54, 74, 75),
    ),
    # and every verification error that no row has
    _certificate(
        _S.CERTIFICATE_IS_INVALID,
        *range(0x800B0103, 0x800B0109),
        0x800B0113,
        0x80096004,
        0x80096019,
    ),
)

_BY_STATUS: dict[SocketErrorStatus, Row] = {row.status: row for row in ROWS}
_BY_HRESULT: dict[int, Row] = {hresult: row for row in ROWS for hresult in row.hresults}
# From the last row to the first: where a system gives two names one number, the earlier row has it.
_BY_ERRNO: dict[int, Row] = {
    getattr(errno, name): row for row in reversed(ROWS) for name in row.errnos if hasattr(errno, name)
}
_BY_RESOLVER_ERROR: dict[int, Row] = {
    getattr(socket, name): row for row in reversed(ROWS) for name in row.resolver if hasattr(socket, name)
}
_BY_VERIFICATION_ERROR: dict[int, Row] = {number: row for row in ROWS for number in row.verification}
_WINSOCK = range(10_000, 12_000)


def row_of_status(status: SocketErrorStatus) -> Row:
    """Find the row of a status other than UNKNOWN."""
    return _BY_STATUS[status]


def row_of_errno(number: int) -> Row | None:
    """Find the row of a POSIX errno of this system or of a Winsock number."""
    return _BY_ERRNO.get(number) or _row_of_winsock(number)


def row_of_resolver_error(number: int) -> Row | None:
    """Find the row of a getaddrinfo error, which is a Winsock number on Windows."""
    return _BY_RESOLVER_ERROR.get(number) or _row_of_winsock(number)


def row_of_verification_error(number: int) -> Row:
    """Find the row of an OpenSSL certificate verification error (X509_V_ERR).

    A number that no row has, of a later OpenSSL perhaps, means that the certificate is invalid, and so does
    0, which is no error: whoever asks has one.
    """
    return _BY_VERIFICATION_ERROR.get(number) or _BY_STATUS[_S.CERTIFICATE_IS_INVALID]


def row_of_windows_error(number: int) -> Row | None:
    """Find the row of what ``OSError.winerror`` holds on Windows."""
    return _BY_HRESULT.get(win32(number)) if 0 <= number <= 0xFFFF else None


def _row_of_winsock(number: int) -> Row | None:
    return row_of_windows_error(number) if number in _WINSOCK else None


def hresult_of(status: SocketErrorStatus) -> HResult | None:
    """Give the HRESULT that stands for a status; UNKNOWN has none."""
    row = _BY_STATUS.get(status)
    return None if row is None else row.hresults[0]


def errno_of(status: SocketErrorStatus) -> int | None:
    """Give the errno or resolver error that stands for a status, if this system has one."""
    row = _BY_STATUS.get(status)
    if row is None:
        return None
    numbers = [getattr(errno, name, None) for name in row.errnos]
    numbers += [getattr(socket, name, None) for name in row.resolver]
    return next((number for number in numbers if number is not None), None)


class SocketError:
    """Turns the HRESULT of a failed socket operation into a status."""

    @staticmethod
    def get_status(hresult: int, /) -> SocketErrorStatus:
        """Look up the status of an HRESULT.

        Args:
            hresult: signed or unsigned 32-bit HRESULT, such as ``error.winerror``.

        Returns:
            The status; UNKNOWN for everything that is not a network error.

        Raises:
            TypeError: the number is not a whole number.
            ValueError: the number does not fit 32 bits.

        Source: WinRT SocketError.GetStatus.
        """
        row = _BY_HRESULT.get(HResult(hresult))
        return SocketErrorStatus.UNKNOWN if row is None else row.status
