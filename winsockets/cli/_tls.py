"""TLS as a command line asks for it, and what is told of a server's certificate."""

from __future__ import annotations

from dataclasses import dataclass

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.certificates._results import IGNORABLE_RESULTS
from winsockets.sockets._stream_control import StreamSocketControl
from winsockets.sockets._stream_information import StreamSocketInformation

__all__ = ["TlsPlan", "parse_ignorable"]

_MOST_NAMES = 10
"""Names of a certificate that are shown; some have hundreds."""


def parse_ignorable(text: str) -> frozenset[ChainValidationResult]:
    """Take a list of what may be wrong with a certificate: "UNTRUSTED,EXPIRED".

    Raises:
        ValueError: something is unknown, or cannot be ignored; the message says what can.
    """
    found = set()
    for word in text.split(","):
        name = word.strip().upper()
        result = ChainValidationResult.__members__.get(name)
        if result not in IGNORABLE_RESULTS:
            fault = "is unknown" if result is None else "cannot be ignored"
            possible = ", ".join(one.name for one in sorted(IGNORABLE_RESULTS))
            raise ValueError(f"{word!r} {fault}; these can be: {possible}")
        found.add(result)
    return frozenset(found)


@dataclass(frozen=True)
class TlsPlan:
    """How to speak TLS.

    Attributes:
        authorities: whom to trust instead of the system's roots, if there are any.
        certificate: what to show to a server that asks for one, with its private key.
        ignorable: what may be wrong with the server's certificate.
    """

    authorities: tuple[Certificate, ...] = ()
    certificate: Certificate | None = None
    ignorable: frozenset[ChainValidationResult] = frozenset()

    def configure(self, control: StreamSocketControl) -> None:
        """Set the control of a socket.

        Raises:
            InvalidArgumentError: the certificate is not one for clients.
        """
        control.trusted_server_certificates = self.authorities
        control.exclusive_trust = bool(self.authorities)
        control.client_certificate = self.certificate
        control.ignorable_server_certificate_errors = self.ignorable

    def verdict(self, information: StreamSocketInformation, host: str) -> list[str]:
        """Say in lines what is wrong with the certificate that a server has shown, and show its chain.

        Args:
            information: of the socket, after the handshake failed.
            host: whom the certificate should have been for.

        Returns:
            Nothing if the certificate was not what the handshake failed for.
        """
        wrong = [one for one in information.server_certificate_errors if one not in self.ignorable]
        if not wrong:
            return []
        certificate = information.server_certificate
        shown = [] if certificate is None else [certificate, *information.server_intermediate_certificates]
        names = ", ".join(
            one.name if one in IGNORABLE_RESULTS else f"{one.name} (cannot be ignored)" for one in wrong
        )
        checked = f"checked for {host}: {names}"
        if certificate is not None and ChainValidationResult.INVALID_NAME in wrong:
            checked += f"; it is for {_names_of(certificate)}"
        return [checked] + [
            f"{depth}: {one.subject!r}, issued by {one.issuer!r}, "
            f"valid {one.valid_from:%Y-%m-%d %H:%M} to {one.valid_to:%Y-%m-%d %H:%M} UTC"
            for depth, one in enumerate(shown)
        ]


def _names_of(certificate: Certificate) -> str:
    """List whom a certificate is for, as far as that is of use to a reader."""
    names = certificate.subject_alternative_name
    known = [*map(repr, names.dns_name), *names.ip_address]
    more = len(known) - _MOST_NAMES
    return ", ".join(known[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "") or "no host"
