"""Stream sockets over any endpoint of Twisted's, and over any connected protocol."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
import trustme
from OpenSSL import SSL
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    ProcessEndpoint,
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    wrapClientTLS,
    wrapServerTLS,
)
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import IHostnameResolver, IOpenSSLContextFactory, IStreamClientEndpoint
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from tests.transports.loopback import (
    PATIENCE,
    black_hole,
    limits,
    listening,
    pattern,
    reserved_port,
    rest,
    turn,
)
from winsockets.errors import (
    ConnectRefusedError,
    IllegalMethodCallError,
    OperationCanceledError,
    SocketException,
)
from winsockets.foundation import AsyncStatus
from winsockets.networking import HostName
from winsockets.sockets import StreamSocket
from winsockets.transports import StreamClientEndpoint, StreamFactory, StreamProtocol, StreamServerEndpoint

NEEDS_UNIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no UNIX sockets")


@pytest.fixture
def the_reactor():
    """The one that runs."""
    from twisted.internet import reactor

    return reactor


@asynccontextmanager
async def echoing(endpoint, reactor):
    """A port of an endpoint whose connections become sockets that send everything back."""
    serving = []

    async def echo(protocol):
        async with StreamSocket.from_protocol(protocol) as stream_socket:
            async for chunk in stream_socket.input_stream:
                await stream_socket.output_stream.write_async(chunk)

    def connected(protocol):
        serving.append(ensureDeferred(echo(protocol)))

    port = await endpoint.listen(StreamFactory(reactor, on_connected=connected))
    try:
        yield port
    finally:
        await port.stopListening()
        for ending in serving:
            await ending


async def talk(stream_socket):
    """Send something there and back."""
    data = pattern(300_000)
    writing = stream_socket.output_stream.write_async(data)
    assert await stream_socket.input_stream.read_exactly(len(data)) == data
    await writing


def shown(information):
    """Everything that an information has of addresses."""
    return (
        information.local_address,
        information.local_port,
        information.remote_address,
        information.remote_port,
        information.remote_host_name,
        information.remote_service_name,
    )


NOTHING = (None, "", None, "", None, "")


@pytest.mark.parametrize("kind", [TCP4ClientEndpoint, HostnameEndpoint, StreamClientEndpoint])
@pytest_twisted.ensureDeferred
async def test_tcp_of_twisteds_and_of_ours_makes_sockets(the_reactor, kind):
    """With the addresses of the connection, also after its end."""
    server = StreamServerEndpoint(the_reactor, 0, interface="127.0.0.1")
    async with echoing(server, the_reactor) as port:
        number = port.getHost().port
        async with await StreamSocket.from_endpoint(kind(the_reactor, "127.0.0.1", number)) as client:
            await talk(client)
            here = client._link.protocol.transport.getHost()
            host = HostName("127.0.0.1")
            names = (host, str(here.port), host, str(number), host, str(number))
            assert shown(client.information) == names
            assert repr(client) == f"<StreamSocket with 127.0.0.1 port {number}>"
            client.output_stream.close()
            assert await client.input_stream.read(1) == b""
        assert shown(client.information) == names


@NEEDS_UNIX
@pytest_twisted.ensureDeferred
async def test_unix_sockets_make_sockets(the_reactor, tmp_path):
    """That have no address of the internet families."""
    path = str(tmp_path / "s")
    async with echoing(UNIXServerEndpoint(the_reactor, path), the_reactor):
        async with await StreamSocket.from_endpoint(UNIXClientEndpoint(the_reactor, path)) as client:
            await talk(client)
            assert shown(client.information) == NOTHING
            client.output_stream.close()
            assert await client.input_stream.read(1) == b""
        assert shown(client.information) == NOTHING
        assert client.information.round_trip_time_statistics.sum == 0


@implementer(IOpenSSLContextFactory)
class Context:
    """What Twisted's TLS makes its connections of."""

    def __init__(self, certificate=None):
        self.context = SSL.Context(SSL.TLS_METHOD)
        if certificate is not None:
            certificate.configure_cert(self.context)

    def getContext(self):
        """See IOpenSSLContextFactory."""
        return self.context


@pytest.mark.parametrize("kind", [TCP4ClientEndpoint, StreamClientEndpoint])
@pytest_twisted.ensureDeferred
async def test_tls_of_twisteds_makes_sockets(the_reactor, kind):
    """Whose sending direction ends with the connection, because Twisted's TLS has no half close."""
    context = Context(trustme.CA().issue_cert("localhost"))
    server = wrapServerTLS(context, StreamServerEndpoint(the_reactor, 0, interface="127.0.0.1"))
    async with echoing(server, the_reactor) as port:
        number = port.getHost().port
        endpoint = wrapClientTLS(Context(), kind(the_reactor, "127.0.0.1", number))
        async with await StreamSocket.from_endpoint(endpoint) as client:
            await talk(client)
            names = shown(client.information)
            assert names[2:4] == (HostName("127.0.0.1"), str(number))
            client.output_stream.close()
            await turn(3)
            assert not client._link.protocol.lost
        assert shown(client.information) == names


@pytest_twisted.ensureDeferred
async def test_processes_make_sockets(the_reactor, require_program):
    """Standard input and output are the two directions; nobody has an address."""
    cat = require_program("cat")
    async with await StreamSocket.from_endpoint(ProcessEndpoint(the_reactor, cat, ["cat"])) as client:
        await talk(client)
        assert shown(client.information) == NOTHING
        assert repr(client) == "<StreamSocket with the peer>"
    assert shown(client.information) == NOTHING


@pytest_twisted.ensureDeferred
async def test_the_limits_are_those_of_the_call(the_reactor):
    """The control shows them, and refuses to be changed."""
    bounds = limits(read_high_water=100)
    with listening() as (server, port):
        endpoint = TCP4ClientEndpoint(the_reactor, "127.0.0.1", port)
        async with await StreamSocket.from_endpoint(endpoint, limits=bounds) as client:
            peer, _ = server.accept()
            with peer:
                assert client.control.limits is bounds
                with pytest.raises(IllegalMethodCallError, match="connected"):
                    client.control.no_delay = False
                with pytest.raises(IllegalMethodCallError):
                    client.connect_async("127.0.0.1", port)


# Errors


@pytest_twisted.ensureDeferred
async def test_errors_of_twisteds_endpoints_are_translated(the_reactor):
    """They say which kind of endpoint it was."""
    with reserved_port() as port, pytest.raises(ConnectRefusedError, match="through TCP4ClientEndpoint"):
        await StreamSocket.from_endpoint(TCP4ClientEndpoint(the_reactor, "127.0.0.1", port))


@pytest_twisted.ensureDeferred
async def test_errors_of_our_endpoints_say_what_they_say(the_reactor):
    """They are of the family."""
    with (
        reserved_port() as port,
        pytest.raises(ConnectRefusedError, match=f"connect to 127.0.0.1 port {port}"),
    ):
        await StreamSocket.from_endpoint(StreamClientEndpoint(the_reactor, "127.0.0.1", port))


async def broken_off(server):
    """Wait for a connection to be made, and to be reset."""
    peer, _ = await deferToThread(server.accept)
    with peer:
        peer.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            await rest(peer)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """One that does what a test says."""

    def __init__(self, connect):
        self.connect = connect


def refuse(factory):
    """Fail in the call."""
    raise NoProtocol


@pytest.mark.parametrize("connect", [refuse, lambda factory: fail(NoProtocol())], ids=["call", "later"])
@pytest_twisted.ensureDeferred
async def test_other_errors_are_translated_too(connect):
    """In the call or after it: the operation fails, with the cause."""
    connecting = StreamSocket.from_endpoint(Endpoint(connect))
    with pytest.raises(SocketException, match="through Endpoint") as caught:
        await connecting
    assert type(caught.value.__cause__) is NoProtocol


@pytest_twisted.ensureDeferred
async def test_what_connected_before_the_endpoint_failed_is_broken_off(the_reactor):
    """An endpoint may do more than to connect."""

    async def connect(factory):
        await TCP4ClientEndpoint(the_reactor, "127.0.0.1", port).connect(factory)
        raise NoProtocol

    with listening() as (server, port):
        with pytest.raises(SocketException):
            await StreamSocket.from_endpoint(Endpoint(lambda factory: ensureDeferred(connect(factory))))
        await broken_off(server)


# Cancelling


@pytest.mark.parametrize("kind", [TCP4ClientEndpoint, HostnameEndpoint, StreamClientEndpoint])
@pytest_twisted.ensureDeferred
async def test_cancelling_leaves_nothing(the_reactor, kind):
    """And the operation is cancelled."""
    with black_hole() as port:
        connecting = StreamSocket.from_endpoint(kind(the_reactor, "127.0.0.1", port))
        connecting.cancel()
        with pytest.raises(OperationCanceledError, match=f"through {kind.__name__}: cancelled"):
            await connecting
    assert connecting.status is AsyncStatus.CANCELED


@implementer(IHostnameResolver)
class Silent:
    """Never answers."""

    def resolveHostName(self, receiver, hostName, portNumber=0, addressTypes=None, transportSemantics="TCP"):
        """See IHostnameResolver."""


@pytest_twisted.ensureDeferred
async def test_cancelling_while_a_name_is_looked_up_is_cancelling(the_reactor):
    """Whatever the endpoint says of it: Twisted's says that there is no such host."""
    before = the_reactor.installNameResolver(Silent())
    try:
        connecting = StreamSocket.from_endpoint(HostnameEndpoint(the_reactor, "example.org", 80))
        connecting.cancel()
        with pytest.raises(OperationCanceledError):
            await connecting
    finally:
        the_reactor.installNameResolver(before)


@pytest_twisted.ensureDeferred
async def test_what_connects_after_a_cancel_is_broken_off(the_reactor):
    """Not every endpoint can be cancelled."""
    go_on = Deferred(lambda _: None)

    async def connect(factory):
        with pytest.raises(Exception):  # noqa: B017, PT011
            await go_on
        return await TCP4ClientEndpoint(the_reactor, "127.0.0.1", port).connect(factory)

    with listening() as (server, port):
        connecting = StreamSocket.from_endpoint(Endpoint(lambda factory: ensureDeferred(connect(factory))))
        connecting.cancel()
        with pytest.raises(OperationCanceledError):
            await connecting
        await broken_off(server)


# Over a protocol


def test_a_protocol_without_a_connection_is_refused(the_reactor):
    """It would be nothing to talk to."""
    with pytest.raises(IllegalMethodCallError, match="from_protocol: the protocol is not connected"):
        StreamSocket.from_protocol(StreamProtocol(the_reactor, limits()))


@pytest_twisted.ensureDeferred
async def test_a_forgotten_socket_that_was_connected_is_closed_with_a_warning(the_reactor):
    """As one of connect_async's."""
    with listening() as (server, port):
        client = await StreamSocket.from_endpoint(TCP4ClientEndpoint(the_reactor, "127.0.0.1", port))
        peer, _ = server.accept()
        with peer:
            peer.settimeout(PATIENCE)
            # Those who have just handed it over hold it for the rest of the turn.
            await turn()
            with pytest.warns(ResourceWarning, match="never closed"):
                del client
            assert await rest(peer) == b""


@pytest_twisted.ensureDeferred
async def test_a_forgotten_socket_over_a_protocol_is_closed(the_reactor):
    """As an accepted one, without a warning."""
    with listening() as (server, port):
        factory = StreamFactory(the_reactor)
        protocol = await StreamClientEndpoint(the_reactor, "127.0.0.1", port).connect(factory)
        client = StreamSocket.from_protocol(protocol)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(PATIENCE)
            del client
            assert await rest(peer) == b""
        await protocol.when_lost()
