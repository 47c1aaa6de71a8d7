"""OpenSSL's calls for data: the direct way and pyOpenSSL's do the same."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from OpenSSL import SSL

from tests.transports.tls import PythonPeer, opened, server_engine
from winsockets.transports._tls_calls import RECORD, DataCalls, DirectCalls, PublicCalls, data_calls

WAYS = (DirectCalls, PublicCalls)
each_way = pytest.mark.parametrize("way", WAYS)
Way = Callable[[Any], DataCalls]
MOST = 1 << 20


def connected(way: Way) -> tuple[DataCalls, PythonPeer]:
    """The calls of a connection that has shaken hands, and its peer."""
    engine, connection = server_engine()
    peer = PythonPeer(server=False)
    opened(engine, peer)
    return way(connection), peer


@each_way
def test_one_record_is_decrypted(way: Way) -> None:
    """In one call, in and out."""
    calls, peer = connected(way)
    assert calls.decrypt(peer.send(b"hello"), 5 + 16) == b"hello"


@each_way
def test_records_are_read_wherever_the_ciphertext_was_cut(way: Way) -> None:
    """The first of them may be there in part."""
    calls, peer = connected(way)
    data = bytes(range(256)) * (3 * RECORD // 256)
    ciphertext = peer.send(data)
    calls.feed(ciphertext[:10_000])
    calls.feed(ciphertext[10_000:])
    assert calls.read(3, MOST) == (data, 3, None)


@each_way
def test_what_came_before_the_end_is_returned_with_it(way: Way) -> None:
    """Whoever asks for more records than there are gets the reason too."""
    calls, peer = connected(way)
    calls.feed(peer.send(b"before"))
    plaintext, full, problem = calls.read(2, MOST)
    assert (plaintext, full) == (b"before", 1)
    assert isinstance(problem, SSL.WantReadError)
    calls.feed(peer.send(b"the last") + peer.close())
    plaintext, full, problem = calls.read(2, MOST)
    assert (plaintext, full) == (b"the last", 1)
    assert isinstance(problem, SSL.ZeroReturnError)


@each_way
def test_a_record_that_was_changed_on_the_way_is_an_error(way: Way) -> None:
    """Both ways to read say so."""
    calls, peer = connected(way)
    good = peer.send(b"good")
    bad = bytearray(peer.send(b"bad"))
    bad[-1] ^= 1
    calls.feed(good + bytes(bad))
    plaintext, full, problem = calls.read(2, MOST)
    assert (plaintext, full) == (b"good", 1)
    assert isinstance(problem, SSL.Error)
    other, peer = connected(way)
    bad = bytearray(peer.send(b"bad"))
    bad[-1] ^= 1
    with pytest.raises(SSL.Error, match="bad record mac"):
        other.decrypt(bytes(bad), len(bad))


@each_way
@pytest.mark.parametrize("kind", [bytes, memoryview], ids=["bytes", "view"])
def test_all_plaintext_is_encrypted(way: Way, kind: Callable[[bytes], bytes | memoryview]) -> None:
    """More than a record, too; what exceeds the caller's bound stays for later."""
    calls, peer = connected(way)
    data = bytes(range(251)) * 400
    ciphertext = calls.encrypt(kind(data), 1000)
    assert len(ciphertext) == 1000
    peer.step(ciphertext + calls.take(MOST))
    assert peer.received == data
    assert calls.take(MOST) == b""


@each_way
def test_nothing_is_encrypted_after_the_end(way: Way) -> None:
    """OpenSSL's refusal comes through."""
    engine, connection = server_engine()
    opened(engine, PythonPeer(server=False))
    engine.close()
    with pytest.raises(SSL.Error):
        way(connection).encrypt(b"late", MOST)


def test_a_pyopenssl_that_has_changed_inside_is_used_in_public() -> None:
    """It is slower then, and works."""
    _, connection = server_engine()
    assert isinstance(data_calls(connection), DirectCalls)
    changed: Any = SimpleNamespace(_ssl=object())
    assert isinstance(data_calls(changed), PublicCalls)
