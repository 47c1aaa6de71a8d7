"""Where datagrams go: to every handler, and to iterators that wait, fall behind, or are forgotten."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.sockets.datagrams import HOSTS, outcome, receiver_on
from tests.transports.datagrams import on_linux, turns, until
from winsockets.errors import (
    BusyError,
    IllegalMethodCallError,
    MessageTooLongError,
    ObjectClosedError,
    OperationCanceledError,
    ResetByPeerError,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation, AsyncStatus
from winsockets.sockets import DatagramSocket

STARTED = AsyncStatus.STARTED


async def sender_to(receiver, host="127.0.0.1"):
    """A socket that is connected to another, and its messages."""
    sender = DatagramSocket()
    await sender.connect_async(host, receiver.information.local_port)
    return sender


def next_of(messages):
    """The wait for the next message, as an operation."""
    return AsyncOperation.run(anext(messages))


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_messages_come_in_the_order_of_arrival(host):
    """Those that wait and those that are waited for."""
    receiver, messages = await receiver_on(host)
    async with receiver, await sender_to(receiver, host) as sender:
        waited_for = next_of(messages)
        await turns()
        assert waited_for.status is STARTED
        for number in range(10):
            await sender.output_stream.write_async(bytes([number]))
        assert (await waited_for).data == b"\0"
        assert [(await anext(messages)).data for _ in range(9)] == [bytes([n]) for n in range(1, 10)]


@pytest_twisted.ensureDeferred
async def test_what_the_program_does_not_keep_up_with_is_dropped_and_counted():
    """The newest; and there is room again when it has taken one."""
    receiver = DatagramSocket()
    messages = receiver.messages()
    # Also when the bound is set after the iterator was taken.
    receiver.control.limits = replace(DEFAULT_LIMITS, message_queue=3)
    await receiver.bind_endpoint_async("127.0.0.1", "")
    async with receiver, await sender_to(receiver) as sender:
        for number in range(5):
            await sender.output_stream.write_async(bytes([number]))
        await until(lambda: receiver.information.dropped_messages == 2)
        assert (await anext(messages)).data == b"\0"
        await sender.output_stream.write_async(b"last")
        assert [(await anext(messages)).data for _ in range(3)] == [b"\1", b"\2", b"last"]
        assert receiver.information.dropped_messages == 2


@on_linux
@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_flood_is_delivered_or_counted_and_a_quiet_sender_is_heard_after_it(host):
    """Neither the program's queue nor the system's grows; the books balance."""
    sent = 3000
    receiver = DatagramSocket()
    receiver.control.limits = replace(DEFAULT_LIMITS, message_queue=50)
    receiver.control.inbound_buffer_size_in_bytes = 65_536
    receiver, messages = await receiver_on(host, socket=receiver)
    async with (
        receiver,
        await sender_to(receiver, host) as flooding,
        await sender_to(receiver, host) as quiet,
    ):
        for number in range(sent):
            await flooding.output_stream.write_async(number.to_bytes(4, "big"))
            if number % 500 == 0:
                await turns()
        information = receiver.information
        dropped = information.dropped_by_system
        assert 0 < dropped < sent
        await until(lambda: information.dropped_messages == sent - dropped - 50)
        first = [number.to_bytes(4, "big") for number in range(50)]
        assert [(await anext(messages)).data for _ in range(50)] == first
        await quiet.output_stream.write_async(b"quiet")
        assert (await anext(messages)).data == b"quiet"
        assert information.dropped_by_system == dropped


@pytest_twisted.ensureDeferred
async def test_the_end_comes_after_what_waits():
    """And it is the end for good."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await sender_to(receiver) as sender:
        await sender.output_stream.write_async(b"1")
        await sender.output_stream.write_async(b"2")
        await until(lambda: len(messages._messages) == 2)
    assert [message.data async for message in messages] == [b"1", b"2"]
    assert [message async for message in messages] == []


@pytest_twisted.ensureDeferred
async def test_closing_ends_the_wait_for_a_message():
    """Of every iterator."""
    receiver = DatagramSocket()
    iterators = [receiver.messages() for _ in range(2)]
    await receiver.bind_endpoint_async("127.0.0.1", "")

    async def all_of(messages):
        return [message async for message in messages]

    waiting = [AsyncOperation.run(all_of(messages)) for messages in iterators]
    receiver.close()
    assert [operation.get_results() for operation in waiting] == [[], []]


@pytest_twisted.ensureDeferred
async def test_every_iterator_and_every_handler_gets_every_message():
    """They do not take them from each other."""
    receiver = DatagramSocket()
    handled = []
    receiver.message_received += lambda sender, args: handled.append(args)
    iterators = [receiver.messages(), receiver.messages()]
    await receiver.bind_endpoint_async("127.0.0.1", "")
    async with receiver, await sender_to(receiver) as sender:
        await sender.output_stream.write_async(b"x")
        first, second = [await anext(messages) for messages in iterators]
        assert first is second is handled[0]


@pytest_twisted.ensureDeferred
async def test_one_task_waits_for_a_message():
    """Another is refused, and does not disturb it."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await sender_to(receiver) as sender:
        waiting = next_of(messages)
        refused = outcome(next_of(messages))
        assert isinstance(refused, BusyError)
        assert "messages()" in str(refused)
        await sender.output_stream.write_async(b"x")
        assert (await waiting).data == b"x"


@pytest_twisted.ensureDeferred
async def test_a_cancelled_wait_loses_no_message():
    """The next wait gets it."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await sender_to(receiver) as sender:
        waiting = next_of(messages)
        waiting.cancel()
        assert isinstance(outcome(waiting), OperationCanceledError)
        await sender.output_stream.write_async(b"x")
        assert (await anext(messages)).data == b"x"


@pytest_twisted.ensureDeferred
async def test_a_task_that_is_cancelled_at_the_last_moment_loses_no_message():
    """Asyncio wakes a task a turn after what it waits for has happened within another task."""
    from twisted.internet import reactor

    if not hasattr(reactor, "_asyncioEventloop"):
        pytest.skip("only in asyncio's tasks")
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await sender_to(receiver) as sender:
        (transport,) = receiver._link.transports.values()
        start = reactor._asyncioEventloop.create_task
        task = start(anext(messages))
        await turns(2)
        await sender.output_stream.write_async(b"1")
        await sender.output_stream.write_async(b"2")

        async def receive_and_cancel():
            transport.doRead()
            task.cancel()

        await Deferred.fromFuture(start(receive_and_cancel()))
        with pytest.raises(asyncio.CancelledError):
            await Deferred.fromFuture(task)
        assert [(await anext(messages)).data for _ in range(2)] == [b"1", b"2"]


@pytest_twisted.ensureDeferred
async def test_an_iterator_must_be_taken_before_binding():
    """As a handler must be attached before."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        with pytest.raises(IllegalMethodCallError, match="messages: the socket is bound"):
            socket.messages()
    with pytest.raises(ObjectClosedError):
        socket.messages()


@pytest_twisted.ensureDeferred
async def test_an_error_is_a_message():
    """What refuses does not end the iteration."""
    nobody = DatagramSocket()
    await nobody.bind_endpoint_async("127.0.0.1", "")
    port = nobody.information.local_port
    nobody.close()
    async with DatagramSocket() as socket:
        messages = socket.messages()
        await socket.connect_async("127.0.0.1", port)
        await socket.output_stream.write_async(b"anybody?")
        message = await anext(messages)
        with pytest.raises(ResetByPeerError):
            message.data  # noqa: B018
        assert message.remote_address == socket.information.remote_address
        assert message.remote_port == port
        await nobody.wait_closed_async()
        async with DatagramSocket() as somebody:
            heard = somebody.messages()
            await somebody.bind_endpoint_async("127.0.0.1", port)
            await socket.output_stream.write_async(b"and now?")
            assert (await anext(heard)).data == b"and now?"


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_datagram_that_was_cut_is_an_error(host):
    """MESSAGE_TOO_LONG, with the sender and the size that is received, and what to do."""
    receiver = DatagramSocket()
    receiver.control.limits = replace(DEFAULT_LIMITS, datagram_size=1000)
    receiver, messages = await receiver_on(host, socket=receiver)
    async with receiver, await sender_to(receiver, host) as sender:
        await sender.output_stream.write_async(bytes(1001))
        await sender.output_stream.write_async(bytes(1000))
        cut, whole = await anext(messages), await anext(messages)
        place = f"from {host} port {sender.information.local_port}"
        advice = r"longer than 1000 bytes and was cut; raise limits\.datagram_size"
        with pytest.raises(MessageTooLongError, match=f"{place}: it is {advice}"):
            cut.get_data_reader()
        assert cut.remote_port == sender.information.local_port
        assert whole.data == bytes(1000)


@pytest_twisted.ensureDeferred
async def test_an_iterator_keeps_the_port_open_without_its_socket():
    """As the streams do; forgotten, it is closed like a forgotten socket."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with await sender_to(receiver) as sender:
        del receiver
        gc.collect()
        await turns()
        await sender.output_stream.write_async(b"still there")
        assert (await anext(messages)).data == b"still there"
        # This runs inside the delivery of the message, which has the iterator still.
        await turns()
        with pytest.warns(ResourceWarning, match="never closed"):
            del messages
        await turns()


@pytest_twisted.ensureDeferred
async def test_a_forgotten_iterator_holds_nothing():
    """Messages do not pile up in it; the socket goes on."""
    receiver = DatagramSocket()
    receiver.control.limits = replace(DEFAULT_LIMITS, message_queue=1)
    receiver.messages()
    kept = receiver.messages()
    await receiver.bind_endpoint_async("127.0.0.1", "")
    async with receiver, await sender_to(receiver) as sender:
        for data in (b"1", b"2"):
            await sender.output_stream.write_async(data)
            assert (await anext(kept)).data == data
        assert receiver.information.dropped_messages == 0
