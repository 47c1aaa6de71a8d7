"""The Twisted side: protocols, factories, endpoints and transports under the sockets."""

from winsockets.transports._endpoints import StreamClientEndpoint, StreamServerEndpoint
from winsockets.transports._listening import StreamFactory
from winsockets.transports._socket_options import StreamOptions
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._tls_client_context import TlsClientContext, TlsClientCreator
from winsockets.transports._tls_layer import TlsLayer
from winsockets.transports._tls_outcome import TlsInformation
from winsockets.transports._tls_server_context import ClientCertificatePolicy, TlsServerContext
from winsockets.transports._tls_upgrade import TlsFactory, upgrade_to_tls
from winsockets.transports._tls_verification import CertificateProblem, PeerVerification

__all__ = [
    "CertificateProblem",
    "ClientCertificatePolicy",
    "PeerVerification",
    "StreamClientEndpoint",
    "StreamFactory",
    "StreamOptions",
    "StreamProtocol",
    "StreamServerEndpoint",
    "TlsClientContext",
    "TlsClientCreator",
    "TlsFactory",
    "TlsInformation",
    "TlsLayer",
    "TlsServerContext",
    "upgrade_to_tls",
]
