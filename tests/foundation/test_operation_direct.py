"""Operations that one coroutine awaits and nobody else looks at go a shorter way; nobody can tell."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from twisted.internet import defer
from twisted.internet.defer import AlreadyCalledError, Deferred, ensureDeferred, inlineCallbacks

from tests.foundation.operations import end, in_asyncio_task, outcome, reset, waiting_for
from winsockets.errors import IllegalMethodCallError, OperationCanceledError, ResetByPeerError
from winsockets.foundation import AsyncOperation, AsyncOperationWithProgress, AsyncStatus

STARTED, COMPLETED, CANCELED, ERROR = AsyncStatus


@pytest.fixture(params=[False, True], ids=["usual", "debugging"], autouse=True)
def debugging(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once more with Twisted's debugging of Deferreds, where there is no shorter way."""
    defer.setDebugging(request.param)
    yield
    defer.setDebugging(False)


class Holder:
    """Holds one operation back, and may end it when somebody waits."""

    def __init__(self, how: str | None = None) -> None:
        self.operation: AsyncOperation[int] = AsyncOperation()
        self.operation.holder = self
        self.released = 0
        self._how = how

    def release(self) -> None:
        """Somebody waits."""
        self.released += 1
        if self._how is not None and not self.operation.called:
            end(self.operation, self._how)


def pending() -> tuple[AsyncOperation[int], Deferred[int]]:
    """An operation that a coroutine waits for."""
    operation: AsyncOperation[int] = AsyncOperation()
    return operation, ensureDeferred(waiting_for(operation))


@inlineCallbacks
def yielding(operation: AsyncOperation[int]) -> Iterator[object]:
    """As older programs wait."""
    return (yield operation)


WAYS: dict[str, Callable[[AsyncOperation[int]], Deferred[int]]] = {
    "await": lambda operation: ensureDeferred(waiting_for(operation)),
    "yield": yielding,
    "run": lambda operation: AsyncOperation.run(waiting_for(operation)),
}
ways = pytest.mark.parametrize("wait", WAYS.values(), ids=WAYS.keys())


# Who holds work back hears when somebody waits


@ways
@pytest.mark.parametrize("ended", [False, True], ids=["pending", "ended"])
def test_whoever_holds_an_operation_back_hears_of_everybody_who_waits(wait, ended: bool) -> None:
    """Of the first and of the second; also when the operation itself has ended."""
    holder = Holder()
    if ended:
        holder.operation.callback(7)
    first = wait(holder.operation)
    assert holder.released >= 1
    before = holder.released
    second = wait(holder.operation)
    assert holder.released > before
    if not ended:
        holder.operation.callback(7)
    assert (outcome(first), outcome(second)) == (7, 7)


@ways
@pytest.mark.parametrize(("how", "result"), [("completed", int), ("failed", ResetByPeerError)])
def test_an_operation_that_ends_because_somebody_waits_lets_him_go_on_at_once(wait, how, result) -> None:
    """Within the call."""
    holder = Holder(how)
    assert isinstance(outcome(wait(holder.operation)), result)


@in_asyncio_task
async def test_a_task_that_waits_is_heard_of_too() -> None:
    """It goes on without a turn of its loop when the operation ends with that."""
    holder = Holder("completed")
    assert await holder.operation == 7
    assert await holder.operation == 7
    assert holder.released == 2
    failing = Holder("failed")
    with pytest.raises(ResetByPeerError):
        await failing.operation
    assert failing.released == 1


def test_looking_at_an_operation_is_not_waiting_for_it() -> None:
    """Callbacks, gathering, handlers: nobody stands still."""
    holder = Holder("completed")
    operation = holder.operation
    operation.addCallback(lambda value: value)
    operation.completed = lambda *_: None
    assert (operation.status, operation.error_code, operation.called) == (STARTED, 0, False)
    defer.gatherResults([operation])
    assert holder.released == 0


# The one who waits


@ways
def test_a_paused_operation_keeps_whoever_waits_waiting(wait) -> None:
    """Paused before or after he came, before its end or after."""
    for pause_first in (True, False):
        operation: AsyncOperation[int] = AsyncOperation()
        if pause_first:
            operation.pause()
        waiting = wait(operation)
        if not pause_first:
            operation.pause()
        operation.callback(7)
        late = wait(operation)
        assert (waiting.called, late.called) == (False, False)
        operation.unpause()
        assert (outcome(waiting), outcome(late)) == (7, 7)
    operation.pause()
    late = wait(operation)
    assert not late.called
    operation.unpause()
    assert outcome(late) == 7


@ways
def test_callbacks_can_be_added_behind_the_end_of_an_awaited_operation(wait) -> None:
    """They get the result, and whoever awaits it then gets theirs."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = wait(operation)
    operation.callback(7)
    assert outcome(waiting) == 7
    assert outcome(operation.addCallback(lambda value: value + 1)) == 8
    operation = AsyncOperation.from_result(7)
    operation.addCallback(lambda value: value + 1)
    assert outcome(wait(operation)) == 8
    assert operation.get_results() == 7


@ways
def test_callbacks_added_while_somebody_waits_come_after_him(wait) -> None:
    """In the order of coming."""
    operation: AsyncOperation[int] = AsyncOperation()
    order = []
    wait(operation).addCallback(lambda value: order.append(("first", value)))
    operation.addCallback(lambda value: order.append(("callback", value)) or value + 1)
    wait(operation).addCallback(lambda value: order.append(("second", value)))
    operation.callback(7)
    assert order == [("first", 7), ("callback", 7), ("second", 8)]


@ways
def test_many_may_wait(wait) -> None:
    """They go on in the order in which they came, one after the other."""
    operation: AsyncOperation[int] = AsyncOperation()
    order: list[tuple[int, int]] = []
    for number in range(50):
        wait(operation).addCallback(lambda value, number=number: order.append((number, value)))
    operation.callback(7)
    assert order == [(number, 7) for number in range(50)]


@ways
@pytest.mark.parametrize("late", [False, True], ids=["pending", "ended"])
def test_an_awaited_operation_may_be_returned_to_another_deferred(wait, late: bool) -> None:
    """Whoever waits keeps his place, and both get the result."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = wait(operation)
    if late:
        operation.callback(7)
    other: Deferred[object] = Deferred()
    other.addCallback(lambda _: operation)
    other.callback(None)
    if not late:
        assert outcome(other) is None
        operation.callback(7)
    assert outcome(waiting) == 7
    assert operation.get_results() == 7
    if late:
        assert outcome(other) == 7


@ways
def test_a_cancelled_operation_tells_whoever_waits(wait, logged) -> None:
    """After the canceller has taken back what was queued."""
    taken_back: list[object] = []
    operation: AsyncOperation[int] = AsyncOperation(taken_back.append)
    waiting = wait(operation)
    operation.cancel()
    assert taken_back == [operation]
    assert isinstance(outcome(waiting), OperationCanceledError)
    assert operation.status is CANCELED
    operation.callback(7)
    assert operation.status is CANCELED
    assert logged() == []


@ways
def test_a_failure_reaches_whoever_waits_and_nobody_else(wait, logged) -> None:
    """It counts as heard of."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = wait(operation)
    operation.errback(reset())
    assert isinstance(outcome(waiting), ResetByPeerError)
    assert operation.status is ERROR
    del operation
    assert logged() == []


@ways
def test_completed_is_called_before_whoever_waits_goes_on_though_it_was_set_later(wait) -> None:
    """He finds that it was called."""
    operation: AsyncOperation[int] = AsyncOperation()
    order: list[object] = []
    wait(operation).addCallback(lambda _: order.append("goes on"))
    operation.completed = lambda sender, status: order.append((sender is operation, status))
    operation.callback(7)
    assert order == [(True, COMPLETED), "goes on"]


@ways
def test_progress_set_while_somebody_waits_is_heard(wait) -> None:
    """Before the end."""
    operation: AsyncOperationWithProgress[int, int] = AsyncOperationWithProgress()
    order: list[object] = []
    wait(operation).addCallback(lambda _: order.append("goes on"))
    operation.progress = lambda sender, value: order.append(value)
    operation.report(3)
    operation.callback(7)
    assert order == [3, "goes on"]


@ways
def test_an_error_of_whoever_waits_is_his_own(wait) -> None:
    """The producer and the others do not hear of it."""

    async def fail() -> None:
        await operation
        raise KeyError("bug")

    operation: AsyncOperation[int] = AsyncOperation()
    failing = ensureDeferred(fail())
    waiting = wait(operation)
    operation.callback(7)
    assert isinstance(outcome(failing), KeyError)
    assert outcome(waiting) == 7


@ways
@pytest.mark.parametrize("looked_at", [False, True], ids=["awaited only", "with a callback"])
def test_an_operation_that_is_kept_lets_go_of_whoever_waited(wait, looked_at: bool) -> None:
    """What goes on afterwards is not its business."""
    operation: AsyncOperation[int] = AsyncOperation()
    waiting = weakref.ref(wait(operation))
    if looked_at:
        operation.addCallback(lambda value: value)
    gc.collect()
    assert waiting() is not None
    operation.callback(7)
    gc.collect()
    assert waiting() is None


@ways
def test_an_awaited_operation_ends_once(wait) -> None:
    """Whoever waits may not end it either."""
    operation, _ = pending()
    waiting = wait(operation)
    operation.callback(7)
    for again in (lambda: operation.callback(8), lambda: operation.errback(reset())):
        with pytest.raises(AlreadyCalledError):
            again()
    assert outcome(waiting) == 7


@pytest.mark.parametrize("awaited", [False, True], ids=["not awaited", "awaited"])
def test_a_closed_operation_cannot_be_awaited(awaited: bool) -> None:
    """Its results were given up."""
    operation, waiting = pending()
    if not awaited:
        operation, waiting = AsyncOperation(), None
    operation.callback(7)
    assert waiting is None or outcome(waiting) == 7
    operation.close()
    assert isinstance(outcome(ensureDeferred(waiting_for(operation))), IllegalMethodCallError)
