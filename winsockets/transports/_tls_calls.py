"""The calls of OpenSSL that carry data."""

from __future__ import annotations

from collections.abc import Sequence
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
    _get_error, _WANT_READ = _lib.SSL_get_error, _lib.SSL_ERROR_WANT_READ
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

    def decrypt_all(
        self, ciphertext: bytes, ends: Sequence[int], room: int
    ) -> tuple[bytes, int, Exception | None]:
        """Take ciphertext of any number of records, and return the plaintext of those that are complete.

        Args:
            ciphertext: may begin and end within a record.
            ends: where in it records end.
            room: for all their plaintext.

        Returns:
            The plaintext; how many records had some; and what `SSL.Connection.recv` raises, but for
            WantReadError, at the first record that is in the way of the others.
        """

    def feed(self, ciphertext: bytes) -> None:
        """Take ciphertext of a handshake, or what may be no TLS at all."""

    def read(self, room: int) -> tuple[bytes, Exception | None]:
        """Return the plaintext of what was fed, and what `SSL.Connection.recv` raises at the end of it.

        Args:
            room: for all plaintext.
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

    Of many records OpenSSL has one at a time in its memory BIOs, which never shrink.

    Args:
        connection: over a memory BIO; it owns what is called here.

    Raises:
        AttributeError: pyOpenSSL has changed inside.
    """

    __slots__ = ("_incoming", "_outgoing", "_raise", "_ssl")

    def __init__(self, connection: Any) -> None:
        if _lib is None:
            raise AttributeError("OpenSSL.SSL")
        # Which keeps the connection, too.
        self._raise = connection._raise_ssl_error
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

    def decrypt_all(
        self, ciphertext: bytes, ends: Sequence[int], room: int
    ) -> tuple[bytes, int, Exception | None]:
        data, buffer = _from_buffer(ciphertext), _allocate(_CHARS, room)
        begin = filled = full = 0
        for end in ends:
            self._feed(data + begin, end - begin)
            begin = end
            got = _ssl_read(self._ssl, buffer + filled, room - filled)
            if got > 0:
                filled += got
                full += 1
            elif _get_error(self._ssl, got) != _WANT_READ:
                return _unpack(buffer, filled), full, self._problem(got)
        if begin < len(ciphertext):
            self._feed(data + begin, len(ciphertext) - begin)
        return _unpack(buffer, filled), full, None

    def feed(self, ciphertext: bytes) -> None:
        self._feed(ciphertext, len(ciphertext))

    def _feed(self, data: Any, size: int) -> None:
        if _bio_write(self._incoming, data, size) != size:
            raise MemoryError

    def read(self, room: int) -> tuple[bytes, Exception | None]:
        buffer = _allocate(_CHARS, room)
        filled = 0
        while (got := _ssl_read(self._ssl, buffer + filled, room - filled)) > 0:
            filled += got
        problem = self._problem(got)
        return _unpack(buffer, filled), problem

    def encrypt(self, plaintext: bytes | memoryview, most: int) -> bytes:
        size = len(plaintext)
        data = plaintext if type(plaintext) is bytes else _from_buffer(plaintext)
        sent = _ssl_write(self._ssl, data, size)
        if sent <= 0:
            self._explain(sent)
        buffer = _allocate(_CHARS, most)
        filled = _bio_read(self._outgoing, buffer, most)
        if sent < size:
            # One record a call.
            data, filled = _from_buffer(plaintext), max(filled, 0)
            while sent < size:
                more = _ssl_write(self._ssl, data + sent, size - sent)
                if more <= 0:
                    self._explain(more)
                sent += more
                filled += max(_bio_read(self._outgoing, buffer + filled, most - filled), 0)
        ciphertext: bytes = _unpack(buffer, filled)
        return ciphertext

    def take(self, most: int) -> bytes:
        buffer = _allocate(_CHARS, most)
        got = _bio_read(self._outgoing, buffer, most)
        ciphertext: bytes = _unpack(buffer, max(got, 0))
        return ciphertext

    def _explain(self, result: int) -> NoReturn:
        """Raise what a call without success means."""
        self._raise(self._ssl, result)
        raise AssertionError

    def _problem(self, result: int) -> Exception:
        """Return what a call without success means."""
        try:
            self._explain(result)
        except Exception as problem:
            # Without those who called, who will know of it.
            return problem.with_traceback(None)


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

    def decrypt_all(
        self, ciphertext: bytes, ends: Sequence[int], room: int
    ) -> tuple[bytes, int, Exception | None]:
        self.feed(ciphertext)
        plaintext, problem = [], None
        for _ in ends:
            try:
                plaintext.append(self._connection.recv(RECORD))
            except SSL.WantReadError:
                break
            except Exception as caught:
                problem = caught.with_traceback(None)
                break
        return b"".join(plaintext), len(plaintext), problem

    def feed(self, ciphertext: bytes) -> None:
        self._connection.bio_write(ciphertext)

    def read(self, room: int) -> tuple[bytes, Exception | None]:
        plaintext = []
        while True:
            try:
                plaintext.append(self._connection.recv(RECORD))
            except Exception as problem:
                return b"".join(plaintext), problem.with_traceback(None)

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
