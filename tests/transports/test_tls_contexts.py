"""Contexts: versions, protocols, names, sessions; with our layer and with Twisted's TLS, both ways."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL
from twisted.internet import ssl as twisted_ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.certificates.authority import AUTHORITY, Entity, rsa_key
from tests.transports.tls import (
    HOST,
    Pair,
    authority,
    certificate,
    client_context,
    client_engine,
    issued,
    outcome,
    root,
    server_context,
)
from winsockets.certificates import Certificate
from winsockets.errors import InvalidArgumentError, SocketErrorStatus
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.testing import connect_protocols
from winsockets.transports import (
    ClientCertificatePolicy,
    StreamProtocol,
    TlsClientContext,
    TlsLayer,
    TlsServerContext,
)

V10, V11, V12, V13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)


@pytest.mark.parametrize("context", [TlsClientContext, server_context])
def test_what_makes_no_sense_is_refused(context: Any) -> None:
    """Where it is said."""
    with pytest.raises(InvalidArgumentError, match="SSLv3"):
        context(minimum=ssl.TLSVersion.SSLv3)
    with pytest.raises(InvalidArgumentError, match="MAXIMUM_SUPPORTED"):
        context(maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED)
    with pytest.raises(InvalidArgumentError, match="above the maximum"):
        context(minimum=V13, maximum=V12)
    with pytest.raises(InvalidArgumentError, match="1 to 255"):
        context(protocols=["h2", ""])
    with pytest.raises(InvalidArgumentError, match="1 to 255"):
        context(protocols=["x" * 256])
    keyless = Certificate.load_pem(issued().cert_chain_pems[0].bytes())
    with pytest.raises(InvalidArgumentError, match="private key"):
        context(certificate=keyless)


@pytest.mark.parametrize("context", [TlsClientContext, TlsServerContext])
def test_a_chain_that_could_not_be_shown_is_refused(context: Any) -> None:
    """Where it is given, and not in each handshake."""
    weak = Entity.root(key=rsa_key(1024))
    server = weak.server(HOST)
    chain = Certificate.load_pem(server.pem + weak.pem + server.key_pem())
    with pytest.raises(InvalidArgumentError, match=r"the key of 'Root', which is in its chain, is weak"):
        context(certificate=chain)
    assert context(certificate=chain, minimum=V11)


@pytest.mark.parametrize("version", [V10, V11, V12, V13])
def test_one_version_alone_is_spoken_when_asked_for(version: ssl.TLSVersion) -> None:
    """The old ones too, for those who name them."""
    only = {"minimum": version, "maximum": version}
    pair = Pair(client_context(**only).for_host(HOST), server_context(**only)).open()
    assert pair.client.information is not None
    name = {V10: "TLSv1", V11: "TLSv1.1", V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    assert pair.client.information.version == name
    pair.end()


@pytest.mark.parametrize("version", [V10, V11])
def test_old_versions_are_not_spoken_unless_asked_for(version: ssl.TLSVersion) -> None:
    """SEC_E_ALGORITHM_MISMATCH on both sides."""
    pair = Pair(None, server_context(minimum=version, maximum=version))
    pair.turn()
    for layer in (pair.client, pair.server):
        problem = outcome(layer.when_secured())
        assert problem.winerror & 0xFFFFFFFF == 0x80090331
        assert "version" in str(problem)
    pair.end()


@pytest.mark.parametrize(
    ("offered", "spoken", "agreed"),
    [(["h2", "http/1.1"], ["http/1.1", "h2"], "http/1.1"), ([], ["h2"], ""), (["h2"], [], "")],
)
def test_the_application_protocol_is_the_servers_choice(
    offered: list[str], spoken: list[str], agreed: str
) -> None:
    """Its preferred one of those that the client offers."""
    pair = Pair(client_context(protocols=offered).for_host(HOST), server_context(protocols=spoken)).open()
    assert pair.client.information is not None
    assert pair.server.information is not None
    assert pair.client.information.protocol == pair.server.information.protocol == agreed
    pair.end()


def test_no_protocol_in_common_is_told_on_both_sides() -> None:
    """RFC 7301 section 3.2."""
    pair = Pair(client_context(protocols=["a"]).for_host(HOST), server_context(protocols=["b"]))
    pair.turn()
    for layer in (pair.client, pair.server):
        assert "offer" in str(outcome(layer.when_secured()))
    pair.end()


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example", "a.example"),
        ("A.EXAMPLE", "a.example"),
        ("b.wild.example", "*.wild.example"),
        ("bücher.example", "bücher.example"),
        (HOST, HOST),
        ("127.0.0.1", HOST),
    ],
)
def test_a_server_shows_the_certificate_for_the_name_that_is_asked_for(asked: str, shown: str) -> None:
    """By SNI; the first one for everybody else."""
    names = ("a.example", "*.wild.example", "bücher.example")
    context = server_context(names={name: certificate(issued(name)) for name in names})
    pair = Pair(client_context().for_host(asked), context).open()
    assert pair.client.verification is not None
    expected = certificate(issued() if shown == HOST else issued(shown))
    assert pair.client.verification.certificate == expected
    pair.end()


def test_a_name_of_a_server_has_to_be_one() -> None:
    """Refused where it is said."""
    with pytest.raises(InvalidArgumentError):
        server_context(names={"a b": certificate(issued())})


def test_an_exception_in_the_choice_of_a_certificate_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody gets the wrong one."""
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)

    def fail(_: object) -> bytes:
        raise LookupError("a mistake")

    pair = Pair(None, server_context(names={"a.example": certificate(issued("a.example"))}))
    monkeypatch.setattr(SSL.Connection, "get_servername", fail)
    pair.turn()
    monkeypatch.undo()
    globalLogPublisher.removeObserver(events.append)
    assert pair.announced == []
    assert any(isinstance(getattr(event.get("log_failure"), "value", None), LookupError) for event in events)
    assert "a mistake" in capsys.readouterr().err
    pair.end()


def test_an_exception_in_the_choice_of_a_protocol_refuses() -> None:
    """The layer says so, and the log has it."""

    class Broken(tuple[bytes, ...]):
        def __iter__(self) -> Any:
            raise LookupError("a mistake")

    context: Any = server_context(protocols=["a"])
    context._common = context._common._replace(protocols=Broken((b"a",)))
    pair = Pair(client_context(protocols=["a"]).for_host(HOST), context)
    pair.turn()
    problem = outcome(pair.server.when_secured())
    assert isinstance(problem.__cause__, LookupError)
    assert "a callback of this program failed" in str(problem)
    assert pair.announced == []
    pair.end()


# Sessions


@pytest.mark.parametrize("version", [V12, V13])
def test_a_later_connection_goes_on_with_the_session_of_an_earlier_one(version: ssl.TLSVersion) -> None:
    """It still knows the certificate; and a session is used once."""
    creator = client_context(maximum=version).for_host(HOST, "1")
    context = server_context()
    for resumed in (False, True, True):
        pair = Pair(creator, context).open()
        assert pair.client.information is not None
        assert pair.client.information.resumed is resumed
        assert pair.client.information.verification is not None
        assert pair.client.information.verification.certificate is not None
        pair.client.protocol.close()
        pair.end()
    first, second = Pair(creator, context).open(), Pair(creator, context).open()
    assert first.client.information is not None
    assert second.client.information is not None
    assert [first.client.information.resumed, second.client.information.resumed] == [True, False]
    first.end()
    second.end()


def test_a_server_keeps_no_sessions_for_those_who_want_no_tickets() -> None:
    """Each would cost it memory for as long as it runs."""
    context, client = server_context(), client_context(maximum=V12)
    client._context.set_options(SSL.OP_NO_TICKET)
    creator = client.for_host(HOST)
    for _ in range(2):
        pair = Pair(creator, context).open()
        assert pair.client.information is not None
        assert not pair.client.information.resumed
        pair.end()


def test_a_session_is_for_the_same_host_port_and_errors_alone() -> None:
    """What was judged for one is not judged for another."""
    own = client_context()
    context = server_context()
    Pair(own.for_host(HOST, "1"), context).open().end()
    for other in (
        own.for_host("localhost", "1"),
        own.for_host(HOST, "2"),
        own.for_host(HOST, "1", [3]),
        client_context().for_host(HOST, "1"),
    ):
        pair = Pair(other, context).open()
        assert pair.client.information is not None
        assert not pair.client.information.resumed
        pair.end()
    pair = Pair(own.for_host(HOST.upper(), 1), context).open()
    assert pair.client.information is not None
    assert pair.client.information.resumed
    pair.end()


def test_a_session_of_a_refused_server_is_not_kept() -> None:
    """There is nothing to go on with."""
    creator = client_context().for_host("other.example", "1")
    context = server_context()
    for _ in range(2):
        pair = Pair(creator, context)
        pair.turn()
        assert outcome(pair.client.when_secured()).status is SocketErrorStatus(25)
        pair.end()
    assert not creator._owner._sessions


def test_a_client_keeps_no_more_sessions_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes."""
    from winsockets.transports import _tls_client_context as module

    monkeypatch.setattr(module, "_MOST_SESSIONS", 2)
    own, context = client_context(), server_context()
    for port in range(4):
        Pair(own.for_host(HOST, port), context).open().end()
    assert {creator._identity[1] for creator in own._sessions} == {"2", "3"}


def test_a_server_that_does_not_know_the_session_is_connected_to_all_the_same() -> None:
    """It was started anew."""
    creator = client_context().for_host(HOST, "1")
    Pair(creator, server_context()).open().end()
    pair = Pair(creator, server_context()).open()
    assert pair.client.information is not None
    assert not pair.client.information.resumed
    assert pair.client.information.verification is not None
    assert pair.client.information.verification.accepted
    pair.end()


# Others' contexts and others' TLS


def test_both_are_what_twisted_asks_for() -> None:
    """The interfaces, wholly."""
    assert verifyObject(IOpenSSLClientConnectionCreator, client_context().for_host(HOST))
    assert verifyObject(IOpenSSLServerConnectionCreator, server_context())


def twisted_server() -> Any:
    """Twisted's own context with our certificate."""
    leaf = issued()
    pem = leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()
    return twisted_ssl.PrivateCertificate.loadPEM(pem).options()


def twisted_client(host: str) -> Any:
    """Twisted's own context that trusts our root."""
    return twisted_ssl.optionsForClientTLS(
        host, trustRoot=twisted_ssl.Certificate.loadPEM(authority().cert_pem.bytes())
    )


# Twisted still gives OpenSSL the certificates in the old way
old_certificates = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@old_certificates
def test_our_layer_works_with_twisteds_contexts() -> None:
    """Both roles; what they verify is theirs."""
    pair = Pair(twisted_client(HOST), twisted_server()).open()
    assert pair.client.information is not None
    assert pair.client.information.verification is None
    reading = pair.client.protocol.read(10)
    pair.server.protocol.write(b"hello")
    pair.turn()
    assert outcome(reading) == b"hello"
    pair.end()


@old_certificates
@pytest.mark.parametrize(
    ("creator", "status"),
    [
        (lambda: twisted_client("other.example"), SocketErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT),
        (lambda: twisted_ssl.optionsForClientTLS(HOST), SocketErrorStatus.UNKNOWN),
    ],
    ids=["name", "root"],
)
def test_what_twisteds_contexts_refuse_is_refused(creator: Any, status: SocketErrorStatus) -> None:
    """A name by its status; the rest without detail, which they do not tell."""
    pair = Pair(creator(), twisted_server())
    pair.turn()
    problem = outcome(pair.client.when_secured())
    assert problem.status is status
    assert "not accepted" in str(problem)
    assert pair.announced == []
    pair.end()


def test_a_foreign_context_that_lets_a_peer_pass_it_refused_does_not_count() -> None:
    """It said no, and went on."""

    @implementer(IOpenSSLClientConnectionCreator)
    class Careless:
        def clientConnectionForTLS(self, layer: Any) -> SSL.Connection:
            from twisted.python.failure import Failure

            layer.failVerification(Failure(LookupError("not him")))
            return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))

    pair = Pair(Careless())
    pair.turn()
    assert "not him" in str(outcome(pair.client.when_secured()))
    assert pair.client.protocol not in pair.announced
    pair.end()


def test_a_context_that_makes_no_connection_refuses() -> None:
    """The connection goes, and the reason is told."""

    @implementer(IOpenSSLClientConnectionCreator)
    class Broken:
        def clientConnectionForTLS(self, layer: Any) -> SSL.Connection:
            raise LookupError("a mistake")

    pair = Pair(Broken())
    pair.turn()
    problem = outcome(pair.client.when_secured())
    assert isinstance(problem.__cause__, LookupError)
    assert pair.announced == []
    pair.end()


class Talker(Protocol):
    """Says hello, and notes what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.reason: Any = None

    def connectionMade(self) -> None:
        """Say hello."""
        self.transport.write(b"hello from Twisted")

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """Note why."""
        self.reason = reason.value


def beside_twisted(creator: Any, *, is_client: bool, ours: Any) -> tuple[Talker, TlsLayer, Clock]:
    """Twisted's own TLS with a context, and our layer with another at the other end."""
    clock, talker = Clock(), Talker()
    factory = Factory.forProtocol(lambda: talker)
    protocol: Any = TLSMemoryBIOFactory(creator, is_client, factory, clock).buildProtocol(None)
    layer = TlsLayer(
        StreamProtocol(clock, DEFAULT_LIMITS), ours, server=is_client, reactor=clock, limits=DEFAULT_LIMITS
    )
    if is_client:
        connect_protocols(protocol, layer, clock)
    else:
        connect_protocols(layer, protocol, clock)
    for _ in range(8):
        clock.advance(0)
    return talker, layer, clock


@pytest.mark.parametrize("is_client", [False, True])
def test_our_contexts_work_with_twisteds_tls(is_client: bool) -> None:
    """Data both ways, and an end in order."""
    creator = client_context().for_host(HOST) if is_client else server_context()
    other: Any = server_context() if is_client else client_context().for_host(HOST)
    talker, layer, clock = beside_twisted(creator, is_client=is_client, ours=other)
    protocol = layer.protocol
    protocol.write(b"hello from us")
    for _ in range(8):
        clock.advance(0)
    assert talker.heard == b"hello from us"
    assert outcome(protocol.read(100)) == b"hello from Twisted"
    protocol.close()
    for _ in range(8):
        clock.advance(0)
    assert protocol.lost
    assert talker.reason is not None
    assert not clock.getDelayedCalls()


def test_nobody_renegotiates_with_our_contexts_whatever_speaks_tls() -> None:
    """Twisted's TLS leaves it to the context."""
    for context in (client_context()._context, server_context()._context):
        assert context.set_options(0) & SSL.OP_NO_RENEGOTIATION


def constrained() -> tuple[Any, Any]:
    """Somebody who trusts an authority, and a server for whose name this may not issue."""
    valid: Any = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(3000, 1, 1, tzinfo=UTC)}
    careful = Entity.root(**valid)
    others = x509.NameConstraints([x509.DNSName("other.example")], None)
    above = careful.authority("Constrained", (AUTHORITY,), (others,), **valid)
    server = above.server(HOST, **valid)
    own = Certificate.load_pem(server.pem + above.pem + server.key_pem())
    creator = client_context(exclusive_trust_roots=[careful.certificate]).for_host(HOST)
    return creator, server_context(certificate=own)


@pytest.mark.parametrize(
    "make", [lambda: (client_context().for_host("other.example"), server_context()), constrained]
)
def test_our_contexts_refuse_with_twisteds_tls_too(make: Any) -> None:
    """The verification is theirs, whatever speaks TLS; also of what OpenSSL finds at the very end."""
    creator, server = make()
    talker, layer, clock = beside_twisted(creator, is_client=True, ours=server)
    assert isinstance(talker.reason, SSL.Error)
    assert layer.information is None
    clock.advance(60)
    assert not clock.getDelayedCalls()


def test_a_server_asks_by_naming_whom_it_trusts() -> None:
    """So that a client can choose among its certificates."""
    context = server_context(
        client_certificates=ClientCertificatePolicy.REQUIRE, exclusive_trust_roots=(root(),)
    )
    engine, connection = client_engine(certificate=certificate(issued("client.example")))
    from winsockets.transports._tls_engine import TlsEngine

    server = TlsEngine(context.serverConnectionForTLS(None), server=True)
    from tests.transports.tls import between

    between(engine, server)
    own: Any = root()
    assert connection.get_client_ca_list(as_cryptography=True) == [own._x509.subject]
    assert "REQUIRE" in repr(context)
    assert HOST in repr(client_context().for_host(HOST))
    assert isinstance(context, TlsServerContext)
