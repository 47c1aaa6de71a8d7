"""Every bound and every deadline, in one place, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

from winsockets.errors import InvalidArgumentError

__all__ = ["DEFAULT_LIMITS", "Limits"]

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds and deadlines of one socket or listener.

    Set ``control.limits = dataclasses.replace(control.limits, connect_timeout=5.0)`` before connecting
    or binding. Sizes are in bytes, times in seconds.

    Raises:
        InvalidArgumentError: a value is not a number (a whole one for sizes and counts), not finite, not
            greater than 0 (``close_timeout`` may be 0), ``errors_per_send`` is 1, or ``read_low_water`` is
            above ``read_high_water``.
    """

    resolve_timeout: float = 20.0
    """Resolving one name, or one service with its targets. The system's resolver tries two servers twice for
    5 s each: it has said what it knows by then."""

    connect_timeout: float = 30.0
    """From the first attempt to an established connection, over all addresses. Linux itself gives up
    after 127 s, longer than anybody waits."""

    close_timeout: float = 30.0
    """How long close() goes on sending what was accepted before it gives the connection up. Long enough
    for 1 MiB at modem speed; a peer that stopped reading does not hold a descriptor for ever."""

    handshake_timeout: float = 10.0
    """From the first message of a TLS handshake to a verified peer. One takes two or three round trips and a
    signature; a peer that takes longer has stalled, or does not speak TLS and waits itself."""

    close_notify_timeout: float = 2.0
    """How long a closed TLS connection waits for the peer to say that it has closed too: a round trip or two
    over the slowest of networks. It has everything by then; only its answer is missing."""

    connection_attempt_delay: float = 0.25
    """Between two attempts on different addresses: the value that RFC 8305 section 5 recommends."""

    max_parallel_attempts: int = 8
    """Connection attempts under way at once, so that a name with many addresses is not a flood."""

    max_addresses: int = 16
    """Addresses of one name that are tried: resolvers return a handful, an attacker's name server more."""

    name_server_timeout: float = 2.0
    """How long one name server may be silent before the next is asked. Those near answer in milliseconds;
    one that has to ask around the world itself takes a second."""

    name_server_rounds: int = 2
    """Turns of each name server, as the system's resolver gives them: a datagram may get lost. Three servers
    that are all silent take 12 s then, within resolve_timeout."""

    max_dns_records: int = 256
    """Records of one DNS answer that are looked at, the first ones: more than fit into a datagram, and a
    fraction of what a liar's fits into 64 KiB."""

    max_service_targets: int = 8
    """Targets of a service (SRV) whose addresses are looked up, the preferred ones, so that one answer does
    not become thousands of queries."""

    late_answers_wait: float = 1.0
    """How much longer a lookup waits for the rest once it has addresses: the other address family, further
    targets of a service. Servers that do not answer for one of them are common enough."""

    read_size: int = 64 * KIB
    """The most one receive call takes from the kernel: the size at which a call's cost no longer counts."""

    reads_per_turn: int = 4
    """Receive calls on one connection in a turn, as long as each is full and somebody goes on reading. Bulk
    takes a fifth less CPU, and the others wait no longer than a fraction of a millisecond."""

    read_high_water: int = 64 * KIB
    """Unread bytes at which a connection stops receiving; at most one read_size more is ever held."""

    read_low_water: int = 16 * KIB
    """Unread bytes at which it starts again: late enough not to switch for every small read."""

    write_queue: int = 1 * MIB
    """Bytes (and 512 more for each write) that may wait in the program for one connection. A write that
    comes while more than that waits is refused: whoever gets there never awaited anything."""

    write_batch: int = 256 * KIB
    """Bytes (and 512 more for each write) at which a batch of writes that nobody awaits is sent without
    being told to: about what the system takes in one call, and little enough to stay in the cache."""

    accept_retry: float = 0.05
    """How soon accepting is tried again when the process or system had no descriptor left."""

    accepts_per_turn: int = 64
    """Connections taken from one listener in a turn of the reactor, so that a storm of connects does
    not starve the connections there are."""

    handshakes: int = 256
    """TLS handshakes that one listener has under way at once; at the bound accepting pauses. As many as a
    core does in a quarter of a second; clients who say nothing hold some 10 MiB, and no longer than
    handshake_timeout."""

    datagrams_per_turn: int = 128
    """Datagrams taken from one socket in a turn, so that a flooding sender does not starve the others."""

    datagram_size: int = 65_535
    """The largest datagram that is received whole: the protocol's own limit. Longer ones (IPv6
    jumbograms) or a smaller setting are reported as cut."""

    message_queue: int = 256
    """Datagrams that wait in ``messages()`` for the program; the newest is dropped and counted."""

    connection_queue: int = 128
    """Connections that wait in ``connections()`` for the program; at the bound accepting pauses."""

    datagram_queue: int = 256
    """Datagrams that may wait for room in the kernel's send buffer of one socket; as many flushes may."""

    datagram_batch: int = 64
    """Datagrams that nobody awaits at which they are sent without being told to: as many as every Linux
    takes in one call."""

    send_retry: float = 0.005
    """How soon a datagram is tried again for which a network interface had no room (ENOBUFS): the systems
    that say so, the BSDs, do not say when there is some."""

    errors_per_send: int = 8
    """Errors of earlier datagrams that one send may learn of before it waits for a turn, so that a flood of
    ICMP messages does not hold it up. At least 2: the same answer twice is about the datagram itself."""

    network_settle_time: float = 0.1
    """Changes of the network that follow each other within this time are one event: an interface that comes
    up makes half a dozen of them."""

    network_poll_interval: float = 5.0
    """How often a system that does not announce changes of its network is asked for them. Asking costs less
    than a millisecond; somebody who unplugs a cable waits no longer than this."""

    max_line_length: int = 64 * KIB
    """Bytes in one line of a StreamReader, terminator included. RFC 5321 and HTTP servers use 1 to 8 KiB;
    this is a bound, not a style."""

    def __post_init__(self) -> None:
        """Check every value."""
        for field in fields(self):
            value = getattr(self, field.name)
            kind = int if isinstance(field.default, int) else (int, float)
            if not isinstance(value, kind) or isinstance(value, bool):
                wanted = "whole number" if kind is int else "number"
                raise InvalidArgumentError(f"Limits.{field.name}: {value!r} is not a {wanted}")
            if not 0 < value < inf and not (value == 0 and field.name == "close_timeout"):
                raise InvalidArgumentError(
                    f"Limits.{field.name}: {value!r} is not greater than 0, or not finite"
                )
        if self.errors_per_send < 2:
            raise InvalidArgumentError(f"Limits.errors_per_send: {self.errors_per_send} is less than 2")
        if self.read_low_water > self.read_high_water:
            raise InvalidArgumentError(
                f"Limits.read_low_water: {self.read_low_water} is above read_high_water "
                f"({self.read_high_water})"
            )


DEFAULT_LIMITS = Limits()
"""The bounds of every socket that was not given others."""
