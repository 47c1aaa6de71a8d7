"""What the calls of the phone's multicast clients return, and the endpoints that they name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Self, TypeVar, cast

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import AsyncOperation
from winsockets.networking import HostName

__all__ = ["AsyncResult", "IPEndPoint", "end"]

_T = TypeVar("_T")


class IPEndPoint(NamedTuple):
    """An address and a port.

    Attributes:
        address: numeric.
        port: 0 to 65535.

    Source: .NET System.Net.IPEndPoint.
    """

    address: HostName
    port: int


class AsyncResult(AsyncOperation[_T]):
    """An operation that a ``begin_`` call started, for its ``end_`` call or for ``await``.

    Source: .NET System.IAsyncResult.
    """

    _begun_by: tuple[object, str] = (None, "")
    _state: object = None
    _synchronous = False

    @classmethod
    def begin(
        cls,
        client: object,
        call: str,
        steps: Coroutine[Any, Any, _T],
        callback: Callable[[AsyncResult[_T]], object] | None,
        state: object,
    ) -> Self:
        """Start some steps.

        Args:
            client: whose call it is.
            call: what is begun, as the names of the calls have it.
            steps: what to do.
            callback: a function or a coroutine function, called with the result at the end, within this call
                if the steps end at once; its exceptions are logged.
            state: anything; given back as ``async_state``.

        Raises:
            TypeError: the callback cannot be called.
        """
        given: object = callback
        if given is not None and not callable(given):
            steps.close()
            raise TypeError(f"callback: {callback!r} is not callable; it takes the result")
        self = cls.run(steps)
        self._begun_by = (client, call)
        self._state = state
        self._synchronous = bool(self.called)
        if callback is not None:
            self.completed = lambda operation, status: callback(cast("AsyncResult[_T]", operation))
        return self

    @property
    def async_state(self) -> object:
        """What the ``begin_`` call was given as ``state``. Source: .NET IAsyncResult.AsyncState."""
        return self._state

    @property
    def is_completed(self) -> bool:
        """Whether it has ended, well or not. Source: .NET IAsyncResult.IsCompleted."""
        return bool(self.called)

    @property
    def completed_synchronously(self) -> bool:
        """Whether it ended within the ``begin_`` call. Source: .NET IAsyncResult.CompletedSynchronously."""
        return self._synchronous


def end(result: AsyncResult[_T], client: object, call: str) -> _T:
    """Give the outcome of a result to the ``end_`` call of a client.

    Raises:
        InvalidArgumentError: it is None, or another client or another call has begun it.
        IllegalMethodCallError: it has not ended; only threads other than the reactor's wait for it.
        SocketException: what it failed with.
    """
    given: object = result
    if given is None:
        raise InvalidArgumentError(f"end_{call}: the result is None; give what begin_{call} returned")
    if not isinstance(given, AsyncResult):
        raise TypeError(f"end_{call} takes what begin_{call} returned, not {type(given).__name__}")
    whose, begun = result._begun_by
    if whose is not client or begun != call:
        raise InvalidArgumentError(
            f"end_{call}: the result is of begin_{begun}{'' if whose is client else ' of another client'}; "
            f"give that of begin_{call}"
        )
    return result.get()
