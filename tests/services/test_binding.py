"""One port number on several addresses, or nothing."""

from __future__ import annotations

import pytest

from winsockets.errors import AccessDeniedError, AddressInUseError, AddressNotAvailableError
from winsockets.services._binding import Bound, as_url, bind_all


class Addresses:
    """A machine with some addresses, where some ports are taken."""

    def __init__(self, *have: str, taken: set[tuple[str, int]] | None = None) -> None:
        self.have = have
        self.taken = taken or set()
        self.closed: list[tuple[str, int]] = []
        self.tried: list[tuple[str, str]] = []
        self._next = 50_000

    def bind(self, address: str, port: str) -> Bound:
        """Bind, as a service would."""
        self.tried.append((address, port))
        if address not in self.have:
            raise AddressNotAvailableError(f"bind to {address}")
        number = int(port)
        if number == 0:
            number = self._next
            self._next += 1
        if (address, number) in self.taken:
            raise AddressInUseError(f"bind to {address} port {number}")
        if number < 1_024:
            raise AccessDeniedError(f"bind to {address} port {number}")
        return Bound(_Socket(self, address, number), address, number)


class _Socket:
    def __init__(self, machine: Addresses, address: str, port: int) -> None:
        self._what = (machine, address, port)

    def close(self) -> None:
        """Note it."""
        machine, address, port = self._what
        machine.closed.append((address, port))


def taken(bound: list[Bound]) -> list[tuple[str, int]]:
    """The addresses and ports."""
    return [(each.address, each.port) for each in bound]


def test_each_port_is_bound_on_each_address() -> None:
    """In the order that was asked for."""
    machine = Addresses("127.0.0.1", "::1")
    assert taken(bind_all(["127.0.0.1", "::1"], ["2000", "2001"], machine.bind)) == [
        ("127.0.0.1", 2000),
        ("::1", 2000),
        ("127.0.0.1", 2001),
        ("::1", 2001),
    ]


def test_a_free_port_is_the_same_on_all_addresses() -> None:
    """The first address decides."""
    machine = Addresses("127.0.0.1", "::1")
    assert taken(bind_all(["127.0.0.1", "::1"], ["0"], machine.bind)) == [
        ("127.0.0.1", 50_000),
        ("::1", 50_000),
    ]


def test_a_free_port_that_is_taken_on_the_second_address_is_chosen_again() -> None:
    """And what was bound meanwhile is closed."""
    machine = Addresses("127.0.0.1", "::1", taken={("::1", 50_000), ("::1", 50_001)})
    assert taken(bind_all(["127.0.0.1", "::1"], ["0"], machine.bind)) == [
        ("127.0.0.1", 50_002),
        ("::1", 50_002),
    ]
    assert machine.closed == [("127.0.0.1", 50_000), ("127.0.0.1", 50_001)]


def test_choosing_again_ends() -> None:
    """When every port that the system chooses is taken on the other address."""
    machine = Addresses("127.0.0.1", "::1", taken={("::1", port) for port in range(50_000, 60_000)})
    with pytest.raises(AddressInUseError):
        bind_all(["127.0.0.1", "::1"], ["0"], machine.bind)
    assert len(machine.closed) == len(machine.tried) / 2


@pytest.mark.parametrize("have", ["127.0.0.1", "::1"])
def test_of_several_addresses_those_the_machine_lacks_are_left_out(have: str) -> None:
    """A system without IPv6 serves IPv4."""
    machine = Addresses(have)
    assert taken(bind_all(["127.0.0.1", "::1"], ["2000"], machine.bind)) == [(have, 2000)]


def test_at_least_one_address_has_to_be_there() -> None:
    """None of several, and a single one that is not of this machine, are errors."""
    machine = Addresses("192.0.2.1")
    with pytest.raises(AddressNotAvailableError, match="::1"):
        bind_all(["127.0.0.1", "::1"], ["2000"], machine.bind)
    with pytest.raises(AddressNotAvailableError, match=r"127\.0\.0\.1"):
        bind_all(["127.0.0.1"], ["2000"], machine.bind)


def test_a_port_that_is_taken_on_one_address_is_an_error_and_everything_is_closed() -> None:
    """Half a server is no server."""
    machine = Addresses("127.0.0.1", "::1", taken={("::1", 2001)})
    with pytest.raises(AddressInUseError, match="2001"):
        bind_all(["127.0.0.1", "::1"], ["2000", "2001"], machine.bind)
    assert sorted(machine.closed) == [("127.0.0.1", 2000), ("127.0.0.1", 2001), ("::1", 2000)]


def test_a_port_without_the_right_to_it_is_an_error_and_everything_is_closed() -> None:
    """Whatever the error, it goes through."""
    machine = Addresses("127.0.0.1", "::1")
    with pytest.raises(AccessDeniedError):
        bind_all(["127.0.0.1", "::1"], ["2000", "80"], machine.bind)
    assert machine.closed == [("127.0.0.1", 2000), ("::1", 2000)]


def test_what_is_served_is_said_as_a_url() -> None:
    """With brackets round IPv6, as the client command takes it."""
    assert as_url("tcp", "127.0.0.1", 1337) == "tcp://127.0.0.1:1337"
    assert as_url("udp", "fe80::1%2", 7) == "udp://[fe80::1%2]:7"
