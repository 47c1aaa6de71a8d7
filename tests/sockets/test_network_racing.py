"""Names with several addresses, between hosts: one that is silent or refused does not keep others waiting."""

from __future__ import annotations

import socket as system

import pytest
import pytest_twisted

from tests.networks import (
    Delivery,
    DestinationUnreachable,
    answering_with,
    network,
    parse,
    tunnel,
    two_hosts,
)
from tests.sockets.crossing import connected_to, ended, listening_in, read, receiver_in
from tests.sockets.datagrams import names
from tests.transports.loopback import limits
from winsockets.errors import SocketErrorStatus
from winsockets.networking import HostName
from winsockets.sockets import StreamSocket

NO_ROUTE = DestinationUnreachable(1, 0)
V6 = system.AF_INET6


def on_ipv6(fate):
    """What becomes of IPv6; IPv4 is carried."""
    return lambda raw: fate(raw) if parse(raw).family == V6 else [Delivery(raw)]


@pytest.mark.parametrize("fate", [lambda raw: (), answering_with(NO_ROUTE, "192.0.2.9", "2001:db8::9")])
@pytest_twisted.ensureDeferred
async def test_an_address_without_a_way_gives_room_to_the_next(fate):
    """Whether the network is silent or says so: over IPv6 nothing comes, over IPv4 there is a connection."""
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other, on_ipv6(fate)) as link:
            listener, connections, port = await listening_in(other, None)
            socket = StreamSocket()
            socket.control.limits = limits(connection_attempt_delay=0.01)
            async with listener, socket:
                with names(peer=f"{other.ipv6} {other.ipv4}"), one:
                    # Later attempts are made inside too.
                    await socket.connect_async("peer", port)
                assert socket.information.remote_address == HostName(other.ipv4)
                async with await anext(connections) as accepted:
                    await accepted.output_stream.write_async(b"over IPv4")
                    assert await read(socket, 9) == b"over IPv4"
            tried = [parse(raw) for raw in link.passed]
            assert any(packet.family == V6 and packet.destination_port == int(port) for packet in tried)


@pytest_twisted.ensureDeferred
async def test_of_two_ways_the_preferred_one_is_taken():
    """IPv6, when both are good."""
    with two_hosts() as (one, other):
        listener, connections, port = await listening_in(other, None)
        async with listener, StreamSocket() as socket:
            with names(peer=f"{other.ipv6} {other.ipv4}"), one:
                await socket.connect_async("peer", port)
            assert socket.information.remote_address == HostName(other.ipv6)
            (await anext(connections)).close()


@pytest_twisted.ensureDeferred
async def test_datagrams_go_to_the_first_address_with_a_way_to_it():
    """The system knows that without asking the network."""
    with two_hosts() as (one, other):
        one.ip("route del ::/0 dev net1")
        receiver, messages = await receiver_in(other, None, 4000)
        with names(peer=f"2001:db8::1 {other.ipv4}"):
            sender, _ = await connected_to(one, "peer", 4000)
        async with receiver, sender:
            await sender.output_stream.write_async(b"over IPv4")
            assert (await anext(messages)).remote_address == HostName(one.ipv4)


@pytest_twisted.ensureDeferred
async def test_when_nobody_answers_the_connect_ends_with_the_limit():
    """CONNECTION_TIMED_OUT, with the addresses that were tried."""
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other, lambda raw: ()):
            async with StreamSocket() as socket:
                socket.control.limits = limits(connection_attempt_delay=0.01, connect_timeout=0.1)
                with names(peer=f"{other.ipv6} {other.ipv4}"), one:
                    problem = await ended(socket.connect_async("peer", 4000))
                assert problem.status is SocketErrorStatus.CONNECTION_TIMED_OUT
                assert other.ipv4 in str(problem)
                assert other.ipv6 in str(problem)
