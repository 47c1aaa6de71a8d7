"""Many datagrams in one system call: segmented sends and coalesced receives, where the system has them."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from winsockets.transports._packet_info import Ancillary

__all__ = ["SegmentedSends", "accept_coalesced", "divided", "run_length", "segment_size"]

# As a plain number, which is compared in less time.
_UDP = int(socket.IPPROTO_UDP)
# linux/udp.h; the socket module does not name them.
_UDP_SEGMENT = 103
_UDP_GRO = 104
_LINUX = sys.platform == "linux"

_SEGMENTS = 64
"""The most datagrams that every Linux takes in one segmented send: UDP_MAX_SEGMENTS, of late 128."""

_PAYLOADS = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527}
"""The most bytes in one call: those of the longest datagram of the protocol."""

# What is never said of an earlier datagram.
_OF_THE_CALL = frozenset({errno.EIO, errno.EINVAL})
_NOT_OFFERED = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
_TOO_LONG = frozenset({errno.EINVAL, errno.EMSGSIZE})

_SIZE = struct.Struct("=H")
_SEGMENT_SIZE = struct.Struct("=i")


def run_length(payloads: Sequence[bytes | memoryview], most: int, room: int, longest: int) -> int:
    """Tell how many of the first datagrams can leave in one segmented send.

    All of them have the same size, but the last may be shorter; an empty one cannot be in it.

    Args:
        payloads: the datagrams, one at least.
        most: leave so many at most.
        room: the most bytes of all together.
        longest: the most bytes of one.

    Returns:
        The number; 1 when the first has to leave alone.

    Source: udp(7) UDP_SEGMENT.
    """
    size = len(payloads[0])
    if not 0 < size <= longest:
        return 1
    most = min(most, len(payloads), _SEGMENTS)
    sizes = list(map(len, payloads if most == len(payloads) else payloads[:most]))
    count = sizes.count(size)
    if count < most:
        # Those of its size need not be the first ones.
        count = next(place for place, other in enumerate(sizes) if other != size)
    count = min(count, room // size)
    if count < most and 0 < sizes[count] < size and count * size + sizes[count] <= room:
        count += 1
    return count


class SegmentedSends:
    """What one socket can leave to the system: to cut up a buffer into datagrams of one size.

    Where the system refuses that, be it on a path whose packets are smaller than a segment, it is remembered.

    Args:
        skt: a datagram socket.

    Source: udp(7) UDP_SEGMENT.
    """

    __slots__ = ("_longest", "_room", "_socket")

    def __init__(self, skt: socket.socket) -> None:
        self._socket = skt
        self._room = 0
        self._longest = 0
        if _LINUX and skt.family in _PAYLOADS:
            # An older system would send what is to be cut up as one datagram.
            with suppress(OSError):
                skt.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
                self._room = self._longest = _PAYLOADS[skt.family]

    def run_length(self, payloads: Sequence[bytes | memoryview], most: int) -> int:
        """Tell how many of the first datagrams, ``most`` at most, leave in one call."""
        if len(payloads) == 1 or most == 1:
            return 1
        return run_length(payloads, most, self._room, self._longest)

    def send(self, payloads: Sequence[bytes | memoryview], to: tuple[Any, ...] | None) -> None:
        """Send a run of datagrams: all of them, or none.

        Raises:
            OSError: as the system says.
        """
        # To join them takes less time than to have the system gather them: 0.10 against 0.12 us for each of
        # fifty of 1,200 bytes.
        ancillary = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(len(payloads[0])))]
        self._socket.sendmsg([b"".join(payloads)], ancillary, 0, to)

    def refused(self, number: int, size: int) -> None:
        """Note that the system would not cut up a buffer: never, or not into datagrams of that size."""
        if number in _NOT_OFFERED:
            self._longest = 0
        elif number in _TOO_LONG:
            self._longest = min(self._longest, size - 1)

    @staticmethod
    def is_refusal(number: int) -> bool:
        """Whether an error is about the segmented send for sure, and not about an earlier datagram."""
        return number in _OF_THE_CALL


def accept_coalesced(skt: socket.socket) -> bool:
    """Have the system deliver datagrams of one sender in one piece, where it can; tell whether it does.

    Source: udp(7) UDP_GRO.
    """
    if not (_LINUX and skt.family in _PAYLOADS):
        return False
    try:
        skt.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
    except OSError:
        return False
    return True


def segment_size(ancillary: Ancillary) -> int:
    """Find out how long each datagram of a piece is, but the last, which may be shorter; 0 if it is one."""
    for level, kind, data in ancillary:
        if level == _UDP and kind == _UDP_GRO and len(data) >= _SEGMENT_SIZE.size:
            size: int = _SEGMENT_SIZE.unpack_from(data)[0]
            return size
    return 0


def divided(piece: memoryview, size: int) -> list[bytes]:
    """Cut what came in one piece up into datagrams of a size; the last may be shorter."""
    rest = len(piece) % size
    if not rest:
        # Less than half the price of slicing.
        return [data for (data,) in struct.iter_unpack(f"{size}s", piece)]
    whole = len(piece) - rest
    return [*divided(piece[:whole], size), bytes(piece[whole:])]
