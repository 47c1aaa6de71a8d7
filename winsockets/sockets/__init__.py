"""Stream sockets, listeners, datagram sockets and multicast clients."""

from winsockets.sockets._any_source_client import UdpAnySourceMulticastClient
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
from winsockets.sockets._multicast_result import AsyncResult, IPEndPoint
from winsockets.sockets._single_source_client import UdpSingleSourceMulticastClient
from winsockets.sockets._statistics import BandwidthStatistics, RoundTripTimeStatistics
from winsockets.sockets._stream_control import StreamSocketControl, StreamSocketListenerControl
from winsockets.sockets._stream_information import StreamSocketInformation
from winsockets.sockets._stream_socket import StreamSocket

__all__ = [
    "AsyncResult",
    "BandwidthStatistics",
    "DatagramSocket",
    "DatagramSocketControl",
    "DatagramSocketInformation",
    "DatagramSocketMessageReceivedEventArgs",
    "IPEndPoint",
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
    "UdpAnySourceMulticastClient",
    "UdpSingleSourceMulticastClient",
]
