"""From any error of the system, the resolver or Twisted to the exception family."""

from __future__ import annotations

import errno as numbers
import socket

from twisted.internet import defer, error
from twisted.python.failure import Failure, NoCurrentExceptionError

from winsockets.errors import _exceptions as family
from winsockets.errors._exceptions import SocketException
from winsockets.errors._status import SocketErrorStatus
from winsockets.errors._table import BY_ERRNO, BY_RESOLVER_ERROR, ROWS, Row

__all__ = ["translate"]

_S = SocketErrorStatus
_BY_STATUS: dict[SocketErrorStatus, Row] = {row.status: row for row in ROWS}
_CLASS: dict[SocketErrorStatus, type[SocketException]] = {
    _S.OPERATION_ABORTED: family.OperationAbortedError,
    _S.CONNECTION_TIMED_OUT: family.ConnectionTimedOutError,
    _S.HOST_NOT_FOUND: family.NameResolutionError,
    _S.NO_DATA_RECORD_OF_REQUESTED_TYPE: family.NameResolutionError,
    _S.NON_AUTHORITATIVE_HOST_NOT_FOUND: family.NameResolutionError,
    _S.NO_ADDRESSES_FOUND: family.NameResolutionError,
    _S.CLASS_TYPE_NOT_FOUND: family.UnknownServiceError,
    _S.ADDRESS_ALREADY_IN_USE: family.AddressInUseError,
    _S.CANNOT_ASSIGN_REQUESTED_ADDRESS: family.AddressNotAvailableError,
    _S.CONNECTION_REFUSED: family.ConnectRefusedError,
    _S.NETWORK_IS_UNREACHABLE: family.NetworkUnreachableError,
    _S.UNREACHABLE_HOST: family.NetworkUnreachableError,
    _S.NETWORK_IS_DOWN: family.NetworkUnreachableError,
    _S.HOST_IS_DOWN: family.NetworkUnreachableError,
    _S.SOFTWARE_CAUSED_CONNECTION_ABORT: family.ConnectionAbortError,
    _S.CONNECTION_RESET_BY_PEER: family.ResetByPeerError,
    _S.MESSAGE_TOO_LONG: family.MessageTooLongError,
}
# What Twisted says without an errno.
_BY_TWISTED: tuple[tuple[type[BaseException], SocketErrorStatus], ...] = (
    (error.ConnectionAborted, _S.OPERATION_ABORTED),
    (error.ConnectionLost, _S.CONNECTION_RESET_BY_PEER),
    (error.TimeoutError, _S.CONNECTION_TIMED_OUT),
    (error.TCPTimedOutError, _S.CONNECTION_TIMED_OUT),
    (error.DNSLookupError, _S.HOST_NOT_FOUND),
    (error.UnknownHostError, _S.HOST_NOT_FOUND),
    (error.ServiceNameUnknownError, _S.CLASS_TYPE_NOT_FOUND),
    (error.ConnectionRefusedError, _S.CONNECTION_REFUSED),
    (error.NoRouteError, _S.NETWORK_IS_UNREACHABLE),
    (error.CannotListenError, _S.ADDRESS_ALREADY_IN_USE),
    (error.ConnectBindError, _S.CANNOT_ASSIGN_REQUESTED_ADDRESS),
    (error.MessageLengthError, _S.MESSAGE_TOO_LONG),
    (TimeoutError, _S.CONNECTION_TIMED_OUT),
)
_DENIED = {numbers.EACCES, numbers.EPERM}


def translate(problem: BaseException | Failure, action: str, *, datagram: bool = False) -> SocketException:
    """Turn what the system, the resolver or Twisted raised into the exception family.

    Args:
        problem: the error; a SocketException is returned as it is.
        action: what was attempted and with whom, to begin the message with: "connect to ::1 port 80".
        datagram: the error came from receiving on a datagram socket, where a refusal means that an
            earlier datagram found no listener: WinRT calls that CONNECTION_RESET_BY_PEER.

    Returns:
        An exception whose class, status, HRESULT and errno say the same thing, with ``problem`` as its
        ``__cause__``. An error that no row of the table knows has status UNKNOWN and keeps its errno.
    """
    if isinstance(problem, Failure):
        return translate(problem.value or NoCurrentExceptionError(), action, datagram=datagram)
    if isinstance(problem, SocketException):
        return problem
    if isinstance(problem, defer.CancelledError):
        result: SocketException = family.OperationCanceledError(f"{action}: cancelled")
    else:
        result = _build(problem, action, datagram)
    result.__cause__ = problem
    if isinstance(result, family.AddressInUseError) and isinstance(problem, error.CannotListenError):
        result.interface, result.port = problem.interface, problem.port
        result.socketError = problem.socketError
    return result


def _build(problem: BaseException, action: str, datagram: bool) -> SocketException:
    number = _number(problem)
    if isinstance(problem, socket.gaierror):
        row = BY_RESOLVER_ERROR.get(number) if number is not None else None
        if row is None:
            row = _BY_STATUS[_S.HOST_NOT_FOUND]
        return _from_row(row, action, number)
    if number is not None:
        if datagram and number in _REFUSED:
            row = _BY_STATUS[_S.CONNECTION_RESET_BY_PEER]
            return family.ResetByPeerError(
                f"{action}: nobody listens at the peer's port ({_name(number)}); start the peer first",
                errno=number,
            )
        if number in BY_ERRNO:
            return _from_row(BY_ERRNO[number], action, number)
        if number in _DENIED:
            return family.AccessDeniedError(
                f"{action}: permission denied ({_name(number)}); ports below 1024 and broadcast need rights",
                errno=number,
            )
    for kind, status in _BY_TWISTED:
        if isinstance(problem, kind):
            return _from_row(_BY_STATUS[status], action, number)
    reason = str(problem) or type(problem).__name__
    return SocketException(f"{action}: {reason}", errno=number)


_REFUSED = {number for number, row in BY_ERRNO.items() if row.status is _S.CONNECTION_REFUSED}


def _from_row(row: Row, action: str, number: int | None) -> SocketException:
    detail = f" ({_name(number)})" if number is not None else ""
    advice = f"; {row.advice}" if row.advice else ""
    kind = _CLASS.get(row.status, SocketException)
    return kind(f"{action}: {row.meaning}{detail}{advice}", status=row.status, errno=number)


def _number(problem: BaseException) -> int | None:
    """Dig out the errno: Twisted keeps it in osError, in socketError, or in the first argument."""
    if isinstance(problem, error.CannotListenError):
        return _number(problem.socketError) if isinstance(problem.socketError, BaseException) else None
    number = getattr(problem, "osError", None)
    if number is None:
        number = getattr(problem, "errno", None)
    return number if isinstance(number, int) else None


_RESOLVER_NAMES = {
    getattr(socket, name): name for row in ROWS for name in row.resolver if hasattr(socket, name)
}


def _name(number: int) -> str:
    return numbers.errorcode.get(number) or _RESOLVER_NAMES.get(number, f"error {number}")
