"""Small plots as SVG text, drawn by hand: no library, no script, readable offline, in the dark and by a screen reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import tzinfo
from html import escape
from typing import TYPE_CHECKING

from secondshift.interfaces.brief.parameter_figures import fences
from secondshift.interfaces.brief.streams import Part, Stream
from secondshift.interfaces.brief.ticks import ticks
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import duration, moment, number
from secondshift.interfaces.sparklines import blocks

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.interfaces.brief.figures import Bar, Curve, Figures

WIDTH, HEIGHT = 520, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 14, 42
ROW, NIGHT_BOTTOM = 18, 26  # of the time line
MOST_ROWS = 24  # trials; of more, a row is a device
ROW_NAME = 8  # characters before a row
SINCE = "▲"  # where something became suspicious


class Frame:
    """Where data lies in a plot: maps data to the drawing's own units and draws the axes."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: float = HEIGHT) -> None:
        self.x0, self.x1 = _room(*x, share=0.0)
        self.y0, self.y1 = _room(*y, share=0.05)
        self.height = height

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical place of a value, kept within a frame's height of the frame."""
        share = min(2.0, max(-1.0, (value - self.y0) / (self.y1 - self.y0)))
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def axes(self, x_label: str, y_label: str, x_text: Sequence[tuple[float, str]]) -> str:
        """Grid, ticks and labels."""
        parts = []
        for value in ticks(self.y0, self.y1):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(number(value))}</text>'
            )
        base = self.height - BOTTOM
        for value, text in x_text:
            side = "end" if self.x(value) > WIDTH - RIGHT - 4 * len(text) else "middle"  # the last stays inside
            x = min(self.x(value) + 4 * len(text), WIDTH - RIGHT) if side == "end" else self.x(value)
            parts.append(f'<text class="tick" x="{x:.1f}" y="{base + 16}" text-anchor="{side}">{escape(text)}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
        parts.append(
            f'<text class="label" x="{WIDTH - RIGHT}" y="{base + 34}" text-anchor="end">{escape(x_label)}</text>'
        )
        parts.append(f'<text class="label" x="{LEFT - 52}" y="{base + 34}">{escape(y_label)}</text>')
        return "".join(parts)


def _room(low: float, high: float, *, share: float) -> tuple[float, float]:
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    return low - share * (high - low), high + share * (high - low)


def drawing(name: str, title: str, desc: str, body: str, height: float = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(desc)}</desc>{body}</svg>'
    )


def curves(data: Figures, lang: str) -> str:
    """All curves thinly, the best complete one strongly; empty text if there is none."""
    drawn = [c for c in data.curves if any(math.isfinite(v) for v in c.values)]
    if not drawn:
        return ""
    values = [v for c in drawn for v in c.values if math.isfinite(v)]
    # Diverged runs must not flatten all the others: what lies beyond the fences is outside the frame, but for the best.
    low, high = fences(values)
    kept = [v for v in values if low <= v <= high]
    kept += [v for c in drawn if c.best for v in c.values if math.isfinite(v)]
    last = max(max(c.steps) for c in drawn)
    frame = Frame((0.0, float(max(1, last))), (min(kept), max(kept)))
    inside = f'<rect x="{LEFT}" y="2" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - 2}"/>'
    clip = f'<clipPath id="curves-frame">{inside}</clipPath>'
    lines = "".join(_line(c, frame) for c in drawn)
    marks = [(v, number(int(v))) for v in ticks(frame.x0, frame.x1, 4) if v == int(v)]
    body = (
        clip
        + frame.axes(say("plot.curves_x", lang), data.metric, marks)
        + f'<g clip-path="url(#curves-frame)">{lines}</g>'
    )
    leader = next((c.trial for c in drawn if c.best), "")
    key = "plot.curves_desc" if leader else "plot.curves_desc_none"
    desc = say(key, lang, metric=data.metric, n=len(drawn), trial=leader)
    return drawing("plot-curves", say("plot.curves_title", lang), desc, body)


def _line(curve: Curve, frame: Frame) -> str:
    return _path(curve.steps, curve.values, frame, "best" if curve.best else "other", curve.trial)


def _path(steps: Sequence[int], values: Sequence[float], frame: Frame, style: str, name: str) -> str:
    path, pen = [], "M"
    for step, value in zip(steps, values, strict=True):
        if not math.isfinite(value):
            pen = "M"  # a gap where the curve has no finite value
            continue
        path.append(f"{pen}{frame.x(step):.1f},{frame.y(value):.1f}")
        pen = "L"
    only = len(path) == 1
    shape = path[0] + "h0.1" if only else "".join(path)
    return f'<path class="{style}{" point" if only else ""}" d="{shape}"><title>{escape(name)}</title></path>'


def night(data: Figures, lang: str, zone: tzinfo | None = None) -> str:
    """The time line: one bar for each attempt, in the row of its trial, or of its device where there are many trials."""
    if not data.bars:
        return ""
    trials = len({bar.trial for bar in data.bars})
    rows, names = _by_trial(data.bars) if trials <= MOST_ROWS else _by_device(data.bars)
    low, high = min(b.from_at for b in data.bars), max(b.to_at for b in data.bars)
    height = TOP + NIGHT_BOTTOM + ROW * len(names)
    frame = Frame((low, max(high, low + 1)), (0, 1), height)
    bars = "".join(_bar(b, row, frame, lang) for b, row in zip(data.bars, rows, strict=True))
    labels = "".join(
        f'<text class="tick" x="{LEFT - 6}" y="{TOP + ROW * row + 13}" text-anchor="end">{escape(t)}</text>'
        for row, t in enumerate(names)
    )
    base = height - NIGHT_BOTTOM
    axis = f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    ends = (
        f'<text class="tick" x="{LEFT}" y="{base + 16}">{moment(low, lang, zone)}</text>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{base + 16}" text-anchor="end">{moment(high, lang, zone)}</text>'
    )
    marks = "".join(
        f'<line class="takeover" x1="{frame.x(at):.1f}" x2="{frame.x(at):.1f}" y1="{TOP - 8}" y2="{base}"/>'
        for at in data.takeovers
        if low <= at <= high
    )
    desc = say("plot.night_desc", lang, n=len(data.bars), trials=trials, from_at=low, to_at=high, zone=zone)
    return drawing("plot-night", say("plot.night_title", lang), desc, axis + ends + labels + bars + marks, height)


def _by_trial(bars: Sequence[Bar]) -> tuple[list[int], list[str]]:
    """The row of each bar, and what stands before each row."""
    rows: dict[str, int] = {}
    return [rows.setdefault(bar.trial, len(rows)) for bar in bars], list(rows)


def _by_device(bars: Sequence[Bar]) -> tuple[list[int], list[str]]:
    """As above; bars of one device that overlap lie in rows of their own."""
    free: dict[tuple[str, int], float] = {}  # (device, which of its rows) -> until when it is taken
    places = []
    for bar in bars:
        lane = 0
        while free.get((bar.device, lane), -math.inf) > bar.from_at + 1e-6:
            lane += 1
        free[bar.device, lane] = bar.to_at
        places.append((bar.device, lane))
    order = {place: row for row, place in enumerate(sorted(free))}
    names = [device if lane == 0 else "" for device, lane in order]
    return [order[place] for place in places], [n if len(n) <= ROW_NAME else n[: ROW_NAME - 1] + "…" for n in names]


def _bar(bar: Bar, row: int, frame: Frame, lang: str) -> str:
    x, width = frame.x(bar.from_at), max(1.0, frame.x(bar.to_at) - frame.x(bar.from_at))
    label = f"{bar.attempt}: {say(f'plot.legend_{bar.ending}', lang)}, {duration(bar.to_at - bar.from_at, lang)}"
    return (
        f'<rect class="bar {bar.ending}" x="{x:.1f}" y="{TOP + ROW * row + 3}" width="{width:.1f}" height="12" rx="2">'
        f"<title>{escape(label)}</title></rect>"
    )


def stream(data: Stream, lang: str) -> str:
    """The stream around an incident, a line for each attempt; where it became suspicious and where something was done is marked."""
    values = [v for part in data.parts for v in part.values if math.isfinite(v)] or [0.0]
    low, high = fences(values)
    frame = Frame((float(data.first), float(max(data.last, data.first + 1))), (low, high))
    inside = f'<rect x="{LEFT}" y="2" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - 2}"/>'
    lines = "".join(
        _path(part.steps, part.values, frame, f"part part{place % 4}", part.attempt)
        for place, part in enumerate(data.parts)
    )
    base = HEIGHT - BOTTOM
    marks = _mark(frame.x(data.since), base, "since", SINCE)
    marks += "".join(_mark(frame.x(step), base, "act", str(nth)) for nth, (step, _) in enumerate(data.acts, 1))
    ticked = [(v, number(int(v))) for v in ticks(frame.x0, frame.x1, 4) if v == int(v)]
    body = (
        f'<clipPath id="stream-frame">{inside}</clipPath>{frame.axes(say("plot.curves_x", lang), data.metric, ticked)}'
        f'<g clip-path="url(#stream-frame)">{lines}</g>{marks}'
    )
    title = say("incident.curve", lang, metric=data.metric, first=data.first, last=data.last)
    desc = say("incident.curve_desc", lang, metric=data.metric, n=len(data.parts), since=data.since, acts=len(data.acts))
    return drawing("plot-stream", title, desc, body)


def _mark(x: float, base: float, kind: str, text: str) -> str:
    return (
        f'<line class="mark {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{base}"/>'
        f'<text class="tick {kind}" x="{x:.1f}" y="{TOP - 2}" text-anchor="middle">{text}</text>'
    )



def strips(data: Stream, width: int) -> list[tuple[str, str]]:
    """The stream in lines of block characters, one for each attempt, and a line of marks below (with no name)."""
    width = max(8, min(width, data.last - data.first + 1))
    finite = [v for part in data.parts for v in part.values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    lines = [(part.attempt, blocks(_columns(part, data, width), low, high)) for part in data.parts]
    marks = [" "] * width
    for nth, (step, _) in enumerate(data.acts, 1):
        if data.first <= step:
            marks[_column(step, data, width)] = str(nth) if nth < 10 else "+"
    marks[_column(data.since, data, width)] = SINCE
    return [*lines, ("", "".join(marks).rstrip())]


def _column(step: int, data: Stream, width: int) -> int:
    return min(width - 1, (step - data.first) * width // (data.last - data.first + 1))


def _columns(part: Part, data: Stream, width: int) -> list[float | None]:
    """The mean of what lies in each column; NaN where something in it is not finite, None where nothing is."""
    found: list[list[float]] = [[] for _ in range(width)]
    for step, value in zip(part.steps, part.values, strict=True):
        found[_column(step, data, width)].append(value)
    return [_level(values) for values in found]


def _level(values: list[float]) -> float | None:
    if not values:
        return None
    return math.fsum(values) / len(values) if all(math.isfinite(v) for v in values) else math.nan
