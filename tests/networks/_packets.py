"""What is in an IP packet, and the packets with which a network says that another one was not delivered."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["DestinationUnreachable", "Packet", "Report", "checksum", "icmp_error", "parse"]

ICMP, IGMP, TCP, UDP, ICMPV6 = 1, 2, 6, 17, 58
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS = 0, 43, 44, 60
_RECORDS = ("", "is-in", "is-ex", "to-in", "to-ex", "allow", "block")


class Report(NamedTuple):
    """What a host says of one group, in IGMPv3 and MLDv2: RFC 3376 section 4.2.12, RFC 3810 section 5.2.12.

    Attributes:
        kind: "is-in", "is-ex", "to-in", "to-ex", "allow", "block"; "join" and "leave" in older versions.
        group: the address.
        sources: their addresses, in order.
    """

    kind: str
    group: str
    sources: tuple[str, ...] = ()


@dataclass
class Packet:
    """An IP packet.

    Attributes:
        raw: all of it, from the IP header on.
        device: the interface it was seen on.
        outgoing: whether it left there.
        family: of its addresses.
        source, destination: its addresses.
        hops: time to live, or hop limit.
        traffic_class: the octet of DSCP and ECN.
        dont_fragment: the bit; routers never fragment IPv6.
        fragment: its place in what was fragmented, in octets; None for what is whole.
        more: whether fragments follow.
        protocol: of what it carries.
        source_port, destination_port: of UDP and TCP, in the first fragment; 0 otherwise.
        payload: what the protocol carries, of UDP and TCP without their headers.
        kind, code: of ICMP and IGMP; -1 otherwise.
        flags: of TCP.
        reports: of IGMP and MLD.
    """

    raw: bytes
    device: str = ""
    outgoing: bool = False
    family: int = socket.AF_INET
    source: str = ""
    destination: str = ""
    hops: int = 0
    traffic_class: int = 0
    dont_fragment: bool = False
    fragment: int | None = None
    more: bool = False
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0
    payload: bytes = b""
    kind: int = -1
    code: int = -1
    flags: int = 0
    reports: list[Report] = field(default_factory=list)

    @property
    def dscp(self) -> int:
        """The class of service."""
        return self.traffic_class >> 2

    def __str__(self) -> str:
        """A line of a protocol, as programs that listen to networks print it."""
        name = {ICMP: "ICMP", IGMP: "IGMP", TCP: "TCP", UDP: "UDP", ICMPV6: "ICMPv6"}.get(
            self.protocol, f"protocol {self.protocol}"
        )
        source, destination = (
            f"{address} port {port}" if port else address
            for address, port in ((self.source, self.source_port), (self.destination, self.destination_port))
        )
        parts = [f"{name} {source} > {destination}", f"hops {self.hops}", f"dscp {self.dscp}"]
        if self.family == socket.AF_INET:
            parts.append("DF" if self.dont_fragment else "no DF")
        if self.fragment is not None:
            parts.append(f"fragment at {self.fragment}{' and more' if self.more else ''}")
        if self.reports:
            parts += [
                f"{report.kind} {report.group}"
                + (f" {{{' '.join(report.sources)}}}" if report.sources else "")
                for report in self.reports
            ]
        elif self.kind >= 0:
            parts.append(f"type {self.kind} code {self.code}")
        else:
            parts.append(f"{len(self.payload)} bytes")
        return ", ".join(parts)


def parse(raw: bytes, device: str = "", outgoing: bool = False) -> Packet | None:
    """Read an IP packet; None for something else."""
    packet = Packet(raw, device, outgoing)
    if len(raw) >= 20 and raw[0] >> 4 == 4:
        body = _read_ipv4(packet)
    elif len(raw) >= 40 and raw[0] >> 4 == 6:
        packet.family = socket.AF_INET6
        body = _read_ipv6(packet)
    else:
        return None
    packet.payload = body
    if not packet.fragment:
        _read_body(packet, body)
    return packet


def _read_ipv4(packet: Packet) -> bytes:
    raw = packet.raw
    packet.traffic_class, packet.hops, packet.protocol = raw[1], raw[8], raw[9]
    length, _, where = struct.unpack_from("!HHH", raw, 2)
    packet.dont_fragment = bool(where & 0x4000)
    packet.more = bool(where & 0x2000)
    offset = (where & 0x1FFF) * 8
    if offset or packet.more:
        packet.fragment = offset
    packet.source = socket.inet_ntop(socket.AF_INET, raw[12:16])
    packet.destination = socket.inet_ntop(socket.AF_INET, raw[16:20])
    # A large one of the system's own, which it divides later, may have no length.
    return raw[(raw[0] & 15) * 4 : length or None]


def _read_ipv6(packet: Packet) -> bytes:
    raw = packet.raw
    first, length, following, packet.hops = struct.unpack_from("!IHBB", raw)
    packet.traffic_class = first >> 20 & 0xFF
    packet.source = socket.inet_ntop(socket.AF_INET6, raw[8:24])
    packet.destination = socket.inet_ntop(socket.AF_INET6, raw[24:40])
    body = raw[40 : 40 + length if length else None]
    while following in {_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS} and len(body) >= 8:
        size = 8
        if following == _FRAGMENT:
            where = struct.unpack_from("!H", body, 2)[0]
            packet.fragment, packet.more = where & 0xFFF8, bool(where & 1)
        else:
            size += body[1] * 8
        following, body = body[0], body[size:]
    packet.protocol = following
    return body


def _read_body(packet: Packet, body: bytes) -> None:
    if packet.protocol == UDP and len(body) >= 8:
        packet.source_port, packet.destination_port = struct.unpack_from("!HH", body)
        packet.payload = body[8:]
    elif packet.protocol == TCP and len(body) >= 20:
        packet.source_port, packet.destination_port = struct.unpack_from("!HH", body)
        packet.flags = body[13]
        packet.payload = body[(body[12] >> 4) * 4 :]
    elif packet.protocol in {ICMP, IGMP, ICMPV6} and len(body) >= 8:
        packet.kind, packet.code = body[0], body[1]
        packet.reports = _read_reports(packet.protocol, body)


def _read_reports(protocol: int, body: bytes) -> list[Report]:
    if protocol == IGMP and body[0] in {0x16, 0x17}:
        kind = "join" if body[0] == 0x16 else "leave"
        return [Report(kind, socket.inet_ntop(socket.AF_INET, body[4:8]))]
    if protocol == ICMPV6 and body[0] in {131, 132} and len(body) >= 24:
        kind = "join" if body[0] == 131 else "leave"
        return [Report(kind, socket.inet_ntop(socket.AF_INET6, body[8:24]))]
    if (protocol, body[0]) == (IGMP, 0x22):
        family, size = socket.AF_INET, 4
    elif (protocol, body[0]) == (ICMPV6, 143):
        family, size = socket.AF_INET6, 16
    else:
        return []
    reports = []
    place = 8
    for _ in range(struct.unpack_from("!H", body, 6)[0]):
        kind, words, count = struct.unpack_from("!BBH", body, place)
        addresses = [
            socket.inet_ntop(family, body[at : at + size])
            for at in range(place + 4, place + 4 + size * (count + 1), size)
        ]
        reports.append(Report(_RECORDS[kind], addresses[0], tuple(addresses[1:])))
        place += 4 + size * (count + 1) + 4 * words
    return reports


# What a network says


class DestinationUnreachable(NamedTuple):
    """The type and code of an ICMP error, and what its second word says (the MTU of what is too big)."""

    kind: int
    code: int
    word: int = 0


def checksum(data: bytes) -> int:
    """The checksum of the Internet: RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp_error(raw: bytes, what: DestinationUnreachable, router: str) -> bytes:
    """Make the packet with which a router says what became of another one.

    Args:
        raw: the packet that was not delivered.
        what: the error; RFC 792 and 1812, or 4443.
        router: its address, of the family of the packet.
    """
    packet = parse(raw)
    assert packet is not None
    head = struct.pack("!BB", what.kind, what.code)
    tail = struct.pack("!I", what.word) + raw[: 548 if packet.family == socket.AF_INET else 1232]
    source = socket.inet_pton(packet.family, router)
    destination = socket.inet_pton(packet.family, packet.source)
    if packet.family == socket.AF_INET:
        body = head + struct.pack("!H", checksum(head + b"\0\0" + tail)) + tail
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, ICMP, 0) + source + destination
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body
    size = len(head) + 2 + len(tail)
    pseudo = source + destination + struct.pack("!II", size, ICMPV6)
    body = head + struct.pack("!H", checksum(pseudo + head + b"\0\0" + tail)) + tail
    return struct.pack("!IHBB", 6 << 28, size, ICMPV6, 64) + source + destination + body
