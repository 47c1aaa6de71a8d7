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
    stream_from,
)
from tests.transports.datagrams import until
from winsockets.foundation import AsyncOperation
from winsockets.sockets import StreamSocket

SHARES = {"loss": 0.05, "duplicate": 0.05, "reorder": 0.05, "corrupt": 0.05}
UDP, TCP = system.IPPROTO_UDP, system.IPPROTO_TCP
END = b"the end"
BATCH = 20


def of_protocol(protocol, inner):
    """Faults for one protocol only: what hosts say of themselves passes."""

    def fate(raw):
        return inner(raw) if parse(raw).protocol == protocol else [Delivery(raw)]

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


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_stream_is_whole_whatever_the_link_does(family):
    """Both ways at once, octet by octet, over a link on which a packet in ten has an accident."""
    counts = Counter()
    shares = dict.fromkeys(SHARES, 0.025)
    there = bytes(range(251)) * 2000
    back = bytes(reversed(there))
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other) as link:
            # What is lost at the end of a burst is sent again soon, not after a fifth of a second.
            for host, peer in ((one, other), (other, one)):
                host.ip(
                    f"route replace {peer.address(family)} dev net1 rto_min 10ms",
                )
            fate = of_protocol(TCP, faults(3, **shares, counts=counts))
            listener, connections, port = await listening_in(other, other.address(family))
            async with listener:
                stream = await stream_from(one, other.address(family), port)
                async with stream, await anext(connections) as accepted:
                    # From here on
                    link.fate = fate
                    writes = [
                        AsyncOperation.run(give(end, data))
                        for end, data in ((stream, there), (accepted, back))
                    ]
                    assert await read(accepted, len(there)) == there
                    assert await read(stream, len(back)) == back
                    for write in writes:
                        await write
        assert all(counts[name] for name in shares)
