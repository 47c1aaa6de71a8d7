"""Which datagrams may be answered: rules against reflecting and looping, without I/O and without a clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from winsockets.errors import InvalidArgumentError
from winsockets.foundation._token_bucket import TokenBucket

__all__ = ["DEFAULT_LOOPBACK_BURST", "DEFAULT_RATE", "Refusal", "ReplyPolicy"]

DEFAULT_RATE = 1_000
"""Replies to one source in a second: more than anybody measures a path with, and too few to make use of a
reflector. Two echo servers that are made to talk to each other run out of it on any path shorter than a
millisecond."""

DEFAULT_LOOPBACK_BURST = 65_536
"""What this machine itself may take in a row before the rate holds. Nobody outside can pose as a loopback
source (RFC 1122 section 3.2.1.3 (g)), so reflection is no matter; a test that sends some 10,000 datagrams as
fast as they come back gets all of them, and a loop between two servers here still ends, within seconds."""

MAX_SOURCES = 4_096
"""Sources that are told apart, at about 250 bytes each: 1 MiB whatever the number of forged sources."""

LOWEST_CLIENT_PORT = 1_024
"""Ports below belong to services (RFC 6335 section 6), which answer back: echo, chargen, DNS, NTP."""

_KNOWN_SOURCES = 1_024
"""Sources whose kind is remembered, because parsing an address costs more than looking it up."""

_NOWHERE = frozenset({IPv4Address("255.255.255.255"), IPv4Address("127.255.255.255")})
_THIS_NETWORK = 0x00
_CLASS_E = 0xF0
_SUBNET_BYTES = 8


class Refusal(Enum):
    """Why a datagram is not answered."""

    LONGER_REPLY = "the reply would be longer than the datagram"
    NO_PORT = "its source port is 0, where nobody can be reached"
    LOW_PORT = "its source port is below 1024 and may be a service that answers back"
    OWN_PORT = "its source port is one that is served here, so it may come from an echo server"
    NOT_UNICAST = "its source is a multicast, broadcast or otherwise impossible address"
    RATE = "its source has had its replies for this second"


class _Source(NamedTuple):
    unicast: bool
    loopback: bool
    key: str | bytes


@lru_cache(maxsize=_KNOWN_SOURCES)
def _source(host: str) -> _Source:
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        first = address.packed[0]
        unicast = not (address.is_multicast or address in _NOWHERE or first == _THIS_NETWORK)
        return _Source(unicast and first < _CLASS_E, address.is_loopback, address.packed)
    unicast = not (address.is_multicast or address.is_unspecified)
    # A host has a whole subnet of 64 bits to take addresses from; on a link everybody shares one.
    key = host if address.is_link_local else address.packed[:_SUBNET_BYTES]
    return _Source(unicast, address.is_loopback, key)


class ReplyPolicy:
    """Decides which datagrams a responder answers, so that it cannot be made to reflect or to loop.

    A datagram's source can be forged. One that names a victim makes a responder send to the victim; one
    that names another responder makes both answer each other for ever (CVE-2024-2169). Therefore a datagram
    is not answered when

    - the reply would be longer than it;
    - its source port is below 1024 (``any_source_port`` lifts that), 0, or one of ``own_ports``;
    - its source is a multicast or broadcast address, or none that a host can have;
    - its source has had ``burst`` replies in a row and ``rate`` a second since.

    A source is an IPv4 address, an IPv6 subnet of 64 bits, or an IPv6 link-local address, whatever the port.
    All of loopback is one source. At most ``max_sources`` are told apart, and one is forgotten only when it
    has its full burst again, so that a flood of forged sources resets nobody's account: while there is no
    room, all sources that are not known yet share one account.

    It reads no clock and does no I/O. One policy may serve several sockets; then they share the accounts.

    Args:
        rate: replies to one source in a second; None for no limit.
        burst: replies in a row; as many as ``rate`` when left out.
        loopback_burst: the same for loopback; as ``burst`` when left out.
        any_source_port: whether source ports from 1 to 1023 are answered.
        own_ports: the ports that are served; ``own_ports`` can be added to at any time.
        max_sources: how many sources to tell apart.
        is_broadcast: tells whether an IPv4 address is the broadcast address of a network of this machine.

    Raises:
        InvalidArgumentError: a rate, a burst or ``max_sources`` below 1.

    Source: CVE-2024-2169; RFC 862; RFC 1122 section 3.2.1.3.
    """

    def __init__(
        self,
        *,
        rate: float | None = DEFAULT_RATE,
        burst: float | None = None,
        loopback_burst: float | None = None,
        any_source_port: bool = False,
        own_ports: Iterable[int] = (),
        max_sources: int = MAX_SOURCES,
        is_broadcast: Callable[[str], bool] = lambda _: False,
    ) -> None:
        for name, value in (
            ("rate", rate),
            ("burst", burst),
            ("loopback_burst", loopback_burst),
            ("max_sources", max_sources),
        ):
            if value is not None and not value >= 1:
                raise InvalidArgumentError(f"{name}: {value!r} is less than 1")
        self.own_ports = set(own_ports)
        self._any_source_port = any_source_port
        self._is_broadcast = is_broadcast
        self._rate = rate
        self._burst = burst if burst is not None else rate or 1
        self._loopback_burst = loopback_burst if loopback_burst is not None else self._burst
        self._max_sources = max_sources
        self._accounts: OrderedDict[str | bytes, TokenBucket] = OrderedDict()
        self._loopback: TokenBucket | None = None
        self._unknown: TokenBucket | None = None

    def refusal(self, host: str, port: int, *, received: int, reply: int, now: float) -> Refusal | None:
        """Judge one datagram, and charge its source when it may be answered.

        Args:
            host: the numeric address it came from.
            port: the port it came from.
            received: its size in bytes.
            reply: the size of the answer.
            now: the time in seconds, of a clock that goes forward.

        Returns:
            Why it must not be answered; None when it may.

        Raises:
            ValueError: the host is not a numeric address.
        """
        if reply > received:
            return Refusal.LONGER_REPLY
        if port == 0:
            return Refusal.NO_PORT
        if port in self.own_ports:
            return Refusal.OWN_PORT
        if port < LOWEST_CLIENT_PORT and not self._any_source_port:
            return Refusal.LOW_PORT
        source = _source(host)
        if not source.unicast:
            return Refusal.NOT_UNICAST
        if ":" not in host and not source.loopback and self._is_broadcast(host):
            return Refusal.NOT_UNICAST
        if self._rate is not None and not self._account(source, self._rate, now).take(now):
            return Refusal.RATE
        return None

    def _account(self, source: _Source, rate: float, now: float) -> TokenBucket:
        if source.loopback:
            if self._loopback is None:
                self._loopback = TokenBucket(rate, self._loopback_burst, now)
            return self._loopback
        account = self._accounts.get(source.key)
        if account is not None:
            self._accounts.move_to_end(source.key)
            return account
        if len(self._accounts) >= self._max_sources:
            longest_unused = next(iter(self._accounts.values()))
            if not longest_unused.is_full(now):
                if self._unknown is None:
                    self._unknown = TokenBucket(rate, self._burst, now)
                return self._unknown
            self._accounts.popitem(last=False)
        account = self._accounts[source.key] = TokenBucket(rate, self._burst, now)
        return account
