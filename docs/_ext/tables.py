"""Tables and figures that are read from the library, so that no text can say otherwise.

``.. limits::`` has every bound and deadline, ``.. statuses::`` the rows of the error table, ``.. refusals::``
the exceptions that stand for no status, ``.. chain-results::`` what can be wrong with certificates, and
``.. settings:: CLASS`` the properties of a control. The role ``limit`` gives the default of one bound.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import fields

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import winsockets
from winsockets.certificates._results import ChainValidationResult, in_order, row_of_result
from winsockets.errors import HResult, SocketErrorStatus, SocketException
from winsockets.errors import _hresult as hresults
from winsockets.errors._table import ROWS
from winsockets.errors._translate import _CLASS
from winsockets.foundation import DEFAULT_LIMITS, Limits
from winsockets.sockets._settings import Setting


def figure(name: str) -> str:
    """The default of a bound or deadline, with its unit: times are floats, and no count is so round."""
    value = getattr(DEFAULT_LIMITS, name)
    if isinstance(value, float):
        return f"{value * 1000:g} ms" if value < 1 else f"{value:g} s"
    if value % 1024 == 0:
        return f"{value // 1048576} MiB" if value % 1048576 == 0 else f"{value // 1024} KiB"
    return f"{value:,} bytes" if name == "datagram_size" else f"{value:,}"


Row = Iterable[str | tuple[str, ...]]


def _table(widths: str, head: Row, rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a table; a cell of several strings has as many lines."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield f"   :widths: {widths}"
    yield ""
    for row in (head, *rows):
        mark = "*"
        for cell in row:
            first, *more = (cell,) if isinstance(cell, str) else [f"| {line}" for line in cell]
            yield f"   {mark} - {first}"
            yield from (f"       {line}" for line in more)
            mark = " "
    yield ""


class _Table(SphinxDirective):
    """A directive that makes reStructuredText lines."""

    def run(self) -> list[nodes.Node]:
        """Parse the lines."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(list(self.lines()), source=self.name), 0, parent)
        return parent.children

    def lines(self) -> Iterator[str]:
        """The lines of the table."""
        raise NotImplementedError


class LimitsTable(_Table):
    """Every bound and deadline with its default and its reason."""

    def lines(self) -> Iterator[str]:
        """One row for each field, in the order of the class."""
        written = ModuleAnalyzer.for_module(Limits.__module__).find_attr_docs()
        yield from _table(
            "25 12 63",
            ("Name", "Default", "What it bounds, and why so"),
            (
                (f"``{field.name}``", figure(field.name), " ".join(written["Limits", field.name]).strip())
                for field in fields(Limits)
            ),
        )


class StatusTable(_Table):
    """Every status with what stands for it."""

    def lines(self) -> Iterator[str]:
        """One row for each status but UNKNOWN."""
        rows = []
        for row in ROWS:
            kind = _CLASS.get(row.status, SocketException).__name__
            hresult = f"{row.hresults[0] & 0xFFFFFFFF:#010x}"
            rows.append(
                (
                    (f"``{row.status.name}``", f"{row.status:d}, {hresult}"),
                    (f":py:exc:`{kind}`", ", ".join((*row.errnos, *row.resolver)) or "no errno"),
                    row.meaning + (f"; {row.advice}" if row.advice else ""),
                )
            )
        head = ("Status, its number and HRESULT", "Exception and errno", "What happened, and what to do")
        yield from _table("42 28 30", head, rows)


class RefusalTable(_Table):
    """The exceptions whose status is UNKNOWN: not the network refuses, but the call is wrong or too late."""

    def lines(self) -> Iterator[str]:
        """One row for each class."""
        names = {
            value: name for name in hresults.__all__ if isinstance(value := getattr(hresults, name), HResult)
        }
        rows = []
        for name in winsockets.errors.__all__:
            kind = getattr(winsockets, name)
            if not isinstance(kind, type) or not issubclass(kind, SocketException) or kind is SocketException:
                continue
            problem = kind("")
            if problem.status is SocketErrorStatus.UNKNOWN:
                hresult = names.get(problem.hresult, f"{problem.hresult & 0xFFFFFFFF:#010x}")
                number = "no errno" if problem.errno is None else errno.errorcode[problem.errno]
                when = (kind.__doc__ or "").partition(" (")[0]
                rows.append(((f":py:exc:`{name}`", number), f"``{hresult}``", when + "."))
        yield from _table("27 38 35", ("Exception and errno", "HRESULT", "What happened"), rows)


class ChainResultTable(_Table):
    """Everything that can be wrong with a chain, the worst first."""

    def lines(self) -> Iterator[str]:
        """One row for each result but SUCCESS."""
        rows = []
        for result in in_order(ChainValidationResult):
            row = row_of_result(result)
            rows.append(
                (
                    (f"``{result.name}``", f"{result:d}, {row.hresult & 0xFFFFFFFF:#010x}"),
                    f"``{row.status.name}``",
                    "ignorable" if row.ignorable else "fatal",
                    f"{row.meaning}; {row.advice}",
                )
            )
        head = ("Result, its number and HRESULT", "Status", "Severity", "What is wrong, and what to do")
        yield from _table("34 28 10 28", head, rows)


class SettingsTable(_Table):
    """The properties of one control."""

    required_arguments = 1

    def lines(self) -> Iterator[str]:
        """One row for each property."""
        control = getattr(winsockets, self.arguments[0])
        late = {
            "error": "refused",
            "handshake": "refused; not before an upgrade",
            "ignored": "no effect",
            "allowed": "takes effect",
        }
        rows = [
            (f"``{name}``", str(setting.__doc__), late[setting._late])
            for name, setting in vars(control).items()
            if isinstance(setting, Setting)
        ]
        yield from _table("32 52 16", ("Property", "What it sets", "When too late"), rows)


def _limit(  # noqa: PLR0917  # docutils calls it so
    role: str,
    source: str,
    name: str,
    line: int,
    inliner: Inliner,
    options: object = None,
    content: object = (),
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Give the figure of a bound."""
    return [nodes.Text(figure(name).replace(" ", "\N{NO-BREAK SPACE}"))], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the role."""
    app.add_directive("limits", LimitsTable)
    app.add_directive("statuses", StatusTable)
    app.add_directive("refusals", RefusalTable)
    app.add_directive("chain-results", ChainResultTable)
    app.add_directive("settings", SettingsTable)
    app.add_role("limit", _limit)
    return {"parallel_read_safe": True}
