"""Listening: ports that accept within bounds, survive what accepting may meet, and share a number."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import ExitStack, asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs

from tests.networks import add_link_local_address, network_namespace
from tests.transports.loopback import (
    HOSTS,
    NEEDS_IPV6,
    NEEDS_LINUX,
    NEEDS_LOOPBACK_NET,
    PATIENCE,
    Timed,
    family_of,
    limits,
    listening,
    open_descriptors,
    rest,
    turn,
    until,
)
from winsockets.errors import (
    AddressInUseError,
    AddressNotAvailableError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.transports import StreamFactory, StreamProtocol
from winsockets.transports import _listening as module
from winsockets.transports._admission import Admission
from winsockets.transports._listening import ListeningPort, listen_stream
from winsockets.transports._socket_options import StreamOptions

BOTH = ("::", "0.0.0.0")


class Ports:
    """Listening ports of one listener, and the protocols of what they accepted."""

    def __init__(self, reactor, bounds, max_connections, options):
        self.reactor, self.bounds, self.options = reactor, bounds, options
        self.admission = Admission(reactor, bounds, max_connections)
        self.protocols = []
        self.factory = StreamFactory(reactor, bounds, self.protocols.append)
        self.ports = []

    def make(self, interface, number):
        """Make one that does not listen yet."""
        return ListeningPort(
            interface,
            number,
            factory=self.factory,
            options=self.options,
            limits=self.bounds,
            admission=self.admission,
            reactor=self.reactor,
        )

    def listen(self, interfaces=("127.0.0.1",), number=0):
        """Listen, and give the port number."""
        self.ports = listen_stream(self.make, interfaces, number)
        return self.ports[0].number

    @property
    def open(self):
        """The accepted connections that have not ended."""
        return [protocol for protocol in self.protocols if not protocol.lost]


@asynccontextmanager
async def ports(*, reactor=None, bounds=None, max_connections=None, **options):
    """Ports that are closed in the end, with all that they accepted."""
    reactor = reactor or Timed()
    made = Ports(reactor, bounds or limits(), max_connections, StreamOptions(**options))
    try:
        yield made
    finally:
        for port in made.ports:
            if port.connected:
                await port.stopListening()
        for protocol in made.protocols:
            protocol.close()
            await protocol.when_lost()


@asynccontextmanager
async def clients(count, number, host="127.0.0.1"):
    """Connected sockets."""
    with ExitStack() as stack:
        yield [stack.enter_context(client(number, host)) for _ in range(count)]


def client(number, host="127.0.0.1"):
    """One connected socket."""
    return socket.create_connection((host, number), PATIENCE)


class Accepting:
    """A listening socket of which some accepts fail as the test says."""

    def __init__(self, skt, *numbers):
        self._socket = skt
        self.numbers = list(numbers)
        self.tries = 0

    def _accept(self):
        """Fail, or accept."""
        self.tries += 1
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return self._socket._accept()

    def __getattr__(self, name):
        """Everything else is the socket's."""
        return getattr(self._socket, name)


@pytest.fixture
def logged():
    """The log events of the library."""
    with capturedLogs() as events:
        yield lambda: [event for event in events if event["log_namespace"] == "winsockets"]


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_who_connects_gets_a_protocol(host):
    """Connected to that client."""
    async with ports() as made:
        number = made.listen((host,))
        with client(number, host) as peer:
            await until(lambda: made.protocols)
            (protocol,) = made.protocols
            assert isinstance(protocol, StreamProtocol)
            assert protocol.peer == f"{host} port {peer.getsockname()[1]}"
            peer.sendall(b"hello")
            assert await protocol.read(10) == b"hello"


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_several_addresses_share_one_port_number():
    """Both families, each by its own socket."""
    async with ports() as made:
        number = made.listen(BOTH)
        assert [port.number for port in made.ports] == [number, number]
        for count, host in enumerate(("127.0.0.1", "::1"), 1):
            with client(number, host):
                await until(lambda count=count: len(made.protocols) == count)
            assert made.protocols[-1].transport.getPeer().host == host
        assert made.ports[0].socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_the_backlog_is_the_longest_the_system_allows():
    """Where clients wait while the program is busy or must not accept."""
    async with ports() as made:
        made.listen()
        info = made.ports[0].socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
            longest = int(file.read())
        assert struct.unpack_from("=I", info, 28)[0] == min(longest, 65_535)


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_accepted_connections_have_the_options_of_the_port(host):
    """Read back from the system on either."""
    wishes = {
        "no_delay": False,
        "keep_alive": True,
        "hop_limit": 9,
        "send_buffer": 30_000,
        "low_latency": True,
    }
    async with ports(**wishes) as made:
        number = made.listen((host,))
        with client(number, host):
            await until(lambda: made.protocols)
            for skt in (made.ports[0].socket, made.protocols[0].transport.socket):
                assert skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
                assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert skt.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in {30_000, 60_000}
                if skt.family == socket.AF_INET6:
                    assert skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) == 9
                    assert skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) >> 2 == 46
                else:
                    assert skt.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 9
                    assert skt.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == 46


@pytest_twisted.ensureDeferred
async def test_small_writes_are_hurried_unless_told_otherwise():
    """On accepted connections too."""
    async with ports() as made:
        with client(made.listen()):
            await until(lambda: made.protocols)
            skt = made.protocols[0].transport.socket
            assert skt.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest_twisted.ensureDeferred
async def test_options_that_the_system_refuses_fail_the_listening():
    """With its number, and no socket left."""
    async with ports(hop_limit=1000) as made:
        with pytest.raises(SocketException, match=r"^listen on 127\.0\.0\.1 port 0: ") as caught:
            made.listen()
        assert caught.value.errno == errno.EINVAL


@pytest_twisted.ensureDeferred
async def test_opening_and_closing_leaves_the_log_alone():
    """Who listens has more to say than that a factory starts."""
    with capturedLogs() as events:
        async with ports() as made:
            made.listen()
    assert events == []


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_socket_that_may_not_listen_is_closed():
    """An address can be free to bind and taken when it comes to listening."""

    class Slow(socket.socket):
        def bind(self, address):
            super().bind(address)
            first.listen()

    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        async with ports() as made:
            port = made.make("127.0.0.1", first.getsockname()[1])
            skt = Slow(fileno=port.createInternetSocket().detach())
            port.createInternetSocket = lambda: skt
            with pytest.raises(CannotListenError):
                port.startListening()
            assert skt.fileno() == -1


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_a_link_local_client_is_named_with_its_interface():
    """Without it its address leads nowhere."""
    with network_namespace():
        add_link_local_address("fe80::1", "lo")
        async with ports() as made:
            number = made.listen(("fe80::1%lo",))
            with client(number, "fe80::1%lo") as peer:
                await until(lambda: made.protocols)
                assert made.protocols[0].transport.getPeer().host == "fe80::1%lo"
                await made.protocols[0].write(b"found")
                assert peer.recv(10) == b"found"


# The limit of connections


@pytest_twisted.ensureDeferred
async def test_at_the_limit_clients_wait_and_all_are_served_in_the_end():
    """None is accepted and closed."""
    async with ports(max_connections=5) as made:
        number = made.listen()
        async with clients(20, number) as peers:
            served = 0
            while served < 20:
                await until(lambda: made.open)
                await turn(3)
                assert len(made.open) <= 5
                protocol = made.open[0]
                await protocol.write(b"you")
                protocol.close()
                await protocol.when_lost()
                served += 1
            for peer in peers:
                assert await rest(peer) == b"you"
        assert len(made.protocols) == 20


@NEEDS_IPV6
@pytest_twisted.ensureDeferred
async def test_the_limit_is_one_for_all_addresses():
    """Not one for each."""
    async with ports(max_connections=3) as made:
        number = made.listen(BOTH)
        async with clients(4, number) as _, clients(4, number, "::1") as _:
            await until(lambda: len(made.open) == 3)
            await turn(10)
            assert len(made.open) == 3
            for expected in range(4, 9):
                made.open[0].close()
                await until(lambda expected=expected: len(made.protocols) == expected)
                assert len(made.open) <= 3
            assert len({protocol.transport.getPeer().host for protocol in made.protocols}) == 2


@pytest_twisted.ensureDeferred
async def test_not_more_are_accepted_in_one_turn_than_the_limits_say():
    """So that the connections there are have their turn."""
    async with ports(bounds=limits(accepts_per_turn=3)) as made:
        number = made.listen()
        async with clients(10, number):
            await until(lambda: made.protocols)
            while len(made.protocols) < 10:
                before = len(made.protocols)
                assert before % 3 == 0
                made.ports[0].doRead()
                assert len(made.protocols) - before == min(3, 10 - before)
                before = len(made.protocols)


@pytest_twisted.ensureDeferred
async def test_a_program_that_pauses_is_given_nothing_more_even_in_the_same_turn():
    """And goes on where it was."""
    async with ports() as made:

        def accept(protocol):
            made.protocols.append(protocol)
            made.admission.hold("program")

        made.factory = StreamFactory(made.reactor, made.bounds, accept)
        number = made.listen()
        async with clients(5, number):
            for expected in range(1, 6):
                await until(lambda expected=expected: len(made.protocols) == expected)
                await turn(5)
                assert len(made.protocols) == expected
                made.admission.release("program")


# What accepting may meet


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_failed_before_it_was_accepted_concerns_no_other(number, logged):
    """The next one is accepted in the same turn, and nothing is logged."""
    async with ports() as made:
        at = made.listen()
        made.ports[0].socket = Accepting(made.ports[0].socket, number, number)
        async with clients(1, at):
            await until(lambda: made.protocols)
    assert logged() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EIO])
@pytest_twisted.ensureDeferred
async def test_a_shortage_is_waited_out(number, logged):
    """Whatever it is of: said once, tried again now and then, and then all are let in."""
    clock = Timed()
    async with ports(reactor=clock) as made:
        at = made.listen()
        short = made.ports[0].socket = Accepting(made.ports[0].socket, *[number] * 5)
        async with clients(3, at):
            for tries in range(1, 6):
                await until(lambda tries=tries: short.tries == tries)
                await turn(5)
                assert short.tries == tries
                assert not made.protocols
                clock.advance(made.bounds.accept_retry)
            await until(lambda: len(made.protocols) == 3)
    (line,) = logged()
    assert line["problem"].errno == number
    assert f"accept on 127.0.0.1 port {at}" in str(line["problem"])
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_closing_during_a_shortage_leaves_no_delayed_call(logged):
    """And nobody is accepted afterwards."""
    clock = Timed()
    async with ports(reactor=clock) as made:
        at = made.listen()
        made.ports[0].socket = Accepting(made.ports[0].socket, errno.EMFILE)
        async with clients(1, at):
            await until(logged)
            await made.ports[0].stopListening()
            assert not clock.getDelayedCalls()
            assert not made.protocols


@pytest_twisted.ensureDeferred
async def test_a_connection_that_cannot_be_announced_is_closed_and_logged(logged):
    """With the traceback; its place is free again, and the next one is accepted."""
    async with ports(max_connections=1) as made:

        def accept(protocol):
            made.protocols.append(protocol)
            if len(made.protocols) == 1:
                raise ValueError("not this one")

        made.factory = StreamFactory(made.reactor, made.bounds, accept)
        async with clients(2, made.listen()) as (first, second):
            await until(lambda: len(made.protocols) == 2)
            with pytest.raises(ConnectionResetError):
                await rest(first)
            made.protocols[1].write(b"welcome")
            assert second.recv(10) == b"welcome"
    (event,) = logged()
    assert event["log_failure"].check(ValueError)


@pytest_twisted.ensureDeferred
async def test_a_connection_for_which_no_protocol_can_be_made_is_closed_and_logged(logged):
    """And takes nobody's place."""
    before = open_descriptors()
    async with ports(max_connections=1) as made:
        made.factory = Factory()
        made.factory.buildProtocol = lambda address: 1 / 0
        async with clients(2, made.listen()) as peers:
            for peer in peers:
                assert await rest(peer) == b""
            assert made.admission.accepting
    assert [event["log_failure"].type for event in logged()] == [ZeroDivisionError] * 2
    assert open_descriptors() <= before + 1, "Twisted keeps one in reserve"


@pytest_twisted.ensureDeferred
async def test_whoever_is_announced_may_close_the_port():
    """Nobody is accepted after that, although more are waiting."""
    async with ports() as made:

        def accept(protocol):
            made.protocols.append(protocol)
            made.ports[0].stopListening()

        made.factory = StreamFactory(made.reactor, made.bounds, accept)
        async with clients(3, made.listen()):
            await until(lambda: made.protocols)
            await turn(5)
            assert len(made.protocols) == 1
            await made.protocols[0].write(b"still here")


@pytest_twisted.ensureDeferred
async def test_connections_outlive_their_port():
    """And end without it."""
    async with ports(max_connections=1) as made, clients(1, made.listen()) as (peer,):
        await until(lambda: made.protocols)
        await made.ports[0].stopListening()
        peer.sendall(b"more")
        assert await made.protocols[0].read(10) == b"more"
        made.protocols[0].close()
        await made.protocols[0].when_lost()


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_closing_does_not_open_again():
    """Although there is room for another connection now."""
    async with ports(max_connections=1) as made, clients(2, made.listen()):
        await until(lambda: made.protocols)
        closed = made.ports[0].stopListening()
        made.protocols[0].close()
        made.admission.left()
        assert made.ports[0] not in made.reactor.getReaders()
        await closed
        assert len(made.protocols) == 1


# Several addresses


@pytest.mark.parametrize("host", HOSTS)
@pytest_twisted.ensureDeferred
async def test_an_address_in_use_is_told_with_address_and_port(host):
    """Class, status, errno."""
    async with ports() as made:
        with listening(host) as (_, number), pytest.raises(AddressInUseError) as caught:
            made.listen((host,), number)
        assert caught.value.status is SocketErrorStatus.ADDRESS_ALREADY_IN_USE
        assert caught.value.errno == errno.EADDRINUSE
        assert str(caught.value).startswith(f"listen on {host} port {number}: ")


@pytest_twisted.ensureDeferred
async def test_an_address_of_another_machine_is_not_available():
    """Class, status, errno."""
    async with ports() as made:
        with pytest.raises(AddressNotAvailableError) as caught:
            made.listen(("198.51.100.1",))
        assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
        assert caught.value.errno == errno.EADDRNOTAVAIL


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_when_one_of_several_addresses_is_taken_nothing_listens():
    """The others are free again at once."""
    async with ports() as made:
        with listening("127.0.0.3") as (_, number):
            with pytest.raises(AddressInUseError, match=r"listen on 127\.0\.0\.3 port"):
                made.listen(("127.0.0.2", "127.0.0.3"), number)
            with listening("127.0.0.2", number):
                pass


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_a_number_that_the_system_chose_and_that_is_taken_elsewhere_is_chosen_again():
    """Until one is free on all addresses."""
    async with ports() as made:
        with ExitStack() as stack:
            tried = []

            def make(interface, number):
                if interface == "127.0.0.3" and len(tried) < 5:
                    stack.enter_context(listening(interface, number))
                    tried.append(number)
                return made.make(interface, number)

            made.ports = listen_stream(make, ("127.0.0.2", "127.0.0.3"), 0)
            assert len(set(tried)) == 5
            assert made.ports[0].number == made.ports[1].number
            assert made.ports[0].number not in tried


@NEEDS_LOOPBACK_NET
@pytest_twisted.ensureDeferred
async def test_when_every_number_is_taken_elsewhere_it_is_given_up():
    """After some tries, each of which leaves nothing."""
    async with ports() as made:
        before = open_descriptors()
        with ExitStack() as stack:
            tried = []

            def make(interface, number):
                if interface == "127.0.0.3":
                    stack.enter_context(listening(interface, number))
                    tried.append(number)
                return made.make(interface, number)

            with pytest.raises(AddressInUseError):
                listen_stream(make, ("127.0.0.2", "127.0.0.3"), 0)
            assert len(tried) == module._PORT_TRIES
        assert open_descriptors() <= before + 1, "Twisted keeps one in reserve"


@pytest_twisted.ensureDeferred
async def test_an_address_whose_family_is_missing_is_left_out():
    """Where there are others; this machine has another one."""
    async with ports() as made:
        number = made.listen(("198.51.100.1", "127.0.0.1"))
        assert len(made.ports) == 1
        async with clients(1, number):
            await until(lambda: made.protocols)


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_without_ipv6_all_addresses_are_those_of_ipv4():
    """As on a machine where it is switched off."""
    with network_namespace():
        with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
        async with ports() as made:
            number = made.listen(("::1", "127.0.0.1"))
            assert [port.interface for port in made.ports] == ["127.0.0.1"]
            async with clients(1, number):
                await until(lambda: made.protocols)


@pytest_twisted.ensureDeferred
async def test_when_every_address_is_missing_the_last_one_is_blamed():
    """Nothing listens."""
    async with ports() as made:
        with pytest.raises(AddressNotAvailableError, match=r"198\.51\.100\.2"):
            made.listen(("198.51.100.1", "198.51.100.2"))


@pytest_twisted.ensureDeferred
async def test_a_closed_port_can_be_listened_on_again_at_once():
    """Although connections of it have not been forgotten by the system."""
    async with ports() as made:
        number = made.listen()
        with client(number):
            await until(lambda: made.protocols)
            # The side that closes first is the one that the system remembers.
            made.protocols[0].close()
            await made.protocols[0].when_lost()
        await made.ports[0].stopListening()
        assert made.listen(number=number) == number
        assert family_of(made.ports[0].interface) == socket.AF_INET
