"""Links in user space: what they do to packets, and what they say of them."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from contextlib import contextmanager

import pytest
import pytest_twisted

from tests.networks import (
    Delivery,
    DestinationUnreachable,
    answering_with,
    faults,
    network,
    outside,
    parse,
    tunnel,
)
from tests.transports.datagrams import until

FAMILIES = (socket.AF_INET, socket.AF_INET6)


@contextmanager
def joined(fate=None):
    """Two hosts with a tunnel between them, and a function that gives what has arrived at the second."""
    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other, *(() if fate is None else (fate,))) as link:
            yield one, other, link


def drained(skt):
    """Every datagram that is there."""
    arrived = []
    try:
        while True:
            arrived.append(skt.recv(1 << 16))
    except BlockingIOError:
        return arrived


async def sent(one, other, link, family, count=200):
    """What arrives of datagrams with a number each."""
    with one.socket(family) as near, other.socket(family, bound_to=(other.address(family), 4000)) as far:
        # Room for all of them: SO_RCVBUFFORCE
        far.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
        for number in range(count):
            near.sendto(b"%d" % number, (other.address(family), 4000))
        numbers = [parse(packet).payload for packet in link.passed if parse(packet).destination_port == 4000]
        await until(lambda: sum(parse(packet).destination_port == 4000 for packet in link.passed) == count)
        # The last one may be late.
        await until(lambda: not link._calls)
        assert not numbers or numbers[0] == b"0"
        return [int(data) for data in drained(far)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_link_carries_everything(family):
    """In order, once."""
    with joined() as (one, other, link):
        assert await sent(one, other, link, family) == list(range(200))


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_faults_are_those_that_were_asked_for(family):
    """Lost and corrupted ones do not arrive, others twice, others later; the same ones for the same seed."""
    results = []
    for _ in range(2):
        counts = Counter()

        inner = faults(5, loss=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1, counts=counts)

        def fate(raw, inner=inner):
            # The hosts have things of their own to say to each other, which do not count.
            return inner(raw) if parse(raw).protocol == socket.IPPROTO_UDP else [Delivery(raw)]

        with joined(fate) as (one, other, link):
            numbers = await sent(one, other, link, family)
        arrived = Counter(numbers)
        assert min(counts.values()) > 5
        assert 200 - len(arrived) == counts["loss"] + counts["corrupt"]
        assert sum(arrived.values()) - len(arrived) == counts["duplicate"]
        assert numbers != sorted(numbers)
        results.append(numbers)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("family", "what", "number"),
    [
        (socket.AF_INET, DestinationUnreachable(3, 3), errno.ECONNREFUSED),
        (socket.AF_INET, DestinationUnreachable(3, 10), errno.EHOSTUNREACH),
        (socket.AF_INET6, DestinationUnreachable(1, 4), errno.ECONNREFUSED),
        (socket.AF_INET6, DestinationUnreachable(1, 1), errno.EACCES),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_link_says_what_a_router_would(family, what, number):
    """The system believes it."""
    hosts = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
    with network() as built:
        host = built.host()
        fate = answering_with(what, "192.0.2.9", "2001:db8::9")
        with outside(built, host, fate), host.socket(family) as skt:
            skt.connect((hosts[family], 4000))
            skt.send(b"x")
            answer = []
            await until(
                lambda: answer.append(skt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) or answer[-1]
            )
            assert answer[-1] == number
