"""StreamSocket: connecting, in every way it is called and every way it fails."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

import pytest
import pytest_twisted

from tests.networks import network_namespace, network_without_neighbours
from tests.sockets.datagrams import names, pending_names
from tests.sockets.streams import connected
from tests.transports.loopback import (
    HOSTS,
    NEEDS_IPV6,
    NEEDS_LINUX,
    NEEDS_LOOPBACK_NET,
    PATIENCE,
    Timed,
    black_hole,
    limits,
    listening,
    open_descriptors,
    refused_port,
    reserved_port,
    rest,
    turn,
    until,
)
from winsockets.errors import (
    E_INVALIDARG,
    AddressInUseError,
    AddressNotAvailableError,
    ConnectionTimedOutError,
    ConnectRefusedError,
    IllegalMethodCallError,
    InvalidArgumentError,
    NameResolutionError,
    NetworkUnreachableError,
    ObjectClosedError,
    OperationAbortedError,
    OperationCanceledError,
    SocketErrorStatus,
    SocketException,
    UnknownServiceError,
)
from winsockets.foundation import AsyncStatus, IClosable
from winsockets.networking import EndpointPair, HostName
from winsockets.sockets import SocketProtectionLevel, StreamSocket

PLAIN = SocketProtectionLevel.PLAIN_SOCKET
Status = SocketErrorStatus


async def echo_once(stream_socket, server):
    """Show that a socket is connected to a listening one, and close both; give its name over there."""
    peer, name = server.accept()
    with peer:
        peer.settimeout(PATIENCE)
        await stream_socket.output_stream.write_async(b"ping")
        assert peer.recv(10) == b"ping"
        peer.sendall(b"pong")
        assert await stream_socket.input_stream.read() == b"pong"
        # Closed first by this side, its port would be remembered by the system for a minute.
        peer.shutdown(1)
        assert await stream_socket.input_stream.read() == b""
        stream_socket.close()
        await stream_socket.wait_closed_async()
    return name


# Every way to call it


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "connect",
    [
        lambda it, host, port: it.connect_async(host, str(port)),
        lambda it, host, port: it.connect_async(host, port),
        lambda it, host, port: it.connect_async(HostName(host), port),
        lambda it, host, port: it.connect_async(host, str(port), PLAIN),
        lambda it, host, port: it.connect_async(EndpointPair(None, "", host, port)),
        lambda it, host, port: it.connect_async(EndpointPair(host, "0", host, port)),
        lambda it, host, port: it.connect_with_endpoint_pair_and_protection_level_async(
            EndpointPair(None, "", host, port), PLAIN
        ),
    ],
    ids=["text", "number", "HostName", "level", "pair", "pair with local host", "pair and level"],
)
@pytest_twisted.ensureDeferred
async def test_every_overload_connects(connect, host):
    """In both families."""
    with listening(host) as (server, port):
        stream_socket = StreamSocket()
        assert await connect(stream_socket, host, port) is None
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_localhost_is_found():
    """By the resolver of the system, at whichever addresses it has there."""
    host = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)[0][4][0]
    with listening(host) as (server, port):
        stream_socket = StreamSocket()
        await stream_socket.connect_async("localhost", port)
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_a_service_may_be_a_name():
    """Of the services file."""
    with pytest.raises(ConnectRefusedError, match=r"127\.0\.0\.1 port 9:"):
        await StreamSocket().connect_async("127.0.0.1", "discard")


@pytest_twisted.ensureDeferred
async def test_a_block_closes_the_socket_and_waits_until_it_is_gone():
    """``async with``; a plain ``with`` does not wait."""
    with listening() as (server, port):
        async with StreamSocket() as stream_socket:
            await stream_socket.connect_async("127.0.0.1", port)
            protocol = stream_socket._link.protocol
        assert protocol.lost
        server.accept()[0].close()
        with StreamSocket() as stream_socket:
            await stream_socket.connect_async("127.0.0.1", port)
            writing = stream_socket.output_stream.write_async(bytes(20_000_000))
        assert not stream_socket._link.protocol.lost
        server.accept()[0].close()
        await stream_socket.wait_closed_async()
        with pytest.raises(SocketException):
            await writing


def test_a_socket_is_closable():
    """IClosable."""
    assert IClosable.providedBy(StreamSocket())


@pytest_twisted.ensureDeferred
async def test_a_socket_shows_its_peer_and_its_state():
    """In logs."""
    assert repr(StreamSocket()) == "<StreamSocket not connected>"
    async with connected() as (stream_socket, peer):
        host, port = peer.getsockname()
        assert repr(stream_socket) == f"<StreamSocket with {host} port {port}>"
    assert repr(stream_socket) == f"<StreamSocket with {host} port {port}, closed>"
    stream_socket = StreamSocket()
    stream_socket.close()
    assert repr(stream_socket) == "<StreamSocket not connected, closed>"


# Wrong arguments, at the call


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, "80"), InvalidArgumentError),
        (("", "80"), InvalidArgumentError),
        (("not a host name", "80"), InvalidArgumentError),
        (("localhost", ""), InvalidArgumentError),
        (("localhost", "0"), InvalidArgumentError),
        (("localhost", 0), InvalidArgumentError),
        (("localhost", "65536"), InvalidArgumentError),
        (("localhost", 65_536), InvalidArgumentError),
        (("localhost", -1), InvalidArgumentError),
        (("localhost", "no-such-service"), UnknownServiceError),
        (("localhost", None), TypeError),
        ((7, "80"), TypeError),
        (("localhost", "80", SocketProtectionLevel.SSL), InvalidArgumentError),
        (("localhost", "80", SocketProtectionLevel.TLS11), InvalidArgumentError),
        ((None,), InvalidArgumentError),
        (("localhost",), TypeError),
        ((), TypeError),
        (("localhost", "80", PLAIN, None), InvalidArgumentError),
        (("localhost", "80", PLAIN, "eth0"), TypeError),
        (("localhost", "80", PLAIN, "eth0", 5), TypeError),
    ],
)
def test_wrong_arguments_are_refused_at_the_call(arguments, error):
    """And leave the socket as it was."""
    stream_socket = StreamSocket()
    with pytest.raises(error):
        stream_socket.connect_async(*arguments)
    stream_socket.control.keep_alive = True


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, PLAIN), InvalidArgumentError),
        (("localhost", PLAIN), TypeError),
        ((EndpointPair(None, "", "localhost", "80"), SocketProtectionLevel.SSL), InvalidArgumentError),
        ((EndpointPair(None, "no-such-service", "localhost", "80"), PLAIN), UnknownServiceError),
        ((EndpointPair(None, "65536", "localhost", "80"), PLAIN), InvalidArgumentError),
        ((EndpointPair(None, "", "localhost", "no-such-service"), PLAIN), UnknownServiceError),
    ],
)
def test_wrong_pairs_are_refused_at_the_call(arguments, error):
    """And leave the socket as it was."""
    stream_socket = StreamSocket()
    with pytest.raises(error):
        stream_socket.connect_with_endpoint_pair_and_protection_level_async(*arguments)
    stream_socket.control.keep_alive = True


def test_a_wrong_argument_is_unknown_to_the_status():
    """Samples treat UNKNOWN as fatal."""
    with pytest.raises(InvalidArgumentError) as caught:
        StreamSocket().connect_async("localhost", "")
    assert caught.value.hresult == E_INVALIDARG
    assert caught.value.status is Status.UNKNOWN


# Wrong order, at the call


@pytest_twisted.ensureDeferred
async def test_a_socket_connects_once():
    """Not while it connects, not when it is connected, not when that has ended, not when it was closed."""
    async with connected() as (stream_socket, peer):
        with pytest.raises(IllegalMethodCallError, match="was connected before"):
            stream_socket.connect_async("127.0.0.1", "9")
        peer.close()
        assert await stream_socket.input_stream.read() == b""
        with pytest.raises(IllegalMethodCallError):
            stream_socket.connect_async("127.0.0.1", "9")
        stream_socket.close()
        with pytest.raises(ObjectClosedError):
            stream_socket.connect_async("127.0.0.1", "9")
    stream_socket = StreamSocket()
    connecting = stream_socket.connect_async("127.0.0.1", refused_port())
    with pytest.raises(IllegalMethodCallError, match="is connecting already") as caught:
        stream_socket.connect_async("127.0.0.1", "9")
    assert caught.value.status is Status.UNKNOWN
    with pytest.raises(ConnectRefusedError):
        await connecting


@pytest_twisted.ensureDeferred
async def test_a_socket_that_was_closed_before_it_connected_does_not_connect():
    """RO_E_CLOSED."""
    stream_socket = StreamSocket()
    stream_socket.close()
    stream_socket.close()
    with pytest.raises(ObjectClosedError, match="make a new one"):
        stream_socket.connect_async("127.0.0.1", "9")
    await stream_socket.wait_closed_async()


# Failures


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_refusal_leaves_the_socket_to_be_tried_again(host):
    """CONNECTION_REFUSED with errno, host and port; then it connects."""
    with reserved_port(host) as port:
        stream_socket = StreamSocket()
        with pytest.raises(ConnectRefusedError, match=f"connect to {host} port {port}: ") as caught:
            await stream_socket.connect_async(host, port)
        assert caught.value.status is Status.CONNECTION_REFUSED
        assert caught.value.errno == errno.ECONNREFUSED
        assert isinstance(caught.value, ConnectionRefusedError)
        with pytest.raises(IllegalMethodCallError):
            stream_socket.input_stream.read()
    stream_socket.control.keep_alive = True
    with listening(host) as (server, port):
        await stream_socket.connect_async(host, port)
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_an_unknown_host_is_not_found():
    """HOST_NOT_FOUND, by the name that was asked for; then another one can be tried."""
    stream_socket = StreamSocket()
    with names(), pytest.raises(NameResolutionError, match=r"nowhere\.test") as caught:
        await stream_socket.connect_async("nowhere.test", "80")
    assert caught.value.status is Status.HOST_NOT_FOUND
    with listening() as (server, port):
        await stream_socket.connect_async("127.0.0.1", port)
        await echo_once(stream_socket, server)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_network_without_a_route_is_unreachable():
    """NETWORK_IS_UNREACHABLE, ENETUNREACH."""
    with network_namespace():
        for host in ("198.51.100.1", "2001:db8::1"):
            with pytest.raises(NetworkUnreachableError, match=host) as caught:
                await StreamSocket().connect_async(host, "80")
            assert caught.value.status is Status.NETWORK_IS_UNREACHABLE
            assert caught.value.errno == errno.ENETUNREACH


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_host_that_nobody_is_is_unreachable():
    """UNREACHABLE_HOST, EHOSTUNREACH."""
    with network_without_neighbours() as (_, nobody):
        with pytest.raises(NetworkUnreachableError, match=nobody) as caught:
            await StreamSocket().connect_async(nobody, "80")
        assert caught.value.status is Status.UNREACHABLE_HOST
        assert caught.value.errno == errno.EHOSTUNREACH


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_host_that_does_not_answer_times_out(host):
    """CONNECTION_TIMED_OUT, by the limit of the control."""
    clock = Timed()
    stream_socket = StreamSocket(reactor=clock)
    stream_socket.control.limits = limits(connect_timeout=3.0)
    with black_hole(host) as port:
        connecting = stream_socket.connect_async(host, port)
        await turn(5)
        clock.advance(3.0)
        with pytest.raises(ConnectionTimedOutError, match=r"within 3 s") as caught:
            await connecting
    assert caught.value.status is Status.CONNECTION_TIMED_OUT
    assert caught.value.errno == errno.ETIMEDOUT
    stream_socket.control.no_delay = False


@pytest.mark.parametrize(("host", "attempt"), [("127.0.0.1", "connect to"), ("localhost", "resolve")])
@pytest_twisted.ensureDeferred
async def test_without_a_free_descriptor_there_is_no_connection(host, attempt):
    """TOO_MANY_OPEN_FILES, EMFILE, at once, also where it is a name; with one it can be tried again."""
    resource = pytest.importorskip("resource", reason="this system has no limit of descriptors to lower")
    stream_socket = StreamSocket()
    with listening() as (server, port):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            connecting = stream_socket.connect_async(host, port)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with pytest.raises(SocketException, match=f"{attempt} {host}.*: ") as caught:
            await connecting
        assert caught.value.status is Status.TOO_MANY_OPEN_FILES
        assert caught.value.errno == errno.EMFILE
        await stream_socket.connect_async("127.0.0.1", port)
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_a_name_server_that_does_not_answer_times_out():
    """CONNECTION_TIMED_OUT, by its own limit."""
    clock = Timed()
    stream_socket = StreamSocket(reactor=clock)
    stream_socket.control.limits = limits(resolve_timeout=2.0)
    with pending_names() as resolver:
        connecting = stream_socket.connect_async("slow.test", "80")
        clock.advance(2.0)
        with pytest.raises(ConnectionTimedOutError, match=r"resolve slow\.test"):
            await connecting
    assert [lookup.name for lookup in resolver.lookups] == ["slow.test"]
    assert not clock.getDelayedCalls()


# Several addresses


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_five_refusals_and_a_good_address_connect_without_waiting():
    """No time passes."""
    clock = Timed()
    many = " ".join(f"127.0.0.{number}" for number in range(2, 8))
    with listening("127.0.0.7") as (server, port), names(many=many):
        stream_socket = StreamSocket(reactor=clock)
        await stream_socket.connect_async("many", port)
        assert stream_socket.information.remote_address == HostName("127.0.0.7")
        await echo_once(stream_socket, server)
    assert clock.seconds() == 0


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_black_hole_and_a_good_address_connect_after_one_attempt_delay():
    """A quarter of a second."""
    clock = Timed()
    with (
        black_hole("127.0.0.2") as port,
        listening("127.0.0.3", port) as (server, _),
        names(two="127.0.0.2 127.0.0.3"),
    ):
        stream_socket = StreamSocket(reactor=clock)
        connecting = stream_socket.connect_async("two", port)
        await turn(5)
        assert connecting.status is AsyncStatus.STARTED
        clock.advance(0.25)
        await connecting
        assert stream_socket.information.remote_address == HostName("127.0.0.3")
        await echo_once(stream_socket, server)


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_both_families_are_tried():
    """In turn."""
    with (
        reserved_port("::1") as port,
        listening("127.0.0.1", port) as (server, _),
        names(both="::1 127.0.0.1"),
    ):
        stream_socket = StreamSocket()
        await stream_socket.connect_async("both", port)
        assert stream_socket.information.remote_address == HostName("127.0.0.1")
        await echo_once(stream_socket, server)


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_serialized_attempts_wait_for_each_other():
    """``control.serialize_connection_attempts``."""
    clock = Timed()
    with black_hole("127.0.0.2") as port, listening("127.0.0.3", port), names(two="127.0.0.2 127.0.0.3"):
        stream_socket = StreamSocket(reactor=clock)
        stream_socket.control.serialize_connection_attempts = True
        connecting = stream_socket.connect_async("two", port)
        await turn(5)
        clock.advance(29)
        await turn(5)
        assert connecting.status is AsyncStatus.STARTED
        clock.advance(1)
        with pytest.raises(ConnectionTimedOutError):
            await connecting


# Local halves


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_pair_says_where_to_connect_from():
    """The peer sees it."""
    with listening() as (server, port):
        stream_socket = StreamSocket()
        await stream_socket.connect_async(EndpointPair("127.0.0.9", "", "127.0.0.1", port))
        assert stream_socket.information.local_address == HostName("127.0.0.9")
        assert (await echo_once(stream_socket, server))[0] == "127.0.0.9"


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_pair_says_from_which_port_to_connect(host):
    """On any address of the family of the peer."""
    number = refused_port(host)
    with listening(host) as (server, port):
        stream_socket = StreamSocket()
        await stream_socket.connect_async(EndpointPair(None, number, host, port))
        assert (await echo_once(stream_socket, server))[1] == number


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_with_a_local_port_addresses_are_tried_one_at_a_time():
    """Two attempts cannot have the same port."""
    clock = Timed()
    number = refused_port()
    with black_hole("127.0.0.2") as port, listening("127.0.0.3", port), names(two="127.0.0.2 127.0.0.3"):
        stream_socket = StreamSocket(reactor=clock)
        connecting = stream_socket.connect_async(EndpointPair(None, number, "two", port))
        await turn(5)
        clock.advance(29)
        await turn(5)
        assert connecting.status is AsyncStatus.STARTED
        connecting.cancel()
        with pytest.raises(OperationCanceledError):
            await connecting
    with (
        reserved_port() as port,
        listening("127.0.0.2", port) as (server, _),
        names(two="127.0.0.1 127.0.0.2"),
    ):
        stream_socket = StreamSocket()
        await stream_socket.connect_async(EndpointPair(None, number, "two", port))
        assert (await echo_once(stream_socket, server))[1] == number


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_only_addresses_of_the_local_family_are_tried():
    """The others cannot be reached from there."""
    with listening("127.0.0.1") as (server, port), names(both="::1 127.0.0.1", here="127.0.0.1 ::1"):
        stream_socket = StreamSocket()
        await stream_socket.connect_async(EndpointPair("127.0.0.1", "", "both", port))
        await echo_once(stream_socket, server)
        stream_socket = StreamSocket()
        await stream_socket.connect_async(EndpointPair("here", "", "127.0.0.1", port))
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_without_an_address_of_the_local_family_there_is_no_way():
    """ADDRESS_FAMILY_NOT_SUPPORTED."""
    with pytest.raises(SocketException, match="no address of the family of the local address ::1") as caught:
        await StreamSocket().connect_async(EndpointPair("::1", "", "127.0.0.1", "80"))
    assert caught.value.status is Status.ADDRESS_FAMILY_NOT_SUPPORTED


@pytest_twisted.ensureDeferred
async def test_an_address_of_another_machine_cannot_be_connected_from():
    """CANNOT_ASSIGN_REQUESTED_ADDRESS."""
    with pytest.raises(AddressNotAvailableError, match=r"from 198\.51\.100\.1") as caught:
        await StreamSocket().connect_async(EndpointPair("198.51.100.1", "", "127.0.0.1", "80"))
    assert caught.value.status is Status.CANNOT_ASSIGN_REQUESTED_ADDRESS


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_cannot_be_connected_from():
    """ADDRESS_ALREADY_IN_USE."""
    with listening() as (_, port):
        pair = EndpointPair("127.0.0.1", port, "127.0.0.1", "80")
        with pytest.raises(AddressInUseError) as caught:
            await StreamSocket().connect_async(pair)
    assert caught.value.status is Status.ADDRESS_ALREADY_IN_USE


@pytest_twisted.ensureDeferred
async def test_the_pairs_toward_a_host_can_be_connected_to():
    """get_endpoint_pairs_async gives them, with local halves."""
    with listening() as (server, port), names(here="127.0.0.1"):
        pairs = await StreamSocket.get_endpoint_pairs_async("here", port)
        assert [(str(pair.local_host_name), str(pair.remote_host_name)) for pair in pairs] == [
            ("127.0.0.1", "127.0.0.1")
        ]
        stream_socket = StreamSocket()
        await stream_socket.connect_async(pairs[0])
        await echo_once(stream_socket, server)


@pytest.mark.parametrize(
    "arguments", [(None, "80"), ("localhost", ""), ("localhost", "65536"), ("localhost", "80", 1)]
)
def test_pairs_of_nothing_are_refused_at_the_call(arguments):
    """E_INVALIDARG."""
    with pytest.raises(InvalidArgumentError):
        StreamSocket.get_endpoint_pairs_async(*arguments)


# Ending it early


async def resolving(stack, clock):
    """A socket whose host is being looked up."""
    stack.enter_context(pending_names())
    stream_socket = StreamSocket(reactor=clock)
    return stream_socket, stream_socket.connect_async("slow.test", "80")


async def resolving_the_local_half(stack, clock):
    """A socket whose own address is being looked up."""
    stack.enter_context(pending_names())
    stream_socket = StreamSocket(reactor=clock)
    return stream_socket, stream_socket.connect_async(EndpointPair("me.test", "", "127.0.0.1", "80"))


async def beginning(stack, clock):
    """A socket whose first attempt has not been made."""
    port = stack.enter_context(black_hole())
    stream_socket = StreamSocket(reactor=clock)
    return stream_socket, stream_socket.connect_async("127.0.0.1", port)


async def attempting(stack, clock):
    """A socket with one attempt under way."""
    stream_socket, connecting = await beginning(stack, clock)
    await turn(5)
    return stream_socket, connecting


async def racing(stack, clock):
    """A socket with three attempts under way."""
    port = stack.enter_context(black_hole("127.0.0.2"))
    for number in (3, 4):
        stack.enter_context(black_hole(f"127.0.0.{number}", port))
    stack.enter_context(names(three="127.0.0.2 127.0.0.3 127.0.0.4"))
    stream_socket = StreamSocket(reactor=clock)
    connecting = stream_socket.connect_async("three", port)
    for _ in range(2):
        await turn(5)
        clock.advance(0.25)
    await turn(5)
    return stream_socket, connecting


POINTS = [
    resolving,
    resolving_the_local_half,
    beginning,
    attempting,
    pytest.param(racing, marks=NEEDS_LOOPBACK_NET),
]


@pytest.mark.parametrize("point", POINTS)
@pytest_twisted.ensureDeferred
async def test_cancelled_at_any_point_it_ends_and_leaves_nothing(point):
    """CANCELED at once; no descriptor, no delayed call, and the socket can be tried again."""
    clock = Timed()
    with ExitStack() as stack:
        before = open_descriptors()
        stream_socket, connecting = await point(stack, clock)
        connecting.cancel()
        assert connecting.status is AsyncStatus.CANCELED
        with pytest.raises(OperationCanceledError):
            connecting.get_results()
        assert not clock.getDelayedCalls()
        connecting.cancel()
        stream_socket.control.keep_alive = True
    await turn(2)
    assert open_descriptors() <= before
    with listening() as (server, port):
        await stream_socket.connect_async("127.0.0.1", port)
        await echo_once(stream_socket, server)


@pytest.mark.parametrize("point", POINTS)
@pytest_twisted.ensureDeferred
async def test_closed_at_any_point_it_is_aborted_and_leaves_nothing(point):
    """ERROR with OPERATION_ABORTED at once."""
    clock = Timed()
    with ExitStack() as stack:
        before = open_descriptors()
        stream_socket, connecting = await point(stack, clock)
        stream_socket.close()
        assert connecting.status is AsyncStatus.ERROR
        with pytest.raises(OperationAbortedError, match="aborted by close") as caught:
            connecting.get_results()
        assert caught.value.status is Status.OPERATION_ABORTED
        assert not clock.getDelayedCalls()
        await stream_socket.wait_closed_async()
        with pytest.raises(ObjectClosedError):
            stream_socket.connect_async("127.0.0.1", "9")
    await turn(2)
    assert open_descriptors() <= before


@pytest_twisted.ensureDeferred
async def test_a_cancel_after_the_end_changes_nothing():
    """The socket is connected."""
    with listening() as (server, port):
        stream_socket = StreamSocket()
        connecting = stream_socket.connect_async("127.0.0.1", port)
        await connecting
        connecting.cancel()
        assert connecting.status is AsyncStatus.COMPLETED
        await echo_once(stream_socket, server)


@pytest_twisted.ensureDeferred
async def test_whoever_hears_of_the_connection_may_close_it():
    """The operation has ended well by then."""
    with listening() as (server, port):
        stream_socket = StreamSocket()
        connecting = stream_socket.connect_async("127.0.0.1", port)
        connecting.addCallback(lambda _: stream_socket.close())
        await connecting
        peer, _ = server.accept()
        with peer:
            assert await rest(peer) == b""
        await stream_socket.wait_closed_async()


@pytest_twisted.ensureDeferred
async def test_whoever_hears_of_the_failure_may_try_again():
    """The socket is ready for it by then."""
    with reserved_port() as nobody, listening() as (server, port):
        stream_socket = StreamSocket()
        again = []
        connecting = stream_socket.connect_async("127.0.0.1", nobody)
        connecting.addErrback(lambda _: again.append(stream_socket.connect_async("127.0.0.1", port)))
        await until(lambda: again)
        await again[0]
        await echo_once(stream_socket, server)
