"""DNS messages: what a query is, and what counts as its answer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns

from winsockets.networking._dns_message import (
    Outcome,
    Question,
    RecordType,
    ServiceRecord,
    Verdict,
    as_text,
    encode_query,
    name_of,
    understand,
)

NAME = "_chat._tcp.example.com"
SERVICE = Question(name_of(NAME), RecordType.SRV)
NUMBER = 4711


def reply(*answers, question=SERVICE, number=NUMBER, code=0, authority=(), additional=(), **flags):
    """A message of Twisted's making."""
    message = dns.Message(number, answer=1, recDes=1, recAv=1, rCode=code, maxSize=0)
    for name, value in flags.items():
        setattr(message, name, value)
    if question is not None:
        message.queries = [dns.Query(as_text(question.name), question.type)]
    message.answers = list(answers)
    message.authority = list(authority)
    message.additional = list(additional)
    return message.toStr()


def record(payload, name=NAME, **arguments):
    """A record of Twisted's making."""
    return dns.RRHeader(name, payload.TYPE, payload=payload, ttl=60, **arguments)


def srv(target, port=5222, priority=0, weight=0, name=NAME):
    """An SRV record of Twisted's making."""
    return record(dns.Record_SRV(priority, weight, port, target), name)


def judged(message, question=SERVICE, max_records=256):
    """What becomes of a message."""
    return understand(message, NUMBER, question, max_records)


def failure(message, question=SERVICE):
    """Why the server failed."""
    verdict = judged(message, question)
    assert verdict is not None
    assert verdict.outcome is Outcome.FAILED
    return verdict.reason


def test_a_query_asks_one_question_and_for_recursion():
    """Another implementation reads it as it is meant."""
    message = dns.Message()
    message.fromStr(encode_query(NUMBER, SERVICE))
    assert (message.id, message.answer, message.opCode, message.recDes) == (NUMBER, 0, 0, 1)
    assert message.queries == [dns.Query(NAME, dns.SRV, dns.IN)]
    assert not message.answers + message.authority + message.additional


def test_the_records_of_a_service_are_found():
    """In the order of the answer, each once, whatever else is in the message."""
    message = reply(
        srv("B.example.com", 1, 20, 5),
        srv("a.example.com", 2, 10, 0),
        srv("b.example.com", 1, 20, 5),
        record(dns.Record_TXT(b"hello")),
        authority=[record(dns.Record_NS("ns.example.com"), "example.com")],
        additional=[record(dns.Record_A("192.0.2.1"), "a.example.com")],
    )
    assert judged(message) == Verdict(
        Outcome.FOUND,
        (
            ServiceRecord(20, 5, 1, (b"b", b"example", b"com")),
            ServiceRecord(10, 0, 2, (b"a", b"example", b"com")),
        ),
    )


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        (RecordType.A, dns.Record_A("192.0.2.1"), "192.0.2.1"),
        (RecordType.AAAA, dns.Record_AAAA("2001:db8::1"), "2001:db8::1"),
    ],
)
def test_addresses_are_found(kind, payload, text):
    """Of the family that was asked for."""
    question = Question(name_of("host.example"), kind)
    message = reply(record(payload, "HOST.example"), question=question)
    assert judged(message, question) == Verdict(Outcome.FOUND, (text,))


def test_aliases_are_followed_within_the_answer():
    """A name server that does recursion has put everything there."""
    message = reply(
        record(dns.Record_CNAME("two.example")),
        srv("target.example", name="three.example"),
        record(dns.Record_CNAME("three.example"), "two.example"),
    )
    verdict = judged(message)
    assert verdict is not None
    assert [as_text(one.target) for one in verdict.records] == ["target.example"]


def test_an_alias_that_leads_nowhere_is_no_data():
    """The alias exists, the record does not."""
    assert judged(reply(record(dns.Record_CNAME("two.example")))) == Verdict(Outcome.NO_DATA)


def test_aliases_in_a_circle_are_a_failure():
    """So is a chain without end; nothing hangs."""
    circle = [record(dns.Record_CNAME("two.example")), record(dns.Record_CNAME(NAME), "two.example")]
    assert "aliases" in failure(reply(*circle))
    chain = [record(dns.Record_CNAME(f"n{n + 1}.x"), f"n{n}.x") for n in range(40)]
    question = Question(name_of("n0.x"), RecordType.SRV)
    assert "aliases" in failure(reply(*chain, srv("end.x", name="n40.x"), question=question), question)


def test_records_of_other_names_are_not_believed():
    """Neither in the answer nor as additional records."""
    other = srv("liar.example", name="_chat._tcp.example.org")
    assert judged(reply(other, additional=[srv("liar.example")])) == Verdict(Outcome.NO_DATA)


def test_records_of_another_class_are_not_believed():
    """Only those of the internet count."""
    assert judged(reply(record(dns.Record_SRV(0, 0, 1, "a.x"), cls=dns.CH))) == Verdict(Outcome.NO_DATA)


def test_no_record_and_no_name_are_told_apart():
    """NXDOMAIN is about the name."""
    soa = record(dns.Record_SOA("ns.example.com", "admin.example.com"), "example.com")
    assert judged(reply(authority=[soa])) == Verdict(Outcome.NO_DATA)
    assert judged(reply(code=dns.ENAME, authority=[soa])) == Verdict(Outcome.NO_SUCH_NAME)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1, "FORMERR"), (2, "SERVFAIL"), (4, "NOTIMP"), (5, "REFUSED"), (11, "error 11")],
)
def test_an_error_of_the_server_is_its_failure(code, reason):
    """It says nothing about the name."""
    assert failure(reply(srv("a.x"), code=code)) == reason


def test_a_referral_is_no_answer():
    """A server that only knows whom to ask is no use to who cannot do that."""
    message = reply(authority=[record(dns.Record_NS("ns.example.com"), "example.com")])
    assert "refers" in failure(message)
    assert judged(reply(authority=[record(dns.Record_NS("ns.x"), "x")], auth=1)) == Verdict(Outcome.NO_DATA)


def test_a_cut_answer_is_not_looked_into():
    """Its records may be cut too."""
    assert judged(reply(srv("a.example"), trunc=1)) == Verdict(Outcome.TRUNCATED)


@pytest.mark.parametrize(
    "message",
    [
        reply(srv("a.x"), number=NUMBER + 1),
        reply(srv("a.x"), answer=0),
        reply(srv("a.x"), opCode=4),
        reply(srv("a.x"), question=Question(name_of("_chat._udp.example.com"), RecordType.SRV)),
        reply(srv("a.x"), question=Question(name_of(NAME), RecordType.A)),
        reply(srv("a.x"), question=None),
        reply(srv("a.x"))[:20],
        encode_query(NUMBER, SERVICE),
        b"",
    ],
    ids=["number", "query", "operation", "name", "type", "none", "short", "echo", "empty"],
)
def test_what_is_no_answer_to_the_query_says_nothing(message):
    """Whatever it claims, the answer is still to come."""
    assert judged(message) is None


def test_the_question_may_come_back_in_other_letters():
    """Upper and lower case are the same name."""
    message = reply(srv("a.x", name=NAME.upper())).replace(b"example", b"EXAMPLE")
    verdict = judged(message)
    assert verdict is not None
    assert verdict.outcome is Outcome.FOUND


def head(answers):
    """A reply up to its records, which begin at the returned offset."""
    query = bytearray(encode_query(NUMBER, SERVICE))
    struct.pack_into("!H", query, 2, 0x8180)
    struct.pack_into("!H", query, 6, answers)
    return bytes(query), len(query)


def damaged(data, *, owner=b"\xc0\x0c", kind=33, length=None):
    """A reply with one record as given."""
    start, _ = head(1)
    size = len(data) if length is None else length
    return start + owner + struct.pack("!HHIH", kind, 1, 0, size) + data


OFFSET = head(1)[1]


@pytest.mark.parametrize(
    "message",
    [
        damaged(b"", owner=struct.pack("!H", 0xC000 | OFFSET)),
        damaged(b"", owner=struct.pack("!H", 0xC000 | (OFFSET + 100))),
        damaged(b"", owner=b"\x01a" + struct.pack("!H", 0xC000 | OFFSET)),
        damaged(b"", owner=b"\x80"),
        damaged(b"", owner=b"\x05ab"),
        damaged(
            b"", owner=b"\x3f" + 63 * b"a" + b"\x3f" + 63 * b"a" + b"\x3f" + 63 * b"a" + b"\x3f" + 63 * b"a"
        ),
        damaged(b"\0\0\0\0\0\1"),
        damaged(b"\0\0\0\0\0\1\0\0"),
        damaged(b"\0\0\0\0"),
        damaged(b"\0\0\0\0\0\1\1a\0", length=200),
        head(2)[0],
    ],
    ids=["loop", "ahead", "loop2", "kind", "end", "long", "target", "rest", "short", "length", "missing"],
)
def test_a_damaged_answer_is_the_failure_of_the_server(message):
    """Loops, names without end and lengths that lie end there."""
    assert failure(message)


def test_an_address_of_the_wrong_size_is_damage():
    """Neither read beyond nor cut."""
    question = Question(name_of(NAME), RecordType.A)
    message = reply(record(dns.Record_A("192.0.2.1")), question=question)
    assert failure(message[:-6] + b"\0\5" + message[-4:] + b"\0", question)


def test_only_the_first_records_are_looked_at():
    """Ten thousand cost no more than the bound."""
    message = reply(*(srv(f"h{number}.x") for number in range(2000)))
    for bound in (1, 256):
        verdict = judged(message, max_records=bound)
        assert verdict is not None
        assert len(verdict.records) == bound


def test_names_are_kept_apart_from_text():
    """A dot within a label is no border between labels, and nothing unprintable comes through."""
    assert as_text((b"a.b", b"c\x00d", b"\\")) == "a\\.b.c\\000d.\\\\"
    assert as_text(()) == "."
    assert name_of("A.b.") == (b"a", b"b")
    assert name_of(".") == ()


@pytest.mark.parametrize("text", ["a..b", ".a", "a" * 64, ".".join(["a" * 63] * 4), "bücher.example"])
def test_what_is_no_name_is_refused(text):
    """Too long, empty, or not ASCII."""
    with pytest.raises(ValueError, match=r"label|octets|ascii"):
        name_of(text)


@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_do_harm(data, with_head):
    """Whatever comes, there is a verdict or none."""
    message = head(3)[0] + data if with_head else data
    verdict = judged(message)
    assert verdict is None or isinstance(verdict, Verdict)


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535)), max_size=20))
def test_what_was_written_is_read(values):
    """Priority, weight and port, as another implementation writes them."""
    message = reply(*(srv("a.example.com", port, priority, weight) for priority, weight, port in values))
    verdict = judged(message)
    assert verdict is not None
    target = name_of("a.example.com")
    assert verdict.records == tuple(dict.fromkeys(ServiceRecord(*value, target) for value in values))
