"""Name servers that are asked from one host through an adapter, and what other hosts see of that."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import pytest_twisted
from twisted.names import dns

from tests.networks import network
from tests.sockets.crossing import started_in
from tests.sockets.name_service import SRV, name_server
from winsockets.errors import SocketErrorStatus, UnknownServiceError
from winsockets.networking import NetworkAdapter
from winsockets.sockets import DatagramSocket, SocketProtectionLevel, StreamSocket

HOST = "shop.example"
SERVICE = "winsockets-greeter"
NOT_OFFERED = [SRV(0, 0, 0, "")]


@contextmanager
def two_cables():
    """Two hosts that are joined twice; the first cable is the preferred way."""
    with network() as built:
        here, there = built.host(), built.host()
        for metric in (10, 20):
            ports = built.join(here, there)
            for port in ports:
                port.host.ip(f"route add default dev {port.name} metric {metric}")
        yield here, there


async def asked_through(here, adapter, kind, server):
    """Connect through an adapter, and give what the name server's answer came to."""
    client = kind()
    client.control.name_servers = [server]
    arguments = [HOST, SERVICE]
    try:
        if kind is StreamSocket:
            arguments += [SocketProtectionLevel.PLAIN_SOCKET, adapter]
        else:
            await started_in(here, client.bind_service_name_async, "", adapter)
        with pytest.raises(UnknownServiceError, match="not offered") as caught:
            await started_in(here, client.connect_async, *arguments)
    finally:
        client.close()
        await client.wait_closed_async()
    return caught.value.status


@pytest.mark.parametrize("kind", [StreamSocket, DatagramSocket])
@pytest_twisted.ensureDeferred
async def test_name_servers_are_asked_through_the_adapter(kind):
    """Whatever way the routes prefer: the question is on that cable, and not on the other."""
    table = {(f"_{SERVICE}._{kind_of}.{HOST}", dns.SRV): NOT_OFFERED for kind_of in ("tcp", "udp")}
    with two_cables() as (here, there):
        # An address to which both cables lead
        there.ip("addr add 192.0.2.53/32 dev lo")
        async with name_server(table, "192.0.2.53", there) as (server, _):
            for number in (1, 0):
                with here:
                    adapter = NetworkAdapter.from_name(here.ports[number].name)
                with (
                    there.capture(there.ports[number]) as chosen,
                    there.capture(there.ports[1 - number]) as other,
                ):
                    status = await asked_through(here, adapter, kind, server)
                    assert status is SocketErrorStatus.CLASS_TYPE_NOT_FOUND
                    assert len(chosen.datagrams(server[1])) == 1
                    assert not other.datagrams(server[1])
