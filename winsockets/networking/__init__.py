"""Host names, endpoint pairs, network adapters, and how names and services become addresses."""

from winsockets.networking._adapter import IPInformation, NetworkAdapter, NetworkItem
from winsockets.networking._endpoint_pair import EndpointPair
from winsockets.networking._hostname import HostName
from winsockets.networking._information import NetworkInformation
from winsockets.networking._kinds import DomainNameType, HostNameSortOptions, HostNameType, NetworkTypes
from winsockets.networking._proxies import ProxyConfiguration

__all__ = [
    "DomainNameType",
    "EndpointPair",
    "HostName",
    "HostNameSortOptions",
    "HostNameType",
    "IPInformation",
    "NetworkAdapter",
    "NetworkInformation",
    "NetworkItem",
    "NetworkTypes",
    "ProxyConfiguration",
]
