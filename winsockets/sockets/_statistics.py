"""What a connection's path is like."""

from __future__ import annotations

from typing import Any, NamedTuple

from winsockets.transports._tcp_info import TcpInfo

__all__ = ["BandwidthStatistics", "RoundTripTimeStatistics", "bandwidth", "round_trips"]

_BITS = 8
_MICROSECONDS = 1_000_000


class BandwidthStatistics(NamedTuple):
    """Rates of one connection.

    All are 0 or False where the system keeps no extended TCP statistics (anywhere but Linux), and the
    instabilities everywhere.

    Attributes:
        outbound_bits_per_second: the latest measured goodput towards the peer.
        inbound_bits_per_second: what the program took from the receive buffer in a round trip.
        outbound_bits_per_second_instability: always 0 here.
        inbound_bits_per_second_instability: always 0 here.
        outbound_bandwidth_peaked: whether the path, and not the program, set the outbound rate.
        inbound_bandwidth_peaked: always False here.

    Source: WinRT BandwidthStatistics; tcp(7) TCP_INFO.
    """

    outbound_bits_per_second: int = 0
    inbound_bits_per_second: int = 0
    outbound_bits_per_second_instability: int = 0
    inbound_bits_per_second_instability: int = 0
    outbound_bandwidth_peaked: bool = False
    inbound_bandwidth_peaked: bool = False

    def unpack(self) -> tuple[int, int, int, int, bool, bool]:
        """Return the fields as a plain tuple."""
        return (*self,)

    def __replace__(self, /, **changes: Any) -> BandwidthStatistics:
        """Return a copy with some fields changed (``copy.replace``)."""
        return self._replace(**changes)


class RoundTripTimeStatistics(NamedTuple):
    """Round trip times of one connection in microseconds; all 0 where the system does not tell.

    Attributes:
        variance: the mean deviation.
        max: the largest smoothed time seen at any reading of the statistics.
        min: the shortest.
        sum: the smoothed time.

    Source: WinRT RoundTripTimeStatistics; tcp(7) TCP_INFO.
    """

    variance: int = 0
    max: int = 0
    min: int = 0
    sum: int = 0

    def unpack(self) -> tuple[int, int, int, int]:
        """Return the fields as a plain tuple."""
        return (*self,)

    def __replace__(self, /, **changes: int) -> RoundTripTimeStatistics:
        """Return a copy with some fields changed (``copy.replace``)."""
        return self._replace(**changes)


def round_trips(info: TcpInfo, largest: int) -> RoundTripTimeStatistics:
    """Make the statistics of a reading; ``largest`` is the largest smoothed time so far."""
    return RoundTripTimeStatistics(info.rtt_variance, max(largest, info.rtt), info.min_rtt, info.rtt)


def bandwidth(info: TcpInfo) -> BandwidthStatistics:
    """Make the statistics of a reading."""
    inbound = info.received_space * _BITS * _MICROSECONDS // info.received_rtt if info.received_rtt else 0
    return BandwidthStatistics(
        outbound_bits_per_second=info.delivery_rate * _BITS,
        inbound_bits_per_second=inbound,
        outbound_bandwidth_peaked=bool(info.delivery_rate) and not info.application_limited,
    )
