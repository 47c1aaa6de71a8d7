"""Name servers that do as a test says, and a reactor whose time the test moves while its sockets are real."""

from __future__ import annotations

import select
import socket
import struct
from contextlib import ExitStack

from twisted.internet.task import Clock
from twisted.names import dns
from twisted.python.failure import Failure

from winsockets.networking._address import Address

PATIENCE = 20.0
"""Seconds after which a peer on this machine is taken to be silent: the test has failed."""


class SocketReactor(Clock):
    """An IReactorFDSet and IReactorTime: descriptors are served when the test waits, time stands still."""

    def __init__(self):
        super().__init__()
        self.readers = set()
        self.writers = set()

    def addReader(self, reader):
        """See IReactorFDSet."""
        self.readers.add(reader)

    def addWriter(self, writer):
        """See IReactorFDSet."""
        self.writers.add(writer)

    def removeReader(self, reader):
        """See IReactorFDSet."""
        self.readers.discard(reader)

    def removeWriter(self, writer):
        """See IReactorFDSet."""
        self.writers.discard(writer)

    def serve(self, done):
        """Serve descriptors until something has come true."""
        while not done():
            self.advance(0)
            readers, writers, _ = select.select(self.readers, self.writers, [], 0 if done() else PATIENCE)
            assert readers or writers or done(), "nothing happens any more"
            for one, method, remove in [
                *((one, "doRead", self.removeReader) for one in readers),
                *((one, "doWrite", self.removeWriter) for one in writers),
            ]:
                if one in self.readers | self.writers:
                    problem = getattr(one, method)()
                    if problem is not None:
                        remove(one)
                        one.connectionLost(Failure(problem))

    @property
    def idle(self):
        """Whether nobody has left anything."""
        return not (self.readers or self.writers or self.getDelayedCalls())


class Liar:
    """A name server on a loopback address, over UDP and TCP; blocking, and answered for by the test."""

    def __init__(self, stack: ExitStack, host="127.0.0.1"):
        self.udp, self.tcp = _sockets(host)
        for skt in (self.udp, self.tcp):
            stack.enter_context(skt)
            skt.settimeout(PATIENCE)
        make = Address.ipv6 if ":" in host else Address.ipv4
        self.address = make(host, self.udp.getsockname()[1])
        self._stack = stack
        self.client = None

    def query(self):
        """The next query that has come over UDP."""
        data, self.client = self.udp.recvfrom(65535)
        message = dns.Message()
        message.fromStr(data)
        return message

    def send(self, data, *, to=None, using=None):
        """Send a datagram to who asked last, or to somebody else, from here or another socket."""
        (using or self.udp).sendto(data, to or self.client)

    def refuse_connections(self):
        """Listen on TCP no more."""
        self.tcp.close()

    def accept(self):
        """A connection that a client has begun."""
        connection = self._stack.enter_context(self.tcp.accept()[0])
        connection.settimeout(PATIENCE)
        return connection


def read_query(connection):
    """A query over TCP."""
    with connection.makefile("rb") as file:
        (size,) = struct.unpack("!H", file.read(2))
        message = dns.Message()
        message.fromStr(file.read(size))
    return message


def framed(data):
    """A message as it goes over TCP."""
    return struct.pack("!H", len(data)) + data


def answer_to(query, *payloads, name=None, code=0, cut=False, **changes):
    """The bytes of an answer; ``changes`` are of the attributes of the message."""
    message = dns.Message(query.id, answer=1, recDes=1, recAv=1, rCode=code, trunc=cut, maxSize=0)
    message.queries = list(query.queries)
    owner = name or query.queries[0].name.name
    message.answers = [
        one if isinstance(one, dns.RRHeader) else dns.RRHeader(owner, one.TYPE, payload=one, ttl=60)
        for one in payloads
    ]
    for attribute, value in changes.items():
        setattr(message, attribute, value)
    return message.toStr()


def _sockets(host):
    """A datagram socket and a listening one on the same free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        listener = socket.create_server((host, 0), family=family)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        try:
            datagrams.bind((host, listener.getsockname()[1]))
        except OSError:
            listener.close()
            datagrams.close()
        else:
            return datagrams, listener
    raise AssertionError("no port is free for both transports")


class Zone:
    """A name server that a SocketReactor serves, over UDP, from a table.

    The table has (name, type): payloads, a response code, or None for silence. What is not in it has no data
    if its name is, and does not exist otherwise. ``asked`` notes what was asked for.
    """

    def __init__(self, stack: ExitStack, reactor, table):
        self._socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.bind(("127.0.0.1", 0))
        self.server = self._socket.getsockname()
        self.address = Address.ipv4(*self.server)
        self.table = table
        self.asked = []
        reactor.addReader(self)
        stack.callback(reactor.removeReader, self)

    def fileno(self):
        """See IFileDescriptor."""
        return self._socket.fileno()

    def doRead(self):
        """See IReadDescriptor."""
        data, client = self._socket.recvfrom(65535)
        query = dns.Message()
        query.fromStr(data)
        name, kind = query.queries[0].name.name.decode(), query.queries[0].type
        self.asked.append((name, kind))
        found = self.table.get((name, kind), 0 if name in {name for name, _ in self.table} else dns.ENAME)
        if isinstance(found, int):
            self._socket.sendto(answer_to(query, code=found, auth=1), client)
        elif found is not None:
            self._socket.sendto(answer_to(query, *found, auth=1), client)
