"""The one table behind every status: native code, errno, resolver error, meaning, advice.

Nothing else in the package decides a status. The rows follow Winsock's numbering because WinRT's statuses
do; the errno names are looked up on the running system, and one that it lacks is skipped.
"""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from winsockets.errors._hresult import ERROR_OPERATION_ABORTED, HResult, win32
from winsockets.errors._status import SocketErrorStatus, WebErrorStatus

__all__ = ["BY_ERRNO", "BY_RESOLVER_ERROR", "ROWS", "Row", "SocketError", "WebError"]


class Row(NamedTuple):
    """One network status and everything that means it.

    Attributes:
        status: the WinRT status.
        hresults: the HRESULTs that carry it; the first is the one our exceptions use.
        errnos: names of POSIX and Winsock errno constants.
        resolver: names of getaddrinfo error constants.
        meaning: what happened, for messages.
        advice: what the reader can do about it.
    """

    status: SocketErrorStatus
    hresults: tuple[HResult, ...]
    errnos: tuple[str, ...] = ()
    resolver: tuple[str, ...] = ()
    meaning: str = ""
    advice: str = ""


_S = SocketErrorStatus


def _certificate(status: SocketErrorStatus, *codes: int) -> Row:
    return Row(status, tuple(map(HResult, codes)), meaning="the server's certificate was not accepted")


ROWS: tuple[Row, ...] = (
    Row(
        _S.OPERATION_ABORTED,
        (ERROR_OPERATION_ABORTED,),
        ("ECANCELED",),
        meaning="the operation was aborted by a close or a cancel",
    ),
    Row(_S.HTTP_INVALID_SERVER_RESPONSE, (win32(12152),), meaning="the proxy's answer makes no sense"),
    Row(
        _S.CONNECTION_TIMED_OUT,
        (win32(10060), win32(121)),
        ("ETIMEDOUT", "WSAETIMEDOUT"),
        meaning="timed out",
        advice="check the address and that no firewall drops the packets",
    ),
    Row(
        _S.ADDRESS_FAMILY_NOT_SUPPORTED,
        (win32(10047),),
        ("EAFNOSUPPORT", "WSAEAFNOSUPPORT"),
        ("EAI_FAMILY",),
        "this system does not offer the address family",
        "use an address of a family that is configured here",
    ),
    Row(
        _S.SOCKET_TYPE_NOT_SUPPORTED,
        (win32(10044),),
        ("ESOCKTNOSUPPORT", "WSAESOCKTNOSUPPORT"),
        ("EAI_SOCKTYPE",),
        "this system does not offer the kind of socket",
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
        ("EADDRINUSE", "WSAEADDRINUSE"),
        meaning="the address is already in use",
        advice="stop the program that holds the port, or choose another",
    ),
    Row(
        _S.CANNOT_ASSIGN_REQUESTED_ADDRESS,
        (win32(10049),),
        ("EADDRNOTAVAIL", "WSAEADDRNOTAVAIL"),
        meaning="the address does not belong to this machine",
        advice="use an address of a local interface",
    ),
    Row(
        _S.CONNECTION_REFUSED,
        (win32(10061), win32(1225)),
        ("ECONNREFUSED", "WSAECONNREFUSED"),
        meaning="connection refused",
        advice="check that a program listens there",
    ),
    Row(
        _S.NETWORK_IS_UNREACHABLE,
        (win32(10051), win32(1231)),
        ("ENETUNREACH", "WSAENETUNREACH"),
        meaning="there is no route to that network",
        advice="check the address and the routing table",
    ),
    Row(
        _S.UNREACHABLE_HOST,
        (win32(10065), win32(1232)),
        ("EHOSTUNREACH", "WSAEHOSTUNREACH"),
        meaning="the host cannot be reached",
        advice="check that it is up and on the network",
    ),
    Row(
        _S.NETWORK_IS_DOWN,
        (win32(10050),),
        ("ENETDOWN", "WSAENETDOWN"),
        meaning="the local network is down",
        advice="check the network interface",
    ),
    Row(
        _S.NETWORK_DROPPED_CONNECTION_ON_RESET,
        (win32(10052),),
        ("ENETRESET", "WSAENETRESET"),
        meaning="keep-alive found the connection dead",
        advice="connect again",
    ),
    Row(
        _S.SOFTWARE_CAUSED_CONNECTION_ABORT,
        (win32(10053), win32(1236)),
        ("ECONNABORTED", "EPIPE", "WSAECONNABORTED"),
        meaning="the connection is gone",
        advice="connect again",
    ),
    Row(
        _S.CONNECTION_RESET_BY_PEER,
        (win32(10054), win32(64), win32(1234)),
        ("ECONNRESET", "WSAECONNRESET"),
        meaning="the peer reset the connection",
        advice="connect again",
    ),
    Row(
        _S.HOST_IS_DOWN,
        (win32(10064),),
        ("EHOSTDOWN", "WSAEHOSTDOWN"),
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
        ("EMFILE", "ENFILE", "WSAEMFILE"),
        meaning="too many open files",
        advice="close some, or raise the limit (ulimit -n)",
    ),
    Row(
        _S.MESSAGE_TOO_LONG,
        (win32(10040),),
        ("EMSGSIZE", "WSAEMSGSIZE"),
        meaning="the message is too long",
        advice="send smaller datagrams (65,507 bytes at most over IPv4)",
    ),
    _certificate(_S.CERTIFICATE_EXPIRED, 0x800B0101, 0x800B0102),
    _certificate(_S.CERTIFICATE_UNTRUSTED_ROOT, 0x800B0109, 0x800B010A, 0x800B0112),
    _certificate(_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT, 0x800B010F, 0x800B0114),
    _certificate(_S.CERTIFICATE_WRONG_USAGE, 0x800B0110),
    _certificate(_S.CERTIFICATE_REVOKED, 0x800B010C, 0x80092010, 0x800B0111),
    _certificate(_S.CERTIFICATE_NO_REVOCATION_CHECK, 0x80092012),
    _certificate(_S.CERTIFICATE_REVOCATION_SERVER_OFFLINE, 0x80092013),
    _certificate(
        _S.CERTIFICATE_IS_INVALID,
        *range(0x800B0103, 0x800B0109),
        0x800B0113,
        0x80096004,
        0x80096019,
    ),
)

BY_ERRNO: dict[int, Row] = {
    getattr(errno, name): row for row in ROWS for name in row.errnos if hasattr(errno, name)
}
BY_RESOLVER_ERROR: dict[int, Row] = {
    getattr(socket, name): row for row in ROWS for name in row.resolver if hasattr(socket, name)
}
_BY_HRESULT: dict[int, SocketErrorStatus] = {hresult: row.status for row in ROWS for hresult in row.hresults}

_W = WebErrorStatus
_WEB: dict[int, WebErrorStatus] = {
    win32(12002): _W.TIMEOUT,
    win32(12007): _W.HOST_NAME_NOT_RESOLVED,
    win32(12017): _W.OPERATION_CANCELED,
    win32(995): _W.OPERATION_CANCELED,
    win32(1223): _W.OPERATION_CANCELED,
    HResult(0x80004004): _W.OPERATION_CANCELED,
    win32(12029): _W.CANNOT_CONNECT,
    win32(12030): _W.CONNECTION_ABORTED,
    win32(12031): _W.CONNECTION_RESET,
    win32(12037): _W.CERTIFICATE_EXPIRED,
    win32(12038): _W.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    win32(12039): _W.HTTP_TO_HTTPS_ON_REDIRECTION,
    win32(12040): _W.HTTPS_TO_HTTP_ON_REDIRECTION,
    win32(12045): _W.CERTIFICATE_IS_INVALID,
    win32(12169): _W.CERTIFICATE_IS_INVALID,
    win32(12055): _W.CERTIFICATE_CONTAINS_ERRORS,
    win32(12170): _W.CERTIFICATE_REVOKED,
    win32(12152): _W.ERROR_HTTP_INVALID_SERVER_RESPONSE,
    win32(12156): _W.REDIRECT_FAILED,
    win32(12163): _W.DISCONNECTED,
    win32(12164): _W.SERVER_UNREACHABLE,
    HResult(0x80190001): _W.UNEXPECTED_STATUS_CODE,
    HResult(0x80190003): _W.UNEXPECTED_REDIRECTION,
    HResult(0x80190004): _W.UNEXPECTED_CLIENT_ERROR,
    HResult(0x80190005): _W.UNEXPECTED_SERVER_ERROR,
    # Plain socket errors met below a WebSocket.
    win32(10061): _W.CANNOT_CONNECT,
    win32(10054): _W.CONNECTION_RESET,
    win32(10053): _W.CONNECTION_ABORTED,
    win32(10060): _W.TIMEOUT,
    win32(11001): _W.HOST_NAME_NOT_RESOLVED,
    win32(11002): _W.HOST_NAME_NOT_RESOLVED,
    win32(11004): _W.HOST_NAME_NOT_RESOLVED,
}
_HTTP_FACILITY = HResult(0x80190000)
_HTTP_CLASSES = {
    3: _W.UNEXPECTED_REDIRECTION,
    4: _W.UNEXPECTED_CLIENT_ERROR,
    5: _W.UNEXPECTED_SERVER_ERROR,
}


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
            ValueError: the number does not fit 32 bits.

        Source: WinRT SocketError.GetStatus.
        """
        return _BY_HRESULT.get(HResult(hresult), SocketErrorStatus.UNKNOWN)


class WebError:
    """Turns the HRESULT of a failed web operation into a status."""

    @staticmethod
    def get_status(hresult: int, /) -> WebErrorStatus:
        """Look up the status of an HRESULT.

        Args:
            hresult: signed or unsigned 32-bit HRESULT.

        Returns:
            The status: an HTTP answer under its own number, or under its class (redirection, client,
            server) where the number has no name; UNKNOWN for anything else.

        Raises:
            ValueError: the number does not fit 32 bits.

        Source: WinRT WebError.GetStatus.
        """
        number = HResult(hresult)
        if number in _WEB:
            return _WEB[number]
        http_status = number - _HTTP_FACILITY
        if not 100 <= http_status < 600:
            return WebErrorStatus.UNKNOWN
        try:
            return WebErrorStatus(http_status)
        except ValueError:
            return _HTTP_CLASSES.get(http_status // 100, WebErrorStatus.UNEXPECTED_STATUS_CODE)
