"""Addresses in words."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport

from winsockets.transports._describe import describe_address, describe_peer


def test_an_address_is_named_with_its_port():
    """In words that cannot be taken for a part of the address."""
    assert describe_address("127.0.0.1", 80) == "127.0.0.1 port 80"
    assert describe_address("::1", 80) == "::1 port 80"


def test_a_peer_is_named_as_well_as_its_transport_knows_it():
    """An address of the internet families with its port, anything else as it shows itself."""
    for address, words in [
        (IPv4Address("TCP", "192.0.2.1", 80), "192.0.2.1 port 80"),
        (IPv6Address("TCP", "fe80::1%eth0", 80), "fe80::1%eth0 port 80"),
        (UNIXAddress("/run/it"), str(UNIXAddress("/run/it"))),
        ("somebody", "somebody"),
    ]:
        assert describe_peer(StringTransport(peerAddress=address)) == words


def test_a_peer_nobody_knows_is_the_peer():
    """Without a transport, or one that does not say."""
    transport = StringTransport()
    transport.getPeer = lambda: None
    assert describe_peer(None) == "the peer"
    assert describe_peer(transport) == "the peer"


@pytest.mark.parametrize("problem", [NotImplementedError, AttributeError])
def test_a_transport_that_has_no_address_has_the_peer(problem):
    """The pipes to a process, and a transport that has forgotten it."""

    def unknown():
        raise problem

    transport = StringTransport()
    transport.getPeer = unknown
    assert describe_peer(transport) == "the peer"
