"""Whether a path has a policy, where an authority demands one (RFC 5280 section 6.1, RFC 9618).

pyOpenSSL cannot tell OpenSSL that any policy will do, and without that OpenSSL refuses every path for which a
policy is demanded. Asked for is any policy, so only whether one is left at the end counts: for each
certificate there is a map from the policies that are valid there to what the next one may call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import CertificatePoliciesOID, ExtensionOID

from winsockets.certificates._encodings import object_id_pairs

__all__ = ["has_demanded_policy"]

_ANY = CertificatePoliciesOID.ANY_POLICY.dotted_string

_Valid = dict[str, set[str]]


@dataclass
class _State:
    """Where the walk down from the root is.

    Attributes:
        valid: the valid policies, each with what it may be called below; none left means that there is none.
        explicit: certificates until there must be one.
        mapping: certificates until no policy may be given another name.
        inhibit_any: certificates until "any policy" is no policy.
    """

    explicit: int
    mapping: int
    inhibit_any: int
    valid: _Valid = field(default_factory=lambda: {_ANY: {_ANY}})

    def count_down(self) -> None:
        self.explicit = max(self.explicit - 1, 0)
        self.mapping = max(self.mapping - 1, 0)
        self.inhibit_any = max(self.inhibit_any - 1, 0)


def has_demanded_policy(path: Sequence[x509.Certificate]) -> bool:
    """Tell whether a path has a policy that is valid all the way, or none is demanded.

    Args:
        path: the certificate first and the root, which is left out, last.
    """
    below_root = path[-2::-1]
    never = len(below_root) + 1
    state = _State(never, never, never)
    for certificate in below_root:
        is_last = certificate is path[0]
        self_issued = certificate.subject == certificate.issuer
        any_counts = state.inhibit_any > 0 or (self_issued and not is_last)
        state.valid = _step_down(state.valid, _policies(certificate), any_counts)
        if not state.explicit and not state.valid:
            return False
        if not is_last:
            try:
                _rename(state, certificate)
            except ValueError:  # malformed, or a name for "any policy"
                return False
        if is_last or not self_issued:
            state.count_down()
        _restrict(state, certificate)
    return state.explicit > 0 or bool(state.valid)


def _policies(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return set()
    return {one.policy_identifier.dotted_string for one in found}


def _step_down(above: _Valid, policies: set[str], any_counts: bool) -> _Valid:
    """Keep of a certificate's policies what its issuer has, under the issuer's names for them."""
    expected = {name for names in above.values() for name in names}
    valid = {one: {one} for one in policies - {_ANY} if one in expected or _ANY in above}
    if _ANY in policies and any_counts:
        for name in expected:
            valid.setdefault(name, {name})
    return valid


def _rename(state: _State, certificate: x509.Certificate) -> None:
    """Follow the policy mappings.

    Raises:
        ValueError: they are malformed, or name "any policy".
    """
    try:
        value = certificate.extensions.get_extension_for_oid(ExtensionOID.POLICY_MAPPINGS).value
    except x509.ExtensionNotFound:
        return
    names: _Valid = {}
    for own, other in object_id_pairs(value.public_bytes()):
        names.setdefault(own, set()).add(other)
        if _ANY in (own, other):
            raise ValueError("a mapping of any policy")
    for own, others in names.items():
        if not state.mapping:
            state.valid.pop(own, None)
        elif own in state.valid or _ANY in state.valid:
            state.valid[own] = others


def _restrict(state: _State, certificate: x509.Certificate) -> None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.PolicyConstraints).value
    except x509.ExtensionNotFound:
        pass
    else:
        if found.require_explicit_policy is not None:
            state.explicit = min(state.explicit, found.require_explicit_policy)
        if found.inhibit_policy_mapping is not None:
            state.mapping = min(state.mapping, found.inhibit_policy_mapping)
    try:
        skip = certificate.extensions.get_extension_for_class(x509.InhibitAnyPolicy).value.skip_certs
    except x509.ExtensionNotFound:
        return
    state.inhibit_any = min(state.inhibit_any, skip)
