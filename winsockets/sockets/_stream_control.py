"""The controls of StreamSocket and StreamSocketListener."""

from __future__ import annotations

import socket

from winsockets.sockets._kinds import SocketQualityOfService
from winsockets.sockets._settings import (
    Control,
    Setting,
    buffer_size,
    count_or_none,
    flag,
    hop_limit,
    limits,
    quality_of_service,
)
from winsockets.transports._socket_options import StreamOptions

__all__ = ["StreamSocketControl", "StreamSocketListenerControl", "accepted_control", "stream_options"]

_KEEP_ALIVE = "Whether the system probes a silent peer (SO_KEEPALIVE). Default False."
_NO_DELAY = "Whether small writes leave at once (TCP_NODELAY). Default True."
_SEND_BUFFER = "Bytes the system buffers for sending (SO_SNDBUF). Default: the system's, which tunes it."


class StreamSocketControl(Control):
    """What can be set on a StreamSocket before it connects.

    Setting a property while connecting or later raises IllegalMethodCallError naming it, except
    ``outbound_buffer_size_in_bytes``, where it has no effect. After a failed connect everything can be set
    again. On an accepted socket everything is fixed.

    Source: WinRT StreamSocketControl.
    """

    __slots__ = ()

    keep_alive = flag(False, _KEEP_ALIVE)
    limits = limits()
    no_delay = flag(True, _NO_DELAY)
    outbound_buffer_size_in_bytes = buffer_size(
        socket.SOCK_STREAM, socket.SO_SNDBUF, _SEND_BUFFER, late="ignored"
    )
    outbound_unicast_hop_limit = hop_limit("error")
    quality_of_service = quality_of_service()
    serialize_connection_attempts = flag(
        False, "Whether addresses are tried one after the other only. Default False."
    )


class StreamSocketListenerControl(Control):
    """What can be set on a StreamSocketListener before it is bound, for it and every socket it accepts.

    Setting a property later raises IllegalMethodCallError naming it.

    Source: WinRT StreamSocketListenerControl; ``limits`` and ``max_connections`` are additions.
    """

    __slots__ = ()

    keep_alive = flag(False, _KEEP_ALIVE)
    limits = limits()
    max_connections = count_or_none(
        "How many accepted connections may be open at once; further clients wait in the system's backlog. "
        "None (the default) for as many as there are descriptors."
    )
    no_delay = flag(True, _NO_DELAY)
    outbound_buffer_size_in_bytes = buffer_size(socket.SOCK_STREAM, socket.SO_SNDBUF, _SEND_BUFFER)
    outbound_unicast_hop_limit = hop_limit("error")
    quality_of_service = quality_of_service()


_INHERITED = (
    "keep_alive",
    "limits",
    "no_delay",
    "outbound_buffer_size_in_bytes",
    "outbound_unicast_hop_limit",
    "quality_of_service",
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


def stream_options(control: StreamSocketControl | StreamSocketListenerControl) -> StreamOptions:
    """Gather what a control asks of the system."""
    buffer = type(control).outbound_buffer_size_in_bytes
    return StreamOptions(
        no_delay=control.no_delay,
        keep_alive=control.keep_alive,
        hop_limit=control.outbound_unicast_hop_limit,
        send_buffer=control.outbound_buffer_size_in_bytes if buffer._is_set(control) else None,
        low_latency=control.quality_of_service is SocketQualityOfService.LOW_LATENCY,
    )
