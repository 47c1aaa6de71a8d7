"""Stream protocols over transports of somebody else."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import protocol as twisted_protocol
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.test import iosim
from zope.interface import directlyProvides

from tests.transports.loopback import connected_protocol, limits, pattern, until
from winsockets.errors import ConnectionAbortError, OperationAbortedError, ResetByPeerError
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamFactory, StreamProtocol
from winsockets.transports._foreign_sink import ForeignSink, as_sink

LARGE = 5_000
"""A buffer of this size is handed over as it is; smaller ones are joined."""


class Transport(StringTransport):
    """A transport in memory that notes what is asked of it, and asks to wait when the test says so."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.room = None

    def write(self, data):
        """Take it, and ask to wait when the room is used up."""
        super().write(data)
        if self.room is not None:
            self.room -= len(data)
            if self.room <= 0:
                self.producer.pauseProducing()

    def pauseProducing(self):
        """Note it."""
        super().pauseProducing()
        self.calls.append("pause")

    def resumeProducing(self):
        """Note it."""
        super().resumeProducing()
        self.calls.append("resume")

    def loseWriteConnection(self):
        """Note it."""
        self.calls.append("half close")

    def loseConnection(self):
        """Note it."""
        assert self.producer is None, "a transport waits for its producer before it closes"
        super().loseConnection()
        self.calls.append("close")

    def abortConnection(self):
        """Note it."""
        assert self.producer is None
        self.calls.append("abort")


class Bare:
    """The least that a transport can do."""

    def __init__(self):
        self.written = []
        self.closed = 0

    def write(self, data):
        """See ITransport."""
        self.written.append(data)

    def loseConnection(self):
        """See ITransport."""
        self.closed += 1

    def getPeer(self):
        """See ITransport."""
        return "the far side"


def over(transport, **changes):
    """A protocol over a transport, and the clock of its deadlines."""
    clock = Clock()
    protocol = StreamProtocol(clock, limits(**changes))
    protocol.makeConnection(transport)
    return protocol, clock


def test_writes_go_through_and_end_when_the_transport_has_them():
    """Its buffer counts as the system."""
    transport = Transport()
    protocol, _ = over(transport)
    assert protocol.write(b"one").get_results() == 3
    held = protocol.write(bytearray(b"two"))
    assert transport.value() == b"one"
    assert protocol.flush().get_results() is True
    assert held.get_results() == 3
    assert protocol.write_many([b"a", b"", b"bc"]).get_results() == 3
    assert transport.value() == b"onetwoabc"


def test_a_transport_that_asks_to_wait_is_not_written_to_until_it_asks_again():
    """Backpressure comes through the producer; what it had taken when it asked is gone."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.room = 3
    assert protocol.write(b"one").status is AsyncStatus.COMPLETED
    second = protocol.write(b"two")
    protocol.flush()
    third = protocol.write_many([large := bytes(LARGE)])
    flushed = protocol.flush()
    assert transport.value() == b"one"
    transport.room = 3
    transport.producer.resumeProducing()
    assert (second.status, third.status) == (AsyncStatus.COMPLETED, AsyncStatus.STARTED)
    assert transport.value() == b"onetwo"
    transport.room = None
    transport.producer.resumeProducing()
    assert third.get_results() == LARGE
    assert flushed.get_results() is True
    assert transport.value() == b"onetwo" + large


def test_buffers_of_one_write_stop_where_the_transport_asks_to_wait():
    """The others follow when it asks again."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.room = 2 * LARGE
    pieces = [letter * LARGE for letter in (b"a", b"b", b"c", b"d")]
    operation = protocol.write_many(pieces)
    assert transport.value() == b"".join(pieces[:2])
    transport.room = None
    transport.producer.resumeProducing()
    assert transport.value() == b"".join(pieces)
    assert operation.get_results() == 4 * LARGE


def test_hundreds_of_buffers_all_leave():
    """More than are handed over at a time."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.producer.pauseProducing()
    pieces = [bytes([number % 256]) * LARGE for number in range(200)]
    operation = protocol.write_many(pieces)
    transport.producer.resumeProducing()
    assert transport.value() == b"".join(pieces)
    assert operation.get_results() == 200 * LARGE


def test_asking_for_more_when_nothing_waits_writes_nothing():
    """A transport asks when it has room, not knowing."""
    transport = Transport()
    over(transport)
    transport.producer.resumeProducing()
    assert transport.value() == b""


def test_a_program_that_does_not_read_pauses_the_transport_and_reading_resumes_it():
    """At the high and the low water mark."""
    transport = Transport()
    protocol, _ = over(transport, read_high_water=10, read_low_water=4)
    protocol.dataReceived(b"123456789")
    assert transport.producerState == "producing"
    protocol.dataReceived(b"0")
    assert transport.producerState == "paused"
    assert protocol.read(5).get_results() == b"12345"
    assert transport.producerState == "paused"
    assert protocol.read(1).get_results() == b"6"
    assert transport.producerState == "producing"


def test_closing_takes_the_producer_back_first():
    """A transport with a producer would wait for it."""
    transport = Transport()
    protocol, _ = over(transport)
    protocol.close()
    assert transport.calls == ["close"]
    protocol.close()
    assert transport.calls == ["close"]


def test_closing_waits_for_the_writes():
    """They were accepted."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.producer.pauseProducing()
    operation = protocol.write(b"last")
    protocol.close()
    assert transport.calls == ["pause"]
    transport.producer.resumeProducing()
    assert operation.get_results() == 4
    assert transport.value() == b"last"
    assert transport.calls == ["pause", "resume", "close"]


def test_a_transport_may_receive_while_it_closes_and_nobody_keeps_that():
    """One with a handshake at the end has to; the deadline bounds it."""
    transport = Transport()
    protocol, clock = over(transport, read_high_water=1, close_timeout=5.0)
    protocol.close()
    protocol.dataReceived(b"late")
    assert transport.producerState == "producing"
    clock.advance(5.0)
    assert transport.calls == ["close", "abort"]
    protocol.connectionLost(Failure(ConnectionLost()))
    assert not clock.getDelayedCalls()


def test_closing_with_unread_bytes_aborts():
    """The peer shall know that not everything arrived at the program."""
    transport = Transport()
    protocol, _ = over(transport)
    protocol.dataReceived(b"unread")
    protocol.close()
    assert transport.calls == ["abort"]


def test_a_transport_that_cannot_abort_is_closed():
    """As well as it can."""
    transport = Bare()
    protocol, _ = over(transport)
    protocol.abort(OperationAbortedError("no more"))
    assert transport.closed == 1


def test_a_half_close_is_not_done_below_tls():
    """Twisted's TLS has none, but lets that of its transport through, which would cut the stream off."""
    transport = Transport()
    directlyProvides(transport, ISSLTransport)
    protocol, _ = over(transport)
    protocol.shut_output()
    assert transport.calls == []
    assert transport.producer is None


def test_the_least_of_transports_will_do():
    """Without producers, pauses and half closing."""
    transport = Bare()
    protocol, clock = over(transport, read_high_water=1)
    protocol.dataReceived(b"abc")
    assert protocol.read(3).get_results() == b"abc"
    protocol.write(b"answer")
    protocol.shut_output()
    assert transport.written == [b"answer"]
    assert transport.closed == 0
    assert protocol.peer == "the far side"
    protocol.close()
    assert transport.closed == 1
    protocol.connectionLost(Failure(ConnectionDone()))
    assert not clock.getDelayedCalls()


def test_half_closing_comes_after_the_writes_and_once():
    """The producer is taken back for it."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.producer.pauseProducing()
    protocol.write(b"last")
    protocol.shut_output()
    protocol.shut_output()
    assert transport.calls == []
    transport.producer.resumeProducing()
    assert transport.value() == b"last"
    assert transport.calls == ["half close"]
    assert transport.producer is None
    protocol.cancel_io()
    assert transport.calls == ["half close"]


def test_a_transport_that_stops_its_producer_is_written_to_no_more():
    """It says so when it goes; then what waits fails."""
    transport = Transport()
    protocol, _ = over(transport)
    transport.producer.stopProducing()
    operation = protocol.write(b"too late")
    assert transport.value() == b""
    protocol.connectionLost(Failure(ConnectionLost()))
    assert operation.status is AsyncStatus.ERROR
    with pytest.raises(ResetByPeerError):
        operation.get_results()


def test_a_producer_asked_for_more_after_the_end_does_nothing():
    """A transport may do that."""
    transport = Transport()
    protocol, _ = over(transport)
    producer = transport.producer
    protocol.connectionLost(Failure(ConnectionDone()))
    producer.resumeProducing()
    assert transport.value() == b""
    with pytest.raises(ConnectionAbortError):
        protocol.write(b"x").get_results()


def test_reading_on_after_the_end_does_not_touch_the_transport():
    """What was received stays readable although the transport is gone."""
    transport = Transport()
    protocol, _ = over(transport, read_high_water=4, read_low_water=2)
    protocol.dataReceived(b"12345678")
    protocol.connectionLost(Failure(ConnectionDone()))
    assert protocol.read(100).get_results() == b"12345678"
    assert protocol.read(100).get_results() == b""
    assert transport.calls == ["pause"]


def test_a_sink_sends_nothing_once_it_was_told_to_close():
    """Whoever still writes hears so from the count."""
    transport = Transport()
    sink = ForeignSink(transport)
    sink.loseConnection()
    assert sink.send(b"x") == 0
    assert sink.send_vector([memoryview(b"x")]) == 0
    assert transport.value() == b""


def test_two_protocols_talk_in_memory():
    """Over Twisted's simulated connection."""
    clock = Clock()
    one, other, pump = iosim.connectedServerAndClient(
        lambda: StreamProtocol(clock, limits()), lambda: StreamProtocol(clock, limits())
    )
    reading = other.read(100)
    one.write(b"hello")
    pump.flush()
    assert reading.get_results() == b"hello"
    one.write_many([b"good", b"bye"])
    one.close()
    pump.flush()
    assert other.read(100).get_results() == b"goodbye"
    assert other.read(100).get_results() == b""
    assert one.lost
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_protocol_works_under_a_wrapping_policy_of_twisted():
    """On a port of Twisted's own, with large data both ways, and closes."""
    from twisted.internet import reactor

    accepted = []
    policy = WrappingFactory(StreamFactory(reactor, limits(), accepted.append))
    port = reactor.listenTCP(0, policy, interface="127.0.0.1")
    client = twisted_protocol.Protocol()
    got = bytearray()
    client.dataReceived = got.extend
    gone = []
    client.connectionLost = gone.append
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    await endpoint.connect(twisted_protocol.Factory.forProtocol(lambda: client))
    await until(lambda: accepted)
    (protocol,) = accepted
    assert isinstance(protocol.transport, ProtocolWrapper)
    data = pattern(1_000_000)
    assert await protocol.write(data) == len(data)
    client.transport.write(data)
    back = bytearray()
    while len(back) < len(data):
        back += await protocol.read(65_536)
    assert back == data
    await until(lambda: len(got) == len(data))
    assert got == data
    protocol.close()
    await protocol.when_lost()
    await until(lambda: gone)
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_wrapper_is_not_passed_by_though_it_claims_to_be_a_sink():
    """Twisted's wrappers declare all that the transport under them provides, a transport of ours too."""
    async with connected_protocol() as (inner, _):
        written = []

        class Wrapper(ProtocolWrapper):
            def write(self, data):
                written.append(data)

        outer = StreamProtocol(Clock(), limits())
        wrapper = Wrapper(WrappingFactory(None), outer)
        wrapper.makeConnection(inner.transport)
        outer.write(b"seen")
        assert written == [b"seen"]
        inner.transport.unregisterProducer()
        assert as_sink(inner.transport) is inner.transport
