"""Operations: all the ways to wait for one."""

from __future__ import annotations

import asyncio
import threading
import traceback

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.python import threadable

from tests.foundation.operations import end, ended, outcome, reset, waiting_for
from winsockets.errors import (
    IllegalMethodCallError,
    OperationCanceledError,
    ResetByPeerError,
    SocketException,
)
from winsockets.foundation import AsyncOperation, AsyncStatus

STARTED, COMPLETED, CANCELED, ERROR = AsyncStatus


# Awaiting


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_awaiting_gives_the_result_every_time(late: bool) -> None:
    """Before the end and after it, more than once, and in several coroutines."""
    operation: AsyncOperation[str] = AsyncOperation()

    async def twice() -> tuple[str, str]:
        return await operation, await operation

    early = [] if late else [ensureDeferred(twice()), ensureDeferred(twice())]
    operation.callback("result")
    for waiting in (*early, ensureDeferred(twice())):
        assert outcome(waiting) == ("result", "result")


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_awaiting_a_failure_raises_the_same_error_every_time(late: bool, logged) -> None:
    """Also for a second coroutine that waits."""
    problem = reset()
    operation: AsyncOperation[str] = AsyncOperation()

    async def twice() -> list[BaseException]:
        caught = []
        for _ in range(2):
            try:
                await operation
            except SocketException as error:
                caught.append(error)
        return caught

    early = [] if late else [ensureDeferred(twice()), ensureDeferred(twice())]
    operation.errback(problem)
    for waiting in (*early, ensureDeferred(twice())):
        assert outcome(waiting) == [problem, problem]
    operation = None
    assert logged() == []


@pytest_twisted.ensureDeferred
async def test_an_operation_that_the_reactor_ends_is_awaited_like_a_deferred() -> None:
    """The ordinary case."""
    operation: AsyncOperation[str] = AsyncOperation()
    reactor.callLater(0, operation.callback, "later")
    assert await operation == "later"


def test_the_traceback_of_a_late_await_shows_where_the_failure_came_from() -> None:
    """Every time, and no longer the second time."""

    async def the_culprit() -> None:
        raise KeyError("bug")

    operation = AsyncOperation.run(the_culprit())
    lengths = []
    for _ in range(3):
        with pytest.raises(KeyError) as caught:
            operation.get_results()
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert "the_culprit" in [frame.name for frame in frames]
        lengths.append(len(frames))
    assert len(set(lengths)) == 1


def test_operations_that_share_an_error_do_not_share_a_traceback() -> None:
    """Each of those who wait sees the way to itself, not through all the others."""
    problem = reset()
    operations: list[AsyncOperation] = [AsyncOperation() for _ in range(50)]
    lengths = []

    async def wait(operation: AsyncOperation) -> None:
        try:
            await operation
        except ResetByPeerError as error:
            lengths.append(len(traceback.extract_tb(error.__traceback__)))

    for operation in operations:
        ensureDeferred(wait(operation))
    for operation in operations:
        operation.errback(problem)
    assert len(lengths) == 50
    assert max(lengths) <= lengths[0]


# As a Deferred


def test_callbacks_and_errbacks_work_as_on_any_deferred() -> None:
    """Values pass along the chain."""
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda value: value + 1).addCallback(str)
    operation.callback(1)
    assert outcome(operation) == "2"
    failing: AsyncOperation[int] = AsyncOperation()
    failing.addErrback(lambda failure: failure.trap(ConnectionResetError) and "handled")
    failing.errback(reset())
    assert outcome(failing) == "handled"


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_awaiting_gives_what_the_callbacks_made_of_the_result(late: bool) -> None:
    """As with any Deferred, and every time; ``get_results()`` gives what the operation ended with."""
    operation: AsyncOperation[int] = AsyncOperation()

    async def thrice() -> list[object]:
        return [await operation.addCallback(lambda value: [value]), await operation, await operation]

    waiting = None if late else ensureDeferred(thrice())
    operation.callback(7)
    assert outcome(waiting or ensureDeferred(thrice())) == [[7], [7], [7]]
    assert operation.get_results() == 7
    assert operation.status is COMPLETED


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_awaiting_gives_what_an_errback_made_of_the_failure(late: bool, logged) -> None:
    """A failure that was handled is not raised again, but is still the operation's."""
    operation: AsyncOperation[int] = AsyncOperation()

    async def twice() -> list[object]:
        handled = operation.addErrback(lambda failure: failure.trap(ConnectionResetError) and "handled")
        return [await handled, await operation]

    waiting = None if late else ensureDeferred(twice())
    operation.errback(reset())
    assert outcome(waiting or ensureDeferred(twice())) == ["handled", "handled"]
    assert operation.status is ERROR
    with pytest.raises(ResetByPeerError):
        operation.get_results()
    operation = None
    assert logged() == []


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
@pytest.mark.parametrize("nothing", [None, 0, ""])
def test_a_callback_may_make_nothing_of_it(nothing: object, late: bool) -> None:
    """None is a result like any other."""
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda value: nothing)
    waiting = [] if late else [ensureDeferred(waiting_for(operation)) for _ in range(2)]
    operation.callback(7)
    waiting.append(ensureDeferred(waiting_for(operation)))
    assert [deferred.result for deferred in waiting] == [nothing] * len(waiting)


def test_a_coroutine_that_waits_leaves_the_result_to_callbacks_after_it() -> None:
    """It sees what those before it made of it."""
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda value: value + 1)
    first = ensureDeferred(waiting_for(operation))
    operation.addCallback(lambda value: value * 10)
    second = ensureDeferred(waiting_for(operation))
    operation.callback(1)
    operation.addCallback(str)
    assert (outcome(first), outcome(second)) == (2, 20)
    assert outcome(ensureDeferred(waiting_for(operation))) == "20"


def test_a_coroutine_that_was_waiting_can_add_callbacks_and_wait_for_them() -> None:
    """Though it is itself woken by a callback."""
    operation: AsyncOperation[int] = AsyncOperation()

    async def work() -> list[object]:
        first = await operation
        return [first, await operation.addCallback(lambda value: value + 1), await operation]

    together = [ensureDeferred(work()), ensureDeferred(waiting_for(operation))]
    operation.callback(1)
    assert [deferred.result for deferred in together] == [[1, 2, 2], 1]


def test_a_coroutine_that_waits_leaves_the_failure_to_errbacks_after_it(logged) -> None:
    """It was told, and so they need not be there."""
    for handle in (True, False):
        operation: AsyncOperation[int] = AsyncOperation()
        waiting = ensureDeferred(waiting_for(operation))
        if handle:
            operation.addErrback(lambda failure: "handled")
        operation.errback(reset())
        assert isinstance(outcome(waiting), ResetByPeerError)
        if handle:
            assert outcome(operation) == "handled"
        del operation, waiting
    assert logged() == []


def test_the_error_of_a_callback_behind_a_coroutine_that_waits_is_still_reported(logged) -> None:
    """The coroutine was not told of that one."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = ensureDeferred(waiting_for(operation))
    operation.addErrback(lambda failure: 1 // 0)
    operation.errback(reset())
    assert isinstance(outcome(waiting), ResetByPeerError)
    del operation, waiting
    ((_, problem),) = logged()
    assert isinstance(problem, ZeroDivisionError)


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_the_error_of_a_callback_is_raised_to_whoever_awaits(late: bool, logged) -> None:
    """As everywhere in Twisted, and it is then not reported as unhandled."""
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda value: value // 0)
    waiting = None if late else ensureDeferred(waiting_for(operation))
    operation.callback(7)
    assert isinstance(outcome(waiting or ensureDeferred(waiting_for(operation))), ZeroDivisionError)
    assert operation.get_results() == 7
    del operation, waiting
    assert logged() == []


def test_the_error_of_a_callback_that_nobody_hears_of_is_reported_by_twisted(logged) -> None:
    """It is an ordinary unhandled error in a Deferred."""
    operation: AsyncOperation[int] = AsyncOperation.from_result(7)
    operation.addCallback(lambda value: value // 0)
    assert operation.get_results() == 7
    del operation
    ((_, problem),) = logged()
    assert isinstance(problem, ZeroDivisionError)


def test_inline_callbacks_yield_operations() -> None:
    """The older way to write a coroutine."""

    @defer.inlineCallbacks
    def steps(first: AsyncOperation, second: AsyncOperation):
        value = yield first
        try:
            yield second
        except ResetByPeerError:
            return value

    pending: AsyncOperation[int] = AsyncOperation()
    waiting = steps(pending, AsyncOperation.from_error(reset()))
    pending.callback(7)
    assert outcome(waiting) == 7
    assert outcome(steps(pending, AsyncOperation.from_error(reset()))) == 7


def test_yield_from_works_too() -> None:
    """For generators that pass their waiting on."""

    @defer.inlineCallbacks
    def steps(operation: AsyncOperation):
        return (yield from operation)

    operation: AsyncOperation[int] = AsyncOperation()
    waiting = steps(operation)
    operation.callback(7)
    assert outcome(waiting) == 7


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_add_timeout_cancels_when_the_time_is_up(late: bool, logged) -> None:
    """Whoever awaits gets Twisted's TimeoutError, whenever that is; the operation itself was cancelled."""
    clock = task.Clock()
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addTimeout(5, clock)
    waiting = None if late else ensureDeferred(waiting_for(operation))
    clock.advance(4.9)
    assert operation.status is STARTED
    clock.advance(0.2)
    assert operation.status is CANCELED
    assert isinstance(outcome(waiting or ensureDeferred(waiting_for(operation))), defer.TimeoutError)
    with pytest.raises(OperationCanceledError):
        operation.get_results()
    del operation, waiting
    assert logged() == []


def test_add_timeout_leaves_nothing_behind_when_the_operation_is_in_time() -> None:
    """No delayed call, and the result passes."""
    clock = task.Clock()
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addTimeout(5, clock)
    operation.callback(7)
    assert clock.getDelayedCalls() == []
    assert outcome(operation) == 7


def test_deferred_list_and_gather_results_take_operations() -> None:
    """As they take Deferreds."""
    operations: list[AsyncOperation[int]] = [
        AsyncOperation(),
        AsyncOperation.from_result(2),
        AsyncOperation(),
    ]
    together = defer.gatherResults(operations)
    apart = defer.DeferredList([AsyncOperation.from_error(reset()), operations[1]], consumeErrors=True)
    operations[2].callback(3)
    operations[0].callback(1)
    assert outcome(together) == [1, 2, 3]
    (failed, failure), done = outcome(apart)  # type: ignore[misc]
    assert not failed
    assert failure.check(ResetByPeerError)
    assert done == (True, 2)


def test_cancelling_what_gathers_cancels_the_operations() -> None:
    """Twisted passes it on."""
    operations: list[AsyncOperation[int]] = [AsyncOperation(), AsyncOperation()]
    together = defer.gatherResults(operations, consumeErrors=True)
    together.cancel()
    assert [operation.status for operation in operations] == [CANCELED, CANCELED]
    assert isinstance(outcome(together), defer.FirstError)


@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
@pytest.mark.parametrize("how", ["completed", "failed"])
def test_a_callback_of_another_deferred_may_return_an_operation(how: str, late: bool, logged) -> None:
    """The other one goes on with its outcome; the operation still knows it."""
    operation: AsyncOperation[int] = AsyncOperation()
    other: Deferred[None] = Deferred()
    other.addCallback(lambda _: operation)
    if not late:
        other.callback(None)
        assert outcome(other) is None
    end(operation, how)
    if late:
        other.callback(None)
    result = outcome(other)
    if how == "completed":
        assert operation.get_results() == 7
        assert result == (7 if late else None)
    else:
        with pytest.raises(ResetByPeerError):
            operation.get_results()
    operation = other = result = None
    assert logged() == []


def test_an_operation_waits_for_what_its_callback_returned() -> None:
    """Its own outcome is there already; awaiting and cancelling reach what it waits for."""
    inner: AsyncOperation[int] = AsyncOperation()
    operation: AsyncOperation[int] = AsyncOperation()
    operation.addCallback(lambda _: inner)
    operation.callback(7)
    waiting = ensureDeferred(waiting_for(operation))
    assert operation.get_results() == 7
    assert outcome(waiting) is None
    operation.cancel()
    assert inner.status is CANCELED
    assert operation.status is COMPLETED


def test_ensure_deferred_returns_the_operation() -> None:
    """It is one already, and asyncio does not take it for a future of its own."""
    operation: AsyncOperation[int] = AsyncOperation()
    assert ensureDeferred(operation) is operation
    assert not asyncio.isfuture(operation)


# Blocking


@pytest.mark.parametrize("how", ["completed", "failed"])
def test_get_and_wait_after_the_end_work_in_any_thread(how: str) -> None:
    """There is nothing to wait for."""
    operation = ended(how)
    if how == "completed":
        assert operation.wait(0) is COMPLETED
        assert operation.get() == 7
    else:
        assert operation.wait(0) is ERROR
        with pytest.raises(ResetByPeerError):
            operation.get()


def test_get_and_wait_before_the_end_are_refused_in_the_reactors_thread() -> None:
    """They would wait for themselves."""
    operation: AsyncOperation[int] = AsyncOperation()
    for block in (operation.get, lambda: operation.wait(0), lambda: operation.wait(None)):
        with pytest.raises(IllegalMethodCallError, match="reactor's thread"):
            block()


def test_get_is_refused_in_the_main_thread_of_a_program_that_has_not_run_the_reactor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plain script would hang there for ever."""
    monkeypatch.setattr(threadable, "ioThread", None)
    operation: AsyncOperation[int] = AsyncOperation()
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(IllegalMethodCallError, match="yet to run"):
        operation.get()


class EndsWhenWaitedFor(AsyncOperation):
    """Ends in the reactor's next turn after somebody began to wait."""

    def addBoth(self, *args, **kwargs):
        reactor.callLater(0, self.how)
        return super().addBoth(*args, **kwargs)


@pytest_twisted.ensureDeferred
async def test_get_in_another_thread_blocks_until_the_end() -> None:
    """And returns the result or raises the error."""
    operation = EndsWhenWaitedFor()
    operation.how = lambda: operation.callback(7)
    assert await deferToThread(operation.get) == 7
    failing = EndsWhenWaitedFor()
    failing.how = lambda: failing.errback(reset())
    with pytest.raises(ResetByPeerError):
        await deferToThread(failing.get)


@pytest_twisted.ensureDeferred
async def test_wait_in_another_thread_blocks_until_the_end_and_gives_the_status() -> None:
    """However it ends; the failure is left for whoever looks at it."""
    operation = EndsWhenWaitedFor()
    operation.how = operation.cancel
    assert await deferToThread(operation.wait, None) is CANCELED
    with pytest.raises(OperationCanceledError):
        operation.get_results()


@pytest_twisted.ensureDeferred
async def test_wait_in_another_thread_blocks_no_longer_than_it_is_told() -> None:
    """STARTED says that the time was up; the operation goes on."""
    operation: AsyncOperation[int] = AsyncOperation()
    assert await deferToThread(operation.wait, 0) is STARTED
    operation.callback(7)
    assert await deferToThread(operation.wait, 0) is COMPLETED
    assert await operation == 7
