"""What hosts and routers say of datagrams: as the system puts it, and as the transport hears it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import (
    Delivery,
    DestinationUnreachable,
    Host,
    Tunnel,
    answering_with,
    network,
    network_namespace,
    outside,
    parse,
)
from tests.transports.datagrams import (
    FAMILIES,
    Recorder,
    address_of,
    bound,
    limits,
    nobody,
    on_linux,
    transport_on,
    turns,
    until,
    wait_for_error,
)
from winsockets.errors import MessageTooLongError, SocketErrorStatus
from winsockets.networking._address import Address
from winsockets.transports._datagram_transport import DatagramTransport
from winsockets.transports._reported_errors import ReportedError, hear_errors, reported_errors, understand

RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
LOCAL, ICMP, ICMP6, TIMESTAMPS = 1, 2, 3, 4
ROUTER = {socket.AF_INET: "192.0.2.9", socket.AF_INET6: "2001:db8::9"}
FAR = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8:1::1"}
Status = SocketErrorStatus


def told(
    number: int, origin: int, kind: int = 3, code: int = 0, information: int = 0
) -> list[tuple[int, int, bytes]]:
    """What comes from the queue for an error."""
    name = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton("192.0.2.9"))
    error = struct.pack("=IBBBBII", number, origin, kind, code, 0, information, 0)
    return [(socket.SOL_SOCKET, 1, b"noise"), (*RECVERR[socket.AF_INET], error + name)]


@pytest.mark.parametrize(
    ("number", "origin", "kind", "error"),
    [
        (errno.ECONNREFUSED, ICMP, 3, errno.ECONNREFUSED),
        (errno.ENETUNREACH, ICMP, 3, errno.ENETUNREACH),
        (errno.EHOSTUNREACH, ICMP, 3, errno.EHOSTUNREACH),
        (errno.ENOPROTOOPT, ICMP, 3, errno.ECONNREFUSED),
        (64, ICMP, 3, errno.EHOSTUNREACH),
        (errno.EHOSTUNREACH, ICMP, 11, errno.ENETRESET),
        (errno.EHOSTUNREACH, ICMP6, 3, errno.ENETRESET),
        (errno.EHOSTUNREACH, ICMP6, 1, errno.EHOSTUNREACH),
        (errno.EMSGSIZE, ICMP6, 2, errno.EMSGSIZE),
    ],
)
@on_linux
def test_what_others_say_has_a_number(number, origin, kind, error):
    """That of the system, but where another one says more."""
    found = understand(told(number, origin, kind))
    assert found is not None
    assert found.errno == error
    assert found.reporter == "192.0.2.9"
    assert found.packet_size == 0


@on_linux
def test_the_largest_packet_is_told_with_what_is_too_long():
    """And with nothing else."""
    found = understand(told(errno.EMSGSIZE, ICMP, 3, 4, 1300))
    assert found is not None
    assert found.packet_size == 1300
    found = understand(told(errno.ECONNREFUSED, ICMP, 3, 3, 1300))
    assert found is not None
    assert found.packet_size == 0


@on_linux
@pytest.mark.parametrize("origin", [0, LOCAL, TIMESTAMPS])
def test_what_nobody_else_said_is_no_report(origin):
    """The call that sent the datagram has said it already."""
    assert understand(told(errno.EMSGSIZE, origin)) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.SOL_SOCKET]),
            st.sampled_from([11, 25, 1]),
            st.binary(max_size=60),
        )
    )
)
def test_nothing_that_comes_from_the_queue_makes_it_fail(ancillary):
    """There is an error or none, whatever the bytes are."""
    assert isinstance(understand(ancillary), ReportedError | None)


def test_a_socket_without_a_queue_has_none():
    """Of another family than the internet's."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        assert hear_errors(near) is False


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
def test_the_queue_gives_no_more_than_was_asked_for(family):
    """And the rest with the next call; then there is nothing left, and no error."""
    with bound(family) as near, bound(family) as nobody:
        name = nobody.getsockname()
        nobody.close()
        near.connect(name)
        assert hear_errors(near)
        level, option = RECVERR[family]
        assert near.getsockopt(level, option) == 1
        for _ in range(3):
            # What was said of one makes the next fail, once.
            try:
                near.send(b"x")
            except ConnectionRefusedError:
                near.send(b"x")
        wait_for_error(near)
        for expected in ([errno.ECONNREFUSED] * 2, [errno.ECONNREFUSED], []):
            reports = reported_errors(near, 2)
            assert [error.errno for error in reports] == expected
            assert [error.reporter for error in reports] == [name[0]] * len(expected)
        with pytest.raises(BlockingIOError):
            near.recv(1)


@on_linux
def test_what_the_system_itself_refuses_is_the_callers():
    """It stands in the queue too, and must not stay there: the socket would be told of it for ever."""
    with network_namespace() as host, bound() as near, bound() as far:
        host.ip("link set lo mtu 1500")
        near.connect(far.getsockname())
        assert hear_errors(near)
        near.setsockopt(socket.IPPROTO_IP, 10, 2)
        with pytest.raises(OSError, match="too long"):
            near.send(bytes(3000))
        assert near.recvmsg(1, 512, socket.MSG_ERRQUEUE | socket.MSG_PEEK)
        assert reported_errors(near, 9) == []
        with pytest.raises(BlockingIOError):
            near.recvmsg(1, 512, socket.MSG_ERRQUEUE)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_datagram_that_the_system_refuses_fails_once_and_is_not_an_event(family):
    """At once, and what follows it leaves; nothing is left behind that a reactor would wake up for again."""
    recorder = Recorder()
    with network_namespace() as host, bound(family) as far:
        host.ip("link set lo mtu 1500")
        far.setblocking(True)
        skt = host.socket(family)
        level, option = (socket.IPPROTO_IPV6, 23) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 10)
        skt.setsockopt(level, option, 2)
        with transport_on(skt, recorder) as transport:
            transport.connect(address_of(far))
            too_long, fitting = transport.send(bytes(3000), None), transport.send(b"fits", None)
            with pytest.raises(MessageTooLongError):
                await too_long
            assert await fitting == 4
            assert far.recv(4000) == b"fits"
            with pytest.raises(BlockingIOError):
                skt.recvmsg(1, 512, socket.MSG_ERRQUEUE)
            assert recorder.heard == []


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_a_send_learns_of_earlier_ones_is_told(family):
    """Of each of them: on this machine the answer is there when the next one is sent."""
    recorder = Recorder()
    with transport_on(bound(family), recorder) as transport:
        transport.connect(nobody(family))
        # Of growing size, so that none leaves together with the next.
        sizes = range(1, 21)
        writes = [transport.send(bytes(size), None) for size in sizes]
        assert [await write for write in writes] == [*sizes]
        heard = await recorder.take(20)
        assert {problem.status for problem in heard} == {Status.CONNECTION_RESET_BY_PEER}
        await turns(3)
        assert recorder.heard == []


# As the transport hears it


@contextmanager
def answered_with(family: int, kind: int, code: int, word: int = 0) -> Iterator[tuple[Host, Tunnel]]:
    """A host whose network answers everything with an error."""
    with network() as built:
        host = built.host()
        saying = DestinationUnreachable(kind, code, word)
        routers = (ROUTER[socket.AF_INET], ROUTER[socket.AF_INET6])
        with outside(built, host, answering_with(saying, *routers)) as link:
            yield host, link


@contextmanager
def connected(host: Host, family: int, recorder: Recorder, **bounds: int) -> Iterator[DatagramTransport]:
    """A transport on a host that is connected to somebody far away."""
    with transport_on(host.socket(family), recorder, limits(**bounds)) as transport:
        address = Address.ipv6 if family == socket.AF_INET6 else Address.ipv4
        transport.connect(address(FAR[family], 4000))
        yield transport


SAYINGS = [
    (socket.AF_INET, (3, 0), Status.NETWORK_IS_UNREACHABLE),
    (socket.AF_INET, (3, 1), Status.UNREACHABLE_HOST),
    (socket.AF_INET, (3, 2), Status.CONNECTION_RESET_BY_PEER),
    (socket.AF_INET, (3, 3), Status.CONNECTION_RESET_BY_PEER),
    (socket.AF_INET, (3, 6), Status.NETWORK_IS_UNREACHABLE),
    (socket.AF_INET, (3, 7), Status.HOST_IS_DOWN),
    (socket.AF_INET, (3, 8), Status.UNREACHABLE_HOST),
    (socket.AF_INET, (3, 13), Status.UNREACHABLE_HOST),
    (socket.AF_INET, (11, 0), Status.NETWORK_DROPPED_CONNECTION_ON_RESET),
    (socket.AF_INET6, (1, 0), Status.NETWORK_IS_UNREACHABLE),
    (socket.AF_INET6, (1, 3), Status.UNREACHABLE_HOST),
    (socket.AF_INET6, (1, 4), Status.CONNECTION_RESET_BY_PEER),
    (socket.AF_INET6, (3, 0), Status.NETWORK_DROPPED_CONNECTION_ON_RESET),
]


@on_linux
@pytest.mark.parametrize(("family", "saying", "status"), SAYINGS)
@pytest_twisted.ensureDeferred
async def test_each_datagram_that_did_not_arrive_is_told_of_once(family, saying, status):
    """Also when they are sent faster than the network answers; the message says who said so."""
    recorder = Recorder()
    with answered_with(family, *saying) as (host, link), connected(host, family, recorder) as transport:
        for _ in range(20):
            assert await transport.send(b"x", None) == 1
        heard = await recorder.take(20)
        assert {problem.status for problem in heard} == {status}
        assert all(
            f"reach {FAR[family]} port 4000 ({ROUTER[family]} says): " in str(problem) for problem in heard
        )
        link.fate = echoing
        assert await transport.send(b"still here", None) == 10
        assert await recorder.take() == [b"still here"]


def echoing(raw: bytes) -> tuple[Delivery, ...]:
    """Send datagrams back to where they came from."""
    packet = parse(raw)
    if packet is None or packet.protocol != socket.IPPROTO_UDP:
        return ()
    size, start = (4, 12) if raw[0] >> 4 == 4 else (16, 8)
    source, destination = raw[start : start + size], raw[start + size : start + 2 * size]
    body = raw[start + 2 * size :]
    back = raw[:start] + destination + source + body[2:4] + body[:2] + body[4:]
    return (Delivery(back, back=True),)


@on_linux
@pytest.mark.parametrize(("family", "saying"), [(socket.AF_INET, (3, 4)), (socket.AF_INET6, (2, 0))])
@pytest_twisted.ensureDeferred
async def test_what_is_too_long_for_the_path_is_told_with_the_size_that_is_not(family, saying):
    """Then the system knows the path, and refuses the next one at once."""
    recorder = Recorder()
    with answered_with(family, *saying, 1300) as (host, _), connected(host, family, recorder) as transport:
        level, option = (socket.IPPROTO_IPV6, 23) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 10)
        transport.socket.setsockopt(level, option, 2)
        assert await transport.send(bytes(1400), None) == 1400
        (problem,) = await recorder.take()
        assert isinstance(problem, MessageTooLongError)
        assert f"{ROUTER[family]} lets packets of 1300 bytes pass" in str(problem)
        with pytest.raises(MessageTooLongError):
            await transport.send(bytes(1400), None)
        assert await transport.send(bytes(1200), None) == 1200
        await turns(3)
        assert recorder.heard in ([], recorder.failures)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_flood_of_reports_is_told_in_bounded_turns(family):
    """As many as datagrams would be; nothing is lost on the way."""
    recorder = Recorder()
    saying = (3, 1) if family == socket.AF_INET else (1, 3)
    with (
        answered_with(family, *saying) as (host, _),
        connected(host, family, recorder, datagrams_per_turn=4) as transport,
    ):
        for _ in range(30):
            await transport.send(b"x", None)
        most = 0
        while len(recorder.heard) < 30:
            before = len(recorder.heard)
            await turns()
            most = max(most, len(recorder.heard) - before)
        assert 0 < most <= 8  # one turn of reading, and one of the reactor's that says so


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_receiver_may_close_upon_a_report(family):
    """The rest of them is not told."""
    recorder = Recorder()
    saying = (3, 1) if family == socket.AF_INET else (1, 3)
    with answered_with(family, *saying) as (host, _), connected(host, family, recorder) as transport:
        recorder.hook = lambda thing: transport.close()
        for _ in range(5):
            await transport.send(b"x", None)
        await until(lambda: recorder.heard)
        await turns(3)
        assert len(recorder.heard) == 1


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_without_a_peer_nothing_is_told(family):
    """Nobody could tell whose datagram it was."""
    recorder = Recorder()
    saying = (3, 1) if family == socket.AF_INET else (1, 3)
    with answered_with(family, *saying) as (host, link):
        name = "::" if family == socket.AF_INET6 else "0.0.0.0"
        with transport_on(host.socket(family, bound_to=(name, 0)), recorder) as transport:
            refusing = link.fate
            link.fate = lambda raw: echoing(raw) if b"echo" in raw else refusing(raw)
            await transport.send(b"x", (FAR[family], 4000))
            await transport.send(b"echo", (FAR[family], 4000))
            assert await recorder.take() == [b"echo"]
