"""The public names are those that the packages declare, the same objects everywhere, and documented.

That each ``__all__`` is in order is left to the linter (RUF022).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from zope.interface.interface import InterfaceClass

import winsockets

PACKAGES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(winsockets.__path__, "winsockets.")
    if found.ispkg
]
EXPORTED = [
    package
    for package in PACKAGES
    if package.__name__.partition(".")[2]
    in ("certificates", "errors", "foundation", "networking", "streams", "transports", "sockets")
]
each_package = pytest.mark.parametrize(
    "package", [winsockets, *PACKAGES], ids=lambda package: package.__name__
)


@each_package
def test_a_package_declares_names_that_exist(package: ModuleType) -> None:
    """Each name in ``__all__`` is there, once, and is not a private one."""
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert [name for name, count in Counter(package.__all__).items() if count > 1] == []
    assert [name for name in package.__all__ if name.startswith("_")] == []


@each_package
def test_a_package_has_no_public_name_that_it_does_not_declare(package: ModuleType) -> None:
    """Nothing leaks that a program could come to rely on; submodules are no names."""
    leaked = [
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and name not in package.__all__ and not isinstance(value, ModuleType)
    ]
    assert leaked == []


def test_the_top_level_offers_every_public_name_of_the_library() -> None:
    """``from winsockets import NAME`` works for all of it, and for nothing else."""
    declared = Counter(name for package in EXPORTED for name in package.__all__)
    assert [name for name, count in declared.items() if count > 1] == [], "declared by two packages"
    assert sorted(winsockets.__all__) == sorted(declared)


@pytest.mark.parametrize("package", EXPORTED, ids=lambda package: package.__name__)
def test_the_top_level_offers_the_same_objects(package: ModuleType) -> None:
    """There is one object behind a name, wherever it is imported from."""
    others = [
        name for name in package.__all__ if getattr(winsockets, name, None) is not getattr(package, name)
    ]
    assert others == []


def undocumented(name: str, thing: Any) -> Iterator[str]:
    """The dotted names of what lacks a docstring: the thing itself, and what it defines."""
    if isinstance(thing, InterfaceClass):
        if not thing.getDoc():
            yield name
        for member, description in thing.namesAndDescriptions():
            if not description.getDoc():
                yield f"{name}.{member}"
    elif inspect.isclass(thing):
        own = vars(thing).get("__doc__")
        if not own or own.startswith(f"{thing.__name__}("):  # a dataclass and a named tuple make one up
            yield name
        for member, value in vars(thing).items():
            described = isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value)
            inherited = (vars(base).get(member) for base in thing.__mro__)
            if described and not member.startswith("_") and not any(doc.__doc__ for doc in inherited if doc):
                yield f"{name}.{member}"
    elif inspect.isfunction(thing) and not thing.__doc__:
        yield name


@each_package
def test_everything_public_has_a_docstring(package: ModuleType) -> None:
    """Packages, classes, interfaces, functions, methods and properties all say what they are for."""
    assert package.__doc__
    missing = [line for name in package.__all__ for line in undocumented(name, getattr(package, name))]
    assert missing == []


def test_the_docstring_check_sees_what_is_missing() -> None:
    """An undocumented class, method and function are each named; an inherited docstring counts."""

    class Documented:
        """It is."""

        def said(self) -> None:
            """So it is."""

        def unsaid(self) -> None:
            pass

    class Bare(Documented):
        def said(self) -> None:
            pass

    def bare() -> None:
        pass

    assert list(undocumented("Documented", Documented)) == ["Documented.unsaid"]
    assert list(undocumented("Bare", Bare)) == ["Bare"]
    assert list(undocumented("bare", bare)) == ["bare"]
