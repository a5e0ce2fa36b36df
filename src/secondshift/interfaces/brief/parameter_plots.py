"""Parameters against result, as small multiples: one panel each, all with the same vertical axis."""

import math
from collections.abc import Sequence
from html import escape

from secondshift.interfaces.brief.parameter_figures import Panel, fences
from secondshift.interfaces.brief.ticks import ticks
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number

WIDTH, HEIGHT = 260, 176
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 8, 24
MOST_STRIPS = 8
LABEL = 9  # characters of a choice
SPREAD = 7  # units to either side, over which the points of a strip are laid out


def panel_svgs(panels: Sequence[Panel], metric: str, lang: str) -> list[tuple[str, str]]:
    """The panels as (name of the parameter, SVG), all with the same vertical axis."""
    values = [value for panel in panels for _, value in panel.points]
    if not values:
        return []
    low, high = fences(values)
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return [
        (panel.name, _panel(panel, place, (low - pad, high + pad), metric, lang)) for place, panel in enumerate(panels)
    ]


def _panel(panel: Panel, place: int, frame: tuple[float, float], metric: str, lang: str) -> str:
    xs = _across(panel)
    dots, outside = "", 0
    for at, (x, (_, value)) in enumerate(zip(xs, panel.points, strict=True)):
        outside += not frame[0] <= value <= frame[1]
        if at or panel.best is None:
            dots += f"M{x:.0f},{_y(value, frame):.0f}h0"  # a point is a line of no length with round ends: few bytes
    best = ""
    if panel.best is not None:
        best = f'<circle class="dot" cx="{xs[0]:.0f}" cy="{_y(panel.best[1], frame):.0f}" r="4.5"/>'
    title = say("plot.panel_title", lang, name=panel.name, metric=metric)
    kind = "plot.panel_desc_log" if panel.log else "plot.panel_desc"
    desc = say(
        kind, lang, metric=metric, name=panel.name, n=len(panel.points), low=_lowest(panel), high=_highest(panel)
    )
    if outside:
        desc += " " + say("plot.panel_outside", lang, n=outside)
    many = " many" if len(panel.points) > 150 else ""
    name = f"plot-panel-{place}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(desc)}</desc>'
        f'{_axes(panel, frame)}<path class="dots{many}" d="{dots}"/>{best}</svg>'
    )


def _lowest(panel: Panel) -> str:
    return panel.strips[0] if panel.strips else number(min(place for place, _ in panel.points))


def _highest(panel: Panel) -> str:
    return panel.strips[-1] if panel.strips else number(max(place for place, _ in panel.points))


def _y(value: float, frame: tuple[float, float]) -> float:
    share = min(1.0, max(0.0, (value - frame[0]) / (frame[1] - frame[0])))
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _scale(panel: Panel) -> tuple[float, float]:
    if panel.strips:
        return -0.5, len(panel.strips) - 0.5
    places = [math.log10(place) if panel.log else place for place, _ in panel.points]
    low, high = min(places), max(places)
    pad = (high - low) * 0.05
    return low - pad, high + pad


def _across(panel: Panel) -> list[float]:
    low, high = _scale(panel)
    room = (WIDTH - LEFT - RIGHT) / (high - low)
    found, seen = [], dict.fromkeys(range(len(panel.strips)), 0)
    for place, _ in panel.points:
        x = LEFT + ((math.log10(place) if panel.log else place) - low) * room
        if panel.strips:
            # Neighbours in value are laid out beside each other by the golden section, so that none hides another.
            seen[int(place)] += 1
            x += (seen[int(place)] * 0.618 % 1.0 - 0.5) * 2 * min(SPREAD, room * 0.35) if seen[int(place)] > 1 else 0.0
        found.append(x)
    return found


def _axes(panel: Panel, frame: tuple[float, float]) -> str:
    parts = []
    for value in ticks(*frame, 3):
        y = _y(value, frame)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    low, high = _scale(panel)
    for place, text in _marks(panel, low, high):
        x = LEFT + (place - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{base + 16}" text-anchor="middle">{escape(text)}</text>')
    return "".join(parts)


def _marks(panel: Panel, low: float, high: float) -> list[tuple[float, str]]:
    if panel.strips:
        every = math.ceil(len(panel.strips) / MOST_STRIPS)
        room = max(3, min(LABEL, 40 // min(len(panel.strips), MOST_STRIPS)))
        return [(float(i), _cut(s, room)) for i, s in enumerate(panel.strips) if i % every == 0]
    if not panel.log:
        return [(v, number(v)) for v in ticks(low, high, 3)]
    powers = list(range(math.ceil(low), math.floor(high) + 1))
    if len(powers) >= 2:
        return [(float(p), number(10.0**p)) for p in powers[:: math.ceil(len(powers) / 4)]]
    return [
        (low + (high - low) * share, number(float(f"{10 ** (low + (high - low) * share):.1g}"))) for share in (0.1, 0.9)
    ]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
