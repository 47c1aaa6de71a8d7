"""NetworkInformation: the names and addresses of the machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path

import pytest

from tests.networking.cables import cable, plug_in
from tests.networks import network_namespace, run
from winsockets import HostName, HostNameType, NetworkAdapter, NetworkInformation
from winsockets.networking._information import host_names
from winsockets.networking._interfaces import Interface, InterfaceAddress, interfaces

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the interfaces of Linux")


def local_names():
    """The addresses among the host names, each with its adapter and prefix length."""
    return {
        str(name): (name.ip_information.network_adapter.name, name.ip_information.prefix_length)
        for name in NetworkInformation.get_host_names()
        if name.ip_information is not None
    }


def test_the_machines_name_comes_first_and_has_no_adapter():
    """What gethostname says, as far as it is a host name."""
    names = NetworkInformation.get_host_names()
    own = [name for name in names if name.type is HostNameType.DOMAIN_NAME]
    assert HostName(socket.gethostname()) in own
    assert names[: len(own)] == own
    assert all(name.ip_information is None for name in own)


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("vm", ["vm"]),
        ("VM.Example.com", ["vm", "vm.example.com"]),
        ("", []),
        ("my machine", []),
        (".example", []),
        ("-x.example", []),
    ],
)
def test_what_a_machine_is_called(machine, names):
    """Its first part, as neighbours know it, and all of it; what is no host name is left out."""
    assert [str(name) for name in host_names(machine, [])] == names


def test_loopback_is_not_listed():
    """As on Windows, though every machine has it."""
    assert any(interface.loopback for interface in interfaces())
    assert not any(ipaddress.ip_address(text.partition("%")[0]).is_loopback for text in local_names())
    elsewhere = Interface("eth0", 2, addresses=(InterfaceAddress(ipaddress.ip_address("127.0.0.9"), 32),))
    assert host_names("", [elsewhere]) == []


@on_linux
def test_addresses_have_adapters_and_prefix_lengths():
    """Link-local ones the index of the adapter as their zone."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "flush", "dev", "v1")
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        run("ip", "addr", "add", "fd00:9::1/60", "dev", "v0", "nodad")
        run("ip", "addr", "add", "fe80::9/64", "dev", "v0", "nodad")
        adapter = NetworkAdapter.from_name("v0")
        named = local_names()
        assert named["192.0.2.1"] == ("v0", 24)
        assert named["fd00:9::1"] == ("v0", 60)
        assert named[f"fe80::9%{adapter.index}"] == ("v0", 64)
        (name,) = (name for name in NetworkInformation.get_host_names() if str(name) == "192.0.2.1")
        assert name.ip_information.network_adapter == adapter
        assert name.type is HostNameType.IPV4
        assert repr(name.ip_information) == "<IPInformation 'v0' /24>"
        assert HostName("192.0.2.1") == name
        assert HostName("192.0.2.1").ip_information is None


@on_linux
def test_addresses_that_cannot_be_reached_are_not_listed():
    """Of an interface that is switched off or has no carrier, and those that are still being looked for."""
    with network_namespace():
        cable()
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        assert local_names() == {}
        plug_in()
        assert "192.0.2.1" in local_names()
        for name, value in (("accept_dad", "1"), ("dad_transmits", "1000")):
            Path("/proc/sys/net/ipv6/conf/v0", name).write_text(value)
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0")
        assert "fd00:9::1" not in local_names()
        run("ip", "link", "set", "v0", "down")
        assert "192.0.2.1" not in local_names()


@on_linux
def test_all_adapters_are_listed():
    """Those that are switched off and loopback too, by index."""
    with network_namespace():
        run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        adapters = NetworkInformation.get_network_adapters()
        assert sorted(adapter.name for adapter in adapters) == ["lo", "v0", "v1"]
        assert [adapter.index for adapter in adapters] == sorted(adapter.index for adapter in adapters)
