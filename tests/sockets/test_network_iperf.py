"""iperf3 counts what arrives of our datagrams: its server is at another host, its client's part is ours."""

from __future__ import annotations

import json
import struct
import subprocess
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.networks import Delivery, faults, network, parse, tunnel
from tests.sockets.crossing import FAMILIES, connected_to, read, started_in
from tests.transports.datagrams import until
from winsockets.sockets import StreamSocket

PORT = 5201
COUNT, SIZE, BATCH = 400, 1000, 20
# What each side says over the connection for control
START, RUNNING, END, PARAMETERS, STREAMS, RESULTS, SHOW, DONE = 1, 2, 4, 9, 10, 13, 14, 16
HELLO = struct.pack("=I", 0x36373839)


async def write(control, data):
    """Say something."""
    await control.output_stream.write_async(data)


async def write_json(control, value):
    """Say something longer."""
    text = json.dumps(value).encode()
    await write(control, struct.pack("!I", len(text)) + text)


async def read_json(control):
    """Hear something longer."""
    (length,) = struct.unpack("!I", await read(control, 4))
    return json.loads(await read(control, length))


async def expect(control, *states):
    """Hear what comes next."""
    for state in states:
        assert await read(control, 1) == bytes([state])


def waiting_at(host, port):
    """How many bytes wait in the UDP sockets of a host that are bound to a port."""
    lines = [line.split() for name in ("udp", "udp6") for line in host.get(name).splitlines()[1:]]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if line[1].endswith(f":{port:04X}"))


@asynccontextmanager
async def server(host, program):
    """iperf3 as a server for one test; ends with what it has to say."""
    said = []
    process = host.start(program, "-s", "-1", "-J", "-p", str(PORT), stdout=subprocess.PIPE)
    listening = f":{PORT:04X} 0"
    await until(lambda: any(listening in host.get(name) for name in ("tcp", "tcp6")))
    yield said
    # The packets with which it says goodbye are carried by the reactor.
    output, _ = await deferToThread(process.communicate)
    said.append(json.loads(output))


async def arrived(link, other, count):
    """Wait until the link has had so many datagrams, and the server has none left to read."""
    await until(lambda: sum(len(raw) > SIZE for raw in link.passed) == count)
    await until(lambda: waiting_at(other, PORT) == 0)


async def send_datagrams(one, other, family, link, fate):
    """Do what iperf3's client does in a test over UDP."""
    async with StreamSocket() as control:
        await started_in(one, control.connect_async, other.address(family), PORT)
        await write(control, b"0123456789abcdefghijklmnopqrstuvwxyz\0")
        await expect(control, PARAMETERS)
        await write_json(
            control, {"udp": True, "omit": 0, "time": 0, "blockcount": COUNT, "parallel": 1, "len": SIZE}
        )
        await expect(control, STREAMS)
        sender, answers = await connected_to(one, other.address(family), PORT)
        async with sender:
            await sender.output_stream.write_async(HELLO)
            assert len((await anext(answers)).data) == 4
            await expect(control, START, RUNNING)
            good, link.fate = link.fate, fate
            for number in range(1, COUNT + 1):
                if number == COUNT:
                    # The last one arrives: without it nobody knows how many there were.
                    await arrived(link, other, COUNT - 1)
                    link.fate = good
                header = struct.pack("!III", 0, 0, number)
                await sender.output_stream.write_async(header.ljust(SIZE, b"\0"))
                if number % BATCH == 0:
                    await arrived(link, other, number)
            await write(control, bytes([END]))
            await expect(control, RESULTS)
            stream = {"id": 1, "bytes": COUNT * SIZE, "retransmits": -1, "jitter": 0, "errors": 0}
            await write_json(
                control,
                {
                    "cpu_util_total": 0,
                    "cpu_util_user": 0,
                    "cpu_util_system": 0,
                    "sender_has_retransmits": -1,
                    "streams": [{**stream, "packets": COUNT}],
                },
            )
            (theirs,) = (await read_json(control))["streams"]
            await expect(control, SHOW)
            await write(control, bytes([DONE]))
    return theirs


@pytest.mark.parametrize("loss", [0, 0.1])
@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_iperf3_misses_as_many_datagrams_as_the_link_has_lost(family, loss, require_program):
    """None over a good one; all that it has are whole."""
    counts = Counter()
    lossy = faults(11, loss=loss, counts=counts)

    def fate(raw):
        packet = parse(raw)
        return lossy(raw) if packet.destination_port == PORT and len(raw) > SIZE else [Delivery(raw)]

    with network() as built:
        one, other = built.host(), built.host()
        with tunnel(built, one, other) as link:
            async with server(other, require_program("iperf3")) as said:
                theirs = await send_datagrams(one, other, family, link, fate)
        assert theirs["packets"] == COUNT
        assert theirs["errors"] == counts["loss"]
        assert theirs["bytes"] == (COUNT - counts["loss"]) * SIZE
        assert (counts["loss"] > 0) is (loss > 0)
        assert said[0]["end"]["sum"]["lost_packets"] == counts["loss"]
