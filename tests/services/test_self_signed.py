"""Throw-away certificates: whom they are for, and where their root is while the service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, formatEvent

from winsockets import HostName
from winsockets.certificates import (
    Certificate,
    CertificateChainPolicy,
    ChainBuildingParameters,
    ChainValidationParameters,
    ChainValidationResult,
)
from winsockets.services._self_signed import SelfSigned, server_names

USUAL = ["localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("addresses", "host_name", "more"),
    [
        (["127.0.0.1", "::1"], "localhost", []),
        (["0.0.0.0", "::"], "host.example.test", ["host.example.test"]),
        (["192.0.2.1"], "host", ["host", "192.0.2.1"]),
        (["fe80::1%eth0"], "", ["fe80::1"]),
        ([], "bücher", ["xn--bcher-kva"]),
        ([], "no host name", []),
        ([], "192.0.2.7", []),
    ],
)
def test_the_names_are_those_of_this_machine(addresses: list[str], host_name: str, more: list[str]) -> None:
    """Each once, in ASCII; no wildcards, no scopes, and nothing that is no name."""
    assert server_names(addresses, host_name) == USUAL + more


def started(service: SelfSigned) -> tuple[str, Path]:
    """Start a service; give what it logs, and the file of its root."""
    with capturedLogs() as events:
        service.startService()
    (event,) = events
    return formatEvent(event), event["path"]


@pytest_twisted.ensureDeferred
async def test_the_certificate_is_good_for_all_names_by_its_root() -> None:
    """And for nothing by anybody else's."""
    service = SelfSigned([*USUAL, "host.test"])
    _, path = started(service)
    trust = ChainBuildingParameters()
    trust.exclusive_trust_roots.append(Certificate.load_file(path))
    chain = await service.certificate.build_chain_async([], trust)
    for name in (*USUAL, "host.test"):
        purpose = ChainValidationParameters()
        purpose.certificate_chain_policy = CertificateChainPolicy.SSL
        purpose.server_dns_name = HostName(name)
        assert chain.validate_all(purpose) == (ChainValidationResult.SUCCESS,)
    service.stopService()
    other: Any = ChainBuildingParameters()
    other.exclusive_trust_roots.append(SelfSigned(USUAL).certificate)
    chain = await service.certificate.build_chain_async([], other)
    assert chain.validate() is not ChainValidationResult.SUCCESS


def test_the_root_is_there_while_the_service_runs() -> None:
    """In a folder that goes with it; the log says where, and the fingerprint."""
    service = SelfSigned(USUAL)
    line, path = started(service)
    assert str(path) in line
    assert service.certificate.get_hash_value("SHA256").hex(":").upper() in line
    assert "for localhost, 127.0.0.1, ::1" in line
    assert path.exists()
    service.stopService()
    assert not path.parent.exists()
    service.stopService()


def test_no_two_are_alike() -> None:
    """Keys and roots are made anew."""
    one, other = SelfSigned(USUAL), SelfSigned(USUAL)
    assert one.certificate != other.certificate
    assert one.certificate.issuer != other.certificate.issuer


def test_a_long_name_is_a_name_too() -> None:
    """A common name has at most 64 characters, a DNS name 253."""
    name = ".".join(["a" * 50] * 4)
    assert SelfSigned([name]).certificate.subject_alternative_name.dns_name == (name,)
