"""The output streams of a DatagramSocket: one write, one datagram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from winsockets.errors import MessageTooLongError, ObjectClosedError, OperationAbortedError, SocketException
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress
from winsockets.networking._address import Address
from winsockets.networking._interfaces import interfaces
from winsockets.streams import OutputStream
from winsockets.transports._datagram_queue import Sending
from winsockets.transports._datagram_transport import DatagramTransport
from winsockets.transports._packet_info import WayOut, can_choose_way_out

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from winsockets.sockets._datagram_link import DatagramLink

__all__ = ["BROADCAST", "BroadcastOutputStream", "DatagramOutputStream"]

BROADCAST = "255.255.255.255"

_new: Any = object.__new__


class DatagramOutputStream(OutputStream):
    """Sends datagrams to one destination: every write is one datagram, never split, never joined.

    An operation is complete when the system has the datagram, and waits while the system's buffer is
    full. A longer one than the protocol carries (65,507 bytes over IPv4, 65,527 over IPv6) fails with
    MESSAGE_TOO_LONG. The first write binds the socket if nothing else has; when that fails, so does the
    write.

    While ``limits.datagram_queue`` datagrams of a socket wait in the program a write raises, because whoever
    gets there never awaited anything.

    Args:
        link: the socket's; kept open by the stream.
        destination: where the datagrams go; None for the peer of a connected socket.
    """

    __slots__ = ("__weakref__", "_closed", "_destination", "_link", "_to", "_transport")

    def __init__(self, link: DatagramLink, destination: Address | None) -> None:
        self._link = link
        self._destination = destination
        self._to: tuple[Any, ...] | None = destination.sockaddr if destination is not None else None
        self._transport: DatagramTransport | None = None
        self._closed = False

    def _check(self, action: str) -> None:
        if self._closed:
            raise ObjectClosedError(f"{action}: the stream was closed")
        self._link.check_sendable(action, self._destination)

    def _find_transport(self, action: str) -> DatagramTransport | SocketException:
        """Find the transport, or why there is none."""
        transport = self._transport
        if transport is not None and transport.open:
            return transport
        self._check(action)
        try:
            self._transport = self._link.towards(self._destination)
        except SocketException as problem:
            return problem
        return self._transport

    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram; see OutputStream.write_async.

        Raises:
            IllegalMethodCallError: the socket is not connected, is being bound or connected, or is
                connected to somebody else than the stream's destination.
            SocketException: WSAENOBUFS, too many datagrams wait already.
        """
        transport = self._transport
        if transport is not None:
            held = transport.held
            if held is not None and held.to is self._to and type(buffer) is bytes:
                # One of the many that a batch may have: as send() does it, in fewer steps.
                operation: Sending = _new(Sending)
                operation.holder = transport
                held.operations.append(operation)
                payloads = held.payloads
                payloads.append(buffer)
                if len(payloads) >= transport.most_held:
                    transport.let_go()
                return operation
            if transport.open:
                return transport.send(buffer, self._to)
        found = self._find_transport("write")
        if isinstance(found, DatagramTransport):
            return found.send(buffer, self._to)
        return AsyncOperationWithProgress.from_error(found)

    def write_many_async(self, buffers: Iterable[ReadableBuffer]) -> AsyncOperationWithProgress[int, int]:
        """Send each buffer as one datagram; see OutputStream.write_many_async.

        Each is sent, whatever becomes of the others; the operation fails with the first failure. Cancelling
        it takes back those that wait.
        """
        transport = self._find_transport("write")
        if isinstance(transport, DatagramTransport):
            return transport.send_many(buffers, self._to)
        return AsyncOperationWithProgress.from_error(transport)

    def flush_async(self) -> AsyncOperation[bool]:
        """Wait until the system has every datagram of the socket that waits now.

        It fails with the first failure among them. A write that has failed before says so itself.
        """
        transport = self._transport
        if transport is None or not transport.open:
            self._check("flush")
        elif not transport.beside:
            return transport.flush()
        return self._link.flush()

    def close(self) -> None:
        """Write no more; what waits is still sent, and the socket stays open."""
        self._closed = True
        self._transport = None


class BroadcastOutputStream(DatagramOutputStream):
    """Sends datagrams to everybody: every write is one datagram on each adapter that leads to others.

    On one adapter only, where the socket is bound to one or connected, the system does not let the program
    choose (Windows), or none has left through those there are. A write fails when that one does, or when it
    is too long for all.

    Source: WinRT DatagramSocket.GetOutputStreamAsync, on 255.255.255.255.
    """

    __slots__ = ()

    def write_async(self, buffer: ReadableBuffer) -> AsyncOperationWithProgress[int, int]:
        """Send one datagram on each adapter; see DatagramOutputStream.write_async."""
        return self.write_many_async([buffer])

    def write_many_async(self, buffers: Iterable[ReadableBuffer]) -> AsyncOperationWithProgress[int, int]:
        """Send each buffer as a datagram on each adapter; yields the size of all on one."""
        transport = self._find_transport("write")
        if not isinstance(transport, DatagramTransport):
            return AsyncOperationWithProgress.from_error(transport)
        ways = self._ways(transport)
        if not ways:
            return transport.send_many(buffers, self._to)
        return AsyncOperationWithProgress.run(self._write_everywhere(transport, [*buffers], ways))

    async def _write_everywhere(
        self, transport: DatagramTransport, payloads: list[ReadableBuffer], ways: Sequence[WayOut]
    ) -> int:
        writes = [transport.send_many(payloads, way) for way in ways]
        sent = too_long = None
        try:
            for write in writes:
                try:
                    sent = await write
                except OperationAbortedError:
                    for other in writes:
                        other.cancel()
                    raise
                except MessageTooLongError as problem:
                    too_long = problem
                except SocketException:
                    continue
            if sent is not None:
                return sent
            if too_long is not None:
                raise too_long
        finally:
            # Its traceback leads here.
            too_long = None
        return await transport.send_many(payloads, self._to)

    def _ways(self, transport: DatagramTransport) -> list[WayOut]:
        if self._to is None or transport.peer is not None or self._link.adapter is not None:
            return []
        if not can_choose_way_out():
            return []
        host, port = self._to
        return [
            WayOut(host, port, interface.index)
            for interface in interfaces()
            if interface.up
            and not (interface.loopback or interface.point_to_point)
            and any(local.address.version == 4 for local in interface.addresses)
        ]
