"""Broadcasts to 255.255.255.255: one datagram on each adapter that leads to others."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import Host, network, network_namespace
from tests.sockets.crossing import receiver_in
from tests.sockets.datagrams import status_of
from tests.transports.datagrams import on_linux
from winsockets.errors import (
    MessageTooLongError,
    NetworkUnreachableError,
    ObjectClosedError,
    SocketErrorStatus,
)
from winsockets.networking import NetworkAdapter
from winsockets.sockets import DatagramSocket
from winsockets.transports._packet_info import WayOut

EVERYBODY = "255.255.255.255"
PORT = 4000

pytestmark = on_linux


@contextmanager
def between_two() -> Iterator[tuple[Host, list[Host]]]:
    """Be on a host with two adapters and no default route, between two others."""
    with network() as built:
        here, one, other = built.host(), built.host(), built.host()
        for far in (one, other):
            built.join(here, far)
        with here:
            yield here, [one, other]


@pytest_twisted.ensureDeferred
async def test_a_broadcast_reaches_the_networks_of_all_adapters():
    """From the address that the machine has in each, and from the one port; no route has to lead there."""
    with between_two() as (here, far):
        receivers = [await receiver_in(host, None, PORT) for host in far]
        async with DatagramSocket() as socket:
            stream = await socket.get_output_stream_async(EVERYBODY, PORT)
            assert await stream.write_async(b"who is there?") == 13
            assert await stream.write_many_async([b"1", b"22"]) == 3
            for (receiver, messages), port in zip(receivers, here.ports, strict=True):
                async with receiver:
                    for expected in (b"who is there?", b"1", b"22"):
                        message = await anext(messages)
                        assert message.data == expected
                        assert message.remote_address.canonical_name == port.ipv4
                        assert message.remote_port == socket.information.local_port


@pytest_twisted.ensureDeferred
async def test_the_machine_itself_hears_it_once_for_each_adapter():
    """As a host of each network."""
    with between_two() as (here, _):
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            stream = await socket.get_output_stream_async(EVERYBODY, socket.information.local_port)
            await stream.write_async(b"hello")
            heard = [await anext(messages) for _ in here.ports]
            assert {message.network_adapter.name for message in heard} == {port.name for port in here.ports}


@pytest_twisted.ensureDeferred
async def test_writes_keep_their_order_among_others():
    """What was written before leaves before, also when it was held back."""
    with between_two() as (_, far):
        receiver, messages = await receiver_in(far[0], None, PORT)
        async with receiver, DatagramSocket() as socket:
            everybody = await socket.get_output_stream_async(EVERYBODY, PORT)
            somebody = await socket.get_output_stream_async(far[0].ipv4, PORT)
            writes = []
            for number in range(4):
                writes += [
                    somebody.write_async(b"%d to one" % number),
                    somebody.write_async(b"%d to one more" % number),
                    everybody.write_async(b"%d to all" % number),
                ]
            for write in writes:
                await write
            expected = [b"%d %s" % (n, to) for n in range(4) for to in (b"to one", b"to one more", b"to all")]
            assert [(await anext(messages)).data for _ in expected] == expected


@pytest_twisted.ensureDeferred
async def test_an_adapter_that_refuses_does_not_keep_it_from_the_others(monkeypatch):
    """And where all refuse, the routing decides, whose refusal is told."""
    with between_two() as (here, far):
        receiver, messages = await receiver_in(far[1], None, PORT)
        refusing = {here.ports[0].index}
        send = WayOut.send

        def send_or_refuse(way, skt, data):
            if way.interface in refusing:
                raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
            send(way, skt, data)

        monkeypatch.setattr(WayOut, "send", send_or_refuse)
        async with receiver, DatagramSocket() as socket:
            stream = await socket.get_output_stream_async(EVERYBODY, PORT)
            assert await stream.write_async(b"hello") == 5
            assert (await anext(messages)).data == b"hello"
            refusing.add(here.ports[1].index)
            with pytest.raises(NetworkUnreachableError, match="no route"):
                await stream.write_async(b"hello")
            here.ip(f"route add default dev {here.ports[1].name}")
            assert await stream.write_async(b"by the route") == 12
            assert (await anext(messages)).data == b"by the route"


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_is_too_long_for_all_adapters_says_so_and_those_beside_it_leave_once():
    """Also where no route leads there, and where one does."""
    with between_two() as (here, far):
        receiver, messages = await receiver_in(far[0], None, PORT)
        async with receiver, DatagramSocket() as socket:
            stream = await socket.get_output_stream_async(EVERYBODY, PORT)
            for _ in range(2):
                with pytest.raises(MessageTooLongError):
                    await stream.write_async(bytes(65_508))
                with pytest.raises(MessageTooLongError):
                    await stream.write_many_async([b"before", bytes(65_508), b"after"])
                await stream.write_async(b"last")
                assert [(await anext(messages)).data for _ in range(3)] == [b"before", b"after", b"last"]
                here.ip(f"route replace default dev {here.ports[0].name}")


@pytest_twisted.ensureDeferred
async def test_adapters_that_are_down_or_lead_to_one_host_only_are_left_out():
    """What is left is one network."""
    with between_two() as (here, far):
        here.ports[1].down()
        with far[0].capture() as seen:
            async with DatagramSocket() as socket:
                stream = await socket.get_output_stream_async(EVERYBODY, PORT)
                assert await stream.write_async(b"hello") == 5
                (packet,) = await seen.wait_for_datagrams(PORT)
                assert packet.destination == EVERYBODY


@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_to_an_adapter_or_connected_sends_once():
    """There it stays on the one adapter."""
    with between_two() as (here, far):
        receivers = [await receiver_in(host, None, PORT) for host in far]
        async with receivers[0][0], receivers[1][0], DatagramSocket() as bound, DatagramSocket() as connected:
            adapter = NetworkAdapter.from_name(here.ports[1].name)
            await bound.bind_service_name_async("", adapter)
            await (await bound.get_output_stream_async(EVERYBODY, PORT)).write_async(b"bound")
            assert (await anext(receivers[1][1])).data == b"bound"
            here.ip(f"route add default dev {here.ports[0].name}")
            await connected.connect_async(EVERYBODY, PORT)
            stream = await connected.get_output_stream_async(EVERYBODY, PORT)
            await stream.write_async(b"connected")
            assert (await anext(receivers[0][1])).data == b"connected"
            free = DatagramSocket()
            async with free:
                await (await free.get_output_stream_async(EVERYBODY, PORT)).write_async(b"free")
                for _, messages in receivers:
                    assert (await anext(messages)).data == b"free"


@pytest_twisted.ensureDeferred
async def test_with_loopback_only_the_routing_decides():
    """And says that there is no way."""
    with network_namespace():
        async with DatagramSocket() as socket:
            stream = await socket.get_output_stream_async(EVERYBODY, PORT)
            write = stream.write_async(b"hello")
            assert status_of(write) is SocketErrorStatus.NETWORK_IS_UNREACHABLE
            socket.close()
            with pytest.raises(ObjectClosedError):
                stream.write_async(b"hello")
