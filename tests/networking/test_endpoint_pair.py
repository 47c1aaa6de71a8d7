"""The rules of EndpointPair, in the constructor and in the setters."""

from __future__ import annotations

import pytest

from winsockets.errors import InvalidArgumentError
from winsockets.networking import EndpointPair, HostName
from winsockets.networking._endpoint_pair import as_endpoint_pair

LOCAL, REMOTE = HostName("127.0.0.1"), HostName("example.com")
PARTS = ("local_host_name", "local_service_name", "remote_host_name", "remote_service_name")

GOOD = [
    ("local_host_name", None, None),
    ("local_host_name", HostName("::1"), HostName("::1")),
    ("local_host_name", "::1", HostName("::1")),
    ("local_service_name", "", ""),
    ("local_service_name", "0", "0"),
    ("local_service_name", 0, "0"),
    ("remote_host_name", HostName("a.example"), HostName("a.example")),
    ("remote_host_name", "a.example", HostName("a.example")),
    ("remote_service_name", "http", "http"),
    ("remote_service_name", 1337, "1337"),
]
BAD = [
    ("local_host_name", "a b", InvalidArgumentError),
    ("local_host_name", 1, TypeError),
    ("local_service_name", None, TypeError),
    ("local_service_name", -1, InvalidArgumentError),
    ("remote_host_name", None, InvalidArgumentError),
    ("remote_host_name", "", InvalidArgumentError),
    ("remote_service_name", None, TypeError),
    ("remote_service_name", "", InvalidArgumentError),
    ("remote_service_name", 65536, InvalidArgumentError),
]


def make(**parts):
    """A valid pair with some parts replaced."""
    values = {"local_host_name": LOCAL, "local_service_name": "1", "remote_host_name": REMOTE} | {
        "remote_service_name": "2"
    }
    return EndpointPair(**(values | parts))


def test_it_holds_its_four_parts():
    """Positional arguments come in WinRT's order."""
    pair = EndpointPair(LOCAL, "1", REMOTE, "2")
    assert [getattr(pair, part) for part in PARTS] == [LOCAL, "1", REMOTE, "2"]


@pytest.mark.parametrize(("part", "value", "kept"), GOOD)
def test_the_constructor_and_the_setters_accept(part, value, kept):
    """Every part can be given and replaced; text and numbers become what WinRT holds."""
    assert getattr(make(**{part: value}), part) == kept
    pair = make()
    setattr(pair, part, value)
    assert getattr(pair, part) == kept


@pytest.mark.parametrize(("part", "value", "error"), BAD)
def test_the_constructor_and_the_setters_refuse(part, value, error):
    """Both keep the same rules, and a refused value changes nothing."""
    with pytest.raises(error):
        make(**{part: value})
    pair = make()
    before = getattr(pair, part)
    with pytest.raises(error):
        setattr(pair, part, value)
    assert getattr(pair, part) == before


def test_refusals_name_the_part():
    """With four parts the message says which one is wrong."""
    with pytest.raises(InvalidArgumentError, match="remote_host_name"):
        make(remote_host_name=None)
    with pytest.raises(InvalidArgumentError, match="remote_service_name"):
        make(remote_service_name="")
    with pytest.raises(TypeError, match="local_service_name"):
        make(local_service_name=None)


def test_pairs_are_compared_by_identity():
    """Two pairs with the same parts are two pairs."""
    pair = make()
    assert pair == pair  # noqa: PLR0124
    assert pair != make()
    assert len({pair, make()}) == 2


def test_the_repr_shows_all_parts():
    """What a log shows is the expression that makes the pair."""
    assert repr(make(local_host_name=None)) == "EndpointPair(None, '1', HostName('example.com'), '2')"


def test_no_pair_is_an_invalid_argument_and_another_object_a_type_error():
    """None is the null object of WinRT."""
    pair = make()
    assert as_endpoint_pair(pair) is pair
    with pytest.raises(InvalidArgumentError, match="endpoint_pair is None"):
        as_endpoint_pair(None)
    with pytest.raises(TypeError, match="not str"):
        as_endpoint_pair("localhost")
