"""Control properties: a default, a check, and a time until which they can be set."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar, cast, overload

from winsockets.errors import IllegalMethodCallError, InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.networking._name_servers import NameServers, as_name_servers
from winsockets.sockets._kinds import SocketQualityOfService

__all__ = [
    "Control",
    "Setting",
    "buffer_size",
    "flag",
    "hop_limit",
    "limits",
    "multicast_hop_limit",
    "name_servers",
    "quality_of_service",
]

_T = TypeVar("_T")


class Control:
    """Base of the control classes: knows why its properties can no longer be set, if so.

    A control takes no other attributes: setting a property that this version does not have, or that is
    misspelt, raises AttributeError.
    """

    __slots__ = ("__weakref__", "_locked", "_upgradable", "_values")

    def __init__(self) -> None:
        self._locked: str | None = None
        self._upgradable = False
        self._values: dict[str, Any] = {}

    def _lock(self, reason: str, *, upgradable: bool = False) -> None:
        """Let no property be set from now on.

        Args:
            reason: completes "cannot be set".
            upgradable: whether those that count in a TLS handshake still can be.
        """
        self._locked = reason
        self._upgradable = upgradable

    def _unlock(self) -> None:
        """Take back a ``_lock``."""
        self._locked = None

    def _refusal(self, late: str) -> str | None:
        """Say why a property of a kind can no longer be set; None if it can."""
        if late == "allowed" or (late == "handshake" and self._upgradable):
            return None
        return self._locked


class Setting(Generic[_T]):
    """One property of a control.

    Args:
        default: gives the value that nobody has set.
        check: turns an assigned value into the one to keep; raises when it is not acceptable.
        doc: the property's description.
        late: what setting it too late does: "error" (E_ILLEGAL_METHOD_CALL, naming the property),
            "handshake" (the same, but it is not too late on a plain connection, which may be upgraded to
            TLS), "ignored", or "allowed".
        changed: called with the control and the value; when it raises, the property stays as it was.
    """

    def __init__(
        self,
        default: Callable[[], _T],
        check: Callable[[str, Any], _T],
        doc: str,
        late: str = "error",
        changed: Callable[[Any, _T], None] | None = None,
    ) -> None:
        self._default = default
        self._check = check
        self._late = late
        self._changed = changed
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the property's name."""
        self._owner = owner.__name__
        self._name = name

    @overload
    def __get__(self, control: None, owner: type) -> Setting[_T]: ...

    @overload
    def __get__(self, control: Control, owner: type) -> _T: ...

    def __get__(self, control: Control | None, owner: type) -> Setting[_T] | _T:
        """Return the value."""
        if control is None:
            return self
        value = control._values.get(self._name, control)
        return self._default() if value is control else cast(_T, value)

    def __set__(self, control: Control, value: _T) -> None:
        """Set the value, if it is acceptable and not too late."""
        kept = self._check(f"{self._owner}.{self._name}", value)
        reason = control._refusal(self._late)
        if reason is not None:
            if self._late == "ignored":
                return
            raise IllegalMethodCallError(f"{self._owner}.{self._name} cannot be set {reason}")
        if self._changed is not None:
            self._changed(control, kept)
        control._values[self._name] = kept

    def _is_set(self, control: Control) -> bool:
        """Whether the program has set it."""
        return self._name in control._values


def flag(
    default: bool, doc: str, late: str = "error", changed: Callable[[Any, bool], None] | None = None
) -> Setting[bool]:
    """Make a property that is True or False."""

    def check(name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"{name} is True or False, not {value!r}")
        return value

    return Setting(lambda: default, check, doc, late, changed)


def _integer(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is an integer, not {value!r}")
    if not least <= value <= most:
        raise InvalidArgumentError(f"{name}: {value} is not in the range {least} to {most}")
    return value


def hop_limit(late: str, changed: Callable[[Any, int], None] | None = None) -> Setting[int]:
    """Make the unicast hop limit."""
    return Setting(
        lambda: 128,
        lambda name, value: _integer(name, value, 1, 255),
        "Routers that a packet may pass, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). Default 128.",
        late,
        changed,
    )


def multicast_hop_limit(changed: Callable[[Any, int], None]) -> Setting[int]:
    """Make the multicast hop limit, which can be set any time."""
    return Setting(
        lambda: 1,
        lambda name, value: _integer(name, value, 0, 255),
        "Hops of datagrams to a group (IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS): 0 keeps them on this machine, "
        "1 in the local network; at most 255. Default 1.",
        "allowed",
        changed,
    )


@cache
def _system_buffer(kind: int, option: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        return probe.getsockopt(socket.SOL_SOCKET, option)


def buffer_size(kind: int, option: int, doc: str, late: str = "error") -> Setting[int]:
    """Make a kernel buffer size, whose default is the system's."""
    return Setting(
        lambda: _system_buffer(kind, option),
        lambda name, value: _integer(name, value, 1, 0x7FFFFFFF),
        doc,
        late,
    )


def quality_of_service() -> Setting[SocketQualityOfService]:
    """Make the quality of service."""

    def check(name: str, value: Any) -> SocketQualityOfService:
        try:
            return SocketQualityOfService(value)
        except ValueError as problem:
            raise InvalidArgumentError(f"{name}: {value!r} is not a SocketQualityOfService") from problem

    return Setting(
        lambda: SocketQualityOfService.NORMAL,
        check,
        "LOW_LATENCY asks routers for expedited forwarding (DSCP EF), and goes first in the queues of this "
        "machine (SO_PRIORITY). Default NORMAL.",
    )


def limits() -> Setting[Limits]:
    """Make the bounds and deadlines."""

    def check(name: str, value: Any) -> Limits:
        if not isinstance(value, Limits):
            raise TypeError(f"{name} is a Limits object, not {value!r}")
        return value

    return Setting(lambda: DEFAULT_LIMITS, check, "Bounds and deadlines (an addition to WinRT).")


def name_servers() -> Setting[NameServers]:
    """Make the name servers to ask."""
    return Setting(
        tuple,
        lambda name, value: as_name_servers(value, name),
        "Name servers to ask for services and for the addresses of names (an addition to WinRT): a list of "
        'addresses, with a port or without ("192.0.2.53", "[2001:db8::53]:5353", ("192.0.2.53", 5353)). '
        "Reads as a tuple of pairs. Empty (the default): services are asked for at the name servers of the "
        "system, and names are resolved by its own resolver.",
    )


def count_or_none(doc: str) -> Setting[int | None]:
    """Make an optional positive number."""

    def check(name: str, value: Any) -> int | None:
        return None if value is None else _integer(name, value, 1, 0x7FFFFFFF)

    return Setting(lambda: None, check, doc)
