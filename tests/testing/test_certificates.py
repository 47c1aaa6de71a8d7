"""Throw-away certificates are what they are asked to be."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from winsockets import (
    Certificate,
    CertificateChainPolicy,
    ChainBuildingParameters,
    ChainValidationParameters,
    InvalidArgumentError,
)
from winsockets import ChainValidationResult as Result
from winsockets.testing import CertificateAuthority, certificate_pem


async def validate(
    certificate: Certificate, root: CertificateAuthority, host: str | None = None, *lists: bytes
) -> tuple[Result, ...]:
    """What is wrong with a certificate for whoever trusts this authority, and wants its lists if any are."""
    building = ChainBuildingParameters()
    building.exclusive_trust_roots.append(root.certificate)
    building.revocation_lists.extend(lists)
    building.revocation_check_enabled = bool(lists)
    chain = await certificate.build_chain_async([], building)
    parameters = ChainValidationParameters()
    if host is not None:
        parameters.certificate_chain_policy = CertificateChainPolicy.SSL
        parameters.server_dns_name = host
    return chain.validate_all(parameters)


@pytest_twisted.ensureDeferred
async def test_a_servers_certificate_is_good_for_its_names() -> None:
    """For whoever trusts the authority, and nobody else; it has its key."""
    authority = CertificateAuthority()
    server = authority.issue_server("host.test", "*.wild.test", "127.0.0.1", "::1")
    assert server.has_private_key
    for name in ("host.test", "www.wild.test", "127.0.0.1", "::1"):
        assert await validate(server, authority, name) == (Result.SUCCESS,)
    assert await validate(server, authority, "other.test") == (Result.INVALID_NAME,)
    assert await validate(server, CertificateAuthority()) == (Result.INCOMPLETE_CHAIN,)


@pytest_twisted.ensureDeferred
async def test_a_clients_certificate_has_its_name() -> None:
    """And is good for clients."""
    authority = CertificateAuthority()
    client = authority.issue_client("somebody@example.test")
    assert client.subject == "somebody@example.test"
    assert client.subject_alternative_name.email_name == ("somebody@example.test",)
    assert "1.3.6.1.5.5.7.3.2" in client.enhanced_key_usages
    assert client.has_private_key
    assert await validate(client, authority) == (Result.SUCCESS,)


@pytest_twisted.ensureDeferred
async def test_an_intermediate_authoritys_certificates_bring_it_along() -> None:
    """So that whoever trusts the root needs nothing else."""
    authority = CertificateAuthority()
    intermediate = authority.create_intermediate().create_intermediate()
    server = intermediate.issue_server("host.test")
    assert len(server.intermediates) == 2
    assert server.intermediates[0] == intermediate.certificate
    assert await validate(server, authority, "host.test") == (Result.SUCCESS,)


@pytest_twisted.ensureDeferred
async def test_an_expired_certificate_has_expired() -> None:
    """And nothing else is wrong with it."""
    authority = CertificateAuthority()
    assert await validate(authority.issue_expired("host.test"), authority, "host.test") == (Result.EXPIRED,)


@pytest_twisted.ensureDeferred
async def test_a_certificate_is_valid_when_the_test_says() -> None:
    """In whatever time zone it says so."""
    authority = CertificateAuthority()
    start, end = datetime(2100, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC).astimezone()
    for certificate in (
        authority.issue_server("host.test", start=start, end=end),
        authority.issue_client("somebody@example.test", start=start, end=end),
    ):
        assert (certificate.valid_from, certificate.valid_to) == (start, end)
        assert await validate(certificate, authority) == (Result.EXPIRED,)


@pytest_twisted.ensureDeferred
async def test_a_revocation_list_revokes_whom_it_names() -> None:
    """Each authority has its own."""
    authority = CertificateAuthority()
    intermediate = authority.create_intermediate()
    good, bad = intermediate.issue_server("good.test"), intermediate.issue_server("bad.test")
    lists = authority.revocation_list(), intermediate.revocation_list(bad)
    assert await validate(good, authority, None, *lists) == (Result.SUCCESS,)
    assert await validate(bad, authority, None, *lists) == (Result.REVOKED,)
    assert await validate(good, authority, None, lists[0]) == (Result.REVOCATION_INFORMATION_MISSING,)
    old = intermediate.revocation_list(end=datetime(2001, 1, 1, tzinfo=UTC))
    assert await validate(good, authority, None, lists[0], old) == (Result.REVOCATION_FAILURE,)


def test_a_certificate_without_names_is_refused() -> None:
    """It would be for nobody."""
    with pytest.raises(ValueError, match="at least one identity"):
        CertificateAuthority().issue_server()


def test_a_certificate_can_be_written_to_a_file(tmp_path: Path) -> None:
    """With everything that belongs to it, for programs that read one."""
    server = CertificateAuthority().create_intermediate().issue_server("host.test")
    path = tmp_path / "server.pem"
    path.write_bytes(certificate_pem(server))
    found = Certificate.load_file(path)
    assert found == server
    assert found.intermediates == server.intermediates
    assert found.has_private_key
    path.write_bytes(certificate_pem(server, "secret"))
    assert Certificate.load_file(path, "secret").has_private_key
    with pytest.raises(InvalidArgumentError, match="no password was given"):
        Certificate.load_file(path)
    path.write_bytes(certificate_pem(CertificateAuthority().certificate))
    assert not Certificate.load_file(path).has_private_key


def test_without_trustme_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, which only tests need."""
    missing: Any = None
    monkeypatch.setitem(sys.modules, "trustme", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install winsockets\[testing\]") as caught:
        CertificateAuthority()
    assert caught.value.name == "trustme"
