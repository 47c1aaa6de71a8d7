"""The kit for connected streams, on memory, on real connections, under faults, and on broken ones."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from tests.testing.pipe import PipeInput, PipeOutput, complaint, pipes
from winsockets import AsyncOperation, StreamSocket, StreamSocketListener
from winsockets.testing import FaultProxy, Faults, check_stream_pair, stream_socket_pair


def has_ipv6():
    """Whether this system can listen on ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


ADDRESSES = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")),
]
to_either_end = pytest.mark.parametrize("flipped", [False, True], ids=["to the server", "to the client"])


def in_memory(flipped=False, **how):
    """Sockets without a network."""

    @asynccontextmanager
    async def make():
        client, server = stream_socket_pair(**how)
        async with client, server:
            sender, receiver = (server, client) if flipped else (client, server)
            yield sender.output_stream, receiver.input_stream

    return make


def over_loopback(host, flipped=False, faults=None):
    """Sockets over the network of one machine, through a proxy when there are faults."""

    @asynccontextmanager
    async def make():
        accepted = Deferred()
        listener = StreamSocketListener()
        listener.connection_received += lambda sender, args: accepted.callback(args.socket)
        await listener.bind_endpoint_async(host, "0")
        async with listener, StreamSocket() as client:
            port = listener.information.local_port
            if faults is None:
                await client.connect_async(host, port)
                async with await accepted as server:
                    yield ends(client, server)
            else:
                async with FaultProxy(host, port, to_server=faults, to_client=faults) as proxy:
                    await client.connect_async(proxy.host, proxy.port)
                    async with await accepted as server:
                        yield ends(client, server)

    def ends(client, server):
        sender, receiver = (server, client) if flipped else (client, server)
        return sender.output_stream, receiver.input_stream

    return make


@pytest_twisted.ensureDeferred
async def test_somebody_else_s_streams_pass():
    """The contract is not that of sockets alone."""
    await check_stream_pair(pipes())


@to_either_end
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"capacity": 1000},
        {"to_server": Faults(most_at_once=1000), "to_client": Faults(most_at_once=999)},
        {"to_server": Faults(delay=0.0001), "to_client": Faults(delay=0.0001)},
    ],
    ids=["plain", "small", "short writes", "delays"],
)
@pytest_twisted.ensureDeferred
async def test_sockets_in_memory_pass(how, flipped):
    """Whatever a network that loses nothing may do to them."""
    await check_stream_pair(in_memory(flipped, **how))


@to_either_end
@pytest.mark.parametrize("host", ADDRESSES)
@pytest_twisted.ensureDeferred
async def test_sockets_over_loopback_pass(host, flipped):
    """Real ones."""
    await check_stream_pair(over_loopback(host, flipped))


@to_either_end
@pytest_twisted.ensureDeferred
async def test_sockets_behind_a_proxy_pass(flipped):
    """With bytes that come in small pieces."""
    await check_stream_pair(over_loopback("127.0.0.1", flipped, Faults(most_at_once=5000)))


def test_a_clock_can_keep_the_time():
    """Without a reactor that runs, advanced by the test."""
    clock = Clock()
    going = ensureDeferred(check_stream_pair(in_memory(reactor=clock), reactor=clock))
    while not going.called:
        clock.advance(0)
    assert going.result is None
    assert clock.getDelayedCalls() == []


class ReadsTwice(PipeInput):
    def read(self, max_bytes=65536):
        if self.reader is not None:
            self.abort()
        return super().read(max_bytes)


class NeverWaits(PipeInput):
    def read(self, max_bytes=65536):
        if not self.held and not self.closed and self.reader is None and max_bytes > 0:
            return AsyncOperation.from_result(b"")
        return super().read(max_bytes)


class LosesWhenCancelled(PipeInput):
    def abort(self):
        lost = self.reader is not None and not self.closed
        super().abort()
        if lost:
            self.put = lambda data: setattr(self, "put", super(LosesWhenCancelled, self).put)


class CancelsTwistedly(PipeInput):
    def abort(self):
        if self.reader is not None:
            reader, self.reader = self.reader, None
            reader._canceller = None
            reader.cancel()


class StaysBusy(PipeInput):
    def abort(self):
        reader = self.reader
        super().abort()
        if reader is not None and not self.closed:
            self.reader = AsyncOperation()


class PutsBackBehind(PipeInput):
    late = b""

    def _unread(self, data):
        if self.ended:
            super()._unread(data)
        else:
            self.late += data

    def put(self, data):
        late, self.late = self.late, b""
        super().put(data + late)


class ForgetsReader(PipeInput):
    def close(self):
        self.closed = True


class EndsSilently(PipeInput):
    def end(self):
        self.ended = True


class Swallows(PipeInput):
    count = 0

    def put(self, data):
        before, self.count = self.count, self.count + len(data)
        super().put(data[1:] if before < 100_000 <= self.count else data)


class NoProgress(PipeInput):
    def read_async(self, buffer, count, options):
        operation = super().read_async(buffer, count, options)
        operation.report = lambda count: None
        return operation


class TakesEverything(PipeOutput):
    def enqueue(self, operation, data, result):
        if any(data) or not data or len(data) < 65_536:
            self.other.capacity = 1 << 20
            return super().enqueue(operation, data, result)
        operation.callback(len(data))  # and it is gone
        return operation


class EndsEarly(PipeOutput):
    def write_async(self, buffer):
        operation = super().write_async(buffer)
        if not operation.called and len(self.waiting) > 1:
            operation.callback = lambda result: None
            AsyncOperation.callback(operation, len(memoryview(buffer)))
        return operation


class FlushesEarly(PipeOutput):
    def flush_async(self):
        return AsyncOperation.from_result(True) if not self.closed else super().flush_async()


class TakesNothingBack(PipeOutput):
    def take_back(self, operation):
        pass


class SendsWhatWasTakenBack(PipeOutput):
    def take_back(self, operation):
        for place, (waiting, data, result) in enumerate(self.waiting):
            if waiting is operation:
                self.waiting[place] = (AsyncOperation(), data, result)
        super().take_back(operation)


BROKEN_INPUTS = [
    (NeverWaits, "a waiting read gets what is written later"),
    (ReadsTwice, "only one read waits at a time"),
    (CancelsTwistedly, "a cancelled read loses nothing"),
    (LosesWhenCancelled, "a cancelled read loses nothing"),
    (StaysBusy, "a cancelled read loses nothing"),
    (PutsBackBehind, "a cancelled longer read puts back what it took"),
    (NoProgress, "a cancelled longer read puts back what it took"),
    (EndsSilently, "a read that waits is told of the end"),
    (ForgetsReader, "closing the input aborts the waiting read"),
    (Swallows, "much goes through in any pieces"),
]
BROKEN_OUTPUTS = [
    (TakesEverything, "writes wait when nobody reads"),
    (EndsEarly, "writes wait when nobody reads"),
    (FlushesEarly, "writes wait when nobody reads"),
    (TakesNothingBack, "writes wait when nobody reads"),
    (SendsWhatWasTakenBack, "writes wait when nobody reads"),
]


@pytest.mark.parametrize(("kind", "rule"), BROKEN_INPUTS, ids=[kind.__name__ for kind, _ in BROKEN_INPUTS])
def test_an_input_that_breaks_a_rule_is_told_which(kind, rule):
    """One small mistake each."""
    assert complaint(check_stream_pair, pipes(stream=kind)).startswith(f"{rule}: ")


@pytest.mark.parametrize(("kind", "rule"), BROKEN_OUTPUTS, ids=[kind.__name__ for kind, _ in BROKEN_OUTPUTS])
def test_an_output_that_breaks_a_rule_is_told_which(kind, rule):
    """One small mistake each."""
    assert complaint(check_stream_pair, pipes(kind)).startswith(f"{rule}: ")


@pytest_twisted.ensureDeferred
async def test_streams_whose_writes_never_wait_can_be_checked():
    """Those rules are left out on demand."""
    await check_stream_pair(pipes(TakesEverything), clogs=False)
