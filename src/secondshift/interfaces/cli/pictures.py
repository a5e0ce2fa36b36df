"""`show --plot`: pictures of a trial, or of the study, in a terminal, of the same data that the brief draws."""

from rich.console import Console
from rich.text import Text

from secondshift.interfaces.brief.best_plot import rival_drawn, told
from secondshift.interfaces.brief.fan_plots import ended, fan_title
from secondshift.interfaces.brief.fans import Fan, fan
from secondshift.interfaces.brief.figures import Figures
from secondshift.interfaces.brief.weight_plots import weights_told
from secondshift.interfaces.charts import Chart
from secondshift.interfaces.cli.desk import Desk
from secondshift.interfaces.cli.printing import indented
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import duration, number
from secondshift.interfaces.readmodel.forecasts import percent
from secondshift.records.forecasts import COVERED
from secondshift.records.states import State
from secondshift.records.trials import Trial

ROWS, POINTS = 14, 400
OURS, RIVAL, NAME, BAR = "▪", "┄", 16, 30
CURVE, BANDS, TRUTH, MISSED = "●", "·░▒▓", "◆", "✗"


def fan_of(desk: Desk, state: State, trial: Trial) -> Fan | None:
    """The fan of one trial from the ledger; None where nothing was ever forecast of it."""

    def read(name: str, metric: str) -> tuple[list[int], list[float]]:
        series = desk.ledger.series(name, metric, points=POINTS)
        return [int(step) for step in series.steps], [float(value) for value in series.values]

    return fan(state, state.study.objective, trial, read) if state.study is not None else None


def print_fan(screen: Console, data: Fan | None, lang: str) -> None:
    """Draw a fan, and tell each forecast below; where there is none, say so."""
    if data is None:
        screen.print(Text(say("fan.none", lang), style="dim"))
        return
    screen.print(Text(f"\n{fan_title(data, lang)}: {data.metric}", style="dim"))
    for line in fan_lines(data, min(100, screen.width - 2)):
        screen.print(indented(Text(line, no_wrap=True)))
    signs = [(CURVE, say("fan.legend_curve", lang)), (BANDS[-1], say("fan.legend_fan", lang, covered_share=COVERED))]
    if data.ended is not None:
        held = all(ray.held for ray in data.rays)
        signs.append((TRUTH, say("fan.legend_truth", lang)) if held else (MISSED, say("fan.legend_missed", lang)))
    screen.print(indented(Text("   ".join(f"{sign} {text}" for sign, text in signs), style="dim")))
    for ray in data.rays:
        told = say("fan.ray", lang, step=ray.step, low=ray.low, high=ray.high, middle=ray.middle)
        chance = say("fan.chance", lang, chance=percent(ray.chance))
        screen.print(indented(Text(f"{told}; {chance}; {ended(data, ray, lang)}")))


def print_study(screen: Console, data: Figures, lang: str) -> None:
    """Draw the best value against spend with the estimate beside it, and say which parameters matter."""
    if not data.best:
        screen.print(Text(say("found.none_complete", lang, metric=data.metric), style="dim"))
    else:
        screen.print(Text(f"{say('plot.best_title', lang)}: {data.metric}", style="bold"))
        for line in best_lines(data, min(100, screen.width - 2), lang):
            screen.print(indented(Text(line, no_wrap=True)))
        signs = f"{OURS} {say('rival.legend_ours', lang)}"
        if rival_drawn(data):
            signs += f"   {RIVAL} " + say("rival.legend", lang, covered_share=COVERED)
        screen.print(indented(Text(signs, style="dim")))
    for text in told(data, lang):
        screen.print(indented(Text(text)))
    weights = data.lookback.weights
    for name, share in weights.shares if weights is not None else ():
        screen.print(indented(Text(f"{name[:NAME]:<{NAME}} {'█' * round(share * BAR):<{BAR}} {share:.0%}")))
    if note := weights_told(data.lookback, lang):
        screen.print(indented(Text(note)))


def best_lines(data: Figures, width: int, lang: str) -> list[str]:
    """Best so far as lines of text, the estimate of full training behind it."""
    rival = rival_drawn(data)
    values = [value for _, value in data.best] + [value for _, _, value, _ in rival]
    last = max([data.best[-1][0], *(at for at, *_ in rival)])
    chart = Chart(x=(0.0, last), y=(min(values), max(values)), width=width, height=ROWS)
    if rival:
        chart.stairs([(at, value) for at, _, value, _ in rival], RIVAL)
    chart.stairs(data.best, OURS)
    return chart.lines("0", duration(last, lang))


def fan_lines(data: Fan, width: int) -> list[str]:
    """A fan as lines of text: later forecasts are darker, the curve lies on top."""
    chart = Chart(x=(0.0, data.horizon), y=data.span(), width=width, height=ROWS)
    newest_first = list(zip(reversed(data.rays), reversed(BANDS), strict=False))
    for ray, sign in newest_first:
        chart.band(ray.step, ray.origin(), data.horizon, ray.low, ray.high, sign)
    chart.points(data.steps, data.values, CURVE)
    if data.ended is not None:
        chart.mark(data.horizon, data.ended, TRUTH if all(ray.held for ray in data.rays) else MISSED)
    return chart.lines("0", number(data.horizon))
