"""The command line: what it accepts, and that what makes no sense is one line and status 1."""

from __future__ import annotations

import os

import pytest

from winsockets.foundation import DEFAULT_LIMITS
from winsockets.services._binding import ALL_INTERFACES, LOOPBACK
from winsockets.services._options import Options
from winsockets.services._reply_policy import DEFAULT_LOOPBACK_BURST, DEFAULT_RATE
from winsockets.services._tcp_echo import DEFAULT_DRAIN_TIMEOUT, DEFAULT_IDLE_TIMEOUT


def parse(*arguments: str) -> Options:
    """Parse a command line."""
    options = Options()
    options.parseOptions(arguments)
    return options


def test_without_options_it_is_port_1337_on_loopback_with_limits() -> None:
    """The defaults, which are the services' too."""
    options = parse()
    assert (options["tcp"], options["tls"], options["udp"]) == (["1337"], [], ["1337"])
    assert options["interface"] == LOOPBACK
    assert options["max-connections"] is None
    assert options["idle-timeout"] == DEFAULT_IDLE_TIMEOUT
    assert options["drain-timeout"] == DEFAULT_DRAIN_TIMEOUT
    assert (options["udp-rate"], options["udp-loopback-burst"]) == (DEFAULT_RATE, DEFAULT_LOOPBACK_BURST)
    assert not options["udp-any-source-port"]


def test_ports_that_are_given_replace_the_default() -> None:
    """As often as they are given, each transport for itself."""
    options = parse("--tcp", "7000", "--tcp", "7001", "--udp=0", "--udp=0")
    assert (options["tcp"], options["udp"]) == (["7000", "7001"], ["0", "0"])


def test_none_is_no_port() -> None:
    """The other transport keeps its default."""
    options = parse("--tcp", "none")
    assert (options["tcp"], options["udp"]) == ([], ["1337"])
    options = parse("--udp", "none", "--udp", "none")
    assert (options["tcp"], options["udp"]) == (["1337"], [])


def test_a_port_may_be_a_name_from_the_services_file() -> None:
    """Each transport has its own column there."""
    assert parse("--tcp", "http", "--udp", "domain")["tcp"] == ["80"]
    assert parse("--tcp", "http", "--udp", "domain")["udp"] == ["53"]


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("", ALL_INTERFACES),
        ("localhost", LOOPBACK),
        ("127.0.0.1", ("127.0.0.1",)),
        ("0.0.0.0", ("0.0.0.0",)),
        ("::", ("::",)),
        ("0:0::1", ("::1",)),
        ("[::1]", ("::1",)),
        ("fe80::1%lo", ("fe80::1%lo",)),
    ],
)
def test_the_interface_is_an_address_or_all_of_them(given: str, addresses: tuple[str, ...]) -> None:
    """'' is both families; an address is that one."""
    assert parse("--interface", given)["interface"] == addresses


def test_tls_has_ports_of_its_own() -> None:
    """As often as they are given; the other ports stay as they are, and files become absolute paths."""
    options = parse("--tls", "7000", "--tls=0", "--certificate", "tls.pem", "--private-key", "/etc/key.pem")
    assert (options["tcp"], options["tls"]) == (["1337"], ["7000", "0"])
    assert options["certificate"] == os.path.abspath("tls.pem")
    assert options["private-key"] == os.path.abspath("/etc/key.pem")
    assert options["client-ca"] is None
    assert options["handshake-timeout"] == DEFAULT_LIMITS.handshake_timeout
    assert parse("--tls", "none")["tls"] == []
    options = parse("--tcp=none", "--udp=none", "--tls=0", "--self-signed", "--client-ca=roots.pem")
    assert (options["tcp"], options["tls"], options["udp"]) == ([], ["0"], [])


@pytest.mark.parametrize("in_background", [False, True])
def test_a_throw_away_certificate_is_for_the_foreground(in_background: bool) -> None:
    """Nobody would see where its root is."""
    options = Options()
    options.parent = {"nodaemon": not in_background}
    if in_background:
        with pytest.raises(SystemExit, match="twistd -n"):
            options.parseOptions(["--tls=0", "--self-signed"])
    else:
        options.parseOptions(["--tls=0", "--self-signed"])


def test_limits_are_numbers_or_none() -> None:
    """Whole ones where things are counted."""
    options = parse("--max-connections", "5", "--idle-timeout", "1.5", "--drain-timeout", "0")
    assert options["max-connections"] == 5
    assert options["idle-timeout"] == 1.5
    assert options["drain-timeout"] == 0
    options = parse("--max-connections", "none", "--idle-timeout", "none")
    assert options["max-connections"] is None
    assert options["idle-timeout"] is None


def test_a_rate_that_is_given_holds_for_loopback_too() -> None:
    """Whoever asks for 10 a second and tries it from here sees 10."""
    options = parse("--udp-rate", "10")
    assert (options["udp-rate"], options["udp-loopback-burst"]) == (10, None)
    assert parse("--udp-rate", "none")["udp-rate"] is None


def test_the_rule_for_low_source_ports_can_be_lifted() -> None:
    """A flag."""
    assert parse("--udp-any-source-port")["udp-any-source-port"]


FILE = ["--certificate", "tls.pem"]
NONSENSE = {
    "an unknown option": (["--bogus"], "--bogus"),
    "a missing value": (["--tcp"], "--tcp"),
    "an argument": (["1337"], "'1337'"),
    "a port out of range": (["--tcp", "70000"], "--tcp: '70000'"),
    "a negative port": (["--udp", "-1"], "--udp: '-1'"),
    "an unknown service": (["--tcp", "no-such-service"], "--tcp: the tcp service 'no-such-service'"),
    "an empty port": (["--tcp", ""], "--tcp: the port is empty"),
    "a port twice": (["--tcp", "80", "--tcp", "http"], "--tcp: port 80 is given twice"),
    "none and a port": (["--udp", "none", "--udp", "7"], "--udp: 'none' and a port"),
    "a TLS port that is a TCP port": (["--tls", "1337", *FILE], "--tls: port 1337 is a port of --tcp"),
    "a TLS port out of range": (["--tls", "70000", *FILE], "--tls: '70000'"),
    "TLS without a certificate": (["--tls", "0"], "--tls takes a certificate"),
    "a certificate without TLS": (FILE, "--certificate is for TLS"),
    "a key without TLS": (["--private-key", "x"], "--private-key is for TLS"),
    "authorities without TLS": (["--client-ca", "x"], "--client-ca is for TLS"),
    "a demand without TLS": (["--require-client-certificate"], "--require-client-certificate is for TLS"),
    "self-signed without TLS": (["--self-signed"], "--self-signed is for TLS"),
    "a key without a certificate": (
        ["--tls", "0", "--self-signed", "--private-key", "x"],
        "--private-key goes with a certificate",
    ),
    "self-signed and a certificate": (
        ["--tls", "0", "--self-signed", *FILE],
        "there can be no --certificate",
    ),
    "a demand that nobody can meet": (
        ["--tls", "0", *FILE, "--require-client-certificate"],
        "nobody vouches for clients",
    ),
    "a file without a name": (["--tls", "0", "--certificate", ""], "--certificate: the name of the file"),
    "no time for handshakes": (["--handshake-timeout", "0"], "--handshake-timeout: it has to end"),
    "endless handshakes": (["--handshake-timeout", "none"], "--handshake-timeout: it has to end"),
    "nothing to serve": (["--tcp", "none", "--udp", "none"], "nothing to serve"),
    "a host name": (["--interface", "example.org"], "--interface: 'example.org' is not an IP address"),
    "an impossible address": (["--interface", "1.2.3.4.5"], "--interface: "),
    "a multicast address": (["--interface", "224.0.0.1"], "--interface: 224.0.0.1"),
    "a multicast address of IPv6": (["--interface", "ff02::1"], "--interface: ff02::1"),
    "the broadcast address": (["--interface", "255.255.255.255"], "--interface: 255.255.255.255"),
    "a link-local address alone": (
        ["--interface", "fe80::1"],
        "--interface: fe80::1 is on each",
    ),
    "an IPv4 address in IPv6": (["--interface", "::ffff:127.0.0.1"], "write 127.0.0.1"),
    "two addresses": (["--interface", "127.0.0.1", "--interface", ""], "--interface is given twice"),
    "no connections": (["--max-connections", "0"], "--max-connections: '0'"),
    "half a connection": (["--max-connections", "0.5"], "--max-connections: '0.5'"),
    "a word for a number": (["--max-connections", "many"], "--max-connections: 'many'"),
    "no idle time": (["--idle-timeout", "0"], "--idle-timeout: 0"),
    "no idle time at all": (["--idle-timeout", "0.0"], "--idle-timeout: 0"),
    "a negative time": (["--idle-timeout", "-5"], "--idle-timeout: '-5'"),
    "not a number": (
        ["--idle-timeout", "nan"],
        "--idle-timeout: 'nan' is not a number of seconds up to 1000000, or 'none'",
    ),
    "infinity": (["--idle-timeout", "inf"], "--idle-timeout: 'inf'"),
    "a time beyond what systems take": (["--idle-timeout", "1000001"], "--idle-timeout: '1000001'"),
    "an empty time": (["--idle-timeout", ""], "--idle-timeout: ''"),
    "another alphabet's digits": (["--idle-timeout", "٣"], "--idle-timeout: '٣'"),
    "a negative drain time": (["--drain-timeout", "-1"], "--drain-timeout: '-1'"),
    "an endless drain time": (["--drain-timeout", "none"], "--drain-timeout: a stop has to end"),
    "no rate": (["--udp-rate", "0"], "--udp-rate: '0'"),
    "a negative rate": (["--udp-rate", "-1"], "--udp-rate: '-1'"),
    "a value for the flag": (["--udp-any-source-port=1"], "--udp-any-source-port"),
}


@pytest.mark.parametrize(("arguments", "message"), NONSENSE.values(), ids=NONSENSE.keys())
def test_an_option_that_makes_no_sense_ends_the_program_with_one_line(
    arguments: list[str], message: str
) -> None:
    """Python prints the message of a SystemExit on standard error and exits with status 1."""
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    line = caught.value.code
    assert isinstance(line, str)
    assert "\n" not in line
    assert line.startswith("winsockets-echo: ")
    assert message in line


def test_help_explains_each_option_and_shows_how(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fits a terminal, gives the defaults and has examples."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert not caught.value.code
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 80
    for option in (
        "--tcp=",
        "--tls=",
        "--certificate=",
        "--private-key=",
        "--client-ca=",
        "--require-client-certificate",
        "--self-signed",
        "--handshake-timeout=",
        "--udp=",
        "--interface=",
        "--max-connections=",
        "--idle-timeout=",
        "--drain-timeout=",
        "--udp-rate=",
        "--udp-any-source-port",
    ):
        assert f"{option} " in text
    assert f"[default: {DEFAULT_IDLE_TIMEOUT:g}]" in text
    assert f"[default: {DEFAULT_DRAIN_TIMEOUT:g}]" in text
    assert "[default: 1337]" in text
    assert str(DEFAULT_RATE) in text
    assert str(DEFAULT_LOOPBACK_BURST) in text
    assert "  twistd -n winsockets-echo\n" in text
