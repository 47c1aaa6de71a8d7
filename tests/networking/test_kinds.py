"""The enumerations have WinRT's numbers."""

from __future__ import annotations

from winsockets.networking import DomainNameType, HostNameSortOptions, HostNameType


def test_the_numbers_are_those_of_winrt():
    """Every member has the number that programs store and compare."""
    assert {kind.name: kind.value for kind in HostNameType} == {
        "DOMAIN_NAME": 0,
        "IPV4": 1,
        "IPV6": 2,
        "BLUETOOTH": 3,
    }
    assert {kind.name: kind.value for kind in DomainNameType} == {"SUFFIX": 0, "FULLY_QUALIFIED": 1}
    assert HostNameSortOptions.NONE == 0
    assert HostNameSortOptions.OPTIMIZE_FOR_LONG_CONNECTIONS == 2
