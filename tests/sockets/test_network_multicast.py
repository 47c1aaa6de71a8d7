"""Multicast between hosts: who receives what, through which interface, and what the routers are told."""

from __future__ import annotations

import socket as system
import subprocess

import pytest
import pytest_twisted

from tests.networks import forwarding_group, is_member, lan, network, routed_hosts, two_hosts
from tests.sockets.crossing import FAMILIES, receiver_in, stream_to
from tests.transports.datagrams import turns, until
from winsockets.networking import HostName, NetworkAdapter
from winsockets.sockets import DatagramSocket

GROUP = {system.AF_INET: "239.1.2.3", system.AF_INET6: "ff15::1:2:3"}
PORT = 4000
TO_ALL = "to-ex"


async def member(host, group, port=None, *, socket=None, **options):
    """A socket in a host that has joined a group, and its messages."""
    receiver, messages = await receiver_in(host, None, PORT, socket)
    join(host, receiver, group, port, **options)
    return receiver, messages


def adapter_of(host, port=None):
    """The adapter of one of a host's interfaces."""
    with host:
        return NetworkAdapter.from_name((port or host.ports[0]).name)


def join(host, receiver, group, port=None, **options):
    """Join inside a host, on an interface of it or on the one that the system takes."""
    with host:
        if port is not None:
            options["adapter"] = adapter_of(host, port)
        receiver.join_multicast_group(HostName(group), **options)


async def send_from(host, data, group, port=None, **settings):
    """Send one datagram to a group, through an interface of a host or through the one the system takes."""
    async with DatagramSocket() as sender:
        for name, value in settings.items():
            setattr(sender.control, name, value)
        if port is not None:
            sender.control.multicast_adapter = adapter_of(host, port)
        stream = await stream_to(host, sender, group, PORT)
        await stream.write_async(data)


def waiting(messages):
    """The data of the messages that wait already."""
    return [message.data for message in messages._messages]


def reported(kind, group, *sources):
    """A test of a packet: whether it says this of a group.

    A report is sent several times, together with what is new since then.
    """
    return lambda packet: any(
        (kind, group) == report[:2] and {*sources} <= {*report.sources} for report in packet.reports
    )


# Any source


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_members_of_a_group_receive_what_anybody_sends(family):
    """Their routers hear of it; a message says from whom it is and that it was for the group."""
    group = GROUP[family]
    with lan(3) as (one, two, three), three.capture() as capture:
        first, first_messages = await member(one, group)
        second, second_messages = await member(two, group)
        async with first, second:
            await capture.wait(lambda packet: packet.source and packet.reports, 2)
            for host in (one, two):
                (report, *_) = await capture.wait(
                    lambda packet, host=host: (
                        packet.source in {host.ipv4, host.ports[0].link_local}
                        and reported(TO_ALL, group)(packet)
                    )
                )
                assert report.hops == 1
            await send_from(three, b"to all", group)
            for messages in (first_messages, second_messages):
                message = await anext(messages)
                assert message.data == b"to all"
                assert message.remote_address == HostName(three.address(family))
                assert message.local_address == HostName(group)
            (packet,) = capture.datagrams(PORT)
            assert (packet.destination, packet.hops) == (group, 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_who_has_left_a_group_receives_no_more(family):
    """The routers hear of that too; others on the same port receive what they did."""
    group = GROUP[family]
    with two_hosts() as (one, other), other.capture() as capture:
        receiver, messages = await member(one, group)
        async with receiver:
            await send_from(other, b"before", group)
            assert (await anext(messages)).data == b"before"
            with one:
                receiver.leave_multicast_group(group)
            await capture.wait(reported("to-in", group))
            assert not is_member(one, group)
            await send_from(other, b"after", group)
            await send_from(other, b"alone", one.address(family))
            assert (await anext(messages)).data == b"alone"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_closing_leaves_the_groups(family):
    """As WinRT does it."""
    group = GROUP[family]
    with two_hosts() as (one, other), other.capture() as capture:
        receiver, _ = await member(one, group)
        await capture.wait(reported(TO_ALL, group))
        receiver.close()
        await capture.wait(reported("to-in", group))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wanted", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_sender_hears_itself_or_not(family, wanted):
    """As ``multicast_loopback`` says; other hosts hear it anyway."""
    group = GROUP[family]
    with two_hosts() as (one, other):
        here, own = await member(one, group)
        there, others = await member(other, group)
        async with here, there:
            await send_from(one, b"looped", group, multicast_loopback=wanted)
            assert (await anext(others)).data == b"looped"
            await send_from(other, b"from afar", group)
            expected = [b"looped", b"from afar"] if wanted else [b"from afar"]
            assert [(await anext(own)).data for _ in expected] == expected


# One source


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_source_specific_member_hears_its_sources_only(family):
    """The routers are told which; the other hosts' datagrams come to the machine and are not delivered."""
    group = {system.AF_INET: "232.1.2.3", system.AF_INET6: "ff35::1:2:3"}[family]
    with lan(4) as (one, two, three, four), one.capture() as capture:
        wanted, also = (host.address(family) for host in (two, three))
        receiver, messages = await member(one, group, source=wanted)
        async with receiver:
            await capture.wait(lambda packet: reported("allow", group, wanted)(packet) and packet.outgoing)
            join(one, receiver, group, source=HostName(also))
            await capture.wait(lambda packet: reported("allow", group, also)(packet) and packet.outgoing)
            for host in (four, two, three):
                await send_from(host, host.name.encode(), group)
            await capture.wait_for_datagrams(PORT, 3)
            arrived = [(await anext(messages)) for _ in range(2)]
            assert {str(message.remote_address) for message in arrived} == {wanted, also}
            with one:
                receiver.leave_multicast_group(group, source=wanted)
            await capture.wait(lambda packet: reported("block", group, wanted)(packet) and packet.outgoing)
            for host in (four, two, three):
                await send_from(host, b"again", group)
            await capture.wait_for_datagrams(PORT, 6)
            assert str((await anext(messages)).remote_address) == also
            await turns(3)
            assert waiting(messages) == []
            with one:
                receiver.leave_multicast_group(group, source=also)
            assert not is_member(one, group)


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_blocked_source_is_not_heard_until_it_is_unblocked(family):
    """The routers hear of both."""
    group = GROUP[family]
    with lan(3) as (one, two, three), one.capture() as capture:
        noisy = two.address(family)
        receiver, messages = await member(one, group)
        async with receiver:
            with one:
                receiver.block_multicast_source(group, noisy)
            await capture.wait(
                lambda packet: (
                    reported("block", group, noisy)(packet) or reported(TO_ALL, group, noisy)(packet)
                )
            )
            await send_from(two, b"noise", group)
            await capture.wait_for_datagrams(PORT)
            await send_from(three, b"news", group)
            assert (await anext(messages)).data == b"news"
            with one:
                receiver.unblock_multicast_source(group, noisy)
            await capture.wait(
                lambda packet: reported("allow", group, noisy)(packet) or reported(TO_ALL, group)(packet)
            )
            await send_from(two, b"sense", group)
            assert (await anext(messages)).data == b"sense"
            assert waiting(messages) == []


# Interfaces


def between_two_networks(built):
    """A host in the middle of two networks, and one more in each of them."""
    middle, left, right = built.host("in the middle"), built.host("on the left"), built.host("on the right")
    built.join(middle, left)
    built.join(middle, right)
    middle.ip("route add default dev net1", "route add ::/0 dev net1")
    left.ip("route add default dev net1")
    right.ip("route add default dev net2")
    return middle, left, right


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_datagrams_to_a_group_leave_through_the_chosen_adapter(family):
    """At any time another one; never through both."""
    group = GROUP[family]
    with network() as built:
        middle, left, right = between_two_networks(built)
        with left.capture() as on_the_left, right.capture() as on_the_right:
            async with DatagramSocket() as sender:
                sender.control.multicast_adapter = adapter_of(middle, middle.ports[1])
                stream = await stream_to(middle, sender, group, PORT)
                await stream.write_async(b"right")
                sender.control.multicast_adapter = adapter_of(middle, middle.ports[0])
                await stream.write_async(b"left")
                sender.control.multicast_adapter = adapter_of(middle, middle.ports[1])
                await stream.write_async(b"right again")
            await on_the_right.wait_for_datagrams(PORT, 2)
            await on_the_left.wait_for_datagrams(PORT)
            assert [packet.payload for packet in on_the_left.datagrams(PORT)] == [b"left"]
            seen = on_the_right.datagrams(PORT)
            assert [packet.payload for packet in seen] == [b"right", b"right again"]
            assert {packet.source for packet in seen} == {middle.ports[1].address(family)}


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_group_joined_on_an_adapter_is_joined_there_only(family):
    """What is sent in the other network is not heard; joined there too, it is."""
    group = GROUP[family]
    with network() as built:
        middle, left, right = between_two_networks(built)
        with left.capture() as on_the_left, right.capture() as on_the_right:
            receiver, messages = await member(middle, group, middle.ports[1])
            async with receiver:
                await on_the_right.wait(reported(TO_ALL, group))
                with middle.capture(middle.ports[0]) as arriving:
                    await send_from(left, b"left", group, left.ports[0])
                    await arriving.wait_for_datagrams(PORT)
                await send_from(right, b"right", group, right.ports[0])
                assert (await anext(messages)).data == b"right"
                assert not on_the_left.seen(reported(TO_ALL, group))
                join(middle, receiver, group, middle.ports[0])
                await on_the_left.wait(reported(TO_ALL, group))
                await send_from(left, b"left now", group, left.ports[0])
                assert (await anext(messages)).data == b"left now"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_socket_bound_to_an_adapter_joins_and_sends_there(family):
    """And receives nothing else, unicast included."""
    group = GROUP[family]
    with network() as built:
        middle, left, right = between_two_networks(built)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            with middle:
                binding = socket.bind_service_name_async(PORT, adapter_of(middle, middle.ports[1]))
            await binding
            join(middle, socket, group)
            with left.capture() as on_the_left, right.capture() as on_the_right:
                stream = await socket.get_output_stream_async(group, PORT)
                await stream.write_async(b"from the middle")
                await on_the_right.wait_for_datagrams(PORT)
                assert on_the_left.datagrams(PORT) == []
            assert (await anext(messages)).data == b"from the middle"
            with middle.capture(middle.ports[0]) as arriving:
                await send_from(left, b"left", group, left.ports[0])
                await send_from(left, b"left, alone", middle.address(family))
                await arriving.wait_for_datagrams(PORT, 2)
            await send_from(right, b"right, alone", middle.ports[1].address(family))
            await send_from(right, b"right", group, right.ports[0])
            assert [(await anext(messages)).data for _ in range(2)] == [b"right, alone", b"right"]


@pytest_twisted.ensureDeferred
async def test_groups_of_a_link_are_joined_on_their_interface():
    """ff02::/16, named with the interface or with an adapter; another link has another group of that name."""
    with network() as built:
        middle, left, right = between_two_networks(built)
        receiver, messages = await member(middle, f"ff02::1234%{middle.ports[1].index}")
        async with receiver:
            with right.capture() as capture:
                with middle.capture(middle.ports[0]) as arriving:
                    await send_from(left, b"left", "ff02::1234", left.ports[0])
                    await arriving.wait_for_datagrams(PORT)
                await send_from(right, b"right", "ff02::1234", right.ports[0])
                message = await anext(messages)
                assert message.data == b"right"
                (packet,) = capture.datagrams(PORT)
                # Of a link-local group the source is that of the link too
                assert packet.source == right.ports[0].link_local
                assert packet.hops == 1


# Routers


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_only_what_has_hops_left_crosses_a_router_of_groups(family):
    """One hop is the own network, which is the default; with two, the next one hears it."""
    group = GROUP[family]
    with routed_hosts() as (one, router, other):
        near, far = router.ports
        with forwarding_group(router, group, one.address(family), near, far):
            receiver, messages = await member(other, group)
            async with receiver:
                with router.capture(near) as arriving, other.capture() as there:
                    await send_from(one, b"as it is", group)
                    await send_from(one, b"one", group, outbound_multicast_hop_limit=1)
                    await send_from(one, b"two", group, outbound_multicast_hop_limit=2)
                    await send_from(one, b"nine", group, outbound_multicast_hop_limit=9)
                    assert (await anext(messages)).data == b"two"
                    assert (await anext(messages)).data == b"nine"
                    hops = [packet.hops for packet in arriving.datagrams(PORT)]
                    assert hops == [1, 1, 2, 9]
                    hops = [packet.hops for packet in there.datagrams(PORT)]
                    assert hops == [1, 8]


# Sharing


SHARING = """
import socket, struct, sys
group, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in group else socket.AF_INET
skt = socket.socket(family, socket.SOCK_DGRAM)
skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == socket.AF_INET6:
    skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    skt.bind(("::", port))
    skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, group) + bytes(4))
else:
    skt.bind(("", port))
    skt.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4))
print("joined", flush=True)
print(skt.recv(100).decode(), flush=True)
"""


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_several_processes_and_sockets_share_a_port_for_a_group(family):
    """``multicast_only``: two of ours and a program that says SO_REUSEADDR all receive it."""
    group = GROUP[family]
    with two_hosts() as (one, other):
        program = one.python(SHARING, group, str(PORT), stdout=subprocess.PIPE, text=True)
        assert program.stdout.readline() == "joined\n"
        sockets = [DatagramSocket(), DatagramSocket()]
        for socket in sockets:
            socket.control.multicast_only = True
        members = [await member(one, group, socket=socket) for socket in sockets]
        await send_from(other, b"to all of you", group)
        for socket, messages in members:
            assert (await anext(messages)).data == b"to all of you"
            socket.close()
        assert program.communicate(timeout=60)[0] == "to all of you\n"


# Other programs


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_socat_hears_what_is_sent_to_a_group(family, require_program):
    """On another host."""
    group = GROUP[family]
    address = {
        system.AF_INET: f"UDP4-RECVFROM:{PORT},ip-add-membership={group}:net1",
        system.AF_INET6: f"UDP6-RECVFROM:{PORT},ipv6-join-group=[{group}]:net1",
    }[family]
    with two_hosts() as (one, other):
        peer = other.start(require_program("socat"), "-u", address, "STDOUT", stdout=subprocess.PIPE)
        await until(lambda: is_member(other, group))
        await send_from(one, b"hello socat", group)
        assert peer.communicate(timeout=60)[0] == b"hello socat"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_socat_sends_to_a_group_is_heard(family, require_program):
    """From another host."""
    group = GROUP[family]
    address = {
        system.AF_INET: f"UDP4-SENDTO:{group}:{PORT}",
        system.AF_INET6: f"UDP6-SENDTO:[{group}]:{PORT}",
    }[family]
    with two_hosts() as (one, other):
        receiver, messages = await member(one, group)
        async with receiver:
            peer = other.start(require_program("socat"), "-u", "STDIN", address, stdin=subprocess.PIPE)
            peer.communicate(b"hello from socat", timeout=60)
            message = await anext(messages)
            assert message.data == b"hello from socat"
            assert message.remote_address == HostName(other.address(family))
