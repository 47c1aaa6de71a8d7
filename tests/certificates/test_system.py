"""Where the certificates that the system trusts are read from."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from tests.certificates.authority import Entity
from winsockets.certificates import _system
from winsockets.certificates._system import system_intermediates, system_roots

ONE, TWO, THREE = Entity.root("One"), Entity.root("Two"), Entity.root("Three")
FILE, FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A system that is not Windows and has no certificates yet; its file and folder are not there."""
    paths = SimpleNamespace(cafile=None, capath=None, openssl_cafile_env=FILE, openssl_capath_env=FOLDER)
    monkeypatch.delattr(ssl, "enum_certificates", raising=False)
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(_system, "_BUNDLES", ())
    return paths


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """What is logged during the test."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def written(path: Path, *entities: Entity) -> str:
    """A bundle with these certificates."""
    path.write_bytes(b"".join(one.pem for one in entities))
    return str(path)


def roots() -> list[Any]:
    """What is trusted."""
    return list(system_roots())


def test_without_any_there_are_none(place: SimpleNamespace) -> None:
    """Then nothing is trusted: no chain is good."""
    assert roots() == []
    assert system_intermediates() == ()


def test_the_interpreters_file_comes_before_its_folder(place: SimpleNamespace, tmp_path: Path) -> None:
    """And that before the usual places."""
    usual = written(tmp_path / "usual.pem", THREE)
    _system._BUNDLES = (str(tmp_path / "missing.pem"), usual)
    assert roots() == [THREE.x509]
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "12345678.0", TWO)
    place.capath = str(folder)
    assert roots() == [TWO.x509]
    place.cafile = written(tmp_path / "file.pem", ONE, TWO)
    assert roots() == [ONE.x509, TWO.x509]


def test_variables_replace_everything_else(
    place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sets one of them wants to trust what is there and nothing else."""
    place.cafile = written(tmp_path / "file.pem", ONE)
    folder, other = tmp_path / "folder", tmp_path / "other"
    for path, entity in ((folder, TWO), (other, THREE)):
        path.mkdir()
        written(path / "root.pem", entity)
    monkeypatch.setenv(FOLDER, f"{folder}{os.pathsep}{other}")
    assert roots() == [TWO.x509, THREE.x509]
    monkeypatch.setenv(FILE, place.cafile)
    assert roots() == [ONE.x509, TWO.x509, THREE.x509]
    monkeypatch.setenv(FOLDER, "")
    assert roots() == [ONE.x509]
    monkeypatch.setenv(FILE, str(tmp_path / "missing.pem"))
    assert roots() == []


def test_a_file_is_read_again_when_it_has_changed(place: SimpleNamespace, tmp_path: Path) -> None:
    """And only then."""
    place.cafile = written(tmp_path / "file.pem", ONE)
    first = system_roots()
    assert system_roots() is first
    written(tmp_path / "file.pem", ONE, TWO)
    assert roots() == [ONE.x509, TWO.x509]


def test_links_to_one_file_give_its_certificates_once(place: SimpleNamespace, tmp_path: Path) -> None:
    """As OpenSSL's folders have them, by the hashes of their names."""
    written(tmp_path / "root.pem", ONE)
    (tmp_path / "12345678.0").symlink_to(tmp_path / "root.pem")
    (tmp_path / "broken.0").symlink_to(tmp_path / "missing.pem")
    (tmp_path / "folder.0").mkdir()
    place.capath = str(tmp_path)
    assert roots() == [ONE.x509]


def test_what_cannot_be_read_is_logged_and_left_out(
    place: SimpleNamespace, tmp_path: Path, logged: list[LogEvent]
) -> None:
    """One certificate of a bundle, a bundle, a folder."""
    bad = ONE.pem.replace(b"MII", b"MIH", 1)
    (tmp_path / "file.pem").write_bytes(bad + TWO.pem)
    place.cafile = str(tmp_path / "file.pem")
    assert roots() == [TWO.x509]
    (tmp_path / "file.pem").write_bytes(b"no certificates")
    assert roots() == []
    place.cafile, place.capath = None, str(tmp_path / "missing")
    assert roots() == []
    namespaces = [event["log_namespace"] for event in logged]
    assert namespaces.count("winsockets.certificates") == 3


def test_windows_has_its_stores(place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trusted for something else than servers is left out, and so is what is no certificate."""
    stores = {
        "ROOT": [
            (ONE.der, "x509_asn", True),
            (TWO.der, "x509_asn", {"1.3.6.1.5.5.7.3.1"}),
            (THREE.der, "x509_asn", {"1.3.6.1.5.5.7.3.4"}),
            (b"pkcs7", "pkcs_7_asn", True),
            (b"damaged", "x509_asn", True),
        ],
        "CA": [(THREE.der, "x509_asn", True)],
    }
    monkeypatch.setattr(ssl, "enum_certificates", stores.get, raising=False)
    assert roots() == [ONE.x509, TWO.x509]
    assert system_intermediates() == (THREE.x509,)


def test_this_systems_own_roots_can_be_read() -> None:
    """Whatever there are; each is one that a chain can end at."""
    for root in system_roots():
        assert root.serial_number > 0
