"""Going through accepted connections with ``async for``."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack, asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, ensureDeferred

from tests.transports.loopback import PATIENCE, limits, rest, turn, until
from winsockets.errors import ERROR_INVALID_OPERATION, BusyError
from winsockets.sockets import StreamSocketListener, StreamSocketListenerConnectionReceivedEventArgs
from winsockets.sockets._connections import ConnectionQueue


@asynccontextmanager
async def listener_with(count=1, **settings):
    """A bound listener and so many iterators over its connections."""
    async with StreamSocketListener() as listener:
        for name, value in settings.items():
            setattr(listener.control, name, value)
        iterators = [listener.connections() for _ in range(count)]
        await listener.bind_endpoint_async("127.0.0.1", "")
        yield listener, *iterators


def client(listener):
    """A plain socket, connected to a listener."""
    return socket.create_connection(("127.0.0.1", int(listener.information.local_port)), PATIENCE)


@pytest_twisted.ensureDeferred
async def test_connections_come_in_order_until_the_listener_is_closed():
    """Those that wait by then are given, too."""
    async with listener_with() as (listener, connections):
        assert aiter(connections) is connections
        with client(listener) as first, client(listener) as second, client(listener) as third:
            peers = []
            async for connection in connections:
                peers.append(connection.information.remote_port)
                async with connection:
                    await connection.output_stream.write_async(b"hello")
                if len(peers) == 1:
                    await until(lambda: connections._queue._sockets)
                    listener.close()
            given = [first, second, third][: len(peers)]
            assert peers == [str(peer.getsockname()[1]) for peer in given]
            assert len(peers) >= 2
            for peer in given:
                assert await rest(peer) == b"hello"
        with pytest.raises(StopAsyncIteration):
            await anext(connections)


@pytest_twisted.ensureDeferred
async def test_whoever_waits_hears_of_the_end():
    """At once."""
    async with listener_with() as (listener, connections):
        waiting = ensureDeferred(anext(connections))
        listener.close()
        with pytest.raises(StopAsyncIteration):
            await waiting


@pytest_twisted.ensureDeferred
async def test_a_program_that_is_slow_lets_clients_wait_outside():
    """At the bound accepting pauses; it goes on as the program does, and nobody is lost."""
    async with listener_with(limits=limits(connection_queue=3)) as (listener, connections):
        with ExitStack() as stack:
            peers = [stack.enter_context(client(listener)) for _ in range(10)]
            for taken in range(10):
                await until(lambda taken=taken: len(connections._queue._sockets) == min(3, 10 - taken))
                await turn(5)
                assert len(connections._queue._sockets) <= 3
                async with await anext(connections) as connection:
                    await connection.output_stream.write_async(b"you")
            for peer in peers:
                assert await rest(peer) == b"you"


@pytest_twisted.ensureDeferred
async def test_leaving_a_loop_and_coming_back_loses_nothing():
    """The iterator keeps what comes meanwhile."""
    async with listener_with() as (listener, connections):
        with client(listener) as first, client(listener) as second:
            got = []
            for _ in range(2):
                async for connection in connections:
                    got.append(connection)
                    break
            names = [connection.information.remote_port for connection in got]
            assert names == [str(peer.getsockname()[1]) for peer in (first, second)]
            for connection in got:
                connection.close()
                await connection.wait_closed_async()


@pytest_twisted.ensureDeferred
async def test_one_waits_at_a_time():
    """A second one is refused, and the first goes on."""
    async with listener_with() as (listener, connections):
        waiting = ensureDeferred(anext(connections))
        with pytest.raises(BusyError, match="another task waits") as caught:
            await anext(connections)
        assert caught.value.hresult == ERROR_INVALID_OPERATION
        with client(listener):
            async with await waiting:
                pass


@pytest_twisted.ensureDeferred
async def test_a_cancelled_wait_loses_no_connection():
    """The next one gets it."""
    async with listener_with() as (listener, connections):
        waiting = ensureDeferred(anext(connections))
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        with client(listener) as peer:
            async with await anext(connections) as connection:
                assert connection.information.remote_port == str(peer.getsockname()[1])


def step(waiter, throw=None):
    """Let a coroutine go on by hand: what it waits for, or what it returned."""
    try:
        return waiter.send(None) if throw is None else waiter.throw(throw)
    except StopIteration as end:
        return end.value


def put(queue, *sockets):
    """Let a queue take sockets; any object will do."""
    for stream_socket in sockets:
        queue.put(None, StreamSocketListenerConnectionReceivedEventArgs(stream_socket))


def test_a_wait_that_is_cancelled_between_its_waking_and_its_turn_loses_no_connection():
    """As tasks of asyncio can be: they go on in a later turn than the one in which they are woken."""
    queue = ConnectionQueue(10)
    waiter = queue.get()
    operation = step(waiter)
    put(queue, "first")
    assert operation.called
    with pytest.raises(CancelledError):
        step(waiter, CancelledError())
    assert step(queue.get()) == "first"


def test_a_wait_whose_connection_was_taken_before_its_turn_waits_on():
    """Unless somebody else waits by then."""
    queue = ConnectionQueue(10)
    woken = queue.get()
    step(woken)
    put(queue, "first")
    assert step(queue.get()) == "first"
    assert not step(woken).called
    put(queue, "second")
    assert step(woken) == "second"

    late, other = queue.get(), queue.get()
    step(late)
    put(queue, "third")
    assert step(queue.get()) == "third"
    step(other)
    with pytest.raises(BusyError):
        step(late)
    put(queue, "fourth")
    assert step(other) == "fourth"


@pytest_twisted.ensureDeferred
async def test_two_iterators_both_get_every_connection_and_pause_for_themselves():
    """Accepting goes on when both have caught up."""
    async with listener_with(2, limits=limits(connection_queue=1)) as (listener, one, other):
        with client(listener), client(listener):
            first = await anext(one)
            await turn(5)
            assert not one._queue._sockets, "the other one has not caught up"
            assert await anext(other) is first
            second = await anext(one)
            assert await anext(other) is second
            for connection in (first, second):
                connection.close()
                await connection.wait_closed_async()


@pytest_twisted.ensureDeferred
async def test_whoever_waits_for_connections_keeps_the_listener():
    """A program may consist of one that waits."""
    ports, served = [], []

    async def serve():
        listener = StreamSocketListener()
        connections = listener.connections()
        await listener.bind_endpoint_async("127.0.0.1", "")
        ports.append(int(listener.information.local_port))
        async for connection in connections:
            async with connection:
                await connection.output_stream.write_async(b"hello")
                served.append(connection)
            listener.close()
        await listener.wait_closed_async()
        served.append("the end")

    ensureDeferred(serve())
    await until(lambda: ports)
    gc.collect()
    await turn(5)
    with socket.create_connection(("127.0.0.1", ports[0]), PATIENCE) as peer:
        assert await rest(peer) == b"hello"
    await until(lambda: len(served) == 2)


@pytest_twisted.ensureDeferred
async def test_connections_that_nobody_can_take_any_more_are_closed():
    """Listener and iterator are gone, also those whose peer has ended already; by the count of references."""
    gc.collect()
    gc.disable()
    try:
        async with StreamSocketListener() as listener:
            connections = listener.connections()
            await listener.bind_endpoint_async("127.0.0.1", "")
            with client(listener) as first, client(listener) as second:
                second.shutdown(socket.SHUT_WR)
                await until(lambda: len(connections._queue._sockets) == 2)
                protocols = [connection._link.protocol for connection in connections._queue._sockets]
                await until(lambda: any(protocol._ended for protocol in protocols))
                listener.close()
                connections = None
                assert await rest(first) == await rest(second) == b""
    finally:
        gc.enable()
