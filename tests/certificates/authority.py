"""Certificates with whatever can be wrong with them, made with cryptography's builders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from winsockets import Certificate

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""The time at which tests look at certificates."""
DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of this size, made once: making one takes long."""
    return rsa.generate_private_key(65537, bits)


def name(common_name: str) -> x509.Name:
    """A distinguished name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def key_usage(**usages: bool) -> x509.KeyUsage:
    """A key usage extension with these usages and no others."""
    known = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    known += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**dict.fromkeys(known, False) | usages)


def with_unknown_key(certificate: x509.Certificate) -> x509.Certificate:
    """The same certificate with a key of a kind that nobody knows; its signature no longer fits."""
    known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209")
    return x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER).replace(known, unknown))


def with_unknown_signature(certificate: x509.Certificate) -> x509.Certificate:
    """The same certificate, signed in a way that nobody knows."""
    known, unknown = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040309")
    return x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER).replace(known, unknown))


def der_element(tag: int, content: bytes) -> bytes:
    """A DER element of any length."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def as_version_1(entity: Entity) -> x509.Certificate:
    """A root without extensions as they were made before there were any; the entity has none either."""
    version_3, signature_algorithm = bytes.fromhex("a003020102"), bytes.fromhex("300a06082a8648ce3d040302")
    signed = entity.x509.tbs_certificate_bytes
    signed = der_element(0x30, signed[signed.index(version_3) + len(version_3) :])
    signature = entity.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    whole = signed + signature_algorithm + der_element(0x03, b"\0" + signature)
    return x509.load_der_x509_certificate(der_element(0x30, whole))


def signed_with_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate, signed as nobody should: cryptography's builder does not make such signatures."""
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    der = certificate.public_bytes(Encoding.DER).replace(sha256, sha1)
    signed = certificate.tbs_certificate_bytes.replace(sha256, sha1)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return x509.load_der_x509_certificate(der[: -len(signature)] + signature)


class Entity:
    """Somebody with a certificate and its private key.

    Args:
        common_name: the subject.
        issuer: who signs it; it signs itself if left out.
        extensions: of the certificate; one in a tuple is critical.
        signer: signs instead of the issuer, whose name it bears all the same.
        key_identifiers: say whose key is whose, as real authorities do.
    """

    def __init__(
        self,
        common_name: str,
        issuer: Entity | None = None,
        extensions: Sequence[Any] = (),
        *,
        start: datetime = NOON - DAY,
        end: datetime = NOON + DAY,
        key: Any = None,
        signer: Entity | None = None,
        algorithm: hashes.HashAlgorithm | None = None,
        serial: int | None = None,
        subject: x509.Name | None = None,
        key_identifiers: bool = False,
    ) -> None:
        self.issuer = issuer
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = name(common_name) if subject is None else subject
        builder = x509.CertificateBuilder(
            issuer.x509.subject if issuer else subject,
            subject,
            self.key.public_key(),
            x509.random_serial_number() if serial is None else serial,
            start,
            end,
        )
        for extension in extensions:
            critical = isinstance(extension, tuple)
            builder = builder.add_extension(extension[0] if critical else extension, critical)
        if key_identifiers:
            own, issuers = self.key.public_key(), (signer or issuer or self).key.public_key()
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own), False)
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers)
            builder = builder.add_extension(identifier, False)
        signing = (signer or issuer or self).key
        self.x509 = builder.sign(signing, algorithm or hashes.SHA256())

    @classmethod
    def root(cls, common_name: str = "Root", **options: Any) -> Self:
        """An authority that signs itself."""
        return cls(common_name, None, [(AUTHORITY,)], **options)

    def authority(self, common_name: str = "Intermediate", *extensions: Any, **options: Any) -> Entity:
        """An authority below this one."""
        return Entity(common_name, self, [*extensions] or [(AUTHORITY,)], **options)

    def server(self, *names: str, **options: Any) -> Entity:
        """A server below this authority, for these names and addresses."""
        return Entity("Server", self, [alternative_names(*names), *options.pop("extensions", ())], **options)

    def revocation_list(
        self,
        *revoked: Entity,
        extensions: Sequence[Any] = (),
        start: datetime = NOON - DAY,
        end: datetime = NOON + DAY,
        signer: Entity | None = None,
    ) -> bytes:
        """A revocation list of this authority, in DER."""
        builder = x509.CertificateRevocationListBuilder(self.x509.subject, start, end)
        for extension in extensions:
            critical = isinstance(extension, tuple)
            builder = builder.add_extension(extension[0] if critical else extension, critical)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder(one.x509.serial_number, start)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign((signer or self).key, hashes.SHA256()).public_bytes(Encoding.DER)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.x509.public_bytes(Encoding.PEM)

    def key_pem(self, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
        """The private key in PEM."""
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        pem: bytes = self.key.private_bytes(Encoding.PEM, form, encryption)
        return pem

    @property
    def certificate(self) -> Certificate:
        """The certificate alone, as the library has it."""
        return Certificate(self.der)


def alternative_names(*names: str) -> x509.SubjectAlternativeName:
    """A subject alternative name extension for these names and addresses."""
    general: list[x509.GeneralName] = []
    for one in names:
        try:
            general.append(x509.IPAddress(ip_address(one)))
        except ValueError:
            general.append(x509.DNSName(one))
    return x509.SubjectAlternativeName(general)


def expected_usages(*usages: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    """An enhanced key usage extension."""
    return x509.ExtendedKeyUsage(usages)
