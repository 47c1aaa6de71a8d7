"""Writes of several datagrams, and waits for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import MessageTooLongError, NetworkUnreachableError
from winsockets.foundation import AsyncStatus
from winsockets.transports._datagram_queue import Flush, Sending


def untouched(operation):
    """A canceller that must not be called."""
    raise AssertionError("cancelled")


@given(st.lists(st.integers(0, 65_507), min_size=1, max_size=20))
def test_a_write_ends_with_its_last_datagram_and_yields_the_size_of_all(sizes):
    """And says on the way how far it is."""
    operation = Sending(untouched, len(sizes))
    progress = []
    operation.progress = lambda sender, value: progress.append(value)
    for size in sizes:
        assert operation.status is AsyncStatus.STARTED
        operation.count(size)
    assert operation.get_results() == sum(sizes)
    assert progress == [sum(sizes[: place + 1]) for place in range(len(sizes))]


def test_a_write_of_nothing_has_ended():
    """As soon as that is known."""
    operation = Sending(untouched, 0)
    operation.end_if_complete()
    assert operation.get_results() == 0


def test_the_first_failure_is_that_of_the_write():
    """It is told when all datagrams have been tried."""
    operation = Sending(untouched, 3)
    operation.count(MessageTooLongError("first"))
    operation.count(NetworkUnreachableError("second"))
    assert operation.status is AsyncStatus.STARTED
    operation.count(10)
    with pytest.raises(MessageTooLongError, match="first"):
        operation.get_results()


def test_a_flush_says_that_all_is_well_or_what_went_wrong():
    """True, or the failure it was told of."""
    good, bad = Flush(untouched), Flush(untouched)
    good.end()
    bad.failure = MessageTooLongError("too long")
    bad.end()
    assert good.get_results() is True
    with pytest.raises(MessageTooLongError, match="too long"):
        bad.get_results()
