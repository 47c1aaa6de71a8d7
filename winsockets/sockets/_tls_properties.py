"""The control properties that are about TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.certificates._revocation import load_revocation_list
from winsockets.errors import InvalidArgumentError
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._protection import DEFAULT_FLOOR, as_floor
from winsockets.sockets._setting_lists import ListSetting
from winsockets.sockets._settings import Setting
from winsockets.transports import ClientCertificatePolicy
from winsockets.transports._tls_settings import signing_key
from winsockets.transports._tls_verification import checked_ignorable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "application_protocols",
    "certificate_policy",
    "client_certificate",
    "ignorable_errors",
    "protection_floor",
    "revocation_lists",
    "server_certificates",
    "trusted_certificates",
]

_CLIENT, _SERVER, _ANY_USAGE = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"


def _certificate(name: str, value: Any) -> Certificate:
    if not isinstance(value, Certificate):
        raise TypeError(f"{name} takes a Certificate, not {value!r}")
    return value


def _usable(name: str, value: Any, usage: str, role: str) -> Certificate:
    """Accept a certificate to show, with a private key that may sign a handshake.

    Source: RFC 5280 sections 4.2.1.3 and 4.2.1.12; RFC 8446 section 4.4.2.2.
    """
    certificate = _certificate(name, value)
    signing_key(certificate, name)
    usages = certificate.key_usages
    if not usages.digital_signature and any(getattr(usages, one) for one in usages.__slots__):
        raise InvalidArgumentError(
            f"{name}: the key usages of the certificate of {certificate.subject!r} do not allow digital "
            "signatures, which a TLS handshake needs; get one that allows them"
        )
    enhanced = certificate.enhanced_key_usages
    if enhanced and usage not in enhanced and _ANY_USAGE not in enhanced:
        raise InvalidArgumentError(
            f"{name}: the certificate of {certificate.subject!r} is not for {role} ({usage}) but for "
            f"{', '.join(enhanced)}; get one that is"
        )
    return certificate


def client_certificate() -> Setting[Certificate | None]:
    """Make the certificate that a client shows."""

    def check(name: str, value: Any) -> Certificate | None:
        return None if value is None else _usable(name, value, _CLIENT, "clients")

    return Setting(
        lambda: None,
        check,
        "The Certificate, with its private key, to show to a server that asks for one. Default None.",
        "handshake",
    )


def server_certificates(changing: Callable[[Any, tuple[Certificate, ...]], None]) -> ListSetting[Certificate]:
    """Make the certificates that a listener shows."""
    return ListSetting(
        lambda name, value: _usable(name, value, _SERVER, "servers"),
        "The Certificates, with their private keys, that a TLS listener shows: the first one that is for the "
        "name that the client asks for, or else the first. A listener without any speaks no TLS.",
        "allowed",
        changing,
    )


def ignorable_errors() -> ListSetting[ChainValidationResult]:
    """Make the list of what may be wrong with a server's certificate."""

    def check(name: str, value: Any) -> ChainValidationResult:
        (result,) = checked_ignorable((value,))
        return result

    return ListSetting(
        check,
        "A list of the ChainValidationResults in spite of which to connect; all that is found must be in "
        "it. Those that are FATAL are refused.",
        "handshake",
    )


def protection_floor(late: str = "error") -> Setting[SocketProtectionLevel]:
    """Make the lowest level."""
    return Setting(
        lambda: DEFAULT_FLOOR,
        as_floor,
        f"The lowest TLS version. Default {DEFAULT_FLOOR.name}; UNSPECIFIED is the same.",
        late,
    )


def trusted_certificates(
    doc: str, late: str = "error", changing: Callable[[Any, tuple[Certificate, ...]], None] | None = None
) -> ListSetting[Certificate]:
    """Make a list of trusted certificates."""
    return ListSetting(_certificate, doc, late, changing)


def revocation_lists(
    doc: str, late: str, changing: Callable[[Any, tuple[bytes, ...]], None] | None = None
) -> ListSetting[bytes]:
    """Make a list of certificate revocation lists."""

    def check(name: str, value: ReadableBuffer) -> bytes:
        data = bytes(memoryview(value))
        load_revocation_list(data)
        return data

    return ListSetting(check, doc, late, changing)


def application_protocols(doc: str, late: str = "error") -> ListSetting[str]:
    """Make a list of application protocols."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{name} takes a str such as 'h2', not {value!r}")
        if not (value.isprintable() and 0 < len(value.encode()) < 256):
            raise InvalidArgumentError(f"{name}: {value!r} is not of 1 to 255 bytes that can be printed")
        return value

    return ListSetting(check, doc, late)


def certificate_policy() -> Setting[ClientCertificatePolicy]:
    """Make what a listener wants of the certificates of its clients."""

    def check(name: str, value: Any) -> ClientCertificatePolicy:
        try:
            return ClientCertificatePolicy(value)
        except ValueError as problem:
            raise InvalidArgumentError(f"{name}: {value!r} is not a ClientCertificatePolicy") from problem

    return Setting(
        lambda: ClientCertificatePolicy.NONE,
        check,
        "Whether a TLS listener asks its clients for certificates: NONE (the default), REQUEST or REQUIRE.",
    )
