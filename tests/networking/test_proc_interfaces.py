"""The tables and calls of Linux that tell of interfaces without rtnetlink."""

from __future__ import annotations

import errno
import fcntl
import socket
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networking.cables import cable, plug_in
from tests.networks import network_namespace, run
from winsockets.networking import _interfaces, _proc_interfaces
from winsockets.networking._interfaces import assemble, default_routes, interfaces
from winsockets.networking._proc_interfaces import (
    addresses,
    ipv4_routes,
    ipv6_addresses,
    ipv6_routes,
    links,
    names,
    routes,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the tables of Linux")

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:  123456     100    0    0    0     0          0         0   123456     100    0    0
eth0.7: 1       2    0    0    0     0          0         0        3       4    0    0
"""
INET6 = """\
fe80000000000000000000000000000f 02 40 20 80     eth0
20010db8000000000000000000000001 0c 30 00 60 v0
"""


def test_the_interfaces_in_the_table_of_devices():
    """Its headings are none of them."""
    assert names(DEV) == ["lo", "eth0.7"]
    assert names("") == []


def test_the_addresses_in_the_table_of_ipv6():
    """All numbers are hexadecimal; the flags are those of rtnetlink."""
    first, second = ipv6_addresses(INET6)
    assert (str(first.address), first.index, first.prefix_length, first.flags) == ("fe80::f", 2, 64, 0x80)
    assert (str(second.address), second.index, second.prefix_length, second.flags) == (
        "2001:db8::1",
        12,
        48,
        0x60,
    )


def ipv4_table(*lines):
    """/proc/net/route with lines of name, destination, gateway, flags, metric and mask."""
    rows = (
        "\t".join([name, number(to), number(via), flags, "0", "0", metric, number(mask), "0", "0", "0"])
        for name, to, via, flags, metric, mask in lines
    )
    return "\n".join(["Iface\tDestination\tGateway ...", *rows, ""])


def number(text):
    """An address as the kernel prints it, which does not mind the order of its bytes."""
    return f"{int.from_bytes(socket.inet_aton(text), sys.byteorder):08X}"


def test_the_default_routes_in_the_table_of_ipv4():
    """Only those to everywhere, that are up and not forbidden."""
    everything = "0.0.0.0"
    table = ipv4_table(
        ("lo", everything, "192.0.2.1", "0003", "100", everything),
        ("lo", "192.0.2.0", everything, "0001", "0", "255.255.255.0"),
        ("lo", everything, everything, "0001", "7", "128.0.0.0"),
        ("lo", everything, everything, "0201", "0", everything),
        ("lo", everything, everything, "0001", "5", everything),
        ("nowhere9", everything, everything, "0001", "5", everything),
    )
    index = socket.if_nametoindex("lo")
    assert [(route.family, route.indexes, route.gateway, route.metric) for route in ipv4_routes(table)] == [
        (socket.AF_INET, (index,), "192.0.2.1", 100),
        (socket.AF_INET, (index,), "", 5),
    ]


def test_the_default_routes_in_the_table_of_ipv6():
    """The one by which everything is unreachable is none."""
    anything, gateway = "0" * 32, "fe80000000000000000000000000000f"
    table = "\n".join(
        [
            f"{anything} 00 {anything} 00 {gateway} 00000400 00000001 00000000 00000003 lo",
            f"{anything} 00 {anything} 00 {anything} ffffffff 00000001 00000000 00200200 lo",
            f"{anything} 40 {anything} 00 {anything} 00000100 00000001 00000000 00000001 lo",
            f"{anything} 00 {anything} 00 {anything} 00000100 00000001 00000000 00000001 nowhere9",
        ]
    )
    (route,) = ipv6_routes(table)
    assert (route.family, route.gateway, route.metric) == (socket.AF_INET6, "fe80::f", 1024)
    assert route.indexes == (socket.if_nametoindex("lo"),)


tables = st.one_of(
    st.text(alphabet="0123456789abcdef \t\nxlo", max_size=200),
    st.lists(
        st.lists(st.from_regex(r"[0-9a-f]{0,33}", fullmatch=True), min_size=4, max_size=12), max_size=4
    ).map(lambda rows: "\n".join(" ".join(row) for row in rows)),
)


@given(tables)
def test_whatever_is_in_a_table_is_read_or_refused(table):
    """No other exception than ValueError."""
    names(table)
    for parse in (ipv6_addresses, ipv4_routes, ipv6_routes):
        with suppress(ValueError):
            list(parse(table))


def test_the_same_is_told_as_by_rtnetlink():
    """Interfaces, hardware addresses, several addresses under one name and under another, routes."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        run("ip", "addr", "add", "192.0.2.2/24", "dev", "v0")
        run("ip", "addr", "add", "198.51.100.1/20", "dev", "v0", "label", "v0:other")
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0", "nodad", "preferred_lft", "0")
        run("ip", "route", "add", "default", "via", "192.0.2.9", "metric", "5")
        run("ip", "tuntap", "add", "tun0", "mode", "tun")

        def sorted_addresses(found):
            return {(one.index, one.name): (one, sorted(map(repr, one.addresses))) for one in found}

        told = sorted_addresses(interfaces())
        found = sorted_addresses(assemble(links(), addresses()))
        for key, (one, known) in found.items():
            other, expected = told[key]
            assert known == expected
            for member in (
                "hardware_type",
                "up",
                "loopback",
                "multicast",
                "point_to_point",
                "mtu",
                "hardware_address",
            ):
                assert getattr(one, member) == getattr(other, member), (key, member)
        assert found.keys() == told.keys()
        assert routes() == default_routes()


def test_permanent_addresses_are_those_of_rtnetlink():
    """Whatever this machine has: identifiers are made of them."""
    told = {known.name: known.permanent_address for known in interfaces()}
    assert {known.name: known.permanent_address for known in links()} == told


def test_a_system_without_ipv6(monkeypatch, tmp_path):
    """There are no tables of it, and no addresses."""
    (tmp_path / "dev").write_text(DEV)
    monkeypatch.setattr(_proc_interfaces, "_TABLES", tmp_path)
    assert all(record.address.version == 4 for record in addresses())
    assert routes() == []
    assert [link.name for link in links()] == ["lo"], "what has gone meanwhile is left out"


def test_addresses_of_an_interface_that_goes_meanwhile_are_left_out(monkeypatch):
    """Whether its mask is asked for, or its number."""
    real = fcntl.ioctl

    def gone(asked, question, request):
        if question == _proc_interfaces._SIOCGIFNETMASK:
            raise OSError(errno.ENODEV, "no such device")
        return real(asked, question, request)

    def unknown(name):
        raise OSError(errno.ENODEV, "no such device")

    assert any(record.address.version == 4 for record in addresses())
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "ioctl", gone)
        assert not any(record.address.version == 4 for record in addresses())
    monkeypatch.setattr(socket, "if_nametoindex", unknown)
    assert not any(record.address.version == 4 for record in addresses())


@pytest.mark.parametrize("refusal", [errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES])
def test_it_is_asked_where_rtnetlink_is_refused(monkeypatch, refusal):
    """However a sandbox says so."""

    def refuse(kind, parse):
        raise OSError(refusal, "not for you")

    expected = assemble(links(), addresses())
    monkeypatch.setattr(_interfaces, "_ask", refuse)
    assert interfaces() == expected
    assert default_routes() == routes()
