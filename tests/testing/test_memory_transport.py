"""Two transports back to back are a TCP connection to any protocol of Twisted's."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from winsockets.errors import InvalidArgumentError, ResetByPeerError, SocketErrorStatus
from winsockets.testing import Faults, connect_protocols
from winsockets.transports._contracts import ISink

RESET = SocketErrorStatus.CONNECTION_RESET_BY_PEER


class Recorder(Protocol):
    """Keeps what it hears."""

    def __init__(self):
        self.heard = []
        self.lost = None

    @property
    def data(self):
        """All the bytes it heard."""
        return b"".join(self.heard)

    def dataReceived(self, data):
        """Keep it."""
        self.heard.append(data)

    def connectionLost(self, reason):
        """Keep the reason."""
        assert self.lost is None
        self.lost = reason.value


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """One that knows half a close."""

    def __init__(self):
        super().__init__()
        self.halves = []

    def readConnectionLost(self):
        """Keep it."""
        self.halves.append("read")

    def writeConnectionLost(self):
        """Keep it."""
        self.halves.append("write")


@pytest.fixture
def clock():
    """A clock that has nothing left to do when the test ends."""
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


def connected(clock, kind=Recorder, **how):
    """A client and a server, and a function that closes both."""
    client, server = kind(), kind()
    connect_protocols(client, server, clock, **how)
    return client, server


def close(clock, *protocols):
    """Let go of both ends."""
    for protocol in protocols:
        protocol.transport.abortConnection()
    clock.advance(0)


def test_it_is_a_tcp_transport(clock):
    """To Twisted, and to the protocol under a StreamSocket."""
    client, server = connected(clock)
    for interface in (ITCPTransport, IConsumer, IPushProducer, ISink):
        verifyObject(interface, client.transport)
    close(clock, client, server)


def test_the_server_is_connected_first():
    """As with a server that greets."""
    order = []

    class Greeter(Recorder):
        def connectionMade(self):
            order.append(self)
            self.transport.write(b"hello")

    clock = Clock()
    client, server = Recorder(), Greeter()
    client.connectionMade = lambda: order.append(client)
    connect_protocols(client, server, clock)
    assert order == [server, client]
    assert client.heard == []
    clock.advance(0)
    assert client.data == b"hello"
    close(clock, client, server)


def test_addresses_are_those_of_two_hosts(clock):
    """The peer of one is the host of the other."""
    client, server = connected(clock)
    assert client.transport.getHost() == server.transport.getPeer()
    assert server.transport.getHost() == client.transport.getPeer() == IPv4Address("TCP", "127.0.0.1", 1337)
    close(clock, client, server)


def test_addresses_can_be_given(clock):
    """Both of them."""
    here, there = IPv6Address("TCP", "2001:db8::1", 5000), IPv6Address("TCP", "2001:db8::2", 80)
    client, server = connected(clock, client_address=here, server_address=there)
    assert client.transport.getHost() == here
    assert client.transport.getPeer() == there
    close(clock, client, server)


def test_options_keep_what_they_are_set_to(clock):
    """TCP_NODELAY is on, keep-alive off, until somebody says otherwise."""
    client, server = connected(clock)
    transport = client.transport
    assert (transport.getTcpNoDelay(), transport.getTcpKeepAlive()) == (True, False)
    transport.setTcpNoDelay(0)
    transport.setTcpKeepAlive(1)
    assert (transport.getTcpNoDelay(), transport.getTcpKeepAlive()) == (False, True)
    close(clock, client, server)


def test_nothing_arrives_within_the_call_that_sends_it(clock):
    """Later, and what was sent together arrives together."""
    client, server = connected(clock)
    client.transport.write(b"one")
    client.transport.writeSequence([b"two", b"three"])
    assert server.heard == []
    clock.advance(0)
    assert server.heard == [b"onetwothree"]
    close(clock, client, server)


def test_an_answer_arrives_in_the_same_advance(clock):
    """Advancing by nothing goes on until nothing is on its way."""
    client, server = connected(clock)
    server.dataReceived = lambda data: server.transport.write(data.upper())
    client.transport.write(b"echo")
    clock.advance(0)
    assert client.data == b"ECHO"
    close(clock, client, server)


def test_nothing_is_scheduled_while_nothing_is_on_its_way(clock):
    """An idle connection leaves the reactor alone."""
    client, server = connected(clock)
    client.transport.write(b"x")
    clock.advance(0)
    assert clock.getDelayedCalls() == []
    close(clock, client, server)


def test_much_goes_through_a_small_capacity(clock):
    """The writer waits and goes on."""
    client, server = connected(clock, capacity=10)
    data = bytes(range(256)) * 4
    client.transport.write(data)
    clock.advance(0)
    assert server.data == data
    assert max(map(len, server.heard)) <= 10
    close(clock, client, server)


def test_a_capacity_of_nothing_is_refused():
    """Nothing would ever arrive."""
    with pytest.raises(InvalidArgumentError, match="capacity: 0"):
        connect_protocols(Recorder(), Recorder(), Clock(), capacity=0)


def test_a_paused_receiver_stops_the_sender(clock):
    """What the two systems hold is bounded; the rest stays with the producer."""
    client, server = connected(clock, capacity=100)
    calls = []

    @implementer(IPushProducer)
    class Producer:
        def pauseProducing(self):
            calls.append("pause")

        def resumeProducing(self):
            calls.append("resume")

        def stopProducing(self):
            calls.append("stop")

    server.transport.pauseProducing()
    client.transport.registerProducer(Producer(), True)
    client.transport.write(bytes(client.transport.bufferSize + 1))
    clock.advance(0)
    assert server.heard == []
    assert calls == ["pause"]
    server.transport.resumeProducing()
    clock.advance(0)
    assert len(server.data) == client.transport.bufferSize + 1
    assert calls == ["pause", "resume"]
    close(clock, client, server)
    assert calls == ["pause", "resume", "stop"]


def test_a_pull_producer_is_asked_when_everything_has_gone(clock):
    """One piece after the other."""
    client, server = connected(clock)
    waiting = [b"c", b"b", b"a"]

    @implementer(IPullProducer)
    class Producer:
        def resumeProducing(self):
            if waiting:
                client.transport.write(waiting.pop())
            else:
                client.transport.unregisterProducer()

        def stopProducing(self):
            raise AssertionError("it was unregistered")

    client.transport.registerProducer(Producer(), False)
    clock.advance(0)
    assert server.data == b"abc"
    close(clock, client, server)


def test_losing_the_connection_sends_what_was_written(clock):
    """In good order, for both."""
    client, server = connected(clock)
    client.transport.write(b"last")
    client.transport.loseConnection()
    client.transport.write(b" words")
    clock.advance(0)
    assert server.data == b"last words"
    assert isinstance(client.lost, ConnectionDone)
    assert isinstance(server.lost, ConnectionDone)


def test_half_a_close_leaves_the_other_half(clock):
    """The client says that it has said everything, and still hears."""
    client, server = connected(clock, HalfRecorder)
    client.transport.write(b"question")
    client.transport.loseWriteConnection()
    clock.advance(0)
    assert (client.halves, server.halves) == (["write"], ["read"])
    assert server.data == b"question"
    server.transport.write(b"answer")
    server.transport.loseConnection()
    clock.advance(0)
    assert client.data == b"answer"
    assert (client.lost, client.halves) == (None, ["write", "read"])
    client.transport.loseConnection()
    clock.advance(0)
    assert isinstance(client.lost, ConnectionDone)


def test_half_a_close_is_a_whole_one_to_who_does_not_know_it(clock):
    """As Twisted does with a real one."""
    client, server = connected(clock)
    client.transport.loseWriteConnection()
    clock.advance(0)
    assert isinstance(server.lost, ConnectionDone)
    assert isinstance(client.lost, ConnectionDone)


def test_an_abort_is_a_reset_to_the_peer(clock):
    """What had been sent before still arrives; what had not is lost."""
    client, server = connected(clock, capacity=4)
    client.transport.write(b"sent and not sent")
    client.transport.doWrite()
    client.transport.abortConnection()
    clock.advance(0)
    assert isinstance(client.lost, ConnectionAborted)
    assert server.data == b"sent"
    assert isinstance(server.lost, ResetByPeerError)
    assert isinstance(server.lost, ConnectionLost)
    assert server.lost.status is RESET
    assert "127.0.0.1 port 49152" in str(server.lost)


def test_an_abort_is_not_heard_at_once(clock):
    """Nobody is told within the call."""
    client, server = connected(clock)
    client.transport.abortConnection()
    client.transport.abortConnection()
    assert (client.lost, server.lost) == (None, None)
    clock.advance(0)
    assert isinstance(client.lost, ConnectionAborted)


def test_closing_with_unread_bytes_resets(clock):
    """As Linux does: the sender shall know that its bytes were not read."""
    client, server = connected(clock)
    server.transport.pauseProducing()
    client.transport.write(b"never read")
    clock.advance(0)
    server.transport.loseConnection()
    clock.advance(0)
    assert isinstance(server.lost, ConnectionDone)
    assert isinstance(client.lost, ResetByPeerError)


def test_sending_to_an_end_that_is_closed_resets(clock):
    """The first send is taken, as by a system that does not know yet; the next one fails."""
    client, server = connected(clock, HalfRecorder)
    server.transport.loseConnection()
    clock.advance(0)
    assert client.halves == ["read"]
    client.transport.write(b"to nobody")
    clock.advance(0)
    assert client.lost is None
    client.transport.write(b"again")
    clock.advance(0)
    assert isinstance(client.lost, ResetByPeerError)


def test_a_reset_waits_behind_unread_bytes(clock):
    """A paused receiver reads what had arrived, then hears of the reset."""
    client, server = connected(clock)
    server.transport.pauseProducing()
    client.transport.write(b"before")
    clock.advance(0)
    client.transport.abortConnection()
    clock.advance(0)
    assert (server.heard, server.lost) == ([], None)
    server.transport.resumeProducing()
    clock.advance(0)
    assert server.data == b"before"
    assert isinstance(server.lost, ResetByPeerError)


@pytest.fixture
def failures():
    """The types of the failures that are logged."""
    types = []

    def note(event):
        types.append(event["log_failure"].type)

    globalLogPublisher.addObserver(note)
    yield types
    globalLogPublisher.removeObserver(note)


@pytest.mark.parametrize("aborts", [False, True], ids=["fails", "aborts and fails"])
def test_a_protocol_that_fails_loses_the_connection(clock, failures, aborts):
    """Once, and the failure is logged, as a reactor does."""
    client, server = connected(clock)

    def fail(data):
        if aborts:
            server.transport.abortConnection()
        raise ZeroDivisionError

    server.dataReceived = fail
    client.transport.write(b"x")
    clock.advance(0)
    assert isinstance(server.lost, ZeroDivisionError)
    assert isinstance(client.lost, ResetByPeerError)
    assert failures == [ZeroDivisionError]


def test_a_protocol_that_fails_at_the_end_is_logged_too(clock, failures):
    """The connection is gone all the same, for both."""
    client, server = connected(clock)

    def fail(reason):
        raise ZeroDivisionError

    client.connectionLost = fail
    client.transport.loseConnection()
    clock.advance(0)
    assert not client.transport.connected
    assert isinstance(server.lost, ConnectionDone)
    assert failures == [ZeroDivisionError]


# Faults


def test_short_writes_bring_short_reads(clock):
    """At most so many bytes at a time."""
    client, server = connected(clock, to_server=Faults(most_at_once=3))
    client.transport.write(b"abcdefgh")
    clock.advance(0)
    assert b"".join(server.heard) == b"abcdefgh"
    assert max(map(len, server.heard)) <= 3
    server.transport.write(b"abcdefgh")
    clock.advance(0)
    assert client.heard == [b"abcdefgh"]
    close(clock, client, server)


def test_a_delay_goes_by_the_clock(clock):
    """In its direction only."""
    client, server = connected(clock, to_client=Faults(delay=1.5))
    client.transport.write(b"ping")
    clock.advance(0)
    assert server.data == b"ping"
    server.transport.write(b"pong")
    clock.advance(1.4)
    assert client.data == b""
    clock.advance(0.2)
    assert client.data == b"pong"
    close(clock, client, server)


def test_a_clock_that_is_advanced_far_misses_nothing(clock):
    """Every step counts from the time it was meant for, not from where the clock has come to."""
    client, server = connected(clock, to_server=Faults(most_at_once=1, delay=2), to_client=Faults(delay=3))
    server.dataReceived = lambda data: server.transport.write(data.upper())
    client.transport.write(b"hello")
    clock.advance(4.9)
    assert client.data == b""
    clock.advance(0.2)
    assert client.data == b"HELLO"
    close(clock, client, server)


@pytest.mark.parametrize("delay", [0.1, 0.3, 1 / 3, 1e-9, 1e9 / 7])
def test_any_delay_ends(delay):
    """Whatever a float makes of the sum of times."""
    clock = Clock()
    clock.advance(1e6 / 3)
    client, server = connected(clock, to_server=Faults(delay=delay))
    client.transport.write(b"x")
    clock.advance(0)
    clock.advance(delay * 1.000001)
    assert server.data == b"x"
    close(clock, client, server)


def test_nothing_is_scheduled_for_what_nobody_will_hear(clock):
    """Both ends are gone, a delayed end is still on its way."""
    client, server = connected(clock, to_server=Faults(delay=60))
    client.transport.loseConnection()
    clock.advance(0)
    server.transport.loseConnection()
    clock.advance(0)
    assert isinstance(server.lost, ConnectionDone)


def test_a_reset_at_a_byte_breaks_both_ends(clock):
    """The receiver has exactly the bytes before it."""
    client, server = connected(clock, to_server=Faults(reset_at=5))
    client.transport.write(b"abcd")
    clock.advance(0)
    assert (client.lost, server.lost) == (None, None)
    client.transport.write(b"efgh")
    clock.advance(0)
    assert server.data == b"abcde"
    for protocol in (client, server):
        assert isinstance(protocol.lost, ResetByPeerError)


def test_a_reset_at_0_breaks_a_new_connection(clock):
    """Connected, then reset."""
    client, server = connected(clock, to_client=Faults(reset_at=0))
    assert client.transport.connected
    clock.advance(0)
    assert isinstance(client.lost, ResetByPeerError)
    assert isinstance(server.lost, ResetByPeerError)


def test_an_end_at_a_byte_is_one_direction_s(clock):
    """The receiver hears the end, can still send, and the sender notices nothing."""
    client, server = connected(clock, HalfRecorder, to_server=Faults(end_at=2))
    client.transport.write(b"abcd")
    clock.advance(0)
    client.transport.write(b"efgh")
    clock.advance(0)
    assert (server.data, server.halves, client.lost) == (b"ab", ["read"], None)
    server.transport.write(b"answer")
    clock.advance(0)
    assert client.data == b"answer"
    close(clock, client, server)


def test_a_stall_takes_what_the_buffer_holds(clock):
    """Then the sender waits, and an abort of the sender is not heard either."""
    client, server = connected(clock, to_server=Faults(stall_at=2), capacity=10)
    client.transport.write(bytes(100))
    clock.advance(3600)
    assert len(server.data) == 2
    assert client.transport.send(b"more") == 0
    client.transport.abortConnection()
    clock.advance(0)
    assert isinstance(client.lost, ConnectionAborted)
    assert server.lost is None
    close(clock, server)
