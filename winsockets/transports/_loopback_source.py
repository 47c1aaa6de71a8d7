"""The way from a loopback address of this machine to another machine, which there is not."""

from __future__ import annotations

import errno
from ipaddress import ip_address

from winsockets.errors import NetworkUnreachableError, SocketException

__all__ = ["from_loopback"]


def from_loopback(problem: SocketException, action: str, local: str, remote: str) -> SocketException:
    """Say what Linux finds invalid, where it is that a socket on loopback has to reach another machine.

    Args:
        problem: what the system said.
        action: what was attempted, to begin the message with.
        local: the address that the socket is bound to.
        remote: where it was to go.

    Returns:
        The better error, or the same.

    Source: RFC 1122 section 3.2.1.3 (g).
    """
    if problem.errno != errno.EINVAL or not _is_loopback(local) or _is_loopback(remote):
        return problem
    found = NetworkUnreachableError(
        f"{action}: from {local} there is a way to this machine only (EINVAL); bind the socket to another of "
        "its addresses, or to all",
        errno=errno.EINVAL,
    )
    found.__cause__ = problem.__cause__
    return found


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback
