"""What a socket's membership in a multicast group is, and which changes of it make sense; no system calls."""

from __future__ import annotations

from dataclasses import dataclass, replace

from winsockets.errors import AddressNotAvailableError, InvalidArgumentError

__all__ = ["Membership", "blocked", "joined", "left", "unblocked"]


@dataclass(frozen=True, slots=True)
class Membership:
    """A group joined on one adapter: for all sources but those that are blocked, or for some sources.

    Args:
        sources: those it was joined for; empty for all.
        blocked: those that are not heard, of all.
        filtered: whether any was ever blocked.
    """

    sources: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    filtered: bool = False


def joined(before: Membership | None, source: str | None, action: str) -> Membership:
    """Work out what joining leads to.

    Args:
        before: what the membership was; None if there was none.
        source: whom to hear; None for everybody.
        action: begins the message of an error.

    Raises:
        AddressNotAvailableError: it was joined for this source or for all, or for some and now for all.
        InvalidArgumentError: sources of it are or were blocked.

    Source: the conflicts of Winsock's multicast options, which its documentation of them lists.
    """
    if before is None:
        return Membership(frozenset() if source is None else frozenset([source]))
    if before.filtered:
        raise InvalidArgumentError(f"{action}: it is joined for all sources, some of which were blocked")
    if not before.sources:
        raise AddressNotAvailableError(f"{action}: it is joined for all sources already")
    if source is None:
        raise AddressNotAvailableError(f"{action}: it is joined for single sources; leave it first")
    if source in before.sources:
        raise AddressNotAvailableError(f"{action}: it is joined for this source already")
    return replace(before, sources=before.sources | {source})


def left(before: Membership | None, source: str | None, action: str) -> Membership | None:
    """Work out what leaving leads to; None when nothing of the membership is left.

    Args:
        before: as for ``joined``.
        source: whom to hear no more; None to leave altogether.
        action: begins the message of an error.

    Raises:
        AddressNotAvailableError: it was not joined for this source.
        InvalidArgumentError: it was not joined, or for all sources and one is to be left.
    """
    if source is None:
        _check_joined(before, action)
        return None
    if before is not None and not before.sources:
        raise InvalidArgumentError(f"{action}: it is joined for all sources; block one instead")
    if before is None or source not in before.sources:
        raise AddressNotAvailableError(f"{action}: it is not joined for this source")
    rest = before.sources - {source}
    return replace(before, sources=rest) if rest else None


def blocked(before: Membership | None, source: str, action: str) -> Membership:
    """Work out what blocking a source leads to.

    Raises:
        AddressNotAvailableError: it is blocked already.
        InvalidArgumentError: the group was not joined, or for single sources.
    """
    membership = _check_joined_for_all(before, action)
    if source in membership.blocked:
        raise AddressNotAvailableError(f"{action}: it is blocked already")
    return replace(membership, blocked=membership.blocked | {source}, filtered=True)


def unblocked(before: Membership | None, source: str, action: str) -> Membership:
    """Work out what taking back a block leads to.

    Raises:
        AddressNotAvailableError: others are or were blocked, but not this one.
        InvalidArgumentError: the group was not joined, or for single sources, or none was ever blocked.
    """
    membership = _check_joined_for_all(before, action)
    if not membership.filtered:
        raise InvalidArgumentError(f"{action}: it is not blocked")
    if source not in membership.blocked:
        raise AddressNotAvailableError(f"{action}: it is not blocked, or no longer")
    return replace(membership, blocked=membership.blocked - {source})


def _check_joined(before: Membership | None, action: str) -> Membership:
    if before is None:
        raise InvalidArgumentError(f"{action}: it is not joined on this adapter; join it first")
    return before


def _check_joined_for_all(before: Membership | None, action: str) -> Membership:
    membership = _check_joined(before, action)
    if membership.sources:
        raise InvalidArgumentError(f"{action}: it is joined for single sources; leave one of them instead")
    return membership
