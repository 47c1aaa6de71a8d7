"""``twistd winsockets-echo``: what the plugin names, a command line and a service made from it."""

from __future__ import annotations

from typing import Any

from winsockets.errors import SocketException
from winsockets.services._options import Options
from winsockets.services._reply_policy import ReplyPolicy
from winsockets.services._service import EchoService
from winsockets.services._stop_signals import StopSignals
from winsockets.services._tcp_echo import EchoStreamService
from winsockets.services._udp_echo import EchoDatagramService, is_broadcast

__all__ = ["Options", "makeService"]


def makeService(options: Options, *, reactor: Any = None) -> EchoService:
    """Make the servers that the command line asks for, and bind them.

    They are bound here because this is the last moment at which twistd has a terminal, an exit status and
    all its rights: it has not gone to the background, written a pid file or begun to log. What is bound
    here stays bound in the background.

    Args:
        options: a parsed command line.
        reactor: for the servers; the installed one when left out.

    Returns:
        The service, bound and not started.

    Raises:
        SystemExit: an address is taken, is not of this machine, or needs rights; printing it is the one
            line.
    """
    stream = datagram = None
    if options["tcp"]:
        stream = EchoStreamService(
            options["tcp"],
            addresses=options["interface"],
            max_connections=options["max-connections"],
            idle_timeout=options["idle-timeout"],
            drain_timeout=options["drain-timeout"],
            reactor=reactor,
        )
    if options["udp"]:
        policy = ReplyPolicy(
            rate=options["udp-rate"],
            loopback_burst=options["udp-loopback-burst"],
            any_source_port=bool(options["udp-any-source-port"]),
            is_broadcast=is_broadcast,
        )
        datagram = EchoDatagramService(
            options["udp"], addresses=options["interface"], policy=policy, reactor=reactor
        )
    service = EchoService(stream, datagram, reactor=reactor)
    try:
        service.bind()
    except SocketException as problem:
        raise SystemExit(f"winsockets-echo: cannot start: {problem}") from problem
    StopSignals(service.cut_off, reactor=reactor).setServiceParent(service)
    return service
