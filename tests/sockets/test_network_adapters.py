"""Adapters that go away under sockets that use them, and what is left then."""

from __future__ import annotations

import socket as system

import pytest
import pytest_twisted

from tests.networks import network, two_hosts
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
from winsockets.errors import AddressNotAvailableError, NetworkUnreachableError, SocketErrorStatus
from winsockets.networking import HostName, NetworkAdapter
from winsockets.sockets import DatagramSocket, StreamSocketListener
from winsockets.streams import DataReader

Status = SocketErrorStatus
GROUP = {system.AF_INET: "239.1.2.3", system.AF_INET6: "ff15::1:2:3"}
NO_WAY = {Status.NETWORK_IS_UNREACHABLE, Status.NETWORK_IS_DOWN}


def adapter_of(host, port=None):
    """The adapter of one of a host's interfaces."""
    with host:
        return NetworkAdapter.from_name((port or host.ports[0]).name)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_socket_bound_to_an_adapter_outlives_it(family):
    """What it sends fails, with a status of the network; it is not closed, and ends as ever."""
    with two_hosts() as (one, other):
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await started_in(one, socket.bind_service_name_async, 4000, adapter_of(one))
            stream = await socket.get_output_stream_async(other.address(family), 4000)
            group = await socket.get_output_stream_async(GROUP[family], 4000)
            await stream.write_async(b"there")
            one.ports[0].unplug()
            for way_out in (stream, group):
                for _ in range(2):
                    problem = await ended(way_out.write_async(b"gone"))
                    assert isinstance(problem, NetworkUnreachableError)
                    assert problem.status in NO_WAY
            with one, pytest.raises(AddressNotAvailableError, match="gone"):
                socket.join_multicast_group(GROUP[family])
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_socket_on_all_adapters_goes_on_with_those_that_are_left(family):
    """The groups that it had joined on the one that is gone are gone; those on the other one stay."""
    with network() as built:
        middle, left, right = built.host(), built.host(), built.host()
        built.join(middle, left)
        built.join(middle, right)
        right.ip("route add default dev net2")
        receiver, messages = await receiver_in(middle, None, 4000)
        async with receiver, DatagramSocket() as sender:
            for port in middle.ports:
                adapter = adapter_of(middle, port)
                with middle:
                    receiver.join_multicast_group(GROUP[family], adapter=adapter)
            middle.ports[0].unplug()
            outbound = await receiver.get_output_stream_async(left.address(family), 4000)
            problem = await ended(outbound.write_async(b"lost"))
            assert problem.status is Status.NETWORK_IS_UNREACHABLE
            for address in (middle.ports[1].address(family), GROUP[family]):
                stream = await stream_to(right, sender, address, 4000)
                await stream.write_async(b"still here")
                message = await anext(messages)
                assert message.data == b"still here"
                assert message.local_address == HostName(address)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_connected_datagram_socket_finds_its_way_again(family):
    """While the adapter is down there is none."""
    with two_hosts() as (one, other):
        receiver, messages = await receiver_in(other, other.address(family))
        sender, _ = await connected_to(one, other.address(family), receiver.information.local_port)
        async with receiver, sender:
            one.ports[0].down()
            problem = await ended(sender.output_stream.write_async(b"down"))
            assert problem.status is Status.NETWORK_IS_UNREACHABLE
            one.ports[0].up()
            if family == system.AF_INET6:
                # Addresses of IPv6 are lost with the interface.
                one.ip(f"addr add {one.ipv6}/64 dev net1 nodad")
                one.settle()
            await sender.output_stream.write_async(b"up again")
            assert (await anext(messages)).data == b"up again"


@pytest_twisted.ensureDeferred
async def test_a_host_that_gets_another_address_goes_on_with_it():
    """Sockets that have the old one have no way any more; those on all addresses, and new ones, do."""
    with two_hosts() as (one, other):
        receiver, messages = await receiver_in(other, None, 4000)
        bound, _ = await receiver_in(one, one.ipv4)
        connected, _ = await connected_to(one, other.ipv4, 4000)
        everywhere, _ = await receiver_in(one, None)
        async with receiver, bound, connected, everywhere:
            one.ip(
                f"addr del {one.ipv4}/24 dev net1",
                "addr add 10.0.1.77/24 dev net1",
                "route add default dev net1",
            )
            old = await bound.get_output_stream_async(other.ipv4, 4000)
            for stream in (old, connected.output_stream):
                assert (await ended(stream.write_async(b"lost"))).status is Status.NETWORK_IS_UNREACHABLE
            stream = await everywhere.get_output_stream_async(other.ipv4, 4000)
            await stream.write_async(b"from the new one")
            fresh, _ = await connected_to(one, other.ipv4, 4000)
            async with fresh:
                await fresh.output_stream.write_async(b"from the new one")
                for _ in range(2):
                    message = await anext(messages)
                    assert message.data == b"from the new one"
                    assert message.remote_address == HostName("10.0.1.77")


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_connection_whose_adapter_is_gone_ends_when_the_system_gives_up(family):
    """Not at once: it could come back. Who reads is told then, and who writes."""
    with two_hosts() as (one, other):
        # Sooner than after a quarter of an hour
        one.set("ipv4/tcp_retries2", 0)
        listener, connections, port = await listening_in(other, other.address(family))
        async with listener:
            stream = await stream_from(one, other.address(family), port)
            async with stream, await anext(connections) as accepted:
                await stream.output_stream.write_async(b"there")
                assert await read(accepted, 5) == b"there"
                one.ports[0].unplug()
                await stream.output_stream.write_async(b"gone")
                problem = await ended(DataReader(stream.input_stream).load_async(1))
                assert problem.status in {Status.CONNECTION_TIMED_OUT, Status.NETWORK_IS_UNREACHABLE}
                later = await ended(stream.output_stream.write_async(b"gone"))
                assert later.status is problem.status


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_listener_outlives_an_adapter(family):
    """It goes on serving those that are left."""
    with network() as built:
        middle, left, right = built.host(), built.host(), built.host()
        built.join(middle, left)
        built.join(middle, right)
        listener, connections, port = await listening_in(middle, None)
        async with listener:
            middle.ports[0].unplug()
            stream = await stream_from(right, middle.ports[1].address(family), port)
            async with stream, await anext(connections) as accepted:
                await accepted.output_stream.write_async(b"welcome")
                assert await read(stream, 7) == b"welcome"


@pytest_twisted.ensureDeferred
async def test_an_adapter_that_is_gone_is_refused_by_binds():
    """CANNOT_ASSIGN_REQUESTED_ADDRESS; the sockets can be bound otherwise then."""
    with two_hosts() as (one, _):
        adapter = adapter_of(one)
        one.ports[0].unplug()
        async with DatagramSocket() as socket, StreamSocketListener() as listener:
            listener.connection_received += lambda *_: None
            for thing in (socket, listener):
                with one:
                    arguments = () if thing is socket else (0,)
                    operation = thing.bind_service_name_async(4000, *arguments, adapter)
                problem = await ended(operation)
                assert isinstance(problem, AddressNotAvailableError)
                assert problem.status is Status.CANNOT_ASSIGN_REQUESTED_ADDRESS
                await started_in(one, thing.bind_service_name_async, 4000)
