"""The load generator in Python, for machines without a compiler; load.c and tls_load.c do the same with less.

``python -m benchmarks._python_load MODE PORT NUMBER...``. The modes and their numbers:

    echo             connections, bytes, milliseconds, milliseconds to warm up
    datagram-echo    the same with sockets that each have one datagram under way
    connections      at once, altogether
    idle             before the mark, after it
    source, sink     bytes, bytes in a piece
    relay            the same: one connection sends, the next one receives
    packets          rounds, bytes of a packet, packets a round, rounds to warm up
    datagram-source  rounds, batches a round, datagrams a batch, bytes of a datagram
    datagram-sink    the same, whether the system may deliver what was sent in one call in one piece
    tls-echo, tls-connections, tls-idle, tls-source  the same as without tls-
"""

from __future__ import annotations

import json
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from struct import pack

HOST = "127.0.0.1"
PORT = int(sys.argv[2])
DEADLINE = 110
QUIET = 0.2
SOURCES = 200
WARM_ROUNDS = 3
LARGEST = 1 << 20
DATA = bytes(range(256)) * (LARGEST // 256)
SO_RCVBUFFORCE, UDP_SEGMENT, UDP_GRO = 33, 103, 104

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.minimum_version = ssl.TLSVersion.TLSv1_3
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE

latencies: Counter[int] = Counter()
clock = time.perf_counter_ns


def record(since: int) -> None:
    """Note how long something took, to 3 %."""
    taken = clock() - since
    latencies[taken - taken % (1 << max(taken.bit_length() - 6, 0))] += 1


class Marks:
    """What the benchmark is told: that the load is ready, and its result."""

    def __init__(self) -> None:
        latencies.clear()
        print("ready", flush=True)
        sys.stdin.readline()
        self._began = clock()

    def result(self, count: int, lost: int = 0) -> None:
        """Tell the result."""
        seconds = (clock() - self._began) / 1e9
        histogram = sorted(latencies.items())
        print(
            json.dumps({"count": count, "seconds": seconds, "lost": lost, "histogram": histogram}), flush=True
        )


def connection(number: int = 0) -> socket.socket:
    """Connect, from many addresses, so that TIME_WAIT does not use up the ports."""
    source = (f"127.0.0.{2 + number % SOURCES}", 0)
    sock = socket.create_connection((HOST, PORT), source_address=source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tls_connection(number: int = 0) -> ssl.SSLSocket:
    """Connect and shake hands, whatever the certificate."""
    return TLS.wrap_socket(connection(number))


Connect = Callable[[int], socket.socket]


def end(sock: socket.socket) -> None:
    """End a connection in good order: first this side, then, with TLS, the server's."""
    with suppress(OSError):  # the server may be the first
        if isinstance(sock, ssl.SSLSocket):
            sock = sock.unwrap()
            sock.recv(1)
    sock.close()


def datagram_socket() -> socket.socket:
    """Make a socket with much room that does not wait for ever."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.settimeout(QUIET)
    return sock


def one_byte(connect: Connect) -> None:
    """Use a connection for one byte, whose echo tells that the server is there."""
    sock = connect(0)
    sock.send(b"x")
    sock.recv(1)
    end(sock)


def receive(sock: socket.socket) -> int:
    """Receive what has come; what TLS has decrypted already would wake nobody up."""
    got = len(sock.recv(65_536))
    while isinstance(sock, ssl.SSLSocket) and sock.pending():
        got += len(sock.recv(65_536))
    return got


def _lockstep(flows: dict[int, socket.socket], size: int, milliseconds: int) -> tuple[int, int]:
    payload = DATA[:size]
    end = clock() + milliseconds * 1_000_000
    sent: dict[int, int] = {}
    missing: dict[int, int] = {}
    done = lost = 0

    def exchange(descriptor: int) -> None:
        sent[descriptor] = clock()
        missing[descriptor] = size
        flows[descriptor].sendall(payload)

    with select.epoll() as poller:
        for descriptor in flows:
            poller.register(descriptor, select.EPOLLIN)
            exchange(descriptor)
        while missing:
            events = poller.poll(QUIET)
            if not events:
                lost += len(missing)
                for descriptor in list(missing):
                    exchange(descriptor)
            for descriptor, _ in events:
                got = receive(flows[descriptor])
                if not got:
                    raise SystemExit("the server closed the connection")
                if descriptor not in missing:
                    continue
                missing[descriptor] -= got
                if missing[descriptor] > 0:
                    continue
                del missing[descriptor]
                record(sent[descriptor])
                done += 1
                if clock() < end:
                    exchange(descriptor)
    return done, lost


def echo(number: int, size: int, milliseconds: int, warm_up: int, *, connect: Connect = connection) -> None:
    """Echo over TCP or TLS, in lockstep."""
    flows = {sock.fileno(): sock for sock in map(connect, range(number))}
    _lockstep(flows, size, warm_up)
    marks = Marks()
    done, _ = _lockstep(flows, size, milliseconds)
    marks.result(done)
    sys.stdin.read()  # some servers end when a connection does without a word


def datagram_echo(number: int, size: int, milliseconds: int, warm_up: int) -> None:
    """Echo over UDP, in lockstep."""
    flows = {sock.fileno(): sock for sock in (datagram_socket() for _ in range(number))}
    for sock in flows.values():
        sock.connect((HOST, PORT))
    _lockstep(flows, size, warm_up)
    marks = Marks()
    marks.result(*_lockstep(flows, size, milliseconds))


def _churn(at_once: int, count: int, connect: Connect) -> None:
    under_way: dict[int, tuple[socket.socket, int]] = {}
    started = done = 0
    with select.epoll() as poller:
        while done < count:
            while len(under_way) < at_once and started < count:
                begun = clock()
                sock = connect(started)
                sock.send(b"x")
                poller.register(sock, select.EPOLLIN)
                under_way[sock.fileno()] = sock, begun
                started += 1
            for descriptor, _ in poller.poll():
                sock, begun = under_way.pop(descriptor)
                if sock.recv(1) != b"x":
                    raise SystemExit("no echo of one byte")
                end(sock)
                record(begun)
                done += 1


def connections(at_once: int, count: int, *, connect: Connect = connection) -> None:
    """Open, use for one byte, close."""
    _churn(at_once, count // 10 + at_once, connect)
    one_byte(connect)
    marks = Marks()
    _churn(at_once, count, connect)
    one_byte(connect)
    marks.result(count)


def idle(warm: int, count: int, *, connect: Connect = connection) -> None:
    """Connect and do nothing."""
    kept = list(map(connect, range(warm)))
    one_byte(connect)
    marks = Marks()
    kept += map(connect, range(count))
    one_byte(connect)
    marks.result(count)
    sys.stdin.read()  # until the server's memory has been read


def _send_pieces(sock: socket.socket, count: int, piece: int) -> None:
    whole, rest = divmod(count, piece)
    for _ in range(whole):
        sock.sendall(DATA[:piece])
    sock.sendall(DATA[:rest])


def _drain(sock: socket.socket, count: int, piece: int) -> None:
    total = 0
    while data := sock.recv(piece):
        total += len(data)
    if total != count:
        raise SystemExit(f"{total} bytes came, not {count}")


def source(count: int, piece: int, *, connect: Connect = connection) -> None:
    """Send to the server."""
    sock = connect(0)
    marks = Marks()
    _send_pieces(sock, count, piece)
    if isinstance(sock, ssl.SSLSocket):
        sock = sock.unwrap()
    else:
        sock.shutdown(socket.SHUT_WR)
    sock.recv(1)  # the server closes when it has everything
    marks.result(count)


def sink(count: int, piece: int) -> None:
    """Receive from the server."""
    sock = connection()
    marks = Marks()
    sock.send(count.to_bytes(8, "big"))
    _drain(sock, count, piece)
    marks.result(count)


def relay(count: int, piece: int) -> None:
    """Send on one connection, receive on the other."""
    first, second = connection(0), connection(1)
    marks = Marks()

    def send() -> None:
        _send_pieces(first, count, piece)
        first.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    _drain(second, count, piece)
    marks.result(count)


def packets(rounds: int, size: int, number: int, warm_up: int) -> None:
    """Ask for packets."""
    sock = connection()
    marks = None
    for each in range(-warm_up, rounds):
        if each == 0:
            marks = Marks()
        begun = clock()
        sock.send(b"x")
        left = size * number
        while left:
            got = sock.recv(left)
            if not got:
                raise SystemExit("the packets ended early")
            left -= len(got)
        record(begun)
    if marks is not None:
        marks.result(rounds * number)


def datagram_sink(rounds: int, batches: int, batch: int, size: int, coalesced: int) -> None:
    """Ask for datagrams."""
    sock = datagram_socket()
    if coalesced:
        with suppress(OSError):  # an older system
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    marks = None
    lost = 0
    for each in range(-WARM_ROUNDS, rounds):
        if each == 0:
            marks, lost = Marks(), 0
        begun = clock()
        sock.sendto(batches.to_bytes(8, "big"), (HOST, PORT))
        left = batches * batch
        with suppress(TimeoutError):
            while left > 0:
                count, rest = divmod(len(sock.recv(65_535)), size)
                if rest or (count != 1 and not coalesced):
                    raise SystemExit("a datagram of another size came")
                left -= count
        lost += max(left, 0)
        record(begun)
    if marks is not None:
        marks.result(rounds * batches * batch, lost)


def _send_batch(sock: socket.socket, batch: int, size: int, shorter: int) -> None:
    try:
        data = DATA[: batch * size - shorter]
        sock.sendmsg([data], [(socket.IPPROTO_UDP, UDP_SEGMENT, pack("=H", size))])
    except OSError:  # the system does not cut it up
        for number in range(batch):
            sock.send(DATA[: size - (shorter if number == batch - 1 else 0)])


def datagram_source(rounds: int, batches: int, batch: int, size: int) -> None:
    """Send datagrams; a shorter one asks the server for its count."""
    sock = datagram_socket()
    sock.connect((HOST, PORT))
    marks = None
    sent = counted = before = 0
    for each in range(-WARM_ROUNDS, rounds):
        if each == 0:
            marks, sent, before = Marks(), 0, counted
        begun = clock()
        for number in range(batches):
            _send_batch(sock, batch, size, int(number == batches - 1))
        sent += batches * batch
        while True:
            try:
                counted = int.from_bytes(sock.recv(8), "big")
                break
            except TimeoutError:
                sock.send(DATA[: size - 1])
                sent += 1
        record(begun)
    if marks is not None:
        marks.result(counted - before, max(sent - (counted - before), 0))


MODES: dict[str, Callable[..., None]] = {
    "echo": echo,
    "datagram-echo": datagram_echo,
    "connections": connections,
    "idle": idle,
    "source": source,
    "sink": sink,
    "relay": relay,
    "packets": packets,
    "datagram-sink": datagram_sink,
    "datagram-source": datagram_source,
    "tls-echo": partial(echo, connect=tls_connection),
    "tls-connections": partial(connections, connect=tls_connection),
    "tls-idle": partial(idle, connect=tls_connection),
    "tls-source": partial(source, connect=tls_connection),
}

if __name__ == "__main__":
    signal.alarm(DEADLINE)
    MODES[sys.argv[1]](*map(int, sys.argv[3:]))
