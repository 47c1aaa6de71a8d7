"""Ways up from a certificate to a root."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.certificates.authority import Entity
from winsockets import ChainValidationResult as Result
from winsockets.certificates import _path
from winsockets.certificates._path import find_paths, is_self_issued, signature_problem


def paths(start: Entity, others: list[Entity], trusted: list[Entity]) -> list[tuple[list[Any], bool]]:
    """The ways that are found, and whether they end well."""
    found = find_paths(start.x509, [one.x509 for one in others], [one.x509 for one in trusted])
    return [(list(one.certificates), one.is_trusted) for one in found]


def listed(*entities: Entity) -> list[Any]:
    """The certificates of these."""
    return [one.x509 for one in entities]


def test_a_chain_is_put_together_in_whatever_order_its_parts_come() -> None:
    """Peers send them in any order, and some that do not belong there."""
    root = Entity.root()
    upper = root.authority("Upper")
    lower = upper.authority("Lower")
    server = lower.server("host.test")
    parts = [root, upper, lower, Entity.root("Stranger")]
    for _ in range(4):
        random.shuffle(parts)
        assert paths(server, parts, [root]) == [(listed(server, lower, upper, root), True)]


def test_a_trusted_certificate_ends_the_way() -> None:
    """Whether it is a root, an intermediate authority, or the certificate itself."""
    root = Entity.root()
    intermediate = root.authority()
    server = intermediate.server("host.test")
    assert paths(server, [intermediate, root], [intermediate]) == [(listed(server, intermediate), True)]
    assert paths(server, [intermediate, root], [server]) == [(listed(server), True)]
    assert paths(root, [], [root]) == [(listed(root), True)]


def test_a_way_that_leads_nowhere_ends_where_it_does() -> None:
    """At a root that is not trusted, or where the next issuer is missing."""
    root = Entity.root()
    intermediate = root.authority()
    server = intermediate.server("host.test")
    assert paths(server, [intermediate, root], []) == [(listed(server, intermediate, root), False)]
    assert paths(server, [intermediate], []) == [(listed(server, intermediate), False)]
    assert paths(server, [], []) == [(listed(server), False)]


def test_all_ways_through_cross_signed_authorities_are_found() -> None:
    """One authority, certified by an old root and by a new one."""
    old, new = Entity.root("Old"), Entity.root("New")
    by_old = old.authority()
    by_new = Entity("Intermediate", new, [], key=by_old.key)
    server = by_old.server("host.test")
    found = paths(server, [by_old, by_new, old], [new])
    assert (listed(server, by_new, new), True) in found
    assert (listed(server, by_old, old), False) in found
    assert len(found) == 2


def test_an_issuer_of_the_same_name_whose_key_did_not_sign_is_passed_over() -> None:
    """Authorities that were renewed with another key keep their names."""
    root = Entity.root()
    real, other = root.authority(), root.authority()
    server = real.server("host.test")
    assert paths(server, [other, real], [root]) == [(listed(server, real, root), True)]


def test_without_another_the_wrong_issuer_stays_so_that_the_signature_is_found_wrong() -> None:
    """Otherwise a forged certificate would look like one whose issuer is missing."""
    root = Entity.root()
    forged = root.server("host.test", signer=Entity.root("Forger"))
    assert paths(forged, [], [root]) == [(listed(forged, root), True)]
    assert signature_problem(forged.x509, root.x509) is Result.INVALID_SIGNATURE


def test_an_issuer_with_another_key_identifier_is_none() -> None:
    """Then the certificate itself says that somebody else signed it."""
    root = Entity.root(key_identifiers=True)
    namesake = Entity.root(key_identifiers=True)
    server = root.server("host.test", key_identifiers=True)
    assert paths(server, [], [namesake]) == [(listed(server), False)]
    assert paths(server, [], [namesake, root]) == [(listed(server, root), True)]


def test_a_root_with_a_namesake_is_its_own_issuer() -> None:
    """A root that is not trusted does not hang below one that is, for bearing its name."""
    trusted, stranger = Entity.root(), Entity.root()
    assert is_self_issued(stranger.x509)
    assert paths(stranger, [], [trusted]) == [(listed(stranger), False)]


def test_a_circle_of_issuers_ends() -> None:
    """Two authorities that certified each other."""
    one = Entity.root("One")
    two = one.authority("Two")
    one_by_two = Entity("One", two, [], key=one.key)
    found = paths(two, [one_by_two, two], [])
    assert found == [(listed(two, one_by_two), False)]


def test_signatures_of_unknown_kinds_are_an_error() -> None:
    """Names that do not fit together, here: it cannot be said who signed."""
    assert signature_problem(Entity.root("One").x509, Entity.root("Two").x509) is Result.OTHER_ERRORS


@example(3, 40)
@given(st.integers(2, 5), st.integers(2, 4))
def test_the_work_is_bounded_whatever_a_peer_sends(levels: int, width: int) -> None:
    """Authorities in layers, each certified by every one of the next layer: the ways multiply."""
    keys = [Entity.root(f"Layer {level}").key for level in range(levels + 1)]
    tops = [Entity("Layer 0", key=keys[0]) for _ in range(width)]
    everybody = list(tops)
    for level in range(1, levels + 1):
        tops = [
            Entity(f"Layer {level}", issuer, [], key=keys[level]) for issuer in tops[:1] for _ in range(width)
        ]
        everybody += tops
    start = tops[0].server("host.test")
    checked = 0
    real = _path.signature_problem

    def counted(*pair: Any) -> Any:
        nonlocal checked
        checked += 1
        return real(*pair)

    _path.signature_problem = counted
    try:
        found = paths(start, everybody, [])
    finally:
        _path.signature_problem = real
    assert len(found) == _path._MOST_PATHS
    assert checked <= _path._MOST_SIGNATURES


def test_a_way_has_a_longest_length() -> None:
    """Longer chains do not exist, but for making somebody work."""
    above = Entity.root()
    everybody = [above]
    for level in range(_path._LONGEST_PATH + 5):
        above = above.authority(f"Level {level}")
        everybody.append(above)
    [(certificates, trusted)] = paths(above, everybody, everybody[:1])
    assert len(certificates) == _path._LONGEST_PATH
    assert not trusted
