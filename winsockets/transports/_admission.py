"""Whether a listener accepts now: one decision for all of its ports."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from winsockets.errors import SocketException
from winsockets.foundation import Limits

__all__ = ["Admission", "Gate"]

_log = Logger(namespace="winsockets")


class Gate(Protocol):
    """What takes connections in while it is open."""

    def open_gate(self) -> None:
        """Accept."""

    def close_gate(self) -> None:
        """Do not accept; whoever comes waits outside."""


class Admission:
    """Counts the connections of one listener, and closes its gates while there must be no more.

    It does so at the connection limit, while the program asks for it, and while the system has no
    descriptors; the clients wait in the backlog meanwhile.

    Args:
        reactor: an IReactorTime.
        limits: ``accept_retry`` counts here.
        max_connections: how many connections may be open at once; None for any number.
    """

    def __init__(self, reactor: Any, limits: Limits, max_connections: int | None) -> None:
        self._reactor = reactor
        self._retry_after = limits.accept_retry
        self._max_connections = max_connections
        self._gates: list[Gate] = []
        self._reasons: set[object] = set()
        self._open = 0
        self._retry: IDelayedCall | None = None
        self._short = False

    @property
    def accepting(self) -> bool:
        """Whether the gates are open."""
        return not self._reasons

    def add(self, gate: Gate) -> None:
        """Take charge of a gate, which is open."""
        self._gates.append(gate)
        if self._reasons:
            gate.close_gate()

    def discard(self, gate: Gate) -> None:
        """Forget a gate that is gone for good."""
        if gate in self._gates:
            self._gates.remove(gate)
        if not self._gates and self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def entered(self) -> None:
        """Hear of a new connection."""
        self._open += 1
        if self._max_connections is not None and self._open >= self._max_connections:
            self.hold("limit")

    def left(self) -> None:
        """Hear from a connection that it is gone."""
        self._open -= 1
        self.release("limit")

    def hold(self, reason: object) -> None:
        """Accept nothing until ``release`` was called for every reason."""
        was_accepting = self.accepting
        self._reasons.add(reason)
        if was_accepting:
            for gate in self._gates:
                gate.close_gate()

    def release(self, reason: object) -> None:
        """Take back a ``hold``; one that is not there is ignored."""
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons:
                for gate in self._gates:
                    gate.open_gate()

    def shortage(self, problem: SocketException) -> None:
        """Wait after the system had nothing to accept with; say so once, however long that lasts."""
        if not self._short:
            self._short = True
            _log.error(
                "{problem}; {open} connections are open, clients wait until one ends",
                problem=problem,
                open=self._open,
            )
        self.hold("system")
        self._retry = self._reactor.callLater(self._retry_after, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.release("system")

    def relieved(self) -> None:
        """Hear that nobody waits outside any more: a shortage that comes now is another one."""
        self._short = False
