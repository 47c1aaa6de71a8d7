"""The command line of ``twistd winsockets-echo``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.python import usage

from winsockets.errors import InvalidArgumentError, SocketException
from winsockets.networking import HostName, HostNameType
from winsockets.networking._services import Transport, local_port
from winsockets.services._binding import ALL_INTERFACES, LOOPBACK
from winsockets.services._reply_policy import DEFAULT_LOOPBACK_BURST, DEFAULT_RATE

__all__ = ["Options"]

_DEFAULT_PORT = "1337"
_BROADCAST = IPv4Address("255.255.255.255")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_SECONDS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_LONGEST = 1_000_000
"""Seconds, more than eleven days. What a system call takes ends at 24 days (poll(2), in milliseconds)."""

_OWN_METHODS = {
    "tcp": "Serve TCP on this port: a number, 0 for any free one, or a name from the services file. May be "
    "given several times. 'none' is no TCP. [default: 1337]",
    "udp": "Serve UDP on this port; as for --tcp. [default: 1337]",
    "interface": "The local address to serve. Without it: this machine only, 127.0.0.1 and ::1. An empty one "
    "('') is every interface, IPv4 and IPv6.",
}

_EXAMPLES = """
Examples:
  twistd -n winsockets-echo
      in the foreground: TCP and UDP port 1337, for this machine only
  twistd winsockets-echo --interface '' --max-connections 200
      in the background, for everybody; kill $(cat twistd.pid) ends it
  twistd -n winsockets-echo --tcp 7000 --tcp 7001 --udp none
      TCP only, on two ports
"""


class Options(usage.Options):
    """The options; after parsing, each is there as its service takes it.

    ``tcp`` and ``udp`` are lists of service names, ``interface`` is a tuple of addresses,
    ``max-connections``, ``idle-timeout``, ``drain-timeout``, ``udp-rate`` and ``udp-loopback-burst`` (which
    follows from it) are numbers or None, ``udp-any-source-port`` is 0 or 1.

    A command line that makes no sense ends the program with status 1 and one line on standard error. (An
    UsageError would make twistd print its whole help on standard output, and the error below it.)
    """

    longdesc = (
        "TCP and UDP echo servers: TCP sends every byte back, UDP every datagram. SIGTERM or SIGINT stops "
        "them: nobody is let in any more, and who is there may finish."
    )

    optFlags = [  # noqa: RUF012
        ["udp-any-source-port", None, "Answer datagrams from source ports below 1024, too. Services that "
         "answer back live there: a forged source can make them and this server talk to each other."],
    ]  # fmt: skip

    optParameters = [  # noqa: RUF012
        ["max-connections", None, "none", "How many TCP clients may be connected at once; the next ones wait "
         "until one goes. 'none': as many as there are file descriptors."],
        ["idle-timeout", None, "600", "Close a TCP connection on which nothing was sent or taken for so many "
         "seconds; 'none' is never."],
        ["drain-timeout", None, "10", "How many seconds open TCP connections have to finish when the server "
         "is stopped; then they are cut off. 0 cuts them off at once."],
        ["udp-rate", None, None, "How many datagrams a second are answered to one source (an IPv4 address or "
         "an IPv6 /64 subnet); 'none' is no limit. Without it: 1000, but this machine itself may have "
         "65536 in a row first."],
    ]  # fmt: skip

    compData = usage.Completions(multiUse=["tcp", "udp"])

    def __init__(self) -> None:
        super().__init__()
        self["tcp"] = []
        self["udp"] = []
        self["interface"] = None
        self.docs.update(_OWN_METHODS)

    def opt_tcp(self, port: str) -> None:
        """Take one more TCP port."""
        self["tcp"].append(port)

    def opt_udp(self, port: str) -> None:
        """Take one more UDP port."""
        self["udp"].append(port)

    def opt_interface(self, address: str) -> None:
        """Take the address; a second one would only replace it."""
        if self["interface"] is not None:
            raise usage.UsageError("--interface is given twice; one address is served, or '' for all of them")
        self["interface"] = address

    def parseArgs(self, *rest: str) -> None:
        """Refuse what is not an option."""
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is not an option; options begin with --")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse and check; see the class.

        Raises:
            SystemExit: the options make no sense; printing it is the one line.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as problem:
            raise SystemExit(f"winsockets-echo: {problem} (--help explains the options)") from problem

    def postOptions(self) -> None:
        """Turn what was typed into what the services take."""
        self["tcp"] = _ports("tcp", self["tcp"])
        self["udp"] = _ports("udp", self["udp"])
        if not self["tcp"] and not self["udp"]:
            raise usage.UsageError("nothing to serve: --tcp and --udp are both 'none'")
        self["interface"] = _addresses(self["interface"])
        self["max-connections"] = _count("max-connections", self["max-connections"])
        self["idle-timeout"] = _seconds("idle-timeout", self["idle-timeout"])
        if self["idle-timeout"] == 0:
            raise usage.UsageError("--idle-timeout: 0 would close every connection at once; 'none' is never")
        self["drain-timeout"] = _seconds("drain-timeout", self["drain-timeout"])
        if self["drain-timeout"] is None:
            raise usage.UsageError("--drain-timeout: a stop has to end; give a number of seconds")
        if self["udp-rate"] is None:
            self["udp-rate"], self["udp-loopback-burst"] = DEFAULT_RATE, DEFAULT_LOOPBACK_BURST
        else:
            self["udp-rate"], self["udp-loopback-burst"] = _count("udp-rate", self["udp-rate"]), None

    def getUsage(self, width: int | None = None) -> str:
        """Describe the options, with examples."""
        return str(super().getUsage(width)) + _EXAMPLES


def _ports(transport: Transport, given: list[str]) -> list[str]:
    if not given:
        return [_DEFAULT_PORT]
    if set(given) == {"none"}:
        return []
    ports: list[str] = []
    for text in given:
        if text == "none":
            raise usage.UsageError(f"--{transport}: 'none' and a port exclude each other")
        if not text:
            raise usage.UsageError(f"--{transport}: the port is empty; 0 is any free port, 'none' is none")
        try:
            port = str(local_port(text, transport))
        except SocketException as problem:
            raise usage.UsageError(f"--{transport}: {problem}") from problem
        if port != "0" and port in ports:
            raise usage.UsageError(f"--{transport}: port {port} is given twice")
        ports.append(port)
    return ports


def _addresses(text: str | None) -> tuple[str, ...]:
    if text is None or text == "localhost":
        return LOOPBACK
    if not text:
        return ALL_INTERFACES
    try:
        host = HostName(text)
    except InvalidArgumentError as problem:
        raise usage.UsageError(f"--interface: {problem}") from problem
    if host.type not in (HostNameType.IPV4, HostNameType.IPV6):
        raise usage.UsageError(
            f"--interface: {text!r} is not an IP address; give an address of this machine, such as 127.0.0.1"
        )
    literal = ip_address(host.canonical_name)
    if literal.is_multicast or literal == _BROADCAST:
        raise usage.UsageError(f"--interface: {text} is an address of many; give one of this machine")
    if isinstance(literal, IPv6Address):
        if literal.is_link_local and literal.scope_id is None:
            raise usage.UsageError(f"--interface: {text} is on each network; say which one: {literal}%eth0")
        if literal.ipv4_mapped is not None:
            raise usage.UsageError(f"--interface: {text} is an IPv4 address; write {literal.ipv4_mapped}")
    return (host.canonical_name,)


def _count(option: str, text: str) -> int | None:
    if text == "none":
        return None
    if not _COUNT.fullmatch(text):
        raise usage.UsageError(f"--{option}: {text!r} is not a whole number from 1 to 999999999, or 'none'")
    return int(text)


def _seconds(option: str, text: str) -> float | None:
    if text == "none":
        return None
    if not _SECONDS.fullmatch(text) or float(text) > _LONGEST:
        raise usage.UsageError(f"--{option}: {text!r} is not a number of seconds up to {_LONGEST}")
    return float(text)
