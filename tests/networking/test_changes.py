"""Hearing of changes of the network: announced, or looked for."""

from __future__ import annotations

import errno
import socket
import sys

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs
from zope.interface import implementer

from tests.networking.netlink_messages import attribute, message, route
from tests.networks import network_namespace, run
from winsockets import NetworkInformation
from winsockets.errors import SocketException
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking import _changes, _information
from winsockets.networking._changes import NetworkWatch, StatusEvent, listen_to_kernel, network_state
from winsockets.networking._rtnetlink import Kind

LIMITS = Limits(network_settle_time=0.5, network_poll_interval=8.0)
KERNEL, SOMEBODY = (0, 0), (4711, 0)
NEW_LINK = message(Kind.NEW_LINK, b"")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs rtnetlink")


@implementer(IReactorFDSet)
class Reactor(Clock):
    """Time that the test moves, and readers that the test reads."""

    def __init__(self):
        super().__init__()
        self.readers = []

    def addReader(self, reader):
        """See IReactorFDSet."""
        self.readers.append(reader)

    def removeReader(self, reader):
        """See IReactorFDSet; removing what is not there is allowed."""
        if reader in self.readers:
            self.readers.remove(reader)

    def idle(self):
        """Whether nothing is left in it."""
        return not self.readers and not self.getDelayedCalls()


class Link:
    """A socket of the kernel's announcements, with what the test puts there."""

    def __init__(self):
        self.waiting = []
        self.closed = False

    def fileno(self):
        """Any number will do."""
        return 99

    def recvfrom(self, size):
        """The next announcement; an exception is raised."""
        if not self.waiting:
            raise BlockingIOError
        told = self.waiting.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    def close(self):
        """Note it."""
        self.closed = True


class Machine:
    """A network that the test changes, and the watch of it."""

    def __init__(self, *, announces=True, reactor=None):
        self.reactor = reactor or Reactor()
        self.link = Link()
        self.state = "as it was"
        self.problem = None
        self.looks = 0
        self.heard = []
        self._announces = announces
        self.watch = NetworkWatch(
            self.reactor, lambda: self.heard.append(self.state), LIMITS, look=self._look, listen=self._listen
        )

    def _look(self):
        self.looks += 1
        if self.problem is not None:
            raise self.problem
        return self.state

    def _listen(self):
        if not self._announces:
            raise OSError(errno.EACCES, "forbidden")
        return self.link

    def tell(self, *told, sender=KERNEL):
        """Announce, and let the reader read."""
        self.link.waiting += [(one, sender) if isinstance(one, bytes) else one for one in told]
        for reader in list(self.reactor.readers):
            reader.doRead()


def watched(**arguments):
    """A machine whose watch has begun."""
    machine = Machine(**arguments)
    machine.watch.start()
    return machine


def test_an_announced_change_is_told_after_a_moment():
    """Not before the network has come to rest."""
    machine = watched()
    machine.state = "changed"
    machine.tell(NEW_LINK)
    machine.reactor.advance(0.4)
    assert machine.heard == []
    machine.reactor.advance(0.2)
    assert machine.heard == ["changed"]
    machine.reactor.advance(100)
    assert machine.heard == ["changed"]


def test_changes_that_come_together_are_one():
    """The time is counted from the first of them, so that a flood of them is told of too."""
    machine = watched()
    for step in range(20):
        machine.state = step
        machine.tell(NEW_LINK, NEW_LINK)
        machine.reactor.advance(0.125)
    assert machine.heard == [3, 7, 11, 15, 19]
    assert machine.looks == 1 + 5


def test_what_was_taken_back_is_no_change():
    """Nor is an announcement that tells nothing new."""
    machine = watched()
    machine.tell(NEW_LINK)
    machine.reactor.advance(1)
    assert machine.heard == []
    assert machine.looks == 2


def test_announcements_of_particular_routes_and_of_other_processes_do_not_count():
    """A router would look all the time; anybody may send to the socket."""
    machine = watched()
    machine.tell(message(Kind.NEW_ROUTE, route(prefix_length=24, attributes=attribute(4, 1))))
    machine.tell(NEW_LINK, sender=SOMEBODY)
    machine.reactor.advance(1)
    assert machine.looks == 1
    machine.tell(message(Kind.NEW_ROUTE, route(prefix_length=0)))
    machine.reactor.advance(1)
    assert machine.looks == 2


@pytest.mark.parametrize(
    "told", [OSError(errno.ENOBUFS, "no buffer space"), b"\x10", NEW_LINK[:-1] + b"\0\0"]
)
def test_what_was_lost_or_makes_no_sense_is_looked_at(told):
    """More may have been announced than there was room for."""
    machine = watched()
    machine.state = "changed"
    machine.tell(told)
    machine.reactor.advance(1)
    assert machine.heard == ["changed"]


@given(st.binary(max_size=64))
def test_whatever_is_announced_does_no_harm(told):
    """The reader stays, and a change is at most looked for."""
    machine = watched()
    machine.tell(told, b"", NEW_LINK)
    assert len(machine.reactor.readers) == 1
    machine.reactor.advance(1)
    assert machine.looks == 2


def test_a_flood_of_announcements_leaves_the_reactor_its_turn():
    """A bounded number is read at a time."""
    machine = watched()
    machine.tell(*[NEW_LINK] * 1000)
    assert 0 < 1000 - len(machine.link.waiting) < 1000


def test_a_socket_that_fails_is_given_up():
    """From then on changes are looked for."""
    machine = watched()
    machine.state = "changed"
    with capturedLogs() as logged:
        machine.tell(OSError(errno.ENETDOWN, "gone"))
    assert [event["log_level"] for event in logged] == [LogLevel.warn]
    assert machine.link.closed
    assert machine.reactor.readers == []
    machine.reactor.advance(1)
    assert machine.heard == ["changed"]
    machine.state = "changed again"
    machine.reactor.advance(8)
    assert machine.heard == ["changed", "changed again"]
    machine.watch.stop()
    assert machine.reactor.idle()


@pytest.mark.parametrize(
    "arguments", [{"announces": False}, {"reactor": Clock()}], ids=["sandbox", "other reactor"]
)
def test_without_announcements_changes_are_looked_for(arguments):
    """Every few seconds, where the system announces nothing or the reactor cannot listen."""
    machine = watched(**arguments)
    machine.state = "changed"
    machine.reactor.advance(7.9)
    assert machine.heard == []
    machine.reactor.advance(0.2)
    assert machine.heard == ["changed"]
    machine.reactor.pump([8] * 10)
    assert machine.heard == ["changed"]
    assert machine.looks == 12
    machine.watch.stop()
    assert not machine.reactor.getDelayedCalls()


def test_a_look_that_fails_is_tried_again():
    """Without descriptors, for instance; what was known before is compared with."""
    machine = watched()
    machine.state, machine.problem = "changed", SocketException("no descriptor is free")
    machine.tell(NEW_LINK)
    with capturedLogs() as logged:
        machine.reactor.advance(1)
    assert [str(event["problem"]) for event in logged] == ["no descriptor is free"]
    assert machine.heard == []
    machine.problem = None
    machine.reactor.advance(8)
    assert machine.heard == ["changed"]
    assert not machine.reactor.getDelayedCalls()


@pytest.mark.parametrize("announces", [True, False])
def test_a_watch_that_cannot_begin_leaves_nothing(announces):
    """Not in the reactor, and no descriptor."""
    machine = Machine(announces=announces)
    machine.problem = SocketException("no")
    with pytest.raises(SocketException, match="no"):
        machine.watch.start()
    assert machine.reactor.idle()
    assert machine.link.closed is announces


def test_stopping_leaves_nothing():
    """Also with a change on its way."""
    machine = watched()
    machine.state = "changed"
    machine.tell(NEW_LINK)
    machine.watch.stop()
    assert machine.link.closed
    assert machine.reactor.idle()
    assert machine.heard == []


def test_the_reader_closes_its_socket_when_the_reactor_ends():
    """As every reader does."""
    machine = watched()
    (reader,) = machine.reactor.readers
    assert (reader.fileno(), reader.logPrefix()) == (99, "network changes")
    reader.connectionLost(None)
    assert machine.link.closed


class Watch:
    """Counts how often it was begun and ended."""

    def __init__(self, problem=None):
        self.began = self.ended = 0
        self.problem = problem

    def start(self):
        """Begin."""
        if self.problem is not None:
            raise self.problem
        self.began += 1

    def stop(self):
        """End."""
        self.ended += 1


def test_the_network_is_watched_as_long_as_somebody_listens():
    """From the first handler to the last, and again; every way of attaching and removing counts."""
    watches = []

    def make():
        watches.append(Watch())
        return watches[-1]

    event = StatusEvent("network_status_changed", make)
    assert watches == []
    first, second = event.add(print), event.add(len)
    assert [(watch.began, watch.ended) for watch in watches] == [(1, 0)]
    event.remove(first)
    event.remove(first)
    assert watches[0].ended == 0
    event.remove(second)
    event.remove(second)
    assert [(watch.began, watch.ended) for watch in watches] == [(1, 1)]
    event += print
    event -= print
    event.add(print)
    event.clear()
    event.clear()
    assert [(watch.began, watch.ended) for watch in watches] == [(1, 1)] * 3


def test_a_handler_that_cannot_be_served_is_not_attached():
    """The system does not tell its interfaces, or the handler is none."""
    event = StatusEvent("network_status_changed", lambda: Watch(SocketException("no")))
    with pytest.raises(SocketException, match="no"):
        event.add(print)
    assert not event
    with pytest.raises(TypeError, match="network_status_changed"):
        event.add(None)


def test_a_handler_may_remove_itself():
    """During the event; the watch ends then."""
    machine = Machine()
    event = StatusEvent("network_status_changed", lambda: machine.watch)
    machine.watch._changed = lambda: event.fire(None, None)
    heard = []

    def handler(sender, args):
        heard.append(args)
        event.remove(token)

    token = event.add(handler)
    machine.state = "changed"
    machine.tell(NEW_LINK)
    machine.reactor.advance(1)
    assert heard == [None]
    assert machine.reactor.idle()


@on_linux
def test_the_kernel_announces_what_it_is_asked_to():
    """Links, addresses and routes; other systems have no such socket."""
    with listen_to_kernel() as link:
        assert link.getsockname()[1] == 0x1 | 0x10 | 0x40 | 0x100 | 0x400
        assert not link.getblocking()
        assert not link.get_inheritable()


def test_a_system_without_announcements(monkeypatch):
    """It says that it has none."""
    monkeypatch.delattr(socket, "AF_NETLINK", raising=False)
    with pytest.raises(OSError, match="no rtnetlink"):
        listen_to_kernel()


@on_linux
def test_a_socket_that_may_not_listen_is_closed(monkeypatch):
    """As on systems that let programs ask, but not listen."""
    link = Link()
    link.bind = lambda address: link.recvfrom(0)
    monkeypatch.setattr(_changes.socket, "socket", lambda *arguments: link)
    with pytest.raises(BlockingIOError):
        listen_to_kernel()
    assert link.closed


class Listener:
    """Counts the events, and lets a test wait for the next one."""

    def __init__(self):
        self.events = []
        self._next = None
        self.token = NetworkInformation.add_network_status_changed(self._heard)

    def _heard(self, sender, args):
        self.events.append((sender, args))
        if self._next is not None:
            waiting, self._next = self._next, None
            waiting.callback(None)

    async def after(self, *commands):
        """Change the network, and wait for the event."""
        self._next = Deferred()
        waiting = self._next
        for command in commands:
            run(*command.split())
        await waiting

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        NetworkInformation.remove_network_status_changed(self.token)


@pytest.fixture(params=["announced", "looked for"])
def quickly(request, monkeypatch):
    """Tell of changes without delay, in both ways."""
    limits = Limits(network_settle_time=0.001, network_poll_interval=0.001)
    monkeypatch.setattr(NetworkInformation, "limits", limits)
    if request.param == "looked for":

        class Deaf(NetworkWatch):
            def __init__(self, *arguments):
                super().__init__(*arguments, listen=self.forbidden)

            def forbidden(self):
                raise OSError(errno.EACCES, "forbidden")

        monkeypatch.setattr(_information, "NetworkWatch", Deaf)


@on_linux
@pytest.mark.usefixtures("quickly")
@pytest_twisted.ensureDeferred
async def test_real_changes_of_a_real_network():
    """Interfaces come, go up and down and go; addresses and default routes come and go: each is an event."""
    with network_namespace(), Listener() as listener:
        await listener.after("ip link add v0 type veth peer name v1")
        # one end alone has no carrier
        await listener.after("ip link set v0 up", "ip link set v1 up")
        for command in (
            "ip addr add 192.0.2.1/24 dev v0",
            "ip addr add fd00:9::1/64 dev v0 nodad",
            "ip route add default via 192.0.2.2",
            "ip -6 route add default via fd00:9::2",
            "ip route del default",
            "ip addr del 192.0.2.1/24 dev v0",
            "ip link set v0 down",
            "ip link del v0",
        ):
            await listener.after(command)
        assert set(listener.events) == {(NetworkInformation, None)}


@on_linux
@pytest_twisted.ensureDeferred
async def test_more_changes_than_the_kernel_keeps_are_not_lost(monkeypatch):
    """Its buffer overflows before the reactor reads; the event comes all the same."""
    monkeypatch.setattr(NetworkInformation, "limits", Limits(network_settle_time=0.001))
    opened = []

    def listen():
        link = listen_to_kernel()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        opened.append(link)
        return link

    class Cramped(NetworkWatch):
        def __init__(self, *arguments):
            super().__init__(*arguments, listen=listen)

    monkeypatch.setattr(_information, "NetworkWatch", Cramped)
    with network_namespace(), Listener() as listener:
        before = network_state()
        await listener.after(*(f"ip addr add 192.0.2.{host}/32 dev lo" for host in range(1, 30)))
        assert network_state() != before
        known = {str(one.address) for found in network_state()[0] for one in found.addresses}
        assert "192.0.2.29" in known


@on_linux
@pytest_twisted.ensureDeferred
async def test_in_place_operators_attach_and_remove():
    """As for the events of objects; a network at rest tells nothing."""
    from twisted.internet import reactor

    heard = []

    def handler(sender, args):
        heard.append(args)

    assert NetworkInformation.limits is DEFAULT_LIMITS
    before = len(reactor.getReaders())
    with network_namespace():
        NetworkInformation.network_status_changed += handler
        assert len(reactor.getReaders()) == before + 1
        await deferLater(reactor, 0)
        NetworkInformation.network_status_changed -= handler
        assert len(reactor.getReaders()) == before
    assert heard == []
    assert not NetworkInformation.network_status_changed
