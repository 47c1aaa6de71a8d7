"""Stream sockets in the tests of an application: servers, clients, and what goes wrong with them."""

from __future__ import annotations

import socket
from typing import Any

from trial_suite.clean_case import CleanCase
from twisted.internet import defer
from twisted.internet.error import ConnectionRefusedError as TwistedRefusal

from winsockets import (
    OperationAbortedError,
    OperationCanceledError,
    ResetByPeerError,
    SocketErrorStatus,
    StreamReader,
    StreamSocket,
    StreamSocketListener,
    StreamSocketListenerConnectionReceivedEventArgs,
    StreamWriter,
)
from winsockets.testing import FaultProxy, Faults, install_resolver


async def echo(connection: StreamSocket) -> None:
    """The application under test: lines come back, until there are no more."""
    async with connection:
        reader = StreamReader(connection.input_stream.as_stream_for_read())
        writer = StreamWriter(connection.output_stream.as_stream_for_write())
        while (line := await reader.read_line_async()) is not None:
            await writer.write_line_async(line)
            await writer.flush_async()


class EchoServer(CleanCase):
    """A server that every test has to itself."""

    async def setUp(self) -> None:
        """Start it; trial waits for a coroutine, and for what a cleanup returns."""
        super().setUp()
        self.served: list[defer.Deferred[None]] = []
        self.addCleanup(lambda: defer.DeferredList(self.served))
        self.listener = StreamSocketListener()
        self.listener.connection_received += self.serve
        self.addCleanup(self.stop, self.listener)
        await self.listener.bind_endpoint_async("127.0.0.1", "0")
        self.port = self.listener.information.local_port

    def serve(
        self, sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
    ) -> None:
        """Serve a client, and remember it: the test has not ended before that has."""
        serving = defer.ensureDeferred(echo(args.socket))
        self.served.append(serving.addErrback(lambda failure: failure.trap(ResetByPeerError) and None))

    def stop(self, thing: Any) -> defer.Deferred[None]:
        """Close a socket or a listener and wait until it is gone."""
        thing.close()
        return thing.wait_closed_async()

    def connected(self) -> defer.Deferred[StreamSocket]:
        """A client, closed when the test ends."""
        client = StreamSocket()
        self.addCleanup(self.stop, client)
        return client.connect_async("127.0.0.1", self.port).addCallback(lambda _: client)

    async def test_a_line_comes_back(self) -> None:
        """A test that is a coroutine."""
        client = await self.connected()
        writer, reader = StreamWriter(client.output_stream), StreamReader(client.input_stream)
        await writer.write_line_async("Hello, World!")
        await writer.flush_async()
        self.assertEqual(await reader.read_line_async(), "Hello, World!")

    @defer.inlineCallbacks
    def test_a_line_comes_back_to_a_generator(self) -> Any:
        """A test of the older kind."""
        client = yield self.connected()
        yield client.output_stream.write_async(b"older\n")
        data = yield client.input_stream.read_exactly(6)
        self.assertEqual(data, b"older\n")

    def test_a_line_comes_back_to_callbacks(self) -> defer.Deferred[None]:
        """A test of the oldest kind."""

        def read(client: StreamSocket) -> defer.Deferred[bytes]:
            client.output_stream.write_async(b"oldest\n")
            return client.input_stream.read_exactly(7)

        return self.connected().addCallback(read).addCallback(self.assertEqual, b"oldest\n")

    async def test_a_read_is_aborted_by_close(self) -> None:
        """``assertFailure`` gives the exception."""
        client = await self.connected()
        reading = client.input_stream.read()
        client.close()
        problem = await self.assertFailure(reading, OperationAbortedError)
        self.assertIs(problem.status, SocketErrorStatus.OPERATION_ABORTED)

    async def test_a_read_that_takes_too_long_is_cancelled(self) -> None:
        """Twisted's own timeout works on it, and the connection stays."""
        from twisted.internet import reactor

        client = await self.connected()
        await self.assertFailure(client.input_stream.read().addTimeout(0.001, reactor), defer.TimeoutError)
        await client.output_stream.write_async(b"still\n")
        self.assertEqual(await client.input_stream.read_exactly(6), b"still\n")

    async def test_a_connection_breaks_in_the_middle_of_an_answer(self) -> None:
        """At the byte that the test says."""
        proxy = FaultProxy("127.0.0.1", self.port, to_client=Faults(reset_at=4))
        async with proxy, StreamSocket() as client:
            await client.connect_async(proxy.host, proxy.port)
            await client.output_stream.write_async(b"Hello\n")
            self.assertEqual(await client.input_stream.read_exactly(4), b"Hell")
            await self.assertFailure(client.input_stream.read(), ResetByPeerError)

    async def test_a_name_is_the_tests_own(self) -> None:
        """Nothing is asked of the system's resolver."""
        from twisted.internet import reactor

        with install_resolver(reactor, {"echo.example": ["127.0.0.1"]}):
            async with StreamSocket() as client:
                await client.connect_async("echo.example", self.port)
                self.assertEqual(str(client.information.remote_host_name), "echo.example")


class NoServer(CleanCase):
    """Connecting to nobody."""

    def test_a_refusal_is_twisteds_and_pythons_and_ours(self) -> defer.Deferred[object]:
        """Whatever class the application traps."""
        bound = socket.socket()  # and not listening
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        client = StreamSocket()
        self.addCleanup(client.close)
        connecting = client.connect_async("127.0.0.1", bound.getsockname()[1])
        failing = self.assertFailure(connecting, TwistedRefusal)
        return failing.addCallback(self.assertIsInstance, ConnectionRefusedError)

    def test_a_cancelled_connect_leaves_nothing(self) -> defer.Deferred[object]:
        """No attempt, no timer."""
        client = StreamSocket()
        self.addCleanup(client.close)
        connecting = client.connect_async("192.0.2.1", "9")
        connecting.cancel()
        return self.assertFailure(connecting, OperationCanceledError, OSError)
