"""What Twisted tests of TCP ports, connectors and transports, startTLS included, on ours."""

from __future__ import annotations

from typing import Any

from endpoint_suite.builders import REACTORS, make_cases
from twisted.internet.test import test_tcp, test_tls
from twisted.trial.unittest import SynchronousTestCase

_SILENT = "our ports leave it to those who open and close them to log that"
_OTHERS = {
    "test_closePeerOnEMFILE": "clients wait in the backlog while there is no descriptor; none is closed",
    "test_connectionLostLogMsg": _SILENT,
    "test_startedListeningLogMessage": _SILENT,
}
_BUILDERS = (
    test_tcp.TCP4ClientTestsBuilder,
    test_tcp.TCP6ClientTestsBuilder,
    test_tcp.TCPPortTestsBuilder,
    test_tcp.TCPConnectionTestsBuilder,
    test_tcp.TCP4ConnectorTestsBuilder,
    test_tcp.TCP6ConnectorTestsBuilder,
    test_tcp.TCPTransportTestsBuilder,
    test_tcp.AbortConnectionTests,
    test_tls.SSLClientTestsMixin,
    test_tls.StartTLSClientTestsMixin,
    test_tls.AbortSSLConnectionTests,
)
_CASES: dict[str, type[Any]] = {}
for _builder in _BUILDERS:
    _CASES |= make_cases(_builder, __name__, _OTHERS)
globals().update(_CASES)


class TheSuiteItself(SynchronousTestCase):
    """Without this, a new way of naming in Twisted would end in no tests, and so in success."""

    def test_it_has_tests_for_every_reactor(self) -> None:
        """Half closes, producers, aborts and TLS are among them."""
        for reactor in REACTORS:
            names = [dir(case) for name, case in _CASES.items() if name.endswith(f"_{reactor}Tests")]
            self.assertEqual(len(names), len(_BUILDERS))
            tests = {name for case in names for name in case if name.startswith("test_")}
            self.assertTrue(
                {
                    "test_disconnectAfterWriteAfterStartTLS",
                    "test_disconnectWhileProducing",
                    "test_doubleHalfClose",
                    "test_fullWriteBuffer",
                    "test_streamingProducer",
                }
                <= tests
            )
