"""What a piece of data is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.certificates.authority import Entity
from winsockets.certificates._encodings import der_kind, has_positive_serial, is_pem, pem_blocks

HOST = Entity("host.test")
SAMPLES = {
    "certificate": HOST.der,
    "pkcs7": pkcs7.serialize_certificates([HOST.x509], Encoding.DER),
    "pkcs12": pkcs12.serialize_key_and_certificates(None, HOST.key, HOST.x509, None, NoEncryption()),
    "private key": HOST.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    "unknown": b"\x04\x02ab",
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_der_is_told_by_its_first_elements(kind: str) -> None:
    """And what ends too early is told from what is none at all."""
    assert der_kind(SAMPLES[kind]) == kind
    assert der_kind(SAMPLES[kind] + b"more") == kind
    if kind != "unknown":
        for size in range(1, len(SAMPLES[kind])):
            assert der_kind(SAMPLES[kind][:size]) == "truncated"


def test_an_encrypted_private_key_is_one_and_a_public_key_is_not() -> None:
    """Both begin with the name of an algorithm."""
    encrypted = HOST.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    public = HOST.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert der_kind(encrypted) == "private key"
    assert der_kind(public) == "unknown"


@pytest.mark.parametrize("data", [b"", b"\x30\x80\x00\x00", b"\x30\x85\x01\x01\x01\x01\x01", b"\x31\x00"])
def test_other_bytes_are_unknown(data: bytes) -> None:
    """Nothing, lengths that DER does not have, other elements."""
    assert der_kind(data) == "unknown"


@pytest.mark.parametrize(("serial", "positive"), [(1, True), (127, True), (128, True), (2**159 - 1, True)])
def test_a_positive_serial_number_is_told(serial: int, positive: bool) -> None:
    """Also one whose first byte would make it negative without a zero before it."""
    assert has_positive_serial(Entity("host.test", serial=serial).der) is positive


@given(st.binary(max_size=50))
def test_what_is_no_certificate_has_no_serial_number(data: bytes) -> None:
    """It is False, not an exception."""
    assert has_positive_serial(data) in (True, False)
    assert der_kind(data) in {"certificate", "pkcs7", "pkcs12", "private key", "truncated", "unknown"}


def test_pem_blocks_are_cut_out_of_whatever_is_around_them() -> None:
    """With their labels; what has no end has no text."""
    block = b"-----BEGIN A B-----\nxx\n-----END A B-----"
    data = b"before" + block + b"between\n" + b"-----BEGIN C-----\nyy\n" + block + b"-----BEGIN D-----"
    assert [(one.label, one.text) for one in pem_blocks(data)] == [
        ("A B", block + b"\n"),
        ("C", b""),
        ("A B", block + b"\n"),
        ("D", b""),
    ]


@pytest.mark.parametrize(
    "data", [b"", b"-----BEGIN ", b"-----BEGIN -----", b"-----BEGIN a\nb-----", b"BEGIN A"]
)
def test_what_is_no_beginning_is_no_block(data: bytes) -> None:
    """A label stands on one line and is not empty."""
    assert pem_blocks(data) == []


@given(
    st.lists(st.sampled_from([b"-----BEGIN ", b"A-----", b"-----END A-----", b"\n", b"x", b"-"]), max_size=30)
)
def test_blocks_do_not_overlap_and_stand_in_the_data(parts: list[bytes]) -> None:
    """However the beginnings and ends lie."""
    data = b"".join(parts)
    at = 0
    for block in pem_blocks(data):
        if block.text:
            found = data.index(block.text[:-1], at)
            at = found + len(block.text) - 1
    assert bool(pem_blocks(data)) <= is_pem(data)
