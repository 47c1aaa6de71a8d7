"""Hearing of changes of the network: announced by Linux's rtnetlink, looked for elsewhere."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from winsockets.errors import SocketException
from winsockets.foundation import Event, EventRegistrationToken, Limits
from winsockets.networking._interfaces import default_routes, interfaces
from winsockets.networking._rtnetlink import is_relevant, messages

__all__ = ["NetworkWatch", "StatusEvent", "listen_to_kernel", "network_state"]

_log = Logger(namespace="winsockets")

# RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_RECEIVE_SIZE = 64 * 1024
_RECEIVES_PER_TURN = 64


def network_state() -> Hashable:
    """All of the network that is looked at; equal as long as nothing has changed.

    Raises:
        SocketException: the system does not tell.
    """
    return tuple(interfaces()), frozenset(default_routes())


def listen_to_kernel() -> socket.socket:
    """Open a socket on which Linux announces changes of links, addresses and routes.

    Raises:
        OSError: there is no such thing here, or a sandbox forbids it.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no rtnetlink")
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        link.bind((0, _GROUPS))
    except OSError:
        link.close()
        raise
    return link


@implementer(IReadDescriptor)
class _Announcements:
    """The reading end of the kernel's announcements.

    What they say decides only whether to look again: what the network is then is asked for as a whole, so
    that nothing depends on having heard everything.
    """

    def __init__(
        self, link: socket.socket, changed: Callable[[], None], lost: Callable[[OSError], None]
    ) -> None:
        self._link = link
        self._changed = changed
        self._lost = lost

    def fileno(self) -> int:
        """See IReadDescriptor."""
        return self._link.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "network changes"

    def doRead(self) -> None:
        """Take what there is; see IReadDescriptor."""
        for _ in range(_RECEIVES_PER_TURN):
            try:
                data, sender = self._link.recvfrom(_RECEIVE_SIZE)
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    self._lost(problem)
                    return
                # More was announced than there was room for; whatever it was, it is looked at now.
                self._changed()
                continue
            if sender[0] == 0 and _tells_something(data):
                self._changed()

    def connectionLost(self, reason: Failure) -> None:
        """See IReadDescriptor."""
        self._link.close()


def _tells_something(data: bytes) -> bool:
    try:
        return any(is_relevant(message) for message in messages(data))
    except ValueError:
        return True


class NetworkWatch:
    """Calls a function when the network has changed, from `start` to `stop`.

    Args:
        reactor: gives time and, for announcements, readers.
        changed: called for changes, once for those that come together.
        limits: ``network_settle_time`` and ``network_poll_interval`` count here.
        look: tells what the network is.
        listen: opens the socket of the announcements.
    """

    def __init__(
        self,
        reactor: Any,
        changed: Callable[[], None],
        limits: Limits,
        *,
        look: Callable[[], Hashable] = network_state,
        listen: Callable[[], socket.socket] = listen_to_kernel,
    ) -> None:
        self._reactor = reactor
        self._changed = changed
        self._limits = limits
        self._look = look
        self._listen = listen
        self._state: Hashable = None
        self._announcements: _Announcements | None = None
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin: what the network is now is what changes are compared with.

        Raises:
            SocketException: the system does not tell.
        """
        # Listening comes first, so that nothing is missed between the two.
        if IReactorFDSet.providedBy(self._reactor):
            try:
                link = self._listen()
            except OSError as problem:
                _log.debug(
                    "Changes of the network are not announced ({problem}); looked for every {seconds} s",
                    problem=problem,
                    seconds=self._limits.network_poll_interval,
                )
            else:
                self._announcements = _Announcements(link, self._heard, self._deafened)
        try:
            self._state = self._look()
        except SocketException:
            self.stop()
            raise
        if self._announcements is not None:
            self._reactor.addReader(self._announcements)
        else:
            self._look_in(self._limits.network_poll_interval)

    def stop(self) -> None:
        """End; nothing is left in the reactor."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._announcements is not None:
            announcements, self._announcements = self._announcements, None
            self._reactor.removeReader(announcements)
            announcements.connectionLost(Failure(ConnectionAbortedError()))

    def _heard(self) -> None:
        if self._timer is None:
            self._look_in(self._limits.network_settle_time)

    def _deafened(self, problem: OSError) -> None:
        """Go on without announcements."""
        _log.warn("Changes of the network are no longer announced ({problem})", problem=problem)
        self.stop()
        self._look_in(self._limits.network_settle_time)

    def _look_in(self, seconds: float) -> None:
        self._timer = self._reactor.callLater(seconds, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        before = self._state
        failed = False
        try:
            self._state = self._look()
        except SocketException as problem:
            failed = True
            _log.warn("Cannot see what has changed of the network: {problem}", problem=problem)
        if failed or self._announcements is None:
            self._look_in(self._limits.network_poll_interval)
        if self._state != before:
            self._changed()


class _Watch(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class StatusEvent(Event[Any, None]):
    """An event that watches the network as long as somebody listens.

    Args:
        name: what the log calls it.
        watch: makes what watches; called for the first handler, and again after the last has gone.
    """

    __slots__ = ("_make_watch", "_watch")

    def __init__(self, name: str, watch: Callable[[], _Watch]) -> None:
        super().__init__(name)
        self._make_watch = watch
        self._watch: _Watch | None = None

    def add(self, handler: Callable[[Any, None], object]) -> EventRegistrationToken:
        """Attach a handler; the first begins the watch.

        Raises:
            TypeError: the handler cannot be called.
            SocketException: the system does not tell what its network is; the handler is not attached.
        """
        token = super().add(handler)
        if self._watch is None:
            watch = self._make_watch()
            try:
                watch.start()
            except SocketException:
                super().remove(token)
                raise
            self._watch = watch
        return token

    def remove(self, token: EventRegistrationToken) -> None:
        """Detach the handler of a token; the last ends the watch. An unknown token is ignored."""
        super().remove(token)
        if not self and self._watch is not None:
            self._watch.stop()
            self._watch = None

    def clear(self) -> None:
        """Detach all handlers, which ends the watch."""
        super().clear()
        self.remove(EventRegistrationToken(0))
