"""Certificates in the files of a folder, or in one bundle."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import Logger

from winsockets.certificates._certificate import Certificate
from winsockets.certificates._loading import Contents, read_file, read_file_bytes, read_several
from winsockets.errors import (
    ERROR_NOT_FOUND,
    AccessDeniedError,
    InvalidArgumentError,
    SocketException,
)

__all__ = ["FOLDER_VARIABLE", "add_file", "delete_file", "read_place", "user_folder"]

_log = Logger(namespace="winsockets.certificates")
FOLDER_VARIABLE = "WINSOCKETS_CERTIFICATES"
"""The environment variable that names the folder with the user's stores."""
_OWN_NAME = re.compile("[0-9a-f]{64}")
_ENDINGS = frozenset({".cer", ".crt", ".der", ".p12", ".p7b", ".pem", ".pfx"})


def user_folder() -> Path:
    """Say where the folders of the user's stores are: where the variable says, or at the usual place."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "winsockets" / "certificates"


def read_place(place: Path, store_name: str, is_per_user: bool) -> list[Certificate]:
    """Read a folder, or a file with any number of certificates; nothing if there is neither.

    What cannot be read of it, or needs a password, is logged and left out. In a folder, the name of a file,
    without its ending, stands in for a friendly name.

    Raises:
        InvalidArgumentError: the file is no bundle of certificates.
        SocketException: the folder or the file cannot be read.
    """
    found = _bundled(place) if place.is_file() else _files(place)
    return [Certificate._of(contents, os.fspath(file), store_name, is_per_user) for file, contents in found]


def _bundled(file: Path) -> Iterator[tuple[Path, Contents]]:
    for one in read_several(read_file_bytes(file), os.fspath(file)):
        if isinstance(one, InvalidArgumentError):
            _log.warn("left out: {problem}", problem=one)
        else:
            yield file, Contents(one)


def _files(folder: Path) -> Iterator[tuple[Path, Contents]]:
    try:
        files = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as problem:
        raise _unusable("read", folder, problem) from problem
    for file in files:
        if file.suffix.lower() in _ENDINGS and file.is_file():
            try:
                contents = read_file(file, None)
            except SocketException as problem:
                _log.warn("left out: {problem}", problem=problem)
                continue
            if not contents.friendly_name and not _OWN_NAME.fullmatch(file.stem):
                contents = contents._replace(friendly_name=file.stem)
            yield file, contents


def _unusable(action: str, path: Path, problem: OSError) -> SocketException:
    kind = AccessDeniedError if isinstance(problem, PermissionError) else SocketException
    return kind(
        f"{action} {path}: {problem.strerror}; check the path, and the rights to it", errno=problem.errno
    )


def _own_file(folder: Path, certificate: Certificate) -> Path:
    return folder / f"{certificate.get_hash_value('SHA256').hex()}.pem"


def add_file(folder: Path, certificate: Certificate) -> None:
    """Write a certificate and its chain to a file of its own, which appears whole or not at all.

    Raises:
        InvalidArgumentError: it has a private key, which is not written.
        SocketException: the file cannot be written.
    """
    if certificate.has_private_key:
        raise InvalidArgumentError(
            f"add {certificate!r} to {folder}: private keys are not written to disk; "
            "put the file that it was loaded from there"
        )
    # A name that looks like a block of PEM would be read as one.
    name = re.sub("-{5,}", "-", " ".join(certificate.friendly_name.split()))
    lines = [f"friendlyName: {name}\n".encode()] if name else []
    lines += [one._x509.public_bytes(Encoding.PEM) for one in (certificate, *certificate.intermediates)]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(b"".join(lines))
            os.replace(draft, _own_file(folder, certificate))
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
    except OSError as problem:
        raise _unusable("add a certificate to", folder, problem) from problem


def delete_file(folder: Path, certificate: Certificate) -> None:
    """Remove the file that `add_file` wrote; others are their owner's, who may have the key in them.

    Raises:
        SocketException: ERROR_NOT_FOUND, there is none; or it cannot be removed.
    """
    try:
        _own_file(folder, certificate).unlink()
    except FileNotFoundError as problem:
        raise SocketException(
            f"delete {certificate!r} from {folder}: it was not added to this store; remove its file, "
            "if there is one",
            hresult=ERROR_NOT_FOUND,
        ) from problem
    except OSError as problem:
        raise _unusable("delete a certificate from", folder, problem) from problem
