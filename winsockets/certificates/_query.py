"""CertificateQuery: which certificates somebody is looking for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, final

from cryptography import x509

from winsockets.certificates._certificate import Certificate
from winsockets.certificates._chain import checked_flag, checked_usages
from winsockets.errors import InvalidArgumentError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["CertificateQuery", "Wanted"]

_HASH_OF_SIZE = {20: "SHA1", 32: "SHA256"}


class Wanted(NamedTuple):
    """A CertificateQuery as it was when the search began."""

    store_name: str = ""
    issuer_name: str = ""
    friendly_name: str = ""
    thumbprint: bytes = b""
    usages: tuple[str, ...] = ()
    hardware_only: bool = False
    with_expired: bool = False
    with_duplicates: bool = False

    def choose(self, found: Iterable[Certificate], at: datetime) -> tuple[Certificate, ...]:
        """Pick from what is there, in the same order.

        Args:
            found: the certificates.
            at: the time at which they must not have expired.
        """
        if self.hardware_only:
            return ()
        chosen = [one for one in found if self._fits(one) and (self.with_expired or at <= one.valid_to)]
        if not self.with_duplicates:
            newest: dict[tuple[x509.Name, x509.Name], Certificate] = {}
            for one in chosen:
                names = one._x509.subject, one._x509.issuer
                if names not in newest or one.valid_to > newest[names].valid_to:
                    newest[names] = one
            chosen = list(newest.values())
        return tuple(chosen)

    def _fits(self, certificate: Certificate) -> bool:
        if self.issuer_name and self.issuer_name.casefold() != certificate.issuer.casefold():
            return False
        if self.friendly_name and self.friendly_name != certificate.friendly_name:
            return False
        if self.thumbprint:
            algorithm = _HASH_OF_SIZE[len(self.thumbprint)]
            if self.thumbprint != certificate.get_hash_value(algorithm):
                return False
        usages = certificate.enhanced_key_usages
        return not usages or set(self.usages) <= set(usages)


@final
class CertificateQuery:
    """What certificates to look for; what is left empty does not count.

    Source: WinRT CertificateQuery.
    """

    __slots__ = ("_usages", "_wanted")

    def __init__(self) -> None:
        self._wanted = Wanted()
        self._usages: list[str] = []

    @property
    def issuer_name(self) -> str:
        """Who issued it, as ``Certificate.issuer`` says it, in upper or lower case."""
        return self._wanted.issuer_name

    @issuer_name.setter
    def issuer_name(self, value: str) -> None:
        self._wanted = self._wanted._replace(issuer_name=_text("issuer_name", value))

    @property
    def friendly_name(self) -> str:
        """Its friendly name."""
        return self._wanted.friendly_name

    @friendly_name.setter
    def friendly_name(self, value: str) -> None:
        self._wanted = self._wanted._replace(friendly_name=_text("friendly_name", value))

    @property
    def store_name(self) -> str:
        """The store that it is in; "" for the user's own, which is "MY"."""
        return self._wanted.store_name

    @store_name.setter
    def store_name(self, value: str) -> None:
        self._wanted = self._wanted._replace(store_name=_text("store_name", value))

    @property
    def thumbprint(self) -> bytes:
        """Its SHA-1 hash, or (an addition to WinRT) its SHA-256 hash.

        Raises:
            InvalidArgumentError: set to what is neither 20 nor 32 bytes, nor empty.
        """
        return self._wanted.thumbprint

    @thumbprint.setter
    def thumbprint(self, value: ReadableBuffer) -> None:
        thumbprint = bytes(memoryview(value))
        if thumbprint and len(thumbprint) not in _HASH_OF_SIZE:
            raise InvalidArgumentError(
                f"CertificateQuery.thumbprint: {len(thumbprint)} bytes are no SHA-1 hash (20) and no SHA-256 "
                "hash (32); take them from get_hash_value()"
            )
        self._wanted = self._wanted._replace(thumbprint=thumbprint)

    @property
    def enhanced_key_usages(self) -> list[str]:
        """Usages that it must be good for, all of them, as dotted numbers."""
        return self._usages

    @property
    def hardware_only(self) -> bool:
        """Whether its key must be in a hardware store. There is none, so nothing is found then."""
        return self._wanted.hardware_only

    @hardware_only.setter
    def hardware_only(self, value: bool) -> None:
        value = checked_flag("CertificateQuery.hardware_only", value)
        self._wanted = self._wanted._replace(hardware_only=value)

    @property
    def include_expired_certificates(self) -> bool:
        """Whether it may have expired. Default False."""
        return self._wanted.with_expired

    @include_expired_certificates.setter
    def include_expired_certificates(self, value: bool) -> None:
        value = checked_flag("CertificateQuery.include_expired_certificates", value)
        self._wanted = self._wanted._replace(with_expired=value)

    @property
    def include_duplicates(self) -> bool:
        """Whether to find all of several with the same subject and issuer.

        Default False: then that which is valid longest is found.
        """
        return self._wanted.with_duplicates

    @include_duplicates.setter
    def include_duplicates(self, value: bool) -> None:
        value = checked_flag("CertificateQuery.include_duplicates", value)
        self._wanted = self._wanted._replace(with_duplicates=value)

    def _frozen(self) -> Wanted:
        """Check the usages, and keep everything as it is now.

        Raises:
            InvalidArgumentError: a usage is no object identifier.
            TypeError: a usage is no string.
        """
        return self._wanted._replace(usages=checked_usages("CertificateQuery", self._usages))


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"CertificateQuery.{name} is a str, not {value!r}")
    return value
