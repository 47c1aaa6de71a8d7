"""Endpoints: protocols of any kind over our transports, and errors that say what was attempted."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, NoProtocol
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from tests.transports.loopback import (
    HOSTS,
    NEEDS_IPV6,
    NEEDS_LOOPBACK_NET,
    PATIENCE,
    Timed,
    black_hole,
    limits,
    listening,
    pattern,
    reserved_port,
    rest,
    until,
)
from winsockets.errors import (
    AddressInUseError,
    AddressNotAvailableError,
    ConnectionTimedOutError,
    ConnectRefusedError,
    InvalidArgumentError,
    OperationCanceledError,
    SocketErrorStatus,
    SocketException,
    UnknownServiceError,
)
from winsockets.foundation import AsyncStatus
from winsockets.transports import StreamClientEndpoint, StreamOptions, StreamServerEndpoint


class Noting(Protocol):
    """A protocol as Twisted programs have them, that notes what it is told."""

    def __init__(self):
        self.got = b""
        self.over = Deferred()

    def dataReceived(self, data):
        """See IProtocol."""
        self.got += data

    def connectionLost(self, reason):
        """See IProtocol."""
        self.over.callback(reason.value)


class Counting(Factory):
    """A factory that notes its protocols, and how often it was started and stopped."""

    noisy = False
    protocol = Noting

    def __init__(self):
        self.built = []
        self.calls = []

    def startFactory(self):
        """See Factory."""
        self.calls.append("start")

    def stopFactory(self):
        """See Factory."""
        self.calls.append("stop")

    def buildProtocol(self, addr):
        """See IProtocolFactory."""
        self.built.append(super().buildProtocol(addr))
        return self.built[-1]


@pytest.fixture
def the_reactor():
    """The one that runs."""
    from twisted.internet import reactor

    return reactor


@asynccontextmanager
async def serving(factory, reactor, **settings):
    """A listening port of an endpoint, closed in the end."""
    settings.setdefault("interface", "127.0.0.1")
    port = await StreamServerEndpoint(reactor, 0, **settings).listen(factory)
    try:
        yield port
    finally:
        await port.stopListening()


def test_endpoints_are_what_twisted_takes(the_reactor):
    """And they show where they lead."""
    client = StreamClientEndpoint(the_reactor, "example.org", "80")
    verifyObject(IStreamClientEndpoint, client)
    assert repr(client) == "<StreamClientEndpoint to example.org port 80>"
    server = StreamServerEndpoint(the_reactor, 80)
    verifyObject(IStreamServerEndpoint, server)
    assert repr(server) == "<StreamServerEndpoint on all interfaces port 80>"
    assert (
        repr(StreamServerEndpoint(the_reactor, 80, interface="::1"))
        == "<StreamServerEndpoint on ::1 port 80>"
    )


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_protocols_of_any_kind_are_connected(the_reactor, host):
    """What one writes the other gets, and both hear of an end in good order."""
    servers, clients = Counting(), Counting()
    async with serving(servers, the_reactor, interface=host) as port:
        verifyObject(IListeningPort, port)
        endpoint = StreamClientEndpoint(the_reactor, host, port.getHost().port)
        client = await endpoint.connect(clients)
        assert clients.built == [client]
        assert client.transport.getPeer().host == host
        await until(lambda: servers.built)
        (server,) = servers.built
        data = pattern(1_000_000)
        client.transport.write(data)
        server.transport.writeSequence([b"one", b"two"])
        await until(lambda: client.got == b"onetwo")
        client.transport.loseConnection()
        assert isinstance(await server.over, ConnectionDone)
        assert server.got == data
        assert isinstance(await client.over, ConnectionDone)
        assert clients.calls == ["start", "stop"]
        assert servers.calls == ["start"]
    assert servers.calls == ["start", "stop"]


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_without_an_interface_it_listens_on_both_families(the_reactor):
    """Under one number, as one port, until that is told to stop."""
    factory = Counting()
    async with serving(factory, the_reactor, interface=None) as port:
        verifyObject(IListeningPort, port)
        number = port.getHost().port
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, number), PATIENCE) as peer:
                await until(lambda: factory.built)
                protocol = factory.built.pop()
                assert protocol.transport.getPeer().host == peer.getsockname()[0]
                protocol.transport.loseConnection()
                await protocol.over
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, number), PATIENCE)
    with pytest.raises(AttributeError):
        port.getHost()


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_ports_of_both_families_can_start_again(the_reactor):
    """IListeningPort has it so."""
    with reserved_port("::1") as number:
        pass
    endpoint = StreamServerEndpoint(the_reactor, number)
    factory = Counting()
    port = await endpoint.listen(factory)
    await port.stopListening()
    port.startListening()
    assert port.getHost().port == number
    await port.stopListening()
    assert factory.calls == ["start", "stop"] * 2


@pytest_twisted.ensureDeferred
async def test_a_name_is_listened_on(the_reactor):
    """As far as its addresses are of this machine."""
    factory = Counting()
    async with serving(factory, the_reactor, interface="localhost") as port:
        client = await StreamClientEndpoint(the_reactor, "localhost", port.getHost().port).connect(Counting())
        client.transport.loseConnection()
        await client.over
        await until(lambda: factory.built)
        await factory.built[0].over


@pytest_twisted.ensureDeferred
async def test_connections_beyond_the_limit_wait(the_reactor):
    """Until one ends."""
    factory = Counting()
    async with serving(factory, the_reactor, max_connections=1) as port:
        number = port.getHost().port
        with (
            socket.create_connection(("127.0.0.1", number), PATIENCE) as one,
            socket.create_connection(("127.0.0.1", number), PATIENCE) as other,
        ):
            await until(lambda: factory.built)
            assert len(factory.built) == 1
            one.close()
            await factory.built[0].over
            await until(lambda: len(factory.built) == 2)
            other.close()
            await factory.built[1].over


@pytest_twisted.ensureDeferred
async def test_options_and_limits_come_to_the_transports(the_reactor):
    """On both sides."""
    options, bounds = StreamOptions(no_delay=False, keep_alive=True), limits(read_size=1000)
    factory = Counting()
    async with serving(factory, the_reactor, options=options, limits=bounds) as port:
        endpoint = StreamClientEndpoint(
            the_reactor, "127.0.0.1", port.getHost().port, options=options, limits=bounds
        )
        client = await endpoint.connect(Counting())
        await until(lambda: factory.built)
        for protocol in (client, factory.built[0]):
            assert protocol.transport.getTcpKeepAlive()
            assert not protocol.transport.getTcpNoDelay()
            assert protocol.transport.bufferSize == 1000
        client.transport.loseConnection()
        await client.over
        await factory.built[0].over


@pytest_twisted.ensureDeferred
async def test_the_backlog_is_the_systems_queue(the_reactor, monkeypatch):
    """It is what listen(2) is told."""
    told = []

    class Listening(socket.socket):
        def listen(self, backlog):
            told.append(backlog)
            super().listen(backlog)

    monkeypatch.setattr(socket, "socket", Listening)
    async with serving(Counting(), the_reactor, backlog=7):
        assert told == [7]


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_client_connects_from_its_bind_address(the_reactor):
    """The peer sees it."""
    with listening() as (server, port):
        endpoint = StreamClientEndpoint(the_reactor, "127.0.0.1", port, bind_address="127.0.0.9")
        client = await endpoint.connect(Counting())
        peer, name = server.accept()
        with peer:
            assert name[0] == "127.0.0.9"
        await client.over


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_a_bind_address_of_another_family_is_an_error(the_reactor):
    """Whose message has both."""
    endpoint = StreamClientEndpoint(the_reactor, "127.0.0.1", 80, bind_address="::1")
    with pytest.raises(SocketException, match=r"127\.0\.0\.1: .*::1") as caught:
        await endpoint.connect(Counting())
    assert caught.value.status is SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED


@pytest_twisted.ensureDeferred
async def test_a_refusal_has_its_status_and_stops_the_factory(the_reactor):
    """Nothing was built."""
    factory = Counting()
    with (
        reserved_port() as port,
        pytest.raises(ConnectRefusedError, match=f"connect to 127.0.0.1 port {port}"),
    ):
        await StreamClientEndpoint(the_reactor, "127.0.0.1", port).connect(factory)
    assert factory.built == []
    assert factory.calls == ["start", "stop"]


@pytest_twisted.ensureDeferred
async def test_a_connect_ends_with_its_deadline():
    """In the time of the reactor that the endpoint was given."""
    clock = Timed()
    factory = Counting()
    with black_hole() as port:
        endpoint = StreamClientEndpoint(clock, "127.0.0.1", port, limits=limits(connect_timeout=3.0))
        connecting = endpoint.connect(factory)
        clock.advance(3.0)
        with pytest.raises(ConnectionTimedOutError):
            await connecting
    assert factory.calls == ["start", "stop"]
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_cancelled_connect_leaves_nothing():
    """And its operation is cancelled."""
    clock = Timed()
    factory = Counting()
    with black_hole() as port:
        connecting = StreamClientEndpoint(clock, "127.0.0.1", port).connect(factory)
        connecting.cancel()
        with pytest.raises(OperationCanceledError):
            await connecting
    assert connecting.status is AsyncStatus.CANCELED
    assert factory.calls == ["start", "stop"]
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_factory_that_builds_nothing_closes_the_connection(the_reactor):
    """On either side; the client is told."""
    empty = Counting()
    empty.buildProtocol = lambda addr: None
    with listening() as (server, port):
        with pytest.raises(NoProtocol):
            await StreamClientEndpoint(the_reactor, "127.0.0.1", port).connect(empty)
        peer, _ = server.accept()
        with peer:
            assert await rest(peer) == b""
    async with serving(empty, the_reactor) as port:
        with socket.create_connection(("127.0.0.1", port.getHost().port), PATIENCE) as peer:
            assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_a_taken_port_has_its_status(the_reactor):
    """And nothing listens."""
    factory = Counting()
    with listening() as (_, port), pytest.raises(AddressInUseError, match=f"127.0.0.1 port {port}"):
        await StreamServerEndpoint(the_reactor, port, interface="127.0.0.1").listen(factory)
    assert factory.calls == []


@pytest_twisted.ensureDeferred
async def test_a_foreign_interface_has_its_status(the_reactor):
    """192.0.2.0/24 is for documentation."""
    with pytest.raises(AddressNotAvailableError):
        await StreamServerEndpoint(the_reactor, 0, interface="192.0.2.1").listen(Counting())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StreamClientEndpoint(None, "", 80), "empty"),
        (lambda: StreamClientEndpoint(None, "a", 0), "port 0"),
        (lambda: StreamClientEndpoint(None, "a", 65536), "65536"),
        (lambda: StreamClientEndpoint(None, None, 80), "host is None"),
        (lambda: StreamServerEndpoint(None, -1), "-1"),
        (lambda: StreamServerEndpoint(None, 0, backlog=0), "backlog: 0"),
        (lambda: StreamServerEndpoint(None, 0, max_connections=0), "max_connections: 0"),
        (lambda: StreamServerEndpoint(None, 0, interface="a b"), "a b"),
    ],
)
def test_a_value_that_is_not_acceptable_is_refused_at_once(make, words):
    """With a message that has it."""
    with pytest.raises(InvalidArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: StreamClientEndpoint(None, "a", 80, options=None),
            "options is a StreamOptions, not NoneType",
        ),
        (lambda: StreamServerEndpoint(None, 0, options={}), "options is a StreamOptions, not dict"),
        (lambda: StreamOptions(adapter="lo"), "adapter is a NetworkAdapter, not str"),
    ],
)
def test_options_of_another_kind_are_refused_at_once(make, words):
    """And not when the first connection is made."""
    with pytest.raises(TypeError, match=words):
        make()


def test_a_service_that_nobody_knows_is_refused_at_once():
    """As StreamSocket does."""
    with pytest.raises(UnknownServiceError, match="no-such-service"):
        StreamClientEndpoint(None, "192.0.2.1", "no-such-service")
