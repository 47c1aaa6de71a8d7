"""Interfaces and their addresses: what the kernel tells, on this machine and in networks of a test's own."""

from __future__ import annotations

import dataclasses
import errno
import json
import platform
import socket
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import ifaddr
import pytest

from tests.networking.cables import cable, plug_in
from tests.networking.netlink_messages import address, done, link, message
from tests.networks import network_namespace, run
from winsockets.errors import AccessDeniedError, SocketException
from winsockets.networking import _interfaces, _proc_interfaces
from winsockets.networking._interfaces import (
    Interface,
    InterfaceAddress,
    assemble,
    default_routes,
    interface_names,
    interfaces,
)
from winsockets.networking._rtnetlink import Kind, parse_address, parse_link

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs rtnetlink")


def by_name():
    """The interfaces of the network that the test is in."""
    return {interface.name: interface for interface in interfaces()}


def addresses_of(interface):
    """As texts with prefix lengths."""
    return {f"{known.address}/{known.prefix_length}" for known in interface.addresses}


def test_the_loopback_interface_is_there():
    """Every system has one, and 127.0.0.1 on it."""
    loopback = next(interface for interface in interfaces() if interface.loopback)
    assert loopback.up
    assert not loopback.multicast
    assert "127.0.0.1/8" in addresses_of(loopback)


def test_indexes_and_names_are_those_of_the_socket_module():
    """All of them, by index."""
    assert [(known.index, known.name) for known in interfaces()] == sorted(socket.if_nameindex())


@on_linux
def test_the_portable_way_finds_the_same():
    """What ifaddr tells is as good, but for what it does not know."""
    with network_namespace():
        cable()
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0", "nodad")
        told = {known.index: (known.name, addresses_of(known), known.loopback) for known in interfaces()}
        found = _interfaces._portable_interfaces()
        assert {(known.loopback, known.multicast, known.hardware_type) for known in found} == {
            (True, False, 772),
            (False, True, 0),
        }
        assert {known.index: (known.name, addresses_of(known), known.loopback) for known in found} == told


def test_an_adapter_of_windows_has_a_guid_and_a_name(monkeypatch):
    """There, ifaddr calls a GUID the name; the socket module knows what the name is."""
    guid = "{846EE342-7039-11DE-9D20-806E6F6E6963}"
    adapters = [ifaddr.Adapter(guid, "Realtek", [ifaddr.IP(("fe80::1%5", 0, 5), 64, "Ethernet")], index=5)]
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ifaddr, "get_adapters", lambda include_unconfigured: adapters)
    monkeypatch.setattr(socket, "if_indextoname", lambda index: f"ethernet_{index}")
    (found,) = interfaces()
    assert (found.name, found.index, found.identifier) == ("ethernet_5", 5, guid)
    assert addresses_of(found) == {"fe80::1/64"}
    assert (found.speed, found.wireless, default_routes()) == (0, False, [])


def test_an_adapter_of_windows_without_a_name_has_its_description(monkeypatch):
    """Better than no adapters at all."""

    def unknown(index):
        raise OSError(errno.ENXIO, "no such interface")

    adapters = [ifaddr.Adapter("{846EE342-7039-11DE-9D20-806E6F6E6963}", "Realtek", [], index=None)]
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ifaddr, "get_adapters", lambda include_unconfigured: adapters)
    monkeypatch.setattr(socket, "if_indextoname", unknown)
    (found,) = interfaces()
    assert (found.name, found.index, found.up) == ("Realtek", 0, False)


def test_names_for_messages(monkeypatch):
    """They are never the reason for another error."""
    assert interface_names() == ", ".join(known.name for known in interfaces())
    monkeypatch.setattr(_interfaces, "interfaces", list)
    assert interface_names() == "none at all"

    def refuse():
        raise SocketException("no")

    monkeypatch.setattr(_interfaces, "interfaces", refuse)
    assert interface_names() == "some that it does not tell"


@on_linux
def test_what_an_interface_is():
    """Flags, size of packets and hardware address, read back from what was made."""
    with network_namespace():
        cable()
        run("ip", "link", "set", "v0", "mtu", "1400", "address", "02:00:00:00:00:09")
        run("ip", "tuntap", "add", "tun0", "mode", "tun")
        known = by_name()
        assert not known["v0"].up  # there is no carrier
        assert (known["v0"].mtu, known["v0"].hardware_address.hex()) == (1400, "020000000009")
        assert (known["v0"].multicast, known["v0"].point_to_point) == (True, False)
        assert known["tun0"].point_to_point
        plug_in()
        assert by_name()["v0"].up
        run("ip", "link", "set", "v0", "down")
        assert not by_name()["v0"].up


@on_linux
def test_addresses_that_cannot_be_used_are_marked():
    """Those that are still looked for elsewhere, those that somebody else has, and old ones."""
    with network_namespace():
        cable()
        plug_in()
        # looks whether somebody else has the address, and does not come to an end while the test runs
        for name, value in (("accept_dad", "1"), ("dad_transmits", "1000")):
            Path("/proc/sys/net/ipv6/conf/v0", name).write_text(value)
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0")
        run("ip", "addr", "add", "fd00:9::2/64", "dev", "v0", "nodad")
        run("ip", "addr", "add", "fd00:9::3/64", "dev", "v0", "nodad", "preferred_lft", "0")
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        run("ip", "addr", "add", "10.9.9.2/24", "dev", "v0")
        known = {str(one.address): one for one in by_name()["v0"].addresses}
        assert not known["fd00:9::1"].usable
        assert (known["fd00:9::2"].usable, known["fd00:9::2"].deprecated) == (True, False)
        assert (known["fd00:9::3"].usable, known["fd00:9::3"].deprecated) == (True, True)
        # the flag of a second IPv4 address has the number of a temporary IPv6 address's
        assert not known["10.9.9.2"].temporary


@on_linux
def test_a_machine_without_ipv6():
    """There are IPv4 addresses, and no error."""
    with network_namespace():
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        cable()
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        assert addresses_of(by_name()["lo"]) == {"127.0.0.1/8"}
        assert addresses_of(by_name()["v0"]) == {"10.9.9.1/24"}


@on_linux
def test_thousands_of_addresses():
    """The kernel's answer comes in many pieces; all of them are read, in both ways of asking."""
    with network_namespace():
        cable()
        lines = [f"addr add 10.{high}.{low}.1/32 dev v0\n" for high in range(10) for low in range(250)]
        subprocess.run(["ip", "-batch", "-"], input="".join(lines).encode(), check=True)
        told = by_name()["v0"]
        assert len(addresses_of(told)) == 2500
        (other,) = (known for known in asked_without_netlink() if known.name == "v0")
        assert addresses_of(other) == addresses_of(told)


@on_linux
def test_default_routes():
    """Those that lead to everywhere, of either family, through one interface or several."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        run("ip", "addr", "add", "10.9.8.1/24", "dev", "v1")
        assert default_routes() == []
        run(
            "ip",
            "route",
            "add",
            "default",
            "metric",
            "5",
            "nexthop",
            "via",
            "10.9.9.2",
            "nexthop",
            "via",
            "10.9.8.2",
        )
        run("ip", "-6", "route", "add", "default", "dev", "v1")
        run("ip", "route", "add", "unreachable", "default", "metric", "9")
        known = by_name()
        ipv4, ipv6 = default_routes()
        assert (ipv4.family, ipv4.metric) == (socket.AF_INET, 5)
        assert ipv4.indexes == (known["v0"].index, known["v1"].index)
        assert (ipv6.family, ipv6.indexes, ipv6.gateway) == (socket.AF_INET6, (known["v1"].index,), "")


def test_the_speed_is_not_that_of_an_interface_in_another_network(tmp_path, monkeypatch):
    """sysfs(5) shows the network it was mounted in; number and hardware address must be the same."""
    folder = tmp_path / "eth7"
    folder.mkdir()
    for file, content in (("ifindex", "7"), ("address", "02:00:00:00:00:07"), ("speed", "2500")):
        (folder / file).write_text(f"{content}\n")
    (folder / "uevent").write_text("DEVTYPE=wlan\nINTERFACE=eth7\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(_interfaces, "_DEVICES", tmp_path)
    known = Interface("eth7", 7, hardware_address=b"\2\0\0\0\0\7")
    assert (known.speed, known.wireless) == (2_500_000_000, True)
    for changed in ({"index": 8}, {"hardware_address": b"\2\0\0\0\0\1"}, {"name": "eth8"}):
        other = dataclasses.replace(known, **changed)
        assert (other.speed, other.wireless) == (0, False)
    for unknown in ("-1", "", "fast"):
        (folder / "speed").write_text(unknown)
        assert known.speed == 0


def test_duplicate_and_optimistic_addresses():
    """One that somebody else has cannot be used; one that is used while that is being found out can."""
    flags = {0x08: False, 0x40: False, 0x44: True, 0x80: True}
    addresses = [parse_address(address(2, f"fd00::{flag}", 64, flags=flag)) for flag in flags]
    (found,) = assemble([parse_link(link(2, "eth0"))], addresses)
    assert [known.usable for known in found.addresses] == list(flags.values())


def test_temporary_addresses():
    """Those of IPv6; in IPv4 the flag of that number means something else."""
    addresses = [
        parse_address(address(2, text, 24, flags=flags))
        for text, flags in (("fd00::1", 1), ("10.0.0.1", 1), ("fd00::2", 0))
    ]
    (found,) = assemble([parse_link(link(2, "eth0"))], addresses)
    assert [known.temporary for known in found.addresses] == [True, False, False]


def test_an_address_without_its_interface_is_left_out():
    """The two questions are asked one after the other; what goes in between goes."""
    (found,) = assemble(
        [parse_link(link(2, "eth0"))],
        [parse_address(address(2, "192.0.2.1", 24)), parse_address(address(3, "::1", 8))],
    )
    assert found.addresses == (InterfaceAddress(ip_address("192.0.2.1"), 24),)


class Kernel:
    """A netlink socket whose answers are prepared, each a list of what is received."""

    def __init__(self, *answers):
        self._answers = [list(answer) for answer in answers]
        self.asked = 0

    def __call__(self, family, kind, protocol):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        pass

    def settimeout(self, seconds):
        """An answer that does not come is an error."""
        self._seconds = seconds

    def send(self, data):
        """Ask."""
        self.asked += 1

    def recv(self, size):
        """Receive the next piece; an exception is raised."""
        assert self._seconds > 0
        piece = self._answers[self.asked - 1].pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


@on_linux
def test_an_answer_that_something_changed_under_is_asked_for_again(monkeypatch):
    """The kernel marks it; the second answer counts, and parts of the first that come late do not."""
    old = message(Kind.NEW_LINK, link(1, "old"), flags=0x10) + done()
    new = message(Kind.NEW_LINK, link(1, "late")) + message(Kind.NEW_LINK, link(2, "new"), sequence=2)
    kernel = Kernel([old], [new, message(Kind.DONE, bytes(4), sequence=2)])
    monkeypatch.setattr(_interfaces.socket, "socket", kernel)
    assert [found.name for found in _interfaces._ask(Kind.GET_LINK, parse_link)] == ["new"]


@on_linux
def test_an_answer_that_changes_all_the_time_is_taken_as_it_is(monkeypatch):
    """Asking has an end."""

    class Busy(Kernel):
        def recv(self, size):
            return message(Kind.NEW_LINK, link(1, "busy"), flags=0x10, sequence=self.asked) + message(
                Kind.DONE, bytes(4), sequence=self.asked
            )

    kernel = Busy()
    monkeypatch.setattr(_interfaces.socket, "socket", kernel)
    assert [found.name for found in _interfaces._ask(Kind.GET_LINK, parse_link)] == ["busy"]
    assert 1 < kernel.asked < 100


@on_linux
@pytest.mark.parametrize(
    "answer",
    [TimeoutError("timed out"), b"", b"\x10", message(Kind.NEW_LINK, b"short"), done(errno.ENOMEM)],
    ids=["silence", "end", "cut", "malformed", "refusal"],
)
@pytest.mark.parametrize("ask", [interfaces, default_routes])
def test_an_answer_that_makes_no_sense_is_a_socket_exception(monkeypatch, ask, answer):
    """Whatever is wrong, the program is told what was attempted."""
    kind = Kind.NEW_ROUTE if ask is default_routes else Kind.NEW_LINK
    if isinstance(answer, bytes) and b"short" in answer:
        answer = message(kind, b"short")
    monkeypatch.setattr(_interfaces.socket, "socket", Kernel([answer]))
    with pytest.raises(SocketException, match="of this machine"):
        ask()


@on_linux
def test_without_descriptors_nothing_else_is_tried(monkeypatch):
    """Only a sandbox's refusal leads to the other way of asking."""

    def full(*arguments):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(_interfaces.socket, "socket", full)
    with pytest.raises(SocketException, match="list the network interfaces") as caught:
        interfaces()
    assert caught.value.errno == errno.EMFILE


@on_linux
def test_a_system_that_tells_nothing_is_an_error(monkeypatch, tmp_path):
    """Neither rtnetlink nor the older way: the refusal is the program's to see."""

    def forbidden(*arguments):
        raise OSError(errno.EACCES, "forbidden")

    monkeypatch.setattr(_interfaces.socket, "socket", forbidden)
    with pytest.raises(AccessDeniedError, match="list the network interfaces"):
        interfaces()


def asked_without_netlink():
    """The interfaces as they are told in a sandbox."""
    return assemble(_proc_interfaces.links(), _proc_interfaces.addresses())


SANDBOX = """
import ctypes, errno, json, platform, socket, struct, sys

# struct sock_filter: socket(AF_NETLINK, ...) fails with EAFNOSUPPORT, everything else is allowed
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
lines = [
    (0x20, 0, 0, 0), (0x15, 0, 3, number),
    (0x20, 0, 0, 16), (0x15, 0, 1, socket.AF_NETLINK), (0x06, 0, 0, REFUSE),
    (0x06, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(lines), ctypes.addressof(code))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit("no sandbox: errno %d" % ctypes.get_errno())
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
except OSError:
    pass
else:
    sys.exit("no sandbox: rtnetlink is allowed")
"""

SHOW = """
from winsockets import NetworkInformation
from winsockets.networking._interfaces import default_routes

print(json.dumps([
    [(adapter.name, adapter.index, str(adapter.network_adapter_id), adapter.iana_interface_type,
      str(adapter.network_item.network_id), adapter.network_item.get_network_types())
     for adapter in NetworkInformation.get_network_adapters()],
    sorted((name.canonical_name, name.ip_information is not None and name.ip_information.prefix_length)
           for name in NetworkInformation.get_host_names()),
    sorted((route.family, route.indexes, route.gateway) for route in default_routes()),
]))
"""


@on_linux
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the sandbox is for other processors"
)
def test_a_sandbox_without_rtnetlink_is_told_the_same():
    """As a service is that systemd allows internet sockets only."""
    with network_namespace():
        cable()
        plug_in()
        run("ip", "addr", "add", "10.9.9.1/24", "dev", "v0")
        run("ip", "addr", "add", "10.9.9.3/25", "dev", "v0", "label", "v0:1")
        run("ip", "addr", "add", "fd00:9::1/64", "dev", "v0", "nodad")
        run("ip", "route", "add", "default", "via", "10.9.9.2")
        run("ip", "-6", "route", "add", "default", "via", "fd00:9::2")

        def told(program):
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        outside = told("import json\n" + SHOW)
        assert told(SANDBOX + SHOW) == outside
        assert outside[2] == [
            [socket.AF_INET, [by_name()["v0"].index], "10.9.9.2"],
            [socket.AF_INET6, [by_name()["v0"].index], "fd00:9::2"],
        ]
