"""Which name servers to ask: those that the program gives, or those of the system."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from winsockets.errors import InvalidArgumentError, SocketException
from winsockets.networking._address import Address, literal_address
from winsockets.networking._hostname import HostName, as_host_name
from winsockets.networking._kinds import HostNameType
from winsockets.networking._services import as_service_name, remote_port

__all__ = ["NameServer", "NameServers", "as_name_servers", "server_addresses", "system_name_servers"]

NameServer = tuple[str, int]
"""The address of a name server, as text, and its port."""

NameServers = Sequence[HostName | str | tuple[HostName | str, int | str]]
"""Name servers as a program may give them."""

_DNS_PORT = 53
_MOST = 3
"""Servers of the system that count: as many as its own resolver knows (resolv.conf(5), MAXNS)."""

_RESOLV_CONF = Path("/etc/resolv.conf")
_MOST_TEXT = 64 * 1024
_LOCAL = (Address.ipv4("127.0.0.1", _DNS_PORT),)

_WITH_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([^:]*)")
_INTERFACES = r"SYSTEM\CurrentControlSet\Services\Tcpip{}\Parameters\Interfaces"


def as_name_servers(servers: NameServers, parameter: str = "name_servers") -> tuple[NameServer, ...]:
    """Accept the name servers that a program gives.

    Args:
        servers: each an address ("192.0.2.53", "2001:db8::53"), one with a port ("192.0.2.53:5353",
            "[2001:db8::53]:5353"), a HostName of an address, or a pair of address and port. The port is
            53 where none is given.
        parameter: what the caller calls them, for the message.

    Returns:
        Pairs of address and port, in the same order.

    Raises:
        InvalidArgumentError: something is not the address of a server; a name would have to be looked up
            itself.
        TypeError: it is something else altogether.
    """
    given: object = servers
    if isinstance(given, str | bytes | HostName) or not isinstance(given, Iterable):
        raise TypeError(f"{parameter} is a list of name servers, not {servers!r}")
    return tuple(_name_server(server, parameter) for server in servers)


def _name_server(server: Any, parameter: str) -> NameServer:
    port: int | str = _DNS_PORT
    if isinstance(server, tuple):
        if len(server) != 2:
            raise TypeError(f"{parameter}: {server!r} is not a pair of address and port")
        server, port = server
    elif isinstance(server, str) and (parts := _WITH_PORT.fullmatch(server)) is not None:
        server, port = parts.groups()
    host = as_host_name(server, parameter)
    if host.type not in (HostNameType.IPV4, HostNameType.IPV6):
        raise InvalidArgumentError(f"{parameter}: {host} is not an IP address; give those of the servers")
    return host.canonical_name, remote_port(as_service_name(port, parameter), "udp")


def server_addresses(servers: Iterable[NameServer]) -> list[Address]:
    """Turn pairs of address and port into what sockets take.

    Raises:
        NameResolutionError: HOST_NOT_FOUND, the zone of an address is no interface of this machine.
    """
    return [literal_address(HostName(host), port) for host, port in servers]


def system_name_servers(
    resolv_conf: Path = _RESOLV_CONF, *, platform: str = sys.platform, registry: Any = None
) -> list[Address]:
    """Find the name servers of the system.

    They are read each time (a short blocking read), so that a change counts at once.

    Args:
        resolv_conf: where they stand, except on Windows.
        platform: which system this is.
        registry: the winreg module, where they stand on Windows.

    Returns:
        At most three. Where the file is missing or names none it is the one on this machine, as for the
        system's own resolver; on Windows none.

    Source: resolv.conf(5).
    """
    if platform == "win32":
        return _usable(_of_registry(registry))[:_MOST]
    try:
        with resolv_conf.open("rb") as file:
            text = file.read(_MOST_TEXT).decode("ascii", "replace")
    except OSError:
        text = ""
    return _usable(_of_resolv_conf(text))[:_MOST] or list(_LOCAL)


def _of_resolv_conf(text: str) -> Iterator[str]:
    for line in text.splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values:
            yield values[0]


def _of_registry(registry: Any) -> Iterator[str]:
    r"""Read what was set by hand, or else what came with DHCP, for each adapter.

    Source: Windows registry, Tcpip\Parameters\Interfaces: NameServer, DhcpNameServer.
    """
    if registry is None:
        import winreg as registry

    for version in ("", "6"):
        with (
            suppress(OSError),
            registry.OpenKey(registry.HKEY_LOCAL_MACHINE, _INTERFACES.format(version)) as adapters,
        ):
            for number in range(registry.QueryInfoKey(adapters)[0]):
                with registry.OpenKey(adapters, registry.EnumKey(adapters, number)) as adapter:
                    yield from _values(registry, adapter)


def _values(registry: Any, adapter: Any) -> list[str]:
    for name in ("NameServer", "DhcpNameServer"):
        with suppress(OSError):
            values = re.split(r"[,\s]+", str(registry.QueryValueEx(adapter, name)[0]).strip())
            if any(values):
                return values
    return []


def _usable(texts: Iterable[str]) -> list[Address]:
    """Leave out what is no address, and what is there twice."""
    found: dict[Address, None] = {}
    for text in texts:
        with suppress(SocketException):
            host = HostName(text)
            if host.type in (HostNameType.IPV4, HostNameType.IPV6):
                found[literal_address(host, _DNS_PORT)] = None
    return list(found)
