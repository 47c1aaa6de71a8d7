"""Enumerations of the socket classes."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["SocketProtectionLevel", "SocketQualityOfService", "SocketSslErrorSeverity"]


class SocketProtectionLevel(IntEnum):
    """How a connection is protected; a TLS level allows every lower version down to the floor.

    UNSPECIFIED is the best that both sides have. The floor is ``control.min_protection_level``. SSL 3, null
    ciphers and Bluetooth are not offered.

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


class SocketSslErrorSeverity(IntEnum):
    """What is to be thought of the errors in a server's certificate.

    Source: WinRT SocketSslErrorSeverity.
    """

    NONE = 0
    """There are none."""
    IGNORABLE = 1
    """A program may connect in spite of all of them (``control.ignorable_server_certificate_errors``)."""
    FATAL = 2
    """At least one of them cannot be ignored."""
