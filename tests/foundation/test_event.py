"""Events: who is called, in which order, and what a failure of one costs the others."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from tests.foundation.operations import in_asyncio_task
from winsockets.errors import IllegalMethodCallError, SocketException
from winsockets.foundation import AsyncOperation, Deferral, Event, EventRegistrationToken


class Thing:
    """Something with an event and a record of what its handlers did."""

    def __init__(self, **settings) -> None:
        self.calls: list[object] = []
        self.happened: Event[Thing, str] = Event("Thing.happened", **settings)

    def note(self, name: str):
        """A handler that writes its name down."""
        return lambda sender, args: self.calls.append((name, sender is self, args))

    def on_happened(self, sender: Thing, args: str) -> None:
        """A handler that is a method."""
        self.calls.append(args)


@pytest.fixture
def thing() -> Thing:
    """A fresh one."""
    return Thing()


def test_handlers_are_called_in_the_order_of_attaching(thing: Thing) -> None:
    """Each with the sender and the args."""
    for name in "abc":
        thing.happened.add(thing.note(name))
    thing.happened.fire(thing, "now")
    assert thing.calls == [("a", True, "now"), ("b", True, "now"), ("c", True, "now")]


def test_an_event_is_true_when_somebody_listens(thing: Thing) -> None:
    """So that args are only made for somebody."""
    assert not thing.happened
    token = thing.happened.add(thing.note("a"))
    assert thing.happened
    thing.happened.remove(token)
    assert not thing.happened


def test_firing_without_handlers_does_nothing(thing: Thing) -> None:
    """Nobody has to ask first."""
    thing.happened.fire(thing, "now")


def test_a_token_removes_its_handler_and_no_other(thing: Thing) -> None:
    """Also where one handler is attached twice."""
    handler = thing.note("a")
    first = thing.happened.add(handler)
    second = thing.happened.add(handler)
    assert isinstance(first, EventRegistrationToken)
    assert isinstance(first, int)
    assert first != second
    thing.happened.remove(first)
    thing.happened.fire(thing, "now")
    assert len(thing.calls) == 1


def test_a_token_of_another_event_or_used_twice_is_ignored(thing: Thing) -> None:
    """WinRT does not complain either."""
    other = Thing()
    theirs = other.happened.add(other.note("b"))
    mine = thing.happened.add(thing.note("a"))
    thing.happened.remove(theirs)
    thing.happened.remove(EventRegistrationToken(0))
    thing.happened.fire(thing, "now")
    thing.happened.remove(mine)
    thing.happened.remove(mine)
    assert thing.calls == [("a", True, "now")]


def test_plus_and_minus_attach_and_detach(thing: Thing) -> None:
    """As the original code does; a bound method equals itself."""
    event = thing.happened
    event += thing.on_happened
    assert event is thing.happened
    event.fire(thing, "one")
    event -= thing.on_happened
    event.fire(thing, "two")
    assert thing.calls == ["one"]


def test_minus_takes_the_last_of_equal_handlers(thing: Thing) -> None:
    """As delegates do."""
    event = thing.happened
    event += thing.on_happened
    event += thing.note("between")
    event += thing.on_happened
    event -= thing.on_happened
    event.fire(thing, "now")
    assert thing.calls == ["now", ("between", True, "now")]


def test_minus_of_a_stranger_is_ignored(thing: Thing) -> None:
    """Nothing to detach."""
    event = thing.happened
    event += thing.on_happened
    event -= thing.note("stranger")
    event.fire(thing, "now")
    assert thing.calls == ["now"]


def test_clear_detaches_everybody(thing: Thing) -> None:
    """What a closed object does."""
    thing.happened.add(thing.on_happened)
    thing.happened.add(thing.on_happened)
    thing.happened.clear()
    thing.happened.fire(thing, "now")
    assert thing.calls == []


def test_a_handler_attached_on_the_way_is_called_from_the_next_time_on(thing: Thing) -> None:
    """Otherwise a handler that attaches another could go on for ever."""

    def attach(sender: Thing, args: str) -> None:
        thing.happened.add(thing.note(args))

    thing.happened.add(attach)
    thing.happened.fire(thing, "first")
    assert thing.calls == []
    thing.happened.fire(thing, "second")
    assert thing.calls == [("first", True, "second")]


def test_a_handler_removed_on_the_way_is_called_for_the_last_time(thing: Thing) -> None:
    """Whoever was attached when it happened hears of it."""
    thing.happened.add(lambda sender, args: thing.happened.remove(later))
    later = thing.happened.add(thing.note("later"))
    thing.happened.fire(thing, "first")
    thing.happened.fire(thing, "second")
    assert thing.calls == [("later", True, "first")]


def test_a_handler_may_remove_itself(thing: Thing) -> None:
    """The usual way to listen once."""

    def once(sender: Thing, args: str) -> None:
        thing.happened.remove(token)
        thing.calls.append(args)

    token = thing.happened.add(once)
    thing.happened.fire(thing, "first")
    thing.happened.fire(thing, "second")
    assert thing.calls == ["first"]


@pytest.mark.parametrize("handler", [None, "on_happened", 1], ids=repr)
def test_what_cannot_be_called_is_refused(thing: Thing, handler: object) -> None:
    """At the call that attaches it, with the name of the event."""
    with pytest.raises(TypeError, match=r"Thing\.happened: .* is not callable"):
        thing.happened.add(handler)  # type: ignore[arg-type]
    event = thing.happened
    with pytest.raises(TypeError, match="not callable"):
        event += handler  # type: ignore[arg-type]
    assert not thing.happened


def test_a_guard_decides_whether_it_is_too_late() -> None:
    """Before anything is attached; removing is always allowed."""

    def guard() -> None:
        if closed:
            raise IllegalMethodCallError("happened: attach handlers before close()")

    closed = False
    thing = Thing(guard=guard)
    token = thing.happened.add(thing.on_happened)
    closed = True
    with pytest.raises(IllegalMethodCallError, match="before close"):
        thing.happened.add(thing.on_happened)
    thing.happened.fire(thing, "now")
    thing.happened.remove(token)
    assert thing.calls == ["now"]


def test_a_failing_handler_is_logged_and_the_others_are_called(thing: Thing, logged) -> None:
    """With the event, what happened, and the traceback."""

    def fail(sender: Thing, args: str) -> None:
        raise KeyError("broken handler")

    thing.happened.add(fail)
    thing.happened.add(thing.on_happened)
    thing.happened.fire(thing, "peer ::1")
    assert thing.calls == ["peer ::1"]
    ((text, problem),) = logged()
    assert isinstance(problem, KeyError)
    assert "Thing.happened" in text
    assert "peer ::1" in text
    assert "in fail" in text


def test_a_failing_handler_tells_the_owner() -> None:
    """Who may have something to tidy up; after the log entry, with the args."""
    told: list[str] = []
    thing = Thing(on_failure=told.append)
    thing.happened.add(lambda sender, args: 1 // 0)
    thing.happened.add(thing.on_happened)
    thing.happened.fire(thing, "now")
    assert told == ["now"]
    assert thing.calls == ["now"]


def test_an_order_to_stop_the_program_is_no_failure_of_a_handler(thing: Thing) -> None:
    """KeyboardInterrupt and SystemExit pass."""

    def stop(sender: Thing, args: str) -> None:
        raise SystemExit(3)

    thing.happened.add(stop)
    with pytest.raises(SystemExit):
        thing.happened.fire(thing, "now")


def test_a_coroutine_does_not_delay_the_next_handler_or_the_next_event(thing: Thing) -> None:
    """It starts at once, and goes on when what it waits for is there."""
    waits: list[Deferred[str]] = []

    async def slow(sender: Thing, args: str) -> None:
        thing.calls.append(f"{args} begins")
        waits.append(Deferred())
        thing.calls.append(f"{args} got {await waits[-1]}")

    thing.happened.add(slow)
    thing.happened.add(thing.on_happened)
    thing.happened.fire(thing, "one")
    thing.happened.fire(thing, "two")
    assert thing.calls == ["one begins", "one", "two begins", "two"]
    waits[1].callback("b")
    waits[0].callback("a")
    assert thing.calls[4:] == ["two got b", "one got a"]


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_a_failing_coroutine_is_logged_like_a_failing_function(late: bool, logged) -> None:
    """Whenever it fails."""
    told: list[str] = []
    thing = Thing(on_failure=told.append)
    wait: Deferred[None] = Deferred()

    async def fail(sender: Thing, args: str) -> None:
        if late:
            await wait
        raise KeyError("broken coroutine")

    thing.happened.add(fail)
    thing.happened.add(thing.on_happened)
    thing.happened.fire(thing, "now")
    assert thing.calls == ["now"]
    wait.callback(None)
    ((text, problem),) = logged()
    assert isinstance(problem, KeyError)
    assert "Thing.happened" in text
    assert "in fail" in text
    assert told == ["now"]


def test_a_coroutine_runs_in_a_context_of_its_own(thing: Thing) -> None:
    """What it sets is there after an await, and concerns nobody else."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    wait: Deferred[None] = Deferred()

    async def handler(sender: Thing, args: str) -> None:
        variable.set(args)
        await wait
        thing.calls.append(variable.get())

    thing.happened.add(handler)
    thing.happened.fire(thing, "one")
    assert variable.get() == "unset"
    wait.callback(None)
    assert thing.calls == ["one"]


def test_an_error_that_was_reported_before_is_not_logged_for_each_handler_that_it_ends(
    thing: Thing, logged
) -> None:
    """One lost connection may end many, and the end of the program all of them."""
    problem = SocketException("gone")
    vars(problem)["_reported"] = True

    async def handler(sender: Thing, args: str) -> None:
        raise problem

    thing.happened.add(handler)
    thing.happened.add(handler)
    thing.happened.fire(thing, "now")
    assert logged() == []


def test_the_failure_of_a_deferred_or_an_operation_that_is_returned_is_logged(thing: Thing, logged) -> None:
    """``lambda sender, args: socket.send_async(...)`` is a handler too."""
    pending: list[Deferred[None]] = [Deferred(), AsyncOperation()]
    thing.happened.add(lambda sender, args: pending[0])
    thing.happened.add(lambda sender, args: pending[1])
    thing.happened.add(lambda sender, args: succeed("fine"))
    thing.happened.fire(thing, "now")
    pending[0].errback(KeyError("deferred"))
    pending[1].errback(SocketException("operation"))
    pending.clear()
    assert [str(problem) for _, problem in logged()] == ["'deferred'", "operation"]


@in_asyncio_task
async def test_the_failure_of_an_asyncio_future_that_is_returned_is_logged(thing: Thing, logged) -> None:
    """``lambda sender, args: asyncio.ensure_future(...)`` too."""
    future = asyncio.get_running_loop().create_future()
    thing.happened.add(lambda sender, args: future)
    thing.happened.fire(thing, "now")
    future.set_exception(KeyError("future"))
    await asyncio.sleep(0)
    assert [str(problem) for _, problem in logged()] == ["'future'"]


@in_asyncio_task
async def test_a_handler_awaits_asyncio_through_from_future(thing: Thing, logged) -> None:
    """Twisted drives handlers, and refuses asyncio's own futures; the log says so."""
    future = asyncio.get_running_loop().create_future()

    async def wrong(sender: Thing, args: str) -> None:
        await future

    async def right(sender: Thing, args: str) -> None:
        thing.calls.append(await Deferred.fromFuture(future))

    thing.happened.add(wrong)
    thing.happened.add(right)
    thing.happened.fire(thing, "now")
    future.set_result("there")
    await asyncio.sleep(0)
    assert thing.calls == ["there"]
    ((text, problem),) = logged()
    assert isinstance(problem, RuntimeError)
    assert "in wrong" in text


def test_any_awaitable_that_is_returned_is_followed(thing: Thing, logged) -> None:
    """Also an object with ``__await__`` of its own."""

    class Odd:
        def __await__(self):
            yield from succeed(None).__await__()
            raise KeyError("odd")

    thing.happened.add(lambda sender, args: Odd())
    thing.happened.fire(thing, "now")
    assert [str(problem) for _, problem in logged()] == ["'odd'"]


def test_what_a_function_returns_is_ignored(thing: Thing, logged) -> None:
    """A lambda always returns something."""
    thing.happened.add(lambda sender, args: "text")
    thing.happened.fire(thing, "now")
    assert logged() == []


def test_a_cancelled_coroutine_is_logged_too(thing: Thing, logged) -> None:
    """A handler that lets it out has not finished its work, and nobody else can know."""
    wait: Deferred[None] = Deferred()

    async def handler(sender: Thing, args: str) -> None:
        await wait

    thing.happened.add(handler)
    thing.happened.fire(thing, "now")
    wait.cancel()
    ((_, problem),) = logged()
    assert isinstance(problem, CancelledError)


def test_a_deferral_completes_once() -> None:
    """A second time is a mistake in the program."""
    calls: list[None] = []
    deferral = Deferral(lambda: calls.append(None))
    assert calls == []
    deferral.complete()
    assert len(calls) == 1
    with pytest.raises(IllegalMethodCallError, match="complete"):
        deferral.complete()
    assert len(calls) == 1


def test_closing_a_deferral_completes_it_if_need_be() -> None:
    """As often as one likes, before and after completing."""
    calls: list[None] = []
    deferral = Deferral(lambda: calls.append(None))
    deferral.close()
    deferral.close()
    assert len(calls) == 1
    with pytest.raises(IllegalMethodCallError):
        deferral.complete()


def test_a_deferral_is_a_context_manager() -> None:
    """The work is done at the end of the block, also when it fails."""
    calls: list[None] = []
    with Deferral(lambda: calls.append(None)) as deferral:
        assert isinstance(deferral, Deferral)
        assert calls == []
    assert len(calls) == 1
    with pytest.raises(KeyError), Deferral(lambda: calls.append(None)):
        raise KeyError("work")
    assert len(calls) == 2
    with Deferral(lambda: calls.append(None)) as deferral:
        deferral.complete()
    assert len(calls) == 3


def test_a_deferral_whose_handler_fails_has_completed() -> None:
    """The error goes to whoever completed; closing does not try again."""
    deferral = Deferral(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        deferral.complete()
    deferral.close()


def test_a_deferral_needs_something_to_call() -> None:
    """Refused at once, not at the end of the work."""
    with pytest.raises(TypeError, match="not callable"):
        Deferral(None)  # type: ignore[arg-type]
