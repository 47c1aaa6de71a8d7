"""The exception family: one object that Python, Twisted and WinRT programs each recognise."""

from __future__ import annotations

import builtins
import copy
import errno
import pickle
import socket

import pytest
from twisted.internet import defer, error
from twisted.python.failure import Failure

from winsockets import errors
from winsockets.errors import (
    E_FAIL,
    E_ILLEGAL_STATE_CHANGE,
    AddressInUseError,
    ConnectRefusedError,
    HResult,
    IllegalMethodCallError,
    NameResolutionError,
    NetworkUnreachableError,
    ResetByPeerError,
    SocketError,
    SocketErrorStatus,
    SocketException,
    WebErrorStatus,
)

# Class: its status, its HRESULT, its errno, and what else it is.
FAMILY: dict[str, tuple[str, int, int | None, tuple[type[BaseException], ...]]] = {
    "AccessDeniedError": ("UNKNOWN", 0x8007271D, errno.EACCES, (PermissionError,)),
    "AddressInUseError": (
        "ADDRESS_ALREADY_IN_USE",
        0x80072740,
        errno.EADDRINUSE,
        (error.CannotListenError, error.BindError),
    ),
    "AddressNotAvailableError": (
        "CANNOT_ASSIGN_REQUESTED_ADDRESS",
        0x80072741,
        errno.EADDRNOTAVAIL,
        (error.ConnectBindError, error.ConnectError),
    ),
    "BusyError": ("UNKNOWN", 0x800710DD, errno.EBUSY, ()),
    "ConnectRefusedError": (
        "CONNECTION_REFUSED",
        0x8007274D,
        errno.ECONNREFUSED,
        (
            builtins.ConnectionRefusedError,
            builtins.ConnectionError,
            error.ConnectionRefusedError,
            error.ConnectError,
        ),
    ),
    "ConnectionAbortError": (
        "SOFTWARE_CAUSED_CONNECTION_ABORT",
        0x80072745,
        errno.ECONNABORTED,
        (ConnectionAbortedError, BrokenPipeError, error.ConnectionLost, error.ConnectionClosed),
    ),
    "ConnectionTimedOutError": (
        "CONNECTION_TIMED_OUT",
        0x8007274C,
        errno.ETIMEDOUT,
        (builtins.TimeoutError, error.TimeoutError, error.TCPTimedOutError, error.ConnectError),
    ),
    "IllegalMethodCallError": ("UNKNOWN", 0x8000000E, None, (RuntimeError,)),
    "InvalidArgumentError": ("UNKNOWN", 0x80070057, errno.EINVAL, (ValueError,)),
    "MessageTooLongError": ("MESSAGE_TOO_LONG", 0x80072738, errno.EMSGSIZE, (error.MessageLengthError,)),
    "NameResolutionError": (
        "HOST_NOT_FOUND",
        0x80072AF9,
        socket.EAI_NONAME,
        (socket.gaierror, error.DNSLookupError, error.UnknownHostError, error.ConnectError),
    ),
    "NetworkUnreachableError": (
        "NETWORK_IS_UNREACHABLE",
        0x80072743,
        errno.ENETUNREACH,
        (error.NoRouteError, error.ConnectError),
    ),
    "ObjectClosedError": ("UNKNOWN", 0x80000013, errno.EBADF, ()),
    "OperationAbortedError": (
        "OPERATION_ABORTED",
        0x800703E3,
        errno.ECANCELED,
        (defer.CancelledError, error.ConnectionAborted, error.ConnectionLost),
    ),
    "OperationCanceledError": ("UNKNOWN", 0x800704C7, errno.ECANCELED, (defer.CancelledError,)),
    "OutOfBoundsError": ("UNKNOWN", 0x8000000B, None, (IndexError,)),
    "ResetByPeerError": (
        "CONNECTION_RESET_BY_PEER",
        0x80072746,
        errno.ECONNRESET,
        (ConnectionResetError, error.ConnectionLost, error.ConnectionClosed),
    ),
    "UnknownServiceError": (
        "CLASS_TYPE_NOT_FOUND",
        0x8007277D,
        socket.EAI_SERVICE,
        (error.ServiceNameUnknownError, error.ConnectError),
    ),
    "UntranslatableError": ("UNKNOWN", 0x80070459, errno.EILSEQ, (UnicodeError, ValueError)),
}
KINSHIP = [
    (name, other) for name, (*_, others) in FAMILY.items() for other in (*others, SocketException, OSError)
]
CLASSES: list[type[SocketException]] = [SocketException, *(getattr(errors, name) for name in FAMILY)]


def test_every_class_of_the_family_is_covered_here() -> None:
    """A class added later needs its line in the table above."""
    public = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    family = {name for name in public if issubclass(getattr(errors, name), SocketException)}
    assert family == {*FAMILY, "SocketException"}


@pytest.mark.parametrize("name", FAMILY)
def test_a_class_knows_its_numbers(name: str) -> None:
    """Status, HRESULT and errno come with the class and agree with the table."""
    status, hresult, number, _ = FAMILY[name]
    problem = getattr(errors, name)("read from peer: something; do something")
    assert problem.status is SocketErrorStatus[status]
    assert problem.hresult == HResult(hresult)
    assert isinstance(problem.hresult, HResult)
    assert problem.winerror == hresult - 0x100000000
    assert type(problem.winerror) is int
    assert problem.errno == number
    assert SocketError.get_status(problem.winerror) is problem.status


@pytest.mark.parametrize(("name", "other"), KINSHIP)
def test_except_and_trap_recognise_it_by_its_other_names(name: str, other: type[BaseException]) -> None:
    """What Python and Twisted call the same thing catches it."""
    problem = getattr(errors, name)("text")
    with pytest.raises(other) as caught:
        raise problem
    assert caught.value is problem
    assert Failure(problem).trap(other) is other


@pytest.mark.parametrize("kind", CLASSES)
def test_the_text_is_the_message_and_nothing_else(kind: type[SocketException]) -> None:
    """No class adds "[Errno 111]" or a sentence of Twisted's."""
    problem = kind("connect to ::1 port 80: connection refused")
    assert str(problem) == problem.message == problem.strerror == "connect to ::1 port 80: connection refused"
    assert problem.args == ("connect to ::1 port 80: connection refused",)
    assert Failure(problem).getErrorMessage() == problem.message


@pytest.mark.parametrize("kind", CLASSES)
def test_the_errno_has_twisteds_name_too(kind: type[SocketException]) -> None:
    """``osError`` is where Twisted's connection errors keep it."""
    assert kind("text").osError == kind("text").errno
    assert kind("text", errno=99).osError == 99


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "twin",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda e, n=n: pickle.loads(pickle.dumps(e, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
    ids=["copy", "deepcopy", *(f"pickle {n}" for n in range(pickle.HIGHEST_PROTOCOL + 1))],
)
def test_copies_and_pickles_keep_everything(kind: type[SocketException], twin) -> None:
    """Numbers that were given, attributes and notes included."""
    original = kind("text", status=SocketErrorStatus.HOST_IS_DOWN, hresult=0x800704D0, errno=4711)
    original.peer = "::1"  # type: ignore[attr-defined]
    original.add_note("while testing")
    copied = twin(original)
    assert type(copied) is kind
    assert str(copied) == "text"
    assert copied.status is SocketErrorStatus.HOST_IS_DOWN
    assert copied.hresult == original.hresult
    assert isinstance(copied.hresult, HResult)
    assert copied.winerror == original.winerror
    assert copied.errno == 4711
    assert copied.peer == "::1"
    assert copied.__notes__ == ["while testing"]


def test_what_the_library_notes_on_an_error_is_not_copied() -> None:
    """Attributes with an underscore belong to this process."""
    original = SocketException("text")
    vars(original)["_seen"] = object()
    assert "_seen" not in vars(copy.copy(original))


def test_an_address_in_use_keeps_what_twisted_knew() -> None:
    """Through copying as well."""
    problem = AddressInUseError("listen on 127.0.0.1 port 80: in use")
    assert (problem.interface, problem.port, problem.socketError) == ("", None, None)
    problem.interface, problem.port, problem.socketError = "127.0.0.1", 80, OSError(98, "in use")
    twin = pickle.loads(pickle.dumps(problem))
    assert (twin.interface, twin.port) == ("127.0.0.1", 80)
    assert twin.socketError.errno == 98


@pytest.mark.parametrize("status", SocketErrorStatus, ids=lambda status: status.name)
def test_a_status_brings_its_hresult(status: SocketErrorStatus) -> None:
    """So that the two never disagree."""
    problem = SocketException("text", status=status)
    assert problem.status is status
    assert SocketError.get_status(problem.winerror) is status


@pytest.mark.parametrize(
    ("kind", "status", "number"),
    [
        (NetworkUnreachableError, SocketErrorStatus.UNREACHABLE_HOST, errno.EHOSTUNREACH),
        (NetworkUnreachableError, SocketErrorStatus.NETWORK_IS_DOWN, errno.ENETDOWN),
        (NameResolutionError, SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND, socket.EAI_AGAIN),
        (NameResolutionError, SocketErrorStatus.NO_ADDRESSES_FOUND, socket.EAI_NONAME),
        (SocketException, SocketErrorStatus.TOO_MANY_OPEN_FILES, errno.EMFILE),
        (SocketException, SocketErrorStatus.CERTIFICATE_EXPIRED, None),
        (SocketException, SocketErrorStatus.UNKNOWN, None),
    ],
)
def test_a_status_brings_its_errno(
    kind: type[SocketException], status: SocketErrorStatus, number: int | None
) -> None:
    """The class's own number is only for a status that has none."""
    assert kind("text", status=status).errno == number


def test_a_given_errno_stays() -> None:
    """The detail of the operating system is never lost: a broken pipe is one kind of abort."""
    problem = errors.ConnectionAbortError("text", errno=errno.EPIPE)
    assert problem.errno == errno.EPIPE
    assert problem.status is SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT


def test_an_hresult_brings_its_status_and_errno() -> None:
    """In either spelling; one that is no network error brings UNKNOWN and nothing more."""
    for spelling in (0x8007274D, -2147014835):
        problem = SocketException("text", hresult=spelling)
        assert problem.status is SocketErrorStatus.CONNECTION_REFUSED
        assert problem.errno == errno.ECONNREFUSED
    late = SocketException("text", hresult=E_ILLEGAL_STATE_CHANGE)
    assert (late.status, late.hresult, late.errno) == (
        SocketErrorStatus.UNKNOWN,
        E_ILLEGAL_STATE_CHANGE,
        None,
    )


def test_status_and_hresult_may_be_given_apart() -> None:
    """WinRT has failures whose HRESULT no table knows."""
    problem = SocketException("text", status=SocketErrorStatus.CERTIFICATE_IS_INVALID, hresult=0x80090325)
    assert problem.status is SocketErrorStatus.CERTIFICATE_IS_INVALID
    assert problem.hresult == HResult(0x80090325)


@pytest.mark.parametrize(
    ("status", "hresult"),
    [
        (WebErrorStatus.CANNOT_CONNECT, 0x80072EFD),
        (WebErrorStatus.TIMEOUT, 0x80072EE2),
        (WebErrorStatus.NOT_FOUND, 0x80190194),
        (WebErrorStatus.UNKNOWN, E_FAIL),
    ],
)
def test_a_web_status_brings_its_own_hresult(status: WebErrorStatus, hresult: int) -> None:
    """Not that of the socket status which happens to have the same number, nor its errno."""
    problem = SocketException("text", status=status)
    assert problem.status is status
    assert problem.hresult == HResult(hresult)
    assert problem.errno is None


def test_a_web_status_on_a_socket_class_keeps_the_errno_of_the_class() -> None:
    """A refused WebSocket is still a refused connection below."""
    problem = ConnectRefusedError("text", status=WebErrorStatus.CANNOT_CONNECT, errno=errno.ECONNREFUSED)
    assert problem.status is WebErrorStatus.CANNOT_CONNECT
    assert problem.errno == errno.ECONNREFUSED


def test_without_numbers_an_error_is_a_plain_failure() -> None:
    """E_FAIL and UNKNOWN, which programs let escape."""
    problem = SocketException("text")
    assert (problem.status, problem.hresult, problem.errno) == (SocketErrorStatus.UNKNOWN, E_FAIL, None)


@pytest.mark.parametrize("kind", [ResetByPeerError, IllegalMethodCallError])
def test_numbers_are_given_by_name_only(kind: type[SocketException]) -> None:
    """``OSError(number, text)`` is a different order; mixing them up must not pass."""
    with pytest.raises(TypeError):
        kind(errno.ECONNRESET, "text")  # type: ignore[call-arg, arg-type]


def test_an_hresult_that_fits_nowhere_is_refused() -> None:
    """The error in making an error is an ordinary ValueError."""
    with pytest.raises(ValueError, match="32-bit"):
        SocketException("text", hresult=1 << 40)
