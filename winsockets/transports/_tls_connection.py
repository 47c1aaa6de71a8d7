"""OpenSSL connections that know what is known of their peer."""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL
from OpenSSL.crypto import X509

from winsockets.transports._tls_verification import PeerVerification

__all__ = ["VerifiedConnection", "judge"]


class VerifiedConnection(SSL.Connection):
    """A connection of OpenSSL's that knows what is known of its peer.

    Attributes:
        verification: of this handshake.
        resumes: of the handshake whose session this one offers to go on with; None if it offers none.
        server: its role.
        demands_certificate: whether a server takes no client without a certificate.
        keep: called with the connection to keep its session; None if nobody wants it.
    """

    verification: PeerVerification
    resumes: PeerVerification | None = None
    server = False
    demands_certificate = False
    keep: Callable[[VerifiedConnection], None] | None = None

    def verified(self) -> PeerVerification | None:
        """Say, when the handshake is over, what it stands on; None if the peer is to be refused.

        A handshake that goes on with a session shows no certificates: what counts is the one that began it.
        """
        if self.verification.accepted:
            return self.verification
        if self.verification.seen:
            return None
        if not self.server:
            return self.resumes
        certificate = self.get_peer_certificate()
        if certificate is not None:
            # OpenSSL has it from the session, which began with a certificate that was accepted.
            self.verification.accept_again(certificate)
        elif self.demands_certificate:
            return None
        return self.verification

    def keep_session(self) -> None:
        """Keep the session for the next connection; called at an orderly end, when the tickets are there."""
        if self.keep is not None:
            self.keep(self)
            self.keep = None


def judge(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's callback for every context; whatever is wrong with the call itself refuses the peer."""
    if not isinstance(connection, VerifiedConnection):
        return False
    return connection.verification.judge(certificate, code, depth, ok)
