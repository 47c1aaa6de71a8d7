"""Asking name servers that lie, fail, cut, are silent or answer late; their sockets are real, time is not."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.names import dns
from twisted.python.failure import Failure

from tests.networking.liars import Liar, SocketReactor, answer_to, framed, read_query
from winsockets.errors import AddressNotAvailableError, NameResolutionError, SocketErrorStatus
from winsockets.foundation import DEFAULT_LIMITS
from winsockets.networking._address import Address
from winsockets.networking._dns_lookup import _MOST_STRANGERS, ask
from winsockets.networking._dns_message import Outcome, Question, RecordType, Verdict, name_of

QUESTION = Question(name_of("host.example"), RecordType.A)
RIGHT = dns.Record_A("192.0.2.1")
FOUND = Verdict(Outcome.FOUND, ("192.0.2.1",))
TURN = DEFAULT_LIMITS.name_server_timeout
PAST = TURN + 0.001


@pytest.fixture
def stack():
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def reactor():
    """A reactor that has to be idle in the end."""
    made = SocketReactor()
    yield made
    made.advance(0)
    assert made.idle


@pytest.fixture
def liar(stack):
    """A name server."""
    return Liar(stack)


class Asking:
    """A lookup under way."""

    def __init__(self, reactor, *servers, question=QUESTION, limits=DEFAULT_LIMITS, prepare=None):
        self.reactor = reactor
        self.results = []
        addresses = [server if isinstance(server, Address) else server.address for server in servers]
        self.lookup = ask(question, addresses, reactor=reactor, limits=limits, prepare=prepare)
        self.lookup.addBoth(self.results.append)

    def outcome(self):
        """Serve the sockets until the lookup has ended."""
        self.reactor.serve(lambda: self.results)
        return self.results[0]

    def problem(self):
        """What it failed with."""
        failure = self.outcome()
        assert isinstance(failure, Failure)
        return failure.value

    def read_all(self):
        """Let every exchange read what has come; that is no outcome."""
        for exchange in list(self.reactor.readers):
            exchange.doRead()
        assert not self.results


def test_an_answer_is_taken(reactor, liar):
    """From the server that was asked, to the question that was asked."""
    asking = Asking(reactor, liar)
    query = liar.query()
    assert query.queries == [dns.Query("host.example", dns.A, dns.IN)]
    liar.send(answer_to(query, RIGHT))
    assert asking.outcome() == FOUND


@pytest.mark.skipif(not socket.has_ipv6, reason="this system has no IPv6")
def test_a_server_may_have_an_ipv6_address(reactor, stack):
    """As every other."""
    try:
        liar = Liar(stack, "::1")
    except OSError:
        pytest.skip("this system has no IPv6 loopback address")
    asking = Asking(reactor, liar)
    liar.send(answer_to(liar.query(), RIGHT))
    assert asking.outcome() == FOUND


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, Outcome.NO_DATA), (dns.ENAME, Outcome.NO_SUCH_NAME)], ids=["nodata", "nxdomain"]
)
def test_a_no_is_an_answer(reactor, liar, stack, code, outcome):
    """The next server is not asked."""
    asking = Asking(reactor, liar, Liar(stack))
    liar.send(answer_to(liar.query(), code=code))
    assert asking.outcome() == Verdict(outcome)


def test_every_query_has_a_number_and_a_port_of_its_own(reactor, liar):
    """Neither can be foretold from those before."""
    numbers, ports = set(), set()
    for _ in range(40):
        asking = Asking(reactor, liar)
        query = liar.query()
        numbers.add(query.id)
        ports.add(liar.client[1])
        liar.send(answer_to(query, RIGHT))
        asking.outcome()
    assert len(numbers) > 35
    assert len(ports) > 20
    assert max(numbers) - min(numbers) > 10_000


def test_an_answer_from_another_address_is_not_seen(reactor, liar, stack):
    """The right number and question do not help who was not asked."""
    asking = Asking(reactor, liar)
    query = liar.query()
    other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    other.bind(("127.0.0.1", 0))
    liar.send(answer_to(query, dns.Record_A("203.0.113.66")), using=other)
    liar.send(answer_to(query, RIGHT))
    assert asking.outcome() == FOUND


def test_answers_to_other_questions_are_passed_over(reactor, liar):
    """Wrong number, name or type, no question, no answer, no message: the right one still counts."""
    asking = Asking(reactor, liar)
    query = liar.query()
    wrong = dns.Record_A("203.0.113.66")
    liar.send(answer_to(query, wrong, id=query.id ^ 1))
    liar.send(answer_to(query, wrong, queries=[dns.Query("host.example.org", dns.A)]))
    liar.send(answer_to(query, wrong, queries=[dns.Query("host.example", dns.AAAA)]))
    liar.send(answer_to(query, wrong, queries=[]))
    liar.send(answer_to(query, wrong, answer=0))
    liar.send(b"")
    liar.send(os.urandom(400))
    asking.read_all()
    liar.send(answer_to(query, RIGHT))
    assert asking.outcome() == FOUND


def test_records_of_other_names_are_no_answer(reactor, liar):
    """What nobody asked for does not become an address of the host."""
    asking = Asking(reactor, liar)
    liar.send(answer_to(liar.query(), RIGHT, name="bank.example"))
    assert asking.outcome() == Verdict(Outcome.NO_DATA)


def test_somebody_who_guesses_numbers_does_not_win(reactor, liar):
    """After so many wrong ones the question goes over TCP, where guessing is of no use."""
    asking = Asking(reactor, liar)
    query = liar.query()
    for number in range(_MOST_STRANGERS):
        liar.send(answer_to(query, dns.Record_A("203.0.113.66"), id=query.id ^ (number + 1)))
    reactor.serve(lambda: reactor.writers)
    connection = liar.accept()
    reactor.serve(lambda: not reactor.writers)
    connection.sendall(framed(answer_to(read_query(connection), RIGHT)))
    assert asking.outcome() == FOUND


def test_a_cut_answer_is_fetched_over_tcp(reactor, liar):
    """From the same server, in as many pieces as it takes."""
    asking = Asking(reactor, liar)
    liar.send(answer_to(liar.query(), cut=True))
    reactor.serve(lambda: reactor.writers)
    connection = liar.accept()
    reactor.serve(lambda: not reactor.writers)
    many = [dns.Record_A(f"10.0.{number // 256}.{number % 256}") for number in range(3000)]
    data = framed(answer_to(read_query(connection), *many))
    connection.sendall(data[:1])
    connection.sendall(data[1:])
    verdict = asking.outcome()
    assert verdict.outcome is Outcome.FOUND
    assert len(verdict.records) == DEFAULT_LIMITS.max_dns_records


@pytest.mark.parametrize("how", ["refused", "closed", "cut", "other", "silent"])
def test_a_server_that_fails_over_tcp_has_failed(reactor, liar, stack, how):
    """The next one is asked."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    query = liar.query()
    if how == "refused":
        liar.refuse_connections()
    liar.send(answer_to(query, cut=True))
    if how != "refused":
        reactor.serve(lambda: reactor.writers)
        connection = liar.accept()
        reactor.serve(lambda: not reactor.writers)
        query = read_query(connection)
        if how == "closed":
            connection.close()
        elif how == "cut":
            connection.sendall(framed(answer_to(query, cut=True)))
        elif how == "other":
            connection.sendall(framed(answer_to(query, RIGHT, id=query.id ^ 1)))
        else:
            connection.sendall(framed(answer_to(query, RIGHT))[:-1])
            reactor.advance(PAST)
    reactor.serve(lambda: _readable(second.udp))
    second.send(answer_to(second.query(), RIGHT))
    assert asking.outcome() == FOUND


@pytest.mark.parametrize("code", [dns.EFORMAT, dns.ESERVER, dns.ENOTIMP, dns.EREFUSED])
def test_the_next_server_is_asked_when_one_fails(reactor, liar, stack, code):
    """At once; a failure says nothing about the name."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    liar.send(answer_to(liar.query(), code=code))
    reactor.serve(lambda: _readable(second.udp))
    second.send(answer_to(second.query(), RIGHT))
    assert asking.outcome() == FOUND


def _readable(skt):
    skt.setblocking(False)
    try:
        skt.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        skt.settimeout(20)
    return True


def test_a_damaged_answer_is_a_failure(reactor, liar, stack):
    """One whose name points at itself, to the right question."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    query = liar.query()
    data = bytearray(answer_to(query, RIGHT))
    at = len(data) - 16
    assert data[at : at + 2] == b"\xc0\x0c"
    data[at : at + 2] = (0xC000 | at).to_bytes(2, "big")
    liar.send(bytes(data))
    reactor.serve(lambda: _readable(second.udp))
    second.send(answer_to(second.query(), RIGHT))
    assert asking.outcome() == FOUND


def test_nobody_listens_there(reactor, liar, stack):
    """The system says so, and the next one is asked without waiting."""
    gone = Liar(stack)
    gone.udp.close()
    asking = Asking(reactor, gone, liar)
    reactor.serve(lambda: _readable(liar.udp))
    liar.send(answer_to(liar.query(), RIGHT))
    assert asking.outcome() == FOUND


def test_a_poll_like_reactor_says_it_differently(reactor, liar, stack):
    """It takes the descriptor out and calls connectionLost."""
    gone = Liar(stack)
    gone.udp.close()
    asking = Asking(reactor, gone, liar)
    (exchange,) = reactor.readers
    reactor.removeReader(exchange)
    exchange.connectionLost(Failure(ConnectionLost()))
    assert exchange.fileno() == -1
    liar.send(answer_to(liar.query(), RIGHT))
    assert asking.outcome() == FOUND


def test_a_silent_server_is_asked_again_after_the_others(reactor, liar, stack):
    """Datagrams get lost."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    first_query = liar.query()
    reactor.advance(TURN - 0.001)
    assert not _readable(second.udp)
    reactor.advance(0.002)
    second.query()
    reactor.advance(PAST)
    query = liar.query()
    assert query.queries == first_query.queries
    liar.send(answer_to(query, RIGHT))
    assert asking.outcome() == FOUND


def test_a_late_answer_still_counts(reactor, liar, stack):
    """Also when the next server has been asked already; that one is not listened to any more."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    query = liar.query()
    reactor.advance(PAST)
    second.query()
    liar.send(answer_to(query, RIGHT))
    assert asking.outcome() == FOUND
    assert reactor.idle


def test_a_late_failure_does_not_hurry_the_others(reactor, liar, stack):
    """Who has been asked since has its time."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second)
    query = liar.query()
    reactor.advance(PAST)
    liar.send(answer_to(query, code=dns.ESERVER))
    asking.read_all()
    assert not _readable(liar.udp)
    second.send(answer_to(second.query(), RIGHT))
    assert asking.outcome() == FOUND


def test_silence_ends_when_all_had_their_turns(reactor, liar, stack):
    """It says who was asked, and that it may be different next time."""
    second = Liar(stack)
    asking = Asking(reactor, liar, second, limits=replace(DEFAULT_LIMITS, name_server_rounds=3))
    reactor.pump([PAST] * 5)
    assert not asking.results
    assert len(reactor.readers) == 6
    reactor.advance(PAST)
    problem = asking.problem()
    assert isinstance(problem, NameResolutionError)
    assert problem.status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND
    for server in (liar, second):
        assert f"{server.address} (no answer)" in str(problem)


def test_failures_end_when_all_had_their_turns(reactor, liar):
    """No time passes."""
    asking = Asking(reactor, liar)
    for _ in range(DEFAULT_LIMITS.name_server_rounds):
        reactor.serve(lambda: _readable(liar.udp))
        liar.send(answer_to(liar.query(), code=dns.EREFUSED))
        [exchange] = reactor.readers
        exchange.doRead()
    problem = asking.problem()
    assert problem.status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND
    assert "REFUSED" in str(problem)


def test_no_server_is_a_failure(reactor):
    """On a system that names none."""
    problem = Asking(reactor).problem()
    assert problem.status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND
    assert "there is none" in str(problem)


def test_a_server_without_a_way_to_it_has_failed(reactor, liar):
    """What the system refuses at once is a failure like others."""
    broadcast = Address.ipv4("255.255.255.255", 53)
    asking = Asking(reactor, broadcast, liar)
    liar.send(answer_to(liar.query(), RIGHT))
    assert asking.outcome() == FOUND


def test_sockets_are_prepared_over_both_transports(reactor, liar):
    """As binding to an adapter wants it, before they are connected."""
    prepared = []

    def prepare(skt, server):
        prepared.append((skt.type, server))
        with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
            skt.getpeername()

    asking = Asking(reactor, liar, prepare=prepare)
    liar.send(answer_to(liar.query(), cut=True))
    reactor.serve(lambda: reactor.writers)
    connection = liar.accept()
    reactor.serve(lambda: not reactor.writers)
    connection.sendall(framed(answer_to(read_query(connection), RIGHT)))
    assert asking.outcome() == FOUND
    assert prepared == [(socket.SOCK_DGRAM, liar.address), (socket.SOCK_STREAM, liar.address)]


def test_what_cannot_be_prepared_is_a_failure(reactor, liar):
    """An adapter that is gone, over UDP and over TCP."""

    def refuse(skt, server):
        raise OSError(errno.ENODEV, "no such adapter")

    assert "no such adapter" in str(Asking(reactor, liar, prepare=refuse).problem())

    def refuse_streams(skt, server):
        if skt.type == socket.SOCK_STREAM:
            refuse(skt, server)

    limits = replace(DEFAULT_LIMITS, name_server_rounds=1)
    asking = Asking(reactor, liar, prepare=refuse_streams, limits=limits)
    liar.send(answer_to(liar.query(), cut=True))
    (exchange,) = reactor.readers
    exchange.doRead()
    reactor.advance(0)
    assert asking.problem().status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND


def test_a_refusal_by_the_preparation_ends_a_lookup(reactor, liar):
    """The adapter is gone: that is what the program has to hear, and no other server helps."""
    gone = AddressNotAvailableError("the adapter is gone")

    def refuse(skt, server):
        raise gone

    assert Asking(reactor, liar, liar, prepare=refuse).problem() is gone


def test_no_descriptor_is_told_as_that(reactor, liar):
    """It is nothing that another server could help with."""

    def refuse(skt, server):
        raise OSError(errno.EMFILE, "none left")

    assert Asking(reactor, liar, prepare=refuse).problem().status is SocketErrorStatus.TOO_MANY_OPEN_FILES


@pytest.mark.parametrize("stage", ["udp", "connecting", "tcp"])
def test_cancelling_leaves_nothing(reactor, liar, stage):
    """Neither descriptor nor delayed call, wherever it was."""
    asking = Asking(reactor, liar)
    query = liar.query()
    if stage != "udp":
        liar.send(answer_to(query, cut=True))
        (exchange,) = reactor.readers
        exchange.doRead()
    if stage == "tcp":
        reactor.serve(lambda: reactor.writers)
        connection = liar.accept()
        reactor.serve(lambda: not reactor.writers)
        read_query(connection)
    asking.lookup.cancel()
    assert isinstance(asking.problem(), CancelledError)
    reactor.advance(0)
    if stage == "tcp":
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_stopping_reactor_ends_a_lookup(reactor, liar):
    """It calls connectionLost on everything; there is nothing to say of the socket then."""
    asking = Asking(reactor, liar, limits=replace(DEFAULT_LIMITS, name_server_rounds=1))
    (exchange,) = reactor.readers
    exchange.connectionLost(Failure(ConnectionLost()))
    assert asking.problem().status is SocketErrorStatus.NON_AUTHORITATIVE_HOST_NOT_FOUND
