"""One run of ``winsockets multicast``: listening to a group, and sending to it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from winsockets.cli._display import Display, OutputClosed
from winsockets.cli._group import Group
from winsockets.cli._standard_input import InputLines
from winsockets.errors import SocketException
from winsockets.networking import NetworkAdapter
from winsockets.sockets import DatagramSocket
from winsockets.transports._describe import describe_address

__all__ = ["MulticastPlan", "take_part"]

_LONGEST = 65_507
_WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


@dataclass(frozen=True)
class MulticastPlan:
    """What to do.

    Attributes:
        group: the group and its port.
        sources: whom to listen to; nobody for everybody.
        adapter: the network interface to listen and to send on; None leaves the choice to the system.
        hop_limit: how many networks a datagram may cross; None for the system's, which is 1.
        loopback: whether this machine hears what it sends.
        listens: whether to listen.
        messages: what to send; None for the lines of standard input.
        count: after how many received datagrams to end; None for no end.
        timeout: seconds after which to end; None for no end.
    """

    group: Group
    sources: tuple[str, ...]
    adapter: NetworkAdapter | None
    hop_limit: int | None
    loopback: bool
    listens: bool
    messages: Iterable[bytes] | None
    count: int | None
    timeout: float | None


async def take_part(plan: MulticastPlan, display: Display, reactor: Any) -> bool:
    """Listen to the group and send to it, until the plan says that it is enough.

    Args:
        plan: what to do.
        display: shows datagrams and complaints.
        reactor: the reactor.

    Returns:
        Whether as many datagrams came as were waited for, and there was nothing to complain about.
        Cancelled, it leaves the group and returns False.
    """
    enough = False
    try:
        async with DatagramSocket(reactor=reactor) as sock:
            enough = await _Session(plan, display, sock).run(reactor)
    except (CancelledError, OutputClosed):
        return False
    except OSError as problem:
        display.complain(problem)
    return enough and not display.complained


class _Session:
    """A socket and what is done with it."""

    def __init__(self, plan: MulticastPlan, display: Display, sock: DatagramSocket) -> None:
        self._plan = plan
        self._display = display
        self._socket = sock
        self._heard = 0
        control = sock.control
        control.multicast_only = True
        control.multicast_adapter = plan.adapter
        control.multicast_loopback = plan.loopback
        if plan.hop_limit is not None:
            control.outbound_multicast_hop_limit = plan.hop_limit

    async def run(self, reactor: Any) -> bool:
        """Do it all; return whether enough was received."""
        if not self._plan.listens:
            await self._send(reactor)
            return True
        listening = await self._listen()
        sending = Deferred.fromCoroutine(self._send(reactor))
        try:
            if self._plan.timeout is not None:
                listening.addTimeout(self._plan.timeout, reactor, self._time_is_up)
            return await listening
        finally:
            self._tell_of_losses()
            sending.cancel()
            sending.addErrback(lambda failure: failure.trap(CancelledError))

    async def _listen(self) -> Deferred[bool]:
        plan = self._plan
        received = self._socket.messages()
        await self._socket.bind_endpoint_async(_WILDCARDS[plan.group.family], plan.group.port)
        for source in plan.sources or (None,):
            self._socket.join_multicast_group(plan.group.address, source=source, adapter=plan.adapter)
        where = f" on {plan.adapter.name}" if plan.adapter is not None else ""
        whom = f", to what comes from {' and '.join(plan.sources)}" if plan.sources else ""
        self._display.note(f"listening to {plan.group}{where}{whom}")
        return Deferred.fromCoroutine(self._show(received))

    def _time_is_up(self, _: object, seconds: float) -> bool:
        if self._plan.count is None:
            return True
        self._display.complain(
            f"{self._heard} of {self._plan.count} datagrams came within {seconds:g} s; check that somebody "
            "sends to the group, or give a longer --timeout"
        )
        return False

    async def _show(self, received: Any) -> bool:
        async for message in received:
            try:
                data = message.data
            except SocketException as problem:
                self._display.complain(problem)
                continue
            sender = describe_address(str(message.remote_address), int(message.remote_port))
            self._display.reply(f"{sender}: {in_a_line(data)}\n".encode())
            self._heard += 1
            if self._heard == self._plan.count:
                break
        return True

    def _tell_of_losses(self) -> None:
        lost = self._socket.information.dropped_by_system
        if lost:
            self._display.note(f"datagrams lost, because they came faster than they were shown: {lost}")

    async def _send(self, reactor: Any) -> None:
        plan = self._plan
        try:
            stream = await self._socket.get_output_stream_async(plan.group.address, plan.group.port)
            next_message = self._source(reactor)
            while (message := await next_message()) is not None:
                try:
                    await stream.write_async(message)
                except CancelledError:
                    raise
                except SocketException as problem:
                    self._display.complain(problem)
        except CancelledError:
            raise
        except OSError as problem:
            self._display.complain(problem)

    def _source(self, reactor: Any) -> Callable[[], Awaitable[bytes | None]]:
        if self._plan.messages is None:
            self._display.invite(str(self._plan.group), ends_all=not self._plan.listens)
            return InputLines(reactor, _LONGEST).next_message
        iterator = iter(self._plan.messages)

        async def next_message() -> bytes | None:
            return next(iterator, None)

        return next_message


def in_a_line(data: bytes) -> str:
    r"""Show a datagram as text in one line that does nothing to a terminal.

    The end of a line at its end is left out; other control characters, and what is not UTF-8, are shown
    with backslashes: ``\n``, ``\x1b``, ``\xff``.
    """
    text = data.decode("utf-8", "backslashreplace").removesuffix("\n").removesuffix("\r")
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )
