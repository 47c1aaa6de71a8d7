"""Chains: built in a thread, judged for a time, a policy and a name."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import pytest_twisted

from tests.certificates.authority import (
    AUTHORITY,
    CLIENT,
    DAY,
    NOON,
    SERVER,
    Entity,
    expected_usages,
    key_usage,
)
from winsockets import (
    AsyncStatus,
    Certificate,
    CertificateChain,
    CertificateChainPolicy,
    ChainBuildingParameters,
    ChainValidationParameters,
    HostName,
    InvalidArgumentError,
    OperationCanceledError,
    SocketException,
)
from winsockets import ChainValidationResult as Result
from winsockets.certificates import _certificate, _chain
from winsockets.errors import E_NOTIMPL

ROOT = Entity.root()
INTERMEDIATE = ROOT.authority()
SERVER_ENTITY = INTERMEDIATE.server("host.test", "127.0.0.1")


def at_noon(*roots: Entity) -> ChainBuildingParameters:
    """Parameters for the time at which the test's certificates are valid."""
    parameters = ChainBuildingParameters()
    parameters.current_time_validation_enabled = False
    parameters.validation_timestamp = NOON
    parameters.exclusive_trust_roots.extend(one.certificate for one in roots)
    return parameters


def for_host(name: Any = None) -> ChainValidationParameters:
    """Validation of a server's certificate."""
    parameters = ChainValidationParameters()
    parameters.certificate_chain_policy = CertificateChainPolicy.SSL
    parameters.server_dns_name = name
    return parameters


async def chain_of(entity: Entity, *others: Entity, root: Entity = ROOT) -> CertificateChain:
    """The chain of a certificate."""
    return await entity.certificate.build_chain_async([one.certificate for one in others], at_noon(root))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Entity]]:
    """What the system trusts and what it has for completing chains, as a test says."""
    kept: dict[str, list[Entity]] = {"roots": [], "intermediates": []}
    for kind, entities in kept.items():
        monkeypatch.setattr(
            _certificate, f"system_{kind}", lambda own=entities: tuple(one.x509 for one in own)
        )
    return kept


@pytest_twisted.ensureDeferred
async def test_a_good_chain_is_a_success() -> None:
    """Certificate, intermediate authority, root, in this order."""
    chain = await chain_of(SERVER_ENTITY, INTERMEDIATE)
    certificates = [SERVER_ENTITY.certificate, INTERMEDIATE.certificate, ROOT.certificate]
    assert list(chain.get_certificates(True)) == certificates
    assert list(chain.get_certificates(False)) == certificates[:-1]
    assert chain.validate() is Result.SUCCESS
    assert chain.validate_all() == (Result.SUCCESS,)
    assert "SUCCESS" in repr(chain)


@pytest_twisted.ensureDeferred
async def test_the_certificate_itself_stays_the_object_that_it_was() -> None:
    """With its friendly name and its key."""
    certificate = Certificate.load_pem(SERVER_ENTITY.pem + SERVER_ENTITY.key_pem() + INTERMEDIATE.pem)
    chain = await certificate.build_chain_async([], at_noon(ROOT))
    assert chain.get_certificates(True)[0] is certificate
    assert chain.validate() is Result.SUCCESS


@pytest_twisted.ensureDeferred
async def test_a_chain_without_its_root_or_of_one_certificate_is_returned_as_it_is() -> None:
    """There is nothing to leave out."""
    incomplete = await chain_of(SERVER_ENTITY, INTERMEDIATE, root=Entity.root("Other"))
    assert len(incomplete.get_certificates(False)) == len(incomplete.get_certificates(True)) == 2
    single = await chain_of(ROOT)
    assert single.get_certificates(False) == (ROOT.certificate,)
    assert single.validate() is Result.SUCCESS


@pytest_twisted.ensureDeferred
async def test_the_systems_roots_are_trusted_unless_others_are_given(system: dict[str, list[Entity]]) -> None:
    """Those that are given stand instead of them, not beside them."""
    system["roots"].append(ROOT)
    for roots, expected in (([], Result.SUCCESS), ([Entity.root("Own")], Result.UNTRUSTED)):
        parameters = at_noon(*roots)
        others = [INTERMEDIATE.certificate, ROOT.certificate]
        chain = await SERVER_ENTITY.certificate.build_chain_async(others, parameters)
        assert chain.validate() is expected


@pytest_twisted.ensureDeferred
async def test_the_systems_intermediates_complete_a_chain(system: dict[str, list[Entity]]) -> None:
    """As on Windows."""
    assert (await chain_of(SERVER_ENTITY)).validate() is Result.INCOMPLETE_CHAIN
    system["intermediates"].append(INTERMEDIATE)
    assert (await chain_of(SERVER_ENTITY)).validate() is Result.SUCCESS


@pytest_twisted.ensureDeferred
async def test_a_chain_is_judged_for_now_unless_told_otherwise() -> None:
    """A timestamp alone is not enough: it counts when the current time does not."""
    then, now = datetime(2001, 1, 1, tzinfo=UTC), datetime.now(UTC)
    past, present = (Entity.root(start=time - DAY, end=time + DAY) for time in (then, now))

    async def validated(root: Entity, parameters: ChainBuildingParameters) -> Result:
        parameters.exclusive_trust_roots[:] = [root.certificate]
        return (await root.certificate.build_chain_async([], parameters)).validate()

    parameters = ChainBuildingParameters()
    assert await validated(present, parameters) is Result.SUCCESS
    assert await validated(past, parameters) is Result.EXPIRED
    parameters.validation_timestamp = then
    assert await validated(past, parameters) is Result.EXPIRED
    parameters.current_time_validation_enabled = False
    assert await validated(past, parameters) is Result.SUCCESS
    assert await validated(present, parameters) is Result.EXPIRED


@pytest_twisted.ensureDeferred
async def test_usages_that_the_building_asks_for_must_be_there() -> None:
    """All of them."""
    client = ROOT.server("host.test", extensions=[expected_usages(CLIENT)])
    parameters = at_noon(ROOT)
    parameters.enhanced_key_usages.append(CLIENT.dotted_string)
    assert (await client.certificate.build_chain_async([], parameters)).validate() is Result.SUCCESS
    parameters.enhanced_key_usages.append(SERVER.dotted_string)
    assert (await client.certificate.build_chain_async([], parameters)).validate() is Result.WRONG_USAGE


@pytest_twisted.ensureDeferred
async def test_revocation_lists_are_looked_at() -> None:
    """A certificate that is on one is revoked; one that is on none must not be, if that is demanded."""
    parameters = at_noon(ROOT)
    server = ROOT.server("host.test")
    build = server.certificate.build_chain_async
    parameters.revocation_check_enabled = True
    assert (await build([], parameters)).validate() is Result.REVOCATION_INFORMATION_MISSING
    parameters.revocation_lists.append(ROOT.revocation_list())
    assert (await build([], parameters)).validate() is Result.SUCCESS
    parameters.revocation_lists[:] = [ROOT.revocation_list(end=NOON - timedelta(seconds=1))]
    assert (await build([], parameters)).validate() is Result.REVOCATION_FAILURE
    parameters.revocation_check_enabled = False
    parameters.revocation_lists[:] = [ROOT.revocation_list(server)]
    assert (await build([], parameters)).validate() is Result.REVOKED


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, Result.SUCCESS),
        ("host.test", Result.SUCCESS),
        ("HOST.test.", Result.SUCCESS),
        (HostName("host.test"), Result.SUCCESS),
        (HostName("127.0.0.1"), Result.SUCCESS),
        ("127.0.0.1", Result.SUCCESS),
        ("[::1]", Result.INVALID_NAME),
        ("other.test", Result.INVALID_NAME),
        (HostName("other.test"), Result.INVALID_NAME),
        (HostName("bücher.test"), Result.INVALID_NAME),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_must_be_the_one_that_is_meant(host: Any, expected: Result) -> None:
    """With the policy for servers only."""
    chain = await chain_of(SERVER_ENTITY, INTERMEDIATE)
    parameters = for_host(host)
    assert parameters.server_dns_name is host
    assert chain.validate(parameters) is expected
    parameters.certificate_chain_policy = CertificateChainPolicy.BASE
    assert chain.validate(parameters) is Result.SUCCESS


@pytest_twisted.ensureDeferred
async def test_an_international_name_is_given_as_a_host_name() -> None:
    """HostName makes ASCII of it, by the one mapping that the library has."""
    server = ROOT.server("xn--bcher-kva.test")
    chain = await chain_of(server)
    assert chain.validate(for_host(HostName("Bücher.test"))) is Result.SUCCESS
    assert chain.validate(for_host("xn--bcher-kva.test")) is Result.SUCCESS
    with pytest.raises(InvalidArgumentError, match="no host in ASCII; give a HostName"):
        for_host("bücher.test")


@pytest_twisted.ensureDeferred
async def test_a_servers_certificate_must_be_for_servers() -> None:
    """With the policy for servers, whatever its name."""
    chain = await chain_of(ROOT.server("host.test", extensions=[expected_usages(CLIENT)]))
    assert chain.validate() is Result.SUCCESS
    assert chain.validate(for_host("host.test")) is Result.WRONG_USAGE
    assert chain.validate_all(for_host("other.test")) == (Result.INVALID_NAME, Result.WRONG_USAGE)


@pytest_twisted.ensureDeferred
async def test_all_that_is_wrong_is_said_the_worst_first() -> None:
    """`validate` says the first of it, which no program may ignore if there is such."""
    root = Entity.root(end=NOON - timedelta(hours=1))
    bad = root.authority("Bad", (x509_not_authority(),), (key_usage(crl_sign=True),))
    server = bad.server("host.test", extensions=[expected_usages(CLIENT)])
    parameters = at_noon(Entity.root("Other"))
    parameters.revocation_check_enabled = True
    parameters.revocation_lists.append(bad.revocation_list(server))
    others = [bad.certificate, root.certificate]
    chain = await server.certificate.build_chain_async(others, parameters)
    assert chain.validate_all(for_host("other.test")) == (
        Result.REVOKED,
        Result.BASIC_CONSTRAINTS_ERROR,
        Result.UNTRUSTED,
        Result.INVALID_NAME,
        Result.EXPIRED,
        Result.WRONG_USAGE,
        Result.REVOCATION_INFORMATION_MISSING,
    )
    assert chain.validate(for_host("other.test")) is Result.REVOKED


def x509_not_authority() -> Any:
    """Basic constraints of who is no authority."""
    return type(AUTHORITY)(ca=False, path_length=None)


@pytest_twisted.ensureDeferred
async def test_of_several_ways_the_one_with_the_least_wrong_is_taken() -> None:
    """An intermediate authority in two editions, one of them expired."""
    old = ROOT.authority(end=NOON - timedelta(hours=1), key=INTERMEDIATE.key)
    for others in ([old, INTERMEDIATE], [INTERMEDIATE, old]):
        chain = await chain_of(SERVER_ENTITY, *others)
        assert chain.validate() is Result.SUCCESS
    assert (await chain_of(SERVER_ENTITY, old)).validate() is Result.EXPIRED


@pytest_twisted.ensureDeferred
async def test_building_does_not_hold_the_reactor_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in another thread, and with the arguments as they were at the call."""
    threads = []
    real = _chain.build_path

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*args)

    monkeypatch.setattr(_certificate, "build_path", noted)
    parameters = at_noon(ROOT)
    building = SERVER_ENTITY.certificate.build_chain_async([INTERMEDIATE.certificate], parameters)
    assert building.status is AsyncStatus.STARTED
    parameters.exclusive_trust_roots.clear()
    parameters.validation_timestamp = NOON + 10 * DAY
    assert (await building).validate() is Result.SUCCESS
    assert threads[0] is not threading.current_thread()


@pytest_twisted.ensureDeferred
async def test_building_can_be_cancelled() -> None:
    """The operation ends at once."""
    building = SERVER_ENTITY.certificate.build_chain_async([], at_noon(ROOT))
    building.cancel()
    assert building.status is AsyncStatus.CANCELED
    with pytest.raises(OperationCanceledError):
        await building


def test_wrong_arguments_raise_at_the_call() -> None:
    """Before anything runs."""
    certificate = SERVER_ENTITY.certificate
    wrong: Any = [SERVER_ENTITY.der]
    with pytest.raises(TypeError, match="a Certificate is wanted"):
        certificate.build_chain_async(wrong)
    parameters = ChainBuildingParameters()
    parameters.exclusive_trust_roots.extend(wrong)
    with pytest.raises(TypeError, match="a Certificate is wanted"):
        certificate.build_chain_async([], parameters)
    parameters = ChainBuildingParameters()
    parameters.revocation_lists.append(b"no list")
    with pytest.raises(InvalidArgumentError, match="revocation list"):
        certificate.build_chain_async([], parameters)
    for usage, kind in (("serverAuth", InvalidArgumentError), ("1..2", InvalidArgumentError), (5, TypeError)):
        parameters = ChainBuildingParameters()
        parameters.enhanced_key_usages.append(usage)  # type: ignore[arg-type]
        with pytest.raises(kind, match="enhanced_key_usages"):
            certificate.build_chain_async([], parameters)
    parameters = ChainBuildingParameters()
    parameters.current_time_validation_enabled = False
    with pytest.raises(InvalidArgumentError, match="there is no validation_timestamp; set it"):
        certificate.build_chain_async([], parameters)


def test_building_parameters_have_their_defaults() -> None:
    """Time and roots of the system, no network."""
    parameters = ChainBuildingParameters()
    assert parameters.current_time_validation_enabled is True
    assert parameters.validation_timestamp is None
    assert parameters.authority_information_access_enabled is True
    assert parameters.network_retrieval_enabled is False
    assert parameters.revocation_check_enabled is False
    assert parameters.enhanced_key_usages == []
    assert parameters.exclusive_trust_roots == []
    assert parameters.revocation_lists == []


@pytest.mark.parametrize(
    "name",
    [
        "current_time_validation_enabled",
        "authority_information_access_enabled",
        "network_retrieval_enabled",
        "revocation_check_enabled",
    ],
)
def test_flags_are_true_or_false(name: str) -> None:
    """And one of them can only be False: a program that relies on fetching must learn that nothing is."""
    parameters = ChainBuildingParameters()
    setattr(parameters, name, False)
    assert getattr(parameters, name) is False
    with pytest.raises(TypeError, match=f"{name} is True or False"):
        setattr(parameters, name, 1)
    if name == "network_retrieval_enabled":
        with pytest.raises(SocketException, match="nothing is fetched") as caught:
            setattr(parameters, name, True)
        assert caught.value.hresult == E_NOTIMPL
    else:
        setattr(parameters, name, True)
        assert getattr(parameters, name) is True


def test_a_timestamp_knows_its_time_zone() -> None:
    """Otherwise nobody knows when it is."""
    parameters = ChainBuildingParameters()
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    parameters.validation_timestamp = elsewhere
    assert parameters.validation_timestamp == NOON
    with pytest.raises(InvalidArgumentError, match="has no time zone"):
        parameters.validation_timestamp = NOON.replace(tzinfo=None)
    wrong: Any = 5
    with pytest.raises(TypeError, match="is a datetime"):
        parameters.validation_timestamp = wrong
    assert parameters.validation_timestamp == NOON


def test_lists_of_parameters_are_changed_not_replaced() -> None:
    """As in WinRT."""
    for name in ("enhanced_key_usages", "exclusive_trust_roots", "revocation_lists"):
        with pytest.raises(AttributeError):
            setattr(ChainBuildingParameters(), name, [])


def test_policies_are_those_that_make_sense_here() -> None:
    """BASE and SSL; numbers are taken too."""
    parameters = ChainValidationParameters()
    assert parameters.certificate_chain_policy is CertificateChainPolicy.BASE
    parameters.certificate_chain_policy = 1  # type: ignore[assignment]
    assert parameters.certificate_chain_policy is CertificateChainPolicy.SSL
    for policy in (CertificateChainPolicy.NT_AUTHENTICATION, CertificateChainPolicy.MICROSOFT_ROOT):
        with pytest.raises(SocketException, match="use BASE or SSL") as caught:
            parameters.certificate_chain_policy = policy
        assert caught.value.hresult == E_NOTIMPL
    with pytest.raises(InvalidArgumentError, match="no CertificateChainPolicy"):
        parameters.certificate_chain_policy = 17  # type: ignore[assignment]
    assert parameters.certificate_chain_policy is CertificateChainPolicy.SSL


@pytest.mark.parametrize("name", ["", "a b", "*.host.test", "host.test/path", "a\x00b"])
def test_a_name_that_is_no_host_is_refused(name: str) -> None:
    """When it is set, so that the mistake shows where it is made."""
    with pytest.raises(InvalidArgumentError, match="no host in ASCII"):
        ChainValidationParameters().server_dns_name = name


def test_a_name_is_a_host_name_or_text() -> None:
    """And can be taken back."""
    parameters = ChainValidationParameters()
    with pytest.raises(TypeError, match="HostName or a str"):
        parameters.server_dns_name = 5
    parameters.server_dns_name = "host.test"
    parameters.server_dns_name = None
    assert parameters.server_dns_name is None
