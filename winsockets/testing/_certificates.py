"""Certificates for tests, thrown away afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from winsockets.certificates import Certificate

if TYPE_CHECKING:
    from trustme import CA

__all__ = ["CertificateAuthority", "certificate_pem"]

_BEGINNING, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
_EXPIRED = datetime(2001, 1, 1, tzinfo=UTC)


class CertificateAuthority:
    """An authority of the test's own, whose certificates nobody else trusts.

    ``authority = CertificateAuthority()``; a server uses ``authority.issue_server("localhost")``, a client
    trusts ``authority.certificate``. Keys are of the curve P-256, which takes no time to make. Everything is
    valid from the year 2000 to 3000 unless the test says otherwise.

    Raises:
        ModuleNotFoundError: `trustme` is not installed; it comes with ``pip install winsockets[testing]``.
    """

    def __init__(self) -> None:
        try:
            from trustme import CA
        except ModuleNotFoundError as problem:
            raise ModuleNotFoundError(
                "winsockets.testing.CertificateAuthority needs trustme, which is not installed; "
                "pip install winsockets[testing]",
                name="trustme",
            ) from problem
        self._authority: CA = CA()

    @property
    def certificate(self) -> Certificate:
        """Its own certificate, without the private key; a root's unless ``create_intermediate`` made it."""
        return Certificate.load_pem(self._authority.cert_pem.bytes())

    def create_intermediate(self) -> CertificateAuthority:
        """Make an authority below this one, of whose certificates it is in the ``intermediates``.

        Raises:
            ValueError: there are nine authorities above each other already.
        """
        child = CertificateAuthority.__new__(CertificateAuthority)
        child._authority = self._authority.create_child_ca()
        return child

    def issue_server(self, *names: str, start: datetime = _BEGINNING, end: datetime = _END) -> Certificate:
        """Issue a certificate for a server, with its private key and the intermediate authorities.

        Args:
            names: DNS names, also with a wildcard, and addresses; at least one.
            start: the first second at which it is valid, with a time zone.
            end: the last one.

        Raises:
            ValueError: there is no name.
        """
        return self._issue(names, None, start, end)

    def issue_client(self, name: str, *, start: datetime = _BEGINNING, end: datetime = _END) -> Certificate:
        """Issue a certificate for a client, with its private key and the intermediate authorities.

        Args:
            name: its mail address, which is the ``subject`` too.
            start: the first second at which it is valid, with a time zone.
            end: the last one.
        """
        return self._issue([name], name, start, end)

    def issue_expired(self, *names: str) -> Certificate:
        """Issue a certificate for a server that expired long ago."""
        return self._issue(names, None, _BEGINNING, _EXPIRED)

    def _issue(
        self, names: tuple[str, ...] | list[str], common_name: str | None, start: datetime, end: datetime
    ) -> Certificate:
        issued = self._authority.issue_cert(
            *names,
            common_name=common_name,
            not_before=start.astimezone(UTC).replace(tzinfo=None),
            not_after=end.astimezone(UTC).replace(tzinfo=None),
        )
        return Certificate.load_pem(issued.private_key_and_cert_chain_pem.bytes())

    def revocation_list(
        self, *revoked: Certificate, start: datetime = _BEGINNING, end: datetime = _END
    ) -> bytes:
        """Make the list of the certificates that this authority has revoked, in DER.

        Args:
            revoked: the certificates on it.
            start: since when the list is in force, with a time zone.
            end: when the next one is due.
        """
        own = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        builder = x509.CertificateRevocationListBuilder(own.subject, start, end)
        for one in revoked:
            number = int.from_bytes(one.serial_number)
            entry = x509.RevokedCertificateBuilder(number, _BEGINNING).build()
            builder = builder.add_revoked_certificate(entry)
        key = load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        signed = builder.sign(cast(CertificateIssuerPrivateKeyTypes, key), SHA256())
        return signed.public_bytes(Encoding.DER)


def certificate_pem(certificate: Certificate, password: str | None = None) -> bytes:
    """Write a certificate with its chain and its private key in PEM, for programs that want a file.

    Only for certificates of tests: the library itself never gives a private key away.

    Args:
        certificate: what to write.
        password: encrypts the private key.
    """
    chain = (certificate, *certificate.intermediates)
    pem = b"".join(one._x509.public_bytes(Encoding.PEM) for one in chain)
    key = certificate._private_key
    if key is None:
        return pem
    encryption: KeySerializationEncryption = NoEncryption()
    if password is not None:
        encryption = BestAvailableEncryption(password.encode())
    return pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
