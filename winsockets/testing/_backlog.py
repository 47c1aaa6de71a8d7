"""How far the system has come with sending."""

from __future__ import annotations

import socket
import sys

__all__ = ["unacknowledged"]

if sys.platform == "linux":
    import fcntl
    import termios

    def unacknowledged(skt: socket.socket) -> int:
        """Return how many bytes the receiver's system has not taken yet.

        Source: tcp(7) SIOCOUTQ, which has the number of TIOCOUTQ.
        """
        return int.from_bytes(fcntl.ioctl(skt, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

elif sys.platform == "darwin":
    _SO_NWRITE = 0x1024  # sys/socket.h; the socket module does not have it

    def unacknowledged(skt: socket.socket) -> int:
        """Return how many bytes the receiver's system has not taken yet."""
        return skt.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)

else:

    def unacknowledged(skt: socket.socket) -> int:
        """Return 0: this system does not tell."""
        return 0
