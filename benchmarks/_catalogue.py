"""What is compared: the peers, the work, and the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PEERS", "TARGETS", "WORKS", "Figure", "Peer", "Settings", "Target", "Unit", "Work"]

GIB = 1 << 30
PIECE = 64 * 1024
BATCH, DATAGRAM = 50, 1200
"""The servers know these three too."""


@dataclass(frozen=True)
class Peer:
    """A server program.

    Attributes:
        key: its name on the command line and in the results.
        label: its name in tables.
        module: the module in ``benchmarks.servers``.
        arguments: what follows the name of the work on its command line.
        needs: the module without which it cannot run.
    """

    key: str
    label: str
    module: str
    needs: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How much of everything.

    Attributes:
        repetitions: how often each server does each work.
        seconds: how long an echo runs.
        gib: the size of the bulk works, in GiB; with TLS a quarter of it.
        connections: how many are opened and closed; with TLS a tenth of it.
        idle: how many only exist; with TLS a fifth of it.
        packet_rounds: rounds of 1,000 packets.
        datagram_rounds: rounds of batches.
    """

    repetitions: int = 5
    seconds: float = 2.0
    gib: float = 2.0
    connections: int = 20_000
    idle: int = 10_000
    packet_rounds: int = 300
    datagram_rounds: int = 200

    @classmethod
    def quick(cls) -> Settings:
        """Enough to see that everything runs, too little to compare."""
        return cls(1, 0.3, 0.125, 1_000, 1_000, 20, 20)


@dataclass(frozen=True)
class Unit:
    """How the figures of a work are written.

    Attributes:
        each: what the CPU time is divided by, in words.
        cpu: its unit, and what a CPU second per counted thing is multiplied with to get it.
        rate: likewise for things a second.
    """

    each: str
    cpu: tuple[str, float]
    rate: tuple[str, float]


def _each(thing: str) -> Unit:
    return Unit(thing, ("µs", 1e6), (f"{thing}s/s", 1))


BULK = Unit("GiB", ("s", GIB), ("GiB/s", 1 / GIB))
ROUND_TRIP = _each("round trip")
PACKET = _each("packet")
DATAGRAM_UNIT = _each("datagram")


@dataclass(frozen=True)
class Work:
    """Something that all peers do.

    Attributes:
        key: its name on the command line and in the results.
        title: its name in tables.
        serves: what the server is asked to do.
        load: the mode of the load generator, and its numbers.
        unit: how the figures are written.
        peers: who can do it.
        baseline: the peer that the others are compared with.
        counts_sends: whether the system calls that send are counted too.
        counts_memory: whether the server's memory is the point.
        tls: whether the server needs a certificate.
    """

    key: str
    title: str
    serves: str
    load: Callable[[Settings], tuple[str, tuple[int, ...]]]
    unit: Unit
    peers: tuple[str, ...]
    baseline: str
    counts_sends: bool = False
    counts_memory: bool = False
    tls: bool = False


PEERS = {
    peer.key: peer
    for peer in (
        Peer("raw", "raw epoll loop", "raw", "select"),
        Peer("twisted", "bare Twisted Protocol", "twisted_protocol", "twisted"),
        Peer("asyncio-protocol", "asyncio Protocol", "asyncio_protocol", "asyncio"),
        Peer("asyncio-streams", "asyncio streams", "asyncio_streams", "asyncio"),
        Peer("uvloop-streams", "uvloop streams", "uvloop_streams", "uvloop"),
        Peer("trio", "trio", "trio_streams", "trio"),
        Peer("anyio", "anyio", "anyio_streams", "anyio"),
        Peer("winsockets", "winsockets", "winsockets_sockets", "winsockets", ("epoll",)),
        Peer(
            "winsockets-reactor",
            "winsockets, own reactor",
            "winsockets_sockets",
            "winsockets.reactor",
            ("winsockets",),
        ),
    )
}

OURS = ("winsockets", "winsockets-reactor")
STREAMS = tuple(PEERS)
EACH = ("raw", "asyncio-streams", "uvloop-streams", "trio", "anyio", *OURS)
GATHERED = ("asyncio-streams", "uvloop-streams", *OURS)
FLUSHED = ("raw", "twisted", "asyncio-protocol", "asyncio-streams", "uvloop-streams", *OURS)
TLS = ("twisted", "asyncio-protocol", "asyncio-streams", "uvloop-streams", "trio", *OURS)
DATAGRAMS = ("raw", "twisted", "asyncio-protocol", *OURS)


def _echo(mode: str, flows: int, size: int = 64) -> Callable[[Settings], tuple[str, tuple[int, ...]]]:
    def load(settings: Settings) -> tuple[str, tuple[int, ...]]:
        milliseconds = int(settings.seconds * 1000)
        return mode, (flows, size, milliseconds, milliseconds // 4)

    return load


def _bulk(mode: str) -> Callable[[Settings], tuple[str, tuple[int, ...]]]:
    return lambda settings: (mode, (int(settings.gib * GIB), PIECE))


def _packets(settings: Settings) -> tuple[str, tuple[int, ...]]:
    return "packets", (settings.packet_rounds, 100, 1000, 5)


def _datagram_sink(*, coalesced: bool) -> Callable[[Settings], tuple[str, tuple[int, ...]]]:
    return lambda settings: (
        "datagram-sink",
        (settings.datagram_rounds, 20, BATCH, DATAGRAM, int(coalesced)),
    )


WORKS = {
    work.key: work
    for work in (
        *(
            Work(
                f"echo-{flows}",
                f"Echo of 64 bytes, {flows:,} connection{'s' if flows > 1 else ''}",
                "echo",
                _echo("echo", flows),
                ROUND_TRIP,
                STREAMS,
                "twisted",
            )
            for flows in (1, 50, 1000)
        ),
        Work(
            "receive", "Bulk receive in 64 KiB pieces", "receive", _bulk("source"), BULK, STREAMS, "twisted"
        ),
        Work("send", "Bulk send in 64 KiB pieces", "send", _bulk("sink"), BULK, STREAMS, "twisted"),
        Work("relay", "Relay in 64 KiB pieces", "relay", _bulk("relay"), BULK, STREAMS, "twisted"),
        Work(
            "packets-each",
            "1,000 packets of 100 bytes, one await each",
            "packets-each",
            _packets,
            PACKET,
            EACH,
            "asyncio-streams",
            counts_sends=True,
        ),
        Work(
            "packets-gathered",
            "1,000 packets of 100 bytes, awaited together",
            "packets-gathered",
            _packets,
            PACKET,
            GATHERED,
            "asyncio-streams",
            counts_sends=True,
        ),
        Work(
            "packets-flushed",
            "1,000 packets of 100 bytes, one flush",
            "packets-flushed",
            _packets,
            PACKET,
            FLUSHED,
            "asyncio-streams",
            counts_sends=True,
        ),
        Work(
            "connections",
            "Connections opened and closed, 50 at once",
            "echo",
            lambda settings: ("connections", (50, settings.connections)),
            _each("connection"),
            STREAMS,
            "twisted",
        ),
        Work(
            "idle",
            "Idle connections",
            "echo",
            lambda settings: ("idle", (settings.idle // 10, settings.idle)),
            _each("connection"),
            STREAMS,
            "twisted",
            counts_memory=True,
        ),
        Work(
            "tls-echo-50",
            "TLS: echo of 64 bytes, 50 connections",
            "tls-echo",
            _echo("tls-echo", 50),
            ROUND_TRIP,
            TLS,
            "twisted",
            tls=True,
        ),
        Work(
            "tls-echo-large",
            "TLS: echo of 64 KiB, 8 connections",
            "tls-echo",
            _echo("tls-echo", 8, PIECE),
            ROUND_TRIP,
            TLS,
            "twisted",
            tls=True,
        ),
        Work(
            "tls-receive",
            "TLS: bulk receive in 64 KiB pieces",
            "tls-receive",
            lambda settings: ("tls-source", (int(settings.gib * GIB / 4), PIECE)),
            BULK,
            TLS,
            "twisted",
            tls=True,
        ),
        Work(
            "tls-connections",
            "TLS: full handshakes, 50 at once",
            "tls-echo",
            lambda settings: ("tls-connections", (50, settings.connections // 10)),
            _each("connection"),
            TLS,
            "twisted",
            tls=True,
        ),
        Work(
            "tls-idle",
            "TLS: idle connections",
            "tls-echo",
            lambda settings: ("tls-idle", (settings.idle // 20, settings.idle // 5)),
            _each("connection"),
            TLS,
            "twisted",
            counts_memory=True,
            tls=True,
        ),
        Work(
            "datagram-echo",
            "Datagram echo of 64 bytes, 50 flows",
            "datagram-echo",
            _echo("datagram-echo", 50),
            ROUND_TRIP,
            DATAGRAMS,
            "raw",
        ),
        Work(
            "datagram-send",
            "Datagrams of 1,200 bytes sent in batches of 50",
            "datagram-send",
            _datagram_sink(coalesced=True),
            DATAGRAM_UNIT,
            DATAGRAMS,
            "raw",
        ),
        Work(
            "datagram-send-single",
            "Datagrams sent to a peer that takes them singly",
            "datagram-send",
            _datagram_sink(coalesced=False),
            DATAGRAM_UNIT,
            DATAGRAMS,
            "raw",
        ),
        Work(
            "datagram-receive",
            "Datagrams of 1,200 bytes received in batches of 50",
            "datagram-receive",
            lambda settings: ("datagram-source", (settings.datagram_rounds * 5, 3, BATCH, DATAGRAM)),
            DATAGRAM_UNIT,
            DATAGRAMS,
            "raw",
        ),
    )
}


@dataclass(frozen=True)
class Figure:
    """One kind of figure of one peer at one work: ``cpu``, ``rate``, ``memory`` or ``sends``."""

    work: str
    peer: str
    kind: str = "cpu"


@dataclass(frozen=True)
class Target:
    """What a figure, or the ratio of two, is to be.

    Attributes:
        title: in words.
        limit: the target.
        at_most: whether the limit is the most; otherwise it is the least.
        figure: what is judged.
        beside: what it is divided by.
    """

    title: str
    limit: float
    at_most: bool
    figure: Figure
    beside: Figure | None = None


def _cpu(title: str, limit: float, work: str, peer: str, beside: str) -> Target:
    return Target(title, limit, True, Figure(work, peer), Figure(work, beside))


TARGETS = (
    _cpu("echo, 50 connections: CPU to the bare Twisted Protocol", 0.8, "echo-50", "winsockets", "twisted"),
    _cpu("echo, 50 connections: CPU to asyncio streams", 0.45, "echo-50", "winsockets", "asyncio-streams"),
    _cpu("echo, 50 connections: CPU to trio", 0.7, "echo-50", "winsockets", "trio"),
    _cpu(
        "echo, 50 connections, own reactor: CPU to uvloop streams",
        1.0,
        "echo-50",
        "winsockets-reactor",
        "uvloop-streams",
    ),
    _cpu("bulk receive: CPU to the bare Twisted Protocol", 1.05, "receive", "winsockets", "twisted"),
    _cpu("bulk receive: CPU to uvloop streams", 0.7, "receive", "winsockets", "uvloop-streams"),
    Target(
        "1,000 packets written, then flushed: system calls that send",
        10,
        True,
        Figure("packets-flushed", "winsockets", "sends"),
    ),
    Target(
        "packets a CPU second: flushed once to one await each",
        5,
        False,
        Figure("packets-each", "winsockets"),
        Figure("packets-flushed", "winsockets"),
    ),
    Target(
        "datagrams sent a CPU second to a plain send loop",
        5,
        False,
        Figure("datagram-send", "raw"),
        Figure("datagram-send", "winsockets"),
    ),
    Target(
        "datagrams received a CPU second to a plain recvfrom loop",
        2,
        False,
        Figure("datagram-receive", "raw"),
        Figure("datagram-receive", "winsockets"),
    ),
    Target(
        "connections a second to the bare Twisted Protocol",
        0.9,
        False,
        Figure("connections", "winsockets", "rate"),
        Figure("connections", "twisted", "rate"),
    ),
    Target("bytes of an idle connection", 4096, True, Figure("idle", "winsockets", "memory")),
    *(
        _cpu(f"TLS, echo of {size}: CPU to {label}", 1.0, work, "winsockets", peer)
        for work, size in (("tls-echo-50", "64 bytes"), ("tls-echo-large", "64 KiB"))
        for peer, label in (
            ("twisted", "bare Twisted"),
            ("asyncio-streams", "asyncio streams"),
            ("asyncio-protocol", "the asyncio Protocol"),
        )
    ),
    Target(
        "TLS, full handshakes a CPU second to bare Twisted",
        0.9,
        False,
        Figure("tls-connections", "twisted"),
        Figure("tls-connections", "winsockets"),
    ),
    Target("bytes of an idle TLS connection", 30 * 1024, True, Figure("tls-idle", "winsockets", "memory")),
)
