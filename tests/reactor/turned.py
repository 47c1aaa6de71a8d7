"""Making a reactor that is turned by hand, and ending it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def turned(kind: type[Any]) -> Iterator[Any]:
    """A reactor of a class, which never runs; its descriptors are closed afterwards."""
    reactor = kind()
    poller = reactor._poller
    own = list(reactor._internalReaders)
    try:
        yield reactor
    finally:
        poller.close()
        for reader in own:
            reader.connectionLost(None)
