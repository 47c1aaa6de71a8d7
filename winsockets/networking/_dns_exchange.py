"""One question on its way to one name server and back, over UDP or TCP."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IReadDescriptor
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.networking._address import Address

__all__ = ["DatagramExchange", "Prepare", "StreamExchange"]

Prepare = Callable[[socket.socket, Address], None]
"""What a new socket goes through before it is connected to an address; raises OSError to refuse."""

_RECEIVES_PER_TURN = 16
_LARGEST = 65_535


@implementer(IReadDescriptor)
class DatagramExchange:
    """Asks over UDP, from a port of its own.

    The socket is connected: the system drops what does not come from the address and port that was asked,
    and says so when nobody listens there. The port is one that the system draws.

    Args:
        server: whom to ask.
        query: the message.
        received: called with everything that comes from there, whatever it is.
        failed: called once with an OSError when the exchange has ended without having been closed.
        reactor: an IReactorFDSet.
        prepare: is done to the socket first.

    Raises:
        OSError: the system has no socket for it, or no way leads there.

    Source: RFC 5452 sections 4 and 9; udp(7).
    """

    def __init__(
        self,
        server: Address,
        query: bytes,
        *,
        received: Callable[[bytes], None],
        failed: Callable[[OSError], None],
        reactor: Any,
        prepare: Prepare | None = None,
    ) -> None:
        self._received = received
        self._failed = failed
        self._reactor = reactor
        self._open = True
        self._socket = socket.socket(server.family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if prepare is not None:
                prepare(self._socket, server)
            self._socket.connect(server.sockaddr)
            self._socket.send(query)
        except BaseException:
            self._socket.close()
            raise
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor, for the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Name the exchange in logs."""
        return "DNS"

    def doRead(self) -> None:
        """Pass on what has arrived."""
        for _ in range(_RECEIVES_PER_TURN):
            if not self._open:
                return
            try:
                message = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as problem:
                self._fail(problem)
                return
            self._received(message)

    def connectionLost(self, reason: Failure) -> None:
        """Called by the reactor when an ICMP error waits, on poll-like ones, or when it stops."""
        if self._open:
            number = errno.ECONNABORTED
            with suppress(OSError):  # the descriptor may be gone
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or number
            self._fail(OSError(number, os.strerror(number)))

    def _fail(self, problem: OSError) -> None:
        self.close()
        self._failed(problem)

    def close(self) -> None:
        """End it; nobody is told."""
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._socket.close()


class StreamExchange:
    """Asks over TCP; arguments as for `DatagramExchange`, but no error is raised at once.

    Source: RFC 7766; RFC 1035 section 4.2.2.
    """

    def __init__(
        self,
        server: Address,
        query: bytes,
        *,
        received: Callable[[bytes], None],
        failed: Callable[[OSError], None],
        reactor: Any,
        prepare: Prepare | None = None,
    ) -> None:
        self._query = query
        self._received = received
        self._failed = failed
        self._open = True
        self._transport = _Client(server, self, reactor, prepare)

    # What Twisted's client transport asks of its connector

    def buildProtocol(self, address: IAddress) -> Int16StringReceiver:
        """Called when there is a connection."""
        return _Framing(self._query, self._pass_on)

    def connectionFailed(self, reason: Failure) -> None:
        """Called when there is no connection."""
        self._fail(reason)

    def connectionLost(self, reason: Failure) -> None:
        """Called when the connection has ended."""
        self._fail(reason)

    def _pass_on(self, message: bytes) -> None:
        if self._open:
            self._received(message)

    def _fail(self, reason: Failure) -> None:
        if self._open:
            self._open = False
            number = getattr(reason.value, "osError", None) or errno.ECONNRESET
            if reason.check(ConnectionDone):
                self._failed(OSError(number, "the server closed the connection without an answer"))
            else:
                self._failed(OSError(number, os.strerror(number)))

    def close(self) -> None:
        """End it; nobody is told."""
        if self._open:
            self._open = False
            transport: Any = self._transport
            if transport.connected:
                transport.abortConnection()
            else:
                transport.stopConnecting()


class _Client(tcp.Client):
    def __init__(self, server: Address, exchange: StreamExchange, reactor: Any, prepare: Prepare | None):
        self._server = server
        self._prepare = prepare
        tcp.Client.__init__(self, server.host, server.port, None, exchange, reactor)

    def createInternetSocket(self) -> socket.socket:
        """Make the socket and prepare it."""
        base: Any = super()
        skt: socket.socket = base.createInternetSocket()
        try:
            if self._prepare is not None:
                self._prepare(skt, self._server)
        except OSError as problem:
            skt.close()
            # Twisted takes number and text from the arguments, which the subclasses of OSError need not have.
            raise OSError(problem.errno or errno.EIO, str(problem)) from problem
        return skt


class _Framing(Int16StringReceiver):
    """Puts lengths before messages."""

    def __init__(self, query: bytes, received: Callable[[bytes], None]) -> None:
        self._query = query
        self._receive = received

    def connectionMade(self) -> None:
        """Ask."""
        transport: Any = self
        transport.sendString(self._query)

    def stringReceived(self, string: bytes) -> None:
        """Pass on what came whole."""
        self._receive(string)
