"""Datagrams that nobody awaits leave together: when, in which calls, and what each of them learns."""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.error import ConnectionFdescWentAway, ConnectionLost
from twisted.python.failure import Failure

from tests.networks import network_namespace, run
from tests.transports.datagrams import (
    FAMILIES,
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
)
from winsockets.errors import (
    AccessDeniedError,
    MessageTooLongError,
    OperationAbortedError,
    ResetByPeerError,
    SocketException,
)
from winsockets.foundation import AsyncStatus

STARTED = AsyncStatus.STARTED
COMPLETED = AsyncStatus.COMPLETED


@contextmanager
def watched_pair(connected=True, family=socket.AF_INET, receiver=None, **bounds):
    """A transport on a watched socket, that socket, another, and where that is: None is the peer."""
    skt = WatchedSocket(family)
    with bound(family) as far, transport_on(skt, receiver, limits(**bounds)) as transport:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if connected:
            transport.connect(address_of(far))
        yield transport, skt, far, None if connected else far.getsockname()


def numbered(count, size=100):
    """Datagrams that can be told apart."""
    return [number.to_bytes(4, "big") + bytes(size - 4) for number in range(count)]


def finished(coroutine):
    """Run a coroutine that has nothing to wait for."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


# When they leave


@on_linux
@pytest.mark.parametrize("connected", [True, False])
def test_each_that_is_awaited_leaves_at_once(connected):
    """In a call of its own, and nobody has to wait for a turn."""
    with watched_pair(connected) as (transport, skt, far, to):

        async def write():
            for datagram in numbered(5):
                assert await transport.send(datagram, to) == 100

        finished(write())
        assert skt.calls == [("send" if connected else "sendto", 100)] * 5
        assert drained(far) == numbered(5)


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("connected", [True, False])
def test_those_that_are_flushed_leave_together(connected, family):
    """But for the first, of which nobody can know that others follow; each arrives as one datagram."""
    with watched_pair(connected, family) as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(50)]
        assert [operation.status for operation in operations] == [COMPLETED] + [STARTED] * 49
        assert transport.flush().get_results() is True
        assert {operation.get_results() for operation in operations} == {100}
        assert skt.calls == [("send" if connected else "sendto", 100), ("sendmsg", 4900)]
        assert drained(far) == numbered(50)


@on_linux
@pytest_twisted.ensureDeferred
async def test_batch_after_batch_leaves_whole():
    """Whoever has flushed one is about to write another; until that turn ends, or something is awaited."""
    with watched_pair() as (transport, skt, far, to):
        for _ in range(3):
            for datagram in numbered(50):
                transport.send(datagram, to)
            assert await transport.flush() is True
        assert skt.calls == [("send", 100), ("sendmsg", 4900), ("sendmsg", 5000), ("sendmsg", 5000)]
        assert drained(far) == numbered(50) * 3
        await turns(2)
        assert transport.send(b"at once", to).status is COMPLETED


def test_one_that_is_flushed_is_no_batch():
    """Writing and flushing by turns sends at once."""
    with watched_pair() as (transport, _, far, to):
        for datagram in numbered(3):
            assert transport.send(datagram, to).status is COMPLETED
            assert transport.flush().get_results() is True
        assert drained(far) == numbered(3)


@on_linux
@pytest.mark.parametrize("together", [gatherResults, DeferredList])
@pytest_twisted.ensureDeferred
async def test_those_that_are_awaited_together_leave_with_the_turn(together):
    """As those do that nobody ever awaits."""
    with watched_pair() as (transport, skt, far, to):
        results = await together([transport.send(datagram, to) for datagram in numbered(50)])
        assert {result[1] if isinstance(result, tuple) else result for result in results} == {100}
        assert skt.calls == [("send", 100), ("sendmsg", 4900)]
        for datagram in numbered(3):
            transport.send(datagram, to)
        assert len(skt.calls) == 3
        await turns()
        assert skt.calls[3:] == [("sendmsg", 200)]
        assert drained(far) == numbered(50) + numbered(3)


@on_linux
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_who_awaits_one_releases_all(which):
    """Also the first, which has left, and not the last; then the burst is over."""
    with watched_pair() as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(4)]

        async def wait():
            return await operations[which]

        assert finished(wait()) == 100
        assert {operation.status for operation in operations} == {COMPLETED}
        assert transport.send(b"next", to).status is COMPLETED
        assert skt.calls == [("send", 100), ("sendmsg", 300), ("send", 4)]
        assert drained(far) == [*numbered(4), b"next"]


@on_linux
def test_a_write_of_several_takes_along_what_is_held_back():
    """And leaves at once; what follows leaves at once too."""
    with watched_pair() as (transport, skt, far, to):
        first, second = (transport.send(datagram, to) for datagram in numbered(2))
        assert transport.send_many(numbered(6)[2:], to).get_results() == 400
        assert [first.get_results(), second.get_results()] == [100, 100]
        assert transport.send_many(iter([]), to).get_results() == 0
        assert transport.send(b"next", to).status is COMPLETED
        assert skt.calls == [("send", 100), ("sendmsg", 500), ("send", 4)]
        assert drained(far) == [*numbered(6), b"next"]
        transport.send(b"held", to)
        assert transport.send_many([], to).get_results() == 0
        assert drained(far) == [b"held"]


@on_linux
@pytest.mark.parametrize("bounds", [{"datagram_batch": 4}, {"datagram_queue": 4}])
def test_only_so_many_are_held_back(bounds):
    """However long nobody awaits anything; a write never fails for the sake of a batch."""
    with watched_pair(**bounds) as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(20)]
        assert skt.calls == [("send", 100)] + [("sendmsg", 400)] * 4
        assert [operation.status for operation in operations] == [COMPLETED] * 17 + [STARTED] * 3
        transport.release()
        assert drained(far) == numbered(20)
    with watched_pair(datagram_batch=1) as (transport, skt, far, to):
        for datagram in numbered(3):
            transport.send(datagram, to)
        assert drained(far) == numbered(3)


@pytest_twisted.ensureDeferred
async def test_one_delayed_call_stands_for_all_batches_of_a_turn():
    """It is gone with the turn, and with the transport."""
    from twisted.internet import reactor

    with watched_pair() as (transport, _, far, to):
        before = set(reactor.getDelayedCalls())
        for _ in range(3):
            for datagram in numbered(5):
                transport.send(datagram, to)
            assert len(set(reactor.getDelayedCalls()) - before) == 1
            transport.flush()
        await turns(2)
        assert set(reactor.getDelayedCalls()) <= before
        for datagram in numbered(5):
            transport.send(datagram, to)
        transport.close()
        assert set(reactor.getDelayedCalls()) <= before
        assert drained(far) == numbered(5) * 4


def test_what_goes_elsewhere_waits_for_what_is_held_back():
    """The order is that of the calls, whatever the destinations."""
    with watched_pair(connected=False) as (transport, _, far, to), bound() as other:
        elsewhere = other.getsockname()
        for number in range(3):
            transport.send(bytes([number]), to)
        assert drained(far) == [b"\0"]
        transport.send(b"elsewhere", elsewhere)
        assert drained(far) == [b"\1", b"\2"]
        assert drained(other) == []
        # An equal address is the same one.
        transport.send(b"again", (*elsewhere,))
        transport.flush()
        assert drained(other) == [b"elsewhere", b"again"]


def test_those_beside_send_in_one_order():
    """A socket has a transport for each family, and a batch of one leaves before anything of the other."""
    with (
        watched_pair(connected=False) as (four, _, far4, to4),
        watched_pair(connected=False, family=socket.AF_INET6) as (six, _, far6, to6),
    ):
        four.beside, six.beside = [six], [four]
        four.send(b"1", to4)
        four.send(b"2", to4)
        six.send(b"3", to6)
        assert drained(far4) == [b"1", b"2"]
        six.send(b"4", to6)
        assert drained(far6) == [b"3"]
        four.send_many([b"5"], to4)
        assert drained(far6) == [b"4"]
        assert drained(far4) == [b"5"]


def test_a_connection_begins_after_what_was_held_back():
    """That goes where it was to go."""
    with watched_pair(connected=False) as (transport, _, far, to), bound() as peer:
        for datagram in numbered(3):
            transport.send(datagram, to)
        transport.connect(address_of(peer))
        assert drained(far) == numbered(3)


# In which calls


@on_linux
@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ([9, 9, 9, 8, 9], [("sendmsg", 35), ("send", 9)]),
        ([9, 0, 9, 9], [("send", 9), ("send", 0), ("sendmsg", 18)]),
        ([9, 9, 0], [("sendmsg", 18), ("send", 0)]),
        ([0, 0], [("send", 0), ("send", 0)]),
        ([1, 2, 3], [("send", 1), ("send", 2), ("send", 3)]),
        ([20_000] * 7, [("sendmsg", 60_000)] * 2 + [("send", 20_000)]),
        ([65_507, 65_507, 1], [("send", 65_507)] * 2 + [("send", 1)]),
        ([65_506, 1], [("sendmsg", 65_507)]),
    ],
)
def test_those_of_one_size_leave_in_one_call(sizes, calls):
    """The last of them may be shorter; empty ones and the longest leave alone. All arrive as they were."""
    with watched_pair() as (transport, skt, far, to):
        datagrams = [bytes([number]) * size for number, size in enumerate(sizes)]
        transport.send(b"first", to)
        operations = [transport.send(datagram, to) for datagram in datagrams]
        assert transport.flush().get_results() is True
        assert [operation.get_results() for operation in operations] == sizes
        assert skt.calls == [("send", 5), *calls]
        assert drained(far) == [b"first", *datagrams]


@on_linux
def test_a_write_of_many_leaves_in_calls_of_64():
    """As one operation, that tells how far it is."""
    with watched_pair() as (transport, skt, far, to):
        assert transport.send_many(numbered(150), to).get_results() == 15_000
        assert skt.calls == [("sendmsg", 6400), ("sendmsg", 6400), ("sendmsg", 2200)]
        assert drained(far) == numbered(150)


def test_buffers_are_theirs_who_wrote_when_the_write_has_ended():
    """They may change then, in size too; what had been sent was as it was then."""
    with watched_pair() as (transport, _, far, to):
        buffers = [bytearray(b"before") for _ in range(5)]
        operations = [transport.send(buffer, to) for buffer in buffers]
        assert operations[4].status is STARTED
        transport.release()
        for buffer in buffers:
            buffer.clear()
            buffer.extend(b"after, and longer")
        assert drained(far) == [b"before"] * 5


# What each of them learns


def test_one_that_is_too_long_fails_alone():
    """Those around it leave in order, and the flush tells of it."""
    with watched_pair() as (transport, _, far, to):
        before = [transport.send(datagram, to) for datagram in numbered(3)]
        too_long = transport.send(bytes(65_508), to)
        after = [transport.send(datagram, to) for datagram in numbered(3)]
        flush = transport.flush()
        with pytest.raises(MessageTooLongError) as caught:
            too_long.get_results()
        with pytest.raises(MessageTooLongError) as flushed:
            flush.get_results()
        assert flushed.value is caught.value
        assert {operation.get_results() for operation in before + after} == {100}
        assert drained(far) == numbered(3) * 2
        assert transport.flush().get_results() is True


@on_linux
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP]
)
def test_a_system_that_does_not_cut_up_is_asked_once(number, connected):
    """All leave one by one then, and no call is tried for nothing again. Nobody hears of it."""
    receiver = Recorder()
    with watched_pair(connected, receiver=receiver) as (transport, skt, far, to):
        skt.errors["sendmsg"] = [number] * 9
        for _ in range(2):
            operations = [transport.send(datagram, to) for datagram in numbered(10)]
            assert transport.flush().get_results() is True
            assert {operation.get_results() for operation in operations} == {100}
        assert transport.send_many(numbered(10), to).get_results() == 1000
        # What may be said of an earlier datagram is asked twice.
        ambiguous = connected and number not in (errno.EIO, errno.EINVAL)
        assert len(skt.errors["sendmsg"]) == 9 - (2 if ambiguous else 1)
        assert skt.calls == [("send" if connected else "sendto", 100)] * 30
        assert drained(far) == numbered(10) * 3
        assert receiver.heard == []


@on_linux
def test_what_the_system_says_against_a_destination_is_said_to_each():
    """A firewall, for instance; it is no reason not to send together later."""
    with watched_pair(connected=False) as (transport, skt, far, to):
        transport.send(b"first", to)
        skt.errors = {"sendmsg": [errno.EPERM], "sendto": [errno.EPERM] * 3}
        operations = [transport.send(datagram, to) for datagram in numbered(3)]
        flush = transport.flush()
        for operation in (*operations, flush):
            with pytest.raises(AccessDeniedError):
                operation.get_results()
        skt.calls.clear()
        assert transport.send_many(numbered(3), to).get_results() == 300
        assert skt.calls == [("sendmsg", 300)]
        assert drained(far) == [b"first", *numbered(3)]


@on_linux
@pytest.mark.parametrize("connected", [True, False])
def test_a_path_of_small_packets_gets_one_datagram_after_the_other(connected):
    """The system takes them apart into fragments, which it does not do with segments."""
    with network_namespace():
        run("ip", "link", "set", "lo", "mtu", "1280")
        receiver = Recorder()
        with watched_pair(connected, receiver=receiver) as (transport, skt, far, to):
            for _ in range(2):
                assert transport.send_many(numbered(20, 1400), to).get_results() == 28_000
            single = "send" if connected else "sendto"
            assert skt.calls == [(single, 1400)] * 40
            assert transport.send_many(numbered(20, 1200), to).get_results() == 24_000
            assert skt.calls[40:] == [("sendmsg", 24_000)]
            assert drained(far) == numbered(20, 1400) * 2 + numbered(20, 1200)
            assert receiver.heard == []


@on_linux
@pytest.mark.parametrize("runs", [0, 1])
def test_a_batch_waits_for_room(runs):
    """From where the system has none: nothing fails, nothing is lost or doubled."""
    from twisted.internet import reactor

    with watched_pair() as (transport, skt, far, to):
        transport.send(b"first", to)
        operations = [transport.send(data, to) for data in numbered(10) + numbered(10, 200)]
        skt.errors["sendmsg"] = [0] * runs + [errno.EAGAIN]
        flush = transport.flush()
        behind = transport.send(b"behind", to)
        assert flush.status is behind.status is STARTED
        left = 10 * runs
        assert [operation.status for operation in operations] == [COMPLETED] * left + [STARTED] * (20 - left)
        assert transport in reactor.getWriters()
        transport.doWrite()
        assert flush.get_results() is True
        assert behind.get_results() == 6
        assert {operation.status for operation in operations} == {COMPLETED}
        assert drained(far) == [b"first", *numbered(10), *numbered(10, 200), b"behind"]


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_batch_that_an_interface_has_no_room_for_is_tried_again_later():
    """ENOBUFS means that nothing of it was taken."""
    from twisted.internet import reactor

    with watched_pair(send_retry=0.001) as (transport, skt, far, to):
        transport.send(b"first", to)
        operations = [transport.send(datagram, to) for datagram in numbered(10)]
        skt.errors["sendmsg"] = [errno.ENOBUFS]
        transport.release()
        assert transport not in reactor.getWriters()
        assert {operation.status for operation in operations} == {STARTED}
        assert await operations[0] == 100
        assert await transport.flush() is True
        assert drained(far) == [b"first", *numbered(10)]


@on_linux
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_batch_learns_of_earlier_datagrams_is_told_before_it_ends(family):
    """All of it is sent once nonetheless, in one call; what follows waits for the news too."""
    receiver = Recorder()
    peer = nobody(family)
    skt = WatchedSocket(family)
    with (
        transport_on(skt, receiver) as transport,
        socket.socket(family, socket.SOCK_DGRAM) as far,
    ):
        transport.connect(peer)
        transport.send(b"lost", None)
        far.bind((peer.host, peer.port))
        far.setblocking(False)
        operations = [transport.send(datagram, None) for datagram in numbered(10)]
        flush = transport.flush()
        behind = transport.send(b"behind", None)
        assert {operation.status for operation in (*operations, flush, behind)} == {STARTED}
        assert drained(far) == numbered(10)
        order = []
        receiver.hook = order.append
        operations[5].completed = lambda operation, status: order.append("ended")
        flush.completed = lambda operation, status: order.append("flushed")
        transport.doWrite()
        transport.doWrite()
        assert isinstance(order[0], ResetByPeerError)
        assert order[1:] == ["ended", "flushed"]
        assert {operation.get_results() for operation in operations} == {100}
        assert behind.get_results() == 6
        assert skt.calls == [("send", 4), ("sendmsg", 1000), ("send", 6)]
        assert drained(far) == [b"behind"]


def test_a_flush_that_comes_before_the_news_tells_the_failure_that_they_precede():
    """It waits for the write that failed, which waits for the news."""
    with watched_pair() as (transport, skt, _, to):
        skt.errors["send"] = [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETUNREACH]
        failed, flush = transport.send(b"x", to), transport.flush()
        assert failed.status is flush.status is STARTED
        transport.doWrite()
        transport.doWrite()
        for operation in (failed, flush):
            with pytest.raises(SocketException) as caught:
                operation.get_results()
            assert caught.value.errno == errno.ENETUNREACH


def test_a_flush_knows_of_the_failed_part_of_a_write_that_waits():
    """The write has not ended, and will fail."""
    with watched_pair() as (transport, skt, far, to):
        skt.errors["send"] = [errno.EMSGSIZE, errno.EMSGSIZE, errno.EAGAIN]
        write = transport.send_many([bytes(10), bytes(20)], to)
        flush = transport.flush()
        assert write.status is flush.status is STARTED
        transport.doWrite()
        for operation in (write, flush):
            with pytest.raises(MessageTooLongError):
                operation.get_results()
        assert drained(far) == [bytes(20)]


def test_only_so_many_flushes_wait():
    """Whoever gets there never awaited one; datagrams are counted apart."""
    with full_pair(limits(datagram_queue=3)) as (transport, far, _):
        waiting = [transport.send_many([b"x"] * 3, None)]
        waiting += [transport.flush() for _ in range(3)]
        with pytest.raises(SocketException, match="3 flushes wait already") as caught:
            transport.flush()
        assert caught.value.errno == errno.ENOBUFS
        drained(far)
        transport.doWrite()
        assert {operation.status for operation in waiting} == {COMPLETED}


# Those that do not leave


@on_linux
@pytest.mark.parametrize("which", [1, 5, 9])
def test_one_that_is_held_back_can_be_cancelled(which):
    """It ends with OPERATION_ABORTED; the others leave together, in order."""
    with watched_pair() as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(10)]
        operations[0].cancel()
        operations[which].cancel()
        with pytest.raises(OperationAbortedError):
            operations[which].get_results()
        assert transport.flush().get_results() is True
        operations[2 if which != 2 else 3].cancel()
        rest = numbered(10)
        del rest[which], operations[which]
        assert {operation.get_results() for operation in operations} == {100}
        assert drained(far) == rest
        assert skt.calls == [("send", 100), ("sendmsg", 800)]


@pytest_twisted.ensureDeferred
async def test_when_all_that_were_held_back_are_cancelled_nothing_happens():
    """And the next is held back again, for a burst is on."""
    with watched_pair() as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(3)]
        for operation in operations[1:]:
            operation.cancel()
        assert transport.send(b"next", to).status is STARTED
        await turns(2)
        assert drained(far) == [numbered(3)[0], b"next"]
        assert len(skt.calls) == 2
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError):
                operation.get_results()


@pytest.mark.parametrize("how", ["close", "finish", "lost"])
def test_what_was_handed_in_is_sent_before_the_end(how):
    """A program that closes, forgets, or stops its reactor has written it before that."""
    with watched_pair() as (transport, _, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(10)]
        if how == "lost":
            transport.connectionLost(Failure(ConnectionLost()))
        else:
            getattr(transport, how)()
        assert not transport.open
        assert {operation.get_results() for operation in operations} == {100}
        assert drained(far) == numbered(10)


def test_closing_aborts_what_of_a_batch_finds_no_room():
    """Nobody waits for that."""
    with watched_pair() as (transport, skt, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(10)]
        skt.errors["sendmsg"] = [errno.EAGAIN]
        transport.close()
        assert operations[0].get_results() == 100
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError, match="aborted by close"):
                operation.get_results()
        assert drained(far) == numbered(1)


def test_who_is_told_by_the_last_batch_may_close_too():
    """And write: that is refused."""
    with watched_pair() as (transport, _, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(3)]
        operations[1].addCallback(lambda size: transport.close())
        transport.close()
        assert not transport.open
        assert drained(far) == numbered(3)
        assert operations[2].get_results() == 100


def test_nothing_is_sent_on_a_descriptor_that_somebody_closed():
    """Its number may be that of another socket by now."""
    with watched_pair() as (transport, skt, _, to):
        operations = [transport.send(datagram, to) for datagram in numbered(3)]
        skt.calls.clear()
        transport.connectionLost(Failure(ConnectionFdescWentAway()))
        assert skt.calls == []
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError):
                operation.get_results()


def test_cancelling_all_takes_back_what_is_held_back():
    """And leaves a transport that sends at once."""
    with watched_pair() as (transport, _, far, to):
        operations = [transport.send(datagram, to) for datagram in numbered(3)]
        transport.cancel_sends("as the test wants it")
        for operation in operations[1:]:
            with pytest.raises(OperationAbortedError, match="as the test wants it"):
                operation.get_results()
        transport.release()
        assert drained(far) == numbered(1)


# All of it


class Sender:
    """Does to a transport what a program may do, and knows what has to arrive."""

    def __init__(self, transport, to):
        self.transport = transport
        self.to = to
        self.written = []

    def write(self, size):
        """Write one."""
        number = len(self.written).to_bytes(2, "big")
        datagram = (number + bytes(size))[:size] if size < 2 else number + bytes(size - 2)
        self.written.append((self.transport.send(datagram, self.to), [datagram]))

    def write_many(self, sizes):
        """Write several."""
        datagrams = [bytes([len(self.written) % 256]) * size for size in sizes]
        self.written.append((self.transport.send_many(datagrams, self.to), datagrams))

    def wait(self, which):
        """Await one, and go on when that would take longer."""
        if self.written:
            self.written[which % len(self.written)][0].holder.release()

    def cancel(self, which):
        """Cancel one of those that leave whole or not at all."""
        single = [operation for operation, datagrams in self.written if len(datagrams) == 1]
        if single:
            single[-1 - which % len(single)].cancel()

    def flush(self, _):
        """Flush, and do not wait."""
        self.transport.flush()

    def expected(self):
        """What was written and not taken back."""
        return [
            datagram
            for operation, datagrams in self.written
            if operation.status is COMPLETED
            for datagram in datagrams
        ]


SIZE = st.sampled_from([0, 1, 2, 50, 100, 100, 100, 100, 1472, 30_000])
ACTIONS = st.lists(
    st.tuples(st.just("write"), SIZE)
    | st.tuples(st.just("write"), st.just(100))
    | st.tuples(st.just("write_many"), st.lists(SIZE, max_size=8))
    | st.tuples(st.sampled_from(["wait", "cancel", "flush"]), st.integers(0, 50)),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.booleans(), st.lists(st.sampled_from([0, 0, errno.EAGAIN, errno.EMSGSIZE]), max_size=8))
def test_what_completes_arrives_once_and_in_order(actions, connected, answers):
    """Whatever the mix of writes, waits, cancels and flushes, and of answers of the system."""
    with watched_pair(connected) as (transport, skt, far, to):
        sender = Sender(transport, to)
        skt.errors["sendmsg"] = answers
        arrived = []
        for name, argument in actions:
            getattr(sender, name)(argument)
            arrived += drained(far)
        for _ in range(100):
            transport.release()
            transport.doWrite()
            arrived += drained(far)
        assert STARTED not in {operation.status for operation, _ in sender.written}
        assert arrived == sender.expected()
        for operation, _ in sender.written:
            operation.addErrback(lambda failure: failure.trap(OperationAbortedError))
