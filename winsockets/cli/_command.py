"""The command line: what can be asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import click

from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.certificates._files import load_authorities, load_identity
from winsockets.certificates._results import IGNORABLE_RESULTS
from winsockets.cli._adapters import adapters
from winsockets.cli._display import Display
from winsockets.cli._messages import numbered, repeated
from winsockets.cli._multicast_command import multicast
from winsockets.cli._options import seconds, seconds_above_0, whole_number
from winsockets.cli._running import run
from winsockets.cli._session import Plan, hold
from winsockets.cli._tls import TlsPlan, parse_ignorable
from winsockets.cli._url import EchoUrl, parse_url
from winsockets.errors import SocketException, UnknownServiceError
from winsockets.networking import HostName
from winsockets.networking._name_servers import NameServer, as_name_servers
from winsockets.networking._services import remote_port

__all__ = ["main"]

_DEFAULT_SIZE = 64
_LARGEST = 1 << 30
_MOST = 10**12
_EPILOG = """
Exit status: 0 when every reply came back identical, 1 when not, 2 for a wrong command line, 130 after Ctrl-C.

\b
Examples:
  winsockets echo tcp://localhost:1337 hello
  winsockets echo udp://[::1]:1337 --count 1000 --size 512
  winsockets echo tcp://localhost < file | cmp - file
  winsockets echo tls://localhost:1338 --ca root.pem hello
"""


def _url(ctx: click.Context, param: click.Parameter, value: str) -> EchoUrl:
    try:
        url = parse_url(value)
        HostName(url.host)
        with suppress(UnknownServiceError):  # DNS may know it
            remote_port(url.service, "udp" if url.transport == "udp" else "tcp")
    except ValueError as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem
    return url


def _authorities(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[Certificate, ...]:
    if value is None:
        return ()
    try:
        return load_authorities(value)
    except SocketException as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem


def _ignorable(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> frozenset[ChainValidationResult]:
    if value is None:
        return frozenset()
    try:
        return parse_ignorable(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem


def _identity(certificate: str | None, private_key: str | None) -> Certificate | None:
    if certificate is None:
        if private_key is not None:
            raise click.UsageError("--private-key goes with a certificate; give it with --certificate")
        return None
    try:
        return load_identity(certificate, private_key)
    except SocketException as problem:
        hint = "'--certificate'" if private_key is None else "'--certificate' / '--private-key'"
        raise click.BadParameter(str(problem), param_hint=hint) from problem


def _name_servers(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[NameServer, ...]:
    try:
        return as_name_servers(values, "the server")
    except SocketException as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    try:
        number = version("winsockets")
    except PackageNotFoundError:
        number = "(not installed, run from its source)"
    click.echo(f"winsockets {number}")
    ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Talk to servers and groups with the sockets of the winsockets library.

    The servers for it come with the library: twistd -n winsockets-echo.
    """


@main.command(epilog=_EPILOG)
@click.argument("url", callback=_url)
@click.argument("text", nargs=-1)
@click.option("--count", callback=whole_number(_MOST), metavar="N", help="Send N messages and measure.")
@click.option(
    "--interval",
    callback=seconds,
    default="0",
    metavar="SECONDS",
    help="Send a message at most every so many seconds.  [default: 0]",
)
@click.option(
    "--size",
    callback=whole_number(_LARGEST),
    metavar="BYTES",
    help="Make messages of this size, numbered in front, instead of sending TEXT.  "
    f"[default: {_DEFAULT_SIZE}, with --count and no TEXT]",
)
@click.option(
    "--timeout",
    callback=seconds_above_0,
    default="5",
    metavar="SECONDS",
    help="How long to wait for the name, for the connection, for its TLS handshake, and for each reply.  "
    "[default: 5]",
)
@click.option(
    "--name-server",
    "name_servers",
    callback=_name_servers,
    multiple=True,
    metavar="ADDRESS",
    help="Ask this name server for HOST and PORT, and not the system's: an address, with a port or without. "
    "May be given several times.",
)
@click.option(
    "--ca",
    callback=_authorities,
    metavar="FILE",
    help="Trust the authorities in this file (PEM), and not the system's.",
)
@click.option(
    "--certificate",
    metavar="FILE",
    help="Show this certificate to a server that asks for one: PEM or PKCS #12, without a password.",
)
@click.option(
    "--private-key",
    metavar="FILE",
    help="The certificate's private key (PEM), if it is not in the file of the certificate.",
)
@click.option(
    "--insecure-ignore",
    callback=_ignorable,
    metavar="NAME,...",
    help="Connect although this is wrong with the server's certificate, to whoever that may be: "
    f"{', '.join(result.name for result in sorted(IGNORABLE_RESULTS))}.",
)
def echo(
    *,
    url: EchoUrl,
    text: tuple[str, ...],
    count: int | None,
    interval: float,
    size: int | None,
    timeout: float,
    name_servers: tuple[NameServer, ...],
    ca: tuple[Certificate, ...],
    certificate: str | None,
    private_key: str | None,
    insecure_ignore: frozenset[ChainValidationResult],
) -> None:
    """Send messages to an echo server and compare what comes back.

    URL is tcp://HOST:PORT, tls://HOST:PORT or udp://HOST:PORT. PORT is a number, a name from the services
    file, or else the name of a service of HOST that DNS tells about (SRV); 1337 when left out. An IPv6
    address stands in brackets.

    Each TEXT is a message, sent with a newline at its end. Without TEXT, each line of standard input is one,
    whatever its bytes are; a line of more than 64 KiB is sent in pieces. Each message waits for the reply to
    the one before. Replies go to standard output as they come, everything else to standard error.

    With --count or --size nothing is read from standard input, and instead of the replies a summary is
    shown: messages sent, replies received and lost, and the round-trip times. TEXT is repeated in turn until
    N messages are sent.

    A lost datagram is counted and the next one sent; a TCP connection that loses a reply is given up.

    The certificate of a tls:// server has to be for HOST, and from an authority that the system trusts or
    that is given with --ca.
    """
    tls = TlsPlan(ca, _identity(certificate, private_key), insecure_ignore)
    if url.transport != "tls" and tls != TlsPlan():
        raise click.UsageError(f"certificates are for TLS, and {url} is without it; write tls://")
    if text and size is not None:
        raise click.UsageError("--size makes the messages, so there can be no TEXT beside it")
    measuring = count is not None or size is not None
    total = count or (len(text) if text and not measuring else 1)
    messages: Iterable[bytes] | None = None
    if text:
        messages = repeated([os.fsencode(part) + b"\n" for part in text], total)
    elif measuring:
        length = size or _DEFAULT_SIZE
        messages = (numbered(number, length) for number in range(1, total + 1))
    plan = Plan(url, messages, interval, timeout, tls, name_servers)
    sys.exit(run(lambda reactor: hold(plan, Display(measuring, total), reactor)))


main.add_command(adapters)
main.add_command(multicast)
