"""Echoes over a TCP connection, plain or with TLS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from winsockets.cli._tls import TlsPlan
from winsockets.cli._url import EchoUrl
from winsockets.errors import OutOfBoundsError, SocketException
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperationWithProgress
from winsockets.networking._name_servers import NameServer
from winsockets.sockets import SocketProtectionLevel, StreamSocket

__all__ = ["StreamEcho"]


class StreamEcho:
    """One connection to an echo server.

    The reply to a message is as many bytes as the message has, in pieces of any size. So a loss is the end:
    nobody could tell the next reply from the late one.

    Args:
        reactor: the reactor.
        url: the server.
        timeout: seconds for resolving the name, again for connecting, and again for a TLS handshake.
        tls: how to speak TLS, where the URL asks for it.
        name_servers: whom to ask for the server; none for those of the system.

    Raises:
        InvalidArgumentError: the certificate to show is not one for clients.
    """

    ends_with_a_loss = True
    longest = 64 * 1024

    def __init__(
        self,
        reactor: Any,
        url: EchoUrl,
        timeout: float,
        tls: TlsPlan,
        name_servers: Sequence[NameServer] = (),
    ) -> None:
        self._url = url
        self._tls = tls
        self._socket = StreamSocket(reactor=reactor)
        # A peer that takes nothing had its time already.
        self._socket.control.limits = replace(
            DEFAULT_LIMITS,
            resolve_timeout=timeout,
            connect_timeout=timeout,
            handshake_timeout=timeout,
            close_timeout=0,
        )
        self._socket.control.name_servers = name_servers
        self._level = SocketProtectionLevel.PLAIN_SOCKET
        if url.transport == "tls":
            self._level = SocketProtectionLevel.UNSPECIFIED
            tls.configure(self._socket.control)
        self._message = b""
        self._writing: AsyncOperationWithProgress[int, int]

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            SocketException: it failed; where the server's certificate was not good enough, the notes say why.
        """
        try:
            await self._socket.connect_async(self._url.host, self._url.service, self._level)
        except SocketException as problem:
            for line in self._tls.verdict(self._socket.information, self._url.host):
                problem.add_note(line)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._socket.close()
        await self._socket.wait_closed_async()

    @property
    def peer(self) -> str:
        """The server in words."""
        information = self._socket.information
        return f"{information.remote_address} port {information.remote_port}"

    @property
    def protection(self) -> str:
        """What protects the connection, in words; "" for nothing."""
        level = self._socket.information.protection_level
        return "" if level is SocketProtectionLevel.PLAIN_SOCKET else f" with TLS 1.{level.name[-1]}"

    async def send(self, message: bytes) -> None:
        """Send a message; a failure shows in `reply`, which has to read while this is under way."""
        self._message = message
        self._writing = self._socket.output_stream.write_async(message)
        self._writing.addErrback(lambda _: None)

    async def reply(self, show: Callable[[bytes], None]) -> bool:
        """Receive the reply to the message sent last.

        Args:
            show: gets its bytes as they come.

        Returns:
            Whether it is identical.

        Raises:
            SocketException: the connection broke, or ended too early (E_BOUNDS).
        """
        left = memoryview(self._message)
        identical = True
        while left:
            data = await self._socket.input_stream.read(min(len(left), self.longest))
            if not data:
                raise OutOfBoundsError(
                    f"receive from {self.peer}: the server closed the connection after "
                    f"{len(self._message) - len(left)} of {len(self._message)} bytes of the reply; "
                    "check that an echo server listens there, with TLS or without as the URL says"
                )
            identical = identical and left[: len(data)] == data
            left = left[len(data) :]
            show(data)
        await self._writing
        return identical

    async def surplus(self) -> int:
        """Say that no more will be sent, and count what the server sends beyond the replies."""
        count = 0
        try:
            self._socket.output_stream.close()
            async for data in self._socket.input_stream:
                count += len(data)
        except SocketException:
            # A reset, or the end of our patience; an end is all that was missing.
            pass
        return count
