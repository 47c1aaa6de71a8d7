"""In which form a datagram socket takes addresses, and in which zones it sends."""

from __future__ import annotations

import socket as system

import pytest
import pytest_twisted

from tests.sockets.datagrams import receiver_on, status_of
from tests.transports.datagrams import on_linux
from winsockets.errors import E_INVALIDARG, InvalidArgumentError, SocketErrorStatus
from winsockets.networking import EndpointPair, NetworkAdapter
from winsockets.networking._address import Address
from winsockets.sockets import DatagramSocket
from winsockets.sockets._datagram_zones import within_zone

LOOPBACK = 1


def ipv6(literal: str, scope_id: int = 0) -> Address:
    """An address with port 7."""
    return Address.ipv6(literal, 7, scope_id)


@pytest.mark.parametrize(
    ("address", "zone", "taken"),
    [
        (Address.ipv4("192.0.2.1", 7), 0, Address.ipv4("192.0.2.1", 7)),
        (Address.ipv4("192.0.2.1", 7), 3, Address.ipv4("192.0.2.1", 7)),
        (ipv6("::ffff:192.0.2.1"), 0, Address.ipv4("192.0.2.1", 7)),
        (ipv6("2001:db8::1"), 3, ipv6("2001:db8::1")),
        (ipv6("fe80::1", 3), 0, ipv6("fe80::1", 3)),
        (ipv6("fe80::1", 3), 3, ipv6("fe80::1", 3)),
        (ipv6("fe80::1"), 3, ipv6("fe80::1", 3)),
        (ipv6("fec0::1"), 0, ipv6("fec0::1")),
        (ipv6("ff02::1"), 0, ipv6("ff02::1")),
        (ipv6("ff02::1", 3), 3, ipv6("ff02::1", 3)),
    ],
)
def test_an_address_is_taken_as_the_system_takes_it(address, zone, taken):
    """An IPv4-mapped one is the IPv4 one, and one of a link is in the zone of the socket."""
    assert within_zone("send", [address], zone) == [taken]


@pytest.mark.parametrize(
    ("address", "zone", "words"),
    [
        (ipv6("fe80::1"), 0, "say which"),
        (ipv6("fe80::1", 4), 3, "the zone of 4"),
        (ipv6("ff02::1", 4), 3, "the zone of 4"),
    ],
)
def test_an_address_of_nobody_knows_which_link_or_of_another_is_refused(address, zone, words):
    """The message says what is wrong; where there is another address, that one counts."""
    with pytest.raises(InvalidArgumentError, match=words):
        within_zone("send", [address], zone)
    assert within_zone("send", [address, ipv6("::1")], zone) == [ipv6("::1")]


@on_linux
@pytest.mark.parametrize("host", ["fe80::1%4096", "ff02::1%4096"])
@pytest_twisted.ensureDeferred
async def test_a_socket_on_an_adapter_sends_into_no_other_zone(host):
    """The system would let the datagram leave through the other adapter."""
    async with DatagramSocket() as socket:
        early = await socket.get_output_stream_async(host, 7)
        await socket.bind_service_name_async("", NetworkAdapter.from_name(str(LOOPBACK)))
        late = socket.get_output_stream_async(host, 7)
        assert late.error_code == E_INVALIDARG
        with pytest.raises(InvalidArgumentError, match="bound to the network interface 1"):
            early.write_async(b"leak")
        with pytest.raises(InvalidArgumentError):
            await late


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_socket_on_an_adapter_connects_into_no_other_zone_and_stays_usable():
    """It says so, rather than that an argument was invalid for the system."""
    async with DatagramSocket() as socket:
        await socket.bind_service_name_async("", NetworkAdapter.from_name(str(LOOPBACK)))
        with pytest.raises(InvalidArgumentError, match="the zone of 4096"):
            await socket.connect_async("fe80::1%4096", 7)
        await socket.connect_async("::1", 7)


@pytest_twisted.ensureDeferred
async def test_an_address_of_a_link_needs_a_zone_as_long_as_nothing_says_which():
    """So for connecting and for sending."""
    async with DatagramSocket() as socket:
        with pytest.raises(InvalidArgumentError, match="fe80::1%eth0"):
            await socket.connect_async("fe80::1", 7)
        with pytest.raises(InvalidArgumentError, match="fe80::1%eth0"):
            await socket.get_output_stream_async("fe80::1", 7)
        assert socket.information.local_port == ""


@pytest_twisted.ensureDeferred
async def test_an_ipv4_address_within_an_ipv6_one_is_bound_connected_and_sent_to_as_that():
    """``::ffff:127.0.0.1`` is 127.0.0.1 everywhere."""
    receiver, messages = await receiver_on("::ffff:127.0.0.1")
    port = receiver.information.local_port
    async with receiver, DatagramSocket() as sender, DatagramSocket() as peer, DatagramSocket() as paired:
        assert receiver.information.local_address.canonical_name == "127.0.0.1"
        stream = await sender.get_output_stream_async("::ffff:127.0.0.1", port)
        await stream.write_async(b"sent")
        await peer.connect_async("::ffff:127.0.0.1", port)
        await peer.output_stream.write_async(b"connected")
        await paired.connect_async(EndpointPair("::ffff:127.0.0.1", "", "::ffff:127.0.0.1", port))
        await paired.output_stream.write_async(b"paired")
        assert [(await anext(messages)).data for _ in range(3)] == [b"sent", b"connected", b"paired"]
        # A connected socket knows its peer in this form too.
        again = await peer.get_output_stream_async("::ffff:127.0.0.1", port)
        await again.write_async(b"again")
        assert (await anext(messages)).data == b"again"


@pytest.mark.parametrize("host", ["239.1.2.3", "ff02::1%1", "255.255.255.255"])
@pytest_twisted.ensureDeferred
async def test_a_socket_is_bound_to_addresses_of_this_machine_only(host):
    """Not to that of a group, which is joined, nor to a broadcast address; as in Winsock."""
    async with DatagramSocket() as socket:
        refused = socket.bind_endpoint_async(host, "")
        assert status_of(refused) is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
        await socket.bind_endpoint_async("127.0.0.1", "")


@pytest_twisted.ensureDeferred
async def test_a_socket_is_bound_to_the_machines_own_name_whoever_knows_it(monkeypatch):
    """As a listener is."""
    from winsockets.networking import HostName, NetworkInformation

    monkeypatch.setattr(
        NetworkInformation, "get_host_names", staticmethod(lambda: [HostName("nobody-knows.invalid")])
    )
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async("nobody-knows.invalid", "")
        assert socket.information.local_port not in ("", "0")
        assert system.AF_INET in socket._link.transports
