"""Reading a certificate again: what comes of it, and that one bad file changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, formatEvent

from tests.services.clients import until
from tests.services.tls import authority, server_identity
from winsockets.certificates import Certificate
from winsockets.errors import InvalidArgumentError
from winsockets.services._reloading import CertificateReload

Files = tuple[Certificate, Sequence[Certificate]]
FILES: Files = (server_identity("one"), (authority("ours").certificate,))


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What is logged."""
    with capturedLogs() as events:
        yield events


@pytest_twisted.ensureDeferred
async def test_what_was_read_is_shown(log: list[Any]) -> None:
    """And said, with its fingerprint."""
    shown: list[Files] = []
    CertificateReload(lambda: FILES, lambda *found: shown.append(found)).start()
    await until(lambda: log)
    assert shown == [FILES]
    (line,) = map(formatEvent, log)
    assert server_identity("one").get_hash_value("SHA256").hex(":").upper() in line
    assert "valid to 3000-01-01" in line


@pytest.mark.parametrize("where", ["load", "show"])
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_used_is_one_line(log: list[Any], where: str) -> None:
    """Whether it is the file or what is in it; the next time it may work."""
    bad = True
    shown: list[Files] = []

    def load() -> Files:
        if bad and where == "load":
            raise InvalidArgumentError("the file is bad")
        return FILES

    def show(*found: Any) -> None:
        if bad and where == "show":
            raise InvalidArgumentError("the file is bad")
        shown.append(found)

    reload = CertificateReload(load, show)
    reload.start()
    await until(lambda: log)
    assert list(map(formatEvent, log)) == ["The certificate stays as it was: the file is bad"]
    assert shown == []
    bad = False
    reload.start()
    await until(lambda: shown)


@pytest_twisted.ensureDeferred
async def test_asked_for_again_meanwhile_it_reads_once_more() -> None:
    """Once, however often that was: the file may have changed after it was read."""
    going, go_on = Event(), Event()
    shown: list[Files] = []
    reads: list[Files] = []

    def load() -> Files:
        going.set()
        go_on.wait()
        reads.append(FILES)
        return FILES

    reload = CertificateReload(load, lambda *found: shown.append(found))
    reload.start()
    await until(going.is_set)
    for _ in range(5):
        reload.start()
    go_on.set()
    await until(lambda: len(shown) == 2)
    assert len(reads) == 2


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_program_is_logged_and_does_not_end_reloading(log: list[Any]) -> None:
    """With its traceback."""
    faults = [ZeroDivisionError("a fault")]
    shown: list[Files] = []

    def load() -> Files:
        if faults:
            raise faults.pop()
        return FILES

    reload = CertificateReload(load, lambda *found: shown.append(found))
    reload.start()
    await until(lambda: log)
    (event,) = log
    event["log_failure"].trap(ZeroDivisionError)
    reload.start()
    await until(lambda: shown)
