"""Stores: the user's folders, any folder, bundles, and what the system trusts."""

from __future__ import annotations

import base64
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent, globalLogPublisher

from tests.certificates.authority import NOON, Entity
from tests.certificates.test_loading import PASSWORD, as_pkcs12
from winsockets import (
    AccessDeniedError,
    Certificate,
    CertificateQuery,
    CertificateStore,
    CertificateStores,
    InvalidArgumentError,
    SocketException,
    StandardCertificateStoreNames,
    UserCertificateStore,
)
from winsockets.certificates import _folder, _stores
from winsockets.errors import ERROR_NOT_FOUND

ROOT = Entity.root("Store Root", end=NOON.replace(year=2100), start=NOON.replace(year=2001))
LONG = {"start": NOON.replace(year=2001), "end": NOON.replace(year=2100)}
HOST = ROOT.server("host.test", **LONG)
OTHER = Entity.root("Other", **LONG)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the user's stores, which is not there yet."""
    folder = tmp_path / "stores"
    monkeypatch.setenv("WINSOCKETS_CERTIFICATES", str(folder))
    return folder


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """What is logged during the test."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def query(**properties: Any) -> CertificateQuery:
    """A query with these properties."""
    made = CertificateQuery()
    for name, value in properties.items():
        setattr(made, name, value)
    return made


def test_the_standard_stores_have_their_names() -> None:
    """Windows's."""
    assert StandardCertificateStoreNames.personal == "MY"
    assert StandardCertificateStoreNames.intermediate_certification_authorities == "CA"
    assert StandardCertificateStoreNames.trusted_root_certification_authorities == "ROOT"
    assert CertificateStores.trusted_root_certification_authorities.name == "ROOT"
    assert CertificateStores.intermediate_certification_authorities.name == "CA"


@pytest_twisted.ensureDeferred
async def test_a_client_certificate_is_found_in_the_users_store(stores: Path) -> None:
    """The story of the samples: by its issuer and its friendly name, with its private key."""
    assert await CertificateStores.find_all_async() == ()
    (stores / "MY").mkdir(parents=True)
    (stores / "MY" / "a.pem").write_bytes(HOST.pem + HOST.key_pem())
    (stores / "MY" / "b.crt").write_bytes(OTHER.pem)
    (stores / "MY" / "c.p12").write_bytes(as_pkcs12(None, friendly_name=b"WebSocketSampleClientCert"))
    wanted = query(
        issuer_name="Intermediate",
        friendly_name="WebSocketSampleClientCert",
        include_expired_certificates=True,
    )
    [found] = await CertificateStores.find_all_async(wanted)
    assert found.subject == "Server"
    assert found.has_private_key
    assert (found.store_name, found.is_per_user) == ("MY", True)
    both = await CertificateStores.find_all_async(query(store_name="my"))
    assert [one.subject for one in both if one.friendly_name != "WebSocketSampleClientCert"] == [
        "Server",
        "Other",
    ]


@pytest_twisted.ensureDeferred
async def test_the_name_of_a_file_stands_in_for_a_friendly_name(tmp_path: Path) -> None:
    """It is what whoever put it there called it."""
    (tmp_path / "My Client.pem").write_bytes(OTHER.pem)
    [found] = await CertificateStore(tmp_path).find_all_async(query(friendly_name="My Client"))
    assert found == OTHER.certificate
    assert (found.store_name, found.is_per_user) == ("", False)


@pytest_twisted.ensureDeferred
async def test_a_folder_is_read_in_the_order_of_its_files_and_the_rest_left_out(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    """One bad file does not hide the others, and the log names it."""
    store = CertificateStore(tmp_path / "folder")
    assert await store.find_all_async() == ()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "2.CER").write_bytes(HOST.der)
    (folder / "1.pem").write_bytes(OTHER.pem)
    (folder / "3.pem").write_bytes(b"damaged")
    (folder / "4.p12").write_bytes(as_pkcs12(PASSWORD))
    (folder / "5.txt").write_bytes(ROOT.pem)
    (folder / "6.pem").mkdir()
    assert list(await store.find_all_async()) == [OTHER.certificate, HOST.certificate]
    warnings = [
        str(event["problem"]) for event in logged if event.get("log_namespace") == "winsockets.certificates"
    ]
    assert len(warnings) == 2
    assert str(folder / "3.pem") in warnings[0]
    assert "no password was given" in warnings[1]


@pytest_twisted.ensureDeferred
async def test_a_bundle_is_a_store_too(tmp_path: Path) -> None:
    """A file with certificates that have nothing to do with each other: roots to trust, for one."""
    bundle = tmp_path / "bundle.pem"
    zero = Entity("Zero", serial=0x7777777777777777, **LONG)
    bundle.write_bytes(ROOT.pem + OTHER.pem + pem_of(zero.der.replace(b"\x77" * 8, bytes(8))) + HOST.pem)
    found = await CertificateStore(bundle).find_all_async()
    assert list(found) == [ROOT.certificate, OTHER.certificate, HOST.certificate]
    bundle.write_bytes(HOST.der)
    assert await CertificateStore(bundle).find_all_async() == (HOST.certificate,)
    bundle.write_bytes(b"words")
    with pytest.raises(InvalidArgumentError, match="not a certificate"):
        await CertificateStore(bundle).find_all_async()
    with pytest.raises(SocketException, match="add a certificate to"):
        CertificateStore(bundle).add(ROOT.certificate)


def pem_of(der: bytes) -> bytes:
    """DER as PEM."""
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@pytest_twisted.ensureDeferred
async def test_a_folder_that_cannot_be_read_fails_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing found and not allowed to look are two things."""

    def deny(self: Path) -> Any:
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(AccessDeniedError, match="check the path, and the rights to it"):
        await CertificateStore(tmp_path).find_all_async()


@pytest_twisted.ensureDeferred
async def test_what_is_added_is_found_until_it_is_deleted(stores: Path) -> None:
    """With its chain and its friendly name, in a file that only the user can read."""
    chain = Certificate.load_pem(HOST.pem + ROOT.pem)
    chain.friendly_name = "  my\nhost -----BEGIN CERTIFICATE-----"
    store = CertificateStores.get_store_by_name("Peers")
    store.add(chain)
    store.add(chain)
    [file] = (stores / "Peers").iterdir()
    assert file.name == f"{HOST.certificate.get_hash_value('SHA256').hex()}.pem"
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [found] = await CertificateStores.find_all_async(query(store_name="Peers"))
    assert found == HOST.certificate
    assert found.intermediates == (ROOT.certificate,)
    assert found.friendly_name == "my host -BEGIN CERTIFICATE-"
    assert found.store_name == "Peers"
    store.delete(HOST.certificate)
    assert list((stores / "Peers").iterdir()) == []
    assert await store.find_all_async() == ()


@pytest_twisted.ensureDeferred
async def test_what_is_added_without_a_name_has_none(stores: Path) -> None:
    """The name of its file is nobody's."""
    store = CertificateStores.get_store_by_name("Peers")
    store.add(OTHER.certificate)
    [found] = await store.find_all_async()
    assert found.friendly_name == ""


def test_private_keys_are_not_written_to_disk(stores: Path) -> None:
    """Adding a certificate with one is refused, so that nobody believes that the key was kept."""
    with_key = Certificate.load_pem(HOST.pem + HOST.key_pem())
    with pytest.raises(InvalidArgumentError, match="private keys are not written to disk"):
        CertificateStores.get_store_by_name("Peers").add(with_key)
    assert not stores.exists()


def test_only_what_was_added_can_be_deleted(stores: Path) -> None:
    """A file that somebody put there may have a private key in it."""
    store = CertificateStores.get_store_by_name("Peers")
    store.add(OTHER.certificate)
    (stores / "Peers" / "host.pem").write_bytes(HOST.pem)
    with pytest.raises(SocketException, match="it was not added to this store") as caught:
        store.delete(HOST.certificate)
    assert caught.value.hresult == ERROR_NOT_FOUND
    assert (stores / "Peers" / "host.pem").exists()


def test_a_store_that_cannot_be_written_says_so(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves nothing half done."""
    store = CertificateStores.get_store_by_name("Peers")

    def fail(source: str, target: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(_folder.os, "replace", fail)
    with pytest.raises(SocketException, match=r"add a certificate to .*Peers") as caught:
        store.add(OTHER.certificate)
    assert caught.value.errno == 28
    assert list((stores / "Peers").iterdir()) == []

    def deny(self: Path) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "unlink", deny)
    with pytest.raises(AccessDeniedError, match="delete a certificate from"):
        store.delete(OTHER.certificate)


@pytest_twisted.ensureDeferred
async def test_the_users_store_is_changed_through_requests(stores: Path) -> None:
    """Nobody is asked; the answer is True or the error."""
    store = CertificateStores.get_user_store_by_name("MY")
    assert isinstance(store, UserCertificateStore)
    assert store.name == "MY"
    assert await store.request_add_async(OTHER.certificate) is True
    assert await CertificateStores.find_all_async() == (OTHER.certificate,)
    assert await store.request_delete_async(OTHER.certificate) is True
    assert await CertificateStores.find_all_async() == ()
    with pytest.raises(SocketException, match="was not added"):
        await store.request_delete_async(OTHER.certificate)
    for request in (store.request_add_async, store.request_delete_async):
        with pytest.raises(TypeError, match="a Certificate is wanted"):
            request(OTHER.der)  # type: ignore[arg-type]


def test_the_systems_stores_cannot_be_changed() -> None:
    """Programs bring their own roots when they build a chain."""
    for name in ("ROOT", "root", "CA"):
        store = CertificateStores.get_store_by_name(name)
        for change in (store.add, store.delete):
            with pytest.raises(AccessDeniedError, match=f"the store {name.upper()}: it is the system's"):
                change(OTHER.certificate)
        with pytest.raises(InvalidArgumentError, match="a store of the system's"):
            CertificateStores.get_user_store_by_name(name)


def test_a_store_takes_certificates_only(stores: Path) -> None:
    """Not their bytes."""
    wrong: Any = OTHER.der
    store = CertificateStores.get_store_by_name("Peers")
    for change in (store.add, store.delete):
        with pytest.raises(TypeError, match="a Certificate is wanted"):
            change(wrong)


def test_the_users_own_store_is_not_had_by_name() -> None:
    """WinRT's rule."""
    with pytest.raises(InvalidArgumentError, match="use get_user_store_by_name"):
        CertificateStores.get_store_by_name("My")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "/etc", ".hidden", "a\x00", "x" * 65, "a\nb", "ä"])
def test_a_name_cannot_lead_out_of_the_folder(name: str) -> None:
    """It is one plain name."""
    for get in (CertificateStores.get_store_by_name, CertificateStores.get_user_store_by_name):
        with pytest.raises(InvalidArgumentError, match="a name has 1 to 64 letters"):
            get(name)


def test_a_name_is_text() -> None:
    """None is not."""
    wrong: Any = None
    with pytest.raises(TypeError, match="the name of a store is a str"):
        CertificateStores.get_store_by_name(wrong)


@pytest_twisted.ensureDeferred
async def test_a_store_answers_queries_for_itself_only(stores: Path) -> None:
    """A query that names another store is a mistake."""
    store = CertificateStores.get_store_by_name("Peers")
    assert await store.find_all_async(query(store_name="peers")) == ()
    with pytest.raises(InvalidArgumentError, match="leave its store_name empty"):
        store.find_all_async(query(store_name="Others"))


@pytest_twisted.ensureDeferred
async def test_the_systems_roots_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, or as the store itself."""
    found = (ROOT.x509, OTHER.x509)
    store = CertificateStore._of_system("ROOT", lambda: found)
    monkeypatch.setattr(CertificateStores, "trusted_root_certification_authorities", store)
    roots = await CertificateStores.find_all_async(query(store_name="ROOT"))
    assert roots == (ROOT.certificate, OTHER.certificate)
    assert {one.store_name for one in roots} == {"ROOT"}
    assert await CertificateStores.trusted_root_certification_authorities.find_all_async() == roots


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "{home}/.local/share/winsockets/certificates"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/winsockets/certificates"),
        ("darwin", {}, "{home}/Library/Application Support/winsockets/certificates"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/winsockets/certificates"),
        ("win32", {}, "{home}/AppData/Local/winsockets/certificates"),
        ("linux", {"WINSOCKETS_CERTIFICATES": "/mine"}, "/mine"),
    ],
)
def test_the_users_stores_are_where_the_system_keeps_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], expected: str
) -> None:
    """Unless the variable says otherwise."""
    for name in ("WINSOCKETS_CERTIFICATES", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(_folder.sys, "platform", platform)
    assert _folder.user_folder() == Path(expected.format(home=tmp_path))


def test_a_store_shows_its_name_and_place(tmp_path: Path) -> None:
    """In logs and at the prompt."""
    assert repr(CertificateStore(tmp_path)) == f"<CertificateStore '': {tmp_path}>"
    assert repr(_stores.CertificateStores.get_store_by_name("CA")) == "<CertificateStore 'CA': of the system>"
