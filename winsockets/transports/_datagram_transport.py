"""UDP on a descriptor of our own: survives refusals, says what was cut, waits instead of failing."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableDescriptor, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from winsockets.errors import SocketErrorStatus, SocketException, translate
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.transports._datagram_sending import DatagramSending, describe_name
from winsockets.transports._packet_info import ANCILLARY_SIZE, Ancillary, ask_for_destination

__all__ = ["DatagramTransport", "IDatagramReceiver"]

_WILDCARDS = ("::", "0.0.0.0")
_HAS_RECVMSG = hasattr(socket.socket, "recvmsg")


class IDatagramReceiver(Interface):
    """Who hears from a datagram transport; never from inside a call of one of its methods."""

    def datagram_received(
        transport: DatagramTransport,
        data: bytes,
        source: tuple[Any, ...],
        ancillary: Ancillary,
        truncated: bool,
    ) -> None:
        """Take one datagram.

        Args:
            transport: where it arrived.
            data: the payload; its beginning when it is longer than ``limits.datagram_size``.
            source: the sender's socket address, as the socket module gives it.
            ancillary: what came with it; see ``destination_of``.
            truncated: whether it is only the beginning.
        """

    def receive_failed(transport: DatagramTransport, problem: SocketException) -> None:
        """Hear that an earlier datagram found no listener, or that receiving failed otherwise."""


@implementer(IReadWriteDescriptor, IHalfCloseableDescriptor)
class DatagramTransport(DatagramSending):
    """One UDP socket under the reactor; it receives from the start.

    Args:
        skt: a datagram socket that is bound or connected; owned from here on.
        receiver: hears of datagrams and errors.
        reactor: an IReactorFDSet and IReactorTime.
        limits: how much to receive in a turn, how large, and how much may wait.

    Attributes:
        family: its address family.
        local: its local socket address; readable after the end too.

    Source: udp(7), ip(7) IP_PKTINFO, RFC 1122 section 4.1.3.3 (errors reach the program).
    """

    __slots__ = (
        "__weakref__",
        "_finishing",
        "_receiver",
        "_strangers",
        "_wants_destination",
        "family",
        "local",
    )

    def __init__(self, skt: socket.socket, receiver: IDatagramReceiver, reactor: Any, limits: Limits) -> None:
        super().__init__(skt, reactor, limits)
        skt.setblocking(False)
        self.family = skt.family
        self._receiver = receiver
        self._finishing: IDelayedCall | None = None
        self._strangers = False
        self._note_local()
        if self._wants_destination:
            ask_for_destination(skt)
        reactor.addReader(self)

    def _note_local(self) -> None:
        self.local: tuple[Any, ...] = self.socket.getsockname()
        # A socket with one address gets what is sent there, and need not be told.
        self._wants_destination = _HAS_RECVMSG and bool(self.local) and self.local[0] in _WILDCARDS

    def connect(self, peer: Address) -> None:
        """Fix the peer; datagrams of others that arrived before are dropped.

        Raises:
            OSError: as the system says; nothing has changed.
        """
        self.socket.connect(peer.sockaddr)
        # Not always the same: a connection to a wildcard address is one to this machine.
        self._connected(self.socket.getpeername(), peer.sockaddr)
        self._strangers = True
        self._note_local()

    def fileno(self) -> int:
        """The descriptor, for the reactor."""
        return self.socket.fileno()

    def logPrefix(self) -> str:
        """Name the transport in logs."""
        return "DatagramTransport"

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<DatagramTransport {'on' if self.open else 'closed, was on'} {self.local}>"

    # Receiving

    def doRead(self) -> None:
        """Deliver what has arrived, up to ``limits.datagrams_per_turn``."""
        if self._news:
            self._settle()
        size = self._limits.datagram_size
        deliver = self._receiver.datagram_received
        ancillary: Ancillary = ()
        for _ in range(self._limits.datagrams_per_turn):
            if not self.open:
                return
            try:
                # A byte more than there may be shows what was cut, on every system.
                if self._wants_destination:
                    data, ancillary, _, source = self.socket.recvmsg(size + 1, ANCILLARY_SIZE)
                else:
                    data, source = self.socket.recvfrom(size + 1)
            except BlockingIOError:
                self._strangers = False
                return
            except OSError as problem:
                self._tell(problem)
                continue
            if self._strangers and not self.is_peer(source):
                continue
            if len(data) > size:
                deliver(self, data[:size], source, ancillary, True)
            else:
                deliver(self, data, source, ancillary, False)

    def _tell(self, problem: OSError) -> None:
        where = f"from {describe_name(self.peer)}" if self.peer else f"on {describe_name(self.local)}"
        error = translate(problem.with_traceback(None), f"receive datagrams {where}", datagram=True)
        # Without a connection, where Windows says so too, nobody can tell whose datagram was refused.
        ours = self.peer is not None or error.status is not SocketErrorStatus.CONNECTION_RESET_BY_PEER
        if ours and self.open:
            self._receiver.receive_failed(self, error)

    # Ending

    def readConnectionLost(self, reason: Failure) -> None:
        """See IHalfCloseableDescriptor; poll-like reactors say so when an ICMP error waits."""
        if self._news:
            self._settle()
        if self.open:
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._reactor.addReader(self)
            if number:
                self._tell(OSError(number, os.strerror(number)))

    def writeConnectionLost(self, reason: Failure) -> None:
        """See IHalfCloseableDescriptor; no reactor says so of a datagram socket."""

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor: the reactor stops, or somebody else closed the descriptor."""
        self.close()

    def close(self) -> None:
        """Close at once and abort waiting sends; nothing is delivered any more."""
        if not self.open:
            return
        self.open = False
        self._reactor.removeReader(self)
        self._stop_writing()
        if self._finishing is not None and self._finishing.active():
            self._finishing.cancel()
        with suppress(OSError):  # the descriptor may be gone
            self.socket.close()
        self.cancel_sends("aborted by close")

    def finish(self) -> None:
        """Close when everything that waits has been sent, after ``limits.close_timeout`` in any case."""
        if self._waiting:
            self._finishing = self._reactor.callLater(self._limits.close_timeout, self.close)
        else:
            self.close()

    def _rest(self) -> None:
        super()._rest()
        if self._finishing is not None:
            self.close()
