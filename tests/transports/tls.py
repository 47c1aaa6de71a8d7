"""What the tests of TLS stand on: certificates made for them, and Python's own TLS as the peer."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import trustme
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from winsockets.certificates import Certificate
from winsockets.errors import SocketException
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.testing import connect_protocols
from winsockets.transports import StreamProtocol, TlsClientContext, TlsLayer, TlsServerContext
from winsockets.transports._tls_engine import TlsEngine, TlsState

HOST = "test.example"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


ROOT = "root"


@cache
def _authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name)


def authority(name: str = ROOT) -> trustme.CA:
    """A root that nobody else trusts; one for each name."""
    return _authority(name)


@cache
def issued(*names: str, by: str = ROOT, **options: Any) -> trustme.LeafCert:
    """A certificate, made once."""
    return authority(by).issue_cert(*names or (HOST, "localhost", "127.0.0.1", "::1"), **options)


def certificate(leaf: trustme.LeafCert) -> Certificate:
    """The same with its key and chain, as the library has it."""
    return Certificate.load_pem(leaf.private_key_and_cert_chain_pem.bytes())


def root(name: str = ROOT) -> Certificate:
    """A root, to be trusted."""
    return Certificate.load_pem(authority(name).cert_pem.bytes())


def client_context(**options: Any) -> TlsClientContext:
    """A client that trusts our root alone."""
    return TlsClientContext(**{"exclusive_trust_roots": (root(),), **options})


def server_context(**options: Any) -> TlsServerContext:
    """A server with a certificate for HOST and this machine."""
    return TlsServerContext(**{"certificate": certificate(issued()), **options})


def client_engine(host: str = HOST, ignorable: Any = (), **options: Any) -> tuple[TlsEngine, Any]:
    """An engine in the client's role, and its connection."""
    connection = client_context(**options).for_host(host, "1", ignorable).clientConnectionForTLS(None)
    return TlsEngine(connection, server=False), connection


def server_engine(**options: Any) -> tuple[TlsEngine, Any]:
    """An engine in the server's role, and its connection."""
    connection = server_context(**options).serverConnectionForTLS(None)
    return TlsEngine(connection, server=True), connection


class PythonPeer:
    """Python's own TLS over memory, to feed and to take from as an engine.

    Args:
        server: its role.
        prepare: changes its context.
    """

    def __init__(
        self, *, server: bool, prepare: Callable[[ssl.SSLContext], object] = lambda _: None, host: str = HOST
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        if server:
            issued().configure_cert(context)
        authority().configure_trust(context)
        prepare(context)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(
            self._in, self._out, server_side=server, server_hostname=None if server else host
        )
        self.received = b""
        self.is_open = self.ended = False
        self.error: ssl.SSLError | None = None

    def step(self, data: bytes = b"") -> bytes:
        """Feed ciphertext, go on as far as possible, and return what is to be sent."""
        self._in.write(data)
        try:
            if not self.is_open:
                self.object.do_handshake()
                self.is_open = True
            while piece := self.object.read(65536):
                self.received += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as problem:
            self.error = problem
        return self._out.read()

    def send(self, data: bytes) -> bytes:
        """Encrypt."""
        self.object.write(data)
        return self._out.read()

    def close(self) -> bytes:
        """Say goodbye."""
        with suppress(ssl.SSLError):
            self.object.unwrap()
        return self._out.read()


def output_of(engine: TlsEngine) -> bytes:
    """Take what an engine wants to be sent."""
    output, engine.output = engine.output, b""
    return output


def shake_hands(engine: TlsEngine, peer: PythonPeer, piece: int = 1 << 20) -> bytes:
    """Let both talk until they have nothing to say; in pieces of so many bytes.

    Returns:
        The plaintext that the engine gave.
    """
    plaintext = b""
    engine.start()
    to_peer, to_engine = output_of(engine), peer.step()
    while to_peer or to_engine:
        sent, to_peer = to_peer, b""
        for place in range(0, len(sent), piece):
            to_engine += peer.step(sent[place : place + piece])
        sent, to_engine = to_engine, b""
        for place in range(0, len(sent), piece):
            plaintext += engine.receive(sent[place : place + piece])
            to_peer += output_of(engine)
    return plaintext


def opened(engine: TlsEngine, peer: PythonPeer) -> None:
    """Shake hands, and expect it to go well."""
    shake_hands(engine, peer)
    assert engine.state is TlsState.OPEN, engine.failure
    assert peer.is_open, peer.error


def between(first: TlsEngine, second: TlsEngine) -> None:
    """Let two engines shake hands."""
    first.start()
    second.start()
    while first.output or second.output:
        if first.output:
            second.receive(output_of(first))
        if second.output:
            first.receive(output_of(second))


# Connections in memory


class Pair:
    """A client's and a server's layer, connected in memory; nothing moves before ``turn()``.

    Args:
        creator: of the client's connections.
        context: of the server.
        limits: of both.
        client: options of the client's layer.
        server: options of the server's layer.
        faults: options of the way between them.
    """

    def __init__(
        self,
        creator: Any = None,
        context: Any = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        **faults: Any,
    ) -> None:
        self.clock = Clock()
        self.announced: list[StreamProtocol] = []
        self.failures: list[SocketException] = []

        def make(role: bool, creator: Any, options: dict[str, Any] | None) -> TlsLayer:
            return TlsLayer(
                StreamProtocol(self.clock, limits, self.announced.append),
                creator,
                server=role,
                reactor=self.clock,
                limits=limits,
                on_failed=lambda _, problem: self.failures.append(problem),
                **options or {},
            )

        self.client = make(False, creator or client_context().for_host(HOST, "1"), client)
        self.server = make(True, context or server_context(), server)
        self.transports = connect_protocols(self.client, self.server, self.clock, **faults)

    def turn(self, times: int = 8) -> None:
        """Let everything arrive that is on its way, and what is sent in answer."""
        for _ in range(times):
            self.clock.advance(0)

    def open(self) -> Pair:
        """Let them shake hands, and expect it to go well."""
        self.turn()
        assert self.client.information is not None, self.failures
        assert self.server.information is not None, self.failures
        return self

    def end(self) -> None:
        """Close both, and expect nothing to be left."""
        for layer in (self.client, self.server):
            if not layer.protocol.lost and layer.protocol.transport is not None:
                layer.protocol.close()
            elif not layer.protocol.lost:
                layer.abortConnection()
        self.turn()
        self.clock.advance(60)
        self.turn()
        assert not self.clock.getDelayedCalls()


def outcome(operation: Any) -> Any:
    """What an operation that is over gave, or the exception it failed with."""
    assert operation.called, "it is not over"
    result = operation.result
    if isinstance(result, Failure):
        operation.addErrback(lambda _: None)
        return result.value
    return operation.get_results()
