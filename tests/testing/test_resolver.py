"""Names that resolve as a test says, for this library and for Twisted's endpoints."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from winsockets import (
    DatagramSocket,
    InvalidArgumentError,
    NameResolutionError,
    SocketErrorStatus,
    StreamSocket,
    StreamSocketListener,
)
from winsockets.testing import MemoryResolver, install_resolver


@pytest.fixture
def reactor():
    """The installed one."""
    from twisted.internet import reactor

    return reactor


async def addresses_of(name):
    """The addresses that a name has, through the library."""
    pairs = await StreamSocket.get_endpoint_pairs_async(name, "80")
    return [str(pair.remote_host_name) for pair in pairs]


def test_it_is_a_resolver():
    """To Twisted."""
    verifyObject(IHostnameResolver, MemoryResolver({}))


@pytest_twisted.ensureDeferred
async def test_a_socket_connects_to_a_name_of_the_test(reactor):
    """However the name is written."""
    listener = StreamSocketListener()
    listener.connection_received += lambda sender, args: args.socket.close()
    await listener.bind_endpoint_async("127.0.0.1", "0")
    async with listener:
        with install_resolver(reactor, {"Server.Example": ["127.0.0.1"]}) as resolver:
            async with StreamSocket() as client:
                await client.connect_async("SERVER.example", listener.information.local_port)
                assert str(client.information.remote_address) == "127.0.0.1"
    assert resolver.asked == ["server.example"]


@pytest_twisted.ensureDeferred
async def test_the_answers_come_as_they_were_given(reactor):
    """All of them, of both families."""
    with install_resolver(
        reactor, {"both.example": ["127.0.0.1", "::1", "127.0.0.2"], "büro.example": ["::1"]}
    ):
        assert sorted(await addresses_of("both.example")) == ["127.0.0.1", "127.0.0.2", "::1"]
        assert await addresses_of("BÜRO.example") == ["::1"]


@pytest.mark.parametrize(
    ("name", "answer", "status", "number"),
    [
        ("other.example", ["127.0.0.1"], SocketErrorStatus.HOST_NOT_FOUND, socket.EAI_NONAME),
        (
            "host.example",
            socket.gaierror(socket.EAI_AGAIN, "try again"),
            SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND,
            socket.EAI_AGAIN,
        ),
        pytest.param(
            "host.example",
            [],
            SocketErrorStatus.NO_DATA_RECORD_OF_REQUESTED_TYPE,
            getattr(socket, "EAI_NODATA", None),
            marks=pytest.mark.skipif(
                not hasattr(socket, "EAI_NODATA"), reason="the system has no such error"
            ),
        ),
    ],
    ids=["another name", "an error", "no address"],
)
@pytest_twisted.ensureDeferred
async def test_a_name_without_an_address_fails_with_its_reason(monkeypatch, name, answer, status, number):
    """And the system is never asked, by streams or by datagrams."""
    from twisted.internet import reactor

    threads = []
    monkeypatch.setattr(
        reactor.getThreadPool(), "callInThreadWithCallback", lambda *args: threads.append(args)
    )
    with install_resolver(reactor, {"host.example": answer}):
        for begin in (
            lambda: StreamSocket().connect_async(name, "80"),
            lambda: DatagramSocket().get_output_stream_async(name, "80"),
        ):
            with pytest.raises(NameResolutionError) as raised:
                await begin()
            assert (raised.value.status, raised.value.errno) == (status, number)
            assert name in str(raised.value)
    assert threads == []


@pytest_twisted.ensureDeferred
async def test_twisted_s_endpoints_go_by_it_too(reactor):
    """A name without an address is a failed lookup to them."""
    with install_resolver(reactor, {"empty.example": []}), pytest.raises(DNSLookupError):
        await HostnameEndpoint(reactor, "empty.example", 80).connect(Factory.forProtocol(Protocol))


def test_the_resolver_before_comes_back(reactor):
    """After an error too; blocks may stand in each other."""
    before = reactor.nameResolver
    with install_resolver(reactor, {}) as outer:
        assert reactor.nameResolver is outer
        with pytest.raises(ZeroDivisionError), install_resolver(reactor, {}):
            raise ZeroDivisionError
        assert reactor.nameResolver is outer
    assert reactor.nameResolver is before


@pytest.mark.parametrize(
    ("names", "problem"),
    [({"host.example": ["localhost"]}, ValueError), ({"not a name": ["127.0.0.1"]}, InvalidArgumentError)],
    ids=["not an address", "not a name"],
)
def test_answers_that_make_no_sense_are_refused(reactor, names, problem):
    """At once, with the old resolver still in place."""
    before = reactor.nameResolver
    with pytest.raises(problem), install_resolver(reactor, names):
        pass
    assert reactor.nameResolver is before


def test_only_the_kinds_of_address_asked_for_are_given():
    """As IHostnameResolver says."""
    from twisted.internet.address import IPv4Address, IPv6Address

    class Receiver:
        def __init__(self):
            self.heard = []

        def resolutionBegan(self, resolution):
            self.heard.append(resolution.name)

        def addressResolved(self, address):
            self.heard.append(address)

        def resolutionComplete(self):
            self.heard.append("complete")

    resolver = MemoryResolver({"both.example": ["127.0.0.1", "::1"]})
    receiver = Receiver()
    resolution = resolver.resolveHostName(receiver, "both.example", 53, [IPv6Address], "UDP")
    assert receiver.heard == ["both.example", IPv6Address("UDP", "::1", 53), "complete"]
    resolution.cancel()
    resolver.resolveHostName(receiver, "both.example", 53, [IPv4Address])
    assert receiver.heard[4:] == [IPv4Address("TCP", "127.0.0.1", 53), "complete"]
