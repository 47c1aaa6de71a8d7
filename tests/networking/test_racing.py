"""Connection racing, on a clock that only the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from winsockets.errors import (
    AddressNotAvailableError,
    ConnectionTimedOutError,
    ConnectRefusedError,
    NetworkUnreachableError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking._address import Address
from winsockets.networking._racing import Race, Step, interleave


def v4(number):
    """An IPv4 address."""
    return Address.ipv4(f"192.0.2.{number}", 80)


def v6(number):
    """An IPv6 address."""
    return Address.ipv6(f"2001:db8::{number}", 80)


REFUSED = ConnectRefusedError("refused")
DELAY = DEFAULT_LIMITS.connection_attempt_delay
addresses = st.lists(
    st.builds(lambda maker, number: maker(number), st.sampled_from([v4, v6]), st.integers(1, 250)),
    min_size=1,
    max_size=16,
    unique=True,
)


def test_families_alternate_beginning_with_the_first():
    """The best address keeps its place, and the other family is next."""
    assert interleave([v6(1), v6(2), v6(3), v4(1), v4(2)]) == (v6(1), v4(1), v6(2), v4(2), v6(3))
    assert interleave([v4(1), v6(1), v6(2)]) == (v4(1), v6(1), v6(2))
    assert interleave([]) == ()


@given(addresses)
def test_interleaving_keeps_every_address_and_the_order_within_a_family(given_addresses):
    """It is a stable rearrangement."""
    ordered = interleave(given_addresses)
    assert sorted(map(str, ordered)) == sorted(map(str, given_addresses))
    for family in {address.family for address in given_addresses}:
        assert [a for a in ordered if a.family == family] == [
            a for a in given_addresses if a.family == family
        ]


def test_a_race_without_addresses_is_refused():
    """There is nothing to win."""
    with pytest.raises(ValueError, match="at least one address"):
        Race([])


def test_the_first_address_wins_alone_when_it_is_quick():
    """No second attempt is made before its time."""
    race = Race([v6(1), v4(1)])
    assert race.start(10.0) == Step(start=(0,))
    assert race.deadline == 10.0 + DELAY
    assert race.tick(10.0 + DELAY - 0.001) == Step()
    assert not race.finished
    assert race.succeeded(0) == Step()
    assert race.finished
    assert race.winner == 0
    assert race.deadline is None
    assert race.error is None


def test_a_black_hole_costs_one_delay():
    """The good address starts 250 ms after the silent one, which is then abandoned."""
    assert DELAY == 0.25
    race = Race([v6(1), v4(1)])
    race.start(10.0)
    assert race.tick(10.25) == Step(start=(1,))
    assert race.deadline is None
    assert race.succeeded(1) == Step(abandon=(0,))
    assert race.winner == 1


def test_refused_addresses_cost_nothing():
    """Five refusals start the sixth attempt without any time passing."""
    race = Race([v4(number) for number in range(1, 7)])
    assert race.start(10.0) == Step(start=(0,))
    for index in range(5):
        assert race.failed(index, REFUSED, 10.0) == Step(start=(index + 1,))
    assert race.succeeded(5) == Step()
    assert race.winner == 5
    assert race.addresses[5] == v4(6)


def test_a_failure_restarts_the_delay():
    """The attempt that a failure started gets its full time."""
    race = Race([v4(1), v4(2), v4(3)])
    race.start(10.0)
    race.failed(0, REFUSED, 10.2)
    assert race.deadline == pytest.approx(10.45)
    assert race.tick(10.25) == Step()
    assert race.tick(10.45) == Step(start=(2,))


def test_a_late_tick_starts_one_attempt():
    """A reactor that was busy does not make a flood of it."""
    race = Race([v4(number) for number in range(1, 5)])
    race.start(10.0)
    assert race.tick(20.0) == Step(start=(1,))
    assert race.deadline == 20.0 + DELAY


def test_attempts_in_parallel_are_bounded():
    """When as many as allowed are silent, the next one waits for a failure and not for the clock."""
    race = Race([v4(number) for number in range(1, 6)], max_parallel=2)
    race.start(0.0)
    assert race.tick(0.25) == Step(start=(1,))
    assert race.deadline is None
    assert race.tick(99.0) == Step()
    assert race.failed(0, REFUSED, 99.0) == Step(start=(2,))
    assert race.deadline is None


def test_the_bound_is_that_of_the_limits():
    """Without an argument as many run as Limits says."""
    count = DEFAULT_LIMITS.max_parallel_attempts
    race = Race([v4(number) for number in range(1, count + 5)])
    started = list(race.start(0.0).start)
    while race.deadline is not None:
        started.extend(race.tick(race.deadline).start)
    assert started == list(range(count))


def test_serialized_attempts_come_one_by_one():
    """With serialize the clock never starts an attempt, only a failure does."""
    race = Race([v6(1), v4(1), v6(2)], serialize=True)
    assert race.start(0.0) == Step(start=(0,))
    assert race.deadline is None
    assert race.tick(100.0) == Step()
    assert race.failed(0, REFUSED, 100.0) == Step(start=(1,))
    assert race.failed(1, REFUSED, 100.0) == Step(start=(2,))
    assert race.failed(2, REFUSED, 100.0) == Step()
    assert race.finished


def test_stopping_abandons_what_is_under_way():
    """A deadline or a cancellation ends the race without a winner."""
    race = Race([v6(1), v4(1), v6(2)])
    race.start(0.0)
    race.tick(0.25)
    assert race.stop() == Step(abandon=(0, 1))
    assert race.finished
    assert race.winner is None
    assert race.deadline is None
    assert race.stop() == Step()
    assert race.tick(9.0) == Step()


def test_what_abandoned_attempts_report_changes_nothing():
    """Two attempts can succeed in one turn of the reactor; the second one is not a winner."""
    race = Race([v6(1), v4(1), v6(2)])
    race.start(0.0)
    race.tick(0.25)
    race.tick(0.50)
    assert race.succeeded(1) == Step(abandon=(0, 2))
    assert race.succeeded(0) == Step()
    assert race.failed(2, REFUSED, 1.0) == Step()
    assert race.winner == 1
    assert not race.errors


def test_reports_about_no_attempt_are_refused():
    """A slip of the caller does not go unnoticed."""
    race = Race([v4(1), v4(2)])
    with pytest.raises(ValueError, match="attempt 0 is not under way"):
        race.succeeded(0)
    race.start(0.0)
    with pytest.raises(ValueError, match="attempt 1 is not under way"):
        race.failed(1, REFUSED, 0.0)
    race.failed(0, REFUSED, 0.0)
    with pytest.raises(ValueError, match="attempt 0 is not under way"):
        race.failed(0, REFUSED, 0.0)
    with pytest.raises(ValueError, match="attempt -1 is not under way"):
        race.succeeded(-1)
    with pytest.raises(ValueError, match="starts once"):
        race.start(0.0)
    race.succeeded(1)
    with pytest.raises(ValueError, match="attempt 2 is not under way"):
        race.succeeded(2)


UNREACHABLE = NetworkUnreachableError("no route")
TIMED_OUT = ConnectionTimedOutError("silence")
NO_FAMILY = SocketException("no IPv6", status=SocketErrorStatus.ADDRESS_FAMILY_NOT_SUPPORTED)
NOT_OURS = AddressNotAvailableError("not ours")


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([REFUSED], REFUSED),
        ([UNREACHABLE, REFUSED], REFUSED),
        ([UNREACHABLE, TIMED_OUT, REFUSED], REFUSED),
        ([UNREACHABLE, TIMED_OUT], TIMED_OUT),
        ([NO_FAMILY, NOT_OURS], NO_FAMILY),
        ([UNREACHABLE, NO_FAMILY], UNREACHABLE),
    ],
)
def test_the_most_telling_error_is_reported(errors, told):
    """An answer tells more than silence, and silence more than that there is no way."""
    race = Race([v4(number) for number in range(1, len(errors) + 1)])
    race.start(0.0)
    for index, error in enumerate(errors):
        race.failed(index, error, 0.0)
    assert race.finished
    assert race.winner is None
    assert race.error is told
    assert list(race.errors.values()) == errors


def test_of_equal_errors_the_better_address_counts():
    """The order of failing does not decide."""
    race = Race([v4(1), v4(2)])
    race.start(0.0)
    race.tick(0.25)
    other = ConnectRefusedError("refused too")
    race.failed(1, other, 0.3)
    race.failed(0, REFUSED, 0.4)
    assert race.error is REFUSED
    assert list(race.errors) == [1, 0]


def test_an_unfinished_race_knows_the_errors_so_far():
    """A caller that stops a race can say what went wrong before."""
    race = Race([v4(1), v4(2)])
    race.start(0.0)
    race.failed(0, REFUSED, 0.1)
    race.stop()
    assert race.error is REFUSED


class Course(RuleBasedStateMachine):
    """Any course that a race can take: time passes, attempts end, somebody gives up."""

    @initialize(entrants=addresses, serialize=st.booleans(), max_parallel=st.integers(1, 8))
    def begin(self, entrants, serialize, max_parallel):
        self.race = Race(entrants, max_parallel=max_parallel, serialize=serialize)
        self.bound = 1 if serialize else max_parallel
        self.now = 5.0
        self.started, self.abandoned, self.failed, self.succeeded = [], [], [], []
        self.follow(self.race.start(self.now))
        assert self.started == [0]

    def follow(self, step):
        self.started.extend(step.start)
        self.abandoned.extend(step.abandon)

    @property
    def running(self):
        return sorted(set(self.started) - set(self.abandoned) - set(self.failed) - set(self.succeeded))

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.25, 3.0]))
    def time_passes(self, seconds):
        due = self.race.deadline is not None and self.race.deadline <= self.now + seconds
        self.now += seconds
        step = self.race.tick(self.now)
        assert len(step.start) == due
        assert not step.abandon
        self.follow(step)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def an_attempt_fails(self, data):
        index = data.draw(st.sampled_from(self.running))
        step = self.race.failed(index, REFUSED, self.now)
        self.failed.append(index)
        waiting = len(self.started) < len(self.race.addresses)
        assert step == Step(start=(len(self.started),) if waiting else ())  # at once
        self.follow(step)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def an_attempt_succeeds(self, data):
        index = data.draw(st.sampled_from(self.running))
        step = self.race.succeeded(index)
        self.succeeded.append(index)
        assert not step.start
        self.follow(step)
        assert self.race.finished

    @precondition(lambda self: self.abandoned)
    @rule(data=st.data(), well=st.booleans())
    def an_abandoned_attempt_reports_late(self, data, well):
        index = data.draw(st.sampled_from(self.abandoned))
        step = self.race.succeeded(index) if well else self.race.failed(index, REFUSED, self.now)
        assert step == Step()

    @rule()
    def somebody_gives_up(self):
        self.follow(self.race.stop())
        assert self.race.finished

    @invariant()
    def attempts_start_in_order_and_within_the_bound(self):
        assert self.started == list(range(len(self.started)))
        assert len(self.running) <= self.bound

    @invariant()
    def there_is_one_winner_at_most(self):
        assert len(self.succeeded) <= 1
        assert self.race.winner == (self.succeeded[0] if self.succeeded else None)

    @invariant()
    def losers_are_abandoned_once(self):
        assert len(self.abandoned) == len(set(self.abandoned))
        assert not set(self.abandoned) & {*self.failed, *self.succeeded}
        assert not self.race.finished or not self.running

    @invariant()
    def the_deadline_is_ahead(self):
        deadline = self.race.deadline
        assert deadline is None or self.now < deadline <= self.now + DELAY
        assert deadline is None or not self.race.finished

    @invariant()
    def it_is_over_when_all_have_failed(self):
        assert list(self.race.errors) == self.failed
        if len(self.failed) == len(self.race.addresses):
            assert self.race.finished


def test_the_promises_of_a_race_hold_in_any_course():
    """Order, bound, one winner, losers abandoned once, deadlines ahead: whatever happens when."""
    run_state_machine_as_test(Course)


@given(addresses, st.booleans())
def test_all_addresses_are_tried_when_all_fail(given_addresses, serialize):
    """No address is left out before the race is given up."""
    race = Race(given_addresses, serialize=serialize)
    tried = list(race.start(0.0).start)
    while not race.finished:
        tried.extend(race.failed(tried[-1], REFUSED, 0.0).start)
    assert tuple(race.addresses[index] for index in tried) == tuple(given_addresses)
    assert race.error is REFUSED
