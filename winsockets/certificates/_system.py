"""The certificates that the system trusts, and those that it has for completing chains."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.logger import Logger

from winsockets.certificates._loading import load_x509, read_file_bytes, read_several
from winsockets.errors import InvalidArgumentError, SocketException

__all__ = ["system_intermediates", "system_roots"]

_log = Logger(namespace="winsockets.certificates")
# An interpreter that was built elsewhere looks where that system has its roots.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older of them
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, FreeBSD, OpenBSD
    "/usr/local/etc/ssl/cert.pem",  # FreeBSD's port
)
_SERVER_AUTHENTICATION = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string


def system_roots() -> tuple[x509.Certificate, ...]:
    """Read the certificates that the system trusts.

    On Windows these are in the store ROOT. Elsewhere, if SSL_CERT_FILE or SSL_CERT_DIR is set, they are
    there and nowhere else; if not, where the interpreter's OpenSSL looks; if there are none, in the first
    bundle at the usual places. Files are read again when they have changed, folders when files have come or
    gone. What cannot be read is logged and left out.
    """
    if hasattr(ssl, "enum_certificates"):
        return _windows_store("ROOT")
    paths = ssl.get_default_verify_paths()
    file, folders = os.environ.get(paths.openssl_cafile_env), os.environ.get(paths.openssl_capath_env)
    if file is not None or folders is not None:
        found = _bundle(file) if file else ()
        for folder in (folders or "").split(os.pathsep):
            found += _folder(folder) if folder else ()
        return found
    found = _bundle(paths.cafile) if paths.cafile else ()
    if not found and paths.capath:
        found = _folder(paths.capath)
    return found or next(filter(None, map(_bundle, filter(os.path.exists, _BUNDLES))), ())


def system_intermediates() -> tuple[x509.Certificate, ...]:
    """Read the certificates that the system keeps for completing chains: Windows's store CA.

    No other system has any.
    """
    return _windows_store("CA") if hasattr(ssl, "enum_certificates") else ()


def _windows_store(name: str) -> tuple[x509.Certificate, ...]:
    enumerate_store: Callable[[str], Iterable[tuple[bytes, str, Any]]] = vars(ssl)["enum_certificates"]
    source = f"the store {name}"

    def load() -> Iterator[x509.Certificate | InvalidArgumentError]:
        for data, encoding, usages in enumerate_store(name):
            # What is good for some usages only is not trusted for the others.
            if encoding == "x509_asn" and (usages is True or _SERVER_AUTHENTICATION in usages):
                try:
                    yield load_x509(data, source)
                except InvalidArgumentError as problem:
                    yield problem

    return _without_problems(load())


def _without_problems(
    found: Iterable[x509.Certificate | InvalidArgumentError],
) -> tuple[x509.Certificate, ...]:
    readable = []
    for one in found:
        if isinstance(one, x509.Certificate):
            readable.append(one)
        else:
            _log.info("left out of the trusted certificates: {problem}", problem=one)
    return tuple(readable)


def _bundle(path: str) -> tuple[x509.Certificate, ...]:
    try:
        state = os.stat(path)
        return _read_bundle(path, state.st_mtime_ns, state.st_size)
    except (OSError, SocketException) as problem:
        _log.warn("no trusted certificates from {path}: {problem}", path=path, problem=problem)
        return ()


@lru_cache(maxsize=1024)  # a folder of the system's has a file for each of some 150 roots
def _read_bundle(path: str, changed: int, size: int) -> tuple[x509.Certificate, ...]:
    return _without_problems(read_several(read_file_bytes(path), path))


def _folder(path: str) -> tuple[x509.Certificate, ...]:
    try:
        return _read_folder(path, os.stat(path).st_mtime_ns)
    except OSError as problem:
        _log.warn("no trusted certificates from {path}: {problem}", path=path, problem=problem)
        return ()


@lru_cache(maxsize=8)  # to list it and to look at each file takes 10 ms, and every connection asks
def _read_folder(path: str, changed: int) -> tuple[x509.Certificate, ...]:
    """Read a folder as OpenSSL's c_rehash makes it: each certificate once, whatever links lead to it."""
    entries = sorted(Path(path).iterdir())
    files = dict.fromkeys(os.path.realpath(entry) for entry in entries if entry.is_file())
    return tuple(dict.fromkeys(one for file in files for one in _bundle(file)))
