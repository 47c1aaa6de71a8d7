"""What a certificate says about names, usages and algorithms, in WinRT's words."""

from __future__ import annotations

from typing import NamedTuple, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID
from cryptography.x509.oid import PublicKeyAlgorithmOID as KeyOID

__all__ = [
    "CertificateExtension",
    "CertificateKeyUsages",
    "SubjectAlternativeNameInfo",
    "display_name",
    "enhanced_key_usages",
    "key_algorithm_name",
    "key_usages",
    "signature_algorithm_name",
    "signature_hash_algorithm_name",
    "subject_alternative_name",
]

_SHOWN_FIRST = (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME)
_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_KEY_NAMES = {
    KeyOID.RSAES_PKCS1_v1_5: "RSA",
    KeyOID.RSASSA_PSS: "RSA",
    KeyOID.DSA: "DSA",
    KeyOID.EC_PUBLIC_KEY: "ECDSA",
    KeyOID.ED25519: "Ed25519",
    KeyOID.ED448: "Ed448",
}
# As Windows shows them
_SIGNATURE_NAMES = {
    SignatureAlgorithmOID.RSA_WITH_MD5: "md5RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA1: "sha1RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "sha256RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "sha384RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "sha512RSA",
    SignatureAlgorithmOID.RSASSA_PSS: "RSASSA-PSS",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: "sha1ECDSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "sha256ECDSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "sha384ECDSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "sha512ECDSA",
    SignatureAlgorithmOID.DSA_WITH_SHA1: "sha1DSA",
    SignatureAlgorithmOID.ED25519: "Ed25519",
    SignatureAlgorithmOID.ED448: "Ed448",
}


def display_name(name: x509.Name) -> str:
    """Give the common name; without one the unit, the organization, or all of the name (RFC 4514).

    Of several common names the last one, which is the most specific.
    """
    for oid in _SHOWN_FIRST:
        values = name.get_attributes_for_oid(oid)
        if values:
            value = values[-1].value
            return value if isinstance(value, str) else value.decode("latin-1")
    return name.rfc4514_string()


def key_algorithm_name(certificate: x509.Certificate) -> str:
    """Name the algorithm of the key; the dotted number of one without a name."""
    oid = certificate.public_key_algorithm_oid
    return _KEY_NAMES.get(oid, oid.dotted_string)


def signature_algorithm_name(certificate: x509.Certificate) -> str:
    """Name the algorithm of the signature as Windows does; the dotted number of one without a name."""
    oid = certificate.signature_algorithm_oid
    return _SIGNATURE_NAMES.get(oid, oid.dotted_string)


def signature_hash_algorithm_name(certificate: x509.Certificate) -> str:
    """Name the hash that is signed, "" where the algorithm has none of its own or is not known."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError, TypeError):  # unknown, or its parameters are malformed
        return ""
    return "" if algorithm is None else algorithm.name.upper()


@final
class CertificateKeyUsages:
    """What the key may be used for; each usage can be set.

    A certificate that does not restrict its key has none of them.

    Source: WinRT CertificateKeyUsages.
    """

    __slots__ = (
        "crl_sign",
        "data_encipherment",
        "digital_signature",
        "encipher_only",
        "key_agreement",
        "key_certificate_sign",
        "key_encipherment",
        "non_repudiation",
    )

    def __init__(self) -> None:
        self.digital_signature = False
        self.non_repudiation = False
        self.key_encipherment = False
        self.data_encipherment = False
        self.key_agreement = False
        self.key_certificate_sign = False
        self.crl_sign = False
        self.encipher_only = False

    def __repr__(self) -> str:
        """Show the usages that are set."""
        usages = ", ".join(name for name in self.__slots__ if getattr(self, name))
        return f"<CertificateKeyUsages: {usages or 'none'}>"


def key_usages(extensions: x509.Extensions) -> CertificateKeyUsages:
    """Read the key usage extension."""
    usages = CertificateKeyUsages()
    try:
        said = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return usages
    usages.digital_signature = said.digital_signature
    usages.non_repudiation = said.content_commitment
    usages.key_encipherment = said.key_encipherment
    usages.data_encipherment = said.data_encipherment
    usages.key_agreement = said.key_agreement
    usages.key_certificate_sign = said.key_cert_sign
    usages.crl_sign = said.crl_sign
    # It means something for a key that agrees on keys only, and cannot be asked for others.
    usages.encipher_only = said.key_agreement and said.encipher_only
    return usages


def enhanced_key_usages(extensions: x509.Extensions) -> tuple[str, ...]:
    """Read the enhanced key usages as dotted numbers; none if the certificate does not restrict them."""
    try:
        said = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(usage.dotted_string for usage in said)


class CertificateExtension(NamedTuple):
    """One extension of a certificate as it stands there.

    Attributes:
        object_id: the dotted number that says which extension it is.
        is_critical: whether a certificate must be refused by who does not know the extension.
        value: the DER bytes of its value.

    Source: WinRT CertificateExtension.
    """

    object_id: str
    is_critical: bool
    value: bytes


@final
class SubjectAlternativeNameInfo:
    """The names that a certificate is for.

    The properties in the plural are lists that can be changed, those in the singular are what is in them
    now. The names of a certificate are read each time that its ``subject_alternative_name`` is taken.

    Source: WinRT SubjectAlternativeNameInfo.
    """

    __slots__ = ("_extension", "_names")

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._extension: CertificateExtension | None = None

    def _list(self, kind: str) -> list[str]:
        return self._names.setdefault(kind, [])

    @property
    def dns_names(self) -> list[str]:
        """DNS names; international ones in ASCII, a wildcard as ``*.example.test``."""
        return self._list("dns")

    @property
    def dns_name(self) -> tuple[str, ...]:
        """What is in ``dns_names``."""
        return tuple(self.dns_names)

    @property
    def ip_addresses(self) -> list[str]:
        """IPv4 and IPv6 addresses in their canonical form."""
        return self._list("ip")

    @property
    def ip_address(self) -> tuple[str, ...]:
        """What is in ``ip_addresses``."""
        return tuple(self.ip_addresses)

    @property
    def email_names(self) -> list[str]:
        """Mail addresses."""
        return self._list("email")

    @property
    def email_name(self) -> tuple[str, ...]:
        """What is in ``email_names``."""
        return tuple(self.email_names)

    @property
    def urls(self) -> list[str]:
        """Uniform resource identifiers."""
        return self._list("url")

    @property
    def url(self) -> tuple[str, ...]:
        """What is in ``urls``."""
        return tuple(self.urls)

    @property
    def distinguished_names(self) -> list[str]:
        """Directory names as RFC 4514 writes them."""
        return self._list("distinguished")

    @property
    def distinguished_name(self) -> tuple[str, ...]:
        """What is in ``distinguished_names``."""
        return tuple(self.distinguished_names)

    @property
    def principal_names(self) -> list[str]:
        """User principal names, which Windows domains log users on by."""
        return self._list("principal")

    @property
    def principal_name(self) -> tuple[str, ...]:
        """What is in ``principal_names``."""
        return tuple(self.principal_names)

    @property
    def extension(self) -> CertificateExtension | None:
        """The extension that the names were read from; None if the certificate has none."""
        return self._extension

    def __repr__(self) -> str:
        """Show the names."""
        return f"<SubjectAlternativeNameInfo: {self._names}>"


def subject_alternative_name(extensions: x509.Extensions) -> SubjectAlternativeNameInfo:
    """Read the subject alternative names; kinds that WinRT has no list for are left out."""
    info = SubjectAlternativeNameInfo()
    try:
        found = extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return info
    value = found.value
    info._extension = CertificateExtension(found.oid.dotted_string, found.critical, value.public_bytes())
    if isinstance(value, x509.SubjectAlternativeName):
        info.dns_names.extend(value.get_values_for_type(x509.DNSName))
        info.ip_addresses.extend(map(str, value.get_values_for_type(x509.IPAddress)))
        info.email_names.extend(value.get_values_for_type(x509.RFC822Name))
        info.urls.extend(value.get_values_for_type(x509.UniformResourceIdentifier))
        names = value.get_values_for_type(x509.DirectoryName)
        info.distinguished_names.extend(name.rfc4514_string() for name in names)
        for other in value.get_values_for_type(x509.OtherName):
            text = _utf8_string(other.value) if other.type_id == _USER_PRINCIPAL_NAME else None
            if text is not None:
                info.principal_names.append(text)
    return info


def _utf8_string(der: bytes) -> str | None:
    """Read a short DER UTF8String; None for anything else."""
    if len(der) < 2 or der[0] != 0x0C or der[1] != len(der) - 2:
        return None
    try:
        return der[2:].decode()
    except UnicodeDecodeError:
        return None
