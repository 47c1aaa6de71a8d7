"""The TLS layer between two stream protocols in memory, with a clock that a test moves."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.transports.tls import HOST, Pair, PythonPeer, client_context, outcome, root, server_context
from winsockets.errors import (
    ConnectionTimedOutError,
    OperationAbortedError,
    OperationCanceledError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.testing import Faults, connect_protocols
from winsockets.transports import ClientCertificatePolicy, StreamProtocol, TlsLayer

MIB = 1024 * 1024


class Recorder(Protocol):
    """A peer without TLS."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """Note it."""
        self.lost = True


def beside_plain(*, server: bool, **options: Any) -> tuple[TlsLayer, Recorder, Clock]:
    """A layer whose peer speaks no TLS by itself."""
    clock, peer = Clock(), Recorder()
    creator: Any = server_context() if server else client_context().for_host(HOST)
    layer = TlsLayer(
        StreamProtocol(clock, DEFAULT_LIMITS),
        creator,
        server=server,
        reactor=clock,
        limits=DEFAULT_LIMITS,
        **options,
    )
    connect_protocols(peer if server else layer, layer if server else peer, clock)
    clock.advance(0)
    return layer, peer, clock


def test_a_connection_is_announced_when_the_peer_is_verified_and_not_before() -> None:
    """Nobody can write a password to whoever answered."""
    pair = Pair()
    assert pair.announced == []
    secured = pair.client.when_secured()
    assert not secured.called
    pair.open()
    assert set(pair.announced) == {pair.client.protocol, pair.server.protocol}
    information = outcome(secured)
    assert information is pair.client.information
    assert information.version == "TLSv1.3"
    assert information.cipher.startswith("TLS_")
    assert information.cipher_bits >= 128
    assert information.verification.accepted
    assert information.verification.certificate is not None
    assert pair.server.information is not None
    assert pair.server.information.server_name == HOST
    assert outcome(pair.client.when_secured()) is information
    pair.end()


def test_what_is_written_arrives_both_ways() -> None:
    """In order, and each write ends with its size."""
    pair = Pair().open()
    for one, other in ((pair.client, pair.server), (pair.server, pair.client)):
        reading = other.protocol.read(100)
        writing = one.protocol.write(b"hello")
        pair.turn()
        assert outcome(reading) == b"hello"
        assert outcome(writing) == 5
    pair.end()


def test_small_writes_of_a_batch_share_a_record() -> None:
    """Sixty records of ten bytes would be three times the ciphertext."""
    pair = Pair().open()
    sent: list[int] = []
    transport: Any = pair.transports[0]
    original = transport.send
    transport.send = lambda data: sent.append(len(data)) or original(data)
    pair.client.protocol.write_many([bytes([number]) * 10 for number in range(60)])
    pair.turn()
    assert sent == [600 + 22]
    assert outcome(pair.server.protocol.read(1000)) == b"".join(bytes([number]) * 10 for number in range(60))
    pair.end()


@pytest.mark.parametrize("capacity", [1000, 64 * 1024])
def test_much_goes_through_both_ways_at_once_with_little_room(capacity: int) -> None:
    """Every byte, in order; a direction that waits does not hold the other up."""
    pair = Pair(capacity=capacity).open()
    random = Random(1)
    total = 2 * MIB if capacity > 1000 else 128 * 1024
    data = [random.randbytes(total), random.randbytes(total)]
    protocols = [pair.client.protocol, pair.server.protocol]
    writes = [protocol.write(chunk) for protocol, chunk in zip(protocols, data, strict=True)]
    arrived = [bytearray(), bytearray()]
    reads = [protocol.read(50_000) for protocol in protocols]
    for _ in range(20_000):
        pair.turn(1)
        for index, protocol in enumerate(protocols):
            while reads[index].called and len(arrived[index]) < total:
                arrived[index] += outcome(reads[index])
                reads[index] = protocol.read(50_000)
        if all(len(piece) == total for piece in arrived):
            break
    assert arrived == data[::-1]
    pair.turn()
    assert [outcome(write) for write in writes] == [total, total]
    for read in reads:
        read.addErrback(lambda failure: failure.trap(OperationAbortedError))
    pair.end()


@given(
    capacity=st.integers(1, 3000),
    most=st.one_of(st.none(), st.integers(1, 500)),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.booleans(), st.integers(1, 70_000)),
            st.tuples(st.just("many"), st.booleans(), st.integers(1, 50)),
            st.tuples(st.just("read"), st.booleans(), st.integers(1, 70_000)),
            st.tuples(st.just("turn"), st.booleans(), st.integers(1, 3)),
        ),
        max_size=12,
    ),
)
def test_whatever_is_done_in_whatever_order_nothing_is_lost(
    capacity: int, most: int | None, steps: list[tuple[str, bool, int]]
) -> None:
    """Two streams of bytes, each whole and in order, and each with an end."""
    faults = Faults(most_at_once=most)
    pair = Pair(capacity=capacity, to_server=faults, to_client=faults)
    pair.turn(400)
    protocols = {True: pair.client.protocol, False: pair.server.protocol}
    sent = {True: bytearray(), False: bytearray()}
    arrived = {True: bytearray(), False: bytearray()}
    writings = []

    def read(side: bool, size: int) -> bool:
        reading = protocols[side].read(size)
        if reading.called:
            arrived[not side] += (data := outcome(reading))
            return data != b""
        reading.cancel()
        outcome(reading)
        return True

    for number, (step, side, size) in enumerate(steps):
        data = bytes([number]) * size
        if step == "write":
            writings.append((size, protocols[side].write(data)))
            sent[side] += data
        elif step == "many":
            writings.append((3 * size, protocols[side].write_many([data] * 3)))
            sent[side] += data * 3
        elif step == "read":
            read(side, size)
        else:
            pair.turn(size)
    for protocol in protocols.values():
        protocol.shut_output()
    going = {True, False}
    for _ in range(20_000):
        pair.turn(1)
        going = {side for side in going if read(side, 100_000)}
        if not going:
            break
    assert arrived == sent
    assert [outcome(writing) for _, writing in writings] == [size for size, _ in writings]
    pair.end()


def test_nobody_reads_so_nothing_more_is_taken() -> None:
    """Sent and not read: the unread bytes, what the way holds, and one step of ciphertext."""
    pair = Pair(capacity=10_000).open()
    writing = pair.client.protocol.write(bytes(8 * MIB))
    pair.turn(50)
    assert not writing.called
    taken = writing.sent
    assert taken <= DEFAULT_LIMITS.read_high_water + 10_000 + 2 * 64 * 1024
    pair.turn(50)
    assert writing.sent == taken
    assert len(pair.client._waiting) <= 64 * 1024 + 200
    assert len(pair.server.protocol._unread) <= DEFAULT_LIMITS.read_high_water + 64 * 1024
    writing.addErrback(lambda failure: failure.trap(SocketException))
    pair.client.protocol.abort(SocketException("enough"))
    pair.turn()
    pair.end()


def test_a_large_write_leaves_over_several_turns() -> None:
    """A fast peer does not keep the reactor from everybody else."""
    pair = Pair(capacity=64 * MIB).open()
    writing = pair.client.protocol.write(bytes(MIB))
    assert not writing.called
    assert 0 < len(pair.server.protocol._unread) + writing.sent <= 256 * 1024
    pair.turn()
    assert outcome(writing) == MIB
    arrived = 0
    while arrived < MIB:
        arrived += len(outcome(pair.server.protocol.read(MIB)))
        pair.turn()
    pair.end()


def test_a_write_during_the_handshake_of_an_upgrade_waits_for_it() -> None:
    """Nothing goes out before the peer is known."""
    pair = Pair()
    assert pair.client.send(b"early") == 0
    pair.client.startWriting()
    pair.open()
    pair.client.stopWriting()
    pair.end()


# The end


def test_closing_the_sending_direction_leaves_the_other_one() -> None:
    """The peer sees the end and may still answer."""
    pair = Pair().open()
    pair.client.protocol.write(b"question")
    pair.client.protocol.shut_output()
    pair.turn()
    assert outcome(pair.server.protocol.read(100)) == b"question"
    assert outcome(pair.server.protocol.read(100)) == b""
    pair.server.protocol.write(b"answer")
    pair.server.protocol.close()
    pair.turn()
    assert outcome(pair.client.protocol.read(100)) == b"answer"
    assert outcome(pair.client.protocol.read(100)) == b""
    pair.end()


def test_a_close_waits_for_the_peers_and_no_longer() -> None:
    """Both have said goodbye: the transport goes without waiting for any time."""
    pair = Pair().open()
    pair.client.protocol.close()
    pair.turn()
    assert not pair.client.protocol.lost
    assert outcome(pair.server.protocol.read(1)) == b""
    pair.server.protocol.close()
    pair.turn()
    assert pair.client.protocol.lost
    assert pair.server.protocol.lost
    assert not pair.clock.getDelayedCalls()


def test_a_close_does_not_wait_long_for_a_peer_that_does_not_close() -> None:
    """The answer is a courtesy."""
    pair = Pair().open()
    pair.client.protocol.close()
    pair.turn()
    pair.clock.advance(DEFAULT_LIMITS.close_notify_timeout - 0.1)
    assert not pair.client.protocol.lost
    pair.clock.advance(0.2)
    pair.turn()
    assert pair.client.protocol.lost
    pair.end()


@pytest.mark.parametrize("patience", [0.0, 1.0])
def test_whoever_has_less_patience_with_closing_waits_less(patience: float) -> None:
    """The peer sees an end all the same, and no reset."""
    pair = Pair(limits=replace(DEFAULT_LIMITS, close_timeout=patience)).open()
    pair.client.protocol.close()
    pair.turn()
    pair.clock.advance(patience)
    pair.turn()
    assert pair.client.protocol.lost
    assert outcome(pair.server.protocol.read(1)) == b""
    pair.end()


def test_what_was_written_before_a_close_is_sent_first() -> None:
    """Also when there is little room."""
    pair = Pair(capacity=5000).open()
    writing = pair.client.protocol.write(bytes(300_000))
    pair.client.protocol.close()
    arrived = 0
    for _ in range(200):
        pair.turn(1)
        piece = pair.server.protocol.read(10_000)
        if piece.called:
            arrived += len(data := outcome(piece))
            if not data:
                break
        else:
            piece.cancel()
            piece.addErrback(lambda _: None)
    assert arrived == 300_000
    assert outcome(writing) == 300_000
    pair.end()


def test_a_cut_is_not_the_end() -> None:
    """What came can be read; then it is said that something may be missing."""
    pair = Pair().open()
    pair.server.protocol.write(b"so far")
    pair.turn()
    pair.transports[1].loseConnection()
    pair.turn()
    assert outcome(pair.client.protocol.read(100)) == b"so far"
    problem = outcome(pair.client.protocol.read(100))
    assert isinstance(problem, ResetByPeerError)
    assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
    assert "truncated" in str(problem)
    pair.end()


def test_a_cut_is_the_end_for_whoever_says_so() -> None:
    """Some peers never say goodbye."""
    pair = Pair(client={"require_close_notify": False}).open()
    pair.server.protocol.write(b"all")
    pair.turn()
    pair.transports[1].loseConnection()
    pair.turn()
    assert outcome(pair.client.protocol.read(100)) == b"all"
    assert outcome(pair.client.protocol.read(100)) == b""
    pair.end()


def test_an_abort_is_a_reset_to_the_peer() -> None:
    """It does not look like an end."""
    pair = Pair().open()
    reading = pair.server.protocol.read(10)
    pair.client.protocol.abort(OperationAbortedError("enough"))
    pair.turn()
    assert isinstance(outcome(reading), ResetByPeerError)
    assert pair.client.protocol.lost
    pair.end()


def test_damage_on_the_way_ends_the_connection_with_what_it_is() -> None:
    """Neither a byte of it nor an end is delivered."""
    pair = Pair().open()
    reading = pair.client.protocol.read(10)
    ciphertext = bytearray(pair.server._engine.encrypt(b"hello"))
    ciphertext[-1] ^= 1
    pair.transports[1].send(bytes(ciphertext))
    pair.turn()
    problem = outcome(reading)
    assert "damaged or altered" in str(problem)
    assert problem.winerror & 0xFFFFFFFF == 0x8009030F
    pair.end()


# Handshakes that do not come to a good end


def test_a_silent_peer_is_given_up_at_the_deadline() -> None:
    """The message names the phase, and its limit."""
    layer, _, clock = beside_plain(server=False)
    secured = layer.when_secured()
    clock.advance(DEFAULT_LIMITS.handshake_timeout - 0.1)
    assert not secured.called
    clock.advance(0.2)
    problem = outcome(secured)
    assert isinstance(problem, ConnectionTimedOutError)
    assert "handshake" in str(problem)
    assert "limits.handshake_timeout" in str(problem)
    clock.advance(0)
    assert not clock.getDelayedCalls()


def test_a_silent_client_is_given_up_at_the_deadline_too() -> None:
    """A server holds nothing for it, and announces nothing."""
    failures: list[SocketException] = []
    layer, peer, clock = beside_plain(server=True, on_failed=lambda _, problem: failures.append(problem))
    clock.advance(DEFAULT_LIMITS.handshake_timeout + 0.1)
    clock.advance(0)
    assert peer.lost
    assert layer.protocol.transport is None
    assert [type(problem) for problem in failures] == [ConnectionTimedOutError]
    assert not clock.getDelayedCalls()


def test_a_trickle_does_not_move_the_deadline() -> None:
    """One byte a second is not a handshake."""
    layer, peer, clock = beside_plain(server=True)
    hello = b"\x16\x03\x01\x02\x00" + bytes(512)
    for place in range(12):
        if not peer.lost:
            peer.transport.write(hello[place : place + 1])
        clock.advance(1)
    clock.advance(0)
    assert peer.lost
    assert layer.protocol.transport is None


@pytest.mark.parametrize("server", [False, True])
def test_a_peer_that_speaks_something_else_is_told_apart(server: bool) -> None:
    """SEC_E_INVALID_TOKEN."""
    layer, peer, clock = beside_plain(server=server)
    secured = layer.when_secured()
    peer.transport.write(b"220 mail.example ESMTP\r\n")
    clock.advance(0)
    problem = outcome(secured)
    assert "does not speak TLS" in str(problem)
    assert problem.winerror & 0xFFFFFFFF == 0x80090308
    assert problem.status is SocketErrorStatus.UNKNOWN
    clock.advance(60)
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("server", [False, True])
def test_a_peer_that_closes_during_the_handshake_is_a_reset(server: bool) -> None:
    """Whether in order or not."""
    layer, peer, clock = beside_plain(server=server)
    secured = layer.when_secured()
    peer.transport.loseConnection()
    clock.advance(0)
    problem = outcome(secured)
    assert isinstance(problem, ResetByPeerError)
    assert "during the TLS handshake" in str(problem)
    clock.advance(60)
    assert not clock.getDelayedCalls()


def test_cancelling_breaks_the_connection_off() -> None:
    """Half a handshake is of no use."""
    pair = Pair()
    secured = pair.client.when_secured()
    secured.cancel()
    assert isinstance(outcome(secured), OperationCanceledError)
    pair.turn()
    assert isinstance(pair.failures[0], OperationAbortedError)
    assert pair.announced == []
    pair.end()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_handshake_gets_through_the_narrowest_way(size: int) -> None:
    """Short sends and little room are not an error."""
    faults = Faults(most_at_once=size)
    pair = Pair(to_server=faults, to_client=faults, capacity=size)
    pair.turn(20_000 // size)
    pair.open()
    pair.client.protocol.close()
    pair.server.protocol.close()
    pair.turn(2000)
    pair.end()


@pytest.mark.parametrize("place", range(0, 3000, 171))
@pytest.mark.parametrize("kind", ["reset_at", "end_at", "stall_at"])
def test_a_handshake_may_break_anywhere(kind: str, place: int) -> None:
    """Each side hears of it once, nobody is announced who does not know the other, and nothing is left."""
    pair = Pair(to_client=Faults(**{kind: place}))
    secured = pair.client.when_secured()
    pair.turn()
    pair.clock.advance(20)
    pair.turn()
    assert secured.called
    result = outcome(secured)
    assert isinstance(result, SocketException) == (pair.client.information is None)
    pair.end()


# Certificates of clients


def test_a_client_is_asked_for_its_certificate_and_shows_it() -> None:
    """The server knows who it is."""
    from tests.transports.tls import certificate, issued

    context = client_context(certificate=certificate(issued("client.example")))
    pair = Pair(
        context.for_host(HOST),
        server_context(client_certificates=ClientCertificatePolicy.REQUIRE, exclusive_trust_roots=(root(),)),
    ).open()
    assert pair.server.information is not None
    shown = pair.server.information.verification
    assert shown is not None
    assert shown.certificate == certificate(issued("client.example"))
    pair.end()


def test_in_tls_1_3_a_refused_client_reads_why() -> None:
    """Its handshake is over by then: the first read fails, and says what to do."""
    pair = Pair(
        None,
        server_context(client_certificates=ClientCertificatePolicy.REQUIRE, exclusive_trust_roots=(root(),)),
    )
    secured = pair.client.when_secured()
    for _ in range(3):
        if not secured.called:
            pair.turn(1)
    reading = pair.client.protocol.read(10)
    writing = pair.client.protocol.write(bytes(1000))
    pair.turn()
    assert outcome(secured).version == "TLSv1.3"
    problem = outcome(reading)
    assert "certificate_required" in str(problem)
    assert "set a client certificate" in str(problem)
    assert problem.winerror == 0x00090320
    outcome(writing)
    assert pair.server.protocol.transport is None
    pair.end()


# What breaks in the midst


def test_a_reset_while_ciphertext_waits_fails_the_writes() -> None:
    """With the system's error, once."""
    pair = Pair(capacity=1000).open()
    writings = [pair.client.protocol.write(bytes(MIB)), pair.client.protocol.write(b"more")]
    pair.turn()
    assert pair.client.pending
    pair.transports[1].abortConnection()
    pair.turn()
    for writing in writings:
        assert isinstance(outcome(writing), ResetByPeerError)
    assert pair.client.protocol.lost
    pair.end()


def test_an_abort_while_a_large_write_goes_on_leaves_nothing() -> None:
    """Nor does it go on."""
    pair = Pair(capacity=64 * MIB).open()
    writing = pair.client.protocol.write(bytes(MIB))
    pair.client.protocol.abort(OperationAbortedError("enough"))
    assert isinstance(outcome(writing), OperationAbortedError)
    pair.turn()
    assert pair.client.protocol.lost
    pair.end()


def test_a_peer_that_asks_and_never_listens_is_broken_off() -> None:
    """Answers of TLS itself are bounded too."""
    pair = Pair(capacity=1000).open()
    writing = pair.client.protocol.write(bytes(100_000))
    pair.turn()
    for _ in range(40):
        pair.client._put(bytes(32 * 1024))
    writing.addErrback(lambda failure: failure.trap(SocketException))
    pair.turn()
    assert pair.client.protocol.lost
    pair.end()


def test_a_protocol_that_fails_when_it_is_connected_has_no_connection() -> None:
    """Whoever waits hears of it; it is broken off."""
    pair = Pair()

    def fail(_: object) -> None:
        raise LookupError("a mistake")

    pair.client.protocol._on_connected = fail
    secured = pair.client.when_secured()
    pair.turn()
    problem = outcome(secured)
    assert isinstance(problem.__cause__, LookupError)
    assert pair.failures == [problem]
    assert pair.client.protocol.lost
    assert isinstance(outcome(pair.client.when_secured()), SocketException)
    pair.end()


def over_anything() -> tuple[TlsLayer, PythonPeer, StringTransport]:
    """A layer that is open, over a transport that knows little more than to write."""
    layer = TlsLayer(
        StreamProtocol(Clock(), DEFAULT_LIMITS),
        server_context(),
        server=True,
        reactor=Clock(),
        limits=DEFAULT_LIMITS,
    )
    peer, transport = PythonPeer(server=False), StringTransport()
    layer.makeConnection(transport)
    data = peer.step()
    while data:
        layer.dataReceived(data)
        data = peer.step(transport.value())
        transport.clear()
    assert layer.information is not None
    return layer, peer, transport


def test_any_transport_will_do() -> None:
    """What a transport's own buffer takes counts as sent."""
    layer, peer, transport = over_anything()
    assert outcome(layer.protocol.write(b"hello")) == 5
    peer.step(transport.value())
    assert peer.received == b"hello"
    layer.dataReceived(peer.send(b"hello to you"))
    assert outcome(layer.protocol.read(100)) == b"hello to you"
    transport.producer.pauseProducing()
    transport.clear()
    writing = layer.protocol.write(b"later")
    more = layer.protocol.write(b"and later")
    layer.protocol.release()
    assert not more.called
    assert transport.value() == b""
    transport.producer.resumeProducing()
    assert outcome(writing) == 5
    assert outcome(more) == 9
    peer.step(transport.value())
    assert peer.received == b"hellolaterand later"
    layer.connectionLost(Failure(ConnectionDone()))


@pytest.mark.parametrize("goodbye", [False, True])
def test_a_transport_without_half_close_may_be_cut_too(goodbye: bool) -> None:
    """It tells of the end of the connection alone."""
    layer, peer, _ = over_anything()
    protocol = layer.protocol
    if goodbye:
        layer.dataReceived(peer.close())
    layer.connectionLost(Failure(ConnectionDone()))
    result = outcome(protocol.read(10))
    assert (result == b"") == goodbye
    assert goodbye or "truncated" in str(result)
