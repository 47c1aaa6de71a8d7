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
from winsockets.errors._table import SocketError, errno_of, hresult_of
from winsockets.errors._web_table import web_hresult_of

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


class SocketException(OSError):
    """A failure of a socket, a stream or a name, with its numbers.

    Args:
        message: what was attempted, with whom, and what to do.
        status: the network status; left out, it follows from the HRESULT.
        hresult: the HRESULT; left out, it follows from the status, or is the class's own.
        errno: the POSIX number (or the resolver's); left out, it follows from the status.

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
        # The two enumerations share numbers, so a status is looked up in the table of its own kind.
        if hresult is None and status is not None:
            hresult = web_hresult_of(status) if isinstance(status, WebErrorStatus) else hresult_of(status)
        self.message = message
        self.hresult = HResult(self._hresult if hresult is None else hresult)
        self.winerror = int(self.hresult)
        self.status = SocketError.get_status(self.hresult) if status is None else status
        if errno is None and isinstance(self.status, SocketErrorStatus):
            errno = errno_of(self.status)
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
        """Pickle and copy with all numbers, notes and attributes kept; private attributes stay behind."""
        state = {
            name: value
            for name, value in vars(self).items()
            if name == "__notes__" or not name.startswith("_")
        }
        return (type(self), (self.message,), {**state, "errno": self.errno, "winerror": self.winerror})


def _of(status: SocketErrorStatus) -> HResult:
    hresult = hresult_of(status)
    assert hresult is not None
    return hresult


class AccessDeniedError(SocketException, PermissionError):
    """The system refuses: a low port, a broadcast address, a firewall rule (WSAEACCES, status UNKNOWN)."""

    _hresult = win32(10013)
    _errno = numbers.EACCES


class AddressInUseError(SocketException, error.CannotListenError):
    """The local address and port are taken (ADDRESS_ALREADY_IN_USE).

    ``interface`` and ``port`` are those of Twisted's error where it was the cause, ``socketError`` is what
    the system said.
    """

    interface: str = ""
    port: int | None = None
    socketError: BaseException | None = None
    _hresult = _of(SocketErrorStatus.ADDRESS_ALREADY_IN_USE)


class AddressNotAvailableError(SocketException, error.ConnectBindError):
    """The local address is not one of this machine (CANNOT_ASSIGN_REQUESTED_ADDRESS)."""

    _hresult = _of(SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS)


class BusyError(SocketException):
    """An operation of the same kind is still pending (ERROR_INVALID_OPERATION, status UNKNOWN)."""

    _hresult = codes.ERROR_INVALID_OPERATION
    _errno = numbers.EBUSY


class ConnectRefusedError(SocketException, builtins.ConnectionRefusedError, error.ConnectionRefusedError):
    """Nobody listens at the remote address (CONNECTION_REFUSED)."""

    _hresult = _of(SocketErrorStatus.CONNECTION_REFUSED)


class ConnectionAbortError(
    SocketException, builtins.ConnectionAbortedError, builtins.BrokenPipeError, error.ConnectionLost
):
    """The local system gave the connection up (SOFTWARE_CAUSED_CONNECTION_ABORT)."""

    _hresult = _of(SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT)


class ConnectionTimedOutError(
    SocketException, builtins.TimeoutError, error.TimeoutError, error.TCPTimedOutError
):
    """A phase passed its deadline, or TCP gave up (CONNECTION_TIMED_OUT)."""

    _hresult = _of(SocketErrorStatus.CONNECTION_TIMED_OUT)


class IllegalMethodCallError(SocketException, RuntimeError):
    """A call came at an unexpected time: wrong order (E_ILLEGAL_METHOD_CALL, status UNKNOWN)."""

    _hresult = codes.E_ILLEGAL_METHOD_CALL


class InvalidArgumentError(SocketException, ValueError):
    """A value is not acceptable (E_INVALIDARG, status UNKNOWN)."""

    _hresult = codes.E_INVALIDARG
    _errno = numbers.EINVAL


class MessageTooLongError(SocketException, error.MessageLengthError):
    """A datagram is larger than the network or the receiver's buffer takes (MESSAGE_TOO_LONG)."""

    _hresult = _of(SocketErrorStatus.MESSAGE_TOO_LONG)


class NameResolutionError(SocketException, socket.gaierror, error.DNSLookupError, error.UnknownHostError):
    """A host name gave no address (HOST_NOT_FOUND and its neighbours); errno is the resolver's number."""

    _hresult = _of(SocketErrorStatus.HOST_NOT_FOUND)
    _errno = socket.EAI_NONAME


class NetworkUnreachableError(SocketException, error.NoRouteError):
    """No way leads there (NETWORK_IS_UNREACHABLE, UNREACHABLE_HOST, NETWORK_IS_DOWN, HOST_IS_DOWN)."""

    _hresult = _of(SocketErrorStatus.NETWORK_IS_UNREACHABLE)


class ObjectClosedError(SocketException):
    """The object was closed before the call (RO_E_CLOSED, status UNKNOWN)."""

    _hresult = codes.RO_E_CLOSED
    _errno = numbers.EBADF


class OperationAbortedError(SocketException, error.ConnectionAborted, defer.CancelledError):
    """A pending read or write was ended by close or cancel (OPERATION_ABORTED)."""

    _hresult = _of(SocketErrorStatus.OPERATION_ABORTED)


class OperationCanceledError(SocketException, defer.CancelledError):
    """An operation was cancelled before it ended (ERROR_CANCELLED, status UNKNOWN)."""

    _hresult = codes.ERROR_CANCELLED
    _errno = numbers.ECANCELED


class OutOfBoundsError(SocketException, IndexError):
    """More was asked for than there is (E_BOUNDS, status UNKNOWN)."""

    _hresult = codes.E_BOUNDS


class ResetByPeerError(SocketException, builtins.ConnectionResetError, error.ConnectionLost):
    """The peer broke the connection off (CONNECTION_RESET_BY_PEER)."""

    _hresult = _of(SocketErrorStatus.CONNECTION_RESET_BY_PEER)


class UnknownServiceError(SocketException, error.ServiceNameUnknownError):
    """A service name is neither a port nor known here (CLASS_TYPE_NOT_FOUND)."""

    _hresult = _of(SocketErrorStatus.CLASS_TYPE_NOT_FOUND)


class UntranslatableError(SocketException, UnicodeError):
    """Bytes are not text in the chosen encoding (ERROR_NO_UNICODE_TRANSLATION, status UNKNOWN)."""

    _hresult = codes.ERROR_NO_UNICODE_TRANSLATION
    _errno = numbers.EILSEQ
