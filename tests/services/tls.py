"""What the tests of TLS echo servers stand on: an authority, files, and clients with Python's own TLS."""

from __future__ import annotations

import socket
import ssl
from functools import cache
from pathlib import Path

from tests.services.twistd import PATIENCE
from winsockets.certificates import Certificate
from winsockets.testing import CertificateAuthority, certificate_pem

__all__ = [
    "NAMES",
    "authority",
    "client_identity",
    "fingerprint_at",
    "server_identity",
    "tls_client",
    "write",
]

NAMES = ("localhost", "127.0.0.1", "::1")
CLIENT = "somebody@example.test"


@cache
def authority(name: str) -> CertificateAuthority:
    """An authority that nobody else trusts; one for each name."""
    return CertificateAuthority()


@cache
def server_identity(name: str) -> Certificate:
    """A certificate for a server on this machine; another one for each name."""
    return authority("ours").issue_server(*NAMES)


@cache
def client_identity(by: str) -> Certificate:
    """A certificate for a client."""
    return authority(by).issue_client(CLIENT)


def write(path: Path, *certificates: Certificate) -> str:
    """Write certificates, with their chains and private keys, and return the name of the file."""
    path.write_bytes(b"".join(map(certificate_pem, certificates)))
    return str(path)


def tls_client(port: int, root: Certificate | None = None) -> ssl.SSLSocket:
    """Connect to a TLS server on this machine that our authority, or another root, vouches for."""
    pem = certificate_pem(root or authority("ours").certificate).decode()
    context = ssl.create_default_context(cadata=pem)
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname="localhost")


def fingerprint_at(port: int, root: Certificate | None = None) -> bytes:
    """The SHA-256 fingerprint of the certificate that a server shows now."""
    with tls_client(port, root) as client:
        shown = client.getpeercert(binary_form=True)
        assert shown is not None
        return Certificate(shown).get_hash_value("SHA256")
