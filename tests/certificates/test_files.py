"""The files of a command line: a certificate to show, and authorities to trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from winsockets.certificates import Certificate
from winsockets.certificates._files import load_authorities, load_identity
from winsockets.errors import ERROR_INVALID_PASSWORD, InvalidArgumentError, SocketException
from winsockets.testing import CertificateAuthority, certificate_pem

AUTHORITY = CertificateAuthority()
SERVER = AUTHORITY.create_intermediate().issue_server("localhost")
OTHER = AUTHORITY.issue_server("other.test")
BEGIN_KEY = b"-----BEGIN PRIVATE KEY-----"


def parts(certificate: Certificate, password: str | None = None) -> tuple[bytes, bytes]:
    """The PEM of a certificate with its chain, and that of its private key."""
    pem = certificate_pem(certificate, password)
    begin = BEGIN_KEY if password is None else b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
    chain, found, key = pem.partition(begin)
    return chain, found + key


def write(folder: Path, certificate: bytes, key: bytes) -> tuple[str, str]:
    """Two files of PEM."""
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    """The certificate with its chain, and the key."""
    path = tmp_path / "both.pem"
    path.write_bytes(certificate_pem(SERVER))
    loaded = load_identity(str(path))
    assert loaded == SERVER
    assert loaded.has_private_key
    assert loaded.intermediates == SERVER.intermediates


@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["no newline at the end", "a newline at the end"])
def test_the_key_may_have_a_file_of_its_own(tmp_path: Path, ending: bytes) -> None:
    """As authorities deliver them."""
    chain, key = parts(SERVER)
    loaded = load_identity(*write(tmp_path, chain.rstrip() + ending, key))
    assert loaded == SERVER
    assert loaded.has_private_key
    assert loaded.intermediates == SERVER.intermediates


def test_the_file_of_the_key_may_hold_the_certificate_again(tmp_path: Path) -> None:
    """It is the same one."""
    chain, _ = parts(SERVER)
    assert load_identity(*write(tmp_path, chain, certificate_pem(SERVER))).has_private_key


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        (parts(SERVER)[0], parts(OTHER)[1], "the private key is that of another certificate"),
        (parts(SERVER)[0], parts(SERVER)[0], "key.pem: there is none"),
        (parts(SERVER)[0], parts(SERVER, "secret")[1], "key.pem: it is encrypted"),
        (certificate_pem(SERVER), parts(SERVER)[1], "there are 2 private keys"),
        (parts(SERVER)[0], b"\x30\x82\x01\x00", "key.pem: this is not PEM"),
        (SERVER.get_certificate_blob(), parts(SERVER)[1], "certificate.pem: this is not PEM"),
        (parts(SERVER)[0], b"", "key.pem: the file is empty"),
        (b"-----BEGIN X-----\nAA==\n-----END X-----\n", parts(SERVER)[1], "no certificate"),
    ],
)
def test_two_files_that_do_not_fit_are_refused(
    tmp_path: Path, certificate: bytes, key: bytes, message: str
) -> None:
    """In one line that names them."""
    with pytest.raises(InvalidArgumentError) as caught:
        load_identity(*write(tmp_path, certificate, key))
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("contents", "message"),
    [(parts(SERVER)[0], ": there is none"), (certificate_pem(SERVER, "secret"), ": it is encrypted")],
)
def test_one_file_without_a_key_to_use_is_refused(tmp_path: Path, contents: bytes, message: str) -> None:
    """A server that nobody watches cannot ask for a password."""
    path = tmp_path / "server.pem"
    path.write_bytes(contents)
    with pytest.raises(InvalidArgumentError, match=f"{path}{message}") as caught:
        load_identity(str(path))
    assert (caught.value.hresult == ERROR_INVALID_PASSWORD) == ("encrypted" in message)


@pytest.mark.parametrize("load", [load_identity, load_authorities])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, load: object) -> None:
    """With what the system says."""
    assert callable(load)
    with pytest.raises(SocketException, match=r"missing\.pem: No such file"):
        load(str(tmp_path / "missing.pem"))


def test_authorities_are_all_certificates_of_a_file(tmp_path: Path) -> None:
    """A bundle, in its order."""
    path = tmp_path / "roots.pem"
    roots = [AUTHORITY.certificate, CertificateAuthority().certificate]
    path.write_bytes(b"".join(certificate_pem(root) for root in roots))
    assert load_authorities(str(path)) == tuple(roots)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (parts(SERVER)[1], "there is none"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "this is not a certificate"),
        (b"nothing", "this is not a certificate"),
    ],
)
def test_a_file_without_authorities_is_refused(tmp_path: Path, contents: bytes, message: str) -> None:
    """Rather than trusting nobody."""
    path = tmp_path / "roots.pem"
    path.write_bytes(contents)
    with pytest.raises(InvalidArgumentError, match=message):
        load_authorities(str(path))
