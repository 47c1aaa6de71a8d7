"""The option tables of the service and of the command are those of the programs."""

from __future__ import annotations

import re

import click
import pytest

from tests.docs.blocks import ROOT
from tests.docs.tables import table
from winsockets.cli import main
from winsockets.services.echo import Options

# What every such program has.
COMMON = {"--help", "--version"}


def service_rows() -> dict[str, tuple[str, str]]:
    """The options of the service in its page: for each its default, and what it does."""
    _, rows = table(ROOT / "docs" / "echo-service.md", "## Options")
    return {row[0].strip("`").split()[0]: (row[1], row[2]) for row in rows}


def command_rows() -> dict[str, str]:
    """The options and arguments of the command in its page, with their defaults."""
    _, rows = table(ROOT / "docs" / "command.md", "## What it takes")
    return {row[0].strip("`").split()[0].rstrip("."): row[1] for row in rows}


def test_the_page_of_the_service_has_its_options() -> None:
    """Each option of the help, and no other."""
    offered = set(re.findall(r"^\s+(?:-\w, )?(--[\w-]+)", str(Options()), re.MULTILINE))
    assert set(service_rows()) == offered - COMMON


@pytest.mark.parametrize("parameter", [parameter for parameter in Options.optParameters if parameter[2]])
def test_the_page_of_the_service_has_the_defaults(parameter: list[str]) -> None:
    """A default that is written down is the one that counts."""
    assert service_rows()[f"--{parameter[0]}"][0] == parameter[2]


def test_the_page_of_the_service_has_its_default_ports_and_rates() -> None:
    """What a command line without options asks for."""
    options = Options()
    options.parseOptions([])
    rows = service_rows()
    assert ([rows["--tcp"][0]], [rows["--udp"][0]]) == (options["tcp"], options["udp"])
    assert rows["--udp-rate"][0] == str(options["udp-rate"])
    assert f"{options['udp-loopback-burst']:,}" in rows["--udp-rate"][1]
    for address in options["interface"]:
        assert f"`{address}`" in rows["--interface"][1]


@pytest.mark.parametrize("command", ["adapters", "multicast"])
def test_the_page_of_the_command_has_what_the_others_take(command: str) -> None:
    """Their options and arguments, and no others."""
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([\w-]+)[^`]*` \|", page.partition(f"| Of `{command}` |")[2].partition("\n\n")[0], re.M
    )
    offered = {
        parameter.opts[0] if isinstance(parameter, click.Option) else str(parameter.name).upper()
        for parameter in main.commands[command].params
    }
    assert set(rows) == offered - COMMON


def test_the_page_of_the_command_has_its_options_and_defaults() -> None:
    """Each option and argument of the command, and no other."""
    command = main.commands["echo"]
    rows = command_rows()
    names = {
        parameter.opts[0] if isinstance(parameter, click.Option) else str(parameter.name).upper(): parameter
        for parameter in command.params
    }
    assert set(rows) == set(names) - COMMON
    for name, parameter in names.items():
        if isinstance(parameter, click.Option) and isinstance(parameter.default, int | float):
            assert rows[name] == f"{parameter.default:g}"
        elif "[default: " in (getattr(parameter, "help", None) or ""):
            assert rows[name] == re.findall(r"\[default: (\d+)", parameter.help)[0]
