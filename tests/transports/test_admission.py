"""When a listener accepts: the connection limit, the program's wish, and times without descriptors."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from tests.transports.loopback import limits
from winsockets.errors import SocketException
from winsockets.transports._admission import Admission

RETRY = 0.05


class Gate:
    """A gate that notes how it stands."""

    def __init__(self):
        self.open = True
        self.moves = 0

    def open_gate(self):
        """See Gate."""
        self.open = True
        self.moves += 1

    def close_gate(self):
        """See Gate."""
        self.open = False
        self.moves += 1


def admission(max_connections=None, gates=1):
    """An admission, its clock, and its gates."""
    clock = Clock()
    control = Admission(clock, limits(accept_retry=RETRY), max_connections)
    made = [Gate() for _ in range(gates)]
    for gate in made:
        control.add(gate)
    return control, clock, made


def opened(gates):
    """Which gates are open."""
    return [gate.open for gate in gates]


SHORTAGE = SocketException("accept on ::1 port 80: too many open files", errno=24)


@contextmanager
def lines():
    """The log lines written meanwhile."""
    found = []
    with capturedLogs() as events:
        yield found
    found += [event for event in events if event["log_namespace"] == "winsockets"]


def test_without_a_limit_the_gates_stay_open():
    """However many enter."""
    control, _, gates = admission()
    for _ in range(1000):
        control.entered()
    assert control.accepting
    assert opened(gates) == [True]
    assert gates[0].moves == 0


def test_at_the_limit_every_gate_closes_and_below_it_opens():
    """The limit counts the connections of all gates together."""
    control, _, gates = admission(max_connections=3, gates=2)
    control.entered()
    control.entered()
    assert opened(gates) == [True, True]
    control.entered()
    assert opened(gates) == [False, False]
    assert not control.accepting
    control.left()
    assert opened(gates) == [True, True]
    control.entered()
    assert opened(gates) == [False, False]


def test_a_connection_that_leaves_while_there_is_room_moves_no_gate():
    """Nothing was held."""
    control, _, gates = admission(max_connections=3)
    control.entered()
    control.left()
    assert gates[0].moves == 0


def test_gates_open_when_every_reason_is_gone():
    """In whatever order they go, and each once."""
    control, _, gates = admission(max_connections=1)
    program = object()
    control.entered()
    control.hold(program)
    control.hold(program)
    assert gates[0].moves == 1
    control.left()
    assert opened(gates) == [False]
    control.release(program)
    assert opened(gates) == [True]
    control.release(program)
    assert gates[0].moves == 2


def test_two_parts_of_a_program_hold_independently():
    """One that releases does not release for the other."""
    control, _, gates = admission()
    one, other = object(), object()
    control.hold(one)
    control.hold(other)
    control.release(one)
    assert opened(gates) == [False]
    control.release(other)
    assert opened(gates) == [True]


def test_a_gate_that_comes_while_held_is_closed():
    """It opens with the others."""
    control, _, gates = admission()
    control.hold("program")
    late = Gate()
    control.add(late)
    assert not late.open
    control.release("program")
    assert opened([*gates, late]) == [True, True]


def test_a_gate_that_is_gone_is_not_moved_any_more():
    """And may be forgotten twice."""
    control, _, (gone, left) = admission(gates=2)
    control.discard(gone)
    control.discard(gone)
    control.hold("program")
    assert (gone.open, left.open) == (True, False)


def test_a_shortage_closes_the_gates_for_a_moment():
    """And then it is tried again."""
    control, clock, gates = admission(gates=2)
    with lines():
        control.shortage(SHORTAGE)
    assert opened(gates) == [False, False]
    clock.advance(RETRY / 2)
    assert opened(gates) == [False, False]
    clock.advance(RETRY / 2)
    assert opened(gates) == [True, True]
    assert not clock.getDelayedCalls()


def test_a_shortage_is_logged_once_however_long_it_lasts():
    """With what the system said and how many connections are open."""
    control, clock, _ = admission()
    control.entered()
    with lines() as logged:
        for _ in range(100):
            control.shortage(SHORTAGE)
            clock.advance(RETRY)
    (line,) = logged
    assert line["log_level"].name == "error"
    assert line["problem"] is SHORTAGE
    assert line["open"] == 1


def test_a_shortage_after_everybody_was_let_in_is_another_one():
    """It is logged again."""
    control, clock, _ = admission()
    with lines() as logged:
        control.shortage(SHORTAGE)
        clock.advance(RETRY)
        control.relieved()
        control.shortage(SHORTAGE)
    assert len(logged) == 2


@pytest.mark.parametrize("reason", ["limit", "program"])
def test_after_a_shortage_the_gates_stay_closed_for_the_other_reasons(reason):
    """Each has to go by itself."""
    control, clock, gates = admission(max_connections=1)
    with lines():
        control.shortage(SHORTAGE)
    control.hold(reason)
    clock.advance(RETRY)
    assert opened(gates) == [False]


def test_the_last_gate_to_go_takes_the_pending_retry_along():
    """A closed listener leaves no delayed call."""
    control, clock, (first, last) = admission(gates=2)
    with lines():
        control.shortage(SHORTAGE)
    control.discard(first)
    assert len(clock.getDelayedCalls()) == 1
    control.discard(last)
    assert not clock.getDelayedCalls()
    control.discard(last)
