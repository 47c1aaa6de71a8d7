"""Control properties: defaults, checks, and the time until which they can be set."""

from __future__ import annotations

import pytest

from tests.transports.loopback import limits
from winsockets.errors import (
    E_ILLEGAL_METHOD_CALL,
    IllegalMethodCallError,
    InvalidArgumentError,
    SocketErrorStatus,
)
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets import (
    DatagramSocket,
    SocketQualityOfService,
    StreamSocket,
    StreamSocketListener,
)
from winsockets.sockets import _settings as settings


class ExampleControl(settings.Control):
    """One property of each kind."""

    bounds = settings.limits()
    count = settings.count_or_none("How many.")
    hops = settings.hop_limit("allowed", lambda control, value: control.changes.append(value))
    quality = settings.quality_of_service()
    size = settings.Setting(lambda: 7, lambda name, value: value, "How large.", late="ignored")
    wish = settings.flag(True, "Whether.")

    def __init__(self):
        super().__init__()
        self.changes = []


@pytest.fixture
def control():
    """A fresh one."""
    return ExampleControl()


def test_what_nobody_has_set_has_its_default(control):
    """And does not count as set."""
    assert (control.wish, control.count, control.hops, control.size) == (True, None, 128, 7)
    assert control.quality is SocketQualityOfService.NORMAL
    assert control.bounds is DEFAULT_LIMITS
    assert not ExampleControl.wish._is_set(control)


def test_what_was_set_is_kept_for_this_control(control):
    """Also when it is the default."""
    control.wish = True
    control.count = 5
    assert ExampleControl.wish._is_set(control)
    assert control.count == 5
    assert ExampleControl().count is None
    control.count = None
    assert control.count is None


def test_a_property_describes_itself():
    """For help() and the documentation."""
    assert ExampleControl.wish.__doc__ == "Whether."


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("wish", 1),
        ("wish", None),
        ("wish", "yes"),
        ("count", "5"),
        ("count", 5.0),
        ("count", True),
        ("hops", None),
        ("hops", "64"),
        ("hops", True),
        ("bounds", None),
        ("bounds", 5),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(control, name, wrong):
    """TypeError; what was set before stays."""
    before = getattr(control, name)
    with pytest.raises(TypeError, match=rf"ExampleControl\.{name} is .*, not {wrong!r}"):
        setattr(control, name, wrong)
    assert getattr(control, name) == before


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("count", 0),
        ("count", -1),
        ("count", 1 << 31),
        ("hops", 0),
        ("hops", 256),
        ("hops", -1),
        ("quality", 2),
        ("quality", "LOW_LATENCY"),
        ("quality", None),
    ],
)
def test_a_value_out_of_range_is_an_invalid_argument(control, name, wrong):
    """E_INVALIDARG that names the property and the value."""
    with pytest.raises(InvalidArgumentError, match=rf"ExampleControl\.{name}: {wrong!r} is not"):
        setattr(control, name, wrong)


@pytest.mark.parametrize(
    ("name", "value"), [("count", 1), ("count", (1 << 31) - 1), ("hops", 1), ("hops", 255)]
)
def test_the_ends_of_a_range_are_inside(control, name, value):
    """Both."""
    setattr(control, name, value)
    assert getattr(control, name) == value


def test_an_enumeration_takes_its_numbers(control):
    """And gives its members."""
    control.quality = 1
    assert control.quality is SocketQualityOfService.LOW_LATENCY


def test_after_a_lock_a_property_says_that_it_is_too_late(control):
    """E_ILLEGAL_METHOD_CALL, status UNKNOWN, by name and with the reason."""
    control.wish = False
    control._lock("after the test has begun")
    with pytest.raises(IllegalMethodCallError) as caught:
        control.wish = True
    assert str(caught.value) == "ExampleControl.wish cannot be set after the test has begun"
    assert caught.value.hresult == E_ILLEGAL_METHOD_CALL
    assert caught.value.status is SocketErrorStatus.UNKNOWN
    assert control.wish is False


def test_a_wrong_value_is_wrong_however_late_it_is(control):
    """The value is judged first."""
    control._lock("now")
    with pytest.raises(TypeError):
        control.wish = "yes"
    with pytest.raises(InvalidArgumentError):
        control.count = 0


def test_some_properties_ignore_what_is_set_too_late(control):
    """Without an error."""
    control._lock("now")
    control.size = 8
    assert control.size == 7
    assert not ExampleControl.size._is_set(control)


def test_some_properties_can_always_be_set(control):
    """And tell somebody."""
    control.hops = 3
    control._lock("now")
    control.hops = 4
    assert control.hops == 4
    assert control.changes == [3, 4]


def test_a_lock_can_be_taken_back(control):
    """After a failed connect for one."""
    control._lock("now")
    control._unlock()
    control.wish = False
    assert control.wish is False


def test_limits_are_taken_whole(control):
    """An addition to WinRT."""
    control.bounds = limits(connect_timeout=3.0)
    assert control.bounds.connect_timeout == 3.0


@pytest.mark.parametrize("kind", [StreamSocket, StreamSocketListener, DatagramSocket])
@pytest.mark.parametrize("name", ["client_certificat", "multicast_onyl", "nodelay"])
def test_a_control_takes_no_other_properties(kind, name):
    """What this version does not have and what is misspelt is refused, not taken in silence."""
    control = kind().control
    with pytest.raises(AttributeError, match=name):
        setattr(control, name, True)
