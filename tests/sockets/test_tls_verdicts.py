"""For each fault of a server's certificate: what OpenSSL's program says of it, and that we say the same."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.sockets.tls_verdicts import FAULTS, ask_both
from winsockets.certificates import (
    Certificate,
    CertificateChainPolicy,
    ChainBuildingParameters,
    ChainValidationParameters,
    ChainValidationResult,
)
from winsockets.certificates._results import IGNORABLE_RESULTS, result_of_verification_error
from winsockets.errors import SocketErrorStatus
from winsockets.networking import HostName
from winsockets.sockets import SocketSslErrorSeverity

OURS_ALONE = {"has a common name alone"}
"""OpenSSL takes a common name for a host's where there is no alternative name, which RFC 9525 ended."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest_twisted.ensureDeferred
async def test_openssl_and_we_find_the_same_faults(fault, require_program):
    """All of them, not the first alone; and neither goes on with a connection that has one."""
    verdict = await ask_both(require_program("openssl"), fault)
    assert verdict.numbers == fault.numbers, verdict.words
    assert verdict.taken is (not fault.numbers)
    assert verdict.status is fault.status
    assert verdict.results == fault.results
    if fault.name not in OURS_ALONE:
        assert {result_of_verification_error(number) for number in verdict.numbers} == set(fault.results)
    fatal = not IGNORABLE_RESULTS.issuperset(fault.results)
    expected = SocketSslErrorSeverity(2 if fatal else bool(fault.results))
    assert verdict.severity is expected


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest_twisted.ensureDeferred
async def test_a_chain_is_validated_to_the_same_verdict(fault):
    """Without a handshake. Of an authority that is none OpenSSL says so in several ways; that is all."""
    shown = fault.make()
    building = ChainBuildingParameters()
    building.exclusive_trust_roots.extend(Certificate(one.der) for one in shown.trusted)
    building.revocation_lists.extend(shown.lists)
    building.revocation_check_enabled = bool(shown.lists)
    own, *others = (Certificate(one.der) for one in shown.chain)
    chain = await own.build_chain_async(others, building)
    purpose = ChainValidationParameters()
    purpose.certificate_chain_policy = CertificateChainPolicy.SSL
    purpose.server_dns_name = HostName(shown.host)
    found = {result for result in chain.validate_all(purpose) if result}
    doubled = {ChainValidationResult.BASIC_CONSTRAINTS_ERROR, ChainValidationResult.WRONG_USAGE}
    assert found == set(fault.results) or (found < doubled and set(fault.results) == doubled)


def test_every_status_of_a_certificate_is_among_them():
    """From 23 to 30."""
    found = {fault.status for fault in FAULTS} - {None}
    assert found == {status for status in SocketErrorStatus if 23 <= status <= 30}
