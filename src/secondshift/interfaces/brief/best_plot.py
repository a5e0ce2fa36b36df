"""The best complete value against spend, beside what full training of everything is estimated to have come to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from secondshift.interfaces.brief.plots import Frame, drawing
from secondshift.interfaces.brief.ticks import spans
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import duration

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.interfaces.brief.figures import Figures
    from secondshift.interfaces.brief.lookback import Rival

Corner = tuple[float, float]  # device-seconds, value
FARTHEST = 3.0  # times the spend, up to which the estimate is drawn


def best_so_far(data: Figures, lang: str) -> str:
    """The best complete value against device time, as a staircase; empty text if there is none."""
    if not data.best:
        return ""
    rival = rival_drawn(data)
    values = [v for _, v in data.best] + [v for _, *band in rival for v in band]
    frame = Frame((0.0, max([data.best[-1][0], *(at for at, *_ in rival)])), (min(values), max(values)))
    dots = "".join(f'<circle class="dot" cx="{frame.x(x):.1f}" cy="{frame.y(v):.1f}" r="3"/>' for x, v in data.best[:-1])
    marks = [(v, duration(v, lang)) for v in spans(frame.x0, frame.x1)]
    ours = f'<path class="best" d="{_stairs(list(data.best), frame)}"/>{dots}'
    body = frame.axes(say("plot.best_x", lang), data.metric, marks) + _rival(rival, frame) + ours
    first, last = data.best[0][1], data.best[-1][1]
    desc = say("plot.best_desc", lang, n=len(data.best) - 1, first=first, last=last)
    return drawing("plot-best", say("plot.best_title", lang), " ".join([desc, *told(data, lang)]), body)


def rival_drawn(data: Figures) -> list[tuple[float, float, float, float]]:
    """The part of the estimate that is drawn: until it is as good as this search, but not far beyond what was spent."""
    if data.lookback.rival is None or not data.best:
        return []
    points, spent = data.lookback.rival.points, data.best[-1][0]
    until = data.lookback.rival.reaches(data.objective, data.best[-1][1]) or math.inf
    return [point for point in points if point[0] <= min(max(until, spent), FARTHEST * spent) * (1 + 1e-9)]


def told(data: Figures, lang: str) -> list[str]:
    """What the estimate is made from and what it says, in sentences; why there is none, where one might be expected."""
    look = data.lookback
    if look.rival is None:
        if data.best and look.asked > look.trained:
            return [say("rival.none", lang, asked=look.asked, trained=look.trained)]
        return []
    return [*_says(data, look.rival, lang), _basis(look.rival, lang)]


def _says(data: Figures, rival: Rival, lang: str) -> list[str]:
    if not data.best:
        return []
    best, had = data.best[-1][1], data.best[-2:][0][0]  # the last corner is where the study stands now
    needs = rival.reaches(data.objective, best)
    values = {"value": best, "metric": data.metric, "had_s": had}
    if needs is None:
        return [say("rival.never", lang, **values, all_s=rival.points[-1][0], n=rival.trials)]
    return [say("rival.needs", lang, **values, needs_s=needs)]


def _basis(rival: Rival, lang: str) -> str:
    values = {"n": rival.trials, "trained": rival.trained, "full_s": rival.full_s, "of": rival.full_of}
    return say("rival.basis", lang, **values)


def _stairs(corners: list[Corner], frame: Frame) -> str:
    path = [f"M{frame.x(corners[0][0]):.1f},{frame.y(corners[0][1]):.1f}"]
    path += [f"H{frame.x(x):.1f}V{frame.y(value):.1f}" for x, value in corners[1:]]
    return "".join(path)


def _rival(points: list[tuple[float, float, float, float]], frame: Frame) -> str:
    if not points:
        return ""
    up = _stairs([(at, high) for at, _, _, high in points], frame)
    down = "".join(f"V{frame.y(low):.1f}H{frame.x(at):.1f}" for at, low, _, _ in reversed(points))
    middle = _stairs([(at, value) for at, _, value, _ in points], frame)
    only = "h0.1" if len(points) == 1 else ""
    return f'<path class="band" d="{up}{down}Z"/><path class="rival" d="{middle}{only}"/>'
