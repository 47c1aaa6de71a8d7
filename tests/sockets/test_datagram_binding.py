"""Making and binding the sockets of the system."""

from __future__ import annotations

import resource
import socket as system
from contextlib import contextmanager

import pytest

from tests.networks import network_namespace
from winsockets.errors import (
    AddressInUseError,
    AddressNotAvailableError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.networking._address import Address
from winsockets.sockets import DatagramSocket, _datagram_binding
from winsockets.sockets._datagram_binding import WILDCARDS, bind_sockets, make_socket

LOOPBACK = (Address.ipv6("::1", 0), Address.ipv4("127.0.0.1", 0))


@pytest.fixture
def control():
    """A control with nothing set."""
    return DatagramSocket().control


@contextmanager
def closing(sockets):
    """Close sockets at the end."""
    try:
        yield sockets
    finally:
        for skt in sockets:
            skt.close()


def places(sockets):
    """Where sockets are bound."""
    return [(skt.getsockname()[0], skt.getsockname()[1]) for skt in sockets]


def test_all_families_get_one_port_number(control):
    """Which the system chooses."""
    with closing(bind_sockets(control, WILDCARDS, 0)) as sockets:
        (six, port), (four, same) = places(sockets)
        assert (six, four) == ("::", "0.0.0.0")
        assert port == same > 0


def test_a_port_can_be_asked_for(control):
    """Whatever the addresses say."""
    with closing(bind_sockets(control, WILDCARDS, 0)) as sockets:
        port = sockets[0].getsockname()[1]
    with closing(bind_sockets(control, [Address.ipv4("127.0.0.1", 99)], port)) as sockets:
        assert places(sockets) == [("127.0.0.1", port)]


def test_of_each_family_the_first_address_counts(control):
    """A socket has one address, or all."""
    addresses = [Address.ipv4("127.0.0.1", 0), Address.ipv4("127.0.0.2", 0), Address.ipv6("::1", 0)]
    with closing(bind_sockets(control, addresses, 0)) as sockets:
        assert [host for host, _ in places(sockets)] == ["127.0.0.1", "::1"]


def test_a_port_belongs_to_one(control):
    """Bound to one address or to all, and one family that is taken is enough; nothing is left open."""
    with closing(bind_sockets(control, LOOPBACK[1:], 0)) as sockets:
        port = sockets[0].getsockname()[1]
        for addresses in (LOOPBACK[1:], LOOPBACK, WILDCARDS):
            with pytest.raises(AddressInUseError, match=f"port {port}"):
                bind_sockets(control, addresses, port)


def test_a_foreign_address_cannot_be_bound(control):
    """CANNOT_ASSIGN_REQUESTED_ADDRESS, with the address."""
    with pytest.raises(AddressNotAvailableError, match=r"bind to 192\.0\.2\.1 port 0"):
        bind_sockets(control, [Address.ipv4("192.0.2.1", 0)], 0)
    with pytest.raises(AddressNotAvailableError, match=r"192\.0\.2\.1"):
        bind_sockets(control, [Address.ipv4("192.0.2.1", 0), Address.ipv6("2001:db8::1", 0)], 0)


def test_a_family_that_is_missing_is_left_out(control):
    """As long as there is another."""
    addresses = [Address.ipv6("2001:db8::1", 0), Address.ipv4("127.0.0.1", 0)]
    with closing(bind_sockets(control, addresses, 0)) as sockets:
        assert [host for host, _ in places(sockets)] == ["127.0.0.1"]


def test_a_system_without_ipv6_has_ipv4(control):
    """All addresses are those that there are."""
    with network_namespace():
        with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as switch:
            switch.write("1")
        with closing(bind_sockets(control, LOOPBACK, 0)) as sockets:
            assert [host for host, _ in places(sockets)] == ["127.0.0.1"]


def test_a_number_that_is_taken_in_the_other_family_is_not_the_last_try(control, monkeypatch):
    """The system chooses for the first family without a look at the second."""
    with network_namespace():
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as choice:
            choice.write("40000 40003")
        with closing([]) as taken:
            for port in (40000, 40001, 40003):
                taken.extend(bind_sockets(control, WILDCARDS[1:], port))
            monkeypatch.setattr(_datagram_binding, "_PORT_TRIES", 1000)
            with closing(bind_sockets(control, WILDCARDS, 0)) as sockets:
                assert places(sockets) == [("::", 40002), ("0.0.0.0", 40002)]
                monkeypatch.setattr(_datagram_binding, "_PORT_TRIES", 10)
                with pytest.raises(AddressInUseError):
                    bind_sockets(control, WILDCARDS, 0)


def test_a_socket_need_not_be_bound(control):
    """One that will be connected gets its address then."""
    with make_socket(control, system.AF_INET, None, 0) as skt:
        assert skt.type == system.SOCK_DGRAM
        assert skt.getsockname()[1] == 0


def test_a_scope_is_kept(control):
    """Of a link-local address the interface counts, even if the address is not there."""
    with pytest.raises(AddressNotAvailableError, match="fe80::1%1"):
        make_socket(control, system.AF_INET6, Address.ipv6("fe80::1", 0, 1), 0)


def test_without_descriptors_there_is_no_socket(control):
    """TOO_MANY_OPEN_FILES; with room for one only, that is closed again."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing([system.socket()]) as probe:
        lowest = probe[0].fileno()
    for room in (0, 1):
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + room, limits[1]))
        try:
            with pytest.raises(SocketException) as caught:
                bind_sockets(control, WILDCARDS, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert caught.value.status is SocketErrorStatus.TOO_MANY_OPEN_FILES
    with closing([system.socket()]) as probe:
        assert probe[0].fileno() == lowest
