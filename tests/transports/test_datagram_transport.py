"""Receiving datagrams: whole, in order, in bounded turns, and through refusals; and the end of it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import ExitStack

import pytest
import pytest_twisted
from twisted.internet import error
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.networks import (
    add_link_local_address,
    network_namespace,
    network_without_neighbours,
)
from tests.transports.datagrams import (
    FAMILIES,
    IP_RECVERR,
    LOOPBACK,
    WILDCARD,
    Recorder,
    address_of,
    bound,
    drained,
    full_pair,
    limits,
    nobody,
    on_linux,
    transport_on,
    turns,
    until,
    wait_for_error,
)
from winsockets.errors import OperationAbortedError, ResetByPeerError, SocketErrorStatus
from winsockets.foundation import AsyncStatus
from winsockets.networking._address import Address
from winsockets.transports import _datagram_transport
from winsockets.transports._datagram_transport import DatagramTransport

UDP_SEGMENT = 103
"""Linux: have the system cut up what is sent. The socket module does not name it."""

# Receiving


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("host", ["one", "all"])
@pytest_twisted.ensureDeferred
async def test_datagrams_arrive_whole_and_in_order(family, host):
    """From the empty one to the longest, each with its sender, bound to one address or to all."""
    receiver = Recorder()
    skt = bound(family, WILDCARD[family] if host == "all" else None)
    with bound(family) as sender, transport_on(skt, receiver) as transport:
        largest = 65_507 if family == socket.AF_INET else 65_527
        to = (LOOPBACK[family], transport.local[1])
        datagrams = [bytes([7]) * size for size in (0, 1, 1472, 1473, 8192, 8193, largest)]
        for datagram in datagrams:
            sender.sendto(datagram, to)
            assert await receiver.take() == [datagram]
        assert {source[:2] for source in receiver.sources} == {sender.getsockname()[:2]}
        assert set(receiver.destinations) == {LOOPBACK[family]}


@pytest_twisted.ensureDeferred
async def test_a_system_that_tells_no_destination_delivers_all_the_same(monkeypatch):
    """Windows has no recvmsg; there what is cut shows by its length too."""
    monkeypatch.setattr(_datagram_transport, "_HAS_RECVMSG", False)
    receiver = Recorder()
    skt = bound(host="0.0.0.0")
    with bound() as sender, transport_on(skt, receiver, limits(datagram_size=10)) as transport:
        for size in (10, 11):
            sender.sendto(bytes(size), ("127.0.0.1", transport.local[1]))
        assert await receiver.take(2) == [bytes(10), (bytes(10), "cut")]
        assert receiver.destinations == ["", ""]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest_twisted.ensureDeferred
async def test_what_is_longer_than_the_limit_is_cut_and_said_to_be(host):
    """One that fits exactly is whole; nothing of the cut one is left for the next."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(host=host), receiver, limits(datagram_size=10)) as transport:
        for size in (10, 11, 65_507, 9):
            sender.sendto(bytes(size), ("127.0.0.1", transport.local[1]))
        assert await receiver.take(4) == [bytes(10), (bytes(10), "cut"), (bytes(10), "cut"), bytes(9)]


@pytest_twisted.ensureDeferred
async def test_a_flood_leaves_the_reactor_its_turns():
    """At most so many datagrams are taken in one go."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(), receiver, limits(datagrams_per_turn=5)) as transport:
        for number in range(12):
            sender.sendto(bytes([number]), transport.local)
        counts = []
        while len(receiver.heard) < 12:
            transport.doRead()
            counts.append(len(receiver.heard))
        assert counts == [5, 10, 12]
        assert receiver.heard == [bytes([number]) for number in range(12)]


@pytest.mark.parametrize("ending", ["close", "connectionLost"])
def test_nothing_is_delivered_after_the_end(ending):
    """Also when the end comes with the delivery of the first of several."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(), receiver) as transport:
        end = (
            transport.close
            if ending == "close"
            else lambda: transport.connectionLost(Failure(error.ConnectionLost()))
        )
        receiver.hook = lambda thing: end()
        for _ in range(3):
            sender.sendto(b"x", transport.local)
        transport.doRead()
        assert receiver.heard == [b"x"]
        transport.doRead()
        assert receiver.heard == [b"x"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("host", ["one", "all"])
def test_what_others_sent_before_the_connection_is_dropped(family, host):
    """What the peer sent is not, and the system keeps others out from then on."""
    receiver = Recorder()
    skt = bound(family, WILDCARD[family] if host == "all" else None)
    with bound(family) as peer, bound(family) as other, transport_on(skt, receiver) as transport:
        to = (LOOPBACK[family], transport.local[1])
        for sender, data in ((other, b"no"), (peer, b"yes"), (other, b"no")):
            sender.sendto(data, to)
        transport.connect(address_of(peer))
        assert transport.local[:2] == to
        other.sendto(b"no", to)
        transport.doRead()
        peer.sendto(b"again", to)
        other.sendto(b"no", to)
        transport.doRead()
        assert receiver.heard == [b"yes", b"again"]


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_link_local_sender_keeps_its_scope():
    """Without the interface its address leads nowhere."""
    receiver = Recorder()
    with network_namespace():
        add_link_local_address("fe80::1", "lo")
        index = socket.if_nametoindex("lo")
        with bound(socket.AF_INET6, f"fe80::1%{index}") as sender:
            skt = bound(socket.AF_INET6, "::")
            with transport_on(skt, receiver) as transport:
                sender.sendto(b"x", ("fe80::1", transport.local[1], 0, index))
                assert await receiver.take() == [b"x"]
                (source,) = receiver.sources
                assert source == ("fe80::1", sender.getsockname()[1], 0, index)
                assert receiver.destinations == [f"fe80::1%{index}"]
                transport.connect(Address.ipv6("fe80::1", source[1], index))
                assert transport.is_peer(source)
                assert transport.is_peer((*source[:2], 99, index))  # a flow label is no part of an address
                assert not transport.is_peer((*source[:3], index + 1))
                transport.send(b"y", source)
                await until(lambda: drained(sender) == [b"y"])


# Several in one piece


def send_together(sender, size, datagrams, to):
    """Have the system cut them up, or deliver them as they are."""
    segment = (socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))
    sender.sendmsg([b"".join(datagrams)], [segment], 0, to)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("host", ["one", "all"])
@pytest.mark.parametrize(
    "sizes", [[100] * 50, [100, 100, 1], [1200] * 54, [1] * 64, [20_000, 20_000, 19_999], [100]]
)
def test_what_came_in_one_piece_is_delivered_as_it_was_sent(family, host, sizes):
    """Each datagram by itself, in order, with the sender and the destination of all; the last is shorter."""
    receiver = Recorder()
    skt = bound(family, WILDCARD[family] if host == "all" else None)
    with bound(family) as sender, transport_on(skt, receiver, limits(datagrams_per_turn=100)) as transport:
        datagrams = [bytes([number]) * size for number, size in enumerate(sizes)]
        to = (LOOPBACK[family], transport.local[1])
        send_together(sender, sizes[0], datagrams, to)
        sender.sendto(b"behind", to)
        transport.doRead()
        assert receiver.heard == [*datagrams, b"behind"]
        assert receiver.pieces == [len(sizes), 1]
        assert {source[:2] for source in receiver.sources} == {sender.getsockname()[:2]}
        assert set(receiver.destinations) == {LOOPBACK[family]}


@on_linux
def test_of_a_piece_each_datagram_that_is_too_long_is_cut():
    """The last may be short enough."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(), receiver, limits(datagram_size=10)) as transport:
        send_together(sender, 11, [b"a" * 11, b"b" * 11, b"c" * 10], transport.local)
        send_together(sender, 11, [b"d" * 11, b"e" * 11], transport.local)
        send_together(sender, 10, [b"f" * 10, b"g" * 10], transport.local)
        transport.doRead()
        cut = [(bytes([letter]) * 10, "cut") for letter in b"abde"]
        assert receiver.heard == [*cut[:2], b"c" * 10, *cut[2:], b"f" * 10, b"g" * 10]


@on_linux
@pytest.mark.parametrize("size", [10, 1000])
def test_nothing_is_delivered_after_the_end_of_a_piece_that_has_begun(size):
    """As what waits in the system is not, whether it was cut or not."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(), receiver, limits(datagram_size=size)) as transport:
        receiver.hook = lambda thing: transport.close() if len(receiver.heard) == 2 else None
        send_together(sender, 100, [bytes(100)] * 5, transport.local)
        transport.doRead()
        assert len(receiver.heard) == 2


@on_linux
@pytest.mark.parametrize("to_whom", ["its sender", "another"])
def test_a_connection_amidst_a_piece_drops_the_rest_unless_it_is_the_peers(to_whom):
    """As it does with what waits in the system."""
    receiver = Recorder()
    with bound() as sender, bound() as another, transport_on(bound(), receiver) as transport:
        peer = address_of(sender if to_whom == "its sender" else another)
        receiver.hook = lambda thing: transport.peer or transport.connect(peer)
        send_together(sender, 100, [bytes(100)] * 5, transport.local)
        send_together(sender, 100, [bytes(100)] * 5, transport.local)
        transport.doRead()
        assert len(receiver.heard) == (10 if to_whom == "its sender" else 1)


@on_linux
def test_pieces_count_by_their_datagrams():
    """A turn ends with the piece that goes over its bound: what the system has given is delivered."""
    receiver = Recorder()
    with bound() as sender, transport_on(bound(), receiver, limits(datagrams_per_turn=7)) as transport:
        for _ in range(4):
            send_together(sender, 100, [bytes(100)] * 5, transport.local)
        counts = []
        while len(receiver.heard) < 20:
            transport.doRead()
            counts.append(len(receiver.heard))
        assert counts == [10, 20]


@on_linux
def test_pieces_of_strangers_are_dropped_and_counted():
    """They take time too."""
    receiver = Recorder()
    bounds = limits(datagrams_per_turn=5)
    with bound() as sender, bound() as peer, transport_on(bound(), receiver, bounds) as transport:
        for _ in range(2):
            send_together(sender, 100, [bytes(100)] * 5, transport.local)
        peer.sendto(b"peer", transport.local)
        transport.connect(address_of(peer))
        for _ in range(2):
            transport.doRead()
            assert receiver.heard == []
        transport.doRead()
        assert receiver.heard == [b"peer"]


@on_linux
@pytest.mark.parametrize("reason", ["jumbograms", "an old system"])
def test_without_pieces_datagrams_come_one_by_one(reason, monkeypatch):
    """A piece has no room for longer datagrams than the usual, and not every system has them."""
    receiver = Recorder()
    if reason == "an old system":
        monkeypatch.setattr(_datagram_transport, "accept_coalesced", lambda skt: False)
    bounds = limits(datagram_size=65_536 if reason == "jumbograms" else 65_535)
    with bound() as sender, transport_on(bound(), receiver, bounds) as transport:
        send_together(sender, 100, [bytes(100)] * 5, transport.local)
        transport.doRead()
        assert receiver.heard == [bytes(100)] * 5
        assert receiver.pieces == [1] * 5


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_flood_of_pieces_leaves_other_sockets_their_turns():
    """One that never runs dry is left after its share, in every turn."""
    flooded, others = Recorder(), [Recorder() for _ in range(5)]
    with ExitStack() as stack:
        sender = stack.enter_context(bound())
        transport = stack.enter_context(transport_on(bound(), flooded, limits(datagrams_per_turn=5)))
        rest = [stack.enter_context(transport_on(bound(), other)) for other in others]
        flooded.hook = lambda thing: send_together(sender, 100, [bytes(100)] * 5, transport.local)
        flooded.hook(None)
        for other in rest:
            sender.sendto(b"x", other.local)
        await until(lambda: all(other.heard for other in others))
        assert flooded.heard
        flooded.hook = None


# Refusals


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_connected_socket_survives_a_thousand_refusals(family):
    """Each is told, no datagram is lost, and when somebody listens there all is well."""
    receiver = Recorder()
    peer = nobody(family)
    with transport_on(bound(family), receiver) as transport:
        transport.connect(peer)
        for _ in range(500):
            assert await transport.send(b"one at a time", None) == 13
            (problem,) = await receiver.take()
            assert isinstance(problem, ResetByPeerError)
            assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
            assert problem.errno == errno.ECONNREFUSED
            assert f"port {peer.port}" in str(problem)
        for _ in range(500):
            await transport.send(b"as fast as can be", None)
        problems = await receiver.take(500)
        assert {problem.errno for problem in problems} == {errno.ECONNREFUSED}
        assert receiver.heard == []
        with socket.socket(family, socket.SOCK_DGRAM) as far:
            far.bind((peer.host, peer.port))
            assert await transport.send(b"ping", None) == 4
            data, source = far.recvfrom(10)
            assert data == b"ping"
            far.sendto(b"pong", source)
            assert await receiver.take() == [b"pong"]


@pytest_twisted.ensureDeferred
async def test_a_refusal_does_not_stop_a_write_that_waits():
    """The reactor that tells of an error goes on waiting for room."""
    from twisted.internet import reactor

    with full_pair() as (transport, far, _):
        operation = transport.send(b"x", None)
        transport.readConnectionLost(Failure(error.ConnectionDone()))
        assert transport in reactor.getReaders()
        drained(far)
        assert await operation == 1


@on_linux
def test_a_refusal_of_nobody_in_particular_is_not_told():
    """Windows, and Linux when it is asked to, report one to a socket without a peer too."""
    receiver = Recorder()
    skt = bound()
    skt.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    with bound() as sender, transport_on(skt, receiver) as transport:
        transport.send(b"lost", nobody().sockaddr)
        sender.sendto(b"arrives", transport.local)
        transport.doRead()
        assert receiver.heard == [b"arrives"]


@on_linux
def test_any_other_error_is_told_without_a_peer_too():
    """With the address that the socket has."""
    receiver = Recorder()
    with network_without_neighbours() as (local, away):
        skt = bound(host=local)
        skt.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        with transport_on(skt, receiver) as transport:
            transport.send(b"to nobody", (away, 9))
            wait_for_error(skt)
            transport.doRead()
            assert [problem.status for problem in receiver.heard] == [SocketErrorStatus.UNREACHABLE_HOST]
            assert f"receive datagrams on {local} port {transport.local[1]}" in str(receiver.heard[0])


# Ending


def test_it_is_a_descriptor_for_the_reactor():
    """With what the reactors ask of one."""
    skt = bound()
    with transport_on(skt) as transport:
        assert verifyObject(IReadWriteDescriptor, transport)
        assert verifyObject(IHalfCloseableDescriptor, transport)
        assert transport.fileno() == skt.fileno()
        assert transport.logPrefix() == "DatagramTransport"
        transport.writeConnectionLost(Failure(error.ConnectionDone()))
        assert transport.open


def test_closing_frees_the_port_at_once():
    """Once is enough, more often does no harm; where it was stays known."""
    from twisted.internet import reactor

    with transport_on(bound()) as transport:
        local = transport.local
        assert transport in reactor.getReaders()
        assert repr(transport) == f"<DatagramTransport on {local}>"
        transport.close()
        transport.close()
        assert transport not in reactor.getReaders()
        assert not transport.open
        assert transport.local == local
        assert repr(transport) == f"<DatagramTransport closed, was on {local}>"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(local)


def test_closing_aborts_what_waits():
    """With the socket closed already when they hear of it."""
    with full_pair() as (transport, far, filled):
        write, flush = transport.send(b"x", None), transport.flush()
        heard = []
        write.addErrback(lambda failure: heard.append((transport.socket.fileno(), failure.value)))
        transport.close()
        ((descriptor, problem),) = heard
        assert descriptor == -1
        assert isinstance(problem, OperationAbortedError)
        with pytest.raises(OperationAbortedError, match="aborted by close"):
            flush.get_results()
        assert drained(far) == [b"filling"] * filled


@pytest_twisted.ensureDeferred
async def test_one_whose_descriptor_somebody_closed_goes_quietly():
    """Its waiting writes are aborted, and no other descriptor is touched."""
    from twisted.internet import reactor

    with full_pair() as (transport, _, _):
        write = transport.send(b"x", None)
        reactor.removeReader(transport)
        reactor.removeWriter(transport)
        os.close(transport.fileno())
        transport.connectionLost(Failure(error.ConnectionFdescWentAway()))
        assert not transport.open
        with pytest.raises(OperationAbortedError):
            write.get_results()
        await turns()


@pytest_twisted.ensureDeferred
async def test_finishing_sends_what_waits_and_closes_then():
    """However many turns that takes; with nothing to send, at once."""
    with full_pair() as (transport, far, filled):
        operations = [transport.send(bytes([number]), None) for number in range(30)]
        transport.finish()
        await turns(3)
        assert transport.open
        arrived = []
        while transport.open:
            arrived += drained(far)
            await turns()
        arrived += drained(far)
        assert arrived == [b"filling"] * filled + [bytes([number]) for number in range(30)]
        assert {operation.status for operation in operations} == {AsyncStatus.COMPLETED}
    with transport_on(bound()) as transport:
        transport.finish()
        assert not transport.open


@pytest_twisted.ensureDeferred
async def test_finishing_has_a_deadline():
    """What is not sent until then is aborted; cancelling the last write ends it sooner."""
    from twisted.internet import reactor

    for cancelling in (False, True):
        with full_pair(limits(close_timeout=3600.0)) as (transport, _, _):
            before = set(reactor.getDelayedCalls())
            write = transport.send(b"x", None)
            transport.finish()
            (deadline,) = set(reactor.getDelayedCalls()) - before
            if cancelling:
                write.cancel()
                assert not deadline.active()
            else:
                deadline.reset(0)
                await turns(3)
            assert not transport.open
            with pytest.raises(OperationAbortedError):
                write.get_results()


def test_a_transport_that_cannot_be_made_leaves_its_socket_to_its_maker():
    """The reactor does not know it then."""
    from twisted.internet import reactor

    skt = bound()
    skt.close()
    before = reactor.getReaders()
    with pytest.raises(OSError, match="Bad file descriptor"):
        DatagramTransport(skt, Recorder(), reactor, limits())
    assert reactor.getReaders() == before
