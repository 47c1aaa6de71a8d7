"""From a command line to a bound service, or to one line and status 1."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path

import pytest
import pytest_twisted
from twisted.application.service import IServiceMaker

from tests.services.clients import DatagramClient, connect, exchange, until
from tests.services.tls import authority, server_identity
from winsockets.certificates import Certificate
from winsockets.services import EchoService, Refusal
from winsockets.services.echo import Options, makeService
from winsockets.testing import certificate_pem
from winsockets.transports import ClientCertificatePolicy


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


# TLS


def pem(identity: Certificate, password: str | None = None) -> tuple[bytes, bytes]:
    """A certificate with its chain, and its private key."""
    chain, begin, rest = certificate_pem(identity, password).rpartition(b"-----BEGIN")
    return chain, begin + rest


FILES = {
    "both.pem": certificate_pem(server_identity("one")),
    "chain.pem": pem(server_identity("one"))[0],
    "key.pem": pem(server_identity("one"))[1],
    "encrypted.pem": pem(server_identity("one"), "secret")[1],
    "other-key.pem": pem(server_identity("two"))[1],
    "roots.pem": certificate_pem(authority("ours").certificate),
    "empty.pem": b"",
    "nonsense.pem": b"nonsense",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with good files and bad ones."""
    for name, contents in FILES.items():
        (tmp_path / name).write_bytes(contents)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest_twisted.ensureDeferred
async def test_the_options_of_tls_reach_the_service() -> None:
    """Each where it belongs."""
    service = make(
        "--tls=0", "--tls=0", "--tcp=none", "--udp=none", "--interface=127.0.0.1", "--client-ca=roots.pem",
        "--certificate=chain.pem", "--private-key=key.pem", "--handshake-timeout=3", "--max-connections=5",
        "--require-client-certificate",
    )  # fmt: skip
    assert [url.partition("://")[0] for url in service.urls] == ["tls", "tls"]
    tls = service._stream._tls
    assert tls.certificate == server_identity("one")
    assert tls.client_roots == (authority("ours").certificate,)
    assert tls.require_client_certificate
    control = service._stream._secured[0].socket.control
    assert (control.limits.handshake_timeout, control.max_connections) == (3, 5)
    assert control.client_certificate_policy is ClientCertificatePolicy.REQUIRE
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_a_throw_away_certificate_is_for_the_address_that_is_served() -> None:
    """And for the usual ones."""
    service = make("--tls=0", "--tcp=none", "--udp=none", "--interface=127.0.0.2", "--self-signed")
    names = service._stream._tls.certificate.subject_alternative_name
    assert {str(name) for name in names.ip_address} == {"127.0.0.1", "127.0.0.2", "::1"}
    await service.stopService()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--certificate=missing.pem"], "missing.pem: No such file or directory"),
        (["--certificate=."], ": Is a directory"),
        (["--certificate=nonsense.pem"], "nonsense.pem: this is not a certificate"),
        (["--certificate=chain.pem"], "chain.pem: there is none; name the file"),
        (["--certificate=chain.pem", "--private-key=other-key.pem"], "that of another certificate than"),
        (["--certificate=chain.pem", "--private-key=encrypted.pem"], "encrypted.pem: it is encrypted"),
        (
            ["--certificate=chain.pem", "--private-key=missing.pem"],
            "cannot start: read the private key file /",
        ),
        (["--certificate=chain.pem", "--private-key=nonsense.pem"], "nonsense.pem: this is not PEM"),
        (["--certificate=both.pem", "--client-ca=missing.pem"], "missing.pem: No such file or directory"),
        (["--certificate=both.pem", "--client-ca=key.pem"], "key.pem: there is none"),
        (["--certificate=both.pem", "--client-ca=empty.pem"], "the file is empty"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_files_that_cannot_be_used_are_one_line(arguments: list[str], message: str) -> None:
    """Which file, and what is wrong with it; nothing is bound."""
    with pytest.raises(SystemExit) as caught:
        make("--tcp=0", "--udp=0", "--tls=0", *arguments)
    line = caught.value.code
    assert isinstance(line, str)
    assert "\n" not in line
    assert line.startswith("winsockets-echo: cannot start: ")
    assert message in line
