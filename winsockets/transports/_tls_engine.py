"""TLS without I/O: ciphertext in, plaintext out, and back. No clock, no transport."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from OpenSSL import SSL

from winsockets.errors._tls_table import TlsFault, alert_number
from winsockets.transports._tls_calls import RECORD, data_calls

__all__ = ["RECORD", "NoCommonProtocol", "TlsEngine", "TlsFailure", "TlsState"]

_HEADER = 5
_OVERHEAD = 64
"""More than a record adds to its plaintext under any cipher in use."""
_LONGEST = RECORD + 2048
"""The longest record body of any version (RFC 5246 section 6.2.3)."""
_TYPES = range(20, 25)
_APPLICATION_DATA = 23
_MAJOR = 3
_OUTPUT = 4 * 1024
"""What is taken at once where it is not known how much there is: most flights of a handshake fit."""
_MOST_EMPTY = 32
"""Records, more than those with plaintext, that may come at once without any: key updates, tickets, padding.

Each may cost a derivation of keys, which is some 20 us; no peer in its right mind sends that many.
"""

_ALERT = re.compile(r"(?:ssl|tls)\S*(?: alert)? (?P<name>.+)")
_FAULTS = {
    "http request": TlsFault.NOT_TLS,
    "https proxy request": TlsFault.NOT_TLS,
    "wrong version number": TlsFault.NOT_TLS,
    "unsupported protocol": TlsFault.NO_COMMON_VERSION,
    "no protocols available": TlsFault.NO_COMMON_VERSION,
    "wrong ssl version": TlsFault.NO_COMMON_VERSION,
    "version too low": TlsFault.NO_COMMON_VERSION,
    "inappropriate fallback": TlsFault.NO_COMMON_VERSION,
    "no shared cipher": TlsFault.NO_COMMON_CIPHER,
    "no ciphers available": TlsFault.NO_COMMON_CIPHER,
    "no suitable signature algorithm": TlsFault.NO_COMMON_CIPHER,
    "no shared signature algorithms": TlsFault.NO_COMMON_CIPHER,
    "no suitable key share": TlsFault.NO_COMMON_CIPHER,
    "no suitable groups": TlsFault.NO_COMMON_CIPHER,
    "certificate verify failed": TlsFault.CERTIFICATE_REFUSED,
    "peer did not return a certificate": TlsFault.NO_CERTIFICATE,
    "decryption failed or bad record mac": TlsFault.BAD_RECORD,
    "decryption failed": TlsFault.BAD_RECORD,
    "bad record mac": TlsFault.BAD_RECORD,
}


class NoCommonProtocol(Exception):
    """Raised within ALPN's callback to end the handshake."""


class TooManyEmptyRecords(Exception):
    """What a flood of records without plaintext breaks a connection with."""


class TlsState(Enum):
    """Where a connection is. Each direction of an open one ends by itself: see the engine's attributes."""

    HANDSHAKING = "handshaking"
    OPEN = "open"
    BROKEN = "broken"


class TlsFailure(NamedTuple):
    """Why an engine broke.

    Attributes:
        fault: the kind.
        alert: the number of the alert that the peer sent, if it sent one that is known.
        detail: OpenSSL's words.
        cause: what was raised.
    """

    fault: TlsFault
    alert: int | None
    detail: str
    cause: Exception


class TlsEngine:
    """One TLS connection: feed what arrived, take what is to be sent.

    Everything that a call produces is there when it returns: plaintext is what it returns, ciphertext waits
    in ``output``. A call produces no more than what it was given, plus a flight of the handshake. There is
    no renegotiation.

    Args:
        connection: over a memory BIO, not used before.
        server: which role.

    Attributes:
        state: handshaking, open, or broken, which is for ever.
        input_ended: whether the peer's close_notify has arrived.
        output_ended: whether close_notify was sent.
        output: ciphertext that ``start`` and ``receive`` produced; whoever sends it sets it to b"".
        failure: why it is broken.
        changed: whether a call changed the state or ended the input; whoever has looked sets it to False.
    """

    __slots__ = (
        "_calls",
        "_connection",
        "_header",
        "_odd",
        "_ready",
        "_rest",
        "changed",
        "failure",
        "input_ended",
        "output",
        "output_ended",
        "state",
    )

    def __init__(self, connection: SSL.Connection, *, server: bool) -> None:
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        if server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        self._connection = connection
        self._calls = data_calls(connection)
        self.state = TlsState.HANDSHAKING
        self.input_ended = False
        self.output_ended = False
        self.changed = False
        self.output = b""
        self.failure: TlsFailure | None = None
        # Where the fed ciphertext stands within its records: a read is worth a try when one is complete.
        self._header = b""
        self._rest = 0
        self._odd = False
        # Whether the next thing to arrive is the beginning of a record, on an open connection.
        self._ready = False

    def start(self) -> None:
        """Begin as a client: its first message is in ``output`` then."""
        self._shake_hands()

    def receive(self, data: bytes) -> bytes:
        """Take ciphertext, at least a byte, and return the plaintext that is complete now."""
        if self._ready and data[0] == _APPLICATION_DATA:
            length = len(data) - _HEADER
            if length > 0 and length == data[3] << 8 | data[4]:
                # One whole record, as it nearly always is: no loop, and no question whether there is more.
                # That it is too long, or of another protocol, OpenSSL would say.
                try:
                    return self._calls.decrypt(data, length)
                except Exception as problem:
                    self._stopped(problem)
                    return b""
        if self.state is TlsState.BROKEN or self.input_ended:
            return b""
        ends = self._follow(data)
        # The first record to end may have begun earlier.
        room = RECORD + len(data)
        full, stopped_by = 0, None
        if self._odd or self.state is TlsState.HANDSHAKING:
            self._calls.feed(data)
            if self.state is TlsState.HANDSHAKING and not self._shake_hands():
                return b""
            ends = []
            plaintext, stopped_by = self._calls.read(room)
        elif ends:
            plaintext, full, stopped_by = self._calls.decrypt_all(data, ends, room)
        else:
            self._calls.feed(data)
            plaintext = b""
        self._ready = not (self._rest or self._header or self._odd)
        if stopped_by is not None:
            self._stopped(stopped_by)
        elif len(ends) - 2 * full > _MOST_EMPTY:
            self._break(TooManyEmptyRecords())
        elif full < len(ends):
            self._collect()
        return plaintext

    def _stopped(self, problem: Exception) -> None:
        """Take note of why there was no plaintext."""
        if isinstance(problem, SSL.ZeroReturnError):
            self._ready = False
            self.input_ended = self.changed = True
        elif not isinstance(problem, SSL.WantReadError):
            self._break(problem)
            return
        # A message of TLS's own may have had an answer.
        self._collect()

    def _follow(self, data: bytes) -> list[int]:
        """Follow the records through ciphertext, and return where in it they end.

        Whatever is no record is left to OpenSSL to refuse.
        """
        ends: list[int] = []
        if self._odd:
            return ends
        size, header, rest = len(data), self._header, self._rest
        place = 0
        while place < size:
            if not rest:
                step = _HEADER - len(header)
                header += data[place : place + step]
                if len(header) < _HEADER:
                    place = size
                    break
                place += step
                kind, major, _, high, low = header
                header = b""
                rest = high << 8 | low
                if kind not in _TYPES or major != _MAJOR or not 0 < rest <= _LONGEST:
                    self._odd = True
                    return ends
            place += rest
            rest = 0
            ends.append(place)
        if place > size:
            # The last one goes on.
            rest = ends.pop() - size
        self._header, self._rest = header, rest
        return ends

    def _shake_hands(self) -> bool:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._collect()
            return False
        except Exception as problem:
            self._break(problem)
            return False
        self._collect()
        self.state = TlsState.OPEN
        self.changed = True
        return True

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Turn plaintext, at least a byte, into ciphertext: full records, and one for the rest.

        Only while it is open and the output has not ended. Broken by it, it returns b"".
        """
        size = len(data)
        most = size + _OVERHEAD * (size // RECORD + 2)
        try:
            output = self._calls.encrypt(data, most)
        except Exception as problem:
            self._break(problem)
            return b""
        if len(output) == most:
            # The peer wanted smaller records.
            self.output = output
            self._collect()
            output, self.output = self.output, b""
        return output

    def close(self) -> bytes:
        """End the sending direction, and return the ciphertext that says so; b"" when that was said."""
        if self.state is not TlsState.OPEN or self.output_ended:
            return b""
        self.output_ended = True
        try:
            self._connection.shutdown()
        except SSL.Error:
            return b""
        self._collect()
        output, self.output = self.output, b""
        return output

    def _collect(self) -> None:
        """Take what OpenSSL wants to be sent."""
        size = _OUTPUT
        while size == _OUTPUT:
            output = self._calls.take(_OUTPUT)
            self.output += output
            size = len(output)

    def _break(self, problem: Exception) -> None:
        was_open = self.state is TlsState.OPEN
        self._ready = False
        self.state = TlsState.BROKEN
        self.changed = True
        self.failure = _understand(problem, self._odd and not was_open)
        if self.failure.fault is not TlsFault.OWN_FAILURE:
            # It stays here, and must not keep those who called.
            problem.__traceback__ = None
        self._collect()


def _understand(problem: Exception, odd: bool) -> TlsFailure:
    """Say what an exception of OpenSSL means.

    Args:
        problem: the exception.
        odd: whether the handshake had something in it that is no TLS record.
    """
    if isinstance(problem, NoCommonProtocol):
        return TlsFailure(TlsFault.NO_COMMON_PROTOCOL, None, "", problem)
    if isinstance(problem, TooManyEmptyRecords):
        return TlsFailure(TlsFault.VIOLATION, None, "too many messages without data", problem)
    if isinstance(problem, SSL.ZeroReturnError):
        return TlsFailure(TlsFault.CLOSED_EARLY, None, "", problem)
    if not isinstance(problem, SSL.Error):
        return TlsFailure(TlsFault.OWN_FAILURE, None, repr(problem), problem)
    queue = problem.args[0] if problem.args else ()
    reasons = [str(entry[2]) for entry in queue] if isinstance(queue, list) else list(map(str, problem.args))
    detail = ", ".join(reasons)
    if odd:
        return TlsFailure(TlsFault.NOT_TLS, None, detail, problem)
    for reason in reasons:
        fault = _FAULTS.get(reason)
        if fault is not None:
            return TlsFailure(fault, None, detail, problem)
        alert = _ALERT.fullmatch(reason)
        if alert is not None:
            number = alert_number(alert["name"].replace(" ", "_"))
            if number is not None or "alert" in reason:
                return TlsFailure(TlsFault.ALERT, number, detail, problem)
    return TlsFailure(TlsFault.VIOLATION, None, detail, problem)
