"""Properties of controls that are lists."""

from __future__ import annotations

import gc
import weakref

import pytest

from winsockets.errors import IllegalMethodCallError, InvalidArgumentError
from winsockets.sockets._setting_lists import ListSetting
from winsockets.sockets._settings import Control


def even(name, value):
    """The check of an element: an even number, which is kept as an int."""
    if value % 2:
        raise InvalidArgumentError(f"{name}: {value} is odd")
    return int(value)


def few(control, values):
    """The check of all of them."""
    if len(values) > 4:
        raise InvalidArgumentError("too many")


class Numbers(Control):
    """A control with lists."""

    numbers = ListSetting(even, "Even ones.", changing=few)
    tls = ListSetting(even, "Even ones that count in a handshake.", "handshake")
    free = ListSetting(even, "Even ones at any time.", "allowed")


@pytest.fixture
def control():
    """One with two numbers."""
    made = Numbers()
    made.numbers = [2, 4]
    return made


def test_it_is_empty_at_first():
    """And always the same object."""
    control = Numbers()
    assert control.numbers == []
    assert control.numbers is control.numbers
    assert Numbers.numbers._values_of(Numbers()) == ()
    assert Numbers.numbers.__doc__ == "Even ones."


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda it: it.append(6), [2, 4, 6]),
        (lambda it: it.insert(0, 6), [6, 2, 4]),
        (lambda it: it.extend([6, 8]), [2, 4, 6, 8]),
        (lambda it: it.remove(2), [4]),
        (lambda it: it.pop(), [2]),
        (lambda it: it.clear(), []),
        (lambda it: it.reverse(), [4, 2]),
        (lambda it: it.__setitem__(0, 8), [8, 4]),
        (lambda it: it.__setitem__(slice(None), [8]), [8]),
        (lambda it: it.__delitem__(0), [4]),
        (lambda it: it.append(6.0), [2, 4, 6]),
    ],
)
def test_it_changes_as_lists_do(control, change, after):
    """The elements are those that the check gives."""
    change(control.numbers)
    assert control.numbers == after
    assert repr(control.numbers) == repr(after)
    assert Numbers.numbers._values_of(control) == tuple(after)


def test_it_is_read_as_lists_are(control):
    """Index, slice, length, membership, comparison."""
    numbers = control.numbers
    assert numbers[0] == 2
    assert numbers[:1] == [2]
    assert len(numbers) == 2
    assert 4 in numbers
    assert numbers == (2, 4)
    assert numbers != [4, 2]
    assert numbers != 2
    control.numbers += [6]
    assert control.numbers == [2, 4, 6]


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.append(1),
        lambda it: it.extend([6, 1]),
        lambda it: it.extend([6, 8, 10]),
        lambda it: it.__setitem__(0, 1),
        lambda it: it.__setitem__(slice(None), [8, 1]),
    ],
)
def test_a_refused_change_changes_nothing(control, change):
    """One bad element is enough, and all together may be too much."""
    with pytest.raises(InvalidArgumentError):
        change(control.numbers)
    assert control.numbers == [2, 4]


def test_an_assignment_replaces_everything_or_nothing(control):
    """The list stays the same object."""
    numbers = control.numbers
    control.numbers = (8,)
    assert numbers == [8]
    with pytest.raises(InvalidArgumentError, match=r"Numbers\.numbers: 1 is odd"):
        control.numbers = [10, 1]
    assert numbers == [8]


@pytest.mark.parametrize("value", ["24", b"24", bytearray(b"24")])
def test_text_and_bytes_are_no_lists(control, value):
    """Each of their characters would become an element."""
    with pytest.raises(TypeError, match=r"Numbers\.numbers is a list; put .*24.* in brackets"):
        control.numbers = value


def test_a_change_may_come_too_late(control):
    """It says so by name, and what is wrong is wrong however late it is."""
    control._lock("after the end")
    for change in (lambda: control.numbers.append(6), control.numbers.clear):
        with pytest.raises(IllegalMethodCallError, match=r"Numbers\.numbers cannot be set after the end"):
            change()
    with pytest.raises(InvalidArgumentError):
        control.numbers.append(1)
    assert control.numbers == [2, 4]
    control.free.append(2)
    assert control.free == [2]


def test_what_counts_in_a_handshake_can_be_set_on_what_can_be_upgraded(control):
    """Until it no longer can be."""
    control._lock("after it was connected", upgradable=True)
    control.tls.append(2)
    with pytest.raises(IllegalMethodCallError, match="numbers"):
        control.numbers.append(2)
    control._lock("after the handshake began")
    with pytest.raises(IllegalMethodCallError, match="tls cannot be set after the handshake began"):
        control.tls.append(4)


def test_a_list_does_not_keep_its_control():
    """They go without the garbage collector; a list that is left goes on as a list."""
    gc.disable()
    try:
        control = Numbers()
        numbers = control.numbers
        gone = weakref.ref(control)
        del control
        assert gone() is None
        numbers.append(2)
        assert numbers == [2]
    finally:
        gc.enable()
