"""Binding to an adapter: one way in and out, on real interfaces of a network of the test's own."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import contextmanager

import pytest

from tests.networks import add_link_local_address, network_namespace, run
from tests.transports.loopback import NEEDS_LINUX, PATIENCE
from winsockets.errors import (
    E_NOTIMPL,
    AccessDeniedError,
    AddressNotAvailableError,
    SocketErrorStatus,
    SocketException,
)
from winsockets.networking import NetworkAdapter
from winsockets.transports._adapter_binding import bind_to_adapter, confines, routing_option

ADDRESSES = {socket.AF_INET: "10.9.8.1", socket.AF_INET6: "fd09:8::1"}


@contextmanager
def adapters():
    """A network with two more adapters, one of which has an address of each family."""
    with network_namespace():
        run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        run("ip", "link", "set", "v0", "up")
        run("ip", "link", "set", "v1", "up")
        run("ip", "addr", "add", "10.9.8.1/24", "dev", "v0")
        add_link_local_address("fd09:8::1", "v0")
        yield NetworkAdapter.from_name("v0"), NetworkAdapter.from_name("v1")


def forbidden():
    """What a sandbox says."""
    raise PermissionError(errno.EPERM, "Operation not permitted")


class Unprivileged(socket.socket):
    """A socket as Linux before 5.7 has it for programs without rights."""

    def setsockopt(self, level, option, value):
        """Refuse SO_BINDTODEVICE."""
        if (level, option) == (socket.SOL_SOCKET, getattr(socket, "SO_BINDTODEVICE", None)):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        super().setsockopt(level, option, value)


def toward(family, kind=socket.socket):
    """A socket that gives up after a while."""
    made = kind(family, socket.SOCK_STREAM)
    made.settimeout(PATIENCE)
    return made


@NEEDS_LINUX
@pytest.mark.parametrize("family", ADDRESSES)
def test_a_bound_socket_accepts_through_its_adapter_only(family):
    """Though it is bound to all addresses."""
    with adapters() as (adapter, _), toward(family) as server:
        assert confines(adapter)
        bind_to_adapter(server, adapter)
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"v0"
        server.bind(("", 0))
        server.listen()
        port = server.getsockname()[1]
        with toward(family) as client:
            client.connect((ADDRESSES[family], port))
        loopback = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        with toward(family) as client, pytest.raises(ConnectionRefusedError):
            client.connect((loopback, port))


@NEEDS_LINUX
@pytest.mark.parametrize("kind", [socket.socket, Unprivileged])
@pytest.mark.parametrize("family", ADDRESSES)
def test_a_bound_socket_goes_out_through_its_adapter(family, kind):
    """Also where the route leads elsewhere; the address it gets is that of the adapter."""
    with adapters() as (adapter, other), kind(family, socket.SOCK_DGRAM) as skt:
        there = {socket.AF_INET: "10.9.7.9", socket.AF_INET6: "fd09:7::9"}[family]
        mine = {socket.AF_INET: "10.9.7.1/24", socket.AF_INET6: "fd09:7::1/64"}[family]
        run("ip", "addr", "add", mine, "dev", other.name, *(["nodad"] if ":" in mine else []))
        run("ip", "route", "add", "default", "dev", adapter.name)
        run("ip", "-6", "route", "add", "default", "dev", adapter.name)
        bind_to_adapter(skt, adapter)
        skt.connect((there, 9))
        assert skt.getsockname()[0] == ADDRESSES[family]


@NEEDS_LINUX
def test_without_the_right_only_the_way_out_is_settled(monkeypatch):
    """And that can be found out."""
    with adapters() as (adapter, _):
        monkeypatch.setattr(socket, "socket", Unprivileged)
        assert not confines(adapter)


def test_a_system_without_such_an_option_settles_the_way_out(monkeypatch):
    """As macOS and Windows do."""
    monkeypatch.delattr(socket, "SO_BINDTODEVICE", raising=False)
    assert not confines(NetworkAdapter.from_name(socket.if_nameindex()[0][1]))


@NEEDS_LINUX
def test_an_adapter_that_is_gone_is_named():
    """With those there are; a new one of the same name is another one."""
    with adapters() as (adapter, _):
        for command in (("del", "v0"), ("add", "v0", "index", "4711", "type", "veth")):
            run("ip", "link", *command)
            with toward(socket.AF_INET) as skt:
                with pytest.raises(AddressNotAvailableError, match="adapter v0: it is gone; this") as caught:
                    bind_to_adapter(skt, adapter)
                assert caught.value.status is SocketErrorStatus.CANNOT_ASSIGN_REQUESTED_ADDRESS
            with pytest.raises(AddressNotAvailableError, match="this machine has lo"):
                confines(adapter)


@NEEDS_LINUX
def test_an_adapter_that_is_gone_is_named_also_where_nobody_lists_interfaces(monkeypatch):
    """A sandbox may forbid rtnetlink, with which the C library does it."""
    with adapters() as (adapter, _):
        run("ip", "link", "del", "v0")
        monkeypatch.setattr(socket, "if_nameindex", forbidden)
        with toward(socket.AF_INET) as skt, pytest.raises(AddressNotAvailableError, match="v0: it is gone"):
            bind_to_adapter(skt, adapter)


def test_a_system_that_has_nothing_of_it_says_so(monkeypatch):
    """E_NOTIMPL, with advice."""
    monkeypatch.delattr(socket, "SO_BINDTODEVICE", raising=False)
    monkeypatch.setattr("winsockets.transports._adapter_binding._ROUTING", {})
    adapter = NetworkAdapter.from_name(socket.if_nameindex()[0][1])
    with socket.socket() as skt, pytest.raises(SocketException, match="bind to an address of") as caught:
        bind_to_adapter(skt, adapter)
    assert caught.value.hresult == E_NOTIMPL
    assert caught.value.errno == errno.ENOPROTOOPT


def test_what_else_the_system_says_is_told(monkeypatch):
    """In the words of the family."""

    def deny(*arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("winsockets.transports._adapter_binding._route", deny)
    monkeypatch.delattr(socket, "SO_BINDTODEVICE", raising=False)
    name = socket.if_nameindex()[0][1]
    with socket.socket() as skt, pytest.raises(AccessDeniedError, match=f"use the network adapter {name}"):
        bind_to_adapter(skt, NetworkAdapter.from_name(name))


@pytest.mark.parametrize(
    ("platform", "family", "expected"),
    [
        ("linux", socket.AF_INET, (socket.IPPROTO_IP, 50, struct.pack("!I", 7))),
        ("linux", socket.AF_INET6, (socket.IPPROTO_IPV6, 76, struct.pack("!I", 7))),
        ("darwin", socket.AF_INET, (socket.IPPROTO_IP, 25, struct.pack("=I", 7))),
        ("darwin", socket.AF_INET6, (socket.IPPROTO_IPV6, 125, struct.pack("=I", 7))),
        ("win32", socket.AF_INET, (socket.IPPROTO_IP, 31, struct.pack("!I", 7))),
        ("win32", socket.AF_INET6, (socket.IPPROTO_IPV6, 31, struct.pack("=I", 7))),
    ],
)
def test_every_system_has_an_option_of_its_own(platform, family, expected):
    """With the index in the byte order that it wants."""
    assert routing_option(family, 7, platform) == expected
    with pytest.raises(OSError, match=f"{sys.platform}-to-come") as caught:
        routing_option(family, 7, f"{sys.platform}-to-come")
    assert caught.value.errno == errno.ENOPROTOOPT
