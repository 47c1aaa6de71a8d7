"""How connections get their TLS: from the beginning, by a factory, or in the midst (STARTTLS)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from winsockets.errors import BusyError, IllegalMethodCallError, InvalidArgumentError, SocketException
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.transports._stream_protocol import StreamProtocol
from winsockets.transports._tls_layer import TlsLayer

__all__ = ["TlsFactory", "upgrade_to_tls"]

_log = Logger(namespace="winsockets")


def _log_failure(layer: TlsLayer, problem: SocketException) -> None:
    _log.info("No TLS with a client: {problem}", problem=problem)


class TlsFactory(ServerFactory):
    """Builds a `TlsLayer` for each connection, under the stream protocol of another factory.

    For a client: connect with it through any endpoint, and await the layer's ``when_secured()``; then its
    ``protocol`` is the stream protocol, connected. For a server: listen with it, and the stream protocols
    are announced as each handshake is done.

    Args:
        creator: an IOpenSSLServerConnectionCreator or IOpenSSLClientConnectionCreator, such as
            `TlsServerContext` and what `TlsClientContext.for_host` gives, or any other.
        factory: builds stream protocols.
        server: which role.
        reactor: an IReactorTime that keeps the deadlines.
        limits: the bounds of each connection.
        require_close_notify: False takes a cut stream for one that has ended.
        on_failed: called with the layer and the exception for each connection without TLS; by default those
            of a server are logged, those of a client are not.
    """

    noisy = False

    def __init__(
        self,
        creator: Any,
        factory: IProtocolFactory,
        *,
        server: bool,
        reactor: Any,
        limits: Limits = DEFAULT_LIMITS,
        require_close_notify: bool = True,
        on_failed: Callable[[TlsLayer, SocketException], None] | None = None,
    ) -> None:
        self._creator = creator
        self.wrappedFactory = factory
        self._server = server
        self._reactor = reactor
        self._limits = limits
        self._require_close_notify = require_close_notify
        self._on_failed = _log_failure if on_failed is None and server else on_failed

    def doStart(self) -> None:
        """Tell the factory of the stream protocols."""
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """Tell the factory of the stream protocols."""
        self.wrappedFactory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> TlsLayer | None:
        """Build one, unless the other factory builds none."""
        protocol = self.wrappedFactory.buildProtocol(cast(IAddress, addr))
        if protocol is None:
            return None
        layer = TlsLayer(
            cast(StreamProtocol, protocol),
            self._creator,
            server=self._server,
            reactor=self._reactor,
            limits=self._limits,
            require_close_notify=self._require_close_notify,
            on_failed=self._on_failed,
        )
        layer.factory = self
        return layer


def upgrade_to_tls(
    protocol: StreamProtocol,
    creator: Any,
    *,
    server: bool = False,
    received: int = 0,
    require_close_notify: bool = True,
) -> TlsLayer:
    """Put TLS under a connected stream protocol, and begin the handshake.

    Nothing may be pending. What the peer sent before TLS and the program has not read is not taken for part
    of what TLS protects: it refuses the upgrade.

    Args:
        protocol: connected; it goes on as the same object.
        creator: as for `TlsFactory`.
        server: which role.
        received: how many bytes, all that are unread, are known to be the beginning of the peer's handshake.
        require_close_notify: False takes a cut stream for one that has ended.

    Returns:
        The layer; await its ``when_secured()``. When that fails the connection is gone.

    Raises:
        BusyError: a read or a write is pending.
        IllegalMethodCallError: it is not connected, has ended or closed a direction, has TLS already, or its
            transport cannot be taken over.
        InvalidArgumentError: another number of bytes is unread than ``received``. The connection stays.

    Source: WinRT StreamSocket.UpgradeToSslAsync; RFC 3207 section 4.2.
    """
    action = f"upgrade the connection with {protocol.peer} to TLS"
    transport: Any = protocol.transport
    if transport is None or protocol.lost:
        raise IllegalMethodCallError(f"{action}: it is not connected")
    if isinstance(transport, TlsLayer):
        raise IllegalMethodCallError(f"{action}: it has TLS already")
    protocol.release()
    if protocol._reader is not None or protocol.pending:
        kind = "read" if protocol._reader is not None else "write"
        raise BusyError(f"{action}: a {kind} is pending; await it first")
    if protocol._ended or protocol._output_shut or protocol._write_error is not None:
        raise IllegalMethodCallError(f"{action}: one of its directions has ended; connect again")
    unread = len(protocol._unread)
    if unread != received:
        raise InvalidArgumentError(
            f"{action}: {unread} bytes that came before TLS are unread, and {received} were said to be; read "
            "the peer's answer to its end first"
        )
    layer = TlsLayer(
        protocol,
        creator,
        server=server,
        reactor=protocol._reactor,
        limits=protocol.limits,
        require_close_notify=require_close_notify,
    )
    for attribute in ("protocol", "wrappedProtocol"):
        # The one that transports have, and the one of Twisted's protocol wrappers.
        if getattr(transport, attribute, None) is protocol:
            setattr(transport, attribute, layer)
            break
    else:
        raise IllegalMethodCallError(f"{action}: {type(transport).__name__} keeps its protocol for good")
    beginning = bytes(protocol._take(unread)) if unread else b""
    sink = protocol._sink
    layer.transport = transport
    protocol.transport, protocol._sink, layer.source = layer, layer, protocol
    layer.begin(sink, beginning)
    return layer
