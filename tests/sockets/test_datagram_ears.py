"""Multicast groups of a DatagramSocket that is bound to one address of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import Host, network
from tests.sockets.test_datagram_groups import (
    GROUPS,
    LAST,
    LINK_LOCAL_GROUPS,
    adapter_of,
    family_of,
    send,
)
from tests.transports.datagrams import on_linux
from winsockets.errors import AddressNotAvailableError, InvalidArgumentError
from winsockets.networking import HostName
from winsockets.sockets import DatagramSocket

pytestmark = on_linux


@contextmanager
def between_two() -> Iterator[Host]:
    """Be on a host with two adapters, the first of which is its way to everywhere."""
    with network() as built:
        here = built.host()
        for _ in range(2):
            built.join(here, built.host())
        here.ip(f"route add default dev {here.ports[0].name}", f"route add ::/0 dev {here.ports[0].name}")
        with here:
            yield here


@pytest.mark.parametrize("group", [*GROUPS, *LINK_LOCAL_GROUPS])
@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_to_an_address_hears_groups_on_its_adapter(group):
    """Where it is not the way to the group that the routing knows; until the group is left."""
    with between_two() as here:
        family = family_of(group)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_endpoint_async(here.ports[1].address(family), "")
            port = socket.information.local_port
            send(here, group, port, b"too early", through=1)
            socket.join_multicast_group(group)
            send(here, group, port, b"on the other adapter", through=0)
            send(here, group, port, b"in time", through=1)
            message = await anext(messages)
            assert message.data == b"in time"
            assert message.local_address == HostName(group)
            assert message.network_adapter.name == here.ports[1].name
            assert socket.information.local_address == HostName(here.ports[1].address(family))
            socket.leave_multicast_group(group)
            send(here, group, port, b"too late", through=1)
            with here.socket(family) as skt:
                skt.sendto(LAST, (here.ports[1].address(family), int(port)))
            assert (await anext(messages)).data == LAST


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_to_an_address_chooses_whom_to_hear(group):
    """As any other: a source, all but one, on a named adapter; joins that contradict each other fail."""
    with between_two() as here:
        family = family_of(group)
        source = here.ports[1].address(family)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_endpoint_async(here.ports[0].address(family), "")
            port = socket.information.local_port
            other = adapter_of(here, 1)
            socket.join_multicast_group(group, source=source, adapter=other)
            with pytest.raises(AddressNotAvailableError):
                socket.join_multicast_group(group, adapter=other)
            send(here, group, port, b"of the source", through=1, source=source)
            assert (await anext(messages)).data == b"of the source"
            socket.leave_multicast_group(group, source=source, adapter=other)
            socket.join_multicast_group(group, adapter=other)
            socket.block_multicast_source(group, source, adapter=other)
            send(here, group, port, b"blocked", through=1, source=source)
            socket.unblock_multicast_source(group, source, adapter=other)
            send(here, group, port, b"unblocked", through=1, source=source)
            assert (await anext(messages)).data == b"unblocked"


@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_to_an_address_and_connected_hears_its_peer_in_the_group():
    """And nobody else; with its end the port is free."""
    group = GROUPS[0]
    with between_two() as here:
        async with DatagramSocket() as socket, DatagramSocket() as peer, DatagramSocket() as stranger:
            messages = socket.messages()
            for each in (socket, peer, stranger):
                await each.bind_endpoint_async(here.ipv4, "")
            port = socket.information.local_port
            socket.join_multicast_group(group)
            await socket.connect_async(here.ipv4, peer.information.local_port)
            for each in (stranger, peer):
                stream = await each.get_output_stream_async(group, port)
                await stream.write_async(each.information.local_port.encode())
            assert (await anext(messages)).data == peer.information.local_port.encode()
        async with DatagramSocket() as again:
            await again.bind_endpoint_async(here.ipv4, port)


@pytest_twisted.ensureDeferred
async def test_a_join_that_is_refused_on_a_socket_with_an_address_leaves_nothing_behind():
    """Nor does one that is refused before it is tried take from what there is."""
    with between_two() as here:
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_endpoint_async(here.ipv4, "")
            gone = adapter_of(here, 0)
            before = len(os.listdir("/proc/self/fd"))
            here.ports[0].unplug()
            with pytest.raises(AddressNotAvailableError):
                socket.join_multicast_group(GROUPS[0], adapter=gone)
            assert len(os.listdir("/proc/self/fd")) == before
            del messages


@pytest_twisted.ensureDeferred
async def test_a_group_is_left_also_when_the_adapter_with_the_address_is_gone():
    """Once, as ever."""
    with between_two() as here:
        async with DatagramSocket() as socket:
            await socket.bind_endpoint_async(here.ipv4, "")
            socket.join_multicast_group(GROUPS[0])
            here.ports[0].unplug()
            socket.leave_multicast_group(GROUPS[0])
            with pytest.raises(InvalidArgumentError):
                socket.leave_multicast_group(GROUPS[0])


@pytest_twisted.ensureDeferred
async def test_each_group_is_left_where_it_was_joined_when_the_address_has_moved_in_between():
    """And joined again where the address is then."""
    with between_two() as here:
        first, second = (port.name for port in here.ports)
        address, before, after = here.ipv4, GROUPS[0], "239.1.2.4"
        async with DatagramSocket() as socket:
            await socket.bind_endpoint_async(address, "")
            socket.join_multicast_group(before)
            here.ip(f"addr del {address}/24 dev {first}", f"addr add {address}/24 dev {second}")
            socket.join_multicast_group(after)
            with pytest.raises(AddressNotAvailableError):
                socket.join_multicast_group(before)
            socket.leave_multicast_group(before)
            socket.leave_multicast_group(after)
            socket.join_multicast_group(before)
            socket.leave_multicast_group(before, adapter=adapter_of(here, 1))
