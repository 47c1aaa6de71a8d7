"""What a DatagramSocket knows about its ends, before, during and after."""

from __future__ import annotations

import socket as system

import pytest
import pytest_twisted

from tests.networks import add_link_local_address, network_namespace
from tests.sockets.datagrams import HOSTS, names, system_sockets
from tests.transports.datagrams import on_linux
from winsockets.networking import HostName
from winsockets.sockets import DatagramSocket
from winsockets.sockets._datagram_information import host_name_of


def known(socket):
    """All that is known of a socket's ends."""
    information = socket.information
    return (
        information.local_address,
        information.local_port,
        information.remote_address,
        information.remote_port,
    )


NOTHING = (None, "", None, "")


def test_a_new_socket_knows_nothing():
    """Addresses are None, ports "", and nothing was dropped."""
    socket = DatagramSocket()
    assert known(socket) == NOTHING
    assert socket.information.dropped_messages == 0
    assert socket.information.dropped_by_system == 0
    assert socket.information.inbound_buffer_size_in_bytes == 0
    assert socket.information is socket.information


@pytest_twisted.ensureDeferred
async def test_a_socket_on_all_interfaces_has_no_one_address():
    """But a port."""
    async with DatagramSocket() as socket:
        await socket.bind_service_name_async("")
        address, port, *remote = known(socket)
        assert address is None
        assert 0 < int(port) < 65536
        assert remote == [None, ""]


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_socket_on_one_address_has_that(host):
    """And after closing everything is as before binding."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async(host, "")
        assert socket.information.local_address == HostName(host)
        port = socket.information.local_port
        assert repr(socket) == f"<DatagramSocket on port {port}>"
    assert known(socket) == NOTHING
    assert repr(socket) == "<DatagramSocket closed>"


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_connecting_finds_the_addresses_of_both_ends(host):
    """What the names resolved to; the port that was bound stays."""
    async with DatagramSocket() as peer, DatagramSocket() as socket:
        await peer.bind_endpoint_async(host, "")
        await socket.bind_service_name_async("")
        port = socket.information.local_port
        remote = peer.information.local_port
        with names(peer=host):
            await socket.connect_async("peer", remote)
        assert known(socket) == (HostName(host), port, HostName(host), remote)
        assert repr(socket) == f"<DatagramSocket on port {port} with {host} port {remote}>"
        socket.close()
        assert known(socket) == NOTHING


@pytest_twisted.ensureDeferred
async def test_a_stream_to_somebody_is_no_peer():
    """There may be many of them."""
    async with DatagramSocket() as socket:
        stream = await socket.get_output_stream_async("127.0.0.1", 9)
        assert known(socket) == NOTHING
        assert repr(socket) == "<DatagramSocket on port none>"
        await stream.write_async(b"")
        address, port, *remote = known(socket)
        assert address is None
        assert int(port)
        assert remote == [None, ""]


@on_linux
@pytest_twisted.ensureDeferred
async def test_link_local_addresses_have_their_scope():
    """At both ends."""
    with network_namespace():
        add_link_local_address("fe80::1", "lo")
        async with DatagramSocket() as peer, DatagramSocket() as socket:
            messages = peer.messages()
            await peer.bind_endpoint_async("fe80::1%lo", "")
            assert peer.information.local_address == HostName("fe80::1%1")
            await socket.connect_async("fe80::1%lo", peer.information.local_port)
            assert socket.information.remote_address == HostName("fe80::1%1")
            assert socket.information.local_address == HostName("fe80::1%1")
            await socket.output_stream.write_async(b"ping")
            message = await anext(messages)
            assert message.remote_address == HostName("fe80::1%1")
            assert message.local_address == HostName("fe80::1%1")
            back = await peer.get_output_stream_async(message.remote_address, message.remote_port)
            assert await back.write_async(b"pong") == 4


@pytest_twisted.ensureDeferred
async def test_the_receive_buffer_is_as_large_as_the_system_granted():
    """Known from binding until closing."""
    async with DatagramSocket() as socket:
        assert socket.information.inbound_buffer_size_in_bytes == 0
        socket.control.inbound_buffer_size_in_bytes = 20_000
        await socket.bind_service_name_async("")
        granted = {each.getsockopt(system.SOL_SOCKET, system.SO_RCVBUF) for each in system_sockets(socket)}
        assert {socket.information.inbound_buffer_size_in_bytes} == granted
        assert 20_000 <= granted.pop() <= 40_000
    assert socket.information.inbound_buffer_size_in_bytes == 0


@on_linux
@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_what_the_system_drops_is_counted(host):
    """Nothing is lost without a trace: what was sent was delivered or counted."""
    sent = 500
    async with DatagramSocket() as socket:
        messages = socket.messages()
        socket.control.inbound_buffer_size_in_bytes = 8192
        await socket.bind_endpoint_async(host, "")
        assert socket.information.dropped_by_system == 0
        port = int(socket.information.local_port)
        with system.socket(system.AF_INET6 if ":" in host else system.AF_INET, system.SOCK_DGRAM) as flood:
            for _ in range(sent):
                flood.sendto(bytes(100), (host, port))
        dropped = socket.information.dropped_by_system
        assert 0 < dropped < sent
        for _ in range(sent - dropped):
            assert (await anext(messages)).data == bytes(100)
        assert socket.information.dropped_messages == 0
        assert socket.information.dropped_by_system == dropped
    assert socket.information.dropped_by_system == 0


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ((), None),
        (("0.0.0.0", 1), None),
        (("::", 1, 0, 0), None),
        (("127.0.0.1", 1), "127.0.0.1"),
        (("fe80::1", 1, 0, 2), "fe80::1%2"),
        (("::1", 1, 9, 0), "::1"),
    ],
)
def test_a_socket_address_is_a_host_name_or_none(name, host):
    """A wildcard is no address."""
    assert host_name_of(name) == (HostName(host) if host else None)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("where", ["all addresses", "one address", "connected"])
@on_linux
@pytest_twisted.ensureDeferred
async def test_a_datagram_tells_its_way_on_every_kind_of_socket(host, where):
    """Where it was sent to, through which adapter it came, and how many routers more it could have passed."""
    async with DatagramSocket() as socket, DatagramSocket() as far:
        messages = socket.messages()
        if where == "all addresses":
            await socket.bind_service_name_async("")
        else:
            await socket.bind_endpoint_async(host, "")
        await far.bind_endpoint_async(host, "")
        if where == "connected":
            await socket.connect_async(host, far.information.local_port)
        far.control.outbound_unicast_hop_limit = 77
        stream = await far.get_output_stream_async(host, socket.information.local_port)
        await stream.write_async(b"x")
        message = await anext(messages)
        assert message.hop_limit == 77
        assert message.network_adapter is not None
        assert message.network_adapter.name == "lo"
        assert str(message.local_address) == host
