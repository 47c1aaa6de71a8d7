"""Stream protocols: what arrives is read once, in order, whole, and by one reader at a time."""

from __future__ import annotations

import errno
import socket

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.transports.loopback import (
    HOSTS,
    NEEDS_LINUX,
    connected_protocol,
    delivered,
    limits,
    pattern,
    reset,
    sent,
    turn,
    until,
)
from winsockets.errors import (
    BusyError,
    ConnectionAbortError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
)
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamProtocol
from winsockets.transports._socket_options import StreamOptions

SMALL = StreamOptions(send_buffer=4096)


def in_memory(**changes):
    """A protocol that the test feeds, and its transport."""
    transport = StringTransport()
    protocol = StreamProtocol(Clock(), limits(**changes))
    protocol.makeConnection(transport)
    return protocol, transport


async def everything(protocol, at_a_time=65_536):
    """All that can be read until the stream ends or breaks, and the error, if any."""
    data = bytearray()
    try:
        while piece := await protocol.read(at_a_time):
            data += piece
    except OSError as problem:
        return bytes(data), problem
    return bytes(data), None


async def failure_of_writing(protocol):
    """What writing fails with in the end, when nobody receives it."""
    while True:
        try:
            await protocol.write(b"refused")
        except OSError as problem:
            return problem
        await turn()


def readers():
    """What the reactor reads."""
    from twisted.internet import reactor

    return reactor.getReaders()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_read_waits_for_what_comes(host):
    """And gives what there is, not more than was asked for."""
    async with connected_protocol(host) as (protocol, peer):
        reading = protocol.read(3)
        assert reading.status is AsyncStatus.STARTED
        peer.sendall(b"hello")
        assert await reading == b"hel"
        assert protocol.read(100).get_results() == b"lo"


def test_what_has_arrived_is_read_at_once():
    """No turn of the reactor in between."""
    protocol, _ = in_memory()
    protocol.dataReceived(b"one")
    protocol.dataReceived(b"two")
    assert protocol.read(4).get_results() == b"onet"
    assert protocol.read(4).get_results() == b"wo"


def test_a_protocol_tells_its_limits():
    """Those it was made with."""
    bounds = limits(close_timeout=3.0)
    protocol = StreamProtocol(Clock(), bounds)
    assert protocol.limits is bounds
    with pytest.raises(AttributeError):
        protocol.limits = limits()


def test_a_second_read_is_refused_and_the_first_goes_on():
    """One at a time, never interleaved."""
    protocol, _ = in_memory()
    first = protocol.read(10)
    with pytest.raises(BusyError, match=r"192\.168\.1\.1 port 54321.*another read is pending"):
        protocol.read(10)
    protocol.dataReceived(b"data")
    assert first.get_results() == b"data"


def test_the_reader_may_read_again_when_it_is_told():
    """The next read is possible before the operation of this one ends."""
    protocol, _ = in_memory()
    got = []

    def told(data):
        got.append(data)
        protocol.read(2).addCallback(got.append)

    protocol.read(2).addCallback(told)
    protocol.dataReceived(b"abcdef")
    assert got == [b"ab", b"cd"]
    assert protocol.read(9).get_results() == b"ef"


def test_a_cancelled_read_loses_nothing():
    """It ends with OperationAbortedError, and what comes later goes to the next read."""
    protocol, _ = in_memory()
    reading = protocol.read(10)
    reading.cancel()
    assert reading.status is AsyncStatus.ERROR
    with pytest.raises(OperationAbortedError, match="the connection stays") as caught:
        reading.get_results()
    assert caught.value.status is SocketErrorStatus.OPERATION_ABORTED
    protocol.dataReceived(b"kept")
    assert protocol.read(10).get_results() == b"kept"


def test_bytes_put_back_are_read_first():
    """Before what arrived after them."""
    protocol, _ = in_memory()
    protocol.dataReceived(b"cd")
    protocol.dataReceived(b"ef")
    protocol.unread(b"ab")
    assert protocol.read(3).get_results() == b"abc"
    protocol.unread(b"XYZ")
    assert protocol.read(100).get_results() == b"XYZdef"


@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=30),  # arrives
            st.integers(1, 20),  # is read
            st.just(None),  # the pending read is cancelled
        )
    )
)
def test_every_byte_is_read_once_and_in_order(steps):
    """However arrivals, reads and cancellations mix, and however often receiving pauses."""
    protocol, transport = in_memory(read_high_water=16, read_low_water=4)
    fed, got, pending = b"", [], None
    for step in steps:
        if isinstance(step, bytes):
            fed += step
            protocol.dataReceived(step)
        elif pending is not None and pending.status is AsyncStatus.STARTED:
            if step is None:
                pending.addErrback(lambda _: None)
                pending.cancel()
        elif step is not None:
            pending = protocol.read(step)
            pending.addCallback(got.append)
        unread = len(fed) - sum(map(len, filter(None, got)))
        assert unread < 16 or transport.producerState == "paused"
        assert unread > 4 or transport.producerState == "producing"
    if pending is None or pending.status is not AsyncStatus.STARTED:
        protocol.read(1_000_000).addCallback(got.append)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert b"".join(filter(None, got)) == fed


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_the_end_of_the_stream_gives_no_bytes_every_time(host):
    """To the read that waits for it as to those after it, and after everything that came before it."""
    async with connected_protocol(host) as (protocol, peer):
        peer.sendall(b"last")
        reading = protocol.read(100)
        assert await reading == b"last"
        reading = protocol.read(100)
        peer.close()
        assert await reading == b""
        assert protocol.read(100).get_results() == b""
        assert protocol.read(1).get_results() == b""


@pytest_twisted.ensureDeferred
async def test_what_came_before_the_end_is_read_before_it():
    """Also when nobody was reading."""
    async with connected_protocol() as (protocol, peer):
        peer.sendall(b"first and last")
        peer.close()
        await turn(5)
        assert await everything(protocol, 5) == (b"first and last", None)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_reset_ends_the_waiting_read_with_its_error(host):
    """Status, errno, and a message that names the peer; then every later one too."""
    async with connected_protocol(host) as (protocol, peer):
        name = peer.getsockname()
        reading = protocol.read(100)
        reset(peer)
        for attempt in (lambda: reading, lambda: protocol.read(1)):
            with pytest.raises(ResetByPeerError) as caught:
                await attempt()
            assert caught.value.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
            assert caught.value.errno == errno.ECONNRESET
            assert isinstance(caught.value, ConnectionResetError)
            assert f"{host} port {name[1]}" in str(caught.value)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_what_arrived_before_a_reset_is_read_before_its_error():
    """Linux keeps it."""
    async with connected_protocol() as (protocol, peer):
        peer.sendall(b"before")
        await delivered(peer)
        reset(peer)
        data, problem = await everything(protocol, 4)
        assert data == b"before"
        assert problem.errno == errno.ECONNRESET


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_reset_that_a_send_hears_of_first_is_no_end_of_the_stream_for_reads():
    """The system tells an error once; what follows it looks like an orderly end, and is none."""
    async with connected_protocol(options=SMALL, receive_buffer=4096) as (protocol, peer):
        data = pattern(50_000)
        await sent(peer, data)
        writing = protocol.write(bytes(1_000_000))
        await delivered(peer)
        reset(peer)
        # One that nobody reads by the turn of the reactor: the send is told.
        with pytest.raises(ResetByPeerError):
            await writing
        got, problem = await everything(protocol)
        assert got == data
        assert isinstance(problem, ResetByPeerError)
        assert problem.errno == errno.ECONNRESET


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_waiting_read_hears_of_the_reset_that_a_send_was_told():
    """Not of an end."""
    async with connected_protocol() as (protocol, peer):
        reading = protocol.read(100)
        reset(peer)
        writing = protocol.write(b"into the reset")
        with pytest.raises(ResetByPeerError):
            await writing
        with pytest.raises(ResetByPeerError):
            await reading


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_orderly_end_stays_one_though_writing_fails_after_it():
    """Whoever closed both ways refuses what comes; what it sent before is whole."""
    async with connected_protocol() as (protocol, peer):
        peer.sendall(b"bye")
        peer.close()
        assert await everything(protocol) == (b"bye", None)
        problem = await failure_of_writing(protocol)
        assert problem.errno == errno.EPIPE
        assert problem.status is SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT
        assert protocol.read(10).get_results() == b""


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_end_hidden_behind_a_failed_write_is_orderly_after_a_broken_pipe():
    """The peer had ended its direction before it refused what was sent."""
    async with connected_protocol(bounds=limits(read_high_water=1)) as (protocol, peer):
        peer.sendall(b"bye")
        await until(lambda: protocol.transport not in readers())
        peer.close()
        assert (await failure_of_writing(protocol)).errno == errno.EPIPE
        assert await everything(protocol) == (b"bye", None)


def test_after_the_end_a_broken_connection_does_not_take_the_end_back():
    """Repeated reads keep giving nothing."""
    protocol, _ = in_memory()
    protocol.readConnectionLost()
    assert protocol.read(10).get_results() == b""
    protocol.connectionLost(Failure(ConnectionLost()))
    assert protocol.read(10).get_results() == b""


@pytest_twisted.ensureDeferred
async def test_after_the_peer_has_ended_its_direction_ours_goes_on():
    """Half closed."""
    async with connected_protocol() as (protocol, peer):
        peer.shutdown(1)
        assert await protocol.read(10) == b""
        await protocol.write(b"still here")
        assert peer.recv(100) == b"still here"


@pytest_twisted.ensureDeferred
async def test_a_flooding_peer_grows_the_unread_bytes_to_the_high_water_mark_and_one_read():
    """Beyond that the system holds it, and the peer waits."""
    bounds = limits(read_high_water=10_000, read_low_water=2_000, read_size=4_096)
    async with connected_protocol(bounds=bounds) as (protocol, peer):
        data = pattern(3_000_000)
        flooding = ensureDeferred(sent(peer, data))
        got, most = bytearray(), 0
        for _ in range(50):
            await until(lambda: protocol.transport not in readers())
            held = b""
            # Without a turn of the reactor nothing comes in between.
            while (operation := protocol.read(1_000)).status is AsyncStatus.COMPLETED:
                held += operation.get_results()
            most = max(most, len(held))
            got += held
            got += await operation
        assert 10_000 <= most <= 10_000 + 4_096
        while len(got) < len(data):
            got += await protocol.read(65_536)
        assert got == data
        await flooding


@NEEDS_LINUX
@pytest.mark.parametrize("size", [1, 100_000])
@pytest_twisted.ensureDeferred
async def test_a_hang_up_while_paused_loses_no_byte(size):
    """Poll-like reactors tell of it at once, with the peer's last bytes still in the system."""
    bounds = limits(read_high_water=1, read_size=1_000)
    async with connected_protocol(bounds=bounds, options=SMALL, receive_buffer=4_096) as (protocol, peer):
        data = b"!" + pattern(size)
        peer.sendall(b"!")
        await until(lambda: protocol.transport not in readers())
        await sent(peer, data[1:])
        await delivered(peer)
        writing = protocol.write(bytes(1_000_000))
        assert writing.status is AsyncStatus.STARTED
        reset(peer)
        with pytest.raises(ResetByPeerError) as caught:
            await writing
        assert caught.value.errno == errno.ECONNRESET
        assert not protocol.lost
        got, problem = await everything(protocol)
        assert got == data
        assert problem.errno == errno.ECONNRESET
        assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_hang_up_while_paused_after_the_peers_end_is_an_end_for_reads():
    """On every reactor: the peer had said all it wanted to. Writes hear that the connection is gone."""
    bounds = limits(read_high_water=1, read_size=1_000)
    async with connected_protocol(bounds=bounds, options=SMALL, receive_buffer=4_096) as (protocol, peer):
        data = b"!" + pattern(100_000)
        peer.sendall(b"!")
        await until(lambda: protocol.transport not in readers())
        await sent(peer, data[1:])
        peer.shutdown(socket.SHUT_WR)
        await delivered(peer)
        writing = protocol.write(bytes(1_000_000))
        reset(peer)
        with pytest.raises(ConnectionAbortError) as caught:
            await writing
        assert caught.value.errno == errno.EPIPE
        assert not protocol.lost
        got = bytearray()
        while piece := await protocol.read(65_536):
            got += piece
        assert got == data
        await protocol.when_lost()
        assert await protocol.read(1) == b""


def test_reading_is_resumed_at_the_low_water_mark():
    """Not at every byte that is taken."""
    protocol, transport = in_memory(read_high_water=10, read_low_water=3)
    protocol.dataReceived(bytes(12))
    assert transport.producerState == "paused"
    assert len(protocol.read(8).get_results()) == 8
    assert transport.producerState == "paused"
    assert len(protocol.read(1).get_results()) == 1
    assert transport.producerState == "producing"


def test_a_transport_that_delivers_while_it_is_resumed_keeps_the_order():
    """Some hold what they have received."""
    protocol, transport = in_memory(read_high_water=2, read_low_water=1)
    protocol.dataReceived(b"ab")
    transport.resumeProducing = lambda: protocol.dataReceived(b"cd")
    assert protocol.read(1).get_results() == b"a"
    assert protocol.read(9).get_results() == b"bcd"


def test_discarding_aborts_the_waiting_read_and_throws_away_what_is_there_and_what_comes():
    """And receiving goes on, or the peer would wait for ever."""
    protocol, transport = in_memory(read_high_water=4, read_low_water=1)
    reading = protocol.read(10)
    protocol.discard_input()
    with pytest.raises(OperationAbortedError):
        reading.get_results()

    protocol, transport = in_memory(read_high_water=4, read_low_water=1)
    protocol.dataReceived(b"12345")
    assert transport.producerState == "paused"
    protocol.discard_input()
    assert transport.producerState == "producing"
    protocol.dataReceived(b"67890")
    protocol.unread(b"back")
    assert transport.producerState == "producing"
    protocol.close()
    assert not transport.disconnected, "nothing is unread, so nothing is missing"


@pytest_twisted.ensureDeferred
async def test_the_bytes_of_the_peer_that_nobody_wants_do_not_block_it():
    """Much more than the system would hold."""
    async with connected_protocol() as (protocol, peer):
        protocol.discard_input()
        await sent(peer, bytes(20_000_000))
        await protocol.write(b"thanks")
        assert peer.recv(100) == b"thanks"
