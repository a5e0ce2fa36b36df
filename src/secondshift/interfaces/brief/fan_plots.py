"""A fan chart: a curve, the interval that each forecast opened towards the horizon, and how the trial ended."""

import math
from collections.abc import Sequence
from html import escape

from secondshift.interfaces.brief.documents import legend
from secondshift.interfaces.brief.fans import Fan, Ray
from secondshift.interfaces.brief.plots import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Frame, drawing
from secondshift.interfaces.brief.ticks import ticks
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.readmodel.forecasts import percent
from secondshift.records.forecasts import COVERED

MARGIN = 6  # units that the horizon keeps from the right edge, so that its marks are whole


def fan_svg(data: Fan, lang: str) -> str:
    """Draw one trial's fan."""
    frame = Frame((0.0, data.horizon * (1 + MARGIN / WIDTH)), data.span())
    name = f"fan-{data.trial}"
    inside = f'<rect x="{LEFT}" y="2" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - 2}"/>'
    rays = "".join(_ray(ray, data.horizon, frame, lang) for ray in data.rays)
    marks = [(v, number(int(v))) for v in ticks(0.0, data.horizon, 4) if v == int(v)]
    body = (
        f'<clipPath id="{name}-frame">{inside}</clipPath>{frame.axes(say("plot.curves_x", lang), data.metric, marks)}'
        f'<g clip-path="url(#{name}-frame)">{rays}<path class="curve" d="{_curve(data, frame)}"/></g>{_end(data, frame)}'
    )
    return drawing(name, fan_title(data, lang), _desc(data, lang), body)


def fan_title(data: Fan, lang: str) -> str:
    """Which trial it is, and why it is shown."""
    return say(f"fan.title_{data.role}", lang, trial=data.trial)


def _curve(data: Fan, frame: Frame) -> str:
    path, pen = [], "M"
    for step, value in zip(data.steps, data.values, strict=True):
        if math.isfinite(value):
            path.append(f"{pen}{frame.x(step):.1f},{frame.y(value):.1f}")
        pen = "L" if math.isfinite(value) else "M"  # a gap where the curve has no finite value
    return path[0] + "h0.1" if len(path) == 1 else "".join(path)


def _ray(ray: Ray, horizon: int, frame: Frame, lang: str) -> str:
    end, low, middle, high = frame.x(horizon), frame.y(ray.low), frame.y(ray.middle), frame.y(ray.high)
    x, y = frame.x(ray.step), frame.y(ray.origin())
    told = say("fan.ray", lang, step=ray.step, low=ray.low, high=ray.high, middle=ray.middle)
    return (
        f'<polygon class="fan" points="{x:.1f},{y:.1f} {end:.1f},{low:.1f} {end:.1f},{high:.1f}">'
        f"<title>{escape(told)}</title></polygon>"
        f'<path class="ray" d="M{x:.1f},{y:.1f}L{end:.1f},{middle:.1f}"/><circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    )


def _end(data: Fan, frame: Frame) -> str:
    if data.ended is None or not math.isfinite(data.ended):
        return ""
    style = "truth" if all(ray.held for ray in data.rays) else "truth missed"
    x, y = frame.x(data.horizon), frame.y(data.ended)
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(number(data.ended))}</title></circle>'


def _desc(data: Fan, lang: str) -> str:
    newest = data.rays[-1]
    values = {"trial": data.trial, "n": len(data.rays), "metric": data.metric, "horizon": data.horizon, "step": newest.step,
              "low": newest.low, "high": newest.high}  # fmt: skip
    said = say("fan.desc", lang, **values)
    if data.ended is None:
        return said + " " + say("fan.desc_open", lang)
    held = sum(bool(ray.held) for ray in data.rays)
    return said + " " + say("fan.desc_ended", lang, value=data.ended, held=held, n=len(data.rays))


def fan_table(data: Fan, lang: str) -> str:
    """The forecasts as a table, folded away."""
    names = ("step", "interval", "middle", "chance", "end")
    heads = "".join(f'<th scope="col">{escape(say(f"fan.head_{name}", lang))}</th>' for name in names)
    rows = "".join(
        f'<tr><td class="n">{number(ray.step)}</td><td class="n">{number(ray.low)} – {number(ray.high)}</td>'
        f'<td class="n">{number(ray.middle)}</td><td class="n">{percent(ray.chance)}</td>'
        f"<td>{escape(ended(data, ray, lang))}</td></tr>\n"
        for ray in data.rays
    )
    fold = escape(say("fan.table", lang))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>"
    return f'<details><summary class="note">{fold}</summary>{table}</details>'


def ended(data: Fan, ray: Ray, lang: str) -> str:
    """How a forecast came out, in a few words."""
    if data.ended is None:
        return say("fan.open", lang)
    return say("fan.held" if ray.held else "fan.missed", lang, value=data.ended)


def fan_figures(fans: Sequence[Fan], lang: str) -> str:
    """All fans of a brief, each with its legend and its table; empty text if there is none."""
    drawn = []
    for data in fans:
        entries = [("ink", say("fan.legend_curve", lang)), ("fan", say("fan.legend_fan", lang, covered_share=COVERED))]
        if data.ended is not None and math.isfinite(data.ended):
            kind = "truth" if all(ray.held for ray in data.rays) else "missed"
            entries.append((kind, say(f"fan.legend_{kind}", lang)))
        below = legend(entries) + fan_table(data, lang)
        drawn.append(f"<figure><figcaption>{escape(fan_title(data, lang))}</figcaption>{fan_svg(data, lang)}{below}</figure>\n")
    return f'<div class="plots">\n{"".join(drawn)}</div>\n' if drawn else ""
