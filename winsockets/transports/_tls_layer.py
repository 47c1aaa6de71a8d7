"""TLS between a stream protocol and its transport."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import (
    ConnectionTimedOutError,
    OperationAbortedError,
    SocketException,
    translate,
)
from winsockets.errors._tls_table import TlsFault, tls_error
from winsockets.foundation import AsyncOperation, Limits
from winsockets.transports._contracts import ISink, IWriteSource
from winsockets.transports._describe import describe_peer
from winsockets.transports._foreign_sink import as_sink
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._tls_connection import VerifiedConnection
from winsockets.transports._tls_engine import TlsEngine, TlsState
from winsockets.transports._tls_outcome import TlsInformation, explain, inform, refused_by_foreigner
from winsockets.transports._tls_verification import PeerVerification

__all__ = ["TlsLayer"]

_log = Logger(namespace="winsockets")

_STEP = 64 * 1024
"""Plaintext that is encrypted at once: as ciphertext it may have to wait for room, and nothing else may."""
_PER_CALL = 4 * _STEP
"""Plaintext that one send takes, so that a fast peer and a large buffer do not hold the reactor up."""


@implementer(ISink, IWriteSource, IHalfCloseableProtocol)
class TlsLayer(Protocol):
    """Speaks TLS for a stream protocol: to that it is the sink, to the transport's sink it is the source.

    The protocol hears of the connection when the handshake is verified, and of nothing before that.

    - A write ends when its ciphertext was handed to the system, but for the last 64 KiB, which may still
      wait here for room; while they do, nothing more is taken.
    - Closing the sending direction sends close_notify; receiving goes on (RFC 8446 section 6.1).
    - Closing sends close_notify, ends TCP's sending direction, and waits for the peer to do the same, at
      most ``limits.close_notify_timeout`` and half of ``limits.close_timeout``.
    - A stream that ends without the peer's close_notify was cut: CONNECTION_RESET_BY_PEER.

    Args:
        protocol: the one above; not connected yet, or by `upgrade_to_tls`.
        creator: an IOpenSSLServerConnectionCreator or IOpenSSLClientConnectionCreator, ours or any other.
        server: which role.
        reactor: keeps the deadlines.
        limits: ``handshake_timeout``, ``close_notify_timeout`` and ``write_queue`` count here.
        require_close_notify: False takes a cut for the end of the stream, for peers that never say it.
        on_failed: called with the layer and the exception when there is no TLS.
    """

    vector_limit = 64
    # Twisted's contexts ask the factory of a connection for application protocols.
    factory: Any = SimpleNamespace(wrappedFactory=None)

    def __init__(
        self,
        protocol: StreamProtocol,
        creator: Any,
        *,
        server: bool,
        reactor: IReactorTime,
        limits: Limits,
        require_close_notify: bool = True,
        on_failed: Callable[[TlsLayer, SocketException], None] | None = None,
    ) -> None:
        self.protocol = protocol
        self.source: IWriteSource | None = None
        self.information: TlsInformation | None = None
        self._creator = creator
        self._server = server
        self._reactor = reactor
        self._limits = limits
        self._require_close_notify = require_close_notify
        self._on_failed = on_failed
        self._sink: ISink
        self._engine: TlsEngine
        self._connection: SSL.Connection
        self._open = False
        # Whether the protocol above knows of the connection, and is to hear of its end.
        self._announced = False
        self._closing = False
        self._lost = False
        self._problem: SocketException | None = None
        self._write_problem: SocketException | None = None
        self._foreign_refusal: BaseException | None = None
        # Ciphertext for which the transport had no room.
        self._waiting: bytes | memoryview = b""
        self._source_waits = False
        self._output_is_over = False
        self._timer: IDelayedCall | None = None
        self._next_turn: IDelayedCall | None = None
        self._hopeful: list[Deferred[TlsInformation]] = []

    # What the transport knows; not by __getattr__, which would make every other attribute slower

    def getHost(self) -> Any:
        """Return the transport's local address."""
        return cast(Any, self.transport).getHost()

    def getPeer(self) -> Any:
        """Return the transport's peer."""
        return cast(Any, self.transport).getPeer()

    @property
    def local_name(self) -> Any:
        """The local socket address, where the transport has it."""
        return cast(Any, self.transport).local_name

    @property
    def tcp_info(self) -> Any:
        """What the system measured, where the transport knows."""
        return getattr(self.transport, "tcp_info", None)

    @property
    def peer(self) -> str:
        """The peer in words, for messages."""
        return describe_peer(self.transport)

    @property
    def is_server(self) -> bool:
        """Which role."""
        return self._server

    @property
    def verification(self) -> PeerVerification | None:
        """What is known of the peer's certificates, also after a handshake that failed."""
        if self.information is not None:
            return self.information.verification
        connection = getattr(self, "_connection", None)
        return connection.verification if isinstance(connection, VerifiedConnection) else None

    # The handshake

    def when_secured(self) -> AsyncOperation[TlsInformation]:
        """Return an operation that ends with the handshake.

        It fails with the certificate's status, or with what else went wrong. Cancelling it breaks the
        connection off.
        """
        if self.information is not None:
            return AsyncOperation.from_result(self.information)
        if self._problem is not None:
            return AsyncOperation.from_error(self._problem)
        operation: AsyncOperation[TlsInformation] = AsyncOperation(self._give_up)
        self._hopeful.append(operation)
        return operation

    def _give_up(self, operation: Deferred[TlsInformation]) -> None:
        self._hopeful.remove(operation)
        self._fail(OperationAbortedError(f"{self._action}: cancelled"), at_once=True)

    def connectionMade(self) -> None:
        """Take the transport over and begin the handshake."""
        self._sink = as_sink(self.transport)
        self.begin()

    def begin(self, sink: ISink | None = None, received: bytes = b"") -> None:
        """Begin the handshake.

        Args:
            sink: of the transport, if the protocol above had it so far.
            received: the beginning of the peer's handshake.
        """
        if sink is not None:
            self._sink = sink
            self._announced = True
        self._sink.source = self
        self._timer = self._reactor.callLater(self._limits.handshake_timeout, self._too_late)
        try:
            self._connection = self._connect()
            self._engine = TlsEngine(self._connection, server=self._server)
        except Exception as problem:
            _log.failure("A context for TLS made no connection; the peer is refused")
            self._fail(translate(problem, self._action), at_once=True)
            return
        if not self._server:
            self._engine.start()
            if self._engine.state is TlsState.BROKEN:
                # Nothing was sent; the connection has to outlast the telling that there is one.
                self._fail(self._explain(), at_once=True)
                return
            self._after_receiving(b"")
        if received and self._problem is None:
            self.dataReceived(received)

    def _connect(self) -> SSL.Connection:
        make = self._creator.serverConnectionForTLS if self._server else self._creator.clientConnectionForTLS
        connection: SSL.Connection = make(self)
        if not isinstance(connection, VerifiedConnection):
            # As Twisted's TLS does, for the callbacks of such contexts.
            connection.set_app_data(self)
        return connection

    def failVerification(self, reason: Failure) -> None:
        """Hear from somebody else's context why it refuses the peer."""
        self._foreign_refusal = reason.value

    @property
    def _action(self) -> str:
        return f"{'TLS connection' if self._open else 'TLS handshake'} with {self.peer}"

    def _too_late(self) -> None:
        self._timer = None
        self._fail(
            ConnectionTimedOutError(
                f"{self._action}: not done within {self._limits.handshake_timeout:g} s; check that the "
                "peer speaks TLS on this port, or raise limits.handshake_timeout"
            ),
            at_once=True,
        )

    def _secure(self) -> None:
        """Look at the peer, and announce the connection if it is the right one."""
        connection = self._connection
        verification = None
        if isinstance(connection, VerifiedConnection):
            verification = connection.verified()
            if verification is None:
                self._fail(connection.verification.refusal(self._action))
                return
            if verification.problems:
                found = ", ".join(result.name for result in verification.results)
                _log.warn("{peer}: TLS in spite of its certificate: {found}", peer=self.peer, found=found)
        elif self._foreign_refusal is not None:
            self._fail(refused_by_foreigner(self._foreign_refusal, self._action))
            return
        self._stop_timer()
        self.information = inform(connection, verification)
        self._open = True
        if not self._announced:
            self._announced = True
            try:
                self.protocol.makeConnection(self)
            except Exception as problem:
                _log.failure("A connection with {peer} could not be announced", peer=self.peer)
                self.information = None
                self._fail(translate(problem, self._action), at_once=True)
        hopeful, self._hopeful = self._hopeful, []
        for operation in hopeful:
            operation.callback(cast(TlsInformation, self.information))
        if self._output_is_over:
            self.loseWriteConnection()
        elif self._source_waits:
            self._serve()

    # What the transport tells

    def dataReceived(self, data: bytes) -> None:
        """Decrypt, and deliver what came of it at once."""
        if self._problem is not None:
            return
        engine = self._engine
        plaintext = engine.receive(data)
        if engine.changed or engine.output:
            self._after_receiving(plaintext)
        elif plaintext:
            self.protocol.dataReceived(plaintext)

    def _after_receiving(self, plaintext: bytes) -> None:
        """Do what is to be done besides delivering plaintext."""
        engine = self._engine
        engine.changed = False
        if engine.output:
            output, engine.output = engine.output, b""
            self._put(output)
        if engine.state is TlsState.OPEN and not self._open:
            self._secure()
        if plaintext and self._open and not self._lost:
            self.protocol.dataReceived(plaintext)
        if engine.state is TlsState.BROKEN:
            self._fail(self._explain())
        elif engine.input_ended and self._open and not self._lost:
            self._end_input()

    def _end_input(self) -> None:
        self._keep_session()
        if self._closing:
            self._close_transport()
        else:
            self.protocol.readConnectionLost()

    def readConnectionLost(self) -> None:
        """Hear that the transport delivers no more."""
        if self._problem is not None or self._closing:
            self._stop_timer()
            self._sink.loseConnection()
        elif not self._open:
            self._fail(self._write_problem or tls_error(TlsFault.CLOSED_EARLY, self._action))
        elif not self._engine.input_ended:
            if self._require_close_notify:
                self._fail(tls_error(TlsFault.TRUNCATED, self._action))
            else:
                self.protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Nothing to do: the sending direction was ended by us."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits that it is over, and why."""
        self._lost = True
        self._sink.source = None
        self._waiting = b""
        self._stop_timer()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        in_order = isinstance(reason.value, ConnectionDone)
        if self._problem is None:
            if not self._open:
                problem = self._write_problem or tls_error(TlsFault.CLOSED_EARLY, self._action)
                self._fail(problem if in_order else translate(reason, self._action))
            elif in_order and not (self._closing or self._engine.input_ended) and self._require_close_notify:
                self._problem = tls_error(TlsFault.TRUNCATED, self._action)
        if self._announced:
            self.protocol.connectionLost(reason if self._problem is None else Failure(self._problem))
            # It keeps its transport, for what that knows; without this both would wait for the collector.
            self.protocol = weakref.proxy(self.protocol)

    # What ends it

    def _explain(self) -> SocketException:
        failure = self._engine.failure
        assert failure is not None
        return explain(failure, self._connection, self._foreign_refusal, self._action)

    def _fail(self, problem: SocketException, *, at_once: bool = False) -> None:
        """End the connection in a bad way; whoever is above hears of it when the transport is gone."""
        if self._problem is not None:
            return
        # It stays with the connection, and must not keep those who called.
        self._problem = problem.with_traceback(None)
        self._stop_timer()
        if not self._lost:
            if at_once or self._waiting:
                self._sink.abortConnection()
            elif self._server and not self._open:
                self._linger()
            else:
                self._sink.loseConnection()
        hopeful, self._hopeful = self._hopeful, []
        for operation in hopeful:
            operation.errback(problem)
        if self._on_failed is not None and self.information is None:
            self._on_failed(self, problem)

    def _linger(self) -> None:
        """Let the peer read the last words: a close with bytes of it unread would take those away."""
        # Before the protocol above gives up, which is a reset.
        patience = min(self._limits.close_timeout / 2, self._limits.close_notify_timeout)
        if not patience:
            self._sink.loseConnection()
            return
        self._sink.loseWriteConnection()
        self._sink.resumeProducing()
        self._timer = self._reactor.callLater(patience, self._finish_lingering)

    def _finish_lingering(self) -> None:
        self._timer = None
        self._sink.loseConnection()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _keep_session(self) -> None:
        if isinstance(self._connection, VerifiedConnection):
            self._connection.keep_session()

    # The sink of the protocol above

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and hand down; take nothing while ciphertext waits, and no more than 256 KiB."""
        if self._waiting or not self._open:
            return 0
        if self._problem is not None:
            raise self._problem
        size = len(data)
        if size <= _STEP:
            # As below, in fewer steps.
            ciphertext = self._engine.encrypt(data)
            if not ciphertext or (sent := self._sink.send(ciphertext)) < len(ciphertext):
                self._hold(ciphertext, sent if ciphertext else 0)
            return size
        view = memoryview(data)
        size = min(size, _PER_CALL)
        sent = 0
        while sent < size and not self._waiting:
            piece = view[sent : min(sent + _STEP, size)]
            self._hand_down(self._engine.encrypt(piece))
            sent += len(piece)
        return sent

    def send_vector(self, views: Sequence[bytes | memoryview]) -> int:
        """Like ``send``; buffers are joined so that records are full."""
        sent = 0
        for piece in _pieces(views):
            taken = self.send(piece)
            sent += taken
            if taken < len(piece) or sent >= _PER_CALL:
                break
        return sent

    def _hand_down(self, ciphertext: bytes) -> None:
        sent = self._sink.send(ciphertext) if ciphertext else 0
        if not ciphertext or sent < len(ciphertext):
            self._hold(ciphertext, sent)

    def _hold(self, ciphertext: bytes, sent: int) -> None:
        """Keep what there was no room for; no ciphertext at all means that the engine broke."""
        if not ciphertext:
            self._fail(self._explain())
            assert self._problem is not None
            raise self._problem
        self._waiting = memoryview(ciphertext)[sent:]
        self._sink.startWriting()

    def _put(self, ciphertext: bytes) -> None:
        """Hand down what TLS itself has to say."""
        if self._waiting:
            if len(self._waiting) > self._limits.write_queue:
                # A peer that asks and never listens.
                self._sink.abortConnection()
                return
            self._waiting = bytes(self._waiting) + ciphertext
        elif ciphertext and self._write_problem is None:
            try:
                self._hand_down(ciphertext)
            except SocketException as problem:
                self.write_failed(problem)

    def startWriting(self) -> None:
        """Call ``source.write_ready()`` as soon as there is room."""
        self._source_waits = True
        self._serve_soon()

    def stopWriting(self) -> None:
        """Do not call it any more."""
        self._source_waits = False

    def _serve_soon(self) -> None:
        # While ciphertext waits the transport tells when there is room; what was enough for a turn goes on in
        # the next one.
        if self._open and not self._waiting and self._next_turn is None and not self._lost:
            self._next_turn = self._reactor.callLater(0, self._serve_next_turn)

    def _serve_next_turn(self) -> None:
        self._next_turn = None
        if self._source_waits and not self._waiting:
            self._serve()

    def _serve(self) -> None:
        source = self.source
        if source is not None:
            source.write_ready()
            if self._source_waits and source.pending:
                self._serve_soon()

    @property
    def pending(self) -> bool:
        """Whether ciphertext waits, or the protocol above waits for room."""
        return bool(self._waiting) or self._source_waits

    def write_ready(self) -> None:
        """Send what waits; there is room now."""
        if self._waiting:
            try:
                sent = self._sink.send(self._waiting)
            except SocketException as problem:
                self.write_failed(problem)
                return
            if sent < len(self._waiting):
                self._waiting = memoryview(self._waiting)[sent:]
                return
            self._waiting = b""
        self._sink.stopWriting()
        if self._closing:
            self._close_transport()
        elif self._source_waits and self._open:
            self._serve()

    def write_failed(self, problem: SocketException) -> None:
        """Fail what waits. Receiving goes on: there may be an alert that says why."""
        self._waiting = b""
        self._sink.stopWriting()
        self._write_problem = problem
        if self._open and self.source is not None:
            self.source.write_failed(problem)

    def pauseProducing(self) -> None:
        """Deliver no more data until further notice."""
        if self._open:
            self._sink.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._sink.resumeProducing()

    def loseWriteConnection(self) -> None:
        """Send close_notify, after the handshake if that is under way; receiving goes on."""
        self._output_is_over = True
        if self._open and self._problem is None:
            self._put(self._engine.close())

    def loseConnection(self) -> None:
        """Send close_notify, and close when the peer has answered or a little time has passed."""
        if self._closing or self._lost or self._problem is not None:
            return
        self._closing = True
        if not self._open:
            self._sink.abortConnection()
            return
        self._keep_session()
        self._put(self._engine.close())
        self._sink.resumeProducing()
        self._close_transport()

    def _close_transport(self) -> None:
        """Close it when all was sent and the peer has said all; at first the sending direction alone."""
        if self._waiting or self._lost:
            return
        if self._engine.input_ended:
            self._stop_timer()
            self._sink.loseConnection()
        elif self._timer is None:
            self._linger()

    def abortConnection(self) -> None:
        """Close at once, telling the peer that something is missing."""
        self._closing = True
        self._stop_timer()
        if not self._lost:
            self._sink.abortConnection()


def _pieces(views: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Join buffers into pieces of what is encrypted at once; a large one is not copied as a whole."""
    parts: list[bytes | memoryview] = []
    size = 0
    for view in views:
        rest = view
        while size + len(rest) >= _STEP:
            parts.append(memoryview(rest)[: _STEP - size])
            rest = memoryview(rest)[_STEP - size :]
            yield b"".join(parts)
            parts, size = [], 0
        if rest:
            parts.append(rest)
            size += len(rest)
    if parts:
        yield b"".join(parts)
