"""What Twisted tests of endpoints and of the connections they make, on ours, also under TLS."""

from __future__ import annotations

from typing import Any
from unittest import skipIf

from endpoint_suite.builders import REACTORS, make_cases
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import wrapClientTLS, wrapServerTLS
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.internet.test import test_tcp, test_tls
from twisted.internet.test.connectionmixins import ConnectionTestsMixin, EndpointCreator
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SynchronousTestCase

from winsockets.transports import StreamClientEndpoint, StreamServerEndpoint


class _Creator(EndpointCreator):
    """Our endpoints for a loopback address."""

    def __init__(self, interface: str) -> None:
        self.interface = interface

    def server(self, reactor: Any) -> IStreamServerEndpoint:
        """Make an endpoint that listens."""
        return StreamServerEndpoint(reactor, 0, interface=self.interface)

    def client(self, reactor: Any, serverAddress: IPv4Address | IPv6Address) -> IStreamClientEndpoint:
        """Make an endpoint that connects to one that listens."""
        return StreamClientEndpoint(reactor, self.interface, serverAddress.port)


class _TLSCreator(_Creator, test_tls.ContextGeneratingMixin):
    """The same under TLS."""

    def server(self, reactor: Any) -> IStreamServerEndpoint:
        """Make an endpoint that listens."""
        return wrapServerTLS(self.getServerContext(), super().server(reactor))

    def client(self, reactor: Any, serverAddress: IPv4Address | IPv6Address) -> IStreamClientEndpoint:
        """Make an endpoint that connects to one that listens."""
        return wrapClientTLS(CertificateOptions(), super().client(reactor, serverAddress))


@skipIf(test_tcp.ipv6Skip, test_tcp.ipv6SkipReason)
class IPv6Builder(ReactorBuilder, ConnectionTestsMixin, test_tcp.AbortConnectionMixin):
    """Connections over IPv6."""

    endpoints = _Creator("::1")


class TLSBuilder(ReactorBuilder, ConnectionTestsMixin, test_tcp.AbortConnectionMixin):
    """Connections under TLS."""

    endpoints = _TLSCreator("127.0.0.1")


_EARLY = "our endpoints refuse a port that is none when they are made, not when they connect"
_OTHERS = {
    "test_connectPortNotNumeric": _EARLY,
    "test_connectPortOverflow": _EARLY,
    "test_connectPortUnderflow": _EARLY,
    "test_connectPortZero": _EARLY,
}
_CASES = {
    **make_cases(test_tcp.TCP4ClientTestsBuilder, __name__, _OTHERS, endpoints=_Creator("127.0.0.1")),
    **make_cases(test_tcp.AbortConnectionTests, __name__, _OTHERS, endpoints=_Creator("127.0.0.1")),
    **make_cases(IPv6Builder, __name__, _OTHERS),
    **make_cases(TLSBuilder, __name__, _OTHERS),
}
globals().update(_CASES)


class TheSuiteItself(SynchronousTestCase):
    """Without this, a new way of naming in Twisted would end in no tests, and so in success."""

    def test_it_has_tests_for_every_reactor(self) -> None:
        """Connections, refusals and aborts are among them."""
        for reactor in REACTORS:
            names = [dir(case) for name, case in _CASES.items() if name.endswith(f"_{reactor}Tests")]
            self.assertEqual(len(names), 4)
            tests = {name for case in names for name in case if name.startswith("test_")}
            self.assertTrue({"test_interface", "test_writeAfterDisconnect", "test_fullWriteBuffer"} <= tests)
