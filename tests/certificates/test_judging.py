"""Every fault that a chain can have, found in real certificates, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from OpenSSL import crypto

from tests.certificates.authority import (
    AUTHORITY,
    CLIENT,
    DAY,
    NOON,
    SERVER,
    Entity,
    alternative_names,
    as_version_1,
    expected_usages,
    key_usage,
    rsa_key,
    signed_with_sha1,
    with_unknown_key,
    with_unknown_signature,
)
from winsockets import ChainValidationResult as Result
from winsockets.certificates import _judging
from winsockets.certificates._judging import find_problems, has_usage, is_for_host
from winsockets.certificates._path import Path

ROOT = Entity.root()
SERVER_USAGE = [SERVER.dotted_string]
POISON = x509.PrecertPoison()
ALIEN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)])


def problems(
    *chain: Entity, trusted: bool = True, at: datetime = NOON, usages: Iterable[str] = ()
) -> set[Result]:
    """What is wrong with these, the first being the certificate and the last the root."""
    return set(find_problems(Path(tuple(one.x509 for one in chain), trusted), at, usages))


def below(*authorities: Entity, **options: Any) -> tuple[Entity, ...]:
    """A server and the authorities above it."""
    return (authorities[0].server("host.test", **options), *authorities)


def test_a_good_chain_has_no_problems() -> None:
    """With an intermediate authority, without, and a trusted certificate by itself."""
    intermediate = ROOT.authority()
    assert problems(*below(ROOT)) == set()
    assert problems(*below(intermediate, ROOT)) == set()
    assert problems(ROOT.server("host.test")) == set()
    assert problems(ROOT) == set()


def test_a_root_that_is_not_trusted_is_untrusted() -> None:
    """Also when it is the certificate itself."""
    assert problems(*below(ROOT), trusted=False) == {Result.UNTRUSTED}
    assert problems(ROOT, trusted=False) == {Result.UNTRUSTED}


def test_a_chain_without_a_root_is_incomplete() -> None:
    """With or without an intermediate authority."""
    assert problems(*below(ROOT.authority()), trusted=False) == {Result.INCOMPLETE_CHAIN}
    assert problems(ROOT.server("host.test"), trusted=False) == {Result.INCOMPLETE_CHAIN}


@pytest.mark.parametrize(
    ("at", "valid"),
    [
        (NOON - DAY, True),
        (NOON - DAY - timedelta(seconds=1), False),
        (NOON + DAY, True),
        (NOON + DAY + timedelta(seconds=1), False),
    ],
)
def test_a_certificate_is_valid_from_its_first_to_its_last_second(at: datetime, valid: bool) -> None:
    """Expired, and not valid yet, have one name in WinRT."""
    assert problems(*below(ROOT), at=at) == (set() if valid else {Result.EXPIRED})


@pytest.mark.parametrize("place", range(3))
def test_everybody_in_a_chain_must_be_valid(place: int) -> None:
    """The server, the intermediate authority, and the root."""
    ends = [NOON + DAY] * 3
    ends[place] = NOON - timedelta(hours=1)
    root = Entity.root(end=ends[2])
    intermediate = root.authority(end=ends[1])
    assert problems(*below(intermediate, root, end=ends[0])) == {Result.EXPIRED}


def test_a_signature_by_another_key_is_invalid() -> None:
    """Who bears the name of an authority, but was not signed by it."""
    intermediate = ROOT.authority()
    forger = Entity.root("Forger")
    assert problems(*below(intermediate, ROOT, signer=forger)) == {Result.INVALID_SIGNATURE}
    forged = ROOT.authority(signer=forger)
    assert problems(*below(forged, ROOT)) == {Result.INVALID_SIGNATURE}


def test_a_damaged_root_that_is_not_trusted_is_found() -> None:
    """A trusted root needs no signature: it is trusted for being what it is."""
    damaged = Entity.root(signer=Entity.root("Forger"))
    assert problems(*below(damaged), trusted=False) == {Result.UNTRUSTED, Result.INVALID_SIGNATURE}
    assert problems(*below(damaged)) == set()


@pytest.mark.parametrize(
    "extensions",
    [[], [(x509.BasicConstraints(ca=False, path_length=None),)], [key_usage(key_cert_sign=True)]],
    ids=["none", "no authority", "only the key usage"],
)
def test_who_is_no_authority_may_not_issue(extensions: list[Any]) -> None:
    """A server's certificate that signs another, for one."""
    intermediate = Entity("Intermediate", ROOT, extensions)
    assert problems(*below(intermediate, ROOT)) == {Result.BASIC_CONSTRAINTS_ERROR}


def test_a_root_from_before_there_were_extensions_is_an_authority() -> None:
    """Of version 1; but an intermediate authority of that version is none, for anybody could have got it."""
    old = Entity("Old")
    server = old.server("host.test").x509
    assert find_problems(Path((server, as_version_1(old)), is_trusted=True), NOON) == set()
    below_root = Entity("Old", ROOT)
    server = below_root.server("host.test").x509
    chain = (server, as_version_1(below_root), ROOT.x509)
    assert Result.BASIC_CONSTRAINTS_ERROR in find_problems(Path(chain, is_trusted=True), NOON)


def test_a_root_that_is_trusted_must_be_an_authority_too() -> None:
    """To be trusted oneself is not to be trusted with others."""
    host = Entity("host.test", None, [alternative_names("host.test")])
    assert problems(*below(host)) == {Result.BASIC_CONSTRAINTS_ERROR}
    assert problems(host) == set()


@pytest.mark.parametrize(("length", "allowed"), [(0, False), (1, True), (2, True)])
def test_authorities_may_stand_only_so_deep_below_each_other(length: int, allowed: bool) -> None:
    """The path length is the number of intermediate authorities below, the server not counted."""
    root = Entity("Root", None, [(x509.BasicConstraints(ca=True, path_length=length),)])
    intermediate = root.authority()
    assert problems(*below(intermediate, root)) == (set() if allowed else {Result.BASIC_CONSTRAINTS_ERROR})


def test_an_authority_that_issued_its_own_next_certificate_does_not_count() -> None:
    """RFC 5280 section 4.2.1.9: self-issued certificates are left out of the path length."""
    root = Entity("Root", None, [(x509.BasicConstraints(ca=True, path_length=1),)])
    lowest = (x509.BasicConstraints(ca=True, path_length=0),)
    old = root.authority("Intermediate", lowest, key_identifiers=True)
    new = old.authority("Intermediate", lowest, key_identifiers=True)
    assert problems(*below(new, old, root)) == set()


def test_an_authority_whose_key_may_not_sign_certificates_has_the_wrong_usage() -> None:
    """It may be an authority for something else, as for revocation lists."""
    lists_only = ROOT.authority("Lists", (AUTHORITY,), (key_usage(crl_sign=True),))
    assert problems(*below(lists_only, ROOT)) == {Result.WRONG_USAGE}
    both = ROOT.authority("Both", (AUTHORITY,), (key_usage(crl_sign=True, key_cert_sign=True),))
    assert problems(*below(both, ROOT)) == set()


@pytest.mark.parametrize(
    ("extensions", "good"),
    [
        ([], True),
        ([expected_usages(SERVER)], True),
        ([expected_usages(CLIENT, SERVER)], True),
        ([expected_usages(x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)], True),
        ([expected_usages(CLIENT)], False),
    ],
)
def test_a_certificate_must_be_for_the_usage(extensions: list[Any], good: bool) -> None:
    """One that says nothing is for everything; and an intermediate authority restricts those below it."""
    expected = set() if good else {Result.WRONG_USAGE}
    assert problems(*below(ROOT, extensions=extensions), usages=SERVER_USAGE) == expected
    restricted = ROOT.authority("Restricted", (AUTHORITY,), *extensions)
    assert problems(*below(restricted, ROOT), usages=SERVER_USAGE) == expected
    assert (
        problems(*below(restricted), usages=SERVER_USAGE, trusted=False) - {Result.INCOMPLETE_CHAIN}
        == expected
    )


def test_a_certificate_must_be_for_all_usages_that_are_asked_for() -> None:
    """One of two is not enough."""
    chain = below(ROOT, extensions=[expected_usages(SERVER)])
    assert problems(*chain, usages=[*SERVER_USAGE, CLIENT.dotted_string]) == {Result.WRONG_USAGE}


def test_a_certificate_that_is_its_own_root_must_be_for_the_usage() -> None:
    """It stands for itself, not for others."""
    alone = Entity("host.test", None, [expected_usages(CLIENT)])
    assert problems(alone, usages=SERVER_USAGE) == {Result.WRONG_USAGE}


def test_a_root_says_nothing_about_usages() -> None:
    """What a trusted root is good for is decided by who trusts it."""
    root = Entity("Root", None, [(AUTHORITY,), expected_usages(CLIENT)])
    assert problems(*below(root), usages=SERVER_USAGE) == set()
    path = Path(tuple(one.x509 for one in below(root)), is_trusted=False)
    assert has_usage(path, SERVER.dotted_string)


@pytest.mark.parametrize("extension", [ALIEN, POISON], ids=["unknown", "of a precertificate"])
def test_a_critical_extension_that_nobody_knows_is_found(extension: Any) -> None:
    """In any certificate of the chain; one that is not critical does not matter."""
    assert problems(*below(ROOT, extensions=[(extension,)])) == {Result.UNKNOWN_CRITICAL_EXTENSION}
    authority = ROOT.authority("Intermediate", (AUTHORITY,), (extension,))
    assert problems(*below(authority, ROOT)) == {Result.UNKNOWN_CRITICAL_EXTENSION}
    assert problems(*below(ROOT, extensions=[ALIEN])) == set()


@pytest.mark.parametrize(
    ("permitted", "excluded", "good"),
    [
        (["host.test"], None, True),
        (["test"], None, True),
        (["other.test"], None, False),
        (None, ["host.test"], False),
        (None, ["other.test"], True),
    ],
)
def test_an_authority_may_be_for_some_names_only(
    permitted: list[str] | None, excluded: list[str] | None, good: bool
) -> None:
    """Name constraints (RFC 5280 section 4.2.1.10)."""

    def trees(names: list[str] | None) -> list[x509.DNSName] | None:
        return names and [x509.DNSName(one) for one in names]

    constraints = x509.NameConstraints(trees(permitted), trees(excluded))
    intermediate = ROOT.authority("Intermediate", (AUTHORITY,), (constraints,))
    assert problems(*below(intermediate, ROOT)) == (set() if good else {Result.INVALID_NAME})


def test_an_authority_may_demand_a_policy() -> None:
    """Policy constraints (RFC 5280 section 4.2.1.11): a certificate without the policy is refused."""
    demand = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    strict = ROOT.authority("Strict", (AUTHORITY,), (demand,), POLICY)
    assert problems(*below(strict, ROOT)) == {Result.INVALID_CERTIFICATE_AUTHORITY_POLICY}
    assert problems(*below(strict, ROOT, extensions=[POLICY])) == set()


@pytest.mark.parametrize(
    "key",
    [lambda: rsa_key(1024), lambda: ec.generate_private_key(ec.SECP192R1())],
    ids=["RSA of 1024 bits", "a curve of 192 bits"],
)
def test_a_weak_key_is_an_error(key: Callable[[], Any]) -> None:
    """Of the server, of an authority, and of the root."""
    assert problems(*below(ROOT, key=key())) == {Result.OTHER_ERRORS}
    assert problems(*below(ROOT.authority(key=key()), ROOT)) == {Result.OTHER_ERRORS}
    assert problems(*below(Entity.root(key=key()))) == {Result.OTHER_ERRORS}


@pytest.mark.parametrize(
    "key",
    [
        lambda: rsa_key(2048),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["RSA of 2048 bits", "a curve of 224 bits", "Ed25519", "a curve of 521 bits"],
)
def test_a_good_key_is_none(key: Callable[[], Any]) -> None:
    """As a server's."""
    assert problems(*below(ROOT, key=key())) == set()


def test_a_key_or_a_signature_of_an_unknown_kind_is_an_error() -> None:
    """Nothing can be said about them."""
    unknown = with_unknown_key(ROOT.x509)
    assert find_problems(Path((unknown,), is_trusted=True), NOON) == {Result.OTHER_ERRORS}
    strange = with_unknown_signature(ROOT.authority().x509)
    assert find_problems(Path((strange, ROOT.x509), is_trusted=True), NOON) == {Result.OTHER_ERRORS}


def test_a_weak_signature_is_an_error() -> None:
    """SHA-1 can be forged; the signature of the last certificate is not looked at, for it is trusted."""
    root = Entity.root(key=rsa_key(2048))
    intermediate = root.authority()
    weak = signed_with_sha1(intermediate.x509, root.key)
    server = intermediate.server("host.test").x509
    assert find_problems(Path((server, weak, root.x509), is_trusted=True), NOON) == {Result.OTHER_ERRORS}
    assert find_problems(Path((server, weak), is_trusted=True), NOON) == set()


def test_openssl_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the checks here find nothing and OpenSSL does, its word counts; also if it gives up."""
    for objection in (Result.OTHER_ERRORS, Result.BASIC_CONSTRAINTS_ERROR, Result.UNTRUSTED):
        monkeypatch.setattr(_judging, "_openssl_problem", lambda path, ignore, found=objection: found)
        assert problems(*below(ROOT)) == {objection}


def test_openssl_without_an_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it cannot take a certificate in."""

    def fail(self: Any, certificate: Any) -> None:
        raise crypto.Error([("x509", "", "out of memory")])

    monkeypatch.setattr(crypto.X509Store, "add_cert", fail)
    assert problems(*below(ROOT)) == {Result.OTHER_ERRORS}


def test_everything_that_is_wrong_is_found_at_once() -> None:
    """Faults do not hide each other."""
    root = Entity.root(end=NOON - timedelta(hours=1))
    bad = root.authority("Bad", (AUTHORITY,), (key_usage(crl_sign=True),), expected_usages(CLIENT))
    chain = below(bad, root, extensions=[(ALIEN,)], key=rsa_key(1024))
    assert problems(*chain, trusted=False, usages=SERVER_USAGE) == {
        Result.UNTRUSTED,
        Result.EXPIRED,
        Result.WRONG_USAGE,
        Result.UNKNOWN_CRITICAL_EXTENSION,
        Result.OTHER_ERRORS,
    }


def test_a_name_constraint_is_found_behind_a_critical_extension() -> None:
    """OpenSSL stops at the extension unless it is told to go on."""
    constraints = x509.NameConstraints([x509.DNSName("other.test")], None)
    intermediate = ROOT.authority("Intermediate", (AUTHORITY,), (constraints,))
    assert problems(*below(intermediate, ROOT, extensions=[(ALIEN,)])) == {
        Result.UNKNOWN_CRITICAL_EXTENSION,
        Result.INVALID_NAME,
    }


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (["host.test"], "host.test", True),
        (["host.test"], "HOST.test", True),
        (["host.test"], "host.test.", True),
        (["host.test"], "www.host.test", False),
        (["*.host.test"], "www.host.test", True),
        (["*.host.test"], "host.test", False),
        (["*.host.test"], "a.www.host.test", False),
        (["*"], "localhost", False),
        (["*.test"], "single", False),
        (["xn--bcher-kva.test"], "xn--bcher-kva.test", True),
        (["host.test", "127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["::1"], "::1", True),
        (["::1"], "0:0:0:0:0:0:0:1", True),
        (["fe80::1"], "fe80::1%eth0", True),
        (["127.0.0.1"], "127.0.0.1.test", False),
        ([], "host.test", False),
        (["host.test"], "not a host", False),
        (["host.test"], "", False),
    ],
)
def test_a_certificate_is_for_its_alternative_names(names: list[str], host: str, expected: bool) -> None:
    """DNS names with wildcards for one label, and addresses; RFC 9525."""
    certificate = Entity("Server", ROOT, [alternative_names(*names)] if names else [])
    assert is_for_host(certificate.x509, host) is expected


def test_the_common_name_does_not_count() -> None:
    """RFC 9525 section 2: it never was meant for hosts."""
    assert not is_for_host(Entity("host.test").x509, "host.test")


@pytest.mark.parametrize("name", ["*.*.test", "a.*.test", "w*.test", "*", "*.test"])
def test_a_malformed_name_is_for_nobody(name: str) -> None:
    """It is not understood in some way or other."""
    certificate = ROOT.server(name)
    for host in ("a.b.test", "b.test", "w1.test", "test", "single"):
        assert is_for_host(certificate.x509, host) is False


@pytest.mark.parametrize(
    "other",
    [
        x509.DNSName("*.test"),
        x509.DNSName("*.*.test"),
        x509.DNSName("192.0.2.1"),
        x509.DNSName("1"),
        x509.UniformResourceIdentifier("urn:host:application"),
        x509.UniformResourceIdentifier("spiffe://host.test:80/a"),
        x509.UniformResourceIdentifier("no-scheme"),
        x509.RFC822Name("somebody@host.test"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), b"\x05\x00"),
    ],
    ids=lambda other: str(other.value),
)
def test_names_that_are_of_no_host_leave_the_others_good(other: x509.GeneralName) -> None:
    """Certificates are for more than hosts, and some have a wildcard that is too wide (RFC 9525)."""
    names = [other, x509.DNSName("host.test"), x509.IPAddress(ip_address("192.0.2.7"))]
    certificate = Entity("Server", ROOT, [(x509.SubjectAlternativeName(names),)]).x509
    assert is_for_host(certificate, "host.test") is True
    assert is_for_host(certificate, "192.0.2.7") is True
    assert is_for_host(certificate, "www.host.test") is False
    # An address has to be there as one: the text of it is no name.
    assert is_for_host(certificate, "192.0.2.1") is False
