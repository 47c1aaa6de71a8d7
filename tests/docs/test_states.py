"""The tables of docs/states.md: what each call does in each state, and what ends a pending operation."""

from __future__ import annotations

import socket as system
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from tests.docs.blocks import ROOT
from tests.docs.tables import table, words
from tests.multicast import LOOPBACK, free_port, new_group
from winsockets import (
    AsyncOperation,
    AsyncStatus,
    DatagramSocket,
    NetworkAdapter,
    SocketException,
    SocketProtectionLevel,
    StreamSocket,
    StreamSocketListener,
    UdpAnySourceMulticastClient,
)
from winsockets.testing import CertificateAuthority

PAGE = ROOT / "docs" / "states.md"
LEGEND = words(PAGE, "## Words")
BIG = bytes(16 << 20)
UNSPECIFIED = SocketProtectionLevel.UNSPECIFIED
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def word(outcome: str) -> str:
    """The word of the legend for an outcome."""
    return next(word for word, meaning in LEGEND.items() if meaning.startswith(outcome))


def outcome_of(call: Callable[[Any], Any], thing: Any) -> str:
    """What a call does, in a word of the legend."""
    try:
        result = call(thing)
    except SocketException as problem:
        return word(f"raises `{type(problem).__name__}`")
    if not isinstance(result, AsyncOperation):
        return word("returns")
    result.addErrback(lambda failure: None)
    return ending_of(result)


def ending_of(operation: AsyncOperation[Any]) -> str:
    """How an operation has ended, in a word of the legend."""
    if operation.status is AsyncStatus.STARTED:
        return word("an operation that waits")
    if operation.status is AsyncStatus.COMPLETED:
        return word('an operation that has ended with `b""`' if operation.get_results() == b"" else "returns")
    with pytest.raises(SocketException) as caught:
        operation.get_results()
    return word(f"an operation that fails with `{caught.type.__name__}`")


class Peer:
    """The other end of a connection, without any library between."""

    def __init__(self) -> None:
        with system.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            self._server = server.dup()

    async def connect(self) -> StreamSocket:
        """A socket that is connected to here."""
        socket = StreamSocket()
        socket.control.limits = replace(socket.control.limits, write_queue=len(BIG) * 2, close_timeout=0)
        await socket.connect_async("127.0.0.1", self.port)
        self.accept()
        return socket

    def accept(self) -> None:
        """Take the connection."""
        self.socket, _ = self._server.accept()

    def end(self) -> None:
        """Send the end of the stream."""
        self.socket.shutdown(system.SHUT_WR)

    def reset(self) -> None:
        """Break the connection off."""
        self.socket.setsockopt(system.SOL_SOCKET, system.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()

    def close(self) -> None:
        """Close what is open."""
        self._server.close()
        if hasattr(self, "socket"):
            self.socket.close()


@pytest.fixture
def peer():
    """A peer for one test."""
    here = Peer()
    yield here
    here.close()


async def turns() -> None:
    """Let the reactor see what happened."""
    from twisted.internet import reactor

    for _ in range(5):
        await deferLater(reactor, 0.001)


async def new(peer: Peer) -> StreamSocket:
    """Nothing has been done with it."""
    return StreamSocket()


async def connecting(peer: Peer) -> StreamSocket:
    """``connect_async`` has been called in this turn of the reactor."""
    socket = StreamSocket()
    socket.connect_async("127.0.0.1", peer.port).addErrback(lambda failure: None)
    return socket


async def connected(peer: Peer) -> StreamSocket:
    """The peer has accepted it."""
    return await peer.connect()


async def ended_by_peer(peer: Peer) -> StreamSocket:
    """The peer's end of the stream has been read."""
    socket = await peer.connect()
    peer.end()
    assert await socket.input_stream.read() == b""
    return socket


async def output_closed(peer: Peer) -> StreamSocket:
    """Half closed from here."""
    socket = await peer.connect()
    socket.output_stream.close()
    return socket


async def input_closed(peer: Peer) -> StreamSocket:
    """Half closed from here, the other half."""
    socket = await peer.connect()
    socket.input_stream.close()
    return socket


async def reset(peer: Peer) -> StreamSocket:
    """The peer has broken it off, and that has been noticed."""
    socket = await peer.connect()
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await socket.input_stream.read()
    await turns()
    return socket


async def closed(peer: Peer) -> StreamSocket:
    """It was connected, and has been closed from here."""
    socket = await peer.connect()
    socket.close()
    return socket


async def shaking_hands(peer: Peer) -> StreamSocket:
    """``upgrade_to_ssl_async`` waits for the peer."""
    socket = await peer.connect()
    socket.upgrade_to_ssl_async(UNSPECIFIED, "localhost").addErrback(lambda failure: None)
    return socket


async def secured(peer: Peer) -> StreamSocket:
    """It has TLS, with a server that keeps the connection open."""
    authority = CertificateAuthority()
    kept: list[StreamSocket] = []
    listener = StreamSocketListener()
    listener.control.server_certificates.append(authority.issue_server("localhost"))
    listener.connection_received += lambda sender, args: kept.append(args.socket)
    await listener.bind_endpoint_async("127.0.0.1", 0)
    socket = StreamSocket()
    socket.control.limits = replace(socket.control.limits, close_notify_timeout=0.01)
    socket.control.trusted_server_certificates.append(authority.certificate)
    await socket.connect_async("127.0.0.1", listener.information.local_port)
    await socket.upgrade_to_ssl_async(UNSPECIFIED, "localhost")
    while not kept:
        await turns()
    listener.close()
    SERVERS[socket] = kept.pop()
    return socket


SERVERS: WeakKeyDictionary[StreamSocket, StreamSocket] = WeakKeyDictionary()
"""The other ends of sockets with TLS, which are closed when they are gone."""

STREAM_STATES = {
    "new": new,
    "connecting": connecting,
    "connected": connected,
    "peer ended": ended_by_peer,
    "output closed": output_closed,
    "input closed": input_closed,
    "reset": reset,
    "upgrading": shaking_hands,
    "TLS": secured,
    "closed": closed,
}
STREAM_CALLS: dict[str, Callable[[StreamSocket], Any]] = {
    "`keep_alive = True`": lambda socket: setattr(socket.control, "keep_alive", True),
    "`client_certificate = None`": lambda socket: setattr(socket.control, "client_certificate", None),
    "`connect_async()`": lambda socket: socket.connect_async("127.0.0.1", 9),
    "`upgrade_to_ssl_async()`": lambda socket: socket.upgrade_to_ssl_async(UNSPECIFIED, "localhost"),
    "`read()`": lambda socket: socket.input_stream.read(),
    "`write_async(data)`": lambda socket: socket.output_stream.write_async(b"data"),
    "`flush_async()`": lambda socket: socket.output_stream.flush_async(),
    "`input_stream.close()`": lambda socket: socket.input_stream.close(),
    "`output_stream.close()`": lambda socket: socket.output_stream.close(),
    "`cancel_io_async()`": lambda socket: socket.cancel_io_async(),
    "`wait_closed_async()`": lambda socket: socket.wait_closed_async(),
    "`close()`": lambda socket: socket.close(),
}


async def bare_listener(peer: Peer) -> StreamSocketListener:
    """Nothing has been done with it."""
    return StreamSocketListener()


async def handled_listener(peer: Peer) -> StreamSocketListener:
    """It can be bound."""
    listener = StreamSocketListener()
    listener.connection_received += lambda sender, args: None
    return listener


async def bound_listener(peer: Peer) -> StreamSocketListener:
    """It listens."""
    listener = await handled_listener(peer)
    await listener.bind_endpoint_async("127.0.0.1", 0)
    return listener


async def closed_listener(peer: Peer) -> StreamSocketListener:
    """It listened."""
    listener = await bound_listener(peer)
    listener.close()
    return listener


LISTENER_STATES = {
    "new": bare_listener,
    "with a handler": handled_listener,
    "bound": bound_listener,
    "closed": closed_listener,
}
LISTENER_CALLS: dict[str, Callable[[StreamSocketListener], Any]] = {
    "`keep_alive = True`": lambda listener: setattr(listener.control, "keep_alive", True),
    "`add_connection_received(handler)`": lambda listener: listener.add_connection_received(print),
    "`remove_connection_received(token)`": lambda listener: listener.remove_connection_received(0),
    "`connections()`": lambda listener: listener.connections(),
    "`bind_endpoint_async()`": lambda listener: listener.bind_endpoint_async("127.0.0.1", 0),
    "`cancel_io_async()`": lambda listener: listener.cancel_io_async(),
    "`close()`": lambda listener: listener.close(),
}


async def new_datagram(peer: Peer) -> DatagramSocket:
    """Nothing has been done with it."""
    return DatagramSocket()


async def bound_datagram(peer: Peer) -> DatagramSocket:
    """It has a port."""
    socket = DatagramSocket()
    await socket.bind_endpoint_async("127.0.0.1", 0)
    return socket


async def sharing_datagram(peer: Peer) -> DatagramSocket:
    """Bound to a port that others may have too."""
    socket = DatagramSocket()
    socket.control.multicast_only = True
    await socket.bind_endpoint_async("127.0.0.1", 0)
    return socket


async def connected_datagram(peer: Peer) -> DatagramSocket:
    """It has a peer, which does not exist."""
    socket = DatagramSocket()
    await socket.connect_async("127.0.0.1", peer.port)
    return socket


async def closed_datagram(peer: Peer) -> DatagramSocket:
    """It had a port."""
    socket = await bound_datagram(peer)
    socket.close()
    return socket


DATAGRAM_STATES = {
    "new": new_datagram,
    "bound": bound_datagram,
    "sharing": sharing_datagram,
    "connected": connected_datagram,
    "closed": closed_datagram,
}
DATAGRAM_CALLS: dict[str, Callable[[DatagramSocket], Any]] = {
    "`dont_fragment = True`": lambda socket: setattr(socket.control, "dont_fragment", True),
    "`outbound_unicast_hop_limit = 9`": lambda socket: setattr(
        socket.control, "outbound_unicast_hop_limit", 9
    ),
    "`multicast_only = True`": lambda socket: setattr(socket.control, "multicast_only", True),
    "`multicast_loopback = False`": lambda socket: setattr(socket.control, "multicast_loopback", False),
    "`add_message_received(handler)`": lambda socket: socket.add_message_received(print),
    "`messages()`": lambda socket: socket.messages(),
    "`join_multicast_group(group)`": lambda socket: socket.join_multicast_group(
        "224.3.0.5", adapter=NetworkAdapter.from_name(system.if_nameindex()[0][1])
    ),
    "`bind_endpoint_async()`": lambda socket: socket.bind_endpoint_async("127.0.0.1", 0),
    "`connect_async()`": lambda socket: socket.connect_async("127.0.0.1", 9),
    "`get_output_stream_async()`": lambda socket: socket.get_output_stream_async("127.0.0.1", 9),
    "`write_async(data)`": lambda socket: socket.output_stream.write_async(b"data"),
    "`flush_async()`": lambda socket: socket.output_stream.flush_async(),
    "`cancel_io_async()`": lambda socket: socket.cancel_io_async(),
    "`close()`": lambda socket: socket.close(),
}


async def new_client(peer: Peer) -> UdpAnySourceMulticastClient:
    """It has not joined."""
    return UdpAnySourceMulticastClient(new_group(), free_port(), adapter=NetworkAdapter.from_name(LOOPBACK))


async def joined_client(peer: Peer) -> UdpAnySourceMulticastClient:
    """It is a member of its group."""
    client = await new_client(peer)
    await client.begin_join_group()
    return client


async def disposed_client(peer: Peer) -> UdpAnySourceMulticastClient:
    """It was a member of its group."""
    client = await joined_client(peer)
    client.dispose()
    return client


CLIENT_STATES = {"new": new_client, "joined": joined_client, "disposed": disposed_client}
CLIENT_CALLS: dict[str, Callable[[UdpAnySourceMulticastClient], Any]] = {
    "`begin_join_group()`": lambda client: client.begin_join_group(),
    "`begin_receive_from_group()`": lambda client: client.begin_receive_from_group(bytearray(1), 0, 1),
    "`begin_send_to_group()`": lambda client: client.begin_send_to_group(b"data", 0, 4),
    "`begin_send_to(end_point)`": lambda client: client.begin_send_to(b"data", 0, 4, ("127.0.0.1", 9)),
    "`block_source(address)`": lambda client: client.block_source("192.0.2.1"),
    "`multicast_loopback = False`": lambda client: setattr(client, "multicast_loopback", False),
    "`receive_buffer_size = 9000`": lambda client: setattr(client, "receive_buffer_size", 9000),
    "`dispose()`": lambda client: client.dispose(),
}

States = dict[str, Callable[[Peer], Awaitable[Any]]]
KINDS: dict[str, tuple[States, dict[str, Callable[[Any], Any]]]] = {
    "## StreamSocket": (STREAM_STATES, STREAM_CALLS),
    "## StreamSocketListener": (LISTENER_STATES, LISTENER_CALLS),
    "## DatagramSocket": (DATAGRAM_STATES, DATAGRAM_CALLS),
    "## Multicast clients": (CLIENT_STATES, CLIENT_CALLS),
}


async def end(thing: Any) -> None:
    """Close or dispose of what a test had."""
    if isinstance(thing, UdpAnySourceMulticastClient):
        thing.dispose()
    else:
        thing.close()
        await thing.wait_closed_async()


@pytest.mark.parametrize(
    ("heading", "state", "call"),
    [
        (heading, state, call)
        for heading, (states, calls) in KINDS.items()
        for state in states
        for call in calls
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_call_does_what_the_table_says(heading: str, state: str, call: str, peer: Peer) -> None:
    """Each cell of the tables of calls and states."""
    states, calls = KINDS[heading]
    head, rows = table(PAGE, heading)
    said = {row[0]: row[1:] for row in rows}
    assert head[1:] == list(states)
    assert list(said) == list(calls)
    thing = await states[state](peer)
    try:
        assert outcome_of(calls[call], thing) == said[call][list(states).index(state)]
    finally:
        await end(thing)


async def pending_read(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A read for which nothing has arrived."""
    socket = await peer.connect()
    return socket, socket.input_stream.read()


async def half_read(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A read that has half of what it wants."""
    socket = await peer.connect()
    reading = socket.input_stream.read_exactly(2)
    peer.socket.send(b"1")
    await turns()
    return socket, reading


async def begun_write(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A write that is too big for the system's buffers."""
    socket = await peer.connect()
    return socket, socket.output_stream.write_async(BIG)


async def waiting_write(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A write behind one that is too big."""
    socket, first = await begun_write(peer)
    first.addErrback(lambda failure: None)
    return socket, socket.output_stream.write_async(b"later")


async def pending_flush(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A flush behind a write that is too big."""
    socket, first = await begun_write(peer)
    first.addErrback(lambda failure: None)
    return socket, socket.output_stream.flush_async()


async def pending_connect(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A connect in the turn of its call."""
    socket = StreamSocket()
    return socket, socket.connect_async("127.0.0.1", peer.port)


async def pending_handshake(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """A connect with a level, to a peer that says nothing."""
    socket = StreamSocket()
    operation = socket.connect_async("127.0.0.1", peer.port, UNSPECIFIED)
    await turns()
    peer.accept()
    await turns()
    return socket, operation


async def pending_upgrade(peer: Peer) -> tuple[StreamSocket, AsyncOperation[Any]]:
    """An upgrade, to which the peer says nothing."""
    socket = await peer.connect()
    return socket, socket.upgrade_to_ssl_async(UNSPECIFIED, "localhost")


PENDING = {
    "`read()`": pending_read,
    "`read_exactly(2)`, one byte has arrived": half_read,
    "a write of which nothing has left": waiting_write,
    "a write of which a part has left": begun_write,
    "`flush_async()` behind a write": pending_flush,
    "`connect_async()`": pending_connect,
    "`connect_async()` with a level, in the handshake": pending_handshake,
    "`upgrade_to_ssl_async()`": pending_upgrade,
}
EVENTS: dict[str, Callable[[Peer, StreamSocket, AsyncOperation[Any]], object]] = {
    "its `cancel()`": lambda peer, socket, operation: operation.cancel(),
    "`cancel_io_async()`": lambda peer, socket, operation: socket.cancel_io_async(),
    "`input_stream.close()`": lambda peer, socket, operation: socket.input_stream.close(),
    "`output_stream.close()`": lambda peer, socket, operation: socket.output_stream.close(),
    "`close()`": lambda peer, socket, operation: socket.close(),
    "the peer ends": lambda peer, socket, operation: peer.end(),
    "the peer resets": lambda peer, socket, operation: peer.reset(),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("pending", PENDING)
@pytest_twisted.ensureDeferred
async def test_a_pending_operation_ends_as_the_table_says(pending: str, event: str, peer: Peer) -> None:
    """Each cell of the table of pending operations."""
    head, rows = table(PAGE, "## Pending operations")
    said = {row[0]: row[1:] for row in rows}
    assert head[1:] == list(EVENTS)
    assert list(said) == list(PENDING)
    expected = said[pending][list(EVENTS).index(event)]
    if expected == "":
        return
    socket, operation = await PENDING[pending](peer)
    operation.addErrback(lambda failure: None)
    try:
        EVENTS[event](peer, socket, operation)
        if not event.endswith("`"):
            await turns()
        assert ending_of(operation) == expected
    finally:
        peer.close()
        socket.close()
        await socket.wait_closed_async()
