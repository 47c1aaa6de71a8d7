"""Revocation lists: whose, in force, about what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.certificates.authority import AUTHORITY, DAY, NOON, Entity, key_usage, with_unknown_key
from winsockets import ChainValidationResult as Result
from winsockets import InvalidArgumentError
from winsockets.certificates._path import Path
from winsockets.certificates._revocation import load_revocation_list, revocation_problems

ROOT = Entity.root()
INTERMEDIATE = ROOT.authority()
HERE = x509.UniformResourceIdentifier("http://lists.test/1")
ELSEWHERE = x509.UniformResourceIdentifier("http://lists.test/2")
SERVER = INTERMEDIATE.server("host.test")
CHAIN = (SERVER, INTERMEDIATE, ROOT)
NOTHING: set[Result] = set()
MISSING = {Result.REVOCATION_INFORMATION_MISSING}
FAILURE = {Result.REVOCATION_FAILURE}
REVOKED = {Result.REVOKED}


def problems(
    *lists: bytes,
    chain: tuple[Entity, ...] = CHAIN,
    trusted: bool = True,
    at: datetime = NOON,
    demanded: bool = True,
) -> set[Result]:
    """What the lists say about a chain."""
    path = Path(tuple(one.x509 for one in chain), trusted)
    return set(revocation_problems(path, list(map(load_revocation_list, lists)), at, demanded))


def scope(**options: Any) -> tuple[x509.IssuingDistributionPoint]:
    """What a list is about."""
    known = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return (x509.IssuingDistributionPoint(**known | options),)


def test_lists_of_all_authorities_that_name_nobody_are_good() -> None:
    """The root is not looked up: nobody is above it."""
    assert problems(ROOT.revocation_list(), INTERMEDIATE.revocation_list()) == NOTHING


@pytest.mark.parametrize(("demanded", "expected"), [(True, MISSING), (False, NOTHING)])
def test_a_missing_list_is_a_problem_only_if_it_is_demanded(demanded: bool, expected: set[Result]) -> None:
    """Of the server's issuer, of the intermediate's, or of both."""
    assert problems(demanded=demanded) == expected
    assert problems(ROOT.revocation_list(), demanded=demanded) == expected
    assert problems(INTERMEDIATE.revocation_list(), demanded=demanded) == expected


def test_a_certificate_without_its_issuer_cannot_be_looked_up() -> None:
    """A chain that is not complete has no key to check a list with."""
    lists = [ROOT.revocation_list(), INTERMEDIATE.revocation_list()]
    assert problems(*lists, chain=CHAIN[:2], trusted=False) == MISSING
    assert problems(*lists, chain=CHAIN[:2], trusted=False, demanded=False) == NOTHING


@pytest.mark.parametrize("demanded", [True, False])
def test_a_certificate_on_the_list_is_revoked(demanded: bool) -> None:
    """The server, or the authority above it."""
    good = ROOT.revocation_list(), INTERMEDIATE.revocation_list()
    assert problems(good[0], INTERMEDIATE.revocation_list(SERVER), demanded=demanded) == REVOKED
    assert problems(ROOT.revocation_list(INTERMEDIATE), good[1], demanded=demanded) == REVOKED


def test_one_list_on_which_it_is_is_enough() -> None:
    """Another list without it, newer or older, does not take it back."""
    lists = INTERMEDIATE.revocation_list(), INTERMEDIATE.revocation_list(SERVER)
    assert problems(*lists, demanded=False) == REVOKED
    assert problems(*reversed(lists), demanded=False) == REVOKED


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON - DAY, NOON - timedelta(seconds=1)),
        (NOON + timedelta(seconds=1), NOON + DAY),
    ],
    ids=["over", "not yet"],
)
def test_a_list_that_is_not_in_force_is_a_failure(start: datetime, end: datetime) -> None:
    """What it says against a certificate is true nevertheless."""
    options: dict[str, Any] = {"start": start, "end": end}
    assert problems(INTERMEDIATE.revocation_list(**options), demanded=False) == FAILURE
    assert problems(INTERMEDIATE.revocation_list(SERVER, **options), demanded=False) == REVOKED | FAILURE


@pytest.mark.parametrize("times", [{"start": NOON}, {"end": NOON}], ids=["first", "last"])
def test_a_list_is_in_force_from_its_first_to_its_last_second(times: dict[str, datetime]) -> None:
    """Both count."""
    assert problems(INTERMEDIATE.revocation_list(**times), demanded=False) == NOTHING


def test_a_list_in_force_makes_up_for_an_old_one() -> None:
    """Folders keep old lists."""
    old = INTERMEDIATE.revocation_list(end=NOON - timedelta(hours=1))
    assert problems(old, INTERMEDIATE.revocation_list(), demanded=False) == NOTHING


def test_a_list_that_its_issuer_did_not_sign_is_a_failure() -> None:
    """Neither does it revoke anything: anybody could write it."""
    forger = Entity.root("Forger")
    assert problems(INTERMEDIATE.revocation_list(signer=forger), demanded=False) == FAILURE
    assert problems(INTERMEDIATE.revocation_list(SERVER, signer=forger), demanded=False) == FAILURE


def test_an_authority_whose_key_may_not_sign_lists_has_none() -> None:
    """Its key usage says so."""
    mute = ROOT.authority("Mute", (AUTHORITY,), (key_usage(key_cert_sign=True),))
    server = mute.server("host.test")
    assert problems(mute.revocation_list(server), chain=(server, mute, ROOT), demanded=False) == FAILURE
    heard = ROOT.authority("Heard", (AUTHORITY,), (key_usage(key_cert_sign=True, crl_sign=True),))
    server = heard.server("host.test")
    assert problems(heard.revocation_list(server), chain=(server, heard, ROOT), demanded=False) == REVOKED


def test_a_list_whose_issuers_key_is_of_an_unknown_kind_is_a_failure() -> None:
    """Nobody can check its signature."""
    path = Path((SERVER.x509, with_unknown_key(INTERMEDIATE.x509)), is_trusted=True)
    lists = [load_revocation_list(INTERMEDIATE.revocation_list(SERVER))]
    assert set(revocation_problems(path, lists, NOON, demanded=False)) == FAILURE


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        (scope(only_contains_user_certs=True), NOTHING),
        (scope(only_contains_ca_certs=True), MISSING),
        (scope(only_contains_attribute_certs=True), MISSING),
        (scope(full_name=[HERE]), NOTHING),
        (scope(full_name=[ELSEWHERE]), MISSING),
        (scope(indirect_crl=True), FAILURE),
        (scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), FAILURE),
        ((x509.DeltaCRLIndicator(1),), FAILURE),
        ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),), FAILURE),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), NOTHING),
    ],
)
def test_a_list_must_be_about_the_certificate_and_complete(extension: Any, expected: set[Result]) -> None:
    """One for authorities says nothing of servers, one part of several nothing of the others (RFC 5280)."""
    point = x509.CRLDistributionPoints([x509.DistributionPoint([HERE], None, None, None)])
    server = ROOT.server("host.test", extensions=[point])
    found = ROOT.revocation_list(extensions=[extension])
    assert problems(found, chain=(server, ROOT)) == expected


def test_a_list_for_authorities_is_about_authorities() -> None:
    """And one for users is not."""
    chain = INTERMEDIATE, ROOT
    of_authorities = ROOT.revocation_list(INTERMEDIATE, extensions=[scope(only_contains_ca_certs=True)])
    of_users = ROOT.revocation_list(INTERMEDIATE, extensions=[scope(only_contains_user_certs=True)])
    assert problems(of_authorities, chain=chain) == REVOKED
    assert problems(of_users, chain=chain) == MISSING


def test_one_part_of_a_list_is_nothing_to_a_certificate_that_names_no_part() -> None:
    """It may be on another."""
    assert problems(ROOT.revocation_list(extensions=[scope(full_name=[HERE])]), chain=CHAIN[1:]) == MISSING


def test_a_list_is_read_from_pem_too() -> None:
    """As authorities offer them."""
    der = ROOT.revocation_list()
    found = load_revocation_list(der)
    pem = found.public_bytes(Encoding.PEM)
    assert load_revocation_list(pem) == found


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"-----BEGIN X509 CRL-----\n" + data))
def test_what_is_no_list_is_refused(data: bytes) -> None:
    """With the library's own error."""
    with pytest.raises(InvalidArgumentError, match="revocation list"):
        load_revocation_list(data)


DAMAGED = INTERMEDIATE.revocation_list(SERVER)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_list_is_refused_or_not_believed(at: int, change: int) -> None:
    """One byte changed, or the end missing; what it may never do is to take the revocation back."""
    at %= len(DAMAGED)
    broken = DAMAGED[:at] + bytes([DAMAGED[at] ^ change]) + DAMAGED[at + 1 :]
    for one in (broken, DAMAGED[:at]):
        try:
            found = problems(one, demanded=True, chain=(SERVER, INTERMEDIATE))
        except InvalidArgumentError:
            continue
        # One byte, the number of unused bits in the signature, is neither signed nor always looked at.
        assert found & {Result.REVOCATION_FAILURE, Result.REVOCATION_INFORMATION_MISSING} or found == REVOKED
