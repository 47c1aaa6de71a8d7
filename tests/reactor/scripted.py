"""Descriptors that do as they are told, and a poller that reports what it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import directlyProvides

Step = Callable[[], object]


class ScriptedPoller:
    """An epoll object without descriptors: reports one batch, and takes every change."""

    def __init__(self) -> None:
        self.batch: Sequence[tuple[int, int]] = ()

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Hand over the batch."""
        batch, self.batch = self.batch, ()
        return list(batch)

    def register(self, number: int, events: int) -> None:
        """Take it."""

    modify = register

    def unregister(self, number: int) -> None:
        """Take it."""


class ScriptedDescriptor:
    """A descriptor that notes how it is called, and does a step of its own then.

    A step's result is the call's; `steps` has them by the name of the method, and a method without one does
    nothing. Each call is noted in `calls`, which several may share, and is logged.
    """

    def __init__(
        self,
        name: str,
        number: int,
        calls: list[tuple[Any, ...]],
        steps: dict[str, Step] | None = None,
        *,
        half_closeable: bool = False,
    ) -> None:
        self.name = name
        self.number = number
        self.calls = calls
        self.steps = steps or {}
        if half_closeable:
            directlyProvides(self, IHalfCloseableDescriptor)

    def _step(self, method: str, default: object = None) -> Any:
        step = self.steps.get(method)
        return default if step is None else step()

    def _called(self, method: str, *details: object) -> Any:
        self.calls.append((self.name, method, *details))
        log.msg(f"{self.name} in {method}")
        return self._step(method)

    def fileno(self) -> Any:
        """The number, unless a step says otherwise."""
        return self._step("fileno", self.number)

    def logPrefix(self) -> Any:
        """The name, unless a step says otherwise."""
        return self._step("logPrefix", self.name)

    def doRead(self) -> Any:
        """Note it, and do the step."""
        return self._called("doRead")

    def doWrite(self) -> Any:
        """Note it, and do the step."""
        return self._called("doWrite")

    def connectionLost(self, reason: Failure) -> Any:
        """Note it with the reason, and do the step."""
        return self._called("connectionLost", reason.type, str(reason.value))

    def readConnectionLost(self, reason: Failure) -> Any:
        """Note it with the reason, and do the step."""
        return self._called("readConnectionLost", reason.type, str(reason.value))


def fail_with(error: BaseException) -> Step:
    """A step that raises."""

    def step() -> object:
        raise error

    return step
