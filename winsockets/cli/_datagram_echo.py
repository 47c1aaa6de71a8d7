"""Echoes over UDP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

from twisted.internet.defer import CancelledError, Deferred

from winsockets.cli._statistics import Tally
from winsockets.cli._url import EchoUrl
from winsockets.errors import ConnectionTimedOutError, ResetByPeerError, SocketException
from winsockets.networking import EndpointPair
from winsockets.networking._name_servers import NameServer
from winsockets.sockets import DatagramSocket, DatagramSocketMessageReceivedEventArgs

__all__ = ["DatagramEcho"]

_REMEMBERED = 1024
"""Messages of which late and further replies are recognised."""


class DatagramEcho:
    """A connected UDP socket toward an echo server.

    The reply to a message is the first datagram that is identical with it, or that is identical with none
    of the messages before it. Datagrams of others are dropped by the system, because the socket is
    connected. Where a name has several addresses and the first message is refused at one of them, it goes
    to the next: nobody listens on all of them for sure.

    Args:
        reactor: the reactor.
        url: the server.
        timeout: seconds for resolving the name.
        tally: counts late replies, duplicates and strays.
        name_servers: whom to ask for the server; none for those of the system.
    """

    ends_with_a_loss = False
    protection = ""
    longest = 65_507

    def __init__(
        self,
        reactor: Any,
        url: EchoUrl,
        timeout: float,
        tally: Tally,
        name_servers: Sequence[NameServer] = (),
    ) -> None:
        self._reactor = reactor
        self._url = url
        self._timeout = timeout
        self._tally = tally
        self._name_servers = name_servers
        self._pairs: deque[EndpointPair] = deque()
        self._socket = DatagramSocket(reactor=reactor)
        self._message = b""
        self._waiting: Deferred[bytes] | None = None
        self._answered: dict[bytes, bool] = {}
        self._heard = False

    async def __aenter__(self) -> Self:
        """Resolve the name and connect to its first address."""

        def too_late(_: object, seconds: float) -> list[EndpointPair]:
            raise ConnectionTimedOutError(
                f"resolve {self._url.host}: no answer within {seconds:g} s; check the name servers, or give "
                "a longer --timeout"
            )

        resolving = DatagramSocket.get_endpoint_pairs_async(
            self._url.host, self._url.service, name_servers=self._name_servers
        )
        self._pairs.extend(await resolving.addTimeout(self._timeout, self._reactor, too_late))
        await self._connect()
        return self

    async def _connect(self) -> None:
        """Connect to the next address that can be connected to."""
        while True:
            await self._close()
            self._socket = DatagramSocket(reactor=self._reactor)
            self._socket.message_received += self._received
            try:
                await self._socket.connect_async(self._pairs.popleft())
            except CancelledError:
                raise
            except SocketException:
                if not self._pairs:
                    raise
            else:
                return

    async def _close(self) -> None:
        self._socket.close()
        await self._socket.wait_closed_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the socket."""
        await self._close()

    @property
    def peer(self) -> str:
        """The server in words."""
        information = self._socket.information
        return f"{information.remote_address} port {information.remote_port}"

    async def send(self, message: bytes) -> None:
        """Send a message.

        Raises:
            SocketException: MESSAGE_TOO_LONG, NETWORK_IS_UNREACHABLE ...
        """
        self._message = message
        await self._socket.output_stream.write_async(message)
        # Only now: a refusal that the system reports while sending is the fate of an earlier message.
        self._waiting = Deferred()

    async def reply(self, show: Callable[[bytes], None]) -> bool:
        """Wait for the reply to the message sent last.

        Args:
            show: gets the reply.

        Returns:
            Whether it is identical.

        Raises:
            SocketException: CONNECTION_RESET_BY_PEER, nobody listens there.
        """
        answered = False
        try:
            data = await self._answer()
            answered = True
        finally:
            self._waiting = None
            self._remember(answered)
        show(data)
        return data == self._message

    async def _answer(self) -> bytes:
        while True:
            assert self._waiting is not None
            try:
                return await self._waiting
            except ResetByPeerError:
                if self._heard or not self._pairs:
                    raise
                await self._connect()
                await self.send(self._message)

    def _remember(self, answered: bool) -> None:
        key = _key(self._message)
        self._answered.pop(key, None)
        self._answered[key] = answered
        if len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]

    def _received(self, sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
        waiting = self._waiting
        try:
            data = args.data
        except SocketException as problem:
            if waiting is not None:
                self._waiting = None
                waiting.errback(problem)
            return
        self._heard = True
        key = _key(data)
        if waiting is not None and (data == self._message or key not in self._answered):
            self._waiting = None
            waiting.callback(data)
        elif key not in self._answered:
            self._tally.strays += 1
        elif self._answered[key]:
            self._tally.duplicates += 1
        else:
            self._tally.late += 1
            self._answered[key] = True


def _key(message: bytes) -> bytes:
    return blake2b(message, digest_size=16).digest()
