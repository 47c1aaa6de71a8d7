"""Outgoing connections: one winner among several addresses, and nothing left of the others."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.transports.loopback import (
    HOSTS,
    NEEDS_LOOPBACK_NET,
    PATIENCE,
    Timed,
    black_hole,
    connect,
    family_of,
    limits,
    listening,
    open_descriptors,
    reserved_port,
    rest,
    turn,
    until,
)
from winsockets.errors import (
    AddressInUseError,
    AddressNotAvailableError,
    ConnectionTimedOutError,
    ConnectRefusedError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.networking._address import Address
from winsockets.transports._connecting import Connecting, connect_stream
from winsockets.transports._socket_options import StreamOptions

BOUNDS = limits()


def at(host, port):
    """The address of a literal."""
    return Address(family_of(host), host, port)


def how(clock, target="example port 80", bounds=BOUNDS, **settings):
    """How to connect, with the time of a clock."""
    settings.setdefault("options", StreamOptions())
    return Connecting(reactor=clock, target=target, limits=bounds, **settings)


def alive(server):
    """Of each connection that the system has made with a listening socket: whether it has not ended."""
    server.setblocking(False)
    found = []
    while True:
        try:
            peer, _ = server.accept()
        except BlockingIOError:
            return found
        with peer:
            peer.setblocking(False)
            try:
                found.append(peer.recv(1) != b"")
            except ConnectionResetError:
                found.append(False)
            except BlockingIOError:
                found.append(True)


async def ended(protocol):
    """Close a connection and wait for its end."""
    protocol.close()
    await protocol.when_lost()


@pytest.fixture(autouse=True)
def nothing_left():
    """Fail a test that leaves a descriptor, whatever becomes of its connections."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_an_address_that_answers_is_connected_to(host):
    """And nothing of the time that was set aside for it is left."""
    clock = Timed()
    with listening(host) as (server, port):
        protocol = await connect(how(clock), [at(host, port)])
        peer, name = server.accept()
        with peer:
            assert protocol.transport.local_name[:2] == name[:2]
            await ended(protocol)
    assert clock.seconds() == 0
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_refusal_says_who_and_what(host):
    """Class, status, errno, the name asked for and the address tried."""
    clock = Timed()
    with reserved_port(host) as port, pytest.raises(ConnectRefusedError) as caught:
        await connect(how(clock, f"example port {port}"), [at(host, port)])
    assert caught.value.status is SocketErrorStatus.CONNECTION_REFUSED
    assert caught.value.errno == errno.ECONNREFUSED
    assert str(caught.value).startswith(f"connect to example port {port} ({host}): ")
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_an_address_that_was_asked_for_is_named_once():
    """No name stands for it."""
    with reserved_port() as port:
        name = f"127.0.0.1 port {port}"
        with pytest.raises(ConnectRefusedError, match=f"^connect to {name}: "):
            await connect(how(Timed(), name), [at("127.0.0.1", port)])


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_five_refusals_take_no_time_at_all():
    """Each address is tried as soon as the one before has refused."""
    clock = Timed()
    with listening("127.0.0.7") as (server, port):
        addresses = [at(f"127.0.0.{number}", port) for number in range(2, 8)]
        protocol = await connect(how(clock), addresses)
        assert protocol.transport.getPeer().host == "127.0.0.7"
        server.accept()[0].close()
        await ended(protocol)
    assert clock.seconds() == 0
    assert not clock.getDelayedCalls()


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_when_all_refuse_the_best_address_is_blamed():
    """In the end there is one error."""
    with reserved_port() as port, pytest.raises(ConnectRefusedError, match=r"\(127\.0\.0\.2\)"):
        await connect(how(Timed()), [at(f"127.0.0.{number}", port) for number in range(2, 6)])


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_an_address_that_does_not_answer_costs_one_attempt_delay():
    """The next one wins, and the attempt on the silent one is gone."""
    clock = Timed()
    with black_hole("127.0.0.2") as port, listening("127.0.0.3", port) as (server, _):
        connecting = connect(how(clock), [at("127.0.0.2", port), at("127.0.0.3", port)])
        await turn(5)
        clock.advance(BOUNDS.connection_attempt_delay - 0.001)
        await turn(5)
        assert not connecting.called
        before = open_descriptors()
        clock.advance(0.001)
        protocol = await connecting
        assert open_descriptors() == before, "one more for the winner, one less for the loser"
        assert protocol.transport.getPeer().host == "127.0.0.3"
        server.accept()[0].close()
        await ended(protocol)
    assert not clock.getDelayedCalls()


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_there_is_never_more_than_one_winner():
    """Attempts that run side by side and all succeed: one is connected, the others are closed."""
    clock = Timed()
    hosts = [f"127.0.0.{number}" for number in range(2, 8)]
    with ExitStack() as stack:
        first, port = stack.enter_context(listening(hosts[0]))
        servers = [first, *(stack.enter_context(listening(host, port))[0] for host in hosts[1:])]
        connecting = connect(how(clock), [at(host, port) for host in hosts])
        # All of them begin before the reactor sees the first succeed.
        clock.pump([BOUNDS.connection_attempt_delay] * len(hosts))
        protocol = await connecting
        await turn(3)
        assert sum(sum(alive(server)) for server in servers) == 1
        await ended(protocol)
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_without_any_answer_it_ends_at_the_deadline(host):
    """As a timeout that names the host, the addresses, the time, and what to do."""
    clock = Timed()
    with black_hole(host) as port:
        connecting = connect(how(clock, "example port 80"), [at(host, port)])
        await turn(5)
        clock.advance(BOUNDS.connect_timeout - 0.001)
        await turn(2)
        assert not connecting.called
        clock.advance(0.001)
        with pytest.raises(ConnectionTimedOutError) as caught:
            await connecting
    assert caught.value.status is SocketErrorStatus.CONNECTION_TIMED_OUT
    assert caught.value.errno == errno.ETIMEDOUT
    for part in ("example port 80", host, "within 30 s", "connect_timeout"):
        assert part in str(caught.value)
    assert not clock.getDelayedCalls()


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_at_the_deadline_a_refusal_says_more_than_silence():
    """Of the attempts that have ended by then."""
    clock = Timed()
    with black_hole("127.0.0.2") as port:
        connecting = connect(how(clock), [at("127.0.0.2", port), at("127.0.0.3", port)])
        await turn(3)
        clock.advance(BOUNDS.connection_attempt_delay)
        await turn(5)
        clock.advance(BOUNDS.connect_timeout)
        with pytest.raises(ConnectRefusedError, match=r"\(127\.0\.0\.3\)"):
            await connecting
    assert not clock.getDelayedCalls()


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_one_attempt_at_a_time_waits_for_the_one_before():
    """However long that is silent; a refusal ends it at once."""
    clock = Timed()
    with black_hole("127.0.0.3") as port, listening("127.0.0.4", port) as (server, _):
        addresses = [at(f"127.0.0.{number}", port) for number in (2, 3, 4)]
        connecting = connect(how(clock, serialize=True), addresses)
        await turn(5)
        clock.advance(BOUNDS.connect_timeout - 1)
        await turn(5)
        assert not connecting.called
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
        clock.advance(1)
        with pytest.raises(ConnectRefusedError):
            await connecting
    assert not clock.getDelayedCalls()


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_no_more_attempts_run_side_by_side_than_the_limits_allow():
    """A name with many silent addresses is no flood."""
    clock = Timed()
    bounds = limits(max_parallel_attempts=2)
    with ExitStack() as stack:
        port = stack.enter_context(black_hole("127.0.0.2"))
        for number in (3, 4):
            stack.enter_context(black_hole(f"127.0.0.{number}", port))
        before = open_descriptors()
        addresses = [at(f"127.0.0.{number}", port) for number in (2, 3, 4)]
        connecting = connect(how(clock, bounds=bounds), addresses)
        for _ in range(10):
            await turn(2)
            clock.advance(BOUNDS.connection_attempt_delay)
        assert open_descriptors() == before + 2
        connecting.cancel()
        with pytest.raises(CancelledError):
            await connecting


@pytest.mark.parametrize("turns", range(4))
@pytest_twisted.ensureDeferred
async def test_cancelled_at_any_point_it_leaves_nothing(turns):
    """No descriptor, no delayed call, and nobody is connected."""
    clock = Timed()
    with listening() as (server, port):
        before = open_descriptors()
        connecting = connect(how(clock), [at("127.0.0.1", port)])
        await turn(turns)
        if connecting.called:
            await ended(await connecting)
        else:
            connecting.cancel()
            with pytest.raises(CancelledError):
                await connecting
        assert open_descriptors() == before
        assert not clock.getDelayedCalls()
        await turn(3)
        assert not any(alive(server))


@NEEDS_LOOPBACK_NET
@pytest.mark.parametrize("attempts", range(1, 4))
@pytest_twisted.ensureDeferred
async def test_cancelled_with_several_attempts_under_way_it_leaves_nothing(attempts):
    """Each of them is given up."""
    clock = Timed()
    with ExitStack() as stack:
        port = stack.enter_context(black_hole("127.0.0.2"))
        for number in range(3, 5):
            stack.enter_context(black_hole(f"127.0.0.{number}", port))
        before = open_descriptors()
        connecting = connect(how(clock), [at(f"127.0.0.{number}", port) for number in range(2, 5)])
        await turn(2)
        for _ in range(attempts - 1):
            clock.advance(BOUNDS.connection_attempt_delay)
            await turn(2)
        assert open_descriptors() == before + attempts
        connecting.cancel()
        assert open_descriptors() == before
        assert not clock.getDelayedCalls()
        with pytest.raises(CancelledError):
            await connecting


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_local_address_is_what_the_peer_sees():
    """With any port of it."""
    with listening() as (server, port):
        protocol = await connect(how(Timed(), local=at("127.0.0.9", 0)), [at("127.0.0.1", port)])
        peer, (host, number) = server.accept()
        peer.close()
        assert host == "127.0.0.9"
        assert number == protocol.transport.local_name[1] > 0
        await ended(protocol)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_local_port_is_what_the_peer_sees(host):
    """In either family."""
    with reserved_port(host) as number:
        pass
    with listening(host) as (server, port):
        protocol = await connect(how(Timed(), local=at(host, number)), [at(host, port)])
        peer, name = server.accept()
        peer.close()
        assert name[:2] == (host, number)
        # Closed first by this side, it would wait there for a minute.
        await until(lambda: protocol.read(1).called)
        await ended(protocol)


@pytest.mark.parametrize(("host", "foreign"), [("127.0.0.1", "198.51.100.1"), ("::1", "2001:db8::1")])
@pytest_twisted.ensureDeferred
async def test_an_address_of_another_machine_cannot_be_connected_from(host, foreign):
    """It says which."""
    clock = Timed()
    with pytest.raises(AddressNotAvailableError, match=f"from {foreign} port 0: ") as caught:
        await connect(how(clock, local=at(foreign, 0)), [at(host, 9)])
    assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_local_port_that_is_taken_is_an_address_in_use():
    """It says which."""
    with listening() as (_, port):
        taken = at("127.0.0.1", port)
        with pytest.raises(AddressInUseError, match=f"from 127.0.0.1 port {port}: ") as caught:
            await connect(how(Timed(), local=taken), [at("127.0.0.1", 9)])
    assert caught.value.errno == errno.EADDRINUSE


@pytest_twisted.ensureDeferred
async def test_options_that_the_system_refuses_fail_the_attempt():
    """With its number."""
    options = StreamOptions(hop_limit=1000)
    with pytest.raises(SocketException) as caught:
        await connect(how(Timed(), options=options), [at("127.0.0.1", 9)])
    assert caught.value.errno == errno.EINVAL


@pytest_twisted.ensureDeferred
async def test_options_are_set_before_the_connection_is_made():
    """The first packet has them already."""
    with listening() as (server, port):
        options = StreamOptions(keep_alive=True, hop_limit=77)
        connecting = connect(how(Timed(), options=options), [at("127.0.0.1", port)])
        from twisted.internet import reactor

        await until(lambda: connecting.called)
        protocol = await connecting
        skt = protocol.transport.getHandle()
        assert skt.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 77
        assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert protocol.transport in reactor.getReaders()
        server.accept()[0].close()
        await ended(protocol)


@pytest_twisted.ensureDeferred
async def test_a_connection_receives_as_much_at_a_time_as_its_limits_say():
    """``read_size``."""
    with listening() as (server, port):
        bounds = limits(read_size=1_000)
        protocol = await connect(how(Timed(), bounds=bounds), [at("127.0.0.1", port)])
        peer, _ = server.accept()
        with peer:
            peer.settimeout(PATIENCE)
            peer.sendall(bytes(5_000))
            assert len(await protocol.read(5_000)) == 1_000
            protocol.discard_input()
            await ended(protocol)


class Noting(Protocol):
    """A protocol that does something when it is connected, and notes its end."""

    def __init__(self, then=lambda protocol: None):
        self.then = then
        self.lost = None

    def connectionMade(self):
        """See IProtocol."""
        self.then(self)

    def connectionLost(self, reason):
        """See IProtocol."""
        self.lost = reason


class Building(Factory):
    """A factory that builds as a function says, and counts how often it was started and not stopped."""

    noisy = False

    def __init__(self, build):
        self.build = build

    def buildProtocol(self, addr):
        """See IProtocolFactory."""
        return self.build()


@pytest.fixture
def logged():
    """The failures that are logged."""
    failures = []

    def note(event):
        if "log_failure" in event:
            failures.append(event["log_failure"].value)

    globalLogPublisher.addObserver(note)
    yield failures
    globalLogPublisher.removeObserver(note)


async def seen_by_peer(server):
    """What the other end of a connection gets until its end."""
    peer, _ = server.accept()
    with peer:
        peer.settimeout(PATIENCE)
        return await rest(peer)


def fail(*_):
    """What the program does wrong."""
    raise ZeroDivisionError("not today")


@pytest_twisted.ensureDeferred
async def test_what_a_factory_raises_ends_the_whole_connect(logged):
    """Another address would make no difference; the connection that there was is closed."""
    clock = Timed()
    factory = Building(fail)
    with listening() as (server, port):
        with pytest.raises(ZeroDivisionError):
            await connect_stream(how(clock), [at("127.0.0.1", port)] * 2, factory)
        assert factory.numPorts == 0
        assert await seen_by_peer(server) == b""
    assert not clock.getDelayedCalls()
    assert logged == []


@pytest_twisted.ensureDeferred
async def test_what_a_protocol_raises_ends_the_whole_connect(logged):
    """It hears that its connection was broken off, in a turn of its own."""
    clock = Timed()
    protocol = Noting(fail)
    factory = Building(lambda: protocol)
    with listening() as (server, port):
        with pytest.raises(ZeroDivisionError):
            await connect_stream(how(clock), [at("127.0.0.1", port)] * 2, factory)
        assert protocol.lost is None
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionAborted)
        assert factory.numPorts == 0
        with pytest.raises(ConnectionResetError):
            await seen_by_peer(server)
    assert not clock.getDelayedCalls()
    assert logged == []


@pytest.mark.parametrize("wrong", [False, True], ids=["quietly", "failing"])
@pytest_twisted.ensureDeferred
async def test_a_connect_cancelled_by_its_protocol_is_broken_off(logged, wrong):
    """While the protocol is told that it is connected; what it raises on top is logged."""
    clock = Timed()

    def cancel(_):
        connecting.cancel()
        if wrong:
            fail()

    protocol = Noting(cancel)
    factory = Building(lambda: protocol)
    with listening() as (_, port):
        connecting = connect_stream(how(clock), [at("127.0.0.1", port)], factory)
        with pytest.raises(CancelledError):
            await connecting
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionAborted)
    assert factory.numPorts == 0
    assert not clock.getDelayedCalls()
    assert [type(problem) for problem in logged] == [ZeroDivisionError] * wrong


@pytest.mark.parametrize("wrong", [False, True], ids=["quietly", "failing"])
@pytest_twisted.ensureDeferred
async def test_a_connect_cancelled_by_its_factory_is_closed(logged, wrong):
    """While the protocol is built; what the factory raises on top is logged."""
    clock = Timed()
    protocol = Noting()

    def build():
        connecting.cancel()
        return fail() if wrong else protocol

    factory = Building(build)
    with listening() as (server, port):
        connecting = connect_stream(how(clock), [at("127.0.0.1", port)], factory)
        with pytest.raises(CancelledError):
            await connecting
        assert await seen_by_peer(server) == b""
    assert protocol.transport is None
    assert factory.numPorts == 0
    assert not clock.getDelayedCalls()
    assert [type(problem) for problem in logged] == [ZeroDivisionError] * wrong


@pytest_twisted.ensureDeferred
async def test_a_connection_that_ends_while_it_is_announced_was_none(logged):
    """The connect fails with the reason."""
    clock = Timed()
    protocol = Noting(lambda protocol: protocol.transport.connectionLost(Failure(ConnectionDone())))
    factory = Building(lambda: protocol)
    with listening() as (_, port), pytest.raises(ConnectionDone):
        await connect_stream(how(clock), [at("127.0.0.1", port)], factory)
    assert protocol.lost.check(ConnectionDone)
    assert factory.numPorts == 0
    assert logged == []


@pytest_twisted.ensureDeferred
async def test_a_factory_is_stopped_with_the_connection_it_was_started_for():
    """Not before."""
    protocol = Noting()
    factory = Building(lambda: protocol)
    with listening() as (_, port):
        assert await connect_stream(how(Timed()), [at("127.0.0.1", port)], factory) is protocol
        assert factory.numPorts == 1
    await until(lambda: protocol.lost)
    assert factory.numPorts == 0
