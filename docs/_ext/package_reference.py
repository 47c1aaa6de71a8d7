"""``.. package:: NAME`` describes all that a package declares.

autodoc does the classes and functions, from docstrings that napoleon's parser reads; zope interfaces, which
are objects to it, and constants, which have no docstring of their own, are described here.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from zope.interface import Interface
from zope.interface.interface import InterfaceClass, Method


def _described(head: str, *paragraphs: str) -> Iterator[str]:
    """A directive with paragraphs for its body."""
    yield head
    for text in paragraphs:
        yield ""
        for line in GoogleDocstring(inspect.cleandoc(text)).lines():
            yield f"   {line}"
    yield ""


def _interface(name: str, interface: InterfaceClass) -> Iterator[str]:
    """An interface and what it adds to its bases."""
    bases = [f":py:class:`{base.__name__}`" for base in interface.__bases__ if base is not Interface]
    kind = f"Interface, extends {', '.join(bases)}." if bases else "Interface."
    yield from _described(f".. py:class:: {name}", kind, interface.getDoc())
    for member, description in interface.namesAndDescriptions():
        if isinstance(description, Method):
            head = f".. py:method:: {member}{description.getSignatureString()}"
        else:
            head = f".. py:attribute:: {member}"
        yield from (f"   {line}" for line in _described(head, description.getDoc()))


class PackageReference(SphinxDirective):
    """The reference of one package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Describe the package from its docstring, its ``__all__`` and what stands behind the names."""
        package = importlib.import_module(self.arguments[0])
        lines = [f".. automodule:: {package.__name__}", "", f".. py:currentmodule:: {package.__name__}", ""]
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, InterfaceClass):
                lines += _interface(name, thing)
            elif not callable(thing):
                lines += [f".. py:data:: {name}", f"   :value: {thing!r}", ""]
        parent = nodes.section()
        self.state.nested_parse(StringList(lines, source=package.__file__), 0, parent)
        return parent.children


def _read_docstring(app: Sphinx, what: str, *rest: object) -> None:
    """Turn a Google docstring into reStructuredText.

    A property or attribute is read like a method: napoleon would take what stands before a colon in its first
    line for a type, and find no sections.
    """
    *described, lines = rest
    assert isinstance(lines, list)
    kind = "method" if what in ("attribute", "data", "property") else what
    lines[:] = GoogleDocstring(lines, Config(), app, kind, *described).lines()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the reader of docstrings."""
    app.add_directive("package", PackageReference)
    app.connect("autodoc-process-docstring", _read_docstring)
    return {"parallel_read_safe": True}
