"""Every setting is read back from the system, and seen by another host."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.sockets.crossing import FAMILIES
from tests.sockets.option_rows import ROWS, SETTINGS
from winsockets import sockets

# Not for the system: how we go about it, and TLS
OTHERS = {
    "application_protocols",
    "client_certificate",
    "client_certificate_policy",
    "client_certificate_revocation_lists",
    "exclusive_trust",
    "ignorable_server_certificate_errors",
    "limits",
    "max_connections",
    "min_protection_level",
    "name_servers",
    "require_close_notify",
    "serialize_connection_attempts",
    "server_certificate_revocation_lists",
    "server_certificates",
    "trusted_client_certificates",
    "trusted_server_certificates",
}


# What takes the system a second is tried in one family; the table shows both.
CASES = [
    (name, family)
    for name in ROWS
    for family in FAMILIES
    if family == FAMILIES[0] or "keep_alive" not in name
]


@pytest.mark.parametrize(("name", "family"), CASES)
@pytest_twisted.ensureDeferred
async def test_another_host_sees_what_was_set(name, family):
    """And the system says that it is so."""
    outcome = await ROWS[name](family)
    assert all(outcome)


def test_no_setting_is_left_out():
    """Of none of the controls."""
    kinds = ("DatagramSocketControl", "StreamSocketControl", "StreamSocketListenerControl")
    there = {
        (kind, name) for kind in kinds for name in dir(getattr(sockets, kind)) if not name.startswith("_")
    }
    assert {setting for setting in there if setting[1] not in OTHERS} == SETTINGS
