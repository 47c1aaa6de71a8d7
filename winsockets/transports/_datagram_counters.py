"""What the system tells of a datagram socket's receive queue."""

from __future__ import annotations

import socket
import struct
import sys

__all__ = ["granted_receive_buffer", "system_drops"]

# linux/socket.h and linux/sock_diag.h: nine numbers, the last of which are the drops.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")


def granted_receive_buffer(skt: socket.socket) -> int:
    """Find out how large the receive buffer is, in the bytes that the system counts.

    Source: socket(7) SO_RCVBUF.
    """
    return skt.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def system_drops(skt: socket.socket) -> int:
    """Find out how many datagrams the system had no room for; 0 where it does not tell.

    Linux also counts those whose checksum was wrong.

    Source: linux/sock_diag.h SK_MEMINFO_DROPS.
    """
    if sys.platform != "linux":
        return 0
    try:
        memory = skt.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(memory)[-1]) if len(memory) == _MEMINFO.size else 0
