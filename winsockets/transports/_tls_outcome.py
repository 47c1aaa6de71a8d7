"""How a TLS handshake came out: what was settled, or why there is no TLS."""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.certificates import ChainValidationResult
from winsockets.certificates._results import row_of_result
from winsockets.errors import SocketException
from winsockets.errors._tls_table import TlsFault, tls_error
from winsockets.transports._tls_connection import VerifiedConnection
from winsockets.transports._tls_engine import TlsFailure
from winsockets.transports._tls_verification import PeerVerification

__all__ = ["TlsInformation", "explain", "inform", "refused_by_foreigner"]

_log = Logger(namespace="winsockets")


@dataclass(frozen=True, slots=True)
class TlsInformation:
    """What a TLS handshake settled.

    Attributes:
        version: OpenSSL's name of the version, such as "TLSv1.3".
        cipher: OpenSSL's name of the cipher suite.
        cipher_bits: the strength of the cipher.
        protocol: the application protocol (ALPN), "" if none was agreed upon.
        server_name: the name that the client asked for (SNI), "" if it asked for none.
        resumed: whether a client went on with the session of an earlier connection; servers do not know.
        verification: the peer's certificates; None if whoever made the connection checks them in its own way.
    """

    version: str
    cipher: str
    cipher_bits: int
    protocol: str
    server_name: str
    resumed: bool
    verification: PeerVerification | None


def inform(connection: SSL.Connection, verification: PeerVerification | None) -> TlsInformation:
    """Ask a connection whose handshake is done."""
    resumes = connection.resumes if isinstance(connection, VerifiedConnection) else None
    return TlsInformation(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        cipher_bits=connection.get_cipher_bits() or 0,
        protocol=connection.get_alpn_proto_negotiated().decode("utf-8", "replace"),
        server_name=(connection.get_servername() or b"").decode("ascii", "replace"),
        resumed=resumes is not None and verification is resumes,
        verification=verification,
    )


def explain(
    failure: TlsFailure, connection: SSL.Connection, foreign_refusal: BaseException | None, action: str
) -> SocketException:
    """Say why an engine broke.

    Args:
        failure: the engine's.
        connection: the engine's.
        foreign_refusal: why somebody else's context refused the peer, if it did.
        action: what was attempted, and with whom.
    """
    if failure.fault is TlsFault.CERTIFICATE_REFUSED:
        if isinstance(connection, VerifiedConnection):
            return connection.verification.refusal(action)
        if foreign_refusal is not None:
            return refused_by_foreigner(foreign_refusal, action)
    elif failure.fault is TlsFault.OWN_FAILURE:
        cause = failure.cause
        _log.failure("A callback of TLS failed; the peer is refused", Failure(cause, type(cause), None))
    problem = tls_error(failure.fault, action, alert=failure.alert, detail=failure.detail)
    problem.__cause__ = failure.cause
    return problem


def refused_by_foreigner(reason: BaseException, action: str) -> SocketException:
    """Make the exception for a peer that somebody else's context refused."""
    if isinstance(reason, VerificationError):
        row = row_of_result(ChainValidationResult.INVALID_NAME)
        problem = SocketException(
            f"{action}: the certificate was not accepted: {row.meaning}; {row.advice}", hresult=row.hresult
        )
    else:
        problem = tls_error(TlsFault.CERTIFICATE_REFUSED, action, detail=str(reason))
    problem.__cause__ = reason
    return problem
