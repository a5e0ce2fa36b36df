"""The scatter plot of two objectives with the front between them, and the front as a table."""

from collections.abc import Sequence
from html import escape

from secondshift.interfaces.brief.fronts import Scatter, Spot
from secondshift.interfaces.brief.parameter_figures import fences
from secondshift.interfaces.brief.plots import HEIGHT, Frame, drawing
from secondshift.interfaces.brief.ticks import ticks
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number

MOST_NAMED = 12  # dots of the front with their trial beside them, and rows of the table


def front_svg(data: Scatter, lang: str) -> str:
    """Draw all complete trials, those on the front strongly and joined; empty text if there is none."""
    if not data.spots:
        return ""
    best = sorted((spot for spot in data.spots if spot.best), key=lambda spot: spot.second)
    across = _span([spot.second for spot in data.spots], [spot.second for spot in best], 0.06)
    frame = Frame(across, _span([spot.value for spot in data.spots], [spot.value for spot in best], 0.0), HEIGHT)
    marks = [(value, number(value)) for value in ticks(frame.x0, frame.x1, 4)]
    rest = [spot for spot in data.spots if not spot.best]
    dots = "".join(f"M{_x(spot, frame):.0f},{_y(spot, frame):.0f}h0" for spot in rest)
    outside = sum(not (frame.x0 <= s.second <= frame.x1 and frame.y0 <= s.value <= frame.y1) for s in rest)
    desc = say("front.plot_desc", lang, n=len(data.spots), metric=data.metric, also=data.also, front=_names(best))
    if outside:
        desc += " " + say("plot.panel_outside", lang, n=outside)
    many = " many" if len(rest) > 150 else ""
    body = (
        frame.axes(data.also, data.metric, marks) + f'<path class="dots{many}" d="{dots}"/>'
        + f'<path class="best" d="{_stairs(best, frame, data.rising)}"/>' + "".join(_dot(spot, frame, best) for spot in best)
    )  # fmt: skip
    return drawing("plot-front", say("front.plot_title", lang), desc, body)


def _names(best: Sequence[Spot]) -> str:
    more = f" +{len(best) - MOST_NAMED}" if len(best) > MOST_NAMED else ""
    return ", ".join(spot.trial for spot in best[:MOST_NAMED]) + more


def _span(values: list[float], inside: list[float], room: float) -> tuple[float, float]:
    """From where to where an axis goes: the front always lies within, a diverged trial need not."""
    low, high = fences(values)
    low, high = min(low, *inside), max(high, *inside)
    pad = room * (high - low) if high > low else abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def _x(spot: Spot, frame: Frame) -> float:
    return frame.x(min(frame.x1, max(frame.x0, spot.second)))


def _y(spot: Spot, frame: Frame) -> float:
    return frame.y(min(frame.y1, max(frame.y0, spot.value)))


def _stairs(best: Sequence[Spot], frame: Frame, rising: bool) -> str:
    """The border of what was reached: `best` from left to right, a step from each to the next."""
    path = [f"M{_x(best[0], frame):.1f},{_y(best[0], frame):.1f}"]
    for spot in best[1:]:
        x, y = f"H{_x(spot, frame):.1f}", f"V{_y(spot, frame):.1f}"
        path.append(y + x if rising else x + y)
    return "".join(path)


def _dot(spot: Spot, frame: Frame, best: Sequence[Spot]) -> str:
    x, y, name = _x(spot, frame), _y(spot, frame), escape(spot.trial)
    dot = f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{name}</title></circle>'
    if len(best) > MOST_NAMED:
        return dot
    return f'{dot}<text class="tick" x="{x + 6:.1f}" y="{y - 6:.1f}">{name}</text>'


def front_table(data: Scatter, lang: str) -> str:
    """The trials on the front as a table, the best of the study's objective first."""
    best = [spot for spot in data.spots if spot.best]
    if not best:
        return ""
    heads = (say("status.head_trial", lang), data.metric, data.also, say("status.head_params", lang))
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    rows = "".join(
        f'<tr><td class="n">{escape(s.trial)}</td><td class="n">{number(s.value)}</td><td class="n">{number(s.second)}</td>'
        f"<td>{escape(s.params) or '—'}</td></tr>\n"
        for s in best[:MOST_NAMED]
    )
    more = f'<p class="note">{escape(say("plot.too_many", lang, n=MOST_NAMED))}</p>' if len(best) > MOST_NAMED else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>{more}"
