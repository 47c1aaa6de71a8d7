"""Endpoint pairs toward a host: which local address goes with which remote one, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking._address import Address
from winsockets.networking._destination import Destination
from winsockets.networking._endpoint_pair import EndpointPair
from winsockets.networking._hostname import HostName
from winsockets.networking._kinds import HostNameSortOptions
from winsockets.networking._locating import locate
from winsockets.networking._name_servers import NameServer
from winsockets.networking._ranking import local_host_toward, rank_endpoint_pairs

__all__ = ["as_sort_options", "get_endpoint_pairs", "sort_endpoint_pairs"]


def as_sort_options(value: int) -> HostNameSortOptions:
    """Check HostNameSortOptions, which may come as a number.

    Raises:
        InvalidArgumentError: a bit that has no meaning is set.
        TypeError: it is not a number.
    """
    if not isinstance(value, int):
        raise TypeError(f"sort_options is a HostNameSortOptions, not {type(value).__name__}")
    if value & ~HostNameSortOptions.OPTIMIZE_FOR_LONG_CONNECTIONS:
        raise InvalidArgumentError(f"sort_options: {value!r} is neither 0 nor 2")
    return HostNameSortOptions(value)


def sort_endpoint_pairs(
    pairs: Iterable[EndpointPair], sort_options: HostNameSortOptions
) -> list[EndpointPair]:
    """Order endpoint pairs.

    Args:
        pairs: the pairs, best first.
        sort_options: OPTIMIZE_FOR_LONG_CONNECTIONS keeps that order. NONE prefers, after each pair, the
            best one that differs from it in both addresses, so that a failure of one address costs no
            second try on it.

    Returns:
        The same pairs in the new order.

    Source: WinRT HostNameSortOptions.
    """
    waiting = list(pairs)
    if HostNameSortOptions.OPTIMIZE_FOR_LONG_CONNECTIONS in sort_options or not waiting:
        return waiting
    ordered = [waiting.pop(0)]
    while waiting:
        last = ordered[-1]
        best = next((index for index, pair in enumerate(waiting) if _differ_in_both(pair, last)), 0)
        ordered.append(waiting.pop(best))
    return ordered


def _differ_in_both(one: EndpointPair, other: EndpointPair) -> bool:
    return one.local_host_name != other.local_host_name and one.remote_host_name != other.remote_host_name


async def get_endpoint_pairs(
    wanted: Destination,
    *,
    reactor: Any,
    sort_options: HostNameSortOptions = HostNameSortOptions.NONE,
    limits: Limits = DEFAULT_LIMITS,
    name_servers: Sequence[NameServer] = (),
    local_host: Callable[[Address], HostName | None] = local_host_toward,
) -> list[EndpointPair]:
    """Find the pairs that lead to a service of a host, the best first.

    Args:
        wanted: the remote host and service.
        reactor: as for `locate`.
        sort_options: see `sort_endpoint_pairs`; the targets of a service stay in their order.
        limits: as for `locate`.
        name_servers: as for `locate`.
        local_host: finds the local address that goes with a remote one.

    Returns:
        One pair for each remote address. The local service name is "", and the local host name None
        where no way leads to the address at present.

    Raises:
        SocketException: as `locate`.

    Source: WinRT StreamSocket.GetEndpointPairsAsync, DatagramSocket.GetEndpointPairsAsync.
    """
    found = await locate(wanted, reactor=reactor, limits=limits, name_servers=name_servers)
    pairs: list[EndpointPair] = []
    for addresses in found:
        of_target = [
            EndpointPair(local_host(address), "", HostName(address.host), str(address.port))
            for address in addresses
        ]
        pairs += sort_endpoint_pairs(rank_endpoint_pairs(of_target, local_host=local_host), sort_options)
    return pairs
