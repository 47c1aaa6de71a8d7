"""The floor: loops over the system's own calls, and nothing else."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable

from benchmarks.servers._common import (
    BATCH,
    PACKETS,
    PAYLOAD,
    PIECE_SIZE,
    as_number,
    datagram_socket,
    listening_socket,
    main,
    number_of,
    pieces,
)


def serve(handle: Callable[[socket.socket, bytes], object]) -> None:
    """Accept, and give what each connection receives to ``handle``, until it ends."""
    listener = listening_socket()
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    listening = listener.fileno()
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listening:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poller.register(connection, select.EPOLLIN)
                connections[connection.fileno()] = connection
                continue
            connection = connections[descriptor]
            data = connection.recv(PIECE_SIZE)
            if data:
                handle(connection, data)
            else:
                del connections[descriptor]
                connection.close()


def echo() -> None:
    """Send back what comes; the load never lets more than the system's buffer wait."""
    serve(lambda connection, data: connection.send(data))


def receive() -> None:
    """Read to the end."""
    serve(lambda connection, data: None)


def output(connection: socket.socket) -> Callable[[bytes | memoryview], None]:
    """Make a function that sends everything, waiting for room where there is none."""
    connection.setblocking(False)
    room = select.epoll()
    room.register(connection, select.EPOLLOUT)

    def send_all(data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[connection.send(rest) :]
            except BlockingIOError:
                room.poll()

    return send_all


def send() -> None:
    """Send what is asked for, a piece at a time."""

    def answer(connection: socket.socket, request: bytes) -> None:
        send_all = output(connection)
        for piece in pieces(request):
            send_all(piece)
        connection.shutdown(socket.SHUT_WR)

    serve(answer)


def relay() -> None:
    """Send to the second connection what the first one sends, and read no more than that takes."""
    listener = listening_socket()
    source, sink = listener.accept()[0], listener.accept()[0]
    send_all = output(sink)
    arriving = select.epoll()
    arriving.register(source, select.EPOLLIN)
    while arriving.poll() and (data := source.recv(PIECE_SIZE)):
        send_all(data)
    sink.close()
    signal.pause()


def packets_each() -> None:
    """One call for each packet."""

    def answer(connection: socket.socket, request: bytes) -> None:
        for packet in PACKETS:
            connection.sendall(packet)

    serve(answer)


def packets_flushed() -> None:
    """One call for all."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendmsg(PACKETS)

    serve(answer)


def datagram_echo() -> None:
    """Send back what comes."""
    sock = datagram_socket()
    while True:
        data, peer = sock.recvfrom(65_535)
        sock.sendto(data, peer)


def datagram_send() -> None:
    """Send as many batches as asked for, each datagram with a call."""
    sock = datagram_socket()
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        request, peer = sock.recvfrom(65_535)
        out.connect(peer)
        for _ in range(number_of(request) * BATCH):
            out.send(PAYLOAD)


def datagram_receive() -> None:
    """Count what comes, and tell the count after a shorter datagram."""
    sock = datagram_socket()
    count = 0
    size = len(PAYLOAD)
    while True:
        data, peer = sock.recvfrom(65_535)
        count += 1
        if len(data) != size:
            sock.sendto(as_number(count), peer)


if __name__ == "__main__":
    main(
        {
            "echo": echo,
            "receive": receive,
            "send": send,
            "relay": relay,
            "packets-each": packets_each,
            "packets-flushed": packets_flushed,
            "datagram-echo": datagram_echo,
            "datagram-send": datagram_send,
            "datagram-receive": datagram_receive,
        }
    )
