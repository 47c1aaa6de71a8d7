"""DatagramSocket: binding, connecting and receiving, in the right order and in the wrong one."""

from __future__ import annotations

import socket as system
from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from tests.networks import network_namespace, run
from tests.sockets.datagrams import HOSTS, names, outcome, receiver_on, status_of, system_sockets
from tests.transports.datagrams import bound, nobody, on_linux, turns, until
from winsockets.errors import (
    E_ILLEGAL_METHOD_CALL,
    AddressInUseError,
    AddressNotAvailableError,
    IllegalMethodCallError,
    InvalidArgumentError,
    MessageTooLongError,
    NameResolutionError,
    NetworkUnreachableError,
    ObjectClosedError,
    ResetByPeerError,
    SocketErrorStatus,
    UnknownServiceError,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncStatus, IClosable
from winsockets.networking import EndpointPair, HostName, HostNameSortOptions
from winsockets.sockets import DatagramSocket

UNSUPPORTED = SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED


def local_names(socket):
    """Where the sockets of the system are bound."""
    return [skt.getsockname()[:2] for skt in system_sockets(socket)]


async def port_of_nobody():
    """A port on which nobody listens."""
    return nobody().port


# Binding


@pytest.mark.parametrize("service", ["", "0", 0])
@pytest_twisted.ensureDeferred
async def test_a_service_name_binds_all_interfaces(service):
    """IPv6 and IPv4 under one port number, which the system chooses for these."""
    async with DatagramSocket() as socket:
        assert await socket.bind_service_name_async(service) is None
        port = int(socket.information.local_port)
        assert local_names(socket) == [("::", port), ("0.0.0.0", port)]


@pytest.mark.parametrize("spelling", [str, int])
@pytest_twisted.ensureDeferred
async def test_a_port_can_be_chosen(spelling):
    """As text or as a number."""
    port = await port_of_nobody()
    async with DatagramSocket() as socket:
        await socket.bind_service_name_async(spelling(port))
        assert socket.information.local_port == str(port)


@pytest.mark.parametrize("host", [*HOSTS, HostName("127.0.0.2")])
@pytest_twisted.ensureDeferred
async def test_an_endpoint_binds_one_address(host):
    """As text or as a HostName."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async(host, "")
        assert local_names(socket) == [(str(host), int(socket.information.local_port))]


@pytest_twisted.ensureDeferred
async def test_no_host_is_every_interface():
    """As for ``bind_service_name_async``."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async(None, "0")
        assert [host for host, _ in local_names(socket)] == ["::", "0.0.0.0"]


@pytest_twisted.ensureDeferred
async def test_a_name_binds_its_addresses():
    """Of each family the first, under one port number, in the resolver's order."""
    async with DatagramSocket() as socket:
        with names(here="127.0.0.1 ::1 127.0.0.2"):
            await socket.bind_endpoint_async("here", "")
        port = int(socket.information.local_port)
        assert local_names(socket) == [("127.0.0.1", port), ("::1", port)]
        for host in HOSTS:
            assert host in str(local_names(socket))


@pytest_twisted.ensureDeferred
async def test_a_port_belongs_to_one_socket():
    """Until that is closed; and the one that could not have it may try again."""
    async with DatagramSocket() as first, DatagramSocket() as second:
        await first.bind_service_name_async("")
        port = first.information.local_port
        for host in (None, *HOSTS):
            problem = outcome(second.bind_endpoint_async(host, port))
            assert isinstance(problem, AddressInUseError)
            assert problem.status is SocketErrorStatus.ADDRESS_ALREADY_IN_USE
            assert f"port {port}" in str(problem)
        first.close()
        await first.wait_closed_async()
        await second.bind_endpoint_async(None, port)


@pytest_twisted.ensureDeferred
async def test_a_foreign_address_cannot_be_bound():
    """CANNOT_ASSIGN_REQUESTED_ADDRESS, and the socket is as before."""
    async with DatagramSocket() as socket:
        problem = outcome(socket.bind_endpoint_async("192.0.2.1", ""))
        assert isinstance(problem, AddressNotAvailableError)
        assert problem.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
        handled = []
        socket.message_received += lambda sender, args: handled.append(args)
        await socket.bind_endpoint_async("127.0.0.1", "")


@pytest_twisted.ensureDeferred
async def test_an_unknown_name_cannot_be_bound_or_connected_to():
    """HOST_NOT_FOUND, from the operation; the socket is as before."""
    async with DatagramSocket() as socket:
        with names():
            for operation in (
                socket.bind_endpoint_async("nowhere", ""),
                socket.connect_async("nowhere", 9),
                socket.get_output_stream_async("nowhere", 9),
            ):
                with pytest.raises(NameResolutionError) as caught:
                    await operation
                assert caught.value.status is SocketErrorStatus.HOST_NOT_FOUND
        socket.control.dont_fragment = True
        await socket.bind_endpoint_async("127.0.0.1", "")


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ("65536", InvalidArgumentError),
        (65536, InvalidArgumentError),
        ("-1", InvalidArgumentError),
        ("no-such-service", UnknownServiceError),
        (None, TypeError),
        (1.5, TypeError),
    ],
)
def test_a_service_that_is_none_is_refused_in_the_call(service, problem):
    """By all calls that take one, and nothing has happened."""
    socket = DatagramSocket()
    for call in (
        lambda: socket.bind_service_name_async(service),
        lambda: socket.bind_endpoint_async("127.0.0.1", service),
        lambda: socket.connect_async("127.0.0.1", service),
        lambda: socket.get_output_stream_async("127.0.0.1", service),
        lambda: DatagramSocket.get_endpoint_pairs_async("127.0.0.1", service),
    ):
        with pytest.raises(problem):
            call()
    assert socket.information.local_port == ""
    socket.control.dont_fragment = True


@pytest.mark.parametrize("service", ["", "0", 0])
def test_a_destination_has_a_port(service):
    """None is E_INVALIDARG."""
    socket = DatagramSocket()
    for call in (socket.connect_async, socket.get_output_stream_async, socket.get_endpoint_pairs_async):
        with pytest.raises(InvalidArgumentError):
            call("127.0.0.1", service)


def test_a_host_that_is_none_is_refused_in_the_call():
    """A name that cannot be one is E_INVALIDARG, and so is no host where one is needed."""
    socket = DatagramSocket()
    for call in (socket.connect_async, socket.get_output_stream_async, socket.get_endpoint_pairs_async):
        with pytest.raises(InvalidArgumentError):
            call("no host", 9)
        with pytest.raises((InvalidArgumentError, TypeError)):
            call(None, 9)
    with pytest.raises(InvalidArgumentError):
        socket.bind_endpoint_async("no host", "")


def test_the_overloads_are_told_apart():
    """One pair, or a host and a service."""
    socket = DatagramSocket()
    pair = EndpointPair(None, "", "127.0.0.1", 9)
    for call in (socket.connect_async, socket.get_output_stream_async):
        for arguments in ((), ("127.0.0.1",), (pair, 9), ("127.0.0.1", 9, 9)):
            with pytest.raises(TypeError):
                call(*arguments)
        with pytest.raises(InvalidArgumentError, match="endpoint_pair is None"):
            call(None)


def test_options_for_pairs_are_refused_in_the_call():
    """A value that means nothing is E_INVALIDARG."""
    with pytest.raises(InvalidArgumentError, match="sort_options"):
        DatagramSocket.get_endpoint_pairs_async("localhost", 9, 1)


@pytest_twisted.ensureDeferred
async def test_a_socket_is_bound_once():
    """And not after connecting or sending; E_ILLEGAL_METHOD_CALL says so, in the call."""
    async with DatagramSocket() as bound_socket, DatagramSocket() as connected, DatagramSocket() as sender:
        await bound_socket.bind_endpoint_async("127.0.0.1", "")
        await connected.connect_async("127.0.0.1", 9)
        await (await sender.get_output_stream_async("127.0.0.1", 9)).write_async(b"")
        for socket in (bound_socket, connected, sender):
            for call in (
                lambda socket=socket: socket.bind_service_name_async(""),
                lambda socket=socket: socket.bind_endpoint_async("127.0.0.1", ""),
            ):
                with pytest.raises(IllegalMethodCallError, match="bound or connected already") as caught:
                    call()
                assert caught.value.hresult == E_ILLEGAL_METHOD_CALL
                assert caught.value.status is SocketErrorStatus.UNKNOWN


# Connecting


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_connected_socket_hears_its_peer_only(host):
    """Not those who know its port."""
    async with DatagramSocket() as peer, DatagramSocket() as stranger, DatagramSocket() as socket:
        messages = socket.messages()
        await peer.bind_endpoint_async(host, "")
        await socket.connect_async(host, peer.information.local_port)
        port = socket.information.local_port
        for sender, data in ((stranger, b"no"), (peer, b"yes"), (stranger, b"no"), (peer, b"done")):
            await (await sender.get_output_stream_async(host, port)).write_async(data)
        assert [(await anext(messages)).data for _ in range(2)] == [b"yes", b"done"]
        await turns(2)
        socket.close()
        assert [message async for message in messages] == []


@pytest.mark.parametrize("bind_to", [None, *HOSTS])
@pytest_twisted.ensureDeferred
async def test_connecting_keeps_the_port_that_was_bound(bind_to):
    """And drops what others sent before; of two families the peer's is left."""
    host = bind_to or "127.0.0.1"
    async with DatagramSocket() as peer, DatagramSocket() as stranger, DatagramSocket() as socket:
        messages = socket.messages()
        await peer.bind_endpoint_async(host, "")
        await socket.bind_endpoint_async(bind_to, "")
        port = socket.information.local_port
        for sender, data in ((stranger, b"no"), (peer, b"yes")):
            await (await sender.get_output_stream_async(host, port)).write_async(data)
        await socket.connect_async(host, peer.information.local_port)
        assert local_names(socket) == [(host, int(port))]
        assert (await anext(messages)).data == b"yes"
        await socket.output_stream.write_async(b"x")


@pytest_twisted.ensureDeferred
async def test_a_socket_is_connected_once():
    """E_ILLEGAL_METHOD_CALL, in the call."""
    async with DatagramSocket() as socket:
        await socket.connect_async("127.0.0.1", 9)
        for arguments in (("127.0.0.1", 9), (EndpointPair(None, "", "::1", 9),)):
            with pytest.raises(IllegalMethodCallError, match="connected already"):
                socket.connect_async(*arguments)


@pytest.mark.parametrize("group", ["224.3.0.5", "ff02::1"])
@pytest_twisted.ensureDeferred
async def test_a_multicast_group_is_no_peer(group):
    """HOST_NOT_FOUND; the socket can be connected to somebody else then."""
    async with DatagramSocket() as socket:
        problem = outcome(socket.connect_async(group, 9))
        assert isinstance(problem, NameResolutionError)
        assert problem.status is SocketErrorStatus.HOST_NOT_FOUND
        assert "multicast" in str(problem)
        assert socket.information.local_port == ""
        await socket.connect_async("127.0.0.1", 9)


@pytest_twisted.ensureDeferred
async def test_a_broadcast_address_can_be_connected_to():
    """It goes out on one interface only, as in WinRT."""
    with network_namespace():
        run("ip", "route", "add", "default", "dev", "lo")
        async with DatagramSocket() as socket:
            await socket.connect_async("255.255.255.255", 9)
            assert socket.information.remote_address == HostName("255.255.255.255")


@pytest_twisted.ensureDeferred
async def test_of_several_addresses_the_first_with_a_way_to_it_is_the_peer():
    """The system knows without sending anything."""
    with network_namespace():
        async with DatagramSocket() as socket, DatagramSocket() as lost:
            with names(peer="2001:db8::1 192.0.2.1 127.0.0.1 127.0.0.2", away="192.0.2.1 2001:db8::1"):
                await socket.connect_async("peer", 9)
                assert socket.information.remote_address == HostName("127.0.0.1")
                problem = outcome(lost.connect_async("away", 9))
        assert isinstance(problem, NetworkUnreachableError)
        assert problem.status is SocketErrorStatus.NETWORK_IS_UNREACHABLE
        assert "192.0.2.1" in str(problem)
        assert lost.information.local_port == ""


@pytest_twisted.ensureDeferred
async def test_a_connect_that_fails_leaves_the_socket_as_it_was():
    """Unbound, its handlers and settings open; or bound, and connectable."""
    with network_namespace():
        async with DatagramSocket() as fresh, DatagramSocket() as bound_socket:
            await bound_socket.bind_service_name_async("")
            port = bound_socket.information.local_port
            for socket in (fresh, bound_socket):
                failed = socket.connect_async("192.0.2.1", 9)
                assert status_of(failed) is SocketErrorStatus.NETWORK_IS_UNREACHABLE
            fresh.control.dont_fragment = True
            fresh.message_received += print
            await fresh.connect_async("::1", 9)
            assert local_names(bound_socket) == [("::", int(port)), ("0.0.0.0", int(port))]
            await bound_socket.connect_async("::1", 9)
            assert local_names(bound_socket) == [("::1", int(port))]


# Pairs


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_pair_says_where_to_connect_from(host):
    """Host and service, one of them, or none."""
    port = await port_of_nobody()
    for local_host, local_service in ((host, port), (host, ""), (None, port), (None, ""), (None, "0")):
        async with DatagramSocket() as socket:
            await socket.connect_async(EndpointPair(local_host, local_service, host, 9))
            assert socket.information.local_address == HostName(host)
            assert socket.information.remote_address == HostName(host)
            if local_service == port:
                assert socket.information.local_port == str(port)
    async with DatagramSocket() as socket:
        await socket.connect_async(EndpointPair("127.0.0.2", port, "127.0.0.1", 9))
        assert (str(socket.information.local_address), socket.information.local_port) == (
            "127.0.0.2",
            str(port),
        )


@pytest_twisted.ensureDeferred
async def test_the_halves_of_a_pair_must_be_of_one_family():
    """Names have several; ADDRESS_FAMILY_NOT_SUPPORTED when none fits, and the socket is as it was."""
    async with DatagramSocket() as socket:
        with names(both="::1 127.0.0.1"):
            failed = socket.connect_async(EndpointPair("::1", "", "127.0.0.1", 9))
            assert status_of(failed) is UNSUPPORTED
            assert socket.information.local_port == ""
            await socket.connect_async(EndpointPair("both", "", "127.0.0.1", 9))
            assert socket.information.local_address == HostName("127.0.0.1")
        async with DatagramSocket() as other:
            with names(both="::1 127.0.0.1"):
                await other.connect_async(EndpointPair("127.0.0.1", "", "both", 9))
            assert other.information.remote_address == HostName("127.0.0.1")


@pytest_twisted.ensureDeferred
async def test_a_bound_socket_takes_pairs_without_a_local_half():
    """With one it is E_ILLEGAL_METHOD_CALL, in the call."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        port = socket.information.local_port
        for call in (socket.connect_async, socket.get_output_stream_async):
            for local in (("127.0.0.1", ""), (None, port), ("127.0.0.1", port)):
                with pytest.raises(IllegalMethodCallError, match="local half"):
                    call(EndpointPair(*local, "127.0.0.1", 9))
        await socket.get_output_stream_async(EndpointPair(None, "", "127.0.0.1", 9))
        await socket.connect_async(EndpointPair(None, "", "127.0.0.1", 9))
        assert socket.information.local_port == port


@pytest_twisted.ensureDeferred
async def test_a_bound_socket_connects_in_its_families():
    """The first address of one of them; ADDRESS_FAMILY_NOT_SUPPORTED when there is none."""
    async with DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        assert status_of(socket.connect_async("::1", 9)) is UNSUPPORTED
        with names(both="::1 127.0.0.1"):
            await socket.connect_async("both", 9)
        assert socket.information.remote_address == HostName("127.0.0.1")


@pytest_twisted.ensureDeferred
async def test_pairs_toward_a_host_are_found():
    """And can be connected with."""
    with names(both="::1 127.0.0.1"):
        pairs = await DatagramSocket.get_endpoint_pairs_async("both", 9, HostNameSortOptions.NONE)
    assert [str(pair.remote_host_name) for pair in pairs] == ["::1", "127.0.0.1"]
    for pair in pairs:
        async with DatagramSocket() as socket:
            await socket.connect_async(pair)
            assert socket.information.local_address == pair.local_host_name


# Streams


@pytest_twisted.ensureDeferred
async def test_a_socket_has_streams_to_many():
    """Unicast of both families; all from one port."""
    async with DatagramSocket() as socket:
        await socket.bind_service_name_async("")
        for host in HOSTS:
            receiver, messages = await receiver_on(host)
            async with receiver:
                stream = await socket.get_output_stream_async(host, receiver.information.local_port)
                await stream.write_async(b"x")
                message = await anext(messages)
                assert message.remote_port == socket.information.local_port
                assert message.remote_address == HostName(host)


@on_linux
@pytest.mark.parametrize(
    ("destination", "everybody"),
    [("255.255.255.255", "0.0.0.0"), ("127.255.255.255", "0.0.0.0"), ("224.3.0.5", "0.0.0.0")],
)
@pytest_twisted.ensureDeferred
async def test_broadcasts_and_multicasts_are_sent_without_a_switch(destination, everybody):
    """And arrive where somebody listens for them."""
    with network_namespace():
        run("ip", "route", "add", "default", "dev", "lo")
        with bound(host=everybody) as far:
            membership = system.inet_aton("224.3.0.5") + system.inet_aton("127.0.0.1")
            far.setsockopt(system.IPPROTO_IP, system.IP_ADD_MEMBERSHIP, membership)
            async with DatagramSocket() as socket:
                stream = await socket.get_output_stream_async(destination, far.getsockname()[1])
                assert await stream.write_async(b"to all") == 6
                far.settimeout(10)
                assert far.recv(100) == b"to all"


@pytest_twisted.ensureDeferred
async def test_a_stream_leads_to_the_first_address_of_a_family_the_socket_has():
    """ADDRESS_FAMILY_NOT_SUPPORTED when there is none."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, DatagramSocket() as socket:
        await socket.bind_endpoint_async("127.0.0.1", "")
        with names(both="::1 127.0.0.1"):
            stream = await socket.get_output_stream_async("both", receiver.information.local_port)
        await stream.write_async(b"x")
        assert (await anext(messages)).data == b"x"
        assert status_of(socket.get_output_stream_async("::1", 9)) is UNSUPPORTED


@pytest_twisted.ensureDeferred
async def test_a_connected_socket_has_streams_to_its_peer_only():
    """Under whatever name; to somebody else the operation fails with E_ILLEGAL_METHOD_CALL."""
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver, DatagramSocket() as socket:
        port = receiver.information.local_port
        await socket.connect_async("127.0.0.1", port)
        with names(both="::1 127.0.0.1", other="::1 127.0.0.2"):
            for host in ("127.0.0.1", "both"):
                stream = await socket.get_output_stream_async(host, port)
                await stream.write_async(host.encode())
                assert (await anext(messages)).data == host.encode()
            for host, service in (("other", port), ("127.0.0.1", 9), ("::1", port)):
                refused = outcome(socket.get_output_stream_async(host, service))
                assert isinstance(refused, IllegalMethodCallError)
                assert f"127.0.0.1 port {port}" in str(refused)
    async with DatagramSocket() as socket:
        await socket.connect_async("::1", 9)
        refused = outcome(socket.get_output_stream_async("::1", 10))
        assert isinstance(refused, IllegalMethodCallError)
        assert "::1 port 9" in str(refused)


@pytest_twisted.ensureDeferred
async def test_a_stream_from_a_local_half_binds_the_socket_there():
    """When it is asked for, unlike others; the next one needs no local half and may not have one."""
    port = await port_of_nobody()
    receiver, messages = await receiver_on("127.0.0.1")
    async with receiver:
        to = receiver.information.local_port
        for local in (("127.0.0.1", port), (None, port), ("127.0.0.1", "")):
            async with DatagramSocket() as socket:
                stream = await socket.get_output_stream_async(EndpointPair(*local, "127.0.0.1", to))
                assert socket.information.local_address == (HostName(local[0]) if local[0] else None)
                await stream.write_async(b"x")
                assert (await anext(messages)).remote_port == socket.information.local_port
                if local[1]:
                    assert socket.information.local_port == str(port)
                with pytest.raises(IllegalMethodCallError, match="cannot be set"):
                    socket.control.dont_fragment = True


@pytest_twisted.ensureDeferred
async def test_a_stream_from_a_local_half_that_fails_leaves_the_socket_unbound():
    """Taken, foreign, or of another family than the destination."""
    async with DatagramSocket() as taken, DatagramSocket() as socket:
        await taken.bind_endpoint_async("127.0.0.1", "")
        port = taken.information.local_port
        for host, service, status in (
            ("127.0.0.1", port, SocketErrorStatus.ADDRESS_ALREADY_IN_USE),
            ("192.0.2.1", "", SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS),
            ("::1", "", UNSUPPORTED),
        ):
            failed = socket.get_output_stream_async(EndpointPair(host, service, "127.0.0.1", 9))
            assert status_of(failed) is status
            assert socket.information.local_port == ""
            socket.control.dont_fragment = False
            socket.message_received += print
        await socket.bind_endpoint_async("127.0.0.1", "")


# Receiving


@pytest.mark.parametrize("way", ["bind", "connect", "send", "close"])
@pytest_twisted.ensureDeferred
async def test_a_handler_is_attached_in_time_or_not_at_all(way):
    """E_ILLEGAL_METHOD_CALL, in the call; a handler can be removed at any time."""
    async with DatagramSocket() as socket:
        token = socket.add_message_received(print)
        if way == "bind":
            await socket.bind_endpoint_async("127.0.0.1", "")
        elif way == "connect":
            await socket.connect_async("127.0.0.1", 9)
        elif way == "send":
            await (await socket.get_output_stream_async("127.0.0.1", 9)).write_async(b"")
        else:
            socket.close()
        expected = ObjectClosedError if way == "close" else IllegalMethodCallError
        with pytest.raises(expected, match="message_received"):
            socket.add_message_received(print)
        with pytest.raises(expected):
            socket.message_received += print
        assert bool(socket.message_received) is (way != "close")
        socket.remove_message_received(token)
        assert not socket.message_received
        socket.remove_message_received(token)


def test_the_event_cannot_be_replaced():
    """It takes += and -=."""
    socket = DatagramSocket()
    with pytest.raises(TypeError, match=r"\+= and -="):
        socket.message_received = print
    socket.message_received += print
    assert socket.message_received
    socket.message_received -= print
    assert not socket.message_received


@pytest_twisted.ensureDeferred
async def test_handlers_get_the_socket_and_one_datagram_after_the_other():
    """All handlers each, in the order of attaching; a coroutine does not delay the next datagram."""
    receiver, seen, unfinished = DatagramSocket(), [], []

    def first(sender, args):
        assert sender is receiver
        seen.append(("first", args.data))

    async def second(sender, args):
        seen.append(("second", args.data))
        unfinished.append(Deferred())
        await unfinished[-1]
        seen.append(("finished", args.data))

    receiver.message_received += first
    receiver.message_received += second
    await receiver.bind_endpoint_async("127.0.0.1", "")
    async with receiver, DatagramSocket() as sender:
        stream = await sender.get_output_stream_async("127.0.0.1", receiver.information.local_port)
        await stream.write_many_async([b"1", b"2"])
        await until(lambda: len(seen) == 4)
        assert seen == [("first", b"1"), ("second", b"1"), ("first", b"2"), ("second", b"2")]
        for waiting in unfinished:
            waiting.callback(None)
        assert seen[4:] == [("finished", b"1"), ("finished", b"2")]


@pytest_twisted.ensureDeferred
async def test_a_handler_is_never_called_inside_another():
    """Though it writes to a peer that refuses, and learns of that."""
    depth, depths, kinds = [0], [], []
    async with DatagramSocket() as socket:

        def handle(sender, args):
            depth[0] += 1
            depths.append(depth[0])
            try:
                kinds.append(args.data)
            except ResetByPeerError as problem:
                kinds.append(type(problem))
            if len(kinds) < 20:
                socket.output_stream.write_async(b"x")
                socket.output_stream.write_async(b"y")
            depth[0] -= 1

        socket.message_received += handle
        await socket.connect_async("127.0.0.1", await port_of_nobody())
        await socket.output_stream.write_async(b"x")
        await until(lambda: len(kinds) >= 20)
        assert set(depths) == {1}
        assert set(kinds) == {ResetByPeerError}


@pytest_twisted.ensureDeferred
async def test_a_handler_that_fails_is_logged_and_disturbs_nothing():
    """With the event, the sender and the traceback; a coroutine too, and one that trips over an error."""
    receiver, seen, logged = DatagramSocket(), [], []

    def bad(sender, args):
        raise ZeroDivisionError("of the handler")

    async def worse(sender, args):
        raise LookupError("of the coroutine")

    receiver.message_received += bad
    receiver.message_received += worse
    receiver.message_received += lambda sender, args: seen.append(args.data)
    await receiver.bind_endpoint_async("127.0.0.1", "")
    globalLogPublisher.addObserver(logged.append)
    try:
        async with receiver, DatagramSocket() as sender:
            stream = await sender.get_output_stream_async("127.0.0.1", receiver.information.local_port)
            await stream.write_many_async([b"1", b"2"])
            await until(lambda: len(seen) == 2)
    finally:
        globalLogPublisher.removeObserver(logged.append)
    failures = [entry for entry in logged if "log_failure" in entry]
    assert [type(entry["log_failure"].value) for entry in failures] == [ZeroDivisionError, LookupError] * 2
    assert {entry["event"] for entry in failures} == {"DatagramSocket.message_received"}
    assert "127.0.0.1" in str(failures[0]["args"])


@pytest_twisted.ensureDeferred
async def test_a_flood_leaves_other_sockets_their_turns():
    """A socket with little to do gets it done while another is never idle."""
    flooded, served = DatagramSocket(), DatagramSocket()
    flooded.control.limits = replace(DEFAULT_LIMITS, datagrams_per_turn=8)
    taken_before, served_after = [], []
    flooded.message_received += lambda sender, args: taken_before.append(1)
    served.message_received += lambda sender, args: served_after.append(len(taken_before))
    await flooded.bind_endpoint_async("127.0.0.1", "")
    await served.bind_endpoint_async("127.0.0.1", "")
    async with flooded, served, DatagramSocket() as sender:
        flood = await sender.get_output_stream_async("127.0.0.1", flooded.information.local_port)
        single = await sender.get_output_stream_async("127.0.0.1", served.information.local_port)
        for _ in range(100):
            await flood.write_async(b"")
        await single.write_async(b"")
        await until(lambda: served_after)
        assert served_after[0] <= 16
        await until(lambda: len(taken_before) == 100)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_socket_on_all_interfaces_says_to_which_address_a_datagram_came(host):
    """Also when it has several of them."""
    receiver, messages = await receiver_on(None)
    async with receiver, DatagramSocket() as sender:
        others = ("127.0.0.2", "127.0.0.3") if host == "127.0.0.1" else ()
        for address in (host, *others):
            stream = await sender.get_output_stream_async(address, receiver.information.local_port)
            await stream.write_async(b"x")
            message = await anext(messages)
            assert message.local_address == HostName(address)
            assert message.remote_port == sender.information.local_port


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_datagrams_of_every_size_come_whole(host):
    """From the empty one to the longest of the protocol; one byte more cannot be sent."""
    largest = 65_507 if host == "127.0.0.1" else 65_527
    receiver, messages = await receiver_on(host)
    async with receiver, DatagramSocket() as sender:
        stream = await sender.get_output_stream_async(host, receiver.information.local_port)
        for size in (0, 1, 8192, 8193, 65_000, largest):
            assert await stream.write_async(bytes(size)) == size
            message = await anext(messages)
            assert message.data == bytes(size)
            assert message.get_data_reader().unconsumed_buffer_length == size
        problem = outcome(stream.write_async(bytes(largest + 1)))
        assert isinstance(problem, MessageTooLongError)
        assert problem.status is SocketErrorStatus.MESSAGE_TOO_LONG


@pytest_twisted.ensureDeferred
async def test_a_thousand_refusals_are_a_thousand_events():
    """CONNECTION_RESET_BY_PEER with ECONNREFUSED; then somebody listens, and nothing was lost or broken."""
    port = await port_of_nobody()
    async with DatagramSocket() as socket, DatagramSocket() as late:
        statuses, data = [], []

        def handle(sender, args):
            try:
                data.append(args.get_data_reader().read_string(4))
            except ResetByPeerError as problem:
                statuses.append((problem.status, problem.errno))

        socket.message_received += handle
        await socket.connect_async("127.0.0.1", port)
        for _ in range(1000):
            await socket.output_stream.write_async(b"x")
        await until(lambda: len(statuses) == 1000)
        assert len(set(statuses)) == 1
        assert statuses[0][0] is SocketErrorStatus.CONNECTION_RESET_BY_PEER
        messages = late.messages()
        await late.bind_endpoint_async("127.0.0.1", port)
        await socket.output_stream.write_async(b"ping")
        message = await anext(messages)
        assert message.data == b"ping"
        back = await late.get_output_stream_async(message.remote_address, message.remote_port)
        await back.write_async(b"pong")
        await until(lambda: data)
        assert data == ["pong"]
        assert len(statuses) == 1000


# Closing


@pytest_twisted.ensureDeferred
async def test_closing_ends_the_events_and_frees_the_port():
    """In the midst of a delivery too; once is enough, more often does no harm."""
    socket, seen = DatagramSocket(), []

    def handle(sender, args):
        seen.append(args.data)
        sender.close()
        sender.close()

    socket.message_received += handle
    await socket.bind_endpoint_async("127.0.0.1", "")
    port = socket.information.local_port
    async with DatagramSocket() as sender:
        stream = await sender.get_output_stream_async("127.0.0.1", port)
        await stream.write_many_async([b"1", b"2", b"3"])
        await socket.wait_closed_async()
        await turns(3)
        assert seen == [b"1"]
    assert not socket.message_received
    async with DatagramSocket() as again:
        await again.bind_endpoint_async("127.0.0.1", port)


def test_a_closed_socket_does_nothing_more():
    """RO_E_CLOSED; what it was stays readable."""
    socket = DatagramSocket()
    with socket as same:
        assert same is socket
        assert verifyObject(IClosable, socket)
    for call in (
        lambda: socket.bind_service_name_async(""),
        lambda: socket.bind_endpoint_async("127.0.0.1", ""),
        lambda: socket.connect_async("127.0.0.1", 9),
        lambda: socket.get_output_stream_async("127.0.0.1", 9),
        lambda: socket.get_output_stream_async(EndpointPair("127.0.0.1", "", "127.0.0.1", 9)),
        socket.cancel_io_async,
    ):
        with pytest.raises(ObjectClosedError, match="was closed"):
            call()
    assert socket.control.outbound_unicast_hop_limit == 128
    assert socket.wait_closed_async().get_results() is None


@pytest_twisted.ensureDeferred
async def test_waiting_for_the_end_waits_for_the_end():
    """Of a socket that is open, and of several who wait; giving up waiting closes nothing."""
    socket = DatagramSocket()
    await socket.bind_endpoint_async("127.0.0.1", "")
    waiting = [socket.wait_closed_async() for _ in range(3)]
    waiting[1].cancel()
    assert [operation.status for operation in waiting] == [
        AsyncStatus.STARTED,
        AsyncStatus.CANCELED,
        AsyncStatus.STARTED,
    ]
    assert repr(socket).startswith("<DatagramSocket on port")
    socket.close()
    assert waiting[0].get_results() is None
    assert waiting[2].get_results() is None


@pytest_twisted.ensureDeferred
async def test_cancelling_io_with_nothing_pending_does_nothing():
    """Before binding and after."""
    async with DatagramSocket() as socket:
        assert socket.cancel_io_async().get_results() is None
        await socket.bind_service_name_async("")
        assert socket.cancel_io_async().get_results() is None
        stream = await socket.get_output_stream_async("127.0.0.1", 9)
        assert await stream.write_async(b"x") == 1
