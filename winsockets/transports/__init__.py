"""The Twisted side: protocols, factories, endpoints and transports under the sockets."""

from winsockets.transports._endpoints import StreamClientEndpoint, StreamServerEndpoint
from winsockets.transports._listening import StreamFactory
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_protocol import StreamProtocol

__all__ = [
    "StreamClientEndpoint",
    "StreamFactory",
    "StreamOptions",
    "StreamProtocol",
    "StreamServerEndpoint",
]
