"""Statistics: what the system measured, in the units of WinRT."""

from __future__ import annotations

import copy
import sys

import pytest

from winsockets.sockets import BandwidthStatistics, RoundTripTimeStatistics
from winsockets.sockets._statistics import bandwidth, round_trips
from winsockets.transports._tcp_info import TcpInfo


def info(**figures):
    """Figures of the system, 0 unless given."""
    return TcpInfo(*[figures.get(name, 0) for name in TcpInfo._fields])


def test_round_trips_are_in_microseconds():
    """As the system gives them."""
    statistics = round_trips(info(rtt=300, rtt_variance=20, min_rtt=100), 0)
    assert statistics == RoundTripTimeStatistics(variance=20, max=300, min=100, sum=300)


def test_the_largest_round_trip_so_far_is_kept():
    """Whichever reading it was in."""
    assert round_trips(info(rtt=300), 500).max == 500
    assert round_trips(info(rtt=600), 500).max == 600


def test_bandwidth_is_in_bits_per_second():
    """The system counts bytes, and microseconds of a round trip."""
    statistics = bandwidth(info(delivery_rate=1_000, received_space=5_000, received_rtt=250_000))
    assert statistics.outbound_bits_per_second == 8_000
    assert statistics.inbound_bits_per_second == 160_000


def test_without_a_measurement_there_is_no_rate():
    """And nothing is divided by zero."""
    assert bandwidth(info(received_space=5_000)) == BandwidthStatistics()


@pytest.mark.parametrize(
    ("rate", "limited", "peaked"), [(1_000, False, True), (1_000, True, False), (0, False, False)]
)
def test_the_path_is_full_when_the_program_did_not_hold_it_back(rate, limited, peaked):
    """And something was sent at all."""
    assert (
        bandwidth(info(delivery_rate=rate, application_limited=limited)).outbound_bandwidth_peaked is peaked
    )


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
