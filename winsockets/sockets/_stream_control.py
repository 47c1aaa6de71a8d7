"""The controls of StreamSocket and StreamSocketListener."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from winsockets.certificates import Certificate
from winsockets.errors import IllegalMethodCallError
from winsockets.networking import NetworkAdapter
from winsockets.sockets._kinds import SocketQualityOfService
from winsockets.sockets._settings import (
    Control,
    Setting,
    buffer_size,
    count_or_none,
    flag,
    hop_limit,
    limits,
    name_servers,
    quality_of_service,
)
from winsockets.sockets._tls_properties import (
    application_protocols,
    certificate_policy,
    client_certificate,
    ignorable_errors,
    protection_floor,
    revocation_lists,
    server_certificates,
    trusted_certificates,
)
from winsockets.transports._socket_options import StreamOptions

if TYPE_CHECKING:
    from winsockets.sockets._tls_serving import TlsServing

__all__ = ["StreamSocketControl", "StreamSocketListenerControl", "accepted_control", "stream_options"]

_KEEP_ALIVE = "Whether the system probes a silent peer (SO_KEEPALIVE). Default False."
_NO_DELAY = "Whether small writes leave at once (TCP_NODELAY). Default True."
_CLOSE_NOTIFY = (
    "Whether a TLS stream that ends without the peer's close_notify was cut, which is an error. False takes "
    "it for an end in good order, for peers that never say it. Default True."
)
_LISTS = "Revocation lists in PEM or DER. With any, those of all authorities in the chain have to be there. "
_SEND_BUFFER = "Bytes the system buffers for sending (SO_SNDBUF). Default: the system's, which tunes it."


class StreamSocketControl(Control):
    """What can be set on a StreamSocket before it connects.

    Setting a property while connecting or later raises IllegalMethodCallError naming it, except
    ``outbound_buffer_size_in_bytes``, where it has no effect. What counts in a TLS handshake can also be set
    on a plain connection, before ``upgrade_to_ssl_async``. After a failed connect everything can be set
    again. On an accepted socket everything is fixed.

    Source: WinRT StreamSocketControl; ``limits``, ``name_servers`` and what is about trust, revocation
    lists, application protocols and close_notify are additions.
    """

    __slots__ = ()

    application_protocols = application_protocols(
        "A list of the application protocols (ALPN) to offer in TLS, the preferred first.", "handshake"
    )
    client_certificate = client_certificate()
    exclusive_trust = flag(
        False,
        "Whether ``trusted_server_certificates`` are trusted instead of the system's roots. Default False.",
        "handshake",
    )
    ignorable_server_certificate_errors = ignorable_errors()
    keep_alive = flag(False, _KEEP_ALIVE)
    limits = limits()
    min_protection_level = protection_floor("handshake")
    name_servers = name_servers()
    no_delay = flag(True, _NO_DELAY)
    outbound_buffer_size_in_bytes = buffer_size(
        socket.SOCK_STREAM, socket.SO_SNDBUF, _SEND_BUFFER, late="ignored"
    )
    outbound_unicast_hop_limit = hop_limit("error")
    quality_of_service = quality_of_service()
    require_close_notify = flag(True, _CLOSE_NOTIFY, "handshake")
    serialize_connection_attempts = flag(
        False, "Whether addresses are tried one after the other only. Default False."
    )
    server_certificate_revocation_lists = revocation_lists(_LISTS + "For the server's.", "handshake")
    trusted_server_certificates = trusted_certificates(
        "A list of Certificates to trust besides the system's roots: roots, authorities, or a server's own.",
        "handshake",
    )


def _serving_of(control: StreamSocketListenerControl, name: str) -> TlsServing | None:
    """Give the TLS of a listener that is bound, None before that."""
    if control._serving is None and control._locked is not None:
        raise IllegalMethodCallError(
            f"StreamSocketListenerControl.{name} cannot be set {control._locked} without server_certificates"
        )
    return control._serving


def _replace(control: StreamSocketListenerControl, certificates: tuple[Certificate, ...]) -> None:
    """Let a listener that is bound show other certificates from now on."""
    serving = _serving_of(control, "server_certificates")
    if serving is not None:
        serving.show(certificates)


def _trust(control: StreamSocketListenerControl, roots: tuple[Certificate, ...]) -> None:
    """Let others vouch for the clients of a listener that is bound, from now on."""
    serving = _serving_of(control, "trusted_client_certificates")
    if serving is not None:
        serving.trust(roots)


def _revoke(control: StreamSocketListenerControl, lists: tuple[bytes, ...]) -> None:
    """Look the clients of a listener that is bound up in other lists from now on."""
    serving = _serving_of(control, "client_certificate_revocation_lists")
    if serving is not None:
        serving.revoke(lists)


class StreamSocketListenerControl(Control):
    """What can be set on a StreamSocketListener before it is bound, for it and every socket it accepts.

    Setting a property later raises IllegalMethodCallError naming it, except ``server_certificates``,
    ``trusted_client_certificates`` and ``client_certificate_revocation_lists`` of a listener that was bound
    with TLS: replaced, they count from the next connection on.

    Source: WinRT StreamSocketListenerControl; ``limits``, ``max_connections`` and everything about TLS are
    additions.
    """

    __slots__ = ("_serving",)

    def __init__(self) -> None:
        super().__init__()
        self._serving: TlsServing | None = None

    application_protocols = application_protocols(
        "A list of the application protocols (ALPN) that a TLS listener speaks, the preferred first. A "
        "client that offers others only is refused."
    )
    client_certificate_policy = certificate_policy()
    client_certificate_revocation_lists = revocation_lists(
        _LISTS + "For those of clients.", "allowed", _revoke
    )
    keep_alive = flag(False, _KEEP_ALIVE)
    limits = limits()
    max_connections = count_or_none(
        "How many accepted connections may be open at once; further clients wait in the system's backlog. "
        "None (the default) for as many as there are descriptors."
    )
    min_protection_level = protection_floor()
    no_delay = flag(True, _NO_DELAY)
    outbound_buffer_size_in_bytes = buffer_size(socket.SOCK_STREAM, socket.SO_SNDBUF, _SEND_BUFFER)
    outbound_unicast_hop_limit = hop_limit("error")
    quality_of_service = quality_of_service()
    require_close_notify = flag(True, _CLOSE_NOTIFY)
    server_certificates = server_certificates(_replace)
    trusted_client_certificates = trusted_certificates(
        "A list of the Certificates, roots or authorities, that vouch for clients. No others do.",
        "allowed",
        _trust,
    )


_INHERITED = (
    "keep_alive",
    "limits",
    "no_delay",
    "outbound_buffer_size_in_bytes",
    "outbound_unicast_hop_limit",
    "quality_of_service",
    "require_close_notify",
)


def accepted_control(control: StreamSocketListenerControl) -> StreamSocketControl:
    """Make the control of the sockets that a listener accepts."""
    accepted = StreamSocketControl()
    for name in _INHERITED:
        setting = StreamSocketListenerControl.__dict__[name]
        if isinstance(setting, Setting) and setting._is_set(control):
            setattr(accepted, name, getattr(control, name))
    accepted._lock("on an accepted socket")
    return accepted


def stream_options(
    control: StreamSocketControl | StreamSocketListenerControl, adapter: NetworkAdapter | None = None
) -> StreamOptions:
    """Gather what a control asks of the system, and the adapter to use."""
    buffer = type(control).outbound_buffer_size_in_bytes
    return StreamOptions(
        no_delay=control.no_delay,
        keep_alive=control.keep_alive,
        hop_limit=control.outbound_unicast_hop_limit,
        send_buffer=control.outbound_buffer_size_in_bytes if buffer._is_set(control) else None,
        low_latency=control.quality_of_service is SocketQualityOfService.LOW_LATENCY,
        adapter=adapter,
    )
