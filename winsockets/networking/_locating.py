"""From a host and a service to the addresses to try: SRV records, their targets, and addresses by DNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from random import Random, SystemRandom
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from winsockets.errors import (
    ConnectionTimedOutError,
    InvalidArgumentError,
    NameResolutionError,
    SocketErrorStatus,
    UnknownServiceError,
)
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.networking._destination import Destination, is_local
from winsockets.networking._dns_exchange import Prepare
from winsockets.networking._dns_lookup import ask
from winsockets.networking._dns_message import (
    Outcome,
    Question,
    RecordType,
    ServiceRecord,
    Verdict,
    as_text,
    name_of,
)
from winsockets.networking._endpoint_pair import EndpointPair
from winsockets.networking._gathering import gather
from winsockets.networking._hostname import HostName
from winsockets.networking._kinds import HostNameType
from winsockets.networking._name_servers import NameServer, server_addresses, system_name_servers
from winsockets.networking._racing import interleave
from winsockets.networking._ranking import rank_endpoint_pairs
from winsockets.networking._resolution import resolve
from winsockets.networking._service_order import ROOT, order_targets

__all__ = ["locate"]

_RANDOM = SystemRandom()
_TEMPORARY = SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND


class _Target(NamedTuple):
    host: HostName
    port: int


async def locate(
    destination: Destination,
    *,
    reactor: Any,
    limits: Limits,
    name_servers: Sequence[NameServer] = (),
    prepare: Prepare | None = None,
    random: Random = _RANDOM,
) -> list[list[Address]]:
    """Find the addresses of a host and service.

    With a port they are those of the host: an address is one, a name is looked up. Without, the SRV records
    of the service tell targets and ports, and the targets are looked up at once, each with a share of
    ``limits.max_addresses``. A target that has no address, or whose lookup fails, is left out; so is one
    that is late once others are known.

    Args:
        destination: where to.
        reactor: gives resolver, time and threads; to ask name servers it is an IReactorFDSet.
        limits: ``resolve_timeout`` bounds everything together; ``max_addresses``, ``max_service_targets``,
            and what is about name servers.
        name_servers: whom to ask, for addresses too (``localhost`` excepted); none for those of the system,
            and its own resolver for addresses.
        prepare: is done to each socket that asks a name server.
        random: draws among targets of equal priority.

    Returns:
        The addresses of each target, the preferred target first; one list for a port. None is empty.

    Raises:
        NameResolutionError: as `resolve` says; NO_ADDRESSES_FOUND when the service is known but none of its
            targets has an address.
        UnknownServiceError: no SRV record tells about the service, or one says that it is not offered
            (CLASS_TYPE_NOT_FOUND).
        ConnectionTimedOutError: the time is up.

    Source: WinRT StreamSocket.ConnectAsync; RFC 2782; RFC 6761 section 6.3 (localhost).
    """
    finder = _Finder(reactor, limits, tuple(name_servers), prepare)
    if destination.port:
        return [await finder.addresses(_Target(destination.host, destination.port), destination)]

    def too_late(_: object, seconds: float) -> list[list[Address]]:
        raise ConnectionTimedOutError(
            f"resolve {destination}: no answer within {seconds:g} s; check the name servers, or raise "
            "resolve_timeout"
        )

    looking = Deferred.fromCoroutine(finder.service(destination, random))
    return await looking.addTimeout(limits.resolve_timeout, reactor, too_late)


class _Finder:
    def __init__(
        self, reactor: Any, limits: Limits, given: tuple[NameServer, ...], prepare: Prepare | None
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._given = given
        self._prepare = prepare

    def _ask(self, question: Question) -> Deferred[Verdict]:
        servers = server_addresses(self._given) if self._given else system_name_servers()
        return ask(question, servers, reactor=self._reactor, limits=self._limits, prepare=self._prepare)

    # Services

    async def service(self, wanted: Destination, random: Random) -> list[list[Address]]:
        verdict = await self._ask(Question(wanted.record, RecordType.SRV))
        records = [record for record in verdict.records if isinstance(record, ServiceRecord)]
        targets = list(_usable(order_targets(records, random)))[: self._limits.max_service_targets]
        if not targets:
            raise _no_target(wanted, records)
        share = max(1, self._limits.max_addresses // len(targets))
        found = await gather(
            [Deferred.fromCoroutine(self.addresses(target, wanted)) for target in targets],
            found=bool,
            wait=self._limits.late_answers_wait,
            reactor=self._reactor,
        )
        # Of both families, if it has both: one of them may lead nowhere.
        addresses = [list(interleave(result)[:share]) for result in found if not isinstance(result, Failure)]
        if addresses:
            return addresses
        failures = [result for result in found if isinstance(result, Failure)]
        for failure in failures:
            problem = failure.value
            # Anything but the word that there is no address.
            if not isinstance(problem, NameResolutionError) or problem.status is _TEMPORARY:
                failure.raiseException()
        raise NameResolutionError(
            f"resolve {wanted}: none of its targets has an address: "
            f"{', '.join(str(target.host) for target in targets)}",
            status=SocketErrorStatus.NO_ADDRESSES_FOUND,
        ) from failures[0].value

    # Addresses

    async def addresses(self, target: _Target, wanted: Destination) -> list[Address]:
        host, port = target
        limits = self._limits
        if not self._given or host.type is not HostNameType.DOMAIN_NAME or is_local(host):
            return await resolve(
                host,
                port,
                reactor=self._reactor,
                transport=wanted.transport,
                timeout=limits.resolve_timeout,
                max_addresses=limits.max_addresses,
            )

        def too_late(_: object, seconds: float) -> list[Address]:
            raise ConnectionTimedOutError(
                f"resolve {host}: no answer within {seconds:g} s; check the name servers, or raise "
                "resolve_timeout"
            )

        looking = Deferred.fromCoroutine(self._by_dns(host, port))
        return await looking.addTimeout(limits.resolve_timeout, self._reactor, too_late)

    async def _by_dns(self, host: HostName, port: int) -> list[Address]:
        name = name_of(host.canonical_name)
        answers = await gather(
            [self._ask(Question(name, kind)) for kind in (RecordType.AAAA, RecordType.A)],
            found=lambda verdict: verdict.outcome is Outcome.FOUND,
            wait=self._limits.late_answers_wait,
            reactor=self._reactor,
        )
        verdicts = [answer for answer in answers if isinstance(answer, Verdict)]
        found = [_address(record, port) for verdict in verdicts for record in verdict.records]
        if found:
            return _ranked(interleave(found)[: self._limits.max_addresses])
        if any(verdict.outcome is Outcome.NO_SUCH_NAME for verdict in verdicts):
            raise NameResolutionError(
                f"resolve {host}: there is no such name in DNS; check its spelling",
                status=SocketErrorStatus.HOST_NOT_FOUND,
            )
        for answer in answers:
            if isinstance(answer, Failure):
                answer.raiseException()
        raise NameResolutionError(
            f"resolve {host}: the name has no address in DNS",
            status=SocketErrorStatus.NO_DATA_RECORD_OF_REQUESTED_TYPE,
        )


def _address(record: object, port: int) -> Address:
    text = str(record)
    return Address.ipv6(text, port) if ":" in text else Address.ipv4(text, port)


def _ranked(addresses: Sequence[Address]) -> list[Address]:
    """Put addresses in the order of RFC 6724, as the system's own resolver does."""
    pairs = [EndpointPair(None, "", address.host, address.port) for address in addresses]
    known = {address.host: address for address in addresses}
    return [known[pair.remote_host_name.raw_name] for pair in rank_endpoint_pairs(pairs)]


def _usable(records: Iterable[ServiceRecord]) -> Iterator[_Target]:
    """Leave out what nobody can connect to: no port, no name, an address in place of a name."""
    for record in records:
        with suppress(InvalidArgumentError):
            text = as_text(record.target)
            host = HostName(text)
            if record.port and host.type is HostNameType.DOMAIN_NAME:
                # Without a search list; but systems do not know their own name by its absolute form.
                yield _Target(host if is_local(host) else HostName(f"{text}."), record.port)


def _no_target(wanted: Destination, records: Sequence[ServiceRecord]) -> UnknownServiceError:
    record = f"SRV record {as_text(wanted.record)}"
    if not records:
        return UnknownServiceError(
            f"resolve {wanted}: the services file does not know the service, and there is no {record}; "
            "check its spelling or give the port number"
        )
    if any(one.target == ROOT for one in records):
        return UnknownServiceError(f"resolve {wanted}: the {record} says that it is not offered there")
    return UnknownServiceError(f"resolve {wanted}: the {record} names no usable host and port")
