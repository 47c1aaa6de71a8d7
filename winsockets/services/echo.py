"""``twistd winsockets-echo``: what the plugin names, a command line and a service made from it."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from winsockets.certificates import Certificate
from winsockets.certificates._files import load_authorities, load_identity
from winsockets.errors import SocketException
from winsockets.services._options import Options
from winsockets.services._reloading import CertificateReload
from winsockets.services._reply_policy import ReplyPolicy
from winsockets.services._self_signed import SelfSigned, server_names
from winsockets.services._service import EchoService
from winsockets.services._signals import Signals
from winsockets.services._tcp_echo import EchoStreamService
from winsockets.services._tls_ports import TlsPorts
from winsockets.services._udp_echo import EchoDatagramService, is_broadcast

__all__ = ["Options", "makeService"]


def makeService(options: Options, *, reactor: Any = None) -> EchoService:
    """Make the servers that the command line asks for, and bind them.

    They are bound here because this is the last moment at which twistd has a terminal, an exit status and
    all its rights: it has not gone to the background, written a pid file or begun to log. What is bound
    here stays bound in the background. Certificates are read here for the same reason.

    Args:
        options: a parsed command line.
        reactor: for the servers; the installed one when left out.

    Returns:
        The service, bound and not started.

    Raises:
        SystemExit: an address is taken, is not of this machine, or needs rights; a certificate cannot be
            used; printing it is the one line.
    """
    try:
        return _make(options, reactor)
    except SocketException as problem:
        raise SystemExit(f"winsockets-echo: cannot start: {problem}") from problem


def _make(options: Options, reactor: Any) -> EchoService:
    made = None
    tls = None
    if options["self-signed"]:
        made = SelfSigned(server_names(options["interface"], socket.gethostname()))
        tls = _tls_ports(options, made.certificate, _client_roots(options))
    elif options["tls"]:
        tls = _tls_ports(options, *_load(options))
    stream = datagram = None
    if options["tcp"] or tls is not None:
        stream = EchoStreamService(
            options["tcp"],
            tls=tls,
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
    service.bind()
    reload = None
    if made is not None:
        made.setServiceParent(service)
    elif stream is not None and tls is not None:
        reload = CertificateReload(partial(_load, options), stream.show_certificate, reactor=reactor).start
    Signals(service.cut_off, reload=reload, reactor=reactor).setServiceParent(service)
    return service


def _client_roots(options: Options) -> tuple[Certificate, ...]:
    return load_authorities(options["client-ca"]) if options["client-ca"] else ()


def _load(options: Options) -> tuple[Certificate, tuple[Certificate, ...]]:
    return load_identity(options["certificate"], options["private-key"]), _client_roots(options)


def _tls_ports(options: Options, certificate: Certificate, client_roots: tuple[Certificate, ...]) -> TlsPorts:
    return TlsPorts(
        options["tls"],
        certificate,
        client_roots=client_roots,
        require_client_certificate=bool(options["require-client-certificate"]),
        handshake_timeout=options["handshake-timeout"],
    )
