"""From a host name to the addresses to try, through the resolver that the reactor has installed."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorThreads,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from winsockets.errors import (
    ConnectionTimedOutError,
    NameResolutionError,
    SocketErrorStatus,
    translate,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking._address import Address, interface_index, literal_address
from winsockets.networking._hostname import HostName
from winsockets.networking._kinds import HostNameType
from winsockets.networking._services import Transport

__all__ = ["GetAddrInfo", "IResolvingReactor", "resolve"]

GetAddrInfo = Callable[[str, int, int, int], object]
"""``socket.getaddrinfo`` as far as it is used here: host, port, family, type."""

# The full stops that UTS 46 takes for one.
_DOTS = frozenset(".\u3002\uff0e\uff61")
_SOCKET_TYPE = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class IResolvingReactor(IReactorTime, IReactorThreads, IReactorPluggableNameResolver):
    """What resolving a name takes of a reactor: time, threads and a name resolver."""


async def resolve(
    host: HostName,
    port: int,
    *,
    reactor: IResolvingReactor,
    transport: Transport = "tcp",
    timeout: float = DEFAULT_LIMITS.resolve_timeout,
    max_addresses: int = DEFAULT_LIMITS.max_addresses,
    getaddrinfo: GetAddrInfo = socket.getaddrinfo,
) -> list[Address]:
    """Find the addresses of a host.

    An address needs no lookup and is returned in the same turn. A name goes to the resolver that is
    installed on the reactor; what that finds is kept in its order (the system's is that of RFC 6724)
    without duplicates. A name that was written with a trailing dot is looked up with it.

    Cancelling cancels the lookup where the resolver can do that (Twisted's own cannot: its thread ends
    by itself and is not waited for) and leaves no delayed call.

    Args:
        host: whom to find.
        port: the port that the addresses shall have.
        reactor: gives resolver, time and threads.
        transport: what the addresses are for.
        timeout: seconds for everything together.
        max_addresses: how many addresses to keep, the first ones.
        getaddrinfo: asked, in the reactor's thread pool, for the reason when the resolver found
            nothing, because resolvers say no more than that; unless the IHostResolution has a ``problem``,
            an OSError, to say it with.

    Returns:
        At least one address.

    Raises:
        NameResolutionError: HOST_NOT_FOUND, NO_DATA_RECORD_OF_REQUESTED_TYPE,
            NON_AUTHORITATIVE_HOST_NOT_FOUND (errno is the resolver's number), or NO_ADDRESSES_FOUND when
            the resolver found nothing although the system knows the name.
        ConnectionTimedOutError: the time is up.
        SocketException: ADDRESS_FAMILY_NOT_SUPPORTED, the host is a Bluetooth address.

    Source: WinRT StreamSocket.ConnectAsync, GetEndpointPairsAsync; RFC 6724.
    """
    action = f"resolve {host}"
    if host.type is HostNameType.BLUETOOTH:
        raise translate(OSError(errno.EAFNOSUPPORT, "no Bluetooth sockets"), action)
    if host.type is not HostNameType.DOMAIN_NAME:
        return [literal_address(host, port)]

    # The dot keeps the resolver from trying the name below the domains of its search list.
    name = f"{host.canonical_name}." if host.raw_name[-1] in _DOTS else host.canonical_name

    async def look_up() -> list[Address]:
        _check_descriptors(action)
        found, reason = await _ask(reactor.nameResolver, name, port, transport, max_addresses)
        if found:
            return found
        if reason is not None:
            raise translate(reason, action)
        kind = _SOCKET_TYPE[transport]
        try:
            await deferToThreadPool(
                reactor, reactor.getThreadPool(), getaddrinfo, name, port, socket.AF_UNSPEC, kind
            )
        except OSError as problem:
            raise translate(problem, action) from problem
        raise NameResolutionError(
            f"{action}: the resolver of the reactor found no address, though the system's knows the name; "
            "check which resolver is installed",
            status=SocketErrorStatus.NO_ADDRESSES_FOUND,
        )

    def too_late(_: object, seconds: float) -> list[Address]:
        raise ConnectionTimedOutError(
            f"{action}: no answer within {seconds:g} s; check the name servers, or raise resolve_timeout"
        )

    return await Deferred.fromCoroutine(look_up()).addTimeout(timeout, reactor, too_late)


def _check_descriptors(action: str) -> None:
    """Refuse a lookup for which there is no descriptor.

    The resolver opens files and sockets; where it cannot, Twisted's never answers.

    Raises:
        SocketException: TOO_MANY_OPEN_FILES.
    """
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as problem:
        raise translate(problem, action) from problem


async def _ask(
    resolver: IHostnameResolver, name: str, port: int, transport: Transport, max_addresses: int
) -> tuple[list[Address], OSError | None]:
    answer = _Answer(port, max_addresses)
    resolution = resolver.resolveHostName(answer, name, port, None, transport.upper())
    try:
        found = await answer.complete
    except CancelledError:
        with suppress(NotImplementedError):  # what Twisted's own resolver says to it
            resolution.cancel()
        raise
    return found, getattr(resolution, "problem", None)


@implementer(IResolutionReceiver)
class _Answer:
    """Collects the addresses of one lookup, up to a bound."""

    def __init__(self, port: int, max_addresses: int) -> None:
        self.complete: Deferred[list[Address]] = Deferred()
        self._port = port
        self._max_addresses = max_addresses
        self._found: dict[Address, None] = {}

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See IResolutionReceiver; `resolve` keeps what ``resolveHostName`` returned instead."""

    def addressResolved(self, address: IAddress) -> None:
        """See IResolutionReceiver."""
        if len(self._found) >= self._max_addresses:
            return
        if isinstance(address, IPv4Address):
            self._found.setdefault(Address.ipv4(address.host, self._port))
        elif isinstance(address, IPv6Address):
            literal, _, zone = address.host.partition("%")
            scope_id = interface_index(str(address.scopeID or zone or 0))
            self._found.setdefault(Address.ipv6(literal, self._port, scope_id))

    def resolutionComplete(self) -> None:
        """See IResolutionReceiver."""
        if not self.complete.called:
            self.complete.callback(list(self._found))
