"""The forest plot of a brief: each idea's gain with its interval, against no gain and the least that matters."""

from __future__ import annotations

import math
from html import escape

from secondshift.interfaces.brief.branches import Branch
from secondshift.interfaces.brief.plots import LEFT, RIGHT, WIDTH, Frame, drawing
from secondshift.interfaces.brief.ticks import ticks
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number

ROW, TOP, BOTTOM = 22, 12, 46
MOST_ROWS = 24


def forest(rows: tuple[Branch, ...], metric: str, least: float, lang: str) -> str:
    """Draw the newest ideas as SVG; empty text if there is none. What is not bounded runs out of the frame."""
    shown = rows[-MOST_ROWS:]
    if not shown:
        return ""
    ends = [0.0, least, *(r.effect for r in shown)]
    ends += [e for r in shown for e in (r.low, r.high) if math.isfinite(e)]
    height = TOP + BOTTOM + ROW * len(shown)
    frame = Frame(_padded(min(ends), max(ends)), (0.0, 1.0), height)
    parts = [_rule(frame, 0.0, height, "axis")] + ([_rule(frame, least, height, "grid")] if least else [])
    parts += [_row(frame, row, TOP + ROW * (k + 0.5)) for k, row in enumerate(shown)]
    base = height - BOTTOM
    for value in ticks(frame.x0, frame.x1, 5):
        text = escape(number(value))
        parts.append(f'<text class="tick" x="{frame.x(value):.1f}" y="{base + 16}" text-anchor="middle">{text}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    label = escape(say("ideas.forest_x", lang, metric=metric))
    parts.append(f'<text class="label" x="{WIDTH - RIGHT}" y="{base + 34}" text-anchor="end">{label}</text>')
    held = sum(r.state == "held up" for r in rows)
    desc = say("ideas.forest_desc", lang, n=len(rows), held=held)
    return drawing("plot-forest", say("ideas.forest_title", lang), desc, "".join(parts), height)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or abs(low) * 0.1 or 1.0
    return low - room, high + room


def _rule(frame: Frame, value: float, height: float, style: str) -> str:
    x = frame.x(value)
    return f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}"/>'


def _row(frame: Frame, row: Branch, y: float) -> str:
    ends = [LEFT if math.isinf(row.low) else frame.x(row.low), WIDTH - RIGHT if math.isinf(row.high) else frame.x(row.high)]
    style = "best" if row.state == "held up" else "other"
    name = f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(row.idea)}</text>'
    span = f'<line class="{style}" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{name}{span}<circle class="dot" cx="{frame.x(row.effect):.1f}" cy="{y:.1f}" r="4"/>'
