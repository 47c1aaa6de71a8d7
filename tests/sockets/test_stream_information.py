"""What a stream socket knows about its connection: before it, during it, and after its end."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted

from tests.networks import add_link_local_address, network_namespace, run, two_hosts
from tests.sockets.crossing import listening_in, read, stream_from
from tests.sockets.datagrams import names
from tests.sockets.streams import accepted, connected, pair
from tests.transports.loopback import HOSTS, NEEDS_LINUX, listening, received, refused_port, sent
from winsockets.errors import ConnectRefusedError, OperationAbortedError
from winsockets.networking import EndpointPair, HostName
from winsockets.sockets import (
    BandwidthStatistics,
    RoundTripTimeStatistics,
    SocketProtectionLevel,
    StreamSocket,
)


def addresses(information):
    """Everything about where a connection is and what it was asked to be."""
    return {
        "local": (information.local_address, information.local_port),
        "remote": (information.remote_address, information.remote_port),
        "asked": (information.remote_host_name, information.remote_service_name),
    }


UNCONNECTED = {"local": (None, ""), "remote": (None, ""), "asked": (None, "")}


def named(name):
    """Address and port of a name of the system's, as an information has them."""
    return HostName(name[0]), str(name[1])


def test_before_the_connection_there_is_nothing():
    """No address is None, no port is empty, no statistics are 0."""
    information = StreamSocket().information
    assert addresses(information) == UNCONNECTED
    assert information.protection_level is SocketProtectionLevel.PLAIN_SOCKET
    assert information.session_key is None
    assert information.round_trip_time_statistics == RoundTripTimeStatistics()
    assert information.bandwidth_statistics == BandwidthStatistics()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_connection_is_known_at_both_ends(host):
    """As the system sees it, and as the program asked for it; after the end it stays."""
    async with connected(host) as (stream_socket, peer):
        expected = {
            "local": named(peer.getpeername()),
            "remote": named(peer.getsockname()),
            "asked": named(peer.getsockname()),
        }
        information = stream_socket.information
        assert addresses(information) == expected
        assert information.protection_level is SocketProtectionLevel.PLAIN_SOCKET
        stream_socket.close()
        assert addresses(information) == expected
        await stream_socket.wait_closed_async()
        assert addresses(information) == expected
        assert information.round_trip_time_statistics == RoundTripTimeStatistics()
        assert information.bandwidth_statistics == BandwidthStatistics()


@pytest_twisted.ensureDeferred
async def test_names_that_were_asked_for_are_kept_as_they_were_given():
    """Next to the address that they led to."""
    with listening() as (server, port), names(example="127.0.0.1"):
        async with StreamSocket() as stream_socket:
            host = HostName("Example")
            await stream_socket.connect_async(host, str(port))
            server.accept()[0].close()
            information = stream_socket.information
            assert information.remote_host_name is host
            assert information.remote_service_name == str(port)
            assert information.remote_address == HostName("127.0.0.1")


@pytest_twisted.ensureDeferred
async def test_the_remote_half_of_a_pair_was_asked_for():
    """The local half is where the connection begins."""
    with listening() as (server, port):
        async with StreamSocket() as stream_socket:
            await stream_socket.connect_async(EndpointPair("127.0.0.1", "", "localhost", port))
            server.accept()[0].close()
            assert stream_socket.information.remote_host_name == HostName("localhost")
            assert stream_socket.information.local_address == HostName("127.0.0.1")


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_an_accepted_socket_names_its_peer_by_address(host):
    """Nobody asked for it by name."""
    async with accepted(host) as (stream_socket, peer):
        assert addresses(stream_socket.information) == {
            "local": named(peer.getpeername()),
            "remote": named(peer.getsockname()),
            "asked": named(peer.getsockname()),
        }


@pytest_twisted.ensureDeferred
async def test_until_it_is_connected_a_socket_knows_nothing():
    """While it connects, and after that failed, by a refusal or by close."""
    stream_socket = StreamSocket()
    connecting = stream_socket.connect_async("127.0.0.1", refused_port())
    assert addresses(stream_socket.information) == UNCONNECTED
    with pytest.raises(ConnectRefusedError):
        await connecting
    assert addresses(stream_socket.information) == UNCONNECTED
    connecting = stream_socket.connect_async("127.0.0.1", refused_port())
    stream_socket.close()
    with pytest.raises(OperationAbortedError):
        await connecting
    assert addresses(stream_socket.information) == UNCONNECTED


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_link_local_addresses_are_given_with_their_interface():
    """Both, or they would lead nowhere."""
    with network_namespace():
        add_link_local_address("fe80::1", "lo")
        async with pair("fe80::1%lo") as ends:
            address = HostName(f"fe80::1%{socket.if_nametoindex('lo')}")
            for information in (end.information for end in ends):
                assert information.local_address == information.remote_address == address


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_statistics_come_from_the_system():
    """On Linux; round trips from the beginning, rates after something was sent."""
    async with connected() as (stream_socket, peer):
        data = bytes(3_000_000)
        for _ in range(3):
            operation = stream_socket.output_stream.write_async(data)
            await received(peer, len(data))
            await operation
        await sent(peer, b"answer")
        await stream_socket.input_stream.read_exactly(6)
        information = stream_socket.information
        first = information.round_trip_time_statistics
        assert 0 < first.min <= first.max
        assert 0 < first.sum <= first.max
        assert first.variance > 0
        assert information.round_trip_time_statistics.max >= first.max
        rates = information.bandwidth_statistics
        assert rates.outbound_bits_per_second > 0
        assert rates.inbound_bits_per_second > 0
        assert (rates.inbound_bandwidth_peaked, rates.inbound_bits_per_second_instability) == (False, 0)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_the_inbound_rate_is_that_of_the_link():
    """One that lets a megabyte through in a second, and a little at once: nobody sees it go much faster."""
    with two_hosts() as (here, there):
        queue = "root tbf rate 8mbit burst 20kb latency 1s"
        with there:
            run("tc", "qdisc", "add", "dev", there.ports[0].name, *queue.split())
        listener, connections, port = await listening_in(there, None)
        async with (
            listener,
            await stream_from(here, there.ipv4, port) as receiver,
            await anext(connections) as sender,
        ):
            sending = sender.output_stream.write_async(bytes(400_000))
            for _ in range(2):
                assert len(await read(receiver, 200_000)) == 200_000
                rates = receiver.information.bandwidth_statistics
                assert 0 < rates.inbound_bits_per_second < 24_000_000
                assert receiver.information.round_trip_time_statistics.min > 0
            await sending
            rates = sender.information.bandwidth_statistics
            assert rates.outbound_bits_per_second > 0
            assert rates.inbound_bits_per_second == 0


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_accepted_socket_has_statistics_too():
    """The system measures in both directions."""
    async with pair() as (client, server):
        await client.output_stream.write_async(b"x")
        await server.input_stream.read()
        assert server.information.round_trip_time_statistics.sum > 0
