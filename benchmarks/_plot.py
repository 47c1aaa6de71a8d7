"""The results as a picture: for each work one bar a peer, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from benchmarks._catalogue import WORKS, Figure, Work
from benchmarks._figures import spread
from benchmarks._report import label, number

__all__ = ["draw"]

COLUMNS = 2
PANEL_WIDTH, LABEL_WIDTH, BAR_WIDTH = 470, 180, 200
BAR_HEIGHT, TITLE_HEIGHT, GAP = 18, 26, 22
OURS, OTHERS, INK = "#0b7285", "#ced4da", "#212529"


def draw(result: Mapping[str, Any]) -> str:
    """Draw CPU time, and memory where that is the point; shorter is better everywhere."""
    panels = [panel for key in result["results"] if (panel := _panel(result, WORKS[key])) is not None]
    columns: list[list[str]] = [[] for _ in range(COLUMNS)]
    heights = [GAP] * COLUMNS
    for content, height in panels:
        column = heights.index(min(heights))
        x = GAP + column * (PANEL_WIDTH + GAP)
        columns[column].append(f'<g transform="translate({x} {heights[column]})">{content}</g>')
        heights[column] += height + GAP
    width = GAP + COLUMNS * (PANEL_WIDTH + GAP)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {max(heights)}" '
            f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}" role="img">',
            "<title>What one unit of work costs the server; shorter bars are better</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *(element for column in columns for element in column),
            "</svg>\n",
        ]
    )


def _panel(result: Mapping[str, Any], work: Work) -> tuple[str, int] | None:
    """One work: its drawing and its height."""
    memory = work.counts_memory
    unit, factor = ("KiB", 1 / 1024) if memory else work.unit.cpu
    bars = {
        peer: found * factor
        for peer in work.peers
        if (found := spread(result, Figure(work.key, peer, "memory" if memory else "cpu"))) is not None
    }
    if not bars:
        return None
    scale = BAR_WIDTH / max(*(bar.most for bar in bars.values()), 1e-12)
    what = f"{unit} a {work.unit.each}" if memory else f"CPU {unit} a {work.unit.each}"
    parts = [
        f'<text y="12" font-weight="600">{escape(work.title)}</text>'
        f'<text x="{PANEL_WIDTH}" y="12" text-anchor="end" fill="#868e96">{escape(what)}</text>'
    ]
    y = TITLE_HEIGHT
    for peer, bar in bars.items():
        middle = y + BAR_HEIGHT / 2 - 1
        length = max(bar.median * scale, 1)
        parts.append(
            f'<text x="{LABEL_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(label(work, peer))}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT - 4}" '
            f'fill="{OURS if peer.startswith("winsockets") else OTHERS}"/>'
            f'<path d="M{LABEL_WIDTH + bar.least * scale:.1f} {middle}H{LABEL_WIDTH + bar.most * scale:.1f}" '
            f'stroke="{INK}"/>'
            f'<text x="{LABEL_WIDTH + bar.most * scale + 8:.1f}" y="{y + 12}">{number(bar.median)}</text>'
        )
        y += BAR_HEIGHT
    return "".join(parts), y
