"""Which certificates a query chooses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.certificates.authority import CLIENT, DAY, NOON, SERVER, Entity, expected_usages
from winsockets import Certificate, CertificateQuery, InvalidArgumentError
from winsockets.certificates._query import Wanted

ROOT = Entity.root("www.contoso.com")
HOST = ROOT.server("host.test").certificate
CLIENT_ONLY = Entity("Client", ROOT, [expected_usages(CLIENT)]).certificate
OTHER = Entity.root("Other").certificate
EXPIRED = Entity("Expired", ROOT, end=NOON - timedelta(seconds=1)).certificate
EVERYTHING = [HOST, CLIENT_ONLY, OTHER, EXPIRED]


def chosen(query: CertificateQuery, *certificates: Certificate) -> list[Certificate]:
    """What the query finds at noon."""
    return list(query._frozen().choose(certificates or EVERYTHING, NOON))


def query(**properties: Any) -> CertificateQuery:
    """A query with these properties."""
    made = CertificateQuery()
    for name, value in properties.items():
        setattr(made, name, value)
    return made


def test_an_empty_query_finds_what_has_not_expired() -> None:
    """In the order in which it stands there; up to the last second of its validity."""
    assert chosen(query()) == [HOST, CLIENT_ONLY, OTHER]
    assert chosen(query(include_expired_certificates=True)) == EVERYTHING
    assert Wanted().choose([EXPIRED], EXPIRED.valid_to) == (EXPIRED,)


@pytest.mark.parametrize("name", ["www.contoso.com", "WWW.Contoso.COM"])
def test_the_issuers_name_must_be_the_same(name: str) -> None:
    """In upper or lower case, and all of it."""
    assert chosen(query(issuer_name=name)) == [HOST, CLIENT_ONLY]
    assert chosen(query(issuer_name="contoso")) == []


def test_the_friendly_name_must_be_the_same() -> None:
    """Letter by letter."""
    named = Certificate(OTHER.get_certificate_blob())
    named.friendly_name = "WebSocketSampleClientCert"
    assert chosen(query(friendly_name="WebSocketSampleClientCert"), HOST, named) == [named]
    assert chosen(query(friendly_name="websocketsampleclientcert"), HOST, named) == []


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256"])
def test_the_thumbprint_must_be_the_same(algorithm: str) -> None:
    """Of either kind, told by its length."""
    assert chosen(query(thumbprint=bytearray(HOST.get_hash_value(algorithm)))) == [HOST]
    assert chosen(query(thumbprint=bytes(20))) == []
    assert chosen(query(thumbprint=b"")) == chosen(query())


def test_all_usages_must_be_there_or_none_be_said() -> None:
    """A certificate that says nothing is good for all."""
    wanted = query()
    wanted.enhanced_key_usages.append(CLIENT.dotted_string)
    assert chosen(wanted) == [HOST, CLIENT_ONLY, OTHER]
    wanted.enhanced_key_usages.append(SERVER.dotted_string)
    assert chosen(wanted) == [HOST, OTHER]


def test_nothing_is_in_hardware() -> None:
    """So a query that insists on it finds nothing."""
    assert chosen(query(hardware_only=True)) == []


def test_of_duplicates_the_one_that_is_valid_longest_is_found() -> None:
    """Duplicates have the same subject and issuer; they stand where the first of them stood."""
    renewed = ROOT.server("host.test", end=NOON + 2 * DAY).certificate
    for several in ([HOST, OTHER, renewed], [renewed, OTHER, HOST]):
        assert chosen(query(), *several) == [renewed, OTHER]
        assert chosen(query(include_duplicates=True), *several) == several


@pytest.mark.parametrize("name", ["issuer_name", "friendly_name", "store_name"])
def test_names_are_text(name: str) -> None:
    """None is not."""
    assert getattr(query(), name) == ""
    assert getattr(query(**{name: "x"}), name) == "x"
    with pytest.raises(TypeError, match=f"{name} is a str"):
        query(**{name: None})


@pytest.mark.parametrize("name", ["hardware_only", "include_expired_certificates", "include_duplicates"])
def test_flags_are_true_or_false(name: str) -> None:
    """And False unless set."""
    assert getattr(query(), name) is False
    assert getattr(query(**{name: True}), name) is True
    with pytest.raises(TypeError, match=f"{name} is True or False"):
        query(**{name: "yes"})


def test_a_thumbprint_has_the_length_of_one() -> None:
    """Otherwise somebody has taken something else for it."""
    with pytest.raises(InvalidArgumentError, match="3 bytes are no SHA-1 hash"):
        query(thumbprint=b"abc")
    assert query(thumbprint=bytes(20)).thumbprint == bytes(20)


def test_a_usage_is_an_object_identifier() -> None:
    """Names of usages are refused when the search begins."""
    wanted = query()
    wanted.enhanced_key_usages.append("clientAuth")
    with pytest.raises(InvalidArgumentError, match=r"CertificateQuery\.enhanced_key_usages: 'clientAuth'"):
        wanted._frozen()
