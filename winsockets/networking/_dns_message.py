"""DNS messages: a question into bytes, and bytes into what they say about it.

Everything here may come from a liar: names are bounded, pointers lead backwards only, and a message that is
not the answer to the question says nothing.
"""

from __future__ import annotations

import socket
import struct
from enum import Enum, IntEnum
from typing import NamedTuple, TypeAlias

__all__ = [
    "Name",
    "Outcome",
    "Question",
    "RecordType",
    "ServiceRecord",
    "Verdict",
    "as_text",
    "encode_query",
    "name_of",
    "understand",
]

Name: TypeAlias = tuple[bytes, ...]
"""The labels of a domain name, in lower case; the root has none."""

_INTERNET = 1
_LONGEST_LABEL = 63
_LONGEST_NAME = 255
_MOST_ALIASES = 16
"""How many aliases lead to a name: one or two do; chains that resolvers follow end at 8 to 16."""

_HEADER = struct.Struct("!6H")
_TYPE_AND_CLASS = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")
_SERVICE = struct.Struct("!3H")

_IS_ANSWER = 0x8000
_OPERATION = 0x7800
_AUTHORITATIVE = 0x0400
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_CODE = 0x000F

_NO_ERROR, _NO_SUCH_NAME = 0, 3
_CODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}


class RecordType(IntEnum):
    """The types of records that are asked for, or met.

    Source: RFC 1035 section 3.2.2, RFC 3596, RFC 2782.
    """

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    AAAA = 28
    SRV = 33


class Question(NamedTuple):
    """What a name server is asked: the records of one type that a name has."""

    name: Name
    type: RecordType

    def __str__(self) -> str:
        return f"the {self.type.name} records of {as_text(self.name)}"


class ServiceRecord(NamedTuple):
    """Where a service is.

    Source: RFC 2782.
    """

    priority: int
    weight: int
    port: int
    target: Name


class Outcome(Enum):
    """What an answer comes to."""

    FOUND = "found"
    NO_DATA = "the name has no such record"
    NO_SUCH_NAME = "the name does not exist"
    TRUNCATED = "the answer does not fit into a datagram"
    FAILED = "the server failed"


class Verdict(NamedTuple):
    """What a server says to a question.

    Attributes:
        outcome: in short.
        records: FOUND: addresses as text, or ServiceRecords, in the order of the answer.
        reason: FAILED: why, in words.
    """

    outcome: Outcome
    records: tuple[str | ServiceRecord, ...] = ()
    reason: str = ""


class _FormatError(ValueError):
    """Bytes that are no message."""


def name_of(text: str) -> Name:
    """Take the text of a domain name apart.

    Args:
        text: ASCII, with or without the dot of the root.

    Raises:
        ValueError: a label is empty or longer than 63, the name longer than 255 octets, or not ASCII.

    Source: RFC 1035 section 2.3.4.
    """
    text = text.removesuffix(".")
    name = tuple(label.lower() for label in text.encode("ascii").split(b".")) if text else ()
    if any(not 0 < len(label) <= _LONGEST_LABEL for label in name):
        raise ValueError(f"a label of {text!r} is empty or longer than {_LONGEST_LABEL} characters")
    if sum(len(label) + 1 for label in name) + 1 > _LONGEST_NAME:
        raise ValueError(f"{text!r} is longer than {_LONGEST_NAME} octets")
    return name


def as_text(name: Name) -> str:
    """Write a name for people; what is no printable ASCII, and a dot within a label, is escaped.

    Source: RFC 1035 section 5.1.
    """
    return ".".join("".join(_character(octet) for octet in label) for label in name) or "."


def _character(octet: int) -> str:
    if octet in b".\\":
        return f"\\{octet:c}"
    return chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03}"


def encode_query(number: int, question: Question) -> bytes:
    """Write a query that asks for recursion.

    Args:
        number: 0 to 65535; a different one for each query, that nobody can foretell.
        question: what to ask.

    Source: RFC 1035 section 4.1.
    """
    return (
        _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
        + b"".join(bytes((len(label),)) + label for label in question.name)
        + b"\0"
        + _TYPE_AND_CLASS.pack(question.type, _INTERNET)
    )


def understand(message: bytes, number: int, question: Question, max_records: int) -> Verdict | None:
    """Judge what may be the answer to a query.

    Only records of the name asked for count, and of the names that its aliases (CNAME) lead to within the
    answer; the sections for authorities and additional records are not believed in.

    Args:
        message: what was received.
        number: that of the query.
        question: what was asked.
        max_records: how many records of the answer are looked at, the first ones.

    Returns:
        The verdict; None for a message that is no answer to this query, so that the answer is still to come.

    Source: RFC 1034 section 4.3.2, RFC 1035 section 4.1, RFC 2308 section 2, RFC 5452 section 9.
    """
    try:
        header = _HEADER.unpack_from(message)
        asked, offset = _name(message, _HEADER.size)
        kind, group = _TYPE_AND_CLASS.unpack_from(message, offset)
    except (_FormatError, struct.error):
        return None
    flags, questions, answers, authorities = header[1:5]
    if header[0] != number or not flags & _IS_ANSWER or flags & _OPERATION or questions != 1:
        return None
    if (asked, kind, group) != (question.name, question.type, _INTERNET):
        return None
    code = flags & _CODE
    if code == _NO_SUCH_NAME:
        return Verdict(Outcome.NO_SUCH_NAME)
    if code != _NO_ERROR:
        return Verdict(Outcome.FAILED, reason=_CODES.get(code, f"error {code}"))
    if flags & _TRUNCATED:
        return Verdict(Outcome.TRUNCATED)
    offset += _TYPE_AND_CLASS.size
    try:
        found = _find(message, offset, question, min(answers, max_records))
        if found is not None:
            return found
        if (
            not answers
            and not flags & _AUTHORITATIVE
            and _refers(message, offset, min(authorities, max_records))
        ):
            return Verdict(Outcome.FAILED, reason="it refers to other servers instead of asking them")
        return Verdict(Outcome.NO_DATA)
    except (_FormatError, struct.error) as problem:
        return Verdict(Outcome.FAILED, reason=f"a damaged answer ({problem})")


def _find(message: bytes, offset: int, question: Question, count: int) -> Verdict | None:
    """Collect the records that answer a question; None if there are none."""
    aliases: dict[Name, Name] = {}
    records: dict[Name, dict[str | ServiceRecord, None]] = {}
    for _ in range(count):
        owner, kind, start, offset = _record(message, offset)
        if kind == RecordType.CNAME:
            aliases.setdefault(owner, _whole_name(message, start, offset))
        elif kind == question.type:
            records.setdefault(owner, {})[_data(message, kind, start, offset)] = None
    name = question.name
    for _ in range(_MOST_ALIASES + 1):
        if name in records:
            return Verdict(Outcome.FOUND, tuple(records[name]))
        if name not in aliases:
            return None
        name = aliases[name]
    raise _FormatError(f"{as_text(question.name)} leads through more than {_MOST_ALIASES} aliases")


def _refers(message: bytes, offset: int, count: int) -> bool:
    """Whether the authorities are those to ask, and none that says there is no such record."""
    kinds = set()
    for _ in range(count):
        _, kind, _, offset = _record(message, offset)
        kinds.add(kind)
    return RecordType.NS in kinds and RecordType.SOA not in kinds


def _record(message: bytes, offset: int) -> tuple[Name, int, int, int]:
    """Read one record: its owner, its type (0 for another class), where its data begin and end."""
    owner, offset = _name(message, offset)
    kind, group, _, length = _RECORD.unpack_from(message, offset)
    start = offset + _RECORD.size
    end = start + length
    if end > len(message):
        raise _FormatError("a record goes on after the end of the message")
    return owner, kind if group == _INTERNET else 0, start, end


def _data(message: bytes, kind: int, start: int, end: int) -> str | ServiceRecord:
    if kind == RecordType.SRV:
        priority, weight, port = _SERVICE.unpack_from(message, start)
        return ServiceRecord(priority, weight, port, _whole_name(message, start + _SERVICE.size, end))
    family, size = (socket.AF_INET, 4) if kind == RecordType.A else (socket.AF_INET6, 16)
    if end - start != size:
        raise _FormatError(f"an address of {end - start} octets")
    return socket.inet_ntop(family, message[start:end])


def _whole_name(message: bytes, start: int, end: int) -> Name:
    name, stop = _name(message, start)
    if stop != end:
        raise _FormatError("a name that is not as long as its record")
    return name


def _name(message: bytes, offset: int) -> tuple[Name, int]:
    """Read a name, and say where it ends."""
    labels: list[bytes] = []
    length = 1
    barrier, end = offset, 0
    while True:
        if offset >= len(message):
            raise _FormatError("a name goes on after the end of the message")
        size = message[offset]
        if size > _LONGEST_LABEL:
            if size < 0xC0 or offset + 1 >= len(message):
                raise _FormatError("a label of no known kind")
            end = end or offset + 2
            offset = (size & 0x3F) << 8 | message[offset + 1]
            if offset >= barrier:
                # Each jump goes further back, so no message makes a loop.
                raise _FormatError("a name that does not point backwards")
            barrier = offset
            continue
        offset += 1
        if size == 0:
            return tuple(labels), end or offset
        length += size + 1
        if length > _LONGEST_NAME:
            raise _FormatError(f"a name of more than {_LONGEST_NAME} octets")
        labels.append(message[offset : offset + size].lower())
        offset += size
