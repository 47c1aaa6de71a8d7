"""Every setting of the sockets: set, read back from the system, and seen by another host.

``python -m tests.sockets.option_rows`` shows them as a table, for both families.
"""

from __future__ import annotations

import socket as system
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from twisted.internet import task
from twisted.internet.defer import ensureDeferred

from tests.networks import Capture, Host, Network, Packet, lan, network, two_hosts
from tests.sockets.crossing import (
    FAMILIES,
    ended,
    listening_in,
    read,
    receiver_in,
    started_in,
    stream_from,
    stream_to,
)
from tests.sockets.datagrams import system_sockets
from tests.sockets.streams import system_socket
from tests.transports.datagrams import turns, until
from tests.transports.loopback import limits
from winsockets.errors import SocketErrorStatus
from winsockets.networking import NetworkAdapter
from winsockets.sockets import (
    DatagramSocket,
    SocketProtectionLevel,
    SocketQualityOfService,
    StreamSocket,
    StreamSocketListener,
)

__all__ = ["ROWS", "SETTINGS", "Outcome"]

V4, V6 = FAMILIES
IP, IPV6, SOL, TCP = system.IPPROTO_IP, system.IPPROTO_IPV6, system.SOL_SOCKET, system.IPPROTO_TCP
GROUP = {V4: "239.1.2.3", V6: "ff15::1:2:3"}
SINGLE_SOURCE = {V4: "232.1.2.3", V6: "ff35::1:2:3"}
PORT = 4000
LOW_LATENCY = SocketQualityOfService.LOW_LATENCY


class Outcome(NamedTuple):
    """What became of a setting.

    Attributes:
        options: the system's options, read back.
        seen: what another host saw.
    """

    options: str
    seen: str


Row = Callable[[int], Awaitable[Outcome]]
ROWS: dict[str, Row] = {}
"""By name; each takes a family, and fails when the system or the other host says otherwise."""

SETTINGS: set[tuple[str, str]] = set()
"""The properties that the rows are about: of which control, and its name."""


def row(name: str, *settings: tuple[str, str]) -> Callable[[Row], Row]:
    """Name a row, and what it is about."""

    def add(function: Row) -> Row:
        ROWS[name] = function
        SETTINGS.update(settings)
        return function

    return add


def granted(skt: system.socket, names: dict[int, tuple[int, int, str]], value: int, size: int = 0) -> str:
    """Read an option of a family back."""
    level, number, name = names[skt.family]
    found: Any = skt.getsockopt(level, number, size) if size else skt.getsockopt(level, number)
    assert found == value, f"{name} is {found}"
    return f"{name} {value}"


def alike(level: int, number: int, name: str) -> dict[int, tuple[int, int, str]]:
    """An option that is the same in both families."""
    return {V4: (level, number, name), V6: (level, number, name)}


HOPS = {V4: (IP, system.IP_TTL, "IP_TTL"), V6: (IPV6, system.IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS")}
GROUP_HOPS = {
    V4: (IP, system.IP_MULTICAST_TTL, "IP_MULTICAST_TTL"),
    V6: (IPV6, system.IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"),
}
LOOP = {
    V4: (IP, system.IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"),
    V6: (IPV6, system.IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"),
}
CLASS = {V4: (IP, system.IP_TOS, "IP_TOS"), V6: (IPV6, getattr(system, "IPV6_TCLASS", 0), "IPV6_TCLASS")}
WHOLE = {V4: (IP, 10, "IP_MTU_DISCOVER"), V6: (IPV6, 23, "IPV6_MTU_DISCOVER")}
PRIORITY = alike(SOL, getattr(system, "SO_PRIORITY", 0), "SO_PRIORITY")
DEVICE = getattr(system, "SO_BINDTODEVICE", 0)


def of_family(socket: DatagramSocket, family: int) -> system.socket:
    """The system's socket of a family."""
    return next(skt for skt in system_sockets(socket) if skt.family == family)


def adapter_of(host: Host, number: int = 0) -> NetworkAdapter:
    """The adapter of a host's interface."""
    with host:
        return NetworkAdapter.from_name(host.ports[number].name)


async def sent(host: Host, family: int, name: str, data: bytes = b"x", **settings: Any) -> DatagramSocket:
    """A socket with settings, that has sent a datagram."""
    socket = DatagramSocket()
    for setting, value in settings.items():
        setattr(socket.control, setting, value)
    stream = await stream_to(host, socket, name, PORT)
    # To everybody: through the adapters that are there
    await started_in(host, stream.write_async, data)
    return socket


def datagram(name: str) -> tuple[str, str]:
    """A setting of a DatagramSocket."""
    return "DatagramSocketControl", name


# Datagrams


@row("outbound_unicast_hop_limit = 99", datagram("outbound_unicast_hop_limit"))
async def unicast_hops(family: int) -> Outcome:
    """Of datagrams."""
    with two_hosts() as (one, other), other.capture() as capture:
        async with await sent(one, family, other.address(family), outbound_unicast_hop_limit=99) as socket:
            (packet,) = await capture.wait_for_datagrams(PORT)
            assert packet.hops == 99
            return Outcome(granted(of_family(socket, family), HOPS, 99), f"hop limit {packet.hops}")


@row("outbound_multicast_hop_limit = 5", datagram("outbound_multicast_hop_limit"))
async def multicast_hops(family: int) -> Outcome:
    """Of datagrams to groups."""
    with two_hosts() as (one, other), other.capture() as capture:
        async with await sent(one, family, GROUP[family], outbound_multicast_hop_limit=5) as socket:
            (packet,) = await capture.wait_for_datagrams(PORT)
            assert packet.hops == 5
            return Outcome(granted(of_family(socket, family), GROUP_HOPS, 5), f"hop limit {packet.hops}")


@row("dont_fragment = True", datagram("dont_fragment"))
async def whole(family: int) -> Outcome:
    """A datagram that fits, and one that does not."""
    fits = 1500 - (28 if family == V4 else 48)
    with two_hosts() as (one, other), other.capture() as capture:
        async with await sent(one, family, other.address(family), bytes(fits), dont_fragment=True) as socket:
            stream = await socket.get_output_stream_async(other.address(family), PORT)
            problem = await ended(stream.write_async(bytes(fits + 1)))
            assert problem.status is SocketErrorStatus.MESSAGE_TOO_LONG
            (packet,) = await capture.wait_for_datagrams(PORT)
            assert packet.fragment is None
            assert packet.dont_fragment is (family == V4)
            bit = "DF set" if family == V4 else "no fragment header"
            return Outcome(
                granted(of_family(socket, family), WHOLE, 2),
                f"{fits} bytes: one packet, {bit}; {fits + 1} bytes: nothing, {problem.status.name}",
            )


@row("dont_fragment = False")
async def divided(family: int) -> Outcome:
    """A datagram that does not fit."""
    with two_hosts() as (one, other), other.capture() as capture:
        async with await sent(one, family, other.address(family), bytes(4000)) as socket:
            level, number, name = WHOLE[family]
            value = of_family(socket, family).getsockopt(level, number)
            assert value != 2
            fragments = await capture.wait(lambda packet: packet.fragment is not None, 3)
            return Outcome(f"{name} {value}", f"4000 bytes: {len(fragments)} fragments")


@row("quality_of_service = LOW_LATENCY", datagram("quality_of_service"))
async def datagram_class(family: int) -> Outcome:
    """Of datagrams."""
    with two_hosts() as (one, other), other.capture() as capture:
        async with await sent(one, family, other.address(family), quality_of_service=LOW_LATENCY) as socket:
            (packet,) = await capture.wait_for_datagrams(PORT)
            assert packet.dscp == 46
            skt = of_family(socket, family)
            options = f"{granted(skt, CLASS, 184)}, {granted(skt, PRIORITY, 6)}"
            return Outcome(options, f"DSCP {packet.dscp}")


@row("inbound_buffer_size_in_bytes = 8192", datagram("inbound_buffer_size_in_bytes"))
async def receive_buffer(family: int) -> Outcome:
    """More than fits, before anybody reads."""
    with two_hosts() as (one, other):
        receiver = DatagramSocket()
        receiver.control.inbound_buffer_size_in_bytes = 8192
        receiver, messages = await receiver_in(other, other.address(family), PORT, receiver)
        async with receiver, DatagramSocket() as sender:
            stream = await stream_to(one, sender, other.address(family), PORT)
            (skt,) = system_sockets(receiver)
            options = granted(skt, alike(SOL, system.SO_RCVBUF, "SO_RCVBUF"), 16384)
            assert receiver.information.inbound_buffer_size_in_bytes == 16384
            for number in range(64):
                # Of different sizes they leave one by one; nobody has read any before all have.
                await stream.write_async(bytes(1000 + number))
            await turns(3)
            await stream.write_async(b"")
            kept = 0
            while (await anext(messages)).data:
                kept += 1
            assert kept + receiver.information.dropped_by_system == 64
            assert 0 < kept < 64
            return Outcome(options, f"of 64 datagrams at once {kept} are received, and the others counted")


@row("multicast_loopback = False", datagram("multicast_loopback"))
async def loopback(family: int) -> Outcome:
    """A member on either host."""
    with two_hosts() as (one, other):
        members = [await receiver_in(host, None, PORT) for host in (one, other)]
        for host, (member, _) in zip((one, other), members, strict=True):
            with host:
                member.join_multicast_group(GROUP[family])
        (here, own), (there, others) = members
        async with here, there:
            async with await sent(one, family, GROUP[family], multicast_loopback=False) as socket:
                assert (await anext(others)).data == b"x"
                options = granted(of_family(socket, family), LOOP, 0)
            async with await sent(other, family, GROUP[family], b"y"):
                assert (await anext(own)).data == b"y"
        return Outcome(options, "the other host's member has it, the own one has not")


def two_cables(built: Network) -> tuple[Host, Host]:
    """Two hosts that are joined twice; the first cable is the way to everywhere."""
    one, other = built.host(), built.host()
    for metric in (1, 2):
        ports = built.join(one, other)
        for port in ports:
            for everywhere in ("0.0.0.0/0", "::/0"):
                port.host.ip(f"route add {everywhere} dev {port.name} metric {metric}")
            port.host.set(f"ipv4/conf/{port.name}/rp_filter", 0)
    return one, other


@row("multicast_adapter = the second of two", datagram("multicast_adapter"))
async def way_out(family: int) -> Outcome:
    """Seen on one cable only."""
    with network() as built:
        one, other = two_cables(built)
        adapter = adapter_of(one, 1)
        with other.capture(other.ports[0]) as first, other.capture(other.ports[1]) as second:
            async with await sent(one, family, GROUP[family], multicast_adapter=adapter) as socket:
                (packet,) = await second.wait_for_datagrams(PORT)
                assert not first.datagrams(PORT)
                assert packet.source == one.ports[1].address(family)
                options = "IP_MULTICAST_IF set (Linux tells only addresses of it)"
                if family == V6:
                    names = {V6: (IPV6, system.IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF")}
                    options = granted(of_family(socket, family), names, adapter.index)
                return Outcome(options, f"on {packet.device} only, from {packet.source}")


@row("multicast_only = True", datagram("multicast_only"))
async def shared(family: int) -> Outcome:
    """A port that another program has already."""
    with two_hosts() as (one, other):
        wildcard = "::" if family == V6 else ""
        with one.socket(family) as program:
            program.setsockopt(SOL, system.SO_REUSEADDR, 1)
            program.bind((wildcard, PORT))
            member = DatagramSocket()
            member.control.multicast_only = True
            member, messages = await receiver_in(one, None, PORT, member)
            async with member:
                with one:
                    member.join_multicast_group(GROUP[family])
                async with await sent(other, family, GROUP[family]):
                    assert (await anext(messages)).data == b"x"
                    assert program.recv(10) == b"x"
                options = granted(
                    of_family(member, family), alike(SOL, system.SO_REUSEADDR, "SO_REUSEADDR"), 1
                )
        return Outcome(options, "its datagram reaches both programs on the port")


@row("broadcast (always)")
async def broadcast(family: int) -> Outcome:
    """To every host of the network."""
    if family == V6:
        return Outcome("-", "IPv6 has none")
    with lan(3) as (one, two, three), two.capture() as second, three.capture() as third:
        async with await sent(one, family, "255.255.255.255") as socket:
            for capture in (second, third):
                (packet,) = await capture.wait_for_datagrams(PORT)
                assert packet.destination == "255.255.255.255"
            options = granted(of_family(socket, family), alike(SOL, system.SO_BROADCAST, "SO_BROADCAST"), 1)
            return Outcome(options, "both other hosts have it")


@row("bind_service_name_async(..., adapter)")
async def datagram_adapter(family: int) -> Outcome:
    """Of datagrams, both ways."""
    with network() as built:
        one, other = two_cables(built)
        async with DatagramSocket() as socket:
            messages = socket.messages()
            await started_in(one, socket.bind_service_name_async, PORT, adapter_of(one, 1))
            stream = await socket.get_output_stream_async(other.ports[1].address(family), PORT)
            with other.capture(other.ports[0]) as first, other.capture(other.ports[1]) as second:
                await stream.write_async(b"x")
                await second.wait_for_datagrams(PORT)
                assert not first.datagrams(PORT)
            with one.capture(one.ports[0]) as arriving:
                async with await sent(other, family, one.ports[0].address(family), b"first"):
                    await arriving.wait_for_datagrams(PORT)
            async with await sent(other, family, one.ports[1].address(family), b"second"):
                assert (await anext(messages)).data == b"second"
            skt = of_family(socket, family)
            assert skt.getsockopt(SOL, DEVICE, 16).rstrip(b"\0") == b"net2"
            return Outcome(
                "SO_BINDTODEVICE net2", "on the second cable only; what comes on the first is not heard"
            )


@row("what a message tells")
async def told(family: int) -> Outcome:
    """Of how it came."""
    with two_hosts() as (one, other):
        receiver, messages = await receiver_in(other, None, PORT)
        async with receiver, await sent(one, family, other.address(family), outbound_unicast_hop_limit=77):
            message = await anext(messages)
            assert message.hop_limit == 77
            with other:
                assert message.network_adapter == adapter_of(other)
            assert str(message.local_address) == other.address(family)
            names = "IP_RECVTTL, IP_PKTINFO" if family == V4 else "IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO"
            return Outcome(names, "receives hop limit 77, its adapter and the address sent to")


# Groups


async def member_of(host: Host, family: int, group: str, **options: Any) -> tuple[DatagramSocket, Any]:
    """A socket that has joined a group."""
    socket, messages = await receiver_in(host, None, PORT)
    with host:
        socket.join_multicast_group(group, **options)
    return socket, messages


@row("join_multicast_group(group)")
async def any_source(family: int) -> Outcome:
    """What the routers hear of it."""
    group = GROUP[family]
    with two_hosts() as (one, other), other.capture() as capture:
        member, messages = await member_of(one, family, group)
        async with member:
            await capture.wait(lambda packet: ("to-ex", group, ()) in packet.reports)
            async with await sent(other, family, group):
                assert (await anext(messages)).data == b"x"
            with one:
                member.leave_multicast_group(group)
            await capture.wait(lambda packet: ("to-in", group, ()) in packet.reports)
        kind = "IGMPv3" if family == V4 else "MLDv2"
        return Outcome(
            "MCAST_JOIN_GROUP", f"{kind} report to-ex {{}}, the datagrams; to-in {{}} after the leave"
        )


@row("join_multicast_group(group, source=...)")
async def one_source(family: int) -> Outcome:
    """Of three hosts one is heard."""
    group = SINGLE_SOURCE[family]
    with lan(3) as (one, two, three), one.capture() as arriving, two.capture() as capture:
        wanted = two.address(family)
        member, messages = await member_of(one, family, group, source=wanted)
        async with member:
            await capture.wait(
                lambda packet: any(
                    (kind, address) == ("allow", group) and wanted in sources
                    for kind, address, sources in packet.reports
                )
            )
            async with (
                await sent(three, family, group, b"unwanted"),
                await sent(two, family, group, b"wanted"),
            ):
                await arriving.wait_for_datagrams(PORT, 2)
                assert (await anext(messages)).data == b"wanted"
                await turns(3)
                assert not messages._messages
        kind = "IGMPv3" if family == V4 else "MLDv2"
        return Outcome("MCAST_JOIN_SOURCE_GROUP", f"{kind} report allow {{{wanted}}}; no datagram of another")


@row("block_multicast_source(group, source)")
async def blocked(family: int) -> Outcome:
    """Of two hosts one is heard."""
    group = GROUP[family]
    with lan(3) as (one, two, three), one.capture() as arriving, two.capture() as capture:
        noisy = two.address(family)
        member, messages = await member_of(one, family, group)
        async with member:
            with one:
                member.block_multicast_source(group, noisy)
            (report, *_) = await capture.wait(
                lambda packet: any(
                    address == group and noisy in names for _, address, names in packet.reports
                )
            )
            said = next(each for each in report.reports if noisy in each.sources)
            async with await sent(two, family, group, b"noise"), await sent(three, family, group, b"news"):
                await arriving.wait_for_datagrams(PORT, 2)
                assert (await anext(messages)).data == b"news"
                await turns(3)
                assert not messages._messages
        return Outcome("MCAST_BLOCK_SOURCE", f"report {said.kind} {{{noisy}}}; no datagram of it")


# Connections


SIDES = ("StreamSocket", "StreamSocketListener")


@asynccontextmanager
async def connection(
    one: Host, other: Host, family: int, side: str, **settings: Any
) -> AsyncIterator[tuple[StreamSocket, StreamSocket]]:
    """A connection with settings on one side, at the first host: that one, and the other end."""
    here, there = ({"limits": limits(close_timeout=0.0)} for _ in range(2))
    here.update(settings)
    client_host, server_host, of_client, of_server = one, other, here, there
    if side == SIDES[1]:
        client_host, server_host, of_client, of_server = other, one, there, here
    name = server_host.address(family)
    listener, connections, port = await listening_in(server_host, name, **of_server)
    async with (
        listener,
        await stream_from(client_host, name, port, **of_client) as client,
        await anext(connections) as server,
    ):
        yield (client, server) if side == SIDES[0] else (server, client)


def setting_of_side(side: str, name: str) -> tuple[str, str]:
    """A setting of a stream socket or of a listener."""
    return f"{side}Control", name


def add_stream_rows(side: str) -> None:
    """The same rows for either side."""

    @row(f"{side}: outbound_unicast_hop_limit = 60", setting_of_side(side, "outbound_unicast_hop_limit"))
    async def hops(family: int) -> Outcome:
        with two_hosts() as (one, other), other.capture() as capture:
            async with connection(one, other, family, side, outbound_unicast_hop_limit=60) as (mine, theirs):
                await mine.output_stream.write_async(b"x")
                assert await read(theirs, 1) == b"x"
                segments = capture.seen(lambda packet: packet.protocol == TCP and not packet.outgoing)
                assert {packet.hops for packet in segments} == {60}
                options = granted(system_socket(mine), HOPS, 60)
                return Outcome(options, "hop limit 60 in all segments, the first included")

    @row(f"{side}: quality_of_service = LOW_LATENCY", setting_of_side(side, "quality_of_service"))
    async def service(family: int) -> Outcome:
        with two_hosts() as (one, other), other.capture() as capture:
            async with connection(one, other, family, side, quality_of_service=LOW_LATENCY) as (mine, theirs):
                await mine.output_stream.write_async(b"x")
                assert await read(theirs, 1) == b"x"
                assert {packet.dscp for packet in segments_with_data(capture)} == {46}
                skt = system_socket(mine)
                options = f"{granted(skt, CLASS, 184)}, {granted(skt, PRIORITY, 6)}"
                return Outcome(options, "DSCP 46 in what carries data")

    @row(f"{side}: keep_alive = True", setting_of_side(side, "keep_alive"))
    async def probes(family: int) -> Outcome:
        with two_hosts() as (one, other):
            one.set("ipv4/tcp_keepalive_time", 1)
            async with connection(one, other, family, side, keep_alive=True) as (mine, _):
                options = granted(system_socket(mine), alike(SOL, system.SO_KEEPALIVE, "SO_KEEPALIVE"), 1)
                with other.capture() as capture:
                    answers = await capture.wait(lambda packet: packet.protocol == TCP and packet.outgoing)
                    assert answers[0].payload == b""
                return Outcome(options, "is asked after the host's time of silence, and answers")


def add_silent_rows(side: str) -> None:
    """The same rows for either side, in which the other host acknowledges nothing."""
    for wanted in (True, False):

        @row(f"{side}: no_delay = {wanted}", setting_of_side(side, "no_delay"))
        async def small_writes(family: int, wanted: bool = wanted) -> Outcome:
            with two_hosts() as (one, other), other.capture() as capture:
                async with connection(one, other, family, side, no_delay=wanted) as (mine, _):
                    silence(other, one, family)
                    expected = {b"a", b"b", b"c"} if wanted else {b"a"}
                    for data in (b"a", b"b", b"c"):
                        await mine.output_stream.write_async(data)
                    await until(lambda: parts_of(capture) >= expected)
                    assert parts_of(capture) == expected
                    names = alike(TCP, system.TCP_NODELAY, "TCP_NODELAY")
                    options = granted(system_socket(mine), names, int(wanted))
                    return Outcome(options, f"of three small writes {len(expected)} before it answers")

    @row(
        f"{side}: outbound_buffer_size_in_bytes = 16384",
        setting_of_side(side, "outbound_buffer_size_in_bytes"),
    )
    async def send_buffer(family: int) -> Outcome:
        import fcntl  # which Windows has not
        import termios

        with two_hosts() as (one, other):
            async with connection(one, other, family, side, outbound_buffer_size_in_bytes=16384) as (mine, _):
                silence(other, one, family)
                skt = system_socket(mine)
                writing = mine.output_stream.write_async(bytes(1_000_000))
                writing.addErrback(lambda failure: None)
                await turns(3)
                (waiting,) = struct.unpack("i", fcntl.ioctl(skt, termios.TIOCOUTQ, bytes(4)))
                # And a last piece
                assert 0 < waiting < 32_768 + 65_536
                assert not writing.called
                options = granted(skt, alike(SOL, system.SO_SNDBUF, "SO_SNDBUF"), 32768)
                return Outcome(options, f"- (silent: the system takes {waiting:,} bytes of 1,000,000)")


def silence(host: Host, peer: Host, family: int) -> None:
    """Let a host say nothing more to another one."""
    host.ip(f"route add blackhole {peer.address(family)}/{128 if family == V6 else 32}")


def segments_with_data(capture: Capture) -> list[Packet]:
    """What has come by now."""
    return capture.seen(lambda packet: packet.protocol == TCP and not packet.outgoing and packet.payload)


def parts_of(capture: Capture) -> set[bytes]:
    """The data of the segments that have come by now."""
    return {packet.payload for packet in segments_with_data(capture)}


for each in SIDES:
    add_stream_rows(each)
    add_silent_rows(each)


@row("connect_async(..., adapter)")
async def stream_adapter(family: int) -> Outcome:
    """Against the routing table."""
    with network() as built:
        one, other = two_cables(built)
        listener, connections, port = await listening_in(other, None)
        async with listener, StreamSocket() as socket:
            plain = SocketProtectionLevel.PLAIN_SOCKET
            with other.capture(other.ports[0]) as first, other.capture(other.ports[1]) as second:
                await started_in(
                    one, socket.connect_async, other.ports[1].address(family), port, plain, adapter_of(one, 1)
                )
                async with await anext(connections):
                    assert second.seen(lambda packet: packet.destination_port == int(port))
                    assert not first.seen(lambda packet: packet.destination_port == int(port))
                    assert system_socket(socket).getsockopt(SOL, DEVICE, 16).rstrip(b"\0") == b"net2"
        return Outcome("SO_BINDTODEVICE net2", "the connection comes on the second cable")


@row("StreamSocketListener.bind_service_name_async(..., adapter)")
async def listener_adapter(family: int) -> Outcome:
    """Answers there, and nowhere else."""
    with network() as built:
        one, other = two_cables(built)
        async with StreamSocketListener() as listener:
            connections = listener.connections()
            await started_in(
                one,
                listener.bind_service_name_async,
                PORT,
                SocketProtectionLevel.PLAIN_SOCKET,
                adapter_of(one, 1),
            )
            problem = await ended(stream_from(other, one.ports[0].address(family), PORT))
            assert problem.status is SocketErrorStatus.CONNECTION_REFUSED
            async with await stream_from(other, one.ports[1].address(family), PORT), await anext(connections):
                pass
        return Outcome("SO_BINDTODEVICE net2", "connects to the second adapter; is refused by the first")


async def show(reactor: Any) -> None:
    """Print the table."""
    head = ("setting", "family", "read back", "seen by another host")
    lines = [head]
    for name, function in ROWS.items():
        for family, label in ((V4, "IPv4"), (V6, "IPv6")):
            outcome = await function(family)
            lines.append((name if family == V4 else "", label, *outcome))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        task.react(lambda reactor: ensureDeferred(show(reactor)))
    sys.stdout.flush()
