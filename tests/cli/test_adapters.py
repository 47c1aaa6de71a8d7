"""``winsockets adapters``: a line for each adapter, or JSON."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from ipaddress import ip_address
from typing import Any

import pytest
import pytest_twisted

from tests.cli.commands import COMMAND, ENVIRONMENT, Done, finish, run
from tests.networks import Host, network
from tests.transports.loopback import NEEDS_LINUX
from winsockets.cli._adapters import as_json, as_table, speed_in_words
from winsockets.networking import NetworkAdapter
from winsockets.networking._interfaces import Interface, InterfaceAddress

HEADINGS = ["NAME", "INDEX", "TYPE", "STATE", "MULTICAST", "MTU", "SPEED", "ID", "ADDRESSES"]
LOOPBACK = Interface(
    "lo", 1, 772, loopback=True, multicast=False, mtu=65536,
    addresses=(
        InterfaceAddress(ip_address("127.0.0.1"), 8),
        InterfaceAddress(ip_address("::1"), 128, deprecated=True),
    ),
)  # fmt: skip
TUNNEL = Interface("tun-with-a-name", 4711, 65534, up=False, point_to_point=True, mtu=1400)
UNTOLD = Interface("en0", 12, hardware_address=b"\x02\xfc\x00\x00\x00\x01")


def words(line: str) -> dict[str, str]:
    """The words of a line by the heading they stand under; the addresses are the rest."""
    return dict(zip(HEADINGS, line.split(maxsplit=len(HEADINGS) - 1), strict=True))


def test_each_adapter_has_a_line_with_everything_in_words() -> None:
    """Without blanks in them, so that other programs can take them apart; "-" is what nobody knows."""
    headings, *lines = as_table([LOOPBACK, TUNNEL, UNTOLD]).splitlines()
    assert headings.split() == HEADINGS
    loopback, tunnel, untold = map(words, lines)
    assert loopback | {"ID": ""} == {
        "NAME": "lo",
        "INDEX": "1",
        "TYPE": "loopback",
        "STATE": "up",
        "MULTICAST": "no",
        "MTU": "65536",
        "SPEED": "-",
        "ID": "",
        "ADDRESSES": "127.0.0.1/8 ::1/128",
    }
    assert loopback["ID"] == str(NetworkAdapter(LOOPBACK).network_adapter_id)
    assert (tunnel["TYPE"], tunnel["STATE"], tunnel["MULTICAST"]) == ("tunnel", "down", "yes")
    assert (untold["TYPE"], untold["MTU"], untold["ADDRESSES"]) == ("other", "-", "-")


def test_the_columns_are_aligned() -> None:
    """Words to the left, numbers to the right, below their headings; no line ends in blanks."""
    headings, *lines = as_table([LOOPBACK, TUNNEL]).splitlines()
    for heading in ("NAME", "TYPE", "STATE", "MULTICAST", "ID", "ADDRESSES"):
        column = headings.index(heading)
        assert [line[column - 1] for line in lines if column] == [" "] * (2 if column else 0)
        assert all(line[column] != " " for line in lines)
    for heading in ("INDEX", "MTU", "SPEED"):
        column = headings.index(heading) + len(heading)
        assert all(line[column - 1] != " " and line[column] == " " for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("bits", "shown"),
    [
        (0, "-"),
        (1, "1bit/s"),
        (9_600, "9.6kbit/s"),
        (10_000_000, "10Mbit/s"),
        (999_999_999, "1000Mbit/s"),
        (1_000_000_000, "1Gbit/s"),
        (2_500_000_000, "2.5Gbit/s"),
        (400_000_000_000, "400Gbit/s"),
        (1_600_000_000_000, "1.6Tbit/s"),
    ],
)
def test_a_speed_is_one_word(bits: int, shown: str) -> None:
    """In the largest unit that fits."""
    assert speed_in_words(bits) == shown


def test_json_has_everything_with_its_kind() -> None:
    """Numbers are numbers, and what the system does not tell is null."""
    loopback, untold = json.loads(as_json([LOOPBACK, UNTOLD]))
    assert loopback == {
        "name": "lo",
        "index": 1,
        "id": str(NetworkAdapter(LOOPBACK).network_adapter_id),
        "type": "loopback",
        "iana_interface_type": 24,
        "up": True,
        "loopback": True,
        "multicast": False,
        "point_to_point": False,
        "mtu": 65536,
        "bits_per_second": None,
        "hardware_address": None,
        "addresses": [
            {
                "address": "127.0.0.1",
                "prefix_length": 8,
                "usable": True,
                "deprecated": False,
                "temporary": False,
            },
            {"address": "::1", "prefix_length": 128, "usable": True, "deprecated": True, "temporary": False},
        ],
    }
    assert (untold["mtu"], untold["hardware_address"]) == (None, "02:fc:00:00:00:01")
    assert untold["addresses"] == []


# As a process


async def run_in(host: Host, *arguments: str) -> Done:
    """What the command does in a host."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done: Done = await finish(
        host.start(*COMMAND, *arguments, stdin=subprocess.DEVNULL, env=ENVIRONMENT, **pipes)
    )
    return done


@pytest_twisted.ensureDeferred
async def test_the_adapters_of_the_machine_are_shown() -> None:
    """As many as the system has, in both forms."""
    done = await run("adapters")
    assert (done.returncode, done.stderr) == (0, b"")
    names = [name for _, name in socket.if_nameindex()]
    assert sorted(line.split()[0] for line in done.stdout.decode().splitlines()[1:]) == sorted(names)
    done = await run("adapters", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert {(adapter["index"], adapter["name"]) for adapter in json.loads(done.stdout)} == set(
        socket.if_nameindex()
    )


@NEEDS_LINUX
@pytest_twisted.ensureDeferred
async def test_an_adapter_is_shown_as_it_is() -> None:
    """On a host of which everything is known: an address, another, and the cable pulled out."""
    with network() as built:
        one, other = built.host(), built.host()
        port, _ = built.join(one, other, mtu=1280)
        done = await run_in(one, "adapters", port.name)
        shown = words(done.stdout.decode().splitlines()[1])
        assert (done.returncode, done.stderr) == (0, b"")
        assert (shown["NAME"], shown["INDEX"], shown["TYPE"]) == (port.name, str(port.index), "ethernet")
        assert (shown["STATE"], shown["MULTICAST"], shown["MTU"]) == ("up", "yes", "1280")
        assert set(shown["ADDRESSES"].split()) == {
            f"{port.ipv4}/24",
            f"{port.ipv6}/64",
            f"{port.link_local}/64",
        }
        other.ports[0].down()
        done = await run_in(one, "adapters", str(port.index), "lo", port.name)
        lines = done.stdout.decode().splitlines()[1:]
        assert [words(line)["NAME"] for line in lines] == [port.name, "lo"]
        assert words(lines[0])["STATE"] == "down"


@pytest_twisted.ensureDeferred
async def test_an_adapter_that_there_is_not_is_told_in_a_line() -> None:
    """With those there are; nothing else is shown."""
    done = await run("adapters", "none0", socket.if_nameindex()[0][1])
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.fullmatch(
        "winsockets: CANNOT_ASSIGN_REQUESTED_ADDRESS: find .* adapter 'none0': .* this machine has .*\n",
        done.stderr.decode(),
    )


@pytest_twisted.ensureDeferred
async def test_a_wrong_line_is_told_with_what_to_write() -> None:
    """Exit status 2, as for every command."""
    done = await run("adapters", "--yaml")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--yaml" in done.stderr.splitlines()[-1]


@pytest_twisted.ensureDeferred
async def test_the_help_has_examples() -> None:
    """And the exit statuses."""
    done = await run("adapters", "--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    for part in ("[NAME]...", "--json", "Exit status: 0", "winsockets adapters eth0"):
        assert part in text


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest_twisted.ensureDeferred
async def test_when_nobody_reads_it_ends_without_a_word() -> None:
    """As behind ``head``."""
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.close()
        done = await run("adapters", stdout=writing.fileno())
    assert (done.returncode, done.stderr) == (0, b"")
