"""Operations: what becomes of a failure that nobody looks at."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, ensureDeferred

from tests.foundation.operations import outcome, reset, waiting_for
from winsockets.errors import OperationAbortedError, OperationCanceledError, ResetByPeerError
from winsockets.foundation import AsyncOperation, AsyncStatus

UNAWAITED = "An operation that nobody awaited failed"


def test_a_failure_that_nobody_looked_at_is_logged(logged) -> None:
    """When the operation goes, with the traceback of the failure."""

    async def the_culprit() -> None:
        raise KeyError("bug")

    AsyncOperation.run(the_culprit())
    ((text, problem),) = logged()
    assert isinstance(problem, KeyError)
    assert UNAWAITED in text
    assert "the_culprit" in text


def test_an_error_is_logged_once_however_many_operations_it_ended(logged) -> None:
    """One reset ends every write that waits."""
    problem = reset()
    for _ in range(100):
        AsyncOperation.from_error(problem)
    assert [error for _, error in logged()] == [problem]
    AsyncOperation.from_error(reset())
    assert len(logged()) == 2


@pytest.mark.parametrize(
    "problem", [OperationCanceledError("x"), OperationAbortedError("x"), CancelledError()]
)
def test_a_cancellation_is_never_logged(problem: BaseException, logged) -> None:
    """Somebody wanted it."""
    AsyncOperation.from_error(problem)
    assert logged() == []


def look_at_results(operation: AsyncOperation) -> None:
    """Ask for them, and take the error."""
    with pytest.raises(ResetByPeerError):
        operation.get_results()


@pytest.mark.parametrize(
    "look",
    [
        lambda operation: outcome(ensureDeferred(waiting_for(operation))),
        lambda operation: operation.addErrback(lambda failure: None),
        look_at_results,
        lambda operation: setattr(operation, "completed", lambda op, status: None),
        lambda operation: operation.error_code,
        lambda operation: operation.close(),
    ],
    ids=["await", "addErrback", "get_results", "completed", "error_code", "close"],
)
def test_a_failure_that_somebody_looked_at_is_not_logged(look, logged) -> None:
    """In any of the ways there are."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(reset())
    look(operation)
    del operation
    assert logged() == []


def test_looking_at_the_status_is_not_looking_at_the_failure(logged) -> None:
    """It tells that something failed, not what."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(reset())
    assert operation.status is AsyncStatus.ERROR
    assert operation.wait(0) is AsyncStatus.ERROR
    del operation
    assert len(logged()) == 1


def test_a_failure_that_was_looked_at_may_still_pass_through_callbacks(logged) -> None:
    """Which do not make it unknown again."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(reset())
    outcome(ensureDeferred(waiting_for(operation)))
    operation.addBoth(lambda result: result)
    del operation
    assert logged() == []


def test_a_new_error_of_a_callback_is_logged_although_the_failure_was_looked_at(logged) -> None:
    """It is another one."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(reset())
    assert operation.error_code == reset().hresult
    operation.addErrback(lambda failure: 1 // 0)
    del operation
    ((_, problem),) = logged()
    assert isinstance(problem, ZeroDivisionError)


def test_a_failure_that_was_looked_at_through_one_operation_is_unknown_in_another(logged) -> None:
    """A step that the library looked at is not the operation that the program forgot."""
    problem = reset()
    step: AsyncOperation[int] = AsyncOperation.from_error(problem)
    with pytest.raises(ResetByPeerError):
        step.get_results()
    AsyncOperation.from_error(problem)
    assert [error for _, error in logged()] == [problem]
