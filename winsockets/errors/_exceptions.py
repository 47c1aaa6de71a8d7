"""The exception family.

    SocketException (OSError)
        AccessDeniedError           also PermissionError
        AddressInUseError           also twisted CannotListenError
        AddressNotAvailableError    also twisted ConnectBindError
        BusyError
        ConnectRefusedError         also ConnectionRefusedError (Python's and Twisted's)
        ConnectionAbortError        also ConnectionAbortedError, BrokenPipeError, twisted ConnectionLost
        ConnectionTimedOutError     also TimeoutError (Python's and Twisted's)
        IllegalMethodCallError      also RuntimeError
        InvalidArgumentError        also ValueError
        MessageTooLongError         also twisted MessageLengthError
        NameResolutionError         also socket.gaierror, twisted DNSLookupError and UnknownHostError
        NetworkUnreachableError     also twisted NoRouteError
        ObjectClosedError
        OperationAbortedError       also twisted CancelledError and ConnectionAborted
        OperationCanceledError      also twisted CancelledError
        OutOfBoundsError            also IndexError
        ResetByPeerError            also ConnectionResetError, twisted ConnectionLost
        UnknownServiceError         also twisted ServiceNameUnknownError
        UntranslatableError         also UnicodeError

so that ``except ConnectionRefusedError``, ``failure.trap(error.ConnectionRefusedError)`` and
``SocketError.get_status(e.winerror)`` all work on one object.
"""

from __future__ import annotations

import builtins
import errno as numbers
import socket
from typing import ClassVar

from twisted.internet import defer, error

from winsockets.errors import _hresult as codes
from winsockets.errors._hresult import E_FAIL, HResult, win32
from winsockets.errors._status import SocketErrorStatus, WebErrorStatus
from winsockets.errors._table import ROWS, SocketError

__all__ = [
    "AccessDeniedError",
    "AddressInUseError",
    "AddressNotAvailableError",
    "BusyError",
    "ConnectRefusedError",
    "ConnectionAbortError",
    "ConnectionTimedOutError",
    "IllegalMethodCallError",
    "InvalidArgumentError",
    "MessageTooLongError",
    "NameResolutionError",
    "NetworkUnreachableError",
    "ObjectClosedError",
    "OperationAbortedError",
    "OperationCanceledError",
    "OutOfBoundsError",
    "ResetByPeerError",
    "SocketException",
    "UnknownServiceError",
    "UntranslatableError",
]

_PRIMARY_HRESULT: dict[SocketErrorStatus | WebErrorStatus, HResult] = {
    row.status: row.hresults[0] for row in ROWS
}


class SocketException(OSError):
    """A failure of a socket, a stream or a name, with its numbers.

    Args:
        message: what was attempted, with whom, and what to do.
        status: the network status; left out, it follows from the HRESULT.
        hresult: the HRESULT; left out, it follows from the status, or is the class's own.
        errno: the POSIX number (or the resolver's), if one is known.

    Attributes:
        status: SocketErrorStatus, or WebErrorStatus on WebSockets.
        hresult: the HRESULT, signed.
        winerror: the same number as a plain int, the attribute PyWinRT raises with.
        errno: the POSIX or resolver number, or None.

    The error of the operating system or of Twisted, where there was one, is the ``__cause__``.
    """

    _hresult: ClassVar[HResult] = E_FAIL
    _errno: ClassVar[int | None] = None
    status: SocketErrorStatus | WebErrorStatus
    hresult: HResult
    winerror: int

    def __init__(
        self,
        message: str,
        *,
        status: SocketErrorStatus | WebErrorStatus | None = None,
        hresult: int | None = None,
        errno: int | None = None,
    ) -> None:
        OSError.__init__(self, message)
        if hresult is None:
            hresult = self._hresult if status is None else _PRIMARY_HRESULT.get(status, self._hresult)
        self.message = message
        self.hresult = HResult(hresult)
        self.winerror = int(self.hresult)
        self.status = SocketError.get_status(self.hresult) if status is None else status
        self.errno = self._errno if errno is None else errno
        self.strerror = message

    def __str__(self) -> str:
        """Return the message."""
        return self.message

    @property
    def osError(self) -> int | None:
        """The errno under the name that Twisted's connection errors give it."""
        return self.errno

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy with all numbers kept."""
        return (type(self)._rebuild, (self.message, self.status, int(self.hresult), self.errno))

    @classmethod
    def _rebuild(
        cls, message: str, status: SocketErrorStatus | WebErrorStatus, hresult: int, errno: int | None
    ) -> SocketException:
        return cls(message, status=status, hresult=hresult, errno=errno)


def _status(status: SocketErrorStatus) -> HResult:
    return _PRIMARY_HRESULT[status]


class AccessDeniedError(SocketException, PermissionError):
    """The system refuses: a low port, a broadcast address, a firewall rule (WSAEACCES, status UNKNOWN)."""

    _hresult = win32(10013)
    _errno = numbers.EACCES


class AddressInUseError(SocketException, error.CannotListenError):
    """The local address and port are taken (ADDRESS_ALREADY_IN_USE).

    ``interface``, ``port`` and ``socketError`` are those of Twisted's error where it was the cause.
    """

    interface: str = ""
    port: int | None = None
    socketError: BaseException | None = None
    _hresult = _status(SocketErrorStatus.ADDRESS_ALREADY_IN_USE)
    _errno = numbers.EADDRINUSE


class AddressNotAvailableError(SocketException, error.ConnectBindError):
    """The local address is not one of this machine (CANNOT_ASSIGN_REQUESTED_ADDRESS)."""

    _hresult = _status(SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS)
    _errno = numbers.EADDRNOTAVAIL


class BusyError(SocketException):
    """An operation of the same kind is still pending (ERROR_INVALID_OPERATION, status UNKNOWN)."""

    _hresult = codes.ERROR_INVALID_OPERATION
    _errno = numbers.EBUSY


class ConnectRefusedError(SocketException, builtins.ConnectionRefusedError, error.ConnectionRefusedError):
    """Nobody listens at the remote address (CONNECTION_REFUSED)."""

    _hresult = _status(SocketErrorStatus.CONNECTION_REFUSED)
    _errno = numbers.ECONNREFUSED


class ConnectionAbortError(
    SocketException, builtins.ConnectionAbortedError, builtins.BrokenPipeError, error.ConnectionLost
):
    """The local system gave the connection up (SOFTWARE_CAUSED_CONNECTION_ABORT)."""

    _hresult = _status(SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT)
    _errno = numbers.ECONNABORTED


class ConnectionTimedOutError(
    SocketException, builtins.TimeoutError, error.TimeoutError, error.TCPTimedOutError
):
    """A phase passed its deadline, or TCP gave up (CONNECTION_TIMED_OUT)."""

    _hresult = _status(SocketErrorStatus.CONNECTION_TIMED_OUT)
    _errno = numbers.ETIMEDOUT


class IllegalMethodCallError(SocketException, RuntimeError):
    """A call came at an unexpected time: wrong order (E_ILLEGAL_METHOD_CALL, status UNKNOWN)."""

    _hresult = codes.E_ILLEGAL_METHOD_CALL


class InvalidArgumentError(SocketException, ValueError):
    """A value is not acceptable (E_INVALIDARG, status UNKNOWN)."""

    _hresult = codes.E_INVALIDARG
    _errno = numbers.EINVAL


class MessageTooLongError(SocketException, error.MessageLengthError):
    """A datagram is larger than the network or the receiver's buffer takes (MESSAGE_TOO_LONG)."""

    _hresult = _status(SocketErrorStatus.MESSAGE_TOO_LONG)
    _errno = numbers.EMSGSIZE


class NameResolutionError(SocketException, socket.gaierror, error.DNSLookupError, error.UnknownHostError):
    """A host name gave no address (HOST_NOT_FOUND and its neighbours); errno is the resolver's number."""

    _hresult = _status(SocketErrorStatus.HOST_NOT_FOUND)
    _errno = socket.EAI_NONAME


class NetworkUnreachableError(SocketException, error.NoRouteError):
    """No way leads there (NETWORK_IS_UNREACHABLE, UNREACHABLE_HOST, NETWORK_IS_DOWN, HOST_IS_DOWN)."""

    _hresult = _status(SocketErrorStatus.NETWORK_IS_UNREACHABLE)
    _errno = numbers.ENETUNREACH


class ObjectClosedError(SocketException):
    """The object was closed before the call (RO_E_CLOSED, status UNKNOWN)."""

    _hresult = codes.RO_E_CLOSED
    _errno = numbers.EBADF


class OperationAbortedError(SocketException, error.ConnectionAborted, defer.CancelledError):
    """A pending read or write was ended by close or cancel (OPERATION_ABORTED)."""

    _hresult = _status(SocketErrorStatus.OPERATION_ABORTED)
    _errno = numbers.ECANCELED


class OperationCanceledError(SocketException, defer.CancelledError):
    """An operation was cancelled before it ended (ERROR_CANCELLED, status UNKNOWN)."""

    _hresult = codes.ERROR_CANCELLED
    _errno = numbers.ECANCELED


class OutOfBoundsError(SocketException, IndexError):
    """More was asked for than there is (E_BOUNDS, status UNKNOWN)."""

    _hresult = codes.E_BOUNDS


class ResetByPeerError(SocketException, builtins.ConnectionResetError, error.ConnectionLost):
    """The peer broke the connection off (CONNECTION_RESET_BY_PEER)."""

    _hresult = _status(SocketErrorStatus.CONNECTION_RESET_BY_PEER)
    _errno = numbers.ECONNRESET


class UnknownServiceError(SocketException, error.ServiceNameUnknownError):
    """A service name is neither a port nor known here (CLASS_TYPE_NOT_FOUND)."""

    _hresult = _status(SocketErrorStatus.CLASS_TYPE_NOT_FOUND)


class UntranslatableError(SocketException, UnicodeError):
    """Bytes are not text in the chosen encoding (ERROR_NO_UNICODE_TRANSLATION, status UNKNOWN)."""

    _hresult = codes.ERROR_NO_UNICODE_TRANSLATION
    _errno = numbers.EILSEQ
