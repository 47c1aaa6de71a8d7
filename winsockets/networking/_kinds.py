"""The enumerations of Windows.Networking and Windows.Networking.Connectivity."""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = ["DomainNameType", "HostNameSortOptions", "HostNameType", "NetworkTypes"]


class HostNameType(IntEnum):
    """What kind of name a HostName holds (WinRT: HostNameType)."""

    DOMAIN_NAME = 0
    IPV4 = 1
    IPV6 = 2
    BLUETOOTH = 3


class HostNameSortOptions(IntFlag):
    """How endpoint pairs are ordered (WinRT: HostNameSortOptions; the value 1 has no meaning)."""

    NONE = 0
    OPTIMIZE_FOR_LONG_CONNECTIONS = 2


class DomainNameType(IntEnum):
    """How much of the name space a domain name covers (WinRT: DomainNameType)."""

    SUFFIX = 0
    FULLY_QUALIFIED = 1


class NetworkTypes(IntFlag):
    """What a network leads to (WinRT: NetworkTypes)."""

    NONE = 0
    INTERNET = 1
    PRIVATE_NETWORK = 2
