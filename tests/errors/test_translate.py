"""From what the system, the resolver and Twisted raise to the exception family."""

from __future__ import annotations

import builtins
import errno
import os
import socket

import pytest
from twisted.internet import defer, error
from twisted.internet.address import IPv4Address
from twisted.python.failure import Failure

from winsockets import errors
from winsockets.errors import (
    AccessDeniedError,
    AddressInUseError,
    NameResolutionError,
    OperationCanceledError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
    translate,
)

ACTION = "connect to ::1 port 80"
# errno name: class, status, and a word of the advice.
ERRNOS = {
    "ECANCELED": ("OperationAbortedError", "OPERATION_ABORTED", "aborted"),
    "ETIMEDOUT": ("ConnectionTimedOutError", "CONNECTION_TIMED_OUT", "firewall"),
    "EAFNOSUPPORT": ("SocketException", "ADDRESS_FAMILY_NOT_SUPPORTED", "family"),
    "ESOCKTNOSUPPORT": ("SocketException", "SOCKET_TYPE_NOT_SUPPORTED", "kind"),
    "EADDRINUSE": ("AddressInUseError", "ADDRESS_ALREADY_IN_USE", "choose another"),
    "EADDRNOTAVAIL": ("AddressNotAvailableError", "CANNOT_ASSIGN_REQUESTED_ADDRESS", "local interface"),
    "ECONNREFUSED": ("ConnectRefusedError", "CONNECTION_REFUSED", "listens there"),
    "ENETUNREACH": ("NetworkUnreachableError", "NETWORK_IS_UNREACHABLE", "routing table"),
    "EHOSTUNREACH": ("NetworkUnreachableError", "UNREACHABLE_HOST", "on the network"),
    "ENETDOWN": ("NetworkUnreachableError", "NETWORK_IS_DOWN", "interface"),
    "ENODEV": ("NetworkUnreachableError", "NETWORK_IS_DOWN", "interface"),
    "ENXIO": ("NetworkUnreachableError", "NETWORK_IS_DOWN", "interface"),
    "ENETRESET": ("SocketException", "NETWORK_DROPPED_CONNECTION_ON_RESET", "connect again"),
    "ECONNABORTED": ("ConnectionAbortError", "SOFTWARE_CAUSED_CONNECTION_ABORT", "connect again"),
    "EPIPE": ("ConnectionAbortError", "SOFTWARE_CAUSED_CONNECTION_ABORT", "connect again"),
    "ECONNRESET": ("ResetByPeerError", "CONNECTION_RESET_BY_PEER", "connect again"),
    "EHOSTDOWN": ("NetworkUnreachableError", "HOST_IS_DOWN", "check that it is up"),
    "EMFILE": ("SocketException", "TOO_MANY_OPEN_FILES", "ulimit -n"),
    "ENFILE": ("SocketException", "TOO_MANY_OPEN_FILES", "ulimit -n"),
    "EMSGSIZE": ("MessageTooLongError", "MESSAGE_TOO_LONG", "65,507"),
    "EACCES": ("AccessDeniedError", "UNKNOWN", "need rights, and a firewall may forbid it"),
    "EPERM": ("AccessDeniedError", "UNKNOWN", "need rights, and a firewall may forbid it"),
}
RESOLVER_ERRORS = {
    "EAI_FAMILY": ("SocketException", "ADDRESS_FAMILY_NOT_SUPPORTED", "family"),
    "EAI_SOCKTYPE": ("SocketException", "SOCKET_TYPE_NOT_SUPPORTED", "kind"),
    "EAI_NONAME": ("NameResolutionError", "HOST_NOT_FOUND", "spelling"),
    "EAI_NODATA": ("NameResolutionError", "NO_DATA_RECORD_OF_REQUESTED_TYPE", "address records"),
    "EAI_ADDRFAMILY": ("NameResolutionError", "NO_DATA_RECORD_OF_REQUESTED_TYPE", "address records"),
    "EAI_AGAIN": ("NameResolutionError", "NON_AUTHORITATIVE_HOST_NOT_FOUND", "try again later"),
    "EAI_SERVICE": ("UnknownServiceError", "CLASS_TYPE_NOT_FOUND", "services file"),
    "EAI_FAIL": ("NameResolutionError", "HOST_NOT_FOUND", "name server settings"),
    "EAI_MEMORY": ("NameResolutionError", "HOST_NOT_FOUND", "name server settings"),
}
# What carries no number: class, status, errno.
KINDS: list[tuple[BaseException, str, str, int | None]] = [
    (error.ConnectionAborted(), "OperationAbortedError", "OPERATION_ABORTED", errno.ECANCELED),
    (error.ConnectionLost(), "ResetByPeerError", "CONNECTION_RESET_BY_PEER", errno.ECONNRESET),
    (error.ConnectionDone(), "ConnectionAbortError", "SOFTWARE_CAUSED_CONNECTION_ABORT", errno.ECONNABORTED),
    (error.TimeoutError(), "ConnectionTimedOutError", "CONNECTION_TIMED_OUT", errno.ETIMEDOUT),
    (error.TCPTimedOutError(), "ConnectionTimedOutError", "CONNECTION_TIMED_OUT", errno.ETIMEDOUT),
    (error.UserError(), "OperationAbortedError", "OPERATION_ABORTED", errno.ECANCELED),
    (error.DNSLookupError("no results"), "NameResolutionError", "HOST_NOT_FOUND", socket.EAI_NONAME),
    (error.UnknownHostError(), "NameResolutionError", "HOST_NOT_FOUND", socket.EAI_NONAME),
    (socket.gaierror(), "NameResolutionError", "HOST_NOT_FOUND", socket.EAI_NONAME),
    (
        error.ServiceNameUnknownError(string="no 'x'"),
        "UnknownServiceError",
        "CLASS_TYPE_NOT_FOUND",
        socket.EAI_SERVICE,
    ),
    (error.ConnectionRefusedError(), "ConnectRefusedError", "CONNECTION_REFUSED", errno.ECONNREFUSED),
    (error.NoRouteError(), "NetworkUnreachableError", "NETWORK_IS_UNREACHABLE", errno.ENETUNREACH),
    (
        error.CannotListenError("::1", 80, "lock held"),
        "AddressInUseError",
        "ADDRESS_ALREADY_IN_USE",
        errno.EADDRINUSE,
    ),
    (
        error.ConnectBindError(),
        "AddressNotAvailableError",
        "CANNOT_ASSIGN_REQUESTED_ADDRESS",
        errno.EADDRNOTAVAIL,
    ),
    (error.MessageLengthError(), "MessageTooLongError", "MESSAGE_TOO_LONG", errno.EMSGSIZE),
    (
        error.UnsupportedAddressFamily(),
        "SocketException",
        "ADDRESS_FAMILY_NOT_SUPPORTED",
        errno.EAFNOSUPPORT,
    ),
    (error.UnsupportedSocketType(), "SocketException", "SOCKET_TYPE_NOT_SUPPORTED", errno.ESOCKTNOSUPPORT),
    (defer.TimeoutError(1, "Deferred"), "ConnectionTimedOutError", "CONNECTION_TIMED_OUT", errno.ETIMEDOUT),
    (builtins.TimeoutError(), "ConnectionTimedOutError", "CONNECTION_TIMED_OUT", errno.ETIMEDOUT),
    (builtins.ConnectionRefusedError(), "ConnectRefusedError", "CONNECTION_REFUSED", errno.ECONNREFUSED),
    (ConnectionResetError("lost"), "ResetByPeerError", "CONNECTION_RESET_BY_PEER", errno.ECONNRESET),
    (
        ConnectionAbortedError(),
        "ConnectionAbortError",
        "SOFTWARE_CAUSED_CONNECTION_ABORT",
        errno.ECONNABORTED,
    ),
    (BrokenPipeError(), "ConnectionAbortError", "SOFTWARE_CAUSED_CONNECTION_ABORT", errno.ECONNABORTED),
    (PermissionError("no"), "AccessDeniedError", "UNKNOWN", errno.EACCES),
    (error.BadFileError(), "SocketException", "UNKNOWN", None),
    (ValueError("odd"), "SocketException", "UNKNOWN", None),
    (KeyboardInterrupt(), "SocketException", "UNKNOWN", None),
]


def number_of(module: object, name: str) -> int:
    """The number of a name on this system; ends the test when it has none."""
    if not hasattr(module, name):
        pytest.skip(f"this system has no {name}")
    number: int = getattr(module, name)
    return number


@pytest.mark.parametrize("name", ERRNOS)
@pytest.mark.parametrize(
    "carrier",
    [
        OSError,
        error.ConnectError,
        error.getConnectError,
        lambda *args: error.CannotListenError("", 0, OSError(*args)),
    ],
    ids=["OSError", "ConnectError", "getConnectError", "CannotListenError"],
)
def test_an_errno_gives_the_same_class_whoever_carries_it(name: str, carrier) -> None:
    """The system itself, and the errors that Twisted wraps it in."""
    number = number_of(errno, name)
    pair = (number, os.strerror(number))
    problem = carrier(pair) if carrier is error.getConnectError else carrier(*pair)
    kind, status, advice = ERRNOS[name]
    result = translate(problem, ACTION)
    assert type(result) is getattr(errors, kind)
    assert result.status is SocketErrorStatus[status]
    assert result.errno == number
    assert result.__cause__ is problem
    assert str(result).startswith(f"{ACTION}: ")
    assert f"({errno.errorcode[number]})" in str(result)
    assert advice in str(result)


@pytest.mark.parametrize("name", RESOLVER_ERRORS)
@pytest.mark.parametrize(
    "carrier", [socket.gaierror, error.UnknownHostError, error.DNSLookupError], ids=lambda kind: kind.__name__
)
def test_a_resolver_error_gives_the_same_class_whoever_carries_it(name: str, carrier) -> None:
    """Its number is the resolver's, never an errno, and its name stands in the message."""
    number = number_of(socket, name)
    kind, status, advice = RESOLVER_ERRORS[name]
    problem = carrier(number, "what the resolver said")
    result = translate(problem, "resolve example.org")
    assert type(result) is getattr(errors, kind)
    assert result.status is SocketErrorStatus[status]
    assert result.errno == number
    assert result.__cause__ is problem
    assert str(result).startswith("resolve example.org: ")
    assert f"({name})" in str(result)
    assert advice in str(result)


@pytest.mark.parametrize(
    ("name", "number"), [("EAI_NONAME", 8), ("EAI_AGAIN", 2), ("EAI_SERVICE", 9), ("EAI_FAIL", 4)]
)
def test_resolver_numbers_that_are_errnos_too_are_not_confused(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS they are small and positive: 8 is EAI_NONAME there, and ENOEXEC as an errno."""
    from winsockets.errors import _table, _translate

    monkeypatch.setitem(_translate._RESOLVER_NAMES, number, name)
    row = _table.row_of_resolver_error(getattr(socket, name))
    if row is not None:
        monkeypatch.setitem(_table._BY_RESOLVER_ERROR, number, row)
    by_resolver = translate(socket.gaierror(number, "text"), "resolve x")
    by_system = translate(OSError(number, "text"), "open x")
    assert f"({name})" in str(by_resolver)
    assert type(by_resolver) is getattr(errors, RESOLVER_ERRORS[name][0])
    assert f"({errno.errorcode[number]})" in str(by_system)
    assert type(by_system) is SocketException


def test_an_unheard_of_resolver_error_is_a_name_resolution_error() -> None:
    """It says in the resolver's own words what happened, and keeps the number."""
    result = translate(socket.gaierror(-4711, "the resolver is on strike"), "resolve example.org")
    assert type(result) is NameResolutionError
    assert str(result).startswith("resolve example.org: the resolver is on strike (error -4711); ")
    assert result.errno == -4711


@pytest.mark.parametrize(
    ("problem", "kind", "status", "number"), KINDS, ids=lambda value: type(value).__qualname__
)
def test_without_a_number_the_kind_decides(
    problem: BaseException, kind: str, status: str, number: int | None
) -> None:
    """The errno is then the one that the status stands for."""
    result = translate(problem, ACTION)
    assert type(result) is getattr(errors, kind)
    assert result.status is SocketErrorStatus[status]
    assert result.errno == number
    assert result.__cause__ is problem
    assert str(result).startswith(f"{ACTION}: ")
    assert "None" not in str(result)


def test_what_has_a_class_in_twisted_is_still_caught_under_that_name() -> None:
    """Translating loses nobody's except clause."""
    bases = {
        base
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type) and issubclass(kind, SocketException)
        for base in kind.__bases__
        if base.__module__ == "twisted.internet.error"
    }
    assert len(bases) > 10
    for base in bases:
        given = base("", 0, None) if base is error.CannotListenError else base()
        assert isinstance(translate(given, ACTION), base)


@pytest.mark.parametrize(
    "problem",
    [defer.CancelledError(), error.ConnectingCancelledError(IPv4Address("TCP", "127.0.0.1", 80))],
    ids=lambda value: type(value).__name__,
)
def test_a_cancellation_is_a_cancelled_operation(problem: BaseException) -> None:
    """Whether a Deferred or an endpoint was cancelled."""
    result = translate(problem, ACTION)
    assert type(result) is OperationCanceledError
    assert result.__cause__ is problem
    assert str(result) == f"{ACTION}: cancelled"


def test_a_member_of_the_family_passes_unchanged() -> None:
    """Whoever made it knew more."""
    original = ResetByPeerError("read from peer: reset", errno=errno.ECONNRESET)
    assert translate(original, ACTION) is original
    assert translate(original, ACTION, datagram=True) is original
    assert original.__cause__ is None


class _FalseError(OSError):
    """An error that is false in a condition, as an empty group of errors may be."""

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("kind", [OSError, _FalseError])
def test_a_failure_gives_what_its_exception_gives(kind: type[OSError]) -> None:
    """Deferreds deliver failures."""
    problem = kind(errno.ECONNREFUSED, "refused")
    result = translate(Failure(problem), ACTION)
    assert result.status is SocketErrorStatus.CONNECTION_REFUSED
    assert result.__cause__ is problem


def test_an_error_that_no_row_knows_keeps_its_errno_and_words() -> None:
    """UNKNOWN, with the number under its name."""
    result = translate(OSError(errno.ENOTCONN, "Transport endpoint is not connected"), ACTION)
    assert type(result) is SocketException
    assert result.status is SocketErrorStatus.UNKNOWN
    assert result.errno == errno.ENOTCONN
    assert str(result) == f"{ACTION}: Transport endpoint is not connected (ENOTCONN)"


def test_an_errno_that_nobody_knows_is_shown_as_a_number() -> None:
    """Better than nothing."""
    result = translate(OSError(54321, "odd"), ACTION)
    assert (str(result), result.errno) == (f"{ACTION}: odd (error 54321)", 54321)


@pytest.mark.parametrize(
    ("problem", "text"),
    [(ValueError("odd value"), "odd value"), (ValueError(), "ValueError"), (OSError("half"), "half")],
)
def test_an_error_without_a_number_is_told_in_its_own_words(problem: BaseException, text: str) -> None:
    """Or by its class, where it has no words."""
    assert str(translate(problem, ACTION)) == f"{ACTION}: {text}"


def test_an_errno_that_is_no_number_is_ignored() -> None:
    """Some libraries put a text there."""
    problem = error.ConnectError("111", "odd")
    assert translate(problem, ACTION).errno is None


@pytest.mark.parametrize("name", ["ECONNREFUSED", "ECONNRESET"])
def test_a_refusal_on_a_datagram_socket_means_that_nobody_listens(name: str) -> None:
    """Linux says refused, Windows says reset; WinRT's status is reset, and the errno tells which it was."""
    number = getattr(errno, name)
    problem = OSError(number, os.strerror(number))
    result = translate(problem, "receive on port 1337", datagram=True)
    assert type(result) is ResetByPeerError
    assert result.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
    assert result.errno == number
    assert "nobody listens" in str(result)
    assert f"({name})" in str(result)
    assert "start the peer" in str(result)


@pytest.mark.parametrize("name", ["EMSGSIZE", "EHOSTUNREACH", "EACCES", "ENOBUFS"])
def test_every_other_error_is_the_same_on_a_datagram_socket(name: str) -> None:
    """Only the meaning of a refusal differs."""
    problem = OSError(number_of(errno, name), "text")
    plain, datagram = translate(problem, ACTION), translate(problem, ACTION, datagram=True)
    assert type(datagram) is type(plain)
    assert (str(datagram), datagram.status, datagram.errno) == (str(plain), plain.status, plain.errno)


@pytest.mark.parametrize(
    ("code", "kind", "number"),
    [
        (1225, "ConnectRefusedError", errno.ECONNREFUSED),
        (64, "ResetByPeerError", errno.ECONNRESET),
        (1231, "NetworkUnreachableError", errno.ENETUNREACH),
        (995, "OperationAbortedError", errno.ECANCELED),
        (6, "SocketException", errno.EINVAL),
    ],
)
def test_a_windows_error_that_has_no_errno_is_found_by_its_own_number(
    code: int, kind: str, number: int
) -> None:
    """Overlapped I/O on Windows reports these, and Python calls each of them EINVAL."""
    problem = OSError(errno.EINVAL, "text")
    problem.winerror = code  # type: ignore[attr-defined, unused-ignore]
    result = translate(problem, ACTION)
    assert type(result) is getattr(errors, kind)
    assert result.errno == number
    if kind != "SocketException":
        assert f"(WinError {code})" in str(result)


def test_a_port_in_use_keeps_what_twisted_says() -> None:
    """Interface, port and the system's error."""
    system = OSError(errno.EADDRINUSE, "Address already in use")
    result = translate(error.CannotListenError("127.0.0.1", 80, system), "listen on 127.0.0.1 port 80")
    assert isinstance(result, AddressInUseError)
    assert (result.interface, result.port) == ("127.0.0.1", 80)
    assert result.socketError is system


def test_a_port_in_use_that_twisted_did_not_see_has_the_systems_error() -> None:
    """The attributes are there all the same."""
    system = OSError(errno.EADDRINUSE, "Address already in use")
    result = translate(system, "bind ::1 port 80")
    assert isinstance(result, AddressInUseError)
    assert (result.interface, result.port, result.socketError) == ("", None, system)


def test_a_listen_that_is_not_allowed_is_denied_not_in_use() -> None:
    """The wrapped error decides, not the wrapping."""
    result = translate(error.CannotListenError("", 80, PermissionError(errno.EACCES, "denied")), "listen")
    assert type(result) is AccessDeniedError
    assert result.hresult & 0xFFFF == 10013


def test_a_listen_that_fails_for_another_reason_is_not_called_in_use() -> None:
    """The number has no row in the table, and the system's words stand in the message."""
    problem = error.CannotListenError("fe80::1", 80, OSError(errno.EINVAL, "Invalid argument"))
    result = translate(problem, "listen on fe80::1 port 80")
    assert type(result) is SocketException
    assert (result.status, result.errno) == (SocketErrorStatus.UNKNOWN, errno.EINVAL)
    assert str(result) == "listen on fe80::1 port 80: Invalid argument (EINVAL)"


def test_a_real_refusal_of_the_system_is_recognised() -> None:
    """No table of ours stands between the kernel and this."""
    with socket.socket() as taken, socket.socket() as client:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the system decides the rest
            client.connect(taken.getsockname())
        assert type(translate(caught.value, ACTION)) is errors.ConnectRefusedError
        with socket.socket() as second, pytest.raises(OSError) as caught:  # noqa: PT011 - likewise
            second.bind(taken.getsockname())
        assert type(translate(caught.value, ACTION)) is AddressInUseError
    with pytest.raises(socket.gaierror) as caught_name:
        socket.getaddrinfo("127.0.0.1", "no-such-service-anywhere")
    assert type(translate(caught_name.value, ACTION)) is errors.UnknownServiceError
