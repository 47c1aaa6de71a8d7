"""Where received datagrams go: to the event of their socket, and to iterators."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from zope.interface import implementer

from winsockets.errors import BusyError, MessageTooLongError, SocketException
from winsockets.foundation import DEFAULT_LIMITS, AsyncOperation
from winsockets.sockets._datagram_message import Arrival, DatagramSocketMessageReceivedEventArgs
from winsockets.transports._datagram_transport import DatagramTransport, IDatagramReceiver
from winsockets.transports._describe import describe_address
from winsockets.transports._packet_info import Ancillary, interface_of, was_unicast

if TYPE_CHECKING:
    from winsockets.sockets._datagram_link import DatagramLink
    from winsockets.sockets._datagram_socket import DatagramSocket

__all__ = ["Inbox", "MessageQueue"]


def _ignore(sender: None, args: DatagramSocketMessageReceivedEventArgs) -> None:
    """Do nothing."""


@implementer(IDatagramReceiver)
class Inbox:
    """Hears what the transports of one DatagramSocket receive.

    The reactor holds the transports and they hold this; it holds neither the socket nor its iterators, so
    that these can be forgotten.

    Args:
        socket: whose event is fired.

    Attributes:
        dropped: how many messages iterators had no room for, and how many others were not wanted.
        multicast_only: whether those that were sent to this machine alone are not wanted.
        only_through: the index of the interface that those come through that are wanted; 0 for any.
        choosy: whether either is so.
        queue_bound: how many messages an iterator has room for.
    """

    def __init__(self, socket: DatagramSocket) -> None:
        self._socket = weakref.ref(socket)
        self._queues: list[weakref.ref[MessageQueue]] = []
        self.dropped = 0
        self.multicast_only = False
        self.only_through = 0
        self.choosy = False
        self.queue_bound = DEFAULT_LIMITS.message_queue

    def add_queue(self, queue: MessageQueue) -> None:
        """Give every message to an iterator too, as long as somebody has it."""
        self._queues.append(weakref.ref(queue))

    def datagrams_received(
        self,
        transport: DatagramTransport,
        datagrams: Sequence[bytes],
        source: tuple[Any, ...],
        ancillary: Ancillary,
        truncated: bool,
    ) -> None:
        """See IDatagramReceiver."""
        if self.choosy and self._is_unwanted(ancillary, len(datagrams)):
            return
        contents: Sequence[bytes | SocketException] = datagrams
        if truncated:
            contents = [
                MessageTooLongError(
                    f"receive a datagram from {describe_address(*source[:2])}: it is longer than {len(data)} "
                    "bytes and was cut; raise limits.datagram_size"
                )
                for data in datagrams
            ]
        arrival = Arrival(source, transport.local, ancillary)
        socket = self._socket()
        # A forgotten socket has no handlers any more.
        fire: Callable[[Any, Any], None] = socket._received.fire if socket is not None else _ignore
        queues = self._queues
        for content in contents:
            # As _of() does it, in fewer steps.
            args = DatagramSocketMessageReceivedEventArgs()
            args._content = content
            args._arrival = arrival
            fire(socket, args)
            if queues:
                self._queue(args)
            if not transport.delivering:
                break

    def _is_unwanted(self, ancillary: Ancillary, count: int) -> bool:
        """Tell whether datagrams are not for this socket, and count those that were sent to it anyway."""
        if self.only_through and interface_of(ancillary) not in (0, self.only_through):
            return True
        unicast = self.multicast_only and was_unicast(ancillary)
        if unicast:
            self.dropped += count
        return unicast

    def receive_failed(self, transport: DatagramTransport, problem: SocketException) -> None:
        """See IDatagramReceiver."""
        args = DatagramSocketMessageReceivedEventArgs._of(
            problem, Arrival(transport.peer or (), transport.local)
        )
        socket = self._socket()
        if socket is not None:
            socket._received.fire(socket, args)
        self._queue(args)

    def _queue(self, args: DatagramSocketMessageReceivedEventArgs) -> None:
        for reference in self._queues:
            queue = reference()
            if queue is not None and not queue._put(args, self.queue_bound):
                self.dropped += 1

    def end(self) -> None:
        """End the iterators."""
        for reference in self._queues:
            queue = reference()
            if queue is not None:
                queue._end()


class MessageQueue:
    """Received datagrams that wait for ``async for``.

    It keeps the port open like a stream of the socket does.
    """

    def __init__(self, link: DatagramLink) -> None:
        self._link = link
        self._messages: deque[DatagramSocketMessageReceivedEventArgs] = deque()
        self._news: AsyncOperation[None] | None = None
        self._ended = False

    def _put(self, args: DatagramSocketMessageReceivedEventArgs, bound: int) -> bool:
        """Take a message, unless ``bound`` of them wait already; return whether it was taken."""
        if len(self._messages) >= bound:
            return False
        self._messages.append(args)
        self._wake()
        return True

    def _end(self) -> None:
        """Give what waits, then end."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.called:
            self._news.callback(None)

    def __aiter__(self) -> Self:
        """Return the iterator itself."""
        return self

    async def __anext__(self) -> DatagramSocketMessageReceivedEventArgs:
        """Return the next datagram, or the error that came in its place.

        Raises:
            BusyError: another task waits for it.
            StopAsyncIteration: the socket was closed.
        """
        if self._news is not None:
            raise BusyError("messages(): another task waits for the next datagram already")
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            # It carries no message: one that is cancelled at the last moment loses none.
            self._news = AsyncOperation()
            try:
                await self._news
            finally:
                self._news = None
        return self._messages.popleft()
