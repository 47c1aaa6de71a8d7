"""The messages of rtnetlink: what is read from good ones, and that bad ones are refused."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networking.netlink_messages import address, attribute, done, link, message, next_hop, route
from winsockets.networking._rtnetlink import (
    AddressFlags,
    Kind,
    LinkFlags,
    answer_error,
    dump_request,
    is_relevant,
    messages,
    parse_address,
    parse_link,
    parse_route,
)

IPV6 = socket.AF_INET6


def test_a_question_asks_for_everything_of_a_kind():
    """Its header has the flags of a dump, and the number that comes back with the answer."""
    (asked,) = messages(dump_request(Kind.GET_ADDRESS, 7))
    assert (asked.kind, asked.sequence) == (Kind.GET_ADDRESS, 7)
    assert struct.unpack_from("=H", dump_request(Kind.GET_LINK, 1), 6) == (0x301,)


def test_one_receive_call_may_give_several_messages():
    """Each has its own content; the last one tells that no error has ended the answer."""
    first, second, last = messages(
        message(Kind.NEW_LINK, b"12345") + message(Kind.NEW_ADDRESS, b"", flags=0x12) + done()
    )
    assert (first.kind, first.payload, first.interrupted) == (Kind.NEW_LINK, b"12345", False)
    assert (second.kind, second.payload, second.interrupted) == (Kind.NEW_ADDRESS, b"", True)
    assert answer_error(last.payload) == 0
    assert list(messages(b"")) == []


def test_an_answer_may_be_an_error():
    """Its number is what errno would be."""
    (refusal,) = messages(done(errno.EPERM))
    assert answer_error(refusal.payload) == errno.EPERM
    assert answer_error(b"") == 0


def test_an_interface_is_read():
    """Name, number, hardware type, flags, size of packets, and both hardware addresses."""
    read = parse_link(
        link(4, "eth0", attributes=attribute(1, b"\2\0\0\0\0\1") + attribute(54, b"\2\0\0\0\0\2"))
    )
    assert (read.index, read.name, read.hardware_type, read.mtu) == (4, "eth0", 1, 1500)
    assert LinkFlags.UP in read.flags
    assert LinkFlags.LOOPBACK not in read.flags
    assert (read.hardware_address, read.permanent_address) == (b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")


def test_a_name_that_is_no_text_is_kept_in_the_systems_way():
    """Interface names are bytes to the kernel."""
    content = struct.pack("=BxHiII", 0, 1, 2, 0, 0) + attribute(3, b"w\xff\0")
    assert parse_link(content).name == "w\udcff"


def test_an_address_is_read():
    """Of either family, with its network's bits."""
    read = parse_address(address(4, "192.0.2.2", 24))
    assert (read.index, read.address, read.prefix_length) == (4, ipaddress.ip_address("192.0.2.2"), 24)
    read = parse_address(address(4, "fe80::1", 64, flags=0x40))
    assert (read.address, read.flags) == (ipaddress.ip_address("fe80::1"), AddressFlags.TENTATIVE)


def test_of_a_point_to_point_link_the_local_address_is_read():
    """The other attribute is the other end's."""
    read = parse_address(address(4, "10.0.0.1", 32, peer="10.0.0.2"))
    assert str(read.address) == "10.0.0.1"


def test_the_long_form_of_an_addresss_flags_counts():
    """The header has room for eight of them only."""
    read = parse_address(address(4, "fd00::1", 64, flags=0x80, attributes=attribute(8, 0x100 | 0x20)))
    assert AddressFlags.DEPRECATED in read.flags


@pytest.mark.parametrize("family", [0, 17, 28])
def test_addresses_of_other_families_are_left_out(family):
    """MPLS, for instance."""
    assert parse_address(struct.pack("=BBBBI", family, 0, 0, 0, 1)) is None
    assert parse_route(route(family)) is None


def test_a_route_is_read():
    """Where it leads, through what, and how good it is."""
    gateway = socket.inet_aton("192.0.2.1")
    read = parse_route(
        route(prefix_length=0, attributes=attribute(4, 9) + attribute(5, gateway) + attribute(6, 100))
    )
    assert (read.family, read.prefix_length, read.indexes) == (socket.AF_INET, 0, (9,))
    assert (read.gateway, read.metric) == ("192.0.2.1", 100)


def test_a_route_may_lead_through_several_interfaces():
    """All of them are read, also when their number is in the attributes of none."""
    read = parse_route(route(IPV6, attributes=attribute(9, next_hop(3) + next_hop(5))))
    assert read.indexes == (3, 5)
    assert parse_route(route()).indexes == ()


@pytest.mark.parametrize("arguments", [{"kind": 7}, {"kind": 2}, {"table": 255}])
def test_routes_to_nowhere_and_to_this_machine_are_left_out(arguments):
    """An unreachable default route is no way to the internet."""
    assert parse_route(route(**arguments)) is None


def test_announcements_of_particular_routes_are_not_relevant():
    """A router learns thousands of them a second."""

    def relevant(kind, payload=b""):
        (announced,) = messages(message(kind, payload))
        return is_relevant(announced)

    assert relevant(Kind.NEW_ROUTE, route(prefix_length=0))
    assert not relevant(Kind.NEW_ROUTE, route(prefix_length=24))
    assert not relevant(Kind.LOST_ROUTE, route(IPV6, 64))
    assert relevant(Kind.LOST_LINK)
    assert relevant(Kind.NEW_ADDRESS)
    assert not relevant(Kind.NOTHING)


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\0\0",
        struct.pack("=IHHII", 15, 16, 0, 0, 0),
        struct.pack("=IHHII", 0, 16, 0, 0, 0),
        struct.pack("=IHHII", 17, 16, 0, 0, 0),
        message(Kind.NEW_LINK, b"1234") + b"\0",
    ],
)
def test_messages_with_wrong_lengths_are_refused(data):
    """Cut, shorter than a header, longer than what there is."""
    with pytest.raises(ValueError, match="netlink"):
        list(messages(data))


@pytest.mark.parametrize(
    ("parse", "content"),
    [
        (parse_link, link(1, "lo")[:15]),
        (parse_link, link(1, "lo")[:18]),
        (parse_link, link(1, "lo") + struct.pack("=HH", 3, 1)),
        (parse_link, link(1, "lo") + struct.pack("=HH", 9, 1)),
        (parse_link, link(1, "lo", attributes=attribute(4, b"12"))),
        (parse_address, address(1, "::1", 129)),
        (parse_address, address(1, "::1", 128)[:8]),
        (parse_address, struct.pack("=BBBBI", IPV6, 24, 0, 0, 1) + attribute(1, bytes(4))),
        (parse_address, b"\2\x18\0"),
        (parse_route, route()[:11]),
        (parse_route, route(attributes=attribute(5, b"123"))),
        (parse_route, route(attributes=attribute(9, struct.pack("=HBBi", 7, 0, 0, 3)))),
        (parse_route, route(attributes=attribute(9, struct.pack("=HBBi", 16, 0, 0, 3)))),
        (answer_error, b"\0\0"),
    ],
)
def test_contents_that_make_no_sense_are_refused(parse, content):
    """The error says what is wrong; nothing is guessed."""
    with pytest.raises(ValueError, match=r"bytes|prefix"):
        parse(content)


bytes_of_kernel = st.one_of(
    st.binary(max_size=96),
    st.builds(message, st.integers(0, 40), st.binary(max_size=64), flags=st.integers(0, 0xFFFF)),
    # good ones with some bytes replaced
    st.builds(
        lambda good, at, put: good[: at % len(good)] + put + good[at % len(good) + len(put) :],
        st.sampled_from(
            [
                message(Kind.NEW_LINK, link(4, "eth0")),
                message(Kind.NEW_ADDRESS, address(4, "fe80::1", 64)),
                message(Kind.NEW_ROUTE, route(attributes=attribute(4, 9) + attribute(9, next_hop(3)))),
            ]
        ),
        st.integers(0, 200),
        st.binary(min_size=1, max_size=8),
    ),
)


@given(bytes_of_kernel)
def test_whatever_comes_is_read_or_refused(data):
    """No other exception than ValueError, and always an end."""
    try:
        found = list(messages(data))
    except ValueError:
        return
    for one in found:
        for parse in (parse_link, parse_address, parse_route, answer_error):
            with suppress(ValueError):
                parse(one.payload)
        with suppress(ValueError):
            is_relevant(one)
