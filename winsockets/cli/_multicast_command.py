"""``winsockets multicast``: what can be asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from winsockets.cli._display import Display
from winsockets.cli._group import Group, parse_group, parse_source
from winsockets.cli._multicast import MulticastPlan, take_part
from winsockets.cli._options import seconds_above_0, whole_number
from winsockets.cli._running import run
from winsockets.errors import SocketException
from winsockets.networking import NetworkAdapter

__all__ = ["multicast"]

_MOST = 10**12
_MOST_HOPS = 255
_EPILOG = """
Exit status: 0 when as many datagrams came as --count says and everything was sent, 1 when not, 2 for a wrong
command line, 130 after Ctrl-C.

\b
Examples:
  winsockets multicast 239.1.2.3:5000
  winsockets multicast 239.1.2.3:5000 hello --send-only --ttl 4
  winsockets multicast [ff02::1234]:5000 --interface eth0
  winsockets multicast 232.1.2.3:5000 --source 192.0.2.7 --count 10 --timeout 60
  winsockets multicast 224.0.0.251:mdns --listen-only
"""


def _group(ctx: click.Context, param: click.Parameter, value: str) -> Group:
    try:
        return parse_group(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem


def _sources(group: Group, texts: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(parse_source(text, group) for text in texts))
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="'--source'") from problem


def _adapter(group: Group, name: str | None) -> NetworkAdapter | None:
    """Find the interface that an option or the zone of the group names."""
    if name is not None and group.zone:
        raise click.UsageError(f"{group.address}%{group.zone} names an interface; leave --interface out")
    hint = "'GROUP:PORT'" if group.zone else "'--interface'"
    name = group.zone or name
    if name is None:
        return None
    try:
        return NetworkAdapter.from_name(name)
    except SocketException as problem:
        raise click.BadParameter(str(problem), param_hint=hint) from problem


@click.command(epilog=_EPILOG)
@click.argument("group", metavar="GROUP:PORT", callback=_group)
@click.argument("text", nargs=-1)
@click.option(
    "--source",
    multiple=True,
    metavar="ADDRESS",
    help="Listen to what comes from this address only; give it once for each.  [default: everybody]",
)
@click.option(
    "--interface",
    metavar="NAME",
    help="Listen and send on this network interface.  [default: the system's choice]",
)
@click.option(
    "--ttl",
    callback=whole_number(_MOST_HOPS, 0),
    metavar="N",
    help="How many networks a datagram may cross; with 0 it stays on this machine.  [default: 1]",
)
@click.option("--no-loopback", is_flag=True, help="Do not let programs on this machine hear what is sent.")
@click.option("--count", callback=whole_number(_MOST), metavar="N", help="End after N datagrams.")
@click.option("--timeout", callback=seconds_above_0, metavar="SECONDS", help="End after so many seconds.")
@click.option("--listen-only", is_flag=True, help="Send nothing.")
@click.option("--send-only", is_flag=True, help="Do not listen, and end when everything is sent.")
def multicast(
    *,
    group: Group,
    text: tuple[str, ...],
    source: tuple[str, ...],
    interface: str | None,
    ttl: int | None,
    no_loopback: bool,
    count: int | None,
    timeout: float | None,
    listen_only: bool,
    send_only: bool,
) -> None:
    """Listen to a multicast group and send to it.

    GROUP:PORT is 239.1.2.3:5000 or [ff02::1234]:5000; PORT may be a name from the services file. Any number
    of programs can have the same group and port at a time.

    Each datagram that comes is a line on standard output: the sender, and what is in it as text. Everything
    else goes to standard error.

    Each TEXT is a datagram, sent with a newline at its end. Without TEXT, each line of standard input is
    one, whatever its bytes are. The end of the input ends the sending and not the listening, which goes on
    until Ctrl-C, --count or --timeout.
    """
    if listen_only and send_only:
        raise click.UsageError("--listen-only and --send-only leave nothing to do; give one of them")
    if listen_only and (text or ttl is not None or no_loopback):
        raise click.UsageError("TEXT, --ttl and --no-loopback are for sending; leave out --listen-only")
    if send_only and (source or count is not None or timeout is not None):
        raise click.UsageError("--source, --count and --timeout are for listening; leave out --send-only")
    messages: Iterable[bytes] | None = None
    if text or listen_only:
        messages = [os.fsencode(part) + b"\n" for part in text]
    plan = MulticastPlan(
        group=group,
        sources=_sources(group, source),
        adapter=_adapter(group, interface),
        hop_limit=ttl,
        loopback=not no_loopback,
        listens=not send_only,
        messages=messages,
        count=count,
        timeout=timeout,
    )
    sys.exit(run(lambda reactor: take_part(plan, Display(measuring=False, total=0), reactor)))
