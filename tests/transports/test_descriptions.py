"""Endpoints by description, through Twisted's own functions."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.plugin import IPlugin
from zope.interface.verify import verifyObject

from tests.networks import network_namespace, run
from tests.transports.loopback import NEEDS_LINUX, NEEDS_LOOPBACK_NET, Timed, black_hole, listening
from winsockets.errors import (
    AddressNotAvailableError,
    ConnectionTimedOutError,
    ConnectRefusedError,
    InvalidArgumentError,
    UnknownServiceError,
)
from winsockets.transports import StreamClientEndpoint, StreamServerEndpoint
from winsockets.transports._descriptions import EndpointDescriptions

PLUGIN = EndpointDescriptions()


def quiet():
    """A factory of protocols that do nothing."""
    factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    return factory


def test_the_parser_is_a_plugin_for_both_sides():
    """Of the kind with the reactor."""
    for interface in (
        IPlugin,
        IStreamClientEndpointStringParserWithReactor,
        IStreamServerEndpointStringParser,
    ):
        verifyObject(interface, PLUGIN)


@pytest.mark.parametrize(
    "description",
    [
        "winsockets:example.org:80",
        "winsockets:host=example.org:port=80",
        "winsockets:example.org:port=http",
        "winsockets:example.org:80:timeout=1.5:bind_address=127.0.0.1",
        "winsockets:example.org:80:adapter=1",
    ],
)
def test_a_client_is_described_with_and_without_keywords(description):
    """As Twisted's own are."""
    endpoint = clientFromString(None, description)
    assert type(endpoint) is StreamClientEndpoint
    assert repr(endpoint) == "<StreamClientEndpoint to example.org port 80>"


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("winsockets:8080", "all interfaces port 8080"),
        ("winsockets:port=8080:interface=", "all interfaces port 8080"),
        ("winsockets:port=8080:interface=127.0.0.1:backlog=5", "127.0.0.1 port 8080"),
        (r"winsockets:port=0:interface=\:\:1", "::1 port 0"),
        ("winsockets:port=8080:adapter=1", "all interfaces port 8080"),
    ],
)
def test_a_server_is_described_with_and_without_keywords(description, shown):
    """As Twisted's own are; colons in addresses are escaped."""
    endpoint = serverFromString(None, description)
    assert type(endpoint) is StreamServerEndpoint
    assert repr(endpoint) == f"<StreamServerEndpoint on {shown}>"


@pytest_twisted.ensureDeferred
async def test_described_endpoints_meet():
    """Over a connection."""
    from twisted.internet import reactor

    port = await serverFromString(reactor, "winsockets:0:interface=127.0.0.1").listen(quiet())
    client = clientFromString(reactor, f"winsockets:127.0.0.1:{port.getHost().port}")
    protocol = await client.connect(quiet())
    protocol.transport.loseConnection()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_timeout_is_that_of_connecting():
    """In seconds."""
    clock = Timed()
    with black_hole() as port:
        connecting = clientFromString(clock, f"winsockets:127.0.0.1:{port}:timeout=2.5").connect(quiet())
        clock.advance(2.5)
        with pytest.raises(ConnectionTimedOutError, match=r"within 2\.5 s"):
            await connecting


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_the_bind_address_is_connected_from():
    """The peer sees it."""
    from twisted.internet import reactor

    with listening() as (server, port):
        endpoint = clientFromString(reactor, f"winsockets:127.0.0.1:{port}:bind_address=127.0.0.9")
        protocol = await endpoint.connect(quiet())
        peer, name = server.accept()
        peer.close()
        assert name[0] == "127.0.0.9"
        protocol.transport.loseConnection()


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_the_adapter_is_gone_through():
    """By client and server; who comes another way is refused."""
    from twisted.internet import reactor

    with network_namespace():
        run("ip", "link", "add", "v0", "type", "veth")
        run("ip", "link", "set", "v0", "up")
        run("ip", "addr", "add", "10.9.8.1/24", "dev", "v0")
        port = await serverFromString(reactor, "winsockets:0:adapter=v0").listen(quiet())
        number = port.getHost().port
        client = clientFromString(reactor, f"winsockets:10.9.8.1:{number}:adapter=v0")
        protocol = await client.connect(quiet())
        protocol.transport.loseConnection()
        with pytest.raises(ConnectRefusedError):
            await clientFromString(reactor, f"winsockets:127.0.0.1:{number}").connect(quiet())
        await port.stopListening()


def test_an_adapter_that_there_is_not_is_named():
    """As one that is gone."""
    for description in ("winsockets:example.org:80:adapter=none0", "winsockets:80:adapter=none0"):
        from_string = serverFromString if description.startswith("winsockets:80") else clientFromString
        with pytest.raises(AddressNotAvailableError, match="none0"):
            from_string(None, description)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("winsockets", "host and port missing; write winsockets:host=...:port=..."),
        ("winsockets:example.org", "port missing"),
        ("winsockets::", "host and port missing"),
        ("winsockets:port=80", "host missing"),
        ("winsockets:example.org:80:90", "'90' has no keyword"),
        ("winsockets:example.org:80:host=other", "host is given twice, as 'example.org' and 'other'"),
        (
            "winsockets:example.org:80:bindAddress=a",
            "bindAddress=a is not known; there are host, port, timeout",
        ),
        ("winsockets:example.org:eighty one", "'eighty one'"),
        ("winsockets:example.org:0", "port 0"),
        ("winsockets:a b:80", "a b"),
        ("winsockets:example.org:80:timeout=soon", "timeout: 'soon' is not a number of seconds"),
        ("winsockets:example.org:80:timeout=-1", "-1"),
        ("winsockets:example.org:80:bind_address=a b", "a b"),
    ],
)
def test_a_wrong_description_of_a_client_is_one_clear_error(description, words):
    """A ValueError too, as Twisted's own; it has the value."""
    with pytest.raises(InvalidArgumentError) as caught:
        clientFromString(None, description)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("winsockets", "port missing; write winsockets:port=..."),
        ("winsockets:", "port missing"),
        ("winsockets:port=:interface=127.0.0.1", "port missing"),
        ("winsockets:80:90", "'90' has no keyword"),
        ("winsockets:80:port=90", "port is given twice, as '80' and '90'"),
        ("winsockets:80:reuse=1", "reuse=1 is not known; there are port, interface, backlog, adapter"),
        ("winsockets:70000", "'70000'"),
        ("winsockets:80:backlog=many", "backlog: 'many' is not a whole number"),
        ("winsockets:80:backlog=0", "backlog: 0"),
        ("winsockets:80:interface=a b", "a b"),
    ],
)
def test_a_wrong_description_of_a_server_is_one_clear_error(description, words):
    """A ValueError too, as Twisted's own; it has the value."""
    with pytest.raises(InvalidArgumentError) as caught:
        serverFromString(None, description)
    assert words in str(caught.value)


def test_a_service_that_nobody_knows_is_an_error_with_its_name():
    """A port that might be one; for other hosts a name server might know it."""
    with pytest.raises(UnknownServiceError, match="no-such-service"):
        clientFromString(None, "winsockets:localhost:no-such-service")
