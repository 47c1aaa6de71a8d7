"""CertificateReload: the certificate of a running server, read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from winsockets.certificates import Certificate
from winsockets.errors import SocketException
from winsockets.sockets._link import global_reactor

__all__ = ["CertificateReload"]

_log = Logger(namespace="winsockets.echo")


class CertificateReload:
    """Reads a certificate again and shows it, or leaves everything as it was and says why.

    Args:
        load: reads the files, the certificate and who vouches for clients; called in a thread.
        show: takes what was read.
        reactor: whose threads these are; the installed one when left out.
    """

    def __init__(
        self,
        load: Callable[[], tuple[Certificate, Sequence[Certificate]]],
        show: Callable[[Certificate, Sequence[Certificate]], None],
        *,
        reactor: Any = None,
    ) -> None:
        self._load = load
        self._show = show
        self._reactor = global_reactor(reactor)
        self._wanted = False
        self._going_on = False

    def start(self) -> None:
        """Begin; asked for again meanwhile, it reads the files once more afterwards."""
        self._wanted = True
        if not self._going_on:
            self._going_on = True
            Deferred.fromCoroutine(self._run()).addErrback(
                lambda failure: _log.failure("The certificate could not be read again", failure)
            )

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await self._reload()
        finally:
            self._going_on = False

    async def _reload(self) -> None:
        try:
            found = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._load)
            self._show(*found)
        except SocketException as problem:
            _log.error("The certificate stays as it was: {problem}", problem=problem)
        else:
            _log.info(
                "New connections get the certificate of {subject!r}, valid to {end:%Y-%m-%d}, SHA-256 "
                "fingerprint {fingerprint}",
                subject=found[0].subject,
                end=found[0].valid_to,
                fingerprint=found[0].get_hash_value("SHA256").hex(":").upper(),
            )
