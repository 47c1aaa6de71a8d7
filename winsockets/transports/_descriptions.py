"""Endpoints in words: "winsockets:host=example.org:port=80"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking import NetworkAdapter
from winsockets.transports._endpoints import StreamClientEndpoint, StreamServerEndpoint
from winsockets.transports._listening import LARGEST_BACKLOG
from winsockets.transports._socket_options import StreamOptions

__all__ = ["EndpointDescriptions"]

_T = TypeVar("_T", int, float)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor, IStreamServerEndpointStringParser)
class EndpointDescriptions:
    """Makes the endpoints that ``clientFromString`` and ``serverFromString`` are asked for.

    Source: IStreamClientEndpointStringParserWithReactor, IStreamServerEndpointStringParser.
    """

    prefix = "winsockets"

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> StreamClientEndpoint:
        """Make a client endpoint.

        Args:
            reactor: the endpoint's.
            args: host and port, where they have no keyword.
            kwargs: ``host``, ``port`` (or a service); ``timeout`` (seconds for connecting), ``bind_address``,
                ``adapter``.

        Raises:
            AddressNotAvailableError: there is no such adapter.
            InvalidArgumentError: something is missing, not known, given twice or not acceptable.
            UnknownServiceError: the services file does not know the port's name, and the host is an address
                or ``localhost``.
        """
        given = _named("client", ("host", "port"), ("timeout", "bind_address", "adapter"), args, kwargs)
        limits = DEFAULT_LIMITS
        if "timeout" in given:
            limits = replace(limits, connect_timeout=_number(given, "timeout", float, "number of seconds"))
        return StreamClientEndpoint(
            reactor,
            given["host"],
            given["port"],
            bind_address=given.get("bind_address"),
            options=_options(given),
            limits=limits,
        )

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> StreamServerEndpoint:
        """Make a server endpoint.

        Args:
            reactor: the endpoint's.
            args: the port, where it has no keyword.
            kwargs: ``port``; ``interface`` (nothing is all), ``backlog``, ``adapter``.

        Raises:
            AddressNotAvailableError: there is no such adapter.
            InvalidArgumentError: something is missing, not known, given twice or not acceptable.
            UnknownServiceError: the services file does not know the port's name.
        """
        given = _named("server", ("port",), ("interface", "backlog", "adapter"), args, kwargs)
        backlog = LARGEST_BACKLOG
        if "backlog" in given:
            backlog = _number(given, "backlog", int, "whole number")
        return StreamServerEndpoint(
            reactor,
            given["port"],
            interface=given.get("interface") or None,
            backlog=backlog,
            options=_options(given),
        )


def _named(
    kind: str,
    needed: Sequence[str],
    optional: Sequence[str],
    values: Sequence[str],
    keywords: Mapping[str, str],
) -> dict[str, str]:
    """Give every value its name."""
    example = "winsockets:" + ":".join(f"{name}=..." for name in needed)
    here = f"winsockets {kind} endpoint"
    if len(values) > len(needed):
        raise InvalidArgumentError(
            f"{here}: {values[len(needed)]!r} has no keyword; write {example}, and a colon in a value as \\:"
        )
    given = dict(zip(needed, values, strict=False))
    for name, value in keywords.items():
        if name not in (*needed, *optional):
            raise InvalidArgumentError(
                f"{here}: {name}={value} is not known; there are {', '.join((*needed, *optional))}"
            )
        if name in given:
            raise InvalidArgumentError(f"{here}: {name} is given twice, as {given[name]!r} and {value!r}")
        given[name] = value
    # An empty port would be any port, which is hardly what a variable without a value stands for.
    missing = [name for name in needed if not given.get(name)]
    if missing:
        raise InvalidArgumentError(f"{here}: {' and '.join(missing)} missing; write {example}")
    return given


def _options(given: Mapping[str, str]) -> StreamOptions:
    return StreamOptions(adapter=NetworkAdapter.from_name(given["adapter"]) if "adapter" in given else None)


def _number(given: Mapping[str, str], name: str, convert: Callable[[str], _T], kind: str) -> _T:
    try:
        return convert(given[name])
    except ValueError as problem:
        raise InvalidArgumentError(f"{name}: {given[name]!r} is not a {kind}") from problem
