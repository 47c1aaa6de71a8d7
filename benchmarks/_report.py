"""The results as text: tables that can be read in a terminal and be put into a page as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._catalogue import PEERS, WORKS, Figure, Work
from benchmarks._figures import Spread, ratio, spread, verdicts

__all__ = ["label", "render"]

LATENCIES = ("p50", "p99", "p99.9")
LOST_WORTH_TELLING = 0.001


def label(work: Work, peer: str) -> str:
    """A peer as it appears at a work."""
    if not work.key.startswith("datagram"):
        return PEERS[peer].label
    return "plain socket loop" if peer == "raw" else PEERS[peer].label.removesuffix(" Protocol")


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or not value else f"{value:.2e}"


def number_and_range(figure: Spread | None) -> str:
    """The median and, where there are several values, from which to which."""
    if figure is None:
        return ""
    if figure.least == figure.most:
        return number(figure.median)
    return f"{number(figure.median)} ({number(figure.least)} - {number(figure.most)})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Line up rows, the first of which is the header; empty columns are left out."""
    kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in zip(*kept, strict=True)
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def _work_table(result: Mapping[str, Any], work: Work) -> str:
    unit, (cpu_unit, cpu_factor), (rate_unit, rate_factor) = work.unit.each, work.unit.cpu, work.unit.rate
    rows = [
        [
            "server",
            f"CPU {cpu_unit} a {unit}",
            f"to {label(work, work.baseline)}",
            "KiB a connection",
            rate_unit,
            "core busy",
            *(f"{name} µs" for name in LATENCIES),
            "sends a round",
            "lost",
        ]
    ]
    for peer in work.peers:
        if peer not in result["results"][work.key]:
            continue

        def get(kind: str, peer: str = peer) -> Spread | None:
            return spread(result, Figure(work.key, peer, kind))

        cpu, rate, busy, memory, lost = map(get, ("cpu", "rate", "busy", "memory", "lost"))
        kind = "cpu" if memory is None else "memory"
        rows.append(
            [
                label(work, peer),
                number_and_range(cpu and cpu * cpu_factor),
                number_and_range(
                    ratio(result, Figure(work.key, peer, kind), Figure(work.key, work.baseline, kind))
                ),
                number_and_range(memory and memory * (1 / 1024)),
                number(rate.median * rate_factor if rate else None),
                f"{busy.median:.0%}" if busy else "",
                *(number(latency.median * 1e6 if latency else None) for latency in map(get, LATENCIES)),
                number(sends.median if (sends := get("sends")) else None),
                f"{lost.median:.1%}" if lost and lost.median >= LOST_WORTH_TELLING else "",
            ]
        )
    return table(rows)


def _target_table(result: Mapping[str, Any]) -> str:
    rows = [["target", "wanted", "measured", ""]]
    for verdict in verdicts(result):
        target = verdict.target
        wanted = f"at {'most' if target.at_most else 'least'} {number(target.limit)}"
        rows.append([target.title, wanted, number_and_range(verdict.measured), verdict.word])
    return table(rows)


def render(result: Mapping[str, Any]) -> str:
    """Write everything down."""
    machine, settings = result["machine"], result["settings"]
    parts = [
        f"{machine['processor']}, {machine['cores']} cores (server on one, load on the other"
        f"{'s' if machine['cores'] > 2 else ''}); {machine['system']}; load generator in {result['load']}; "
        f"repetitions: {settings['repetitions']}; medians (least - most).",
        ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
    ]
    if machine["cores"] == 1:
        parts.append("One core for both sides: throughput and latency say nothing about the servers.")
    for key in result["results"]:
        if result["results"][key]:
            parts += [f"### {WORKS[key].title}", _work_table(result, WORKS[key])]
    parts += ["### Targets", _target_table(result)]
    if result["skipped"]:
        lines = [f"- {PEERS[peer].label}: {reason}" for peer, reason in result["skipped"].items()]
        parts += ["### Left out", "\n".join(lines)]
    if result["failures"]:
        parts += ["### Failed", "\n".join(f"- {failure}" for failure in result["failures"])]
    return "\n\n".join(parts) + "\n"
