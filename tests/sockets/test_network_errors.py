"""What routers and hosts say of packets they did not deliver, and as which status it comes to the program."""

from __future__ import annotations

import socket as system
from collections import Counter
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import (
    Delivery,
    DestinationUnreachable,
    answering_with,
    lan,
    network,
    outside,
    parse,
    routed_hosts,
    two_hosts,
)
from tests.sockets.crossing import (
    FAMILIES,
    connected_to,
    ended,
    receiver_in,
    started_in,
    stream_from,
    stream_to,
)
from winsockets.errors import (
    AccessDeniedError,
    NetworkUnreachableError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.networking import HostName
from winsockets.sockets import DatagramSocket, StreamSocket

Status = SocketErrorStatus
ROUTERS = ("192.0.2.9", "2001:db8::9")
FAR = {system.AF_INET: "198.51.100.1", system.AF_INET6: "2001:db8:1::1"}

V4, V6 = FAMILIES
SOFT = [
    pytest.param(V4, (3, 0), Status.NETWORK_IS_UNREACHABLE, id="4-net"),
    pytest.param(V4, (3, 1), Status.UNREACHABLE_HOST, id="4-host"),
    pytest.param(V6, (1, 0), Status.NETWORK_IS_UNREACHABLE, id="6-no-route"),
    pytest.param(V6, (1, 3), Status.UNREACHABLE_HOST, id="6-address"),
]
HARD = [
    pytest.param(V4, (3, 6), Status.NETWORK_IS_UNREACHABLE, id="4-net-unknown"),
    pytest.param(V4, (3, 7), Status.HOST_IS_DOWN, id="4-host-unknown"),
    pytest.param(V4, (3, 9), Status.NETWORK_IS_UNREACHABLE, id="4-net-prohibited"),
    pytest.param(V4, (3, 10), Status.UNREACHABLE_HOST, id="4-host-prohibited"),
    pytest.param(V4, (3, 13), Status.UNREACHABLE_HOST, id="4-prohibited"),
]


@contextmanager
def nobody_but(family, kind, code):
    """A host whose network answers everything with an error."""
    with network() as built:
        host = built.host()
        with outside(built, host, answering_with(DestinationUnreachable(kind, code), *ROUTERS)) as link:
            yield host, link


@pytest.mark.parametrize(
    ("family", "saying", "status"),
    [
        *SOFT,
        *HARD,
        pytest.param(V4, (3, 3), Status.CONNECTION_REFUSED, id="4-port"),
        pytest.param(V6, (1, 4), Status.CONNECTION_REFUSED, id="6-port"),
        pytest.param(V6, (1, 1), Status.UNKNOWN, id="6-prohibited"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_connect_fails_with_what_the_network_says(family, saying, status):
    """At once, and the socket can try again."""
    with nobody_but(family, *saying) as (host, _):
        async with StreamSocket() as socket:
            for _ in range(2):
                problem = await ended(started_in(host, socket.connect_async, FAR[family], 4000))
                assert problem.status is status
                assert f"connect to {FAR[family]}" in str(problem)
                assert isinstance(problem, AccessDeniedError) is (status is Status.UNKNOWN)


@pytest.mark.parametrize(
    ("family", "saying", "status"),
    [
        *SOFT,
        *HARD,
        pytest.param(V4, (3, 3), Status.CONNECTION_RESET_BY_PEER, id="4-port"),
        pytest.param(V6, (1, 4), Status.CONNECTION_RESET_BY_PEER, id="6-port"),
        pytest.param(V4, (3, 2), Status.CONNECTION_RESET_BY_PEER, id="4-protocol"),
        pytest.param(V4, (3, 8), Status.UNREACHABLE_HOST, id="4-isolated"),
        pytest.param(V4, (11, 0), Status.NETWORK_DROPPED_CONNECTION_ON_RESET, id="4-hops"),
        pytest.param(V6, (3, 0), Status.NETWORK_DROPPED_CONNECTION_ON_RESET, id="6-hops"),
        pytest.param(V6, (1, 1), Status.UNKNOWN, id="6-prohibited"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_connected_datagram_socket_is_told_what_the_network_says(family, saying, status):
    """As an event; the socket stays, and receives what comes then."""
    with nobody_but(family, *saying) as (host, link):
        sender, messages = await connected_to(host, FAR[family], 4000)
        async with sender:
            for _ in range(3):
                await sender.output_stream.write_async(b"x")
                message = await anext(messages)
                with pytest.raises(SocketException, match=FAR[family]) as caught:
                    message.get_data_reader()
                assert caught.value.status is status
                assert message.remote_address == HostName(FAR[family])
            link.fate = answered
            await sender.output_stream.write_async(b"now there")
            assert (await anext(messages)).data == b"now there"


def answered(raw):
    """Send everything of UDP back to where it came from."""
    packet = parse(raw)
    return () if packet.protocol != system.IPPROTO_UDP else (Delivery(echoed(packet), back=True),)


def echoed(packet):
    """A datagram with its addresses and ports exchanged, which does not change its checksums."""
    raw, size, start = packet.raw, *((4, 12) if packet.family == V4 else (16, 8))
    source, destination = raw[start : start + size], raw[start + size : start + 2 * size]
    body = raw[start + 2 * size :]
    return raw[:start] + destination + source + body[2:4] + body[:2] + body[4:]


def outcome_of(message):
    """The error that came in place of a datagram."""
    with pytest.raises(SocketException) as caught:
        message.get_data_reader()
    return caught.value


# By real routers and hosts


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_thousand_refusals_by_another_host_are_a_thousand_events(family):
    """Of a connected socket, which is as alive then as before."""
    with two_hosts() as (one, other):
        sender, messages = await connected_to(one, other.address(family), 4000)
        async with sender:
            statuses = Counter()
            for _ in range(1000):
                await sender.output_stream.write_async(b"is anybody there?")
                problem = outcome_of(await anext(messages))
                statuses[problem.status] += 1
            assert statuses == {Status.CONNECTION_RESET_BY_PEER: 1000}
            receiver, arrived = await receiver_in(other, other.address(family), 4000)
            async with receiver:
                await sender.output_stream.write_async(b"now there is")
                message = await anext(arrived)
                assert message.data == b"now there is"
                back = await receiver.get_output_stream_async(message.remote_address, message.remote_port)
                await back.write_async(b"so there is")
                assert (await anext(messages)).data == b"so there is"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_host_that_nobody_is_is_told_by_the_router(family):
    """Its neighbours do not answer: UNREACHABLE_HOST, for a connect and as an event."""
    with routed_hosts() as (one, router, other):
        router.find_absent_neighbours_quickly(router.ports[1])
        nobody = other.address(family)[:-1] + "9"
        problem = await ended(stream_from(one, nobody, 4000))
        assert problem.status is Status.UNREACHABLE_HOST
        sender, messages = await connected_to(one, nobody, 4000)
        async with sender:
            await sender.output_stream.write_async(b"is anybody there?")
            assert outcome_of(await anext(messages)).status is Status.UNREACHABLE_HOST


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_host_next_door_that_nobody_is_is_told_by_the_system(family):
    """It has asked for its address on the cable."""
    with two_hosts() as (one, other):
        one.find_absent_neighbours_quickly()
        sender, messages = await connected_to(one, other.address(family)[:-1] + "9", 4000)
        async with sender:
            await sender.output_stream.write_async(b"is anybody there?")
            assert outcome_of(await anext(messages)).status is Status.UNREACHABLE_HOST


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_datagram_whose_hops_are_used_up_is_told_by_the_router(family):
    """NETWORK_DROPPED_CONNECTION_ON_RESET, as Windows says it; with more of them it arrives."""
    with routed_hosts() as (one, _, other):
        receiver, arrived = await receiver_in(other, other.address(family), 4000)
        sender, messages = await connected_to(one, other.address(family), 4000)
        async with receiver, sender:
            sender.control.outbound_unicast_hop_limit = 1
            await sender.output_stream.write_async(b"too short")
            problem = outcome_of(await anext(messages))
            assert problem.status is Status.NETWORK_DROPPED_CONNECTION_ON_RESET
            sender.control.outbound_unicast_hop_limit = 2
            await sender.output_stream.write_async(b"far enough")
            assert (await anext(arrived)).data == b"far enough"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_datagram_that_is_too_long_further_on_is_told_by_the_router(family):
    """MESSAGE_TOO_LONG as an event; the next one fails when it is written."""
    with routed_hosts(mtu=1280) as (one, _, other):
        sender = DatagramSocket()
        sender.control.dont_fragment = True
        sender, messages = await connected_to(one, other.address(family), 4000, sender)
        async with sender:
            assert await sender.output_stream.write_async(bytes(1400)) == 1400
            assert outcome_of(await anext(messages)).status is Status.MESSAGE_TOO_LONG
            assert (
                await ended(sender.output_stream.write_async(bytes(1400)))
            ).status is Status.MESSAGE_TOO_LONG


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_socket_without_a_peer_does_not_mind_refusals(family):
    """Nobody can tell whose datagram it was: no events, and what it sends elsewhere arrives."""
    with lan(3) as (one, two, three), one.capture() as capture:
        receiver, arrived = await receiver_in(three, three.address(family), 4000)
        sender = DatagramSocket()
        messages = sender.messages()
        async with receiver, sender:
            refused = await stream_to(one, sender, two.address(family), 4000)
            heard = await sender.get_output_stream_async(three.address(family), 4000)
            for number in range(20):
                await refused.write_async(b"is anybody there?")
                await heard.write_async(b"%d" % number)
                assert (await anext(arrived)).data == b"%d" % number
            await capture.wait(lambda packet: (packet.kind, packet.code) in {(3, 3), (1, 4)}, 20)
            back = await receiver.get_output_stream_async(one.address(family), sender.information.local_port)
            await back.write_async(b"answer")
            assert (await anext(messages)).data == b"answer"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unreachable", Status.UNREACHABLE_HOST),
        ("prohibit", Status.UNREACHABLE_HOST),
        ("throw", Status.NETWORK_IS_UNREACHABLE),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_router_next_door_that_has_no_way_says_so(kind, status):
    """As its routing table has it, and before the system has begun to wait for an answer."""
    with routed_hosts() as (one, router, _):
        router.ip(f"route add {kind} {FAR[V4]}/32")
        for _ in range(2):
            problem = await ended(stream_from(one, FAR[V4], 4000))
            assert problem.status is status


@pytest.mark.parametrize(
    ("kind", "error"), [("unreachable", NetworkUnreachableError), ("prohibit", AccessDeniedError)]
)
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_the_own_routing_table_refuses_at_once(family, kind, error):
    """Datagrams and connections alike."""
    with two_hosts() as (one, _):
        one.ip(f"route add {kind} {FAR[family]}/{32 if family == V4 else 128}")
        assert type(await ended(stream_from(one, FAR[family], 4000))) is error
        assert type(await ended(connected_to(one, FAR[family], 4000))) is error
        async with DatagramSocket() as socket:
            stream = await stream_to(one, socket, FAR[family], 4000)
            assert type(await ended(stream.write_async(b"x"))) is error
