"""How descriptors are called: in order, each for itself, with their failures told and contained."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.python import context, log
from twisted.python.failure import Failure
from zope.interface import directlyProvides

Pair = tuple["Descriptor", socket.socket]


class Descriptor:
    """A descriptor over a real socket: notes its calls, and does in them what the test assigns."""

    def __init__(self, name: str, skt: socket.socket, calls: list[tuple[str, str]]) -> None:
        self.name, self.socket, self.calls = name, skt, calls
        self.lost: list[Failure] = []
        self.when_reading: Callable[[], object] = lambda: None
        self.when_writing: Callable[[], object] = lambda: None

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return self.name

    def doRead(self) -> object:
        self.calls.append((self.name, "read"))
        self.socket.recv(100)
        return self.when_reading()

    def doWrite(self) -> object:
        self.calls.append((self.name, "write"))
        return self.when_writing()

    def readConnectionLost(self, reason: Failure) -> None:
        self.calls.append((self.name, "read lost"))

    def connectionLost(self, reason: Failure) -> None:
        self.calls.append((self.name, "lost"))
        self.lost.append(reason)


@pytest.fixture
def calls() -> list[tuple[str, str]]:
    """The calls of all descriptors."""
    return []


@pytest.fixture
def connected(calls: list[tuple[str, str]]) -> Iterator[Callable[[str], Pair]]:
    """A function that makes a descriptor and its peer."""
    sockets: list[socket.socket] = []

    def make(name: str) -> Pair:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        sockets.extend((ours, peer))
        return Descriptor(name, ours, calls), peer

    yield make
    for skt in sockets:
        skt.close()


def fail() -> object:
    """What a defect in a program does."""
    raise LookupError("a defect")


@pytest.mark.parametrize("way", ["reading", "writing"])
def test_an_exception_is_logged_with_its_traceback_and_ends_that_descriptor_alone(
    reactor: Any,
    connected: Callable[[str], Pair],
    calls: list[tuple[str, str]],
    logged: list[dict[str, Any]],
    way: str,
) -> None:
    """Once in the log, under the descriptor's name; it is told why it is lost; the next one is served."""
    (broken, broken_peer), (sound, sound_peer) = connected("broken"), connected("sound")
    setattr(broken, f"when_{way}", fail)
    reactor.addReader(broken)
    reactor.addReader(sound)
    if way == "writing":
        reactor.addWriter(broken)
    broken_peer.send(b"1")
    sound_peer.send(b"1")
    reactor.doIteration(0)
    assert [name for name, call in calls if call == "lost"] == ["broken"]
    assert ("sound", "read") in calls
    (event,) = [event for event in logged if event["isError"]]
    assert event["system"] == "broken"
    assert "in fail\n" in event["failure"].getTraceback()
    assert broken.lost[0].value is event["failure"].value
    assert broken not in reactor.getReaders() + reactor.getWriters()
    assert sound in reactor.getReaders()


def test_descriptors_are_called_in_the_order_in_which_they_became_ready(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """That is the kernel's order, and nothing changes it."""
    pairs = [connected(name) for name in "abcde"]
    for descriptor, _peer in pairs:
        reactor.addReader(descriptor)
    for place in (3, 0, 4, 2, 1):
        pairs[place][1].send(b"1")
    reactor.doIteration(0)
    assert calls == [(name, "read") for name in "daecb"]


def test_one_that_can_read_and_write_does_both_reading_first(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """As on every one of Twisted's reactors."""
    descriptor, peer = connected("both")
    reactor.addWriter(descriptor)
    reactor.addReader(descriptor)
    peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("both", "read"), ("both", "write")]


def test_one_that_ends_while_reading_does_not_write(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """What doRead returns disconnects it first."""
    descriptor, peer = connected("ending")
    descriptor.when_reading = lambda: error.ConnectionLost("so it is")
    reactor.addReader(descriptor)
    reactor.addWriter(descriptor)
    peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("ending", "read"), ("ending", "lost")]
    assert descriptor.lost[0].type is error.ConnectionLost


@pytest.mark.parametrize("writing", [False, True], ids=["reading only", "reading and writing"])
def test_the_end_of_what_it_reads_leaves_one_that_can_half_close_writing(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]], writing: bool
) -> None:
    """In place of connectionLost there is readConnectionLost, and it is watched for writing still."""
    descriptor, peer = connected("half")
    directlyProvides(descriptor, IHalfCloseableDescriptor)
    descriptor.when_reading = error.ConnectionDone
    reactor.addReader(descriptor)
    if writing:
        reactor.addWriter(descriptor)
    peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("half", "read"), ("half", "read lost")]
    assert (descriptor in reactor.getReaders(), descriptor in reactor.getWriters()) == (False, writing)


def test_an_end_while_writing_is_a_whole_one(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """Even for one that can half-close, and that has just read."""
    descriptor, peer = connected("half")
    directlyProvides(descriptor, IHalfCloseableDescriptor)
    descriptor.when_writing = error.ConnectionDone
    reactor.addReader(descriptor)
    reactor.addWriter(descriptor)
    peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("half", "read"), ("half", "write"), ("half", "lost")]


def test_one_that_an_earlier_one_removed_is_not_called(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """Ready or not: from removeReader on it hears nothing."""
    (first, first_peer), (second, second_peer) = connected("first"), connected("second")
    first.when_reading = lambda: reactor.removeReader(second)
    reactor.addReader(first)
    reactor.addReader(second)
    first_peer.send(b"1")
    second_peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("first", "read")]


def test_one_that_took_over_a_number_is_called_in_place_of_the_old_one(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """The old one, whose socket is closed, is not; the new one, as on Twisted's reactor, at once."""
    (first, first_peer), (old, old_peer) = connected("first"), connected("old")
    new, new_peer = connected("new")
    number = old.fileno()

    def replace() -> None:
        reactor.removeReader(old)
        old.socket.close()
        new.socket = new.socket.dup()  # the lowest free number: the one just closed
        assert new.fileno() == number
        new_peer.send(b"1")
        reactor.addReader(new)

    first.when_reading = replace
    reactor.addReader(first)
    reactor.addReader(old)
    first_peer.send(b"1")
    old_peer.send(b"1")
    reactor.doIteration(0)
    new.socket.close()
    assert calls == [("first", "read"), ("new", "read")]


def test_one_that_has_no_number_any_more_is_disconnected_unread(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]], logged: list[dict[str, Any]]
) -> None:
    """A defect in a program, which it is told of in place of a read that could only fail."""
    (first, first_peer), (second, second_peer) = connected("first"), connected("second")
    first.when_reading = lambda: setattr(second, "fileno", lambda: -1)
    reactor.addReader(first)
    reactor.addReader(second)
    first_peer.send(b"1")
    second_peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("first", "read"), ("second", "lost")]
    assert second.lost[0].type is error.ConnectionFdescWentAway
    assert logged == []


def test_what_a_descriptor_logs_carries_its_name_and_what_surrounds_the_poll(
    reactor: Any, connected: Callable[[str], Pair], logged: list[dict[str, Any]]
) -> None:
    """Each its own; after the poll nothing of it is left."""
    pairs = [connected(name) for name in ("first", "second")]
    for descriptor, peer in pairs:
        descriptor.when_reading = lambda: log.msg("here")
        reactor.addReader(descriptor)
        peer.send(b"1")
    log.callWithContext({"system": "outside", "job": 7}, reactor.doIteration, 0)
    log.msg("after it")
    assert [(event["system"], event.get("job")) for event in logged] == [
        ("first", 7),
        ("second", 7),
        ("-", None),
    ]


def test_a_context_taken_along_stays_that_of_its_descriptor(
    reactor: Any, connected: Callable[[str], Pair]
) -> None:
    """Thread pools keep the innermost context when they are given work, and use it later."""
    taken: list[dict[Any, Any]] = []
    for name in ("first", "second"):
        descriptor, peer = connected(name)
        descriptor.when_reading = lambda: taken.append(
            context.theContextTracker.currentContext().contexts[-1]
        )
        reactor.addReader(descriptor)
        peer.send(b"1")
    reactor.doIteration(0)
    assert [kept[log.ILogContext]["system"] for kept in taken] == ["first", "second"]


def test_a_poll_inside_a_poll_leaves_the_context_of_the_outer_one(
    reactor: Any, connected: Callable[[str], Pair], logged: list[dict[str, Any]]
) -> None:
    """A descriptor that iterates the reactor goes on under its own name."""
    (outer, outer_peer), (inner, inner_peer) = connected("outer"), connected("inner")
    inner.when_reading = lambda: log.msg("inside")

    def iterate() -> None:
        inner_peer.send(b"1")
        reactor.doIteration(0)
        log.msg("outside again")

    outer.when_reading = iterate
    reactor.addReader(outer)
    reactor.addReader(inner)
    outer_peer.send(b"1")
    reactor.doIteration(0)
    assert [event["system"] for event in logged] == ["inner", "outer"]


def test_a_peer_that_is_gone_is_noticed_after_what_it_sent(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]]
) -> None:
    """A hangup waits until everything is read; one that does not read is told at once."""
    (reading, reading_peer), (writing, writing_peer) = connected("reading"), connected("writing")
    reactor.addReader(reading)
    reactor.addWriter(writing)
    reading_peer.send(b"1")
    for peer in (reading_peer, writing_peer):
        peer.close()
    reactor.doIteration(0)
    assert sorted(calls) == [("reading", "read"), ("writing", "lost")]
    assert writing.lost[0].type is error.ConnectionLost


def test_a_failing_end_is_logged_and_contained(
    reactor: Any, connected: Callable[[str], Pair], calls: list[tuple[str, str]], logged: list[dict[str, Any]]
) -> None:
    """An exception in connectionLost keeps nobody else from being served."""
    (broken, broken_peer), (sound, sound_peer) = connected("broken"), connected("sound")
    broken.when_reading = error.ConnectionLost
    broken.connectionLost = lambda reason: fail()
    reactor.addReader(broken)
    reactor.addReader(sound)
    broken_peer.send(b"1")
    sound_peer.send(b"1")
    reactor.doIteration(0)
    assert calls == [("broken", "read"), ("sound", "read")]
    assert [(event["system"], event["failure"].type) for event in logged] == [("broken", LookupError)]
