"""Over a link that loses, doubles, reorders and spoils packets: what arrives, and that it ends."""

from __future__ import annotations

import socket as system
from collections import Counter

import pytest
import pytest_twisted

from tests.networks import Delivery, faults, network, parse, tunnel
from tests.sockets.crossing import (
    FAMILIES,
    connected_to,
    listening_in,
    read,
    receiver_in,
    started_in,
)
from tests.sockets.tls import BEST, client, server_identity
from tests.transports.datagrams import until
from winsockets.foundation import AsyncOperation
from winsockets.sockets import SocketProtectionLevel, StreamSocket

SHARES = {"loss": 0.05, "duplicate": 0.05, "reorder": 0.05, "corrupt": 0.05}
UDP, TCP = system.IPPROTO_UDP, system.IPPROTO_TCP
SYN = 2
END = b"the end"
BATCH = 20


def of_protocol(protocol, inner):
    """Faults for one protocol only: what hosts say of themselves passes.

    So do the first packets of connections, for which systems wait a second.
    """

    def fate(raw):
        packet = parse(raw)
        suffers = packet.protocol == protocol and not packet.flags & SYN
        return inner(raw) if suffers else [Delivery(raw)]

    return fate


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_datagrams_arrive_whole_or_not_at_all(family):
    """Some are missing, some come twice or late, none is changed, and every one is from its sender."""
    counts = Counter()
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other, of_protocol(UDP, faults(7, **SHARES, counts=counts))) as link:
            receiver, messages = await receiver_in(other, other.address(family))
            port = receiver.information.local_port
            sender, _ = await connected_to(one, other.address(family), port)
            async with receiver, sender:
                sent = [b"%d " % number * 200 for number in range(200)]
                for number, data in enumerate(sent, 1):
                    await sender.output_stream.write_async(data)
                    if number % BATCH == 0:
                        # The system has no room for all of them.
                        await until(lambda number=number: sum(counts.values()) == number)
                await until(lambda: link.idle)
                link.fate = lambda raw: [Delivery(raw)]
                await sender.output_stream.write_async(END)
                arrived = []
                while (data := (await anext(messages)).data) != END:
                    arrived.append(data)
        numbers = [int(data[: data.index(b" ")]) for data in arrived]
        assert [sent[number] for number in numbers] == arrived
        assert len(sent) - len(set(numbers)) == counts["loss"] + counts["corrupt"] > 0
        assert len(numbers) - len(set(numbers)) == counts["duplicate"] > 0
        assert numbers != sorted(numbers)


async def give(stream: StreamSocket, data: bytes) -> None:
    """Write, and close."""
    await stream.output_stream.write_async(data)
    await stream.output_stream.flush_async()


@pytest.mark.parametrize("secret", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_stream_is_whole_whatever_the_link_does(family, secret):
    """Both ways at once, octet by octet, over a link on which a packet in ten has an accident."""
    counts = Counter()
    shares = dict.fromkeys(SHARES, 0.025)
    there = bytes(range(251)) * 2000
    back = bytes(reversed(there))
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other) as link:
            for host, peer in ((one, other), (other, one)):
                # What is lost at the end of a burst is sent again soon, not after a fifth of a second.
                host.ip(f"route replace {peer.address(family)} dev net1 rto_min 10ms")
            link.fate = of_protocol(TCP, faults(3, **shares, counts=counts))
            settings = {"server_certificates": [server_identity(other.ipv4, other.ipv6)]} if secret else {}
            listener, connections, port = await listening_in(other, other.address(family), **settings)
            async with listener, client() as stream:
                level = BEST if secret else SocketProtectionLevel.PLAIN_SOCKET
                await started_in(one, stream.connect_async, other.address(family), port, level)
                async with await anext(connections) as accepted:
                    writes = [
                        AsyncOperation.run(give(end, data))
                        for end, data in ((stream, there), (accepted, back))
                    ]
                    assert await read(accepted, len(there)) == there
                    assert await read(stream, len(back)) == back
                    for write in writes:
                        await write
                    # Neither waits for the other one to end.
                    stream.close()
            on_the_way = b"".join(packet for packet in link.passed)
            assert (there[:251] in on_the_way) is not secret
        assert all(counts[name] for name in shares)
