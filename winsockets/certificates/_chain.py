"""Chains: how they are built, what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from winsockets.certificates._judging import find_problems, has_usage, is_for_host
from winsockets.certificates._path import Path, find_paths, is_self_issued
from winsockets.certificates._results import ChainValidationResult, in_order
from winsockets.certificates._revocation import load_revocation_list, revocation_problems
from winsockets.errors import E_NOTIMPL, InvalidArgumentError, SocketException

if TYPE_CHECKING:
    from winsockets.certificates._certificate import Certificate

__all__ = [
    "BuildingOrder",
    "CertificateChain",
    "CertificateChainPolicy",
    "ChainBuildingParameters",
    "ChainValidationParameters",
    "build_path",
]

_SERVER_AUTHENTICATION = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
_DOTTED_NUMBER = re.compile(r"[0-2](\.(0|[1-9]\d{0,19})){1,30}", re.ASCII)
_HOST_IN_ASCII = re.compile(r"[0-9A-Za-z._%:-]{1,320}")


class CertificateChainPolicy(IntEnum):
    """What a chain is validated for.

    Source: WinRT CertificateChainPolicy.
    """

    BASE = 0
    SSL = 1
    NT_AUTHENTICATION = 2
    MICROSOFT_ROOT = 3


def checked_flag(name: str, value: bool) -> bool:
    """Check a property that is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def checked_usages(owner: str, usages: Sequence[str]) -> tuple[str, ...]:
    """Check a list of enhanced key usages when it is used."""
    for usage in usages:
        if not isinstance(usage, str):
            raise TypeError(f"{owner}.enhanced_key_usages holds strings, not {usage!r}")
        if not _DOTTED_NUMBER.fullmatch(usage):
            raise InvalidArgumentError(
                f"{owner}.enhanced_key_usages: {usage!r} is not an object identifier such as "
                f"{_SERVER_AUTHENTICATION!r}"
            )
    return tuple(usages)


class BuildingOrder(NamedTuple):
    """ChainBuildingParameters as they were when the building began."""

    usages: tuple[str, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()
    revocation_lists: tuple[x509.CertificateRevocationList, ...] = ()
    demands_revocation: bool = False
    at: datetime | None = None


@final
class ChainBuildingParameters:
    """How a chain is built.

    Nothing is fetched over the network: the certificates and lists that there are decide.

    Source: WinRT ChainBuildingParameters.
    """

    __slots__ = (
        "_authority_information_access",
        "_current_time",
        "_revocation_check",
        "_revocation_lists",
        "_roots",
        "_timestamp",
        "_usages",
    )

    def __init__(self) -> None:
        self._usages: list[str] = []
        self._roots: list[Certificate] = []
        self._revocation_lists: list[bytes] = []
        self._authority_information_access = True
        self._current_time = True
        self._revocation_check = False
        self._timestamp: datetime | None = None

    @property
    def enhanced_key_usages(self) -> list[str]:
        """Usages that the chain must be good for, all of them, as dotted numbers."""
        return self._usages

    @property
    def exclusive_trust_roots(self) -> list[Certificate]:
        """Certificates that are trusted instead of the system's roots, if there are any.

        Each of them ends a chain, whether it is a root, an intermediate authority or the certificate itself.
        """
        return self._roots

    @property
    def revocation_lists(self) -> list[bytes]:
        """Certificate revocation lists, PEM or DER (an addition to WinRT).

        They are looked at whether ``revocation_check_enabled`` or not.
        """
        return self._revocation_lists

    @property
    def revocation_check_enabled(self) -> bool:
        """Whether there must be a list for each certificate but the root. Default False.

        Without one the result is REVOCATION_INFORMATION_MISSING.
        """
        return self._revocation_check

    @revocation_check_enabled.setter
    def revocation_check_enabled(self, value: bool) -> None:
        self._revocation_check = checked_flag("ChainBuildingParameters.revocation_check_enabled", value)

    @property
    def network_retrieval_enabled(self) -> bool:
        """Always False.

        Raises:
            SocketException: E_NOTIMPL, set to True: nothing is fetched here.
        """
        return False

    @network_retrieval_enabled.setter
    def network_retrieval_enabled(self, value: bool) -> None:
        if checked_flag("ChainBuildingParameters.network_retrieval_enabled", value):
            raise SocketException(
                "network_retrieval_enabled: nothing is fetched over the network; give the intermediate "
                "certificates, and the revocation lists in revocation_lists",
                hresult=E_NOTIMPL,
            )

    @property
    def authority_information_access_enabled(self) -> bool:
        """Whether missing issuers may be fetched, if ``network_retrieval_enabled``. Default True."""
        return self._authority_information_access

    @authority_information_access_enabled.setter
    def authority_information_access_enabled(self, value: bool) -> None:
        name = "ChainBuildingParameters.authority_information_access_enabled"
        self._authority_information_access = checked_flag(name, value)

    @property
    def current_time_validation_enabled(self) -> bool:
        """Whether the chain must be valid now; otherwise at ``validation_timestamp``. Default True."""
        return self._current_time

    @current_time_validation_enabled.setter
    def current_time_validation_enabled(self, value: bool) -> None:
        name = "ChainBuildingParameters.current_time_validation_enabled"
        self._current_time = checked_flag(name, value)

    @property
    def validation_timestamp(self) -> datetime | None:
        """When the chain must be valid, if not now; None until it is set.

        Raises:
            TypeError: set to what is no ``datetime``.
            InvalidArgumentError: set to one without a time zone.
        """
        return self._timestamp

    @validation_timestamp.setter
    def validation_timestamp(self, value: datetime) -> None:
        if not isinstance(value, datetime):
            raise TypeError(f"ChainBuildingParameters.validation_timestamp is a datetime, not {value!r}")
        if value.tzinfo is None:
            raise InvalidArgumentError(
                f"ChainBuildingParameters.validation_timestamp: {value} has no time zone; "
                "give one, as in datetime.now(UTC)"
            )
        self._timestamp = value

    def _order(self) -> BuildingOrder:
        """Check everything, and keep it as it is now.

        Raises:
            InvalidArgumentError: a usage is no object identifier, a revocation list cannot be read, or
                neither the current nor another time is to be used.
            TypeError: a list holds what it should not.
        """
        if not self._current_time and self._timestamp is None:
            raise InvalidArgumentError(
                "ChainBuildingParameters: current_time_validation_enabled is False and there is no "
                "validation_timestamp; set it"
            )
        return BuildingOrder(
            usages=checked_usages("ChainBuildingParameters", self._usages),
            roots=tuple(map(x509_of, self._roots)),
            revocation_lists=tuple(map(load_revocation_list, self._revocation_lists)),
            demands_revocation=self._revocation_check,
            at=None if self._current_time else self._timestamp,
        )


def x509_of(certificate: Certificate) -> x509.Certificate:
    """Take the certificate of `cryptography` out.

    Raises:
        TypeError: it is no Certificate.
    """
    found = getattr(certificate, "_x509", None)
    if not isinstance(found, x509.Certificate):
        raise TypeError(f"a Certificate is wanted, not {certificate!r}")
    return found


class Host(Protocol):
    """What a HostName is here: it belongs to a package beside this one."""

    @property
    def canonical_name(self) -> str:
        """The name in ASCII, or the address."""


@final
class ChainValidationParameters:
    """What a chain is validated for.

    Source: WinRT ChainValidationParameters.
    """

    __slots__ = ("_host", "_name", "_policy")

    def __init__(self) -> None:
        self._name: Host | str | None = None
        self._host: str | None = None
        self._policy = CertificateChainPolicy.BASE

    @property
    def certificate_chain_policy(self) -> CertificateChainPolicy:
        """BASE, the default, or SSL: then the chain must be good for a server, and for ``server_dns_name``.

        Raises:
            SocketException: E_NOTIMPL, set to one of the others, which are Windows's own.
            InvalidArgumentError: set to what is no policy.
        """
        return self._policy

    @certificate_chain_policy.setter
    def certificate_chain_policy(self, value: CertificateChainPolicy) -> None:
        try:
            policy = CertificateChainPolicy(value)
        except ValueError as problem:
            raise InvalidArgumentError(
                f"ChainValidationParameters.certificate_chain_policy: {value!r} is no CertificateChainPolicy"
            ) from problem
        if policy not in (CertificateChainPolicy.BASE, CertificateChainPolicy.SSL):
            raise SocketException(
                f"certificate_chain_policy: {policy.name} is for Windows domains and Microsoft's own roots; "
                "use BASE or SSL",
                hresult=E_NOTIMPL,
            )
        self._policy = policy

    @property
    def server_dns_name(self) -> Host | str | None:
        """The HostName, or ``str``, that the certificate must be for; None, the default, for any.

        It counts with the policy SSL only. Whatever has a ``canonical_name`` is taken for a HostName. In a
        ``str`` an international name stands in ASCII: making that of it is HostName's business.

        Raises:
            TypeError: set to anything else.
            InvalidArgumentError: set to a ``str`` that is no host in ASCII.
        """
        return self._name

    @server_dns_name.setter
    def server_dns_name(self, value: Host | str | None) -> None:
        host = value if value is None else getattr(value, "canonical_name", value)
        if host is not None and not isinstance(host, str):
            raise TypeError(
                f"ChainValidationParameters.server_dns_name is a HostName or a str, not {value!r}"
            )
        if host is not None:
            host = host.removeprefix("[").removesuffix("]")
            if not _HOST_IN_ASCII.fullmatch(host):
                raise InvalidArgumentError(
                    f"ChainValidationParameters.server_dns_name: {value!r} is no host in ASCII; "
                    "give a HostName"
                )
        self._name, self._host = value, host


@final
class CertificateChain:
    """A certificate, its issuers, and what is wrong with them. `Certificate.build_chain_async` makes it.

    Source: WinRT CertificateChain.
    """

    __slots__ = ("_certificates", "_path", "_problems")

    def __init__(
        self, certificates: Sequence[Certificate], path: Path, problems: frozenset[ChainValidationResult]
    ) -> None:
        self._certificates = tuple(certificates)
        self._path = path
        self._problems = problems

    def get_certificates(self, include_root: bool, /) -> tuple[Certificate, ...]:
        """Return the certificate and its issuers, in this order.

        Args:
            include_root: whether the root is among them, if the chain has one and is longer than it.

        Source: WinRT CertificateChain.GetCertificates.
        """
        if include_root or len(self._certificates) == 1 or not is_self_issued(self._path.certificates[-1]):
            return self._certificates
        return self._certificates[:-1]

    def validate(self, parameter: ChainValidationParameters | None = None, /) -> ChainValidationResult:
        """Say whether the chain is good, or the worst that is wrong with it.

        Args:
            parameter: what it must be good for.

        Returns:
            SUCCESS, or the first of what `validate_all` returns.

        Source: WinRT CertificateChain.Validate.
        """
        return self.validate_all(parameter)[0]

    def validate_all(
        self, parameter: ChainValidationParameters | None = None, /
    ) -> tuple[ChainValidationResult, ...]:
        """Say everything that is wrong with the chain (an addition to WinRT).

        It was judged when it was built, for the time that the parameters of the building say; here only
        the policy and the name are added.

        Args:
            parameter: what it must be good for.

        Returns:
            Each thing once, the worst first, beginning with those that must not be ignored; SUCCESS alone
            when there is nothing.
        """
        problems = set(self._problems)
        if parameter is not None and parameter.certificate_chain_policy is CertificateChainPolicy.SSL:
            if not has_usage(self._path, _SERVER_AUTHENTICATION):
                problems.add(ChainValidationResult.WRONG_USAGE)
            if parameter._host is not None and not is_for_host(self._path.certificates[0], parameter._host):
                problems.add(ChainValidationResult.INVALID_NAME)
        return in_order(problems)

    def __repr__(self) -> str:
        """Show the certificates and what is wrong."""
        return (
            f"<CertificateChain {self._certificates}: {', '.join(one.name for one in self.validate_all())}>"
        )


def build_path(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    order: BuildingOrder,
) -> tuple[Path, frozenset[ChainValidationResult]]:
    """Find the way up that has the least wrong with it.

    Args:
        certificate: where it begins.
        others: certificates that may be on the way.
        roots: certificates that are trusted.
        order: what is demanded of it; its own roots do not count here.

    Returns:
        The way and what is wrong with it, without policy and name.
    """
    at = order.at or datetime.now(UTC)
    found: list[tuple[Path, frozenset[ChainValidationResult]]] = []
    for path in find_paths(certificate, others, roots):
        revocation = revocation_problems(path, order.revocation_lists, at, order.demands_revocation)
        problems = find_problems(path, at, order.usages) | set(revocation)
        found.append((path, problems))
        if not problems:
            break
    return min(found, key=lambda one: len(one[1]))
