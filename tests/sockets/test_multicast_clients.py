"""The phone's multicast clients: on the loopback interface, and on hosts at one switch."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.multicast import LOOPBACK, free_port, member, new_group, sender
from tests.networks import Host, lan
from winsockets.errors import (
    AccessDeniedError,
    AddressInUseError,
    AddressNotAvailableError,
    BusyError,
    IllegalMethodCallError,
    InvalidArgumentError,
    MessageTooLongError,
    ObjectClosedError,
    OperationAbortedError,
    OutOfBoundsError,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.networking import HostName, NetworkAdapter
from winsockets.sockets import (
    AsyncResult,
    IPEndPoint,
    UdpAnySourceMulticastClient,
    UdpSingleSourceMulticastClient,
)

HERE = NetworkAdapter.from_name(LOOPBACK) if LOOPBACK else None
Client = UdpAnySourceMulticastClient | UdpSingleSourceMulticastClient
Place = tuple[str, int]

many_loopbacks = pytest.mark.skipif(
    sys.platform != "linux", reason="needs all of 127.0.0.0/8 on the loopback interface"
)


@pytest.fixture
def place() -> Place:
    """A group and a port that are nobody else's."""
    return new_group(), free_port()


def any_source(place: Place) -> UdpAnySourceMulticastClient:
    """A client that has not joined."""
    return UdpAnySourceMulticastClient(*place, adapter=HERE)


def single_source(place: Place, source: str = "127.0.0.1") -> UdpSingleSourceMulticastClient:
    """A client that has not joined."""
    return UdpSingleSourceMulticastClient(source, *place, adapter=HERE)


MAKERS: list[Callable[[Place], Client]] = [any_source, single_source]


def receiving(client: Client, buffer: Any, offset: Any, count: Any, **more: Any) -> AsyncResult[Any]:
    """Begin to receive, with either client."""
    if isinstance(client, UdpAnySourceMulticastClient):
        return client.begin_receive_from_group(buffer, offset, count, **more)
    return client.begin_receive_from_source(buffer, offset, count, **more)


async def next_of(client: Client, size: int = 100) -> tuple[bytes, Any]:
    """Receive a datagram, and whom it is from."""
    buffer = bytearray(size)
    count, source = await receiving(client, buffer, 0, size)
    return bytes(buffer[:count]), source


# Receiving


@pytest_twisted.ensureDeferred
async def test_a_datagram_goes_where_the_call_says(place: Place) -> None:
    """Into a part of the buffer; with the number of its bytes, and its sender's endpoint."""
    buffer = bytearray(b"..........")
    with sender() as skt:
        async with any_source(place) as client:
            skt.sendto(b"hello", place)
            count, source = await client.begin_receive_from_group(buffer, 2, 6)
        assert (count, buffer) == (5, b"..hello...")
        assert source == IPEndPoint(HostName("127.0.0.1"), skt.getsockname()[1])
        assert isinstance(source, IPEndPoint)


@many_loopbacks
@pytest_twisted.ensureDeferred
async def test_of_a_single_source_its_port_is_told(place: Place) -> None:
    """What others send to the group, or to the port, is not heard."""
    with sender("127.0.0.1") as other, sender("127.0.0.2") as source, member(*place) as witness:
        async with single_source(place, "127.0.0.2") as client:
            other.sendto(b"no", place)
            assert witness.recv(100) == b"no"
            other.sendto(b"no", ("127.0.0.1", place[1]))
            source.sendto(b"yes", place)
            assert await next_of(client) == (b"yes", source.getsockname()[1])


@pytest_twisted.ensureDeferred
async def test_several_clients_of_one_port_hear_the_same(place: Place) -> None:
    """Beside other programs that share it."""
    with sender() as skt, member(*place) as third:
        async with any_source(place) as one, single_source(place) as other:
            for data in (b"hello", b"", b"again"):
                skt.sendto(data, place)
                assert (await next_of(one))[0] == (await next_of(other))[0] == third.recv(100) == data


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_datagrams_wait_until_they_are_received(make: Callable[[Place], Client], place: Place) -> None:
    """In their order, and before and after a receive is begun."""
    with sender() as skt:
        async with make(place) as client:
            waiting = receiving(client, first := bytearray(3), 0, 3)
            for data in (b"one", b"two", b"six"):
                skt.sendto(data, place)
            await waiting
            assert [bytes(first), *[(await next_of(client))[0] for _ in range(2)]] == [b"one", b"two", b"six"]


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_a_datagram_that_has_no_room_is_cut_and_an_error(
    make: Callable[[Place], Client], place: Place
) -> None:
    """What there is room for is in the buffer, whose size can be changed; the next one is received."""
    buffer = bytearray(4)
    with sender() as skt:
        async with make(place) as client:
            skt.sendto(b"hello", place)
            skt.sendto(b"next", place)
            with pytest.raises(MessageTooLongError, match=r"127\.0\.0\.1 has 5 bytes and was cut to 3"):
                await receiving(client, buffer, 1, 3)
            assert buffer == b"\0hel"
            buffer.clear()
            assert (await next_of(client))[0] == b"next"


@many_loopbacks
@pytest_twisted.ensureDeferred
async def test_a_source_can_be_blocked_and_unblocked(place: Place) -> None:
    """The others are heard meanwhile."""
    with sender("127.0.0.1") as one, sender("127.0.0.2") as other, member(*place) as witness:
        async with any_source(place) as client:
            for change, heard in (
                (lambda: client.block_source("127.0.0.2"), [b"one"]),
                (lambda: client.unblock_source(HostName("127.0.0.2")), [b"other", b"one"]),
            ):
                change()
                for skt, data in ((other, b"other"), (one, b"one")):
                    skt.sendto(data, place)
                    assert witness.recv(100) == data
                assert [(await next_of(client))[0] for _ in heard] == heard
            with pytest.raises(AddressNotAvailableError):
                client.unblock_source("127.0.0.2")
            for wrong in ("ff02::1", "2001:db8::1", "239.1.2.3", "somebody"):
                with pytest.raises(InvalidArgumentError):
                    client.block_source(wrong)


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_a_second_receive_is_refused(make: Callable[[Place], Client], place: Place) -> None:
    """The first one goes on."""
    with sender() as skt:
        async with make(place) as client:
            waiting = receiving(client, buffer := bytearray(5), 0, 5)
            with pytest.raises(BusyError):
                receiving(client, bytearray(5), 0, 5)
            skt.sendto(b"hello", place)
            await waiting
            assert buffer == b"hello"


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_a_cancelled_receive_loses_nothing(make: Callable[[Place], Client], place: Place) -> None:
    """The next one gets what comes."""
    buffer = bytearray(5)
    with sender() as skt:
        async with make(place) as client:
            waiting = receiving(client, buffer, 0, 5)
            waiting.cancel()
            with pytest.raises(OperationAbortedError):
                await waiting
            assert waiting.status is AsyncStatus.ERROR
            skt.sendto(b"hello", place)
            assert (await next_of(client))[0] == b"hello"
    assert buffer == bytes(5)


# Sending


@pytest_twisted.ensureDeferred
async def test_what_is_sent_to_the_group_is_heard_by_all(place: Place) -> None:
    """From the client's port, by the client too; a part of a buffer, as it was at the call."""
    buffer = bytearray(b"..hello..")
    with member(*place) as other:
        async with any_source(place) as client:
            sending = client.begin_send_to_group(buffer, 2, 5)
            buffer[:] = bytes(9)
            assert await sending is None
            data, source = other.recvfrom(100)
            assert (data, source[1]) == (b"hello", place[1])
            data, end_point = await next_of(client)
            assert (data, end_point) == (b"hello", (HostName(source[0]), place[1]))


@pytest_twisted.ensureDeferred
async def test_a_member_is_answered_alone(place: Place) -> None:
    """At the endpoint that a receive gave; and its answer is received, though the port is shared."""
    with sender() as skt:
        async with any_source(place) as client:
            skt.sendto(b"hello", place)
            _, end_point = await next_of(client)
            await client.begin_send_to(b"hello yourself", 0, 14, end_point)
            answer, source = skt.recvfrom(100)
            assert (answer, source[1]) == (b"hello yourself", place[1])
            skt.sendto(b"thanks", source)
            assert (await next_of(client))[0] == b"thanks"


@pytest_twisted.ensureDeferred
async def test_the_source_is_answered(place: Place) -> None:
    """At any of its ports."""
    with sender() as skt:
        async with single_source(place) as client:
            await client.begin_send_to_source(b"hello", 0, 5, skt.getsockname()[1])
            assert skt.recv(100) == b"hello"


@pytest.mark.parametrize(
    "end_point",
    [
        None,
        (None, 5000),
        ("localhost", 5000),
        ("::1", 5000),
        ("127.0.0.1", 0),
        ("127.0.0.1", 65536),
        ("127.0.0.1", -1),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_endpoint_is_an_address_of_the_family_and_a_port(end_point: Any, place: Place) -> None:
    """Anything else is refused at the call."""
    async with any_source(place) as client:
        with pytest.raises(InvalidArgumentError):
            client.begin_send_to(b"hello", 0, 5, end_point)


@pytest_twisted.ensureDeferred
async def test_an_address_of_a_link_needs_to_be_on_one_and_a_mapped_one_is_an_ipv4_address(
    place: Place,
) -> None:
    """The message says so, rather than that an argument was invalid for the system."""
    async with any_source(place) as client:
        with pytest.raises(InvalidArgumentError, match="of the family of the group"):
            client.begin_send_to(b"hello", 0, 5, ("fe80::1%1", 5000))
        await client.begin_send_to(b"hello", 0, 5, ("::ffff:127.0.0.1", 5000))
    async with UdpAnySourceMulticastClient("ff01::1:2:3%1", free_port()) as client:
        await client.begin_send_to(b"hello", 0, 5, ("::1", 5000))
    single = UdpSingleSourceMulticastClient("fe80::1", "ff3e::1:2:3", free_port())
    with single, pytest.raises(InvalidArgumentError, match="say which"):
        single.begin_send_to_source(b"hello", 0, 5, 5000)


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_is_too_long_fails(place: Place) -> None:
    """Later, as everything that the system refuses."""
    async with any_source(place) as client:
        sending = client.begin_send_to_group(bytes(70_000), 0, 70_000)
        with pytest.raises(MessageTooLongError):
            await sending


# Pairs of calls


@pytest_twisted.ensureDeferred
async def test_a_callback_gets_the_result_for_the_end_call(place: Place) -> None:
    """With the state that was given; as the programs for the phone are written."""
    ended: Deferred[tuple[bytes, object, IPEndPoint]] = Deferred()
    client = any_source(place)
    buffer = bytearray(512)

    def joined(result: AsyncResult[None]) -> None:
        client.end_join_group(result)
        client.multicast_loopback = True
        client.begin_receive_from_group(buffer, 0, len(buffer), received, "a state")
        client.begin_send_to_group(b"hello", 0, 5, client.end_send_to_group)

    def received(result: AsyncResult[tuple[int, IPEndPoint]]) -> None:
        count, source = client.end_receive_from_group(result)
        assert result.is_completed
        assert not result.completed_synchronously
        ended.callback((bytes(buffer[:count]), result.async_state, source))

    with client:
        client.begin_join_group(joined)
        data, state, source = await ended
    assert (data, state, source.port) == (b"hello", "a state", place[1])


@pytest_twisted.ensureDeferred
async def test_a_callback_may_be_a_coroutine_function(place: Place) -> None:
    """And awaits what it begins."""
    ended: Deferred[bytes] = Deferred()
    client = single_source(place)

    async def joined(result: AsyncResult[None]) -> None:
        client.end_join_group(result)
        ended.callback((await next_of(client))[0])

    with client, sender() as skt:
        result = client.begin_join_group(joined)
        assert result.completed_synchronously == result.is_completed
        await result
        skt.sendto(b"hello", place)
        assert await ended == b"hello"


@pytest_twisted.ensureDeferred
async def test_an_end_call_takes_the_result_of_its_begin_call_only(place: Place) -> None:
    """Of the same client."""
    async with any_source(place) as client, any_source((new_group(), free_port())) as other:
        result = client.begin_send_to_group(b"hello", 0, 5)
        await result
        with pytest.raises(InvalidArgumentError, match="of begin_send_to_group; give that of begin_send_to"):
            client.end_send_to(result)
        with pytest.raises(InvalidArgumentError, match="of another client"):
            other.end_send_to_group(result)
        with pytest.raises(InvalidArgumentError, match="the result is None"):
            client.end_send_to_group(None)
        with pytest.raises(TypeError, match="what begin_send_to_group returned, not Deferred"):
            client.end_send_to_group(Deferred())
        for _ in range(2):
            client.end_send_to_group(result)


@pytest_twisted.ensureDeferred
async def test_an_end_call_waits_in_threads_other_than_the_reactors(place: Place) -> None:
    """Which would wait for itself."""
    buffer = bytearray(100)
    with sender() as skt:
        async with any_source(place) as client:
            result = client.begin_receive_from_group(buffer, 0, 100)
            with pytest.raises(IllegalMethodCallError):
                client.end_receive_from_group(result)
            waiting = deferToThread(client.end_receive_from_group, result)
            skt.sendto(b"hello", place)
            count, _ = await waiting
    assert buffer[:count] == b"hello"


@pytest_twisted.ensureDeferred
async def test_an_end_call_raises_what_went_wrong(place: Place) -> None:
    """As the await does."""
    problems: list[SocketException] = []

    def sent(result: AsyncResult[None]) -> None:
        with pytest.raises(MessageTooLongError) as caught:
            client.end_send_to_group(result)
        problems.append(caught.value)

    async with any_source(place) as client:
        result = client.begin_send_to_group(bytes(70_000), 0, 70_000, sent)
        with pytest.raises(MessageTooLongError) as caught:
            await result
    assert problems == [caught.value]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_called_is_no_callback(place: Place) -> None:
    """Nothing is begun with it."""
    with member(*place) as other:
        client = any_source(place)
        wrong: Any = "not a function"
        with client:
            with pytest.raises(TypeError, match="not callable"):
                client.begin_join_group(wrong)
            await client.begin_join_group()
            with pytest.raises(TypeError, match="not callable"):
                client.begin_send_to_group(b"no", 0, 2, wrong)
            with pytest.raises(TypeError, match="not callable"):
                client.begin_receive_from_group(bytearray(2), 0, 2, wrong)
            await client.begin_send_to_group(b"yes", 0, 3)
            assert other.recv(100) == b"yes"
            assert (await next_of(client))[0] == b"yes"


# The order of calls


def uses(client: Client) -> Iterator[Callable[[], object]]:
    """Everything that needs a group."""
    yield lambda: client.receive_buffer_size
    yield lambda: setattr(client, "receive_buffer_size", 10_000)
    yield lambda: client.send_buffer_size
    yield lambda: setattr(client, "send_buffer_size", 10_000)
    yield lambda: receiving(client, bytearray(1), 0, 1)
    if isinstance(client, UdpAnySourceMulticastClient):
        yield lambda: client.multicast_loopback
        yield lambda: setattr(client, "multicast_loopback", True)
        yield lambda: client.block_source("127.0.0.2")
        yield lambda: client.unblock_source("127.0.0.2")
        yield lambda: client.begin_send_to_group(b"", 0, 0)
        yield lambda: client.begin_send_to(b"", 0, 0, ("127.0.0.1", 9))
    else:
        yield lambda: client.begin_send_to_source(b"", 0, 0, 9)


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_the_group_is_joined_first_and_once(make: Callable[[Place], Client], place: Place) -> None:
    """Everything else before, and joining again, is out of order."""
    client = make(place)
    for use in uses(client):
        with pytest.raises(IllegalMethodCallError, match="has not joined"):
            use()
    with client:
        await client.begin_join_group()
        with pytest.raises(IllegalMethodCallError, match="has joined already"):
            client.begin_join_group()


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_nothing_can_be_done_after_the_end(make: Callable[[Place], Client], place: Place) -> None:
    """But ending it once more."""
    async with make(place) as client:
        pass
    for use in (*uses(client), client.begin_join_group):
        with pytest.raises(ObjectClosedError):
            use()
    client.dispose()
    assert repr(client).endswith(": disposed>")


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_the_end_frees_the_port_and_ends_what_is_pending(
    make: Callable[[Place], Client], place: Place
) -> None:
    """With what was received meanwhile."""
    client = make(place)
    await client.begin_join_group()
    waiting = receiving(client, bytearray(1), 0, 1)
    client.dispose()
    with pytest.raises(OperationAbortedError, match="dispose"):
        await waiting
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        skt.bind(("", place[1]))


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_a_client_that_could_not_join_can_try_again(
    make: Callable[[Place], Client], place: Place
) -> None:
    """When whoever does not share the port is gone."""
    with make(place) as client, sender() as skt:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
            selfish.bind(("", place[1]))
            with pytest.raises(AddressInUseError):
                await client.begin_join_group()
            assert repr(client).endswith(": not joined>")
        await client.begin_join_group()
        assert repr(client).endswith(": joined>")
        skt.sendto(b"hello", place)
        assert (await next_of(client))[0] == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_forgotten_client_leaves_the_group_with_a_warning(place: Place) -> None:
    """As a socket does."""
    clients = [any_source(place)]
    await clients[0].begin_join_group()
    with pytest.warns(ResourceWarning, match=f"port {place[1]} was never closed"):
        clients.clear()


# Arguments


@pytest.mark.parametrize("group", [None, "", "localhost", "192.0.2.1", "2001:db8::1"])
def test_a_group_is_a_multicast_address(group: Any) -> None:
    """For both clients."""
    with pytest.raises(InvalidArgumentError):
        UdpAnySourceMulticastClient(group, 5000)
    with pytest.raises(InvalidArgumentError):
        UdpSingleSourceMulticastClient("192.0.2.1", group, 5000)


@pytest.mark.parametrize("source", [None, "", "localhost", "2001:db8::1", "232.1.2.4", "0.0.0.0"])
def test_a_source_is_an_address_of_the_groups_family(source: Any) -> None:
    """Of one machine."""
    with pytest.raises(InvalidArgumentError):
        UdpSingleSourceMulticastClient(source, "232.1.2.3", 5000)


@pytest.mark.parametrize(
    ("port", "error"),
    [
        (-1, InvalidArgumentError),
        (65536, InvalidArgumentError),
        (0, AccessDeniedError),
        (1023, AccessDeniedError),
        ("5000", TypeError),
        (True, TypeError),
    ],
)
def test_a_port_is_one_for_programs(port: Any, error: type[Exception]) -> None:
    """From 1024 to 65535."""
    with pytest.raises(error):
        UdpAnySourceMulticastClient("239.1.2.3", port)
    with pytest.raises(error):
        UdpSingleSourceMulticastClient("192.0.2.1", "232.1.2.3", port)
    for good in (1024, 65535):
        UdpAnySourceMulticastClient("239.1.2.3", good)


@pytest.mark.parametrize(
    ("buffer", "offset", "count", "error"),
    [
        (None, 0, 0, InvalidArgumentError),
        ("text", 0, 0, TypeError),
        (bytearray(4), -1, 1, InvalidArgumentError),
        (bytearray(4), 0, -1, InvalidArgumentError),
        (bytearray(4), 0, 5, OutOfBoundsError),
        (bytearray(4), 5, 0, OutOfBoundsError),
        (bytearray(4), 3, 2, OutOfBoundsError),
        (bytearray(4), 0.5, 1, TypeError),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_part_is_within_its_buffer(
    buffer: Any, offset: Any, count: Any, error: type[Exception], place: Place
) -> None:
    """Of every call that takes one."""
    async with any_source(place) as client, single_source(place) as other:
        for call in (
            lambda: client.begin_receive_from_group(buffer, offset, count),
            lambda: client.begin_send_to_group(buffer, offset, count),
            lambda: client.begin_send_to(buffer, offset, count, ("127.0.0.1", 9)),
            lambda: other.begin_receive_from_source(buffer, offset, count),
            lambda: other.begin_send_to_source(buffer, offset, count, 9),
        ):
            with pytest.raises(error):
                call()


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_a_receive_needs_a_buffer_that_can_be_written_to(
    make: Callable[[Place], Client], place: Place
) -> None:
    """Bytes cannot."""
    async with make(place) as client:
        with pytest.raises(InvalidArgumentError, match="bytearray"):
            receiving(client, bytes(4), 0, 4)


@pytest.mark.parametrize("make", MAKERS)
@pytest_twisted.ensureDeferred
async def test_buffers_have_the_sizes_that_the_system_grants(
    make: Callable[[Place], Client], place: Place
) -> None:
    """At least what was asked for, within its bounds."""
    async with make(place) as client:
        for name in ("receive_buffer_size", "send_buffer_size"):
            setattr(client, name, 10_000)
            small = getattr(client, name)
            setattr(client, name, 50_000)
            assert 10_000 <= small < 50_000 <= getattr(client, name)
            for wrong in (0, -1, 1 << 31):
                with pytest.raises(InvalidArgumentError):
                    setattr(client, name, wrong)


# Other hosts

PLACES = [("239.1.2.3", 5000), ("ff05::1:2:3", 5000), ("ff02::1:2:3", 5000)]


@contextmanager
def inside(host: Host) -> Iterator[NetworkAdapter]:
    """Be in a host; gives its adapter."""
    with host:
        yield NetworkAdapter.from_name(host.ports[0].name)


async def join_in(host: Host, *clients: Client) -> None:
    """Join in a host."""
    for client in clients:
        with host:
            joining = client.begin_join_group()
        await joining


@pytest.mark.parametrize("place", PLACES)
@pytest_twisted.ensureDeferred
async def test_hosts_talk_in_a_group(place: Place) -> None:
    """To all, and then to one."""
    with lan(2) as (here, there):
        one, other = UdpAnySourceMulticastClient(*place), UdpAnySourceMulticastClient(*place)
        with one, other:
            await join_in(here, one)
            await join_in(there, other)
            await one.begin_send_to_group(b"hello", 0, 5)
            assert (await next_of(one))[0] == b"hello"
            data, end_point = await next_of(other)
            assert (data, end_point.port) == (b"hello", place[1])
            await other.begin_send_to(b"hello yourself", 0, 14, end_point)
            data, _ = await next_of(one)
            assert data == b"hello yourself"


@pytest.mark.parametrize("place", PLACES)
@pytest_twisted.ensureDeferred
async def test_without_loopback_only_other_hosts_hear_it(place: Place) -> None:
    """Until it is switched on again."""
    with lan(2) as (here, there):
        one, other = UdpAnySourceMulticastClient(*place), UdpAnySourceMulticastClient(*place)
        with one, other:
            await join_in(here, one)
            await join_in(there, other)
            assert one.multicast_loopback
            one.multicast_loopback = False
            assert not one.multicast_loopback
            await one.begin_send_to_group(b"silent", 0, 6)
            one.multicast_loopback = True
            await one.begin_send_to_group(b"loud", 0, 4)
            assert (await next_of(one))[0] == b"loud"
            assert [(await next_of(other))[0] for _ in range(2)] == [b"silent", b"loud"]


@pytest.mark.parametrize("place", [("232.1.2.3", 5000), ("ff35::1:2:3", 5000), ("ff32::1:2:3", 5000)])
@pytest_twisted.ensureDeferred
async def test_one_host_is_heard_and_answered(place: Place) -> None:
    """With link-local addresses too; what another host sends to the group is not heard."""
    with lan(3) as (here, source, other):
        if place[0].startswith("ff32"):
            address = source.ports[0].link_local
        else:
            address = source.address(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
        with inside(here) as adapter:
            client = UdpSingleSourceMulticastClient(address, *place, adapter=adapter)
        witness = UdpAnySourceMulticastClient(*place)
        senders = [UdpAnySourceMulticastClient(*place) for _ in range(2)]
        with client, witness, senders[0], senders[1]:
            await join_in(here, client, witness)
            await join_in(source, senders[0])
            await join_in(other, senders[1])
            await senders[1].begin_send_to_group(b"no", 0, 2)
            assert (await next_of(witness))[0] == b"no"
            await senders[0].begin_send_to_group(b"yes", 0, 3)
            assert await next_of(client) == (b"yes", place[1])
            assert (await next_of(senders[0]))[0] in {b"no", b"yes"}
            await client.begin_send_to_source(b"hello", 0, 5, place[1])
            heard = [(await next_of(senders[0]))[0] for _ in range(2)]
            assert b"hello" in heard
