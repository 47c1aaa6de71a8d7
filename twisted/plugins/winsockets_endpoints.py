"""``clientFromString`` and ``serverFromString`` with descriptions that begin with ``winsockets:``."""

from winsockets.transports._descriptions import EndpointDescriptions

winsockets_endpoints = EndpointDescriptions()
