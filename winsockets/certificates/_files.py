"""The files that programs are given on their command lines: a certificate to show, authorities to trust."""

from __future__ import annotations

from winsockets.certificates._certificate import Certificate
from winsockets.certificates._encodings import is_pem
from winsockets.certificates._loading import Contents, read_file_bytes, read_pem, read_several
from winsockets.errors import ERROR_INVALID_PASSWORD, InvalidArgumentError

__all__ = ["load_authorities", "load_identity"]


def load_identity(path: str, key_path: str | None = None) -> Certificate:
    """Load a certificate with its chain and its private key, which is not encrypted.

    Args:
        path: the file of the certificate and its chain; also of the private key, if that has no other.
        key_path: the file of the private key; both are in PEM then.

    Raises:
        InvalidArgumentError: something is missing, damaged, encrypted, or does not belong together.
        SocketException: a file cannot be read.
    """
    try:
        certificate = Certificate.load_file(path) if key_path is None else _load_both(path, key_path)
    except InvalidArgumentError as problem:
        if problem.hresult != ERROR_INVALID_PASSWORD:
            raise
        raise InvalidArgumentError(
            f"load the private key from {key_path or path}: it is encrypted, and nobody is asked for a "
            "password; store it without one, in a file of this user's (openssl pkey -in FILE -out NEWFILE)",
            hresult=ERROR_INVALID_PASSWORD,
        ) from problem
    if not certificate.has_private_key:
        raise InvalidArgumentError(
            f"load the private key from {key_path or path}: there is none; name the file that it is in"
        )
    return certificate


def _load_both(path: str, key_path: str) -> Certificate:
    pem = b""
    for one, what in ((path, "certificate"), (key_path, "private key")):
        data = read_file_bytes(one, what)
        if not is_pem(data):
            raise InvalidArgumentError(
                f"load a certificate from {one}: this is not PEM, and a private key in a file of its own "
                "goes with PEM only; convert it"
            )
        pem += data + b"\n"
    source = f"{path} and {key_path}"
    return Certificate._of(read_pem(pem, None, source), source)


def load_authorities(path: str) -> tuple[Certificate, ...]:
    """Load all certificates of a file, at least one, which need have nothing to do with each other.

    Raises:
        InvalidArgumentError: one cannot be read, or there is none.
        SocketException: the file cannot be read.
    """
    found = []
    for one in read_several(read_file_bytes(path), path):
        if isinstance(one, InvalidArgumentError):
            raise one
        found.append(Certificate._of(Contents(one), path))
    if not found:
        raise InvalidArgumentError(
            f"load certificates from {path}: there is none; give a file with BEGIN CERTIFICATE in it"
        )
    return tuple(found)
