"""What operations make of failures: one class for cancellations, one report of what nobody looked at."""

from __future__ import annotations

import asyncio
from typing import cast

from twisted.internet.defer import CancelledError, DebugInfo, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from winsockets.errors import OperationCanceledError, SocketException

__all__ = ["Unobserved", "as_failure", "cancellation", "forget_callers"]

# Where Twisted runs coroutines.
_DRIVERS = {Deferred.addBoth.__code__.co_filename, Failure.check.__code__.co_filename}
# A coroutine of Twisted's can let out asyncio's as well, from a future that it waits for.
_CANCELLATIONS = (CancelledError, asyncio.CancelledError)
_log = Logger(namespace="winsockets")


class Unobserved(DebugInfo):
    """Reports a failure that nobody looked at, once for each error and not once for each operation.

    Deferred clears ``failResult`` when somebody handles the failure, so this sits where Deferred keeps
    its own reporter.
    """

    seen: tuple[BaseException, ...] = ()

    def __del__(self) -> None:
        if self.failResult is None:
            return
        problem = self.failResult.value
        if problem in self.seen or isinstance(problem, CancelledError) or "_reported" in vars(problem):
            return
        vars(problem)["_reported"] = True
        _log.failure("An operation that nobody awaited failed", failure=self.failResult)


def cancellation(cause: BaseException | None = None) -> Failure:
    """Make the Failure of an operation that was cancelled."""
    problem = OperationCanceledError("the operation was cancelled before it ended")
    problem.__cause__ = cause
    return Failure(problem)


def as_failure(problem: Failure | BaseException | None) -> Failure:
    """Make the Failure of an errback: cancellations become one class, exceptions come without traceback.

    One exception may end several operations, and what each of those who wait adds to its traceback is
    not the others' business. A Failure says where it came from.
    """
    if isinstance(problem, Failure):
        failure = problem
    else:
        failure = Failure(problem)
        if problem is not None:
            failure.tb = None
    value = failure.value
    if isinstance(value, _CANCELLATIONS) and not isinstance(value, SocketException):
        return cancellation(value)
    return failure


def forget_callers(failure: Failure) -> None:
    """Take out of a coroutine's failure the frames that ran it.

    They refer to those who called, who may have the operation, which has the failure: a circle. Up to Python
    3.11 the frames of a coroutine do not refer to who runs it; later ones do, and leave it to the collector.
    """
    trace = failure.tb
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _DRIVERS:
        trace = trace.tb_next
    if trace is not failure.tb:
        failure.tb = trace
        cast(BaseException, failure.value).__traceback__ = trace
