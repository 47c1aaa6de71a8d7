"""What a piece of data is: its PEM blocks, or the kind of DER that it holds. Pure functions of bytes."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = [
    "DerKind",
    "PemBlock",
    "der_kind",
    "has_positive_serial",
    "is_pem",
    "object_id_pairs",
    "pem_blocks",
]

_BEGIN = b"-----BEGIN "
_END = b"-----END "
_DASHES = b"-----"
_LONGEST_LABEL = 64
_INTEGER, _OCTET_STRING, _OBJECT_ID, _SEQUENCE, _VERSION = 0x02, 0x04, 0x06, 0x30, 0xA0

DerKind = Literal["certificate", "pkcs7", "pkcs12", "private key", "truncated", "unknown"]


class PemBlock(NamedTuple):
    """One block of PEM.

    Attributes:
        label: what it says that it is, such as "CERTIFICATE".
        text: all of it, with its first and last line; empty when the last line is missing.
    """

    label: str
    text: bytes


def is_pem(data: bytes) -> bool:
    """Tell whether there is the beginning of a PEM block anywhere."""
    return _BEGIN in data


def pem_blocks(data: bytes) -> list[PemBlock]:
    """Cut the blocks out; what stands between them is commentary."""
    blocks: list[PemBlock] = []
    at = data.find(_BEGIN)
    while at >= 0:
        start = at + len(_BEGIN)
        stop = data.find(_DASHES, start, start + _LONGEST_LABEL)
        label = data[start:stop] if stop >= 0 else b""
        if not label or b"\n" in label:
            at = data.find(_BEGIN, start)
            continue
        last_line = _END + label + _DASHES
        end = data.find(last_line, stop)
        after = data.find(_BEGIN, stop)
        if end < 0 or -1 < after < end:
            blocks.append(PemBlock(label.decode("latin-1"), b""))
            at = after
            continue
        end += len(last_line)
        blocks.append(PemBlock(label.decode("latin-1"), data[at:end] + b"\n"))
        at = data.find(_BEGIN, end)
    return blocks


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Read the head of a DER element: its tag, and where its content begins and ends.

    Raises:
        IndexError: the data ends in the head.
        ValueError: the head is none that a certificate can have.
    """
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("a length of that form is not DER, or is too large")
        length = int.from_bytes(data[at : at + size])
        at += size
        if at > len(data):
            raise IndexError("the data ends in a length")
    return tag, at, at + length


def der_kind(data: bytes) -> DerKind:
    """Tell from its first elements what DER data is."""
    try:
        tag, start, end = _element(data, 0)
        if tag != _SEQUENCE:
            return "unknown"
        if end > len(data):
            return "truncated"
        tag, start, end = _element(data, start)
    except IndexError:
        return "truncated" if data[:1] == bytes([_SEQUENCE]) else "unknown"
    except ValueError:
        return "unknown"
    if tag == _INTEGER:
        # PKCS #12 has version 3 there, PKCS #8 and the older forms of private keys have 0 or 1.
        return "pkcs12" if data[start:end] == b"\x03" else "private key"
    if tag == _OBJECT_ID:
        return "pkcs7"
    if tag != _SEQUENCE:
        return "unknown"
    if data[start : start + 1] == bytes([_OBJECT_ID]):
        # The name of an algorithm: of what a private key is encrypted with, or that a public key is for.
        return "private key" if data[end : end + 1] == bytes([_OCTET_STRING]) else "unknown"
    return "certificate"


def has_positive_serial(der: bytes) -> bool:
    """Tell whether a certificate's serial number is greater than 0; False too for what is no certificate.

    RFC 5280 section 4.1.2.2 demands it. `cryptography` warns of those that are not, and will refuse them.
    """
    try:
        _, at, _ = _element(der, 0)
        _, at, _ = _element(der, at)
        tag, start, end = _element(der, at)
        if tag == _VERSION:
            tag, start, end = _element(der, end)
    except (IndexError, ValueError):
        return False
    return tag == _INTEGER and int.from_bytes(der[start:end], signed=True) > 0


def object_id_pairs(der: bytes) -> list[tuple[str, str]]:
    """Read a SEQUENCE of SEQUENCEs of two object identifiers each, as policy mappings are.

    Raises:
        ValueError: it is something else.
    """
    pairs = []
    try:
        tag, at, end = _element(der, 0)
        if tag != _SEQUENCE or end != len(der):
            raise ValueError("not one sequence")
        while at < end:
            tag, at, pair_end = _element(der, at)
            own_tag, own_start, own_end = _element(der, at)
            other_tag, other_start, other_end = _element(der, own_end)
            if (tag, own_tag, other_tag) != (_SEQUENCE, _OBJECT_ID, _OBJECT_ID) or other_end != pair_end:
                raise ValueError("not a pair of object identifiers")
            pairs.append((_dotted(der[own_start:own_end]), _dotted(der[other_start:other_end])))
            at = pair_end
    except IndexError as problem:
        raise ValueError("cut short") from problem
    if at != end:
        raise ValueError("more in it than fits")
    return pairs


def _dotted(content: bytes) -> str:
    """Write an object identifier with dots."""
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not content or content[-1] & 0x80:
        raise ValueError("the end of an object identifier is missing")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
