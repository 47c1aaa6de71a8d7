"""From a command line to a bound service, or to one line and status 1."""

from __future__ import annotations

import socket
from importlib import import_module

import pytest
import pytest_twisted
from twisted.application.service import IServiceMaker

from tests.services.clients import DatagramClient, connect, exchange, until
from winsockets.services import EchoService, Refusal
from winsockets.services.echo import Options, makeService


def make(*arguments: str) -> EchoService:
    """What twistd does with a command line."""
    options = Options()
    options.parseOptions(arguments)
    return makeService(options)


@pytest_twisted.ensureDeferred
async def test_the_service_is_bound_before_it_is_started() -> None:
    """And then served, on the addresses and ports that were asked for."""
    service = make("--tcp=0", "--tcp=0", "--udp=0", "--interface=127.0.0.1")
    schemes = [url.partition("://127.0.0.1:")[0] for url in service.urls]
    assert schemes == ["tcp", "tcp", "udp"]
    client = await connect(service._stream)
    service.startService()
    assert await exchange(client, b"hello") == b"hello"
    client.close()
    await client.wait_closed_async()
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_all_interfaces_are_both_families() -> None:
    """'' is everything there is."""
    service = make("--tcp=0", "--udp=0", "--interface=")
    addresses = [address for address, _ in service._stream.endpoints + service._datagram.endpoints]
    assert addresses == ["0.0.0.0", "::", "0.0.0.0", "::"]
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_the_options_reach_the_servers() -> None:
    """Each where it belongs."""
    service = make(
        "--tcp=0", "--udp=0", "--max-connections=5", "--idle-timeout=7", "--drain-timeout=0.5",
        "--udp-rate=2", "--udp-any-source-port",
    )  # fmt: skip
    assert service._stream._max_connections == 5
    assert service._stream._idle_timeout == 7
    assert service._stream._drain_timeout == 0.5
    policy = service._datagram._policy
    verdicts = [policy.refusal("127.0.0.1", 7, received=1, reply=1, now=0.0) for _ in range(3)]
    assert verdicts == [None, None, Refusal.RATE]
    assert policy.refusal("127.255.255.254", 7, received=1, reply=1, now=0.0) is Refusal.RATE
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_none_is_not_served() -> None:
    """Either may be left out."""
    service = make("--tcp=none", "--udp=0")
    assert [url[:3] for url in service.urls] == ["udp", "udp"]
    service.startService()
    async with DatagramClient() as client:
        await client.send(b"hello", *service._datagram.endpoints[0])
        await until(lambda: client.received)
    await service.stopService()
    service = make("--tcp=0", "--udp=none")
    assert [url[:3] for url in service.urls] == ["tcp", "tcp"]
    await service.stopService()


def test_a_taken_port_ends_the_program_with_one_line() -> None:
    """Python prints the message of a SystemExit on standard error and exits with status 1."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            make("--tcp", str(port), "--udp=none")
    line = caught.value.code
    assert isinstance(line, str)
    assert "\n" not in line
    assert line.startswith(f"winsockets-echo: cannot start: listen on 127.0.0.1 port {port}: ")


def test_an_address_of_another_machine_ends_the_program_with_one_line() -> None:
    """The same for what the system refuses otherwise."""
    with pytest.raises(SystemExit, match=r"listen on 203\.0\.113\.1 port 0: the address does not belong"):
        make("--tcp=0", "--udp=none", "--interface=203.0.113.1")


def test_the_plugin_is_a_service_maker_that_names_this_module() -> None:
    """And the module has what a service maker needs."""
    from twisted.plugins import winsockets_echo

    maker = winsockets_echo.winsockets_echo
    assert IServiceMaker.providedBy(maker)
    assert maker.tapname == "winsockets-echo"
    assert maker.options is Options
    assert maker.makeService is makeService
    assert import_module(maker.module).__all__ == ["Options", "makeService"]
