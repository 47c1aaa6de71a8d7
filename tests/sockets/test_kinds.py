"""The enumerations of the socket classes, and which protection levels this version has."""

from __future__ import annotations

import pytest

from winsockets.errors import E_NOTIMPL, InvalidArgumentError, SocketErrorStatus, SocketException
from winsockets.sockets import SocketProtectionLevel, SocketQualityOfService
from winsockets.sockets._kinds import check_plain, check_unprotected

Level = SocketProtectionLevel


def test_the_numbers_are_those_of_winrt():
    """Programs store them."""
    assert [level.value for level in SocketProtectionLevel] == list(range(11))
    assert [quality.value for quality in SocketQualityOfService] == [0, 1]


@pytest.mark.parametrize("level", [Level.PLAIN_SOCKET, 0])
def test_a_plain_socket_is_accepted(level):
    """By its number too."""
    assert check_plain(level) is Level.PLAIN_SOCKET


@pytest.mark.parametrize("level", [Level.TLS10, Level.TLS11, Level.TLS12, Level.TLS13, Level.UNSPECIFIED])
def test_a_tls_level_is_not_implemented(level):
    """E_NOTIMPL, by name; nobody is connected in plain who asked for more."""
    with pytest.raises(SocketException, match=level.name) as caught:
        check_plain(level)
    assert caught.value.hresult == E_NOTIMPL
    assert caught.value.status is SocketErrorStatus.UNKNOWN


@pytest.mark.parametrize(
    "level",
    [
        Level.SSL,
        Level.SSL_ALLOW_NULL_ENCRYPTION,
        Level.SSL3_ALLOW_WEAK_ENCRYPTION,
        Level.BLUETOOTH_ENCRYPTION_ALLOW_NULL_AUTHENTICATION,
        Level.BLUETOOTH_ENCRYPTION_WITH_AUTHENTICATION,
    ],
)
def test_levels_that_are_never_offered_are_invalid_arguments(level):
    """Bluetooth, SSL 3, null ciphers."""
    with pytest.raises(InvalidArgumentError, match=level.name):
        check_plain(level)


@pytest.mark.parametrize("level", [11, -1, "TLS12", None])
def test_what_is_no_level_is_an_invalid_argument(level):
    """It is shown as it was given."""
    with pytest.raises(InvalidArgumentError, match=f"{level!r} is not a SocketProtectionLevel"):
        check_plain(level)


@pytest.mark.parametrize("level", [Level.PLAIN_SOCKET, 0])
def test_a_listener_takes_a_plain_socket(level):
    """By its number too."""
    check_unprotected(level)


@pytest.mark.parametrize("level", [level for level in Level if level is not Level.PLAIN_SOCKET])
def test_a_listener_takes_no_other_level(level):
    """TLS levels are invalid arguments too, other than in connecting."""
    with pytest.raises(InvalidArgumentError, match=level.name):
        check_unprotected(level)


@pytest.mark.parametrize("level", [11, None])
def test_what_is_no_level_is_none_for_a_listener(level):
    """It is shown as it was given."""
    with pytest.raises(InvalidArgumentError, match=f"{level!r} is not a SocketProtectionLevel"):
        check_unprotected(level)
