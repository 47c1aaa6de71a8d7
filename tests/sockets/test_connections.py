"""Accepted connections, one after the other."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from winsockets.errors import ERROR_INVALID_OPERATION, BusyError
from winsockets.sockets import StreamSocketListener


@pytest_twisted.ensureDeferred
async def test_a_second_waiter_is_busy_and_leaves_the_first_alone():
    """As a second read would be; the first one still ends with the listener."""
    async with StreamSocketListener() as listener:
        connections = listener.connections()
        await listener.bind_endpoint_async("127.0.0.1", "")
        first = Deferred.fromCoroutine(anext(connections))
        with pytest.raises(BusyError, match="another task") as caught:
            await anext(connections)
        assert caught.value.hresult == ERROR_INVALID_OPERATION
        assert not first.called
    with pytest.raises(StopAsyncIteration):
        await first
