"""The output streams of a DatagramSocket: every write is a datagram."""

from __future__ import annotations

import gc
import resource
import socket as system
import weakref
from array import array
from dataclasses import replace

import pytest
import pytest_twisted

from tests.networks import network_namespace, run
from tests.sockets.datagrams import HOSTS, outcome, receiver_on, status_of, system_sockets
from tests.transports.datagrams import on_linux, turns
from winsockets.errors import (
    IllegalMethodCallError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncStatus
from winsockets.sockets import DatagramSocket
from winsockets.streams import Buffer, DataWriter, StreamWriter


async def connected_to(receiver, host="127.0.0.1"):
    """A socket that is connected to another."""
    socket = DatagramSocket()
    await socket.connect_async(host, receiver.information.local_port)
    return socket


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_every_write_is_a_datagram(host):
    """Of the peer's or of a stream to one destination; empty ones too; the operation yields the size."""
    receiver, messages = await receiver_on(host)
    async with receiver, await connected_to(receiver, host) as peer, DatagramSocket() as other:
        to_it = await other.get_output_stream_async(host, receiver.information.local_port)
        for stream in (peer.output_stream, to_it):
            for data in (b"one", b"", b"two"):
                assert await stream.write_async(data) == len(data)
                assert (await anext(messages)).data == data


@pytest_twisted.ensureDeferred
async def test_any_buffer_can_be_written():
    """Its bytes are sent."""
    buffer = Buffer(10)
    buffer.length = 2
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as socket:
        for data in (b"ab", bytearray(b"ab"), memoryview(b"ab"), array("H", [1]), buffer):
            assert await socket.output_stream.write_async(data) == 2
            assert (await anext(messages)).data == bytes(data)
        for wrong in ("text", None, 1):
            with pytest.raises((TypeError, ValueError)):
                socket.output_stream.write_async(wrong)


@pytest_twisted.ensureDeferred
async def test_writers_make_a_datagram_of_each_store_and_each_flush():
    """With everything that was written since the last one."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as socket:
        writer = DataWriter(socket.output_stream)
        for text in ("Hello", "again"):
            writer.write_uint16(writer.measure_string(text))
            writer.write_string(text)
            assert await writer.store_async() == 2 + len(text)
            assert (await anext(messages)).data == b"\0\5" + text.encode()
        writer.detach_stream()
        lines = StreamWriter(socket.output_stream.as_stream_for_write())
        lines.write_line_async("a line")
        await lines.flush_async()
        assert (await anext(messages)).data.rstrip() == b"a line"


@pytest_twisted.ensureDeferred
async def test_several_buffers_are_several_datagrams():
    """In order, as one operation; one that is too long fails it and is all that is missing."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as socket:
        assert await socket.output_stream.write_many_async([b"1", b"", b"333"]) == 4
        assert [(await anext(messages)).data for _ in range(3)] == [b"1", b"", b"333"]
        failed = socket.output_stream.write_many_async([b"1", bytes(65_508), b"333"])
        assert isinstance(outcome(failed), MessageTooLongError)
        assert [(await anext(messages)).data for _ in range(2)] == [b"1", b"333"]
        with pytest.raises(TypeError):
            socket.output_stream.write_many_async([b"never", "text"])
        assert await socket.output_stream.write_async(b"next") == 4
        assert (await anext(messages)).data == b"next"


@pytest_twisted.ensureDeferred
async def test_a_flush_has_nothing_to_wait_for_mostly():
    """True, before the first write of a stream to a destination too, which binds nothing."""
    receiver, _ = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as peer, DatagramSocket() as socket:
        assert peer.output_stream.flush_async().get_results() is True
        await peer.output_stream.write_async(b"x")
        assert peer.output_stream.flush_async().get_results() is True
        stream = await socket.get_output_stream_async("127.0.0.1", 9)
        assert stream.flush_async().get_results() is True
        assert socket.information.local_port == ""
        await stream.write_async(b"")
        assert stream.flush_async().get_results() is True


@on_linux
@pytest_twisted.ensureDeferred
async def test_a_slow_network_makes_writes_wait_and_flush_waits_for_them():
    """They arrive in order when there is room; cancelled ones do not."""
    with network_namespace():
        slow = ("tbf", "rate", "8kbit", "burst", "1600", "latency", "1000s")
        run("tc", "qdisc", "add", "dev", "lo", "root", *slow)
        receiver, messages = await receiver_on("127.0.0.1")
        async with receiver, await connected_to(receiver) as socket:
            system_sockets(socket)[0].setsockopt(system.SOL_SOCKET, system.SO_SNDBUF, 4096)
            stream = socket.output_stream
            # No two of one size, so that each takes room of its own.
            writes = [stream.write_async(bytes([number]) * (500 + number)) for number in range(30)]
            cancelled = writes.pop(25)
            cancelled.cancel()
            assert isinstance(outcome(cancelled), OperationAbortedError)
            flush = stream.flush_async()
            await turns(3)
            assert writes[-1].status is flush.status is AsyncStatus.STARTED
            fast = ("tbf", "rate", "1gbit", "burst", "1mb", "latency", "1000s")
            run("tc", "qdisc", "change", "dev", "lo", "root", *fast)
            assert await flush is True
            assert [write.get_results() for write in writes] == [500 + n for n in range(30) if n != 25]
            for number in range(30):
                if number != 25:
                    assert (await anext(messages)).data == bytes([number]) * (500 + number)


@on_linux
@pytest.mark.parametrize("how", ["cancel_io_async", "close"])
@pytest_twisted.ensureDeferred
async def test_what_waits_can_be_ended_all_at_once(how):
    """Cancelling leaves the socket usable; so much may wait and no more."""
    with network_namespace():
        run(
            "tc",
            "qdisc",
            "add",
            "dev",
            "lo",
            "root",
            "tbf",
            "rate",
            "8kbit",
            "burst",
            "1600",
            "latency",
            "1000s",
        )
        receiver, _ = await receiver_on("127.0.0.1")
        socket = DatagramSocket()
        socket.control.limits = replace(DEFAULT_LIMITS, datagram_queue=5)
        async with receiver, socket:
            await socket.connect_async("127.0.0.1", receiver.information.local_port)
            system_sockets(socket)[0].setsockopt(system.SOL_SOCKET, system.SO_SNDBUF, 4096)
            stream = socket.output_stream
            waiting = []
            sizes = iter(range(500, 1000))
            while len(waiting) < 5:
                # Never of one size, so that each takes room of its own.
                write = stream.write_async(bytes(next(sizes)))
                stream.flush_async().cancel()
                if write.status is AsyncStatus.STARTED:
                    waiting.append(write)
            place = f"send to 127.0.0.1 port {receiver.information.local_port}: 5 datagrams wait already"
            with pytest.raises(SocketException, match=place):
                stream.write_async(bytes(500))
            if how == "close":
                socket.close()
            else:
                assert socket.cancel_io_async().get_results() is None
            assert {status_of(write) for write in waiting} == {SocketErrorStatus.OPERATION_ABORTED}
            if how == "cancel_io_async":
                run("tc", "qdisc", "del", "dev", "lo", "root")
                assert await stream.write_async(b"still usable") == 12


@pytest_twisted.ensureDeferred
async def test_the_stream_of_the_peer_needs_a_peer():
    """E_ILLEGAL_METHOD_CALL before connecting, also when bound; RO_E_CLOSED after closing."""
    async with DatagramSocket() as socket:
        assert socket.output_stream is socket.output_stream
        calls = [
            lambda: socket.output_stream.write_async(b"x"),
            lambda: socket.output_stream.write_many_async([b"x"]),
            socket.output_stream.flush_async,
        ]
        for call in calls:
            with pytest.raises(IllegalMethodCallError, match="not connected"):
                call()
        await socket.bind_endpoint_async("127.0.0.1", "")
        for call in calls:
            with pytest.raises(IllegalMethodCallError, match="not connected"):
                call()
        await socket.connect_async("127.0.0.1", 9)
        assert await socket.output_stream.write_async(b"x") == 1
    for call in calls:
        with pytest.raises(ObjectClosedError, match="socket was closed"):
            call()


@pytest_twisted.ensureDeferred
async def test_closing_a_stream_closes_that_stream():
    """Its socket and the other streams go on; once is enough."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as socket:
        other = await socket.get_output_stream_async("127.0.0.1", receiver.information.local_port)
        with socket.output_stream as stream:
            await stream.write_async(b"1")
        stream.close()
        for call in (
            lambda: stream.write_async(b"x"),
            lambda: stream.write_many_async([b"x"]),
            stream.flush_async,
        ):
            with pytest.raises(ObjectClosedError, match="stream was closed"):
                call()
        await other.write_async(b"2")
        assert [(await anext(messages)).data for _ in range(2)] == [b"1", b"2"]


@pytest_twisted.ensureDeferred
async def test_the_first_write_binds_the_socket():
    """To all interfaces, and later ones leave from the same port."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, DatagramSocket() as socket:
        answers = socket.messages()
        stream = await socket.get_output_stream_async("127.0.0.1", receiver.information.local_port)
        assert socket.information.local_port == ""
        await stream.write_async(b"1")
        port = socket.information.local_port
        assert int(port) > 1023  # the system's choice
        await stream.write_async(b"2")
        ports = {(await anext(messages)).remote_port for _ in range(2)}
        assert ports == {port}
        back = await receiver.get_output_stream_async("127.0.0.1", port)
        await back.write_async(b"answer")
        assert (await anext(answers)).data == b"answer"


@pytest_twisted.ensureDeferred
async def test_a_first_write_that_cannot_bind_fails_itself():
    """And the next one tries again."""
    async with DatagramSocket() as socket:
        stream = await socket.get_output_stream_async("127.0.0.1", 9)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with system.socket() as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            failed = [stream.write_async(b"x"), stream.write_many_async([b"x"])]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert {status_of(write) for write in failed} == {SocketErrorStatus.TOO_MANY_OPEN_FILES}
        socket.control.dont_fragment = True
        assert await stream.write_async(b"x") == 1


@pytest_twisted.ensureDeferred
async def test_a_destination_of_a_family_the_socket_does_not_have_cannot_be_written_to():
    """When it was bound after the stream was made."""
    async with DatagramSocket() as socket:
        six = await socket.get_output_stream_async("::1", 9)
        await socket.bind_endpoint_async("127.0.0.1", "")
        assert status_of(six.write_async(b"x")) is SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED
        assert status_of(six.write_many_async([b"x"])) is SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED


@pytest_twisted.ensureDeferred
async def test_a_stream_from_before_the_connection_leads_to_the_peer_or_nowhere():
    """Used before or not, of this family or the other."""
    receiver, messages = await receiver_on("127.0.0.1")
    other, _ = await receiver_on("::1")
    async with receiver, other, DatagramSocket() as socket:
        port = receiver.information.local_port
        to_peer, unused = [await socket.get_output_stream_async("127.0.0.1", port) for _ in range(2)]
        to_six = await socket.get_output_stream_async("::1", other.information.local_port)
        to_nobody = await socket.get_output_stream_async("127.0.0.1", 9)
        for stream in (to_peer, to_six, to_nobody):
            await stream.write_async(b"before")
        await socket.connect_async("127.0.0.1", port)
        for stream in (to_peer, unused):
            assert await stream.write_async(b"after") == 5
        for stream in (to_six, to_nobody):
            with pytest.raises(IllegalMethodCallError, match="connected"):
                stream.write_async(b"lost")
        assert [(await anext(messages)).data for _ in range(3)] == [b"before", b"after", b"after"]


@pytest_twisted.ensureDeferred
async def test_a_batch_is_sent_with_its_flush():
    """Of the peer's stream or another; each write is a datagram and ends with its size."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as peer, DatagramSocket() as other:
        to_it = await other.get_output_stream_async("127.0.0.1", receiver.information.local_port)
        for stream in (peer.output_stream, to_it):
            datagrams = [bytes([number]) * 100 for number in range(150)]
            writes = [stream.write_async(datagram) for datagram in datagrams[:-1]]
            writes.append(stream.write_async(bytearray(datagrams[-1])))
            assert writes[-1].status is AsyncStatus.STARTED
            assert await stream.flush_async() is True
            assert {write.get_results() for write in writes} == {100}
            assert [(await anext(messages)).data for _ in datagrams] == datagrams


@pytest_twisted.ensureDeferred
async def test_a_flush_waits_for_the_writes_of_both_families():
    """Whichever stream it is asked of, used or not; the first failure is that of the flush."""
    four, messages4 = await receiver_on("127.0.0.1")
    six, messages6 = await receiver_on("::1")
    async with four, six, DatagramSocket() as socket:
        to_four = await socket.get_output_stream_async("127.0.0.1", four.information.local_port)
        to_six = await socket.get_output_stream_async("::1", six.information.local_port)
        unused = await socket.get_output_stream_async("127.0.0.1", 9)
        assert await unused.flush_async() is True
        await to_four.write_async(b"1")
        for flushed in (to_four, to_six, unused):
            to_four.write_async(b"2")
            to_six.write_async(b"3")
            write = to_six.write_async(b"4")
            assert await flushed.flush_async() is True
            assert write.get_results() == 1
        failed = [to_six.write_async(b"5"), to_six.write_async(bytes(65_528))]
        with pytest.raises(MessageTooLongError):
            await to_four.flush_async()
        assert isinstance(outcome(failed[1]), MessageTooLongError)
        assert [(await anext(messages4)).data for _ in range(4)] == [b"1"] + [b"2"] * 3
        assert [(await anext(messages6)).data for _ in range(7)] == [b"3", b"4"] * 3 + [b"5"]


@pytest_twisted.ensureDeferred
async def test_a_new_hop_limit_is_for_what_is_written_after_it():
    """What is held back leaves before."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, await connected_to(receiver) as socket:
        writes = [socket.output_stream.write_async(b"x") for _ in range(3)]
        socket.control.outbound_unicast_hop_limit = 7
        assert {write.status for write in writes} == {AsyncStatus.COMPLETED}
        assert [(await anext(messages)).data for _ in range(3)] == [b"x"] * 3


@pytest_twisted.ensureDeferred
async def test_closing_sends_what_was_held_back():
    """It was handed in before; cancelling all takes it back."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver:
        socket = await connected_to(receiver)
        writes = [socket.output_stream.write_async(bytes([number])) for number in range(3)]
        await socket.cancel_io_async()
        assert {status_of(write) for write in writes[1:]} == {SocketErrorStatus.OPERATION_ABORTED}
        writes = [socket.output_stream.write_async(bytes([number])) for number in (7, 8, 9)]
        socket.close()
        assert {write.get_results() for write in writes} == {1}
        assert [(await anext(messages)).data for _ in range(4)] == [b"\0", b"\7", b"\x08", b"\t"]


@pytest_twisted.ensureDeferred
async def test_streams_to_thousands_are_gone_when_nobody_has_them():
    """The socket remembers none of them: what it takes to answer everybody does not grow."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        remembered = []
        for number in range(5000):
            stream = await socket.get_output_stream_async(f"127.0.{number // 250}.{number % 250 + 1}", 9)
            await stream.write_async(b"x")
            remembered.append(weakref.ref(stream))
        del stream
        gc.collect()
        assert [reference for reference in remembered if reference() is not None] == []
