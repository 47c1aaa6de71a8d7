"""What counts as a host name: text in, one of the four forms out. Pure; nothing is looked up.

A name is judged once and strictly, because every form that two programs read differently
("127.1", "017.0.0.1", "[::1]:80") is a way around somebody's access list.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from typing import NamedTuple

import idna

from winsockets.errors import InvalidArgumentError
from winsockets.networking._kinds import HostNameType
from winsockets.networking._quoting import quoted

__all__ = ["HostForm", "parse_host"]

# RFC 1035 section 2.3.4, in octets of the ASCII form and without the dot of the root.
_LONGEST_LABEL = 63
_LONGEST_NAME = 253
# Mapping and composing shortens what was typed, by at most 4 for the scripts in use. The bound keeps
# the quadratic punycode and normalisation steps away from inputs that cannot fit anyway.
_LONGEST_INPUT = 4 * _LONGEST_NAME
# Interface names are at most 16 characters on POSIX; Windows spells longer ones.
_LONGEST_ZONE = 64
# idna quotes the whole name in its reasons.
_LONGEST_REASON = 120

_BLUETOOTH = re.compile(r"\([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\)")
_PLAIN_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_FOREIGN_CHARACTER = re.compile(r"[^a-z0-9_-]")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HOST_AND_PORT = re.compile(r"(?:[^:\[\]]+|\[[^\[\]]*\]):[0-9]+")
_ZONE_STRANGERS = frozenset("%/:[]")


class HostForm(NamedTuple):
    """A host name understood: its kind, the form for comparing, the form for people."""

    type: HostNameType
    canonical: str
    display: str


def parse_host(text: str) -> HostForm:
    """Understand one host name.

    Args:
        text: a domain name (ASCII or international, absolute with a trailing dot or not), a dotted
            IPv4 address, an IPv6 address (with a zone or not, in brackets or not), or a Bluetooth
            address in parentheses.

    Returns:
        The form.

    Raises:
        InvalidArgumentError: the text is none of these; the message names it and says why.
    """
    if not text:
        raise _refuse(text, "it is empty; give a name such as 'example.com' or an address")
    if len(text) > _LONGEST_INPUT:
        raise _refuse(text, f"a host name has at most {_LONGEST_NAME} characters")
    for position, character in enumerate(text):
        if character.isspace() or unicodedata.category(character) in ("Cc", "Cs"):
            raise _refuse(
                text, f"blanks, control characters and lone surrogates are not allowed (index {position})"
            )
    if _BLUETOOTH.fullmatch(text):
        address = text.upper()
        return HostForm(HostNameType.BLUETOOTH, address, address)
    if "://" in text:
        raise _refuse(text, "this is a URL; give its host part alone")
    if "[" in text or "]" in text or ":" in text:
        return _parse_ipv6(text)
    if "%" in text:
        raise _refuse(text, "only IPv6 addresses have a zone ('%...')")
    return _parse_domain_or_ipv4(text)


def _refuse(text: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{quoted(text)} is not a host name: {reason}")


def _parse_ipv6(text: str) -> HostForm:
    if _HOST_AND_PORT.fullmatch(text):
        raise _refuse(text, "the port is not part of the name; give it as the service name")
    inner = text
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1]
    literal, percent, zone = inner.partition("%")
    if percent and not (
        0 < len(zone) <= _LONGEST_ZONE
        and zone.isascii()
        and zone.isprintable()
        and _ZONE_STRANGERS.isdisjoint(zone)
    ):
        raise _refuse(text, "the zone after '%' is neither the name nor the number of a network interface")
    try:
        address = ipaddress.IPv6Address(literal)
    except ipaddress.AddressValueError:
        raise _refuse(text, "it has ':' or brackets but is not an IPv6 address") from None
    # RFC 5952 section 5; Python writes the mapped ones differently from version to version.
    mapped = address.ipv4_mapped
    canonical = (f"::ffff:{mapped}" if mapped is not None else address.compressed) + percent + zone
    return HostForm(HostNameType.IPV6, canonical, canonical)


def _parse_domain_or_ipv4(text: str) -> HostForm:
    try:
        # UTS 46, non-transitional. The ASCII rules are applied label by label, because real names
        # have underscores and hyphens where IDNA forbids them.
        mapped = idna.uts46_remap(text, std3_rules=False)
    except ValueError as problem:
        raise _refuse(text, str(problem)[:_LONGEST_REASON]) from None
    labels = mapped.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _parse_ipv4(text, mapped)
    forms = [_parse_label(text, label) for label in labels]
    canonical = ".".join(ascii_label for ascii_label, _ in forms)
    if len(canonical) > _LONGEST_NAME:
        raise _refuse(
            text, f"it takes {len(canonical)} characters in ASCII, a host name has at most {_LONGEST_NAME}"
        )
    return HostForm(HostNameType.DOMAIN_NAME, canonical, ".".join(shown for _, shown in forms))


def _parse_ipv4(text: str, mapped: str) -> HostForm:
    try:
        canonical = str(ipaddress.IPv4Address(text))
    except ipaddress.AddressValueError:
        pass
    else:
        return HostForm(HostNameType.IPV4, canonical, canonical)
    reason = "a name that ends in a number is an IPv4 address: four decimal numbers from 0 to 255"
    try:
        # The reading of old: fewer parts, hexadecimal, octal.
        meant = socket.inet_ntoa(socket.inet_aton(mapped.removesuffix(".")))
    except OSError:
        raise _refuse(text, f"{reason}, such as '192.0.2.1'") from None
    raise _refuse(text, f"{reason}; write {meant!r} if that is meant")


def _parse_label(text: str, label: str) -> tuple[str, str]:
    """Turn one mapped label into its ASCII and its Unicode form."""
    if not label:
        raise _refuse(text, "there is nothing before, between or after its dots")
    if len(label) > _LONGEST_LABEL:
        raise _refuse(
            text,
            f"its label {quoted(label)} is too long, {_LONGEST_LABEL} characters are allowed between dots",
        )
    try:
        if not label.isascii():
            return idna.alabel(label).decode("ascii"), label
        if label.startswith("xn--"):
            shown = idna.ulabel(label)
            return idna.alabel(shown).decode("ascii"), shown
    except UnicodeError as problem:
        raise _refuse(text, f"its label {quoted(label)} is not valid: {problem}") from None
    if _PLAIN_LABEL.fullmatch(label):
        return label, label
    foreign = _FOREIGN_CHARACTER.search(label)
    if foreign is None:
        raise _refuse(text, f"its label {quoted(label)} begins or ends with a hyphen")
    if foreign.group() == "*":
        raise _refuse(text, "'*' is a pattern, not a name; to bind to all addresses leave the host name out")
    raise _refuse(text, f"the character {foreign.group()!r} is not allowed")
