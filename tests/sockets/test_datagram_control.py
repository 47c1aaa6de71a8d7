"""What can be set on a DatagramSocket, until when, and what the system makes of it."""

from __future__ import annotations

import errno
import socket as system
import sys
from dataclasses import replace

import pytest
import pytest_twisted

from tests.networks import network_namespace, run
from tests.sockets.datagrams import HOSTS, status_of, system_sockets
from winsockets.errors import (
    E_ILLEGAL_METHOD_CALL,
    IllegalMethodCallError,
    InvalidArgumentError,
    SocketErrorStatus,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets import DatagramSocket, SocketQualityOfService
from winsockets.sockets._datagram_control import dont_fragment_option

IPV4, IPV6 = system.IPPROTO_IP, system.IPPROTO_IPV6
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, FRAGMENT, DO_NOT_FRAGMENT = 10, 23, 0, 2
EXPEDITED_FORWARDING = 46 << 2

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the numbers of Linux's options")


async def bound(**settings):
    """A socket with some settings, bound to all addresses, and the two sockets of the system behind it."""
    socket = DatagramSocket()
    for name, value in settings.items():
        setattr(socket.control, name, value)
    await socket.bind_service_name_async("")
    return socket, *system_sockets(socket)


def test_the_defaults_are_those_of_winrt():
    """What the system decides is asked of it."""
    control = DatagramSocket().control
    with system.socket(system.AF_INET, system.SOCK_DGRAM) as probe:
        of_the_system = probe.getsockopt(system.SOL_SOCKET, system.SO_RCVBUF)
    assert control.dont_fragment is False
    assert control.multicast_adapter is None
    assert control.multicast_loopback is True
    assert control.multicast_only is False
    assert control.outbound_multicast_hop_limit == 1
    assert control.outbound_unicast_hop_limit == 128
    assert control.quality_of_service is SocketQualityOfService.NORMAL
    assert control.inbound_buffer_size_in_bytes == of_the_system
    assert control.limits is DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("outbound_unicast_hop_limit", [1, 255], [0, 256, -1]),
        ("outbound_multicast_hop_limit", [0, 1, 255], [256, -1]),
        ("inbound_buffer_size_in_bytes", [1, 2**31 - 1], [0, -1, 2**31]),
        ("quality_of_service", [0, 1], [2, -1]),
    ],
)
def test_values_have_a_range(name, good, bad):
    """Outside it is E_INVALIDARG, which names the property, and nothing has changed."""
    control = DatagramSocket().control
    for value in good:
        setattr(control, name, value)
    for value in bad:
        with pytest.raises(InvalidArgumentError, match=name):
            setattr(control, name, value)
    assert getattr(control, name) == good[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dont_fragment", 1),
        ("multicast_only", 1),
        ("multicast_loopback", 0),
        ("multicast_adapter", "eth0"),
        ("outbound_multicast_hop_limit", 1.0),
        ("outbound_unicast_hop_limit", "1"),
        ("inbound_buffer_size_in_bytes", True),
        ("limits", None),
    ],
)
def test_values_have_a_type(name, value):
    """Anything else is a TypeError, which names the property."""
    with pytest.raises(TypeError, match=name):
        setattr(DatagramSocket().control, name, value)


LATE = {
    "dont_fragment": True,
    "inbound_buffer_size_in_bytes": 4096,
    "multicast_only": True,
    "quality_of_service": SocketQualityOfService.LOW_LATENCY,
    "limits": replace(DEFAULT_LIMITS, datagram_size=10),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("how", ["bind", "connect", "write", "close"])
@pytest_twisted.ensureDeferred
async def test_after_binding_connecting_writing_or_closing_it_is_too_late(name, how):
    """E_ILLEGAL_METHOD_CALL, which names the property; the value stays."""
    async with DatagramSocket() as socket:
        before = getattr(socket.control, name)
        if how == "bind":
            await socket.bind_endpoint_async("127.0.0.1", "")
        elif how == "connect":
            await socket.connect_async("127.0.0.1", 9)
        elif how == "write":
            await (await socket.get_output_stream_async("127.0.0.1", 9)).write_async(b"")
        else:
            socket.close()
        with pytest.raises(
            IllegalMethodCallError, match=f"DatagramSocketControl.{name} cannot be set after"
        ) as caught:
            setattr(socket.control, name, LATE[name])
        assert caught.value.hresult == E_ILLEGAL_METHOD_CALL
        assert caught.value.status is SocketErrorStatus.UNKNOWN
        assert getattr(socket.control, name) == before


@pytest_twisted.ensureDeferred
async def test_a_failed_bind_leaves_the_settings_open():
    """For the next try."""
    async with DatagramSocket() as taken, DatagramSocket() as socket:
        await taken.bind_endpoint_async("127.0.0.1", "")
        bind = socket.bind_endpoint_async("127.0.0.1", taken.information.local_port)
        assert status_of(bind) is SocketErrorStatus.ADDRESS_ALREADY_IN_USE
        socket.control.inbound_buffer_size_in_bytes = 8192
        await socket.bind_endpoint_async("127.0.0.1", "")
        (skt,) = system_sockets(socket)
        assert 8192 <= skt.getsockopt(system.SOL_SOCKET, system.SO_RCVBUF) <= 2 * 8192


@pytest_twisted.ensureDeferred
async def test_the_hop_limit_reaches_the_system_at_any_time():
    """Before binding, after it, and on what is left after connecting."""
    socket, six, four = await bound(outbound_unicast_hop_limit=7)
    with socket:

        def hops():
            return [
                six.getsockopt(IPV6, system.IPV6_UNICAST_HOPS) if six.fileno() >= 0 else None,
                four.getsockopt(IPV4, system.IP_TTL),
            ]

        assert hops() == [7, 7]
        socket.control.outbound_unicast_hop_limit = 200
        assert hops() == [200, 200]
        await socket.connect_async("127.0.0.1", 9)
        socket.control.outbound_unicast_hop_limit = 1
        assert hops() == [None, 1]
    socket.control.outbound_unicast_hop_limit = 2


@pytest_twisted.ensureDeferred
async def test_without_a_wish_the_system_has_its_defaults():
    """But for WinRT's hop limit and broadcasts, which are always allowed, as on Windows Runtime sockets."""
    socket, six, four = await bound()
    with socket, system.socket(system.AF_INET, system.SOCK_DGRAM) as plain:
        assert six.getsockopt(IPV6, system.IPV6_UNICAST_HOPS) == 128
        assert four.getsockopt(IPV4, system.IP_TTL) == 128
        assert four.getsockopt(system.SOL_SOCKET, system.SO_BROADCAST)
        assert six.getsockopt(IPV6, system.IPV6_V6ONLY)
        for skt in (six, four):
            assert not skt.getsockopt(system.SOL_SOCKET, system.SO_REUSEADDR)
            for option in (system.SO_RCVBUF, system.SO_SNDBUF):
                assert skt.getsockopt(system.SOL_SOCKET, option) == plain.getsockopt(
                    system.SOL_SOCKET, option
                )
        assert four.getsockopt(IPV4, system.IP_TOS) == 0
        assert six.getsockopt(IPV6, system.IPV6_TCLASS) == 0


@pytest_twisted.ensureDeferred
async def test_the_receive_buffer_has_the_size_that_was_set():
    """Linux doubles it for its own needs."""
    socket, *both = await bound(inbound_buffer_size_in_bytes=20_000)
    with socket:
        for skt in both:
            assert skt.getsockopt(system.SOL_SOCKET, system.SO_RCVBUF) in (20_000, 40_000)
        assert socket.control.inbound_buffer_size_in_bytes == 20_000


@pytest_twisted.ensureDeferred
async def test_what_is_held_back_leaves_before_a_new_hop_limit_for_groups():
    """It has the settings of the time when it was written."""
    socket, _, four = await bound()
    with socket:
        stream = await socket.get_output_stream_async("127.0.0.1", 9)
        for _ in range(2):
            stream.write_async(b"x")
        assert stream._transport.held is not None
        socket.control.outbound_multicast_hop_limit = 3
        assert stream._transport.held is None
        assert four.getsockopt(IPV4, system.IP_MULTICAST_TTL) == 3


@pytest_twisted.ensureDeferred
async def test_the_settings_for_groups_can_be_read_back_from_the_system():
    """In both families."""
    socket, six, four = await bound(outbound_multicast_hop_limit=9, multicast_loopback=False)
    with socket:
        assert six.getsockopt(IPV6, system.IPV6_MULTICAST_HOPS) == 9
        assert four.getsockopt(IPV4, system.IP_MULTICAST_TTL) == 9
        assert six.getsockopt(IPV6, system.IPV6_MULTICAST_LOOP) == 0
        assert four.getsockopt(IPV4, system.IP_MULTICAST_LOOP) == 0
        socket.control.multicast_loopback = True
        assert six.getsockopt(IPV6, system.IPV6_MULTICAST_LOOP) == 1
        assert four.getsockopt(IPV4, system.IP_MULTICAST_LOOP) == 1


@on_linux
@pytest_twisted.ensureDeferred
async def test_low_latency_marks_the_packets():
    """For expedited forwarding, RFC 3246."""
    socket, six, four = await bound(quality_of_service=SocketQualityOfService.LOW_LATENCY)
    with socket:
        assert four.getsockopt(IPV4, system.IP_TOS) == EXPEDITED_FORWARDING
        assert six.getsockopt(IPV6, system.IPV6_TCLASS) == EXPEDITED_FORWARDING
        for skt in (six, four):
            assert skt.getsockopt(system.SOL_SOCKET, system.SO_PRIORITY) == 6


@on_linux
@pytest.mark.parametrize("wish", [False, True])
@pytest_twisted.ensureDeferred
async def test_fragmentation_is_as_wished(wish):
    """In both families; without the wish routers may split what is sent over IPv4."""
    socket, six, four = await bound(dont_fragment=wish)
    with socket:
        assert four.getsockopt(IPV4, IP_MTU_DISCOVER) == (DO_NOT_FRAGMENT if wish else FRAGMENT)
        assert (six.getsockopt(IPV6, IPV6_MTU_DISCOVER) == DO_NOT_FRAGMENT) is wish
        assert six.getsockopt(IPV6, system.IPV6_DONTFRAG) == 0


@on_linux
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("wish", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_may_not_be_split_must_fit(host, wish):
    """On a path with packets of 1,500 bytes; one that fits is sent all the same."""
    with network_namespace():
        run("ip", "link", "set", "lo", "mtu", "1500")
        async with DatagramSocket() as socket, DatagramSocket() as far:
            messages = far.messages()
            await far.bind_endpoint_async(host, "")
            socket.control.dont_fragment = wish
            stream = await socket.get_output_stream_async(host, far.information.local_port)
            assert await stream.write_async(bytes(1400)) == 1400
            assert (await anext(messages)).data == bytes(1400)
            long = stream.write_async(bytes(3000))
            if wish:
                assert status_of(long) is SocketErrorStatus.MESSAGE_TOO_LONG
            else:
                assert await long == 3000
                assert (await anext(messages)).data == bytes(3000)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("family", [system.AF_INET, system.AF_INET6])
def test_the_option_is_known_where_the_library_runs(platform, family):
    """On the level of the family's protocol."""
    level, _, value = dont_fragment_option(family, platform)
    assert level == (IPV6 if family == system.AF_INET6 else IPV4)
    assert value


def test_where_the_option_is_not_known_the_wish_is_refused():
    """Rather than forgotten."""
    with pytest.raises(OSError, match="dont_fragment is not offered on plan9") as caught:
        dont_fragment_option(system.AF_INET, "plan9")
    assert caught.value.errno == errno.ENOPROTOOPT
