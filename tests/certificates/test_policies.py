"""Policies: demanded, inherited, renamed, forbidden (RFC 5280 section 6.1)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.certificates.authority import AUTHORITY, NOON, Entity, alternative_names
from winsockets.certificates._encodings import object_id_pairs
from winsockets.certificates._policies import has_demanded_policy

ANY = "2.5.29.32.0"
ONE, TWO = "1.2.3.1", "1.2.3.200000"


SELF_ISSUED = object()
"""Stands among extensions for having the issuer's name, as authorities do that change their key."""


def policies(*numbers: str) -> x509.CertificatePolicies:
    """The policies that a certificate is issued under."""
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in numbers]
    )


def demand(after: int) -> tuple[x509.PolicyConstraints]:
    """There must be a policy from so many certificates further down on."""
    return (x509.PolicyConstraints(require_explicit_policy=after, inhibit_policy_mapping=None),)


def element(tag: int, *parts: bytes) -> bytes:
    """A short DER element."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def object_id(dotted: str) -> bytes:
    """An object identifier in DER."""
    first, second, *others = map(int, dotted.split("."))
    content = b""
    for number in (40 * first + second, *others):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        content += bytes(reversed(digits))
    return element(0x06, content)


def mappings(*pairs: tuple[str, str]) -> tuple[x509.UnrecognizedExtension]:
    """The names that the authority below has for policies of this one's."""
    value = element(0x30, *(element(0x30, object_id(one), object_id(other)) for one, other in pairs))
    return (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value),)


def chain(*extensions: Sequence[Any]) -> list[Entity]:
    """A certificate and its authorities, by their extensions from the uppermost below the root downwards."""
    above = Entity.root(key_identifiers=True)
    made = [above]
    for depth, own in enumerate(extensions):
        last = depth == len(extensions) - 1
        common: list[Any] = [alternative_names("host.test")] if last else [(AUTHORITY,)]
        subject = above.x509.subject if SELF_ISSUED in own else None
        common += [one for one in own if one is not SELF_ISSUED]
        above = Entity(f"Number {depth}", above, common, subject=subject, key_identifiers=True)
        made.insert(0, above)
    return made


def accepted(*extensions: Sequence[Any]) -> bool:
    """Whether such a chain has the policy that it must have."""
    return has_demanded_policy([one.x509 for one in chain(*extensions)])


CASES: list[tuple[str, list[list[Any]], bool]] = [
    ("no policies and no demand", [[], []], True),
    ("a demand and no policy", [[demand(0)], []], False),
    ("the authority alone has it", [[demand(0), policies(ONE)], []], False),
    ("the certificate alone has it", [[demand(0)], [policies(ONE)]], False),
    ("both have it", [[demand(0), policies(ONE)], [policies(ONE)]], True),
    ("each has another", [[demand(0), policies(ONE)], [policies(TWO)]], False),
    ("one of several is left", [[demand(0), policies(ONE, TWO)], [policies(TWO)]], True),
    ("the authority is for any", [[demand(0), policies(ANY)], [policies(TWO)]], True),
    ("both are for any", [[demand(0), policies(ANY)], [policies(ANY)]], True),
    ("the certificate is for any", [[demand(0), policies(ONE)], [policies(ANY)]], True),
    ("demanded further down than there is", [[demand(2)], []], True),
    ("demanded where the chain ends", [[demand(1)], []], False),
    ("demanded by the certificate itself", [[], [demand(0)]], False),
    ("any is forbidden", [[demand(0), policies(ONE), (x509.InhibitAnyPolicy(0),)], [policies(ANY)]], False),
    (
        "any is forbidden later",
        [[demand(0), policies(ONE), (x509.InhibitAnyPolicy(1),)], [policies(ANY)]],
        True,
    ),
    ("renamed", [[demand(0), policies(ONE), mappings((ONE, TWO))], [policies(TWO)]], True),
    ("renamed, and the old name", [[demand(0), policies(ONE), mappings((ONE, TWO))], [policies(ONE)]], False),
    ("renamed from any", [[demand(0), policies(ANY), mappings((ONE, TWO))], [policies(TWO)]], True),
    ("any is renamed", [[demand(0), policies(ONE), mappings((ANY, TWO))], [policies(TWO)]], False),
    (
        "names of the certificate's own",
        [[demand(0), policies(ONE)], [policies(ONE), mappings((ANY, TWO))]],
        True,
    ),
    (
        "what may not be renamed is lost",
        [
            [(x509.PolicyConstraints(0, 0),), policies(ONE)],
            [policies(ONE), mappings((ONE, TWO))],
            [policies(ONE)],
        ],
        False,
    ),
    ("counted down", [[demand(1)], [policies(ONE)], []], False),
    ("not counted down by an authority's own next certificate", [[SELF_ISSUED, demand(1)], []], False),
    ("its own next certificate does not count", [[demand(2)], [SELF_ISSUED], []], True),
    ("another does", [[demand(2)], [], []], False),
    (
        "any in its own next certificate",
        [
            [demand(0), policies(ONE), (x509.InhibitAnyPolicy(0),)],
            [SELF_ISSUED, policies(ANY)],
            [policies(ONE)],
        ],
        True,
    ),
    (
        "any in another",
        [[demand(0), policies(ONE), (x509.InhibitAnyPolicy(0),)], [policies(ANY)], [policies(ONE)]],
        False,
    ),
    (
        "renaming is forbidden",
        [
            [(x509.PolicyConstraints(0, 0),), policies(ONE)],
            [policies(ONE), mappings((ONE, TWO))],
            [policies(TWO)],
        ],
        False,
    ),
]


@pytest.mark.parametrize(
    ("extensions", "good"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_policy_that_is_demanded_must_be_valid_all_the_way(extensions: list[list[Any]], good: bool) -> None:
    """Each rule on its own."""
    assert accepted(*extensions) is good


def test_a_malformed_mapping_is_no_policy() -> None:
    """What cannot be read cannot make a chain good."""
    broken = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), b"\x30\x02\x30\x09"),)
    assert not accepted([demand(0), policies(ONE), broken], [policies(ONE)])


def test_a_certificate_by_itself_needs_no_policy() -> None:
    """A trusted root says nothing about policies."""
    assert has_demanded_policy([Entity("Root", None, [(AUTHORITY,), demand(0)]).x509])


NAMES = st.sampled_from([ONE, TWO, ANY])
PAIRS = st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from([ONE, TWO])), min_size=1, max_size=2)
STEPS = st.lists(
    st.tuples(
        st.lists(NAMES, unique=True, max_size=2),
        st.none() | st.integers(0, 2),
        st.none() | st.integers(0, 2),
        st.none() | st.integers(0, 2),
        st.none() | PAIRS,
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_openssl_agrees(
    require_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    """OpenSSL's command, which can be told that any policy will do."""
    openssl = require_program("openssl")
    extensions: list[list[Any]] = []
    for numbers, explicit, no_mapping, no_any, renamed, self_issued in steps:
        own: list[Any] = [policies(*numbers)] if numbers else []
        # OpenSSL does not count a last certificate that has its issuer's name, RFC 5280 section 6.1.5 does.
        if self_issued and len(extensions) < len(steps) - 1:
            own.append(SELF_ISSUED)
        if explicit is not None or no_mapping is not None:
            own.append((x509.PolicyConstraints(explicit, no_mapping),))
        if no_any is not None:
            own.append((x509.InhibitAnyPolicy(no_any),))
        if renamed is not None and len(extensions) < len(steps) - 1:
            own.append(mappings(*dict.fromkeys(renamed)))
        extensions.append(own)
    entities = chain(*extensions)
    folder = tmp_path_factory.mktemp("chain")
    certificate, root = folder / "certificate.pem", folder / "root.pem"
    certificate.write_bytes(entities[0].pem)
    root.write_bytes(entities[-1].pem)
    between = folder / "between.pem"
    between.write_bytes(b"".join(one.pem for one in entities[1:-1]) or entities[-1].pem)
    command = [openssl, "verify", "-policy_check", "-policy", ANY, "-attime", str(int(NOON.timestamp()))]
    command += ["-CAfile", str(root), "-untrusted", str(between), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert has_demanded_policy([one.x509 for one in entities]) is (done.returncode == 0), done.stderr


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=1, max_size=4), min_size=2, max_size=8))
def test_pairs_of_object_identifiers_are_read_as_they_were_written(numbers: list[list[int]]) -> None:
    """Any numbers, small and large."""
    names = [".".join(map(str, (1, 2, *one))) for one in numbers]
    pairs = list(pairwise(names))
    value = mappings(*pairs)[0].value
    if len(value) - 2 < 128 and all(len(object_id(one)) * 2 < 128 for one in names):
        assert object_id_pairs(value) == pairs


@pytest.mark.parametrize(
    "data",
    [
        element(0x31),
        element(0x30) + b"\x00",
        element(0x30, element(0x30, object_id(ONE), object_id(TWO), b"\x05\x00")),
        element(0x30, element(0x30, object_id(ONE), b"\x05\x00")),
        element(0x30, element(0x31, object_id(ONE), object_id(TWO))),
        element(0x30, element(0x30, object_id(ONE), b"\x06\x00")),
        element(0x30, element(0x30, object_id(ONE), b"\x06\x01\x80")),
        b"\x30\x0a" + element(0x30, object_id(ONE), object_id(TWO)),
        b"\x30",
        b"",
    ],
)
def test_anything_but_pairs_of_object_identifiers_is_refused(data: bytes) -> None:
    """More or less than two, of other kinds, or more than was announced."""
    with pytest.raises(ValueError):  # noqa: PT011  # of whatever words
        object_id_pairs(data)


@given(st.binary(max_size=40))
def test_other_bytes_are_no_pairs_of_object_identifiers(data: bytes) -> None:
    """They give pairs or ValueError, nothing else."""
    try:
        pairs = object_id_pairs(data)
    except ValueError:
        return
    assert all(len(pair) == 2 for pair in pairs)
