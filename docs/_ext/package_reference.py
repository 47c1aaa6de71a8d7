"""``.. package:: NAME`` describes everything that a package declares, in sections by kind.

autodoc describes classes and functions from their docstrings, which napoleon's parser reads. What autodoc
does not know is described here: zope interfaces, which are objects to it, the values of enumerations, and
constants. References to a name lead to the package that declares it, whichever private module it is in.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sys
from abc import ABC
from collections.abc import Iterable, Iterator
from dataclasses import MISSING
from enum import Enum
from typing import Any, ClassVar, Generic

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from zope.interface import Interface
from zope.interface.interface import InterfaceClass, Method

from winsockets import AsyncOperation

ROOT = "winsockets"


class _Docstring(GoogleDocstring):
    """A docstring whose types are in the annotations: no word before a colon is a type."""

    def _consume_returns_section(self, preprocess_types: bool = False) -> list[tuple[str, str, list[str]]]:
        lines = self._dedent(self._consume_to_next_section())
        return [("", "", lines)] if lines else []


def _google(text: str) -> list[str]:
    """A Google docstring as reStructuredText."""
    return _Docstring(inspect.cleandoc(text)).lines()


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"   {line}" if line else "" for line in lines)


def _interface(name: str, interface: InterfaceClass) -> Iterator[str]:
    """An interface and what it adds to its bases."""
    signatures = _signatures(interface)
    bases = [f":py:class:`{base.__name__}`" for base in interface.__bases__ if base is not Interface]
    yield f".. py:class:: {name}"
    yield ""
    if bases:
        yield f"   Extends {', '.join(bases)}."
        yield ""
    yield from _indented(_google(interface.getDoc()))
    yield ""
    for member, description in interface.namesAndDescriptions():
        kind = "method" if isinstance(description, Method) else "attribute"
        body = _indented(_google(description.getDoc()))
        yield from _indented([f".. py:{kind}:: {member}{signatures.get(member, '')}", "", *body, ""])


def _signatures(interface: InterfaceClass) -> dict[str, str]:
    """The signatures of an interface's methods as they are written: zope keeps no annotations."""
    module = ast.parse(inspect.getsource(sys.modules[interface.__module__]))
    written = next(
        node for node in module.body if isinstance(node, ast.ClassDef) and node.name == interface.__name__
    )
    return {
        node.name: f"({ast.unparse(node.args)}) -> {ast.unparse(node.returns or ast.Constant(None))}"
        for node in written.body
        if isinstance(node, ast.FunctionDef)
    }


def _values(enumeration: type[Enum]) -> Iterator[str]:
    """A table of the names and numbers of an enumeration, with their meaning where it is written down."""
    module = ModuleAnalyzer.for_module(enumeration.__module__)
    meanings = {
        member: " ".join(lines).strip()
        for (owner, member), lines in module.find_attr_docs().items()
        if owner == enumeration.__name__
    }
    yield ".. list-table::"
    yield "   :align: left"
    yield "   :header-rows: 1"
    yield ""
    yield "   * - Name"
    yield "     - Value"
    if meanings:
        yield "     - Meaning"
    for name, member in enumeration.__members__.items():
        yield f"   * - ``{name}``"
        yield f"     - {member.value}"
        if meanings:
            yield f"     - {meanings.get(name, '')}"
    yield ""


def _kind(thing: object) -> str:
    """The section that a name belongs to."""
    if isinstance(thing, InterfaceClass):
        return "Interfaces"
    if not isinstance(thing, type):
        return "Functions" if callable(thing) else "Constants"
    if issubclass(thing, BaseException):
        return "Exceptions"
    return "Enumerations" if issubclass(thing, Enum) else "Classes"


def _class(path: str, thing: type) -> Iterator[str]:
    """A class; what its private bases bring counts as its own."""
    yield f".. auto{'exception' if issubclass(thing, BaseException) else 'class'}:: {path}"
    if any(_shown(thing.__bases__)):
        yield "   :show-inheritance:"
    # The members of an enumeration are in its table, those of any operation with AsyncOperation.
    is_operation = issubclass(thing, AsyncOperation) and thing.__module__ != AsyncOperation.__module__
    if issubclass(thing, Enum) or is_operation:
        own = [
            name
            for name, member in vars(thing).items()
            if is_operation and isinstance(member, property) and not name.startswith("_")
        ]
        yield f"   :members: {', '.join(own)}" if own else ""
        yield ""
        return
    yield "   :members:"
    if any(_is_private(base) for base in thing.__mro__[1:]):
        stop = [base.__name__ for base in thing.__mro__[1:] if not _is_private(base)]
        yield f"   :inherited-members: {', '.join(stop)}"
    fields = getattr(thing, "_fields", ())
    if fields:
        yield f"   :exclude-members: {', '.join(fields)}"
    yield ""


def _is_private(base: type) -> bool:
    """Whether a class is ours and no package declares it."""
    return base.__module__.startswith(ROOT) and base.__name__ not in _public()


def _shown(bases: Iterable[Any]) -> Iterator[type]:
    """The base classes that a reader should know of; behind a private one, its own."""
    for base in (getattr(base, "__origin__", base) for base in bases):
        if _is_private(base):
            yield from _shown(base.__bases__)
        elif base not in (object, Generic, ABC):
            yield base


def _public() -> dict[str, str]:
    """The package of each public name."""
    return {name: path for path in _packages() for name in sys.modules[path].__all__}


def _packages() -> list[str]:
    """The packages that are imported: all of the library, and those described here."""
    return [path for path in list(sys.modules) if path.startswith(f"{ROOT}.") and path.count(".") == 1]


class PackageReference(SphinxDirective):
    """The reference of one package.

    ``first`` names what comes first in its section, ``also`` classes that a program gets and never makes.
    """

    required_arguments = 1
    option_spec: ClassVar = dict.fromkeys(("first", "also"), str.split)

    def run(self) -> list[nodes.Node]:
        """Describe the package from its docstring, its ``__all__`` and what stands behind the names."""
        package = importlib.import_module(self.arguments[0])
        name = package.__name__
        start = [f".. py:module:: {name}", "", *_google(package.__doc__ or ""), ""]
        groups: dict[str, list[str]] = {}
        for public in dict.fromkeys([*self.options.get("first", ()), *package.__all__]):
            thing = getattr(package, public)
            groups.setdefault(_kind(thing), []).extend(self._describe(name, public, thing))
        for path in self.options.get("also", ()):
            module, _, public = path.rpartition(".")
            thing = getattr(importlib.import_module(f"{name}.{module}"), public)
            lines = groups.setdefault("What other calls return", [])
            lines += _class(f"{name}.{module}.{public}", thing)
        children = self._parse(start)
        for title in sorted(groups, key=ORDER.index):
            section = nodes.section(ids=[nodes.make_id(title)])
            section += nodes.title(title, title)
            section += self._parse([f".. py:currentmodule:: {name}", "", *groups[title]])
            children.append(section)
        return children

    def _describe(self, package: str, public: str, thing: Any) -> list[str]:
        if isinstance(thing, InterfaceClass):
            return list(_interface(public, thing))
        if isinstance(thing, type):
            return list(_class(f"{package}.{public}", thing))
        if callable(thing):
            return [f".. autofunction:: {package}.{public}", ""]
        return [f".. py:data:: {public}", f"   :value: {thing!r}", ""]

    def _parse(self, lines: list[str]) -> list[nodes.Node]:
        parent = nodes.section()
        self.state.nested_parse(StringList(lines, source=self.arguments[0]), 0, parent)
        return parent.children


ORDER = [
    "Classes",
    "What other calls return",
    "Functions",
    "Exceptions",
    "Enumerations",
    "Interfaces",
    "Constants",
]


def _read_docstring(  # noqa: PLR0917  # autodoc's events bring so many
    app: Sphinx, what: str, name: str, thing: Any, options: object, lines: list[str]
) -> None:
    """Turn a Google docstring into reStructuredText, and show the values of an enumeration.

    A property or attribute is read like a method: napoleon would take what stands before a colon in its first
    line for a type, and find no sections.
    """
    kind = "method" if what in ("attribute", "data", "property") else what
    lines[:] = _Docstring(lines, Config(napoleon_use_ivar=True), app, kind, name, thing, options).lines()
    if what == "class" and issubclass(thing, Enum):
        lines += ["", *_values(thing)]
    owner, _, member = name.rpartition(".")
    if what == "attribute":
        fields = getattr(_public_object(owner), "__dataclass_fields__", {})
        default = fields[member].default if member in fields else MISSING
        if default is not MISSING:
            lines += [
                "",
                f"Default: {default:,}."
                if isinstance(default, int | float)
                else f"Default: ``{default!r}``.",
            ]


def _public_object(path: str) -> Any:
    package, _, name = path.rpartition(".")
    return getattr(sys.modules.get(package), name, None)


def _shorten_signature(  # noqa: PLR0917
    app: Sphinx, what: str, name: str, thing: Any, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show how an object is made only where its class says so (others are got), and defaults as written."""
    if (
        what in ("class", "exception")
        and "Args:" not in (thing.__doc__ or "")
        and signature not in (None, "()")
    ):
        return "", ""
    if not signature:
        return None
    return _OBJECT_DEFAULT.sub(r"\1(...)", _ENUMERATION_VALUE.sub(r"\1", signature)), returns


_ENUMERATION_VALUE = re.compile(r"<(\w+\.\w+): [^>]*>")
_OBJECT_DEFAULT = re.compile(r"(?<== )(\w+)\(\w+=[^()]*\)")


def _read_signatures(app: Sphinx, doctree: nodes.document) -> None:
    """Call an interface one, and a type variable by its letter; look for no built-in type among ours."""
    for signature in doctree.findall(addnodes.desc_signature):
        thing = _public_object(f"{signature.get('module')}.{signature.get('fullname')}")
        for reference in list(signature.findall(addnodes.pending_xref)):
            if hasattr(builtins, reference["reftarget"]):
                reference.replace_self(nodes.Text(reference["reftarget"]))
        for text in list(signature.findall(nodes.Text)):
            shown = _TYPE_VARIABLE.sub(r"\1", text)
            if text == "class" and isinstance(thing, InterfaceClass):
                shown = "interface"
            if shown != text:
                text.parent.replace(text, nodes.Text(shown))


_TYPE_VARIABLE = re.compile(r"\b_([A-Z])\b")


def _show_public_bases(app: Sphinx, name: str, thing: type, options: object, bases: list[Any]) -> None:
    """Name the bases of other libraries in full."""
    bases[:] = [
        base if base.__module__ == "builtins" or base.__name__ in _public() else f"``{_full_name(base)}``"
        for base in _shown(bases)
    ]


def _full_name(base: type) -> str:
    return f"{base.__module__}.{base.__name__}"


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Element
) -> nodes.Element | None:
    """Lead a reference to the package that declares the name."""
    if node.get("refdomain") != "py":
        return None
    target = _declared(node["reftarget"])
    if target in ("", node["reftarget"]):
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def _declared(target: str) -> str:
    """The dotted name, by the package that declares it, of what a target with or without modules means."""
    parts = target.split(".")
    public = _public()
    for index, part in enumerate(parts):
        if part in public and (index == 0 or parts[0] == ROOT):
            return ".".join([public[part], *parts[index:]])
    return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and what reads docstrings, signatures and references."""
    # How an annotation that is an interface is shown.
    InterfaceClass.__repr__ = lambda interface: interface.__name__
    app.add_directive("package", PackageReference)
    app.connect("autodoc-process-docstring", _read_docstring)
    app.connect("autodoc-process-signature", _shorten_signature)
    app.connect("autodoc-process-bases", _show_public_bases)
    app.connect("doctree-read", _read_signatures)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
