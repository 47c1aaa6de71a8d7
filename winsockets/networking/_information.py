"""NetworkInformation: what this machine is called, where it is reached, and how it reaches others."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, final

from twisted.internet.threads import deferToThread

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, Event, EventRegistrationToken, Limits
from winsockets.networking._adapter import IPInformation, NetworkAdapter
from winsockets.networking._changes import NetworkWatch, StatusEvent
from winsockets.networking._endpoint_pair import EndpointPair, as_endpoint_pair
from winsockets.networking._hostname import HostName, system_host_name
from winsockets.networking._interfaces import Interface, interfaces
from winsockets.networking._kinds import HostNameSortOptions
from winsockets.networking._pairing import as_sort_options, sort_endpoint_pairs
from winsockets.networking._proxies import ProxyConfiguration, check_uri, find_proxies
from winsockets.networking._ranking import rank_endpoint_pairs

__all__ = ["NetworkInformation", "host_names"]


def _watch() -> NetworkWatch:
    from twisted.internet import reactor

    return NetworkWatch(
        reactor,
        lambda: NetworkInformation.network_status_changed.fire(NetworkInformation, None),
        NetworkInformation.limits,
    )


@final
class NetworkInformation:
    """What there is to know about the networks of this machine; it has static members only.

    Everything is asked of the system at each call.

    Source: WinRT NetworkInformation. ``get_network_adapters`` and ``limits`` are additions.
    """

    __slots__ = ()

    limits: ClassVar[Limits] = DEFAULT_LIMITS
    """``network_settle_time`` and ``network_poll_interval`` count here, from the next time on that a first
    handler of ``network_status_changed`` is attached."""

    network_status_changed: ClassVar[Event[Any, None]] = StatusEvent("network_status_changed", _watch)
    """Fired as (NetworkInformation, None) when an interface, an address or a default route has come, gone or
    changed.

    Handlers are called in the thread of the reactor that is installed when the first one is attached. Linux
    announces changes through rtnetlink; those within ``network_settle_time`` are one event, and what was
    taken back by then is none. Elsewhere, and where a sandbox forbids rtnetlink, the system is asked every
    ``network_poll_interval``. The last handler that is removed ends all of that; until then a socket or a
    delayed call is in the reactor.

    Source: WinRT NetworkInformation.NetworkStatusChanged; rtnetlink(7).
    """

    @classmethod
    def add_network_status_changed(cls, handler: Callable[[Any, None], object]) -> EventRegistrationToken:
        """Attach a handler of ``network_status_changed``.

        Args:
            handler: a function or a coroutine function of (NetworkInformation, None).

        Returns:
            The token that removes it.

        Raises:
            TypeError: the handler cannot be called.
            SocketException: the system does not tell what its network is.
        """
        return cls.network_status_changed.add(handler)

    @classmethod
    def remove_network_status_changed(cls, token: EventRegistrationToken) -> None:
        """Detach the handler of a token; an unknown token is ignored."""
        cls.network_status_changed.remove(token)

    @staticmethod
    def get_host_names() -> list[HostName]:
        """List the names and the addresses of this machine.

        First come the names: the host's own and, where that has dots, its first part. Then come the
        addresses of each adapter, with ``ip_information``. A link-local IPv6 address has the index of its
        adapter as its zone. Left out are, as on Windows, the loopback addresses; what an adapter has that is
        switched off or without a carrier; and addresses that somebody else has, or for which that is not
        known yet.

        Returns:
            A new list.

        Raises:
            SocketException: the system does not tell its interfaces.

        Source: WinRT NetworkInformation.GetHostNames.

        Example:
            >>> local = [name for name in NetworkInformation.get_host_names() if name.ip_information]
            >>> any(name.canonical_name == "127.0.0.1" for name in local)
            False
        """
        return host_names(socket.gethostname(), interfaces())

    @staticmethod
    def get_network_adapters() -> list[NetworkAdapter]:
        """List the adapters of this machine by index, loopback and those switched off included.

        Returns:
            A new list.

        Raises:
            SocketException: the system does not tell its interfaces.

        Example:
            >>> adapters = NetworkInformation.get_network_adapters()
            >>> [adapter.name for adapter in adapters if adapter.iana_interface_type == 24]
            ['lo']
        """
        return [NetworkAdapter(interface) for interface in interfaces()]

    @staticmethod
    def get_sorted_endpoint_pairs(
        destination_list: Iterable[EndpointPair], sort_options: HostNameSortOptions | int
    ) -> list[EndpointPair]:
        """Put endpoint pairs into the order in which to try them.

        They are ranked by the rules of RFC 6724: first those whose local half is a usable address of this
        machine from which a way leads to the remote half, then by scope, deprecation, home address, label and
        precedence of the policy table (that of gai.conf(5) on Linux), tunnels, and the longest common prefix.
        Where these prefer neither of two, their order stays. A pair without a local host name is judged by
        the address that the system would pick. One whose remote host name is no address comes last.

        Args:
            destination_list: the pairs.
            sort_options: OPTIMIZE_FOR_LONG_CONNECTIONS keeps that ranking. NONE prefers, after each pair, the
                best one that differs from it in both addresses, so that a failure of one address costs no
                second try on it.

        Returns:
            A new list with the same pairs.

        Raises:
            InvalidArgumentError: a pair or the list is None, or the options are neither 0 nor 2.
            TypeError: an argument is of another type.

        Source: WinRT NetworkInformation.GetSortedEndpointPairs; RFC 6724 section 6.

        Example:
            >>> other = EndpointPair("203.0.113.9", "", "127.0.0.1", 80)  # not an address of this machine
            >>> own = EndpointPair(None, "", "127.0.0.1", 81)
            >>> NetworkInformation.get_sorted_endpoint_pairs([other, own], 0)[0] is own
            True
        """
        options = as_sort_options(sort_options)
        if destination_list is None:
            raise InvalidArgumentError("destination_list is None; give EndpointPairs")
        pairs = [as_endpoint_pair(pair) for pair in destination_list]
        return sort_endpoint_pairs(rank_endpoint_pairs(pairs), options)

    @staticmethod
    def get_proxy_configuration_async(uri: str) -> AsyncOperation[ProxyConfiguration]:
        """Find the proxy that the system or the environment names for a URI.

        Read are the variables ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, and on Windows
        and macOS the system's settings, as `urllib.request.getproxies` does. Nothing in this library goes
        through a proxy.

        Args:
            uri: where to, "https://example.com/"; ``ws`` and ``wss`` go the way of ``http`` and ``https``.

        Returns:
            The configuration.

        Raises:
            InvalidArgumentError: the URI has no scheme or no host.
            TypeError: it is not a ``str``.

        Source: WinRT NetworkInformation.GetProxyConfigurationAsync.
        """
        check_uri(uri)

        async def find() -> ProxyConfiguration:
            # In a thread: Windows and macOS may look the host up to compare it with the exceptions.
            return await deferToThread(find_proxies, uri)

        return AsyncOperation.run(find())


def host_names(machine: str, known: Iterable[Interface]) -> list[HostName]:
    """The names and addresses that `NetworkInformation.get_host_names` lists. Pure.

    Args:
        machine: what gethostname(2) says; left out when it is no host name.
        known: the interfaces.
    """
    names: dict[HostName, None] = {}
    for text in (machine.partition(".")[0], machine):
        try:
            names.setdefault(HostName(text))
        except InvalidArgumentError:
            continue
    addresses: list[HostName] = []
    for interface in known:
        if not interface.up or interface.loopback:
            continue
        adapter = NetworkAdapter(interface)
        for local in interface.addresses:
            address = local.address
            if not local.usable or address.is_loopback:
                continue
            zone = f"%{interface.index}" if address.version == 6 and address.is_link_local else ""
            information = IPInformation(adapter, local.prefix_length)
            addresses.append(system_host_name(f"{address}{zone}", information))
    return [*names, *addresses]
