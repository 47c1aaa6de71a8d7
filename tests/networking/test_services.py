"""Service names: what is a port, what is a name, and what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError, SocketErrorStatus, UnknownServiceError
from winsockets.networking._services import as_service_name, local_port, remote_port

FILE = {("http", "tcp"): 80, ("echo", "tcp"): 7, ("echo", "udp"): 7, ("whois++", "tcp"): 63}


def services_file(name, transport):
    """Read from the table above what ``socket.getservbyname`` reads from a file."""
    try:
        return FILE[name, transport]
    except KeyError:
        raise OSError("service/proto not found") from None


@pytest.mark.parametrize(
    ("name", "port"), [("1", 1), ("80", 80), ("65535", 65535), ("http", 80), ("whois++", 63)]
)
def test_a_port_or_a_listed_name_gives_the_port(name, port):
    """Decimal numbers and aliases work on both sides."""
    assert remote_port(name, "tcp", getservbyname=services_file) == port
    assert local_port(name, "tcp", getservbyname=services_file) == port


@pytest.mark.parametrize("name", ["", "0"])
def test_no_port_means_that_the_system_picks_one(name):
    """When binding, the empty name and port 0 are the same; as a destination both are refused."""
    assert local_port(name, "tcp", getservbyname=services_file) == 0
    with pytest.raises(InvalidArgumentError):
        remote_port(name, "tcp", getservbyname=services_file)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "65536",
            "70000",
            "99999",
            "100000",
            "9" * 1000,
            "-1",
            "+80",
            " 80",
            "80 ",
            "8 0",
            "8_0",
            "80\n",
            "080",
            "00",
        ),
        *(
            "\uff18\uff10",
            "٨٠",
            "²",
            "1.5",
            "\0",
            "ht tp",
            "http\0",
            "http\n",
            "hättp",
            "x" * 256,
            "*",
            "\ud800",
        ),
    ],
)
@pytest.mark.parametrize("port_of", [remote_port, local_port])
def test_what_is_neither_port_nor_name_is_refused(name, port_of):
    """Nothing lenient: the message names the value and says what is expected."""
    with pytest.raises(InvalidArgumentError) as caught:
        port_of(name, "tcp", getservbyname=services_file)
    assert str(caught.value).startswith(repr(name[:64]))
    assert "0 to 65535" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "transport"), [("nosuch", "tcp"), ("http", "udp"), ("0x50", "tcp"), ("1e3", "tcp")]
)
@pytest.mark.parametrize("port_of", [remote_port, local_port])
def test_an_unlisted_name_is_an_unknown_service(name, transport, port_of):
    """The status is Winsock's for an unknown service, and the cause is kept."""
    with pytest.raises(UnknownServiceError) as caught:
        port_of(name, transport, getservbyname=services_file)
    assert caught.value.status is SocketErrorStatus.CLASS_TYPE_NOT_FOUND
    assert isinstance(caught.value.__cause__, OSError)
    assert repr(name) in str(caught.value)
    assert transport in str(caught.value)


def test_the_systems_services_file_is_read():
    """Without an injected one the machine's own file answers, at least that it does not know."""
    with pytest.raises(UnknownServiceError):
        remote_port("winsockets-no-such-service", "tcp")


@given(st.text(max_size=12))
def test_any_text_is_a_port_or_is_refused(name):
    """Nothing but the two documented errors comes out."""
    try:
        port = local_port(name, "udp", getservbyname=services_file)
    except (InvalidArgumentError, UnknownServiceError):
        return
    assert name in ("", "echo") or str(port) == name


@given(st.integers(0, 65535))
def test_every_port_number_is_a_service_name(port):
    """An int is taken wherever a service name is, and means that port."""
    assert local_port(as_service_name(port), "tcp") == port


@pytest.mark.parametrize("value", [-1, 65536, 10**30])
def test_other_numbers_are_not(value):
    """The message names the parameter and the number."""
    with pytest.raises(InvalidArgumentError, match=f"remote_service_name: {value}"):
        as_service_name(value, "remote_service_name")


@pytest.mark.parametrize("value", [None, 80.0, True, b"80"])
def test_other_types_are_not(value):
    """None is a TypeError, because the parameter is a string in WinRT; so is a bool."""
    with pytest.raises(TypeError, match="service_name"):
        as_service_name(value)


def test_text_passes_through_unjudged():
    """Whether a name is known depends on the side, so it is judged there."""
    assert as_service_name("") == ""
    assert as_service_name("x y") == "x y"
