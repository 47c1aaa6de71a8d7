"""Sharing a port for multicast: with sockets, processes and other programs, and without unicast."""

from __future__ import annotations

import socket as system
import subprocess
import sys

import pytest
import pytest_twisted

from tests.networks import two_hosts
from tests.sockets.datagrams import names, outcome, status_of
from tests.transports.datagrams import FAMILIES, until
from winsockets.errors import (
    E_ILLEGAL_METHOD_CALL,
    IllegalMethodCallError,
    SocketErrorStatus,
)
from winsockets.sockets import DatagramSocket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the network namespaces of Linux")

GROUP = {system.AF_INET: "239.1.2.3", system.AF_INET6: "ff15::1:2:3"}
WILDCARD = {system.AF_INET: "0.0.0.0", system.AF_INET6: "::"}


def sharing() -> DatagramSocket:
    """A socket that shares its port."""
    socket = DatagramSocket()
    socket.control.multicast_only = True
    return socket


def plain_member(host, family: int, port: int) -> system.socket:
    """What another program has: a socket with SO_REUSEADDR in the group."""
    skt = host.socket(family)
    skt.setsockopt(system.SOL_SOCKET, system.SO_REUSEADDR, 1)
    skt.bind((WILDCARD[family], port))
    packed = system.inet_pton(family, GROUP[family])
    index = host.ports[0].index.to_bytes(4, sys.byteorder)
    if family == system.AF_INET6:
        skt.setsockopt(system.IPPROTO_IPV6, system.IPV6_JOIN_GROUP, packed + index)
    else:
        skt.setsockopt(system.IPPROTO_IP, system.IP_ADD_MEMBERSHIP, packed + bytes(4) + index)
    return skt


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_all_who_share_a_port_hear_the_group(family):
    """Two sockets of this process, and a plain one, whoever of them sends."""
    with two_hosts() as (here, _), here:
        async with sharing() as one, sharing() as other:
            messages = [one.messages(), other.messages()]
            await one.bind_service_name_async("")
            port = one.information.local_port
            with plain_member(here, family, int(port)) as plain:
                await other.bind_service_name_async(port)
                for socket in (one, other):
                    socket.join_multicast_group(GROUP[family])
                stream = await one.get_output_stream_async(GROUP[family], port)
                await stream.write_async(b"from one")
                plain.sendto(b"from a plain socket", (GROUP[family], int(port)))
                for queue in messages:
                    assert (await anext(queue)).data == b"from one"
                    assert (await anext(queue)).data == b"from a plain socket"
                assert [plain.recv(100), plain.recv(100)] == [b"from one", b"from a plain socket"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_is_sent_to_this_machine_alone_is_not_delivered(family):
    """Which of the sockets it came to would be chance; it is counted, and the group is heard."""
    with two_hosts() as (here, _), here:
        async with sharing() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            port = socket.information.local_port
            socket.join_multicast_group(GROUP[family])
            with here.socket(family) as sender:
                for number in range(3):
                    sender.sendto(b"to you alone %d" % number, (here.address(family), int(port)))
                sender.sendto(b"to all", (GROUP[family], int(port)))
            assert (await anext(messages)).data == b"to all"
            assert socket.information.dropped_messages == 3


@pytest.mark.parametrize("destination", ["255.255.255.255", "of the network"])
@pytest_twisted.ensureDeferred
async def test_broadcasts_are_sent_and_received(destination):
    """To all, or to all of one network."""
    with two_hosts() as (here, _), here:
        where = destination if "." in destination else here.ports[0].subnet_broadcast
        async with sharing() as one, sharing() as other:
            messages = [one.messages(), other.messages()]
            await one.bind_service_name_async("")
            port = one.information.local_port
            await other.bind_service_name_async(port)
            stream = await one.get_output_stream_async(where, port)
            await stream.write_async(b"hello")
            for queue in messages:
                assert (await anext(queue)).data == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.1", "fe80::1%lo"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_to_one_machine(host):
    """Neither by a stream nor by connecting; and nothing has left when a stream came first."""
    async with sharing() as socket:
        stream = socket.get_output_stream_async(host, 9)
        problem = outcome(stream)
        assert isinstance(problem, IllegalMethodCallError)
        assert problem.hresult == E_ILLEGAL_METHOD_CALL
        assert problem.status is SocketErrorStatus.UNKNOWN
        assert "multicast_only" in str(problem)
        with pytest.raises(IllegalMethodCallError, match="multicast_only"):
            socket.connect_async(host, 9)
    async with DatagramSocket() as socket:
        stream = await socket.get_output_stream_async(host, 9)
        socket.control.multicast_only = True
        with pytest.raises(IllegalMethodCallError, match="multicast_only"):
            stream.write_async(b"no")
        assert socket.information.local_port == ""


@pytest_twisted.ensureDeferred
async def test_a_name_that_leads_to_one_machine_fails_the_operation():
    """That is known once it is resolved."""
    async with sharing() as socket:
        with names(somebody="192.0.2.1"), pytest.raises(IllegalMethodCallError, match="multicast_only"):
            await socket.get_output_stream_async("somebody", 9)


@pytest_twisted.ensureDeferred
async def test_without_the_wish_a_port_is_exclusive():
    """Also toward one who would share it, whoever comes first."""
    async with sharing() as one, DatagramSocket() as other:
        await one.bind_service_name_async("")
        bind = other.bind_service_name_async(one.information.local_port)
        assert status_of(bind) is SocketErrorStatus.ADDRESS_ALREADY_IN_USE
    async with DatagramSocket() as one, sharing() as other:
        await one.bind_service_name_async("")
        bind = other.bind_service_name_async(one.information.local_port)
        assert status_of(bind) is SocketErrorStatus.ADDRESS_ALREADY_IN_USE


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_socat_shares_the_port(family, require_program):
    """With its own option for that; both hear the group."""
    socat = require_program("socat")
    with two_hosts() as (here, _), here:
        async with sharing() as socket:
            messages = socket.messages()
            await socket.bind_service_name_async("")
            port = socket.information.local_port
            socket.join_multicast_group(GROUP[family])
            where = here.ports[0].name
            address = (
                f"UDP4-RECV:{port},reuseaddr,ip-add-membership={GROUP[family]}:{where}"
                if family == system.AF_INET
                else f"UDP6-RECV:{port},reuseaddr,ipv6only=1,ipv6-join-group=[{GROUP[family]}]:{where}"
            )
            joined = members(here, family)
            peer = here.start(socat, "-u", address, "STDOUT", stdout=subprocess.PIPE)
            await until(lambda: members(here, family) > joined or peer.poll() is not None)
            stream = await socket.get_output_stream_async(GROUP[family], port)
            await stream.write_async(b"hello socat")
            assert (await anext(messages)).data == b"hello socat"
            assert peer.stdout is not None
            assert peer.stdout.read(11) == b"hello socat"


def members(host, family: int) -> int:
    """How many sockets of a host are in the group, as its system counts them."""
    packed = system.inet_pton(family, GROUP[family])
    if family == system.AF_INET6:
        return sum(int(line.split()[3]) for line in host.get("igmp6").splitlines() if packed.hex() in line)
    shown = f"{int.from_bytes(packed, 'little'):08X}"
    return sum(int(line.split()[1]) for line in host.get("igmp").splitlines() if shown in line)
