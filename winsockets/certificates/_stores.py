"""Stores of certificates: the user's, the system's, and any folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, final

from cryptography import x509

from winsockets.certificates._certificate import Certificate
from winsockets.certificates._folder import add_file, delete_file, read_place, user_folder
from winsockets.certificates._loading import Contents
from winsockets.certificates._query import CertificateQuery, Wanted
from winsockets.certificates._system import system_intermediates, system_roots
from winsockets.certificates._threads import in_thread
from winsockets.errors import AccessDeniedError, InvalidArgumentError
from winsockets.foundation import AsyncOperation

__all__ = ["CertificateStore", "CertificateStores", "StandardCertificateStoreNames", "UserCertificateStore"]

_STORE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z _.-]{0,63}")


@final
class StandardCertificateStoreNames:
    """The names of the stores that there always are.

    Attributes:
        personal: the user's own certificates, "MY".
        intermediate_certification_authorities: certificates that complete chains, "CA".
        trusted_root_certification_authorities: certificates that chains may end at, "ROOT".

    Source: WinRT StandardCertificateStoreNames.
    """

    personal: ClassVar[str] = "MY"
    intermediate_certification_authorities: ClassVar[str] = "CA"
    trusted_root_certification_authorities: ClassVar[str] = "ROOT"


_MY, _CA, _ROOT = (
    StandardCertificateStoreNames.personal,
    StandardCertificateStoreNames.intermediate_certification_authorities,
    StandardCertificateStoreNames.trusted_root_certification_authorities,
)


@final
class CertificateStore:
    """The certificates in the files of a folder, or in one file, or those that the system has.

    A store reads its files anew each time. In a folder these are the files that end in .pem, .crt, .cer,
    .der, .p7b, .p12 and .pfx, with one certificate each, its chain and its private key. What cannot be read,
    or needs a password, is logged and left out.

    Args:
        path: a folder, which need not exist yet, or a file with any number of certificates in PEM. (An
            addition: WinRT's stores come from CertificateStores only.)

    Source: WinRT CertificateStore.
    """

    __slots__ = ("_name", "_place", "_read")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = ""
        self._place: Path | None = Path(path)
        self._read: Callable[[], Sequence[Certificate]] = partial(read_place, self._place, "", False)

    @classmethod
    def _of_user(cls, name: str) -> CertificateStore:
        """Make the store of this name in the user's folder."""
        if not _STORE_NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"store {name!r}: a name has 1 to 64 letters, digits, blanks, and _ . - after the first"
            )
        folder = user_folder() / name
        self = cls(folder)
        self._name = name
        self._read = partial(read_place, folder, name, True)
        return self

    @classmethod
    def _of_system(cls, name: str, read: Callable[[], Sequence[x509.Certificate]]) -> CertificateStore:
        """Make a store that cannot be changed."""

        def read_all() -> list[Certificate]:
            return [Certificate._of(Contents(one), f"the store {name}", name) for one in read()]

        self = cls.__new__(cls)
        self._name = name
        self._place = None
        self._read = read_all
        return self

    @property
    def name(self) -> str:
        """The name of the store; "" if it was made from a path."""
        return self._name

    def find_all_async(
        self, query: CertificateQuery | None = None, /
    ) -> AsyncOperation[tuple[Certificate, ...]]:
        """Find certificates in this store (an addition to WinRT); see `CertificateStores.find_all_async`.

        Raises:
            InvalidArgumentError: the query names another store.
        """
        wanted = Wanted() if query is None else query._frozen()
        if wanted.store_name and wanted.store_name.upper() != self._name.upper():
            raise InvalidArgumentError(
                f"the query is for the store {wanted.store_name!r} and this is {self._name!r}; "
                "leave its store_name empty"
            )
        read = self._read
        return in_thread(lambda: wanted.choose(read(), datetime.now(UTC)))

    def add(self, certificate: Certificate, /) -> None:
        """Write a certificate and its chain to a file in the store's folder, which is made if need be.

        It is a short write in the calling thread. A certificate that is there already is replaced.

        Raises:
            InvalidArgumentError: it has a private key: these are not written to disk.
            AccessDeniedError: the store is the system's.
            SocketException: the file cannot be written.
            TypeError: it is no Certificate.

        Source: WinRT CertificateStore.Add.
        """
        add_file(self._folder("add to"), _checked(certificate))

    def delete(self, certificate: Certificate, /) -> None:
        """Remove a certificate that was added; files that came otherwise stay.

        Raises:
            AccessDeniedError: the store is the system's.
            SocketException: ERROR_NOT_FOUND, it was not added to this store; or its file cannot be removed.
            TypeError: it is no Certificate.

        Source: WinRT CertificateStore.Delete.
        """
        delete_file(self._folder("delete from"), _checked(certificate))

    def _folder(self, action: str) -> Path:
        if self._place is None:
            raise AccessDeniedError(
                f"{action} the store {self._name}: it is the system's; use the system's own means, or give "
                "exclusive_trust_roots when building a chain"
            )
        return self._place

    def __repr__(self) -> str:
        """Show its name and where it is."""
        return f"<CertificateStore {self._name!r}: {self._place or 'of the system'}>"


def _checked(certificate: Certificate) -> Certificate:
    if not isinstance(certificate, Certificate):
        raise TypeError(f"a Certificate is wanted, not {certificate!r}")
    return certificate


@final
class UserCertificateStore:
    """A store of the user's. CertificateStores.get_user_store_by_name gives it.

    Windows asks its user before it changes such a store; here nobody is asked.

    Source: WinRT UserCertificateStore.
    """

    __slots__ = ("_store",)

    def __init__(self, store: CertificateStore) -> None:
        self._store = store

    @property
    def name(self) -> str:
        """The name of the store."""
        return self._store.name

    def request_add_async(self, certificate: Certificate, /) -> AsyncOperation[bool]:
        """Add a certificate as `CertificateStore.add` does, in a thread of the reactor's pool.

        Returns:
            An operation that yields True, or fails with what `CertificateStore.add` raises.

        Raises:
            TypeError: it is no Certificate.

        Source: WinRT UserCertificateStore.RequestAddAsync.
        """
        return self._done(self._store.add, certificate)

    def request_delete_async(self, certificate: Certificate, /) -> AsyncOperation[bool]:
        """Remove a certificate as `CertificateStore.delete` does, in a thread of the reactor's pool.

        Returns:
            An operation that yields True, or fails with what `CertificateStore.delete` raises.

        Raises:
            TypeError: it is no Certificate.

        Source: WinRT UserCertificateStore.RequestDeleteAsync.
        """
        return self._done(self._store.delete, certificate)

    @staticmethod
    def _done(change: Callable[[Certificate], None], certificate: Certificate) -> AsyncOperation[bool]:
        _checked(certificate)

        def work() -> bool:
            change(certificate)
            return True

        return in_thread(work)


@final
class CertificateStores:
    """Finds certificates and stores.

    The user's stores are folders in one folder: the one that the environment variable
    WINSOCKETS_CERTIFICATES names, or else ``winsockets/certificates`` where the system keeps users' data
    (``~/.local/share``, ``~/Library/Application Support``, ``%LOCALAPPDATA%``).

    Attributes:
        trusted_root_certification_authorities: the store "ROOT", of those that the system trusts.
        intermediate_certification_authorities: the store "CA", of those that the system completes chains
            with; empty but on Windows.

    Source: WinRT CertificateStores.
    """

    trusted_root_certification_authorities: ClassVar[CertificateStore] = CertificateStore._of_system(
        _ROOT, system_roots
    )
    intermediate_certification_authorities: ClassVar[CertificateStore] = CertificateStore._of_system(
        _CA, system_intermediates
    )

    @staticmethod
    def find_all_async(query: CertificateQuery | None = None, /) -> AsyncOperation[tuple[Certificate, ...]]:
        """Find certificates, in a thread of the reactor's pool.

        Args:
            query: which ones; by default all of the user's own, the store "MY".

        Returns:
            An operation that yields the certificates in the order of their files' names. Those that have
            expired, and of several with the same subject and issuer all but the one that is valid longest,
            are left out unless the query says otherwise.

        Raises:
            InvalidArgumentError: the query has a usage that is none, or its ``store_name`` is no name.

        Source: WinRT CertificateStores.FindAllAsync.
        """
        name = _MY if query is None else query.store_name or _MY
        return _store(name).find_all_async(query)

    @staticmethod
    def get_store_by_name(store_name: str, /) -> CertificateStore:
        """Return a store other than the user's own.

        Args:
            store_name: "ROOT", "CA", or the name of another, which need not have anything in it yet.

        Raises:
            InvalidArgumentError: it is "MY", or no name.

        Source: WinRT CertificateStores.GetStoreByName.
        """
        store = _store(store_name)
        if store.name == _MY:
            raise InvalidArgumentError(
                "get_store_by_name('MY'): use get_user_store_by_name('MY') to change that store, "
                "find_all_async() to read it"
            )
        return store

    @staticmethod
    def get_user_store_by_name(store_name: str, /) -> UserCertificateStore:
        """Return a store of the user's to change.

        Args:
            store_name: "MY" or the name of another, which need not have anything in it yet.

        Raises:
            InvalidArgumentError: it is the name of one of the system's stores, or no name.

        Source: WinRT CertificateStores.GetUserStoreByName.
        """
        store = _store(store_name)
        if store._place is None:
            raise InvalidArgumentError(
                f"get_user_store_by_name({store_name!r}): that is a store of the system's"
            )
        return UserCertificateStore(store)


def _store(name: str) -> CertificateStore:
    if not isinstance(name, str):
        raise TypeError(f"the name of a store is a str, not {name!r}")
    standard = name.upper()
    if standard == _ROOT:
        return CertificateStores.trusted_root_certification_authorities
    if standard == _CA:
        return CertificateStores.intermediate_certification_authorities
    return CertificateStore._of_user(_MY if standard == _MY else name)
