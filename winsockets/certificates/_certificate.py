"""Certificate: who somebody is, who says so, and until when."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from winsockets.certificates import _attributes as attributes
from winsockets.certificates._chain import CertificateChain, ChainBuildingParameters, build_path, x509_of
from winsockets.certificates._loading import Contents, check_x509, read_der, read_file, read_pem, read_pkcs12
from winsockets.certificates._system import system_intermediates, system_roots
from winsockets.certificates._threads import in_thread
from winsockets.errors import InvalidArgumentError
from winsockets.foundation import AsyncOperation

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Certificate"]

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256}


@final
class Certificate:
    """A certificate, with its chain and its private key where these were loaded with it.

    Immutable but for ``friendly_name``. Two are equal, and hash alike, when their bytes are equal, whatever
    was loaded with them. (WinRT compares object identity.) The private key cannot be read back, and no
    representation or message shows anything of it.

    Args:
        cert_blob: one certificate in DER, or PKCS #7 in DER (.p7b) with a certificate and its chain. For
            files and for private keys see `load_file`, `load_pem` and `load_pkcs12`.

    Raises:
        InvalidArgumentError: it is something else, damaged, or cut short.
        TypeError: it is no buffer.

    Source: WinRT Certificate; RFC 5280.
    """

    # For the TLS layer: _x509 and _private_key are objects of cryptography's, which pyOpenSSL takes as they
    # are; intermediates[i]._x509 are those to send along.
    __slots__ = (
        "__weakref__",
        "_extensions",
        "_friendly_name",
        "_intermediates",
        "_is_per_user",
        "_private_key",
        "_source",
        "_store_name",
        "_x509",
    )

    def __init__(self, cert_blob: ReadableBuffer, /) -> None:
        self._fill(read_der(_bytes(cert_blob), "a blob"), "a blob")

    def _fill(self, contents: Contents, source: str, store_name: str = "", is_per_user: bool = False) -> None:
        self._x509 = contents.certificate
        self._extensions = check_x509(contents.certificate, source)
        self._private_key: PrivateKeyTypes | None = contents.key
        self._intermediates = tuple(Certificate._of(Contents(one), source) for one in contents.chain)
        self._friendly_name = contents.friendly_name
        self._source = source
        self._store_name = store_name
        self._is_per_user = is_per_user

    @classmethod
    def _of(
        cls, contents: Contents, source: str, store_name: str = "", is_per_user: bool = False
    ) -> Certificate:
        """Make one of what was read, or of what a peer sent.

        Raises:
            InvalidArgumentError: a certificate is malformed.
        """
        self = cls.__new__(cls)
        self._fill(contents, source, store_name, is_per_user)
        return self

    @staticmethod
    def load_pem(data: ReadableBuffer | str, password: str | bytes | None = None) -> Certificate:
        """Load a certificate from PEM, with its chain and its private key if they are there, in any order.

        Args:
            data: the PEM. What stands between its blocks does not count.
            password: that of the private key; not used if the key is not encrypted.

        Raises:
            InvalidArgumentError: there is no certificate, or the data is cut short or damaged; there are
                several certificates that are no chain; the private key is another's, or of an unknown kind.
                Its HRESULT is ERROR_INVALID_PASSWORD if the password is wrong or missing.

        An addition to WinRT.
        """
        text = data.encode() if isinstance(data, str) else _bytes(data)
        return Certificate._of(read_pem(text, _password(password), "the PEM data"), "the PEM data")

    @staticmethod
    def load_pkcs12(data: ReadableBuffer, password: str | bytes | None = None) -> Certificate:
        """Load a certificate from PKCS #12 (.p12, .pfx), with its chain, private key and friendly name.

        Args:
            data: the bytes of the file.
            password: that of the file; None if it has none.

        Raises:
            InvalidArgumentError: as for `load_pem`.

        An addition to WinRT.
        """
        source = "the PKCS #12 data"
        return Certificate._of(read_pkcs12(_bytes(data), _password(password), source), source)

    @staticmethod
    def load_file(path: str | os.PathLike[str], password: str | bytes | None = None) -> Certificate:
        """Load a certificate from a file in PEM, PKCS #12, DER or PKCS #7, whatever its name.

        The file is read in the calling thread: load it before the reactor runs, or by ``deferToThread``.

        Args:
            path: the file, of at most 4 MiB.
            password: that of the private key or of the PKCS #12 file.

        Raises:
            InvalidArgumentError: as for `load_pem`, naming the file.
            SocketException: the file cannot be read, ``errno`` says why (AccessDeniedError: no rights).

        An addition to WinRT.
        """
        return Certificate._of(read_file(path, _password(password)), os.fspath(path))

    @property
    def subject(self) -> str:
        """Whose certificate it is: the common name, or what stands for it if there is none.

        That is the organizational unit, the organization, or the whole name as RFC 4514 writes it.
        """
        return attributes.display_name(self._x509.subject)

    @property
    def issuer(self) -> str:
        """Who issued it, as for ``subject``."""
        return attributes.display_name(self._x509.issuer)

    @property
    def serial_number(self) -> bytes:
        """The number that the issuer gave it, the most significant byte first, without a leading zero."""
        number = self._x509.serial_number
        return number.to_bytes((number.bit_length() + 7) // 8)

    @property
    def valid_from(self) -> datetime:
        """The first second at which it is valid, in UTC."""
        return self._x509.not_valid_before_utc

    @property
    def valid_to(self) -> datetime:
        """The last second at which it is valid, in UTC."""
        return self._x509.not_valid_after_utc

    @property
    def friendly_name(self) -> str:
        """A name for people, not a part of the certificate; "" until it is set or loaded with it."""
        return self._friendly_name

    @friendly_name.setter
    def friendly_name(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"Certificate.friendly_name is a str, not {value!r}")
        self._friendly_name = value

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """The rest of the chain that was loaded with it, from its issuer upwards (an addition to WinRT)."""
        return self._intermediates

    @property
    def key_usages(self) -> attributes.CertificateKeyUsages:
        """What its key may be used for; none of them set if the certificate does not say."""
        return attributes.key_usages(self._extensions)

    @property
    def enhanced_key_usages(self) -> tuple[str, ...]:
        """What it may be used for, as dotted numbers; empty if the certificate does not say."""
        return attributes.enhanced_key_usages(self._extensions)

    @property
    def subject_alternative_name(self) -> attributes.SubjectAlternativeNameInfo:
        """The names that it is for, as a new object each time."""
        return attributes.subject_alternative_name(self._extensions)

    @property
    def key_algorithm_name(self) -> str:
        """The kind of key: "RSA", "ECDSA", "DSA", "Ed25519", "Ed448", or the dotted number of another."""
        return attributes.key_algorithm_name(self._x509)

    @property
    def signature_algorithm_name(self) -> str:
        """How the issuer signed it, in Windows's words: "sha256RSA"; or the dotted number."""
        return attributes.signature_algorithm_name(self._x509)

    @property
    def signature_hash_algorithm_name(self) -> str:
        """What the issuer signed a hash of: "SHA256"; "" where the signature has no hash of its own."""
        return attributes.signature_hash_algorithm_name(self._x509)

    @property
    def has_private_key(self) -> bool:
        """Whether its private key was loaded with it."""
        return self._private_key is not None

    @property
    def is_strongly_protected(self) -> bool:
        """Always False: once loaded, a private key can be used without asking anybody."""
        return False

    @property
    def is_security_device_bound(self) -> bool:
        """Always False: hardware key stores are not offered."""
        return False

    @property
    def key_storage_provider_name(self) -> str:
        """Always "": private keys are in the program's memory."""
        return ""

    @property
    def is_per_user(self) -> bool:
        """Whether it comes from a store of the user's."""
        return self._is_per_user

    @property
    def store_name(self) -> str:
        """The name of the store that it comes from, such as "MY"; "" if from none."""
        return self._store_name

    def get_hash_value(self, hash_algorithm_name: str = "SHA1", /) -> bytes:
        """Hash the certificate; the SHA-1 hash is what Windows calls its thumbprint.

        Args:
            hash_algorithm_name: "SHA1" or "SHA256".

        Raises:
            InvalidArgumentError: it is another.

        Source: WinRT Certificate.GetHashValue.
        """
        try:
            algorithm = _HASHES[hash_algorithm_name]
        except KeyError:
            raise InvalidArgumentError(
                f"get_hash_value: {hash_algorithm_name!r} is not offered; use 'SHA1' or 'SHA256'"
            ) from None
        return self._x509.fingerprint(algorithm())

    def get_certificate_blob(self) -> bytes:
        """Return the certificate in DER, without chain and key.

        Source: WinRT Certificate.GetCertificateBlob; ``bytes`` can be given wherever an IBuffer is taken.
        """
        return self._x509.public_bytes(Encoding.DER)

    def build_chain_async(
        self, certificates: Iterable[Certificate], parameters: ChainBuildingParameters | None = None, /
    ) -> AsyncOperation[CertificateChain]:
        """Find the issuers up to a root, and what is wrong on the way.

        Trusted are ``parameters.exclusive_trust_roots``, or if there are none the system's roots. On the way
        may be ``certificates``, the certificate's own ``intermediates``, and those that the system keeps.
        Nothing is fetched. Of several ways the one with the least wrong is taken. It runs in a thread of
        the reactor's pool; arguments are looked at once, before that.

        Args:
            certificates: intermediate certificates, such as those that a peer sent.
            parameters: how to build; by default for the current time.

        Returns:
            An operation that yields the chain, whatever is wrong with it: ask its ``validate()``.

        Raises:
            InvalidArgumentError: a parameter makes no sense, or a revocation list cannot be read.
            TypeError: something is no Certificate.

        Source: WinRT Certificate.BuildChainAsync.
        """
        others = tuple(map(x509_of, certificates)) + tuple(one._x509 for one in self._intermediates)
        order = (ChainBuildingParameters() if parameters is None else parameters)._order()
        certificate = self

        def build() -> CertificateChain:
            roots = order.roots or system_roots()
            kept = others + system_intermediates()
            path, problems = build_path(certificate._x509, kept, roots, order)
            above = [Certificate._of(Contents(one), "a chain") for one in path.certificates[1:]]
            return CertificateChain([certificate, *above], path, problems)

        return in_thread(build)

    def _private_key_for(self, purpose: str) -> PrivateKeyTypes:
        """Give the private key, or say that there is none; ``purpose`` is a phrase such as "serve TLS".

        Raises:
            InvalidArgumentError: the certificate has none.
        """
        if self._private_key is None:
            raise InvalidArgumentError(
                f"{purpose} with the certificate of {self.subject!r}: there is no private key in "
                f"{self._source}; load it from PEM or PKCS #12 with the key in it"
            )
        return self._private_key

    def __eq__(self, other: object) -> bool:
        """Compare the bytes."""
        return self._x509 == other._x509 if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        """Hash alike what is equal."""
        return hash(self._x509)

    def __repr__(self) -> str:
        """Show whose it is, who issued it, until when it is valid, and whether there is a private key."""
        key = ", with private key" if self._private_key is not None else ""
        return f"<Certificate of {self.subject!r} by {self.issuer!r}, valid to {self.valid_to:%Y-%m-%d}{key}>"


def _bytes(data: ReadableBuffer) -> bytes:
    # A null buffer is E_INVALIDARG in WinRT; the annotations do not keep it out.
    if data is None:
        raise InvalidArgumentError("the certificate is None; give bytes, a Buffer or another buffer object")
    return bytes(memoryview(data))


def _password(password: str | bytes | None) -> bytes | None:
    if password is None or isinstance(password, bytes):
        return password
    if not isinstance(password, str):
        raise TypeError(f"a password is a str or bytes, not a {type(password).__name__}")
    return password.encode()
