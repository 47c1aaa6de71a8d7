"""UDP on a descriptor of our own: survives refusals, says what was cut, waits instead of failing."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionFdescWentAway
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableDescriptor, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from winsockets.errors import SocketErrorStatus, SocketException, translate
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.transports._datagram_segments import accept_coalesced, divided, segment_size
from winsockets.transports._datagram_sending import DatagramSending, describe_name
from winsockets.transports._packet_info import ANCILLARY_SIZE, Ancillary, ask_for_details
from winsockets.transports._reported_errors import ReportedError, hear_errors, reported_errors

__all__ = ["DatagramTransport", "IDatagramReceiver"]

_HAS_RECVMSG = hasattr(socket.socket, "recvmsg")

_LARGEST = 65_535
_PIECE = memoryview(bytearray(_LARGEST + 1))
"""Where the system puts what it has joined; one is enough, because it is copied before anybody is told."""


class IDatagramReceiver(Interface):
    """Who hears from a datagram transport; never from inside a call of one of its methods."""

    def datagrams_received(
        transport: DatagramTransport,
        datagrams: Sequence[bytes],
        source: tuple[Any, ...],
        ancillary: Ancillary,
        truncated: bool,
    ) -> None:
        """Take datagrams of one sender, in the order of arrival, as long as ``transport.delivering``.

        Args:
            transport: where they arrived.
            datagrams: the payloads; the beginning of one that is longer than ``limits.datagram_size``.
            source: the sender's socket address, as the socket module gives it.
            ancillary: what came with them; see ``destination_of``.
            truncated: whether each is only the beginning.
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
        delivering: whether the rest of what is just being delivered is still wanted.

    Source: udp(7), ip(7) IP_PKTINFO, RFC 1122 section 4.1.3.3 (errors reach the program).
    """

    __slots__ = (
        "__weakref__",
        "_coalesces",
        "_finishing",
        "_receiver",
        "_source",
        "_strangers",
        "delivering",
        "family",
        "local",
    )

    def __init__(self, skt: socket.socket, receiver: IDatagramReceiver, reactor: Any, limits: Limits) -> None:
        super().__init__(skt, reactor, limits)
        skt.setblocking(False)
        self.family = skt.family
        self.delivering = False
        self._receiver = receiver
        self._finishing: IDelayedCall | None = None
        self._strangers = False
        self._source: tuple[Any, ...] = ()
        # Jumbograms do not fit into a piece.
        self._coalesces = limits.datagram_size <= _LARGEST and accept_coalesced(skt)
        self.local: tuple[Any, ...] = skt.getsockname()
        if _HAS_RECVMSG:
            ask_for_details(skt)
        reactor.addReader(self)

    def connect(self, peer: Address) -> None:
        """Fix the peer; datagrams of others that arrived before are dropped.

        What is held back leaves first, to where it was to go.

        Raises:
            OSError: as the system says; nothing has changed.
        """
        self.release()
        self.socket.connect(peer.sockaddr)
        # Not always the same: a connection to a wildcard address is one to this machine.
        self._connected(self.socket.getpeername(), peer.sockaddr)
        self._strangers = True
        self._hears = hear_errors(self.socket)
        if self.delivering and not self.is_peer(self._source):
            self.delivering = False
        self.local = self.socket.getsockname()

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
        """Deliver what has arrived, up to ``limits.datagrams_per_turn``.

        What the system gives in one piece is delivered whole, also when that is more.
        """
        if self._news:
            self._settle()
        left = self._limits.datagrams_per_turn
        while left > 0 and self.open:
            try:
                datagrams, ancillary, source = self._receive()
            except BlockingIOError:
                self._strangers = False
                return
            except OSError as problem:
                left -= self._tell_of(problem, left)
                continue
            left -= len(datagrams)
            if not self._strangers or self.is_peer(source):
                self._deliver(datagrams, source, ancillary)

    def _receive(self) -> tuple[Sequence[bytes], Ancillary, tuple[Any, ...]]:
        """Take one datagram from the system, or several of one sender and one size that came in one piece."""
        ancillary: Ancillary = ()
        if self._coalesces:
            length, ancillary, _, source = self.socket.recvmsg_into([_PIECE], ANCILLARY_SIZE)
            piece = _PIECE[:length]
            if ancillary and (size := segment_size(ancillary)):
                return divided(piece, size), ancillary, source
            return (bytes(piece),), ancillary, source
        # A byte more than there may be shows what was cut, on every system.
        size = self._limits.datagram_size + 1
        if _HAS_RECVMSG:
            data, ancillary, _, source = self.socket.recvmsg(size, ANCILLARY_SIZE)
        else:
            data, source = self.socket.recvfrom(size)
        return (data,), ancillary, source

    def _deliver(self, datagrams: Sequence[bytes], source: tuple[Any, ...], ancillary: Ancillary) -> None:
        self._source = source
        self.delivering = True
        longest = self._limits.datagram_size
        if len(datagrams[0]) <= longest:
            self._receiver.datagrams_received(self, datagrams, source, ancillary, False)
            return
        for data in datagrams:
            # The last may be shorter.
            if self.delivering:
                cut = len(data) > longest
                self._receiver.datagrams_received(self, (data[:longest],), source, ancillary, cut)

    def _tell_of(self, problem: OSError | None, most: int) -> int:
        """Tell what the system keeps of what was said, or else what it answered; return how much that was."""
        problems: list[OSError] = []
        if self._hears:
            problems += reported_errors(self.socket, most)
        if problem is not None and not problems:
            problems.append(problem)
        for each in problems:
            self._tell(each)
        return len(problems)

    def _tell(self, problem: OSError) -> None:
        where = f"from {describe_name(self.peer)}" if self.peer else f"on {describe_name(self.local)}"
        action = f"receive datagrams {where}"
        if isinstance(problem, ReportedError):
            action = f"reach {describe_name(self.peer)}"
            if problem.packet_size:
                action += f" ({problem.reporter} lets packets of {problem.packet_size} bytes pass)"
            elif self.peer and problem.reporter not in ("", self.peer[0]):
                action += f" ({problem.reporter} says)"
        error = translate(problem.with_traceback(None), action, datagram=True)
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
            answer = OSError(number, os.strerror(number)) if number else None
            self._tell_of(answer, self._limits.datagrams_per_turn)

    def writeConnectionLost(self, reason: Failure) -> None:
        """See IHalfCloseableDescriptor; no reactor says so of a datagram socket."""

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor: the reactor stops, or somebody else closed the descriptor."""
        if reason.check(ConnectionFdescWentAway):
            # Its number may be that of another one by now.
            self.cancel_sends("the descriptor was closed")
        self.close()

    def close(self) -> None:
        """Close at once; nothing is delivered any more.

        What is held back leaves before, as far as there is room; what waits is aborted.
        """
        self.release()
        if not self.open:
            # Somebody who was told of the end of a write has closed it.
            return
        self.open = self.delivering = False
        self._reactor.removeReader(self)
        if self._turn_end is not None:
            self._turn_end.cancel()
            self._turn_end = None
        self._stop_writing()
        if self._finishing is not None and self._finishing.active():
            self._finishing.cancel()
        with suppress(OSError):  # the descriptor may be gone
            self.socket.close()
        self.cancel_sends("aborted by close")

    def finish(self) -> None:
        """Close when everything that waits has been sent, after ``limits.close_timeout`` in any case."""
        self.release()
        if self._waiting or self._untold:
            self._finishing = self._reactor.callLater(self._limits.close_timeout, self.close)
        else:
            self.close()

    def _rest(self) -> None:
        super()._rest()
        if self._finishing is not None:
            self.close()
