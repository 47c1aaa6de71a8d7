"""SelfSigned: a certificate to try TLS with, from a root that nobody trusts yet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.application.service import Service
from twisted.logger import Logger

from winsockets.certificates import Certificate
from winsockets.errors import InvalidArgumentError
from winsockets.networking import HostName, HostNameType

__all__ = ["SelfSigned", "server_names"]

_log = Logger(namespace="winsockets.echo")

_VALID = timedelta(days=365)
_EARLY = timedelta(hours=1)
"""Before now, for clients whose clock is behind."""
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def server_names(addresses: Iterable[str], host_name: str) -> list[str]:
    """Say whom a certificate for this machine is for: its usual names, its own name, and addresses.

    Args:
        addresses: that are served; wildcards are left out.
        host_name: what the machine calls itself; left out if it is no name of a host.
    """
    names = ["localhost", "127.0.0.1", "::1"]
    try:
        host = HostName(host_name)
    except InvalidArgumentError:
        pass
    else:
        if host.type is HostNameType.DOMAIN_NAME:
            names.append(host.canonical_name)
    # A certificate knows no scopes.
    names += [address.partition("%")[0] for address in addresses]
    return [name for name in dict.fromkeys(names) if name not in ("0.0.0.0", "::")]


class SelfSigned(Service):
    """A certificate for this machine from a root of its own, whose key is thrown away at once.

    While the service runs, the root is in a file in a folder of this user's, for clients that are to trust
    it.

    Args:
        names: DNS names in ASCII, and addresses.

    Attributes:
        certificate: the server's, with its private key.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._root, self.certificate = _issue(list(names))
        self._folder: TemporaryDirectory[str] | None = None

    def startService(self) -> None:
        """Write the root to its file and say where that is."""
        super().startService()
        self._folder = TemporaryDirectory(prefix="winsockets-echo-")
        path = Path(self._folder.name, "root.pem")
        path.write_bytes(self._root)
        _log.info(
            "The certificate is self-signed, for {names}; SHA-256 fingerprint {fingerprint}; clients trust "
            "its root in {path} while this server runs",
            names=", ".join(_names(self.certificate)),
            fingerprint=self.certificate.get_hash_value("SHA256").hex(":").upper(),
            path=path,
        )

    def stopService(self) -> None:
        """Remove the file and its folder."""
        super().stopService()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


def _names(certificate: Certificate) -> list[str]:
    names = certificate.subject_alternative_name
    return [str(name) for name in (*names.dns_name, *names.ip_address)]


def _common_name(name: str) -> x509.Name:
    # At most 64 characters (RFC 5280 appendix A.1); clients look at the alternative names.
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])


def _key_usage(only: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage == only for usage in _KEY_USAGES})


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issue(names: list[str]) -> tuple[bytes, Certificate]:
    """Make a root, in PEM, and the certificate of a server."""
    now = datetime.now(UTC)
    root_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    # Another name each time: a client that trusts an earlier one is told UNTRUSTED, and not of a forgery.
    root_name = _common_name(f"winsockets-echo throw-away root {os.urandom(4).hex()}")

    def builder(subject: x509.Name, public: EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(root_name, subject, public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLY)
            .not_valid_after(now + _VALID)
        )

    identifier = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        builder(root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign"), critical=True)
        .add_extension(identifier, critical=False)
        .sign(root_key, SHA256())
    )
    server = (
        builder(_common_name(names[0]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(root_key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return root.public_bytes(Encoding.PEM), Certificate.load_pem(server.public_bytes(Encoding.PEM) + private)
