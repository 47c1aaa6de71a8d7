"""Which destination is best: RFC 6724 over addresses and sources that are given. Pure.

Source: RFC 6724 sections 2 (policy), 3 (scopes) and 6 (destinations).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "DEFAULT_POLICIES",
    "Candidate",
    "Policy",
    "Source",
    "common_prefix_length",
    "order",
    "parse_policies",
    "policy_of",
    "scope",
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 0x2, 0x5, 0xE
_LOOPBACK_IPV4 = ipaddress.ip_network("127.0.0.0/8")
_LINK_LOCAL_MULTICAST_IPV4 = ipaddress.ip_network("224.0.0.0/24")
_MAPPED = 0xFFFF << 32


@dataclass(frozen=True, slots=True)
class Policy:
    """A line of the policy table.

    Args:
        prefix: whom it is about; IPv4 addresses are looked up as ``::ffff:0:0/96``.
        precedence: the higher, the better a destination.
        label: sources and destinations with the same label go together.
    """

    prefix: ipaddress.IPv6Network
    precedence: int
    label: int


# RFC 6724 section 2.1.
DEFAULT_POLICIES = tuple(
    Policy(ipaddress.IPv6Network(prefix), precedence, label)
    for prefix, precedence, label in (
        ("::1/128", 50, 0),
        ("::/0", 40, 1),
        ("::ffff:0:0/96", 35, 4),
        ("2002::/16", 30, 2),
        ("2001::/32", 5, 5),
        ("fc00::/7", 3, 13),
        ("::/96", 1, 3),
        ("fec0::/10", 1, 11),
        ("3ffe::/16", 1, 12),
    )
)


@dataclass(frozen=True, slots=True)
class Source:
    """The address that would be used toward a destination.

    Args:
        address: the address.
        prefix_length: the bits of it that are the network's.
        deprecated: not to be used for new connections.
        home: a mobile node's home address.
        encapsulated: it is on a tunnel.
    """

    address: IPAddress
    prefix_length: int
    deprecated: bool = False
    home: bool = False
    encapsulated: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A destination, and the source toward it.

    Args:
        address: where to.
        source: from where; None when nothing leads there.
    """

    address: IPAddress
    source: Source | None


def scope(address: IPAddress) -> int:
    """How far an address reaches: 2 the link, 5 the site, 14 everywhere; of IPv6 groups what they say.

    Source: RFC 6724 sections 3.1 and 3.2.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return scope(address.ipv4_mapped)
        if address.is_multicast:
            return address.packed[1] & 0xF
        if address.is_link_local or address.is_loopback:
            return _LINK_LOCAL
        return _SITE_LOCAL if address.is_site_local else _GLOBAL
    near = address.is_link_local or address in _LOOPBACK_IPV4 or address in _LINK_LOCAL_MULTICAST_IPV4
    return _LINK_LOCAL if near else _GLOBAL


def policy_of(address: IPAddress, policies: Iterable[Policy]) -> Policy:
    """The line with the longest prefix that an address has.

    Args:
        address: of either family.
        policies: a table with a line for ``::/0``.
    """
    mapped = ipaddress.IPv6Address(int(address) | _MAPPED) if address.version == 4 else address
    return max(
        (policy for policy in policies if mapped in policy.prefix), key=lambda policy: policy.prefix.prefixlen
    )


def common_prefix_length(source: Source, destination: IPAddress) -> int:
    """How many leading bits source and destination share, at most those of the source's network.

    Source: RFC 6724 section 2.2.
    """
    different = int(source.address) ^ int(destination)
    return min(destination.max_prefixlen - different.bit_length(), source.prefix_length)


def order(candidates: Sequence[Candidate], policies: Iterable[Policy] = DEFAULT_POLICIES) -> list[int]:
    """Say in which order to try destinations.

    Where the rules prefer neither of two, the one that was given first comes first. The rule of the longest
    prefix compares addresses of one family only; where a table gives both families the same precedence, it
    exchanges addresses within each family and leaves each family the places that it has.

    Args:
        candidates: the destinations; the source of each is of its family, or None.
        policies: the policy table, with a line for ``::/0``.

    Returns:
        The indexes of the candidates, best first.

    Source: RFC 6724 section 6.
    """
    table = tuple(policies)
    keys = [_preference(candidate, table) for candidate in candidates]
    ranked = sorted(range(len(candidates)), key=keys.__getitem__)
    start = 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and keys[ranked[end]] == keys[ranked[start]]:
            end += 1
        ranked[start:end] = _by_prefix(ranked[start:end], candidates)
        start = end
    return ranked


def _preference(candidate: Candidate, policies: tuple[Policy, ...]) -> tuple[int, ...]:
    """Rules 1 to 8, the better the smaller."""
    destination, source = candidate.address, candidate.source
    policy = policy_of(destination, policies)
    reach = scope(destination)
    if source is None:
        return (1, 0, 0, 0, 0, -policy.precedence, 0, reach)
    return (
        0,
        reach != scope(source.address),
        source.deprecated,
        not source.home,
        policy.label != policy_of(source.address, policies).label,
        -policy.precedence,
        source.encapsulated,
        reach,
    )


def _by_prefix(indexes: list[int], candidates: Sequence[Candidate]) -> list[int]:
    """Rule 9 among candidates between which the rules before do not decide."""

    def shared(index: int) -> int:
        candidate = candidates[index]
        return common_prefix_length(candidate.source, candidate.address) if candidate.source else 0

    families = {
        version: iter(
            sorted(
                (index for index in indexes if candidates[index].address.version == version),
                key=shared,
                reverse=True,
            )
        )
        for version in (4, 6)
    }
    return [next(families[candidates[index].address.version]) for index in indexes]


def parse_policies(text: str) -> tuple[Policy, ...]:
    """Read the policy table of gai.conf(5).

    As for the system's resolver, lines of one kind replace the defaults of that kind. Lines that make no
    sense are left out.

    Args:
        text: the file.

    Returns:
        A table with a line for ``::/0``.
    """
    found: dict[str, dict[ipaddress.IPv6Network, int]] = {"precedence": {}, "label": {}}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 3 and words[0] in found and words[2].isdecimal():
            try:
                found[words[0]][ipaddress.IPv6Network(words[1])] = int(words[2])
            except ValueError:
                continue
    precedences = found["precedence"] or {policy.prefix: policy.precedence for policy in DEFAULT_POLICIES}
    labels = found["label"] or {policy.prefix: policy.label for policy in DEFAULT_POLICIES}
    everything = ipaddress.IPv6Network("::/0")
    return tuple(
        Policy(prefix, _longest(prefix, precedences, 40), _longest(prefix, labels, 1))
        for prefix in {**precedences, **labels, everything: 0}
    )


def _longest(prefix: ipaddress.IPv6Network, table: dict[ipaddress.IPv6Network, int], otherwise: int) -> int:
    """The value of the longest prefix in a table that another prefix lies in."""
    around = [known for known in table if prefix.subnet_of(known)]
    return table[max(around, key=lambda known: known.prefixlen)] if around else otherwise
