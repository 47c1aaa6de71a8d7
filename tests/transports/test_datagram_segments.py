"""How many datagrams can leave in one call, and how long those are that came in one."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.datagrams import on_linux
from winsockets.transports import _datagram_segments
from winsockets.transports._datagram_segments import (
    SegmentedSends,
    accept_coalesced,
    divided,
    run_length,
    segment_size,
)

IPV4 = 65_507
IPV6 = 65_527


def run(*sizes, most=1000, room=IPV4, longest=IPV4):
    """The length of the run at the beginning of datagrams of some sizes."""
    return run_length([bytes(size) for size in sizes], most, room, longest)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100], 1),
        ([100] * 5, 5),
        ([100, 100, 99], 3),
        ([100, 100, 99, 99], 3),
        ([100, 100, 101], 2),
        ([100, 101], 1),
        ([100, 1], 2),
        ([100, 0], 1),
        ([100, 100, 0, 100], 2),
        ([0, 0], 1),
        ([0, 100], 1),
        ([1] * 100, 64),
        ([1000] * 63 + [1, 1], 64),
        ([1000] * 64 + [1], 64),
        ([1200] * 60, 54),
        ([30_000, 30_000, 5_507], 3),
        ([30_000, 30_000, 5_508], 2),
        ([30_000, 30_000, 30_000], 2),
        ([40_000, 40_000], 1),
        ([40_000, 25_507], 2),
    ],
)
def test_a_run_is_of_one_size_and_fits_into_one_datagram(sizes, expected):
    """The last may be shorter, none may be empty, and 64 is the most."""
    assert run(*sizes) == expected


def test_a_run_can_be_bounded():
    """In number, in the size of each, and in the size of all, which IPv6 has more of."""
    assert run(*[100] * 10, most=4) == 4
    assert run(100, 100, 50, most=2) == 2
    assert run(100, 100, longest=99) == 1
    assert run(100, 100, longest=100) == 2
    assert run(100, 100, longest=0) == 1
    assert run(IPV4 - 10, 10, room=IPV4) == run(IPV6 - 10, 10, room=IPV6, longest=IPV6) == 2
    assert run(IPV4 - 10, 11, room=IPV4) == 1


@given(st.lists(st.integers(0, 3) | st.integers(20_000, 22_000), min_size=1, max_size=80), st.integers(1, 80))
def test_a_run_is_what_the_system_takes(sizes, most):
    """And as long as it can be."""
    count = run(*sizes, most=most)

    def fits(number):
        taken = sizes[:number]
        return (
            number <= min(len(sizes), most, 64)
            and 0 not in taken
            and set(taken[:-1]) == {sizes[0]}
            and taken[-1] <= sizes[0]
            and sum(taken) <= IPV4
        )

    assert count == 1 or fits(count)
    assert not any(fits(number) for number in range(max(count + 1, 2), len(sizes) + 1))


@on_linux
@pytest.mark.parametrize(
    ("number", "left"),
    [
        (errno.EIO, 0),
        (errno.ENOPROTOOPT, 0),
        (errno.EOPNOTSUPP, 0),
        (errno.EINVAL, 999),
        (errno.EMSGSIZE, 999),
        (errno.EPERM, 2000),
    ],
)
def test_a_refusal_is_remembered(number, left):
    """For good, or for datagrams as long as those; what concerns a destination is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
        segments = SegmentedSends(skt)
        assert segments.run_length([bytes(2000)] * 3, 10) == 3
        segments.refused(number, 1000)
        for size in (1, 999, 1000, 2000):
            assert segments.run_length([bytes(size)] * 3, 10) == (3 if size <= left else 1)
        # A later one does not make it better.
        segments.refused(errno.EMSGSIZE, 1500)
        assert segments.run_length([bytes(1200)] * 3, 10) == (3 if left == 2000 else 1)


@pytest.mark.parametrize("way", ["system", "family", "kernel"])
def test_where_the_system_has_it_not_nothing_is_asked_of_it(way, monkeypatch):
    """An old Linux would send what is to be cut up as one datagram; others have no such options."""
    if way == "system":
        monkeypatch.setattr(_datagram_segments, "_LINUX", False)
    elif way == "kernel":
        monkeypatch.setattr(_datagram_segments, "_UDP_SEGMENT", 9999)
        monkeypatch.setattr(_datagram_segments, "_UDP_GRO", 9999)
    family = socket.AF_UNIX if way == "family" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as skt:
        assert SegmentedSends(skt).run_length([b"a"] * 3, 10) == 1
        assert accept_coalesced(skt) is False


@on_linux
def test_the_size_of_the_pieces_is_among_what_comes_with_them():
    """Wherever it stands there."""
    size = (socket.IPPROTO_UDP, 104, struct.pack("=i", 1200))
    other = (socket.IPPROTO_IP, 8, bytes(12))
    assert segment_size([other, size]) == 1200
    assert segment_size([other]) == segment_size([]) == 0
    assert segment_size([(socket.IPPROTO_UDP, 104, b"x")]) == 0


@given(st.binary(min_size=1, max_size=300), st.integers(1, 310))
def test_a_piece_is_its_datagrams(data, size):
    """All of one size but the last."""
    datagrams = divided(memoryview(data), size)
    assert b"".join(datagrams) == data
    assert {len(datagram) for datagram in datagrams[:-1]} <= {size}
    assert 0 < len(datagrams[-1]) <= size
    assert {type(datagram) for datagram in datagrams} == {bytes}
