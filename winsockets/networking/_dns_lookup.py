"""Asking name servers: the next one when one fails or is silent, again from the first, and then no more."""

from __future__ import annotations

import errno
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from winsockets.errors import NameResolutionError, SocketErrorStatus, SocketException, translate
from winsockets.foundation import Limits
from winsockets.networking._address import Address
from winsockets.networking._dns_exchange import DatagramExchange, Prepare, StreamExchange
from winsockets.networking._dns_message import Outcome, Question, Verdict, encode_query, understand

__all__ = ["ask"]

_MOST_STRANGERS = 32
"""Messages that are no answer to the query, after which somebody is taken to be guessing its number."""

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})

_Exchange: TypeAlias = DatagramExchange | StreamExchange


def ask(
    question: Question,
    servers: Sequence[Address],
    *,
    reactor: Any,
    limits: Limits,
    prepare: Prepare | None = None,
) -> Deferred[Verdict]:
    """Ask name servers a question, one after the other.

    The next is asked as soon as one fails (SERVFAIL, REFUSED, a damaged answer, nobody listens there), or
    when it has been silent for ``limits.name_server_timeout``; its answer still counts if it comes later.
    After the last the first has another turn, ``limits.name_server_rounds`` in all. An answer that was cut,
    or does not come but many that are not to this query, is asked for again over TCP.

    Args:
        question: what to ask.
        servers: whom, the first first.
        reactor: an IReactorFDSet and IReactorTime.
        limits: ``name_server_timeout``, ``name_server_rounds`` and ``max_dns_records`` count.
        prepare: is done to each socket before it is connected. A SocketException that it raises ends the
            lookup.

    Returns:
        A Deferred of a Verdict whose outcome is FOUND, NO_DATA or NO_SUCH_NAME. It fails with
        NameResolutionError (NON_AUTHORITATIVE_HOST_NOT_FOUND) when no server had an answer, and with
        TOO_MANY_OPEN_FILES. Cancelled or failed, it leaves no descriptor and no delayed call behind.

    Source: RFC 1035 section 7, RFC 5452 section 9, RFC 7766 section 5; resolv.conf(5).
    """
    return _Lookup(question, servers, reactor, limits, prepare).outcome


class _Lookup:
    def __init__(
        self,
        question: Question,
        servers: Sequence[Address],
        reactor: Any,
        limits: Limits,
        prepare: Prepare | None,
    ) -> None:
        self.question = question
        self.reactor = reactor
        self.limits = limits
        self.prepare = prepare
        self.outcome: Deferred[Verdict] = Deferred(self._cancel)
        self._turns = deque(list(servers) * limits.name_server_rounds)
        self._attempts: list[_Attempt] = []
        self._problems: dict[Address, str] = {}
        self._timer: IDelayedCall | None = None
        self._next()

    def _next(self) -> None:
        """Ask the next server; fail if all had their turns."""
        self._stop_waiting()
        while self._turns:
            attempt = _Attempt(self, self._turns.popleft())
            self._attempts.append(attempt)
            try:
                attempt.start()
            except SocketException as problem:
                # Not what the system says of this server.
                self._end()
                self.outcome.errback(problem)
                return
            except OSError as problem:
                self._attempts.remove(attempt)
                self._problems[attempt.server] = str(problem)
                if problem.errno in _NO_DESCRIPTOR:
                    self._end()
                    self.outcome.errback(translate(problem, f"ask for {self.question}"))
                    return
            else:
                self._wait()
                return
        tried = ", ".join(f"{server} ({reason})" for server, reason in self._problems.items())
        self._end()
        self.outcome.errback(
            NameResolutionError(
                f"ask for {self.question}: no name server had an answer: {tried or 'there is none'}; "
                "try again later, or check the name servers",
                status=SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND,
            )
        )

    def _wait(self) -> None:
        self._timer = self.reactor.callLater(self.limits.name_server_timeout, self._time_passed)

    def _stop_waiting(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _time_passed(self) -> None:
        self._problems[self._attempts[-1].server] = "no answer"
        self._next()

    def prolong(self, attempt: _Attempt) -> None:
        """Hear that an attempt begins anew over TCP."""
        if attempt is self._attempts[-1]:
            self._stop_waiting()
            self._wait()

    def heard(self, attempt: _Attempt, verdict: Verdict) -> None:
        """Hear what a server says."""
        if verdict.outcome is Outcome.FAILED:
            self.failed(attempt, verdict.reason)
        else:
            self._end()
            self.outcome.callback(verdict)

    def failed(self, attempt: _Attempt, reason: str) -> None:
        """Hear that a server has no answer."""
        attempt.close()
        self._problems[attempt.server] = reason
        # The others have had their time.
        if attempt is self._attempts[-1]:
            self._next()

    def _end(self) -> None:
        self._stop_waiting()
        for attempt in self._attempts:
            attempt.close()

    def _cancel(self, outcome: Deferred[Verdict]) -> None:
        self._end()
        outcome.errback(CancelledError())


class _Attempt:
    """One turn of one server."""

    def __init__(self, lookup: _Lookup, server: Address) -> None:
        self.server = server
        self._lookup = lookup
        self._exchange: _Exchange | None = None
        self._number = 0
        self._strangers = 0

    def start(self) -> None:
        """Ask over UDP.

        Raises:
            OSError: that cannot even begin.
        """
        self._open(DatagramExchange, self._received)

    def _open(self, kind: type[_Exchange], received: Callable[[bytes], None]) -> None:
        lookup = self._lookup
        self._number = secrets.randbelow(0x10000)
        self._exchange = kind(
            self.server,
            encode_query(self._number, lookup.question),
            received=received,
            failed=self._failed,
            reactor=lookup.reactor,
            prepare=lookup.prepare,
        )

    def _judge(self, message: bytes) -> Verdict | None:
        lookup = self._lookup
        return understand(message, self._number, lookup.question, lookup.limits.max_dns_records)

    def _received(self, message: bytes) -> None:
        verdict = self._judge(message)
        if verdict is None:
            self._strangers += 1
            if self._strangers == _MOST_STRANGERS:
                self._over_tcp()
        elif verdict.outcome is Outcome.TRUNCATED:
            self._over_tcp()
        else:
            self._lookup.heard(self, verdict)

    def _over_tcp(self) -> None:
        self.close()
        self._open(StreamExchange, self._received_whole)
        self._lookup.prolong(self)

    def _received_whole(self, message: bytes) -> None:
        verdict = self._judge(message)
        if verdict is None:
            verdict = Verdict(Outcome.FAILED, reason="an answer to something else")
        elif verdict.outcome is Outcome.TRUNCATED:
            verdict = Verdict(Outcome.FAILED, reason="a cut answer over TCP")
        self._lookup.heard(self, verdict)

    def _failed(self, problem: OSError) -> None:
        self._lookup.failed(self, problem.strerror or str(problem))

    def close(self) -> None:
        """Give it up; nobody is told."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
