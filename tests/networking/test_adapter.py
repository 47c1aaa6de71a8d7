"""NetworkAdapter, NetworkItem and IPInformation."""

from __future__ import annotations

import doctest
import sys
import uuid

import pytest

from tests.networking.cables import cable, plug_in
from tests.networks import network_namespace, run
from winsockets import NetworkAdapter, NetworkInformation, NetworkItem, NetworkTypes
from winsockets.errors import AddressNotAvailableError, InvalidArgumentError
from winsockets.networking._adapter import iana_interface_type
from winsockets.networking._interfaces import Interface, interfaces

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the interfaces of Linux")


def loopback():
    """The adapter of the loopback interface."""
    return NetworkAdapter(next(interface for interface in interfaces() if interface.loopback))


def test_an_adapter_is_found_by_its_name_and_by_its_number():
    """The name wins where an interface is called like another's number."""
    adapter = loopback()
    assert NetworkAdapter.from_name(adapter.name) == adapter
    assert NetworkAdapter.from_name(str(adapter.index)) == adapter
    assert repr(adapter) == f"<NetworkAdapter {adapter.name!r} index {adapter.index}>"


@on_linux
def test_a_name_that_is_a_number():
    """It is a name first."""
    with network_namespace():
        run("ip", "link", "add", "1", "type", "veth", "peer", "name", "v1")
        assert NetworkAdapter.from_name("1").name == "1"


def test_an_unknown_name_is_told_with_those_that_there_are():
    """Whoever mistyped sees what to type."""
    with pytest.raises(AddressNotAvailableError, match="'nowhere9': there is none.*" + loopback().name):
        NetworkAdapter.from_name("nowhere9")


@pytest.mark.parametrize(("name", "error"), [("", InvalidArgumentError), (None, TypeError), (2, TypeError)])
def test_what_is_no_name_is_refused(name, error):
    """At the call."""
    with pytest.raises(error, match="name of a network adapter"):
        NetworkAdapter.from_name(name)


def test_adapters_are_equal_when_index_and_name_are():
    """They go into sets and dictionaries."""
    one, same = NetworkAdapter(Interface("eth0", 2)), NetworkAdapter(Interface("eth0", 2, mtu=9000))
    assert one == same
    assert len({one, same}) == 1
    assert one != NetworkAdapter(Interface("eth0", 3))
    assert one != NetworkAdapter(Interface("eth1", 2))
    assert one != "eth0"


def test_the_identifier_is_the_same_each_time_and_another_for_each_adapter():
    """It depends on the name and on what the maker of the hardware gave it, and on nothing that changes."""
    adapters = NetworkInformation.get_network_adapters()
    identifiers = [adapter.network_adapter_id for adapter in adapters]
    assert len(set(identifiers)) == len(adapters)
    assert all(isinstance(identifier, uuid.UUID) for identifier in identifiers)
    known = NetworkAdapter(Interface("eth0", 2, permanent_address=b"\2\0\0\0\0\1"))
    again = Interface(
        "eth0", 9, mtu=9000, hardware_address=b"\2\0\0\0\0\7", permanent_address=b"\2\0\0\0\0\1"
    )
    assert known.network_adapter_id == NetworkAdapter(again).network_adapter_id
    assert str(known.network_adapter_id) == "fd1f66e1-5ccd-54bf-b01f-43d49fb33a41"


def test_the_identifier_on_windows_is_that_of_the_system():
    """A GUID in braces."""
    guid = "{846EE342-7039-11DE-9D20-806E6F6E6963}"
    assert NetworkAdapter(Interface("ethernet_5", 5, identifier=guid)).network_adapter_id == uuid.UUID(guid)


@pytest.mark.parametrize(
    ("hardware_type", "expected"),
    [
        *((kind, 131) for kind in (768, 769, 776, 778, 823, 65534)),
        *((kind, 71) for kind in (801, 802, 803)),
        *((kind, 1) for kind in (0, 2, 280, 804)),
        (1, 6),
        (24, 144),
        (512, 23),
        (772, 24),
    ],
)
def test_the_type_is_a_number_of_ianas(hardware_type, expected):
    """What Linux calls the hardware, and what has no number there is another kind."""
    assert iana_interface_type(Interface("x", 1, hardware_type=hardware_type)) == expected


def test_wireless_interfaces_call_themselves_ethernet(monkeypatch):
    """What they are is told elsewhere."""
    monkeypatch.setattr(Interface, "wireless", True)
    assert iana_interface_type(Interface("wlan0", 3, hardware_type=1)) == 71
    assert iana_interface_type(Interface("lo", 1, hardware_type=772)) == 24


@on_linux
def test_real_adapters_have_real_types_and_speeds():
    """A cable and a tunnel, made by the test."""
    assert loopback().iana_interface_type == 24
    assert loopback().inbound_max_bits_per_second == loopback().outbound_max_bits_per_second == 0
    with network_namespace():
        cable()
        plug_in()
        run("ip", "tuntap", "add", "tun0", "mode", "tun")
        assert NetworkAdapter.from_name("v0").iana_interface_type == 6
        assert NetworkAdapter.from_name("tun0").iana_interface_type == 131


@on_linux
def test_what_a_network_leads_to():
    """To the internet with a default route through the adapter, to a private network with such an address."""
    with network_namespace():
        cable()
        plug_in()
        adapter = NetworkAdapter.from_name("v0")
        # a link-local address comes by itself, sooner or later, and is no network of its own
        bare = adapter.network_item
        assert bare.get_network_types() == NetworkTypes.NONE
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0", "nodad")
        assert adapter.network_item.get_network_types() == NetworkTypes.PRIVATE_NETWORK
        run("ip", "addr", "flush", "dev", "v0")
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        public = adapter.network_item
        assert public.get_network_types() == NetworkTypes.NONE
        run("ip", "route", "add", "default", "via", "192.0.2.9")
        routed = adapter.network_item
        assert routed.get_network_types() == NetworkTypes.INTERNET
        assert NetworkAdapter.from_name("v1").network_item.get_network_types() == NetworkTypes.NONE
        run("ip", "addr", "add", "10.0.0.1/8", "dev", "v0")
        both = NetworkTypes.INTERNET | NetworkTypes.PRIVATE_NETWORK
        assert adapter.network_item.get_network_types() == both
        identifiers = {item.network_id for item in (bare, public, routed, adapter.network_item)}
        assert len(identifiers) == 4


@on_linux
def test_the_same_network_has_the_same_identifier():
    """Another address in it is no other network; nor is the order of addresses."""
    with network_namespace():
        cable()
        plug_in()
        adapter = NetworkAdapter.from_name("v0")
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        before = adapter.network_item
        run("ip", "addr", "add", "192.0.2.2/24", "dev", "v0")
        assert adapter.network_item == before
        assert hash(adapter.network_item) == hash(before)
        run("ip", "addr", "add", "198.51.100.1/24", "dev", "v0")
        assert adapter.network_item != before


@on_linux
def test_an_adapter_that_is_gone_tells_what_it_was():
    """And nothing of what it might lead to."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "add", "10.0.0.1/24", "dev", "v0")
        adapter = NetworkAdapter.from_name("v0")
        before = (adapter.name, adapter.index, adapter.network_adapter_id, adapter.iana_interface_type)
        run("ip", "link", "del", "v0")
        after = (adapter.name, adapter.index, adapter.network_adapter_id, adapter.iana_interface_type)
        assert after == before
        assert adapter.inbound_max_bits_per_second == 0
        assert adapter.network_item.get_network_types() == NetworkTypes.NONE
        with pytest.raises(AddressNotAvailableError, match="this machine has lo"):
            NetworkAdapter.from_name("v0")
        assert adapter not in NetworkInformation.get_network_adapters()


def test_a_network_shows_itself():
    """Identifier and types, and it equals nothing else."""
    item = NetworkItem(uuid.UUID(int=1), NetworkTypes.INTERNET)
    assert "00000000-0000-0000-0000-000000000001" in repr(item)
    assert "INTERNET" in repr(item)
    assert item != item.network_id


@on_linux
def test_the_examples_in_the_docstrings():
    """They say what they say."""
    finder = doctest.DocTestFinder(recurse=True)
    examples = [
        example
        for thing in (NetworkAdapter, NetworkInformation)
        for example in finder.find(thing)
        if example.examples
    ]
    assert len(examples) == 4
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0, example.name
