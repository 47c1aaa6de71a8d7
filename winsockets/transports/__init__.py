"""The Twisted side: protocols, factories and transports under the sockets."""

from winsockets.transports._listening import StreamFactory
from winsockets.transports._stream_protocol import StreamProtocol

__all__ = ["StreamFactory", "StreamProtocol"]
