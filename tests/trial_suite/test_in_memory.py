"""Sockets in memory in synchronous tests: no reactor runs and no time passes but the clock's."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import TimeoutError, ensureDeferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from winsockets import (
    DEFAULT_LIMITS,
    OperationAbortedError,
    ResetByPeerError,
    StreamReader,
    StreamSocket,
    StreamWriter,
)
from winsockets.testing import Faults, connect_protocols, stream_socket_pair


async def greet(connection: StreamSocket) -> str:
    """The application under test: ask for a name and greet."""
    async with connection:
        writer, reader = StreamWriter(connection.output_stream), StreamReader(connection.input_stream)
        await writer.write_line_async("Who are you?")
        await writer.flush_async()
        name = await reader.read_line_async()
        await writer.write_line_async(f"Hello, {name}!")
        await writer.flush_async()
        return name


class Greeting(SynchronousTestCase):
    """A conversation, step by step."""

    def setUp(self) -> None:
        """The clock has nothing left to do when a test ends."""
        self.clock = Clock()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def test_a_guest_is_greeted(self) -> None:
        """Each step when the test says so."""
        guest, host = stream_socket_pair(self.clock)
        greeting = ensureDeferred(greet(host))
        question = guest.input_stream.read()
        self.assertNoResult(question)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(question), b"Who are you?\n")
        self.successResultOf(guest.output_stream.write_async(b"World\n"))
        self.assertNoResult(greeting)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(greeting), "World")
        self.assertEqual(self.successResultOf(guest.input_stream.read()), b"Hello, World!\n")
        self.assertEqual(self.successResultOf(guest.input_stream.read()), b"")
        guest.close()
        self.clock.advance(0)

    def test_a_guest_who_goes_away(self) -> None:
        """In the middle of the question, with a reset."""
        guest, host = stream_socket_pair(self.clock, to_client=Faults(reset_at=3))
        greeting = ensureDeferred(greet(host))
        self.clock.advance(0)
        self.failureResultOf(greeting, ResetByPeerError)
        self.assertEqual(self.successResultOf(guest.input_stream.read()), b"Who")
        self.failureResultOf(guest.input_stream.read(), ResetByPeerError)
        guest.close()
        self.clock.advance(0)

    def test_a_guest_who_does_not_answer(self) -> None:
        """Whom the application gives a minute."""
        guest, host = stream_socket_pair(self.clock)
        greeting = ensureDeferred(greet(host)).addTimeout(60, self.clock)
        self.clock.advance(59.9)
        self.assertNoResult(greeting)
        self.clock.advance(0.2)
        self.failureResultOf(greeting, TimeoutError)
        guest.close()
        self.clock.advance(0)

    def test_a_guest_who_does_not_listen(self) -> None:
        """Closing waits no longer than its limit for somebody who takes nothing."""
        limits = replace(DEFAULT_LIMITS, close_timeout=5.0)
        guest, host = stream_socket_pair(self.clock, to_client=Faults(stall_at=0), capacity=1, limits=limits)
        writing = host.output_stream.write_async(b"Who are you?\n")
        host.close()
        self.clock.advance(4.9)
        self.assertNoResult(writing)
        self.clock.advance(0.2)
        self.failureResultOf(writing, OperationAbortedError)
        guest.close()
        self.clock.advance(0)


class Protocols(SynchronousTestCase):
    """Protocols of Twisted's, which know no sockets of ours."""

    def test_two_protocols_talk(self) -> None:
        """Over transports that behave as TCP does."""

        class Shouting(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data.upper())

        class Listening(Protocol):
            heard = b""

            def dataReceived(self, data: bytes) -> None:
                self.heard += data

        clock = Clock()
        client = Listening()
        transport, _ = connect_protocols(client, Shouting(), clock, to_server=Faults(most_at_once=1, delay=2))
        transport.write(b"hello")
        clock.advance(1.9)
        self.assertEqual(client.heard, b"")
        clock.advance(0.2)
        self.assertEqual(client.heard, b"HELLO")
        transport.loseConnection()
        clock.advance(3)
        self.assertEqual(clock.getDelayedCalls(), [])
