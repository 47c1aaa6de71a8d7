"""How a StreamSocket speaks TLS: as its control says, with one context for all controls that are alike."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from cryptography import x509

from winsockets.certificates import Certificate
from winsockets.certificates._system import system_roots
from winsockets.errors import InvalidArgumentError
from winsockets.networking import HostName
from winsockets.sockets._kinds import SocketProtectionLevel
from winsockets.sockets._protection import Versions, versions
from winsockets.sockets._stream_control import StreamSocketControl
from winsockets.transports import TlsClientContext, TlsClientCreator

__all__ = ["client_creator"]

_MOST_CONTEXTS = 16
"""Contexts that are kept: a program has one or two; each holds the system's roots, half a MiB."""


class _Configuration(NamedTuple):
    """Everything of a control that makes a context what it is."""

    certificate: Certificate | None
    chain: tuple[Certificate, ...]
    trusted: tuple[Certificate, ...]
    exclusive: bool
    revocation_lists: tuple[bytes, ...]
    versions: Versions
    protocols: tuple[str, ...]


class _Kept(NamedTuple):
    context: TlsClientContext
    system: tuple[x509.Certificate, ...]


_contexts: OrderedDict[_Configuration, _Kept] = OrderedDict()


def client_creator(
    control: StreamSocketControl, host: HostName, port: int | str, level: SocketProtectionLevel
) -> TlsClientCreator:
    """Find or make what connects to a host as a control says.

    Contexts are kept, so that sockets of one configuration share the sessions of TLS; one is made anew when
    the system's roots have changed.

    Args:
        control: the socket's.
        host: whom the server's certificate has to be for.
        port: tells services on one host apart.
        level: the ceiling.

    Raises:
        InvalidArgumentError: the control contradicts itself or the level.
    """
    kind = type(control)
    certificate = control.client_certificate
    wanted = _Configuration(
        certificate,
        certificate.intermediates if certificate is not None else (),
        kind.trusted_server_certificates._values_of(control),
        control.exclusive_trust,
        kind.server_certificate_revocation_lists._values_of(control),
        versions(level, control.min_protection_level),
        kind.application_protocols._values_of(control),
    )
    if wanted.exclusive and not wanted.trusted:
        raise InvalidArgumentError(
            "control.exclusive_trust is True and control.trusted_server_certificates is empty, so no server "
            "would be trusted; put the server's root into it"
        )
    system = () if wanted.exclusive else system_roots()
    kept = _contexts.get(wanted)
    if kept is None or kept.system != system:
        kept = _contexts[wanted] = _Kept(_context(wanted), system)
        if len(_contexts) > _MOST_CONTEXTS:
            _contexts.popitem(last=False)
    _contexts.move_to_end(wanted)
    return kept.context.for_host(host, port, kind.ignorable_server_certificate_errors._values_of(control))


def _context(wanted: _Configuration) -> TlsClientContext:
    return TlsClientContext(
        certificate=wanted.certificate,
        trust_roots=() if wanted.exclusive else wanted.trusted,
        exclusive_trust_roots=wanted.trusted if wanted.exclusive else (),
        revocation_lists=wanted.revocation_lists,
        minimum=wanted.versions.minimum,
        maximum=wanted.versions.maximum,
        protocols=wanted.protocols,
    )
