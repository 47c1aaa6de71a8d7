"""The calls of OpenSSL that carry data."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from OpenSSL import SSL

__all__ = ["RECORD", "DataCalls", "DirectCalls", "PublicCalls", "data_calls"]

RECORD = 16 * 1024
"""The most plaintext in one record (RFC 8446 section 5.1)."""

try:
    _inside: Any = SSL
    _ffi, _lib = _inside._ffi, _inside._lib
    _CHARS = _ffi.typeof("char[]")
    _allocate = _ffi.new_allocator(should_clear_after_alloc=False)
    _unpack, _from_buffer = _ffi.unpack, _ffi.from_buffer
    _ssl_read, _ssl_write = _lib.SSL_read, _lib.SSL_write
    _bio_read, _bio_write = _lib.BIO_read, _lib.BIO_write
except AttributeError:
    _lib = None


class DataCalls(Protocol):
    """What a connection over a memory BIO does with data."""

    def decrypt(self, record: bytes, room: int) -> bytes:
        """Take one whole record, at the beginning of one, and return its plaintext.

        Args:
            record: ciphertext.
            room: for the plaintext.

        Raises:
            SSL.Error: as `SSL.Connection.recv`.
        """

    def feed(self, ciphertext: bytes) -> None:
        """Take ciphertext."""

    def read(self, records: int, room: int) -> tuple[bytes, int, Exception | None]:
        """Return plaintext, of how many records it is, and what `SSL.Connection.recv` raised if of fewer.

        Args:
            records: how many are wanted.
            room: for all their plaintext.
        """

    def encrypt(self, plaintext: bytes | memoryview, most: int) -> bytes:
        """Turn plaintext, at least a byte, into ciphertext.

        Args:
            plaintext: all of it is taken.
            most: of the ciphertext; what exceeds it is left for ``take``.

        Raises:
            SSL.Error: as `SSL.Connection.send`.
        """

    def take(self, most: int) -> bytes:
        """Return ciphertext that is to be sent, b"" if there is none."""


def data_calls(connection: SSL.Connection) -> DataCalls:
    """Choose how to make the calls: the direct way, unless pyOpenSSL has changed inside."""
    try:
        return DirectCalls(connection)
    except AttributeError:
        return PublicCalls(connection)


class DirectCalls:
    """The calls themselves.

    pyOpenSSL's methods also take text, look for what a callback has raised, and ask OpenSSL about an error,
    even after a success: two thirds of the time of small records. These ask when there was no success.

    Args:
        connection: over a memory BIO; it owns what is called here.

    Raises:
        AttributeError: pyOpenSSL has changed inside.
    """

    __slots__ = ("_connection", "_incoming", "_outgoing", "_ssl")

    def __init__(self, connection: Any) -> None:
        if _lib is None:
            raise AttributeError("OpenSSL.SSL")
        self._connection = connection
        self._ssl = connection._ssl
        self._incoming = connection._into_ssl
        self._outgoing = connection._from_ssl

    def decrypt(self, record: bytes, room: int) -> bytes:
        if _bio_write(self._incoming, record, len(record)) != len(record):
            raise MemoryError
        buffer = _allocate(_CHARS, room)
        got = _ssl_read(self._ssl, buffer, room)
        if got <= 0:
            self._explain(got)
        plaintext: bytes = _unpack(buffer, got)
        return plaintext

    def feed(self, ciphertext: bytes) -> None:
        if _bio_write(self._incoming, ciphertext, len(ciphertext)) != len(ciphertext):
            raise MemoryError

    def read(self, records: int, room: int) -> tuple[bytes, int, Exception | None]:
        buffer = _allocate(_CHARS, room)
        filled = full = 0
        while full < records and filled < room:
            got = _ssl_read(self._ssl, buffer + filled, room - filled)
            if got <= 0:
                try:
                    self._explain(got)
                except Exception as problem:
                    return _unpack(buffer, filled), full, problem
            filled += got
            full += 1
        return _unpack(buffer, filled), full, None

    def encrypt(self, plaintext: bytes | memoryview, most: int) -> bytes:
        size = len(plaintext)
        sent = _ssl_write(self._ssl, plaintext if type(plaintext) is bytes else _from_buffer(plaintext), size)
        if sent != size:
            self._go_on_encrypting(plaintext, sent)
        buffer = _allocate(_CHARS, most)
        ciphertext: bytes = _unpack(buffer, _bio_read(self._outgoing, buffer, most))
        return ciphertext

    def _go_on_encrypting(self, plaintext: bytes | memoryview, sent: int) -> None:
        """Encrypt the rest, a record a call.

        Args:
            plaintext: all of it.
            sent: what the first call returned.
        """
        data = _from_buffer(plaintext)
        done = 0
        while sent > 0:
            done += sent
            if done == len(plaintext):
                return
            sent = _ssl_write(self._ssl, data + done, len(plaintext) - done)
        self._explain(sent)

    def take(self, most: int) -> bytes:
        buffer = _allocate(_CHARS, most)
        got = _bio_read(self._outgoing, buffer, most)
        ciphertext: bytes = _unpack(buffer, max(got, 0))
        return ciphertext

    def _explain(self, result: int) -> NoReturn:
        """Raise what a call without success means."""
        self._connection._raise_ssl_error(self._ssl, result)
        raise AssertionError


class PublicCalls:
    """The same with pyOpenSSL's own methods.

    Args:
        connection: over a memory BIO.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection

    def decrypt(self, record: bytes, room: int) -> bytes:
        self._connection.bio_write(record)
        return self._connection.recv(room)

    def feed(self, ciphertext: bytes) -> None:
        self._connection.bio_write(ciphertext)

    def read(self, records: int, room: int) -> tuple[bytes, int, Exception | None]:
        pieces = []
        try:
            for _ in range(records):
                pieces.append(self._connection.recv(RECORD))  # noqa: PERF401 - what came before an error counts
        except Exception as problem:
            return b"".join(pieces), len(pieces), problem
        return b"".join(pieces), records, None

    def encrypt(self, plaintext: bytes | memoryview, most: int) -> bytes:
        view = memoryview(plaintext)
        while view:
            view = view[self._connection.send(view) :]
        return self.take(most)

    def take(self, most: int) -> bytes:
        try:
            return self._connection.bio_read(most)
        except SSL.WantReadError:
            return b""
