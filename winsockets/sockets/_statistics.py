"""What a connection's path is like."""

from __future__ import annotations

from typing import Any, NamedTuple

from winsockets.transports._tcp_info import TcpInfo

__all__ = ["BandwidthReadings", "BandwidthStatistics", "RoundTripTimeStatistics", "round_trips"]

_BITS = 8
_MILLISECONDS = 1_000
# How exactly the system tells when data arrived: to some milliseconds.
_SHORTEST = 0.01
# How much of what it was the deviation keeps when another one comes, as that of round trips does: RFC 6298.
_WEIGHT = 4


class BandwidthStatistics(NamedTuple):
    """Rates of one connection; all 0 and False where the system does not tell.

    Both rates are what was delivered, without headers and without what was sent twice. What a program does
    not send or its peer does not send cannot be measured: a path may be faster, when it was not filled.

    Attributes:
        outbound_bits_per_second: goodput towards the peer, as the system measured it last (Linux). Its
            samples are about a round trip long; those that the program held back count only if they are
            higher.
        inbound_bits_per_second: what arrived in the time from the reading before, or the connection, to the
            last of it, taken for 10 ms at least. Nothing new leaves it as it was, and so does a reading less
            than 10 ms after the one before.
        outbound_bits_per_second_instability: the mean deviation of that rate from one reading to the next;
            0 until a second one was different.
        inbound_bits_per_second_instability: likewise.
        outbound_bandwidth_peaked: whether the path, and not the program, set the outbound rate, and the rate
            is no longer in its first rise (slow start).
        inbound_bandwidth_peaked: always False: whether the path or the peer sets the inbound rate, only the
            peer knows.

    Source: WinRT BandwidthStatistics; tcp(7) TCP_INFO; RFC 6298 section 2 for the mean deviation.
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
        min: the shortest; the system forgets it after some minutes, the socket does not, once it was read.
        sum: the smoothed time.

    Source: WinRT RoundTripTimeStatistics; tcp(7) TCP_INFO; RFC 6298.
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


def round_trips(info: TcpInfo, before: RoundTripTimeStatistics) -> RoundTripTimeStatistics:
    """Make the statistics of a reading, with those of the reading before."""
    shortest = min(filter(None, (before.min, info.min_rtt or info.rtt)), default=0)
    return RoundTripTimeStatistics(info.rtt_variance, max(before.max, info.rtt), shortest, info.rtt)


class BandwidthReadings:
    """Makes the rates of one connection, each reading from what the system counts then and counted before.

    Args:
        since: when the connection was made, in seconds of any clock.
    """

    __slots__ = ("_inbound", "_outbound", "_received", "_since")

    def __init__(self, since: float) -> None:
        self._since = since
        self._received = 0
        self._inbound = _Rate()
        self._outbound = _Rate()

    def take(self, info: TcpInfo, now: float) -> BandwidthStatistics:
        """Make the statistics of a reading.

        Args:
            info: what the system tells.
            now: the time, of the same clock.
        """
        self._arrived(info, now)
        self._outbound.measured(info.delivery_rate * _BITS)
        return BandwidthStatistics(
            outbound_bits_per_second=self._outbound.latest,
            inbound_bits_per_second=self._inbound.latest,
            outbound_bits_per_second_instability=round(self._outbound.deviation),
            inbound_bits_per_second_instability=round(self._inbound.deviation),
            outbound_bandwidth_peaked=info.slow_start_ended
            and not info.application_limited
            and info.delivery_rate > 0,
        )

    def _arrived(self, info: TcpInfo, now: float) -> None:
        count = info.bytes_received - self._received
        elapsed = now - self._since
        if count <= 0 or (elapsed < _SHORTEST and self._inbound.latest):
            return
        busy = max(elapsed - info.last_received / _MILLISECONDS, _SHORTEST)
        self._inbound.measured(round(count * _BITS / busy))
        self._since, self._received = now, info.bytes_received


class _Rate:
    """A rate that is measured now and then, and how much it varies."""

    __slots__ = ("deviation", "latest")

    def __init__(self) -> None:
        self.latest = 0
        self.deviation = 0.0

    def measured(self, rate: int) -> None:
        """Take a measurement; one like the last is the last."""
        change = abs(rate - self.latest)
        if self.latest and change:
            self.deviation += (change - self.deviation) / (_WEIGHT if self.deviation else 1)
        self.latest = rate
