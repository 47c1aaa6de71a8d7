"""The handshakes of a listener: a bounded number of log lines, and other authorities for clients."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.sockets.tls import BEST, HOST, authority, client, client_identity, failure_of, serving
from tests.transports.loopback import until
from winsockets.errors import IllegalMethodCallError, InvalidArgumentError, SocketException
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.sockets import StreamSocketListener
from winsockets.sockets._tls_serving import LOG_LINES_PER_SECOND, Handshakes
from winsockets.transports import ClientCertificatePolicy
from winsockets.transports._admission import Admission


def test_a_storm_of_failures_is_a_bounded_number_of_lines() -> None:
    """The others are counted, and the next line says how many they were."""
    clock = Clock()
    failed: list[None] = []
    admission = Admission(clock, DEFAULT_LIMITS, None)
    handshakes = Handshakes(
        admission, DEFAULT_LIMITS, lambda protocol: None, lambda: failed.append(None), clock
    )
    layer: Any = object()
    with capturedLogs() as events:
        for _ in range(LOG_LINES_PER_SECOND + 7):
            handshakes.failed(layer, SocketException("no certificate"))
        assert len(events) == LOG_LINES_PER_SECOND
        clock.advance(1)
        handshakes.failed(layer, SocketException("the last one"))
    assert len(failed) == LOG_LINES_PER_SECOND + 8
    assert [formatEvent(event) for event in events[LOG_LINES_PER_SECOND:]] == [
        "7 more clients did not get in, without a line of their own",
        "A client did not get in: the last one",
    ]


def test_the_end_of_a_storm_is_told_when_the_listener_is_closed() -> None:
    """There may be no next line."""
    clock = Clock()
    handshakes = Handshakes(
        Admission(clock, DEFAULT_LIMITS, None), DEFAULT_LIMITS, lambda _: None, lambda: None, clock
    )
    layer: Any = object()
    for _ in range(LOG_LINES_PER_SECOND + 7):
        handshakes.failed(layer, SocketException("no certificate"))
    with capturedLogs() as events:
        handshakes.close()
        handshakes.close()
    assert [formatEvent(event) for event in events] == [
        "7 more clients did not get in, without a line of their own"
    ]


@pytest_twisted.ensureDeferred
async def test_others_may_vouch_for_clients_from_the_next_connection_on() -> None:
    """Also for those who have a session from before."""
    policy = ClientCertificatePolicy.REQUIRE
    ours, theirs = authority("ours").certificate, authority("theirs").certificate
    async with serving(client_certificate_policy=policy, trusted_client_certificates=[ours]) as listener:
        control = listener.control
        place = (HOST, listener.information.local_port, BEST)
        with pytest.raises(InvalidArgumentError, match="is empty"):
            control.trusted_client_certificates.clear()
        async with client(client_certificate=client_identity("ours")) as before:
            await before.connect_async(*place)
            await before.output_stream.write_async(b"x")
            assert await before.input_stream.read(1) == b"x"
            control.trusted_client_certificates = [theirs]
            async with client(client_certificate=client_identity("theirs")) as after:
                await after.connect_async(*place)
                await after.output_stream.write_async(b"x")
                assert await after.input_stream.read(1) == b"x"
            async with client(client_certificate=client_identity("ours")) as refused:
                await refused.connect_async(*place)
                await failure_of(refused.input_stream.read(1))
            await before.output_stream.write_async(b"y")
            assert await before.input_stream.read(1) == b"y"
        await until(lambda: listener.information.failed_handshakes == 1)


@pytest_twisted.ensureDeferred
async def test_revocation_lists_of_clients_count_from_the_next_connection_on() -> None:
    """Lists run out while a listener does not; a session does not help who is on the new one."""
    certificate = client_identity("ours")
    issuer = authority("ours")
    settings: dict[str, Any] = {
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [issuer.certificate],
        "client_certificate_revocation_lists": [issuer.revocation_list()],
    }
    async with serving(**settings) as listener:
        lists = listener.control.client_certificate_revocation_lists

        async def welcomed() -> bytes:
            async with client(client_certificate=certificate) as socket:
                await socket.connect_async("localhost", listener.information.local_port, BEST)
                await socket.output_stream.write_async(b"x")
                return await socket.input_stream.read(1)

        assert await welcomed() == b"x"
        with pytest.raises(InvalidArgumentError, match="read a revocation list"):
            lists[0] = b"no list"
        assert await welcomed() == b"x"
        lists[0] = issuer.revocation_list(certificate)
        assert "certificate_revoked" in str(await failure_of(welcomed()))
        lists[0] = issuer.revocation_list()
        assert await welcomed() == b"x"
        lists.clear()
        assert await welcomed() == b"x"
        await until(lambda: listener.information.failed_handshakes == 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_client_certificates", [authority("ours").certificate]),
        ("client_certificate_revocation_lists", [authority("ours").revocation_list()]),
    ],
)
@pytest_twisted.ensureDeferred
async def test_without_tls_nobody_vouches_later(name: str, value: Any) -> None:
    """It would be heard by nobody."""
    async with StreamSocketListener() as listener:
        listener.connection_received += lambda sender, args: args.socket.close()
        await listener.bind_endpoint_async(HOST, "")
        with pytest.raises(IllegalMethodCallError, match=name):
            setattr(listener.control, name, value)
