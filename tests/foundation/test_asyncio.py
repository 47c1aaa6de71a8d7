"""Operations in asyncio tasks: awaited, cancelled, gathered, and mixed with Twisted's coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet import defer, task
from twisted.internet.defer import Deferred, ensureDeferred

import winsockets
from tests.foundation.operations import in_asyncio_task, outcome, reset, waiting_for
from winsockets.errors import OperationAbortedError, OperationCanceledError, ResetByPeerError
from winsockets.foundation import AsyncOperation, AsyncStatus

STARTED, COMPLETED, CANCELED, ERROR = AsyncStatus


async def turns(count: int = 3) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def started(awaitable) -> asyncio.Task:
    """A task that has come to the point where it waits."""
    waiting = asyncio.get_running_loop().create_task(waiting_for(awaitable))
    await turns()
    assert not waiting.done()
    return waiting


# Awaiting


@in_asyncio_task
async def test_a_task_awaits_an_operation() -> None:
    """It goes on in a later turn of the loop than the one in which the operation ended."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = await started(operation)
    operation.callback(7)
    assert not waiting.done()
    assert await waiting == 7


@in_asyncio_task
async def test_a_task_gets_what_ended_outside_of_tasks_before_anybody_can_cancel_it() -> None:
    """What a read has taken from its stream would be lost."""
    loop = asyncio.get_running_loop()
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = await started(operation)
    in_time: list[bool] = []
    loop.call_soon(operation.callback, 7)
    loop.call_soon(lambda: in_time.append(waiting.cancel()))
    assert await waiting == 7
    assert in_time == [False]


@in_asyncio_task
async def test_an_operation_may_end_in_the_context_of_the_task_that_waits() -> None:
    """A context cannot be entered twice; the task goes on in a later turn."""
    loop = asyncio.get_running_loop()
    operation: AsyncOperation[int] = AsyncOperation()
    context = contextvars.copy_context()
    waiting = loop.create_task(waiting_for(operation), context=context)
    await turns()
    loop.call_soon(operation.callback, 7, context=context)
    assert await waiting == 7


@in_asyncio_task
async def test_several_tasks_get_what_ended_outside_of_tasks() -> None:
    """Also what the callbacks make of it."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = [await started(operation), await started(operation)]
    operation.addCallback(lambda number: number + 1)
    waiting.append(await started(operation))
    asyncio.get_running_loop().call_soon(operation.callback, 7)
    assert await asyncio.gather(*waiting) == [8, 8, 8]


@in_asyncio_task
async def test_an_operation_that_has_ended_does_not_give_up_the_turn() -> None:
    """Nothing else runs in between."""
    order: list[str] = []
    asyncio.get_running_loop().call_soon(order.append, "another")
    assert await AsyncOperation.from_result(7) == 7
    order.append("this")
    await turns()
    assert order == ["this", "another"]


@in_asyncio_task
async def test_several_tasks_await_one_operation_and_each_more_than_once() -> None:
    """All get the result."""
    operation: AsyncOperation[int] = AsyncOperation()

    async def twice() -> int:
        return await operation + await operation

    waiting = [asyncio.ensure_future(twice()) for _ in range(3)]
    await turns()
    operation.callback(7)
    assert await asyncio.gather(*waiting) == [14, 14, 14]
    assert await operation == 7


@in_asyncio_task
async def test_a_failure_is_raised_in_every_task_and_not_logged(logged) -> None:
    """The same error."""
    problem = reset()
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = [await started(operation), await started(operation)]
    operation.errback(problem)
    assert await asyncio.gather(*waiting, return_exceptions=True) == [problem, problem]
    with pytest.raises(ResetByPeerError):
        await operation
    del operation
    assert logged() == []


@in_asyncio_task
async def test_the_context_of_the_task_is_kept() -> None:
    """Context variables survive the waiting."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
    operation: AsyncOperation[None] = AsyncOperation()

    async def work() -> str:
        variable.set("inside")
        await operation
        return variable.get()

    waiting = asyncio.ensure_future(work())
    await turns()
    operation.callback(None)
    assert await waiting == "inside"
    assert variable.get() == "outside"


@in_asyncio_task
async def test_what_an_operation_waits_for_by_its_callbacks_is_waited_for() -> None:
    """As with Twisted's own coroutines."""
    inner: Deferred[None] = Deferred()
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda _: inner)
    waiting = await started(operation)
    operation.callback(7)
    await turns()
    assert not waiting.done()
    inner.callback("what it found")
    assert await waiting == "what it found"
    assert operation.get_results() == 7


@in_asyncio_task
async def test_what_callbacks_make_of_an_operation_is_awaited_every_time() -> None:
    """As in Twisted's own coroutines; a failure that was handled is not raised."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = [await started(operation.addCallback(lambda value: [value])), await started(operation)]
    operation.callback(7)
    assert [await task for task in waiting] == [[7], [7]]
    assert await operation == [7]
    failing: AsyncOperation[int] = AsyncOperation()
    waiting = [await started(failing.addErrback(lambda failure: "handled"))]
    failing.errback(reset())
    assert await waiting[0] == "handled"
    assert await failing == "handled"


@in_asyncio_task
async def test_a_timeout_of_twisteds_is_raised_in_the_task(logged) -> None:
    """``addTimeout`` means the same in both worlds."""
    clock = task.Clock()
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addTimeout(5, clock)
    waiting = await started(operation)
    clock.advance(5)
    with pytest.raises(defer.TimeoutError):
        await waiting
    assert operation.status is CANCELED
    del operation, waiting
    assert logged() == []


# With asyncio's own functions


@in_asyncio_task
async def test_gather_takes_operations() -> None:
    """Beside coroutines."""
    operations: list[AsyncOperation[int]] = [AsyncOperation(), AsyncOperation.from_result(2)]
    together = asyncio.gather(*operations, asyncio.sleep(0, 3))
    await turns()
    operations[0].callback(1)
    assert await together == [1, 2, 3]


@in_asyncio_task
async def test_ensure_future_wraps_an_operation() -> None:
    """It is an awaitable, and not taken for a future."""
    operation: AsyncOperation[int] = AsyncOperation()
    future = asyncio.ensure_future(operation)
    assert isinstance(future, asyncio.Task)
    await turns()
    operation.callback(7)
    assert await future == 7


@in_asyncio_task
async def test_wait_for_gives_the_result_in_time() -> None:
    """And leaves the operation alone."""
    operation: AsyncOperation[int] = AsyncOperation()
    asyncio.get_running_loop().call_soon(operation.callback, 7)
    assert await asyncio.wait_for(operation, 60) == 7


@in_asyncio_task
async def test_wait_for_cancels_the_operation_when_the_time_is_up(logged) -> None:
    """It waits for the end, and raises asyncio's TimeoutError."""
    operation: AsyncOperation[int] = AsyncOperation()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(operation, 0.001)
    assert operation.status is CANCELED
    del operation
    assert logged() == []


@in_asyncio_task
async def test_a_shielded_operation_goes_on_without_the_task() -> None:
    """``asyncio.shield`` keeps the cancellation away from it."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = await started(asyncio.shield(operation))
    waiting.cancel()
    await turns()
    assert waiting.cancelled()
    assert operation.status is STARTED
    operation.callback(7)
    assert await operation == 7


# Cancelling


@in_asyncio_task
async def test_cancelling_the_task_cancels_the_operation(logged) -> None:
    """What was queued is taken back, and the task ends as cancelled."""
    taken_back: list[object] = []
    operation: AsyncOperation[int] = AsyncOperation(taken_back.append)
    waiting = await started(operation)
    waiting.cancel("no longer needed")
    assert taken_back == [operation]
    assert operation.status is CANCELED
    with pytest.raises(asyncio.CancelledError) as caught:
        await waiting
    assert waiting.cancelled()
    assert caught.value.args == ("no longer needed",)
    taken_back.clear()
    del operation, waiting, caught
    assert logged() == []


@pytest.mark.parametrize(
    "end",
    [
        lambda operation: operation.errback(OperationAbortedError("read: aborted")),
        lambda operation: operation.callback(3),
    ],
    ids=["aborted", "completed"],
)
@in_asyncio_task
async def test_the_task_is_cancelled_however_the_operation_ends(end, logged) -> None:
    """A cancellation is not swallowed."""
    waiting = await started(AsyncOperation(end))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    assert logged() == []


def tidying_operation(tidying: Deferred[None]) -> AsyncOperation[None]:
    """An operation that, cancelled, ends when it has tidied up."""

    async def work() -> None:
        try:
            await Deferred()
        except defer.CancelledError:
            await tidying
            raise

    return AsyncOperation.run(work())


@in_asyncio_task
async def test_a_cancelled_task_waits_for_the_end_of_the_operation() -> None:
    """Nothing is left under way when the task has ended."""
    tidying: Deferred[None] = Deferred()
    operation = tidying_operation(tidying)
    waiting = await started(operation)
    waiting.cancel()
    await turns()
    assert not waiting.done()
    tidying.callback(None)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert operation.status is CANCELED


@in_asyncio_task
async def test_a_task_that_is_cancelled_again_gives_up_waiting(logged) -> None:
    """The operation goes on; a failure that comes later is logged, as there is nobody else to tell."""
    problem = reset()
    tidying: Deferred[None] = Deferred()
    operation = tidying_operation(tidying)
    waiting = await started(operation)
    for _ in range(3):
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert operation.status is STARTED
    tidying.errback(problem)
    assert operation.status is ERROR
    del operation, tidying, waiting
    await turns()
    assert [error for _, error in logged()] == [problem]


@in_asyncio_task
async def test_a_cancel_between_the_end_of_the_operation_and_the_next_turn_counts() -> None:
    """The task was about to be woken, and must not miss it."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = await started(operation)
    operation.callback(7)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert operation.get_results() == 7


@in_asyncio_task
async def test_a_task_that_catches_its_cancellation_can_wait_again() -> None:
    """The operation has ended by then, and says how."""
    operation: AsyncOperation[int] = AsyncOperation(lambda op: op.errback(OperationAbortedError("aborted")))

    async def stubborn() -> str:
        try:
            await operation
        except asyncio.CancelledError:
            with pytest.raises(OperationAbortedError):
                await operation
            return "told"
        return "not reached"

    waiting = asyncio.ensure_future(stubborn())
    await turns()
    waiting.cancel()
    assert await waiting == "told"


@in_asyncio_task
async def test_cancelling_one_of_two_tasks_cancels_the_operation_for_both() -> None:
    """There is one operation; the other task is told so, but is not cancelled itself."""
    operation: AsyncOperation[int] = AsyncOperation()
    first, second = await started(operation), await started(operation)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(OperationCanceledError):
        await second
    assert not second.cancelled()


# Mixed with Twisted


@in_asyncio_task
async def test_a_coroutine_of_twisteds_may_be_started_within_a_task() -> None:
    """It is driven by Twisted, and goes on without waiting for the loop's next turn."""
    operation: AsyncOperation[int] = AsyncOperation()

    async def work() -> int:
        return await operation + await operation

    running = ensureDeferred(work())
    operation.callback(7)
    assert outcome(running) == 14


@in_asyncio_task
async def test_an_operation_over_a_coroutine_may_be_run_and_awaited_in_a_task() -> None:
    """What the library does under a task of the program."""
    inner: AsyncOperation[int] = AsyncOperation()
    waiting = await started(AsyncOperation.run(waiting_for(inner)))
    inner.callback(7)
    assert await waiting == 7


@in_asyncio_task
async def test_the_cancel_of_a_task_goes_through_to_the_innermost_operation() -> None:
    """Through everything in between."""
    inner: AsyncOperation[int] = AsyncOperation()
    outer = AsyncOperation.run(waiting_for(AsyncOperation.run(waiting_for(inner))))
    waiting = await started(outer)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (inner.status, outer.status) == (CANCELED, CANCELED)


@in_asyncio_task
async def test_a_coroutine_of_twisteds_within_a_task_is_cancelled_as_anywhere() -> None:
    """Once, and once more while it tidies up."""
    tidying: AsyncOperation[None] = AsyncOperation()
    operation = AsyncOperation.run(waiting_for(tidying_operation(tidying)))
    operation.cancel()
    assert operation.status is STARTED
    assert tidying.status is STARTED
    operation.cancel()
    assert tidying.status is CANCELED
    assert operation.status is CANCELED
    operation.addErrback(lambda failure: None)


@in_asyncio_task
async def test_a_coroutine_that_a_callback_of_the_loop_starts_waits_without_a_task() -> None:
    """A loop runs, but no task: the ordinary case on an asyncio reactor."""
    operation: AsyncOperation[int] = AsyncOperation()
    running: list[Deferred[int]] = []
    asyncio.get_running_loop().call_soon(lambda: running.append(ensureDeferred(waiting_for(operation))))
    await turns()
    operation.callback(7)
    assert outcome(running[0]) == 7


@in_asyncio_task
async def test_as_future_and_from_future_lead_from_one_world_to_the_other() -> None:
    """They are Deferred's own."""
    loop = asyncio.get_running_loop()
    operation: AsyncOperation[int] = AsyncOperation()
    future = operation.asFuture(loop)
    operation.callback(7)
    assert await future == 7
    back = AsyncOperation.run(waiting_for(Deferred.fromFuture(loop.create_task(asyncio.sleep(0, 8)))))
    assert await back == 8


@in_asyncio_task
async def test_a_cancelled_future_within_a_coroutine_cancels_its_operation(logged) -> None:
    """The cancellation of asyncio becomes ours."""
    future = asyncio.get_running_loop().create_future()
    operation = AsyncOperation.run(waiting_for(Deferred.fromFuture(future)))
    future.cancel()
    await turns()
    assert operation.status is CANCELED
    del operation
    assert logged() == []


PROGRAM = """
import asyncio
from twisted.internet import asyncioreactor

loop = asyncio.new_event_loop()
asyncioreactor.install(loop)
from twisted.internet import reactor
from winsockets.foundation import AsyncOperation

async def main():
    operation = AsyncOperation()
    reactor.callLater(0, operation.callback, "in a task")
    print(await operation)
    never = AsyncOperation()
    try:
        await asyncio.wait_for(never, 0.001)
    except asyncio.TimeoutError:
        print(never.status.name)
    blocked = AsyncOperation()
    reactor.callLater(0, blocked.callback, "in a thread")
    print(await asyncio.to_thread(blocked.get))
    reactor.stop()

reactor.callWhenRunning(lambda: loop.create_task(main()))
reactor.run()
loop.close()
"""


def test_a_program_of_asyncio_tasks_runs_on_the_asyncio_reactor() -> None:
    """From end to end, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(winsockets.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert (done.stdout.split("\n"), done.stderr) == (["in a task", "CANCELED", "in a thread", ""], "")


EXITING_PROGRAM = """
import asyncio
from twisted.internet import asyncioreactor

loop = asyncio.new_event_loop()
asyncioreactor.install(loop)
from twisted.internet import reactor
from winsockets.foundation import AsyncOperation

async def main():
    operation = AsyncOperation()
    reactor.callLater(0, operation.callback, 3)
    raise SystemExit(await operation)

reactor.callWhenRunning(lambda: loop.create_task(main()))
reactor.run()
"""


def test_a_task_that_exits_ends_the_program() -> None:
    """With its status: nobody takes that for a failure of the operation."""
    environment = os.environ | {"PYTHONPATH": str(Path(winsockets.__file__).parents[1])}
    command = [sys.executable, "-c", EXITING_PROGRAM]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env=environment)
    assert done.returncode == 3
