"""Operations: Deferreds with the manners of Windows.Foundation."""

from __future__ import annotations

import threading
from asyncio import _get_running_loop, current_task
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python import threadable
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import (
    E_FAIL,
    E_ILLEGAL_DELEGATE_ASSIGNMENT,
    E_ILLEGAL_STATE_CHANGE,
    S_OK,
    HResult,
    IllegalMethodCallError,
    OperationCanceledError,
    SocketException,
)
from winsockets.foundation._asyncio import FutureBridge
from winsockets.foundation._event import call_handler
from winsockets.foundation._failures import Unobserved, as_failure, cancellation, forget_callers
from winsockets.foundation._interfaces import AsyncStatus, IAsyncOperation, IAsyncOperationWithProgress
from winsockets.foundation._running import Awaited

__all__ = ["AsyncOperation", "AsyncOperationWithProgress"]

_T = TypeVar("_T")
_P = TypeVar("_P")
# The callback by which Twisted's coroutines wait, and what it calls to let one go on; they have no public
# names. Under a Twisted that calls them otherwise, an operation that was awaited while pending gives None to
# whoever awaits it once more.
_resume: Any = getattr(defer, "_inlineCallbacks", None)
_continue: Any = getattr(defer, "_gotResultInlineCallbacks", None) if _resume is not None else None
_ids = count(1)
_new: Any = object.__new__

_STARTED = AsyncStatus.STARTED
_COMPLETED = AsyncStatus.COMPLETED


class Holder(Protocol):
    """A producer that holds work back, to do more of it at once, until somebody waits for it."""

    def release(self) -> None:
        """Hold nothing back any more: somebody waits."""


class _Callbacks:
    """Makes an operation's list of callbacks when it is first looked at; few operations come to that.

    Not a data descriptor: once made, the list in the instance wins.
    """

    def __get__(self, operation: AsyncOperation[Any], owner: object = None) -> list[Any]:
        callbacks: list[Any] = []
        waiter = operation._waiter
        if waiter is not None:
            operation._waiter = None
            go_on = (lambda result: _continue(result, *waiter)) if type(waiter) is tuple else waiter
            call: Any = (operation._pass_on, (go_on,), {})
            callbacks.append((call, call))
        operation._direct = False
        operation._attended = True
        operation._callbacks = callbacks
        return callbacks


def _settle_layout(cls: type[AsyncOperation[Any]]) -> None:
    """Let CPython know early which attributes the instances of a class get during their lives.

    Instances are compact as long as their attributes are among those that the first instances had; one that
    gets another later on pays half a microsecond for a dict of its own. The first instances would be waiting
    ones, which have no result.
    """
    first = _new(cls)
    for name in ("holder", "_canceller", "called", "_outcome", "result", "_status", "_waiter", "_attended"):
        setattr(first, name, None)


def _cancel_inner(operation: Deferred[Any]) -> None:
    inner = cast("AsyncOperation[Any]", operation)._inner
    if inner is not None:
        inner.cancel()


@implementer(IAsyncOperation)
class AsyncOperation(Awaited, Deferred[_T], Generic[_T]):
    """One asynchronous call: hot, awaitable, cancellable.

    It is a Deferred: ``await``, ``inlineCallbacks``, ``addCallback``, ``addTimeout``, ``DeferredList`` work,
    and so does ``await`` in an asyncio task when the reactor is an asyncio one. ``await`` gives what the
    callbacks made of the outcome, and does not use it up: awaiting it once more gives the same again.
    ``get_results()`` and ``status`` are of the outcome itself. A failure that nobody looks at is logged
    once for the error that caused it, however many operations it ended; a cancellation is never logged.

    Args:
        canceller: called with the operation by ``cancel()``; takes back what was queued and may end the
            operation with an error of its own.

    Source: WinRT IAsyncInfo, IAsyncOperation; the producers' side is Deferred's callback and errback.
    """

    _id = 0
    _status = _STARTED
    _outcome: Any = None
    _completed: Callable[[AsyncOperation[_T], AsyncStatus], object] | None = None
    _closed = False
    _inner: Deferred[Any] | None = None
    _canceller: Callable[[Deferred[Any]], None] | None = None

    # Most operations are awaited once and nothing else, and have no list of callbacks. Whether this is one of
    # them; the coroutine that waits for it, which one of Twisted's shows as the arguments of _continue; the
    # list, for the others; and whether anybody is to be told of the end, or was.
    _direct = True
    _waiter: Any = None
    _attended = False
    if not TYPE_CHECKING:
        _callbacks = _Callbacks()

    holder: Holder | None = None
    """Producers' side: who holds this work, or what comes after it, back until somebody waits."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _settle_layout(cls)

    def __init__(self, canceller: Callable[[Deferred[Any]], None] | None = None) -> None:
        # Without Deferred's own: it would make the list.
        if self.debug:
            super().__init__(canceller)
            self._direct = False
            self._attended = True
        elif canceller is not None:
            self._canceller = canceller

    # What producers do

    def callback(self, result: _T | Failure) -> None:
        """End the operation with its result (or with a Failure).

        Raises:
            AlreadyCalledError: the operation has ended already, other than by a cancel that nobody took up.
        """
        waiter = self._waiter
        if isinstance(result, Failure):
            self.errback(result)
            return
        if waiter is not None or (self._direct and not self.called):
            self.called = True
            self._outcome = self.result = result
            self._status = _COMPLETED
            self._canceller = None
            if waiter is not None:
                self._waiter = None
                if type(waiter) is tuple:
                    # It has waited ever since it came here, so that there is no need to ask.
                    _, generator, status, context = waiter
                    _resume(result, generator, status, context)
                else:
                    waiter(result)
            return
        if self.called:
            super().callback(result)
            return
        self._outcome = result
        self._status = _COMPLETED
        # By name: super() would take a tenth of the whole.
        Deferred.callback(self, result)

    def errback(self, fail: Failure | BaseException | None = None) -> None:
        """End the operation with an error.

        Args:
            fail: a Failure, which keeps its traceback; an exception, which may end several operations and
                starts with none; nothing, for the exception that is being handled. A bare cancellation
                of Twisted's or asyncio's becomes an OperationCanceledError.

        Raises:
            AlreadyCalledError: the operation has ended already, other than by a cancel that nobody took up.
        """
        failure = as_failure(fail)
        if self.called:
            super().errback(failure)
            return
        self._outcome = failure
        canceled = isinstance(failure.value, OperationCanceledError)
        self._status = AsyncStatus.CANCELED if canceled else AsyncStatus.ERROR
        self._debugInfo = Unobserved()
        super().errback(failure)

    @classmethod
    def from_result(cls, value: _T) -> Self:
        """Make an operation that has already ended well."""
        self: Self = _new(cls)
        self._outcome = self.result = value
        self._status = _COMPLETED
        self.called = True
        return self

    @classmethod
    def from_error(cls, problem: BaseException) -> Self:
        """Make an operation that has already failed."""
        self = cls()
        self.errback(problem)
        return self

    @classmethod
    def run(cls, coroutine: Coroutine[Deferred[Any], Any, _T]) -> Self:
        """Start a coroutine at once and give its outcome to a new operation.

        Args:
            coroutine: awaits Deferreds and operations. ``cancel()`` cancels what it waits for, and the
                operation ends when the coroutine does; if that lets a bare cancellation out, as CANCELED.
        """
        self = cls(_cancel_inner)
        inner = Deferred.fromCoroutine(coroutine)
        self._inner = inner
        inner.addCallbacks(self._inner_done, self._inner_failed)
        return self

    def _inner_done(self, result: _T) -> None:
        self._inner = None
        self.callback(result)

    def _inner_failed(self, failure: Failure) -> None:
        self._inner = None
        forget_callers(failure)
        self.errback(failure)

    # What callers see

    @property
    def id(self) -> int:
        """A number greater than 0, unique in this process. Source: WinRT IAsyncInfo.Id."""
        self._check_open()
        if not self._id:
            self._id = next(_ids)
        return self._id

    @property
    def status(self) -> AsyncStatus:
        """STARTED until the end; then COMPLETED, CANCELED or ERROR. Source: WinRT IAsyncInfo.Status."""
        self._check_open()
        return self._status

    @property
    def error_code(self) -> HResult:
        """The HRESULT of the failure, 0 while there is none. Source: WinRT IAsyncInfo.ErrorCode."""
        self._check_open()
        if self._status is _STARTED or self._status is _COMPLETED:
            return S_OK
        self._look(self._outcome)
        problem = self._outcome.value
        return problem.hresult if isinstance(problem, SocketException) else E_FAIL

    def cancel(self) -> None:
        """Ask for an early end.

        What was queued for the operation is taken back. Reads, writes, loads and stores end in ERROR with
        OPERATION_ABORTED, everything else as CANCELED. An operation over several steps ends when the
        step under way has. Nothing happens to an operation that has ended.

        Source: WinRT IAsyncInfo.Cancel.
        """
        if self.called:
            super().cancel()
            return
        if self._canceller is not None:
            self._canceller(self)
        if self._inner is None and not self.called:
            self._suppressAlreadyCalled = True
            self.errback(cancellation())

    def close(self) -> None:
        """Give up the results.

        Afterwards no member may be used but this one and ``cancel()``, which do nothing.

        Raises:
            SocketException: E_ILLEGAL_STATE_CHANGE, the operation has not ended.

        Source: WinRT IAsyncInfo.Close.
        """
        if self._closed:
            return
        if self._status is _STARTED:
            raise SocketException(
                "close() on an operation that has not ended: await it or cancel it first",
                hresult=E_ILLEGAL_STATE_CHANGE,
            )
        if self._status is not _COMPLETED:
            self._look(self._outcome)
        self._closed = True
        self._outcome = None
        # Out of the fast way through __await__.
        self._status = AsyncStatus.ERROR

    def get_results(self) -> _T:
        """Return the result.

        Raises:
            IllegalMethodCallError: the operation has not ended.
            SocketException: what the operation ended with.

        Source: WinRT IAsyncOperation.GetResults.
        """
        self._check_open()
        status = self._status
        if status is _COMPLETED:
            return cast(_T, self._outcome)
        if status is _STARTED:
            raise IllegalMethodCallError("get_results() before the operation has ended: await it")
        raise self._told(self._outcome)

    @property
    def completed(self) -> Callable[[AsyncOperation[_T], AsyncStatus], object] | None:
        """A callable of (operation, status), called at the end; settable once.

        It comes before the callbacks and those who await, so that whoever goes on after an ``await`` finds
        that it was called. Set after the end, it is called at once. It may be a coroutine function; its
        exceptions are logged.

        Raises:
            TypeError: it cannot be called.
            SocketException: E_ILLEGAL_DELEGATE_ASSIGNMENT, it was set before.

        Source: WinRT IAsyncOperation.Completed.
        """
        self._check_open()
        return self._completed

    @completed.setter
    def completed(self, handler: Callable[[AsyncOperation[_T], AsyncStatus], object]) -> None:
        self._check_open()
        if self._completed is not None:
            raise SocketException(
                "completed was set before and can be set once", hresult=E_ILLEGAL_DELEGATE_ASSIGNMENT
            )
        if not callable(handler):
            raise TypeError(f"completed: {handler!r} is not callable; it takes (operation, status)")
        self._completed = handler
        if self._status is _STARTED:
            call: Any = (self._tell_completed, (), {})
            self._callbacks.insert(0, (call, call))
        else:
            self._tell_completed(None)

    def _tell_completed(self, result: object) -> object:
        if self._status is not _COMPLETED:
            self._look(self._outcome)
        if self._completed is not None:
            call_handler("AsyncOperation.completed", self._completed, self, self._status)
        return result

    def get(self) -> _T:
        """Block until the end and return the result; for threads other than the reactor's.

        Raises:
            IllegalMethodCallError: called in the reactor's thread before the end, where it would wait
                for itself.
            SocketException: what the operation ended with.

        Source: PyWinRT IAsyncOperation.get.
        """
        self.wait(None)
        return self.get_results()

    def wait(self, timeout: float | None) -> AsyncStatus:
        """Block until the end or for ``timeout`` seconds; for threads other than the reactor's.

        Returns:
            The status: STARTED when the time ran out.

        Raises:
            IllegalMethodCallError: called in the reactor's thread before the end.

        Source: PyWinRT IAsyncOperation.wait.
        """
        self._check_open()
        if self._status is not _STARTED:
            return self._status
        if threadable.isInIOThread() or (
            threading.current_thread() is threading.main_thread() and threadable.ioThread is None
        ):
            raise IllegalMethodCallError(
                "get() and wait() block, and the reactor's thread must not (nor the one that has yet to run "
                "the reactor): await the operation"
            )
        from twisted.internet import reactor

        ended = threading.Event()
        cast(IReactorFromThreads, reactor).callFromThread(self._when_ended, ended.set)
        ended.wait(timeout)
        return self._status

    def _when_ended(self, action: Callable[[], None]) -> None:
        def pass_on(result: object) -> object:
            action()
            return result

        self.addBoth(pass_on)

    def __await__(self) -> Generator[Any, Any, _T]:
        """Wait for the end; return the result, or raise the error, that the callbacks so far made of it."""
        holder = self.holder
        if holder is not None:
            holder.release()
        if self._status is _COMPLETED and self._direct:
            outcome: _T = self._outcome
            return outcome
        # There are callbacks left after the end only for those whom one of the callbacks has woken.
        while not self.called or self.paused or self._callbacks:
            loop = _get_running_loop()
            if loop is None or current_task(loop) is None:
                result: _T = yield self
                return result
            yield FutureBridge(self, loop)
        ended: Any = self.result
        if self._status is not _COMPLETED or self._debugInfo is not None:
            self._check_open()
            if isinstance(ended, Failure):
                raise self._told(ended)
        result = ended
        return result

    __iter__ = __await__

    if not TYPE_CHECKING:  # the overloads are Deferred's

        def addBoth(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
            """See Deferred.addBoth; a coroutine that waits leaves the result to those after it."""
            if callback is _continue:
                if self.holder is not None:
                    self.holder.release()
                if self._direct and self._waiter is None and not self.called:
                    self._waiter = args
                    self._attended = True
                    return self
                return self._wake(lambda result: _continue(result, *args))
            call = (callback, args, kwargs)
            self._callbacks.append((call, call))
            if self.called:
                self._runCallbacks()
            return self

    def _wake(self, go_on: Callable[[Any], object]) -> Deferred[Any]:
        """See Awaited."""
        return self.addBoth(self._pass_on, go_on)

    def _pass_on(self, result: object, go_on: Callable[[Any], object]) -> object:
        if isinstance(result, Failure):
            self._look(result)
        go_on(result)
        return result

    def pause(self) -> None:
        """See Deferred.pause."""
        _ = self._callbacks  # whoever waits directly would not be held up
        super().pause()

    def _look(self, failure: Failure) -> None:
        """Note that somebody was told of a failure."""
        reporter = self._debugInfo
        if not isinstance(reporter, Unobserved):
            if reporter is not None:
                reporter.failResult = None
            reporter = self._debugInfo = Unobserved()
        # The outcome, and what callbacks made of it: a handful at most.
        problem = cast(BaseException, failure.value)
        if problem not in reporter.seen:
            reporter.seen += (problem,)

    def _told(self, failure: Failure) -> BaseException:
        """Give the exception of a failure, to be raised to somebody."""
        self._look(failure)
        # Several awaits share one exception object: each starts where the failure came from.
        return cast(BaseException, failure.value).with_traceback(failure.tb)

    def _check_open(self) -> None:
        if self._closed:
            raise IllegalMethodCallError("the operation was closed and its results were given up")


_settle_layout(AsyncOperation)


@implementer(IAsyncOperationWithProgress)
class AsyncOperationWithProgress(AsyncOperation[_T], Generic[_T, _P]):
    """An operation that says how far it has come.

    Source: WinRT IAsyncOperationWithProgress.
    """

    _progress: Callable[[AsyncOperation[_T], _P], object] | None = None

    @property
    def progress(self) -> Callable[[AsyncOperation[_T], _P], object] | None:
        """A callable of (operation, value), or None; its exceptions are logged.

        Raises:
            TypeError: it cannot be called.

        Source: WinRT IAsyncOperationWithProgress.Progress.
        """
        self._check_open()
        return self._progress

    @progress.setter
    def progress(self, handler: Callable[[AsyncOperation[_T], _P], object] | None) -> None:
        self._check_open()
        if handler is not None and not callable(handler):
            raise TypeError(f"progress: {handler!r} is not callable; it takes (operation, value)")
        self._progress = handler
        self._attended = True

    def report(self, value: _P) -> None:
        """Tell the progress handler, if there is one (producers' side)."""
        if self._progress is not None:
            call_handler("AsyncOperation.progress", self._progress, self, value)
