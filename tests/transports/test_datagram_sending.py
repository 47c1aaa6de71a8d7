"""Sending datagrams: at once, later in order, or not at all, and what the system says of earlier ones."""

from __future__ import annotations

import errno
import socket
from array import array

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.networks import network_namespace, network_without_neighbours, run
from tests.transports.datagrams import (
    FAMILIES,
    IP_RECVERR,
    LOOPBACK,
    Recorder,
    WatchedSocket,
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
from winsockets.errors import (
    IllegalMethodCallError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, AsyncStatus
from winsockets.networking._address import Address

STARTED = AsyncStatus.STARTED
COMPLETED = AsyncStatus.COMPLETED
SLOW = ("tbf", "rate", "8kbit", "burst", "1600")
FAST = ("tbf", "rate", "1gbit", "burst", "1mb")


def send(transport, data, to):
    """Send as whoever awaits the write at once: nothing is held back."""
    operation = transport.send(data, to)
    transport.release()
    return operation


# At once


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_a_datagram_leaves_in_the_call(family, size):
    """The operation has ended when it is returned, and yields the size; empty is a datagram too."""
    data = bytes(size)
    with bound(family) as far, transport_on(bound(family)) as transport:
        assert send(transport, data, far.getsockname()).get_results() == size
        assert drained(far) == [data]


@pytest.mark.parametrize(("family", "largest"), [(socket.AF_INET, 65_507), (socket.AF_INET6, 65_527)])
def test_the_protocol_says_how_long_a_datagram_may_be(family, largest):
    """One byte more is MESSAGE_TOO_LONG, and says to whom; the next one leaves as ever."""
    with bound(family) as far, transport_on(bound(family)) as transport:
        to = far.getsockname()
        assert send(transport, bytes(largest), to).get_results() == largest
        with pytest.raises(MessageTooLongError, match=f"send to {LOOPBACK[family]} port {to[1]}") as caught:
            send(transport, bytes(largest + 1), to).get_results()
        assert caught.value.status is SocketErrorStatus.MESSAGE_TOO_LONG
        assert caught.value.errno == errno.EMSGSIZE
        send(transport, b"next", to)
        assert drained(far) == [bytes(largest), b"next"]


@pytest.mark.parametrize(
    "data",
    [
        b"abcd",
        bytearray(b"abcd"),
        memoryview(b"abcd"),
        memoryview(b"xabcd")[1:],
        array("H", [0x6261, 0x6463]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_any_buffer_is_a_payload(data):
    """Its bytes count, not its items; alone, among others and in a queue."""
    with bound() as far, transport_on(bound()) as transport:
        assert send(transport, data, far.getsockname()).get_results() == 4
        assert transport.send_many([data, data], far.getsockname()).get_results() == 8
        assert drained(far) == [b"abcd"] * 3
    with full_pair() as (transport, far, filled):
        operation = send(transport, data, None)
        assert drained(far) == [b"filling"] * filled
        transport.doWrite()
        assert operation.get_results() == 4
        assert drained(far) == [b"abcd"]


@pytest.mark.parametrize("wrong", ["text", 5, memoryview(b"abcd")[::2]], ids=["str", "int", "with gaps"])
def test_what_is_no_buffer_is_refused_in_the_call(wrong):
    """Also while others wait, and then none of its company is sent."""
    with bound() as far, transport_on(bound()) as transport:
        with pytest.raises(TypeError):
            send(transport, wrong, far.getsockname())
        with pytest.raises(TypeError):
            transport.send_many([b"fine", wrong], far.getsockname())
        assert drained(far) == []
    with full_pair() as (transport, far, _), pytest.raises(TypeError):
        send(transport, wrong, None)


def test_a_closed_transport_sends_nothing():
    """Whatever the way."""
    with bound() as far, transport_on(bound()) as transport:
        transport.close()
        with pytest.raises(ObjectClosedError, match=r"127\.0\.0\.1 port"):
            send(transport, b"x", far.getsockname())
        with pytest.raises(ObjectClosedError):
            transport.send_many([b"x"], far.getsockname())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connected_transport_sends_to_its_peer_only(family):
    """Named or not; to anybody else is a call at the wrong time."""
    with bound(family) as far, bound(family) as other, transport_on(bound(family)) as transport:
        transport.connect(address_of(far))
        send(transport, b"1", None)
        send(transport, b"2", far.getsockname())
        transport.send_many([b"3"], far.getsockname())
        with pytest.raises(IllegalMethodCallError, match=f"port {other.getsockname()[1]}"):
            send(transport, b"4", other.getsockname())
        with pytest.raises(IllegalMethodCallError):
            transport.send_many([b"4"], other.getsockname())
        assert drained(far) == [b"1", b"2", b"3"]
        assert drained(other) == []


def test_a_peer_is_known_under_both_its_names():
    """To connect to a wildcard address is to connect to this machine."""
    with bound(host="0.0.0.0") as far, transport_on(bound(host="0.0.0.0")) as transport:
        port = far.getsockname()[1]
        transport.connect(Address.ipv4("0.0.0.0", port))
        assert transport.peer == ("127.0.0.1", port)
        for host in ("0.0.0.0", "127.0.0.1"):
            assert transport.is_peer((host, port))
            send(transport, host.encode(), (host, port))
        assert not transport.is_peer(("127.0.0.2", port))
        assert drained(far) == [b"0.0.0.0", b"127.0.0.1"]


def test_several_datagrams_leave_as_several():
    """Never joined; the operation yields the size of all of them."""
    with bound() as far, transport_on(bound()) as transport:
        pieces = (bytes([number]) * number for number in range(5))
        assert transport.send_many(pieces, far.getsockname()).get_results() == 10
        assert drained(far) == [bytes([number]) * number for number in range(5)]
        assert transport.send_many([], far.getsockname()).get_results() == 0


def test_one_that_cannot_be_sent_does_not_hold_up_its_company():
    """The others leave, and the operation tells the failure."""
    with bound() as far, transport_on(bound()) as transport:
        operation = transport.send_many([b"before", bytes(65_508), b"after"], far.getsockname())
        with pytest.raises(MessageTooLongError):
            operation.get_results()
        assert drained(far) == [b"before", b"after"]


# Later


@pytest_twisted.ensureDeferred
async def test_a_write_waits_for_room_and_a_flush_for_the_writes_before_it():
    """They end in the order of the calls."""
    with full_pair() as (transport, far, filled):
        ended = []
        operations = [send(transport, b"first", None), send(transport, b"", None), transport.flush()]
        operations += [transport.send_many([b"third", b"fourth"], None), transport.flush()]
        for number, operation in enumerate(operations):
            operation.completed = lambda sender, status, number=number: ended.append(number)
        await turns(3)
        assert {operation.status for operation in operations} == {STARTED}
        assert drained(far) == [b"filling"] * filled
        await until(lambda: len(ended) == len(operations))
        assert ended == [0, 1, 2, 3, 4]
        assert [operation.get_results() for operation in operations] == [5, 0, True, 11, True]
        assert drained(far) == [b"first", b"", b"third", b"fourth"]
        assert transport.flush().get_results() is True


@pytest_twisted.ensureDeferred
async def test_an_idle_transport_does_not_ask_for_room():
    """The reactor would call it in every turn."""
    from twisted.internet import reactor

    with full_pair() as (transport, far, _):
        assert transport not in reactor.getWriters()
        operation = send(transport, b"x", None)
        assert transport in reactor.getWriters()
        drained(far)
        await operation
        await turns()
        assert transport not in reactor.getWriters()


@pytest_twisted.ensureDeferred
async def test_part_of_a_write_can_wait():
    """What there is room for leaves at once, the rest as room comes; progress says how far it is."""
    with full_pair() as (transport, far, _):
        assert far.recv(100) == b"filling"
        payloads = [bytes([number]) * 10 for number in range(40)]
        operation = transport.send_many(payloads, None)
        progress = []
        operation.progress = lambda sender, value: progress.append(value)
        arrived = []
        while not operation.called:
            arrived += drained(far)
            await turns()
        arrived += drained(far)
        assert [data for data in arrived if data != b"filling"] == payloads
        assert operation.get_results() == 400
        assert progress == sorted(progress)
        assert progress[-1] == 400


@pytest_twisted.ensureDeferred
async def test_a_progress_handler_may_cancel_its_own_write_when_all_of_it_has_left():
    """The write ends well."""
    with full_pair() as (transport, far, _):
        operation = send(transport, b"last", None)
        operation.progress = lambda sender, value: sender.cancel()
        drained(far)
        assert await operation == 4


@settings(max_examples=25)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.data())
def test_no_order_is_ever_changed(sizes, data):
    """However writes, reads of the peer and turns of the transport follow each other."""
    with full_pair() as (transport, far, filled):
        sent, arrived = [b"filling"] * filled, []
        for number, size in enumerate(sizes):
            datagram = bytes([number]) * size
            send(transport, datagram, None)
            sent.append(datagram)
            for action in data.draw(st.lists(st.sampled_from(("read", "write")), max_size=3)):
                if action == "write":
                    transport.doWrite()
                else:
                    arrived += drained(far)[:]
        while len(arrived) < len(sent):
            arrived += drained(far)
            transport.doWrite()
        assert arrived == sent


def test_a_failure_is_told_to_its_write_and_to_the_flushes_that_waited_for_it():
    """Those behind it are sent; a flush keeps the first failure; a later flush knows nothing of it."""
    with full_pair() as (transport, far, _):
        send(transport, b"before", None)
        early = transport.flush()
        too_long = send(transport, bytes(1 << 20), None)
        flush = transport.flush()
        longer = send(transport, bytes(1 << 21), None)
        both = transport.flush()
        fine = send(transport, b"fine", None)
        drained(far)
        transport.doWrite()
        assert early.get_results() is True
        assert fine.get_results() == 4
        with pytest.raises(MessageTooLongError) as first:
            too_long.get_results()
        with pytest.raises(MessageTooLongError) as second:
            longer.get_results()
        for operation in (flush, both):
            with pytest.raises(MessageTooLongError) as caught:
                operation.get_results()
            assert caught.value is first.value
        assert second.value is not first.value
        assert transport.flush().get_results() is True
        assert drained(far) == [b"before", b"fine"]


def test_only_so_many_may_wait():
    """One more is refused in the call, with the advice to await; room makes room."""
    with full_pair(limits(datagram_queue=3)) as (transport, far, _):
        waiting = [send(transport, b"x", None) for _ in range(3)]
        for refused in (lambda: send(transport, b"y", None), lambda: transport.send_many([b"y"], None)):
            with pytest.raises(SocketException, match="3 datagrams wait already; await") as caught:
                refused()
            assert caught.value.errno == errno.ENOBUFS
            assert caught.value.winerror == -2147014841  # WSAENOBUFS
        drained(far)
        transport.doWrite()
        assert {operation.status for operation in waiting} == {COMPLETED}
        assert send(transport, b"z", None).get_results() == 1
        assert drained(far) == [b"x", b"x", b"x", b"z"]


def test_a_long_write_is_accepted_when_little_waits_before_it():
    """The caller holds its buffers already."""
    with full_pair(limits(datagram_queue=3)) as (transport, _, _):
        send(transport, b"x", None)
        assert transport.send_many([b"y"] * 100, None).status is STARTED
        with pytest.raises(SocketException, match="101 datagrams wait"):
            send(transport, b"z", None)


# Not at all


def test_a_cancelled_write_is_taken_back():
    """It ends with OPERATION_ABORTED, in ERROR; those around it are sent."""
    with full_pair() as (transport, far, _):
        before, write, after = (send(transport, data, None) for data in (b"before", b"never", b"after"))
        write.cancel()
        assert write.status is AsyncStatus.ERROR
        with pytest.raises(OperationAbortedError) as caught:
            write.get_results()
        assert caught.value.status is SocketErrorStatus.OPERATION_ABORTED
        drained(far)
        transport.doWrite()
        assert drained(far) == [b"before", b"after"]
        assert (before.get_results(), after.get_results()) == (6, 5)


def test_of_a_cancelled_write_of_several_what_waits_is_taken_back():
    """What has left has left."""
    with full_pair() as (transport, far, _):
        far.recv(100)
        operation = transport.send_many([b"leaves"] * 100, None)
        operation.cancel()
        with pytest.raises(OperationAbortedError):
            operation.get_results()
        while waiting := drained(far):
            transport.doWrite()
            assert set(waiting) <= {b"filling", b"leaves"}
        assert transport.flush().get_results() is True


def test_cancelling_the_last_write_ends_the_wait_for_room():
    """And cancelling a flush takes nothing from the writes."""
    from twisted.internet import reactor

    with full_pair() as (transport, _, _):
        write, flush = send(transport, b"x", None), transport.flush()
        flush.cancel()
        with pytest.raises(OperationAbortedError):
            flush.get_results()
        assert transport in reactor.getWriters()
        write.cancel()
        assert transport not in reactor.getWriters()
        with pytest.raises(OperationAbortedError):
            write.get_results()


@pytest.mark.parametrize("how", ["cancel_sends", "close"])
def test_all_that_wait_are_ended_together(how):
    """Also when the end of one cancels another, or writes again."""
    with full_pair() as (transport, far, filled):
        operations = [send(transport, b"x", None), transport.flush(), transport.send_many([b"y", b"z"], None)]
        again = []

        def meddle(failure):
            failure.trap(OperationAbortedError)
            operations[2].cancel()
            try:
                again.append(send(transport, b"again", None))
            except ObjectClosedError:
                again.append(None)

        operations[0].addErrback(meddle)
        if how == "close":
            transport.close()
            assert again == [None]
        else:
            transport.cancel_sends("as the test wants it")
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError):
                operation.get_results()
        assert drained(far) == [b"filling"] * filled
        if how == "cancel_sends":
            transport.doWrite()
            assert again[0].get_results() == 5
            assert drained(far) == [b"again"]


def test_the_end_of_a_write_may_close_the_transport():
    """What waited behind it is aborted, and nothing else happens."""
    with full_pair() as (transport, far, _):
        first, second = send(transport, b"first", None), send(transport, b"second", None)
        first.addCallback(lambda size: transport.close())
        drained(far)
        transport.doWrite()
        with pytest.raises(OperationAbortedError, match="aborted by close"):
            second.get_results()
        assert drained(far) == [b"first"]


# What the system says of earlier datagrams


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_a_send_learns_of_earlier_ones_is_told_before_it_ends(family):
    """The datagram is sent nonetheless; the news come in a turn of their own, not inside the call."""
    receiver = Recorder()
    peer = nobody(family)
    with transport_on(bound(family), receiver) as transport:
        transport.connect(peer)
        assert send(transport, b"lost", None).get_results() == 4
        with socket.socket(family, socket.SOCK_DGRAM) as far:
            far.bind((peer.host, peer.port))
            far.setblocking(False)
            operation = send(transport, b"arrives", None)
            behind = send(transport, b"too", None)
            assert operation.status is STARTED
            assert receiver.heard == []
            heard_before = []
            operation.completed = lambda sender, status: heard_before.extend(receiver.heard)
            assert await operation == 7
            assert await behind == 3
            assert drained(far) == [b"arrives", b"too"]
        (problem,) = heard_before
        assert isinstance(problem, ResetByPeerError)
        assert problem.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
        assert problem.errno == errno.ECONNREFUSED
        assert receiver.heard == [problem]


@pytest_twisted.ensureDeferred
async def test_each_datagram_of_a_write_to_nobody_is_refused():
    """One write of many learns of each but the last, of which the reactor tells.

    No two are of one size: of those that leave together the system tells once.
    """
    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        assert await transport.send_many([bytes(size) for size in range(50)], None) == 49 * 25
        problems = await receiver.take(50)
        assert {problem.status for problem in problems} == {SocketErrorStatus.CONNECTION_RESET_BY_PEER}
        await turns(2)
        assert receiver.heard == []


@on_linux
def test_other_news_than_refusals_are_told_too():
    """That a host is down says the system once; a second time it would mean this datagram."""
    receiver = Recorder()
    with network_without_neighbours() as (local, away):
        near = bound(host=local)
        near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        with transport_on(near, receiver) as transport:
            transport.connect(Address.ipv4(away, 9))
            assert send(transport, b"to nobody", None).get_results() == 9
            wait_for_error(near)
            operation = send(transport, b"again", None)
            assert operation.status is STARTED
            transport.doWrite()
            assert operation.get_results() == 5
            (problem,) = receiver.heard
            assert problem.status is SocketErrorStatus.UNREACHABLE_HOST
            assert problem.errno == errno.EHOSTUNREACH


@pytest_twisted.ensureDeferred
async def test_a_write_from_within_the_end_of_another_is_sent_once():
    """It may meet news of its own then."""
    receiver = Recorder()
    peer = nobody()
    with (
        transport_on(bound(), receiver) as transport,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        transport.connect(peer)

        async def write_all():
            for number in range(100):
                await send(transport, bytes([number]), None)

        await write_all()
        await receiver.take(100)
        far.bind((peer.host, peer.port))
        far.setblocking(False)
        await write_all()
        assert drained(far) == [bytes([number]) for number in range(100)]
        await turns(3)
        assert receiver.heard == []


def test_a_datagram_that_fails_without_news_fails_at_once():
    """On a connected socket, where the system might have meant an earlier one."""
    receiver = Recorder()
    with bound() as far, transport_on(bound(), receiver) as transport:
        transport.connect(address_of(far))
        operation = send(transport, bytes(65_508), None)
        assert operation.status is AsyncStatus.ERROR
        with pytest.raises(MessageTooLongError):
            operation.get_results()
        send(transport, b"fine", None)
        assert drained(far) == [b"fine"]
        assert receiver.heard == []


def come(transport, way):
    """Do what a reactor does."""
    if way == "readConnectionLost":
        transport.readConnectionLost(Failure(ConnectionDone()))
    else:
        getattr(transport, way)()


@pytest.mark.parametrize("way", ["doRead", "doWrite", "readConnectionLost"])
def test_whichever_way_the_reactor_comes_the_news_are_told_first(way):
    """So that who awaits a write knows that errors from then on are of that write or later ones."""
    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        send(transport, b"1", None)
        operation = send(transport, b"2", None)
        order = []
        receiver.hook = order.append
        operation.completed = lambda sender, status: order.append("ended")
        come(transport, way)
        assert order[1] == "ended"
        assert isinstance(order[0], ResetByPeerError)


def test_news_that_a_waiting_write_meets_are_told_before_it_ends():
    """As for one that need not wait; and a write of several ends after them too."""
    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        send(transport, b"1", None)
        several, waiting = transport.send_many([b"2"], None), send(transport, b"3", None)
        assert several.status is STARTED
        order = []
        receiver.hook = lambda problem: order.append("news")
        several.completed = lambda sender, status: order.append("several")
        waiting.completed = lambda sender, status: order.append("waiting")
        transport.doWrite()
        transport.doWrite()
        assert order == ["news", "several", "news", "waiting"]


def test_the_peer_by_name_is_the_peer():
    """Sending to it there is sending on the connection, with what the system says of that."""
    receiver = Recorder()
    peer = nobody()
    with transport_on(bound(), receiver) as transport:
        transport.connect(peer)
        send(transport, b"1", peer.sockaddr)
        operations = [send(transport, b"2", peer.sockaddr), transport.send_many([b"3"], peer.sockaddr)]
        transport.doWrite()
        transport.doWrite()
        assert [operation.get_results() for operation in operations] == [1, 1]
        assert [problem.errno for problem in receiver.heard] == [errno.ECONNREFUSED] * 2
        refusal = transport.send_many([b"4"], peer.sockaddr)
        transport.doWrite()
        assert refusal.get_results() == 1


def test_messages_name_the_peer_of_a_connected_transport():
    """Of what is too long, and of what comes too late."""
    with bound() as far, transport_on(bound()) as transport:
        transport.connect(address_of(far))
        place = f"send to 127.0.0.1 port {far.getsockname()[1]}: "
        with pytest.raises(MessageTooLongError, match=place):
            send(transport, bytes(65_508), None).get_results()
        transport.close()
        with pytest.raises(ObjectClosedError, match=place):
            send(transport, b"x", None)


@pytest.mark.parametrize("way", ["doRead", "doWrite", "readConnectionLost"])
@pytest.mark.parametrize("meddling", ["cancel", "close", "cancel_sends"])
def test_who_hears_the_news_may_end_everything(meddling, way):
    """A write that had left then ends well: it cannot be taken back."""
    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        send(transport, b"1", None)
        sent, waiting = send(transport, b"2", None), send(transport, b"3", None)

        def meddle(problem):
            if meddling == "cancel":
                sent.cancel()
                waiting.cancel()
            elif meddling == "close":
                transport.close()
            else:
                transport.cancel_sends("enough")

        receiver.hook = meddle
        come(transport, way)
        assert sent.get_results() == 1
        with pytest.raises(OperationAbortedError):
            waiting.get_results()
        # That of the second, when the reactor came to read.
        assert len(receiver.heard) == (1 if meddling == "close" or way == "doWrite" else 2)


def test_a_write_that_had_left_ends_well_when_the_transport_closes_before_the_news():
    """The news are then of no interest any more."""
    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        send(transport, b"1", None)
        operation = send(transport, b"2", None)
        transport.close()
        assert operation.get_results() == 1
        assert receiver.heard == []


def test_the_news_are_told_though_the_write_that_met_them_is_cancelled():
    """It waits for a turn even with nothing to send."""
    from twisted.internet import reactor

    receiver = Recorder()
    with transport_on(bound(), receiver) as transport:
        transport.connect(nobody())
        send(transport, b"1", None)
        send(transport, b"2", None).cancel()
        assert receiver.heard == []
        assert transport in reactor.getWriters()
        transport.doWrite()
        assert len(receiver.heard) == 1
        transport.doWrite()
        assert transport not in reactor.getWriters()


def test_one_send_asks_only_so_often():
    """Where there are ever more news it waits for a turn, and the news are told in between."""
    receiver = Recorder()
    skt = WatchedSocket()
    with bound() as far, transport_on(skt, receiver, limits(errors_per_send=2)) as transport:
        transport.connect(address_of(far))
        skt.errors["send"] = [errno.ECONNREFUSED] * 3
        operation = send(transport, b"2", None)
        assert operation.status is STARTED
        assert len(skt.errors["send"]) == 1
        transport.doWrite()
        assert operation.status is STARTED
        assert len(receiver.heard) == 2
        transport.doWrite()
        assert len(receiver.heard) == 3
        assert operation.get_results() == 1
        assert drained(far) == [b"2"]


def test_a_failure_that_news_precede_is_told_after_them():
    """A UNIX socket whose peer has gone says so once, and then that it has none."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.close()
    with transport_on(near) as transport:
        operation, behind = send(transport, b"x", None), transport.flush()
        assert operation.status is STARTED
        transport.doWrite()
        assert behind.status is STARTED
        transport.doWrite()
        for ended in (operation, behind):
            with pytest.raises(SocketException) as caught:
                ended.get_results()
            assert caught.value.errno == errno.ENOTCONN


# A network interface that is slow


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_slow_network_makes_writes_wait():
    """Real UDP: the send buffer fills behind a slow interface, and empties as that gets faster."""
    with network_namespace():
        run("tc", "qdisc", "add", "dev", "lo", "root", *SLOW, "latency", "1000s")
        far, near = bound(), bound()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with far, transport_on(near) as transport:
            payloads = [bytes([number]) * 500 for number in range(40)]
            operations = [send(transport, payload, far.getsockname()) for payload in payloads]
            flush = transport.flush()
            assert operations[0].status is COMPLETED
            assert operations[-1].status is STARTED
            await turns(3)
            assert flush.status is STARTED
            run("tc", "qdisc", "change", "dev", "lo", "root", *FAST, "latency", "1000s")
            assert await flush
            assert {operation.get_results() for operation in operations} == {500}
            arrived = []
            while len(arrived) < len(payloads):
                arrived += drained(far)
                await turns()
            assert arrived == payloads


@on_linux
@pytest_twisted.ensureDeferred
async def test_writers_that_never_rest_leave_the_reactor_its_turns():
    """Two that each write again when their write ends would go on among themselves for ever."""
    with network_namespace():
        run("tc", "qdisc", "add", "dev", "lo", "root", *SLOW, "latency", "1000s")
        far, near = bound(), bound()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with far, transport_on(near) as transport:
            to = far.getsockname()
            while send(transport, bytes(500), to).status is not STARTED:
                pass
            written = []

            async def write_on(data):
                while True:
                    await transport.send(data, to)
                    written.append(1)

            # Not of one size: they do not leave together, and one always waits for the other.
            writers = [AsyncOperation.run(write_on(data)) for data in (b"", b"z")]
            run("tc", "qdisc", "del", "dev", "lo", "root")
            await until(lambda: written)
            before = len(written)
            transport.doWrite()
            assert len(written) - before == DEFAULT_LIMITS.datagrams_per_turn
            transport.close()
            for writer in writers:
                with pytest.raises(OperationAbortedError):
                    writer.get_results()


@on_linux
@pytest_twisted.ensureDeferred
async def test_an_interface_without_room_is_tried_again_later():
    """ENOBUFS, which the BSDs say for a full interface, and Linux when it is asked to report all errors."""
    from twisted.internet import reactor

    with network_namespace():
        run("tc", "qdisc", "add", "dev", "lo", "root", *SLOW, "limit", "1600")
        far, near = bound(), bound()
        near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        with far, transport_on(near) as transport:
            operations = [send(transport, bytes([number]) * 1000, far.getsockname()) for number in range(5)]
            assert operations[0].status is COMPLETED
            assert operations[-1].status is STARTED
            # The socket is writable all the time, so waiting for that would keep the reactor busy.
            assert transport not in reactor.getWriters()
            retry = transport._retry
            await until(lambda: transport._retry not in (retry, None))
            assert transport not in reactor.getWriters()
            run("tc", "qdisc", "del", "dev", "lo", "root")
            for operation in operations:
                assert await operation == 1000
            await until(lambda: drained(far)[-1:] == [bytes([4]) * 1000])


@on_linux
@pytest.mark.parametrize("ending", ["cancel", "close"])
def test_a_wait_for_an_interface_can_be_given_up(ending):
    """No delayed call is left behind."""
    from twisted.internet import reactor

    with network_namespace():
        run("tc", "qdisc", "add", "dev", "lo", "root", *SLOW, "limit", "1600")
        far, near = bound(), bound()
        near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        with far, transport_on(near) as transport:
            before = len(reactor.getDelayedCalls())
            operations = [send(transport, bytes(1000), far.getsockname()) for _ in range(5)]
            waiting = [operation for operation in operations if operation.status is STARTED]
            assert len(reactor.getDelayedCalls()) == before + 1
            if ending == "close":
                transport.close()
            else:
                for operation in waiting:
                    operation.cancel()
            assert len(reactor.getDelayedCalls()) == before
            for operation in waiting:
                with pytest.raises(OperationAbortedError):
                    operation.get_results()
