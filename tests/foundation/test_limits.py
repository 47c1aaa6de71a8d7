"""The bounds and deadlines: each has a reason, a sane value, and refuses what makes no sense."""

from __future__ import annotations

import ast
import inspect
from dataclasses import FrozenInstanceError, fields, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS, Limits, _limits

FIELDS = {field.name: field.default for field in fields(Limits)}
WHOLE = [name for name, default in FIELDS.items() if isinstance(default, int)]
SECONDS = [name for name, default in FIELDS.items() if isinstance(default, float)]


def reasons() -> dict[str, str]:
    """The text under each field, by its name."""
    body = next(
        node.body for node in ast.parse(inspect.getsource(_limits)).body if isinstance(node, ast.ClassDef)
    )
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


@pytest.mark.parametrize("name", FIELDS)
def test_every_bound_gives_its_reason(name: str) -> None:
    """A number without one cannot be judged by whoever wants to change it."""
    assert len(reasons()[name]) > 40


def test_the_defaults_are_those_of_a_fresh_object() -> None:
    """There is one set of defaults."""
    assert Limits() == DEFAULT_LIMITS
    assert not hasattr(DEFAULT_LIMITS, "__dict__")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolve_timeout", 2 * 2 * 5.0),
        ("connection_attempt_delay", 0.25),
        ("datagram_size", 0xFFFF),
        ("read_size", 64 * 1024),
        ("read_high_water", 64 * 1024),
        ("write_queue", 1024 * 1024),
        ("max_line_length", 64 * 1024),
    ],
)
def test_a_value_is_what_its_reason_says(name: str, value: float) -> None:
    """Two servers twice for 5 s; RFC 8305's 250 ms; UDP's 16-bit length; and round sizes."""
    assert FIELDS[name] == value


def test_the_defaults_fit_together() -> None:
    """The relations that the reasons state."""
    limits = DEFAULT_LIMITS
    assert limits.connect_timeout < 127
    assert limits.connection_attempt_delay * limits.max_addresses < limits.connect_timeout
    assert limits.max_parallel_attempts <= limits.max_addresses
    assert limits.read_low_water < limits.read_high_water
    assert limits.read_high_water + limits.read_size <= 256 * 1024
    assert limits.accept_retry < 0.1
    assert limits.close_timeout * 56_000 / 8 > 100_000


@pytest.mark.parametrize("name", FIELDS)
def test_a_bound_is_changed_with_replace(name: str) -> None:
    """The original stays as it is."""
    changed = replace(DEFAULT_LIMITS, **{name: 7_000_000 if name != "read_low_water" else 7})
    assert getattr(changed, name) != FIELDS[name]
    assert getattr(DEFAULT_LIMITS, name) == FIELDS[name]
    assert replace(changed, **{name: FIELDS[name]}) == DEFAULT_LIMITS


@pytest.mark.parametrize("name", FIELDS)
def test_a_bound_cannot_be_changed_in_place(name: str) -> None:
    """Sockets share the object."""
    with pytest.raises(FrozenInstanceError):
        setattr(DEFAULT_LIMITS, name, 1)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), float("-inf"), "1", None, True], ids=repr)
def test_a_bound_that_bounds_nothing_is_refused(name: str, value: object) -> None:
    """The error names the field."""
    with pytest.raises(InvalidArgumentError, match=rf"^Limits\.{name}: "):
        replace(DEFAULT_LIMITS, **{name: value})


@pytest.mark.parametrize("name", FIELDS)
def test_only_closing_may_take_no_time_at_all(name: str) -> None:
    """Zero is an order to give up at once there; anywhere else nothing would ever work."""
    if name == "close_timeout":
        assert replace(DEFAULT_LIMITS, close_timeout=0).close_timeout == 0
    else:
        with pytest.raises(InvalidArgumentError, match=rf"^Limits\.{name}: 0 is not greater than 0"):
            replace(DEFAULT_LIMITS, **{name: 0})


@pytest.mark.parametrize("name", WHOLE)
def test_sizes_and_counts_are_whole_numbers(name: str) -> None:
    """Half a byte is a mistake that would surface much later."""
    with pytest.raises(InvalidArgumentError, match=rf"^Limits\.{name}: 1\.5 is not a whole number"):
        replace(DEFAULT_LIMITS, **{name: 1.5})


@pytest.mark.parametrize("name", SECONDS)
def test_times_may_be_whole_or_not(name: str) -> None:
    """Seconds as people write them."""
    assert getattr(replace(DEFAULT_LIMITS, **{name: 5}), name) == 5
    assert getattr(replace(DEFAULT_LIMITS, **{name: 0.001}), name) == 0.001


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_reading_starts_again_no_higher_than_it_stops(low: int, high: int) -> None:
    """With the marks the wrong way round a connection would never pause, or never resume."""
    if low <= high:
        limits = replace(DEFAULT_LIMITS, read_low_water=low, read_high_water=high)
        assert (limits.read_low_water, limits.read_high_water) == (low, high)
    else:
        with pytest.raises(InvalidArgumentError, match="read_low_water"):
            replace(DEFAULT_LIMITS, read_low_water=low, read_high_water=high)


def test_a_send_may_always_ask_twice() -> None:
    """Only the second answer tells whether the first was about an earlier datagram."""
    assert replace(DEFAULT_LIMITS, errors_per_send=2).errors_per_send == 2
    with pytest.raises(InvalidArgumentError, match="errors_per_send: 1 is less than 2"):
        replace(DEFAULT_LIMITS, errors_per_send=1)
