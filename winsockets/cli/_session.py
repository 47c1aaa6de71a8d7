"""One run of ``winsockets echo``: message after message, each with its reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from winsockets.cli._datagram_echo import DatagramEcho
from winsockets.cli._display import Display, OutputClosed
from winsockets.cli._standard_input import InputLines
from winsockets.cli._statistics import Tally
from winsockets.cli._stream_echo import StreamEcho
from winsockets.cli._tls import TlsPlan
from winsockets.cli._url import EchoUrl
from winsockets.errors import ConnectionTimedOutError, SocketException
from winsockets.networking._name_servers import NameServer

__all__ = ["Plan", "hold"]

_SURPLUS_SECONDS = 1.0
"""How long a server may take to end a connection that we have ended: an echo server does it at once."""


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        url: the server.
        messages: what to send; None for the lines of standard input.
        interval: the least seconds from one message to the next.
        timeout: seconds for resolving, for connecting, for a TLS handshake, and for each reply.
        tls: how to speak TLS, where the URL asks for it.
        name_servers: whom to ask for the server; none for those of the system.
    """

    url: EchoUrl
    messages: Iterable[bytes] | None
    interval: float
    timeout: float
    tls: TlsPlan
    name_servers: tuple[NameServer, ...] = ()


async def hold(plan: Plan, display: Display, reactor: Any) -> bool:
    """Send the messages, each when the one before has its reply or is lost.

    Args:
        plan: what to do.
        display: shows replies, complaints and the summary.
        reactor: the reactor.

    Returns:
        Whether every message came back identical and there was nothing to complain about. Cancelled, it
        closes the socket, shows the summary so far and returns False.
    """
    tally = Tally()
    interrupted = False
    try:
        try:
            await _exchange_all(plan, display, reactor, tally)
        except CancelledError:
            interrupted = True
        except OSError as problem:
            display.complain(problem)
        display.summary(tally, interrupted)
    except OutputClosed:
        return False
    except OSError as problem:
        display.complain(problem)
    return tally.all_identical and not display.complained and not interrupted


async def _exchange_all(plan: Plan, display: Display, reactor: Any, tally: Tally) -> None:
    echo: StreamEcho | DatagramEcho
    if plan.url.transport == "udp":
        echo = DatagramEcho(reactor, plan.url, plan.timeout, tally, plan.name_servers)
    else:
        echo = StreamEcho(reactor, plan.url, plan.timeout, plan.tls, plan.name_servers)
    next_message = _source(plan.messages, reactor, echo.longest)
    async with echo:
        if plan.messages is None:
            display.invite(echo.peer + echo.protection)
        due = perf_counter()
        while (message := await next_message()) is not None:
            if (delay := due - perf_counter()) > 0:
                await deferLater(reactor, delay)
            started = perf_counter()
            due = started + plan.interval
            await echo.send(message)
            tally.sent += 1
            took = None
            try:
                identical = await _reply(echo, display, plan.timeout, reactor)
            except CancelledError:
                raise
            except SocketException as problem:
                tally.lost += 1
                if echo.ends_with_a_loss:
                    raise
                display.lost(problem)
            else:
                took = perf_counter() - started
                tally.replied(took, identical)
                if not identical:
                    display.differs(tally.sent)
            display.progress(tally, took, perf_counter())
        if isinstance(echo, StreamEcho):
            await _expect_no_more(echo, display, min(plan.timeout, _SURPLUS_SECONDS), reactor)


def _source(
    messages: Iterable[bytes] | None, reactor: Any, longest: int
) -> Callable[[], Awaitable[bytes | None]]:
    if messages is None:
        return InputLines(reactor, longest).next_message
    iterator = iter(messages)

    async def next_message() -> bytes | None:
        return next(iterator, None)

    return next_message


def _reply(echo: StreamEcho | DatagramEcho, display: Display, timeout: float, reactor: Any) -> Deferred[bool]:
    def too_late(_: object, seconds: float) -> bool:
        raise ConnectionTimedOutError(
            f"receive from {echo.peer}: the reply did not come within {seconds:g} s; check that an echo "
            "server listens there, or give a longer --timeout"
        )

    return Deferred.fromCoroutine(echo.reply(display.reply)).addTimeout(timeout, reactor, too_late)


async def _expect_no_more(echo: StreamEcho, display: Display, patience: float, reactor: Any) -> None:
    counting = Deferred.fromCoroutine(echo.surplus())
    count = await counting.addTimeout(patience, reactor, lambda counted, _: counted)
    if count:
        display.complain(f"the server sent {count} bytes more than were sent to it")
