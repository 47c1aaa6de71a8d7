"""Between hosts: what the settings of sockets do to the packets that the other side sees."""

from __future__ import annotations

import socket as system
from contextlib import ExitStack
from itertools import repeat

import pytest
import pytest_twisted

from tests.networks import lan, network, routed_hosts, tunnel, two_hosts
from tests.sockets.crossing import (
    FAMILIES,
    connected_to,
    ended,
    listening_in,
    read,
    receiver_in,
    started_in,
    stream_from,
    stream_to,
)
from winsockets.errors import MessageTooLongError, SocketErrorStatus, SocketException
from winsockets.networking import HostName, NetworkAdapter
from winsockets.sockets import DatagramSocket, SocketQualityOfService

LOW_LATENCY = SocketQualityOfService.LOW_LATENCY
EXPEDITED = 46
TCP = system.IPPROTO_TCP
SYN = 2


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_datagrams_cross_a_router_both_ways(family):
    """A message says from where it came and to which address; an answer goes back there."""
    with routed_hosts() as (one, _, other):
        receiver, messages = await receiver_in(other, None)
        sender, answers = await connected_to(one, other.address(family), receiver.information.local_port)
        async with receiver, sender:
            await sender.output_stream.write_async(b"there")
            message = await anext(messages)
            assert message.data == b"there"
            assert message.remote_address == HostName(one.address(family))
            assert message.local_address == HostName(other.address(family))
            back = await receiver.get_output_stream_async(message.remote_address, message.remote_port)
            await back.write_async(b"back")
            assert (await anext(answers)).data == b"back"


@pytest.mark.parametrize("way", ["a cable", "a router", "a link that carries packets one by one"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_batches_arrive_as_datagrams_whatever_the_way_is(family, way):
    """What the system joins on one host is taken apart on the way or at the other end, in order."""
    with ExitStack() as stack:
        if way == "a cable":
            one, other = stack.enter_context(two_hosts())
        elif way == "a router":
            one, _, other = stack.enter_context(routed_hosts(mtu=1280))
        else:
            built = stack.enter_context(network())
            one, other = built.host(), built.host()
            stack.enter_context(tunnel(built, one, other))
        receiver, messages = await receiver_in(other, other.address(family))
        sender, _ = await connected_to(one, other.address(family), receiver.information.local_port)
        async with receiver, sender:
            for size in (0, 1, 1200):
                data = [bytes([number]) * size for number in range(50)]
                assert await sender.output_stream.write_many_async(data) == 50 * size
                assert [(await anext(messages)).data for _ in data] == data
                writes = [sender.output_stream.write_async(each) for each in data]
                assert [await write for write in writes] == [size] * 50
                assert [(await anext(messages)).data for _ in data] == data


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_the_hop_limit_counts_routers(family):
    """It leaves as it was set, at any time, and each router takes one; at the last one the datagram ends."""
    with routed_hosts() as (one, router, other):
        receiver, messages = await receiver_in(other, other.address(family))
        port = receiver.information.local_port
        sender = DatagramSocket()
        sender.control.outbound_unicast_hop_limit = 99
        with router.capture() as near, other.capture() as far:
            async with receiver, sender:
                stream = await stream_to(one, sender, other.address(family), port)
                await stream.write_async(b"first")
                await anext(messages)
                sender.control.outbound_unicast_hop_limit = 2
                await stream.write_async(b"second")
                await anext(messages)
                sender.control.outbound_unicast_hop_limit = 1
                await stream.write_async(b"third")
                sender.control.outbound_unicast_hop_limit = 128
                await stream.write_async(b"fourth")
                assert (await anext(messages)).data == b"fourth"
                assert [packet.hops for packet in near.datagrams(port)] == [99, 2, 1, 128]
                assert [packet.hops for packet in far.datagrams(port)] == [98, 1, 127]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_the_hop_limit_of_a_connection_counts_routers(family):
    """In both directions each has its own."""
    with routed_hosts() as (one, _, other):
        listener, connections, port = await listening_in(
            other, other.address(family), outbound_unicast_hop_limit=50
        )
        with one.capture() as here, other.capture() as there:
            async with listener:
                stream = await stream_from(one, other.address(family), port, outbound_unicast_hop_limit=60)
                async with stream, await anext(connections):
                    (syn,) = there.seen(lambda packet: packet.protocol == TCP and packet.flags == SYN)
                    assert syn.hops == 59
                    (answer,) = here.seen(lambda packet: packet.protocol == TCP and packet.flags == SYN | 16)
                    assert answer.hops == 49


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("quality", SocketQualityOfService)
@pytest_twisted.ensureDeferred
async def test_low_latency_is_a_class_of_service_on_the_wire(family, quality):
    """Expedited forwarding, of datagrams and of both directions of a connection; otherwise none."""
    dscp = EXPEDITED if quality is LOW_LATENCY else 0
    with two_hosts() as (one, other), other.capture() as capture:
        receiver, messages = await receiver_in(other, other.address(family))
        sender = DatagramSocket()
        sender.control.quality_of_service = quality
        async with receiver, sender:
            port = receiver.information.local_port
            stream = await stream_to(one, sender, other.address(family), port)
            await stream.write_async(b"x")
            await anext(messages)
            (packet,) = capture.datagrams(port)
            assert packet.dscp == dscp
        listener, connections, port = await listening_in(
            other, other.address(family), quality_of_service=quality
        )
        async with listener:
            stream = await stream_from(one, other.address(family), port, quality_of_service=quality)
            async with stream, await anext(connections) as accepted:
                await stream.output_stream.write_async(b"x")
                assert await read(accepted, 1) == b"x"
                await accepted.output_stream.write_async(b"y")
                assert await read(stream, 1) == b"y"
                segments = capture.seen(lambda packet: packet.protocol == TCP and packet.payload)
                assert [packet.payload for packet in segments] == [b"x", b"y"]
                assert {packet.dscp for packet in segments} == {dscp}


# Path MTU


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_is_too_long_for_a_network_is_divided(family):
    """It arrives whole; the other side has seen fragments."""
    with routed_hosts(mtu=1280) as (one, _, other), other.capture() as capture:
        receiver, messages = await receiver_in(other, other.address(family))
        async with receiver, DatagramSocket() as sender:
            stream = await stream_to(one, sender, other.address(family), receiver.information.local_port)
            data = bytes(range(256)) * 20
            for _ in range(2):
                # The first of IPv6 may be lost: the router says how long it may be.
                await stream.write_async(data)
            assert (await anext(messages)).data == data
            fragments = capture.seen(lambda packet: packet.fragment is not None)
            assert len(fragments) >= 5
            assert not any(packet.dont_fragment for packet in fragments)


@pytest_twisted.ensureDeferred
async def test_a_router_may_divide_what_is_sent_over_ipv4():
    """The first datagram arrives already, over a path that is narrower further on."""
    with routed_hosts(mtu=1280) as (one, _, other), one.capture() as here, other.capture() as there:
        receiver, messages = await receiver_in(other, other.ipv4)
        async with receiver, DatagramSocket() as sender:
            port = receiver.information.local_port
            stream = await stream_to(one, sender, other.ipv4, port)
            await stream.write_async(bytes(1400))
            assert (await anext(messages)).data == bytes(1400)
            (packet,) = here.datagrams(port)
            assert packet.fragment is None
            assert not packet.dont_fragment
            assert len(there.seen(lambda packet: packet.fragment is not None)) == 2


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_may_not_be_divided_fails_at_once_when_it_is_too_long_for_the_interface(family):
    """MESSAGE_TOO_LONG of the write; the largest that fits arrives, with the bit that says so."""
    fits = 1500 - (28 if family == system.AF_INET else 48)
    with two_hosts() as (one, other), other.capture() as capture:
        receiver, messages = await receiver_in(other, other.address(family))
        sender = DatagramSocket()
        sender.control.dont_fragment = True
        async with receiver, sender:
            port = receiver.information.local_port
            stream = await stream_to(one, sender, other.address(family), port)
            with pytest.raises(MessageTooLongError) as caught:
                await stream.write_async(bytes(fits + 1))
            assert caught.value.status is SocketErrorStatus.MESSAGE_TOO_LONG
            await stream.write_async(bytes(fits))
            assert len((await anext(messages)).data) == fits
            (packet,) = capture.datagrams(port)
            assert packet.fragment is None
            assert packet.dont_fragment is (family == system.AF_INET)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_narrow_network_behind_a_router_makes_itself_known(family):
    """The router answers, and from then on what is too long fails with MESSAGE_TOO_LONG."""
    header = 28 if family == system.AF_INET else 48
    with routed_hosts(mtu=1280) as (one, router, other), one.capture() as capture:
        receiver, messages = await receiver_in(other, other.address(family))
        sender = DatagramSocket()
        sender.control.dont_fragment = True
        sender.message_received += lambda *_: None
        async with receiver, sender:
            stream = await stream_to(one, sender, other.address(family), receiver.information.local_port)
            for size in repeat(1400):
                if isinstance(await ended(stream.write_async(bytes(size))), MessageTooLongError):
                    break
            (answer, *_) = capture.seen(
                lambda packet: (packet.kind, packet.code) in {(3, 4), (2, 0)} and not packet.outgoing
            )
            assert answer.source == router.address(family)
            await stream.write_async(bytes(1280 - header))
            assert len((await anext(messages)).data) == 1280 - header


# Broadcast


@pytest.mark.parametrize("address", ["255.255.255.255", "the network's"])
@pytest_twisted.ensureDeferred
async def test_a_broadcast_reaches_every_host(address):
    """Without a switch to set; the message says that it was one, and an answer comes from a host."""
    with lan(3) as hosts:
        sender, *others = hosts
        destination = others[0].ports[0].subnet_broadcast if address == "the network's" else address
        async with DatagramSocket() as socket:
            answers = socket.messages()
            await started_in(sender, socket.bind_service_name_async, "")
            receivers = [await receiver_in(host, None, 4000) for host in others]
            stream = await socket.get_output_stream_async(destination, 4000)
            # Through the adapters that are there
            await started_in(sender, stream.write_async, b"who is there?")
            for receiver, messages in receivers:
                message = await anext(messages)
                assert message.data == b"who is there?"
                assert message.local_address == HostName(destination)
                assert message.remote_address == HostName(sender.ipv4)
                back = await receiver.get_output_stream_async(message.remote_address, message.remote_port)
                await back.write_async(b"I am")
            found = {(await anext(answers)).remote_address for _ in others}
            assert found == {HostName(host.ipv4) for host in others}
            for receiver, _ in receivers:
                receiver.close()


@pytest_twisted.ensureDeferred
async def test_a_broadcast_leaves_through_the_adapter_of_the_socket():
    """255.255.255.255 needs no route then, and does not reach the other network."""
    with network() as built:
        middle, left, right = built.host(), built.host(), built.host()
        built.join(middle, left)
        built.join(middle, right)
        async with DatagramSocket() as socket:
            with middle:
                adapter = NetworkAdapter.from_name(middle.ports[1].name)
            await started_in(middle, socket.bind_service_name_async, "", adapter)
            with left.capture() as on_the_left, right.capture() as on_the_right:
                stream = await socket.get_output_stream_async("255.255.255.255", 4000)
                await started_in(middle, stream.write_async, b"anybody there?")
                (packet,) = await on_the_right.wait_for_datagrams(4000)
                assert packet.source == middle.ports[1].ipv4
                assert on_the_left.datagrams(4000) == []


# Addresses of a link


@pytest_twisted.ensureDeferred
async def test_hosts_of_a_link_reach_each_other_by_its_addresses():
    """With the zone, which is each host's own; an answer goes to the address that a message tells."""
    with two_hosts() as (one, other):
        here, there = (port.link_local for port in (one.ports[0], other.ports[0]))
        zone, far_zone = one.ports[0].index, other.ports[0].index
        receiver, messages = await receiver_in(other, None, 4000)
        sender, answers = await connected_to(one, f"{there}%{zone}", 4000)
        async with receiver, sender:
            await sender.output_stream.write_async(b"over the link")
            message = await anext(messages)
            assert message.data == b"over the link"
            assert message.remote_address == HostName(f"{here}%{far_zone}")
            back = await receiver.get_output_stream_async(message.remote_address, message.remote_port)
            await back.write_async(b"back")
            assert (await anext(answers)).data == b"back"
        listener, connections, port = await listening_in(other, f"{there}%{far_zone}")
        async with listener, await stream_from(one, f"{there}%{zone}", port) as stream:
            assert stream.information.remote_address == HostName(f"{there}%{zone}")
            async with await anext(connections) as accepted:
                assert accepted.information.remote_address == HostName(f"{here}%{far_zone}")


# Nobody there


@pytest_twisted.ensureDeferred
async def test_a_network_without_ipv6_is_served_over_ipv4():
    """A bind to everything leaves out what the system has not; nothing fails."""
    with two_hosts() as (one, other):
        for host in (one, other):
            host.set("ipv6/conf/all/disable_ipv6", 1)
        receiver, messages = await receiver_in(other, None)
        sender, _ = await connected_to(one, other.ipv4, receiver.information.local_port)
        async with receiver, sender:
            await sender.output_stream.write_async(b"four")
            assert (await anext(messages)).remote_address == HostName(one.ipv4)
        listener, _, port = await listening_in(other, None)
        async with listener, await stream_from(one, other.ipv4, port) as stream:
            assert stream.information.remote_address == HostName(other.ipv4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_without_interfaces_the_network_is_unreachable(family):
    """For datagrams, for connects of both kinds, and for a socket that was connected before."""
    with two_hosts() as (one, other):
        connected, _ = await connected_to(one, other.address(family), 4000)
        async with connected, DatagramSocket() as socket, DatagramSocket() as late:
            stream = await stream_to(one, socket, other.address(family), 4000)
            one.ports[0].down()
            for attempt in (
                lambda: stream.write_async(b"x"),
                lambda: connected.output_stream.write_async(b"x"),
                lambda: started_in(one, late.connect_async, other.address(family), 4000),
                lambda: stream_from(one, other.address(family), 4000),
            ):
                with pytest.raises(SocketException) as caught:
                    await attempt()
                assert caught.value.status is SocketErrorStatus.NETWORK_IS_UNREACHABLE
