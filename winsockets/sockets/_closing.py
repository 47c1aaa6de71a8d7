"""Closing at the end of a ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from winsockets.foundation import AsyncOperation

__all__ = ["Closing"]


class Closing(ABC):
    """What is closed at the end of a block; ``async with`` also waits until it is gone."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""

    @abstractmethod
    def wait_closed_async(self) -> AsyncOperation[None]:
        """Wait until it is gone."""

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the object itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it and wait until it is gone."""
        self.close()
        await self.wait_closed_async()
