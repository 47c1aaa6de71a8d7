"""Operations, events, deferrals, and the bounds that everything keeps to."""

from winsockets.foundation._event import Deferral, Event, EventRegistrationToken
from winsockets.foundation._interfaces import (
    AsyncStatus,
    IAsyncAction,
    IAsyncActionWithProgress,
    IAsyncInfo,
    IAsyncOperation,
    IAsyncOperationWithProgress,
    IClosable,
    IStringable,
)
from winsockets.foundation._limits import DEFAULT_LIMITS, Limits
from winsockets.foundation._operation import AsyncOperation, AsyncOperationWithProgress

__all__ = [
    "DEFAULT_LIMITS",
    "AsyncOperation",
    "AsyncOperationWithProgress",
    "AsyncStatus",
    "Deferral",
    "Event",
    "EventRegistrationToken",
    "IAsyncAction",
    "IAsyncActionWithProgress",
    "IAsyncInfo",
    "IAsyncOperation",
    "IAsyncOperationWithProgress",
    "IClosable",
    "IStringable",
    "Limits",
]
