"""The epoll reactor that calls its descriptors itself.

Twisted's epoll reactor gives each ready descriptor to ``log.callWithLogger``, which calls its way through
``callWithContext`` and ``context.call`` to ``_doReadOrWrite``, and that calls ``doRead``. Here the poll loop
does in place what those do for a descriptor that can be read, or written. Whatever else comes (both at once,
an error, a hangup, a ``logPrefix`` that fails) goes Twisted's way.

This leans on the internals of Twisted 26.10; ``tests/reactor/test_internals.py`` asks for each of them:

- of the reactor ``_poller``, ``_selectables``, ``_doReadOrWrite`` and ``_disconnectSelectable``, and
  ``doIteration``, the name by which the main loop calls ``doPoll``;
- ``posixbase._NO_FILEDESC``, the reason for which a descriptor without a number is disconnected;
- the ``contexts`` of ``twisted.python.context``: a stack of dictionaries, the last one first.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPOLLIN, EPOLLOUT, EPollReactor
from twisted.internet.main import installReactor
from twisted.internet.posixbase import _NO_FILEDESC
from twisted.python import context, log
from twisted.python.log import ILogContext

__all__ = ["DirectEPollReactor", "install"]


class DirectEPollReactor(EPollReactor):
    """Twisted's epoll reactor, with less between the readiness of a descriptor and its ``doRead``.

    A program cannot tell the two apart. Descriptors are called in the same order; one that was removed by an
    earlier one is not called; an exception in one is logged with its traceback and disconnects that one only;
    and what is logged while one runs, or in a thread that it gives work to, carries its ``logPrefix()``.
    """

    def doPoll(self, timeout: float | None) -> None:
        """Wait until descriptors are ready, then call each of them once.

        Args:
            timeout: how long to wait, in seconds; None waits until a descriptor is ready.

        Source: ``EPollReactor.doPoll``, ``_PollLikeMixin._doReadOrWrite``, ``log.callWithLogger``.
        """
        selectables = self._selectables
        ready = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        surrounding = context.get(ILogContext)
        contexts = context.theContextTracker.currentContext().contexts
        contexts.append({})
        why: Any
        try:
            for number, event in ready:
                descriptor = selectables.get(number)
                if descriptor is None:
                    continue
                try:
                    system = descriptor.logPrefix()
                except Exception:
                    system = None  # Twisted's way says what is wrong with it
                reading = event == EPOLLIN
                if system is None or not (reading or event == EPOLLOUT):
                    log.callWithLogger(descriptor, self._doReadOrWrite, descriptor, number, event)
                    continue
                # One of its own for each: a thread pool keeps the one in which it is given work.
                log_context = surrounding.copy()
                log_context["system"] = system
                contexts[-1] = {ILogContext: log_context}
                try:
                    if descriptor.fileno() == -1:
                        why = _NO_FILEDESC
                    else:
                        why = descriptor.doRead() if reading else descriptor.doWrite()
                except BaseException as error:
                    log.err()  # a legacy event, as Twisted's is: those have the context
                    why = error
                    reading = False
                if why:
                    log.callWithLogger(descriptor, self._disconnectSelectable, descriptor, why, reading)
                    why = None  # its traceback refers to this frame
        finally:
            contexts.pop()

    doIteration = doPoll


def install() -> None:
    """Make it the reactor.

    It stands here, as it does in each of Twisted's reactor modules, because programs that start children on
    the reactor they run on themselves look for it in the module of the reactor's class.
    """
    installReactor(DirectEPollReactor())
