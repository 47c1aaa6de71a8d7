"""What a host and a service name mean, before anything is looked up."""

from __future__ import annotations

import pytest

from winsockets.errors import InvalidArgumentError, SocketErrorStatus, UnknownServiceError
from winsockets.networking import HostName
from winsockets.networking._destination import destination, is_local
from winsockets.networking._dns_message import as_text

HOST = HostName("Example.COM")


def unknown(name, transport):
    """A services file that has nothing."""
    raise OSError("service/proto not found")


def meant(service, host=HOST, transport="tcp", getservbyname=unknown):
    """The destination."""
    return destination(host, service, transport, getservbyname=getservbyname)


def test_a_port_is_a_port():
    """Nothing is left to look up but the host."""
    wanted = meant("80")
    assert (wanted.host, wanted.service, wanted.port, wanted.record) == (HOST, "80", 80, ())
    assert str(wanted) == "example.com port 80"


def test_the_services_file_comes_before_dns():
    """What it knows is not asked for."""
    wanted = meant("http", getservbyname=lambda name, transport: 8080)
    assert (wanted.service, wanted.port, wanted.record) == ("http", 8080, ())


@pytest.mark.parametrize(
    ("service", "transport", "record"),
    [
        ("xmpp-client", "tcp", "_xmpp-client._tcp.example.com"),
        ("Sip", "udp", "_sip._udp.example.com"),
        ("xmpp-client._service01", "tcp", "_xmpp-client._service01._tcp.example.com"),
    ],
)
def test_any_other_service_is_a_record(service, transport, record):
    """Underscore and protocol are added; the parts of a hierarchy are as they were given."""
    wanted = meant(service, transport=transport)
    assert (as_text(wanted.record), wanted.port, wanted.service) == (record, 0, service)
    assert str(wanted) == f"example.com service {service}"


def test_an_international_host_is_asked_for_in_ascii():
    """As any other lookup."""
    assert as_text(meant("x", HostName("Bücher.example.")).record) == "_x._tcp.xn--bcher-kva.example"


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "localhost", "LOCALHOST.", "printer.localhost"])
def test_an_address_has_no_records(host):
    """Nor has this machine under its own name: the service is unknown at once."""
    with pytest.raises(UnknownServiceError, match="not in the services file") as caught:
        meant("xmpp-client", HostName(host))
    assert caught.value.status is SocketErrorStatus.CLASS_TYPE_NOT_FOUND
    assert is_local(HostName(host)) == ("localhost" in host.lower())


@pytest.mark.parametrize("service", ["a" * 63, "a/b", "a..b", ".a", "a.", "x." * 125 + "y", "1e3!"])
def test_what_cannot_be_a_record_is_unknown_at_once(service):
    """A label of 64, an empty one, a name of more than 255, or a strange character."""
    with pytest.raises(UnknownServiceError, match=r"no SRV record of example\.com can have its name"):
        meant(service)


@pytest.mark.parametrize("service", ["", "0", "65536", "01", "-1", "a b"])
def test_what_is_no_service_name_is_refused(service):
    """As without DNS."""
    with pytest.raises(InvalidArgumentError):
        meant(service)
