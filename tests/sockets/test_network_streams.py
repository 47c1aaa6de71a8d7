"""Between hosts: what the settings of stream sockets do to their connections."""

from __future__ import annotations

import fcntl
import socket as system
import struct
import termios
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import two_hosts
from tests.sockets.crossing import FAMILIES, listening_in, read, stream_from
from tests.sockets.datagrams import names
from tests.sockets.streams import system_socket
from tests.transports.loopback import limits
from winsockets.errors import ConnectRefusedError
from winsockets.networking import HostName
from winsockets.sockets import SocketQualityOfService

TCP = system.IPPROTO_TCP
_SIOCOUTQNSD = 0x894B


def not_sent(stream):
    """How many bytes the system holds back."""
    return struct.unpack("i", fcntl.ioctl(system_socket(stream), _SIOCOUTQNSD, bytes(4)))[0]


def not_acknowledged(stream):
    """How many bytes the system holds, sent or not."""
    return struct.unpack("i", fcntl.ioctl(system_socket(stream), termios.TIOCOUTQ, bytes(4)))[0]


@contextmanager
def silent(host, address):
    """Let nothing go from a host to an address, acknowledgements neither."""
    route = f"blackhole {address}/{128 if ':' in address else 32}"
    host.ip(f"route add {route}")
    yield
    host.ip(f"route del {route}")


def timers(host, family, port):
    """The timers of the connections from a port of a host, as the kernel lists them: "02" is keep-alive."""
    listed = host.get("tcp6" if family == system.AF_INET6 else "tcp").splitlines()[1:]
    fields = (line.split() for line in listed)
    return [
        line[5][:2] for line in fields if int(line[1].partition(":")[2], 16) == int(port) and line[3] == "01"
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_keep_alive_is_a_timer_of_the_system(family):
    """Of both ends, each as it was set; without it there is none."""
    with two_hosts() as (one, other):
        listener, connections, port = await listening_in(other, other.address(family), keep_alive=True)
        async with listener:
            for wanted in (True, False):
                stream = await stream_from(one, other.address(family), port, keep_alive=wanted)
                async with stream, await anext(connections):
                    here = stream.information.local_port
                    assert timers(one, family, here) == ["02" if wanted else "00"]
                    assert timers(other, family, port) == ["02"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_keep_alive_asks_a_silent_peer(family):
    """As soon as the system does: after two hours, unless its administrator says otherwise."""
    with two_hosts() as (one, other), other.capture() as capture:
        one.set("ipv4/tcp_keepalive_time", 1)
        listener, connections, port = await listening_in(other, other.address(family))
        async with listener:
            stream = await stream_from(one, other.address(family), port, keep_alive=True)
            async with stream, await anext(connections):

                def asks(packet):
                    return packet.destination_port == int(port) and not packet.payload

                def answers(packet):
                    return packet.source_port == int(port) and not packet.payload

                await capture.wait(asks, 3)  # of which two are of the handshake
                await capture.wait(answers, 2)
                await stream.output_stream.write_async(b"still here")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("no_delay", [True, False])
@pytest_twisted.ensureDeferred
async def test_no_delay_lets_small_writes_go_before_the_last_was_acknowledged(family, no_delay):
    """Without it they wait: the system sends one small segment at a time (Nagle's algorithm)."""
    with two_hosts() as (one, other), other.capture() as capture:
        listener, connections, port = await listening_in(other, other.address(family))
        async with listener:
            stream = await stream_from(one, other.address(family), port, no_delay=no_delay)
            async with stream, await anext(connections) as accepted:
                with silent(other, one.address(family)):
                    await stream.output_stream.write_async(b"first")
                    await stream.output_stream.write_async(b"second")
                    await capture.wait(lambda packet: packet.payload == b"first")
                    if no_delay:
                        await capture.wait(lambda packet: packet.payload == b"second")
                    else:
                        assert not_sent(stream) == 6
                assert await read(accepted, 11) == b"firstsecond"


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_the_system_holds_as_much_as_the_buffer_that_it_granted(family):
    """On Linux twice what was asked for, and a last piece; the rest of a write waits in the program."""
    held = []
    with two_hosts() as (one, other):
        for size in (20_000, 200_000):
            buffer = {"outbound_buffer_size_in_bytes": size}
            listener, connections, port = await listening_in(other, other.address(family), **buffer)
            async with listener:
                stream = await stream_from(
                    one, other.address(family), port, limits=limits(close_timeout=0.0), **buffer
                )
                async with stream, await anext(connections) as accepted:
                    for end in (stream, accepted):
                        granted = system_socket(end).getsockopt(system.SOL_SOCKET, system.SO_SNDBUF)
                        assert granted == 2 * size
                    with silent(other, one.address(family)):
                        writing = stream.output_stream.write_async(bytes(1_000_000))
                        held.append(not_acknowledged(stream))
                        assert not writing.called
                        writing.addErrback(lambda _: None)
    little, much = held
    assert 0 < little < 40_000 + 65_536 < much < 400_000 + 65_536


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_low_latency_goes_first_in_the_queues_of_the_machine(family):
    """The accepted end too."""
    with two_hosts() as (one, other):
        for quality, priority in (
            (SocketQualityOfService.LOW_LATENCY, 6),
            (SocketQualityOfService.NORMAL, 0),
        ):
            listener, connections, port = await listening_in(
                other, other.address(family), quality_of_service=quality
            )
            async with listener:
                stream = await stream_from(one, other.address(family), port, quality_of_service=quality)
                async with stream, await anext(connections) as accepted:
                    for end in (stream, accepted):
                        found = system_socket(end).getsockopt(system.SOL_SOCKET, system.SO_PRIORITY)
                        assert found == priority


# Listening


@pytest.mark.parametrize(("host", "family"), [("0.0.0.0", system.AF_INET), ("::", system.AF_INET6)])
@pytest_twisted.ensureDeferred
async def test_all_addresses_of_one_family_are_those_and_no_others(host, family):
    """The other family may have a listener of its own on the same port."""
    (missing,) = set(FAMILIES) - {family}
    with two_hosts() as (one, other):
        listener, connections, port = await listening_in(other, host)
        async with listener:
            async with await stream_from(one, other.address(family), port), await anext(connections):
                pass
            with pytest.raises(ConnectRefusedError):
                await stream_from(one, other.address(missing), port)
            another, others, _ = await listening_in(other, {"::": "0.0.0.0", "0.0.0.0": "::"}[host], port)
            stream = await stream_from(one, other.address(missing), port)
            async with another, stream, await anext(others):
                pass


@pytest_twisted.ensureDeferred
async def test_an_address_of_a_link_can_be_listened_on():
    """With its zone by name or number; also without, where one adapter has it."""
    with two_hosts() as (one, other):
        here, there = one.ports[0], other.ports[0]
        literal = there.link_local
        for host in (f"{literal}%{there.name}", f"{literal}%{there.index}", literal):
            listener, connections, port = await listening_in(other, host)
            async with listener:
                zone = f"%{here.index}"
                async with await stream_from(one, literal + zone, port), await anext(connections) as accepted:
                    assert accepted.information.local_address == HostName(f"{literal}%{there.index}")
                    assert accepted.information.remote_address == HostName(f"{here.link_local}%{there.index}")
                with pytest.raises(ConnectRefusedError):
                    await stream_from(one, other.ipv6, port)


@pytest_twisted.ensureDeferred
async def test_the_name_of_a_machine_that_nobody_knows_is_all_its_addresses(monkeypatch):
    """On one port, that of loopback not among them."""
    monkeypatch.setattr(system, "gethostname", lambda: "other")
    with names(), two_hosts() as (one, other):
        listener, connections, port = await listening_in(other, "other")
        async with listener:
            for address in (other.ipv4, other.ipv6, f"{other.ports[0].link_local}%{one.ports[0].index}"):
                async with await stream_from(one, address, port), await anext(connections):
                    pass
            with pytest.raises(ConnectRefusedError):
                await stream_from(other, "127.0.0.1", port)
