"""Multicast groups of a DatagramSocket: joining, leaving, sources, adapters, and what is refused."""

from __future__ import annotations

import errno
import socket as system
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import pytest
import pytest_twisted

from tests.networks import Host, lan, network, network_namespace, two_hosts
from tests.sockets.datagrams import pending_names, receiver_on, status_of
from winsockets.errors import (
    E_INVALIDARG,
    AddressNotAvailableError,
    IllegalMethodCallError,
    InvalidArgumentError,
    NetworkUnreachableError,
    ObjectClosedError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.networking import HostName, NetworkAdapter
from winsockets.sockets import DatagramSocket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the network namespaces of Linux")

GROUPS = ("239.1.2.3", "ff15::1:2:3")
LINK_LOCAL_GROUPS = ("224.0.0.199", "ff02::1:2:3")
LAST = b"the last one"


def adapter_of(host: Host, number: int = 0) -> NetworkAdapter:
    """One of the adapters of a host."""
    with host:
        return NetworkAdapter.from_name(host.ports[number].name)


@contextmanager
def inside() -> Iterator[Host]:
    """Be on a host whose way to everywhere is one adapter."""
    with two_hosts() as (here, _), here:
        yield here


async def bound_socket() -> DatagramSocket:
    """A socket that is bound to a port of all addresses."""
    socket = DatagramSocket()
    await socket.bind_service_name_async("")
    return socket


def send(host: Host, group: str, port: str, *payloads: bytes, source: str = "", through: int = 0) -> None:
    """Send datagrams to a group, through an adapter of a host and perhaps from one of its addresses."""
    family = system.AF_INET6 if ":" in group else system.AF_INET
    index = host.ports[through].index
    with host.socket(family) as skt:
        if family == system.AF_INET6:
            skt.setsockopt(system.IPPROTO_IPV6, system.IPV6_MULTICAST_IF, index)
        else:
            chosen = bytes(8) + index.to_bytes(4, sys.byteorder)
            skt.setsockopt(system.IPPROTO_IP, system.IP_MULTICAST_IF, chosen)
        if source:
            skt.bind((source, 0))
        for payload in payloads:
            skt.sendto(payload, (group, int(port)))


def unicast(host: Host, family: int, port: str) -> None:
    """Send what arrives in any case, behind what may not: the order on one machine is that of sending."""
    with host.socket(family) as skt:
        skt.sendto(LAST, (host.address(family), int(port)))


def family_of(group: str) -> int:
    """The family of a group."""
    return system.AF_INET6 if ":" in group else system.AF_INET


# Hearing a group


@pytest.mark.parametrize("group", [*GROUPS, *LINK_LOCAL_GROUPS])
@pytest_twisted.ensureDeferred
async def test_a_group_is_heard_once_it_is_joined_and_until_it_is_left(group):
    """And what was sent in between only."""
    with inside() as here:
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            port = socket.information.local_port
            send(here, group, port, b"too early")
            socket.join_multicast_group(HostName(group))
            send(here, group, port, b"in time")
            message = await anext(messages)
            assert message.data == b"in time"
            assert message.local_address == HostName(group)
            socket.leave_multicast_group(HostName(group))
            send(here, group, port, b"too late")
            unicast(here, family_of(group), port)
            assert (await anext(messages)).data == LAST


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_groups_that_others_joined_are_not_heard(group):
    """Linux would deliver them to everybody at the port."""
    with inside() as here:
        async with DatagramSocket() as member, DatagramSocket() as other:
            messages, unwanted = member.messages(), other.messages()
            member.control.multicast_only = other.control.multicast_only = True
            await member.bind_service_name_async("")
            port = member.information.local_port
            await other.bind_service_name_async(port)
            member.join_multicast_group(group)
            other.join_multicast_group("239.9.9.9" if group == GROUPS[0] else "ff15::9")
            send(here, group, port, b"for the member")
            send(here, "239.9.9.9" if group == GROUPS[0] else "ff15::9", port, b"for the other")
            assert (await anext(messages)).data == b"for the member"
            assert (await anext(unwanted)).data == b"for the other"


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_a_group_is_joined_again_after_leaving(group):
    """As often as one likes, for all and for single sources."""
    with inside() as here, await bound_socket() as socket:
        source = here.address(family_of(group))
        for _ in range(3):
            socket.join_multicast_group(group)
            socket.leave_multicast_group(group)
            socket.join_multicast_group(group, source=source)
            socket.leave_multicast_group(group, source=source)


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_closing_leaves_the_groups(group):
    """The system's table has them no more."""
    with inside() as here:
        family = family_of(group)
        packed = system.inet_pton(family, group)
        v6 = family == system.AF_INET6
        shown = packed.hex() if v6 else f"{int.from_bytes(packed, 'little'):08X}"
        socket = await bound_socket()
        socket.join_multicast_group(group)
        assert shown in here.get("igmp6" if v6 else "igmp")
        socket.close()
        assert shown not in here.get("igmp6" if v6 else "igmp")


# Sources


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_a_group_is_heard_from_the_sources_it_is_joined_for(group):
    """One, then two, then the other one."""
    with inside() as here:
        family = family_of(group)
        one, two, three = sources(here, family)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            port = socket.information.local_port

            async def heard() -> list[str]:
                for source in (one, two, three):
                    send(here, group, port, source.encode(), source=source)
                unicast(here, family, port)
                found = []
                async for message in messages:
                    if message.data == LAST:
                        break
                    found.append(message.data.decode())
                return found

            socket.join_multicast_group(group, source=one)
            assert await heard() == [one]
            socket.join_multicast_group(group, source=two)
            assert await heard() == [one, two]
            socket.leave_multicast_group(group, source=one)
            assert await heard() == [two]
            socket.leave_multicast_group(group)
            assert await heard() == []

            socket.join_multicast_group(group)
            assert await heard() == [one, two, three]
            socket.block_multicast_source(group, two)
            assert await heard() == [one, three]
            socket.block_multicast_source(group, HostName(one))
            assert await heard() == [three]
            socket.unblock_multicast_source(group, two)
            assert await heard() == [two, three]


def sources(host: Host, family: int) -> list[str]:
    """Three addresses of a host."""
    port = host.ports[0]
    if family == system.AF_INET6:
        more = [f"{port.ipv6.rpartition('::')[0]}::{number}" for number in (71, 72)]
        for address in more:
            host.ip(f"addr add {address}/64 dev {port.name} nodad")
    else:
        more = [f"{port.ipv4.rpartition('.')[0]}.{number}" for number in (71, 72)]
        for address in more:
            host.ip(f"addr add {address}/24 dev {port.name}")
    host.settle()
    return [port.address(family), *more]


# Adapters


@contextmanager
def two_adapters() -> Iterator[Host]:
    """Be on a host with two adapters, the first of which is the way to everywhere."""
    with network() as built:
        here, one, other = built.host(), built.host(), built.host()
        built.join(here, one)
        built.join(here, other)
        here.ip(f"route add default dev {here.ports[0].name}", f"route add ::/0 dev {here.ports[0].name}")
        with here:
            yield here


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("group", "way"),
    [*product(GROUPS, ["join", "bind"]), (GROUPS[1], "zone"), (LINK_LOCAL_GROUPS[1], "zone")],
)
@pytest_twisted.ensureDeferred
async def test_a_group_is_heard_on_the_adapter_that_is_named(group, number, way):
    """In the call, by the bind, or in the zone of the group's address; and on no other."""
    with two_adapters() as here:
        wanted, other = number, 1 - number
        adapter = adapter_of(here, wanted)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            bound_to = [adapter] if way == "bind" else []
            await socket.bind_service_name_async("", *bound_to)
            port = socket.information.local_port
            if way == "join":
                socket.join_multicast_group(group, adapter=adapter)
            elif way == "zone":
                socket.join_multicast_group(f"{group}%{adapter.name}")
            else:
                socket.join_multicast_group(group)
            send(here, group, port, b"elsewhere", through=other)
            send(here, group, port, b"here", through=wanted)
            assert (await anext(messages)).data == b"here"


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_without_an_adapter_a_group_is_joined_where_the_routing_leads(group):
    """Not on the others: whoever wants those joins there too."""
    with two_adapters() as here:
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            port = socket.information.local_port
            socket.join_multicast_group(group)
            send(here, group, port, b"second", through=1)
            send(here, group, port, b"first", through=0)
            assert (await anext(messages)).data == b"first"
            socket.join_multicast_group(group, adapter=adapter_of(here, 1))
            send(here, group, port, b"second", through=1)
            assert (await anext(messages)).data == b"second"


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_a_group_that_is_joined_where_the_routing_leads_is_joined_on_that_adapter(group):
    """So the system refuses to join it there again."""
    with inside() as here, await bound_socket() as socket:
        socket.join_multicast_group(group)
        with pytest.raises(AddressNotAvailableError, match="joined on this adapter already") as caught:
            socket.join_multicast_group(group, adapter=adapter_of(here))
        assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_to_an_adapter_joins_there_only(group):
    """And so does a group with the zone of another."""
    with two_adapters() as here, DatagramSocket() as socket:
        await socket.bind_service_name_async("", adapter_of(here, 0))
        with pytest.raises(InvalidArgumentError, match="must be the same"):
            socket.join_multicast_group(group, adapter=adapter_of(here, 1))
        if ":" in group:
            with pytest.raises(InvalidArgumentError, match="must be the same"):
                socket.join_multicast_group(f"{group}%{here.ports[1].name}")
        socket.join_multicast_group(group, adapter=adapter_of(here, 0))


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_an_adapter_that_is_gone_is_a_clear_error(group):
    """For joining, for sending and for binding; what was joined there can still be left."""
    with lan(2) as (here, _), here:
        adapter = adapter_of(here)
        with await bound_socket() as socket:
            socket.join_multicast_group(group, adapter=adapter)
            here.ports[0].unplug()
            with pytest.raises(AddressNotAvailableError, match="the adapter is gone"):
                socket.join_multicast_group("239.7.7.7" if "." in group else "ff15::7", adapter=adapter)
            with pytest.raises(AddressNotAvailableError, match="it is gone"):
                socket.control.multicast_adapter = adapter
            assert socket.control.multicast_adapter is None
            socket.leave_multicast_group(group, adapter=adapter)
        with DatagramSocket() as socket:
            bind = socket.bind_service_name_async("", adapter)
            assert status_of(bind) is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
            assert await socket.bind_service_name_async("") is None


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_the_settings_for_groups_are_seen_by_who_is_in_them(group):
    """Before binding and at any time after: the hops, the adapter and the loopback."""
    with two_adapters() as here:
        first, second = adapter_of(here, 0), adapter_of(here, 1)
        async with DatagramSocket() as member, DatagramSocket() as socket:
            messages = member.messages()
            await member.bind_service_name_async("")
            for adapter in (first, second):
                member.join_multicast_group(group, adapter=adapter)
            socket.control.outbound_multicast_hop_limit = 7
            socket.control.multicast_adapter = second
            stream = await socket.get_output_stream_async(group, member.information.local_port)

            async def heard(payload: bytes) -> tuple[int | None, NetworkAdapter | None]:
                await stream.write_async(payload)
                message = await anext(messages)
                assert message.data == payload
                return message.hop_limit, message.network_adapter

            assert await heard(b"one") == (7, second)
            socket.control.outbound_multicast_hop_limit = 0
            assert await heard(b"two") == (0, second)
            socket.control.outbound_multicast_hop_limit = 255
            socket.control.multicast_adapter = first
            assert await heard(b"three") == (255, first)
            socket.control.multicast_loopback = False
            await stream.write_async(b"not heard")
            socket.control.multicast_loopback = True
            socket.control.multicast_adapter = second
            assert await heard(b"four") == (255, second)
            socket.control.multicast_adapter = None
            assert await heard(b"five") == (255, first)


# What is refused


@pytest_twisted.ensureDeferred
async def test_groups_are_joined_once_the_socket_is_bound():
    """Neither before, nor meanwhile, nor after closing."""
    calls = [
        lambda socket: socket.join_multicast_group(GROUPS[0]),
        lambda socket: socket.leave_multicast_group(GROUPS[0]),
        lambda socket: socket.block_multicast_source(GROUPS[0], "10.0.0.1"),
        lambda socket: socket.unblock_multicast_source(GROUPS[0], "10.0.0.1"),
    ]
    socket = DatagramSocket()
    for call in calls:
        with pytest.raises(IllegalMethodCallError, match="not bound"):
            call(socket)
    with pending_names():
        binding = socket.bind_endpoint_async("somewhere", "")
        for call in calls:
            with pytest.raises(IllegalMethodCallError, match="being bound"):
                call(socket)
        socket.close()
    assert status_of(binding) is SocketErrorStatus.OPERATION_ABORTED
    for call in calls:
        with pytest.raises(ObjectClosedError):
            call(socket)


@pytest.mark.parametrize(
    "group", ["192.0.2.1", "255.255.255.255", "::1", "fe80::1", "0.0.0.0", "localhost", "223.255.255.255"]
)
@pytest_twisted.ensureDeferred
async def test_what_is_not_a_multicast_address_cannot_be_joined(group):
    """Whatever else it is."""
    with await bound_socket() as socket, pytest.raises(InvalidArgumentError, match="multicast") as caught:
        socket.join_multicast_group(group)
    assert caught.value.hresult == E_INVALIDARG


@pytest_twisted.ensureDeferred
async def test_no_group_no_source_and_things_that_are_none_are_refused():
    """As everywhere: None is E_INVALIDARG, another type TypeError."""
    with await bound_socket() as socket:
        with pytest.raises(InvalidArgumentError):
            socket.join_multicast_group(None)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError):
            socket.block_multicast_source(GROUPS[0], None)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            socket.join_multicast_group(224)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="NetworkAdapter"):
            socket.join_multicast_group(GROUPS[0], adapter="eth0")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "source"),
    [
        (GROUPS[0], "fd00::1"),
        (GROUPS[1], "10.0.0.1"),
        (GROUPS[0], GROUPS[0]),
        (GROUPS[0], "0.0.0.0"),
        (GROUPS[1], "::"),
        (GROUPS[0], "localhost"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_source_is_an_address_of_the_groups_family(group, source):
    """And of one machine."""
    with await bound_socket() as socket:
        for call in (socket.block_multicast_source, socket.unblock_multicast_source):
            with pytest.raises(InvalidArgumentError, match="source"):
                call(group, source)
        for name in ("join_multicast_group", "leave_multicast_group"):
            with pytest.raises(InvalidArgumentError, match="source"):
                getattr(socket, name)(group, source=source)


@pytest.mark.parametrize(("host", "group"), [("127.0.0.1", GROUPS[1]), ("::1", GROUPS[0])])
@pytest_twisted.ensureDeferred
async def test_a_group_is_of_a_family_that_the_socket_has(host, group):
    """A socket that is bound to one address has one."""
    socket, _ = await receiver_on(host)
    with socket, pytest.raises(SocketException) as caught:
        socket.join_multicast_group(group)
    assert caught.value.status is SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED


@pytest.mark.parametrize("group", GROUPS)
@pytest_twisted.ensureDeferred
async def test_joining_twice_is_refused_and_changes_nothing(group):
    """As Winsock does: the address is not available."""
    with inside() as here:
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            socket.join_multicast_group(group)
            with pytest.raises(AddressNotAvailableError) as caught:
                socket.join_multicast_group(group)
            assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
            send(here, group, socket.information.local_port, b"still there")
            assert (await anext(messages)).data == b"still there"


@pytest_twisted.ensureDeferred
async def test_where_no_route_leads_to_a_group_that_is_said():
    """On a host with loopback only; naming the adapter helps."""
    with network_namespace():
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            with pytest.raises(NetworkUnreachableError, match="name an adapter") as caught:
                socket.join_multicast_group(GROUPS[0])
            assert caught.value.errno == errno.ENODEV
            loopback = NetworkAdapter.from_name("lo")
            socket.join_multicast_group(GROUPS[0], adapter=loopback)
            socket.control.multicast_adapter = loopback
            stream = await socket.get_output_stream_async(GROUPS[0], socket.information.local_port)
            await stream.write_async(b"to myself")
            assert (await anext(messages)).data == b"to myself"


@pytest_twisted.ensureDeferred
async def test_too_many_groups_are_the_systems_refusal():
    """Linux allows 20 for one socket; the rest is as it was."""
    with inside() as here, await bound_socket() as socket:
        here.set("ipv4/igmp_max_memberships", 3)
        for number in range(3):
            socket.join_multicast_group(f"239.0.0.{number}")
        with pytest.raises(SocketException, match="igmp_max_memberships") as caught:
            socket.join_multicast_group("239.0.0.3")
        assert caught.value.errno == errno.ENOBUFS
        socket.leave_multicast_group("239.0.0.0")
        socket.join_multicast_group("239.0.0.3")
