"""The shape of the source tree: small private modules behind public packages, Twisted left alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "winsockets").rglob("*.py"))
PACKAGES = [module for module in MODULES if module.name == "__init__.py"]
LONGEST_MODULE = 600


def name(path: Path) -> str:
    """A path as the test report shows it."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_is_short_enough_to_be_read_at_once(module: Path) -> None:
    """Aim for 150 to 300 lines; this is where it stops."""
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{lines} lines: split it by subject"


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_a_package_file_holds_only_imports_and_all(package: Path) -> None:
    """A public package says what is public and where it comes from, nothing else."""
    docstring, *statements = ast.parse(package.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    for statement in statements:
        assert isinstance(statement, ast.Import | ast.ImportFrom) or (
            isinstance(statement, ast.Assign | ast.AugAssign)
            and ast.unparse(statement).startswith(("__all__ = ", "__all__ += "))
        ), f"line {statement.lineno}: {ast.unparse(statement)}"


def test_every_folder_of_the_package_is_a_package() -> None:
    """A folder without ``__init__.py`` would be installed as a namespace that anybody can add to."""
    assert {module.parent for module in MODULES} == {package.parent for package in PACKAGES}


def test_the_plugin_folder_shadows_nothing_of_twisted() -> None:
    """An ``__init__.py`` there would be installed over Twisted's own."""
    assert [name(path) for path in (ROOT / "twisted").rglob("__init__.py")] == []
