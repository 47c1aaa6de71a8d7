"""Services that SRV records tell about: from the name to bytes that go back and forth."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol
from twisted.names import dns

from tests.sockets.name_service import AAAA, SRV, A, name_server
from tests.sockets.tls import authority, server_identity
from tests.transports.loopback import NEEDS_LOOPBACK_NET
from winsockets.errors import (
    ConnectionTimedOutError,
    ConnectRefusedError,
    NameResolutionError,
    OperationAbortedError,
    SocketErrorStatus,
    SocketException,
    UnknownServiceError,
)
from winsockets.foundation import DEFAULT_LIMITS, AsyncStatus
from winsockets.networking import HostName, NetworkAdapter, _locating
from winsockets.sockets import DatagramSocket, SocketProtectionLevel, StreamSocket, StreamSocketListener
from winsockets.transports import StreamClientEndpoint

Status = SocketErrorStatus
HOST = "shop.example"
SERVICE = "winsockets-greeter"
TCP = (f"_{SERVICE}._tcp.{HOST}", dns.SRV)
UDP = (f"_{SERVICE}._udp.{HOST}", dns.SRV)
# However busy the machine is
PATIENT = replace(
    DEFAULT_LIMITS,
    resolve_timeout=100.0,
    name_server_timeout=100.0,
    late_answers_wait=100.0,
    connection_attempt_delay=100.0,
)


async def greeter(text, tls=None):
    """A listener that says something to everybody."""
    listener = StreamSocketListener()

    async def greet(_, args):
        await args.socket.output_stream.write_async(text)
        args.socket.close()

    listener.connection_received += greet
    if tls is None:
        await listener.bind_endpoint_async("127.0.0.1", "")
    else:
        listener.control.server_certificates = [tls]
        level = SocketProtectionLevel.UNSPECIFIED
        await listener.bind_endpoint_async("127.0.0.1", "", level)
    return listener


async def greeting(client):
    """What a client is told."""
    return b"".join([chunk async for chunk in client.input_stream])


@contextmanager
def dead_port():
    """A port at which nobody listens, and nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def port_of(listener):
    """The port of a listener, as a number."""
    return int(listener.information.local_port)


@pytest_twisted.ensureDeferred
async def test_a_connect_finds_the_port_of_the_service():
    """The program gives neither port nor address of the target, and reads what it asked for."""
    async with await greeter(b"hello") as listener:
        table = {TCP: [SRV(0, 0, port_of(listener), "one.example")], ("one.example", dns.A): [A("127.0.0.1")]}
        async with name_server(table) as (server, asked), StreamSocket() as client:
            client.control.limits = PATIENT
            client.control.name_servers = [server]
            await client.connect_async(HOST, SERVICE)
            assert await greeting(client) == b"hello"
            assert asked == [TCP, ("one.example", dns.AAAA), ("one.example", dns.A)]
            information = client.information
            assert (information.remote_host_name, information.remote_service_name) == (
                HostName(HOST),
                SERVICE,
            )
            assert information.remote_address == HostName("127.0.0.1")
            assert information.remote_port == listener.information.local_port


@pytest_twisted.ensureDeferred
async def test_the_second_target_is_tried_when_the_first_is_dead():
    """By priority, each with its own port; a target without address is passed over."""
    async with await greeter(b"second") as second, await greeter(b"third") as third:
        with dead_port() as dead:
            table = {
                TCP: [
                    SRV(30, 0, port_of(third), "one.example"),
                    SRV(20, 0, port_of(second), "one.example"),
                    SRV(10, 0, dead, "one.example"),
                    SRV(5, 0, 9, "gone.example"),
                ],
                ("one.example", dns.A): [A("127.0.0.1")],
            }
            async with name_server(table) as (server, _), StreamSocket() as client:
                client.control.limits = PATIENT
                client.control.name_servers = [server]
                await client.connect_async(HOST, SERVICE)
                assert await greeting(client) == b"second"


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_target_is_given_up_before_the_next_is_tried():
    """Families alternate within a target, not across: its second address comes before a later target."""
    async with await greeter(b"one") as one, await greeter(b"two") as two:
        table = {
            TCP: [SRV(0, 0, port_of(one), "one.example"), SRV(1, 0, port_of(two), "two.example")],
            ("one.example", dns.A): [A("127.0.0.9"), A("127.0.0.8"), A("127.0.0.1")],
            ("two.example", dns.AAAA): [AAAA("::ffff:127.0.0.1")],
            ("two.example", dns.A): [A("127.0.0.1")],
        }
        async with name_server(table) as (server, _), StreamSocket() as client:
            client.control.limits = PATIENT
            client.control.name_servers = [server]
            await client.connect_async(HOST, SERVICE)
            assert await greeting(client) == b"one"


@pytest_twisted.ensureDeferred
async def test_all_targets_dead_is_told_with_the_service():
    """The error of connecting; the socket can be used for something else then."""
    async with await greeter(b"hello") as listener:
        with dead_port() as dead:
            table = {TCP: [SRV(0, 0, dead, "one.example")], ("one.example", dns.A): [A("127.0.0.1")]}
            async with name_server(table) as (server, _), StreamSocket() as client:
                client.control.name_servers = [server]
                with pytest.raises(ConnectRefusedError, match=f"{HOST} service {SERVICE}"):
                    await client.connect_async(HOST, SERVICE)
                client.control.name_servers = []
                await client.connect_async("127.0.0.1", port_of(listener))
                assert await greeting(client) == b"hello"


@pytest_twisted.ensureDeferred
async def test_without_a_setting_the_servers_of_the_system_are_asked(monkeypatch):
    """And the resolver of the reactor for the addresses of the targets."""
    async with await greeter(b"hello") as listener:
        table = {TCP: [SRV(0, 0, port_of(listener), "localhost")]}
        async with name_server(table) as (server, asked), StreamSocket() as client:
            client.control.limits = PATIENT
            monkeypatch.setattr(
                _locating, "system_name_servers", lambda: _locating.server_addresses([server])
            )
            await client.connect_async(HOST, SERVICE)
            assert await greeting(client) == b"hello"
            assert asked == [TCP]


@pytest_twisted.ensureDeferred
async def test_a_hierarchy_of_services():
    """Its inner parts are spelt out by the program."""
    async with await greeter(b"hello") as listener:
        name = f"_{SERVICE}._service01._tcp.{HOST}"
        table = {(name, dns.SRV): [SRV(0, 0, port_of(listener), "localhost")]}
        async with name_server(table) as (server, _), StreamSocket() as client:
            client.control.limits = PATIENT
            client.control.name_servers = [server]
            await client.connect_async(HOST, f"{SERVICE}._service01")
            assert await greeting(client) == b"hello"


@pytest.mark.parametrize("kind", [StreamSocket, DatagramSocket])
@pytest.mark.parametrize(
    ("table", "status"),
    [
        ({}, Status.CLASS_TYPE_NOT_FOUND),
        ({HOST: []}, Status.CLASS_TYPE_NOT_FOUND),
        ({"srv": [SRV(0, 0, 0, "")]}, Status.CLASS_TYPE_NOT_FOUND),
        ({"srv": [SRV(0, 0, 9, "gone.example")]}, Status.NO_ADDRESSES_FOUND),
        ({"srv": []}, Status.CLASS_TYPE_NOT_FOUND),
    ],
    ids=["unknown", "no record", "not offered", "no address", "no data"],
)
@pytest_twisted.ensureDeferred
async def test_a_service_that_is_nowhere_fails_the_operation(kind, table, status):
    """Not the call, because only DNS knows; its status tells what DNS knows."""
    record = TCP if kind is StreamSocket else UDP
    real = {record if name == "srv" else (name, dns.A): value for name, value in table.items()}
    async with name_server(real) as (server, _), kind() as client:
        client.control.limits = PATIENT
        client.control.name_servers = [server]
        operation = client.connect_async(HOST, SERVICE)
        with pytest.raises(SocketException) as caught:
            await operation
        assert caught.value.status is status
        assert isinstance(caught.value, NameResolutionError | UnknownServiceError)
        assert operation.status is AsyncStatus.ERROR


@pytest.mark.parametrize("kind", [StreamSocket, DatagramSocket])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_has_no_services_by_name(kind, host):
    """The call fails, as for every wrong argument."""
    for call in (kind().connect_async, kind.get_endpoint_pairs_async):
        with pytest.raises(UnknownServiceError, match=SERVICE):
            call(host, SERVICE)


@pytest.mark.parametrize(
    ("payloads", "status"),
    [
        ([], Status.NO_DATA_RECORD_OF_REQUESTED_TYPE),
        (None, Status.HOST_NOT_FOUND),
        ([A("127.0.0.1")], None),
    ],
    ids=["no data", "no name", "found"],
)
@pytest_twisted.ensureDeferred
async def test_given_servers_are_asked_for_addresses_too(payloads, status):
    """A port, and a host that only they know."""
    async with await greeter(b"hello") as listener:
        table = {} if payloads is None else {(HOST, dns.A): payloads}
        async with name_server(table) as (server, asked), StreamSocket() as client:
            client.control.limits = PATIENT
            client.control.name_servers = [server]
            if status is None:
                await client.connect_async(HOST, port_of(listener))
                assert await greeting(client) == b"hello"
            else:
                with pytest.raises(NameResolutionError, match=HOST) as caught:
                    await client.connect_async(HOST, port_of(listener))
                assert caught.value.status is status
            assert set(asked) == {(HOST, dns.A), (HOST, dns.AAAA)}


@pytest_twisted.ensureDeferred
async def test_a_name_server_that_is_not_there_costs_no_time():
    """The system says so on every reactor; the next one is asked, or there is none."""
    async with await greeter(b"hello") as listener:
        table = {TCP: [SRV(0, 0, port_of(listener), "localhost")]}
        async with name_server(table) as (server, _), StreamSocket() as client:
            with dead_port() as dead, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
                held.bind(("127.0.0.1", dead))
                # To nobody but a socket that is connected to somebody else.
                held.connect(("127.0.0.1", server[1]))
                client.control.limits = replace(
                    DEFAULT_LIMITS, name_server_timeout=1000.0, resolve_timeout=900.0
                )
                client.control.name_servers = [("127.0.0.1", dead), server]
                await client.connect_async(HOST, SERVICE)
                assert await greeting(client) == b"hello"
                alone = StreamSocket()
                alone.control.limits = client.control.limits
                alone.control.name_servers = [("127.0.0.1", dead)]
                with pytest.raises(NameResolutionError, match="refused") as caught:
                    await alone.connect_async(HOST, SERVICE)
                assert caught.value.status is Status.NON_AUTHORITATIVE_HOST_NOT_FOUND


@pytest_twisted.ensureDeferred
async def test_silent_servers_end_at_the_deadline():
    """Or when all had their turns, whichever is earlier."""
    async with name_server({TCP: None}) as (server, _):
        for limits, kind, status in [
            (
                replace(DEFAULT_LIMITS, name_server_timeout=0.01),
                NameResolutionError,
                Status.NON_AUTHORITATIVE_HOST_NOT_FOUND,
            ),
            (
                replace(DEFAULT_LIMITS, resolve_timeout=0.01),
                ConnectionTimedOutError,
                Status.CONNECTION_TIMED_OUT,
            ),
        ]:
            async with StreamSocket() as client:
                client.control.limits = limits
                client.control.name_servers = [server]
                with pytest.raises(kind) as caught:
                    await client.connect_async(HOST, SERVICE)
                assert caught.value.status is status


@pytest_twisted.ensureDeferred
async def test_cancelling_and_closing_end_a_lookup():
    """With CANCELED and with OPERATION_ABORTED; the checks after the test find nothing left."""
    async with name_server({TCP: None}) as (server, _):
        client = StreamSocket()
        client.control.name_servers = [server]
        operation = client.connect_async(HOST, SERVICE)
        operation.cancel()
        assert operation.status is AsyncStatus.CANCELED
        with pytest.raises(SocketException):
            await operation
        operation = client.connect_async(HOST, SERVICE)
        client.close()
        with pytest.raises(OperationAbortedError):
            await operation


@pytest_twisted.ensureDeferred
async def test_pairs_have_the_ports_of_the_targets():
    """In the order of the targets; each can be connected to."""
    async with await greeter(b"one") as one, await greeter(b"two") as two:
        table = {
            TCP: [SRV(1, 0, port_of(two), "two.example"), SRV(0, 0, port_of(one), "one.example")],
            ("one.example", dns.A): [A("127.0.0.1")],
            ("two.example", dns.A): [A("127.0.0.1")],
        }
        async with name_server(table) as (server, _):
            pairs = await StreamSocket.get_endpoint_pairs_async(HOST, SERVICE, name_servers=[server])
            assert [pair.remote_service_name for pair in pairs] == [str(port_of(one)), str(port_of(two))]
            for pair, text in zip(pairs, (b"one", b"two"), strict=True):
                async with StreamSocket() as client:
                    await client.connect_async(pair)
                    assert await greeting(client) == text


@pytest_twisted.ensureDeferred
async def test_an_endpoint_finds_services_too():
    """For any protocol of Twisted's."""
    async with await greeter(b"hello") as listener:
        table = {TCP: [SRV(0, 0, port_of(listener), "one.example")], ("one.example", dns.A): [A("127.0.0.1")]}
        async with name_server(table) as (server, _):
            from twisted.internet import reactor

            endpoint = StreamClientEndpoint(reactor, HOST, SERVICE, name_servers=[server])
            assert repr(endpoint) == f"<StreamClientEndpoint to {HOST} service {SERVICE}>"
            protocol = await endpoint.connect(Factory.forProtocol(Protocol))
            assert protocol.transport.getPeer().port == port_of(listener)
            protocol.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_datagrams_find_services_too():
    """Connected ones and streams to a destination, by the record for UDP."""
    receiver = DatagramSocket()
    messages = receiver.messages()
    await receiver.bind_endpoint_async("127.0.0.1", "")
    port = int(receiver.information.local_port)
    table = {UDP: [SRV(0, 0, port, "one.example")], ("one.example", dns.A): [A("127.0.0.1")]}
    async with receiver, name_server(table) as (server, asked), DatagramSocket() as sender:
        sender.control.name_servers = [server]
        stream = await sender.get_output_stream_async(HOST, SERVICE)
        await stream.write_async(b"one")
        assert (await anext(messages)).data == b"one"
        async with DatagramSocket() as connected:
            connected.control.name_servers = [server]
            await connected.connect_async(HOST, SERVICE)
            await connected.output_stream.write_async(b"two")
            assert (await anext(messages)).data == b"two"
            assert connected.information.remote_port == str(port)
        (pair,) = await DatagramSocket.get_endpoint_pairs_async(HOST, SERVICE, name_servers=[server])
        assert pair.remote_service_name == str(port)
        assert UDP in asked
        assert TCP not in asked


@pytest_twisted.ensureDeferred
async def test_the_certificate_is_for_whom_the_program_asked():
    """DNS may name any target: one with a certificate of its own name only is not the shop."""
    for name, good in ((HOST, True), ("one.example", False)):
        async with await greeter(b"hello", server_identity(name)) as listener:
            table = {
                TCP: [SRV(0, 0, port_of(listener), "one.example")],
                ("one.example", dns.A): [A("127.0.0.1")],
            }
            async with name_server(table) as (server, _), StreamSocket() as client:
                client.control.name_servers = [server]
                client.control.trusted_server_certificates = [authority().certificate]
                connecting = client.connect_async(HOST, SERVICE, SocketProtectionLevel.UNSPECIFIED)
                if good:
                    await connecting
                    assert await greeting(client) == b"hello"
                else:
                    with pytest.raises(SocketException, match=f"not for {HOST}") as caught:
                        await connecting
                    assert caught.value.status is Status.CERTIFICATE_COMMON_NAME_IS_INCORRECT


@pytest_twisted.ensureDeferred
async def test_a_name_server_on_this_machine_is_behind_no_adapter():
    """Connecting through one asks it as ever."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    adapter = NetworkAdapter.from_name(loopback)
    async with await greeter(b"hello") as listener:
        table = {TCP: [SRV(0, 0, port_of(listener), "one.example")], ("one.example", dns.A): [A("127.0.0.1")]}
        async with name_server(table) as (server, _), StreamSocket() as client:
            client.control.limits = PATIENT
            client.control.name_servers = [server]
            await client.connect_async(HOST, SERVICE, SocketProtectionLevel.PLAIN_SOCKET, adapter)
            assert await greeting(client) == b"hello"


@pytest.mark.parametrize("kind", [StreamSocket, DatagramSocket])
def test_name_servers_are_settings(kind):
    """Of whoever connects; a tuple of pairs, none by default."""
    control = kind().control
    assert control.name_servers == ()
    control.name_servers = ["192.0.2.53", HostName("::1"), ("127.0.0.1", 5353)]
    assert control.name_servers == (("192.0.2.53", 53), ("::1", 53), ("127.0.0.1", 5353))
    with pytest.raises(SocketException, match=r"Control\.name_servers"):
        control.name_servers = ["ns.example"]
