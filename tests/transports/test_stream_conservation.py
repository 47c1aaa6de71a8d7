"""Whatever is called in whichever order: what arrives is what was accepted, once, in order, and all ends."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from tests.transports.loopback import limits, pattern
from winsockets.errors import IllegalMethodCallError, OperationAbortedError, SocketException
from winsockets.foundation import AsyncOperation, AsyncStatus
from winsockets.testing import Faults, connect_protocols
from winsockets.transports import StreamProtocol
from winsockets.transports._write_queue import _SMALL as SMALL
from winsockets.transports._write_queue import WRITE_OVERHEAD

BYTES = pattern(200_000)
"""No short run of them looks like another, so what is lost, doubled or swapped shows."""
SIZES = st.one_of(st.integers(0, 20), st.sampled_from([0, 1, 500, SMALL, SMALL + 1, 3 * SMALL]))
KINDS = st.sampled_from([bytes, bytearray, memoryview])
LONG = 1_000.0
"""Seconds after which every deadline has come."""


@dataclass(eq=False)
class Written:
    """A call and what came of it."""

    data: bytes = b""
    flushes: bool = False
    operation: AsyncOperation[Any] | None = None
    # Of a flush: the calls before it.
    before: list[Written] = field(default_factory=list)

    @property
    def status(self) -> AsyncStatus:
        """How it stands."""
        assert self.operation is not None
        return self.operation.status

    @property
    def contribution(self) -> bytes:
        """What the stream has of it in the end, if nothing happens to the connection."""
        if self.status is AsyncStatus.ERROR and not getattr(self.operation, "sent", 0):
            return b""
        return self.data


class Conversation(RuleBasedStateMachine):
    """One end writes in every way there is, the other reads, and the connection may break."""

    written = Bundle("written")

    @initialize(
        faults=st.builds(
            Faults,
            most_at_once=st.sampled_from([None, None, 1, 7, 5_000]),
            reset_at=st.one_of(st.none(), st.none(), st.integers(0, 30_000)),
            delay=st.sampled_from([0.0, 0.0, 0.5]),
        ),
        capacity=st.sampled_from([1, 10, 3_000, 65_536]),
        bounds=st.tuples(st.sampled_from([1, 2_000, 100_000]), st.sampled_from([1, 600, 6_000, 10_000_000])),
    )
    def connect(self, faults, capacity, bounds):
        """Connect the two."""
        self.clock = Clock()
        write_queue, write_batch = bounds
        self.limits = limits(write_queue=write_queue, write_batch=write_batch, read_high_water=1_000)
        self.protocol = StreamProtocol(self.clock, self.limits)
        self.peer = StreamProtocol(self.clock, self.limits)
        self.transport, _ = connect_protocols(
            self.protocol, self.peer, self.clock, to_server=faults, capacity=capacity
        )
        self.accepted = bytearray()
        send = self.transport.send

        def noting(data):
            count = send(data)
            self.accepted += data[:count]
            return count

        self.transport.send = noting
        self.offset = 0
        self.calls: list[Written] = []
        self.received = bytearray()
        self.reading: AsyncOperation[bytes] | None = None
        self.ended: str | None = None

    # What the writing end does

    def _call(self, data, function, argument, flushes=False):
        """Make a call that gives an operation, and keep the account of it."""
        before = list(self.calls)
        # Whoever is told within the call may write behind it.
        call = Written(data, flushes, None, before)
        self.calls.append(call)
        try:
            call.operation = function(*argument)
        except IllegalMethodCallError:
            assert self.protocol._output_shut
            self.calls.remove(call)
            return None
        except SocketException as problem:
            if problem.errno != errno.ENOBUFS:
                raise
            assert self.protocol._queue.charge > self.limits.write_queue
            self.calls.remove(call)
            return None
        return call

    def _next(self, size):
        data = BYTES[self.offset : self.offset + size]
        self.offset = (self.offset + size) % (len(BYTES) - 20_000)
        return data

    def _write(self, size, kind):
        data = self._next(size)
        return self._call(data, self.protocol.write, (kind(data),))

    @rule(target=written, size=SIZES, kind=KINDS)
    def write(self, size, kind):
        """Without awaiting."""
        return self._write(size, kind)

    @rule(target=written, sizes=st.lists(st.integers(0, 50), min_size=2, max_size=8))
    def burst(self, sizes):
        """Several, without awaiting."""
        return [self._write(size, bytes) for size in sizes][-1]

    @rule(target=written, size=SIZES, kind=KINDS)
    def write_and_await(self, size, kind):
        """As programs do."""
        call = self._write(size, kind)
        self._await(call)
        return call

    @rule(target=written, sizes=st.lists(SIZES, max_size=6), kind=KINDS)
    def write_many(self, sizes, kind):
        """Several buffers in one call."""
        pieces = [self._next(size) for size in sizes]
        return self._call(b"".join(pieces), self.protocol.write_many, ([kind(piece) for piece in pieces],))

    @rule(target=written)
    def flush(self):
        """Wait for all before it; it has to end after them."""
        return self._call(b"", self.protocol.flush, (), flushes=True)

    @rule(call=written, size=SIZES)
    def write_when_told(self, call, size):
        """From within whatever ends another."""
        if call is not None:
            call.operation.addBoth(lambda result: (self._write(size, bytes), result)[1])

    @rule(call=written)
    def cancel_when_told(self, call):
        """Another one, from within whatever ends one."""
        if call is not None:
            call.operation.addBoth(lambda result: (self._cancel(self.calls[-1]), result)[1])

    @rule(call=written)
    def await_it(self, call):
        """However it stands."""
        self._await(call)

    def _await(self, call):
        async def wait():
            with suppress(SocketException):
                await call.operation

        if call is not None:
            ensureDeferred(wait())

    @rule(call=consumes(written))
    def cancel(self, call):
        """Take it back, or break off."""
        self._cancel(call)

    def _cancel(self, call):
        if call is not None and call.operation is not None:
            call.operation.cancel()

    @rule()
    def cancel_io(self):
        """Take all back."""
        self.protocol.cancel_io()

    @rule()
    def turn(self):
        """The reactor goes round."""
        self.clock.advance(0)
        assert not self.protocol._held

    @rule()
    def wait(self):
        """Some time goes by."""
        self.clock.advance(0.5)

    @rule(count=st.integers(1, 20_000))
    def read(self, count):
        """The peer reads, or waits for something to read."""
        if self.reading is None and self.ended is None:
            self.reading = self.peer.read(count)
            self.reading.addCallbacks(self._heard, self._broke_off)

    def _heard(self, data):
        self.reading = None
        self.received += data
        if not data:
            self.ended = self.ended or "end"

    def _broke_off(self, failure):
        failure.trap(SocketException)
        self.reading = None
        self.ended = self.ended or "reset"

    @rule(data=st.binary(min_size=1, max_size=10))
    def answer(self, data):
        """The peer writes; the writer may hear of it later, or never."""
        with suppress(SocketException):
            self.peer.write(data).addErrback(lambda failure: failure.trap(SocketException))

    @precondition(lambda self: self.protocol._unread)
    @rule()
    def hear(self):
        """The writer reads what there is."""
        self.protocol.read(100)

    # The end

    @precondition(lambda self: len(self.calls) > 3)
    @rule()
    def half_close(self):
        """The stream ends behind what was written."""
        self.protocol.shut_output()

    @precondition(lambda self: len(self.calls) > 5)
    @rule()
    def close(self):
        """The connection ends behind what was written."""
        self.protocol.close()

    @precondition(lambda self: len(self.calls) > 5)
    @rule(how=st.sampled_from(["close", "abort", "half close"]))
    def peer_goes(self, how):
        """The peer has had enough."""
        if how != "half close" and self.ended is None:
            self.ended = "gone"
        if how == "close":
            self.peer.close()
        elif how == "abort":
            self.peer.abort(OperationAbortedError("enough"))
        else:
            self.peer.shut_output()

    # What is always so

    @invariant()
    def what_left_is_what_was_written(self):
        """In the order of the calls, none twice, none of what was taken back; all of what completed."""
        whole = b"".join(call.contribution for call in self.calls)
        assert whole.startswith(self.accepted)
        assert self.accepted.startswith(self.received)
        done = [number for number, call in enumerate(self.calls) if call.status is AsyncStatus.COMPLETED]
        if done:
            least = b"".join(call.contribution for call in self.calls[: done[-1] + 1])
            assert len(self.accepted) >= len(least)

    @invariant()
    def results_are_sizes(self):
        """Of what was written, or True."""
        for call in self.calls:
            if call.status is AsyncStatus.COMPLETED:
                assert call.operation.get_results() == (True if call.flushes else len(call.data))

    @invariant()
    def a_flush_ends_after_what_is_before_it(self):
        """All of it."""
        for call in self.calls:
            if call.flushes and call.status is AsyncStatus.COMPLETED:
                assert all(earlier.status is not AsyncStatus.STARTED for earlier in call.before)

    @invariant()
    def memory_is_bounded(self):
        """By the limit, and one write more; the account is of what is there."""
        queue = self.protocol._queue
        flushes = sum(call.flushes for call in self.calls)
        assert queue.charge == sum(entry.size - entry.sent + WRITE_OVERHEAD for entry in queue)
        most = max((len(call.data) for call in self.calls), default=0)
        assert queue.charge <= self.limits.write_queue + most + WRITE_OVERHEAD * (1 + flushes)
        if self.protocol._held:
            assert queue.charge < self.limits.write_batch

    @invariant()
    def somebody_will_go_on(self):
        """What waits is held until the turn ends, or the transport tells when there is room."""
        if self.protocol._held:
            assert self.protocol.pending
            assert self.protocol._turn_end is not None
            assert self.protocol._turn_end.active()
        elif self.protocol.pending:
            assert self.transport._writing
        elif not self.protocol._output_shut and self.protocol._write_error is None:
            assert not self.transport._writing

    def teardown(self):
        """All ends, all that was accepted arrives, and nothing is left behind."""
        if not hasattr(self, "clock"):
            return
        self.protocol.close()
        for _ in range(10 * len(self.accepted) + 100_000):
            if self.ended is not None:
                break
            self.read(20_000)
            self.clock.advance(0)
            if self.reading is not None:
                self.clock.advance(0.5)
        assert self.ended is not None
        self.peer.close()
        self.clock.advance(LONG)
        self.clock.advance(0)
        assert self.protocol.lost
        assert self.peer.lost
        for call in self.calls:
            assert call.operation.called
            call.operation.addErrback(lambda failure: failure.trap(SocketException))
        self.what_left_is_what_was_written()
        self.results_are_sizes()
        self.a_flush_ends_after_what_is_before_it()
        assert not self.protocol.pending
        assert not self.clock.getDelayedCalls()
        if self.ended == "end":
            assert self.received == self.accepted == b"".join(call.contribution for call in self.calls)


def test_what_arrives_is_what_was_accepted_and_every_operation_ends():
    """However writes, awaits, cancellations, room, time, reads and ends mix."""
    run_state_machine_as_test(Conversation, settings=settings(stateful_step_count=40))
