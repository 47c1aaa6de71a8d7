"""Service names: a decimal port, or an alias in the services file."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Literal

from winsockets.errors import InvalidArgumentError, UnknownServiceError
from winsockets.networking._quoting import quoted

__all__ = ["Transport", "as_service_name", "local_port", "remote_port"]

Transport = Literal["tcp", "udp"]

_HIGHEST_PORT = 65535
# One meaning for each spelling: no sign, no blank, no leading zero, no digit of another script.
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
# What a services file can hold, and nothing that looks like a number gone wrong.
_ALIAS = re.compile(r"(?=.*[A-Za-z])[!-~]{1,255}")


def as_service_name(value: str | int, parameter: str = "service_name") -> str:
    """Accept an ``int`` wherever a service name is taken.

    Args:
        value: a service name, returned as it is (`local_port` and `remote_port` judge it), or a port
            number from 0 to 65535.
        parameter: what the caller calls the value, for the message.

    Returns:
        The service name.

    Raises:
        InvalidArgumentError: the number is not a port.
        TypeError: the value is neither ``str`` nor ``int`` (None included).
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{parameter} is a str or a port number, not {type(value).__name__}")
    if not 0 <= value <= _HIGHEST_PORT:
        raise InvalidArgumentError(f"{parameter}: {value} is not a port; ports go from 0 to {_HIGHEST_PORT}")
    return str(value)


def remote_port(
    service_name: str,
    transport: Transport,
    *,
    getservbyname: Callable[[str, str], int] = socket.getservbyname,
) -> int:
    """Find the port to connect or send to.

    Args:
        service_name: "80", "http".
        transport: which column of the services file counts.
        getservbyname: reads the services file (a short blocking read).

    Returns:
        The port, from 1 to 65535.

    Raises:
        InvalidArgumentError: the name is empty, "0", out of range, or cannot be a service name.
        UnknownServiceError: the services file does not know the name (CLASS_TYPE_NOT_FOUND).

    Source: WinRT StreamSocket.ConnectAsync; the service names of getaddrinfo(3).
    """
    if not service_name:
        raise InvalidArgumentError(
            "the remote service name is empty; give a port such as '80' or a name such as 'http'"
        )
    port = _port(service_name, transport, getservbyname)
    if port == 0:
        raise InvalidArgumentError("port 0 is not a destination; it only asks for any free port when binding")
    return port


def local_port(
    service_name: str,
    transport: Transport,
    *,
    getservbyname: Callable[[str, str], int] = socket.getservbyname,
) -> int:
    """Find the port to bind to.

    Args:
        service_name: "1337", "echo"; "" and "0" leave the choice to the system.
        transport: which column of the services file counts.
        getservbyname: reads the services file (a short blocking read).

    Returns:
        The port; 0 means that the system picks a free one.

    Raises:
        InvalidArgumentError: the name is out of range or cannot be a service name.
        UnknownServiceError: the services file does not know the name (CLASS_TYPE_NOT_FOUND).

    Source: WinRT StreamSocketListener.BindServiceNameAsync, DatagramSocket.BindServiceNameAsync.
    """
    return _port(service_name, transport, getservbyname) if service_name else 0


def _port(service_name: str, transport: Transport, getservbyname: Callable[[str, str], int]) -> int:
    if _PORT.fullmatch(service_name):
        port = int(service_name)
        if port <= _HIGHEST_PORT:
            return port
    elif _ALIAS.fullmatch(service_name):
        try:
            return getservbyname(service_name, transport)
        except OSError as problem:
            raise UnknownServiceError(
                f"the {transport} service {quoted(service_name)} is not in the services file; "
                "check its spelling or give the port number"
            ) from problem
    raise InvalidArgumentError(
        f"{quoted(service_name)} is neither a port, a plain decimal number from 0 to {_HIGHEST_PORT}, "
        "nor a service name"
    )
