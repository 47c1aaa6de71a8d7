"""The table of what OpenSSL and our sockets say of certificates, as the page on TLS has it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.tables import table
from tests.sockets.tls_verdicts import FAULTS

PAGE = Path(__file__).parents[2] / "docs" / "tls.md"


def test_the_page_has_every_fault_with_what_is_said_of_it() -> None:
    """As the tests of the verdicts have it."""
    _, rows = table(PAGE, "### Beside OpenSSL")
    faults = [fault for fault in FAULTS if fault.status is not None]
    assert [name for name, *_ in rows] == [fault.name for fault in faults]
    for (name, openssl, status, found), fault in zip(rows, faults, strict=True):
        assert {int(number) for number in re.findall(r"\b\d+\b", openssl)} == fault.numbers, name
        assert fault.status is not None
        assert status == f"`{fault.status.name}`", name
        assert found == ", ".join(f"`{result.name}`" for result in fault.results), name
