"""The contracts of Windows.Foundation as zope interfaces."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from zope.interface import Attribute, Interface

__all__ = [
    "AsyncStatus",
    "IAsyncAction",
    "IAsyncActionWithProgress",
    "IAsyncInfo",
    "IAsyncOperation",
    "IAsyncOperationWithProgress",
    "IClosable",
    "IStringable",
]


class AsyncStatus(IntEnum):
    """How far an operation has come.

    Source: WinRT AsyncStatus.
    """

    STARTED = 0
    COMPLETED = 1
    CANCELED = 2
    ERROR = 3


class IAsyncInfo(Interface):
    """What every operation can tell about itself.

    Source: WinRT IAsyncInfo.
    """

    id = Attribute("A number greater than 0, unique among the operations of this process.")
    status = Attribute("An AsyncStatus.")
    error_code = Attribute("The HResult of the failure; 0 while there is none.")

    def cancel() -> None:
        """Ask the operation to end early; nothing happens to one that has ended."""

    def close() -> None:
        """Give up the results of an operation that has ended."""


class IAsyncAction(IAsyncInfo):
    """An operation without a result. Source: WinRT IAsyncAction."""

    completed = Attribute("A callable of (operation, status), settable once.")

    def get() -> Any:
        """Block a thread that is not the reactor's until the end and return the result."""

    def wait(timeout: float) -> AsyncStatus:
        """Block such a thread for at most so many seconds and return the status."""

    def get_results() -> Any:
        """Return the result, or raise what went wrong."""


class IAsyncActionWithProgress(IAsyncAction):
    """An operation without a result that reports progress. Source: WinRT IAsyncActionWithProgress."""

    progress = Attribute("A callable of (operation, value), or None.")


class IAsyncOperation(IAsyncAction):
    """An operation with a result. Source: WinRT IAsyncOperation."""


class IAsyncOperationWithProgress(IAsyncOperation):
    """An operation with a result that reports progress. Source: WinRT IAsyncOperationWithProgress."""

    progress = Attribute("A callable of (operation, value), or None.")


class IClosable(Interface):
    """Something that holds a resource of the system. Source: WinRT IClosable."""

    def close() -> None:
        """Release it; once is enough, more often does no harm."""


class IStringable(Interface):
    """Something with a text form. Source: WinRT IStringable."""

    def to_string() -> str:
        """Return the text form."""
