"""The TLS engine against Python's own TLS, in memory: both roles, both versions, anything at any time."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from tests.certificates.authority import NOON, Entity, rsa_key
from tests.transports.tls import (
    VERSIONS,
    PythonPeer,
    between,
    certificate,
    client_engine,
    issued,
    opened,
    output_of,
    root,
    server_context,
    server_engine,
    shake_hands,
)
from winsockets.certificates import Certificate
from winsockets.errors._tls_table import TlsFault
from winsockets.transports import ClientCertificatePolicy
from winsockets.transports._tls_engine import RECORD, TlsEngine, TlsState

ROLES = (False, True)
each_way = pytest.mark.parametrize(
    ("server", "version"),
    [(server, version) for server in ROLES for version in VERSIONS],
    ids=[f"{role}-{version.name}" for role in ("client", "server") for version in VERSIONS],
)


def limited(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    """Hold a context of Python's to one version."""

    def prepare(context: ssl.SSLContext) -> None:
        context.minimum_version = context.maximum_version = version

    return prepare


def couple(server: bool, version: ssl.TLSVersion, **options: Any) -> tuple[TlsEngine, PythonPeer]:
    """An engine in a role, and a peer of one version; not connected."""
    engine, _ = server_engine(**options) if server else client_engine(**options)
    return engine, PythonPeer(server=not server, prepare=limited(version))


def connected(server: bool, version: ssl.TLSVersion) -> tuple[TlsEngine, PythonPeer]:
    """An engine and a peer that have shaken hands."""
    engine, peer = couple(server, version)
    opened(engine, peer)
    return engine, peer


@each_way
def test_both_sides_understand_each_other(server: bool, version: ssl.TLSVersion) -> None:
    """What one encrypts the other decrypts, of any size."""
    engine, peer = connected(server, version)
    expected = b""
    for size in (1, 64, RECORD - 1, RECORD, RECORD + 1, 5 * RECORD + 17):
        data = bytes([size % 251]) * size
        peer.step(engine.encrypt(data))
        expected += data
        assert peer.received == expected
        assert engine.receive(peer.send(data)) == data
    assert not engine.output
    assert not engine.input_ended


@each_way
def test_a_handshake_and_data_may_come_byte_by_byte(server: bool, version: ssl.TLSVersion) -> None:
    """TCP keeps no borders."""
    engine, peer = couple(server, version)
    assert shake_hands(engine, peer, piece=1) == b""
    assert engine.state is TlsState.OPEN
    assert peer.is_open
    arrived = [engine.receive(bytes([byte])) for byte in peer.send(b"hello") + peer.send(b"again")]
    assert [piece for piece in arrived if piece] == [b"hello", b"again"]


@each_way
def test_plaintext_in_one_piece_with_the_end_of_the_handshake_is_given(
    server: bool, version: ssl.TLSVersion
) -> None:
    """A peer may speak first, and at once."""
    engine, peer = couple(server, version)
    engine.start()
    to_engine = peer.step(output_of(engine))
    while not peer.is_open:
        engine.receive(to_engine)
        to_engine = peer.step(output_of(engine))
    assert engine.receive(to_engine + peer.send(b"first")) == b"first"
    assert engine.state is TlsState.OPEN


def test_a_full_record_takes_no_more_than_it_has_to() -> None:
    """Records are filled: 64 KiB are four."""
    engine, _ = connected(server=True, version=ssl.TLSVersion.TLSv1_3)
    ciphertext = engine.encrypt(bytes(4 * RECORD))
    assert len(ciphertext) == 4 * (RECORD + 5 + 1 + 16)


@given(version=st.sampled_from(VERSIONS), data=st.data())
def test_any_split_of_the_same_ciphertext_gives_the_same_plaintext(
    version: ssl.TLSVersion, data: st.DataObject
) -> None:
    """Whatever a turn of the reactor delivers together, nothing is lost, doubled, or late."""
    engine, peer = connected(server=False, version=version)
    sizes = data.draw(st.lists(st.integers(1, 40_000), min_size=1, max_size=6))
    messages = [bytes([index + 1]) * size for index, size in enumerate(sizes)]
    ciphertext = b"".join(map(peer.send, messages))
    ends = data.draw(st.lists(st.integers(0, len(ciphertext)), max_size=12).map(sorted))
    plaintext = bytearray()
    for begin, end in zip([0, *ends], [*ends, len(ciphertext)], strict=True):
        if begin < end:
            plaintext += engine.receive(ciphertext[begin:end])
    assert plaintext == b"".join(messages)
    assert engine.state is TlsState.OPEN


# The end


@each_way
def test_each_direction_ends_by_itself(server: bool, version: ssl.TLSVersion) -> None:
    """After one side's close_notify the other may go on; a second one is not sent."""
    engine, peer = connected(server, version)
    peer.step(engine.close())
    assert peer.ended
    assert engine.output_ended
    assert not engine.input_ended
    assert engine.close() == b""
    assert engine.receive(peer.close()) == b""
    assert engine.input_ended
    assert engine.changed
    assert engine.state is TlsState.OPEN


def test_what_came_before_the_peers_close_notify_is_given() -> None:
    """All of it, even in one piece with it; what comes behind it is nothing."""
    first, _ = client_engine()
    second, _ = server_engine()
    between(first, second)
    ciphertext = first.encrypt(b"the last words") + first.close()
    assert second.receive(ciphertext + b"\x17\x03\x03\x00\x20" + bytes(32)) == b"the last words"
    assert second.input_ended
    assert second.receive(b"anything") == b""
    assert second.state is TlsState.OPEN
    assert first.receive(second.encrypt(b"the answer")) == b"the answer"


def test_a_handshake_that_is_not_over_has_nothing_to_close() -> None:
    """There is no close_notify before it."""
    engine, _ = client_engine()
    engine.start()
    assert engine.close() == b""


# What goes wrong

GARBAGE = {
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.8\r\n",
    "smtp": b"220 mail.example ESMTP\r\n",
    "zeros": bytes(64),
    "too long": b"\x16\x03\x01\xff\xff" + bytes(64),
    "empty record": b"\x16\x03\x03\x00\x00" + bytes(5),
}


@pytest.mark.parametrize("server", ROLES)
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("piece", [1, 1000])
def test_a_peer_that_speaks_something_else_is_found_out_at_once(
    garbage: bytes, server: bool, piece: int
) -> None:
    """It is not waited for a record of 20,000 bytes that its words seem to announce."""
    engine, _ = server_engine() if server else client_engine()
    engine.start()
    for place in range(0, len(garbage), piece):
        assert engine.receive(garbage[place : place + piece]) == b""
    assert engine.state is TlsState.BROKEN
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.NOT_TLS


@each_way
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_on_an_open_connection_breaks_it(
    garbage: bytes, server: bool, version: ssl.TLSVersion
) -> None:
    """What came before it is given."""
    engine, peer = connected(server, version)
    assert engine.receive(peer.send(b"before") + garbage + bytes(32)) == b"before"
    assert engine.state is TlsState.BROKEN
    assert engine.receive(peer.send(b"after")) == b""
    assert engine.encrypt(b"x") == b""


@each_way
def test_a_damaged_record_breaks_it_and_the_peer_is_told(server: bool, version: ssl.TLSVersion) -> None:
    """RFC 8446 section 5.2: bad_record_mac."""
    engine, peer = connected(server, version)
    damaged = bytearray(peer.send(b"before") + peer.send(b"hello"))
    damaged[-1] ^= 1
    assert engine.receive(bytes(damaged)) == b"before"
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.BAD_RECORD
    peer.step(output_of(engine))
    assert peer.error is not None
    assert "BAD_RECORD_MAC" in str(peer.error.reason)


@given(server=st.booleans(), stage=st.integers(0, 30), noise=st.binary(min_size=1, max_size=200))
def test_noise_in_the_midst_of_a_handshake_breaks_it_or_is_waited_out(
    server: bool, stage: int, noise: bytes
) -> None:
    """Nothing but the documented outcome, whatever is there; and nothing is ever open after it."""
    engine, peer = couple(server, ssl.TLSVersion.TLSv1_3)
    engine.start()
    to_peer, fed = output_of(engine), 0
    for _ in range(4):
        to_engine = peer.step(to_peer)
        for place in range(0, len(to_engine), 50):
            if fed == stage:
                break
            engine.receive(to_engine[place : place + 50])
            fed += 1
        to_peer = output_of(engine)
    was_open = engine.state is TlsState.OPEN
    assert engine.receive(noise) == b""
    assert was_open or engine.state is not TlsState.OPEN
    assert (engine.state is TlsState.BROKEN) == (engine.failure is not None)


ALERTS = {40: "handshake_failure", 48: "unknown_ca", 70: "protocol_version", 80: "internal_error"}


@pytest.mark.parametrize("number", ALERTS, ids=ALERTS.values())
def test_an_alert_before_the_handshake_is_known_by_its_number(number: int) -> None:
    """The peer's reason is the reason."""
    engine, _ = client_engine()
    engine.start()
    engine.receive(bytes([21, 3, 3, 0, 2, 2, number]))
    assert engine.failure is not None
    assert (engine.failure.fault, engine.failure.alert) == (TlsFault.ALERT, number)


def records_of(data: bytes) -> list[bytes]:
    """Cut a flight into its records."""
    records = []
    while data:
        size = 5 + int.from_bytes(data[3:5])
        records.append(data[:size])
        data = data[size:]
    return records


def until_record(stage: int, server: bool, version: ssl.TLSVersion) -> tuple[TlsEngine, int]:
    """An engine in the midst of a handshake, and how many records of the peer's it has got."""
    engine, peer = couple(server, version)
    engine.start()
    fed = 0
    while fed < stage and engine.state is TlsState.HANDSHAKING:
        records = records_of(peer.step(output_of(engine)))
        for record in records[: stage - fed]:
            engine.receive(record)
        fed += len(records[: stage - fed])
        if not records:
            break
    return engine, fed


@each_way
def test_an_alert_at_any_stage_of_the_handshake_ends_it(server: bool, version: ssl.TLSVersion) -> None:
    """In plain it says why; where it has no place, or had to be encrypted, the peer broke the rules."""
    stages = 0
    for stage in range(20):
        engine, fed = until_record(stage, server, version)
        if fed < stage or engine.state is TlsState.OPEN:
            break
        stages += 1
        assert engine.receive(bytes([21, 3, 3, 0, 2, 2, 40])) == b""
        assert engine.state is TlsState.BROKEN
        assert engine.failure is not None
        told = (engine.failure.fault, engine.failure.alert)
        assert told == (TlsFault.ALERT, 40) or told[0] in {TlsFault.VIOLATION, TlsFault.BAD_RECORD}
        assert engine.receive(b"more") == b""
    assert stages >= 2


def test_an_alert_that_nobody_knows_ends_it_too() -> None:
    """There may be new ones."""
    engine, _ = client_engine()
    engine.start()
    engine.receive(bytes([21, 3, 3, 0, 2, 2, 201]))
    assert engine.state is TlsState.BROKEN


def test_a_goodbye_in_the_midst_of_a_handshake_is_no_success() -> None:
    """close_notify, level warning."""
    engine, _ = client_engine()
    engine.start()
    engine.receive(bytes([21, 3, 3, 0, 2, 1, 0]))
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.CLOSED_EARLY


V12, V13 = VERSIONS


@pytest.mark.parametrize(
    ("client", "server", "fault", "alert"),
    [
        ({"minimum": V13}, {"maximum": V12}, TlsFault.NO_COMMON_VERSION, 70),
        ({"maximum": V12}, {"minimum": V13}, TlsFault.NO_COMMON_VERSION, 70),
        ({"protocols": ["a"]}, {"protocols": ["b"]}, TlsFault.NO_COMMON_PROTOCOL, 120),
    ],
    ids=["server too old", "client too old", "protocol"],
)
def test_without_anything_in_common_the_server_says_why(
    client: dict[str, Any], server: dict[str, Any], fault: TlsFault, alert: int
) -> None:
    """The server knows, and the client hears it by an alert."""
    first, _ = client_engine(**client)
    second, _ = server_engine(**server)
    between(first, second)
    assert second.failure is not None
    assert second.failure.fault is fault
    assert first.failure is not None
    assert (first.failure.fault, first.failure.alert) == (TlsFault.ALERT, alert)


def test_without_a_common_cipher_the_server_says_so() -> None:
    """A client of old that has only what is no longer offered."""
    engine, _ = server_engine()

    def prepare(context: ssl.SSLContext) -> None:
        context.maximum_version = V12
        context.set_ciphers("AES128-SHA:AES256-SHA:@SECLEVEL=0")

    peer = PythonPeer(server=False, prepare=prepare)
    shake_hands(engine, peer)
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.NO_COMMON_CIPHER
    assert peer.error is not None
    assert "HANDSHAKE_FAILURE" in str(peer.error.reason)


EVERY_CIPHER = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
RSA = Entity.root("RSA", key=rsa_key(2048), start=datetime(2000, 1, 1, tzinfo=UTC), end=NOON)
GOOD_CIPHER = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)")


def ciphers() -> list[str]:
    """Whatever Python's TLS can speak up to TLS 1.2, also what nobody should."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(EVERY_CIPHER)
    return [str(one["name"]) for one in context.get_ciphers() if one["protocol"] != "TLSv1.3"]


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_a_server_speaks_ciphers_with_forward_secrecy_and_authentication_alone(kind: str) -> None:
    """With each kind of key all three of its own, whatever else a client offers."""
    own = issued().private_key_and_cert_chain_pem.bytes() if kind == "ECDSA" else RSA.pem + RSA.key_pem()
    context = server_context(certificate=Certificate.load_pem(own))
    spoken = set()
    for cipher in ciphers():

        def prepare(it: ssl.SSLContext, cipher: str = cipher) -> None:
            it.set_ciphers(f"{cipher}:@SECLEVEL=0")
            it.maximum_version = ssl.TLSVersion.TLSv1_2
            it.check_hostname = False
            it.verify_mode = ssl.CERT_NONE

        engine = TlsEngine(context.serverConnectionForTLS(None), server=True)
        shake_hands(engine, PythonPeer(server=False, prepare=prepare))
        if engine.state is TlsState.OPEN:
            spoken.add(cipher)
    assert len(spoken) == 3
    assert all(GOOD_CIPHER.fullmatch(cipher) and kind in cipher for cipher in spoken), spoken


def test_the_servers_preference_counts_among_ciphers() -> None:
    """Not that of a client, which may be anybody's."""
    wished = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"

    def prepare(it: ssl.SSLContext) -> None:
        it.set_ciphers(wished)
        it.maximum_version = ssl.TLSVersion.TLSv1_2

    engine, connection = server_engine()
    opened(engine, PythonPeer(server=False, prepare=prepare))
    assert connection.get_cipher_name() == "ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("offered", ["ECDHE-ECDSA-AES128-SHA", "AES128-SHA:NULL-SHA256", "ADH-AES128-SHA256"])
def test_a_client_offers_nothing_else_either(offered: str) -> None:
    """A server that can do no better is not connected to."""
    engine, _ = client_engine()

    def prepare(it: ssl.SSLContext) -> None:
        it.set_ciphers(f"{offered}:@SECLEVEL=0")
        it.maximum_version = ssl.TLSVersion.TLSv1_2

    shake_hands(engine, PythonPeer(server=True, prepare=prepare))
    assert engine.failure is not None
    assert (engine.failure.fault, engine.failure.alert) == (TlsFault.ALERT, 40)


def test_a_refused_certificate_is_told_apart() -> None:
    """Both sides know what it was about."""
    engine, connection = client_engine(exclusive_trust_roots=(root("another"),))
    peer = PythonPeer(server=True)
    shake_hands(engine, peer)
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.CERTIFICATE_REFUSED
    assert not connection.verification.accepted
    assert not peer.is_open


def test_a_client_that_shows_no_certificate_is_told_so() -> None:
    """TLS 1.2: the handshake fails on both sides."""
    require = ClientCertificatePolicy.REQUIRE
    first, _ = client_engine(maximum=V12)
    second, _ = server_engine(client_certificates=require, exclusive_trust_roots=(root(),))
    between(first, second)
    assert second.failure is not None
    assert second.failure.fault is TlsFault.NO_CERTIFICATE
    assert first.failure is not None
    assert (first.failure.fault, first.failure.alert) == (TlsFault.ALERT, 40)


def test_tls_1_3_refuses_a_client_after_its_handshake() -> None:
    """The client is open, and hears it with its first read."""
    require = ClientCertificatePolicy.REQUIRE
    first, _ = client_engine()
    second, _ = server_engine(client_certificates=require, exclusive_trust_roots=(root(),))
    first.start()
    second.receive(output_of(first))
    first.receive(output_of(second))
    assert first.state is TlsState.OPEN
    second.receive(output_of(first))
    assert second.failure is not None
    assert second.failure.fault is TlsFault.NO_CERTIFICATE
    assert first.receive(output_of(second)) == b""
    assert first.failure is not None
    assert (first.failure.fault, first.failure.alert) == (TlsFault.ALERT, 116)


def test_an_exception_in_a_foreign_callback_refuses_the_peer() -> None:
    """It is the reason, and it does not come out."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)

    def judge(*_: object) -> bool:
        raise LookupError("a mistake")

    context.set_verify(SSL.VERIFY_PEER, judge)
    engine = TlsEngine(SSL.Connection(context), server=False)
    shake_hands(engine, PythonPeer(server=True))
    assert engine.failure is not None
    assert engine.failure.fault is TlsFault.OWN_FAILURE
    assert isinstance(engine.failure.cause, LookupError)


class Swallowing:
    """An open connection that has plaintext for some of its records, as said, and none for the others."""

    def __init__(self, *plaintext: bool) -> None:
        self._plaintext = list(plaintext)

    def recv(self, size: int) -> bytes:
        while self._plaintext:
            if self._plaintext.pop(0):
                return b"x"
        raise SSL.WantReadError

    def bio_read(self, size: int) -> bytes:
        raise SSL.WantReadError

    def bio_write(self, data: bytes) -> int:
        return len(data)

    def send(self, data: bytes) -> int:
        raise AssertionError("nothing is sent")

    def do_handshake(self) -> None:
        pass

    set_options = set_accept_state = set_connect_state = lambda self, *_: None


EMPTY, FULL = b"\x17\x03\x03\x00\x05empty", b"\x17\x03\x03\x00\x05 full"


@pytest.mark.parametrize(
    ("records", "broken"),
    [
        ([False] * 32, False),
        ([False] * 33, True),
        ([False, True] * 1000, False),
        ([False] * 40 + [True] * 8, False),
        ([False] * 41 + [True] * 8, True),
    ],
    ids=["a few", "a flood", "one before each, as TLS 1.0 has it", "some among others", "more among others"],
)
def test_a_flood_of_records_without_plaintext_breaks_it(records: list[bool], broken: bool) -> None:
    """Key updates and tickets cost more to take than to send; so many at once nobody needs."""
    connection: Any = Swallowing(*records)
    engine = TlsEngine(connection, server=True)
    engine.start()
    assert engine.state is TlsState.OPEN
    plaintext = engine.receive(b"".join(FULL if full else EMPTY for full in records))
    assert plaintext == b"x" * records.count(True)
    assert (engine.state is TlsState.BROKEN) is broken
    if broken:
        assert engine.failure is not None
        assert engine.failure.fault is TlsFault.VIOLATION
        assert engine.failure.detail == "too many messages without data"


def test_one_record_without_plaintext_at_a_time_is_no_flood() -> None:
    """However many there are in all: a long connection may renew its keys often."""
    connection: Any = Swallowing()
    engine = TlsEngine(connection, server=True)
    engine.start()
    for _ in range(1000):
        assert engine.receive(EMPTY) == b""
    assert engine.state is TlsState.OPEN


def of_somebody_else() -> Any:
    """A connection of a context that says nothing of renegotiation."""
    return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))


def of_ours() -> Any:
    """One of our own contexts."""
    return client_engine()[1]


@pytest.mark.parametrize("make", [of_somebody_else, of_ours])
def test_a_peer_may_not_renegotiate(make: Callable[[], Any]) -> None:
    """TLS 1.2: the request is answered with a warning, and nothing else changes."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    own: Any = certificate(issued())
    context.use_certificate(own._x509)
    context.use_privatekey(own._private_key)
    peer = SSL.Connection(context)
    peer.set_accept_state()
    engine = TlsEngine(make(), server=False)
    engine.start()
    while engine.output:
        peer.bio_write(output_of(engine))
        with suppress(SSL.WantReadError):
            peer.do_handshake()
        engine.receive(peer.bio_read(65536))
    assert engine.state is TlsState.OPEN
    peer.renegotiate()
    with suppress(SSL.WantReadError):
        peer.do_handshake()
    assert engine.receive(peer.bio_read(65536)) == b""
    assert engine.state is TlsState.OPEN
    assert output_of(engine)[0] == 21, "no alert"
