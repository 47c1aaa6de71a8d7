"""Names that resolve as a test says."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

from winsockets.networking import HostName

__all__ = ["MemoryResolver", "install_resolver"]

_NO_ADDRESS = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)


@contextmanager
def install_resolver(
    reactor: IReactorPluggableNameResolver, names: Mapping[str, Sequence[str] | OSError]
) -> Iterator[MemoryResolver]:
    """Let names resolve as a test says, and no others, as long as the ``with`` block lasts.

    ``with install_resolver(reactor, {"example.test": ["127.0.0.1", "::1"]}): ...``. Everything that asks
    the reactor goes by it: this library and Twisted's endpoints. The system is never asked.

    Args:
        reactor: where the resolver is installed; the one before comes back at the end.
        names: the numeric addresses of each name, in the order in which they are answered; none for a name
            that has no address (NO_DATA_RECORD_OF_REQUESTED_TYPE where the system has that error,
            HOST_NOT_FOUND elsewhere); or the error that looking it up ends with, such as
            ``socket.gaierror(socket.EAI_AGAIN, "try again")``. All other names are HOST_NOT_FOUND.

    Returns:
        A context manager that yields the resolver, which notes what it is asked in ``asked``.

    Raises:
        ValueError: an address is not numeric, or a name is not a host name.
    """
    resolver = MemoryResolver(names)
    before = reactor.installNameResolver(resolver)
    try:
        yield resolver
    finally:
        reactor.installNameResolver(before)


@implementer(IHostResolution)
class _Resolution:
    """A lookup that has ended when it begins.

    Attributes:
        name: what was looked up.
        problem: why there was no answer, which an IResolutionReceiver cannot be told.
    """

    def __init__(self, name: str, problem: OSError | None) -> None:
        self.name = name
        self.problem = problem

    def cancel(self) -> None:
        """Nothing to do: it has ended."""


@implementer(IHostnameResolver)
class MemoryResolver:
    """Answers at once with what it was given.

    Args:
        names: see ``install_resolver``.

    Attributes:
        asked: the names that were asked for, in order.
    """

    def __init__(self, names: Mapping[str, Sequence[str] | OSError]) -> None:
        self._answers: dict[str, list[str] | OSError] = {
            HostName(name).canonical_name: answer if isinstance(answer, OSError) else list(answer)
            for name, answer in names.items()
        }
        for answer in self._answers.values():
            for address in [] if isinstance(answer, OSError) else answer:
                ip_address(address)
        self.asked: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See IHostnameResolver."""
        self.asked.append(hostName)
        answer = self._answers.get(HostName(hostName).canonical_name)
        problem: OSError | None = None
        if isinstance(answer, OSError):
            problem, answer = answer, []
        elif answer is None:
            problem, answer = socket.gaierror(socket.EAI_NONAME, "no such name in the test"), []
        elif not answer:
            problem = socket.gaierror(_NO_ADDRESS, "no address for this name in the test")
        resolution = _Resolution(hostName, problem)
        resolutionReceiver.resolutionBegan(resolution)
        for host in answer:
            kind: Any = IPv6Address if ":" in host else IPv4Address
            if addressTypes is None or kind in addressTypes:
                resolutionReceiver.addressResolved(kind(transportSemantics, host, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution
