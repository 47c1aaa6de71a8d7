"""Protection levels and the versions of TLS that they stand for."""

from __future__ import annotations

from ssl import TLSVersion
from typing import NamedTuple

from winsockets.errors import InvalidArgumentError
from winsockets.sockets._kinds import SocketProtectionLevel

__all__ = ["DEFAULT_FLOOR", "Versions", "as_floor", "as_level", "level_of", "versions"]

DEFAULT_FLOOR = SocketProtectionLevel.TLS12
"""TLS 1.0 and 1.1 are deprecated (RFC 8996): a program has to ask for them."""

_VERSIONS = {
    SocketProtectionLevel.TLS10: TLSVersion.TLSv1,
    SocketProtectionLevel.TLS11: TLSVersion.TLSv1_1,
    SocketProtectionLevel.TLS12: TLSVersion.TLSv1_2,
    SocketProtectionLevel.TLS13: TLSVersion.TLSv1_3,
}
_NAMES = {
    "TLSv1": SocketProtectionLevel.TLS10,
    "TLSv1.1": SocketProtectionLevel.TLS11,
    "TLSv1.2": SocketProtectionLevel.TLS12,
    "TLSv1.3": SocketProtectionLevel.TLS13,
}


class Versions(NamedTuple):
    """The versions of TLS that a connection may have."""

    minimum: TLSVersion
    maximum: TLSVersion


def as_level(protection_level: int, parameter: str = "protection_level") -> SocketProtectionLevel:
    """Accept PLAIN_SOCKET, a version of TLS, or UNSPECIFIED.

    Raises:
        InvalidArgumentError: no such level, or one that is not offered (Bluetooth, SSL 3, null ciphers).
    """
    try:
        level = SocketProtectionLevel(protection_level)
    except ValueError as problem:
        raise InvalidArgumentError(
            f"{parameter}: {protection_level!r} is not a SocketProtectionLevel"
        ) from problem
    plain = (SocketProtectionLevel.PLAIN_SOCKET, SocketProtectionLevel.UNSPECIFIED)
    if level not in _VERSIONS and level not in plain:
        raise InvalidArgumentError(
            f"{parameter}: {level.name} is not offered; use TLS12 or TLS13, or PLAIN_SOCKET for none"
        )
    return level


def as_floor(parameter: str, protection_level: int) -> SocketProtectionLevel:
    """Accept a version of TLS, or UNSPECIFIED for the usual floor.

    Raises:
        InvalidArgumentError: it is something else.
    """
    level = as_level(protection_level, parameter)
    if level is SocketProtectionLevel.PLAIN_SOCKET:
        raise InvalidArgumentError(
            f"{parameter}: PLAIN_SOCKET is below every version of TLS; connect with it instead"
        )
    return level


def versions(level: SocketProtectionLevel, floor: SocketProtectionLevel) -> Versions:
    """Say which versions are between a floor and a level, which is the ceiling.

    Args:
        level: a TLS level or UNSPECIFIED, which is the highest there is.
        floor: a TLS level or UNSPECIFIED, which is the usual one.

    Raises:
        InvalidArgumentError: the floor is above the ceiling.
    """
    minimum = _VERSIONS.get(floor, _VERSIONS[DEFAULT_FLOOR])
    maximum = _VERSIONS.get(level, TLSVersion.TLSv1_3)
    if minimum > maximum:
        raise InvalidArgumentError(
            f"protection_level: {level.name} is below control.min_protection_level, "
            f"{_NAMES[_name(minimum)].name}; raise the one, or lower the other first"
        )
    return Versions(minimum, maximum)


def _name(version: TLSVersion) -> str:
    return version.name.replace("_", ".")


def level_of(version: str) -> SocketProtectionLevel:
    """Give the level of a version by OpenSSL's name of it, such as "TLSv1.3"."""
    return _NAMES[version]
