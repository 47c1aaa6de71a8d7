"""The proxies that are named for a URI."""

from __future__ import annotations

import pytest
import pytest_twisted

from winsockets import NetworkInformation
from winsockets.errors import InvalidArgumentError
from winsockets.networking._proxies import find_proxies

PROXIES = {"http": "http://proxy.example:3128", "https": "secure.example:8443"}


def found(uri, proxies=PROXIES, bypass=lambda host: False):
    """The proxies for a URI."""
    return find_proxies(uri, proxies=lambda: proxies, bypass=bypass)


@pytest.mark.parametrize(
    ("uri", "proxy"),
    [
        ("http://example.com/", "http://proxy.example:3128"),
        ("HTTP://example.com:8080/x", "http://proxy.example:3128"),
        ("https://[2001:db8::1]/", "http://secure.example:8443"),
        ("ws://example.com/", "http://proxy.example:3128"),
        ("wss://example.com/", "http://secure.example:8443"),
    ],
)
def test_each_scheme_has_its_proxy(uri, proxy):
    """WebSockets go the way of HTTP; a proxy without a scheme is one of HTTP."""
    configuration = found(uri)
    assert configuration.proxy_uris == (proxy,)
    assert not configuration.can_connect_directly


def test_a_scheme_without_a_proxy_is_reached_directly():
    """Unless there is one for everything."""
    assert found("ftp://example.com/").can_connect_directly
    assert found("ftp://example.com/").proxy_uris == ()
    assert found("ftp://example.com/", {"all": "socks5://s.example"}).proxy_uris == ("socks5://s.example",)
    assert found("ws://example.com/", {"ws": "a:1", "http": "b:2"}).proxy_uris == ("http://a:1",)
    assert found("http://example.com/", {"http": ""}).can_connect_directly


def test_hosts_may_need_no_proxy():
    """They are asked for with their port, and without user and password."""
    asked = []

    def bypass(host):
        asked.append(host)
        return 1

    assert found("http://user:word@example.com:81/", bypass=bypass).can_connect_directly
    assert asked == ["example.com:81"]


def test_passwords_of_proxies_are_not_shown():
    """Not in what goes into logs."""
    assert "secret" not in repr(found("http://example.com/", {"http": "http://me:secret@proxy.example"}))


@pytest_twisted.ensureDeferred
async def test_the_environment_names_proxies(monkeypatch):
    """Read at the call."""
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "no_proxy",
        "NO_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "REQUEST_METHOD",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "localhost,.intern.example")
    ask = NetworkInformation.get_proxy_configuration_async
    assert (await ask("http://example.com/")).proxy_uris == ("http://proxy.example:3128",)
    assert (await ask("http://www.intern.example:8080/")).can_connect_directly
    assert (await ask("http://localhost/")).can_connect_directly


@pytest.mark.parametrize(
    "uri", ["", "example.com", "/path", "http://", "http://[::1", "http://a:0/", "http://a:99999/"]
)
def test_what_is_no_uri_of_a_host_is_refused(uri):
    """At the call."""
    with pytest.raises(InvalidArgumentError, match="absolute URI"):
        NetworkInformation.get_proxy_configuration_async(uri)


@pytest.mark.parametrize("uri", [None, b"http://example.com/", 7])
def test_what_is_no_text_is_refused(uri):
    """At the call."""
    with pytest.raises(TypeError, match="uri is a str"):
        NetworkInformation.get_proxy_configuration_async(uri)
