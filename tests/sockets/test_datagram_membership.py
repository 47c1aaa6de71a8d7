"""The table of conflicts between joining, leaving and blocking, as Winsock has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import (
    E_INVALIDARG,
    AddressNotAvailableError,
    InvalidArgumentError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.sockets._datagram_membership import Membership, blocked, joined, left, unblocked

ONE, OTHER = "10.0.0.1", "10.0.0.2"
NOT_AVAILABLE, INVALID = AddressNotAvailableError, InvalidArgumentError

Step = Callable[[Membership | None], Membership | None]


def join(source: str | None = None) -> Step:
    """Joining as a step of a sequence."""
    return lambda before: joined(before, source, "join the group")


def leave(source: str | None = None) -> Step:
    """Leaving as a step of a sequence."""
    return lambda before: left(before, source, "leave the group")


def block(source: str) -> Step:
    """Blocking as a step of a sequence."""
    return lambda before: blocked(before, source, "block")


def unblock(source: str) -> Step:
    """Taking back a block as a step of a sequence."""
    return lambda before: unblocked(before, source, "unblock")


def after(*steps: Step) -> Membership | None:
    """What a sequence leads to."""
    membership: Membership | None = None
    for step in steps:
        membership = step(membership)
    return membership


@pytest.mark.parametrize(
    ("steps", "refused", "problem"),
    [
        ([join()], join(), NOT_AVAILABLE),
        ([join()], join(ONE), NOT_AVAILABLE),
        ([join(ONE)], join(), NOT_AVAILABLE),
        ([join(ONE)], join(ONE), NOT_AVAILABLE),
        ([join()], leave(ONE), INVALID),
        ([join(ONE), join(OTHER), leave(ONE)], leave(ONE), NOT_AVAILABLE),
        ([join(ONE), leave(ONE)], leave(ONE), NOT_AVAILABLE),
        ([join(ONE)], leave(OTHER), NOT_AVAILABLE),
        ([join(), leave()], leave(), INVALID),
        ([join(), leave()], block(ONE), INVALID),
        ([join(), leave()], unblock(ONE), INVALID),
        ([], leave(), INVALID),
        ([], block(ONE), INVALID),
        ([join()], unblock(ONE), INVALID),
        ([join(), block(ONE)], unblock(OTHER), NOT_AVAILABLE),
        ([join(), block(ONE)], block(ONE), NOT_AVAILABLE),
        ([join(), block(ONE), unblock(ONE)], unblock(ONE), NOT_AVAILABLE),
        ([join(), block(ONE)], join(), INVALID),
        ([join(), block(ONE)], join(ONE), INVALID),
        ([join(ONE)], block(ONE), INVALID),
        ([join(ONE)], unblock(ONE), INVALID),
    ],
)
def test_what_makes_no_sense_is_refused(steps, refused, problem):
    """Each row of the table, and the message begins with what was attempted."""
    membership = after(*steps)
    with pytest.raises(problem) as caught:
        refused(membership)
    status = SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS if problem is NOT_AVAILABLE else None
    if status is None:
        assert caught.value.hresult == E_INVALIDARG
    else:
        assert caught.value.status is status
    assert str(caught.value).startswith(("join the group: ", "leave the group: ", "block: ", "unblock: "))


def test_leaving_ends_everything_of_the_group():
    """All sources of it, and all blocks: it can be joined anew either way."""
    for steps in ([join(), block(ONE)], [join(ONE), join(OTHER)]):
        assert after(*steps, leave()) is None
        assert after(*steps, leave(), join()) == Membership()
        assert after(*steps, leave(), join(ONE)) == Membership(frozenset([ONE]))


@given(st.lists(st.sampled_from(["join", "leave", "block", "unblock"]).flatmap(
    lambda verb: st.tuples(st.just(verb), st.sampled_from([None, ONE, OTHER]))
)))  # fmt: skip
def test_no_sequence_mixes_the_two_modes(sequence):
    """Sources are heard or blocked, never both; and a refused step changes nothing."""
    membership: Membership | None = None
    for verb, source in sequence:
        if source is None and verb in ("block", "unblock"):
            continue
        step = {"join": join, "leave": leave, "block": block, "unblock": unblock}[verb](source)
        try:
            membership = step(membership)
        except SocketException:
            continue
        if membership is not None:
            assert not (membership.sources and membership.blocked)
            assert membership.filtered or not membership.blocked
