"""What a certificate says of itself, and what it keeps to itself."""

from __future__ import annotations

import hashlib
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding
from cryptography.x509.oid import NameOID

from tests.certificates.authority import (
    CLIENT,
    DAY,
    NOON,
    SERVER,
    Entity,
    alternative_names,
    expected_usages,
    key_usage,
    name,
    rsa_key,
)
from winsockets import (
    Buffer,
    Certificate,
    CertificateExtension,
    CertificateKeyUsages,
    InvalidArgumentError,
    SubjectAlternativeNameInfo,
)
from winsockets.certificates._loading import Contents

ROOT = Entity.root("The Root")
HOST = ROOT.server("host.test", "127.0.0.1")


def with_key(entity: Entity) -> Certificate:
    """A certificate with its private key."""
    return Certificate.load_pem(entity.pem + entity.key_pem())


def test_subject_issuer_and_validity_are_those_of_the_certificate() -> None:
    """Times are UTC and know it."""
    certificate = HOST.certificate
    assert (certificate.subject, certificate.issuer) == ("Server", "The Root")
    assert certificate.valid_from == NOON - DAY
    assert certificate.valid_to == NOON + DAY
    assert certificate.valid_to.tzinfo is UTC
    assert certificate.valid_to == datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ([(NameOID.COMMON_NAME, "cn"), (NameOID.ORGANIZATION_NAME, "o")], "cn"),
        ([(NameOID.COMMON_NAME, "first"), (NameOID.COMMON_NAME, "last")], "last"),
        ([(NameOID.ORGANIZATION_NAME, "o"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "ou")], "ou"),
        ([(NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "o")], "o"),
        ([(NameOID.COUNTRY_NAME, "DE"), (NameOID.LOCALITY_NAME, "Ulm")], "L=Ulm,C=DE"),
        ([], ""),
    ],
)
def test_without_a_common_name_something_else_stands_for_it(
    attributes: list[tuple[x509.ObjectIdentifier, str]], shown: str
) -> None:
    """What tells people most."""
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    assert Entity("", ROOT, subject=subject).certificate.subject == shown


@pytest.mark.parametrize("serial", [1, 0x80, 0x1234, 2**159 - 1])
def test_the_serial_number_has_its_most_significant_byte_first(serial: int) -> None:
    """Without the zero that keeps it positive in DER."""
    found = Entity("host.test", serial=serial).certificate.serial_number
    assert int.from_bytes(found) == serial
    assert found[0] != 0


def test_hashes_are_those_of_the_der() -> None:
    """SHA-1 unless asked otherwise, and nothing but the two."""
    certificate = HOST.certificate
    assert certificate.get_certificate_blob() == HOST.der
    assert certificate.get_hash_value() == hashlib.sha1(HOST.der).digest()
    assert certificate.get_hash_value("SHA1") == certificate.get_hash_value()
    assert certificate.get_hash_value("SHA256") == hashlib.sha256(HOST.der).digest()
    for algorithm in ("SHA512", "sha-1", ""):
        with pytest.raises(InvalidArgumentError, match="use 'SHA1' or 'SHA256'"):
            certificate.get_hash_value(algorithm)


def test_a_certificate_is_made_from_any_buffer() -> None:
    """As everything that takes an IBuffer is."""
    for blob in (
        HOST.der,
        bytearray(HOST.der),
        memoryview(HOST.der),
        Buffer.create_copy_from_memory_buffer(HOST.der),
    ):
        assert Certificate(blob) == HOST.certificate


@pytest.mark.parametrize(
    ("key", "key_name", "signature_name", "hash_name"),
    [
        (lambda: rsa_key(2048), "RSA", "sha256RSA", "SHA256"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ECDSA", "sha256ECDSA", "SHA256"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519", "Ed25519", ""),
        (ed448.Ed448PrivateKey.generate, "Ed448", "Ed448", ""),
        (lambda: dsa.generate_private_key(2048), "DSA", "2.16.840.1.101.3.4.3.2", "SHA256"),
    ],
)
def test_algorithms_have_windows_names(key: Any, key_name: str, signature_name: str, hash_name: str) -> None:
    """Those without a name are shown as dotted numbers."""
    signed = key()
    algorithm: Any = None if hash_name == "" else hashes.SHA256()
    subject = name("host.test")
    builder = x509.CertificateBuilder(subject, subject, signed.public_key(), 1, NOON - DAY, NOON + DAY)
    certificate = Certificate._of(Contents(builder.sign(signed, algorithm)), "a test")
    assert certificate.key_algorithm_name == key_name
    assert certificate.signature_algorithm_name == signature_name
    assert certificate.signature_hash_algorithm_name == hash_name


def test_a_signature_by_pss_has_its_hash() -> None:
    """Which is among the parameters of the signature, not in its name."""
    key = rsa_key(2048)
    subject = name("host.test")
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOON - DAY, NOON + DAY)
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    certificate = Certificate._of(Contents(builder.sign(key, hashes.SHA384(), rsa_padding=pss)), "a test")
    assert certificate.signature_algorithm_name == "RSASSA-PSS"
    assert certificate.signature_hash_algorithm_name == "SHA384"


def test_usages_are_read() -> None:
    """Each for itself."""
    usages = {
        "digital_signature": "digital_signature",
        "content_commitment": "non_repudiation",
        "key_encipherment": "key_encipherment",
        "data_encipherment": "data_encipherment",
        "key_agreement": "key_agreement",
        "key_cert_sign": "key_certificate_sign",
        "crl_sign": "crl_sign",
    }
    for said, expected in usages.items():
        found = Entity("host.test", ROOT, [key_usage(**{said: True})]).certificate.key_usages
        assert [one for one in CertificateKeyUsages.__slots__ if getattr(found, one)] == [expected]
        assert expected in repr(found)
    both = Entity(
        "host.test", ROOT, [key_usage(key_agreement=True, encipher_only=True)]
    ).certificate.key_usages
    assert (both.key_agreement, both.encipher_only) == (True, True)
    enhanced = ROOT.server("host.test", extensions=[expected_usages(SERVER, CLIENT)]).certificate
    assert enhanced.enhanced_key_usages == ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2")


def test_a_certificate_without_usages_says_nothing() -> None:
    """It is good for all; a fresh CertificateKeyUsages is as empty, and can be filled."""
    assert HOST.certificate.enhanced_key_usages == ()
    for usages in (HOST.certificate.key_usages, CertificateKeyUsages()):
        assert not any(getattr(usages, one) for one in CertificateKeyUsages.__slots__)
        assert repr(usages) == "<CertificateKeyUsages: none>"
        usages.crl_sign = True
        assert usages.crl_sign


def upn(text: bytes, tag: int = 0x0C, number: str = "1.3.6.1.4.1.311.20.2.3") -> x509.OtherName:
    """A user principal name, or something like it."""
    return x509.OtherName(x509.ObjectIdentifier(number), bytes([tag, len(text)]) + text)


def test_alternative_names_are_read_by_kind() -> None:
    """In the lists that can be changed, and in the views of them."""
    names = [
        x509.DNSName("host.test"),
        x509.DNSName("*.host.test"),
        *alternative_names("127.0.0.1", "2001:db8::1"),
        x509.RFC822Name("somebody@host.test"),
        x509.UniformResourceIdentifier("https://host.test/"),
        x509.DirectoryName(name("directory")),
        upn("jörg@host.test".encode()),
        upn(b"\xff"),
        upn(b"printable", tag=0x13),
        upn(b"of another kind", number="1.2.3.4"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x05\x00"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    ]
    info = Entity(
        "host.test", ROOT, [(x509.SubjectAlternativeName(names),)]
    ).certificate.subject_alternative_name
    assert info.dns_name == ("host.test", "*.host.test")
    assert info.ip_address == ("127.0.0.1", "2001:db8::1")
    assert info.email_name == ("somebody@host.test",)
    assert info.url == ("https://host.test/",)
    assert info.distinguished_name == ("CN=directory",)
    assert info.principal_name == ("jörg@host.test",)
    assert "host.test" in repr(info)
    value = x509.SubjectAlternativeName(names).public_bytes()
    assert info.extension == CertificateExtension("2.5.29.17", is_critical=True, value=value)
    for kind in ("dns", "ip", "email", "url", "distinguished", "principal"):
        one = {"dns": "dns_name", "ip": "ip_address", "url": "url"}.get(kind, f"{kind}_name")
        several = {"ip": "ip_addresses"}.get(kind, f"{one}s")
        getattr(info, several).append("more")
        assert getattr(info, one)[-1] == "more"


def test_a_certificate_without_alternative_names_has_none() -> None:
    """And so has a new SubjectAlternativeNameInfo."""
    for info in (ROOT.certificate.subject_alternative_name, SubjectAlternativeNameInfo()):
        assert info.dns_name == info.ip_address == info.email_name == info.url == ()
        assert info.distinguished_name == info.principal_name == ()
        assert info.extension is None


def test_names_are_read_anew_each_time() -> None:
    """Changing a list does not change the certificate."""
    certificate = HOST.certificate
    certificate.subject_alternative_name.dns_names.clear()
    assert certificate.subject_alternative_name.dns_name == ("host.test",)


def test_the_friendly_name_can_be_set() -> None:
    """It is all that can."""
    certificate = HOST.certificate
    assert certificate.friendly_name == ""
    certificate.friendly_name = "my host"
    assert certificate.friendly_name == "my host"
    wrong: Any = None
    with pytest.raises(TypeError, match=r"Certificate\.friendly_name is a str"):
        certificate.friendly_name = wrong
    with pytest.raises(AttributeError):
        certificate.subject = "another"  # type: ignore[misc]


def test_where_the_key_is_and_is_not() -> None:
    """In memory, if it was loaded; never in a device or a provider."""
    for certificate, has_key in ((HOST.certificate, False), (with_key(HOST), True)):
        assert certificate.has_private_key is has_key
        assert certificate.is_strongly_protected is False
        assert certificate.is_security_device_bound is False
        assert certificate.is_per_user is False
        assert certificate.key_storage_provider_name == ""
        assert certificate.store_name == ""


def test_certificates_are_equal_when_their_bytes_are() -> None:
    """With a key or without, whatever they are called."""
    one, other = HOST.certificate, with_key(HOST)
    other.friendly_name = "other"
    assert one == other
    assert len({one, other}) == 1
    assert one != ROOT.certificate
    assert one != HOST.der


def test_a_representation_shows_whose_it_is_and_nothing_of_the_key() -> None:
    """It ends up in logs."""
    certificate = with_key(HOST)
    assert (
        repr(certificate) == "<Certificate of 'Server' by 'The Root', valid to 2030-01-02, with private key>"
    )
    assert repr(HOST.certificate) == "<Certificate of 'Server' by 'The Root', valid to 2030-01-02>"
    assert not hasattr(certificate, "__dict__")


def test_a_key_is_not_copied_out_by_pickling() -> None:
    """Nor sent to another process by accident."""
    with pytest.raises(TypeError):
        pickle.dumps(with_key(HOST))


def test_a_key_that_is_needed_is_there_or_missed_by_name() -> None:
    """What the TLS layer asks for; the message says whose key, for what, and where it should have been."""
    assert with_key(HOST)._private_key_for("serve TLS").public_key() == HOST.key.public_key()
    with pytest.raises(
        InvalidArgumentError,
        match="serve TLS with the certificate of 'Server': there is no private key in a blob",
    ):
        HOST.certificate._private_key_for("serve TLS")
