"""Taking one port number on several addresses, and saying what was taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from winsockets.errors import AddressInUseError, SocketErrorStatus, SocketException

__all__ = ["ALL_INTERFACES", "LOOPBACK", "Bound", "as_url", "bind_all"]

LOOPBACK = ("127.0.0.1", "::1")
"""This machine only, in both families."""

ALL_INTERFACES = ("0.0.0.0", "::")
"""Every interface, in both families."""

_PORT_TRIES = 16
_MISSING_FAMILY = frozenset(
    {SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED, SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS}
)


class Bound(NamedTuple):
    """A listener or datagram socket and where it is bound."""

    socket: Any
    address: str
    port: int


def as_url(scheme: str, address: str, port: int) -> str:
    """Say "tcp://[::1]:1337"."""
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}:{port}"


def bind_all(
    addresses: Sequence[str], ports: Iterable[str], bind: Callable[[str, str], Bound]
) -> list[Bound]:
    """Bind to each port on all addresses, or to nothing.

    Args:
        addresses: numeric local addresses. Where there are several, those that this machine does not have
            are left out: a system without IPv6 has no ``::1``.
        ports: service names; "0" lets the system choose a number that is free on all addresses.
        bind: binds to one address and port; what it returns has a ``socket`` that can be closed.

    Returns:
        What was bound, at least one for each port.

    Raises:
        SocketException: what the first bind that failed raised; everything bound before is closed.
    """
    bound: list[Bound] = []
    try:
        for port in ports:
            bound += _bind_port(addresses, port, bind)
    except BaseException:
        _close(bound)
        raise
    return bound


def _bind_port(addresses: Sequence[str], port: str, bind: Callable[[str, str], Bound]) -> list[Bound]:
    for attempt in range(_PORT_TRIES):
        bound: list[Bound] = []
        number = port
        missing: SocketException | None = None
        try:
            for address in addresses:
                try:
                    bound.append(bind(address, number))
                except SocketException as problem:
                    if len(addresses) == 1 or problem.status not in _MISSING_FAMILY:
                        raise
                    missing = problem
                else:
                    number = str(bound[-1].port)
        except AddressInUseError:
            _close(bound)
            # The system chose for the first address what is taken on the next: let it choose again.
            if port != "0" or not bound or attempt == _PORT_TRIES - 1:
                raise
        except BaseException:
            _close(bound)
            raise
        else:
            if missing is not None and not bound:
                raise missing
            return bound
    raise AssertionError("not reached")


def _close(bound: list[Bound]) -> None:
    for each in bound:
        each.socket.close()
