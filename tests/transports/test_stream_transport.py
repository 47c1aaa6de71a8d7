"""TCP transports: the system's errors, its figures, and how connections end on every reactor."""

from __future__ import annotations

import errno
import socket
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.transports.loopback import (
    HOSTS,
    NEEDS_LINUX,
    PATIENCE,
    connected_protocol,
    delivered,
    limits,
    pattern,
    received,
    reset,
    rest,
    sent,
    turn,
    until,
)
from winsockets.errors import ConnectionAbortError, ResetByPeerError, SocketErrorStatus, SocketException
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamFactory
from winsockets.transports._admission import Admission
from winsockets.transports._contracts import ISink
from winsockets.transports._listening import ListeningPort
from winsockets.transports._socket_options import StreamOptions

NARROW = {"options": StreamOptions(send_buffer=4096), "receive_buffer": 4096}
"""A connection that takes little at a time."""


class Plain(Protocol):
    """A protocol as Twisted programs have them, that notes what it is told."""

    def __init__(self):
        self.got = b""
        self.lost = None

    def dataReceived(self, data):
        """See IProtocol."""
        self.got += data

    def connectionLost(self, reason):
        """See IProtocol."""
        self.lost = reason


@asynccontextmanager
async def accepted(factory, bounds=None, max_connections=None, **options):
    """A listening port that has accepted one connection, the socket at the other end, and the admission."""
    from twisted.internet import reactor

    bounds = bounds or limits()
    admission = Admission(reactor, bounds, max_connections)
    port = ListeningPort(
        "127.0.0.1",
        0,
        factory=factory,
        options=StreamOptions(**options),
        limits=bounds,
        admission=admission,
        reactor=reactor,
    )
    port.startListening()
    with socket.create_connection(("127.0.0.1", port.number)) as peer:
        peer.settimeout(PATIENCE)
        await until(lambda: port.sessionno)
        await port.stopListening()
        yield peer, admission


@asynccontextmanager
async def plain_connection():
    """A plain protocol over a transport of ours, and the socket at the other end."""
    protocol = Plain()
    async with accepted(Factory.forProtocol(lambda: protocol)) as (peer, _):
        yield protocol, peer
        protocol.transport.abortConnection()
        await until(lambda: protocol.lost)


@asynccontextmanager
async def accepted_protocol(bounds, **settings):
    """A stream protocol over an accepted connection, the socket at the other end, and the admission."""
    from twisted.internet import reactor

    protocols = []
    factory = StreamFactory(reactor, bounds, protocols.append)
    async with accepted(factory, bounds, **settings) as (peer, admission):
        (protocol,) = protocols
        yield protocol, peer, admission
        protocol.close()
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_transport_is_a_sink_and_a_tcp_transport():
    """What it declares is there."""
    async with connected_protocol() as (protocol, _):
        verifyObject(ISink, protocol.transport)
        verifyObject(ITCPTransport, protocol.transport)


@pytest_twisted.ensureDeferred
async def test_a_full_system_buffer_takes_nothing():
    """Of one buffer as of several."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        transport = protocol.transport
        data = pattern(5_000)
        taken = 0
        while count := transport.send(data):
            taken += count
        assert transport.send_vector([memoryview(data), memoryview(data)]) == 0
        assert len(await received(peer, taken)) == taken


@pytest_twisted.ensureDeferred
async def test_several_buffers_leave_in_one_call():
    """As far as there is room."""
    async with connected_protocol() as (protocol, peer):
        views = [memoryview(b"one"), memoryview(b"two"), memoryview(b"three")]
        assert protocol.transport.send_vector(views) == 11
        assert peer.recv(100) == b"onetwothree"


@pytest.mark.parametrize(
    "send",
    [lambda sink: sink.send(b"x"), lambda sink: sink.send_vector([memoryview(b"x"), memoryview(b"y")])],
)
@pytest_twisted.ensureDeferred
async def test_a_failed_send_keeps_the_error_of_the_system(send):
    """And says with whom."""
    async with connected_protocol() as (protocol, peer):
        name = peer.getsockname()
        peer.sendall(b"unread by nobody")
        protocol.transport.stopReading()
        reset(peer)
        problem = None
        while problem is None:
            try:
                send(protocol.transport)
            except SocketException as error:
                problem = error
            await turn()
        assert problem.errno == errno.ECONNRESET
        assert isinstance(problem.__cause__, OSError)
        assert f"send to 127.0.0.1 port {name[1]}" in str(problem)
        protocol.transport.startReading()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_the_local_address_is_known_during_and_after_the_connection(host):
    """As the peer sees it."""
    async with connected_protocol(host) as (protocol, peer):
        assert protocol.transport.local_name[:2] == peer.getpeername()[:2]
    async with connected_protocol(host) as (protocol, peer):
        name = peer.getpeername()[:2]
    assert protocol.lost
    assert protocol.transport.local_name[:2] == name, "though nobody asked before"


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_the_figures_of_the_system_are_there_during_the_connection_only():
    """None afterwards."""
    async with connected_protocol() as (protocol, _):
        assert protocol.transport.tcp_info.rtt > 0
    assert protocol.transport.tcp_info is None


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_accepted_connection_that_hung_up_makes_room_for_another():
    """Whether what it left in the system is read to the end."""
    bounds = limits(read_high_water=1, read_size=1_000)
    async with accepted_protocol(bounds, max_connections=1, send_buffer=4096) as (protocol, peer, admission):
        await hang_up(protocol, peer)
        assert not admission.accepting, "its descriptor is in use as long as it can be read"
        data = b""
        while len(data) < 20_001:
            data += await protocol.read(700)
        assert data == b"!" + pattern(20_000)
        with pytest.raises(ResetByPeerError):
            await protocol.read(700)
        await turn(2)
        assert protocol.lost
        assert admission.accepting


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_accepted_connection_that_hung_up_and_is_closed_makes_room_for_another():
    """What it left in the system is dropped."""
    bounds = limits(read_high_water=1)
    async with accepted_protocol(bounds, max_connections=1, send_buffer=4096) as (protocol, peer, admission):
        await hang_up(protocol, peer)
        protocol.read(1)
        protocol.discard_input()
        protocol.close()
        await protocol.when_lost()
        await turn()
        assert admission.accepting


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_what_a_hang_up_left_is_received_as_the_program_reads():
    """Not while it is paused again; and without the reactor, which might take it for lost once more."""
    from twisted.internet import reactor

    bounds = limits(read_high_water=1, read_size=1_000)
    async with connected_protocol(bounds=bounds, **NARROW) as (protocol, peer):
        await hang_up(protocol, peer)
        transport = protocol.transport
        polled = type(reactor).__name__ in {"EPollReactor", "PollReactor", "DirectEPollReactor"}
        assert await protocol.read(1) == b"!"
        transport.pauseProducing()
        first = protocol.read(500)
        await turn(3)
        assert first.status is AsyncStatus.STARTED
        transport.resumeProducing()
        assert (transport in reactor.getReaders()) is not polled
        assert await first == pattern(500)
        assert protocol.read(10_000).get_results() == pattern(1_000)[500:]
        assert await protocol.read(10_000) == pattern(2_000)[1_000:]
        protocol.abort(SocketException("enough"))
        await protocol.when_lost()


async def hang_up(protocol, peer):
    """Let the peer send something, and hang up while nobody reads and something is being written."""
    peer.sendall(b"!")
    from twisted.internet import reactor

    await until(lambda: protocol.transport not in reactor.getReaders())
    await sent(peer, pattern(20_000))
    await delivered(peer)
    writing = protocol.write(bytes(10_000_000))
    reset(peer)
    with pytest.raises(ResetByPeerError):
        await writing
    await turn(3)


@pytest.mark.parametrize("paused", [False, True])
@pytest_twisted.ensureDeferred
async def test_connections_that_the_reactor_ends_are_aborted_not_reset(paused):
    """When it stops it tells all of them that they are lost; the peer has nothing to do with it."""
    async with connected_protocol() as (protocol, peer):
        if paused:
            protocol.transport.pauseProducing()
        reading = protocol.read(10)
        protocol.transport.connectionLost(Failure(ConnectionLost()))
        with pytest.raises(ConnectionAbortError, match="the reactor stops") as caught:
            reading.get_results()
        assert caught.value.status is SocketErrorStatus.SOFTWARE_CAUSED_CONNECTION_ABORT
        assert protocol.lost
        assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_ending_twice_is_ending_once():
    """The reactor may tell a transport that has just closed."""
    from twisted.internet import reactor

    async with connected_protocol() as (protocol, _):
        transport = protocol.transport
        transport.loseConnection()
        transport.loseConnection()
        transport.resumeProducing()
        assert transport not in reactor.getReaders()
        transport.connectionLost(Failure(ConnectionLost()))
        assert protocol.lost
        transport.connectionLost(Failure(ConnectionLost()))
        transport.abortConnection()
        transport.loseConnection()
        await turn(2)


@pytest_twisted.ensureDeferred
async def test_pausing_and_resuming_are_up_to_the_reactor():
    """No delayed call is needed as long as the connection stands."""
    from twisted.internet import reactor

    async with connected_protocol() as (protocol, peer):
        protocol.transport.pauseProducing()
        assert protocol.transport not in reactor.getReaders()
        before = reactor.getDelayedCalls()
        protocol.transport.resumeProducing()
        assert protocol.transport in reactor.getReaders()
        assert reactor.getDelayedCalls() == before
        peer.sendall(b"x")
        assert await protocol.read(1) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_closing_transport_sends_and_receives_nothing_more():
    """From the call on."""
    from twisted.internet import reactor

    async with connected_protocol(**NARROW) as (protocol, _):
        protocol.write(pattern(1_000_000)).addErrback(lambda _: None)
        transport = protocol.transport
        assert transport in reactor.getWriters()
        transport.loseConnection()
        assert transport not in reactor.getWriters()
        assert transport not in reactor.getReaders()
        await protocol.when_lost()


@pytest_twisted.ensureDeferred
async def test_an_abort_goes_before_a_close_that_has_not_happened():
    """In the same turn of the reactor the first of them wins, and nothing is raised."""
    async with connected_protocol() as (protocol, peer):
        protocol.transport.abortConnection()
        protocol.transport.loseConnection()
        await protocol.when_lost()
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@pytest_twisted.ensureDeferred
async def test_an_accepted_connection_has_the_names_of_twisted_s():
    """In logs and in the repr; they are made when somebody asks."""
    async with plain_connection() as (protocol, _):
        transport = protocol.transport
        number, port = transport.sessionno, transport.getHost().port
        assert transport.logPrefix() == f"Plain,{number},127.0.0.1"
        assert transport.logPrefix() is transport.logPrefix()
        assert repr(transport) == f"<Plain #{number} on {port}>"
        assert transport.hostname == "127.0.0.1"


@pytest_twisted.ensureDeferred
async def test_a_close_with_nothing_to_send_ends_within_the_call():
    """No delayed call is made for it, and the descriptor is free at once."""
    from twisted.internet import reactor

    async with connected_protocol() as (protocol, peer):
        transport = protocol.transport
        before = reactor.getDelayedCalls()
        protocol.close()
        assert protocol.lost
        assert not transport.connected
        assert transport.fileno() == -1
        assert reactor.getDelayedCalls() == before
        assert protocol.when_lost().called
        assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_a_close_while_the_last_bytes_leave_ends_after_their_write():
    """Whoever wrote hears of that before anybody hears of the end."""
    async with connected_protocol(**NARROW) as (protocol, peer):
        told = []
        protocol.write(pattern(1_000_000)).addCallback(told.append)
        protocol.when_lost().addCallback(lambda _: told.append("lost"))
        protocol.close()
        assert not told
        assert await rest(peer) == pattern(1_000_000)
        await until(lambda: len(told) == 2)
        assert told == [1_000_000, "lost"]


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_closed_while_it_was_read_is_not_written_to():
    """The reactor has found it ready for both, and calls one after the other."""
    async with connected_protocol() as (protocol, _):
        transport = protocol.transport
        protocol.close()
        assert transport.doWrite() is None


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_hung_up_connection_that_is_closed_while_it_is_read_is_not_read_again():
    """No delayed call is left behind."""
    bounds = limits(read_high_water=1, read_size=1_000)
    async with connected_protocol(bounds=bounds, **NARROW) as (protocol, peer):
        await hang_up(protocol, peer)
        assert await protocol.read(1) == b"!"
        reading = protocol.read(1_000)
        reading.addCallback(lambda _: protocol.close())
        await reading
        assert protocol.lost
        await turn()


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_twisted_uses_the_transport_as_any_other():
    """What it writes is buffered, and closing waits until that has left."""
    async with plain_connection() as (protocol, peer):
        data = pattern(2_000_000)
        protocol.transport.write(data)
        protocol.transport.writeSequence([b"and", b"so on"])
        peer.sendall(b"hello")
        await until(lambda: protocol.got == b"hello")
        protocol.transport.loseConnection()
        assert await rest(peer) == data + b"andso on"


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_twisted_half_closes_after_what_it_wrote():
    """And goes on receiving."""
    async with plain_connection() as (protocol, peer):
        data = pattern(2_000_000)
        protocol.transport.write(data)
        protocol.transport.loseWriteConnection()
        assert await rest(peer) == data
        peer.sendall(b"thanks")
        await until(lambda: protocol.got == b"thanks")


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_twisted_hears_of_a_reset_with_its_number():
    """Twisted's own transports only say that the connection was lost."""
    async with plain_connection() as (protocol, peer):
        reset(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ResetByPeerError, ConnectionLost)
        assert protocol.lost.value.errno == errno.ECONNRESET


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_twisted_hears_of_a_broken_send_with_its_number():
    """Sent after the reset, before it was received."""
    async with plain_connection() as (protocol, peer):
        protocol.transport.pauseProducing()
        reset(peer)
        protocol.transport.write(b"too late")
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ResetByPeerError, ConnectionLost)
        assert protocol.lost.value.errno == errno.ECONNRESET


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_twisted_closes_in_good_order_whatever_it_did_not_read():
    """The peer gets the answer and the end of the stream, as over Twisted's transports."""
    async with plain_connection() as (protocol, peer):
        protocol.transport.pauseProducing()
        peer.sendall(b"unread")
        await delivered(peer)
        protocol.transport.write(b"no thanks")
        protocol.transport.loseConnection()
        assert await rest(peer) == b"no thanks"


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_once_whoever_says_so_again():
    """Also while it was to receive what is left after a hang-up."""
    async with accepted_protocol(limits()) as (protocol, peer, _):
        transport = protocol.transport
        transport.pauseProducing()
        peer.sendall(b"unread")
        await delivered(peer)
        reset(peer)
        transport.connectionLost(Failure(ConnectionLost()))
        assert not protocol.lost
        transport.resumeProducing()
        problem = Failure(ZeroDivisionError())
        transport.connectionLost(problem)
        transport.connectionLost(problem)
        await protocol.when_lost()


@NEEDS_LINUX
@pytest.mark.parametrize(("limit", "pieces"), [(1, [10]), (3, [10, 10, 10]), (9, [10, 10, 10, 10, 5])])
@pytest_twisted.ensureDeferred
async def test_full_calls_are_followed_by_more_of_them_up_to_a_bound(limit, pieces):
    """Others have their turn then; a call that was not full is the last one."""
    got: list[bytes] = []

    async def read(protocol):
        while data := await protocol.read(10):
            got.append(data)

    async with connected_protocol(bounds=limits(read_size=10, reads_per_turn=limit)) as (protocol, peer):
        peer.send(pattern(45))
        await delivered(peer)
        reading = Deferred.fromCoroutine(read(protocol))
        protocol.transport.doRead()
        assert [len(data) for data in got] == pieces
        peer.shutdown(socket.SHUT_WR)
        await reading
    assert b"".join(got) == pattern(45)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_nobody_gets_more_than_is_asked_for():
    """A protocol that pauses, one that closes, and one of Twisted's get no second piece in the same turn."""
    bounds = limits(read_size=10, read_high_water=10, read_low_water=1, reads_per_turn=5)
    async with connected_protocol(bounds=bounds) as (protocol, peer):
        peer.send(pattern(45))
        await delivered(peer)
        protocol.transport.doRead()
        assert protocol.read(100).get_results() == pattern(10)
        closing = Deferred.fromCoroutine(close_after(protocol, protocol.read(10)))
        protocol.transport.doRead()
        assert await closing == pattern(20)[10:]

    async with plain_connection() as (twisteds, peer):
        twisteds.transport.stopReading()
        twisteds.transport.bufferSize, twisteds.transport.reads_per_turn = 10, 5
        peer.send(pattern(45))
        await delivered(peer)
        twisteds.transport.doRead()
        assert twisteds.got == pattern(10)
        twisteds.transport.startReading()


async def close_after(protocol, reading):
    """Close a protocol with the end of a read."""
    data = await reading
    protocol.abort(ConnectionAbortError("enough"))
    return data


@pytest_twisted.ensureDeferred
async def test_receiving_when_nothing_is_there_does_nothing():
    """Reactors may be mistaken."""
    async with connected_protocol() as (protocol, peer):
        assert protocol.transport.doRead() is None
        assert protocol.transport.doWrite() is None
        peer.sendall(b"now")
        assert await protocol.read(10) == b"now"
