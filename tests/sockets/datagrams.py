"""What the tests of DatagramSocket stand on."""

from __future__ import annotations

import socket as system
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.networking.resolvers import Resolver
from winsockets.errors import SocketErrorStatus, SocketException
from winsockets.foundation import AsyncOperation
from winsockets.sockets import DatagramSocket
from winsockets.sockets._datagram_inbox import MessageQueue
from winsockets.testing import install_resolver

HOSTS = ("127.0.0.1", "::1")

__all__ = ["HOSTS", "names", "outcome", "pending_names", "receiver_on", "status_of", "system_sockets"]


def system_sockets(socket: DatagramSocket) -> list[system.socket]:
    """The sockets of the system behind one, IPv6 first."""
    return [transport.socket for transport in socket._link.transports.values()]


async def receiver_on(
    host: Any, service: Any = 0, socket: DatagramSocket | None = None
) -> tuple[DatagramSocket, MessageQueue]:
    """A socket that is bound to an address, and its messages."""
    receiver = socket or DatagramSocket()
    messages = receiver.messages()
    await receiver.bind_endpoint_async(host, service)
    return receiver, messages


def outcome(operation: AsyncOperation[Any]) -> Any:
    """The result of an operation that has ended, or its error."""
    try:
        return operation.get_results()
    except SocketException as problem:
        return problem


def status_of(operation: AsyncOperation[Any]) -> SocketErrorStatus:
    """The status of an operation that has failed."""
    problem = outcome(operation)
    assert isinstance(problem, SocketException)
    return problem.status


@contextmanager
def names(**answers: list[str]) -> Iterator[None]:
    """Let names resolve as the test says, ``both="::1 127.0.0.1"`` for instance."""
    from twisted.internet import reactor

    with install_resolver(reactor, {name: text.split() for name, text in answers.items()}):
        yield


@contextmanager
def pending_names() -> Iterator[Resolver]:
    """Let no name resolve before the test answers."""
    from twisted.internet import reactor

    resolver = Resolver(answers=False)
    before = reactor.installNameResolver(resolver)
    try:
        yield resolver
    finally:
        reactor.installNameResolver(before)
