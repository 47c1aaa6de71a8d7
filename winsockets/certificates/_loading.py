"""From the bytes of a file to a certificate with its chain and its key, or to one clear error."""

from __future__ import annotations

import os
import re
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, pkcs7
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from winsockets.certificates._attributes import display_name
from winsockets.certificates._encodings import (
    PemBlock,
    der_kind,
    has_positive_serial,
    is_pem,
    pem_blocks,
)
from winsockets.errors import (
    ERROR_INVALID_PASSWORD,
    AccessDeniedError,
    InvalidArgumentError,
    SocketException,
)

__all__ = [
    "UNREADABLE",
    "Contents",
    "check_x509",
    "load_x509",
    "read_der",
    "read_file",
    "read_file_bytes",
    "read_pem",
    "read_pkcs12",
    "read_several",
    "same_key",
]

_LARGEST_FILE = 4 << 20
"""Bytes of one file: four times a bundle of all the roots that browsers trust."""
_MOST_CERTIFICATES = 100
"""Certificates in one file with one certificate's chain: a chain has three or four."""
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_KEY_LABEL = re.compile(r"((RSA|EC|DSA|ENCRYPTED) )?PRIVATE KEY")
# The commentary that OpenSSL's pkcs12 command writes before a block
_FRIENDLY_NAME = re.compile(rb"^[ \t]*friendlyName:(.*)$", re.MULTILINE)
# What cryptography raises for bytes that it cannot read; the three of x509 have no common base. Of some bytes
# it warns, and warnings are exceptions where a program has made them so.
UNREADABLE = (
    UserWarning,
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Contents(NamedTuple):
    """What was read.

    Attributes:
        certificate: the one that the file is about.
        chain: those that lead from it towards a root, in this order.
        key: the certificate's private key, if it was there.
        friendly_name: the name for people that the file gives the certificate, or "".
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    key: PrivateKeyTypes | None = None
    friendly_name: str = ""


class _Relative(NamedTuple):
    """What looks like a certificate."""

    load: Callable[[bytes], object]
    what: str
    advice: str


_REQUEST = _Relative(
    x509.load_der_x509_csr, "a request for a certificate", "let an authority issue the certificate"
)
_REVOCATION_LIST = _Relative(
    x509.load_der_x509_crl, "a revocation list, and no certificate", "give a certificate"
)
_RELATIVES = (_REQUEST, _REVOCATION_LIST)


def _refuse(source: str, problem: str, advice: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"load a certificate from {source}: {problem}; {advice}")


def _wrong_password(source: str, what: str, password: bytes | None) -> InvalidArgumentError:
    told = f"{what} is encrypted and no password was given; give its password"
    if password is not None:
        told = f"the password for {what} is wrong, or {what} is damaged; check the password"
    return InvalidArgumentError(f"load a certificate from {source}: {told}", hresult=ERROR_INVALID_PASSWORD)


def check_x509(certificate: x509.Certificate, source: str) -> x509.Extensions:
    """Look at every part of a certificate that is read later, so that reading it cannot fail then.

    Returns:
        The extensions.

    Raises:
        InvalidArgumentError: a part cannot be read.
    """
    try:
        _ = certificate.subject, certificate.issuer, certificate.version
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        extensions = certificate.extensions
        positive = certificate.serial_number > 0
    except UNREADABLE as problem:
        raise _refuse(
            source, f"a certificate is malformed ({problem})", "get it from its owner again"
        ) from problem
    if not positive:
        raise _bad_serial(source)
    return extensions


def _bad_serial(source: str) -> InvalidArgumentError:
    return _refuse(source, "the serial number is not greater than 0", "have a proper one issued (RFC 5280)")


def load_x509(der: bytes, source: str) -> x509.Certificate:
    """Read one certificate from exactly its bytes.

    Raises:
        InvalidArgumentError: the bytes are anything else, or the certificate is malformed.
    """
    kind = der_kind(der)
    # before cryptography sees it, which warns of it
    if kind == "certificate" and not has_positive_serial(der):
        _explain_relatives(der, source)
        raise _bad_serial(source)
    try:
        certificate = x509.load_der_x509_certificate(der)
    except UNREADABLE as problem:
        _explain_relatives(der, source)
        _explain(kind, source, problem)
    check_x509(certificate, source)
    return certificate


def _explain_relatives(der: bytes, source: str) -> None:
    """Refuse what begins as a certificate does and is something else."""
    for load, what, advice in _RELATIVES:
        try:
            load(der)
        except UNREADABLE:
            continue
        raise _refuse(source, f"this is {what}", advice)


def _explain(kind: str, source: str, problem: Exception) -> NoReturn:
    if kind == "truncated":
        raise _refuse(source, "it ends in the middle of the certificate", "copy all of it") from problem
    if kind == "private key":
        raise _refuse(source, "there is a private key and no certificate", "add the certificate") from problem
    if kind == "certificate":
        raise _refuse(source, f"the certificate is damaged ({problem})", "copy it again") from problem
    raise _refuse(source, "this is not a certificate", "give one in PEM, DER or PKCS #12") from problem


def read_der(data: bytes, source: str) -> Contents:
    """Read what WinRT takes for a certificate: DER, or PKCS #7 with a certificate and its chain.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if is_pem(data):
        raise _refuse(source, "this is PEM, not DER", "use Certificate.load_pem")
    kind = der_kind(data)
    if kind == "pkcs12":
        raise _refuse(source, "this is PKCS #12, not DER", "use Certificate.load_pkcs12")
    if kind != "pkcs7":
        return Contents(load_x509(data, source))
    try:
        found = pkcs7.load_der_pkcs7_certificates(data)
    except UNREADABLE as problem:
        raise _refuse(
            source, "the PKCS #7 data is damaged, or has no certificates", "export it again"
        ) from problem
    return _arrange(found, None, source)


def read_pem(data: bytes, password: bytes | None, source: str) -> Contents:
    """Read a certificate, its chain and its key, in any order.

    Raises:
        InvalidArgumentError: for everything that can be wrong with it; ERROR_INVALID_PASSWORD if it is
            the password.
    """
    blocks = pem_blocks(data)
    _check_whole(blocks, source)
    labels = [block.label for block in blocks]
    keys = [block for block in blocks if _KEY_LABEL.fullmatch(block.label)]
    found = _load_blocks(blocks, source)
    if not found:
        if "CERTIFICATE REQUEST" in labels or "NEW CERTIFICATE REQUEST" in labels:
            raise _refuse(source, f"this is {_REQUEST.what}", _REQUEST.advice)
        if "X509 CRL" in labels:
            raise _refuse(source, f"this is {_REVOCATION_LIST.what}", _REVOCATION_LIST.advice)
        if keys:
            raise _refuse(source, "there is a private key and no certificate", "add the certificate")
        seen = (
            f"there are only blocks of {', '.join(sorted(set(labels)))}"
            if labels
            else "there is no PEM block"
        )
        raise _refuse(source, f"no certificate: {seen}", "give a file with BEGIN CERTIFICATE in it")
    if "OPENSSH PRIVATE KEY" in labels:
        raise _refuse(source, "the private key is in OpenSSH's own form", "convert it: ssh-keygen -p -m PEM")
    if len(keys) > 1:
        raise _refuse(source, f"there are {len(keys)} private keys", "keep the one of the certificate")
    contents = _arrange(found, _load_key(keys[0].text, password, source) if keys else None, source)
    name = _FRIENDLY_NAME.search(data)
    return contents._replace(friendly_name=name[1].decode("utf-8", "replace").strip() if name else "")


def read_several(data: bytes, source: str) -> list[x509.Certificate | InvalidArgumentError]:
    """Read a bundle of certificates that need have nothing to do with each other, and nothing else in it.

    Returns:
        The certificates, and in place of each that cannot be read the reason.

    Raises:
        InvalidArgumentError: there is none at all, or the end is missing.
    """
    if not is_pem(data):
        contents = read_der(data, source)
        return [contents.certificate, *contents.chain]
    blocks = pem_blocks(data)
    _check_whole(blocks, source)
    result: list[x509.Certificate | InvalidArgumentError] = []
    for block in blocks:
        if block.label in _CERTIFICATE_LABELS:
            try:
                result.append(_load_block(block, source))
            except InvalidArgumentError as problem:
                result.append(problem)
    return result


def _check_whole(blocks: Sequence[PemBlock], source: str) -> None:
    broken = next((block for block in blocks if not block.text), None)
    if broken is not None:
        raise _refuse(source, f"the end of a {broken.label} block is missing", "copy all of it")


def _load_block(block: PemBlock, source: str) -> x509.Certificate:
    der = _decode(block.text)
    if der is None:
        raise _refuse(source, "a CERTIFICATE block is not base64", "copy it again")
    return load_x509(der, source)


def _decode(text: bytes) -> bytes | None:
    lines = text.strip().splitlines()[1:-1]
    try:
        return a2b_base64(b"".join(line.strip() for line in lines), strict_mode=True)
    except ValueError:
        return None


def _load_blocks(blocks: Sequence[PemBlock], source: str) -> list[x509.Certificate]:
    chosen = [block for block in blocks if block.label in _CERTIFICATE_LABELS]
    if len(chosen) > _MOST_CERTIFICATES:
        raise _refuse(
            source,
            f"there are {len(chosen)} certificates, more than the {_MOST_CERTIFICATES} that a chain may have",
            "read a bundle of roots with CertificateStore",
        )
    return [_load_block(block, source) for block in chosen]


def _load_key(text: bytes, password: bytes | None, source: str) -> PrivateKeyTypes:
    encrypted = b"ENCRYPTED" in text
    try:
        return load_pem_private_key(text, password if encrypted else None)
    except UNREADABLE as problem:
        if encrypted:
            raise _wrong_password(source, "the private key", password or None) from problem
        raise _refuse(
            source, "the private key is damaged, or of an unknown kind", "copy it again"
        ) from problem


def read_pkcs12(data: bytes, password: bytes | None, source: str) -> Contents:
    """Read a PKCS #12 file (.p12, .pfx).

    Raises:
        InvalidArgumentError: for everything that can be wrong with it; ERROR_INVALID_PASSWORD if it is
            the password.
    """
    kind = der_kind(data)
    if kind == "truncated":
        raise _refuse(source, "it ends in the middle of the PKCS #12 data", "copy all of it")
    if kind != "pkcs12":
        raise _refuse(
            source, "this is not PKCS #12", "use Certificate.load_file, which takes PEM and DER too"
        )
    try:
        found = load_pkcs12(data, password)
    except UNREADABLE as problem:
        raise _wrong_password(source, "the PKCS #12 data", password) from problem
    everything = [found.cert, *found.additional_certs] if found.cert else found.additional_certs
    if not everything:
        raise _refuse(
            source, "there is no certificate in the PKCS #12 data", "export it with its certificate"
        )
    certificates = [one.certificate for one in everything]
    for certificate in certificates:
        check_x509(certificate, source)
    contents = _arrange(certificates, found.key, source)
    names = {one.certificate: one.friendly_name for one in everything}
    return contents._replace(friendly_name=(names[contents.certificate] or b"").decode("utf-8", "replace"))


def read_file(path: str | os.PathLike[str], password: bytes | None) -> Contents:
    """Read a file of any of these forms.

    Raises:
        InvalidArgumentError: as the other functions, naming the file.
        SocketException: the file cannot be read (AccessDeniedError: for lack of rights).
    """
    source = os.fspath(path)
    data = read_file_bytes(path)
    if is_pem(data):
        return read_pem(data, password, source)
    if der_kind(data) == "pkcs12":
        return read_pkcs12(data, password, source)
    return read_der(data, source)


def read_file_bytes(path: str | os.PathLike[str], what: str = "certificate") -> bytes:
    """Read a file that is no larger than files with certificates are.

    Args:
        path: the file.
        what: what should be in it, for the message.

    Raises:
        InvalidArgumentError: it is larger, or empty.
        SocketException: it cannot be read (AccessDeniedError: for lack of rights); errno says why.
    """
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except ValueError as problem:
        raise _refuse(repr(source), f"the path is none ({problem})", "check the path") from problem
    except OSError as problem:
        kind = AccessDeniedError if isinstance(problem, PermissionError) else SocketException
        advice = "let this user read it" if kind is AccessDeniedError else "check the path"
        raise kind(
            f"read the {what} file {source}: {problem.strerror}; {advice}", errno=problem.errno
        ) from problem
    if len(data) > _LARGEST_FILE:
        raise _refuse(source, f"it is larger than {_LARGEST_FILE >> 20} MiB", "this is no certificate file")
    if not data:
        raise _refuse(source, "the file is empty", "export the certificate again")
    return data


def same_key(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Tell whether a private key is that of a certificate."""
    try:
        ours, theirs = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (certificate.public_key(), key.public_key())
        )
    except UNREADABLE:
        return False
    return ours == theirs


def _arrange(found: Sequence[x509.Certificate], key: PrivateKeyTypes | None, source: str) -> Contents:
    """Find the certificate that the others lead up from, and put these in their order."""
    certificates = list(dict.fromkeys(found))
    if key is not None:
        ends = [certificate for certificate in certificates if same_key(certificate, key)][:1]
        if not ends:
            names = ", ".join(repr(display_name(one.subject)) for one in certificates[:3])
            raise _refuse(
                source, f"the private key is that of another certificate than {names}", "put the two together"
            )
    else:
        issuers = {one.issuer for one in certificates if one.issuer != one.subject}
        ends = [one for one in certificates if one.subject not in issuers]
    chain = _climb(ends[0], certificates) if len(ends) == 1 else []
    if len(chain) != len(certificates):
        names = ", ".join(
            repr(display_name(one.subject)) for one in (ends if len(ends) > 1 else certificates)[:3]
        )
        raise _refuse(
            source,
            f"there are several certificates that have nothing to do with each other ({names})",
            "keep one with its chain",
        )
    return Contents(chain[0], tuple(chain[1:]), key)


def _climb(certificate: x509.Certificate, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Go up by the names of the issuers; of several with one name all are kept."""
    chain = [certificate]
    for one in chain:  # grows meanwhile
        chain += [other for other in certificates if other.subject == one.issuer and other not in chain]
    return chain
