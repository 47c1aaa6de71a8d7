"""Statistics: what the system measured, in the units of WinRT."""

from __future__ import annotations

import copy
import sys

import pytest

from winsockets.sockets import BandwidthStatistics, RoundTripTimeStatistics
from winsockets.sockets._statistics import BandwidthReadings, round_trips
from winsockets.transports._tcp_info import TcpInfo

NONE_YET = RoundTripTimeStatistics()


def test_round_trips_are_in_microseconds():
    """As the system gives them."""
    statistics = round_trips(TcpInfo(rtt=300, rtt_variance=20, min_rtt=100), NONE_YET)
    assert statistics == RoundTripTimeStatistics(variance=20, max=300, min=100, sum=300)


def test_the_largest_and_the_shortest_round_trip_so_far_are_kept():
    """Whichever reading they were in; the system forgets the shortest after a while."""
    first = round_trips(TcpInfo(rtt=500, min_rtt=90), NONE_YET)
    second = round_trips(TcpInfo(rtt=300, min_rtt=200), first)
    assert (second.max, second.min, second.sum) == (500, 90, 300)
    third = round_trips(TcpInfo(rtt=600, min_rtt=80), second)
    assert (third.max, third.min, third.sum) == (600, 80, 600)


def test_where_the_system_tells_no_shortest_round_trip_that_of_the_readings_is_it():
    """As on macOS."""
    first = round_trips(TcpInfo(rtt=5_000), NONE_YET)
    assert (first.max, first.min, first.sum) == (5_000, 5_000, 5_000)
    assert round_trips(TcpInfo(rtt=4_000), first).min == 4_000
    assert round_trips(TcpInfo(), NONE_YET) == NONE_YET


def rates(*readings, since=100.0):
    """The statistics of some readings, each so many seconds after the connection."""
    taken = BandwidthReadings(since)
    return [taken.take(info, since + seconds) for seconds, info in readings]


def test_the_outbound_rate_is_what_the_system_measured():
    """It counts bytes in a second."""
    (statistics,) = rates((1, TcpInfo(delivery_rate=1_000)))
    assert statistics == BandwidthStatistics(outbound_bits_per_second=8_000)


def test_the_inbound_rate_is_what_arrived_since_the_reading_before():
    """Up to the last of it: nobody sends afterwards."""
    first, second = rates(
        (2, TcpInfo(bytes_received=1_000)),
        (12, TcpInfo(bytes_received=51_000, last_received=8_000)),
    )
    assert first.inbound_bits_per_second == 4_000
    assert second.inbound_bits_per_second == 200_000


def test_when_nothing_has_arrived_the_inbound_rate_is_the_last_one():
    """It is not measured anew, and the next one is that of the whole time since."""
    readings = rates(
        (1, TcpInfo(bytes_received=1_000)),
        (5, TcpInfo(bytes_received=1_000, last_received=4_000)),
        (6, TcpInfo(bytes_received=6_000)),
    )
    assert [reading.inbound_bits_per_second for reading in readings] == [8_000, 8_000, 8_000]
    assert readings[-1].inbound_bits_per_second_instability == 0


def test_what_is_too_short_to_be_measured_is_taken_for_longer():
    """The system tells times to some milliseconds: a burst never looks faster than it was."""
    (burst,) = rates((1, TcpInfo(bytes_received=10_000, last_received=999)))
    assert burst.inbound_bits_per_second == 8_000_000, "in 10 ms"
    (early,) = rates((0.001, TcpInfo(bytes_received=10_000)))
    assert early.inbound_bits_per_second == 8_000_000
    (odd,) = rates((1, TcpInfo(bytes_received=10_000, last_received=60_000)))
    assert odd.inbound_bits_per_second == 8_000_000


def test_a_reading_right_after_another_one_measures_nothing():
    """What arrives meanwhile counts in the next one; so does a clock that was set back."""
    readings = rates(
        (1, TcpInfo(bytes_received=10_000)),
        (1.001, TcpInfo(bytes_received=90_000)),
        (0.5, TcpInfo(bytes_received=90_000)),
        (2, TcpInfo(bytes_received=110_000)),
    )
    assert [reading.inbound_bits_per_second for reading in readings] == [80_000, 80_000, 80_000, 800_000]


def test_the_instability_is_the_mean_deviation_of_the_rate():
    """From a measurement to the next, where the last one counts for a quarter."""
    rate = [1_000, 2_000, 1_500, 1_500, 1_500]
    received = [1_000, 3_000, 4_500, 6_000, 7_500]
    readings = rates(
        *(
            (number + 1, TcpInfo(delivery_rate=rate[number], bytes_received=received[number]))
            for number in range(5)
        )
    )
    assert [reading.outbound_bits_per_second_instability for reading in readings] == [
        0,
        8_000,
        7_000,
        7_000,
        7_000,
    ]
    assert [reading.inbound_bits_per_second_instability for reading in readings] == [
        0,
        8_000,
        7_000,
        7_000,
        7_000,
    ]


def test_without_a_measurement_there_is_no_rate():
    """Nor anything else."""
    assert (
        rates((0, TcpInfo()), (5, TcpInfo(last_received=5_000)), (5, TcpInfo()))
        == [BandwidthStatistics()] * 3
    )


@pytest.mark.parametrize(
    ("rate", "limited", "risen", "peaked"),
    [
        (1_000, False, True, True),
        (1_000, True, True, False),
        (1_000, False, False, False),
        (0, False, True, False),
    ],
)
def test_the_rate_has_peaked_when_the_path_and_not_the_program_set_it(rate, limited, risen, peaked):
    """And it is no longer in its first rise; inbound only the peer knows."""
    (statistics,) = rates(
        (
            1,
            TcpInfo(
                delivery_rate=rate, application_limited=limited, slow_start_ended=risen, bytes_received=9
            ),
        )
    )
    assert statistics.outbound_bandwidth_peaked is peaked
    assert statistics.inbound_bandwidth_peaked is False


@pytest.mark.parametrize("kind", [BandwidthStatistics, RoundTripTimeStatistics])
def test_statistics_are_structs_as_pywinrt_has_them(kind):
    """Immutable, all 0 at first, with ``unpack`` and ``__replace__``."""
    first = kind._fields[0]
    empty = kind()
    assert not any(empty)
    with pytest.raises(AttributeError):
        setattr(empty, first, 1)
    changed = empty.__replace__(**{first: 5})
    assert getattr(changed, first) == 5
    assert changed.unpack() == (5, *empty[1:])
    assert type(changed.unpack()) is tuple
    assert getattr(empty, first) == 0
    if sys.version_info >= (3, 13):
        assert copy.replace(empty, **{first: 5}) == changed
