"""TlsPorts: where a TCP echo server speaks TLS, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from winsockets.certificates import Certificate
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets._stream_control import StreamSocketListenerControl
from winsockets.transports import ClientCertificatePolicy

__all__ = ["TlsPorts"]


@dataclass(frozen=True)
class TlsPorts:
    """The ports of an `EchoStreamService` that speak TLS, and how.

    Attributes:
        ports: port numbers or names from the services file; "0" for any free one.
        certificate: the server's, with its private key.
        client_roots: who vouches for clients. With any, clients are asked for certificates, and one that
            is not good is refused.
        require_client_certificate: whether clients without a certificate are refused too.
        handshake_timeout: seconds that a client has for its handshake.
    """

    ports: Sequence[str | int]
    certificate: Certificate
    client_roots: Sequence[Certificate] = ()
    require_client_certificate: bool = False
    handshake_timeout: float = DEFAULT_LIMITS.handshake_timeout

    def configure(self, control: StreamSocketListenerControl, max_connections: int | None) -> None:
        """Set the control of a listener, before it is bound.

        Args:
            control: the listener's.
            max_connections: of the whole server: more can never be in, so more need not knock.

        Raises:
            InvalidArgumentError: a certificate is not usable, or clients are to show one and nobody vouches
                for any.
        """
        control.limits = replace(control.limits, handshake_timeout=self.handshake_timeout)
        control.max_connections = max_connections
        control.server_certificates = [self.certificate]
        control.trusted_client_certificates = self.client_roots
        if self.require_client_certificate:
            control.client_certificate_policy = ClientCertificatePolicy.REQUIRE
        elif self.client_roots:
            control.client_certificate_policy = ClientCertificatePolicy.REQUEST
