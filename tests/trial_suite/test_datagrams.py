"""Datagram sockets in the tests of an application."""

from __future__ import annotations

from typing import Any

from trial_suite.clean_case import CleanCase
from twisted.internet import defer

from winsockets import (
    DatagramSocket,
    DatagramSocketMessageReceivedEventArgs,
    ObjectClosedError,
    SocketErrorStatus,
    SocketException,
)


async def answer(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
    """The application under test: datagrams come back in capitals."""
    output = await sender.get_output_stream_async(args.remote_address, args.remote_port)
    reader = args.get_data_reader()
    await output.write_async(reader.read_string(reader.unconsumed_buffer_length).upper().encode())


class Answering(CleanCase):
    """A socket that answers, for every test its own."""

    async def setUp(self) -> None:
        """Bind it."""
        super().setUp()
        self.server = DatagramSocket()
        self.server.message_received += answer
        self.addCleanup(self.stop, self.server)
        await self.server.bind_endpoint_async("127.0.0.1", "0")

    def stop(self, thing: Any) -> defer.Deferred[None]:
        """Close a socket and wait until it is gone."""
        thing.close()
        return thing.wait_closed_async()

    async def test_a_datagram_is_answered(self) -> None:
        """Messages are taken before the socket is bound."""
        async with DatagramSocket() as client:
            messages = client.messages()
            await client.connect_async("127.0.0.1", self.server.information.local_port)
            await client.output_stream.write_async(b"hello")
            message = await anext(messages)
            reader = message.get_data_reader()
            self.assertEqual(reader.read_string(reader.unconsumed_buffer_length), "HELLO")

    async def test_a_datagram_that_is_too_long_fails(self) -> None:
        """The socket goes on."""
        async with DatagramSocket() as client:
            await client.connect_async("127.0.0.1", self.server.information.local_port)
            problem = await self.assertFailure(
                client.output_stream.write_async(bytes(65_536)), SocketException
            )
            self.assertIs(problem.status, SocketErrorStatus.MESSAGE_TOO_LONG)
            self.assertEqual(await client.output_stream.write_async(b"short"), 5)

    async def test_a_closed_socket_refuses_at_the_call(self) -> None:
        """There is no operation then that could fail."""
        client = DatagramSocket()
        client.close()
        with self.assertRaises(ObjectClosedError):
            client.connect_async("127.0.0.1", "9")
