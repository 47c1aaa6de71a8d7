"""``winsockets adapters``: the network adapters of this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from winsockets.cli._display import Display, OutputClosed
from winsockets.networking import NetworkAdapter
from winsockets.networking._adapter import current_interface, iana_interface_type
from winsockets.networking._interfaces import Interface, interfaces

__all__ = ["adapters", "as_json", "as_table", "speed_in_words"]

_EPILOG = """
Exit status: 0, or 1 when there is no such adapter or the system does not tell, 2 for a wrong command line.

\b
Examples:
  winsockets adapters
  winsockets adapters eth0
  winsockets adapters | grep -w up
  winsockets adapters --json | jq -r '.[] | select(.up and .multicast) | .name'
"""

_HEADINGS = ("NAME", "INDEX", "TYPE", "STATE", "MULTICAST", "MTU", "SPEED", "ID", "ADDRESSES")
_NUMBERS = frozenset({"INDEX", "MTU", "SPEED"})
# Numbers of IANA's registry of interface types.
_TYPES = {
    6: "ethernet",
    9: "token-ring",
    23: "ppp",
    24: "loopback",
    37: "atm",
    71: "wireless",
    131: "tunnel",
    144: "ieee1394",
}
_UNITS = ((10**12, "Tbit/s"), (10**9, "Gbit/s"), (10**6, "Mbit/s"), (10**3, "kbit/s"), (1, "bit/s"))
_UNKNOWN = "-"


@click.command(epilog=_EPILOG)
@click.argument("name", nargs=-1)
@click.option("--json", "in_json", is_flag=True, help="Show a list of objects in JSON.")
def adapters(*, name: tuple[str, ...], in_json: bool) -> None:
    """Show the network adapters of this machine, a line for each.

    NAME is that of an adapter, or its index; without any, all are shown. NAME, INDEX and ADDRESSES are what
    goes into the options of other programs that ask for an interface, and into an IPv6 address after a "%".

    An adapter is "up" when it is switched on and connected. What the system does not tell is "-". ID is the
    adapter's network_adapter_id in programs, the same after a restart.
    """
    display = Display(measuring=False, total=0)
    try:
        found = _named(name) if name else interfaces()
        display.reply((as_json(found) if in_json else as_table(found)).encode())
    except OutputClosed:
        pass
    except OSError as problem:
        display.complain(problem)
    sys.exit(1 if display.complained else 0)


def _named(names: Sequence[str]) -> list[Interface]:
    """Find adapters by what they are called, each once.

    Raises:
        SocketException: there is none of a name, or the system does not tell.
    """
    wanted = dict.fromkeys(NetworkAdapter.from_name(name) for name in names)
    return [interface for adapter in wanted if (interface := current_interface(adapter)) is not None]


def as_table(found: Sequence[Interface]) -> str:
    """Show adapters a line each, below their headings, in columns of words without blanks."""
    rows = [_HEADINGS, *(_cells(interface) for interface in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        cells = zip(_HEADINGS, row, widths, strict=True)
        aligned = (
            cell.rjust(width) if name in _NUMBERS else cell.ljust(width) for name, cell, width in cells
        )
        lines.append("  ".join(aligned).rstrip() + "\n")
    return "".join(lines)


def _cells(interface: Interface) -> tuple[str, ...]:
    addresses = " ".join(f"{local.address}/{local.prefix_length}" for local in interface.addresses)
    return (
        interface.name,
        str(interface.index),
        _type_of(interface),
        "up" if interface.up else "down",
        "yes" if interface.multicast else "no",
        str(interface.mtu) if interface.mtu else _UNKNOWN,
        speed_in_words(interface.speed),
        str(NetworkAdapter(interface).network_adapter_id),
        addresses or _UNKNOWN,
    )


def _type_of(interface: Interface) -> str:
    return _TYPES.get(iana_interface_type(interface), "other")


def speed_in_words(bits_per_second: int) -> str:
    """Show a speed in the largest unit that leaves a number from 1 on, "-" for none."""
    for factor, unit in _UNITS:
        if bits_per_second >= factor:
            return f"{bits_per_second / factor:.4g}{unit}"
    return _UNKNOWN


def as_json(found: Sequence[Interface]) -> str:
    """Show adapters as a list of objects; what the system does not tell is null."""
    return json.dumps([_object(interface) for interface in found], indent=2) + "\n"


def _object(interface: Interface) -> dict[str, Any]:
    return {
        "name": interface.name,
        "index": interface.index,
        "id": str(NetworkAdapter(interface).network_adapter_id),
        "type": _type_of(interface),
        "iana_interface_type": iana_interface_type(interface),
        "up": interface.up,
        "loopback": interface.loopback,
        "multicast": interface.multicast,
        "point_to_point": interface.point_to_point,
        "mtu": interface.mtu or None,
        "bits_per_second": interface.speed or None,
        "hardware_address": interface.hardware_address.hex(":") or None,
        "addresses": [
            {
                "address": str(local.address),
                "prefix_length": local.prefix_length,
                "usable": local.usable,
                "deprecated": local.deprecated,
                "temporary": local.temporary,
            }
            for local in interface.addresses
        ],
    }
