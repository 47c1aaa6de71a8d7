"""The enumerations of the socket classes."""

from __future__ import annotations

from winsockets.sockets import SocketProtectionLevel, SocketQualityOfService, SocketSslErrorSeverity


def test_the_numbers_are_those_of_winrt():
    """Programs store them."""
    assert [level.value for level in SocketProtectionLevel] == list(range(11))
    assert [quality.value for quality in SocketQualityOfService] == [0, 1]
    assert [severity.name for severity in SocketSslErrorSeverity] == ["NONE", "IGNORABLE", "FATAL"]
