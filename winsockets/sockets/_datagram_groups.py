"""The multicast groups of a DatagramSocket: joining and leaving them, and choosing whom to hear."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from winsockets.errors import (
    AddressNotAvailableError,
    IllegalMethodCallError,
    InvalidArgumentError,
    NetworkUnreachableError,
    SocketErrorStatus,
    SocketException,
    translate,
)
from winsockets.networking import HostName, HostNameType, NetworkAdapter
from winsockets.networking._address import Address, is_multicast, literal_address
from winsockets.networking._hostname import as_host_name
from winsockets.networking._interfaces import interfaces
from winsockets.networking._quoting import quoted
from winsockets.sockets._datagram_link import DatagramLink
from winsockets.sockets._datagram_membership import Membership, blocked, joined, left, unblocked
from winsockets.transports._multicast import block_source, join_group, leave_group, unblock_source

__all__ = ["DatagramGroups", "group_address", "source_address"]

_NO_ROOM_HRESULT = 0x80072747
_NUMERIC = (HostNameType.IPV4, HostNameType.IPV6)


@dataclass(frozen=True, slots=True)
class _Change:
    """What a call is about: a group on an interface, and perhaps a source."""

    group: Address
    index: int
    source: str | None
    action: str

    @property
    def place(self) -> tuple[str, int]:
        """What a membership belongs to."""
        return self.group.host.partition("%")[0], self.index


class DatagramGroups:
    """The groups that one DatagramSocket has joined.

    What makes no sense is refused here, so that all systems answer alike. The system forgets them when the
    socket is closed.

    Args:
        link: the socket's.
    """

    def __init__(self, link: DatagramLink) -> None:
        self._link = link
        self._memberships: dict[tuple[str, int], Membership] = {}
        # By group: where it was joined because the address of the socket was there.
        self._homes: dict[str, int] = {}

    def join(
        self, group: HostName | str, source: HostName | str | None, adapter: NetworkAdapter | None
    ) -> None:
        """See DatagramSocket.join_multicast_group."""
        change = self._understand("join", group, source, adapter)
        before = self._memberships.get(change.place)
        after = joined(before, change.source, change.action)
        try:
            self._ask(join_group, change)
        except SocketException:
            if before is None:
                self._forget(change)
            raise
        self._memberships[change.place] = after

    def leave(
        self, group: HostName | str, source: HostName | str | None, adapter: NetworkAdapter | None
    ) -> None:
        """See DatagramSocket.leave_multicast_group."""
        change = self._understand("leave", group, source, adapter)
        after = left(self._memberships.get(change.place), change.source, change.action)
        self._ask(leave_group, change)
        if after is None:
            del self._memberships[change.place]
            self._forget(change)
        else:
            self._memberships[change.place] = after

    def block(self, group: HostName | str, source: HostName | str, adapter: NetworkAdapter | None) -> None:
        """See DatagramSocket.block_multicast_source."""
        change = self._understand("block a source of", group, as_host_name(source, "source"), adapter)
        assert change.source is not None
        after = blocked(self._memberships.get(change.place), change.source, change.action)
        self._ask(block_source, change)
        self._memberships[change.place] = after

    def unblock(self, group: HostName | str, source: HostName | str, adapter: NetworkAdapter | None) -> None:
        """See DatagramSocket.unblock_multicast_source."""
        change = self._understand("unblock a source of", group, as_host_name(source, "source"), adapter)
        assert change.source is not None
        after = unblocked(self._memberships.get(change.place), change.source, change.action)
        self._ask(unblock_source, change)
        self._memberships[change.place] = after

    def _forget(self, change: _Change) -> None:
        """Let go of what a membership had."""
        group, index = change.place
        self._link.leave(group, index)
        if self._homes.get(group) == index:
            del self._homes[group]

    # What is asked for

    def _understand(
        self, verb: str, group: HostName | str, source: HostName | str | None, adapter: NetworkAdapter | None
    ) -> _Change:
        """Find out what a call is about, and refuse it when it comes too early or makes no sense."""
        where = group_address(verb, group)
        action = f"{verb} the multicast group {where.host}"
        whom = None if source is None else source_address(action, source, where)
        if whom is not None:
            action += f" for the source {whom}" if verb in ("join", "leave") else f", {whom}"
        if adapter is not None:
            if not isinstance(adapter, NetworkAdapter):
                raise TypeError(f"{action}: the adapter is a NetworkAdapter, not {type(adapter).__name__}")
            action += f" on {adapter.name}"
        self._link.check_settled(action)
        if not self._link.transports:
            raise IllegalMethodCallError(
                f"{action}: the socket is not bound; await bind_service_name_async first"
            )
        if where.family not in self._link.transports:
            raise SocketException(
                f"{action}: the socket has a local address of another family only",
                status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
            )
        named = self._named(action, where, adapter)
        group = where.host.partition("%")[0]
        if not named and verb == "join" and group not in self._homes:
            # Left is where it was joined, even if the address is elsewhere by then, or nowhere.
            self._homes[group] = self._home(where.family)
        return _Change(where, named or self._homes.get(group, 0), whom, action)

    def _named(self, action: str, group: Address, adapter: NetworkAdapter | None) -> int:
        """Find the interface that is named, if one is; 0 if none."""
        named = {each.index for each in (adapter, self._link.adapter) if each is not None}
        if group.scope_id:
            named.add(group.scope_id)
        if len(named) > 1:
            raise InvalidArgumentError(
                f"{action}: the adapter, the zone of the group, and the adapter that the socket is bound to "
                "must be the same"
            )
        return named.pop() if named else 0

    def _home(self, family: int) -> int:
        """Find the interface that has the address that the socket is bound to; 0 if it is bound to all."""
        local = ip_address(self._link.transports[family].local[0].partition("%")[0])
        if local.is_unspecified:
            return 0
        for interface in interfaces():
            if local.is_loopback and interface.loopback:
                return interface.index
            if any(address.address == local for address in interface.addresses):
                return interface.index
        return 0

    # What the system says

    def _ask(self, change_membership: Callable[..., None], change: _Change) -> None:
        group, index = change.place
        transport = self._link.member(group, index)
        source = () if change.source is None else (change.source,)
        try:
            change_membership(transport.socket, index, group, *source)
        except OSError as problem:
            raise _refusal(problem, change) from problem


def group_address(verb: str, group: HostName | str) -> Address:
    """Make out a group: its address, with port 0.

    Args:
        verb: what is done to it, to begin the message with.
        group: the group.

    Raises:
        InvalidArgumentError: it is not the address of a group.
    """
    name = as_host_name(group, "group")
    if name.type not in _NUMERIC or not is_multicast(name.canonical_name):
        raise InvalidArgumentError(
            f"{verb} the multicast group {quoted(name.display_name)}: it is not a multicast address; those "
            "are 224.0.0.0 to 239.255.255.255, and IPv6 addresses that begin with ff"
        )
    return literal_address(name, 0)


def source_address(action: str, source: HostName | str, group: Address) -> str:
    """Make out a source of a group: its address, without a zone.

    Raises:
        InvalidArgumentError: it is not an address, or not one of the group's family, or nobody's own.
    """
    name = as_host_name(source, "source")
    address = name.canonical_name.partition("%")[0]
    if name.type not in _NUMERIC or (":" in address) != (group.family == socket.AF_INET6):
        raise InvalidArgumentError(
            f"{action}: the source {quoted(name.display_name)} is not an address of the group's family"
        )
    if is_multicast(address) or ip_address(address).is_unspecified:
        raise InvalidArgumentError(f"{action}: {quoted(name.display_name)} cannot be a source of datagrams")
    return address


def _refusal(problem: OSError, change: _Change) -> SocketException:
    if problem.errno == errno.EADDRINUSE:
        return AddressNotAvailableError(
            f"{change.action}: it is joined on this adapter already", errno=problem.errno
        )
    if problem.errno == errno.ENODEV:
        if change.index:
            return AddressNotAvailableError(f"{change.action}: the adapter is gone", errno=problem.errno)
        return NetworkUnreachableError(
            f"{change.action}: this machine has no route to the group; name an adapter", errno=problem.errno
        )
    if problem.errno == errno.ENOBUFS:
        return SocketException(
            f"{change.action}: the system allows no more for one socket (on Linux: "
            "net.ipv4.igmp_max_memberships groups, and net.ipv4.igmp_max_msf or net.ipv6.mld_max_msf sources "
            "of each); use another socket",
            hresult=_NO_ROOM_HRESULT,
            errno=problem.errno,
        )
    return translate(problem, change.action)
