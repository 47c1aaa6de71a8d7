"""ProxyConfiguration: the proxies that the system or the environment names for a URI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from winsockets.errors import InvalidArgumentError
from winsockets.networking._quoting import quoted

__all__ = ["ProxyConfiguration", "check_uri", "find_proxies"]

# RFC 6455 section 4.1: a WebSocket goes the way that HTTP goes.
_SAME_WAY = {"ws": "http", "wss": "https"}


@final
class ProxyConfiguration:
    """How a URI is to be reached.

    Source: WinRT ProxyConfiguration.
    """

    __slots__ = ("_proxy_uris",)

    def __init__(self, proxy_uris: tuple[str, ...]) -> None:
        self._proxy_uris = proxy_uris

    @property
    def proxy_uris(self) -> tuple[str, ...]:
        """The proxies to ask, at most one as Python knows them; none when there is no need of one."""
        return self._proxy_uris

    @property
    def can_connect_directly(self) -> bool:
        """Whether no proxy is named for the URI."""
        return not self._proxy_uris

    def __repr__(self) -> str:
        """Show the number of proxies; their URIs may hold passwords."""
        return f"<ProxyConfiguration with {len(self._proxy_uris)} proxies>"


def check_uri(uri: str) -> str:
    """Check the URI that a proxy is wanted for.

    Raises:
        InvalidArgumentError: it has no scheme or no host, or its port is none.
        TypeError: it is not a ``str``.
    """
    if not isinstance(uri, str):
        raise TypeError(f"uri is a str, not {type(uri).__name__}")
    try:
        parts = urlsplit(uri)
        complete = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise InvalidArgumentError(
            f"{quoted(uri)} is not an absolute URI; give one such as 'https://example.com/'"
        )
    return uri


def find_proxies(
    uri: str,
    *,
    proxies: Callable[[], Mapping[str, str]] = getproxies,
    bypass: Callable[[str], object] = proxy_bypass,
) -> ProxyConfiguration:
    """Find the proxies for a URI that was checked. May block where the system looks host names up.

    Args:
        uri: where to.
        proxies: tells the proxy of each scheme.
        bypass: tells whether a host, with its port if it was given, needs none.
    """
    parts = urlsplit(uri)
    known = proxies()
    ways = (parts.scheme, _SAME_WAY.get(parts.scheme, parts.scheme), "all")
    proxy = next((known[way] for way in ways if known.get(way)), "")
    host = parts.netloc.rpartition("@")[2]
    if not proxy or bypass(host):
        return ProxyConfiguration(())
    return ProxyConfiguration((proxy if "://" in proxy else f"http://{proxy}",))
