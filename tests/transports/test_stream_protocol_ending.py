"""Stream protocols: how a connection ends, and what everybody hears of it."""

from __future__ import annotations

import gc
import weakref

import pytest
import pytest_twisted
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
    rest,
    turn,
    until,
)
from winsockets.errors import (
    IllegalMethodCallError,
    OperationAbortedError,
    ResetByPeerError,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamProtocol
from winsockets.transports._socket_options import StreamOptions

NARROW = {"options": StreamOptions(send_buffer=4096), "receive_buffer": 4096}
"""A connection that takes little at a time."""
MUCH = 1_000_000
"""More than a narrow connection holds."""


def in_memory(transport=None, **changes):
    """A protocol, its transport, and the clock of its deadlines."""
    transport, clock = transport or StringTransport(), Clock()
    protocol = StreamProtocol(clock, limits(**changes))
    protocol.makeConnection(transport)
    return protocol, transport, clock


def test_the_connection_is_announced_once_with_the_protocol():
    """When the transport is there."""
    seen = []
    protocol = StreamProtocol(Clock(), limits(), lambda connected: seen.append((connected, connected.peer)))
    assert seen == []
    protocol.makeConnection(StringTransport())
    assert seen == [(protocol, "192.168.1.1 port 54321")]


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_closing_ends_the_stream_in_good_order(host):
    """The peer reads what was written, and then the end."""
    async with connected_protocol(host) as (protocol, peer):
        protocol.write(b"last words")
        protocol.close()
        assert await rest(peer) == b"last words"
        await protocol.when_lost()
        assert protocol.lost


@pytest_twisted.ensureDeferred
async def test_closing_sends_what_was_accepted_first():
    """However long the peer takes within the deadline; the operations end well."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        data = pattern(MUCH)
        operations = [protocol.write(data), protocol.write(b"last"), protocol.flush()]
        protocol.close()
        protocol.close()
        assert await rest(peer) == data + b"last"
        assert [await operation for operation in operations] == [MUCH, 4, True]


@pytest_twisted.ensureDeferred
async def test_closing_aborts_the_waiting_read():
    """At once."""
    async with connected_protocol() as (protocol, _):
        reading = protocol.read(10)
        protocol.close()
        with pytest.raises(OperationAbortedError, match="aborted by close"):
            reading.get_results()


@pytest_twisted.ensureDeferred
async def test_nothing_can_be_written_after_closing():
    """Not even while what was accepted is still being sent."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        data = pattern(MUCH)
        protocol.write(data)
        protocol.close()
        with pytest.raises(IllegalMethodCallError):
            protocol.write(b"more")
        assert await rest(peer) == data


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_closing_with_unread_bytes_resets_the_connection(host):
    """The peer shall know that not all it sent was read."""
    async with connected_protocol(host) as (protocol, peer):
        peer.sendall(b"hello world")
        assert await protocol.read(5) == b"hello"
        protocol.close()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_closing_with_bytes_that_only_the_system_has_received_resets_the_connection():
    """They are unread too."""
    async with connected_protocol() as (protocol, peer):
        protocol.transport.pauseProducing()
        peer.sendall(b"unread")
        await delivered(peer)
        protocol.close()
        await protocol.when_lost()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@pytest_twisted.ensureDeferred
async def test_closing_after_the_end_of_the_stream_is_in_good_order():
    """Both directions have ended then."""
    async with connected_protocol() as (protocol, peer):
        peer.sendall(b"all")
        peer.shutdown(1)
        assert await protocol.read(10) == b"all"
        assert await protocol.read(10) == b""
        protocol.write(b"answer")
        protocol.close()
        assert await rest(peer) == b"answer"


@pytest_twisted.ensureDeferred
async def test_closing_gives_up_when_the_peer_takes_nothing_for_too_long():
    """Then the connection is reset, and what still waits fails; the message names the deadline."""
    async with connected_protocol(bounds=limits(close_timeout=0.05), **NARROW) as (protocol, peer):
        operations = [protocol.write(pattern(MUCH)), protocol.flush()]
        protocol.close()
        for operation in operations:
            with pytest.raises(OperationAbortedError, match=r"within 0\.05 s"):
                await operation
        await protocol.when_lost()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


def test_the_deadline_counts_from_the_close():
    """Not earlier, not later."""
    protocol, transport, clock = in_memory(close_timeout=7.0)
    transport.producer.pauseProducing()
    writing = protocol.write(b"stuck")
    clock.advance(100)
    protocol.close()
    clock.advance(6.9)
    assert writing.status is AsyncStatus.STARTED
    clock.advance(0.1)
    assert writing.status is AsyncStatus.ERROR
    assert transport.disconnected
    writing.addErrback(lambda _: None)


def test_the_end_takes_the_deadline_away():
    """No delayed call is left."""
    protocol, _, clock = in_memory()
    protocol.close()
    assert len(clock.getDelayedCalls()) == 1
    protocol.connectionLost(Failure(ConnectionDone()))
    assert not clock.getDelayedCalls()
    protocol.close()
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_closing_at_once_with_a_deadline_of_nothing_is_still_in_good_order():
    """A deadline of 0 is for what waits."""
    async with connected_protocol(bounds=limits(close_timeout=0)) as (protocol, peer):
        protocol.write(b"handed over")
        protocol.close()
        assert await rest(peer) == b"handed over"


@pytest_twisted.ensureDeferred
async def test_a_full_system_buffer_with_nothing_waiting_here_is_left_to_the_system():
    """Nothing holds the descriptor although the peer takes nothing."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        taken = 0
        while (count := protocol.transport.send(pattern(2_000))) > 0:
            taken += count
        protocol.close()
        await turn(3)
        assert protocol.lost
        assert len(await rest(peer)) == taken


@pytest_twisted.ensureDeferred
async def test_a_reset_while_closing_ends_it():
    """What still waits fails with the reset."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        writing = protocol.write(pattern(MUCH))
        protocol.close()
        reset(peer)
        with pytest.raises(ResetByPeerError):
            await writing
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_whoever_hears_of_the_last_write_finds_the_connection_closing():
    """Closing again, or half closing, does no harm."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        writing = protocol.write(pattern(MUCH))
        writing.addCallback(lambda _: (protocol.shut_output(), protocol.close()))
        protocol.close()
        assert await rest(peer) == pattern(MUCH)
        await writing


@pytest_twisted.ensureDeferred
async def test_the_last_write_may_close():
    """When it hears that it has left."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        protocol.write(pattern(MUCH)).addCallback(lambda _: protocol.close())
        assert await rest(peer) == pattern(MUCH)
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_reader_may_close_when_it_hears():
    """In the midst of a delivery."""
    async with connected_protocol() as (protocol, peer):
        protocol.read(2).addCallback(lambda _: protocol.close())
        peer.sendall(b"ab")
        assert await rest(peer) == b""
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_aborting_resets_the_connection_and_ends_what_waits_with_its_error():
    """Reads and writes alike, also the later ones; what has arrived stays readable."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        peer.sendall(b"abc")
        reading = protocol.read(1)
        assert await reading == b"a"
        writing = protocol.write(pattern(MUCH))
        problem = SocketException("the test breaks it off")
        protocol.abort(problem)
        with pytest.raises(SocketException) as caught:
            writing.get_results()
        assert caught.value is problem
        assert protocol.read(10).get_results() == b"bc"
        with pytest.raises(SocketException, match="the test breaks it off"):
            protocol.read(10).get_results()
        with pytest.raises(ConnectionResetError):
            await rest(peer)
        await protocol.when_lost()
        protocol.abort(SocketException("again"))
        protocol.close()


def test_aborting_after_the_end_of_the_stream_does_not_take_the_end_back():
    """What was received is whole."""
    protocol, _, _ = in_memory()
    protocol.dataReceived(b"all")
    protocol.readConnectionLost()
    protocol.abort(SocketException("broken off"))
    assert protocol.read(10).get_results() == b"all"
    assert protocol.read(10).get_results() == b""


def test_a_lost_connection_ends_everything_with_one_error():
    """The read, the writes and the flush that wait; then those who wait for the end."""
    protocol, transport, _ = in_memory()
    transport.producer.pauseProducing()
    ended = []
    reading, writing, flushing = protocol.read(10), protocol.write(b"x"), protocol.flush()
    for operation in (writing, flushing, reading, protocol.when_lost()):
        operation.addBoth(ended.append)
    protocol.connectionLost(Failure(ConnectionLost()))
    problem = ended[0].value
    assert isinstance(problem, ResetByPeerError)
    assert [ended[1].value, ended[2].value, ended[3]] == [problem, problem, None]


@pytest_twisted.ensureDeferred
async def test_a_connection_that_broke_goes_by_itself():
    """Once a write has failed and the end of what the peer sent was reached, nobody need close it."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        writing = protocol.write(pattern(MUCH))
        peer.sendall(b"last")
        reset(peer)
        with pytest.raises(ResetByPeerError):
            await writing
        assert await protocol.read(10) == b"last"
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_connection_whose_peer_is_gone_for_good_goes_by_itself():
    """The end of the stream was read, and then what is written is refused."""
    async with connected_protocol() as (protocol, peer):
        peer.close()
        assert await protocol.read(10) == b""
        await protocol.write(b"refused")
        await until(lambda: protocol.write(b"?").addErrback(lambda _: None).result is None)
        await protocol.when_lost()
        assert protocol.read(10).get_results() == b""


def test_an_orderly_end_gives_the_waiting_read_no_bytes():
    """As transports without half closing tell it."""
    protocol, _, _ = in_memory()
    reading = protocol.read(10)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert reading.get_results() == b""


def test_discarding_and_cancelling_after_the_end_do_nothing():
    """Whoever is late with it need not ask first."""
    protocol, transport, _ = in_memory(read_high_water=2)
    protocol.dataReceived(b"abc")
    protocol.connectionLost(Failure(ConnectionDone()))
    protocol.discard_input()
    protocol.shut_output()
    protocol.cancel_io()
    assert transport.producerState == "paused"
    assert not transport.disconnecting


def test_waiting_for_the_end_works_any_number_of_times():
    """Before and after it; one that is cancelled concerns nobody else."""
    protocol, _, _ = in_memory()
    one, two, three = protocol.when_lost(), protocol.when_lost(), protocol.when_lost()
    two.cancel()
    protocol.connectionLost(Failure(ConnectionDone()))
    assert [one.status, three.status] == [AsyncStatus.COMPLETED] * 2
    assert protocol.when_lost().status is AsyncStatus.COMPLETED


@pytest_twisted.ensureDeferred
async def test_a_connection_that_ended_is_freed_without_the_garbage_collector():
    """Protocol and transport do not hold each other."""
    gc.collect()
    gc.disable()
    try:
        async with connected_protocol() as (protocol, _):
            pass
        await turn(2)
        gone = [weakref.ref(protocol), weakref.ref(protocol.transport)]
        del protocol, _
        await until(lambda: all(reference() is None for reference in gone))
    finally:
        gc.enable()
