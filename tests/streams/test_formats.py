"""Times as units of 100 ns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError
from winsockets.streams._formats import from_date_ticks, from_ticks, to_date_ticks, to_ticks

aware = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))


def test_dates_count_from_the_beginning_of_1601():
    """Known points, as Windows counts them."""
    assert to_date_ticks(datetime(1601, 1, 1, tzinfo=UTC)) == 0
    assert to_date_ticks(datetime(1970, 1, 1, tzinfo=UTC)) == 116_444_736_000_000_000
    assert to_date_ticks(datetime(1600, 12, 31, 23, 59, 59, tzinfo=UTC)) == -10_000_000
    assert from_date_ticks(116_444_736_000_000_010) == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


@given(aware)
def test_dates_survive_the_way_there_and_back(moment):
    """To the microsecond, in UTC."""
    back = from_date_ticks(to_date_ticks(moment))
    assert back == moment
    assert back.tzinfo is UTC


@given(st.timedeltas(timedelta(days=-10_675_199), timedelta(days=10_675_199)))
def test_spans_survive_the_way_there_and_back(span):
    """To the microsecond."""
    ticks = to_ticks(span)
    assert -(1 << 63) <= ticks < 1 << 63
    assert from_ticks(ticks) == span


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_number_is_a_span(ticks):
    """What is finer than a microsecond is cut off."""
    assert 0 <= ticks - to_ticks(from_ticks(ticks)) < 10


@pytest.mark.parametrize("ticks", [-(1 << 63), (1 << 63) - 1])
def test_not_every_number_is_a_date_of_pythons(ticks):
    """The years 1 to 9999 are."""
    with pytest.raises(InvalidArgumentError, match=str(ticks)):
        from_date_ticks(ticks)


def test_a_date_without_a_time_zone_is_refused():
    """Also one whose zone does not say."""
    with pytest.raises(InvalidArgumentError, match="time zone"):
        to_date_ticks(datetime(2000, 1, 1))
