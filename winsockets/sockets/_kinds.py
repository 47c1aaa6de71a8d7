"""Enumerations of the socket classes."""

from __future__ import annotations

from enum import IntEnum

from winsockets.errors import E_NOTIMPL, InvalidArgumentError, SocketException

__all__ = ["SocketProtectionLevel", "SocketQualityOfService", "check_plain", "check_unprotected"]


class SocketProtectionLevel(IntEnum):
    """How a connection is protected; a level allows everything below it.

    Source: WinRT SocketProtectionLevel.
    """

    PLAIN_SOCKET = 0
    SSL = 1
    SSL_ALLOW_NULL_ENCRYPTION = 2
    BLUETOOTH_ENCRYPTION_ALLOW_NULL_AUTHENTICATION = 3
    BLUETOOTH_ENCRYPTION_WITH_AUTHENTICATION = 4
    SSL3_ALLOW_WEAK_ENCRYPTION = 5
    TLS10 = 6
    TLS11 = 7
    TLS12 = 8
    UNSPECIFIED = 9
    TLS13 = 10


class SocketQualityOfService(IntEnum):
    """Whether packets ask for low latency.

    Source: WinRT SocketQualityOfService.
    """

    NORMAL = 0
    LOW_LATENCY = 1


_TLS = frozenset(
    {
        SocketProtectionLevel.TLS10,
        SocketProtectionLevel.TLS11,
        SocketProtectionLevel.TLS12,
        SocketProtectionLevel.TLS13,
        SocketProtectionLevel.UNSPECIFIED,
    }
)


def check_plain(protection_level: int) -> SocketProtectionLevel:
    """Accept PLAIN_SOCKET for connecting, and refuse the rest.

    Raises:
        InvalidArgumentError: no such level, or one that is not offered (Bluetooth, SSL 3, null ciphers).
        SocketException: E_NOTIMPL, a TLS level: this version has no TLS.
    """
    level = _level(protection_level)
    if level in _TLS:
        raise SocketException(
            f"protection_level: this version has no TLS, so {level.name} cannot be reached; use PLAIN_SOCKET",
            hresult=E_NOTIMPL,
        )
    if level is not SocketProtectionLevel.PLAIN_SOCKET:
        raise InvalidArgumentError(f"protection_level: {level.name} is not offered; use PLAIN_SOCKET")
    return level


def check_unprotected(protection_level: int) -> None:
    """Accept PLAIN_SOCKET for listening, and refuse the rest: a TCP listener has no other level.

    Raises:
        InvalidArgumentError: another level, or none at all.

    Source: WinRT StreamSocketListener.BindServiceNameAsync.
    """
    level = _level(protection_level)
    if level is not SocketProtectionLevel.PLAIN_SOCKET:
        raise InvalidArgumentError(
            f"protection_level: a listener takes PLAIN_SOCKET only, not {level.name}; leave it out"
        )


def _level(protection_level: int) -> SocketProtectionLevel:
    try:
        return SocketProtectionLevel(protection_level)
    except ValueError as problem:
        raise InvalidArgumentError(
            f"protection_level: {protection_level!r} is not a SocketProtectionLevel"
        ) from problem
