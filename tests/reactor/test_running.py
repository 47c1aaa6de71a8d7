"""The reactor as it runs: timers, threads, signals, processes, and sockets of the library on it.

Each test is a program in a process of its own, which ends only if what it waits for happens.
"""

from __future__ import annotations

from tests.reactor.programs import on_linux, run

pytestmark = on_linux

START = """
import winsockets.reactor
winsockets.reactor.install()
from twisted.internet import reactor
"""


def test_timers_go_off_in_their_order_and_not_early() -> None:
    """By their times, not by when they were asked for; a cancelled one does not."""
    assert run(
        START
        + """
def told(name, due):
    print(name, reactor.seconds() >= due)

now = reactor.seconds()
reactor.callLater(0.03, told, "third", now + 0.03)
reactor.callLater(0.01, told, "first", now + 0.01)
reactor.callLater(0.02, told, "second", now + 0.02)
reactor.callLater(0.02, told, "cancelled", now).cancel()
reactor.callLater(0.04, reactor.stop)
reactor.run()
"""
    ) == ["first True", "second True", "third True"]


def test_a_call_from_a_thread_wakes_a_reactor_that_waits_for_nothing() -> None:
    """No timer could end the wait in its place. The calls run in order, in the reactor's thread."""
    assert run(
        START
        + """
import threading

def called(number):
    print(number, threading.current_thread() is threading.main_thread())
    asleep.set()

def thread():
    for number in range(3):
        asleep.wait()
        asleep.clear()
        reactor.callFromThread(called, number)
    asleep.wait()
    reactor.callFromThread(reactor.stop)

asleep = threading.Event()
reactor.callWhenRunning(asleep.set)
reactor.callWhenRunning(threading.Thread(target=thread).start)
reactor.run()
"""
    ) == ["0 True", "1 True", "2 True"]


def test_work_in_a_thread_logs_under_the_descriptor_that_gave_it() -> None:
    """The context goes along, though the descriptor's call is long over."""
    assert run(
        START
        + """
import socket
from twisted.internet.abstract import FileDescriptor
from twisted.internet.threads import deferToThread
from twisted.python import log

class Descriptor(FileDescriptor):
    def __init__(self, name, skt):
        FileDescriptor.__init__(self, reactor)
        self.name, self.skt = name, skt
    def fileno(self):
        return self.skt.fileno()
    def logPrefix(self):
        return self.name
    def doRead(self):
        self.skt.recv(1)
        deferToThread(log.msg, "here").addCallback(done)

def show(event):
    if event["message"] == ("here",):
        seen.append(event["system"])

def done(_):
    finished.append(1)
    if len(finished) == 2:
        reactor.removeAll()
        for skt in sockets:
            skt.close()
        reactor.stop()

seen, finished, sockets = [], [], []
log.addObserver(show)
for name in ("one", "two"):
    ours, peer = socket.socketpair()
    sockets += [ours, peer]
    Descriptor(name, ours).startReading()
    peer.send(b"1")
reactor.run()
print(*sorted(seen))
"""
    ) == ["one two"]


def test_signals_stop_it_and_run_the_shutdown() -> None:
    """SIGTERM ends a wait without a timer, in order: triggers before, during and after."""
    assert run(
        START
        + """
import os, signal
for phase in ("after", "during", "before"):
    reactor.addSystemEventTrigger(phase, "shutdown", print, phase)
reactor.callWhenRunning(os.kill, os.getpid(), signal.SIGTERM)
reactor.run()
print("over")
"""
    ) == ["before", "during", "after", "over"]


def test_processes_are_run_and_reaped() -> None:
    """Their output comes, then their status."""
    assert run(
        START
        + """
import sys
from twisted.internet.protocol import ProcessProtocol

class Child(ProcessProtocol):
    def connectionMade(self):
        self.transport.write(b"to the child")
        self.transport.closeStdin()
    def outReceived(self, data):
        print(data.decode())
    def processEnded(self, reason):
        print(reason.value.exitCode)
        reactor.stop()

reactor.spawnProcess(
    Child(),
    sys.executable,
    [sys.executable, "-c", "import sys; print(sys.stdin.read(), end='', flush=True); sys.exit(3)"],
)
reactor.run()
"""
    ) == ["to the child", "3"]


def test_an_exception_in_a_protocol_ends_its_connection_and_nothing_else() -> None:
    """Logged once, with the traceback and the connection's name; the next connection is served."""
    assert run(
        START
        + """
from twisted.internet import defer, endpoints, protocol, task
from twisted.python import log

class Server(protocol.Protocol):
    def dataReceived(self, data):
        if data == b"bad":
            raise LookupError("a defect")
        self.transport.write(data)

class Client(protocol.Protocol):
    def __init__(self, data):
        self.data, self.heard = data, defer.Deferred()
    def connectionMade(self):
        self.transport.write(self.data)
    def dataReceived(self, data):
        print("answer:", data.decode())
        self.transport.loseConnection()
    def connectionLost(self, reason):
        self.heard.callback(reason.type.__name__)

def show(event):
    if event["isError"]:
        trace = event["failure"].getTraceback()
        print(event["system"], event["failure"].type.__name__, "in dataReceived" in trace)

async def main(reactor):
    port = reactor.listenTCP(0, protocol.Factory.forProtocol(Server), interface="127.0.0.1")
    address = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    for data in (b"bad", b"good"):
        client = await endpoints.connectProtocol(address, Client(data))
        print(await client.heard)
    await port.stopListening()

log.startLoggingWithObserver(show, setStdout=False)
task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
"""
    ) == ["Server,0,127.0.0.1 LookupError True", "ConnectionDone", "answer: good", "ConnectionDone"]


def test_the_librarys_sockets_run_on_it() -> None:
    """A listener that echoes, and a socket that hears itself."""
    assert run(
        START
        + """
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from winsockets import StreamSocket, StreamSocketListener

async def echo(listener, args):
    async with args.socket as peer:
        async for chunk in peer.input_stream:
            await peer.output_stream.write_async(chunk)

async def main(reactor):
    async with StreamSocketListener() as listener:
        listener.connection_received += echo
        await listener.bind_endpoint_async("127.0.0.1", "0")
        async with StreamSocket() as client:
            await client.connect_async("127.0.0.1", listener.information.local_port)
            await client.output_stream.write_async(b"hello")
            print((await client.input_stream.read_exactly(5)).decode())

react(lambda reactor: ensureDeferred(main(reactor)))
"""
    ) == ["hello"]
