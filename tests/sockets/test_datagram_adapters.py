"""Datagram sockets that are bound to one network adapter."""

from __future__ import annotations

import socket as system
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import Host, network, two_hosts
from tests.sockets.crossing import FAMILIES, receiver_in, started_in
from tests.transports.datagrams import on_linux
from winsockets.errors import (
    E_INVALIDARG,
    AddressNotAvailableError,
    InvalidArgumentError,
    NetworkUnreachableError,
    SocketErrorStatus,
)
from winsockets.networking import NetworkAdapter
from winsockets.sockets import DatagramSocket
from winsockets.transports import _adapter_binding

GROUP = {system.AF_INET: "239.1.2.3", system.AF_INET6: "ff15::1:2:3"}


def adapter_of(host: Host, number: int = 0) -> NetworkAdapter:
    """One of the adapters of a host."""
    with host:
        return NetworkAdapter.from_name(host.ports[number].name)


@contextmanager
def between_two() -> Iterator[tuple[Host, list[Host]]]:
    """A host with two adapters, the first of which is its way to everywhere, and the hosts behind them."""
    with network() as built:
        here, one, other = built.host(), built.host(), built.host()
        for far in (one, other):
            built.join(here, far)
            far.ip(f"route add default dev {far.ports[0].name}", f"route add ::/0 dev {far.ports[0].name}")
        here.ip(f"route add default dev {here.ports[0].name}", f"route add ::/0 dev {here.ports[0].name}")
        yield here, [one, other]


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("confines", [True, False])
@pytest_twisted.ensureDeferred
async def test_what_comes_through_another_adapter_is_not_received(family, number, confines, monkeypatch):
    """Unicast to the address of either adapter, and broadcasts; also where the system does not see to it."""
    if not confines:
        monkeypatch.setattr(_adapter_binding, "_confine", lambda skt, adapter: False)
    with between_two() as (here, far):
        socket = DatagramSocket()
        messages = socket.messages()
        await started_in(here, socket.bind_service_name_async, "", adapter_of(here, number))
        async with socket:
            port = int(socket.information.local_port)
            for way in (1 - number, number):
                destinations = [here.ports[way].address(family)]
                if family == system.AF_INET:
                    destinations += ["255.255.255.255", here.ports[way].subnet_broadcast]
                with far[way].socket(family) as sender:
                    sender.setsockopt(system.SOL_SOCKET, system.SO_BROADCAST, 1)
                    for destination in destinations:
                        sender.sendto(destination.encode(), (destination, port))
            for destination in destinations:
                message = await anext(messages)
                assert message.data == destination.encode()
                with here:
                    assert message.network_adapter == adapter_of(here, number)
            assert socket.information.dropped_messages == 0


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("number", [0, 1])
@pytest_twisted.ensureDeferred
async def test_what_is_sent_leaves_through_the_adapter(family, number):
    """To a group, to everybody, and to one machine."""
    with between_two() as (here, far):
        receiver, messages = await receiver_in(far[number], None)
        async with receiver, DatagramSocket() as socket:
            with far[number]:
                receiver.join_multicast_group(GROUP[family])
            await started_in(here, socket.bind_service_name_async, "", adapter_of(here, number))
            destinations = [GROUP[family], far[number].address(family)]
            if family == system.AF_INET:
                destinations.append("255.255.255.255")
            for destination in destinations:
                stream = await socket.get_output_stream_async(destination, receiver.information.local_port)
                await stream.write_async(destination.encode())
                message = await anext(messages)
                assert message.data == destination.encode()
                assert message.remote_port == socket.information.local_port


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_peer_behind_another_adapter_is_not_reached(family):
    """Nothing leaves through the other one, whatever the routing says."""
    with between_two() as (here, far):
        receiver, messages = await receiver_in(far[0], None)
        async with receiver, DatagramSocket() as socket, DatagramSocket() as free:
            port = receiver.information.local_port
            await started_in(here, socket.bind_service_name_async, "", adapter_of(here, 1))
            await started_in(here, free.bind_service_name_async, "")
            confined = await socket.get_output_stream_async(far[0].address(family), port)
            try:
                await confined.write_async(b"the wrong way")
            except NetworkUnreachableError:
                assert family == system.AF_INET6, "IPv4 takes everybody for a neighbour there"
            stream = await free.get_output_stream_async(far[0].address(family), port)
            await stream.write_async(b"the right way")
            assert (await anext(messages)).data == b"the right way"


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_when_the_adapter_disappears_writing_fails_and_the_socket_stays(family):
    """It can be closed, and its port is free then."""
    down, unreachable = SocketErrorStatus.NETWORK_IS_DOWN, SocketErrorStatus.NETWORK_IS_UNREACHABLE
    status = down if family == system.AF_INET else unreachable
    with two_hosts() as (here, other):
        async with DatagramSocket() as socket:
            await started_in(here, socket.bind_service_name_async, "", adapter_of(here))
            stream = await socket.get_output_stream_async(other.address(family), 9)
            assert await stream.write_async(b"x") == 1
            here.ports[0].unplug()
            for _ in range(2):
                with pytest.raises(NetworkUnreachableError) as caught:
                    await stream.write_async(b"x")
                assert caught.value.status is status
            port = socket.information.local_port
        again = DatagramSocket()
        async with again:
            await started_in(here, again.bind_service_name_async, port)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("confines", [True, False])
@pytest_twisted.ensureDeferred
async def test_groups_are_sent_to_through_the_adapter_unless_another_is_chosen(family, confines, monkeypatch):
    """Where the system confines the socket no other can be; without a choice it is the socket's own again."""
    if not confines:
        monkeypatch.setattr(_adapter_binding, "_confine", lambda skt, adapter: False)
    with between_two() as (here, far):
        first, second = adapter_of(here, 0), adapter_of(here, 1)
        receiver, messages = await receiver_in(far[1], None)
        async with receiver, DatagramSocket() as socket:
            with far[1]:
                receiver.join_multicast_group(GROUP[family])
            await started_in(here, socket.bind_service_name_async, "", second)
            stream = await socket.get_output_stream_async(GROUP[family], receiver.information.local_port)
            if confines:
                with pytest.raises(AddressNotAvailableError, match="not the one that the socket is bound to"):
                    socket.control.multicast_adapter = first
                assert socket.control.multicast_adapter is None
            else:
                socket.control.multicast_adapter = first
                await stream.write_async(b"elsewhere")
            socket.control.multicast_adapter = None
            await stream.write_async(b"here")
            assert (await anext(messages)).data == b"here"


def test_an_adapter_is_a_network_adapter():
    """None is a null object, which is E_INVALIDARG; leaving it out is another overload."""
    socket = DatagramSocket()
    with pytest.raises(InvalidArgumentError, match="adapter") as caught:
        socket.bind_service_name_async("", None)  # type: ignore[call-overload]
    assert caught.value.hresult == E_INVALIDARG
    with pytest.raises(TypeError, match="adapter"):
        socket.bind_service_name_async("", "eth0")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="bind_service_name_async takes"):
        socket.bind_service_name_async("", None, None)  # type: ignore[call-overload]
    assert socket.information.local_port == ""
