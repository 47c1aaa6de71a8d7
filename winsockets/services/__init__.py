"""What runs under ``twistd``, as services that any Twisted application can embed."""

from winsockets.services._reply_policy import Refusal, ReplyPolicy
from winsockets.services._service import EchoService
from winsockets.services._tcp_echo import EchoStreamService, EchoStreamStatistics
from winsockets.services._tls_ports import TlsPorts
from winsockets.services._udp_echo import EchoDatagramService, EchoDatagramStatistics

__all__ = [
    "EchoDatagramService",
    "EchoDatagramStatistics",
    "EchoService",
    "EchoStreamService",
    "EchoStreamStatistics",
    "Refusal",
    "ReplyPolicy",
    "TlsPorts",
]
