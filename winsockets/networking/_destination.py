"""Where a program wants to go, in its own words; only the services file is looked into."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from winsockets.errors import UnknownServiceError
from winsockets.networking._dns_message import Name, name_of
from winsockets.networking._hostname import HostName
from winsockets.networking._kinds import HostNameType
from winsockets.networking._quoting import quoted
from winsockets.networking._services import Transport, remote_port

__all__ = ["Destination", "destination", "is_local"]

# What has a place in the name of an SRV record.
_SERVICE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def is_local(host: HostName) -> bool:
    """Whether a name is this machine's own, which no name server is asked about.

    Source: RFC 6761 section 6.3.
    """
    return host.canonical_name.rpartition(".")[2] == "localhost"


@dataclass(frozen=True, slots=True)
class Destination:
    """A host and a service on it.

    Attributes:
        host: the host.
        service: the service as it was named.
        transport: how to get there.
        port: 1 to 65535; 0 where SRV records have to tell it.
        record: the name of those records then.
    """

    host: HostName
    service: str
    transport: Transport
    port: int
    record: Name = ()

    def __str__(self) -> str:
        """Say where to, in words."""
        return f"{self.host} port {self.port}" if self.port else f"{self.host} service {self.service}"


def destination(
    host: HostName,
    service_name: str,
    transport: Transport,
    *,
    getservbyname: Callable[[str, str], int] = socket.getservbyname,
) -> Destination:
    """Find out what a program means by a host and a service.

    Args:
        host: the host.
        service_name: a port, a name in the services file, or else the name of a service that SRV records of
            the host tell about, without its underscore and protocol: "xmpp-client",
            "xmpp-client._service01".
        transport: how to get there.
        getservbyname: reads the services file (a short blocking read).

    Raises:
        InvalidArgumentError: the name is empty, "0", out of range, or cannot be a service name.
        UnknownServiceError: the services file does not know the name, and no SRV record can: the host is an
            address or ``localhost``, or the name is none that DNS has.

    Source: WinRT StreamSocket.ConnectAsync, DatagramSocket.ConnectAsync; RFC 2782.
    """
    try:
        return Destination(
            host, service_name, transport, remote_port(service_name, transport, getservbyname=getservbyname)
        )
    except UnknownServiceError as problem:
        if host.type is not HostNameType.DOMAIN_NAME or is_local(host):
            raise
        if _SERVICE.fullmatch(service_name):
            with suppress(ValueError):
                record = name_of(f"_{service_name}._{transport}.{host.canonical_name}")
                return Destination(host, service_name, transport, 0, record)
        raise UnknownServiceError(
            f"the {transport} service {quoted(service_name)} is not in the services file, and no SRV record "
            f"of {host} can have its name; check its spelling or give the port number"
        ) from problem
