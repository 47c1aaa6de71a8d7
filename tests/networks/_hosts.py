"""Hosts of a test's own on one machine: network namespaces without names, joined by cables and switches."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

from tests.networks._capture import Capture

__all__ = ["Host", "Network", "Port", "lan", "network", "routed_hosts", "two_hosts", "unavailable"]

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_TENTATIVE = 0x40
_FIRST_INDEX = 100


def unavailable(reason: str) -> NoReturn:
    """Skip a test that needs more than this kernel has or lets the process do, which nobody can install.

    The summary of a run tells the reason.
    """
    pytest.skip(reason)


def _check_system() -> ctypes.CDLL:
    if sys.platform != "linux":
        pytest.skip("needs the network namespaces of Linux")
    return ctypes.CDLL(None, use_errno=True)


def _open_own() -> int:
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.setns(descriptor, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def _new_namespace() -> int:
    libc = _check_system()
    outside = _open_own()
    try:
        if libc.unshare(_CLONE_NEWNET):
            unavailable(f"may not make a network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            return _open_own()
        finally:
            _enter(outside)
    finally:
        os.close(outside)


@dataclass(frozen=True)
class Port:
    """One network interface of a host, and its addresses.

    Attributes:
        host: whose it is.
        name: of the interface; the same at all ends of one network.
        index: its number, which no other interface of the test has.
        ipv4: 10.0.NETWORK.HOST, of a network of 24 bits.
        ipv6: fd00:0:0:NETWORK::HOST, of a network of 64 bits.
    """

    host: Host
    name: str
    index: int
    ipv4: str
    ipv6: str

    def address(self, family: int) -> str:
        """The address of a family."""
        return self.ipv6 if family == socket.AF_INET6 else self.ipv4

    @property
    def link_local(self) -> str:
        """The address that needs the interface's name, without it."""
        with self.host:
            for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
                digits, _, _, scope, _, name = line.split()
                if scope == "20" and name == self.name:
                    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
        raise AssertionError(f"{self.name} has no link-local address")

    @property
    def subnet_broadcast(self) -> str:
        """The address of all hosts of its network."""
        return self.ipv4.rpartition(".")[0] + ".255"

    def down(self) -> None:
        """Take it down."""
        self.host.ip(f"link set {self.name} down")

    def up(self) -> None:
        """Bring it up again, and wait until it can be used."""
        self.host.ip(f"link set {self.name} up")
        self.host.settle()

    def unplug(self) -> None:
        """Have the interface disappear, and the other end of its cable with it."""
        self.host.ip(f"link del {self.name}")


@dataclass(eq=False)
class Host:
    """A network namespace. ``with host:`` is to be inside; what is made there stays there.

    A socket belongs to the host it was made in, so one reactor serves several hosts: begin an operation
    inside, and await it outside. Blocks nest. Do not resolve names inside: the thread that does stays there.

    Attributes:
        name: for messages.
        number: the last part of its addresses.
        descriptor: keeps the namespace.
        ports: its interfaces, the first one first.
    """

    name: str
    number: int
    descriptor: int
    ports: list[Port] = field(default_factory=list)
    _outside: list[int] = field(default_factory=list)
    _programs: list[subprocess.Popen[Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._outside.append(_open_own())
        _enter(self.descriptor)
        return self

    def __exit__(self, *raised: object) -> None:
        outside = self._outside.pop()
        _enter(outside)
        os.close(outside)

    @property
    def ipv4(self) -> str:
        """The address of its first interface."""
        return self.ports[0].ipv4

    @property
    def ipv6(self) -> str:
        """The address of its first interface."""
        return self.ports[0].ipv6

    def address(self, family: int) -> str:
        """The address of its first interface of a family."""
        return self.ports[0].address(family)

    def ip(self, *commands: str) -> None:
        """Run commands of iproute2, each without its ``ip``."""
        text = "".join(command + "\n" for command in commands)
        with self:
            try:
                done = subprocess.run(
                    ["ip", "-batch", "-"], input=text, capture_output=True, text=True, check=False
                )
            except FileNotFoundError:
                end: Any = pytest.fail if os.environ.get("CI") else pytest.skip
                end("this test needs the programs of iproute2, which are not installed")
        if "Unknown device type" in done.stderr:
            unavailable(f"this kernel has no such interfaces: {text.strip()}")
        if "Operation not permitted" in done.stderr:
            unavailable(f"may not do in a network: {text.strip()}")
        if done.returncode:
            raise RuntimeError(f"{self.name}: {text}{done.stderr}")

    def set(self, name: str, value: object) -> None:
        """Set one of the kernel's settings, ``ipv4/ip_forward`` for instance."""
        with self:
            try:
                Path("/proc/sys/net", name).write_text(str(value), encoding="ascii")
            except OSError as problem:
                if problem.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                unavailable(f"may not set {name}: {problem}")

    def get(self, name: str) -> str:
        """Read a file of ``/proc/net``."""
        with self:
            return Path("/proc/thread-self/net", name).read_text("ascii")

    def socket(
        self,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_DGRAM,
        bound_to: tuple[Any, ...] | None = None,
    ) -> socket.socket:
        """Make a socket of the standard library; of IPv6 it carries IPv6 only. It does not block."""
        with self:
            skt = socket.socket(family, kind)
        if family == socket.AF_INET6:
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        skt.setblocking(False)
        if bound_to is not None:
            try:
                skt.bind(bound_to)
            except BaseException:
                skt.close()
                raise
        return skt

    def start(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program, which is killed with the network; ``options`` are those of Popen."""
        with self:
            program = subprocess.Popen(command, **options)
        self._programs.append(program)
        return program

    def python(self, program: str, *arguments: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program in Python, given as text, on this interpreter."""
        return self.start(sys.executable, "-c", program, *arguments, **options)

    def capture(self, port: Port | str | None = None) -> Capture:
        """Note the packets of one of its interfaces, the first one when left out; ``""`` is all of them."""
        name = self.ports[0].name if port is None else port if isinstance(port, str) else port.name
        with self:
            return Capture(name)

    def settle(self) -> None:
        """Wait until the system takes in what is sent to its addresses."""
        while not self._settled():
            time.sleep(0.001)

    def _settled(self) -> bool:
        addresses = [line.split() for line in self.get("if_inet6").splitlines()]
        with_link_local = {name for _, _, _, scope, _, name in addresses if scope == "20"}
        with_others = {name for _, _, _, scope, _, name in addresses if scope == "00"}
        routes = {
            fields[0]
            for fields in map(str.split, self.get("ipv6_route").splitlines())
            if fields[1] == "80" and int(fields[8], 16) & 0x80000000
        }
        return with_others <= with_link_local and all(
            digits in routes and not int(flags, 16) & _TENTATIVE for digits, _, _, _, flags, _ in addresses
        )

    def find_absent_neighbours_quickly(self, port: Port | None = None) -> None:
        """Have the system find out within a few hundredths of a second that nobody has an address."""
        name = (port or self.ports[0]).name
        for family in ("ipv4", "ipv6"):
            self.set(f"{family}/neigh/{name}/mcast_solicit", 1)
            self.set(f"{family}/neigh/{name}/retrans_time_ms", 10)

    def _end(self) -> None:
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.wait()
            for pipe in (program.stdin, program.stdout, program.stderr):
                if pipe is not None:
                    pipe.close()
        os.close(self.descriptor)


class Network:
    """Hosts and what joins them; see ``network``."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self._switches = 0
        self._networks = 0
        self._last_index = _FIRST_INDEX

    def host(self, name: str = "") -> Host:
        """Make a host that has loopback only."""
        number = len(self.hosts) + 1
        host = Host(name or f"host {number}", number, _new_namespace())
        self.hosts.append(host)
        for scope in ("default", "all"):
            # Nobody else is there who could have the address.
            host.set(f"ipv6/conf/{scope}/accept_dad", 0)
        # An error for every packet that is worth one, however many there are
        host.set("ipv4/icmp_ratemask", 0)
        host.set("ipv6/icmp/ratemask", 127)
        host.ip("link set lo up")
        return host

    def join(self, *hosts: Host, mtu: int = 1500) -> list[Port]:
        """Join two hosts by a cable, or more by a switch, to a network of its own; each gets an interface."""
        self._networks += 1
        if len(hosts) == 2:
            self._cable(hosts[0], f"net{self._networks}", hosts[1], f"net{self._networks}", mtu)
        else:
            self._switch(hosts, mtu)
        ports = [self.port(host, self._networks) for host in hosts]
        for host in hosts:
            host.settle()
        return ports

    def port(self, host: Host, number: int) -> Port:
        """Give the interface ``netNUMBER`` of a host its addresses, and bring it up."""
        name = f"net{number}"
        with host:
            index = socket.if_nametoindex(name)
        port = Port(host, name, index, f"10.0.{number}.{host.number}", f"fd00:0:0:{number}::{host.number}")
        host.ports.append(port)
        host.ip(
            f"addr add {port.ipv4}/24 brd + dev {name}",
            f"addr add {port.ipv6}/64 dev {name} nodad",
            f"link set {name} up",
        )
        return port

    def next_network(self) -> int:
        """Take the number of a network."""
        self._networks += 1
        return self._networks

    def _cable(self, one: Host, name: str, other: Host, other_name: str, mtu: int) -> None:
        index = self._last_index + 1
        self._last_index += 2
        # By different numbers the kernel sees that these are two, and says at once that they are up.
        one.ip(
            f"link add {name} index {index} mtu {mtu} type veth peer name {other_name} index {index + 1} "
            f"mtu {mtu} netns /proc/{os.getpid()}/fd/{other.descriptor}"
        )

    def _switch(self, hosts: tuple[Host, ...], mtu: int) -> None:
        switch = Host("a switch", 0, _new_namespace())
        self.hosts.insert(0, switch)
        self._switches += 1
        # Without addresses, and giving multicasts to everybody
        switch.set("ipv6/conf/default/disable_ipv6", 1)
        switch.ip("link add switch type bridge mcast_snooping 0 forward_delay 0", "link set switch up")
        for number, host in enumerate(hosts):
            self._cable(host, f"net{self._networks}", switch, f"socket{number}", mtu)
            switch.ip(f"link set socket{number} master switch up")

    def _end(self) -> None:
        of_hosts = {os.readlink(f"/proc/self/fd/{host.descriptor}") for host in self.hosts}
        for host in self.hosts:
            host._end()
        assert not of_hosts & set(_namespaces_of_threads()), (
            "a thread was started inside a host, and is there still"
        )


def _namespaces_of_threads() -> Iterator[str]:
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it may have ended
            yield os.readlink(f"/proc/self/task/{thread}/ns/net")


@contextmanager
def network() -> Iterator[Network]:
    """A network that a test builds, of which nothing is left afterwards.

    Skips the test where that is not possible, which it is for root on Linux.
    """
    built = Network()
    try:
        yield built
    finally:
        built._end()


@contextmanager
def two_hosts(*, mtu: int = 1500) -> Iterator[tuple[Host, Host]]:
    """Two hosts at one cable, which is their way to everywhere."""
    with lan(2, mtu=mtu) as (one, other):
        yield one, other


@contextmanager
def lan(count: int, *, mtu: int = 1500) -> Iterator[list[Host]]:
    """Hosts at one switch, which is their way to everywhere."""
    with network() as built:
        hosts = [built.host() for _ in range(count)]
        for port in built.join(*hosts, mtu=mtu):
            port.host.ip(f"route add default dev {port.name}", f"route add ::/0 dev {port.name}")
        yield hosts


@contextmanager
def routed_hosts(*, mtu: int = 1500) -> Iterator[tuple[Host, Host, Host]]:
    """Two hosts, and a router between them.

    Args:
        mtu: of the network between the router and the second host.

    Yields:
        The first host, the router, the second host.
    """
    with network() as built:
        one, router, other = built.host(), built.host("a router"), built.host()
        router.set("ipv4/ip_forward", 1)
        router.set("ipv6/conf/all/forwarding", 1)
        near = built.join(one, router)[1]
        far = built.join(router, other, mtu=mtu)[0]
        for host, port in ((one, near), (other, far)):
            host.ip(f"route add default via {port.ipv4}", f"route add ::/0 via {port.ipv6}")
        yield one, router, other
