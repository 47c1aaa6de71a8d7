"""Host names, endpoint pairs, and how names and services become addresses."""

from winsockets.networking._endpoint_pair import EndpointPair
from winsockets.networking._hostname import HostName
from winsockets.networking._kinds import DomainNameType, HostNameSortOptions, HostNameType

__all__ = [
    "DomainNameType",
    "EndpointPair",
    "HostName",
    "HostNameSortOptions",
    "HostNameType",
]
