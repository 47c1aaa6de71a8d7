"""The URL of an echo server. Pure: nothing is looked up."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

__all__ = ["DEFAULT_SERVICE", "EchoUrl", "parse_url"]

DEFAULT_SERVICE = "1337"
"""The port of a URL without one: where the echo servers of this project listen."""

_FOREIGN = re.compile(r"[\s\x00-\x1f\x7f/?#@]")


class EchoUrl(NamedTuple):
    """Where an echo server is.

    Attributes:
        transport: how to get there; tls is TLS over TCP.
        host: a name or an address; an IPv6 address keeps its brackets.
        service: a port, a name from the services file, or one that SRV records of the host tell about.
    """

    transport: Literal["tcp", "tls", "udp"]
    host: str
    service: str

    def __str__(self) -> str:
        return f"{self.transport}://{self.host}:{self.service}"


def parse_url(text: str) -> EchoUrl:
    """Take a URL apart.

    Whether the host is a possible name and the service a known one is for the socket to say.

    Args:
        text: ``tcp://host``, ``udp://host:service``, ``tls://[::1]:service``; a slash may follow.

    Returns:
        The parts; `DEFAULT_SERVICE` where the URL has none.

    Raises:
        ValueError: it is something else; the message says what to write.

    Source: RFC 3986 section 3, without user, path, query and fragment.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(
            f"{text!r} does not begin with tcp://, tls:// or udp://; an example is tcp://localhost:1337"
        )
    transport = scheme.lower()
    if transport not in ("tcp", "tls", "udp"):
        raise ValueError(f"{scheme!r} is not a way to echo; write tcp://, tls:// or udp://")
    rest = rest.removesuffix("/")
    foreign = _FOREIGN.search(rest)
    if foreign is not None:
        raise ValueError(f"{foreign.group()!r} has no place in {text!r}; a host and a port are all there is")
    host, colon, service = _split(text, rest)
    if not host:
        raise ValueError(f"{text!r} has no host; an example is {transport}://localhost:1337")
    if colon and not service:
        raise ValueError(f"{text!r} has no port after the colon; without the colon it is {DEFAULT_SERVICE}")
    return EchoUrl(cast(Literal["tcp", "tls", "udp"], transport), host, service or DEFAULT_SERVICE)


def _split(text: str, rest: str) -> tuple[str, str, str]:
    if not rest.startswith("["):
        if rest.count(":") > 1:
            raise ValueError(f"{text!r} has too many colons; an IPv6 address stands in brackets, as in [::1]")
        return rest.partition(":")
    address, bracket, after = rest.partition("]")
    if not bracket:
        raise ValueError(f"{text!r} has an opening bracket and no closing one")
    if after and not after.startswith(":"):
        raise ValueError(f"{text!r} has {after!r} after the bracket; a colon and the port may follow it")
    return address + bracket, after[:1], after[1:]
