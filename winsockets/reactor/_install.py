"""Making the reactor the one that ``twisted.internet.reactor`` is, where there is epoll."""

from __future__ import annotations

import sys

from winsockets.errors import E_NOTIMPL, SocketException

__all__ = ["install"]


def install() -> None:
    """Install the reactor, as the ``install`` of each of Twisted's reactor modules does.

    Call it before anything imports ``twisted.internet.reactor``, or name it to Twisted's commands, which call
    it: ``twistd --reactor=winsockets``, ``trial --reactor=winsockets``. Nothing in the library needs it; a
    program that runs on it runs the same on Twisted's own.

    Raises:
        SocketException: E_NOTIMPL, this system is not Linux: nothing is installed.
        twisted.internet.error.ReactorAlreadyInstalledError: there is a reactor already, and it stays.

    Source: ``twisted.internet.epollreactor.install``.
    """
    if sys.platform != "linux":
        raise SocketException(
            f"the winsockets reactor needs Linux's epoll, and this is {sys.platform}; "
            "use the system's default reactor, on which everything in winsockets works",
            hresult=E_NOTIMPL,
        )
    from winsockets.reactor import _direct_epoll

    _direct_epoll.install()
