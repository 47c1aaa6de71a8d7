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


def changed(record: bytes) -> bytes:
    """A record with one bit turned over."""
    return record[:-1] + bytes([record[-1] ^ 1])


@each_way
def test_one_record_is_decrypted(way: Way) -> None:
    """In one call, in and out."""
    calls, peer = connected(way)
    assert calls.decrypt(peer.send(b"hello"), 5 + 16) == b"hello"


@each_way
def test_records_are_decrypted_wherever_the_ciphertext_was_cut(way: Way) -> None:
    """Those that are complete; the rest of one comes later."""
    calls, peer = connected(way)
    messages = [b"first", bytes(range(256)) * (RECORD // 256), b"last"]
    records = [peer.send(message) for message in messages]
    begin, rest = records[0][:7], records[0][7:] + records[1] + records[2][:7]
    assert calls.decrypt_all(begin, [], MOST) == (b"", 0, None)
    ends = [len(records[0]) - 7, len(records[0] + records[1]) - 7]
    assert calls.decrypt_all(rest, ends, MOST) == (messages[0] + messages[1], 2, None)
    assert calls.decrypt_all(records[2][7:], [len(records[2]) - 7], MOST) == (messages[2], 1, None)


@each_way
def test_all_that_was_fed_is_read(way: Way) -> None:
    """However many records it is."""
    calls, peer = connected(way)
    calls.feed(peer.send(b"one, ") + peer.send(b"two"))
    plaintext, problem = calls.read(MOST)
    assert plaintext == b"one, two"
    assert isinstance(problem, SSL.WantReadError)


@each_way
def test_what_came_before_the_end_is_returned_with_it(way: Way) -> None:
    """The end is a record too, and none with plaintext."""
    calls, peer = connected(way)
    last, end = peer.send(b"the last"), peer.close()
    plaintext, full, problem = calls.decrypt_all(last + end, [len(last), len(last + end)], MOST)
    assert (plaintext, full) == (b"the last", 1)
    assert isinstance(problem, SSL.ZeroReturnError)


@each_way
def test_a_record_that_was_changed_on_the_way_is_an_error(way: Way) -> None:
    """Every way to read says so."""
    calls, peer = connected(way)
    good, bad = peer.send(b"good"), changed(peer.send(b"bad"))
    plaintext, full, problem = calls.decrypt_all(good + bad, [len(good), len(good + bad)], MOST)
    assert (plaintext, full) == (b"good", 1)
    assert isinstance(problem, SSL.Error)
    calls, peer = connected(way)
    calls.feed(peer.send(b"good") + changed(peer.send(b"bad")))
    plaintext, problem = calls.read(MOST)
    assert plaintext == b"good"
    assert isinstance(problem, SSL.Error)
    calls, peer = connected(way)
    bad = changed(peer.send(b"bad"))
    with pytest.raises(SSL.Error, match="bad record mac"):
        calls.decrypt(bad, len(bad))


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
    other: Any = SimpleNamespace(_ssl=object())
    assert isinstance(data_calls(other), PublicCalls)
