"""NetworkAdapter: a network interface as WinRT shows it, and the network that it leads to."""

from __future__ import annotations

import ipaddress
import uuid
from typing import final

from winsockets.errors import AddressNotAvailableError, InvalidArgumentError
from winsockets.networking._interfaces import Interface, default_routes, interface_names, interfaces
from winsockets.networking._kinds import NetworkTypes
from winsockets.networking._quoting import quoted

__all__ = [
    "TUNNEL",
    "IPInformation",
    "NetworkAdapter",
    "NetworkItem",
    "current_interface",
    "iana_interface_type",
]

# The numbers are part of the identifiers; they never change.
_ADAPTERS = uuid.UUID("6f0e0f3e-5f0c-5c0b-9d0e-6a7b1c9d2e41")
_NETWORKS = uuid.UUID("0b3f7a52-1d64-5e8f-8a39-c45d12f0e7b6")

_OTHER, _ETHERNET, _PPP, _LOOPBACK, _WIRELESS, TUNNEL, _IEEE1394 = 1, 6, 23, 24, 71, 131, 144
# ARPHRD_ numbers of Linux, if_arp.h.
_IANA_TYPES = {
    1: _ETHERNET,
    24: _IEEE1394,
    512: _PPP,
    768: TUNNEL,  # IPv4 in IPv4
    769: TUNNEL,  # IPv6 in IPv6
    772: _LOOPBACK,
    776: TUNNEL,  # IPv6 in IPv4
    778: TUNNEL,  # GRE
    801: _WIRELESS,
    802: _WIRELESS,
    803: _WIRELESS,
    823: TUNNEL,  # GRE over IPv6
    65534: TUNNEL,  # no hardware: TUN devices, WireGuard
}


def iana_interface_type(interface: Interface) -> int:
    """The number that IANA has for an interface's kind.

    Source: WinRT NetworkAdapter.IanaInterfaceType; the ifType registry.
    """
    kind = _IANA_TYPES.get(interface.hardware_type, _OTHER)
    return _WIRELESS if kind == _ETHERNET and interface.wireless else kind


def current_interface(adapter: NetworkAdapter) -> Interface | None:
    """What the system tells of an adapter now; None when it is gone.

    Raises:
        SocketException: the system does not tell.
    """
    for interface in interfaces():
        if (interface.index, interface.name) == (adapter.index, adapter.name):
            return interface
    return None


@final
class NetworkItem:
    """The network that an adapter leads to.

    Source: WinRT NetworkItem.
    """

    __slots__ = ("_network_id", "_types")

    def __init__(self, network_id: uuid.UUID, types: NetworkTypes) -> None:
        self._network_id = network_id
        self._types = types

    @property
    def network_id(self) -> uuid.UUID:
        """Tells networks apart: made of the prefixes and the gateways that the adapter has in it."""
        return self._network_id

    def get_network_types(self) -> NetworkTypes:
        """Say what the network leads to.

        Returns:
            INTERNET when a default route leads through the adapter, PRIVATE_NETWORK when the adapter has
            an address of a private range (RFC 1918, RFC 4193), or both, or NONE.

        Source: WinRT NetworkItem.GetNetworkTypes.
        """
        return self._types

    def __repr__(self) -> str:
        """Show the identifier and the types."""
        return f"<NetworkItem {self._network_id} {self._types!r}>"

    def __eq__(self, other: object) -> bool:
        """Compare identifiers and types."""
        if not isinstance(other, NetworkItem):
            return NotImplemented
        return (self._network_id, self._types) == (other._network_id, other._types)

    def __hash__(self) -> int:
        """Hash alike what is equal."""
        return hash((self._network_id, self._types))


@final
class NetworkAdapter:
    """A network interface of this machine.

    A program gets one from `from_name`. When the interface is gone, it goes on to tell what that was; what it
    asks the system for is 0 and NONE then. Two of them are equal when their index and name are.

    Source: WinRT NetworkAdapter. ``name``, ``index`` and ``from_name`` are additions.
    """

    __slots__ = ("_interface",)

    def __init__(self, interface: Interface) -> None:
        self._interface = interface

    @classmethod
    def from_name(cls, name: str) -> NetworkAdapter:
        """Find an adapter.

        Args:
            name: what the system calls it, "eth0"; its index as a decimal number will do.

        Raises:
            AddressNotAvailableError: there is none of that name; the message lists those there are.
            InvalidArgumentError: the name is empty.
            TypeError: the name is not a ``str``.
            SocketException: the system does not tell its interfaces.

        Example:
            >>> NetworkAdapter.from_name("lo").iana_interface_type
            24
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a network adapter is a str, not {type(name).__name__}")
        if not name:
            raise InvalidArgumentError("the name of a network adapter is empty; give one such as 'eth0'")
        known = interfaces()
        for interface in known:
            if interface.name == name:
                return cls(interface)
        for interface in known:
            if name == str(interface.index):
                return cls(interface)
        raise AddressNotAvailableError(
            f"find the network adapter {quoted(name)}: there is none of that name; "
            f"this machine has {interface_names()}"
        )

    @property
    def name(self) -> str:
        """What the system calls the interface: "eth0", "en0", "ethernet_32769"."""
        return self._interface.name

    @property
    def index(self) -> int:
        """The number of the interface, as in the zone of an IPv6 address."""
        return self._interface.index

    @property
    def network_adapter_id(self) -> uuid.UUID:
        """Tells the adapters of a machine apart, the same after a restart.

        On Windows it is the adapter's GUID. Elsewhere it is made of the name and, for hardware, of the
        address that its maker gave it.
        """
        if self._interface.identifier:
            return uuid.UUID(self._interface.identifier)
        return uuid.uuid5(_ADAPTERS, f"{self._interface.permanent_address.hex()} {self._interface.name}")

    @property
    def iana_interface_type(self) -> int:
        """The kind of interface, a number of IANA's registry.

        1 other, 6 Ethernet, 23 PPP, 24 loopback, 71 IEEE 802.11, 131 tunnel, 144 IEEE 1394. Systems other
        than Linux are asked for loopback only.
        """
        return iana_interface_type(self._interface)

    @property
    def inbound_max_bits_per_second(self) -> int:
        """The speed of the link toward this machine; 0 where the system does not tell it."""
        return self._interface.speed

    @property
    def outbound_max_bits_per_second(self) -> int:
        """The speed of the link away from this machine; 0 where the system does not tell it."""
        return self._interface.speed

    @property
    def network_item(self) -> NetworkItem:
        """The network that the adapter leads to now.

        Raises:
            SocketException: the system does not tell.
        """
        interface = current_interface(self)
        if interface is None or not interface.up:
            return NetworkItem(uuid.uuid5(_NETWORKS, f"none {self.network_adapter_id}"), NetworkTypes.NONE)
        gateways = {route.gateway for route in default_routes() if interface.index in route.indexes}
        networks = set()
        types = NetworkTypes.INTERNET if gateways else NetworkTypes.NONE
        for local in interface.addresses:
            network = ipaddress.ip_network((local.address, local.prefix_length), strict=False)
            if not network.is_link_local:
                networks.add(str(network))
            if any(local.address in area for area in _PRIVATE):
                types |= NetworkTypes.PRIVATE_NETWORK
        # Where there is nothing but link-local addresses, the link is all that makes the network.
        content = " ".join([*sorted(networks), *sorted(gateways)]) or f"link {self.network_adapter_id}"
        return NetworkItem(uuid.uuid5(_NETWORKS, content), types)

    def __repr__(self) -> str:
        """Show name and index."""
        return f"<NetworkAdapter {self.name!r} index {self.index}>"

    def __eq__(self, other: object) -> bool:
        """Compare indexes and names."""
        if not isinstance(other, NetworkAdapter):
            return NotImplemented
        return (self.index, self.name) == (other.index, other.name)

    def __hash__(self) -> int:
        """Hash alike what is equal."""
        return hash((self.index, self.name))


@final
class IPInformation:
    """The adapter and the network prefix of a local address.

    Source: WinRT IPInformation.
    """

    __slots__ = ("_network_adapter", "_prefix_length")

    def __init__(self, network_adapter: NetworkAdapter, prefix_length: int) -> None:
        self._network_adapter = network_adapter
        self._prefix_length = prefix_length

    @property
    def network_adapter(self) -> NetworkAdapter:
        """The adapter that has the address."""
        return self._network_adapter

    @property
    def prefix_length(self) -> int | None:
        """The bits of the address that are the network's: 0 to 32 in IPv4, 0 to 128 in IPv6.

        In WinRT it may be None; here the system has always told it.
        """
        return self._prefix_length

    def __repr__(self) -> str:
        """Show adapter and prefix length."""
        return f"<IPInformation {self._network_adapter.name!r} /{self._prefix_length}>"


_PRIVATE = [
    ipaddress.ip_network(area) for area in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
]
