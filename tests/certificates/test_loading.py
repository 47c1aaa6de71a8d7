"""Each form that a file can have, and one clear error for each way in which it can be wrong."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.certificates.authority import DAY, NOON, Entity, name, rsa_key, with_unknown_key
from winsockets import AccessDeniedError, Certificate, HResult, InvalidArgumentError, SocketException
from winsockets.certificates import _loading
from winsockets.errors import ERROR_INVALID_PASSWORD

ROOT = Entity.root()
INTERMEDIATE = ROOT.authority()
SERVER = INTERMEDIATE.server("host.test")
STRANGER = Entity.root("Stranger")
CHAIN = (INTERMEDIATE.certificate, ROOT.certificate)
PASSWORD = "correct horse"


def as_pkcs12(
    password: str | None = PASSWORD,
    own: Entity | None = SERVER,
    others: tuple[Entity, ...] = (INTERMEDIATE, ROOT),
    friendly_name: bytes | None = "bäcker".encode(),
) -> bytes:
    """A PKCS #12 file."""
    encryption: Any = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        friendly_name, own and own.key, own and own.x509, [one.x509 for one in others], encryption
    )


def refused(load: Callable[[], Certificate], message: str, hresult: HResult | None = None) -> None:
    """Check that loading fails with this message and advice, and that no key or password is in it."""
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        load()
    told = str(caught.value)
    assert told.startswith("load a certificate from ")
    assert told.rpartition("; ")[2]
    assert PASSWORD not in told
    assert "PRIVATE KEY-----" not in told
    if hresult is not None:
        assert caught.value.hresult == hresult


def test_pem_may_have_its_parts_in_any_order() -> None:
    """The certificate is found by the key, or by being nobody's issuer; the chain by its names."""
    parts = [SERVER.pem, INTERMEDIATE.pem, ROOT.pem, SERVER.key_pem()]
    for _ in range(8):
        random.shuffle(parts)
        found = Certificate.load_pem(b"some words\r\n".join(parts))
        assert found == SERVER.certificate
        assert found.intermediates == CHAIN
        assert found.has_private_key
    without_key = Certificate.load_pem(b"".join(part for part in parts if b"PRIVATE" not in part))
    assert without_key == SERVER.certificate
    assert without_key.intermediates == CHAIN
    assert not without_key.has_private_key


def test_the_key_says_which_of_a_chain_is_meant() -> None:
    """The key of an authority, with the certificate of that authority and of its issuer."""
    found = Certificate.load_pem(ROOT.pem + INTERMEDIATE.pem + INTERMEDIATE.key_pem())
    assert found == INTERMEDIATE.certificate
    assert found.intermediates == (ROOT.certificate,)


@pytest.mark.parametrize(
    "change", [lambda pem: pem, bytes.decode, lambda pem: pem.replace(b"\n", b"\r\n"), bytearray]
)
def test_pem_may_be_text_or_bytes_with_any_line_ends(change: Callable[[bytes], Any]) -> None:
    """As files are on different systems."""
    assert Certificate.load_pem(change(SERVER.pem + SERVER.key_pem())).has_private_key


def test_the_same_certificate_twice_is_one() -> None:
    """A chain that was put together from overlapping files."""
    assert Certificate.load_pem(SERVER.pem + INTERMEDIATE.pem + SERVER.pem).intermediates == CHAIN[:1]


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (lambda: rsa_key(2048), PrivateFormat.PKCS8),
        (lambda: rsa_key(2048), PrivateFormat.TraditionalOpenSSL),
        (lambda: ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
        (lambda: ec.generate_private_key(ec.SECP384R1()), PrivateFormat.TraditionalOpenSSL),
        (ed25519.Ed25519PrivateKey.generate, PrivateFormat.PKCS8),
    ],
)
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_keys_of_the_usual_kinds_are_read(
    key: Callable[[], Any], form: PrivateFormat, password: str | None
) -> None:
    """In both forms of PEM, encrypted or not; a password that is not needed does not matter."""
    host = ROOT.server("host.test", key=key())
    if isinstance(host.key, ed25519.Ed25519PrivateKey) and form is not PrivateFormat.PKCS8:
        return
    pem = host.pem + host.key_pem(password and password.encode(), form)
    assert Certificate.load_pem(pem, PASSWORD).has_private_key
    assert Certificate.load_pem(pem, PASSWORD.encode()).has_private_key


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_password_that_is_wrong_or_missing_has_its_own_number(form: PrivateFormat) -> None:
    """So that a program can ask for it again."""
    pem = SERVER.pem + SERVER.key_pem(PASSWORD.encode(), form)
    refused(
        lambda: Certificate.load_pem(pem), "no password was given; give its password", ERROR_INVALID_PASSWORD
    )
    refused(lambda: Certificate.load_pem(pem, ""), "no password was given", ERROR_INVALID_PASSWORD)
    refused(lambda: Certificate.load_pem(pem, "wrong"), "password .* is wrong", ERROR_INVALID_PASSWORD)


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "no certificate: there is no PEM block"),
        (b"just words", "no certificate: there is no PEM block"),
        (SERVER.pem[:-30], "the end of a CERTIFICATE block is missing"),
        (SERVER.pem[:-30] + INTERMEDIATE.pem, "the end of a CERTIFICATE block is missing"),
        (SERVER.pem + SERVER.key_pem()[:-30], "the end of a PRIVATE KEY block is missing"),
        (SERVER.pem.replace(b"M", b"!", 1), "a CERTIFICATE block is not base64"),
        (SERVER.pem.replace(b"MII", b"MIH", 1), "this is not a certificate|damaged|in the middle"),
        (SERVER.key_pem(), "there is a private key and no certificate"),
        (SERVER.pem + STRANGER.key_pem(), "the private key is that of another certificate than 'Server'"),
        (SERVER.pem + SERVER.key_pem() + ROOT.key_pem(), "there are 2 private keys"),
        (SERVER.pem + STRANGER.pem, "nothing to do with each other .*'Server', 'Stranger'"),
        (SERVER.pem + STRANGER.pem + SERVER.key_pem(), "nothing to do with each other"),
        (SERVER.pem + ROOT.pem, "nothing to do with each other"),
        (
            SERVER.pem + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "the private key is damaged",
        ),
        (
            SERVER.pem + b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            "the private key is in OpenSSH's own form; convert it: ssh-keygen",
        ),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "this is a request for a certificate",
        ),
        (
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "no certificate: there are only blocks of PUBLIC KEY",
        ),
        (SERVER.pem * 101, "there are 101 certificates, more than the 100"),
    ],
)
def test_each_way_for_pem_to_be_wrong_has_its_message(pem: bytes, message: str) -> None:
    """What is wrong, and what to do."""
    refused(lambda: Certificate.load_pem(pem), message)


def test_certificates_that_issued_each_other_are_no_chain() -> None:
    """There is none among them that the others lead up from."""
    one = Entity.root("One")
    two = one.authority("Two")
    by_two = Entity("One", two, [], key=one.key)
    refused(lambda: Certificate.load_pem(two.pem + by_two.pem), "nothing to do with each other")


def test_pkcs12_has_certificate_chain_key_and_name() -> None:
    """With a password and without."""
    for password in (PASSWORD, None):
        found = Certificate.load_pkcs12(as_pkcs12(password), password)
        assert found == SERVER.certificate
        assert found.intermediates == CHAIN
        assert found.has_private_key
        assert found.friendly_name == "bäcker"


def test_pkcs12_may_have_no_key() -> None:
    """Then it is found by its chain."""
    data = as_pkcs12(own=None, others=(ROOT, SERVER, INTERMEDIATE), friendly_name=None)
    found = Certificate.load_pkcs12(data, PASSWORD)
    assert found == SERVER.certificate
    assert not found.has_private_key
    assert found.friendly_name == ""


@pytest.mark.parametrize(
    ("data", "password", "message", "number"),
    [
        (
            as_pkcs12(),
            None,
            "the PKCS #12 data is encrypted and no password was given",
            ERROR_INVALID_PASSWORD,
        ),
        (as_pkcs12(), "wrong", "the password for the PKCS #12 data is wrong", ERROR_INVALID_PASSWORD),
        (as_pkcs12()[:-30], PASSWORD, "it ends in the middle of the PKCS #12 data", None),
        (SERVER.der, PASSWORD, "this is not PKCS #12", None),
        (SERVER.pem, PASSWORD, "this is not PKCS #12", None),
        (b"", PASSWORD, "this is not PKCS #12", None),
        (as_pkcs12(others=(STRANGER,)), PASSWORD, "nothing to do with each other", None),
    ],
)
def test_each_way_for_pkcs12_to_be_wrong_has_its_message(
    data: bytes, password: str | None, message: str, number: HResult | None
) -> None:
    """A wrong password cannot be told from damage; everything else can."""
    refused(lambda: Certificate.load_pkcs12(data, password), message, number)


def test_pkcs12_with_a_key_alone_is_refused() -> None:
    """A key by itself is nobody's."""
    data = pkcs12.serialize_key_and_certificates(None, SERVER.key, None, None, NoEncryption())
    refused(lambda: Certificate.load_pkcs12(data), "there is no certificate in the PKCS #12 data")


def test_der_may_be_pkcs7_with_a_chain() -> None:
    """What Windows exports as .p7b."""
    chain = [one.x509 for one in (ROOT, SERVER, INTERMEDIATE)]
    found = Certificate(pkcs7.serialize_certificates(chain, Encoding.DER))
    assert found == SERVER.certificate
    assert found.intermediates == CHAIN


REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(SERVER.x509.subject)
    .sign(SERVER.key, hashes.SHA256())
)
REVOCATION_LIST = x509.CertificateRevocationListBuilder(ROOT.x509.subject, NOON - DAY, NOON + DAY).sign(
    ROOT.key, hashes.SHA256()
)
SUBJECT_PUBLIC_KEY = SERVER.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "this is not a certificate"),
        (b"just words", "this is not a certificate"),
        (b"\x30", "it ends in the middle of the certificate"),
        (SERVER.der[:-1], "it ends in the middle of the certificate"),
        (SERVER.der[:3], "it ends in the middle of the certificate"),
        (SERVER.der + b"\x00", "the certificate is damaged"),
        (SERVER.pem, "this is PEM, not DER; use Certificate.load_pem"),
        (as_pkcs12(), "this is PKCS #12, not DER; use Certificate.load_pkcs12"),
        (
            SERVER.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            "there is a private key and no certificate",
        ),
        (
            SERVER.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "there is a private key and no certificate",
        ),
        (SUBJECT_PUBLIC_KEY, "this is not a certificate"),
        (REQUEST.public_bytes(Encoding.DER), "this is a request for a certificate"),
        (REVOCATION_LIST.public_bytes(Encoding.DER), "this is a revocation list, and no certificate"),
        (b"\x30\x05\x06\x03\x2a\x03\x04", "the PKCS #7 data is damaged"),
    ],
)
def test_each_way_for_der_to_be_wrong_has_its_message(blob: bytes, message: str) -> None:
    """Also where it is something else that a program may hold."""
    refused(lambda: Certificate(blob), message)


def test_a_serial_number_must_be_greater_than_0() -> None:
    """RFC 5280 section 4.1.2.2; builders refuse to make another, so it is changed afterwards."""
    host = Entity("host.test", serial=0x7777777777777777)
    zero = host.der.replace(b"\x77" * 8, b"\x00" * 8)
    negative = host.der.replace(b"\x77" * 8, b"\x87" * 8)
    for der in (zero, negative):
        refused(lambda der=der: Certificate(der), "the serial number is not greater than 0")


@pytest.mark.parametrize("blob", [None, "text", 5])
def test_what_is_no_buffer_is_refused(blob: Any) -> None:
    """None is E_INVALIDARG, as a null buffer is in WinRT."""
    kind = InvalidArgumentError if blob is None else TypeError
    for load in (Certificate, Certificate.load_pkcs12):
        with pytest.raises(kind):
            load(blob)


@pytest.mark.parametrize("password", [5, ["x"], bytearray(b"x")])
def test_a_password_is_text_or_bytes(password: Any) -> None:
    """And what it was is not in the message."""
    with pytest.raises(TypeError, match="a password is a str or bytes, not a"):
        Certificate.load_pem(SERVER.pem, password)


@pytest.mark.parametrize(
    ("file_name", "data"),
    [
        ("any.name", SERVER.pem + SERVER.key_pem(PASSWORD.encode())),
        ("any.pem", as_pkcs12()),
        ("any.p12", SERVER.der),
        ("any", pkcs7.serialize_certificates([SERVER.x509], Encoding.DER)),
    ],
)
def test_a_file_is_told_by_what_is_in_it(tmp_path: Path, file_name: str, data: bytes) -> None:
    """Not by how it is called."""
    path = tmp_path / file_name
    path.write_bytes(data)
    for form in (path, str(path)):
        assert Certificate.load_file(form, PASSWORD) == SERVER.certificate


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"words", "this is not a certificate"),
        (SERVER.pem[:100], "the end of a CERTIFICATE block is missing"),
        (SERVER.der[:100], "it ends in the middle"),
        (as_pkcs12()[:100], "it ends in the middle"),
        (REVOCATION_LIST.public_bytes(Encoding.PEM), "this is a revocation list, and no certificate"),
        (as_pkcs12(), "no password was given"),
        (SERVER.pem + STRANGER.key_pem(), "another certificate"),
        (bytes((4 << 20) + 1), "it is larger than 4 MiB"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, data: bytes, message: str) -> None:
    """Whoever reads it wants to know which of the files it is."""
    path = tmp_path / "host.test.file"
    path.write_bytes(data)
    refused(lambda: Certificate.load_file(path), f"{path}: .*{message}")


def test_a_path_that_is_none_is_refused_as_everything_else() -> None:
    """What no path may have in it is seen by Python before the system sees it."""
    refused(lambda: Certificate.load_file("host\0.pem"), r"'host\\x00.pem'")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the number of the system; for lack of rights with the exception for that."""
    with pytest.raises(SocketException, match=r"missing\.pem: .*; check the path") as caught:
        Certificate.load_file(tmp_path / "missing.pem")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.errno == caught.value.__cause__.errno
    with pytest.raises(SocketException, match=r"check the path|let this user read it"):
        Certificate.load_file(tmp_path)

    def deny(self: Path, mode: str) -> None:
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(AccessDeniedError, match=r"host\.pem: .*; let this user read it"):
        Certificate.load_file("host.pem")


def test_a_certificate_with_a_key_of_an_unknown_kind_has_no_private_key() -> None:
    """It can be read; that a key is its own cannot be found out."""
    pem = with_unknown_key(SERVER.x509).public_bytes(Encoding.PEM)
    assert Certificate.load_pem(pem).key_algorithm_name == "1.2.840.10045.2.9"
    refused(lambda: Certificate.load_pem(pem + SERVER.key_pem()), "another certificate than 'Server'")


def test_a_serial_number_must_be_greater_than_0_wherever_it_comes_from() -> None:
    """Also from a peer; cryptography warns of it, which is an exception where warnings are."""
    der = Entity("host.test", serial=0x7777777777777777).der.replace(b"\x77" * 8, b"\x87" * 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contents = _loading.Contents(x509.load_der_x509_certificate(der))
        with pytest.raises(InvalidArgumentError, match="a peer: the serial number is not greater than 0"):
            Certificate._of(contents, "a peer")
    with pytest.raises(InvalidArgumentError, match="a peer: a certificate is malformed"):
        Certificate._of(contents, "a peer")


def test_a_name_from_the_commentary_of_pem_is_kept() -> None:
    """Where OpenSSL's command for PKCS #12 writes it."""
    pem = b"Bag Attributes\r\n    friendlyName: B\xc3\xa4cker  \r\n" + SERVER.pem
    assert Certificate.load_pem(pem).friendly_name == "Bäcker"


def test_a_certificate_that_cannot_be_read_later_is_refused_at_once() -> None:
    """Here one with the same extension twice."""
    subject = name("x" * 40)
    host = Entity("host.test", subject=subject)
    doubled = host.authority("y").der
    assert Certificate(doubled).subject == "y"
    with pytest.raises(InvalidArgumentError, match="a certificate is malformed"):
        _loading.check_x509(Malformed(), "a test")  # type: ignore[arg-type]


class Malformed:
    """A certificate of which a part cannot be read."""

    @property
    def subject(self) -> str:
        raise ValueError("no name")


def loaded(load: Callable[[], Certificate]) -> bool:
    """Whether it loads; anything but the library's own error passes through."""
    try:
        found = load()
    except InvalidArgumentError:
        return False
    # whatever can be asked can be answered
    for attribute in dir(found):
        if not attribute.startswith("_"):
            getattr(found, attribute)
    repr(found)
    return True


FORMS = {
    "PEM": (SERVER.pem + INTERMEDIATE.pem + SERVER.key_pem(), Certificate.load_pem),
    "encrypted PEM": (SERVER.pem + SERVER.key_pem(PASSWORD.encode()), Certificate.load_pem),
    "DER": (SERVER.der, lambda data, _: Certificate(data)),
    "PKCS #12": (as_pkcs12(None), Certificate.load_pkcs12),
    "PKCS #7": (
        pkcs7.serialize_certificates([SERVER.x509, INTERMEDIATE.x509], Encoding.DER),
        lambda data, _: Certificate(data),
    ),
}


@given(st.sampled_from(list(FORMS)), st.integers(0, 10_000))
def test_nothing_that_is_cut_short_raises_anything_else(form: str, at: int) -> None:
    """At any byte."""
    data, load = FORMS[form]
    at %= len(data)
    loaded(lambda: load(data[:at], None))


@settings(max_examples=300)
@given(
    st.sampled_from(list(FORMS)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_nothing_that_is_damaged_raises_anything_else(form: str, changes: list[tuple[int, int]]) -> None:
    """At any bytes."""
    data, load = FORMS[form]
    broken = bytearray(data)
    for at, byte in changes:
        broken[at % len(data)] = byte
    loaded(lambda: load(bytes(broken), PASSWORD))


@given(st.binary(max_size=200))
@example(b"0\x80")
@example(b"0\x84\xff\xff\xff\xff")
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever they are."""
    for _, load in FORMS.values():
        loaded(lambda load=load: load(data, None))
