"""What counts as a host name and what does not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from winsockets.errors import E_INVALIDARG, InvalidArgumentError, SocketErrorStatus
from winsockets.networking import HostNameType
from winsockets.networking._host_grammar import parse_host

DOMAIN = HostNameType.DOMAIN_NAME
IPV4 = HostNameType.IPV4
IPV6 = HostNameType.IPV6
BLUETOOTH = HostNameType.BLUETOOTH

GOOD = [
    # text, type, canonical, display
    ("localhost", DOMAIN, "localhost", "localhost"),
    ("WWW.Example.COM", DOMAIN, "www.example.com", "www.example.com"),
    ("example.com.", DOMAIN, "example.com", "example.com"),
    ("3com.com", DOMAIN, "3com.com", "3com.com"),
    ("1.2.3.4.example", DOMAIN, "1.2.3.4.example", "1.2.3.4.example"),
    ("my_host", DOMAIN, "my_host", "my_host"),
    ("_xmpp._tcp.example", DOMAIN, "_xmpp._tcp.example", "_xmpp._tcp.example"),
    ("r3---sn-abc.example", DOMAIN, "r3---sn-abc.example", "r3---sn-abc.example"),
    ("a" * 63, DOMAIN, "a" * 63, "a" * 63),
    (".".join(["a" * 49] * 5) + ".abc", DOMAIN, ".".join(["a" * 49] * 5) + ".abc", None),
    (".".join(["a" * 49] * 5) + ".abc.", DOMAIN, ".".join(["a" * 49] * 5) + ".abc", None),
    # international
    ("bücher.example", DOMAIN, "xn--bcher-kva.example", "bücher.example"),
    ("BÜCHER.example", DOMAIN, "xn--bcher-kva.example", "bücher.example"),
    ("bu\u0308cher.example", DOMAIN, "xn--bcher-kva.example", "bücher.example"),
    ("xn--bcher-kva.example", DOMAIN, "xn--bcher-kva.example", "bücher.example"),
    ("XN--BCHER-KVA.EXAMPLE", DOMAIN, "xn--bcher-kva.example", "bücher.example"),
    ("faß.example", DOMAIN, "xn--fa-hia.example", "faß.example"),
    ("例え。テスト", DOMAIN, "xn--r8jz45g.xn--zckzah", "例え.テスト"),
    ("例え\uff0eテスト｡", DOMAIN, "xn--r8jz45g.xn--zckzah", "例え.テスト"),
    ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", DOMAIN, "example.com", "example.com"),
    ("مثال.example", DOMAIN, "xn--mgbh0fb.example", "مثال.example"),
    # IPv4
    ("127.0.0.1", IPV4, "127.0.0.1", "127.0.0.1"),
    ("0.0.0.0", IPV4, "0.0.0.0", "0.0.0.0"),
    ("255.255.255.255", IPV4, "255.255.255.255", "255.255.255.255"),
    # IPv6
    ("::", IPV6, "::", "::"),
    ("::1", IPV6, "::1", "::1"),
    ("[::1]", IPV6, "::1", "::1"),
    ("2001:0DB8:0000:0000:0001:0000:0000:0001", IPV6, "2001:db8::1:0:0:1", "2001:db8::1:0:0:1"),
    ("::FFFF:192.0.2.1", IPV6, "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ("::ffff:c000:201", IPV6, "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ("FE80::1%eth0", IPV6, "fe80::1%eth0", "fe80::1%eth0"),
    ("fe80::1%Ethernet_3", IPV6, "fe80::1%Ethernet_3", "fe80::1%Ethernet_3"),
    ("[fe80::1%2]", IPV6, "fe80::1%2", "fe80::1%2"),
    # Bluetooth
    ("(00:11:22:aa:bb:CC)", BLUETOOTH, "(00:11:22:AA:BB:CC)", "(00:11:22:AA:BB:CC)"),
]

BAD = [
    # text, a part of the reason
    ("", "it is empty"),
    (" ", "blanks"),
    (" example.com", "(index 0)"),
    ("example.com ", "(index 11)"),
    ("exam ple.com", "(index 4)"),
    ("example.com\n", "blanks"),
    ("example\0.com", "control characters"),
    ("example\x7f.com", "control characters"),
    ("exam\u00a0ple.com", "blanks"),
    ("exam\u3000ple.com", "blanks"),
    ("\ud800", "surrogates"),
    ("*", "leave the host name out"),
    ("*.example.com", "is a pattern"),
    (".", "between or after its dots"),
    ("..", "between or after its dots"),
    (".example", "before"),
    ("a..b", "between"),
    ("a.b..", "between"),
    ("\u00ad", "between"),
    ("-a.example", "hyphen"),
    ("a-.example", "hyphen"),
    ("a" * 64, "63 characters"),
    ("ü" * 64, "63 characters"),
    ("üä" * 29 + ".example", "is not valid"),
    (".".join(["a" * 49] * 5) + ".abcd", "takes 254 characters"),
    ("a." * 10_000, "at most 253"),
    ("a/b", "'/'"),
    ("user@example.com", "'@'"),
    ("a,b", "','"),
    ("(00:11:22:aa:bb)", "not an IPv6 address"),
    ("a_ü.example", "is not valid"),
    ("a\u202eb.example", "U+202E"),
    ("\u0301a", "is not valid"),
    ("💩.example", "is not valid"),
    ("xn--ls8h.example", "is not valid"),
    ("xn--", "is not valid"),
    ("xn--abc-", "is not valid"),
    ("xn---bbk", "is not valid"),
    ("xn--\u00fc.example", "is not valid"),
    ("مa.example", "is not valid"),
    # what only looks like an IPv4 address
    ("127.1", "write '127.0.0.1'"),
    ("2130706433", "write '127.0.0.1'"),
    ("0x7f.1", "write '127.0.0.1'"),
    ("0x7F000001", "write '127.0.0.1'"),
    ("017.0.0.1", "write '15.0.0.1'"),
    ("127.0.0.01", "write '127.0.0.1'"),
    ("127.0.0.1.", "write '127.0.0.1'"),
    ("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "write '127.0.0.1'"),
    ("127。0。0。1", "write '127.0.0.1'"),
    ("1.2.3", "write '1.2.0.3'"),
    ("1.2.3.256", "from 0 to 255"),
    ("1.2.3.4.5", "from 0 to 255"),
    ("example.0x1f", "from 0 to 255"),
    ("host.1", "from 0 to 255"),
    # what only looks like an IPv6 address, and names with something more
    (":", "not an IPv6 address"),
    (":::", "not an IPv6 address"),
    ("1:2:3:4:5:6:7:8:9", "not an IPv6 address"),
    ("::12345", "not an IPv6 address"),
    ("::g", "not an IPv6 address"),
    ("::\uff11", "not an IPv6 address"),
    ("::1/64", "not an IPv6 address"),
    ("[::1", "not an IPv6 address"),
    ("::1]", "not an IPv6 address"),
    ("[[::1]]", "not an IPv6 address"),
    ("[]", "not an IPv6 address"),
    ("[127.0.0.1]", "not an IPv6 address"),
    ("[example.com]", "not an IPv6 address"),
    ("fe80::1%", "zone"),
    ("fe80::1%a%b", "zone"),
    ("fe80::1%a/b", "zone"),
    ("fe80::1%é", "zone"),
    ("fe80::1%" + "x" * 65, "zone"),
    ("127.0.0.1%eth0", "only IPv6 addresses have a zone"),
    ("example.com%eth0", "only IPv6 addresses have a zone"),
    ("example.com:80", "service name"),
    ("[::1]:80", "service name"),
    ("http://example.com/", "URL"),
]

labels = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}[A-Za-z0-9_]", fullmatch=True).filter(
    lambda label: not label.lower().startswith("xn--")
)
names = st.lists(labels, min_size=1, max_size=6).map(".".join)
# Letters of scripts that need mapping, contextual rules, or both directions.
scripts = st.text("abzABZ019-ßςΣäÖéאבgدمطक्षञ例テスト한글\uff0e。\u200c\u200d\u0301", max_size=30)
anything = st.text(max_size=60) | scripts | st.text("0123456789.xXaf:%[]()", max_size=40)


@pytest.mark.parametrize(("text", "kind", "canonical", "display"), GOOD)
def test_good_forms(text, kind, canonical, display):
    """Each form is recognised, with its form for comparing and its form for people."""
    assert parse_host(text) == (kind, canonical, canonical if display is None else display)


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_bad_forms(text, reason):
    """Each of the others is refused with its own reason, and the message names the value."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse_host(text)
    message = str(caught.value)
    assert reason in message
    assert message.startswith(repr(text[:64]))
    assert "is not a host name" in message
    assert caught.value.hresult == E_INVALIDARG
    assert caught.value.status == SocketErrorStatus.UNKNOWN


def test_messages_stay_short():
    """A hostile value does not fill the log."""
    for text in ["\u202e" * 1000, "x" * 100_000, "ü" * 1012, "a:" * 500, "\x00" * 500]:
        with pytest.raises(InvalidArgumentError) as caught:
            parse_host(text)
        assert len(str(caught.value)) < 1500
        assert str(caught.value).isprintable()


@given(anything)
@example("İ.example")
@example("xn--a.xn--b")
@example("\u2488example")
@example("0\u094d\u200c")
def test_any_text_parses_or_is_refused(text):
    """No other exception comes out, and what comes out can be read again."""
    try:
        form = parse_host(text)
    except InvalidArgumentError:
        return
    assert form.canonical.isascii()
    assert len(form.canonical) <= 253 or form.type is not DOMAIN
    # IDNA 2008 keeps the two joiners where a script needs them; nothing else invisible gets through.
    assert form.display.translate({0x200C: None, 0x200D: None}).isprintable()
    assert parse_host(form.canonical) == form
    assert parse_host(form.display) == form


@given(names)
def test_case_and_final_dot_do_not_matter(name):
    """A name and its variations have one canonical form."""
    form = parse_host(name)
    assert form == (DOMAIN, name.lower(), name.lower())
    assert parse_host(name.upper()) == form
    assert parse_host(name + ".") == form


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_its_own_form(address):
    """A dotted quad is taken as it is."""
    assert parse_host(str(address)) == (IPV4, str(address), str(address))


@given(st.ip_addresses(v=6), st.sampled_from(["", "%eth0", "%12"]))
def test_every_spelling_of_an_ipv6_address_has_one_form(address, zone):
    """Long, short, upper case and bracketed spellings mean the same address."""
    form = parse_host(address.compressed + zone)
    assert form.type is IPV6
    assert ipaddress.IPv6Address(form.canonical.partition("%")[0]) == address
    for spelling in (
        address.exploded + zone,
        address.compressed.upper() + zone,
        f"[{address.exploded.upper()}{zone}]",
    ):
        assert parse_host(spelling) == form


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=5), st.sampled_from(["d", "o", "x"]))
def test_numbers_with_dots_are_never_domain_names(numbers, base):
    """Whatever a resolver of old would take for an IPv4 address is one here, or nothing."""
    prefix = {"d": "", "o": "0", "x": "0x"}[base]
    text = ".".join(f"{prefix}{number:{base}}" for number in numbers)
    try:
        form = parse_host(text)
    except InvalidArgumentError:
        return
    assert form.type is IPV4
    assert form.canonical == text
