"""From any error of the system, the resolver or Twisted to the exception family."""

from __future__ import annotations

import errno as numbers
import socket
from typing import cast

from twisted.internet import defer, error
from twisted.python.failure import Failure

from winsockets.errors import _exceptions as family
from winsockets.errors._exceptions import SocketException
from winsockets.errors._status import SocketErrorStatus
from winsockets.errors._table import (
    Row,
    row_of_errno,
    row_of_resolver_error,
    row_of_status,
    row_of_windows_error,
)

__all__ = ["translate"]

_S = SocketErrorStatus
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
# What an error says without a number.
_BY_KIND: tuple[tuple[type[BaseException], SocketErrorStatus], ...] = (
    (error.ConnectionAborted, _S.OPERATION_ABORTED),
    (error.ConnectionLost, _S.CONNECTION_RESET_BY_PEER),
    (error.ConnectionDone, _S.SOFTWARE_CAUSED_CONNECTION_ABORT),
    (error.TimeoutError, _S.CONNECTION_TIMED_OUT),
    (error.TCPTimedOutError, _S.CONNECTION_TIMED_OUT),
    (error.UserError, _S.OPERATION_ABORTED),
    (error.ServiceNameUnknownError, _S.CLASS_TYPE_NOT_FOUND),
    (error.ConnectionRefusedError, _S.CONNECTION_REFUSED),
    (error.NoRouteError, _S.NETWORK_IS_UNREACHABLE),
    (error.CannotListenError, _S.ADDRESS_ALREADY_IN_USE),
    (error.ConnectBindError, _S.CANNOT_ASSIGN_REQUESTED_ADDRESS),
    (error.MessageLengthError, _S.MESSAGE_TOO_LONG),
    (error.UnsupportedAddressFamily, _S.ADDRESS_FAMILY_NOT_SUPPORTED),
    (error.UnsupportedSocketType, _S.SOCKET_TYPE_NOT_SUPPORTED),
    (defer.TimeoutError, _S.CONNECTION_TIMED_OUT),
    (TimeoutError, _S.CONNECTION_TIMED_OUT),
    (ConnectionRefusedError, _S.CONNECTION_REFUSED),
    (ConnectionResetError, _S.CONNECTION_RESET_BY_PEER),
    (ConnectionAbortedError, _S.SOFTWARE_CAUSED_CONNECTION_ABORT),
    (BrokenPipeError, _S.SOFTWARE_CAUSED_CONNECTION_ABORT),
)
# Their numbers are the resolver's, which on macOS are the same small numbers as errno's.
_OF_RESOLVER = (socket.gaierror, error.UnknownHostError, error.DNSLookupError)
_CANCELLATIONS = (defer.CancelledError, error.ConnectingCancelledError)
_DENIED = {numbers.EACCES, numbers.EPERM}
_NO_LISTENER = {_S.CONNECTION_REFUSED, _S.CONNECTION_RESET_BY_PEER}
_RESOLVER_NAMES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}


def translate(problem: BaseException | Failure, action: str, *, datagram: bool = False) -> SocketException:
    """Turn what the system, the resolver or Twisted raised into the exception family.

    Args:
        problem: the error; a SocketException is returned as it is.
        action: what was attempted and with whom, to begin the message with: "connect to ::1 port 80".
        datagram: the error came from receiving on a datagram socket, where a refusal means that an
            earlier datagram found no listener: WinRT calls that CONNECTION_RESET_BY_PEER.

    Returns:
        An exception whose class, status, HRESULT and errno say the same thing, with ``problem`` as its
        ``__cause__``. An error that no row of the table knows has status UNKNOWN and keeps its errno; one
        of the resolver has status HOST_NOT_FOUND.
    """
    if isinstance(problem, Failure):
        return translate(cast(BaseException, problem.value), action, datagram=datagram)
    if isinstance(problem, SocketException):
        return problem
    if isinstance(problem, _CANCELLATIONS):
        result: SocketException = family.OperationCanceledError(f"{action}: cancelled")
    elif isinstance(problem, _OF_RESOLVER):
        result = _unresolved(problem, action)
    else:
        result = _build(problem, action, datagram)
    result.__cause__ = problem
    if isinstance(result, family.AddressInUseError):
        if isinstance(problem, error.CannotListenError):
            result.interface, result.port = problem.interface, problem.port
            result.socketError = problem.socketError
        else:
            result.socketError = problem
    return result


def _unresolved(problem: BaseException, action: str) -> SocketException:
    number = _number(problem)
    if number is None:
        return _from_row(row_of_status(_S.HOST_NOT_FOUND), action, None, "")
    detail = f" ({_RESOLVER_NAMES.get(number, f'error {number}')})"
    row = row_of_resolver_error(number)
    if row is not None:
        return _from_row(row, action, number, detail)
    return family.NameResolutionError(
        f"{action}: {_reason(problem)}{detail}; check the name server settings", errno=number
    )


def _build(problem: BaseException, action: str, datagram: bool) -> SocketException:
    number = _number(problem)
    detail = "" if number is None else f" ({numbers.errorcode.get(number, f'error {number}')})"
    row = None if number is None else row_of_errno(number)
    windows_error = getattr(problem, "winerror", None)
    if row is None and windows_error is not None:
        row = row_of_windows_error(windows_error)
        if row is not None:
            # CPython knows no errno for it and says EINVAL.
            number, detail = None, f" (WinError {windows_error})"
    if row is None and (number in _DENIED or isinstance(problem, PermissionError)):
        return family.AccessDeniedError(
            f"{action}: permission denied{detail}; ports below 1024 and broadcast need rights, and a "
            "firewall may forbid it",
            errno=number,
        )
    if row is None:
        row = _row_of_kind(problem, number)
    if row is None:
        return SocketException(f"{action}: {_reason(problem)}{detail}", errno=number)
    if datagram and row.status in _NO_LISTENER:
        return family.ResetByPeerError(
            f"{action}: nobody listens at the peer's port{detail}; start the peer first", errno=number
        )
    return _from_row(row, action, number, detail)


def _row_of_kind(problem: BaseException, number: int | None) -> Row | None:
    if isinstance(problem, error.CannotListenError) and number is not None:
        # Twisted raises it for whatever is wrong with an address: the number says that it is not in use.
        return None
    return next((row_of_status(status) for kind, status in _BY_KIND if isinstance(problem, kind)), None)


def _from_row(row: Row, action: str, number: int | None, detail: str) -> SocketException:
    advice = f"; {row.advice}" if row.advice else ""
    kind = _CLASS.get(row.status, SocketException)
    return kind(f"{action}: {row.meaning}{detail}{advice}", status=row.status, errno=number)


def _number(problem: BaseException) -> int | None:
    """Dig out the errno: Twisted keeps it in osError, or in the error of the system that it wraps."""
    problem = _of_system(problem)
    number = getattr(problem, "osError", None)
    if number is None:
        number = getattr(problem, "errno", None)
    return number if isinstance(number, int) else None


def _of_system(problem: BaseException) -> BaseException:
    if isinstance(problem, error.CannotListenError) and isinstance(problem.socketError, BaseException):
        return problem.socketError
    return problem


def _reason(problem: BaseException) -> str:
    problem = _of_system(problem)
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
