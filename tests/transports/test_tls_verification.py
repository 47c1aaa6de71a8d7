"""Whom a client or a server believes: everything that is wrong is found, and only what may be is ignored."""

from __future__ import annotations

import datetime
import ssl
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.logger import globalLogPublisher

from tests.certificates.authority import AUTHORITY, Entity, rsa_key, signed_with_sha1
from tests.transports.tls import (
    HOST,
    Pair,
    certificate,
    client_context,
    issued,
    outcome,
    root,
    server_context,
)
from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.errors import InvalidArgumentError, SocketErrorStatus, SocketException
from winsockets.networking import HostName
from winsockets.transports import ClientCertificatePolicy, PeerVerification, TlsClientContext
from winsockets.transports import _tls_verification as module
from winsockets.transports._tls_connection import judge
from winsockets.transports._tls_verification import checked_ignorable

R = ChainValidationResult
S = SocketErrorStatus
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def logged() -> Any:
    """What is logged meanwhile."""
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def expired() -> Certificate:
    """A certificate for HOST that was good for a while."""
    return certificate(issued(HOST, not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=9)))


VALID: Any = {
    "start": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
    "end": datetime.datetime(3000, 1, 1, tzinfo=datetime.UTC),
}
CAREFUL = Entity.root(**VALID)


@cache
def outside() -> Certificate:
    """A certificate for HOST from an authority that may issue for other names only."""
    others = x509.NameConstraints([x509.DNSName("other.example")], None)
    authority = CAREFUL.authority("Constrained", (AUTHORITY,), (others,), **VALID)
    server = authority.server(HOST, **VALID)
    return Certificate.load_pem(server.pem + authority.pem + server.key_pem())


def shaken(server: Certificate, host: str = HOST, ignorable: Any = (), **trust: Any) -> Pair:
    """A pair after its handshake, good or bad."""
    pair = Pair(client_context(**trust).for_host(host, "1", ignorable), server_context(certificate=server))
    pair.turn()
    return pair


RSA = Entity.root("RSA", key=rsa_key(2048), **VALID)


def shown(*chain: Entity) -> Certificate:
    """A certificate with its issuers and its key."""
    return Certificate.load_pem(b"".join(one.pem for one in chain) + chain[0].key_pem())


def weakly_signed(issuer: Entity, below: bool) -> Certificate:
    """A certificate with SHA-1 in its own signature, or in that of its issuer."""
    authority = issuer.authority("Weak", key=rsa_key(2048), **VALID) if below else issuer
    server = authority.server(HOST, **VALID)
    weak = authority if below else server
    weak.x509 = signed_with_sha1(weak.x509, issuer.key)
    return shown(server, authority) if below else shown(server)


WEAK = {
    "signature": lambda: weakly_signed(RSA, below=False),
    "signature of the issuer": lambda: weakly_signed(RSA, below=True),
    "key of the issuer": lambda: shown(
        (weak := RSA.authority("Weak", key=rsa_key(1024), **VALID)).server(HOST, **VALID), weak
    ),
}


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("case", WEAK)
def test_what_is_weak_is_refused_by_whatever_version(case: str, minimum: ssl.TLSVersion) -> None:
    """OpenSSL looks away where TLS 1.0 is wanted; we do not, neither as a client nor as a server."""
    weak = WEAK[case]()
    trust = {"minimum": minimum, "exclusive_trust_roots": (RSA.certificate,)}
    creator = client_context(**trust).for_host(HOST, "1", module.IGNORABLE_RESULTS)
    # OpenSSL refuses to show such things where it would refuse to be shown them.
    lax = {"certificate": weak, "minimum": ssl.TLSVersion.TLSv1}
    pair = Pair(creator, server_context(**lax))
    pair.turn()
    assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_IS_INVALID
    assert pair.client.verification is not None
    assert pair.client.verification.results == (R.OTHER_ERRORS,)
    pair.end()
    context = server_context(client_certificates=ClientCertificatePolicy.REQUIRE, **trust)
    pair = Pair(client_context(**lax).for_host(HOST), context)
    pair.turn()
    assert outcome(pair.server.when_secured()).status is S.CERTIFICATE_IS_INVALID
    assert pair.server.protocol not in pair.announced
    pair.end()


def test_the_signature_of_what_is_trusted_does_not_count() -> None:
    """Whoever put it there has looked at it; neither by old versions nor by new ones."""
    root = Entity.root("Old", key=rsa_key(2048), **VALID)
    root.x509 = signed_with_sha1(root.x509, root.key)
    server = shown(root.server(HOST, **VALID))
    for minimum in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2):
        pair = shaken(server, minimum=minimum, exclusive_trust_roots=(root.certificate,))
        assert len(pair.announced) == 2
        pair.end()


OF_ANOTHER = {"exclusive_trust_roots": (root("another"),)}
WRONG = {
    "another name": (lambda: certificate(issued("other.example")), {}, {R.INVALID_NAME}, 25),
    # OpenSSL finds this one when it has said yes to everything already.
    "a name that its authority may not give": (
        outside,
        {"exclusive_trust_roots": (CAREFUL.certificate,)},
        {R.INVALID_NAME},
        25,
    ),
    "expired": (expired, {}, {R.EXPIRED}, 23),
    "unknown root": (lambda: certificate(issued()), OF_ANOTHER, {R.INCOMPLETE_CHAIN}, 24),
    "all of it": (
        lambda: certificate(
            issued("other.example", not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=9))
        ),
        OF_ANOTHER,
        {R.INCOMPLETE_CHAIN, R.INVALID_NAME, R.EXPIRED},
        24,
    ),
}
each_wrong = pytest.mark.parametrize(("make", "trust", "results", "status"), WRONG.values(), ids=WRONG)


@each_wrong
def test_everything_that_is_wrong_is_told_and_nobody_is_connected(
    make: Any, trust: Any, results: set[R], status: int
) -> None:
    """The worst gives the status; the certificate can be looked at."""
    pair = shaken(make(), **trust)
    problem = outcome(pair.client.when_secured())
    assert isinstance(problem, SocketException)
    assert problem.status == status
    assert HOST in str(problem) or "name constraints" in str(problem) or results != {R.INVALID_NAME}
    found = pair.client.verification
    assert found is not None
    assert set(found.results) == results
    assert found.severity == 1
    assert not found.accepted
    assert found.certificate == make()
    assert pair.announced == []
    pair.end()


@each_wrong
def test_a_program_may_ignore_it_if_it_names_all_of_it(
    make: Any, trust: Any, results: set[R], status: int, logged: list[Any]
) -> None:
    """Then it is still told what was ignored, and so is the log, once."""
    pair = shaken(make(), ignorable=results, **trust)
    found = pair.client.verification
    assert found is not None
    assert found.accepted
    assert set(found.results) == results
    assert sum("in spite of its certificate" in event.get("log_format", "") for event in logged) == 1
    assert len(pair.announced) == 2
    pair.end()


def test_an_authority_that_may_not_issue_for_a_name_is_told_apart() -> None:
    """The certificate itself is for the host, and a message that says otherwise would send people astray."""
    pair = shaken(outside(), exclusive_trust_roots=(CAREFUL.certificate,))
    problem = str(outcome(pair.client.when_secured()))
    assert "an authority above it may not issue for its names (name constraints); let an authority" in problem
    assert "not for" not in problem
    pair.end()


@each_wrong
def test_it_does_not_help_to_name_another_error(make: Any, trust: Any, results: set[R], status: int) -> None:
    """Every one has to be there."""
    for missing in results:
        others = {R.REVOCATION_FAILURE, R.WRONG_USAGE, *results} - {missing}
        pair = shaken(make(), ignorable=others, **trust)
        assert pair.announced == []
        assert outcome(pair.client.when_secured()).status is not S.UNKNOWN
        pair.end()


def test_what_is_fatal_cannot_be_ignored() -> None:
    """Refused where it is said."""
    for fatal in (R.REVOKED, R.INVALID_SIGNATURE, R.OTHER_ERRORS, R.SUCCESS):
        with pytest.raises(InvalidArgumentError, match=fatal.name):
            checked_ignorable([fatal])
    with pytest.raises(InvalidArgumentError, match="99"):
        checked_ignorable([99])
    assert checked_ignorable([3, R.UNTRUSTED]) == {R.EXPIRED, R.UNTRUSTED}


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["*.example"], "www.example", True),
        (["*.test.example"], "a.b.test.example", False),
        (["*.test.example"], "test.example", False),
        (["bücher.example"], "BÜCHER.example", True),
        (["bücher.example"], "xn--bcher-kva.example", True),
        (["straße.example"], "straße.example", True),
        (["straße.example"], "strasse.example", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["::1"], "[0:0::1]", True),
        (["localhost"], "127.0.0.1", False),
        (["test.example"], "test.example.", True),
    ],
)
def test_a_certificate_is_for_its_names_and_addresses(names: list[str], host: str, good: bool) -> None:
    """With the name that is connected to: one IDNA for both."""
    if names == ["*.example"]:
        host = "www.test.example"
        names = ["*.test.example"]
    pair = shaken(certificate(issued(*names)), host)
    found = pair.client.verification
    assert found is not None
    assert found.accepted == good
    assert found.results == (() if good else (R.INVALID_NAME,))
    if not good:
        assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_COMMON_NAME_IS_INCORRECT
    pair.end()


def test_an_address_is_not_sent_as_a_name() -> None:
    """RFC 6066 section 3."""
    pair = shaken(certificate(issued()), "127.0.0.1")
    assert pair.server.information is not None
    assert pair.server.information.server_name == ""
    pair.end()


def test_the_servers_own_certificate_can_be_what_is_trusted() -> None:
    """Pinning: no root is needed."""
    own = certificate(issued())
    pair = shaken(own, exclusive_trust_roots=(own,))
    assert len(pair.announced) == 2
    pair.end()


def test_intermediates_are_sent_and_told() -> None:
    """The client knows the root alone."""
    from tests.transports.tls import authority

    middle = authority().create_child_ca()
    pair = shaken(certificate(middle.issue_cert(HOST)))
    found = pair.client.verification
    assert found is not None
    assert found.accepted
    (between,) = found.intermediates
    assert between == Certificate.load_pem(middle.cert_pem.bytes())
    pair.end()


def test_a_revocation_list_counts() -> None:
    """With one, a certificate on it is refused for good; one that is not on it is accepted."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    from tests.transports.tls import authority

    own: Any = certificate(issued("revoked.example"))
    issuer: Any = root()
    key: Any = load_pem_private_key(authority().private_key_pem.bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    revoked = (
        x509.RevokedCertificateBuilder().serial_number(own._x509.serial_number).revocation_date(now).build()
    )
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer._x509.subject)
        .last_update(now - datetime.timedelta(days=1))
        .next_update(now + datetime.timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    pair = shaken(own, "revoked.example", revocation_lists=[revocations])
    assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_REVOKED
    assert pair.client.verification is not None
    assert pair.client.verification.severity == 2
    pair.end()
    pair = shaken(certificate(issued()), revocation_lists=[revocations])
    assert len(pair.announced) == 2
    pair.end()


def test_a_missing_revocation_list_is_an_error_that_can_be_ignored() -> None:
    """Whoever gives lists wants them to be looked at."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    from tests.transports.tls import authority

    issuer: Any = root("another")
    key: Any = load_pem_private_key(authority("another").private_key_pem.bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer._x509.subject)
        .last_update(now - datetime.timedelta(days=1))
        .next_update(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    pair = shaken(certificate(issued()), revocation_lists=[revocations])
    assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_NO_REVOCATION_CHECK
    pair.end()
    missing = [R.REVOCATION_INFORMATION_MISSING]
    pair = shaken(certificate(issued()), ignorable=missing, revocation_lists=[revocations])
    assert len(pair.announced) == 2
    pair.end()


def test_the_systems_roots_do_not_trust_just_anybody() -> None:
    """Without anything said, what the system trusts counts."""
    pair = Pair(TlsClientContext().for_host(HOST))
    pair.turn()
    assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_UNTRUSTED_ROOT
    pair.end()


# Clients

REQUIRE = ClientCertificatePolicy.REQUIRE
REQUEST = ClientCertificatePolicy.REQUEST


@pytest.mark.parametrize(
    ("policy", "client", "good"),
    [
        (ClientCertificatePolicy.NONE, None, True),
        (ClientCertificatePolicy.NONE, "root", True),
        (REQUEST, None, True),
        (REQUEST, "root", True),
        (REQUEST, "another", False),
        (REQUIRE, None, False),
        (REQUIRE, "root", True),
        (REQUIRE, "another", False),
    ],
)
def test_what_a_server_wants_of_clients(policy: Any, client: str | None, good: bool) -> None:
    """Nothing, a good one if any, or a good one."""
    own = certificate(issued("client.example", by=client)) if client else None
    context = client_context(certificate=own)
    trusts = server_context(client_certificates=policy, exclusive_trust_roots=(root(),))
    pair = Pair(context.for_host(HOST), trusts)
    pair.turn()
    assert (pair.server.protocol in pair.announced) == good
    if good and policy is not ClientCertificatePolicy.NONE:
        assert pair.server.verification is not None
        assert pair.server.verification.certificate == own
    if not good:
        status = outcome(pair.server.when_secured()).status
        assert status is (S.CERTIFICATE_UNTRUSTED_ROOT if client else S.UNKNOWN)
    pair.end()


def test_a_client_that_comes_again_is_still_known() -> None:
    """A session goes on with the certificate that it began with."""
    own = certificate(issued("client.example"))
    creator = client_context(certificate=own).for_host(HOST, "1")
    context = server_context(client_certificates=REQUIRE, exclusive_trust_roots=(root(),))
    for resumed in (False, True, True):
        pair = Pair(creator, context).open()
        assert pair.client.information is not None
        assert pair.client.information.resumed is resumed
        assert pair.server.verification is not None
        assert pair.server.verification.certificate == own
        pair.end()


# Nothing that fails lets anybody pass


@pytest.mark.parametrize("name", ["is_for_host", "result_of_verification_error", "in_order"])
def test_an_exception_in_the_verification_refuses(
    name: str, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    """Whatever fails, wherever, and however much is ignored: nobody is connected, and the log has it."""

    def fail(*_: object) -> Any:
        raise LookupError("a mistake")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        pair = shaken(certificate(issued("other.example")), ignorable=module.IGNORABLE_RESULTS, **OF_ANOTHER)
    assert pair.announced == []
    problem = outcome(pair.client.when_secured())
    assert "a callback of this program failed" in str(problem)
    assert isinstance(problem.__cause__, LookupError)
    assert any(getattr(event.get("log_failure"), "value", None) is problem.__cause__ for event in logged)
    assert pair.client.verification is not None
    assert pair.client.verification.severity == 2
    assert outcome(pair.server.when_secured()).status is S.UNKNOWN
    pair.end()


@pytest.mark.parametrize("policy", [REQUEST, REQUIRE])
@pytest.mark.parametrize("name", ["load_x509", "dump_certificate"])
def test_an_exception_in_the_verification_of_a_client_refuses(
    name: str, policy: Any, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    """A good certificate does not help it."""

    def fail(*_: object) -> Any:
        raise LookupError("a mistake")

    context = server_context(client_certificates=policy, exclusive_trust_roots=(root(),))
    pair = Pair(client_context(certificate=certificate(issued())).for_host(HOST), context)
    verification = PeerVerification.judge

    def judge(self: PeerVerification, *arguments: Any) -> bool:
        if self._host is not None:
            return verification(self, *arguments)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            return verification(self, *arguments)

    monkeypatch.setattr(PeerVerification, "judge", judge)
    pair.turn()
    assert pair.server.protocol not in pair.announced
    problem = outcome(pair.server.when_secured())
    assert "a callback of this program failed" in str(problem)
    assert isinstance(problem.__cause__, LookupError)
    assert any(getattr(event.get("log_failure"), "value", None) is problem.__cause__ for event in logged)
    pair.end()


def test_an_exception_after_the_certificate_was_found_good_refuses_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenSSL may have something to say after that."""
    own: Any = X509.from_cryptography(certificate(issued())._x509)
    verification = PeerVerification(HostName(HOST), frozenset())
    assert verification.judge(own, 0, 0, 1)
    assert verification.accepted

    def fail(code: int) -> Any:
        raise LookupError("a mistake")

    monkeypatch.setattr(module, "result_of_verification_error", fail)
    assert not verification.judge(own, 47, 1, 0)
    assert not verification.accepted


def test_whoever_made_a_connection_otherwise_has_nobody_accepted() -> None:
    """The callback that all contexts share does not know whom it would be for."""
    own: Any = X509.from_cryptography(certificate(issued())._x509)
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    assert judge(connection, own, 0, 0, 1) is False


def test_an_offered_session_does_not_stand_for_a_certificate_that_was_refused() -> None:
    """A server that does not know the session shows one; should OpenSSL let it pass, the layer does not."""
    creator = client_context().for_host(HOST)
    Pair(creator).open().end()
    pair = Pair(creator, server_context(certificate=certificate(issued("other.example"))))
    pair.client._connection.set_verify(SSL.VERIFY_NONE, judge)
    assert pair.client._connection.resumes is not None
    pair.turn()
    assert pair.client.protocol not in pair.announced
    assert outcome(pair.client.when_secured()).status is S.CERTIFICATE_COMMON_NAME_IS_INCORRECT
    pair.end()


def test_a_verification_that_was_never_asked_accepts_nobody() -> None:
    """The default is no."""
    verification = PeerVerification(HostName(HOST), frozenset())
    assert not verification.accepted
    assert verification.certificate is None
    assert verification.results == ()
    assert "not accepted" in repr(verification)
    assert "was not accepted" in str(verification.refusal("TLS"))


@pytest.mark.parametrize("server", [False, True])
def test_a_handshake_in_which_nobody_was_judged_counts_for_nothing(server: bool) -> None:
    """Should OpenSSL ever be content without: the layer is not."""
    strict = server_context(client_certificates=REQUIRE, exclusive_trust_roots=(root(),))
    pair = Pair(client_context().for_host(HOST), strict if server else None)
    refusing = pair.server if server else pair.client
    refusing._connection.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    pair.turn()
    assert refusing.protocol not in pair.announced
    assert "not accepted" in str(outcome(refusing.when_secured()))
    pair.end()
