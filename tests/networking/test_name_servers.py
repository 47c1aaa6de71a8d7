"""Which name servers are asked: given ones, or those of the system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import InvalidArgumentError, NameResolutionError, UnknownServiceError
from winsockets.networking import HostName
from winsockets.networking._address import Address
from winsockets.networking._name_servers import as_name_servers, server_addresses, system_name_servers


@pytest.mark.parametrize(
    ("server", "meant"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("192.0.2.53:domain", ("192.0.2.53", 53)),
        ("2001:DB8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
        ("fe80::1%2", ("fe80::1%2", 53)),
        (HostName("::1"), ("::1", 53)),
        (("192.0.2.53", 5353), ("192.0.2.53", 5353)),
        ((HostName("192.0.2.53"), "5353"), ("192.0.2.53", 5353)),
    ],
)
def test_a_server_is_given_in_any_of_its_forms(server, meant):
    """It reads as a pair, which is a form again."""
    assert as_name_servers([server]) == (meant,)
    assert as_name_servers((meant, meant)) == (meant, meant)


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ("ns.example", InvalidArgumentError),
        ("ns.example:53", InvalidArgumentError),
        ("(00:11:22:AA:BB:CC)", InvalidArgumentError),
        ("192.0.2.53:0", InvalidArgumentError),
        ("192.0.2.53:65536", InvalidArgumentError),
        ("192.0.2.53:", InvalidArgumentError),
        ("192.0.2.53:nosuch", UnknownServiceError),
        (":53", InvalidArgumentError),
        ("", InvalidArgumentError),
        (("192.0.2.53", 0), InvalidArgumentError),
        (None, InvalidArgumentError),
        (("192.0.2.53",), TypeError),
        (("192.0.2.53", None), TypeError),
        (53, TypeError),
    ],
)
def test_what_is_no_server_is_refused(server, problem):
    """A name too: who would look it up?"""
    with pytest.raises(problem):
        as_name_servers([server])


@pytest.mark.parametrize("servers", ["192.0.2.53", b"x", HostName("::1"), 53, None])
def test_one_server_is_a_list_too(servers):
    """Text is not taken for a list of its letters."""
    with pytest.raises(TypeError, match="name_servers is a list of name servers, not"):
        as_name_servers(servers)


def test_no_server_is_an_empty_list():
    """Then it is the system's."""
    assert as_name_servers([]) == ()


def test_servers_become_addresses():
    """For sockets; a zone that this machine lacks is named."""
    assert server_addresses([("192.0.2.53", 53), ("fe80::1%3", 54)]) == [
        Address.ipv4("192.0.2.53", 53),
        Address.ipv6("fe80::1", 54, 3),
    ]
    with pytest.raises(NameResolutionError, match="nosuch0"):
        server_addresses([("fe80::1%nosuch0", 53)])


def of_file(tmp_path, text):
    """The servers of a resolv.conf."""
    path = tmp_path / "resolv.conf"
    path.write_bytes(text)
    return [str(server) for server in system_name_servers(path, platform="linux")]


def test_the_servers_of_the_system_are_read(tmp_path):
    """As its own resolver does: the first three, comments and other lines aside."""
    text = b"""# nameserver 192.0.2.9
search example.com
nameserver 192.0.2.1
;nameserver 192.0.2.9
nameserver\t192.0.2.1  # again
nameserver 2001:db8::1 trailing
nameserver
nameserver ns.example
nameserver fe80::1%nosuch0
nameservers 192.0.2.9
options timeout:1
nameserver 192.0.2.3
nameserver 192.0.2.4
"""
    assert of_file(tmp_path, text) == ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]


@pytest.mark.parametrize("text", [b"", b"search example.com\n", b"\xff\xfe\x00"])
def test_without_any_it_is_the_one_on_this_machine(tmp_path, text):
    """As for the system's own resolver; so it is without the file."""
    assert of_file(tmp_path, text) == ["127.0.0.1:53"]
    assert system_name_servers(tmp_path / "missing", platform="linux") == [Address.ipv4("127.0.0.1", 53)]


@given(st.binary(max_size=300))
def test_no_file_does_harm(tmp_path_factory, data):
    """Whatever stands in it, there are one to three servers."""
    path = tmp_path_factory.getbasetemp() / "resolv.conf"
    path.write_bytes(data)
    assert 1 <= len(system_name_servers(path, platform="linux")) <= 3


class Registry:
    """The part of winreg that is used, over nested dicts: keys are dicts, values are not."""

    HKEY_LOCAL_MACHINE = "root"

    def __init__(self, tree):
        self._tree = tree

    class _Key(dict):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.clear()

    def OpenKey(self, key, path):
        """Open a key below another."""
        found = self._tree if key == "root" else key
        if path not in found:
            raise FileNotFoundError(path)
        return self._Key(found[path])

    def QueryInfoKey(self, key):
        """Count subkeys and values."""
        return (len(key), 0, 0)

    def EnumKey(self, key, number):
        """Name a subkey."""
        return list(key)[number]

    def QueryValueEx(self, key, name):
        """Read a value."""
        if name not in key:
            raise FileNotFoundError(name)
        return key[name], 1


def test_on_windows_they_stand_in_the_registry():
    """By hand before DHCP, for each adapter; none is none."""
    interfaces = r"SYSTEM\CurrentControlSet\Services\Tcpip{}\Parameters\Interfaces"
    tree = {
        interfaces.format(""): {
            "{1}": {"NameServer": "", "DhcpNameServer": "192.0.2.1 192.0.2.2"},
            "{2}": {"NameServer": "192.0.2.3,192.0.2.1", "DhcpNameServer": "192.0.2.9"},
            "{3}": {},
        },
        interfaces.format("6"): {"{1}": {"NameServer": "2001:db8::1"}},
    }
    found = system_name_servers(platform="win32", registry=Registry(tree))
    assert [server.host for server in found] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    del tree[interfaces.format("")]
    found = system_name_servers(platform="win32", registry=Registry(tree))
    assert [server.host for server in found] == ["2001:db8::1"]
    assert system_name_servers(platform="win32", registry=Registry({})) == []
