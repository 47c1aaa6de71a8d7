"""Protection levels: which are offered, and what lies between a floor and a ceiling."""

from __future__ import annotations

from ssl import TLSVersion

import pytest

from winsockets.errors import InvalidArgumentError
from winsockets.sockets import SocketProtectionLevel
from winsockets.sockets._protection import as_floor, as_level, level_of, versions

Level = SocketProtectionLevel
TLS = [Level.TLS10, Level.TLS11, Level.TLS12, Level.TLS13]
NEVER = [
    Level.SSL,
    Level.SSL_ALLOW_NULL_ENCRYPTION,
    Level.SSL3_ALLOW_WEAK_ENCRYPTION,
    Level.BLUETOOTH_ENCRYPTION_ALLOW_NULL_AUTHENTICATION,
    Level.BLUETOOTH_ENCRYPTION_WITH_AUTHENTICATION,
]


@pytest.mark.parametrize("level", [Level.PLAIN_SOCKET, Level.UNSPECIFIED, *TLS])
def test_what_is_offered_is_accepted(level):
    """By its number too."""
    assert as_level(level) is level
    assert as_level(int(level)) is level


@pytest.mark.parametrize("level", NEVER)
def test_levels_that_are_never_offered_are_invalid_arguments(level):
    """Bluetooth, SSL 3, null ciphers; the message says what to use."""
    with pytest.raises(InvalidArgumentError, match=rf"protection_level: {level.name} .* use TLS12"):
        as_level(level)


@pytest.mark.parametrize("level", [11, -1, "TLS12", None])
def test_what_is_no_level_is_an_invalid_argument(level):
    """It is shown as it was given."""
    with pytest.raises(InvalidArgumentError, match=f"{level!r} is not a SocketProtectionLevel"):
        as_level(level)


@pytest.mark.parametrize("level", [Level.UNSPECIFIED, *TLS])
def test_a_floor_is_a_version_of_tls_or_the_usual_one(level):
    """It is kept as it was given."""
    assert as_floor("floor", level) is level


@pytest.mark.parametrize("level", [Level.PLAIN_SOCKET, *NEVER, 11])
def test_a_floor_is_nothing_else(level):
    """Without TLS there is no floor."""
    with pytest.raises(InvalidArgumentError, match="floor: "):
        as_floor("floor", level)


@pytest.mark.parametrize("floor", TLS)
@pytest.mark.parametrize("level", TLS)
def test_a_level_allows_everything_down_to_the_floor(level, floor):
    """A floor above it is an invalid argument that names both."""
    if floor > level:
        with pytest.raises(InvalidArgumentError, match=f"{level.name} is below .*, {floor.name}"):
            versions(level, floor)
    else:
        found = versions(level, floor)
        assert level_of(found.minimum.name.replace("_", ".")) is floor
        assert level_of(found.maximum.name.replace("_", ".")) is level


def test_unspecified_is_the_best_as_a_level_and_the_usual_as_a_floor():
    """From TLS 1.2 to TLS 1.3."""
    assert versions(Level.UNSPECIFIED, Level.UNSPECIFIED) == (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)
