"""Stand-ins for what resolving leans on: a resolver that answers as told, and a reactor of its own time."""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IHostResolution)
class Lookup:
    """One lookup, to be answered by the test."""

    def __init__(self, receiver, name, port, transport):
        self.receiver = receiver
        self.name = name
        self.port = port
        self.transport = transport
        self.cancelled = 0
        receiver.resolutionBegan(self)

    def cancel(self):
        """Note that nobody waits any more."""
        self.cancelled += 1

    def answer(self, *addresses):
        """Give numeric addresses, or addresses of Twisted's own, and complete."""
        for address in addresses:
            if isinstance(address, str):
                kind = IPv6Address if ":" in address else IPv4Address
                address = kind("TCP", address, self.port)  # noqa: PLW2901
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


@implementer(IHostResolution)
class StubbornLookup(Lookup):
    """One that cannot be cancelled, like those of Twisted's own resolver."""

    def cancel(self):
        """Refuse."""
        raise NotImplementedError


@implementer(IHostnameResolver)
class Resolver:
    """Answers at once with what it was given, or, given nothing at all, when the test says so."""

    def __init__(self, *addresses, answers=True, lookup=Lookup):
        self.lookups = []
        self._addresses = addresses
        self._answers = answers
        self._lookup = lookup

    def resolveHostName(self, receiver, name, port=0, address_types=None, transport="TCP"):
        """See IHostnameResolver."""
        lookup = self._lookup(receiver, name, port, transport)
        self.lookups.append(lookup)
        if self._answers:
            lookup.answer(*self._addresses)
        return lookup


class Reactor(Clock):
    """Time that the test moves, and a thread pool that works at once or not at all."""

    def __init__(self, resolver, *, threads=True):
        super().__init__()
        self.nameResolver = resolver
        self._threads = threads

    def getThreadPool(self):
        """See IReactorThreads."""
        return self

    def callInThreadWithCallback(self, on_result, function, *args, **kwargs):
        """See ThreadPool."""
        if not self._threads:
            return
        try:
            result = function(*args, **kwargs)
        except Exception:
            on_result(False, Failure())
        else:
            on_result(True, result)

    def callFromThread(self, function, *args, **kwargs):
        """See IReactorFromThreads."""
        function(*args, **kwargs)


def failing_getaddrinfo(number):
    """A getaddrinfo that raises the resolver's error of that number."""

    def getaddrinfo(*args):
        raise socket.gaierror(number, f"error {number}")

    return getaddrinfo
