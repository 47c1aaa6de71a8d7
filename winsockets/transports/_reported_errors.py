"""What hosts and routers say of datagrams that did not arrive: the error queue of a socket on Linux."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from contextlib import suppress

from winsockets.transports._packet_info import Ancillary

__all__ = ["ReportedError", "hear_errors", "reported_errors", "understand"]

# linux/in.h and linux/in6.h, linux/errqueue.h; the socket module does not name the first ones.
_RECVERR = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}
_QUEUE: int = getattr(socket, "MSG_ERRQUEUE", 0)
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_LOCAL, _ICMP, _ICMP6 = 1, 2, 3
_PORT4, _PORT6 = struct.Struct("=HH4s"), struct.Struct("=HHI16sI")
_ROOM = 512
"""For the error, and for what else the system tells of a datagram."""

# By protocol, type and code: what the system has no number for that says as much, or one that says too much.
_TIME_EXCEEDED = {(_ICMP, 11), (_ICMP6, 3)}
_NUMBERS = {
    (_ICMP, errno.ENOPROTOOPT): errno.ECONNREFUSED,  # there is no UDP
    (_ICMP, getattr(errno, "ENONET", 0)): errno.EHOSTUNREACH,  # isolated
}


class ReportedError(OSError):
    """What a host or router said of a datagram.

    Attributes:
        reporter: the address of who said so; "" where the system does not tell.
        packet_size: the largest packet that it lets through, of errors about that; 0 otherwise.
    """

    reporter = ""
    packet_size = 0


def hear_errors(skt: socket.socket) -> bool:
    """Have the system keep what is said of datagrams; False where it has no queue for that.

    Without one it tells the last refusal only, and nothing of networks and hosts that cannot be reached.

    Source: ip(7) IP_RECVERR, ipv6(7) IPV6_RECVERR.
    """
    if sys.platform != "linux" or skt.family not in _RECVERR:
        return False
    level, option = _RECVERR[skt.family]
    try:
        skt.setsockopt(level, option, 1)
    except OSError:
        return False
    return True


def reported_errors(skt: socket.socket, most: int) -> list[ReportedError]:
    """Take what was said from the queue, ``most`` things at most, in the order in which it came.

    What this system itself refused is taken too, and left out: whoever sent it knows.

    Source: ip(7), MSG_ERRQUEUE.
    """
    errors: list[ReportedError] = []
    with suppress(OSError):
        for _ in range(most):
            _, ancillary, _, _ = skt.recvmsg(1, _ROOM, _QUEUE)
            found = understand(ancillary)
            if found is not None:
                errors.append(found)
    return errors


def understand(ancillary: Ancillary) -> ReportedError | None:
    """Make the error of what came from the queue; None when nobody else said it.

    A hop limit that was too low is ENETRESET, as on Windows; the system says EHOSTUNREACH.

    Source: ip(7), struct sock_extended_err; RFC 792, RFC 4443.
    """
    for level, kind, data in ancillary:
        if (level, kind) not in _RECVERR.values() or len(data) < _EXTENDED_ERROR.size:
            continue
        number, origin, icmp_type, _, _, information, _ = _EXTENDED_ERROR.unpack_from(data)
        if origin not in (_ICMP, _ICMP6):
            return None
        if (origin, icmp_type) in _TIME_EXCEEDED:
            number = errno.ENETRESET
        number = _NUMBERS.get((origin, number), number)
        error = ReportedError(number, os.strerror(number))
        error.reporter = _reporter(data[_EXTENDED_ERROR.size :])
        if number == errno.EMSGSIZE:
            error.packet_size = information
        return error
    return None


def _reporter(name: bytes) -> str:
    """Read a socket address."""
    family = int.from_bytes(name[:2], sys.byteorder)
    if family == socket.AF_INET and len(name) >= _PORT4.size:
        return socket.inet_ntop(socket.AF_INET, _PORT4.unpack_from(name)[2])
    if family == socket.AF_INET6 and len(name) >= _PORT6.size:
        _, _, _, raw, scope = _PORT6.unpack_from(name)
        host = socket.inet_ntop(socket.AF_INET6, raw)
        return f"{host}%{scope}" if scope else host
    return ""
