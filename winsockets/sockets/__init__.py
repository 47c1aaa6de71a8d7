"""Stream sockets, listeners and datagram sockets."""

from winsockets.sockets._datagram_control import DatagramSocketControl
from winsockets.sockets._datagram_information import DatagramSocketInformation
from winsockets.sockets._datagram_message import DatagramSocketMessageReceivedEventArgs
from winsockets.sockets._datagram_socket import DatagramSocket
from winsockets.sockets._kinds import SocketProtectionLevel, SocketQualityOfService, SocketSslErrorSeverity
from winsockets.sockets._listener import (
    StreamSocketListener,
    StreamSocketListenerConnectionReceivedEventArgs,
    StreamSocketListenerInformation,
)
from winsockets.sockets._statistics import BandwidthStatistics, RoundTripTimeStatistics
from winsockets.sockets._stream_control import StreamSocketControl, StreamSocketListenerControl
from winsockets.sockets._stream_information import StreamSocketInformation
from winsockets.sockets._stream_socket import StreamSocket

__all__ = [
    "BandwidthStatistics",
    "DatagramSocket",
    "DatagramSocketControl",
    "DatagramSocketInformation",
    "DatagramSocketMessageReceivedEventArgs",
    "RoundTripTimeStatistics",
    "SocketProtectionLevel",
    "SocketQualityOfService",
    "SocketSslErrorSeverity",
    "StreamSocket",
    "StreamSocketControl",
    "StreamSocketInformation",
    "StreamSocketListener",
    "StreamSocketListenerConnectionReceivedEventArgs",
    "StreamSocketListenerControl",
    "StreamSocketListenerInformation",
]
