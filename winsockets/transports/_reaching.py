"""From a host name to a connection: resolve, choose the local side, race."""

from __future__ import annotations

from collections.abc import Sequence
from socket import AF_INET
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from winsockets.errors import SocketErrorStatus, SocketException
from winsockets.foundation import Limits
from winsockets.networking import HostName
from winsockets.networking._address import Address
from winsockets.networking._destination import Destination
from winsockets.networking._locating import locate
from winsockets.networking._name_servers import NameServer
from winsockets.networking._racing import interleave
from winsockets.networking._resolution import resolve
from winsockets.transports._adapter_binding import lookup_through, within_adapter
from winsockets.transports._connecting import Connecting, connect_stream
from winsockets.transports._socket_options import StreamOptions

__all__ = ["reach"]


async def reach(
    wanted: Destination,
    factory: IProtocolFactory,
    *,
    reactor: Any,
    options: StreamOptions,
    limits: Limits,
    serialize: bool = False,
    local_host: HostName | None = None,
    local_port: int = 0,
    name_servers: Sequence[NameServer] = (),
) -> Any:
    """Connect a protocol to a service of a host.

    The addresses of a host are tried in turns of the families; the targets of a service one after the other,
    in the order of ``locate``.

    Args:
        wanted: where to.
        factory: builds the protocol once there is a connection.
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver.
        options: socket options.
        limits: deadlines and bounds.
        serialize: one attempt at a time.
        local_host: where to connect from; None leaves it to the system.
        local_port: which port to connect from; 0 for any.
        name_servers: whom to ask; none for those of the system. The local host is looked up by the system.

    Returns:
        The protocol, connected.

    Raises:
        SocketException: as ``locate`` and ``connect_stream`` say; ADDRESS_FAMILY_NOT_SUPPORTED when the host
            has no address of the local address's family; E_INVALIDARG when one of the two has only addresses
            in zones of other adapters than ``options.adapter``.
    """
    adapter = options.adapter
    found = await locate(
        wanted,
        reactor=reactor,
        limits=limits,
        name_servers=name_servers,
        prepare=None if adapter is None else lookup_through(adapter),
    )
    addresses = [address for group in found for address in interleave(group)]
    if adapter is not None:
        addresses = within_adapter(addresses, adapter, f"connect to {wanted}")
    sources: list[Address] = []
    if local_host is not None:
        sources = await resolve(
            local_host,
            local_port,
            reactor=reactor,
            timeout=limits.resolve_timeout,
            max_addresses=limits.max_addresses,
        )
        if adapter is not None:
            sources = within_adapter(sources, adapter, f"connect to {wanted}")
    elif local_port:
        # The local port is bound in one family, that of the best address.
        is_ipv4 = addresses[0].family == AF_INET
        sources = [Address.ipv4("0.0.0.0", local_port) if is_ipv4 else Address.ipv6("::", local_port)]
    local: Address | None = None
    if sources:
        local, addresses = _match(sources, addresses, wanted)
    how = Connecting(
        reactor=reactor,
        target=str(wanted),
        options=options,
        limits=limits,
        # Only one attempt at a time can have a certain local port.
        serialize=serialize or local_port > 0,
        local=local,
    )
    return await connect_stream(how, addresses, factory)


def _match(
    sources: list[Address], addresses: list[Address], wanted: Destination
) -> tuple[Address, list[Address]]:
    """Keep the remote addresses of the first local address's family that has any."""
    for source in sources:
        reachable = [address for address in addresses if address.family == source.family]
        if reachable:
            return source, reachable
    raise SocketException(
        f"connect to {wanted.host}: it has no address of the family of the local address {sources[0].host}",
        status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
    )
