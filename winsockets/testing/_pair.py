"""Two connected StreamSockets without a network."""

from __future__ import annotations

from typing import Any

from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.sockets import StreamSocket
from winsockets.sockets._link import global_reactor
from winsockets.testing._faults import NO_FAULTS, Faults
from winsockets.testing._memory_transport import CAPACITY, connect_protocols
from winsockets.transports import StreamProtocol

__all__ = ["stream_socket_pair"]


def stream_socket_pair(
    reactor: Any = None,
    *,
    to_server: Faults = NO_FAULTS,
    to_client: Faults = NO_FAULTS,
    capacity: int = CAPACITY,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[StreamSocket, StreamSocket]:
    """Make two StreamSockets that are connected in memory.

    They behave as over TCP: half close, back pressure, reset, deadlines. What one writes arrives at the
    other in a later turn of the reactor. With a ``twisted.internet.task.Clock`` for a reactor nothing
    arrives before ``clock.advance(0)``, which delivers everything that is not delayed, and so a test needs
    no reactor that runs and no real time.

    Args:
        reactor: an IReactorTime; the installed reactor when left out.
        to_server: what goes wrong on the way to the server.
        to_client: what goes wrong on the way to the client.
        capacity: the bytes that the "system" holds in each direction, at least 1; writes wait beyond.
        limits: the bounds and deadlines of both sockets.

    Returns:
        The client's socket and the server's. Close both: a connection that is left open may leave a
        delayed call in the reactor.

    Raises:
        InvalidArgumentError: the capacity is less than 1.
    """
    reactor = global_reactor(reactor)
    client, server = StreamProtocol(reactor, limits), StreamProtocol(reactor, limits)
    connect_protocols(client, server, reactor, to_server=to_server, to_client=to_client, capacity=capacity)
    return (
        StreamSocket.from_protocol(client, reactor=reactor),
        StreamSocket.from_protocol(server, reactor=reactor),
    )
