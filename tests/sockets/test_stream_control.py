"""Controls of stream sockets and listeners: defaults, late changes, and what the system has of it."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted

from tests.sockets.streams import accepted, bound, connected, system_socket
from tests.transports.loopback import HOSTS, limits, refused_port
from winsockets.errors import ConnectRefusedError, IllegalMethodCallError, InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets import SocketQualityOfService, StreamSocket, StreamSocketListener
from winsockets.sockets._stream_control import (
    StreamSocketControl,
    StreamSocketListenerControl,
    stream_options,
)

# Another value than the default for every property that both controls have.
CHANGED = {
    "keep_alive": True,
    "limits": limits(close_timeout=3.0),
    "no_delay": False,
    "outbound_buffer_size_in_bytes": 30_000,
    "outbound_unicast_hop_limit": 9,
    "quality_of_service": SocketQualityOfService.LOW_LATENCY,
}
BUFFER = "outbound_buffer_size_in_bytes"


def system_default():
    """The send buffer that the system gives to a new socket."""
    with socket.socket() as probe:
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def system_has(skt):
    """What the system has of the properties, by their names."""
    if skt.family == socket.AF_INET6:
        hops = skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        traffic = skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    else:
        hops = skt.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        traffic = skt.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
    return {
        "keep_alive": bool(skt.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        "no_delay": bool(skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        "outbound_unicast_hop_limit": hops,
        "quality_of_service": SocketQualityOfService(traffic >> 2 == 46),
    }


def assert_system_has_what_was_set(skt):
    """Everything of CHANGED; Linux doubles the buffer."""
    found = system_has(skt)
    assert found == {name: CHANGED[name] for name in found}
    assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in {30_000, 60_000}


@pytest.mark.parametrize("kind", [StreamSocket, StreamSocketListener])
def test_defaults_are_those_of_winrt(kind):
    """Small writes leave at once, unlike Winsock's own default; the buffer is the system's."""
    control = kind().control
    assert control.keep_alive is False
    assert control.no_delay is True
    assert control.outbound_unicast_hop_limit == 128
    assert control.quality_of_service is SocketQualityOfService.NORMAL
    assert control.outbound_buffer_size_in_bytes == system_default()
    assert control.limits is DEFAULT_LIMITS


def test_defaults_that_only_one_of_them_has():
    """Racing is for connecting, a limit for accepting."""
    assert StreamSocket().control.serialize_connection_attempts is False
    assert StreamSocketListener().control.max_connections is None


@pytest.mark.parametrize("kind", [StreamSocketControl, StreamSocketListenerControl])
@pytest.mark.parametrize(
    ("name", "wrong", "error"),
    [
        ("keep_alive", 1, TypeError),
        ("no_delay", None, TypeError),
        (BUFFER, 0, InvalidArgumentError),
        (BUFFER, 1 << 31, InvalidArgumentError),
        (BUFFER, -1, InvalidArgumentError),
        (BUFFER, "big", TypeError),
        ("outbound_unicast_hop_limit", 0, InvalidArgumentError),
        ("outbound_unicast_hop_limit", 256, InvalidArgumentError),
        ("outbound_unicast_hop_limit", 1.5, TypeError),
        ("quality_of_service", 2, InvalidArgumentError),
        ("limits", None, TypeError),
    ],
)
def test_what_a_property_cannot_be_is_refused_by_name(kind, name, wrong, error):
    """At the assignment."""
    with pytest.raises(error, match=f"{kind.__name__}.{name}"):
        setattr(kind(), name, wrong)


def test_without_a_wish_the_system_keeps_its_buffer():
    """It tunes it by itself then."""
    assert stream_options(StreamSocketControl()).send_buffer is None
    control = StreamSocketControl()
    control.outbound_buffer_size_in_bytes = control.outbound_buffer_size_in_bytes
    assert stream_options(control).send_buffer == system_default()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_connection_has_the_defaults(host):
    """Read back from the system."""
    async with connected(host) as (stream_socket, _):
        assert system_has(system_socket(stream_socket)) == {
            "keep_alive": False,
            "no_delay": True,
            "outbound_unicast_hop_limit": 128,
            "quality_of_service": SocketQualityOfService.NORMAL,
        }


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_connection_has_what_was_set(host):
    """Read back from the system; the control still shows it."""
    async with connected(host, **CHANGED) as (stream_socket, _):
        assert_system_has_what_was_set(system_socket(stream_socket))
        assert {name: getattr(stream_socket.control, name) for name in CHANGED} == CHANGED


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_an_accepted_connection_has_what_was_set_on_the_listener(host):
    """In the system and in its own control."""
    async with accepted(host, **CHANGED) as (stream_socket, _):
        assert_system_has_what_was_set(system_socket(stream_socket))
        assert {name: getattr(stream_socket.control, name) for name in CHANGED} == CHANGED


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_listening_socket_has_what_was_set(host):
    """Because the system copies it from there."""
    async with bound(host, print, **CHANGED) as listener:
        (port,) = listener._ports
        assert_system_has_what_was_set(port.socket)


def assert_fixed(control, names, reason):
    """Every property says that it is too late, and keeps its value; the buffer size just keeps it."""
    before = {name: getattr(control, name) for name in names}
    for name in names:
        changed = CHANGED.get(name, True)
        if name == BUFFER and isinstance(control, StreamSocketControl):
            setattr(control, name, changed)
        else:
            with pytest.raises(IllegalMethodCallError, match=rf"{name} cannot be set {reason}"):
                setattr(control, name, changed)
    assert {name: getattr(control, name) for name in names} == before


SOCKET = [*CHANGED, "serialize_connection_attempts"]


@pytest_twisted.ensureDeferred
async def test_while_connecting_and_after_it_is_too_late():
    """E_ILLEGAL_METHOD_CALL by name; only the buffer size has no effect and no error, as in WinRT."""
    async with connected() as (stream_socket, _):
        assert_fixed(stream_socket.control, SOCKET, "after the socket was connected")
        stream_socket.close()
        assert_fixed(stream_socket.control, SOCKET, "after the socket was closed")
    stream_socket = StreamSocket()
    connecting = stream_socket.connect_async("127.0.0.1", refused_port())
    assert_fixed(stream_socket.control, SOCKET, "while the socket is connecting")
    with pytest.raises(ConnectRefusedError):
        await connecting


@pytest_twisted.ensureDeferred
async def test_after_a_failed_connect_everything_can_be_set_again():
    """For the next try."""
    stream_socket = StreamSocket()
    with pytest.raises(ConnectRefusedError):
        await stream_socket.connect_async("127.0.0.1", refused_port())
    for name, value in CHANGED.items():
        setattr(stream_socket.control, name, value)
        assert getattr(stream_socket.control, name) == value


@pytest_twisted.ensureDeferred
async def test_after_a_connect_that_close_has_aborted_nothing_can_be_set():
    """The socket is closed, not unconnected."""
    stream_socket = StreamSocket()
    connecting = stream_socket.connect_async("127.0.0.1", refused_port())
    connecting.addErrback(lambda _: None)
    stream_socket.close()
    assert_fixed(stream_socket.control, SOCKET, "after the socket was closed")
    await connecting.addErrback(lambda _: None)


@pytest_twisted.ensureDeferred
async def test_on_an_accepted_socket_everything_is_fixed():
    """It has the listener's settings."""
    async with accepted() as (stream_socket, _):
        assert_fixed(stream_socket.control, SOCKET, "on an accepted socket")
        control = stream_socket.control
        stream_socket.close()
        assert_fixed(control, SOCKET, "on an accepted socket")


@pytest_twisted.ensureDeferred
async def test_on_a_bound_listener_it_is_too_late():
    """For the buffer size too, unlike on a socket."""
    names = [*CHANGED, "max_connections"]
    async with bound(handler=print) as listener:
        for name in names:
            with pytest.raises(
                IllegalMethodCallError, match=f"{name} cannot be set after the listener was bound"
            ):
                setattr(listener.control, name, CHANGED.get(name, 5))
        listener.close()
        with pytest.raises(IllegalMethodCallError, match="after the listener was closed"):
            listener.control.keep_alive = True


@pytest_twisted.ensureDeferred
async def test_after_a_failed_bind_everything_can_be_set_again():
    """For the next try."""
    async with bound(handler=print) as first, StreamSocketListener() as second:
        second.connection_received += print
        with pytest.raises(OSError, match="in use"):
            await second.bind_endpoint_async("127.0.0.1", first.information.local_port)
        for name, value in CHANGED.items():
            setattr(second.control, name, value)
        await second.bind_endpoint_async("127.0.0.1", "")
