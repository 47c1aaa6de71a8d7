"""Making the UDP sockets of a DatagramSocket."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

from winsockets.errors import AddressInUseError, SocketErrorStatus, SocketException, translate
from winsockets.networking import NetworkAdapter
from winsockets.networking._address import Address
from winsockets.sockets._datagram_control import DatagramSocketControl, apply_datagram_options
from winsockets.transports._adapter_binding import bind_to_adapter
from winsockets.transports._describe import describe_address
from winsockets.transports._multicast import share_port

__all__ = ["WILDCARDS", "bind_sockets", "make_socket"]

WILDCARDS = (Address.ipv6("::", 0), Address.ipv4("0.0.0.0", 0))
"""All local addresses, of each family."""

_PORT_TRIES = 16
_MISSING_FAMILY = frozenset(
    {SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED, SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS}
)


def make_socket(
    control: DatagramSocketControl,
    family: int,
    local: Address | None,
    port: int,
    adapter: NetworkAdapter | None = None,
    *,
    shared: bool = False,
) -> socket.socket:
    """Make one socket.

    Args:
        control: what to set on it.
        family: its address family.
        local: the address to bind to; None leaves it unbound.
        port: the port to bind to, whatever the address says; 0 lets the system choose.
        adapter: the one to send and receive through; None for all.
        shared: whether others may have the address and port too, whatever the control says.

    Raises:
        SocketException: ADDRESS_ALREADY_IN_USE, CANNOT_ASSIGN_REQUESTED_ADDRESS, TOO_MANY_OPEN_FILES ...
    """
    where = describe_address(local.host, port) if local is not None else "any address"
    try:
        skt = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if adapter is not None:
                bind_to_adapter(skt, adapter)
            apply_datagram_options(skt, control, adapter)
            if shared:
                share_port(skt)
            if local is not None:
                name = local.sockaddr
                skt.bind((name[0], port, *name[2:]))
        except BaseException:
            skt.close()
            raise
    except OSError as problem:
        raise translate(problem, f"bind to {where}") from problem
    return skt


def bind_sockets(
    control: DatagramSocketControl,
    addresses: Iterable[Address],
    port: int,
    adapter: NetworkAdapter | None = None,
) -> list[socket.socket]:
    """Make one socket for each family, bound to the same port.

    Where there are several families, those that this system does not have are left out.

    Args:
        control: what to set on them.
        addresses: the local addresses; the first one of each family counts.
        port: 0 lets the system choose a number that is free on all.
        adapter: the one to send and receive through; None for all.

    Raises:
        SocketException: as ``make_socket``; no socket is left open then.
    """
    of_family: dict[int, Address] = {}
    for address in addresses:
        of_family.setdefault(address.family, address)
    chosen = list(of_family.values())
    for _ in range(_PORT_TRIES - 1):
        try:
            return _bind_all(control, chosen, port, adapter)
        except AddressInUseError:
            # The number that the system chose for the first may be taken for the second.
            if port or len(chosen) == 1:
                raise
    return _bind_all(control, chosen, port, adapter)


def _bind_all(
    control: DatagramSocketControl, addresses: Sequence[Address], port: int, adapter: NetworkAdapter | None
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: list[SocketException] = []
    try:
        for address in addresses:
            try:
                skt = make_socket(control, address.family, address, port, adapter)
            except SocketException as problem:
                if problem.status not in _MISSING_FAMILY:
                    raise
                missing.append(problem)
            else:
                sockets.append(skt)
                port = skt.getsockname()[1]
        if not sockets:
            raise missing[0]
    except BaseException:
        for skt in sockets:
            skt.close()
        raise
    finally:
        # Their tracebacks lead here.
        missing.clear()
    return sockets
