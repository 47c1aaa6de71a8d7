"""What is said of the way from a loopback address to another machine."""

from __future__ import annotations

import errno

import pytest
import pytest_twisted

from tests.sockets.datagrams import status_of
from tests.transports.datagrams import on_linux
from winsockets.errors import NetworkUnreachableError, SocketErrorStatus, SocketException
from winsockets.networking import EndpointPair
from winsockets.sockets import DatagramSocket, StreamSocket
from winsockets.transports._loopback_source import from_loopback

ELSEWHERE = "192.0.2.1"


@pytest.mark.parametrize(("local", "remote"), [("127.0.0.1", ELSEWHERE), ("::1", "fe80::1%2")])
def test_what_linux_finds_invalid_is_a_network_that_cannot_be_reached(local, remote):
    """The message says why, and what to do."""
    problem = SocketException("send", errno=errno.EINVAL)
    problem.__cause__ = cause = OSError(errno.EINVAL, "Invalid argument")
    found = from_loopback(problem, "send to it", local, remote)
    assert isinstance(found, NetworkUnreachableError)
    assert found.status is SocketErrorStatus.NETWORK_IS_UNREACHABLE
    assert found.errno == errno.EINVAL
    assert found.__cause__ is cause
    assert str(found).startswith(f"send to it: from {local} there is a way to this machine only")


@pytest.mark.parametrize(
    ("number", "local", "remote"),
    [
        (errno.EPERM, "127.0.0.1", ELSEWHERE),
        (errno.EINVAL, "127.0.0.1", "127.0.0.2"),
        (errno.EINVAL, "0.0.0.0", ELSEWHERE),
        (errno.EINVAL, "192.0.2.9", ELSEWHERE),
        (errno.EINVAL, "fe80::1%2", "fe80::2%3"),
    ],
)
def test_other_errors_stay_what_they_are(number, local, remote):
    """Another errno, another address, or one of this machine."""
    problem = SocketException("send", errno=number)
    assert from_loopback(problem, "send", local, remote) is problem


@on_linux
@pytest_twisted.ensureDeferred
async def test_sockets_of_every_kind_say_so():
    """A datagram, a peer, a connection."""
    async with DatagramSocket() as socket, StreamSocket() as stream:
        await socket.bind_endpoint_async("127.0.0.1", "")
        destination = await socket.get_output_stream_async(ELSEWHERE, 9)
        unreachable = SocketErrorStatus.NETWORK_IS_UNREACHABLE
        assert status_of(destination.write_async(b"hello")) is unreachable
        assert status_of(socket.connect_async(ELSEWHERE, 9)) is unreachable
        with pytest.raises(NetworkUnreachableError, match="there is a way to this machine only"):
            await stream.connect_async(EndpointPair("127.0.0.1", "", ELSEWHERE, 9))
