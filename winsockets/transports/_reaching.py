"""From a host name to a connection: resolve, choose the local side, race."""

from __future__ import annotations

from socket import AF_INET
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from winsockets.errors import SocketErrorStatus, SocketException
from winsockets.foundation import Limits
from winsockets.networking import HostName
from winsockets.networking._address import Address
from winsockets.networking._resolution import resolve
from winsockets.transports._adapter_binding import within_adapter
from winsockets.transports._connecting import Connecting, connect_stream
from winsockets.transports._describe import describe_address
from winsockets.transports._socket_options import StreamOptions

__all__ = ["reach"]


async def reach(
    host: HostName,
    port: int,
    factory: IProtocolFactory,
    *,
    reactor: Any,
    options: StreamOptions,
    limits: Limits,
    serialize: bool = False,
    local_host: HostName | None = None,
    local_port: int = 0,
) -> Any:
    """Connect a protocol to a host.

    Args:
        host: where to.
        port: 1 to 65535.
        factory: builds the protocol once there is a connection.
        reactor: an IReactorFDSet, IReactorTime and IReactorPluggableNameResolver.
        options: socket options.
        limits: deadlines and bounds.
        serialize: one attempt at a time.
        local_host: where to connect from; None leaves it to the system.
        local_port: which port to connect from; 0 for any.

    Returns:
        The protocol, connected.

    Raises:
        SocketException: as ``resolve`` and ``connect_stream`` say; ADDRESS_FAMILY_NOT_SUPPORTED when the host
            has no address of the local address's family; E_INVALIDARG when one of the two has only addresses
            in zones of other adapters than ``options.adapter``.
    """
    target = describe_address(str(host), port)

    async def find(name: HostName, number: int) -> list[Address]:
        found = await resolve(
            name,
            number,
            reactor=reactor,
            timeout=limits.resolve_timeout,
            max_addresses=limits.max_addresses,
        )
        if options.adapter is None:
            return found
        return within_adapter(found, options.adapter, f"connect to {target}")

    addresses = await find(host, port)
    local: Address | None = None
    if local_host is not None:
        local, addresses = _match(await find(local_host, local_port), addresses, host)
    elif local_port:
        # The local port is bound in one family, that of the best address.
        any_address = Address.ipv6("::", local_port)
        if addresses[0].family == AF_INET:
            any_address = Address.ipv4("0.0.0.0", local_port)
        local, addresses = _match([any_address], addresses, host)
    how = Connecting(
        reactor=reactor,
        target=target,
        options=options,
        limits=limits,
        # Only one attempt at a time can have a certain local port.
        serialize=serialize or local_port > 0,
        local=local,
    )
    return await connect_stream(how, addresses, factory)


def _match(sources: list[Address], addresses: list[Address], host: HostName) -> tuple[Address, list[Address]]:
    """Keep the remote addresses of the first local address's family that has any."""
    for source in sources:
        reachable = [address for address in addresses if address.family == source.family]
        if reachable:
            return source, reachable
    raise SocketException(
        f"connect to {host}: it has no address of the family of the local address {sources[0].host}",
        status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED,
    )
