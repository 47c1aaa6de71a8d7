"""Adapters of stream sockets and listeners: which way connections go out and come in."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import network
from tests.sockets.crossing import FAMILIES, ended, read, started_in, stream_from
from tests.sockets.streams import system_socket
from tests.sockets.tls import client as trusting_client
from tests.sockets.tls import server_identity
from tests.transports.loopback import NEEDS_LINUX, listening
from winsockets.errors import (
    AddressNotAvailableError,
    ConnectRefusedError,
    InvalidArgumentError,
    SocketErrorStatus,
)
from winsockets.networking import EndpointPair, NetworkAdapter
from winsockets.sockets import SocketProtectionLevel, StreamSocket, StreamSocketListener

PLAIN = SocketProtectionLevel.PLAIN_SOCKET
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def adapter_of(port):
    """The adapter of a host's interface."""
    with port.host:
        return NetworkAdapter.from_name(port.name)


def lead_everywhere(port, peer, metric=10):
    """Make an interface a way to everywhere, and from everywhere."""
    for everywhere, next_hop in (("0.0.0.0/0", peer.ipv4), ("::/0", peer.ipv6)):
        port.host.ip(f"route add {everywhere} via {next_hop} dev {port.name} metric {metric}")
    port.host.set(f"ipv4/conf/{port.name}/rp_filter", 0)


@contextmanager
def two_cables():
    """Two hosts that are joined twice; the first cable is the way to everywhere."""
    with network() as built:
        one, other = built.host(), built.host()
        for metric in (10, 20):
            ports = built.join(one, other)
            for port, peer in zip(ports, reversed(ports), strict=True):
                lead_everywhere(port, peer, metric)
        yield one, other


async def greeting(name):
    """A listener that says its name to everybody."""

    async def greet(sender, args):
        await args.socket.output_stream.write_async(name)

    listener = StreamSocketListener()
    listener.connection_received += greet
    return listener


async def said_to(host, address, port, length=5):
    """What a listener says to a host."""
    async with await stream_from(host, address, port) as client:
        return await read(client, length)


# Connecting


@NEEDS_LINUX
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_socket_connects_through_its_adapter(family, number):
    """Whatever way the routes prefer: the other host sees it come there, from the adapter's address."""
    with two_cables() as (here, there):
        async with await greeting(b"hello") as listener, StreamSocket() as client:
            await started_in(there, listener.bind_service_name_async, "")
            port = listener.information.local_port
            with there.capture(there.ports[number]) as capture:
                adapter = adapter_of(here.ports[number])
                host = there.address(family)
                await started_in(here, client.connect_async, host, port, PLAIN, adapter)
                assert await read(client, 5) == b"hello"
                assert capture.seen(lambda packet: packet.destination_port == int(port))
            mine = here.ports[number].address(family)
            assert client.information.local_address.canonical_name == mine


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_without_an_adapter_a_socket_is_confined_to_none():
    """The system chooses the way."""
    async with StreamSocket() as client:
        with listening() as (_, port):
            await client.connect_async("127.0.0.1", port, PLAIN)
            skt = system_socket(client)
            assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b""


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_adapter_is_the_zone_of_the_hosts_on_its_link():
    """They need none of their own, but it may stand there; that of another adapter is E_INVALIDARG."""
    with two_cables() as (here, there):
        async with await greeting(b"hello") as listener:
            await started_in(there, listener.bind_service_name_async, "")
            port = listener.information.local_port
            literal = there.ports[1].link_local
            first, second = (adapter_of(port) for port in here.ports)
            for host in (literal, f"{literal}%{second.index}", f"{literal}%{second.name}"):
                async with StreamSocket() as client:
                    await started_in(here, client.connect_async, host, port, PLAIN, second)
                    assert await read(client, 5) == b"hello"
                    remote = client.information.remote_address.canonical_name
                    assert remote == f"{literal}%{second.index}"
            expected = f"{literal}%{second.index} is not in the zone of the network adapter {first.name}"
            with pytest.raises(InvalidArgumentError, match=re.escape(expected)):
                await started_in(here, StreamSocket().connect_async, host, port, PLAIN, first)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_address_of_a_link_without_a_zone_is_asked_for_one(monkeypatch):
    """Of the peer, or of the local half: the system does not know which link; E_INVALIDARG.

    Also in a sandbox that forbids rtnetlink, with which the C library lists interfaces.
    """
    monkeypatch.delattr("socket.if_nameindex")
    with two_cables() as (here, there):
        far, near = there.ports[0].link_local, here.ports[0].link_local
        for pair in (EndpointPair(None, "", far, "9"), EndpointPair(near, "", there.ipv6, "9")):
            literal = near if pair.local_host_name is not None else far
            with pytest.raises(InvalidArgumentError, match=f"{literal} is an address of one link") as caught:
                await started_in(here, StreamSocket().connect_async, pair)
            assert f"say which, as in '{literal}%eth0'; this machine has lo, " in str(caught.value)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_adapter_that_is_gone_ends_the_connect_and_another_can_be_tried():
    """CANNOT_ASSIGN_REQUESTED_ADDRESS, by name; nothing is left behind."""
    with two_cables() as (here, there):
        async with await greeting(b"hello") as listener, StreamSocket() as client:
            await started_in(there, listener.bind_service_name_async, "")
            port = listener.information.local_port
            gone, other = (adapter_of(port) for port in reversed(here.ports))
            here.ports[1].unplug()
            for host in (there.ipv4, there.ipv6):
                with pytest.raises(
                    AddressNotAvailableError, match=f"adapter {gone.name}: it is gone"
                ) as caught:
                    await started_in(here, client.connect_async, host, port, PLAIN, gone)
                assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
            client.control.keep_alive = True
            await started_in(here, client.connect_async, there.ipv4, port, PLAIN, other)
            assert await read(client, 5) == b"hello"


@pytest.mark.parametrize(("adapter", "error"), [(None, InvalidArgumentError), ("lo", TypeError)])
def test_what_is_no_adapter_is_refused_at_the_call(adapter, error):
    """None is what a null object is in WinRT: E_INVALIDARG."""
    with pytest.raises(error, match="adapter is"):
        StreamSocket().connect_async("127.0.0.1", 9, PLAIN, adapter)
    listener = StreamSocketListener()
    listener.connection_received += print
    with pytest.raises(error, match="adapter is"):
        listener.bind_service_name_async("", PLAIN, adapter)
    listener.control.keep_alive = True
    with pytest.raises(TypeError, match="takes"):
        listener.bind_service_name_async("", PLAIN, adapter, adapter)


# Listening


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_listener_accepts_through_its_adapter_and_from_nowhere_else():
    """In both families, and whichever address was asked for; each adapter may have a listener on the port."""
    with network() as built:
        one, middle, other = built.host(), built.host(), built.host()
        for host in (one, other):
            lead_everywhere(*built.join(host, middle))
            middle.set(f"ipv4/conf/{middle.ports[-1].name}/rp_filter", 0)
        first, second = (adapter_of(port) for port in middle.ports)
        async with await greeting(b"first") as listener, await greeting(b"other") as another:
            await started_in(middle, listener.bind_service_name_async, "", PLAIN, first)
            port = listener.information.local_port
            await started_in(middle, another.bind_service_name_async, port, PLAIN, second)
            for family in FAMILIES:
                near, far = (interface.address(family) for interface in middle.ports)
                assert await said_to(one, near, port) == b"first"
                assert await said_to(one, far, port) == b"first"
                assert await said_to(other, far, port) == b"other"
                # What a host sends to itself does not pass the adapter, but has its address.
                assert await said_to(middle, near, port) == b"first"
                refused = await ended(
                    started_in(middle, StreamSocket().connect_async, LOOPBACK[family], port)
                )
                assert type(refused) is ConnectRefusedError


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_where_sockets_cannot_be_confined_a_listener_takes_the_adapters_addresses(monkeypatch):
    """Each of them, on one port, and no others."""
    with two_cables() as (here, there):
        monkeypatch.delattr(socket, "SO_BINDTODEVICE")
        async with await greeting(b"hello") as listener:
            first, second = there.ports
            await started_in(there, listener.bind_service_name_async, "", PLAIN, adapter_of(first))
            port = listener.information.local_port
            scoped = f"{first.link_local}%{here.ports[0].index}"
            for host in (first.ipv4, first.ipv6, scoped):
                assert await said_to(here, host, port) == b"hello"
            for host in (second.ipv4, second.ipv6, f"{second.link_local}%{here.ports[1].index}"):
                refused = await ended(started_in(here, StreamSocket().connect_async, host, port))
                assert type(refused) is ConnectRefusedError


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_adapter_without_addresses_cannot_be_taken_by_address(monkeypatch):
    """And says so."""
    with two_cables() as (here, _):
        monkeypatch.delattr(socket, "SO_BINDTODEVICE")
        adapter = adapter_of(here.ports[0])
        here.ip(f"addr flush dev {adapter.name}")
        async with await greeting(b"") as listener:
            with pytest.raises(AddressNotAvailableError, match=f"adapter {adapter.name}: it has no address"):
                await started_in(here, listener.bind_service_name_async, "", PLAIN, adapter)


@NEEDS_LINUX
@pytest.mark.parametrize("confining", [True, False])
@pytest_twisted.ensureDeferred
async def test_an_adapter_that_is_gone_ends_the_bind_and_another_can_be_tried(monkeypatch, confining):
    """Whichever way the system has of it."""
    with two_cables() as (here, there):
        gone, other = (adapter_of(port) for port in there.ports)
        there.ports[0].unplug()
        if not confining:
            monkeypatch.delattr(socket, "SO_BINDTODEVICE")
        async with await greeting(b"hello") as listener:
            with pytest.raises(AddressNotAvailableError, match=f"adapter {gone.name}: it is gone"):
                await started_in(there, listener.bind_service_name_async, "", PLAIN, gone)
            await started_in(there, listener.bind_service_name_async, "", PLAIN, other)
            port = listener.information.local_port
            assert await said_to(here, there.ports[1].ipv4, port) == b"hello"


# With TLS


@NEEDS_LINUX
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_tls_goes_through_adapters_too(family):
    """At both ends, the whole handshake of it."""
    level = SocketProtectionLevel.TLS13
    with two_cables() as (here, there):
        host = there.ports[1].address(family)
        async with await greeting(b"hello") as listener, trusting_client() as secured:
            listener.control.server_certificates.append(server_identity(host))
            await started_in(there, listener.bind_service_name_async, "", level, adapter_of(there.ports[1]))
            port = listener.information.local_port
            with here.capture(here.ports[0]) as elsewhere:
                adapter = adapter_of(here.ports[1])
                await started_in(here, secured.connect_async, host, port, level, adapter)
                assert secured.information.protection_level is level
                assert await read(secured, 5) == b"hello"
                assert elsewhere.seen(lambda packet: packet.destination_port == int(port)) == []
            other = there.ports[0].address(family)
            refused = await ended(started_in(here, StreamSocket().connect_async, other, port))
            assert type(refused) is ConnectRefusedError
