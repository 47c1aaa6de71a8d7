"""HostName as a value."""

from __future__ import annotations

import copy
import pickle
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import IStringable
from winsockets.networking import HostName, HostNameType
from winsockets.networking._hostname import as_host_name, system_host_name

texts = st.text(max_size=40) | st.from_regex(r"[a-z0-9ä.-]{1,30}", fullmatch=True)


def test_it_keeps_the_raw_name_and_shows_the_others():
    """The three names of one host."""
    host = HostName("BÜCHER.Example.")
    assert host.raw_name == "BÜCHER.Example."
    assert host.display_name == "bücher.example"
    assert host.canonical_name == "xn--bcher-kva.example"
    assert host.type is HostNameType.DOMAIN_NAME
    assert host.ip_information is None


def test_its_text_is_the_display_name():
    """``to_string`` and ``str`` give what people read; the repr gives the expression."""
    host = HostName("xn--bcher-kva.example")
    assert host.to_string() == str(host) == f"{host}" == "bücher.example"
    assert repr(host) == "HostName('xn--bcher-kva.example')"
    assert IStringable.providedBy(host)


@pytest.mark.parametrize("value", [None, b"example.com", 1, HostName("a")])
def test_only_text_makes_a_host_name(value):
    """The name is a str at every level, as WinRT's projection has it."""
    with pytest.raises(TypeError, match="a host name is a str"):
        HostName(value)


def test_an_invalid_name_is_a_value_error_too():
    """Code written for Python's own errors catches it."""
    with pytest.raises(ValueError, match="'a b' is not a host name"):
        HostName("a b")


def test_equality_is_that_of_canonical_names():
    """Equal names are equal, hash alike and answer is_equal."""
    one, same, other = HostName("Example.com"), HostName("example.COM."), HostName("example.org")
    assert one == same
    assert one.is_equal(same)
    assert hash(one) == hash(same)
    assert one != other
    assert not one.is_equal(other)
    assert len({one, same, other}) == 2


def test_is_equal_takes_a_string_as_every_call_does():
    """A string that is no host name is refused, and so is anything else."""
    host = HostName("example.com")
    assert host.is_equal("EXAMPLE.com")
    assert not host.is_equal("example.org")
    with pytest.raises(InvalidArgumentError, match="'a b' is not a host name"):
        host.is_equal("a b")
    with pytest.raises(TypeError, match="int"):
        host.is_equal(7)


def test_it_equals_nothing_that_is_no_host_name():
    """None and strings are not equal to a HostName."""
    host = HostName("example.com")
    assert not host.is_equal(None)
    assert host != "example.com"
    assert host != None  # noqa: E711


def test_it_cannot_be_changed():
    """No name of a HostName can be set, nothing can be added."""
    host = HostName("example.com")
    for name in ("raw_name", "display_name", "canonical_name", "type", "ip_information", "colour"):
        with pytest.raises(AttributeError):
            setattr(host, name, "x")


def test_it_can_be_copied_and_pickled():
    """Copies are equal and complete."""
    host = HostName("fe80::1%eth0")
    for twin in (copy.copy(host), copy.deepcopy(host), pickle.loads(pickle.dumps(host))):
        assert twin == host
        assert (twin.raw_name, twin.type) == (host.raw_name, host.type)


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ("example.com", "EXAMPLE.com.", 0),
        ("bücher.example", "xn--bcher-kva.example", 0),
        ("::1", "[0:0:0:0:0:0:0:1]", 0),
        ("a.example", "b.example", -1),
        ("b.example", "a.example", 1),
        ("127.0.0.1", "localhost", -1),
    ],
)
def test_compare_orders_canonical_names(first, second, order):
    """Zero for the same host, otherwise the lexical order."""
    assert HostName.compare(first, second) == order


@pytest.mark.parametrize(("first", "second"), [("a b", "a"), ("a", "a b"), ("", "")])
def test_compare_refuses_what_is_no_host_name(first, second):
    """What has no canonical name cannot be ordered by it."""
    with pytest.raises(InvalidArgumentError):
        HostName.compare(first, second)


@given(texts, texts)
def test_compare_agrees_with_equality(first, second):
    """Compare is 0 exactly for equal names, and turns round with its arguments."""
    try:
        one, other = HostName(first), HostName(second)
    except InvalidArgumentError:
        return
    assert (HostName.compare(first, second) == 0) == (one == other)
    assert HostName.compare(first, second) == -HostName.compare(second, first)


@given(texts)
def test_the_canonical_name_is_stable(text):
    """A HostName made from a canonical name has that canonical name."""
    try:
        canonical = HostName(text).canonical_name
    except InvalidArgumentError:
        return
    assert HostName(canonical).canonical_name == canonical


def test_entry_points_take_text_for_a_host_name():
    """A HostName passes through, text becomes one, and None is named with its parameter."""
    host = HostName("example.com")
    assert as_host_name(host) is host
    assert as_host_name("example.com") == host
    with pytest.raises(InvalidArgumentError, match="remote_host_name is None"):
        as_host_name(None, "remote_host_name")
    with pytest.raises(TypeError):
        as_host_name(b"example.com")


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16))
def test_what_the_system_wrote_need_not_be_read(raw):
    """It is the HostName that reading it would give."""
    text = socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
    for address in (text, f"{text}%3") if len(raw) == 16 else (text,):
        read, made = HostName(address), system_host_name(address)
        for name in ("raw_name", "canonical_name", "display_name", "type", "ip_information"):
            assert getattr(made, name) == getattr(read, name)


@pytest.mark.parametrize(
    "address", ["::ffff:192.0.2.1", "::192.0.2.1", "64:ff9b::1.2.3.4", "::ffff:192.0.2.1%7"]
)
def test_an_address_that_systems_write_differently_is_read(address):
    """With a dotted quad at its end or without."""
    assert system_host_name(address) == HostName(address)
