"""The command line of ``twistd winsockets-echo``."""

from __future__ import annotations

import os
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

_FILES = ("certificate", "private-key", "client-ca")
_TLS_ONLY = (*_FILES, "require-client-certificate", "self-signed")

_OWN_METHODS = {
    "tcp": "Serve TCP on this port: a number, 0 for any free one, or a name from the services file. May be "
    "given several times. 'none' is no TCP. [default: 1337]",
    "tls": "Serve TCP with TLS on this port, too; as for --tcp. It takes --certificate or --self-signed. "
    "[default: none]",
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
  twistd -n winsockets-echo --tls 1338 --self-signed
      with TLS, to try it; the log says where clients find the root to trust
  twistd winsockets-echo --tls 1338 --certificate tls.pem --private-key key.pem
      with TLS; after a change of the files kill -HUP $(cat twistd.pid)
"""


class Options(usage.Options):
    """The options; after parsing, each is there as its service takes it.

    ``tcp``, ``tls`` and ``udp`` are lists of service names, ``interface`` is a tuple of addresses,
    ``max-connections``, ``idle-timeout``, ``drain-timeout``, ``handshake-timeout``, ``udp-rate`` and
    ``udp-loopback-burst`` (which follows from it) are numbers or None, flags are 0 or 1, files are absolute
    paths or None; nothing is read yet.

    A command line that makes no sense ends the program with status 1 and one line on standard error. (An
    UsageError would make twistd print its whole help on standard output, and the error below it.)
    """

    longdesc = (
        "TCP and UDP echo servers: TCP, plain or with TLS, sends every byte back, UDP every datagram. "
        "SIGTERM or SIGINT stops them: nobody is let in any more, and who is there may finish. SIGHUP reads "
        "the files of the certificate again; without these it stops them, too."
    )

    optFlags = [  # noqa: RUF012
        ["udp-any-source-port", None, "Answer datagrams from source ports below 1024, too. Services that "
         "answer back live there: a forged source can make them and this server talk to each other."],
        ["require-client-certificate", None, "Refuse TLS clients that show no certificate."],
        ["self-signed", None, "Make a throw-away certificate for --tls, for localhost, the loopback "
         "addresses, the name of this machine and --interface. The log has its fingerprint and the file of "
         "its root, which is removed at the end. Only in the foreground (twistd -n)."],
    ]  # fmt: skip

    optParameters = [  # noqa: RUF012
        ["max-connections", None, "none", "How many TCP clients may be connected at once; the next ones wait "
         "until one goes. 'none': as many as there are file descriptors."],
        ["idle-timeout", None, "600", "Close a TCP connection on which nothing was sent or taken for so many "
         "seconds; 'none' is never."],
        ["drain-timeout", None, "10", "How many seconds open TCP connections have to finish when the server "
         "is stopped; then they are cut off. 0 cuts them off at once."],
        ["certificate", None, None, "The file of the certificate for --tls with its chain, and with its "
         "private key if --private-key is not given: PEM or PKCS #12, without a password."],
        ["private-key", None, None, "The file of the certificate's private key: PEM, without a password."],
        ["client-ca", None, None, "Ask TLS clients for certificates, and refuse those that none of the "
         "authorities in this file (PEM) vouches for. Clients without a certificate are welcome."],
        ["handshake-timeout", None, "10", "How many seconds a client has for its TLS handshake."],
        ["udp-rate", None, None, "How many datagrams a second are answered to one source (an IPv4 address or "
         "an IPv6 /64 subnet); 'none' is no limit. Without it: 1000, but this machine itself may have "
         "65536 in a row first."],
    ]  # fmt: skip

    compData = usage.Completions(
        multiUse=["tcp", "tls", "udp"],
        optActions={name: usage.CompleteFiles() for name in _FILES},
    )

    def __init__(self) -> None:
        super().__init__()
        self["tcp"] = []
        self["tls"] = []
        self["udp"] = []
        self["interface"] = None
        self.docs.update(_OWN_METHODS)

    def opt_tcp(self, port: str) -> None:
        """Take one more TCP port."""
        self["tcp"].append(port)

    def opt_tls(self, port: str) -> None:
        """Take one more TLS port."""
        self["tls"].append(port)

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
        self["tcp"] = _ports("tcp", "tcp", self["tcp"] or [_DEFAULT_PORT])
        self["tls"] = _ports("tls", "tcp", self["tls"] or ["none"])
        self["udp"] = _ports("udp", "udp", self["udp"] or [_DEFAULT_PORT])
        if not self["tcp"] and not self["tls"] and not self["udp"]:
            raise usage.UsageError("nothing to serve: --tcp and --udp are both 'none', and there is no --tls")
        for port in self["tls"]:
            if port != "0" and port in self["tcp"]:
                raise usage.UsageError(f"--tls: port {port} is a port of --tcp; '--tcp none' gives it free")
        self._check_tls()
        self["interface"] = _addresses(self["interface"])
        self["max-connections"] = _count("max-connections", self["max-connections"])
        self["idle-timeout"] = _seconds("idle-timeout", self["idle-timeout"])
        if self["idle-timeout"] == 0:
            raise usage.UsageError("--idle-timeout: 0 would close every connection at once; 'none' is never")
        self["drain-timeout"] = _seconds("drain-timeout", self["drain-timeout"])
        if self["drain-timeout"] is None:
            raise usage.UsageError("--drain-timeout: a stop has to end; give a number of seconds")
        self["handshake-timeout"] = _seconds("handshake-timeout", self["handshake-timeout"])
        if not self["handshake-timeout"]:
            raise usage.UsageError("--handshake-timeout: it has to end, and not at once; give seconds")
        if self["udp-rate"] is None:
            self["udp-rate"], self["udp-loopback-burst"] = DEFAULT_RATE, DEFAULT_LOOPBACK_BURST
        else:
            self["udp-rate"], self["udp-loopback-burst"] = _count("udp-rate", self["udp-rate"]), None

    def _check_tls(self) -> None:
        """Refuse what does not go together, and make paths that do not depend on the working directory."""
        for option in _FILES:
            if self[option] == "":
                raise usage.UsageError(f"--{option}: the name of the file is empty")
            if self[option] is not None:
                # twistd may change the directory before they are read again.
                self[option] = os.path.abspath(self[option])
        for option in _TLS_ONLY:
            if self[option] and not self["tls"]:
                raise usage.UsageError(f"--{option} is for TLS; give a port with --tls")
        if self["private-key"] and not self["certificate"]:
            raise usage.UsageError("--private-key goes with a certificate; give it with --certificate")
        if self["self-signed"] and self["certificate"]:
            raise usage.UsageError("--self-signed makes a certificate, so there can be no --certificate")
        if self["tls"] and not self["self-signed"] and not self["certificate"]:
            raise usage.UsageError(
                "--tls takes a certificate; give --certificate, or --self-signed to try it"
            )
        if self["require-client-certificate"] and not self["client-ca"]:
            raise usage.UsageError(
                "--require-client-certificate: nobody vouches for clients; give their authority with "
                "--client-ca"
            )
        if self["self-signed"] and self.parent is not None and not self.parent.get("nodaemon", True):
            raise usage.UsageError(
                "--self-signed is to try TLS in the foreground: write twistd -n; in the background "
                "give --certificate"
            )

    def getUsage(self, width: int | None = None) -> str:
        """Describe the options, with examples."""
        return str(super().getUsage(width)) + _EXAMPLES


def _ports(option: str, transport: Transport, given: list[str]) -> list[str]:
    if set(given) == {"none"}:
        return []
    ports: list[str] = []
    for text in given:
        if text == "none":
            raise usage.UsageError(f"--{option}: 'none' and a port exclude each other")
        if not text:
            raise usage.UsageError(f"--{option}: the port is empty; 0 is any free port, 'none' is none")
        try:
            port = str(local_port(text, transport))
        except SocketException as problem:
            raise usage.UsageError(f"--{option}: {problem}") from problem
        if port != "0" and port in ports:
            raise usage.UsageError(f"--{option}: port {port} is given twice")
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
        never = ", or 'none'" if option == "idle-timeout" else ""
        raise usage.UsageError(f"--{option}: {text!r} is not a number of seconds up to {_LONGEST}{never}")
    return float(text)
