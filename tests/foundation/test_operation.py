"""Operations: how they end, and what they tell about it."""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
import weakref

import pytest
from twisted.internet.defer import AlreadyCalledError, CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

from tests.foundation.operations import end, ended, outcome, reset, waiting_for
from winsockets.errors import (
    E_FAIL,
    E_ILLEGAL_DELEGATE_ASSIGNMENT,
    E_ILLEGAL_STATE_CHANGE,
    ERROR_CANCELLED,
    ERROR_OPERATION_ABORTED,
    S_OK,
    IllegalMethodCallError,
    OperationAbortedError,
    OperationCanceledError,
    ResetByPeerError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, AsyncStatus

STARTED, COMPLETED, CANCELED, ERROR = AsyncStatus


# Status, result, error


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("completed", COMPLETED, S_OK),
        ("failed", ERROR, reset().hresult),
        ("cancelled", CANCELED, ERROR_CANCELLED),
    ],
)
def test_the_status_and_the_error_code_say_how_it_ended(how: str, status: AsyncStatus, code: int) -> None:
    """STARTED and 0 before."""
    assert AsyncOperation().status is STARTED
    assert AsyncOperation().error_code == S_OK
    operation = ended(how)
    assert operation.status is status
    assert operation.error_code == code


def test_the_error_code_of_an_error_without_one_is_e_fail() -> None:
    """A bug in a coroutine, for one."""
    assert AsyncOperation.from_error(KeyError("bug")).error_code == E_FAIL


def test_results_are_refused_before_the_end() -> None:
    """A call at an unexpected time."""
    operation: AsyncOperation[int] = AsyncOperation()
    with pytest.raises(IllegalMethodCallError, match="await it"):
        operation.get_results()
    operation.callback(7)
    assert operation.get_results() == 7


def test_results_of_a_failure_raise_it() -> None:
    """Whether it failed or was cancelled."""
    with pytest.raises(ResetByPeerError) as caught:
        ended("failed").get_results()
    assert caught.value.status is SocketErrorStatus.CONNECTION_RESET_BY_PEER
    with pytest.raises(OperationCanceledError):
        ended("cancelled").get_results()


def test_an_operation_ends_once() -> None:
    """A second end is a mistake of the producer, whatever it is."""
    for how in ("completed", "failed"):
        operation = ended(how)
        operation.addErrback(lambda failure: None)
        for again in (
            lambda op: op.callback(1),
            lambda op: op.errback(reset()),
            lambda op: op.callback(Failure(reset())),
        ):
            with pytest.raises(AlreadyCalledError):
                again(operation)
        assert operation.status is (COMPLETED if how == "completed" else ERROR)


def test_a_failure_given_as_a_result_is_a_failure() -> None:
    """As with Deferreds."""
    operation: AsyncOperation[int] = AsyncOperation()
    operation.callback(Failure(reset()))
    assert operation.status is ERROR
    assert isinstance(outcome(operation), ResetByPeerError)


def test_errback_without_an_argument_takes_the_exception_being_handled() -> None:
    """With its traceback."""
    operation: AsyncOperation[int] = AsyncOperation()
    try:
        raise KeyError("handled")
    except KeyError:
        operation.errback()
    with pytest.raises(KeyError) as caught:
        operation.get_results()
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert 'raise KeyError("handled")' in lines


@pytest.mark.parametrize(
    "cancellation", [CancelledError(), asyncio.CancelledError()], ids=["twisted", "asyncio"]
)
def test_a_bare_cancellation_ends_an_operation_as_canceled(cancellation: BaseException, logged) -> None:
    """Whoever's it is; the exception is ours, and also Twisted's."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(cancellation)
    assert operation.status is CANCELED
    assert operation.error_code == ERROR_CANCELLED
    with pytest.raises(CancelledError) as caught:
        operation.get_results()
    assert isinstance(caught.value, OperationCanceledError)
    assert caught.value.__cause__ is cancellation
    del operation, caught
    assert logged() == []


def test_an_aborted_operation_is_an_error_not_a_cancellation() -> None:
    """WinRT: reads and writes that are cancelled end in ERROR with OPERATION_ABORTED."""
    operation: AsyncOperation[int] = AsyncOperation.from_error(
        OperationAbortedError("read: aborted by close")
    )
    assert operation.status is ERROR
    assert operation.error_code == ERROR_OPERATION_ABORTED
    assert isinstance(outcome(operation), CancelledError)


def test_ids_are_positive_unique_and_stable() -> None:
    """Among the operations of the process."""
    operations: list[AsyncOperation] = [
        AsyncOperation(),
        AsyncOperation.from_result(1),
        AsyncOperationWithProgress(),
    ]
    ids = [operation.id for operation in operations]
    assert all(number > 0 for number in ids)
    assert len(set(ids)) == 3
    assert [operation.id for operation in operations] == ids


# Made at once


def test_an_operation_may_have_ended_from_the_start() -> None:
    """Of whichever kind it is made."""
    for kind in (AsyncOperation, AsyncOperationWithProgress):
        done = kind.from_result(7)
        assert type(done) is kind
        assert (done.status, done.get_results(), outcome(done)) == (COMPLETED, 7, 7)
        failed = kind.from_error(reset())
        assert type(failed) is kind
        assert failed.status is ERROR
        assert isinstance(outcome(failed), ResetByPeerError)
        with pytest.raises(AlreadyCalledError):
            done.callback(8)


def test_a_coroutine_is_started_at_once() -> None:
    """Operations are hot."""
    steps: list[str] = []
    wait: Deferred[int] = Deferred()

    async def work() -> int:
        steps.append("started")
        return await wait + 1

    operation = AsyncOperationWithProgress.run(work())
    assert type(operation) is AsyncOperationWithProgress
    assert steps == ["started"]
    assert operation.status is STARTED
    wait.callback(1)
    assert operation.get_results() == 2


def test_a_coroutine_that_ends_at_once_is_an_operation_that_has_ended() -> None:
    """With its result or its error."""

    async def work(problem: Exception | None) -> int:
        if problem is not None:
            raise problem
        return 7

    assert AsyncOperation.run(work(None)).get_results() == 7
    failed = AsyncOperation.run(work(reset()))
    assert failed.status is ERROR
    with pytest.raises(ResetByPeerError):
        failed.get_results()


def test_only_a_coroutine_can_be_run() -> None:
    """Refused at the call."""
    with pytest.raises(TypeError, match="not a coroutine"):
        AsyncOperation.run(lambda: None)  # type: ignore[arg-type]


# Cancelling


def test_cancelling_without_a_canceller_ends_the_operation() -> None:
    """Whatever its producer then says once is swallowed; a second time is a mistake."""
    for late in (lambda op: op.callback(7), lambda op: op.errback(reset())):
        operation = ended("cancelled")
        operation.addErrback(lambda failure: None)
        late(operation)
        assert operation.status is CANCELED
        with pytest.raises(OperationCanceledError):
            operation.get_results()
        with pytest.raises(AlreadyCalledError):
            late(operation)


def test_a_canceller_gets_the_operation_and_takes_back_what_was_queued() -> None:
    """The operation then ends as canceled."""
    queue: list[AsyncOperation] = []
    operation: AsyncOperation[int] = AsyncOperation(queue.remove)
    queue.append(operation)
    operation.cancel()
    assert queue == []
    assert operation.status is CANCELED
    assert isinstance(outcome(operation), OperationCanceledError)


def test_a_canceller_may_end_the_operation_its_own_way() -> None:
    """With a better error, or with what there is."""
    aborted: AsyncOperation[int] = AsyncOperation(
        lambda op: op.errback(OperationAbortedError("read: aborted"))
    )
    aborted.cancel()
    assert aborted.status is ERROR
    assert isinstance(outcome(aborted), OperationAbortedError)
    partial: AsyncOperation[int] = AsyncOperation(lambda op: op.callback(3))
    partial.cancel()
    assert (partial.status, partial.get_results()) == (COMPLETED, 3)
    with pytest.raises(AlreadyCalledError):
        partial.callback(4)


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_cancelling_after_the_end_does_nothing(how: str) -> None:
    """The canceller is not called either."""
    calls: list[object] = []
    operation: AsyncOperation[int] = AsyncOperation(calls.append)
    end(operation, how)
    calls.clear()
    before = operation.status
    operation.cancel()
    assert operation.status is before
    assert calls == []
    operation.addErrback(lambda failure: None)


def test_cancelling_a_coroutine_reaches_what_it_waits_for() -> None:
    """And the coroutine sees the cancellation where it waits."""
    steps: list[str] = []
    inner: AsyncOperation[int] = AsyncOperation(lambda _: steps.append("taken back"))

    async def work() -> None:
        try:
            await inner
        except CancelledError:
            steps.append("cancelled")
            raise

    operation = AsyncOperation.run(work())
    operation.cancel()
    assert steps == ["taken back", "cancelled"]
    assert inner.status is CANCELED
    assert operation.status is CANCELED
    assert isinstance(outcome(operation), OperationCanceledError)


def test_a_cancelled_coroutine_may_choose_its_error() -> None:
    """What it lets out is what the operation ends with."""

    async def work() -> None:
        try:
            await Deferred()
        except CancelledError as problem:
            raise OperationAbortedError("load: aborted") from problem

    operation = AsyncOperation.run(work())
    operation.cancel()
    assert operation.status is ERROR
    assert isinstance(outcome(operation), OperationAbortedError)


def test_a_cancelled_coroutine_may_tidy_up_before_the_operation_ends() -> None:
    """Cancelling is a request: the operation ends when the work has, however that is."""
    tidying: Deferred[None] = Deferred()

    async def work() -> str:
        try:
            await Deferred()
        except CancelledError:
            await tidying
            raise

    operation = AsyncOperation.run(work())
    operation.cancel()
    assert operation.status is STARTED
    tidying.callback(None)
    assert operation.status is CANCELED
    operation.addErrback(lambda failure: None)


def test_cancelling_again_reaches_what_the_coroutine_waits_for_by_then() -> None:
    """Tidying up can be cut short."""
    tidying: AsyncOperation[None] = AsyncOperation()

    async def work() -> str:
        try:
            await Deferred()
        except CancelledError:
            await tidying
        return "not reached"

    operation = AsyncOperation.run(work())
    operation.cancel()
    operation.cancel()
    assert tidying.status is CANCELED
    assert operation.status is CANCELED
    operation.addErrback(lambda failure: None)


def test_a_coroutine_that_goes_on_after_a_cancel_completes() -> None:
    """It was too late for it to stop."""

    async def work() -> str:
        try:
            await Deferred()
        except CancelledError:
            return "done anyway"
        return "not reached"

    operation = AsyncOperation.run(work())
    operation.cancel()
    assert (operation.status, operation.get_results()) == (COMPLETED, "done anyway")


def test_an_operation_and_its_coroutine_let_go_of_each_other() -> None:
    """Nothing is kept alive by an operation that has ended."""
    wait: Deferred[None] = Deferred()

    class Kept:
        pass

    async def work(kept: Kept) -> None:
        await wait

    kept = Kept()
    seen = weakref.ref(kept)
    operation = AsyncOperation.run(work(kept))
    del kept
    gc.collect()
    assert seen() is not None
    wait.callback(None)
    gc.collect()
    assert seen() is None
    assert operation.status is COMPLETED


# Completed and progress


@pytest.mark.parametrize(
    ("how", "status"), [("completed", COMPLETED), ("failed", ERROR), ("cancelled", CANCELED)]
)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_completed_is_called_once_with_the_operation_and_its_status(
    how: str, status: AsyncStatus, late: bool, logged
) -> None:
    """At the end, or at once when that has passed; who is told has looked at the failure."""
    calls: list[tuple[object, AsyncStatus]] = []
    operation: AsyncOperation[int] = ended(how) if late else AsyncOperation()
    operation.completed = lambda *args: calls.append(args)
    if not late:
        assert calls == []
        end(operation, how)
    assert calls == [(operation, status)]
    calls.clear()
    operation = None
    assert logged() == []


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_completed_is_called_before_the_callbacks(how: str) -> None:
    """Also before those that were there first, and it leaves the outcome to them as it is."""
    order: list[object] = []
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addBoth(order.append)
    operation.completed = lambda op, status: order.append(status)
    end(operation, how)
    assert order == [operation.status, operation._outcome]


def test_whoever_awaits_goes_on_when_completed_was_called() -> None:
    """A program may set it, await the operation, and look at what it noted."""
    order: list[str] = []
    operation: AsyncOperation[int] = AsyncOperation()

    async def wait() -> None:
        assert await operation == 7
        order.append("awaited")

    waiting = Deferred.fromCoroutine(wait())
    operation.completed = lambda op, status: order.append("completed")
    operation.callback(7)
    assert order == ["completed", "awaited"]
    assert waiting.result is None


def test_completed_may_await_and_cancel_the_operation() -> None:
    """It has ended by then: that gives the outcome, or does nothing."""
    results: list[int] = []
    operation: AsyncOperation[int] = AsyncOperation()

    async def on_completed(op: AsyncOperation[int], status: AsyncStatus) -> None:
        op.cancel()
        results.append(await op)

    operation.completed = on_completed
    operation.callback(7)
    assert results == [7]
    assert operation.get_results() == 7


def test_completed_set_by_a_callback_is_called_once() -> None:
    """The operation has ended by then."""
    calls: list[object] = []
    operation: AsyncOperation[int] = AsyncOperation()

    def listen(value: int) -> None:
        operation.completed = lambda *args: calls.append(args)

    operation.addCallback(listen)
    operation.callback(7)
    assert calls == [(operation, COMPLETED)]


def test_completed_is_not_called_again_by_a_late_producer() -> None:
    """After a cancel that nobody took up, what the producer says is swallowed."""
    calls: list[object] = []
    for late in (lambda op: op.callback(7), lambda op: op.errback(reset())):
        operation: AsyncOperation[int] = AsyncOperation()
        operation.completed = lambda *args: calls.append(args)
        operation.cancel()
        late(operation)
        operation.addErrback(lambda failure: None)
    assert len(calls) == 2


def test_completed_can_be_set_once() -> None:
    """E_ILLEGAL_DELEGATE_ASSIGNMENT, as in WinRT; the first one stays."""
    first = lambda op, status: None  # noqa: E731 - it is compared below
    operation: AsyncOperation[int] = AsyncOperation()
    assert operation.completed is None
    operation.completed = first
    with pytest.raises(SocketException) as caught:
        operation.completed = lambda op, status: None
    assert caught.value.hresult == E_ILLEGAL_DELEGATE_ASSIGNMENT
    assert operation.completed is first


def test_a_failing_completed_does_not_reach_the_producer(logged) -> None:
    """It is logged, as the failure of any handler."""
    for late in (False, True):
        operation: AsyncOperation[int] = AsyncOperation()
        if late:
            operation.callback(7)
        operation.completed = lambda op, status: 1 // 0
        if not late:
            operation.callback(7)
        assert operation.get_results() == 7
    assert len(logged()) == 2
    for text, problem in logged():
        assert "AsyncOperation.completed" in text
        assert isinstance(problem, ZeroDivisionError)


def test_completed_may_be_a_coroutine_function() -> None:
    """Handlers may."""
    seen: list[int] = []
    operation: AsyncOperation[int] = AsyncOperation()

    async def on_completed(op: AsyncOperation[int], status: AsyncStatus) -> None:
        seen.append(await op)

    operation.completed = on_completed
    operation.callback(7)
    assert seen == [7]


def test_completed_must_be_callable() -> None:
    """Refused at the assignment."""
    operation: AsyncOperation[int] = AsyncOperation()
    with pytest.raises(TypeError, match="completed"):
        operation.completed = None  # type: ignore[assignment]
    operation.completed = lambda op, status: None


def test_progress_is_reported_to_its_handler() -> None:
    """With the operation and the value; nobody is asked to listen."""
    calls: list[tuple[object, int]] = []
    operation: AsyncOperationWithProgress[bytes, int] = AsyncOperationWithProgress()
    assert operation.progress is None
    operation.report(1)
    operation.progress = lambda *args: calls.append(args)
    operation.report(2)
    operation.report(3)
    assert calls == [(operation, 2), (operation, 3)]
    operation.progress = None
    operation.report(4)
    assert len(calls) == 2
    operation.callback(b"data")


def test_a_failing_progress_does_not_reach_the_producer(logged) -> None:
    """It is logged, as the failure of any handler."""
    operation: AsyncOperationWithProgress[bytes, int] = AsyncOperationWithProgress()
    operation.progress = lambda op, value: 1 // 0
    operation.report(1)
    ((text, problem),) = logged()
    assert "AsyncOperation.progress" in text
    assert isinstance(problem, ZeroDivisionError)


def test_progress_must_be_callable_or_none() -> None:
    """Refused at the assignment."""
    operation: AsyncOperationWithProgress[bytes, int] = AsyncOperationWithProgress()
    with pytest.raises(TypeError, match="progress"):
        operation.progress = "print"  # type: ignore[assignment]


# Closing


def test_closing_before_the_end_is_refused() -> None:
    """E_ILLEGAL_STATE_CHANGE, as in WinRT; the operation goes on."""
    operation: AsyncOperation[int] = AsyncOperation()
    with pytest.raises(SocketException) as caught:
        operation.close()
    assert caught.value.hresult == E_ILLEGAL_STATE_CHANGE
    operation.callback(7)
    assert operation.get_results() == 7


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_a_closed_operation_has_given_up_its_results(how: str, logged) -> None:
    """No member may be used any more; closing again and cancelling do nothing, and nothing is logged."""
    operation = ended(how)
    operation.close()
    operation.close()
    operation.cancel()
    for use in (
        lambda: operation.status,
        lambda: operation.id,
        lambda: operation.error_code,
        lambda: operation.completed,
        lambda: setattr(operation, "completed", print),
        lambda: operation.wait(0),
        operation.get,
        operation.get_results,
    ):
        with pytest.raises(IllegalMethodCallError, match="closed"):
            use()
    assert isinstance(outcome(ensureDeferred(waiting_for(operation))), IllegalMethodCallError)
    operation = use = None
    assert logged() == []


def test_progress_of_a_closed_operation_is_refused_too() -> None:
    """Reading and setting."""
    operation: AsyncOperationWithProgress[int, int] = AsyncOperationWithProgress.from_result(7)
    operation.close()
    with pytest.raises(IllegalMethodCallError):
        operation.progress = print
    with pytest.raises(IllegalMethodCallError):
        operation.progress  # noqa: B018 - reading is the test


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="from Python 3.12 on the frame of a failed coroutine refers to those who ran it",
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_a_failed_coroutine_keeps_its_frames_and_not_those_of_its_callers(late):
    """So that nobody has to wait for the garbage collector: not the caller, not the operation."""

    class Caller:
        pass

    def call(caller):
        wait = Deferred()

        async def fail(caller):
            if late:
                await wait
            raise KeyError("it")

        operation = AsyncOperation.run(fail(caller))
        wait.callback(None)
        frames = traceback.extract_tb(operation._outcome.getTracebackObject())
        assert [frame.name for frame in frames] == ["fail"]
        assert frames == traceback.extract_tb(operation._outcome.value.__traceback__)
        operation.addErrback(lambda _: None)
        return weakref.ref(operation)

    enabled = gc.isenabled()
    gc.disable()
    try:
        caller = Caller()
        operation = call(caller)
        forgotten = weakref.ref(caller)
        del caller
        assert operation() is None
        assert forgotten() is None
    finally:
        if enabled:
            gc.enable()
