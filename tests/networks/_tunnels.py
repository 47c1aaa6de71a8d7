"""A link in user space: every packet passes through the test, which says what becomes of it."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.networks._hosts import Host, Network, Port, unavailable
from tests.networks._packets import DestinationUnreachable, icmp_error, parse

__all__ = ["Delivery", "Fate", "Tunnel", "answering_with", "faults", "outside", "tunnel"]

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_PACKETS_PER_TURN = 64
_LATEST = 0.01


class Delivery(NamedTuple):
    """One packet that leaves the link.

    Attributes:
        packet: its octets.
        delay: so many seconds later.
        late: after the next packet that goes the same way, or a hundredth of a second later.
        back: not to the other end, but to where it came from.
    """

    packet: bytes
    delay: float = 0
    late: bool = False
    back: bool = False


Fate = Callable[[bytes], Iterable[Delivery]]
"""What becomes of a packet."""


def carried(packet: bytes) -> Iterable[Delivery]:
    """Carry everything."""
    return (Delivery(packet),)


def answering_with(what: DestinationUnreachable | None, router: str, router6: str) -> Fate:
    """Deliver nothing, and answer everything that is neither an error itself nor to a group with an error.

    Args:
        what: the error; None answers nothing.
        router: the address of who says so.
        router6: its other address.
    """

    def fate(raw: bytes) -> Iterable[Delivery]:
        packet = parse(raw)
        if packet is None or what is None or packet.protocol in {1, 2, 58}:
            return ()
        return (Delivery(icmp_error(raw, what, router6 if raw[0] >> 4 == 6 else router), back=True),)

    return fate


def faults(
    seed: int,
    *,
    loss: float = 0,
    duplicate: float = 0,
    reorder: float = 0,
    corrupt: float = 0,
    delay: float = 0,
    counts: Counter[str] | None = None,
) -> Fate:
    """A link that does some of the packets a wrong, the same ones for the same seed and the same traffic.

    Args:
        seed: of the pseudo-random numbers.
        loss: the share of packets that disappear, 0 to 1; one packet has one fault at most.
        duplicate: of those that arrive twice.
        reorder: of those that arrive after the next one.
        corrupt: of those that arrive with a wrong bit.
        delay: so many seconds on the way, for all.
        counts: how often each has happened.
    """
    random = Random(seed)
    shares = {"loss": loss, "duplicate": duplicate, "reorder": reorder, "corrupt": corrupt}
    shares["carried"] = 1 - sum(shares.values())
    happened: Counter[str] = Counter() if counts is None else counts

    def fate(raw: bytes) -> Iterable[Delivery]:
        (name,) = random.choices(tuple(shares), tuple(shares.values()))
        happened[name] += 1
        match name:
            case "loss":
                return ()
            case "duplicate":
                return (Delivery(raw, delay), Delivery(raw, delay))
            case "reorder":
                return (Delivery(raw, delay, late=True),)
            case "corrupt":
                # One bit of what the transport's checksum covers
                bit = random.randrange((40 if raw[0] >> 4 == 6 else 20) * 8, len(raw) * 8)
                raw = raw[: bit // 8] + bytes([raw[bit // 8] ^ 1 << bit % 8]) + raw[bit // 8 + 1 :]
        return (Delivery(raw, delay),)

    return fate


@implementer(IReadDescriptor)
class _End:
    """One end of a link: a TUN device in a host."""

    def __init__(self, descriptor: int, port: Port, carry: Callable[[_End, bytes], None]) -> None:
        self.port = port
        self.late: list[bytes] = []
        self._descriptor = descriptor
        self._carry = carry

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "a tunnel"

    def doRead(self) -> None:
        """See IReadDescriptor."""
        # A device that is down has nothing, and says so.
        with suppress(BlockingIOError, OSError):
            for _ in range(_PACKETS_PER_TURN):
                self._carry(self, os.read(self._descriptor, 1 << 16))

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor."""

    def give(self, packet: bytes) -> None:
        """Have the host receive a packet."""
        with suppress(OSError):
            os.write(self._descriptor, packet)

    def close(self) -> None:
        """Have the device disappear."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Tunnel:
    """A link whose packets are carried by the reactor that the test runs on.

    Attributes:
        fate: what becomes of a packet; can be changed at any time.
        ports: the interfaces at its ends: one, or two.
        passed: every packet that came to the link.
    """

    def __init__(self, hosts: Iterable[Host], built: Network, fate: Fate, mtu: int) -> None:
        from twisted.internet import reactor

        self.fate = fate
        self.passed: list[bytes] = []
        self._reactor = reactor
        self._calls: set[IDelayedCall] = set()
        number = built.next_network()
        self._ends: list[_End] = []
        for host in hosts:
            descriptor = _tun_device(host, f"net{number}")
            host.ip(f"link set net{number} mtu {mtu} txqueuelen 10000")
            end = _End(descriptor, built.port(host, number), self._carry)
            self._ends.append(end)
            reactor.addReader(end)
        for host in hosts:
            host.settle()
        self.ports = [end.port for end in self._ends]

    def _carry(self, source: _End, packet: bytes) -> None:
        self.passed.append(packet)
        for delivery in self.fate(packet):
            target = source if delivery.back or len(self._ends) == 1 else self._other(source)
            if delivery.delay:
                self._later(delivery.delay, target, delivery)
            else:
                self._deliver(target, delivery)

    def _other(self, end: _End) -> _End:
        return self._ends[1 - self._ends.index(end)]

    def _deliver(self, target: _End, delivery: Delivery) -> None:
        if delivery.late:
            target.late.append(delivery.packet)
            self._later(_LATEST, target, None)
            return
        target.give(delivery.packet)
        self._give_late(target)

    def _give_late(self, target: _End) -> None:
        while target.late:
            target.give(target.late.pop(0))

    def _later(self, delay: float, target: _End, delivery: Delivery | None) -> None:
        def go() -> None:
            self._calls.discard(call)
            if delivery is None:
                self._give_late(target)
            else:
                self._deliver(target, delivery)

        call = self._reactor.callLater(delay, go)
        self._calls.add(call)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._calls

    def close(self) -> None:
        """Have both ends disappear."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        for end in self._ends:
            self._reactor.removeReader(end)
            end.close()


def _tun_device(host: Host, name: str) -> int:
    import fcntl  # which Windows has not

    with host:
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as problem:
            unavailable(f"may not make a tunnel: {problem}")
        try:
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _TUN_WITHOUT_HEADER))
        except OSError as problem:
            os.close(descriptor)
            unavailable(f"may not make a tunnel: {problem}")
    return descriptor


@contextmanager
def tunnel(
    built: Network, one: Host, other: Host, fate: Fate = carried, *, mtu: int = 1500
) -> Iterator[Tunnel]:
    """Join two hosts by a link through which every packet goes by the hand of the test."""
    link = Tunnel((one, other), built, fate, mtu)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def outside(built: Network, host: Host, fate: Fate, *, mtu: int = 1500) -> Iterator[Tunnel]:
    """Give a host a way to everywhere, at whose other end is nobody but the test."""
    link = Tunnel((host,), built, fate, mtu)
    try:
        host.ip(f"route add default dev {link.ports[0].name}", f"route add ::/0 dev {link.ports[0].name}")
        yield link
    finally:
        link.close()
